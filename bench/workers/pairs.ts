/**
 * A thread that takes a lock and gives it back, with nobody else there. An engine's code of a class is as good as what it
 * has seen of that class: a thread has seen one lock, as in most programs.
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
}

/** What came of it. */
export interface PairsResult {
  /** Nanoseconds a pair. */
  readonly cost: number;
  /** The CPU it ran on at the end. */
  readonly cpu: number;
}

async function run(task: PairsTask): Promise<PairsResult> {
  const lock = task.lock === "naive"
    ? new NaiveMutex(new Int32Array(new SharedArrayBuffer(128)))
    : task.lock;
  const batch = (): void => {
    for (let turn = 0; turn < PAIRS; turn++) {
      lock.acquire();
      lock.release();
    }
  };
  await timeBatch(batch, PAIRS, WARM_UP_MS);
  const { median } = summarizeSamples(await timeBatch(batch, PAIRS, MEASURE_MS));
  return { cost: median, cpu: currentCpu() };
}

const body: WorkerFunction<PairsTask, PairsResult> = worker(run);
export default body;
