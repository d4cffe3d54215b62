import { type ByteSize, formatBytes, parseBytes } from "../../base/bytes.ts";
import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { checkNode } from "../../topology/nodes.ts";
import type { Arena } from "../arena/arena.ts";
import { ConfigWords } from "./config_words.ts";
import { CROWDED, FULL, NOT_ALLOCATED, type ObjectHeap } from "./object_heap.ts";
import { MAX_RECORDS } from "./object_layout.ts";
import {
  bitsFor,
  checkWindow,
  DEFAULT_THREADS,
  type ObjectMemory,
  openMemory,
  refuseId,
  refuseThread,
  saltOf,
} from "./object_memory.ts";
import type { PageKind } from "../mapping/pages.ts";
import { refuseDestroyed } from "../arena/refusals.ts";
import { memoryNodes } from "../arena/memory_nodes.ts";
import {
  attachArenas,
  checkNodes,
  createOver,
  destroyArenas,
  Nearest,
} from "../arena/node_arenas.ts";
import { checkPlan, IDS_A_CHUNK, MAX_STEPS, planPool, type PoolConfig } from "./pool_plan.ts";
import { CLASS_BYTES, classOf, MAX_CLASS_BYTES, STEP_BYTES } from "./size_classes.ts";

/** Options of {@linkcode NodePool.create}. */
export interface NodePoolOptions {
  /** The nodes, different ones. Default: all whose memory may be used. */
  readonly nodes?: readonly number[];
  /** Bytes on each node, bookkeeping included: a number, or a text such as `"64 MiB"`. */
  readonly bytesPerNode: ByteSize;
  /** The pages, or kinds of pages to try in order. Default: `"4k"`. */
  readonly pages?: PageKind | readonly PageKind[];
  /** The maximum number of threads at the same time: 1 to 4,096. Default: 64. Each takes 128 bytes on each node. */
  readonly threads?: number;
}

/** The usage of a size class on a node. */
export interface NodePoolClassUsage {
  /** The size of an object in bytes. */
  readonly bytes: number;
  /** Objects allocated and not freed. */
  readonly allocated: number;
  /** Chunks given to the class; each holds 64 objects, or as many as fit into 64 KiB. */
  readonly chunks: number;
}

/** The usage of a {@linkcode NodePool} on a node. */
export interface NodePoolUsage {
  /** The node. */
  readonly node: number;
  /** Bytes for objects. */
  readonly capacityBytes: number;
  /** Bytes of the objects that are allocated, each as large as its class. */
  readonly allocatedBytes: number;
  /** The classes that have chunks, ascending. */
  readonly classes: readonly NodePoolClassUsage[];
}

const KIND = "node-pool";
/** "POOL" and a version: the first word of each of its arenas. */
const MAGIC = 0x5001_0001;
const CONFIG = /* @__PURE__ */ new ConfigWords("node pool", MAGIC, [
  "steps",
  "threads",
  "nodes",
  "index",
  "group",
]);
/** Allocations between two looks at where the thread runs. */
const LOOK_EVERY = 64;

function checkSize(size: unknown, action: string): number {
  return checkInteger(size, "size", 1, MAX_CLASS_BYTES, action);
}

/**
 * Objects of all sizes up to 64 KiB, on the node where they are wanted, allocated and freed by any thread.
 *
 * `alloc` takes from the node its thread runs on, `allocOn` from a named one; an object stays where it is, and `free`
 * finds its way home from any thread. Sizes are rounded up to a class: steps of 16 bytes up to 128, then four to each
 * doubling, so that less than a quarter is lost. Objects of classes that are multiples of 64 are aligned to cache lines,
 * all others to 16 bytes.
 *
 * An object is an id, a number that fits 30 bits. Ownership, the errors that are found and what a thread's end means are
 * those of a {@linkcode Slab}. A chunk that a class was given stays with it. There is room for one object in every 32
 * bytes of `bytesPerNode`: objects of 16 bytes alone fill about half of it.
 *
 * The design is that of snmalloc (Liétar et al., ISMM 2019) and mimalloc (Leijen et al., 2019).
 *
 * @example
 * ```ts
 * import { NodePool } from "@numakit/numakit";
 *
 * using pool = NodePool.create({ bytesPerNode: "1 MiB" });
 * const id = pool.alloc(100);
 * pool.view(id).fill(1);
 * console.log(pool.sizeOf(id), pool.usage()[0]?.classes[0]?.allocated); // 112 1
 * pool.free(id);
 * ```
 */
