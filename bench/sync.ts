/**
 * What locks cost: against pthread_mutex and an MCS lock in C, and against the mutex that everybody writes on a
 * SharedArrayBuffer.
 */
import {
  CnaLock,
  CohortLock,
  type Lock,
  McsLock,
  Mutex,
  PartitionedCounter,
  RwLock,
  TicketLock,
} from "../mod.ts";
import { type Comparison, type Row, sink, type Subject } from "./harness.ts";
import { NaiveMutex } from "./naive_mutex.ts";
import { benchLibrary, inC } from "./native.ts";
import { costOf, cpusFor, runThreads } from "./threads.ts";
import type { Work } from "./workers/threads.ts";

const PAIRS = 4000;
const C_COUNT = 400_000;
const STEPS = 40;
const RUN_MS = 250;

/** As in bench/native/sync.c. */
const C_KIND = { pthreadMutex: 0, mcs: 1, sharedAdd: 2, ownAdd: 3 } as const;

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);

/** The loops are written out for each class, as a user's would be. */
const PAIR_BATCHES = {
  Mutex: (lock: Mutex) => () => {
    for (let index = 0; index < PAIRS; index++) {
      lock.acquire();
      lock.release();
    }
    sink.value = lock;
  },
  McsLock: (lock: McsLock) => () => {
    for (let index = 0; index < PAIRS; index++) {
      lock.acquire();
      lock.release();
    }
    sink.value = lock;
  },
  TicketLock: (lock: TicketLock) => () => {
    for (let index = 0; index < PAIRS; index++) {
      lock.acquire();
      lock.release();
    }
    sink.value = lock;
  },
  "RwLock, read": (lock: Lock) => () => {
    for (let index = 0; index < PAIRS; index++) {
      lock.acquire();
      lock.release();
    }
    sink.value = lock;
  },
  "SharedArrayBuffer and Atomics.wait": (lock: NaiveMutex) => () => {
    for (let index = 0; index < PAIRS; index++) {
      lock.acquire();
      lock.release();
    }
    sink.value = lock;
  },
};

function alone(name: string, batch: () => void): Subject {
  return { name: `${name}, acquire+release`, operations: PAIRS, batch };
}

function threads(name: string, count: number, makeWork: () => Work): Subject {
  return {
    name: `${name}, ${count} threads`,
    repeats: 1,
    async self(): Promise<number> {
      const run = await runThreads(makeWork(), count, RUN_MS);
      return run.valid ? costOf(run) : NaN;
    },
  };
}

function threadsInC(name: string, kind: number, count: number): Subject {
  const c = benchLibrary();
  const cpus = Int32Array.from(cpusFor(count));
  const counts = new BigUint64Array(count);
  return {
    name: `C ${name}, ${count} threads`,
    repeats: 1,
    self(): number {
      const result = c.bench_lock_threads(kind, count, cpus, RUN_MS, STEPS, counts);
      if (result < 0) throw new Error(`${name} failed with errno ${-result}`);
      return RUN_MS * 1e6 / counts.reduce((sum, one) => sum + Number(one), 0);
    },
  };
}

function uncontended(): Comparison[] {
  const c = benchLibrary();
  const pthread = inC(
    "C pthread_mutex, lock+unlock",
    (out) => c.bench_lock_pair(C_KIND.pthreadMutex, C_COUNT, out),
  );
  const naive = alone(
    "SharedArrayBuffer and Atomics.wait",
    PAIR_BATCHES["SharedArrayBuffer and Atomics.wait"](new NaiveMutex(new Int32Array(shared(128)))),
  );
  const mutex = Mutex.create(shared(Mutex.bytes()));
  const mcs = McsLock.create(shared(McsLock.bytes()));
  const ticket = TicketLock.create(shared(TicketLock.bytes()));
  const rw = RwLock.create(shared(RwLock.bytes()));
  return [
    { name: "Mutex alone", subjects: [alone("Mutex", PAIR_BATCHES.Mutex(mutex)), pthread, naive] },
    { name: "McsLock alone", subjects: [alone("McsLock", PAIR_BATCHES.McsLock(mcs)), pthread] },
    {
      name: "TicketLock alone",
      subjects: [alone("TicketLock", PAIR_BATCHES.TicketLock(ticket)), pthread],
    },
    {
      name: "RwLock's read side alone",
      subjects: [alone("RwLock, read", PAIR_BATCHES["RwLock, read"](rw.read)), pthread],
    },
  ];
}

function underLock(lock: Lock | "naive"): Work {
  return { lock, steps: STEPS, waits: false };
}

function contended(): Comparison[] {
  const mutex = (): Work => underLock(Mutex.create(shared(Mutex.bytes())));
  const mcs = (): Work => underLock(McsLock.create(shared(McsLock.bytes())));
  const ticket = (): Work => underLock(TicketLock.create(shared(TicketLock.bytes())));
  const cna = (): Work => underLock(CnaLock.create(shared(CnaLock.bytes())));
  const cohort = (): Work => underLock(CohortLock.create(shared(CohortLock.bytes())));
  return [
    ...[1, 2, 8].map((count): Comparison => ({
      name: `Mutex, ${count} threads on ${new Set(cpusFor(count)).size} CPUs`,
      subjects: [
        threads("Mutex", count, mutex),
        threads("SharedArrayBuffer and Atomics.wait", count, () => underLock("naive")),
        threadsInC("pthread_mutex", C_KIND.pthreadMutex, count),
      ],
    })),
    {
      name: "McsLock, 2 threads",
      subjects: [threads("McsLock", 2, mcs), threadsInC("MCS lock", C_KIND.mcs, 2)],
    },
    // What they are not for.
    {
      name: `locks that are handed on, 8 threads on ${new Set(cpusFor(8)).size} CPUs`,
      subjects: [
        threads("Mutex", 8, mutex),
        threads("McsLock", 8, mcs),
        threads("TicketLock", 8, ticket),
        threads("CnaLock", 8, cna),
        threads("CohortLock", 8, cohort),
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
 * @returns Locks alone, then under contention; counters.
 */
export function comparisons(): Comparison[] {
  return [...uncontended(), ...contended(), ...counters()];
}

/** Of one subject: its cost with so many threads over its cost with so many. */
function scaling(rows: readonly Row[], subject: string, of: number, over: number): string {
  const median = (count: number): number =>
    rows.find((row) => row.subject === `${subject}, ${count} threads`)?.median ?? NaN;
  return `${subject}: ${of} threads do ${
    (median(over) / median(of)).toFixed(2)
  } times what ${over} does`;
}

/**
 * What several comparisons say together.
 *
 * @param rows All rows of the suite.
 * @returns Lines of text.
 */
export function summary(rows: readonly Row[]): string[] {
  return [
    ...["Mutex", "SharedArrayBuffer and Atomics.wait", "C pthread_mutex"]
      .map((subject) => scaling(rows, subject, 8, 1)),
    ...[
      "PartitionedCounter",
      "one word and Atomics.add",
      "a word each and Atomics.add",
      "C own word and atomic_fetch_add",
    ].map((subject) => scaling(rows, subject, 2, 1)),
  ];
}
