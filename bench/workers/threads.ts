/**
 * A thread of the benchmarks of several: does the same thing over and over, until it is told to stop.
 */
import {
  currentCpu,
  type Lock,
  type MpmcRing,
  PartitionedCounter,
  Replicated,
  SeqLock,
  worker,
  type WorkerFunction,
} from "../../mod.ts";
import { NaiveMutex } from "../naive_mutex.ts";

/** Words that all threads of a run share. */
export const WORDS = {
  phase: 0,
  ready: 1,
  guarded: 32,
  naive: 64,
  added: 96,
  words: 2176,
} as const;

/** What the threads of a run are to do. */
export const PHASE = { start: 0, warmUp: 1, measure: 2, stop: 3 } as const;

/** What a thread does, over and over. */
export type Work =
  /** Takes the lock, does `steps` of arithmetic, and notes the longest wait if asked to: two looks at the clock. */
  | { readonly lock: Lock | "naive"; readonly steps: number; readonly waits: boolean }
  /** Reads what is read together with others, and changes nothing. */
  | { readonly read: Lock | SeqLock | Replicated | PartitionedCounter }
  /** Puts records in, eight at a time, and takes as many out. */
  | { readonly ring: MpmcRing }
  /** Adds 1; or adds 1 to a word, which all share or of which each has one. */
  | { readonly counter: PartitionedCounter | "shared word" | "own word" };

/** What a thread is given. */
export interface ThreadTask {
  readonly work: Work;
  /** Which of the threads it is, from 0: 63 at most. */
  readonly index: number;
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

/** Makes the function that reads, over and over. */
function readsOf(read: Lock | SeqLock | Replicated | PartitionedCounter): () => number {
  if (read instanceof SeqLock) {
    const record = new Int32Array(read.words);
    return () => {
      for (let turn = 0; turn < BATCH; turn++) read.read(record);
      return 0;
    };
  }
  if (read instanceof Replicated) {
    let first = 0;
    const look = (bytes: Uint8Array): void => void (first = bytes[0] as number);
    return () => {
      for (let turn = 0; turn < BATCH; turn++) read.read(look);
      return first * 0;
    };
  }
  if (read instanceof PartitionedCounter) {
    // Without any shard there is nothing to read.
    read.add(1);
    let sum = 0;
    return () => {
      for (let turn = 0; turn < BATCH; turn++) sum += read.value();
      return sum * 0;
    };
  }
  return () => {
    for (let turn = 0; turn < BATCH; turn++) {
      read.acquire();
      read.release();
    }
    return 0;
  };
}

/** Records that go through a ring at a time. */
const RECORDS = 8;

/** Each thread takes out as many as it has put in: so there is always one for a thread that waits. */
function recordsOf(ring: MpmcRing): () => number {
  const records = new Int32Array(RECORDS);
  return () => {
    for (let turn = 0; turn < BATCH; turn += RECORDS) {
      ring.push(records);
      for (let left = RECORDS; left > 0;) {
        left -= ring.pop(left === RECORDS ? records : records.subarray(0, left));
      }
    }
    return 0;
  };
}

/** Makes the function that does a batch and returns the longest wait in it. */
function batchOf({ work, index, words }: ThreadTask): () => number {
  if ("read" in work) return readsOf(work.read);
  if ("ring" in work) return recordsOf(work.ring);
  if ("counter" in work) {
    const { counter } = work;
    if (typeof counter === "string") {
      const at = WORDS.added + (counter === "shared word" ? 0 : (1 + index) * 32);
      return () => {
        for (let turn = 0; turn < BATCH; turn++) Atomics.add(words, at, 1);
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

function run(task: ThreadTask): ThreadResult {
  const { words } = task;
  const batch = batchOf(task);
  let count = 0;
  let longestWaitMs = 0;
  Atomics.add(words, WORDS.ready, 1);
  while (Atomics.load(words, WORDS.phase) === PHASE.start) {
    Atomics.wait(words, WORDS.phase, PHASE.start, 100);
  }
  while (Atomics.load(words, WORDS.phase) === PHASE.warmUp) batch();
  while (Atomics.load(words, WORDS.phase) === PHASE.measure) {
    longestWaitMs = Math.max(longestWaitMs, batch());
    count += BATCH;
  }
  return { count, longestWaitMs, cpu: currentCpu() };
}

const body: WorkerFunction<ThreadTask, ThreadResult> = worker(run);
export default body;