export class NodePool implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    KIND,
    /* @__PURE__ */ showAs(NodePool, String),
    (handle) => NodePool.fromHandle(handle),
  );
  /** The nodes it is on. */
  readonly nodes: readonly number[];
  /** The maximum number of threads that use it at the same time. */
  readonly threads: number;
  static readonly #live: WeakMap<Arena, NodePool> = new WeakMap();

  readonly #arenas: readonly Arena[];
  readonly #memories: readonly ObjectMemory[];
  readonly #heaps: readonly ObjectHeap[];
  /** Bits of an id below the node's index. */
  readonly #localBits: number;
  readonly #localMask: number;
  readonly #salt: number;
  readonly #nearest: Nearest;
  /** Where the thread ran when it last looked: the heap there, and what makes its ids the pool's. */
  #here: ObjectHeap;
  #hereSalt: number;
  #untilLook = 0;

  private constructor(arenas: readonly Arena[], config: PoolConfig) {
    const { heap, objectBytes, localBits } = planPool(config);
    const [first] = arenas as readonly [Arena, ...Arena[]];
    this.nodes = Object.freeze(arenas.map(({ node }) => node));
    this.threads = config.threads;
    this.#arenas = arenas;
    this.#memories = arenas.map((arena) => openMemory(arena, objectBytes, heap));
    this.#heaps = this.#memories.map((memory) => memory.heap);
    this.#localBits = localBits;
    this.#localMask = ~(-1 << localBits);
    this.#salt = saltOf(first, localBits + bitsFor(arenas.length));
    this.#nearest = new Nearest(this.nodes);
    this.#here = this.#heaps[0] as ObjectHeap;
    this.#hereSalt = this.#saltAt(0);
    NodePool.#live.set(first, this);
  }

  /**
   * Creates a pool: all of its pages exist, each strictly on its node, when this returns.
   *
   * @param options Nodes and sizes.
   * @returns The pool.
   * @throws {NumaError} `EINVAL` a bad argument, or more than one ArrayBuffer can show; else as `Arena.create`:
   * `ENODEV`, `ENOMEM`, `ENOTSUP`, `EACCES`, `EPERM`, `ESTRICT`. Nothing is left behind then.
   */
  static create(options: NodePoolOptions): NodePool {
    const action = "create a node pool";
    checkOptions(options, '{ bytesPerNode: "64 MiB" }', action);
    checkOptionNames(options, ["bytesPerNode", "pages", "threads", "nodes"], action);
    const { bytesPerNode, pages = "4k", threads = DEFAULT_THREADS } = options;
    checkInteger(threads, "threads", 1, MAX_RECORDS, action);
    const bytes = parseBytes(bytesPerNode, action);
    const sized = `${action} of ${formatBytes(bytes)} a node`;
    checkWindow(bytes, sized);
    const nodes = options.nodes === undefined ? memoryNodes() : checkNodes(options.nodes, action);
    const steps = Math.min(Math.floor(bytes / STEP_BYTES), MAX_STEPS);
    const config = checkPlan({ steps, threads, nodes: nodes.length }, sized);
    return createOver({ nodes, bytesOf: () => bytes, label: "node pool", pages }, (arenas) => {
      const group = saltOf(arenas[0] as Arena, 0);
      for (const [index, arena] of arenas.entries()) {
        CONFIG.write(arena, { ...config, index, group });
      }
      return new NodePool(arenas, config);
    });
  }

  /**
   * Allocates an object on the node this thread runs on, or on the nearest node of the pool. The thread's node is
   * looked up every 64 allocations; `allocOn` names the node instead.
   *
   * Cost: O(1), without an atomic instruction, a foreign call or garbage, but for the look: one atomic load.
   *
   * @param size Bytes, from 1 to 65536.
   * @returns Its id. Its bytes are whatever the last user left there, zeros the first time.
   * @throws {NumaError} `ENOMEM` when none of that class is left for this thread on that node; `EAGAIN` when more
   * threads use the pool than there is room for; `EINVAL`; `EDESTROYED`.
   */
  alloc(size: number): number {
    const index = this.#take(size);
    return index >= 0 ? index ^ this.#hereSalt : this.#refuse(this.#here, size, index);
  }

  /**
   * Allocates an object if one is available, without the cost of an exception otherwise.
   *
   * @param size Bytes, from 1 to 65536.
   * @returns Its id, or -1 when none of that class is left for this thread on its node.
   * @throws {NumaError} `EAGAIN`, `EINVAL`, `EDESTROYED`.
   */
  tryAlloc(size: number): number {
    const index = this.#take(size);
    if (index >= 0) return index ^ this.#hereSalt;
    return index === FULL ? -1 : this.#refuse(this.#here, size, index);
  }

  /**
   * Allocates an object on a node.
   *
   * Cost: as `alloc`, without the look.
   *
   * @param node One of {@linkcode nodes}.
   * @param size Bytes, from 1 to 65536.
   * @returns Its id.
   * @throws {NumaError} As `alloc`; `ENODEV` for a node the pool is not on.
   */
  allocOn(node: number, size: number): number {
    const at = this.#indexOf(node, `allocate ${show(size)} bytes`);
    const heap = this.#heaps[at] as ObjectHeap;
    if (typeof size !== "number" || size >>> 0 !== size || size - 1 >>> 0 >= MAX_CLASS_BYTES) {
      this.#refuse(heap, size, FULL);
    }
    const index = heap.take(classOf(size));
    return index >= 0 ? index ^ this.#saltAt(at) : this.#refuse(heap, size, index);
  }

  /**
   * Frees an object, from any thread on any node.
   *
   * Cost: O(1). On the thread that owns it without an atomic instruction; on others one for each 32 objects.
   *
   * @param id The id from `alloc` or `allocOn`, in this or another thread.
   * @throws {NumaError} `EINVAL` when it is not allocated, and then nothing has changed; `EAGAIN` as for `alloc`;
   * `EDESTROYED`.
   */
  free(id: number): void {
    if (typeof id !== "number" || id >>> 0 !== id) this.#refuseId("free", id);
    // Most likely it is from here; the heap finds out if it is not even an id.
    const local = id ^ this.#hereSalt;
    const failure = local <= this.#localMask ? this.#here.give(local) : this.#giveElsewhere(id);
    if (failure !== 0) this.#refuseId("free", id, failure);
  }

  /**
   * Returns the size of an object: that of its class, at least what was asked for.
   *
   * @param id An allocated object's.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL` when it is not allocated; `EDESTROYED`.
   */
  sizeOf(id: number): number {
    return this.#find(id, "size").size;
  }

  /**
   * The node an object is on.
   *
   * @param id An allocated object's.
   * @returns One of {@linkcode nodes}.
   * @throws {NumaError} As `sizeOf`.
   */
  nodeOf(id: number): number {
    return this.nodes[this.#find(id, "locate").at] as number;
  }

  /**
   * Where an object is in the bytes of its node.
   *
   * @param id An allocated object's.
   * @returns Its offset in `bytes(nodeOf(id))`, a multiple of 16.
   * @throws {NumaError} As `sizeOf`.
   */
  offset(id: number): number {
    return this.#find(id, "locate").offset;
  }

  /**
   * The bytes of an object. Makes a new view, which costs more than `alloc`: prefer {@linkcode bytes} with `offset`
   * where it is hot. The view stays when the object is freed.
   *
   * @param id An allocated object's.
   * @returns As many bytes as its class has.
   * @throws {NumaError} As `sizeOf`.
   */
  view(id: number): Uint8Array<ArrayBuffer> {
    const { at, offset, size } = this.#find(id, "view");
    return (this.#memories[at] as ObjectMemory).bytes.subarray(offset, offset + size);
  }

  /**
   * The bytes of all objects on a node.
   *
   * @param node One of {@linkcode nodes}.
   * @returns The same view each time.
   * @throws {NumaError} `ENODEV`, `EINVAL`, `EDESTROYED`.
   */
  bytes(node: number): Uint8Array<ArrayBuffer> {
    this.#check("view a node pool");
    return (this.#memories[this.#indexOf(node, "view a node pool")] as ObjectMemory).bytes;
  }

  /**
   * What is in use, by node and class. Takes about 1 ms for each million objects.
   *
   * @returns In the order of {@linkcode nodes}.
   * @throws {NumaError} `EDESTROYED`.
   */
  usage(): NodePoolUsage[] {
    this.#check("measure a node pool");
    return this.#memories.map(({ heap, bytes }, at) => {
      const { allocated, chunks } = heap.census();
      const classes = CLASS_BYTES.map((size, kind): NodePoolClassUsage => ({
        bytes: size,
        allocated: allocated[kind] as number,
        chunks: chunks[kind] as number,
      }));
      return {
        node: this.nodes[at] as number,
        capacityBytes: bytes.length,
        allocatedBytes: classes.reduce((sum, { bytes, allocated }) => sum + bytes * allocated, 0),
        classes: classes.filter(({ chunks }) => chunks > 0),
      };
    });
  }

  /** Whether `destroy` was called in this thread, or a buffer of the pool was transferred away. */
  get destroyed(): boolean {
    return this.#arenas.some((arena) => arena.destroyed);
  }

  /**
   * Returns the objects of other threads that this thread has freed to their owners now. See {@linkcode Slab.flush}.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  flush(): void {
    this.#check("flush a node pool");
    for (const heap of this.#heaps) heap.flush();
  }

  /**
   * Gives all free objects of this thread to other threads. See {@linkcode Slab.release}.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  release(): void {
    this.#check("release a node pool");
    for (const heap of this.#heaps) heap.leave();
  }

  /**
   * Ends this thread's use: its views become empty, and others may take over its chunks. Objects stay allocated. The
   * memory returns to the system when the last thread has released it. Calling it twice has no further effect.
   */
  destroy(): void {
    for (const heap of this.#heaps) heap.close();
    destroyArenas(this.#arenas);
  }

  /** {@linkcode destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /**
   * Returns a handle for another thread, to be sent by other means than `launch`. There,
   * {@linkcode NodePool.fromHandle} returns the live pool, as long as some thread still holds it.
   *
   * @returns The handle, as plain data.
   * @throws {NumaError} `EDESTROYED`.
   */
  toHandle(): Handle {
    this.#check("send a node pool to another thread");
    const arenas = this.#arenas.map((arena) => arena.toHandle());
    return { numakitHandle: NodePool.#kind, data: { arenas } };
  }

  /** Returns a short text for logs. */
  toString(): string {
    const where = `nodes ${this.nodes.join(", ")}`;
    if (this.destroyed) return `NodePool(${where}, destroyed)`;
    const usage = this.usage();
    const sum = (of: "allocatedBytes" | "capacityBytes"): string =>
      formatBytes(usage.reduce((total, node) => total + node[of], 0));
    return `NodePool(${where}, ${sum("allocatedBytes")} of ${sum("capacityBytes")} used)`;
  }

  /** What turns an id of a node's heap into one of the pool's, and back. */
  #saltAt(index: number): number {
    return this.#salt ^ index << this.#localBits;
  }

  /** Takes an object from here: its index, or why not. */
  #take(size: number): number {
    if (typeof size !== "number" || size >>> 0 !== size || size - 1 >>> 0 >= MAX_CLASS_BYTES) {
      this.#refuse(this.#here, size, FULL);
    }
    if (--this.#untilLook < 0) this.#look();
    return this.#here.take(classOf(size));
  }

  #giveElsewhere(id: number): number {
    const local = id ^ this.#salt;
    const heap = this.#heaps[local >>> this.#localBits];
    return heap === undefined ? NOT_ALLOCATED : heap.give(local & this.#localMask);
  }

  #look(): void {
    const index = this.#nearest.index();
    this.#here = this.#heaps[index] as ObjectHeap;
    this.#hereSalt = this.#saltAt(index);
    this.#untilLook = LOOK_EVERY - 1;
  }

  #indexOf(node: number, action: string): number {
    const index = this.nodes.indexOf(node);
    if (index >= 0) return index;
    checkNode(node, action);
    throw new NumaError("ENODEV", `${action} on node ${node}`, {
      why: `the pool is on nodes ${this.nodes.join(", ")}`,
      fix: "Choose one of them.",
      node,
    });
  }

  #find(id: number, verb: string): { at: number; offset: number; size: number } {
    const whole = typeof id === "number" && id >>> 0 === id;
    const local = whole ? id ^ this.#salt : -1;
    const at = local >>> this.#localBits;
    const heap = this.#heaps[at];
    if (!whole || heap === undefined) this.#refuseId(verb, id);
    const index = local & this.#localMask;
    const size = CLASS_BYTES[heap.classOf(index)];
    if (size === undefined) this.#refuseId(verb, id);
    const slot = index & (IDS_A_CHUNK - 1);
    return { at, offset: heap.baseOf(index) * STEP_BYTES + slot * size, size };
  }

  #check(action: string): void {
    if (this.destroyed) refuseDestroyed(action);
  }

  #refuse(heap: ObjectHeap, size: number, failure: number): never {
    const at = this.#heaps.indexOf(heap);
    const node = this.nodes[at] as number;
    const action = `allocate ${show(size)} bytes from a node pool on node ${node}`;
    this.#check(action);
    const bytes = CLASS_BYTES[classOf(checkSize(size, action))] as number;
    if (failure === CROWDED) refuseThread(action, this.threads);
    const usage = this.usage()[at] as NodePoolUsage;
    throw new NumaError("ENOMEM", action, {
      why: `no object of ${bytes} bytes is left for this thread; objects of ` +
        `${formatBytes(usage.allocatedBytes)} of ${formatBytes(usage.capacityBytes)} are in use`,
      fix: "Free some; flush() or release() in threads that are done; or make a larger pool.",
      node,
    });
  }

  #refuseId(verb: string, id: unknown, failure = 0): never {
    const action = `${verb} an object of a node pool`;
    this.#check(action);
    if (failure === CROWDED) refuseThread(action, this.threads);
    const whole = typeof id === "number" && id >>> 0 === id;
    const at = whole ? (id ^ this.#salt) >>> this.#localBits : -1;
    refuseId(id, action, at >= 0 && at < this.nodes.length);
  }

  /**
   * Returns the live pool of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode toHandle}, made in any thread of this process.
   * @returns The pool.
   * @throws {NumaError} `ESTALE` if all threads have released it; `EINVAL` if it is not such a handle.
   */
  static fromHandle(handle: Handle): NodePool {
    const action = "attach a node pool";
    const arenas = attachArenas(handleData(handle, KIND, action).arenas, action);
    const known = NodePool.#live.get(arenas[0] as Arena);
    if (known !== undefined) return known;
    const { steps, threads, nodes, group } = CONFIG.read(arenas[0] as Arena, action);
    const fits = arenas.every((arena, at) => {
      const config = CONFIG.read(arena, action);
      return config.index === at && config.group === group && steps * STEP_BYTES <= arena.capacity;
    });
    const sane = steps > 0 && threads > 0 && threads <= MAX_RECORDS && nodes === arenas.length;
    if (!fits || !sane) CONFIG.refuse(action);
    return new NodePool(arenas, checkPlan({ steps, threads, nodes }, action));
  }
}
