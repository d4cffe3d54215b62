/**
 * What locks cost: against pthread_mutex and an MCS lock in C, and against the mutex that everybody writes on a
 * SharedArrayBuffer.
 */
import { type Lock, McsLock, Mutex, PartitionedCounter } from "../mod.ts";
import { EXCLUSIVE, type LocalSide, READ, sideFor } from "../tests/support/locks.ts";
import type { Comparison, Row, Subject } from "./harness.ts";
import { benchLibrary, C_KIND, inC } from "./native.ts";
import { cpusFor, inOwnThread, scaling, STEPS, threads, threadsInC } from "./threads.ts";
import type { PairsTask } from "./workers/pairs.ts";
import type { Work } from "./workers/threads.ts";

const C_COUNT = 400_000;

/** What a user would write. */
const NAIVE = "SharedArrayBuffer and Atomics.wait";

/** Whether whoever finds it free takes it. */
const isBarging = ({ row }: LocalSide): boolean => row.overtaken === Infinity;

const mutex = (): Lock => sideFor(Mutex).lock();
const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

function alone(name: string, lock: Lock | "naive", beside: readonly Lock[] = []): Subject {
  return inOwnThread(
    `${name}, acquire+release${beside.length > 0 ? ", beside all other kinds" : ""}`,
    "pairs.ts",
    { lock, beside } satisfies PairsTask,
  );
}

function uncontended(): Comparison[] {
  const c = benchLibrary();
  const pthread = inC(
    "C pthread_mutex, lock+unlock",
    (out) => c.bench_lock_pair(C_KIND.pthreadMutex, C_COUNT, out),
  );
  const rwlock = inC(
    "C pthread_rwlock, rdlock+unlock",
    (out) => c.bench_lock_pair(C_KIND.rwlockRead, C_COUNT, out),
  );
  const naive = alone(NAIVE, "naive");
  const against = (sides: readonly LocalSide[], others: readonly Subject[]): Comparison[] =>
    sides.map(({ name, lock }) => ({
      name: `${name} alone`,
      subjects: [alone(name, lock()), ...others],
    }));
  return [
    ...against(EXCLUSIVE, [pthread, naive]),
    ...against(READ, [rwlock]),
    {
      name: "Mutex, released by using",
      subjects: [
        inOwnThread("Mutex, using", "pairs.ts", { lock: mutex(), using: true } satisfies PairsTask),
        alone("Mutex", mutex()),
      ],
    },
  ];
}

/** What a lock costs in a thread that uses all others as well. */
function besideOthers(): Comparison[] {
  const sides = [...EXCLUSIVE, ...READ];
  return sides.map(({ name, lock }) => {
    const others = sides.filter((side) => side.name !== name).map((side) => side.lock());
    return {
      name: `${name} in a thread that uses ${sides.length} kinds`,
      subjects: [alone(name, lock(), others), alone(name, lock())],
    };
  });
}

function underLock(lock: Lock | "naive"): Work {
  return { lock, steps: STEPS, waits: false };
}

function contended(): Comparison[] {
  const ours = ({ name, lock }: LocalSide, count: number): Subject =>
    threads(name, count, () => underLock(lock()));
  const on = (count: number): string => `${count} threads on ${new Set(cpusFor(count)).size} CPUs`;
  const plain = EXCLUSIVE.filter(({ row }) => row.shared === undefined);
  return [
    ...plain.filter(isBarging).flatMap((side) =>
      [1, 2, 8].map((count): Comparison => ({
        name: `${side.name}, ${on(count)}`,
        subjects: [
          ours(side, count),
          threads(NAIVE, count, () => underLock("naive")),
          threadsInC("pthread_mutex", C_KIND.pthreadMutex, count),
        ],
      }))
    ),
    {
      name: "McsLock, 2 threads",
      subjects: [ours(sideFor(McsLock), 2), threadsInC("MCS lock", C_KIND.mcs, 2)],
    },
    // What they are not for. The first is the lock to use.
    {
      name: `locks that are handed on, ${on(8)}`,
      subjects: [
        ...plain.filter((side, index) => index === 0 || !isBarging(side))
          .map((side) => ours(side, 8)),
        threadsInC("MCS lock", C_KIND.mcs, 8),
      ],
    },
  ];
}

function counters(): Comparison[] {
  const counter = (): Work => ({
    counter: PartitionedCounter.create(shared(PartitionedCounter.bytes())),
  });
  // One and two threads in turn, as the host's other guests slow both down.
  return [{
    name: "PartitionedCounter",
    subjects: [1, 2].flatMap((count) => [
      threads("PartitionedCounter", count, counter),
      threads("one word and Atomics.add", count, () => ({ counter: "shared word" })),
      threads("a word each and Atomics.add", count, () => ({ counter: "own word" })),
      threadsInC("own word and atomic_fetch_add", C_KIND.ownAdd, count),
      threadsInC("one word and atomic_fetch_add", C_KIND.sharedAdd, count),
    ]),
  }];
}

/**
 * The comparisons of the suite.
 *
 * @returns Locks alone, beside others, then under contention; counters.
 */
export function comparisons(): Comparison[] {
  return [...uncontended(), ...besideOthers(), ...contended(), ...counters()];
}

/**
 * What several comparisons say together.
 *
 * @param rows All rows of the suite.
 * @returns Lines of text.
 */
export function summary(rows: readonly Row[]): string[] {
  return [
    ...["Mutex", NAIVE, "C pthread_mutex"]
      .map((subject) => scaling(rows, subject, 8, 1)),
    ...[
      "PartitionedCounter",
      "one word and Atomics.add",
      "a word each and Atomics.add",
      "C own word and atomic_fetch_add",
    ].map((subject) => scaling(rows, subject, 2, 1)),
  ];
}
