import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import type { Arena } from "../arena/arena.ts";
import { refuseDestroyed } from "../arena/refusals.ts";
import {
  type NodeArrayElement,
  type NodeArrayElementType,
  type NodeArrayElementViews,
  type ViewConstructor,
  viewConstructor,
} from "./elements.ts";
import type { Residency } from "../mapping/mapping.ts";
import type { PageKind } from "../mapping/pages.ts";
import { type ArrayFacts, isPart, noteParts } from "./part_note.ts";
import { Partition } from "./partition.ts";
import { memoryNodes } from "../arena/memory_nodes.ts";
import {
  attachArenas,
  checkNodes,
  checkRoom,
  createOver,
  destroyArenas,
  Nearest,
} from "../arena/node_arenas.ts";

/**
 * How elements are distributed over nodes.
 *
 * - `"blocked"`: the first node gets the first `ceil(length / nodes)` elements, and so on.
 * - `"cyclic"`: blocks of a fixed size go to the nodes in turn.
 */
export type NodeArrayLayout = "blocked" | "cyclic";

/** Options of {@linkcode NodeArray.create}. */
export interface NodeArrayOptions<Type extends NodeArrayElementType = NodeArrayElementType> {
  /** The type of its elements. */
  readonly type: Type;
  /** The number of elements, at least 1. */
  readonly length: number;
  /** The nodes, different ones, in the order of their parts. Default: all whose memory may be used. */
  readonly nodes?: readonly number[];
  /** How elements are distributed. Default: `"blocked"`. */
  readonly layout?: NodeArrayLayout;
  /** The number of elements in a block, for `"cyclic"` only; powers of two are fastest. Default: as many as 4 KiB hold. */
  readonly block?: number;
  /** The pages, or kinds of pages to try in order. Default: `"4k"`. */
  readonly pages?: PageKind | readonly PageKind[];
}

/** The part of a {@linkcode NodeArray} that is on one node. */
export interface NodeArrayPart<Type extends NodeArrayElementType = NodeArrayElementType> {
  /** Which part it is, from 0. */
  readonly part: number;
  /** The node of its memory. */
  readonly node: number;
  /** Its elements, in the order of their indices. */
  readonly view: NodeArrayElementViews[Type];
}

/** Where an element is. */
export interface NodeArrayPlace {
  /** The part it belongs to. */
  readonly part: number;
  /** The node of that part. */
  readonly node: number;
  /** Its index in the part's view. */
  readonly offset: number;
}

/** Of any typed array: what bulk operations need. */
interface View {
  [index: number]: number | bigint;
  readonly length: number;
  fill(value: number | bigint): unknown;
  set(source: View, offset?: number): void;
  subarray(begin: number, end: number): View;
}

const KIND = "nodeArray";
const BLOCK_BYTES = 4096;

/**
 * One array over several nodes, with a part on each.
 *
 * Every part is memory on its node, strictly (as an arena is), with one typed array over it: threads work on the part
 * of their own node at full speed, and {@linkcode get} and {@linkcode set} reach any element by its index.
 *
 * An array passed in `args` of `launch` arrives as a live object in the worker. `destroy` (or `using`) ends this
 * thread's use: its views become empty. The memory returns to the system when the last thread has released it. Elements
 * are plain memory: threads that write the same element need `Atomics` on a view, or a lock.
 *
 * @typeParam Type The type of its elements.
 *
 * @example
 * ```ts
 * import { NodeArray } from "@numakit/numakit";
 *
 * using rows = NodeArray.create({ type: "float64", length: 10_000 });
 * rows.set(9_999, 1.5);
 * const { view } = rows.local(); // this node's part
 * view.fill(2);
 * for (const { part, node, view } of rows.partitions()) {
 *   console.log(node, view.length, rows.globalIndexOf(part, 0));
 * }
 * ```
 */
