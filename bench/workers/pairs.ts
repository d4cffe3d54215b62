/**
 * A thread that takes a lock and gives it back, with nobody else there. An engine's code of a class is as good as what it
 * has seen of that class: the thread has seen that one lock alone, or other kinds as well.
 */
import { type Lock, worker, type WorkerFunction } from "../../mod.ts";
import { NaiveMutex } from "../naive_mutex.ts";
import { type LoopResult, measureLoop } from "./loop.ts";

const PAIRS = 4000;

/** What a thread is given. */
export interface PairsTask {
  readonly lock: Lock | "naive";
  /** Other locks that the thread uses before. */
  readonly beside?: readonly Lock[];
  /** Whether `using` releases it. Default: `release()` does. */
  readonly using?: boolean;
}

function usingLock(lock: Lock): void {
  for (let turn = 0; turn < PAIRS; turn++) {
    using _guard = lock.acquire();
  }
}

/**
 * A loop over a lock in a function of its own, as programs have for each of their locks. No two have the same text:
 * engines keep what they have learnt of a function by its text.
 */
function loopOver(lock: Lock | NaiveMutex, number: number): () => void {
  const body = `for (let turn = 0; turn < turns; turn++) {
    lock.acquire();
    lock.release();
  } // ${number}`;
  const loop = new Function("lock", "turns", body) as (
    lock: Lock | NaiveMutex,
    turns: number,
  ) => void;
  return () => loop(lock, PAIRS);
}

function run({ lock, beside = [], using: byUsing = false }: PairsTask): Promise<LoopResult> {
  const loop = byUsing ? () => usingLock(lock as Lock) : loopOver(
    lock === "naive" ? new NaiveMutex(new Int32Array(new SharedArrayBuffer(128))) : lock,
    beside.length,
  );
  return measureLoop(loop, PAIRS, beside.map(loopOver));
}

const body: WorkerFunction<PairsTask, LoopResult> = worker(run);
export default body;
