/**
 * What reading costs: alone, with others that read the same, and against the plain array that a program would have
 * otherwise.
 */
import { PartitionedCounter, Replicated, SeqLock } from "../mod.ts";
import { READ } from "../tests/support/locks.ts";
import type { Comparison, Row, Subject } from "./harness.ts";
import { C_KIND } from "./native.ts";
import { inOwnThread, scaling, threads, threadsInC } from "./threads.ts";
import type { ReadsTask } from "./workers/reads.ts";
import type { Work } from "./workers/threads.ts";

/** How many threads read at the same time. */
const TOGETHER = [1, 2];
const RECORD_WORDS = 4;
const C_RWLOCK = "pthread_rwlock to read";

/** What is read, by name. */
function readables(): Record<string, () => Extract<Work, { read: unknown }>["read"]> {
  const record = { words: RECORD_WORDS };
  return {
    ...Object.fromEntries(READ.map(({ name, lock }) => [name, lock])),
    SeqLock: () => SeqLock.create(new SharedArrayBuffer(SeqLock.bytes(record)), record),
    Replicated: () => Replicated.create({ size: 64 }),
    "PartitionedCounter.value": () =>
      PartitionedCounter.create(new SharedArrayBuffer(PartitionedCounter.bytes())),
  };
}

function together(): Comparison[] {
  return Object.entries(readables()).flatMap(([name, make]) =>
    TOGETHER.map((count) => ({
      name: `${name}, a read by ${count === 1 ? "one thread" : `one of ${count} threads`}`,
      subjects: [
        threads(name, count, () => ({ read: make() })),
        threadsInC(C_RWLOCK, C_KIND.rwlockRead, count),
      ],
    }))
  );
}

function inThread(name: string, what: ReadsTask["what"]): Subject {
  return inOwnThread(name, "reads.ts", { what } satisfies ReadsTask);
}

/**
 * The comparisons of the suite.
 *
 * @returns Readers together; reads of what is spread over nodes.
 */
export function comparisons(): Comparison[] {
  return [
    ...together(),
    {
      name: "an element of a NodeArray",
      subjects: [
        inThread("NodeArray.get", "get"),
        inThread("NodeArray.partitions, each view to a function with a loop", "partitions"),
        inThread("the same, for (const value of view)", "values"),
        inThread("a Float64Array, to the same function", "array"),
        inThread("a Float64Array, for (const value of array)", "arrayValues"),
      ],
    },
    {
      name: "a byte of a Replicated",
      subjects: [
        inThread("Replicated.read", "read"),
        inThread("Replicated.local, once for all", "local"),
        inThread("a Uint8Array", "bytes"),
      ],
    },
    {
      name: "the sum of a counter that 64 threads add to",
      subjects: [
        inThread("CounterCore.value", "counter"),
        inThread("64 words, each with Atomics.load", "words"),
      ],
    },
  ];
}

/**
 * What several comparisons say together.
 *
 * @param rows All rows of the suite.
 * @returns Lines of text.
 */
export function summary(rows: readonly Row[]): string[] {
  return Object.keys(readables()).map((name) => scaling(rows, name, 2, 1));
}
