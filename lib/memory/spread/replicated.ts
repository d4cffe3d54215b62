import { type ByteSize, formatBytes, parseBytes } from "../../base/bytes.ts";
import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { synchronous } from "../../base/synchronous.ts";
import { threadAlive, threadSelf } from "../../runtime/thread.ts";
import { checkBlockOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { Turns } from "../../wait/turns.ts";
import type { Arena } from "../arena/arena.ts";
import { refuseDestroyed } from "../arena/refusals.ts";
import { identityOf } from "../arena/identity.ts";
import { Control, controlBytes, Reader, type Stamp, Writer } from "./left_right.ts";
import type { Residency } from "../mapping/mapping.ts";
import type { PageKind } from "../mapping/pages.ts";
import {
  attachArenas,
  checkNodes,
  checkRoom,
  createOver,
  destroyArenas,
  Nearest,
  readerNodes,
} from "../arena/node_arenas.ts";
import { ReplicaSnapshot } from "./replica_snapshot.ts";
import { awaitTurn, type Busy, waitTurn } from "./update_turn.ts";

/** Options of {@linkcode Replicated.create}. Either `size` or `data` is required. */
export interface ReplicatedOptions {
  /** Bytes, or a text such as `"1 MiB"`: version 0 is all zeros. */
  readonly size?: ByteSize;
  /** The bytes of version 0. */
  readonly data?: ArrayBufferView;
  /** The nodes that get a copy. Default: for each CPU, the nearest node with memory. */
  readonly nodes?: readonly number[];
  /** The pages, or kinds of pages to try in order. Default: `"4k"`. */
  readonly pages?: PageKind | readonly PageKind[];
  /** The maximum number of threads in the process at the same time: 1 to 65,535. Default: 256. */
  readonly threads?: number;
}

/** Fills in a new version, which starts as the version before. */
export type ReplicatedUpdateFunction = (next: Uint8Array<ArrayBuffer>, version: number) => void;

/** The source of an update: exactly as many bytes as a version has, or a function that fills them in. */
export type ReplicatedUpdateSource = ArrayBufferView | ReplicatedUpdateFunction;

/** One copy as this thread sees it. */
interface Copy {
  readonly arena: Arena;
  readonly control: Control;
  readonly reader: Reader;
  readonly sides: readonly [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>];
}

interface Shape {
  readonly size: number;
  readonly threads: number;
}

const KIND = "replicated";
const READ = "read a replicated buffer";
const UPDATE = "update a replicated buffer";
/** A callback that went on after it returned would use bytes that are no longer held for it. */
const FIX_ASYNC = "Give a synchronous one, or use local() to keep a version for longer.";
const THREADS = 256;
const MAX_THREADS = 65_535;
const MAX_SIZE = 2 ** 36;
/** Sides begin where small pages do, apart from the control words. */
const SIDE_ALIGNMENT = 4096;

const align = (bytes: number): number => Math.ceil(bytes / SIDE_ALIGNMENT) * SIDE_ALIGNMENT;

/** Where the two sides of a copy are in its arena's bytes, and where they end. */
function layout({ size, threads }: Shape): { left: number; right: number; end: number } {
  const left = align(controlBytes(threads));
  const right = left + align(size);
  return { left, right, end: right + align(size) };
}

function isAlive(identity: bigint): boolean {
  // Scribbled control words may hold anything; what is no identity is nobody.
  return identity > 0n && identity <= Number.MAX_SAFE_INTEGER && threadAlive(Number(identity));
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * Bytes that are read everywhere and rarely written: one copy on each node, and every thread reads the nearest.
 *
 * A reader sees one complete version for as long as it reads. It makes no system call, takes no lock, never waits, and
 * touches no memory of other nodes, not even to announce itself. `update` writes a new version beside the current one
 * on all nodes, and publishes it when it is complete everywhere. What is still read is not written: an update waits for
 * the readers of the version before the current one, which are few. Readers and writers that die are noticed.
 *
 * A thread never sees versions go backwards, whichever nodes it runs on. Threads on different nodes may see a new
 * version a few stores apart; once `update` has returned, every read that begins sees it.
 *
 * Passed in `args` of `launch`, it arrives as a live object in the worker. `destroy` (or `using`) ends this thread's
 * use; the memory returns to the system when the last thread has released it. Memory: twice the size on each node, and
 * 128 bytes for each of `threads`.
 *
 * Left-Right (Ramalhete and Correia, 2013) with announcements as in hazard pointers (Michael, 2004), one copy a node
 * as in Node Replication (Calciu et al., 2017): `docs/design/replicated.md`.
 *
 * @example
 * ```ts
 * import { Replicated } from "@numakit/numakit";
 *
 * using prices = Replicated.create({ data: new Float64Array([1.5, 2.5]) });
 * prices.update((next) => new DataView(next.buffer, next.byteOffset).setFloat64(0, 9.5, true));
 * const first = prices.read((bytes) => new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true));
 * console.log(first, prices.version); // 9.5 1
 * ```
 */
export class Replicated implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    KIND,
    /* @__PURE__ */ showAs(Replicated, String),
    (handle) => Replicated.fromHandle(handle),
  );
  /** Bytes of a version. */
  readonly size: number;
  /** The nodes with a copy. */
  readonly nodes: readonly number[];
  /** One live object a thread, so that a handle that comes twice gives the same: it has the thread's reader lines. */
  static readonly #live: WeakMap<Arena, Replicated> = new WeakMap();

  readonly #threads: number;
  readonly #copies: readonly Copy[];
  readonly #nearest: Nearest;
  readonly #writer: Writer;
  /** Updates that this thread awaits. */
  readonly #turns = new Turns();
  /** The newest version this thread has seen, on any node. */
  #seen: number;

  private constructor(arenas: readonly Arena[], { size, threads }: Shape) {
    const { slot, identity } = threadSelf();
    const self = BigInt(identity);
    const { left, right } = layout({ size, threads });
    this.size = size;
    this.nodes = Object.freeze(arenas.map(({ node }) => node));
    this.#threads = threads;
    this.#copies = arenas.map((arena) => {
      const { buffer, byteOffset } = arena.bytes;
      const control = new Control(buffer, byteOffset, threads);
      const side = (at: number): Uint8Array<ArrayBuffer> =>
        new Uint8Array(buffer, byteOffset + at, size);
      const reader = new Reader(control, slot, self);
      return { arena, control, reader, sides: [side(left), side(right)] };
    });
    this.#nearest = new Nearest(this.nodes);
    this.#writer = new Writer(this.#copies.map(({ control }) => control), self, isAlive);
    this.#seen = this.#near.control.version;
    Replicated.#live.set(arenas[0] as Arena, this);
  }

  /**
   * Creates the copies: all pages of every copy are strictly on its node, or nothing is created.
   *
   * @param options Size or data, nodes, pages, threads.
   * @returns The object, at version 0.
   * @throws {NumaError} What {@linkcode Arena.create} throws; `EINVAL` a bad argument; `EAGAIN` more threads live than
   * `threads`.
   */
  static create(options: ReplicatedOptions): Replicated {
    const action = "create a replicated buffer";
    checkOptions(options, '{ size: "1 MiB" } or { data: bytes }', action);
    checkOptionNames(options, ["size", "data", "pages", "nodes", "threads"], action);
    const { size: wanted, data, pages = "4k", nodes, threads = THREADS } = options;
    if ((wanted === undefined) === (data === undefined)) {
      throw new NumaError("EINVAL", action, {
        why: wanted === undefined
          ? "there is neither size nor data"
          : "there are both size and data",
        fix: "Give one of them.",
      });
    }
    if (data !== undefined && !ArrayBuffer.isView(data)) {
      throw new NumaError("EINVAL", action, {
        why: `data is ${show(data)}`,
        fix: "Give a typed array or a DataView.",
      });
    }
    const size = parseBytes(data?.byteLength ?? wanted as ByteSize, action);
    const shape = Replicated.#checkShape(size, threads, action);
    const homes = nodes === undefined ? readerNodes() : checkNodes(nodes, action);
    const request = { nodes: homes, bytesOf: () => layout(shape).end, label: "replicated", pages };
    return createOver(request, (arenas) => {
      for (const [index, arena] of arenas.entries()) {
        const { buffer, byteOffset } = arena.bytes;
        new Control(buffer, byteOffset, threads).stamp(Replicated.#stamp(arenas, index, size));
      }
      const made = new Replicated(arenas, shape);
      if (data !== undefined) { for (const { sides } of made.#copies) sides[0].set(bytesOf(data)); }
      return made;
    });
  }

  /** The checks that creation and handles share. */
  static #checkShape(size: number, threads: number, action: string): Shape {
    checkInteger(size, "the size", 1, MAX_SIZE, action);
    checkInteger(threads, "threads", 1, MAX_THREADS, action);
    const { slot } = threadSelf();
    if (slot < threads) return { size, threads };
    throw new NumaError("EAGAIN", action, {
      why: `this thread is number ${slot + 1} and there is room for ${threads}`,
      fix: "Create it with a larger `threads`.",
    });
  }

  static #stamp(arenas: readonly Arena[], index: number, size: number): Stamp {
    return {
      family: BigInt(identityOf(arenas[0] as Arena)),
      place: arenas.length * 65_536 + index,
      size: BigInt(size),
    };
  }

  /**
   * Calls a function with the newest version on the nearest node. The version stays as it is until the function
   * returns; inside, reads may nest (and see a newer version) and updates may be made.
   *
   * Cost: two atomic operations and a load on this node's memory, and asking which node that is: 30 to 60 ns in all, and
   * two more operations for the first read after an update. Nothing is allocated. For many reads in a row take
   * {@linkcode local} once.
   *
   * @param fn A function of the bytes, which it must neither change nor keep, and of the version's number.
   * @returns What it returned.
   * @throws {NumaError} `EDESTROYED`; `EINVAL` when it is no function, or an asynchronous one. What the function throws.
   */
  read<Result>(fn: (bytes: Uint8Array<ArrayBuffer>, version: number) => Result): Result {
    const copy = this.#near;
    if (typeof fn !== "function" || copy.reader.words.length === 0) this.#refuseRead(fn);
    const version = this.#seen = copy.reader.enter(this.#seen);
    const side = version & 1;
    try {
      const result = fn(copy.sides[side] as Uint8Array<ArrayBuffer>, version >>> 0);
      return synchronous(result, READ, FIX_ASYNC);
    } finally {
      copy.reader.leave(side);
    }
  }

  /**
   * Takes the newest version on the nearest node, to keep it across calls and `await`s.
   *
   * Updates after the next one wait until it is released, so keep it with `using`.
   *
   * Cost: that of a {@linkcode read}, and an object. An access to its `bytes` costs what it does in any typed array.
   *
   * @returns The snapshot, for this thread.
   * @throws {NumaError} `EDESTROYED`.
   */
  local(): ReplicaSnapshot {
    const { reader, sides, arena } = this.#near;
    if (reader.words.length === 0) this.#refuseRead(() => {});
    const version = this.#seen = reader.enter(this.#seen);
    const bytes = sides[version & 1] as Uint8Array<ArrayBuffer>;
    return new ReplicaSnapshot(bytes, version >>> 0, arena.node, reader);
  }

  /** The newest version on the nearest node: updates so far, modulo 2^32. Costs as much as a {@linkcode read}. */
  get version(): number {
    return this.read((_, version) => version);
  }

  /**
   * Publishes a new version to all nodes: all of them get it or none does.
   *
   * Blocks while another thread updates and while the version before the current one is still read somewhere: for as
   * long as it takes, unless the options say otherwise. Where it need not wait it also works on the main thread. Cost
   * beyond that: writing `size` bytes on each node, once more when a function is given, and a look at each thread.
   *
   * @param source The new bytes, or a function that changes what was. When it throws, nothing is published.
   * @param options The timeout, and whether the main thread may block.
   * @returns The new version's number.
   * @throws {NumaError} `ETIMEDOUT` when it cannot begin in time, which names the thread in the way; `EDEADLK` when
   * that is this thread; `EWOULDBLOCK` the call would block the main thread; `ETERMINATED` this thread is being
   * terminated; `EINVAL`; `EDESTROYED`. What the function throws.
   */
  update(source: ReplicatedUpdateSource, options?: BlockOptions): number {
    const write = this.#checkSource(source, UPDATE);
    const checked = checkBlockOptions(options, UPDATE);
    return waitTurn(() => this.#attempt(write, UPDATE), UPDATE, checked);
  }

  /**
   * Does the same as {@linkcode update} without blocking the thread. `source` is read when the update begins,
   * and a thread's updates are made in the order of their calls. It also waits for reads of this thread: release its
   * snapshots.
   *
   * @param source The new bytes, or a synchronous function that changes what was.
   * @param options How long to wait, and how to end the wait.
   * @returns The new version's number.
   * @throws {NumaError} `ETIMEDOUT` as `update`; `EAGAIN` too many threads and waits; `EINVAL`; `EDESTROYED`. The
   * signal's reason if it aborts. What the function throws.
   */
  async updateAsync(source: ReplicatedUpdateSource, options?: AsyncWaitOptions): Promise<number> {
    const write = this.#checkSource(source, UPDATE);
    return await awaitTurn(this.#turns, () => this.#attempt(write, UPDATE), UPDATE, options);
  }

  /**
   * Asks the kernel where the pages of the copies are now.
   *
   * Cost: one system call per 1024 pages.
   *
   * @returns For each node with a copy, where that copy's pages are.
   * @throws {NumaError} `EDESTROYED`, `EPERM`.
   */
  residency(): ReadonlyMap<number, Residency> {
    return new Map(this.#copies.map(({ arena }) => [arena.node, arena.residency()]));
  }

  /** Whether `destroy` was called in this thread, or a buffer of a copy was transferred away. */
  get destroyed(): boolean {
    return this.#copies.some(({ arena }) => arena.destroyed);
  }

  /** Ends this thread's use, its reads, snapshots and update included. Calling it twice has no further effect. */
  destroy(): void {
    for (const { reader } of this.#copies) reader.close();
    this.#writer.unlock();
    destroyArenas(this.#copies.map(({ arena }) => arena));
  }

  /** {@linkcode destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /**
   * Returns a handle for another thread, to be sent by other means than `launch`. There,
   * {@linkcode Replicated.fromHandle} returns the live object, as long as some thread still holds it.
   *
   * @returns The handle, as plain data.
   * @throws {NumaError} `EDESTROYED`.
   */
  toHandle(): Handle {
    this.#check("send a replicated buffer to another thread");
    const copies = this.#copies.map(({ arena }) => arena.toHandle());
    return {
      numakitHandle: Replicated.#kind,
      data: { copies, size: this.size, threads: this.#threads },
    };
  }

  /**
   * Returns the live object of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode toHandle}, made in any thread of this process.
   * @returns The object.
   * @throws {NumaError} `ESTALE` if all threads have released it; `EAGAIN` if more threads are alive than it has room
   * for; `EINVAL` if it is not such a handle.
   */
  static fromHandle(handle: Handle): Replicated {
    const action = "attach a replicated buffer";
    const { copies, size, threads } = handleData(handle, KIND, action);
    const shape = Replicated.#checkShape(size as number, threads as number, action);
    const arenas = attachArenas(copies, action);
    for (const [index, arena] of arenas.entries()) {
      checkRoom(arena, layout(shape).end, action);
      const { buffer, byteOffset } = arena.bytes;
      const control = new Control(buffer, byteOffset, shape.threads);
      if (control.bears(Replicated.#stamp(arenas, index, shape.size))) continue;
      throw new NumaError("EINVAL", action, {
        why: `the memory on node ${arena.node} is not copy ${index} of it`,
        fix: "Give what toHandle() returned.",
      });
    }
    return Replicated.#live.get(arenas[0] as Arena) ?? new Replicated(arenas, shape);
  }

  /** Returns a short text for logs. */
  toString(): string {
    const state = this.destroyed ? "destroyed" : `version ${this.version}`;
    return `Replicated(${formatBytes(this.size)} on nodes ${this.nodes.join(", ")}, ${state})`;
  }

  get #near(): Copy {
    return this.#copies[this.#nearest.index()] as Copy;
  }

  /** One try at an update: the new version's number, or who is in the way. */
  #attempt(write: (target: Copy, side: number) => void, action: string): number | Busy {
    this.#check(action);
    const own = BigInt(threadSelf().identity);
    const owner = this.#writer.tryLock();
    if (owner !== 0n) return { self: owner === own, reader: undefined };
    try {
      const next = (this.#writer.settle() + 1) | 0;
      const side = next & 1;
      const blocker = this.#writer.blocker(side);
      if (blocker !== undefined) {
        const node = this.nodes[blocker.copy] as number;
        return { self: blocker.identity === own, reader: { slot: blocker.slot, node } };
      }
      const target = this.#near;
      write(target, side);
      // The function may have destroyed it, or carried a buffer off: then it is complete nowhere.
      this.#check(action);
      const bytes = target.sides[side] as Uint8Array;
      for (const copy of this.#copies) if (copy !== target) copy.sides[side]?.set(bytes);
      this.#writer.publish(next);
      this.#seen = next;
      return next >>> 0;
    } finally {
      this.#writer.unlock();
    }
  }

  /** How to fill in the first copy of a new version. */
  #checkSource(source: unknown, action: string): (target: Copy, side: number) => void {
    if (typeof source === "function") {
      return ({ control, sides }, side) => {
        const next = sides[side] as Uint8Array<ArrayBuffer>;
        next.set(sides[1 - side] as Uint8Array);
        const version = (control.version + 1) >>> 0;
        const result: unknown = (source as ReplicatedUpdateFunction)(next, version);
        synchronous(result, action, FIX_ASYNC);
      };
    }
    this.#checkBytes(source, action);
    // Once more when its turn has come: it may have been transferred away in the meantime.
    return ({ sides }, side) => sides[side]?.set(this.#checkBytes(source, action));
  }

  #checkBytes(source: unknown, action: string): Uint8Array {
    if (ArrayBuffer.isView(source) && source.byteLength === this.size) return bytesOf(source);
    throw new NumaError("EINVAL", action, {
      why: ArrayBuffer.isView(source)
        ? `there are ${source.byteLength} new bytes for ${this.size}`
        : `the new version is ${show(source)}`,
      fix: `Give a typed array of ${this.size} bytes, or a function that fills them in.`,
    });
  }

  #check(action: string): void {
    if (this.destroyed) refuseDestroyed(action);
  }

  #refuseRead(fn: unknown): never {
    this.#check(READ);
    throw new NumaError("EINVAL", READ, {
      why: `the reader is ${show(fn)}`,
      fix: "Give a function of the bytes.",
    });
  }
}
