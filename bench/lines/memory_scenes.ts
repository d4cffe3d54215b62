/**
 * Scenes of memory: where arenas, arrays, copies, objects and a thread's own heap are read from.
 */
import { type Arena, NodeArray, NodePool, Replicated, Slab } from "../../mod.ts";
import {
  cpuOf,
  emptyPlace,
  lastNode,
  LINE,
  MIB,
  nodes,
  nothing,
  onEachNode,
  placeOn,
  type Prepared,
  type Scene,
  sharedPlace,
  type Variant,
} from "./scene.ts";
import { BATCH, BATCH_WORDS, type Objects, type Place } from "./works.ts";

/** What is read line by line. */
const READ_BYTES = 2 * MIB;
const READ_LINES = READ_BYTES / LINE;
const TABLE_BYTES = MIB / 4;
/** Objects that are allocated and freed by each thread. */
const CHURN = 5000;
/** Batches that are handed over. */
const BATCHES = 16;
/** Small objects of JavaScript. */
const GARBAGE = 1_000_000;

/** A thread on the last node that reads what is there. */
function readOnce({ place, bytes, arena }: {
  readonly place: Place;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly arena?: Arena;
}): Prepared {
  return {
    jobs: [{ cpu: cpuOf(lastNode()), work: { kind: "read", place } }],
    ranges: { data: bytes },
    operations: READ_LINES,
    end: () => arena?.destroy(),
  };
}

/** A thread on the last node that reads memory which it made itself. */
function ofOwnThread(kind: "read local" | "read filled"): Prepared {
  return {
    jobs: [{ cpu: cpuOf(lastNode()), work: { kind, size: READ_BYTES } }],
    ranges: {},
    operations: READ_LINES,
    end: nothing,
  };
}

function arenas(): Scene {
  return {
    name: "reading 2 MiB once, by a thread on the last node",
    operation: "a line read",
    everywhere: true,
    variants: [
      {
        name: "Arena on its node",
        ours: true,
        make: () => readOnce(placeOn(lastNode(), READ_BYTES)),
      },
      {
        name: "Arena.local()",
        ours: true,
        make: () => ofOwnThread("read local"),
      },
      {
        name: "Arena on the first node",
        ours: false,
        make: () => readOnce(placeOn(0, READ_BYTES)),
      },
      {
        name: "Float64Array that the main thread filled",
        ours: false,
        make: () => readOnce(sharedPlace(READ_BYTES)),
      },
      {
        name: "SharedArrayBuffer that its reader filled",
        ours: false,
        make: () => ofOwnThread("read filled"),
      },
    ],
  };
}

function nodeArray(name: string, layout: "blocked" | "cyclic", each: "parts" | "share"): Variant {
  return {
    name,
    ours: true,
    make() {
      const array = NodeArray.create({ type: "float64", length: READ_BYTES / 8, layout });
      array.fill(1);
      const views = array.partitions().map(({ part, view }) =>
        [`part ${part}`, new Uint8Array(view.buffer, view.byteOffset, view.byteLength)] as const
      );
      return {
        jobs: onEachNode((share, of) =>
          each === "parts"
            ? { kind: "read own parts", array }
            : { kind: "read elements", array, share, of }
        ),
        ranges: Object.fromEntries(views),
        operations: READ_LINES,
        end: () => array.destroy(),
      };
    },
  };
}

/** One buffer; untouched when each thread fills its share. */
function oneArray(name: string, fill = false): Variant {
  return {
    name,
    ours: false,
    make() {
      const { place, bytes } = fill ? emptyPlace(READ_BYTES) : sharedPlace(READ_BYTES);
      return {
        jobs: onEachNode((share, of) => ({ kind: "read share", place, share, of, fill })),
        ranges: { data: bytes },
        operations: READ_LINES,
        end: nothing,
      };
    },
  };
}

function arrays(): Scene {
  return {
    name: "an array that all nodes work on, each on its part",
    operation: "a line read",
    everywhere: true,
    variants: [
      nodeArray("NodeArray, blocked, each its partitions()", "blocked", "parts"),
      nodeArray("NodeArray, cyclic, each its partitions()", "cyclic", "parts"),
      nodeArray("NodeArray, cyclic, each a share with get()", "cyclic", "share"),
      oneArray("Float64Array that the main thread filled"),
      oneArray("Float64Array of which each filled its share", true),
    ],
  };
}

