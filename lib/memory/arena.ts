import { type ByteSize, formatBytes, parseBytes } from "../runtime/bytes.ts";
import { checkInteger, show } from "../runtime/check.ts";
import { NumaError } from "../runtime/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../runtime/handle.ts";
import { showAs } from "../runtime/inspect.ts";
import { threadSelf } from "../runtime/thread.ts";
import {
  GRANULE_BYTES,
  GRANULE_SHIFT,
  HEADER_WORDS,
  MAX_DATA_BYTES,
  OWNER,
  TOP,
} from "./layout.ts";
import { checkSize, Mapping, type Residency } from "./mapping.ts";
import { checkPages, pageFormat, type PageKind } from "./pages.ts";

/** What {@linkcode Arena.create} makes. */
export interface ArenaOptions {
  /** The node whose memory it is. */
  readonly node: number;
  /** Bytes, or a text such as `"1 MiB"`; rounded up to whole pages. */
  readonly size: ByteSize;
  /** The pages, or kinds of pages to try in order. `"4k"` unless given. */
  readonly pages?: PageKind | readonly PageKind[];
}

/** A point in an arena's life to go back to: what {@linkcode Arena.mark} gave. */
export type ArenaMark = number & { readonly arenaMark: unique symbol };

type TypedArrayConstructor<View> = {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): View;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
};

const KIND = "arena";

function checkLength(length: number, name: string): number {
  return checkInteger(
    length,
    "length",
    1,
    2 ** 32,
    `allocate a ${name} of ${show(length)} elements`,
  );
}

/**
 * Memory on one NUMA node, given out front to back and taken back all at once.
 *
 * It is where it was asked for, page by page, or `create` throws: bound to the node, populated, and verified with the
 * kernel. `alloc` is a few loads and a store: no system call, no lock, no garbage.
 *
 * An arena passed in `args` of `launch` arrives alive in the worker. One thread at a time allocates from it: the
 * first to do so, until it says {@linkcode unclaim} or ends. All threads may use the bytes.
 *
 * `destroy` (or `using`) ends this thread's use: its views become empty, whichever code holds them. The memory goes
 * back to the system when the last thread has let go of it.
 *
 * @example
 * ```ts
 * import { Arena } from "@numakit/numakit";
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB" });
 * const prices = arena.allocFloat64(1024);
 * prices.fill(1.5);
 * console.log(arena.used, arena.residency().nodes); // 8192 Map(1) { 0 => 256 }
 * ```
 */
export class Arena implements Shareable {
  /** The node it is on. */
  readonly node: number;
  /** The pages it got: the first kind of those asked for that could be had. */
  readonly pages: PageKind;
  /** Bytes that can be allocated in all. */
  readonly capacity: number;
  /** One live arena a mapping and thread, so that a handle that comes twice gives the same object. */
  static readonly #live: WeakMap<Mapping, Arena> = new WeakMap();

  readonly #mapping: Mapping;
  readonly #header: Uint32Array;
  readonly #granules: number;
  readonly #owner: number;
  /** Whether this thread allocates here. Only its own unclaim() changes that, so no shared word has to be asked. */
  #claimed = false;
  /** The header's bump pointer while claimed: reading it here is cheaper, and nobody else writes it. */
  #top = 0;

  private constructor(mapping: Mapping, node: number, pages: PageKind) {
    this.#mapping = mapping;
    this.#header = new Uint32Array(mapping.buffer, 0, HEADER_WORDS);
    this.#granules = mapping.dataBytes / GRANULE_BYTES;
    this.#owner = threadSelf().slot + 1;
    this.capacity = mapping.dataBytes;
    this.node = node;
    this.pages = pages;
    Arena.#live.set(mapping, this);
  }

