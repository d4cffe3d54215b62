/**
 * Reads a cache, in a thread of its own: what `bench/caches.ts` measures with two threads.
 */
import { type Cache, currentCpu, worker, type WorkerFunction } from "../../mod.ts";
import { mixed } from "../mixed.ts";

/** What a thread does. */
export interface CachesTask {
  readonly cache: Cache<string, Uint8Array>;
  /** Keys from 0 on. */
  readonly keys: number;
  readonly reads: number;
  /** Two words: how many are ready, and how many there are. */
  readonly gate: Int32Array;
}

/** What came of it. */
export interface CachesResult {
  /** Nanoseconds a read. */
  readonly cost: number;
  readonly cpu: number;
}

const target: Uint8Array = new Uint8Array(256);

function read({ cache, keys }: CachesTask, count: number): number {
  let bytes = 0;
  for (let index = 0; index < count; index++) {
    bytes += cache.getInto(`/pages/${mixed(index, keys)}`, target) ?? 0;
  }
  return bytes;
}

const body: WorkerFunction<CachesTask, CachesResult> = worker((task: CachesTask): CachesResult => {
  read(task, task.reads / 2);
  Atomics.add(task.gate, 0, 1);
  while (Atomics.load(task.gate, 0) < (task.gate[1] as number));
  const start = performance.now();
  const bytes = read(task, task.reads);
  const cost = (performance.now() - start) * 1e6 / task.reads;
  if (bytes === 0) throw new Error("no key was there");
  return { cost, cpu: currentCpu() };
});
export default body;
