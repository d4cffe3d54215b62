import assert from "node:assert/strict";
import fc from "fast-check";
import type { NodePool, Slab } from "../../mod.ts";
import { CLASS_BYTES } from "../../lib/memory/objects/size_classes.ts";
import { sameBytes } from "./arena_model.ts";
import { throwsCode } from "./errors.ts";

/** What one can do to a slab. */
export interface SlabStep {
  readonly act: "alloc" | "tryAlloc" | "free" | "freeTwice" | "freeForeign" | "flush" | "release";
  readonly pick: number;
}

/** What one can do to a pool: the same, of a size and on a node. */
export interface PoolStep {
  readonly act: SlabStep["act"] | "allocOn";
  readonly pick: number;
  readonly size: number;
  /** How many to allocate. */
  readonly times: number;
}

const slabActs = [
  ...["alloc", "alloc", "alloc", "tryAlloc", "tryAlloc", "free", "free", "free"] as const,
  ...["freeTwice", "freeForeign", "flush", "release"] as const,
];

/** Any step of a slab. */
export const slabStep: fc.Arbitrary<SlabStep> = fc.record({
  act: fc.constantFrom(...slabActs),
  pick: fc.nat(),
});

/** Any step of a pool; most objects are small. */
export const poolStep: fc.Arbitrary<PoolStep> = fc.record({
  act: fc.constantFrom(...slabActs, "allocOn" as const, "allocOn" as const, "allocOn" as const),
  pick: fc.nat(),
  size: fc.oneof(
    fc.integer({ min: 1, max: 300 }),
    fc.integer({ min: 1, max: 5000 }),
    fc.integer({ min: 1, max: 65536 }),
    fc.constantFrom(...CLASS_BYTES),
    fc.constantFrom(16, 100, 1000),
  ),
  times: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 40 })),
});

/** Ids that are in use, and those that were. */
class Ids<Item> {
  readonly live: Map<number, Item> = new Map();
  readonly #freed: Set<number> = new Set();

  add(id: number, item: Item): void {
    assert.ok(!this.live.has(id), `${id} was given out twice`);
    this.live.set(id, item);
    this.#freed.delete(id);
  }

  /** Takes one out that is in use. */
  take(pick: number): [number, Item] | undefined {
    const entry = [...this.live][pick % Math.max(1, this.live.size)];
    if (entry !== undefined) {
      this.live.delete(entry[0]);
      this.#freed.add(entry[0]);
    }
    return entry;
  }

  /** One that is not in use any more. */
  freed(pick: number): number | undefined {
    return [...this.#freed][pick % Math.max(1, this.#freed.size)];
  }
}

/** Plain memory, which knows of each byte what was last written there and whether it is somebody's. */
class Memory {
  readonly bytes: Uint8Array;
  readonly #taken: Uint8Array;
  #stamp = 0;

  constructor(length: number) {
    this.bytes = new Uint8Array(length);
    this.#taken = new Uint8Array(length);
  }

