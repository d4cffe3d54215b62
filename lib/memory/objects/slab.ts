import { formatBytes } from "../../base/bytes.ts";
import { checkInteger, checkOptionNames, checkOptions } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { Arena } from "../arena/arena.ts";
import { ConfigWords } from "./config_words.ts";
import { CROWDED, FULL, type ObjectHeap } from "./object_heap.ts";
import { MAX_RECORDS, objectLayout } from "./object_layout.ts";
import {
  bitsFor,
  bookkeepingBytes,
  checkWindow,
  DEFAULT_THREADS,
  ID_BITS,
  openMemory,
  refuseId,
  refuseThread,
  saltOf,
} from "./object_memory.ts";
import type { PageKind } from "../mapping/pages.ts";
import { refuseDestroyed } from "../arena/refusals.ts";
import { createOver } from "../arena/node_arenas.ts";

/** Options of {@linkcode Slab.create}. */
export interface SlabOptions {
  /** The node of the memory. */
  readonly node: number;
  /** The size of an object in bytes. */
  readonly objectSize: number;
  /** The number of objects: 1 to 2^30. */
  readonly count: number;
  /** The pages, or kinds of pages to try in order. Default: `"4k"`. */
  readonly pages?: PageKind | readonly PageKind[];
  /** The maximum number of threads at the same time: 1 to 4,096. Default: 64. Each takes 128 bytes. */
  readonly threads?: number;
}

const KIND = "slab";
/** "SLAB" and a version: the first word of a slab's arena. */
const MAGIC = 0x51ab_0001;
const CONFIG = /* @__PURE__ */ new ConfigWords("slab", MAGIC, ["objectSize", "count", "threads"]);
/** What objects are aligned to. */
const ALIGN_BYTES = 64;
/** log2 of the objects a chunk has at most. */
const MAX_SHIFT = 6;
/** Chunks there are at least, as far as there are objects: enough for threads to have their share. */
const MIN_CHUNKS = 64;

interface SlabConfig {
  readonly objectSize: number;
  readonly count: number;
  readonly threads: number;
}

/** Everything that follows from a slab's configuration. */
function planSlab({ objectSize, count, threads }: SlabConfig) {
  const most = Math.floor(Math.log2(Math.max(1, count / MIN_CHUNKS)));
  const shift = Math.min(most, MAX_SHIFT);
  const stride = Math.ceil(objectSize / ALIGN_BYTES) * ALIGN_BYTES;
  const layout = objectLayout({ records: threads, chunks: Math.ceil(count / 2 ** shift), shift });
  const heap = { layout, objects: count, slots: [2 ** shift], units: [0], room: 0 };
  const objectBytes = stride * count;
  return { stride, heap, objectBytes, bytes: bookkeepingBytes(layout) + objectBytes };
}

function checkConfig(config: Record<keyof SlabConfig, unknown>, action: string): SlabConfig {
  return {
    objectSize: checkInteger(config.objectSize, "objectSize", 1, 2 ** ID_BITS, action),
    count: checkInteger(config.count, "count", 1, 2 ** ID_BITS, action),
    threads: checkInteger(config.threads, "threads", 1, MAX_RECORDS, action),
  };
}

/**
 * Objects of one size on one NUMA node, allocated and freed one by one, by any thread.
 *
 * An object is an id: a number that fits 30 bits, can be sent to any thread and stored anywhere. Its bytes are at
 * `offset(id)` in {@linkcode bytes}, aligned to a cache line of 64 bytes.
 *
 * Each thread allocates from chunks of up to 64 objects that it owns, without an atomic instruction; what it frees of
 * them it uses again first. Objects of another thread's chunks travel back to it in batches of 32, one atomic a batch.
 * Chunks change owners when their owner ends, calls {@linkcode release}, or shares half of its chunks because another
 * thread has run out, which it notices when it frees. A thread can therefore be refused while others hold free objects,
 * until they have noticed. The design is that of snmalloc (Liétar et al., ISMM 2019).
 *
 * These errors are detected: double frees, ids that were never allocated, and ids of other slabs (with more than 2^20
 * objects, of the last few slabs). A double free is always detected if the two calls are ordered. If two threads free
 * one object at the same moment, both calls may succeed; up to 32 objects in transit may then be lost, and if the
 * object is allocated again before the second free has arrived, that one may free it.
 *
 * @example
 * ```ts
 * import { Slab } from "@numakit/numakit";
 *
 * using orders = Slab.create({ node: 0, objectSize: 48, count: 10_000 });
 * const id = orders.alloc();
 * const at = orders.offset(id) / 4; // index in orders.int32
 * orders.int32[at] = 7;
 * console.log(orders.stride, orders.used, orders.view(id)[0]); // 64 1 7
 * orders.free(id);
 * ```
 */
