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

/** Acquisitions by all threads together. */
const ACQUISITIONS = 480;
const READS = 960;
const ADDS = 16_000;

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
  const times = ACQUISITIONS / threads;
  return {
    jobs: dealt(threads, () => ({ kind: "lock", lock, guarded: data.place, writes, times })),
    ranges: { ...ranges, guarded: data.bytes },
    operations: ACQUISITIONS,
    end() {
      data.arena.destroy();
      end();
    },
  };
}

function lockVariant(side: LocalSide, threads: number): Variant {
  // Emulated threads take a hundred times as long for everything: the default of 10 ms would be a few acquisitions.
  const options: MutexOptions = side.row.type === Mutex ? { patienceMs: 1000 } : {};
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

function locks(threads: number): Scene {
  return {
    name: `a lock over four lines, with ${threads} threads`,
    operation: "an acquisition",
    variants: [
      ...[...EXCLUSIVE, ...READ].map((side) => lockVariant(side, threads)),
      {
        name: NAIVE,
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(LINE);
          const words = new Int32Array(place.shared).fill(0);
          return underLock(threads, true, words, { lock: bytes }, nothing);
        },
      },
    ],
  };
}

function records(): Scene {
  const threads = 8;
  const times = READS / threads;
  return {
    name: `a record of four words that ${threads} threads read`,
    operation: "a read",
    variants: [
      {
        name: "SeqLock",
        ours: true,
        make: () =>
          inArena("1 MiB", (arena) => {
            const record = SeqLock.create(arena, { words: 4 });
            record.write([1, 2, 3, 4]);
            return record;
          }, (record) =>
            dealt(threads, () => ({ kind: "record", record, times })), READS),
      },
      {
        name: `under ${NAIVE}`,
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(2 * LINE);
          const words = new Int32Array(place.shared).fill(0);
          return {
            jobs: dealt(threads, () => ({ kind: "record", record: words, times })),
            ranges: { shared: bytes },
            operations: READS,
            end: nothing,
          };
        },
      },
    ],
  };
}

function counters(): Scene {
  const threads = Math.min(8, topology().allowedCpus.size);
  const times = ADDS / threads;
  const adds = <Shared>(
    size: string,
    create: (arena: Arena) => Shared,
    work: (shared: Shared) => Work,
  ): Prepared => inArena(size, create, (shared) => dealt(threads, () => work(shared)), ADDS);
  return {
    name: `a counter that ${threads} threads add to`,
    operation: "an add",
    everywhere: true,
    variants: [
      {
        name: "PartitionedCounter",
        ours: true,
        make: () =>
          adds("1 MiB", (arena) => PartitionedCounter.create(arena), (counter) => ({
            kind: "count",
            counter,
            times,
          })),
      },
      {
        name: "Histogram",
        ours: true,
        make: () =>
          adds("8 MiB", (arena) => Histogram.create(arena), (histogram) => ({
            kind: "histogram",
            histogram,
            times,
          })),
      },
      {
        name: "one word and Atomics.add",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(LINE);
          const words = new Int32Array(place.shared).fill(0);
          return {
            jobs: dealt(threads, () => ({ kind: "add", words, times })),
            ranges: { shared: bytes },
            operations: ADDS,
            end: nothing,
          };
        },
      },
    ],
  };
}

/** The scenes of what threads share, in the order of the table. */
export function lockScenes(): readonly Scene[] {
  return [locks(8), records(), counters()];
}
