/**
 * One of everything that can be destroyed: how it is made, used and looked into, for tests of what is left of it
 * afterwards. A new class needs a row here.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { Arena, type Handle, NodeArray, NodePool, Replicated, Slab } from "../../mod.ts";

/** What all of them can do. */
export interface Destroyable extends Disposable {
  readonly destroyed: boolean;
  destroy(): void;
  toHandle(): Handle;
}

/** What the tests have to know of one of them. */
export interface Kind<Type extends Destroyable = Destroyable> {
  /** Makes one, which this thread has not used: any thread may be the first. */
  make(): Type;
  attach(handle: Handle): Type;
  /** Takes something, writes it, reads it, and gives it back: the same again and again. */
  use(object: Type): void;
  /** Every way to a view of its memory. */
  views(object: Type): ArrayBufferView<ArrayBuffer>[];
  /** Arguments that are right, for the methods that take some. */
  args(object: Type): Readonly<Record<string, readonly unknown[]>>;
  /** The methods that need no memory for their answer. */
  readonly answers?: readonly string[];
}

const NODE = 0;
const ONE = Uint8Array.of(1);

function writeAndRead(view: Uint8Array): void {
  view.fill(7);
  assert.equal(view[view.length - 1], 7);
}

const arena: Omit<Kind<Arena>, "make"> = {
  attach: (handle) => Arena.fromHandle(handle),
  use(arena) {
    writeAndRead(arena.view(arena.alloc(64), 64));
    arena.reset();
    arena.unclaim();
  },
  views(arena) {
    const { capacity } = arena;
    const views = [
      ...[arena.bytes, arena.view(0, 64), arena.view(capacity - 64, 64)],
      ...[arena.bytes.subarray(16), new DataView(arena.bytes.buffer)],
      ...[arena.allocInt8(1), arena.allocUint8(1), arena.allocInt16(1), arena.allocUint16(1)],
      ...[arena.allocInt32(1), arena.allocUint32(1), arena.allocFloat32(1), arena.allocFloat64(1)],
      ...[arena.allocBigInt64(1), arena.allocBigUint64(1)],
    ];
    arena.reset();
    arena.unclaim();
    return views;
  },
  args: () => ({
    ...{ alloc: [16], allocAligned: [16, 16], place: [16], view: [0, 16], grow: [1], rewind: [0] },
    ...{ allocInt8: [4], allocUint8: [4], allocInt16: [4], allocUint16: [4], allocInt32: [4] },
    ...{ allocUint32: [4], allocFloat32: [4], allocFloat64: [4], allocBigInt64: [4] },
    ...{ allocBigUint64: [4] },
  }),
};

const slab: Kind<Slab> = {
  make: () => Slab.create({ node: NODE, objectSize: 48, count: 200 }),
  attach: (handle) => Slab.fromHandle(handle),
  use(slab) {
    const id = slab.alloc();
    writeAndRead(slab.view(id));
    slab.free(id);
  },
  views(slab) {
    const id = slab.alloc();
    const views = [slab.bytes, slab.int32, slab.view(id)];
    slab.free(id);
    return views;
  },
  args(slab) {
    const id = slab.alloc();
    return { free: [id], offset: [id], view: [id] };
  },
};

const pool: Kind<NodePool> = {
  make: () => NodePool.create({ bytesPerNode: "256 KiB" }),
  attach: (handle) => NodePool.fromHandle(handle),
  use(pool) {
    const id = pool.alloc(100);
    writeAndRead(pool.view(id));
    pool.free(id);
  },
  views(pool) {
    const id = pool.alloc(100);
    const views = [...pool.nodes.map((node) => pool.bytes(node)), pool.view(id)];
    pool.free(id);
    return views;
  },
  args(pool) {
    const id = pool.alloc(100);
    return {
      ...{ alloc: [16], tryAlloc: [16], allocOn: [pool.nodes[0], 16], bytes: [pool.nodes[0]] },
      ...{ free: [id], sizeOf: [id], nodeOf: [id], offset: [id], view: [id] },
    };
  },
};

const array: Kind<NodeArray<"float64">> = {
  make: () => NodeArray.create({ type: "float64", length: 3000, layout: "cyclic", block: 100 }),
  attach: (handle) => NodeArray.fromHandle(handle) as unknown as NodeArray<"float64">,
  use(array) {
    array.set(2999, 7);
    assert.equal(array.get(2999), 7);
  },
  views: (array) => [...array.partitions().map(({ view }) => view), array.local().view],
  args: () => ({
    ...{ get: [0], set: [0, 1], fill: [1], copyFrom: [ONE] },
    ...{ partitionOf: [7], partOf: [7], nodeOf: [7], offsetOf: [7], globalIndexOf: [0, 7] },
  }),
  answers: ["partitionOf", "partOf", "nodeOf", "offsetOf", "globalIndexOf"],
};

const replicated: Kind<Replicated> = {
  make: () => Replicated.create({ size: 1000 }),
  attach: (handle) => Replicated.fromHandle(handle),
  use(replicated) {
    const written = replicated.update((next) => writeAndRead(next));
    assert.ok(replicated.read((bytes, version) => bytes[999] === 7 && version >= written));
  },
  views(replicated) {
    const views: Uint8Array<ArrayBuffer>[] = [];
    replicated.update((next) => void views.push(next));
    replicated.read((bytes) => views.push(bytes));
    const snapshot = replicated.local();
    views.push(snapshot.bytes);
    snapshot.release();
    return views;
  },
  args: ({ size }) => ({
    ...{ read: [() => 1], update: [new Uint8Array(size)], updateAsync: [new Uint8Array(size)] },
  }),
};

let names = 0;

const all = {
  "an arena": {
    ...arena,
    make: () => Arena.create({ node: NODE, size: "64 KiB" }),
  },
  "an arena that grows, of several windows where one does not reach": {
    ...arena,
    make: () => Arena.create({ node: NODE, size: 4096, reserve: "4 GiB" }),
  },
  "an arena with a name": {
    ...arena,
    make: () =>
      Arena.create({ node: NODE, size: "64 KiB", name: `gone-${process.pid}-${names++}` }),
  },
  "a slab": slab,
  "a node pool": pool,
  "an array over nodes": array,
  "a replicated buffer": replicated,
};

/** All of them, by what they are called. */
export const KINDS = all as unknown as Readonly<Record<string, Kind>>;

/** The members of an object's classes, symbols included, without constructors. */
export function membersOf(object: object): (string | symbol)[] {
  const members = new Set<string | symbol>();
  let type: object = Object.getPrototypeOf(object);
  for (; type !== Object.prototype; type = Object.getPrototypeOf(type)) {
    for (const member of Reflect.ownKeys(type)) members.add(member);
  }
  members.delete("constructor");
  return [...members];
}

/** Reads a getter or calls a method. */
export function useMember(
  object: object,
  member: string | symbol,
  args: readonly unknown[],
): unknown {
  const value: unknown = Reflect.get(object, member);
  return typeof value === "function" ? Reflect.apply(value, object, args) : value;
}
