/**
 * What is counted: each scene is a promise of numakit beside what a user would write instead.
 */
import {
  Arena,
  CnaLock,
  CohortLock,
  Histogram,
  type Lock,
  McsLock,
  Mutex,
  NodeArray,
  NodePool,
  PartitionedCounter,
  Replicated,
  RwLock,
  RwSpinLock,
  SeqLock,
  TicketLock,
  topology,
} from "../../mod.ts";
import type { Place, Work } from "./works.ts";

/** One way to do it. */
export interface Variant {
  /** What it is, in the table. */
  readonly name: string;
  /** Whether it is numakit's. */
  readonly ours: boolean;
  /** Prepares it. */
  readonly make: () => Prepared;
}

/** A way that is ready to be counted. */
export interface Prepared {
  /** The threads: the node that each is bound to, and what it does. */
  readonly threads: readonly { readonly node: number; readonly work: Work }[];
  /** Memory to count apart. */
  readonly ranges: Readonly<Record<string, Uint8Array<ArrayBuffer>>>;
  /** How many operations all of them do. */
  readonly operations: number;
  readonly end: () => void;
}

/** Something that is counted in several ways. */
export interface Scene {
  readonly name: string;
  /** What an operation is. */
  readonly operation: string;
  /** Whether Deno and Node count it, too. */
  readonly everywhere?: boolean;
  readonly variants: readonly Variant[];
}

const LINE = 64;
const MIB = 2 ** 20;
/** What is read line by line. */
const READ_BYTES = 2 * MIB;
const READ_LINES = READ_BYTES / LINE;

const nodes = (): number[] =>
  topology().nodes.filter(({ cpus }) => cpus.size > 0).map(({ id }) => id);

/** A place in an arena of its own, written. */
function placeOn(
  node: number,
  size: number,
): { place: Place; bytes: Uint8Array<ArrayBuffer>; arena: Arena } {
  const arena = Arena.create({ node, size: size + MIB, pages: "4k" });
  const offset = arena.alloc(size);
  const bytes = arena.view(offset, size).fill(1);
  return { place: { arena, offset, size }, bytes, arena };
}

/** What a program has without numakit: memory wherever the main thread was when it wrote it. */
function sharedPlace(
  size: number,
): { place: { shared: SharedArrayBuffer }; bytes: Uint8Array<ArrayBuffer> } {
  const shared = new SharedArrayBuffer(size);
  const bytes = new Uint8Array(shared).fill(1) as Uint8Array as Uint8Array<ArrayBuffer>;
  return { place: { shared }, bytes };
}

/** One thread reads 2 MiB. */
function readOnce(node: number, memory: () => ReturnType<typeof placeOn>): Prepared {
  const { place, bytes, arena } = memory();
  return {
    threads: [{ node, work: { kind: "read", place, times: 1 } }],
    ranges: { data: bytes },
    operations: READ_LINES,
    end: () => arena.destroy(),
  };
}

/** A thread on each node reads. */
function readByAll(
  work: (index: number, of: number) => Work,
  operations: number,
  ranges: Prepared["ranges"],
  end = () => {},
): Prepared {
  const all = nodes();
  return {
    threads: all.map((node, index) => ({ node, work: work(index, all.length) })),
    ranges,
    operations,
    end,
  };
}

function arrays(): Scene {
  const length = READ_BYTES / 8;
  return {
    name: "an array that all nodes work on, each on its part",
    operation: "a line read",
    everywhere: true,
    variants: [
      {
        name: "NodeArray, blocked: partitions()",
        ours: true,
        make() {
          const array = NodeArray.create({ type: "float64", length });
          array.fill(1);
          const ranges = Object.fromEntries(
            array.partitions().map((
              { part, view },
            ) => [`part ${part}`, new Uint8Array(view.buffer, view.byteOffset, view.byteLength)]),
          );
          return readByAll(
            () => ({ kind: "read own part", array }),
            READ_LINES,
            ranges,
            () => array.destroy(),
          );
        },
      },
      {
        name: "NodeArray, cyclic: a contiguous share with get()",
        ours: true,
        make() {
          const array = NodeArray.create({ type: "float64", length, layout: "cyclic" });
          array.fill(1);
          const ranges = Object.fromEntries(
            array.partitions().map((
              { part, view },
            ) => [`part ${part}`, new Uint8Array(view.buffer, view.byteOffset, view.byteLength)]),
          );
          return readByAll(
            (share, of) => ({ kind: "read elements", array, share, of }),
            READ_LINES,
            ranges,
            () => array.destroy(),
          );
        },
      },
      {
        name: "a Float64Array that the main thread filled",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(READ_BYTES);
          return readByAll((share, of) => ({ kind: "read share", place, share, of }), READ_LINES, {
            data: bytes,
          });
        },
      },
    ],
  };
}