  /**
   * Makes an arena on a node, strictly: all of its pages are there when this returns.
   *
   * Cost: what populating takes, about 0.2 s a GiB with small pages.
   *
   * @param options Node, size and pages.
   * @returns The arena.
   * @throws {NumaError} `ENODEV` no such node, or one without memory; `ENOMEM` not enough memory or hugepages there;
   * `ENOTSUP` no such pages on this system; `EACCES` not in the cpuset; `EPERM` memory policy forbidden; `ESTRICT`
   * the kernel put a page elsewhere; `EINVAL` a bad argument.
   */
  static create(options: ArenaOptions): Arena {
    const bad = "create an arena";
    if (typeof options !== "object" || options === null) {
      throw new NumaError("EINVAL", bad, {
        why: `the options are ${show(options)}`,
        fix: 'Give { node: 0, size: "1 MiB" }.',
      });
    }
    const { node, size, pages = "4k" } = options;
    checkInteger(node, "node", 0, 1023, bad);
    const bytes = parseBytes(size, bad);
    const failures: NumaError[] = [];
    for (const kind of checkPages(pages, bad)) {
      try {
        return Arena.#createWith(node, bytes, kind);
      } catch (error) {
        const missing = error instanceof NumaError &&
          (error.code === "ENOMEM" || error.code === "ENOTSUP");
        if (!missing) throw error;
        failures.push(error);
      }
    }
    // With a list the first failure is the news: it is about the pages that were wanted most.
    throw failures[0];
  }

