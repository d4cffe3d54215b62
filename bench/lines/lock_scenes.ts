/**
 * Scenes of what threads share: locks, records, counters.
 */
import {
  Arena,
  Histogram,
  type Lock,
  Mutex,
  type MutexOptions,
  PartitionedCounter,
  SeqLock,
  topology,
} from "../../mod.ts";
import { EXCLUSIVE, type LocalSide, READ } from "../../tests/support/locks.ts";
import {
  dealt,
  LINE,
  nothing,
  placeOn,
  type Prepared,
  type Scene,
  sharedPlace,
  type Variant,
} from "./scene.ts";
import type { Work } from "./works.ts";

/** Acquisitions by all threads together. Those of more threads take longer in an emulation. */
const acquisitions = (threads: number): number => 3840 / threads;
const READS = 16_000;
/** A thread of those that read a record writes it so often. */
const WRITE_EACH = 8;
const ADDS = 16_000;
/** An add after which the total is read. */
const TOTAL_EACH = 100;
/** Words for the values of a histogram. */
const VALUES = 1025;

/** What a user would write. */
const NAIVE = "SharedArrayBuffer and Atomics.wait";

/** Something in an arena of its own on the first node, and what is done with it. */
function inArena<Shared>(
  size: string,
  create: (arena: Arena) => Shared,
  jobs: (shared: Shared) => Prepared["jobs"],
  operations: number,
): Prepared {
  const arena = Arena.create({ node: 0, size, pages: "4k" });
  const shared = create(arena);
  return {
    jobs: jobs(shared),
    ranges: { shared: arena.view(0, arena.used) },
    operations,
    end: () => arena.destroy(),
  };
}

/** Threads that take the lock in turns, and read or write four lines under it. */
function underLock(
  threads: number,
  writes: boolean,
  lock: Lock | Int32Array,
  ranges: Prepared["ranges"],
  end: () => void,
): Prepared {
  const data = placeOn(0, 4 * LINE);
  const operations = acquisitions(threads);
  const times = operations / threads;
  return {
    jobs: dealt(threads, () => ({ kind: "lock", lock, guarded: data.place, writes, times })),
    ranges: { ...ranges, guarded: data.bytes },
    operations,
    end() {
      data.arena.destroy();
      end();
    },
  };
}

function lockVariant(side: LocalSide, threads: number): Variant {
  const options: MutexOptions = {
    // Who waits for long looks at the lines of all threads that there may be.
    threads: 2 * threads,
    // Emulated threads take a hundred times as long for everything: the default of 10 ms would be a few acquisitions.
    ...(side.row.type === Mutex && { patienceMs: 1000 }),
  };
  return {
    name: side.name,
    ours: true,
    make() {
      const arena = Arena.create({ node: 0, size: "1 MiB", pages: "4k" });
      const lock = side.lock(arena, options);
      return underLock(
        threads,
        !side.isRead,
        lock,
        { lock: arena.view(0, arena.used) },
        () => arena.destroy(),
      );
    },
  };
}

/** Locks of one side, beside what a user would write, which knows no sides. */
function locks(threads: number, does: "write" | "read"): Scene {
  const writes = does === "write";
  return {
    name: `a lock under which ${threads} threads ${does} four lines`,
    operation: "an acquisition",
    variants: [
      ...(writes ? EXCLUSIVE : READ).map((side) => lockVariant(side, threads)),
      {
        name: NAIVE,
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(LINE);
          const words = new Int32Array(place.shared).fill(0);
          return underLock(threads, writes, words, { lock: bytes }, nothing);
        },
      },
    ],
  };
}

/** Threads that read a record, of which one may write it, too. */
function records(name: string, writeEach?: number): Scene {
  const threads = 8;
  const times = READS / threads;
  const jobs = (record: SeqLock | Int32Array) =>
    dealt(threads, (index) => ({
      ...{ kind: "record", record, times },
      ...(index === 0 && writeEach !== undefined && { writeEach }),
    }));
  return {
    name: `a record of four words that ${threads} threads read${name}`,
    operation: "a read",
    variants: [
      {
        name: "SeqLock",
        ours: true,
        make: () =>
          inArena(
            "1 MiB",
            (arena) => {
              const record = SeqLock.create(arena, { words: 4 });
              record.write([1, 2, 3, 4]);
              return record;
            },
            jobs,
            READS,
          ),
      },
      {
        name: `under ${NAIVE}`,
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(2 * LINE);
          return {
            jobs: jobs(new Int32Array(place.shared).fill(0)),
            ranges: { shared: bytes },
            operations: READS,
            end: nothing,
          };
        },
      },
    ],
  };
}

/** Words of a buffer that threads add to. */
function adding(words: number, jobs: (words: Int32Array) => Prepared["jobs"]): Prepared {
  const { place, bytes } = sharedPlace(words * 4);
  return {
    jobs: jobs(new Int32Array(place.shared).fill(0)),
    ranges: { shared: bytes },
    operations: ADDS,
    end: nothing,
  };
}

const adders = (): number => Math.min(8, topology().allowedCpus.size);

/** Threads that add to a counter, of which one may read the total. */
function counters(name: string, everywhere: boolean, totalEach?: number): Scene {
  const threads = adders();
  const jobs = (counter: PartitionedCounter | Int32Array) =>
    dealt(threads, (index): Work => ({
      ...{ kind: "count", counter, times: ADDS / threads },
      ...(index === 0 && totalEach !== undefined && { totalEach }),
    }));
  return {
    name: `a counter that ${threads} threads add to${name}`,
    operation: "an add",
    everywhere,
    variants: [
      {
        name: "PartitionedCounter",
        ours: true,
        make: () => inArena("1 MiB", (arena) => PartitionedCounter.create(arena), jobs, ADDS),
      },
      {
        name: "one word and Atomics.add",
        ours: false,
        make: () => adding(LINE / 4, jobs),
      },
    ],
  };
}

function histograms(): Scene {
  const threads = adders();
  const jobs = (histogram: Histogram | Int32Array) =>
    dealt(threads, (): Work => ({ kind: "histogram", histogram, times: ADDS / threads }));
  return {
    name: `a histogram of 1,024 values that ${threads} threads record`,
    operation: "a value",
    everywhere: true,
    variants: [
      {
        name: "Histogram",
        ours: true,
        make: () => inArena("8 MiB", (arena) => Histogram.create(arena), jobs, ADDS),
      },
      {
        name: "a word for each value and Atomics.add",
        ours: false,
        make: () => adding(VALUES, jobs),
      },
    ],
  };
}

/** The scenes of what threads share, in the order of the table. */
export function lockScenes(): readonly Scene[] {
  return [
    ...[8, 16].flatMap((threads) => [locks(threads, "write"), locks(threads, "read")]),
    records(""),
    records(", and one of them writes one time in eight", WRITE_EACH),
    counters("", true),
    counters(", and one of them reads its total after each hundred", false, TOTAL_EACH),
    histograms(),
  ];
}