  /** A new object has what was there before, and shares no byte with another one; it is written. */
  take(offset: number, view: Uint8Array): void {
    const end = offset + view.length;
    assert.ok(!this.#taken.subarray(offset, end).includes(1), `two objects at ${offset}`);
    this.#taken.fill(1, offset, end);
    sameBytes(view, this.bytes.subarray(offset, end), "taken");
    this.#stamp = (this.#stamp + 1) & 255;
    view.fill(this.#stamp);
    this.bytes.fill(this.#stamp, offset, end);
  }

  /** An object has what was written there. */
  free(offset: number, view: Uint8Array): void {
    const end = offset + view.length;
    sameBytes(view, this.bytes.subarray(offset, end), "freed");
    this.#taken.fill(0, offset, end);
  }
}

/** No use of that id does anything. */
function refuse(object: Slab | NodePool, id: number | undefined, text: RegExp): void {
  if (id === undefined) return;
  throwsCode(() => object.free(id), "EINVAL", text);
  throwsCode(() => object.offset(id), "EINVAL", text);
  throwsCode(() => object.view(id), "EINVAL", text);
}

const FREED = /freed before, or never allocated/;
const FOREIGN = /is not an id that alloc\(\) gave here/;

/** What a slab has to be: a set of ids, and plain memory. */
export class SlabModel {
  readonly #slab: Slab;
  readonly #foreign: readonly number[];
  readonly #ids: Ids<number> = new Ids();
  readonly #memory: Memory;

  /** Begins with a fresh slab, and ids of another one. */
  constructor(slab: Slab, foreign: readonly number[]) {
    this.#slab = slab;
    this.#foreign = foreign;
    this.#memory = new Memory(slab.capacity * slab.stride);
  }

  /** Does a step to both, and compares how much is in use. */
  step({ act, pick }: SlabStep): void {
    const slab = this.#slab;
    const { size } = this.#ids.live;
    const full = size === slab.capacity;
    if (act === "flush" || act === "release") slab[act]();
    else if (act === "freeTwice") refuse(slab, this.#ids.freed(pick), FREED);
    else if (act === "freeForeign") {
      refuse(slab, this.#foreign[pick % this.#foreign.length], FOREIGN);
    } else if (act === "free") this.#free(pick);
    else if (!full) this.#take(slab[act]());
    else if (act === "tryAlloc") assert.equal(slab.tryAlloc(), -1);
    else throwsCode(() => slab.alloc(), "ENOMEM", new RegExp(`${size} of ${size} objects`));
    assert.equal(slab.used, this.#ids.live.size);
  }

  /** Compares every byte of every object, free ones included. */
  finish(): void {
    sameBytes(this.#slab.bytes, this.#memory.bytes, "all objects");
  }

  #take(id: number): void {
    const slab = this.#slab;
    const offset = slab.offset(id);
    assert.equal(offset % slab.stride, 0);
    this.#ids.add(id, offset);
    const view = slab.view(id);
    assert.equal(view.byteOffset, slab.bytes.byteOffset + offset);
    assert.equal(view.length, slab.objectSize);
    this.#memory.take(offset, view);
  }

  #free(pick: number): void {
    const slab = this.#slab;
    const [id, offset = 0] = this.#ids.take(pick) ?? [];
    if (id === undefined) return;
    assert.equal(slab.offset(id), offset);
    this.#memory.free(offset, slab.view(id));
    slab.free(id);
  }
}

interface PoolObject {
  readonly at: number;
  readonly kind: number;
  readonly offset: number;
}

/** A node of a pool: what has chunks there, and plain memory. */
class PoolNode {
  readonly node: number;
  readonly memory: Memory;
  readonly allocated: number[] = CLASS_BYTES.map(() => 0);
  readonly chunks: number[] = CLASS_BYTES.map(() => 0);
  readonly #chunksMost: number;
  #chunkBytes = 0;

  constructor(node: number, capacityBytes: number, chunksMost: number) {
    this.node = node;
    this.memory = new Memory(capacityBytes);
    this.#chunksMost = chunksMost;
  }

  /** Counts one more object, if there is one: a chunk is 64 objects, or as many as fit into 64 KiB. */
  take(kind: number): boolean {
    const bytes = CLASS_BYTES[kind] as number;
    const slots = Math.min(64, Math.floor(65536 / bytes));
    const [allocated, chunks] = [this.allocated[kind] as number, this.chunks[kind] as number];
    if (allocated === chunks * slots) {
      const count = this.chunks.reduce((sum, each) => sum + each, 0);
      const fits = this.#chunkBytes + slots * bytes <= this.memory.bytes.length;
      if (!fits || count === this.#chunksMost) return false;
      this.#chunkBytes += slots * bytes;
      this.chunks[kind] = chunks + 1;
    }
    this.allocated[kind] = allocated + 1;
    return true;
  }

  usage(): ReturnType<NodePool["usage"]>[number] {
    const classes = CLASS_BYTES.map((bytes, kind) => ({
      bytes,
      allocated: this.allocated[kind] as number,
      chunks: this.chunks[kind] as number,
    }));
    return {
      node: this.node,
      capacityBytes: this.memory.bytes.length,
      allocatedBytes: classes.reduce((sum, { bytes, allocated }) => sum + bytes * allocated, 0),
      classes: classes.filter(({ chunks }) => chunks > 0),
    };
  }
}

/** What a pool has to be: on each node counts by class, and plain memory. */
export class PoolModel {
  readonly #pool: NodePool;
  readonly #home: number;
  readonly #foreign: readonly number[];
  readonly #nodes: readonly PoolNode[];
  readonly #ids: Ids<PoolObject> = new Ids();

  /**
   * Begins with a fresh pool.
   *
   * @param pool The pool.
   * @param bytesPerNode What it was asked to have.
   * @param home The node this thread is pinned to.
   * @param foreign Ids of another pool.
   */
  constructor(pool: NodePool, bytesPerNode: number, home: number, foreign: readonly number[]) {
    this.#pool = pool;
    this.#home = pool.nodes.indexOf(home);
    this.#foreign = foreign;
    // Room for an object each 32 bytes, and 64 to a chunk.
    const chunksMost = Math.floor(bytesPerNode / 32 / 64);
    this.#nodes = pool.usage().map(({ node, capacityBytes }) =>
      new PoolNode(node, capacityBytes, chunksMost)
    );
  }

  /** Does a step to both, and compares all figures. */
  step({ act, pick, size, times }: PoolStep): void {
    const pool = this.#pool;
    if (act === "flush" || act === "release") pool[act]();
    else if (act === "freeTwice") refuse(pool, this.#ids.freed(pick), FREED);
    else if (act === "freeForeign") {
      refuse(pool, this.#foreign[pick % this.#foreign.length], FOREIGN);
    } else if (act === "free") this.#free(pick);
    else for (let time = 0; time < times; time++) this.#take(act, pick % this.#nodes.length, size);
    assert.deepEqual(pool.usage(), this.#nodes.map((node) => node.usage()));
  }

  /** Compares every byte of every node. */
  finish(): void {
    for (const { node, memory } of this.#nodes) {
      sameBytes(this.#pool.bytes(node), memory.bytes, `node ${node}`);
    }
  }

  #take(act: "alloc" | "tryAlloc" | "allocOn", pick: number, size: number): void {
    const pool = this.#pool;
    const kind = CLASS_BYTES.findIndex((bytes) => bytes >= size);
    const at = act === "allocOn" ? pick : this.#home;
    const model = this.#nodes[at] as PoolNode;
    const call = (): number => act === "allocOn" ? pool.allocOn(model.node, size) : pool[act](size);
    if (!model.take(kind)) {
      if (act === "tryAlloc") return assert.equal(call(), -1);
      return throwsCode(call, "ENOMEM", new RegExp(`on node ${model.node}: no object of`));
    }
    const id = call();
    const bytes = CLASS_BYTES[kind] as number;
    const offset = pool.offset(id);
    this.#ids.add(id, { at, kind, offset });
    assert.deepEqual([pool.nodeOf(id), pool.sizeOf(id)], [model.node, bytes]);
    assert.equal(offset % (bytes % 64 === 0 ? 64 : 16), 0);
    const view = pool.view(id);
    assert.equal(view.byteOffset, pool.bytes(model.node).byteOffset + offset);
    assert.equal(view.length, bytes);
    model.memory.take(offset, view);
  }

  #free(pick: number): void {
    const pool = this.#pool;
    const [id, object] = this.#ids.take(pick) ?? [];
    if (id === undefined || object === undefined) return;
    const { at, kind, offset } = object;
    const { allocated, memory } = this.#nodes[at] as PoolNode;
    const view = pool.view(id);
    assert.deepEqual([pool.offset(id), view.length], [offset, CLASS_BYTES[kind]]);
    memory.free(offset, view);
    pool.free(id);
    allocated[kind] = (allocated[kind] as number) - 1;
  }
}