  static #createWith(node: number, bytes: number, kind: PageKind): Arena {
    const format = pageFormat(kind);
    const dataBytes = Math.ceil(bytes / format.pageBytes) * format.pageBytes;
    const action = `create an arena of ${formatBytes(dataBytes)} in ${kind} pages on node ${node}`;
    checkSize(dataBytes, action);
    return new Arena(Mapping.create({ node, format, dataBytes, action }), node, kind);
  }

  /**
   * Takes bytes.
   *
   * Cost: O(1), no system call, no allocation. The bytes are zero the first time they are given out, and whatever
   * was there before after `reset` or `rewind`.
   *
   * @param size Bytes, from 1 to 2^32 - 1 (`allocAligned` takes more); rounded up to 16.
   * @returns Their offset in {@linkcode bytes}, a multiple of 16.
   * @throws {NumaError} `ENOMEM` when fewer bytes remain; `EBUSY` when another thread allocates here; `EINVAL`;
   * `EDESTROYED`.
   */
  alloc(size: number): number {
    if (typeof size !== "number" || size >>> 0 !== size || size === 0) {
      return this.#refuse(size, 16);
    }
    const header = this.#header;
    // An empty header is a destroyed arena's: claim() tells.
    if (!this.#claimed || header.length === 0) this.claim();
    const top = this.#top;
    const next = top + ((size - 1) >>> GRANULE_SHIFT) + 1;
    if (next > this.#granules) return this.#refuse(size, 16);
    this.#top = next;
    header[TOP] = next;
    return top * GRANULE_BYTES;
  }

  /**
   * Takes bytes at a multiple of an alignment.
   *
   * @param size Bytes, from 1 to what remains.
   * @param alignment A power of two from 16 to the page size of the arena.
   * @returns Their offset in {@linkcode bytes}, a multiple of the alignment.
   * @throws {NumaError} As `alloc`.
   */
  allocAligned(size: number, alignment: number): number {
    const action = `allocate ${show(size)} bytes aligned to ${show(alignment)}`;
    this.#check(action);
    checkInteger(size, "size", 1, MAX_DATA_BYTES, action);
    const { pageBytes } = pageFormat(this.pages);
    checkInteger(alignment, "alignment", GRANULE_BYTES, pageBytes, action);
    if ((alignment & (alignment - 1)) !== 0) {
      throw new NumaError("EINVAL", action, {
        why: `alignment is ${alignment}`,
        fix: "Give a power of two.",
      });
    }
    this.claim();
    const unit = alignment / GRANULE_BYTES;
    const top = Math.ceil(this.#top / unit) * unit;
    const next = top + Math.ceil(size / GRANULE_BYTES);
    if (next > this.#granules) return this.#refuse(size, alignment);
    this.#setTop(next);
    return top * GRANULE_BYTES;
  }

  /** Takes room for `length` signed 8-bit numbers. Throws as {@linkcode alloc}; so do all below. */
  allocInt8(length: number): Int8Array<ArrayBuffer> {
    return this.#allocView(Int8Array, length);
  }

  /** Takes room for `length` bytes. */
  allocUint8(length: number): Uint8Array<ArrayBuffer> {
    return this.#allocView(Uint8Array, length);
  }

  /** Takes room for `length` signed 16-bit numbers. */
  allocInt16(length: number): Int16Array<ArrayBuffer> {
    return this.#allocView(Int16Array, length);
  }

  /** Takes room for `length` unsigned 16-bit numbers. */
  allocUint16(length: number): Uint16Array<ArrayBuffer> {
    return this.#allocView(Uint16Array, length);
  }

  /** Takes room for `length` signed 32-bit numbers. */
  allocInt32(length: number): Int32Array<ArrayBuffer> {
    return this.#allocView(Int32Array, length);
  }

  /** Takes room for `length` unsigned 32-bit numbers. */
  allocUint32(length: number): Uint32Array<ArrayBuffer> {
    return this.#allocView(Uint32Array, length);
  }

  /** Takes room for `length` 32-bit floats. */
  allocFloat32(length: number): Float32Array<ArrayBuffer> {
    return this.#allocView(Float32Array, length);
  }

  /** Takes room for `length` 64-bit floats. */
  allocFloat64(length: number): Float64Array<ArrayBuffer> {
    return this.#allocView(Float64Array, length);
  }

  /** Takes room for `length` signed 64-bit numbers. */
  allocBigInt64(length: number): BigInt64Array<ArrayBuffer> {
    return this.#allocView(BigInt64Array, length);
  }

  /** Takes room for `length` unsigned 64-bit numbers. */
  allocBigUint64(length: number): BigUint64Array<ArrayBuffer> {
    return this.#allocView(BigUint64Array, length);
  }

  /**
   * All of the arena's bytes, allocated or not: `bytes.subarray(offset, offset + size)` is what `alloc` gave.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#check("view an arena");
    const { buffer, headerBytes, dataBytes } = this.#mapping;
    return new Uint8Array(buffer, headerBytes, dataBytes);
  }

  /** Bytes given out, with what rounding and alignment took. */
  get used(): number {
    this.#check("measure an arena");
    return Atomics.load(this.#header, TOP) * GRANULE_BYTES;
  }

  /** Bytes left. */
  get remaining(): number {
    return this.capacity - this.used;
  }

  /** Whether `destroy` was called in this thread. */
  get destroyed(): boolean {
    return this.#mapping.released;
  }

  /**
   * Remembers how much is allocated now.
   *
   * @returns A mark for {@linkcode rewind}.
   */
  mark(): ArenaMark {
    return this.used as ArenaMark;
  }

  /**
   * Takes back everything that was allocated since a mark. Views of it stay valid memory and will overlap with what
   * is allocated next.
   *
   * @param mark What {@linkcode mark} gave.
   * @throws {NumaError} `EINVAL` a mark beyond what is allocated; `EBUSY`; `EDESTROYED`.
   */
  rewind(mark: ArenaMark): void {
    const action = "rewind an arena";
    this.#check(action);
    this.claim();
    checkInteger(mark, "the mark", 0, this.#top * GRANULE_BYTES, action);
    this.#setTop(Math.floor(mark / GRANULE_BYTES));
  }

  /** Takes everything back: `rewind` to the beginning. */
  reset(): void {
    this.rewind(0 as ArenaMark);
  }

  /**
   * Becomes the thread that allocates here. `alloc` does it by itself; this says so early.
   *
   * @throws {NumaError} `EBUSY` while another thread is; `EDESTROYED`.
   */
  claim(): void {
    this.#check("allocate from an arena");
    if (this.#claimed) return;
    const owner = Atomics.compareExchange(this.#header, OWNER, 0, this.#owner);
    if (owner === 0 || owner === this.#owner) {
      this.#claimed = true;
      this.#top = Atomics.load(this.#header, TOP);
      return;
    }
    throw new NumaError("EBUSY", `allocate from an arena on node ${this.node}`, {
      why: `the thread in slot ${owner - 1} allocates from it`,
      fix: "Call unclaim() there, or give each thread an arena of its own.",
      node: this.node,
    });
  }

  /**
   * Lets another thread allocate here. Nothing happens when this thread does not.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  unclaim(): void {
    this.#check("unclaim an arena");
    this.#claimed = false;
    Atomics.compareExchange(this.#header, OWNER, this.#owner, 0);
  }

  /**
   * Asks the kernel where the pages are, now.
   *
   * Cost: one system call per 1024 pages.
   *
   * @returns Pages by node.
   * @throws {NumaError} `EDESTROYED`, `EPERM`.
   */
  residency(): Residency {
    const action = `ask where an arena on node ${this.node} is`;
    this.#check(action);
    return this.#mapping.residency(action);
  }

  /** Ends this thread's use of the arena. Calling it twice is no fault. */
  destroy(): void {
    this.#claimed = false;
    this.#mapping.release();
  }

  /** {@linkcode destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /**
   * A description to send to another thread by other means than `launch`; {@linkcode Arena.fromHandle} there gives
   * the live arena, as long as some thread still holds it.
   *
   * @returns Plain data.
   * @throws {NumaError} `EDESTROYED`.
   */
  toHandle(): Handle {
    this.#check("send an arena to another thread");
    const { identity } = this.#mapping;
    return { numakitHandle: KIND, data: { identity, node: this.node, pages: this.pages } };
  }

  /** Short text for logs. */
  toString(): string {
    const state = this.destroyed ? "destroyed" : `${formatBytes(this.used)} used`;
    return `Arena(node ${this.node}, ${formatBytes(this.capacity)}, ${this.pages} pages, ${state})`;
  }

  #allocView<View>(constructor: TypedArrayConstructor<View>, length: number): View {
    const offset = this.alloc(
      checkLength(length, constructor.name) * constructor.BYTES_PER_ELEMENT,
    );
    return new constructor(this.#mapping.buffer, this.#mapping.headerBytes + offset, length);
  }

  #setTop(top: number): void {
    this.#top = top;
    this.#header[TOP] = top;
  }

  #check(action: string): void {
    if (!this.#mapping.released) return;
    throw new NumaError("EDESTROYED", action, {
      why: "it was destroyed in this thread, or its buffer was transferred away",
      fix: "Make a new one, or destroy it later.",
      node: this.node,
    });
  }

  #refuse(size: number, alignment: number): never {
    const action = `allocate ${show(size)} bytes from an arena on node ${this.node}`;
    this.#check(action);
    checkInteger(size, "size", 1, alignment > GRANULE_BYTES ? MAX_DATA_BYTES : 2 ** 32 - 1, action);
    throw new NumaError("ENOMEM", action, {
      why: `${this.remaining} of ${this.capacity} bytes remain` +
        (alignment > GRANULE_BYTES ? `, aligned to ${alignment}` : ""),
      fix: "Create a larger arena, or reset() this one.",
      node: this.node,
    });
  }

  /**
   * The live arena of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode toHandle} gave in any thread of this process.
   * @returns The arena.
   * @throws {NumaError} `ESTALE` when all threads have let go of it; `EINVAL` for anything else than a handle.
   */
  static fromHandle(handle: Handle): Arena {
    const action = "attach an arena";
    const { identity, node, pages } = handleData(handle, KIND, action);
    checkInteger(identity, "the handle's identity", 1, Number.MAX_SAFE_INTEGER, action);
    checkInteger(node, "the handle's node", 0, 1023, action);
    const [kind] = checkPages(pages as PageKind, action);
    const mapping = Mapping.attach(identity as number, action);
    return Arena.#live.get(mapping) ?? new Arena(mapping, node as number, kind as PageKind);
  }

  static {
    registerKind(KIND, Arena, Arena.fromHandle);
    showAs(Arena, String);
  }
}