function replicas(): Scene {
  const size = 256 * 1024;
  const lines = size / LINE;
  return {
    name: "a table of 256 KiB that all nodes read",
    operation: "a line read",
    everywhere: true,
    variants: [
      {
        name: "Replicated",
        ours: true,
        make() {
          const replicated = Replicated.create({ size });
          replicated.update(new Uint8Array(size).fill(1), { block: true });
          return readByAll(
            () => ({ kind: "read replica", replicated, times: 1 }),
            lines * nodes().length,
            {},
            () => replicated.destroy(),
          );
        },
      },
      {
        name: "one copy that the main thread filled",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(size);
          return readByAll(() => ({ kind: "read", place, times: 1 }), lines * nodes().length, {
            data: bytes,
          });
        },
      },
    ],
  };
}

function arenas(): Scene {
  const last = (): number => nodes().at(-1) as number;
  return {
    name: "reading 2 MiB once, by a thread on the last node",
    operation: "a line read",
    everywhere: true,
    variants: [
      {
        name: "an arena on its node",
        ours: true,
        make: () => readOnce(last(), () => placeOn(last(), READ_BYTES)),
      },
      {
        name: "an arena on the first node",
        ours: false,
        make: () => readOnce(last(), () => placeOn(0, READ_BYTES)),
      },
      {
        name: "a Float64Array that the main thread filled",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(READ_BYTES);
          return {
            threads: [{ node: last(), work: { kind: "read", place, times: 1 } }],
            ranges: { data: bytes },
            operations: READ_LINES,
            end: () => {},
          };
        },
      },
    ],
  };
}

const CHURN = 5000;

function pools(): Scene[] {
  const pool = (): NodePool => NodePool.create({ bytesPerNode: "4 MiB" });
  const ranges = (of: NodePool): Prepared["ranges"] =>
    Object.fromEntries(nodes().map((node) => [`pool on ${node}`, of.bytes(node)]));
  return [
    {
      name: "objects of 64 bytes: allocate, write, free",
      operation: "an object",
      variants: [
        {
          name: "NodePool",
          ours: true,
          make() {
            const own = pool();
            return readByAll(
              () => ({ kind: "churn", pool: own, times: CHURN }),
              CHURN * nodes().length,
              ranges(own),
              () => own.destroy(),
            );
          },
        },
        {
          name: "slots of one buffer, a range for each thread",
          ours: false,
          make() {
            const { place, bytes } = sharedPlace(READ_BYTES);
            return readByAll(
              (share, of) => ({ kind: "churn buffer", place, share, of, times: CHURN }),
              CHURN * nodes().length,
              { data: bytes },
            );
          },
        },
      ],
    },
    {
      name: "objects of 64 bytes that are freed on another node",
      operation: "an object",
      variants: [{
        name: "NodePool",
        ours: true,
        make() {
          const own = pool();
          const mail = new Int32Array(new SharedArrayBuffer(256));
          const [first = 0, ...others] = nodes();
          const times = 1000;
          return {
            threads: [first, others.at(-1) ?? first].map((node, me) => ({
              node,
              work: { kind: "exchange", pool: own, mail, me, times },
            })),
            ranges: ranges(own),
            operations: 2 * times,
            end: () => own.destroy(),
          };
        },
      }],
    },
  ];
}

/** Threads dealt to the nodes, two each for eight. */
function crew(count: number, work: (index: number) => Work): Prepared["threads"] {
  const all = nodes();
  return Array.from({ length: count }, (_, index) => ({
    node: all[index % all.length] as number,
    work: work(index),
  }));
}

