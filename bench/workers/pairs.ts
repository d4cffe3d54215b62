/**
 * A thread that takes a lock and gives it back, with nobody else there. An engine's code of a class is as good as what it
 * has seen of that class: the thread has seen that one lock alone, or other kinds as well.
 */
import { summarizeSamples, timeBatch } from "../../lib/cli/measure.ts";
import { currentCpu, type Lock, worker, type WorkerFunction } from "../../mod.ts";
import { NaiveMutex } from "../naive_mutex.ts";

const PAIRS = 4000;
const WARM_UP_MS = 40;
const MEASURE_MS = 60;

/** What a thread is given. */
export interface PairsTask {
  readonly lock: Lock | "naive";
  /** Other locks that the thread uses before. */
  readonly beside?: readonly Lock[];
}

/** What came of it. */
export interface PairsResult {
  /** Nanoseconds a pair. */
  readonly cost: number;
  /** The CPU it ran on at the end. */
  readonly cpu: number;
}

/** A loop over a lock in a function of its own, as programs have for each of their locks. */
function loopOver(lock: Lock | NaiveMutex): () => void {
  const loop = new Function(
    "lock",
    "turns",
    `for (let turn = 0; turn < turns; turn++) {
    lock.acquire();
    lock.release();
  }`,
  ) as (lock: Lock | NaiveMutex, turns: number) => void;
  return () => loop(lock, PAIRS);
}

async function run({ lock, beside = [] }: PairsTask): Promise<PairsResult> {
  const batch = loopOver(
    lock === "naive" ? new NaiveMutex(new Int32Array(new SharedArrayBuffer(128))) : lock,
  );
  for (const other of [...beside.map(loopOver), batch]) {
    await timeBatch(other, PAIRS, WARM_UP_MS);
  }
  const { median } = summarizeSamples(await timeBatch(batch, PAIRS, MEASURE_MS));
  return { cost: median, cpu: currentCpu() };
}

const body: WorkerFunction<PairsTask, PairsResult> = worker(run);
export default body;