export class NodeArray<Type extends NodeArrayElementType = NodeArrayElementType>
  implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    KIND,
    /* @__PURE__ */ showAs(NodeArray, String),
    (handle) => NodeArray.fromHandle(handle),
  );
  /** The type of its elements. */
  readonly type: Type;
  /** The number of elements. */
  readonly length: number;
  /** The nodes, in the order of their parts. */
  readonly nodes: readonly number[];
  /** The number of elements in a block. */
  readonly block: number;
  /** One live array a thread, so that a handle that comes twice gives the same object. */
  static readonly #live: WeakMap<Arena, NodeArray> = new WeakMap();

  readonly #arenas: readonly Arena[];
  readonly #partition: Partition;
  readonly #parts: readonly NodeArrayPart<Type>[];
  #views: readonly View[];
  readonly #View: ViewConstructor<Type>;
  readonly #isBig: boolean;
  readonly #nearest: Nearest;

  private constructor(arenas: readonly Arena[], type: Type, partition: Partition) {
    this.#arenas = arenas;
    this.#partition = partition;
    this.#View = viewConstructor(type, "view an array over nodes");
    this.#isBig = type.startsWith("big");
    this.type = type;
    this.length = partition.length;
    this.block = partition.block;
    this.nodes = Object.freeze(arenas.map(({ node }) => node));
    this.#parts = Object.freeze(arenas.map((arena, part) => {
      const { buffer, byteOffset } = arena.bytes;
      const view = new this.#View(buffer, byteOffset, partition.lengthOf(part));
      return Object.freeze({ part, node: arena.node, view });
    }));
    this.#views = this.#parts.map(({ view }) => view as unknown as View);
    this.#nearest = new Nearest(this.nodes);
    NodeArray.#live.set(arenas[0] as Arena, this as unknown as NodeArray);
  }

  /**
   * Creates an array of zeros. All pages of every part are strictly on its node, or nothing is created.
   *
   * A node that gets no elements (because there are fewer blocks than nodes) has a part of length 0.
   *
   * @param options Type, length, nodes, layout, pages.
   * @returns The array.
   * @throws {NumaError} What {@linkcode Arena.create} throws; `EINVAL` a bad argument.
   */
  static create<Type extends NodeArrayElementType>(
    options: NodeArrayOptions<Type>,
  ): NodeArray<Type> {
    const action = "create an array over nodes";
    checkOptions(options, '{ type: "float64", length: 1000 }', action);
    checkOptionNames(options, ["type", "length", "layout", "pages", "nodes", "block"], action);
    const { type, length, layout = "blocked", pages = "4k" } = options;
    const { BYTES_PER_ELEMENT } = viewConstructor(type, action);
    const nodes = options.nodes === undefined ? memoryNodes() : checkNodes(options.nodes, action);
    if (layout !== "blocked" && layout !== "cyclic") {
      throw new NumaError("EINVAL", action, {
        why: `layout is ${show(layout)}`,
        fix: 'Give "blocked" or "cyclic".',
      });
    }
    if (layout === "blocked" && options.block !== undefined) {
      throw new NumaError("EINVAL", action, {
        why: 'block is given, but only the layout "cyclic" uses it',
        fix: 'Leave it out, or give layout: "cyclic".',
      });
    }
    checkInteger(length, "length", 1, 2 ** 52, action);
    const { block = BLOCK_BYTES / BYTES_PER_ELEMENT } = options;
    const blocked = Math.ceil(length / nodes.length);
    const partition = new Partition(
      length,
      nodes.length,
      layout === "blocked" ? blocked : block,
      action,
    );
    // An empty part has an arena, too, so that parts and arenas correspond.
    const bytesOf = (part: number): number => partition.lengthOf(part) * BYTES_PER_ELEMENT || 1;
    return createOver(
      { nodes, bytesOf, label: "node array", pages },
      (arenas) => {
        noteParts(arenas, { type, length, block: partition.block });
        return new NodeArray(arenas, type, partition);
      },
    );
  }

  /**
   * Reads an element.
   *
   * Cost: O(1), nothing is allocated; it finds the part first, which takes 10 to 20 ns, and a typed array one.
   * A loop goes over the views of {@linkcode partitions}.
   *
   * @param index From 0 to length - 1.
   * @returns The element.
   * @throws {NumaError} `EINVAL` another index; `EDESTROYED`.
   */
  get(index: number): NodeArrayElement<Type> {
    const partition = this.#partition;
    if (!partition.has(index)) this.#refuse(index);
    const block = partition.blockOf(index);
    const view = this.#views[block % partition.parts] as View;
    const value = view[partition.offsetIn(index, block)];
    return value === undefined ? this.#refuse(index) : value as NodeArrayElement<Type>;
  }

  /**
   * Writes an element.
   *
   * Cost: O(1), nothing is allocated.
   *
   * @param index From 0 to length - 1.
   * @param value A number, or a bigint for the types that begin with "big"; cut to the type as typed arrays do it.
   * @throws {NumaError} `EINVAL` another index, or a value of another kind; `EDESTROYED`.
   */
  set(index: number, value: NodeArrayElement<Type>): void {
    const partition = this.#partition;
    if (!partition.has(index)) this.#refuse(index);
    if (!this.#takes(value)) this.#refuseValue(value);
    const block = partition.blockOf(index);
    const view = this.#views[block % partition.parts] as View;
    const offset = partition.offsetIn(index, block);
    if (offset >= view.length) this.#refuse(index);
    view[offset] = value;
  }

  /**
   * Where an element is. {@linkcode partOf}, {@linkcode nodeOf} and {@linkcode offsetOf} say the same without making
   * an object.
   *
   * @param index From 0 to length - 1.
   * @returns Its part, node and offset.
   * @throws {NumaError} `EINVAL`.
   */
  partitionOf(index: number): NodeArrayPlace {
    const part = this.partOf(index);
    return { part, node: this.nodes[part] as number, offset: this.offsetOf(index) };
  }

  /**
   * The part of an element.
   *
   * @param index From 0 to length - 1.
   * @returns The part, an index in {@linkcode nodes} and {@linkcode partitions}.
   * @throws {NumaError} `EINVAL`.
   */
  partOf(index: number): number {
    this.#checkIndex(index);
    return this.#partition.blockOf(index) % this.#partition.parts;
  }

  /**
   * The node of an element.
   *
   * @param index From 0 to length - 1.
   * @returns The node.
   * @throws {NumaError} `EINVAL`.
   */
  nodeOf(index: number): number {
    return this.nodes[this.partOf(index)] as number;
  }

  /**
   * Where an element is in its part's view.
   *
   * @param index From 0 to length - 1.
   * @returns Its index there.
   * @throws {NumaError} `EINVAL`.
   */
  offsetOf(index: number): number {
    this.#checkIndex(index);
    return this.#partition.offsetIn(index, this.#partition.blockOf(index));
  }

  /**
   * The index of an element of a part: what {@linkcode partOf} and {@linkcode offsetOf} came from.
   *
   * @param part The part.
   * @param offset An index in the part's view.
   * @returns From 0 to length - 1.
   * @throws {NumaError} `EINVAL`.
   */
  globalIndexOf(part: number, offset: number): number {
    const action = `find element ${show(offset)} of part ${show(part)}`;
    checkInteger(part, "the part", 0, this.nodes.length - 1, action);
    checkInteger(offset, "the offset", 0, this.#partition.lengthOf(part) - 1, action);
    return this.#partition.indexOf(part, offset);
  }

  /**
   * All parts, for loops at the speed of typed arrays: `for (const { view } of rows.partitions()) sum += sumOf(view)`, where
   * `sumOf` is a function that loops over the indices. `for (const value of view)` takes 5 to 30 times as long, as with any
   * typed array.
   *
   * @returns One for each node, the same frozen array every time.
   * @throws {NumaError} `EDESTROYED`.
   */
  partitions(): readonly NodeArrayPart<Type>[] {
    this.#check("list the parts of an array over nodes");
    return this.#parts;
  }

  /**
   * The part on the node this thread runs on now; where that has none, the part on the nearest node.
   *
   * Cost: no system call, nothing is allocated.
   *
   * @returns The part; it may be empty.
   * @throws {NumaError} `EDESTROYED`.
   */
  local(): NodeArrayPart<Type> {
    this.#check("find the nearest part of an array over nodes");
    return this.#parts[this.#nearest.index()] as NodeArrayPart<Type>;
  }

  /**
   * Sets every element.
   *
   * @param value As for {@linkcode set}.
   * @throws {NumaError} `EINVAL`; `EDESTROYED`.
   */
  fill(value: NodeArrayElement<Type>): void {
    this.#check("fill an array over nodes");
    if (!this.#takes(value)) this.#refuseValue(value);
    for (const view of this.#views) view.fill(value);
  }

  /**
   * Copies elements in, block by block.
   *
   * @param source A typed array of numbers, or of bigints for the types that begin with "big".
   * @param start The index of the first one. Default: 0.
   * @throws {NumaError} `EINVAL` when they are of the other kind or too many; `EDESTROYED`.
   */
  copyFrom(source: NodeArrayElementViews[NodeArrayElementType], start: number = 0): void {
    const action = "copy into an array over nodes";
    this.#check(action);
    const isView = ArrayBuffer.isView(source) && !(source instanceof DataView);
    const isBig = source instanceof BigInt64Array || source instanceof BigUint64Array;
    if (!isView || isBig !== this.#isBig) {
      throw new NumaError("EINVAL", action, {
        why: `the source is ${show(source)}`,
        fix: `Give a typed array of ${this.#isBig ? "bigint" : "number"}s.`,
      });
    }
    const from = source as unknown as View;
    checkInteger(from.length, "the source's length", 0, this.length, action);
    checkInteger(start, "start", 0, this.length - from.length, action);
    this.#eachRun(start, start + from.length, (view, offset, index, count) => {
      view.set(from.subarray(index - start, index - start + count), offset);
    });
  }

  /**
   * Copies all elements out, block by block.
   *
   * @returns An ordinary typed array of them.
   * @throws {NumaError} `EDESTROYED`; `ENOMEM` when the runtime cannot make one of that length.
   */
  toTypedArray(): NodeArrayElementViews[Type] {
    const action = "copy an array over nodes";
    this.#check(action);
    const copy = this.#allocate(action);
    const into = copy as unknown as View;
    this.#eachRun(0, this.length, (view, offset, index, count) => {
      into.set(view.subarray(offset, offset + count), index);
    });
    return copy;
  }

  /**
   * Asks the kernel where the pages of the parts are now.
   *
   * @returns For each node of the array, where the pages of its part are.
   * @throws {NumaError} `EDESTROYED`, `EPERM`.
   */
  residency(): ReadonlyMap<number, Residency> {
    return new Map(this.#arenas.map((arena) => [arena.node, arena.residency()]));
  }

  /** Whether `destroy` was called in this thread, or a buffer of the array was transferred away. */
  get destroyed(): boolean {
    return this.#arenas.some(({ destroyed }) => destroyed);
  }

  /** Ends this thread's use of the array. Calling it twice has no further effect. */
  destroy(): void {
    // Somebody may keep the views of the parts from becoming empty; get() and set() are over all the same.
    const none = new this.#View(0) as unknown as View;
    this.#views = this.#views.map(() => none);
    destroyArenas(this.#arenas);
  }

  /** {@linkcode destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /**
   * Returns a handle for another thread, to be sent by other means than `launch`. There,
   * {@linkcode NodeArray.fromHandle} returns the live array, as long as some thread still holds it.
   *
   * @returns The handle, as plain data.
   * @throws {NumaError} `EDESTROYED`.
   */
  toHandle(): Handle {
    this.#check("send an array over nodes to another thread");
    const parts = this.#arenas.map((arena) => arena.toHandle());
    const { type, length, block } = this;
    return { numakitHandle: NodeArray.#kind, data: { parts, type, length, block } };
  }

  /**
   * Returns the live array of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode toHandle}, made in any thread of this process.
   * @returns The array.
   * @throws {NumaError} `ESTALE` if all threads have released it; `EINVAL` if it is not such a handle.
   */
  static fromHandle(handle: Handle): NodeArray {
    const action = "attach an array over nodes";
    const { parts, ...rest } = handleData(handle, KIND, action);
    const facts = { type: rest.type, length: rest.length, block: rest.block } as ArrayFacts;
    const { BYTES_PER_ELEMENT } = viewConstructor(facts.type, action);
    const count = Array.isArray(parts) ? parts.length : 0;
    const partition = new Partition(facts.length, count, facts.block, action);
    const arenas = attachArenas(parts, action);
    for (const [part, arena] of arenas.entries()) {
      checkRoom(arena, partition.lengthOf(part) * BYTES_PER_ELEMENT, action);
      if (isPart(arenas, part, facts)) continue;
      throw new NumaError("EINVAL", action, {
        why: `the memory on node ${arena.node} is not part ${part} of such an array`,
        fix: "Give what toHandle() returned.",
      });
    }
    return NodeArray.#live.get(arenas[0] as Arena) ?? new NodeArray(arenas, facts.type, partition);
  }

  /** Returns a short text for logs. */
  toString(): string {
    const state = this.destroyed ? ", destroyed" : "";
    return `NodeArray(${this.length} ${this.type} on nodes ${this.nodes.join(", ")}${state})`;
  }

  /** Goes through a range of indices by runs that lie together: whole blocks, or what is in the range of them. */
  #eachRun(
    start: number,
    end: number,
    visit: (view: View, offset: number, index: number, count: number) => void,
  ): void {
    const { parts, block: size } = this.#partition;
    for (let index = start; index < end;) {
      const block = this.#partition.blockOf(index);
      const count = Math.min((block + 1) * size, end) - index;
      visit(
        this.#views[block % parts] as View,
        this.#partition.offsetIn(index, block),
        index,
        count,
      );
      index += count;
    }
  }

  #takes(value: unknown): boolean {
    return this.#isBig ? typeof value === "bigint" : typeof value === "number";
  }

  #allocate(action: string): NodeArrayElementViews[Type] {
    try {
      return new this.#View(this.length);
    } catch (cause) {
      throw new NumaError("ENOMEM", action, {
        why: `the runtime makes no typed array of ${this.length} elements`,
        fix: "Copy the parts one by one.",
        cause,
      });
    }
  }

  #checkIndex(index: number): void {
    checkInteger(index, "the index", 0, this.length - 1, "find an element of an array over nodes");
  }

  #check(action: string): void {
    if (this.destroyed) refuseDestroyed(action);
  }

  #refuse(index: unknown): never {
    const action = `reach element ${show(index)} of an array over nodes`;
    checkInteger(index, "the index", 0, this.length - 1, action);
    this.#check(action);
    throw new NumaError("EDESTROYED", action, { why: "a buffer of it was transferred away" });
  }

  #refuseValue(value: unknown): never {
    throw new NumaError("EINVAL", "write an element of an array over nodes", {
      why: `the value is ${show(value)}`,
      fix: `Give a ${this.#isBig ? "bigint" : "number"}: its elements are ${this.type}.`,
    });
  }
}