export class Slab implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    KIND,
    /* @__PURE__ */ showAs(Slab, String),
    (handle) => Slab.fromHandle(handle),
  );
  /** The node of its memory. */
  readonly node: number;
  /** The kind of its pages. */
  readonly pages: PageKind;
  /** The size of an object in bytes, as it was asked for. */
  readonly objectSize: number;
  /** Bytes from one object to the next: `objectSize` rounded up to a multiple of 64. */
  readonly stride: number;
  /** The number of objects. */
  readonly capacity: number;
  /** The maximum number of threads that use it at the same time. */
  readonly threads: number;
  static readonly #live: WeakMap<Arena, Slab> = new WeakMap();

  readonly #arena: Arena;
  readonly #heap: ObjectHeap;
  readonly #salt: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #int32: Int32Array<ArrayBuffer>;

  private constructor(arena: Arena, config: SlabConfig) {
    const { stride, heap, objectBytes } = planSlab(config);
    const memory = openMemory(arena, objectBytes, heap);
    const { buffer, byteOffset } = memory.bytes;
    this.node = arena.node;
    this.pages = arena.pages;
    this.objectSize = config.objectSize;
    this.capacity = config.count;
    this.threads = config.threads;
    this.stride = stride;
    this.#arena = arena;
    this.#heap = memory.heap;
    this.#salt = saltOf(arena, bitsFor(config.count));
    this.#bytes = memory.bytes;
    this.#int32 = new Int32Array(buffer, byteOffset, objectBytes / 4);
    Slab.#live.set(arena, this);
  }

  /**
   * Creates a slab strictly on a node: all of its pages are there when this returns.
   *
   * Takes `count` times the stride, and 4 to 5 bytes an object for bookkeeping, on the same node.
   *
   * @param options Node, size and number of the objects.
   * @returns The slab.
   * @throws {NumaError} `EINVAL` a bad argument, or more than one ArrayBuffer can show; else as `Arena.create`:
   * `ENODEV`, `ENOMEM`, `ENOTSUP`, `EACCES`, `EPERM`, `ESTRICT`.
   */
  static create(options: SlabOptions): Slab {
    const action = "create a slab";
    checkOptions(options, "{ node: 0, objectSize: 64, count: 1000 }", action);
    checkOptionNames(options, ["node", "objectSize", "count", "pages", "threads"], action);
    const { node, objectSize, count, pages = "4k", threads = DEFAULT_THREADS } = options;
    const config = checkConfig({ objectSize, count, threads }, action);
    const { bytes } = planSlab(config);
    checkWindow(bytes, `${action} of ${count} objects of ${objectSize} bytes`);
    return createOver({ nodes: [node], bytesOf: () => bytes, label: "slab", pages }, ([arena]) => {
      CONFIG.write(arena as Arena, config);
      return new Slab(arena as Arena, config);
    });
  }

  /**
   * Allocates an object.
   *
   * Cost: O(1), without an atomic instruction, a foreign call or garbage. When the thread has run out it takes what
   * others sent back, then a new chunk, then what threads that have ended left, which is a scan of the bookkeeping.
   *
   * @returns Its id. Its bytes are zero the first time, and later what the last user left there.
   * @throws {NumaError} `ENOMEM` when none is left for this thread; `EAGAIN` when more threads use it than there is
   * room for; `EDESTROYED`.
   */
  alloc(): number {
    const index = this.#heap.take(0);
    return index >= 0 ? index ^ this.#salt : this.#refuse(index);
  }

  /**
   * Allocates an object if one is available, without the cost of an exception otherwise.
   *
   * @returns Its id, or -1 when none is left for this thread.
   * @throws {NumaError} `EAGAIN`, `EDESTROYED`.
   */
  tryAlloc(): number {
    const index = this.#heap.take(0);
    if (index >= 0) return index ^ this.#salt;
    return index === FULL ? -1 : this.#refuse(index);
  }

  /**
   * Frees an object, from any thread.
   *
   * Cost: O(1). On the thread that owns it without an atomic instruction; on others one for each 32 objects.
   *
   * @param id The id from `alloc`, in this or another thread.
   * @throws {NumaError} `EINVAL` when it is not allocated, and then nothing has changed; `EAGAIN` as for `alloc`;
   * `EDESTROYED`.
   */
  free(id: number): void {
    if (typeof id !== "number" || id >>> 0 !== id) this.#refuseId("free", id);
    const failure = this.#heap.give(id ^ this.#salt);
    if (failure !== 0) this.#refuseId("free", id, failure);
  }

  /**
   * Where an object is.
   *
   * @param id An allocated object's.
   * @returns Its offset in {@linkcode bytes}, a multiple of 64.
   * @throws {NumaError} `EINVAL` when it is not allocated; `EDESTROYED`.
   */
  offset(id: number): number {
    if (typeof id !== "number" || id >>> 0 !== id) this.#refuseId("find", id);
    const index = id ^ this.#salt;
    if (this.#heap.classOf(index) < 0) this.#refuseId("find", id);
    return index * this.stride;
  }

  /**
   * The bytes of an object. Makes a new view, which costs more than `alloc`: prefer {@linkcode int32} or
   * {@linkcode bytes} with `offset` where it is hot. The view stays when the object is freed.
   *
   * @param id An allocated object's.
   * @returns `objectSize` bytes.
   * @throws {NumaError} As `offset`.
   */
  view(id: number): Uint8Array<ArrayBuffer> {
    const offset = this.offset(id);
    return this.#bytes.subarray(offset, offset + this.objectSize);
  }

  /**
   * The bytes of all objects.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#check("view a slab");
    return this.#bytes;
  }

  /**
   * The same as {@linkcode bytes}, in words of 32 bits.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  get int32(): Int32Array<ArrayBuffer> {
    this.#check("view a slab");
    return this.#int32;
  }

  /**
   * The number of objects allocated and not freed, by all threads. Takes O(capacity): about 1 ms for each million.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  get used(): number {
    this.#check("measure a slab");
    return this.#heap.census().allocated[0] as number;
  }

  /** Whether `destroy` was called in this thread, or the slab's buffer was transferred away. */
  get destroyed(): boolean {
    return this.#arena.destroyed;
  }

  /**
   * Returns the objects of other threads that this thread has freed to their owners now. Otherwise they are returned in
   * batches of 32 for each owner, when this thread runs out of objects, and when it destroys the slab.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  flush(): void {
    this.#check("flush a slab");
    this.#heap.flush();
  }

  /**
   * Gives all free objects of this thread to other threads, for a thread that will not use the slab for a while. Its
   * next `alloc` or `free` is like its first.
   *
   * Cost: that of `flush`; the next use is a scan of the bookkeeping.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  release(): void {
    this.#check("release a slab");
    this.#heap.leave();
  }

  /**
   * Ends this thread's use: its views become empty, and others may take over its chunks. Objects stay allocated. The
   * memory returns to the system when the last thread has released it. Calling it twice has no further effect.
   */
  destroy(): void {
    this.#heap.close();
    this.#arena.destroy();
  }

  /** {@linkcode destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /**
   * Returns a handle for another thread, to be sent by other means than `launch`. There, {@linkcode Slab.fromHandle}
   * returns the live slab, as long as some thread still holds it.
   *
   * @returns The handle, as plain data.
   * @throws {NumaError} `EDESTROYED`.
   */
  toHandle(): Handle {
    this.#check("send a slab to another thread");
    return { numakitHandle: Slab.#kind, data: { arena: this.#arena.toHandle() } };
  }

  /** Returns a short text for logs. */
  toString(): string {
    const state = this.destroyed ? "destroyed" : `${this.used} used`;
    return `Slab(node ${this.node}, ${this.capacity} objects of ${formatBytes(this.objectSize)}, ` +
      `${this.pages} pages, ${state})`;
  }

  #check(action: string): void {
    if (this.destroyed) refuseDestroyed(action);
  }

  #refuse(failure: number): never {
    const action =
      `allocate an object of ${this.objectSize} bytes from a slab on node ${this.node}`;
    this.#check(action);
    if (failure === CROWDED) refuseThread(action, this.threads);
    throw new NumaError("ENOMEM", action, {
      why: `none is left for this thread; ${this.used} of ${this.capacity} objects are in use`,
      fix: "Free some; flush() or release() in threads that are done; or make a larger slab.",
      node: this.node,
    });
  }

  #refuseId(verb: string, id: unknown, failure = 0): never {
    const action = `${verb} an object of a slab on node ${this.node}`;
    this.#check(action);
    if (failure === CROWDED) refuseThread(action, this.threads);
    const whole = typeof id === "number" && id >>> 0 === id;
    const index = whole ? id ^ this.#salt : -1;
    refuseId(id, action, index >= 0 && index < this.capacity);
  }

  /**
   * Returns the live slab of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode toHandle}, made in any thread of this process.
   * @returns The slab.
   * @throws {NumaError} `ESTALE` if all threads have released it; `EINVAL` if it is not such a handle.
   */
  static fromHandle(handle: Handle): Slab {
    const action = "attach a slab";
    const arena = Arena.fromHandle(handleData(handle, KIND, action).arena as Handle);
    const known = Slab.#live.get(arena);
    if (known !== undefined) return known;
    const config = checkConfig(CONFIG.read(arena, action), action);
    if (planSlab(config).bytes > arena.capacity) CONFIG.refuse(action);
    return new Slab(arena, config);
  }
}
