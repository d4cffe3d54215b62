/** A part of a loop in a thread of its own, which begins when all have come. */
import { worker, type WorkerFunction } from "../../mod.ts";
import { mapRange } from "./loop_functions.ts";

/** The words that all share. */
export const AT = { ready: 0, words: 1 } as const;

/** What a thread gets. */
export interface HalfTask {
  readonly values: Float64Array;
  readonly words: Int32Array;
  readonly threads: number;
  readonly begin: number;
  readonly end: number;
}

function half({ values, words, threads, begin, end }: HalfTask): number {
  const step = (end - begin) / 500;
  for (let at = begin; at < begin + 50 * step; at += step) mapRange(values, at, at + step);
  Atomics.add(words, AT.ready, 1);
  while (Atomics.load(words, AT.ready) < threads);
  const start = performance.now();
  mapRange(values, begin, end);
  return performance.now() - start;
}

const body: WorkerFunction<HalfTask, number> = worker(half);
export default body;
