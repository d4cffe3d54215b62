/**
 * A thread of the lock benchmarks: does the same work under one lock, over and over, until it is told to stop.
 */
import { currentCpu, type Lock, worker } from "../../mod.ts";
import { NaiveMutex } from "../naive_mutex.ts";

/** Words that all threads of a run share. */
export const WORDS = { phase: 0, ready: 1, guarded: 32, own: 64, words: 64 + 64 * 32 } as const;

/** What a thread does. */
export interface LockWork {
  /** The lock; null for {@linkcode NaiveMutex} in `naive`. */
  readonly lock: Lock | null;
  readonly naive: Int32Array;
  /** {@linkcode WORDS}. */
  readonly words: Int32Array;
  /** Steps of arithmetic under the lock. */
  readonly steps: number;
  /** Whether to note the longest wait, which costs two looks at the clock. */
  readonly waits: boolean;
}

/** What came of it. */
export interface LockResult {
  readonly count: number;
  readonly longestWaitMs: number;
  /** The CPU it ran on at the end. */
  readonly cpu: number;
}

/** Between two looks at the phase. */
const BATCH = 64;

function work(words: Int32Array, steps: number): void {
  let value = words[WORDS.guarded] as number;
  for (let step = 0; step < steps; step++) value = Math.imul(value, 1664525) + 1013904223 | 0;
  words[WORDS.guarded] = value;
}

interface Acquirable {
  acquire(): unknown;
  release(): void;
}

export default worker(({ lock, naive, words, steps, waits }: LockWork): LockResult => {
  const own: Acquirable = lock ?? new NaiveMutex(naive);
  let count = 0;
  let longestWaitMs = 0;
  Atomics.add(words, WORDS.ready, 1);
  while (Atomics.load(words, WORDS.phase) === 0) Atomics.wait(words, WORDS.phase, 0, 100);
  while (Atomics.load(words, WORDS.phase) === 1) {
    if (waits) {
      for (let turn = 0; turn < BATCH; turn++) {
        const start = performance.now();
        own.acquire();
        const waited = performance.now() - start;
        work(words, steps);
        own.release();
        if (waited > longestWaitMs) longestWaitMs = waited;
      }
    } else {
      for (let turn = 0; turn < BATCH; turn++) {
        own.acquire();
        work(words, steps);
        own.release();
      }
    }
    count += BATCH;
  }
  return { count, longestWaitMs, cpu: currentCpu() };
});
