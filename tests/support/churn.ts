import type { NodePool } from "../../lib/memory/objects/node_pool.ts";
import type { Slab } from "../../lib/memory/objects/slab.ts";

/** Where threads hand objects to each other. */
export interface Exchange {
  /** Ids + 1, 0 for none. */
  readonly cells: Int32Array<SharedArrayBuffer>;
  /** 1 when all are to stop. */
  readonly stop: Int32Array<SharedArrayBuffer>;
  /** How many threads are at it. */
  readonly running: Int32Array<SharedArrayBuffer>;
}

/** What a thread did. */
export interface Churned {
  readonly allocated: number;
  readonly refused: number;
}

/** An exchange of that many places. */
export function makeExchange(cells: number): Exchange {
  const words = (length: number): Int32Array<SharedArrayBuffer> =>
    new Int32Array(new SharedArrayBuffer(length * 4));
  return { cells: words(cells), stop: words(1), running: words(1) };
}

/** A generator of whole numbers below a limit, the same for the same seed. */
export function numbers(seed: number): (limit: number) => number {
  let state = seed * 2 + 1 >>> 0;
  return (limit) => {
    state = Math.imul(state, 1664525) + 1013904223 >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
}

/** What allocates, hands over, and checks that it is alone with what it got. */
interface Churner {
  take(): number;
  free(id: number): void;
  /** The first word of an object is 0 while it is nobody's. */
  mark(id: number, from: number, to: number): void;
}

async function churn(
  churner: Churner,
  exchange: Exchange,
  seed: number,
  busy: boolean,
): Promise<Churned> {
  const { cells, stop, running } = exchange;
  const random = numbers(seed);
  let allocated = 0;
  let refused = 0;
  Atomics.add(running, 0, 1);
  while (Atomics.load(stop, 0) === 0) {
    for (let step = 0; step < 500; step++) {
      const id = churner.take();
      if (id >= 0) {
        churner.mark(id, 0, id + 1);
        allocated++;
      } else refused++;
      const old = Atomics.exchange(cells, random(cells.length), id + 1) - 1;
      if (old < 0) continue;
      churner.mark(old, old + 1, 0);
      churner.free(old);
    }
    // Deno ends a thread only at its event loop.
    if (!busy) await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return { allocated, refused };
}

function expect(seen: number, wanted: number, id: number): void {
  if (seen !== wanted) throw new Error(`object ${id} holds ${seen}, not ${wanted}`);
}

/** Takes objects, hands them to whoever comes next, and frees what others left. */
export function churnSlab(
  slab: Slab,
  exchange: Exchange,
  seed: number,
  busy: boolean,
): Promise<Churned> {
  return churn(
    {
      take: () => slab.tryAlloc(),
      free: (id) => slab.free(id),
      mark: (id, from, to) =>
        expect(Atomics.compareExchange(slab.int32, slab.offset(id) / 4, from, to), from, id),
    },
    exchange,
    seed,
    busy,
  );
}

/** The same with objects of random sizes. */
export function churnPool(
  pool: NodePool,
  exchange: Exchange,
  seed: number,
  busy: boolean,
): Promise<Churned> {
  const random = numbers(seed + 1000);
  const words = new Map(pool.nodes.map((node) => {
    const { buffer, byteOffset, length } = pool.bytes(node);
    return [node, new Int32Array(buffer, byteOffset, length / 4)];
  }));
  const wordsOf = (id: number): Int32Array => words.get(pool.nodeOf(id)) as Int32Array;
  return churn(
    {
      take: () => pool.tryAlloc(random(4) === 0 ? 1 + random(2000) : 1 + random(64)),
      free: (id) => pool.free(id),
      mark: (id, from, to) =>
        expect(Atomics.compareExchange(wordsOf(id), pool.offset(id) / 4, from, to), from, id),
    },
    exchange,
    seed,
    busy,
  );
}
