/**
 * A thread of the benchmarks of several: does the same thing over and over, until it is told to stop.
 */
import {
  currentCpu,
  type Lock,
  type PartitionedCounter,
  worker,
  type WorkerFunction,
} from "../../mod.ts";
import { NaiveMutex } from "../naive_mutex.ts";

/** Words that all threads of a run share. */
export const WORDS = { phase: 0, ready: 1, guarded: 32, added: 64, naive: 96, words: 128 } as const;

/** What a thread does, over and over. */
export type Work =
  /** Takes the lock, does `steps` of arithmetic, and notes the longest wait if asked to: two looks at the clock. */
  | { readonly lock: Lock | "naive"; readonly steps: number; readonly waits: boolean }
  /** Adds 1, or adds 1 to a word that all share. */
  | { readonly counter: PartitionedCounter | "shared word" };

/** What a thread is given. */
export interface ThreadTask {
  readonly work: Work;
  /** {@linkcode WORDS}. */
  readonly words: Int32Array;
}

/** What came of it. */
export interface ThreadResult {
  readonly count: number;
  readonly longestWaitMs: number;
  /** The CPU it ran on at the end. */
  readonly cpu: number;
}

/** Between two looks at the phase. */
const BATCH = 64;

function compute(words: Int32Array, steps: number): void {
  let value = words[WORDS.guarded] as number;
  for (let step = 0; step < steps; step++) value = Math.imul(value, 1664525) + 1013904223 | 0;
  words[WORDS.guarded] = value;
}

interface Acquirable {
  acquire(): unknown;
  release(): void;
}

/** Makes the function that does a batch and returns the longest wait in it. */
function batchOf(work: Work, words: Int32Array): () => number {
  if ("counter" in work) {
    const { counter } = work;
    if (counter === "shared word") {
      return () => {
        for (let turn = 0; turn < BATCH; turn++) Atomics.add(words, WORDS.added, 1);
        return 0;
      };
    }
    return () => {
      for (let turn = 0; turn < BATCH; turn++) counter.add(1);
      return 0;
    };
  }
  const { steps, waits } = work;
  const lock: Acquirable = work.lock === "naive"
    ? new NaiveMutex(words.subarray(WORDS.naive))
    : work.lock;
  if (waits) {
    return () => {
      let longest = 0;
      for (let turn = 0; turn < BATCH; turn++) {
        const start = performance.now();
        lock.acquire();
        longest = Math.max(longest, performance.now() - start);
        compute(words, steps);
        lock.release();
      }
      return longest;
    };
  }
  return () => {
    for (let turn = 0; turn < BATCH; turn++) {
      lock.acquire();
      compute(words, steps);
      lock.release();
    }
    return 0;
  };
}

function run({ work, words }: ThreadTask): ThreadResult {
  const batch = batchOf(work, words);
  let count = 0;
  let longestWaitMs = 0;
  Atomics.add(words, WORDS.ready, 1);
  while (Atomics.load(words, WORDS.phase) === 0) Atomics.wait(words, WORDS.phase, 0, 100);
  while (Atomics.load(words, WORDS.phase) === 1) {
    longestWaitMs = Math.max(longestWaitMs, batch());
    count += BATCH;
  }
  return { count, longestWaitMs, cpu: currentCpu() };
}

const body: WorkerFunction<ThreadTask, ThreadResult> = worker(run);
export default body;