const LOCK_TIMES = 200;

/** The locks that are counted, and how. */
const KINDS: Readonly<Record<string, (arena: Arena) => Lock>> = {
  // Emulated threads take hundreds of times as long for everything: ten milliseconds would be a few acquisitions.
  Mutex: (arena) => Mutex.create(arena, { patienceMs: 1000 }),
  McsLock: (arena) => McsLock.create(arena),
  TicketLock: (arena) => TicketLock.create(arena),
  CnaLock: (arena) => CnaLock.create(arena),
  CohortLock: (arena) => CohortLock.create(arena),
  "RwLock to write": (arena) => RwLock.create(arena).write,
  "RwLock to read": (arena) => RwLock.create(arena).read,
  "RwSpinLock to read": (arena) => RwSpinLock.create(arena).read,
};

function locks(count: number): Scene {
  return {
    name: `a lock over four lines, with ${count} threads`,
    operation: "an acquisition",
    variants: Object.entries(KINDS).map(([name, make]): Variant => ({
      name,
      ours: true,
      make() {
        const data = placeOn(0, 4096);
        const arena = Arena.create({ node: 0, size: "1 MiB", pages: "4k" });
        const lock = make(arena);
        const bytes = arena.view(0, arena.used);
        const writes = !name.endsWith("read");
        return {
          threads: crew(
            count,
            () => ({ kind: "lock", lock, guarded: data.place, writes, times: LOCK_TIMES }),
          ),
          ranges: { lock: bytes, guarded: data.bytes },
          operations: count * LOCK_TIMES,
          end() {
            arena.destroy();
            data.arena.destroy();
          },
        };
      },
    })),
  };
}

function records(): Scene {
  return {
    name: "a record of four words that eight threads read",
    operation: "a read",
    variants: [{
      name: "SeqLock",
      ours: true,
      make() {
        const arena = Arena.create({ node: 0, size: "1 MiB", pages: "4k" });
        const seq = SeqLock.create(arena, { words: 4 });
        seq.write([1, 2, 3, 4]);
        return {
          threads: crew(8, () => ({ kind: "record", seq, times: 1000 })),
          ranges: { record: arena.view(0, arena.used) },
          operations: 8 * 1000,
          end: () => arena.destroy(),
        };
      },
    }],
  };
}

const ADDS = 2000;

/** Eight threads that add to something in an arena of its own. */
function addTo<Shared>(
  range: string,
  size: string,
  create: (arena: Arena) => Shared,
  work: (shared: Shared) => Work,
): Prepared {
  const arena = Arena.create({ node: 0, size, pages: "4k" });
  const shared = create(arena);
  return {
    threads: crew(8, () => work(shared)),
    ranges: { [range]: arena.view(0, arena.used) },
    operations: 8 * ADDS,
    end: () => arena.destroy(),
  };
}

function counters(): Scene {
  return {
    name: "a counter that eight threads add to",
    operation: "an add",
    everywhere: true,
    variants: [
      {
        name: "PartitionedCounter",
        ours: true,
        make: () =>
          addTo(
            "counter",
            "1 MiB",
            (arena) => PartitionedCounter.create(arena),
            (counter) => ({ kind: "count", counter, times: ADDS }),
          ),
      },
      {
        name: "Histogram",
        ours: true,
        make: () =>
          addTo(
            "histogram",
            "8 MiB",
            (arena) => Histogram.create(arena),
            (histogram) => ({ kind: "histogram", histogram, times: ADDS }),
          ),
      },
      {
        name: "one word and Atomics.add",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(LINE);
          const words = new Int32Array(place.shared);
          return {
            threads: crew(8, () => ({ kind: "add", words, times: ADDS })),
            ranges: { word: bytes },
            operations: 8 * ADDS,
            end: () => {},
          };
        },
      },
    ],
  };
}

/** The scenes, in the order of the table. */
export function scenes(): readonly Scene[] {
  return [arenas(), arrays(), replicas(), ...pools(), locks(8), locks(16), records(), counters()];
}