function replicas(): Scene {
  return {
    name: "a table of 256 KiB that all nodes read",
    operation: "a line read",
    everywhere: true,
    variants: [
      {
        name: "Replicated",
        ours: true,
        make() {
          const replicated = Replicated.create({ size: TABLE_BYTES });
          replicated.update(new Uint8Array(TABLE_BYTES).fill(1), { block: true });
          return {
            jobs: onEachNode(() => ({ kind: "read copy", replicated })),
            ranges: {},
            operations: TABLE_BYTES / LINE * nodes().length,
            end: () => replicated.destroy(),
          };
        },
      },
      {
        name: "one copy that the main thread filled",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(TABLE_BYTES);
          return {
            jobs: onEachNode(() => ({ kind: "read", place })),
            ranges: { data: bytes },
            operations: TABLE_BYTES / LINE * nodes().length,
            end: nothing,
          };
        },
      },
    ],
  };
}

/** A slab on each node, by node. */
function slabs(): Map<number, Slab> {
  const options = { objectSize: LINE, count: 4096, pages: "4k" } as const;
  return new Map(nodes().map((node) => [node, Slab.create({ ...options, node })]));
}

function rangesOf(all: ReadonlyMap<number, Slab>): Prepared["ranges"] {
  return Object.fromEntries([...all].map(([node, slab]) => [`slab on ${node}`, slab.bytes]));
}

const newPool = (): NodePool => NodePool.create({ bytesPerNode: "4 MiB" });

function rangesOfPool(pool: NodePool): Prepared["ranges"] {
  return Object.fromEntries(nodes().map((node) => [`pool on ${node}`, pool.bytes(node)]));
}

function objects(): Scene {
  return {
    name: "objects of 64 bytes, which all nodes allocate, write and free",
    operation: "an object",
    variants: [
      {
        name: "Slab on each node",
        ours: true,
        make() {
          const all = slabs();
          return {
            jobs: [...all].map(([node, slab]) => ({
              cpu: cpuOf(node),
              work: { kind: "churn", from: slab, times: CHURN },
            })),
            ranges: rangesOf(all),
            operations: CHURN * all.size,
            end: () => all.forEach((slab) => slab.destroy()),
          };
        },
      },
      {
        name: "NodePool",
        ours: true,
        make() {
          const pool = newPool();
          return {
            jobs: onEachNode(() => ({ kind: "churn", from: pool, times: CHURN })),
            ranges: rangesOfPool(pool),
            operations: CHURN * nodes().length,
            end: () => pool.destroy(),
          };
        },
      },
      {
        name: "slots of one buffer, a range for each thread",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(READ_BYTES);
          return {
            jobs: onEachNode((share, of) => ({
              kind: "churn buffer",
              place,
              share,
              of,
              times: CHURN,
            })),
            ranges: { data: bytes },
            operations: CHURN * nodes().length,
            end: nothing,
          };
        },
      },
    ],
  };
}

/** Objects made on the first node, and freed on the last one. */
function handedOver(from: Objects, ranges: Prepared["ranges"], end: () => void): Prepared {
  const batch = new Int32Array(new SharedArrayBuffer(BATCH_WORDS * 4));
  const each = { from, batch, times: BATCHES };
  return {
    jobs: [
      { cpu: cpuOf(nodes()[0] as number), work: { kind: "make", ...each } },
      { cpu: cpuOf(lastNode()), work: { kind: "take", ...each } },
    ],
    ranges,
    operations: BATCHES * BATCH,
    end,
  };
}

function freedElsewhere(): Scene {
  return {
    name: "objects of 64 bytes, made on the first node, written and freed on the last one",
    operation: "an object",
    variants: [
      {
        name: "Slab on the first node",
        ours: true,
        make() {
          const slab = Slab.create({ objectSize: LINE, count: 4096, pages: "4k", node: 0 });
          return handedOver(slab, { slab: slab.bytes }, () => slab.destroy());
        },
      },
      {
        name: "NodePool",
        ours: true,
        make() {
          const pool = newPool();
          return handedOver(pool, rangesOfPool(pool), () => pool.destroy());
        },
      },
      {
        name: "slots of one buffer, used again and again",
        ours: false,
        make() {
          const { place, bytes } = sharedPlace(BATCH * LINE);
          return handedOver(place, { data: bytes }, nothing);
        },
      },
    ],
  };
}

function heaps(): Scene {
  return {
    name: "a million small objects of JavaScript, by a thread on the last node",
    operation: "an object",
    variants: (["prefer", "off"] as const).map((memory): Variant => ({
      name: `launch, bind: { memory: "${memory}" }`,
      ours: memory !== "off",
      make: () => ({
        jobs: [{ cpu: cpuOf(lastNode()), memory, work: { kind: "garbage", times: GARBAGE } }],
        ranges: {},
        counts: "cpus",
        operations: GARBAGE,
        end: nothing,
      }),
    })),
  };
}

/** The scenes of memory, in the order of the table. */
export function memoryScenes(): readonly Scene[] {
  return [arenas(), arrays(), replicas(), objects(), freedElsewhere(), heaps()];
}
