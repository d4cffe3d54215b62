/**
 * What objects cost: Slab and NodePool against malloc and free in C, and what JavaScript offers instead.
 */
import { NodePool } from "../lib/memory/objects/node_pool.ts";
import { Slab } from "../lib/memory/objects/slab.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { benchLibrary, inC } from "./native.ts";

const PAIRS = 4000;
const C_COUNT = 400_000;
const ALIVE = 1000;

/** The loops are written out for each class, as a user's would be. */
function slabPairs(slab: Slab): Subject {
  return {
    name: "slab alloc+free",
    operations: PAIRS,
    batch(): void {
      let last = 0;
      for (let index = 0; index < PAIRS; index++) {
        last = slab.alloc();
        slab.free(last);
      }
      sink.value = last;
    },
  };
}

function poolPairs(pool: NodePool, size: number): Subject {
  return {
    name: "pool alloc+free",
    operations: PAIRS,
    batch(): void {
      let last = 0;
      for (let index = 0; index < PAIRS; index++) {
        last = pool.alloc(size);
        pool.free(last);
      }
      sink.value = last;
    },
  };
}

/** Takes many, then gives all back. */
function slabAlive(slab: Slab): Subject {
  const ids = new Int32Array(ALIVE);
  return {
    name: `slab, ${ALIVE} alive`,
    operations: ALIVE,
    batch(): void {
      for (let index = 0; index < ALIVE; index++) ids[index] = slab.alloc();
      for (let index = 0; index < ALIVE; index++) slab.free(ids[index] as number);
      sink.value = ids;
    },
  };
}

function poolAlive(pool: NodePool, size: number): Subject {
  const ids = new Int32Array(ALIVE);
  return {
    name: `pool, ${ALIVE} alive`,
    operations: ALIVE,
    batch(): void {
      for (let index = 0; index < ALIVE; index++) ids[index] = pool.alloc(size);
      for (let index = 0; index < ALIVE; index++) pool.free(ids[index] as number);
      sink.value = ids;
    },
  };
}

function garbage(size: number): Subject {
  return {
    name: `new Uint8Array(${size})`,
    operations: PAIRS,
    batch(): void {
      for (let index = 0; index < PAIRS; index++) sink.value = new Uint8Array(size);
    },
  };
}

/**
 * The comparisons of the suite.
 *
 * @returns For each size pairs and bursts, of slab and pool; their memory lives as long as the process.
 */
export function comparisons(): Comparison[] {
  const c = benchLibrary();
  const pool = NodePool.create({ nodes: [0], bytesPerNode: "16 MiB", pages: ["thp", "4k"] });
  return [64, 1024].flatMap((size): Comparison[] => {
    const slab = Slab.create({ node: 0, objectSize: size, count: 4096, pages: ["thp", "4k"] });
    const pairC = inC(`C malloc+free, ${size} B`, (out) => c.bench_malloc_pair(C_COUNT, size, out));
    const aliveC = inC(
      `C malloc+free, ${size} B, ${ALIVE} alive`,
      (out) => c.bench_malloc_alive(C_COUNT, size, ALIVE, out),
    );
    const name = (what: string): string => `${what} of ${size} B`;
    return [
      { name: name("slab pairs"), subjects: [slabPairs(slab), pairC, garbage(size)] },
      { name: name("pool pairs"), subjects: [poolPairs(pool, size), pairC] },
      { name: name("slab bursts"), subjects: [slabAlive(slab), aliveC] },
      { name: name("pool bursts"), subjects: [poolAlive(pool, size), aliveC] },
    ];
  });
}
