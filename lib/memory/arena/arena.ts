import { type ByteSize, formatBytes, parseBytes } from "../../base/bytes.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { threadSelf } from "../../runtime/thread.ts";
import {
  GRANULE_BYTES,
  GRANULE_SHIFT,
  HEADER_WORDS,
  MAX_DATA_BYTES,
  OWNER,
  TOP,
} from "../mapping/layout.ts";
import { currentNode } from "../../topology/current.ts";
import { topology } from "../../topology/load.ts";
import { Mapping, type Residency } from "../mapping/mapping.ts";
import { refuseDestroyed, refuseOther } from "./refusals.ts";
import { ARENA_KIND, arenas } from "./identity.ts";
import { memoryNodes, nearestNode } from "./memory_nodes.ts";
import {
  type ArenaOptions,
  checkArenaOptions,
  checkName,
  type LocalArenaOptions,
} from "./options.ts";
import { firstOfKinds, type PageKind } from "../mapping/pages.ts";
import { TypedAllocator } from "./typed_allocator.ts";

/** A position in an arena to return to, from {@linkcode Arena.mark}. */
export type ArenaMark = number & { readonly arenaMark: unique symbol };

const LOCAL: LocalArenaOptions = { size: "1 MiB", reserve: "1 GiB", label: "local arena" };

// V8 asks for an imported constant each time.
const BYTES = GRANULE_BYTES;
const SHIFT = GRANULE_SHIFT;
const TOP_AT = TOP;
const MAX_INTEGER = 2 ** 31 - 1;

/** This thread's own arenas, by the node it runs on and by the one they are on. */
const locals = /* @__PURE__ */ new Map<number, Arena>();

/**
 * Memory on one NUMA node, allocated from front to back and freed all at once.
 *
 * Every page of it is on the node it was asked for, or `create` throws: the memory is bound to the node, populated, and
 * verified with the kernel. `alloc` is a few loads and a store: no system call, no lock, no garbage.
 *
 * An arena passed in `args` of `launch` arrives as a live object in the worker. One thread at a time allocates from it:
 * the first to do so, until it calls {@linkcode unclaim} or ends. All threads may use the bytes.
 *
 * `destroy` (or `using`) ends this thread's use: its views become empty, whichever code holds them. The memory returns
 * to the system when the last thread has released it. The garbage collector never frees an arena: one that is never
 * destroyed keeps its memory until the thread ends, and `NUMAKIT_DEBUG=1` reports it.
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
export class Arena extends TypedAllocator implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    ARENA_KIND,
    /* @__PURE__ */ showAs(Arena, String),
    (handle) => Arena.fromHandle(handle),
  );
  /** The node of its memory. */
  readonly node: number;
  /** The kind of its pages: the first of those asked for that was available. */
  readonly pages: PageKind;
  /** Bytes that can be allocated in all, once it has grown to what it reserved. */
  readonly capacity: number;
  /** Whether its pages are locked. */
  readonly locked: boolean;
  /** Its name in reports. */
  readonly label: string;
  /** One live arena a mapping and thread, so that a handle that comes twice gives the same object. */
  static readonly #live: WeakMap<Mapping, Arena> = /* @__PURE__ */ new WeakMap();

  readonly #mapping: Mapping;
  readonly #header: Uint32Array;
  readonly #owner: number;
  /** Whether this thread allocates here. Only its own unclaim() changes that, so no shared word has to be asked. */
  #claimed = false;
  /** The header's bump pointer while claimed: reading it here is cheaper, and nobody else writes it. */
  #top = 0;
  /** Bytes that have pages while claimed: nobody else grows or trims. */
  #committed = 0;
  /** The granule at which `alloc` has to think: where the pages end, or the window, or 31 bits; 0 while not claimed. */
  #limit = 0;

  private constructor(mapping: Mapping) {
    super();
    this.#mapping = mapping;
    this.#header = new Uint32Array(mapping.buffer, 0, HEADER_WORDS);
    this.#owner = threadSelf().slot + 1;
    this.capacity = mapping.dataBytes;
    this.node = mapping.node;
    this.pages = mapping.pages;
    this.locked = mapping.locked;
    this.label = mapping.label;
    Arena.#live.set(mapping, this);
    arenas.add(this);
  }

  /**
   * Creates an arena strictly on a node: all of its pages are there when this returns.
   *
   * Cost: populating takes about 0.2 s for each GiB with small pages.
   *
   * @param options Node, size and pages.
   * @returns The arena.
   * @throws {NumaError} `ENODEV` no such node, or one without memory; `ENOMEM` not enough memory or hugepages there;
   * `ENOTSUP` no such pages on this system, or no `/proc` or folder for a name; `EACCES` not in the cpuset, or a folder
   * of names that is another user's; `EBUSY` the name is taken; `EPERM` memory policy forbidden; `ESTRICT` the kernel
   * put a page elsewhere; `EINVAL` a bad argument.
   */
  static create(options: ArenaOptions): Arena {
    const { kinds, ...rest } = checkArenaOptions(options);
    const size = formatBytes(rest.committedBytes);
    return firstOfKinds(kinds, (pages) => {
      const action = `create an arena of ${size} in ${pages} pages on node ${rest.node}`;
      return new Arena(Mapping.create({ ...rest, pages }, action));
    });
  }

  /**
   * Returns this thread's own arena on the node it runs on now. If that node has no memory that this process may use,
   * the arena is on the nearest node that has. It is created on first use, and freed when the thread ends. By default
   * it starts with 1 MiB and grows to 1 GiB; the options of the first call can change that.
   *
   * Cost: about that of `currentNode()`, once the arena exists.
   *
   * @param options Size, reserve, pages and lock, which are used only when the arena is created.
   * @returns The same arena for every call on that node in this thread, until it is destroyed. Its `node` says where it
   * is.
   * @throws {NumaError} As `create`.
   *
   * @example
   * ```ts
   * import { Arena, currentNode } from "@numakit/numakit";
   *
   * const scratch = Arena.local().allocFloat64(1000);
   * console.log(scratch.length, Arena.local().node === currentNode()); // 1000 true
   * ```
   */
  static local(options: LocalArenaOptions = LOCAL): Arena {
    const here = currentNode();
    const known = locals.get(here);
    if (known !== undefined && !known.destroyed) return known;
    const node = nearestNode(topology(), here, memoryNodes()) ?? here;
    let arena = locals.get(node);
    if (arena === undefined || arena.destroyed) {
      const given = options === LOCAL ? LOCAL : { ...LOCAL, ...options };
      arena = Arena.create({ ...given, node } as ArenaOptions);
      locals.set(node, arena);
    }
    locals.set(here, arena);
    return arena;
  }

  /**
   * Allocates bytes.
   *
   * Cost: O(1). No system call and no garbage unless the arena has to grow; slower beyond its first 32 GiB.
   *
   * The bytes are zero the first time they are given out. After `reset` or `rewind` they contain what was there before.
   *
   * @param size Bytes, from 1 to what remains, as for `allocAligned`; rounded up to 16.
   * @returns Their offset in {@linkcode bytes}, a multiple of 16.
   * @throws {NumaError} `ENOMEM` when fewer bytes remain, or it cannot grow; `EBUSY` when another thread allocates
   * here; `EINVAL`; `EDESTROYED`.
   */
  alloc(size: number): number {
    const top = this.#top;
    const header = this.#header;
    // In integers of 31 bits, which engines keep as such. A destroyed arena's header is empty.
    if (typeof size === "number" && size > 0 && (size | 0) === size && header.length > 0) {
      const next = top + ((size - 1) >> SHIFT) + 1;
      if (next <= this.#limit) {
        this.#top = next;
        header[TOP_AT] = next;
        return top * BYTES;
      }
    }
    return this.allocAligned(size, GRANULE_BYTES);
  }

  /**
   * Allocates bytes at a multiple of an alignment.
   *
   * @param size Bytes, from 1 to what remains; on Bun and Node 20 at most 3 GiB, which is what one ArrayBuffer shows.
   * @param alignment A power of two from 16 to the page size of the arena.
   * @returns Their offset in {@linkcode bytes}, a multiple of the alignment.
   * @throws {NumaError} As `alloc`.
   */
  allocAligned(size: number, alignment: number): number {
    const action = `allocate ${show(size)} bytes aligned to ${show(alignment)}`;
    this.#check(action);
    checkInteger(size, "size", 1, MAX_DATA_BYTES, action);
    checkInteger(alignment, "alignment", GRANULE_BYTES, this.#mapping.pageBytes, action);
    if ((alignment & (alignment - 1)) !== 0) {
      throw new NumaError("EINVAL", action, {
        why: `alignment is ${alignment}`,
        fix: "Give a power of two.",
      });
    }
    this.claim();
    const offset = this.#place(size, alignment, action);
    if (offset + size > this.#committed) {
      this.#committed = this.#mapping.grow(offset + size, action);
    }
    this.#setTop(Math.ceil((offset + size) / GRANULE_BYTES));
    return offset;
  }

  /**
   * All of the arena's bytes that have pages, allocated or not: `bytes.subarray(offset, offset + size)` is what `alloc`
   * gave. An arena that grew has more of them the next time.
   *
   * @throws {NumaError} `EDESTROYED`; `EINVAL` for an arena that no single ArrayBuffer can show (see `view`).
   */
  get bytes(): Uint8Array<ArrayBuffer> {
    this.#check("view an arena");
    return this.view(0, this.committed);
  }

  /**
   * Some of the arena's bytes: what `alloc(size)` gave is at `view(offset, size)`, even in arenas of more than one
   * window (over 3 GiB, on Bun and Node 20).
   *
   * @param offset The first byte.
   * @param size Bytes.
   * @throws {NumaError} `EINVAL` outside of the arena, or in two windows; `EDESTROYED`.
   */
  view(offset: number, size: number): Uint8Array<ArrayBuffer> {
    const action = "view an arena";
    this.#check(action);
    checkInteger(offset, "offset", 0, this.capacity, action);
    checkInteger(size, "size", 0, this.capacity - offset, action);
    const { windowBytes } = this.#mapping;
    if ((offset % windowBytes) + size > windowBytes) {
      throw new NumaError("EINVAL", action, {
        why: `an ArrayBuffer of this runtime shows at most ${formatBytes(windowBytes)} of it`,
        fix: "View what alloc() gave: it is never in two windows.",
      });
    }
    const { buffer, byteOffset } = this.#mapping.window(offset);
    return new Uint8Array(buffer, byteOffset, size);
  }

  /** Bytes given out, with what rounding and alignment took. */
  get used(): number {
    this.#check("measure an arena");
    return Atomics.load(this.#header, TOP) * GRANULE_BYTES;
  }

  /** Bytes left, including those that it can grow by. */
  get remaining(): number {
    return this.capacity - this.used;
  }

  /** Bytes that have pages now. */
  get committed(): number {
    this.#check("measure an arena");
    return this.#claimed ? this.#committed : this.#mapping.committedBytes;
  }

  /**
   * Commits more of the reserved memory before it is needed. `alloc` does this by itself, in steps that double.
   *
   * Cost: populating takes about 0.2 s for each GiB with small pages.
   *
   * @param size Bytes to grow by, rounded up to whole pages.
   * @returns Bytes that have pages now.
   * @throws {NumaError} As `create`, and the arena is unchanged; `ENOMEM` beyond what was reserved; `EBUSY` when another
   * thread allocates here; `EDESTROYED`.
   */
  grow(size: ByteSize): number {
    const action = `grow an arena on node ${this.node}`;
    this.#check(action);
    this.claim();
    this.#committed = this.#mapping.commit(this.#committed + parseBytes(size, action), action);
    this.#setTop(this.#top);
    return this.#committed;
  }

  /**
   * Returns the pages behind the allocated part to the system, and hugepages to their pool. `alloc` and `grow` commit
   * pages again when they need them.
   *
   * @returns Bytes given back: whole pages, nothing of what is allocated.
   * @throws {NumaError} `EBUSY` when another thread allocates here; `EDESTROYED`.
   */
  trim(): number {
    const action = `trim an arena on node ${this.node}`;
    this.#check(action);
    this.claim();
    const before = this.#committed;
    if (this.#top * GRANULE_BYTES < before) {
      this.#committed = this.#mapping.commit(this.#top * GRANULE_BYTES, action);
      this.#setTop(this.#top);
    }
    return before - this.#committed;
  }

  /** Whether `destroy` was called in this thread, or a buffer of the arena was transferred away. */
  get destroyed(): boolean {
    return this.#mapping.released;
  }

  /**
   * Returns a mark of how much is allocated now.
   *
   * @returns A mark for {@linkcode rewind}.
   */
  mark(): ArenaMark {
    return this.used as ArenaMark;
  }

  /**
   * Frees everything that was allocated since a mark. Views of it stay valid, and will overlap with what is allocated
   * next.
   *
   * @param mark A mark from {@linkcode mark}.
   * @throws {NumaError} `EINVAL` a mark beyond what is allocated; `EBUSY`; `EDESTROYED`.
   */
  rewind(mark: ArenaMark): void {
    const action = "rewind an arena";
    this.#check(action);
    this.claim();
    checkInteger(mark, "the mark", 0, this.#top * GRANULE_BYTES, action);
    this.#setTop(Math.floor(mark / GRANULE_BYTES));
  }

  /** Frees everything, as `rewind` to the beginning. */
  reset(): void {
    this.rewind(0 as ArenaMark);
  }

  /**
   * Makes this thread the one that allocates here. `alloc` does this by itself.
   *
   * @throws {NumaError} `EBUSY` while another thread is; `EDESTROYED`.
   */
  claim(): void {
    this.#check("allocate from an arena");
    if (this.#claimed) return;
    const action = `allocate from an arena on node ${this.node}`;
    const isShared = this.#mapping.shared;
    const owner = isShared
      ? this.#mapping.claim(action)
      : Atomics.compareExchange(this.#header, OWNER, 0, this.#owner);
    if (owner === 0 || (!isShared && owner === this.#owner)) {
      this.#claimed = true;
      this.#committed = this.#mapping.committedBytes;
      this.#setTop(Atomics.load(this.#header, TOP));
      return;
    }
    refuseOther(action, isShared ? `with id ${owner}` : `in slot ${owner - 1}`, this.node);
  }

  /**
   * Lets another thread allocate here. Does nothing if this thread is not the one that allocates.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  unclaim(): void {
    this.#check("unclaim an arena");
    this.#claimed = false;
    this.#limit = 0;
    if (this.#mapping.shared) this.#mapping.unclaim();
    else Atomics.compareExchange(this.#header, OWNER, this.#owner, 0);
  }

  /**
   * Asks the kernel where the pages are now.
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

  /**
   * Ends this thread's use of the arena. Calling it twice has no further effect. On Bun, a view that native code is using
   * becomes empty later.
   *
   * Locks that the thread holds in it pass to the waiters as if the thread had died: a `Mutex` with `ownerDied`, for
   * instance. Promises of waits in it reject with `EDESTROYED`.
   */
  destroy(): void {
    this.#claimed = false;
    this.#limit = 0;
    this.#mapping.release();
  }

  /** {@linkcode destroy}, for `using`. */
  [Symbol.dispose](): void {
    this.destroy();
  }

  /**
   * Returns a handle for another thread, to be sent by other means than `launch`. There, {@linkcode Arena.fromHandle}
   * returns the live arena, as long as some thread still holds it.
   *
   * @returns The handle, as plain data.
   * @throws {NumaError} `EDESTROYED`.
   */
  toHandle(): Handle {
    this.#check("send an arena to another thread");
    return { numakitHandle: Arena.#kind, data: { identity: this.#mapping.identity } };
  }

  /** Returns a short text for logs. */
  override toString(): string {
    const state = this.destroyed ? "destroyed" : `${formatBytes(this.used)} used`;
    return `Arena(node ${this.node}, ${formatBytes(this.capacity)}, ${this.pages} pages, ${state})`;
  }

  /** Where the typed arrays of {@linkcode TypedAllocator} begin. */
  protected override place(size: number): { buffer: ArrayBuffer; byteOffset: number } {
    return this.#mapping.window(this.alloc(size));
  }

  #setTop(top: number): void {
    const { windowBytes } = this.#mapping;
    const windowEnd = (Math.floor(top * GRANULE_BYTES / windowBytes) + 1) * windowBytes;
    this.#top = top > MAX_INTEGER ? top : top | 0;
    this.#header[TOP] = top;
    this.#limit = Math.min(this.#committed / BYTES, windowEnd / BYTES, MAX_INTEGER) | 0;
  }

  #check(action: string): void {
    if (this.#mapping.released) refuseDestroyed(action, this.node);
  }

  /** Where the next `size` bytes fit, which may be a window further on. */
  #place(size: number, alignment: number, action: string): number {
    const { windowBytes } = this.#mapping;
    const top = this.#top * GRANULE_BYTES;
    const aligned = Math.ceil(top / alignment) * alignment;
    const fits = (aligned % windowBytes) + size <= windowBytes;
    const offset = fits ? aligned : Math.ceil(aligned / windowBytes) * windowBytes;
    if (size <= windowBytes && offset + size <= this.capacity) return offset;
    this.#mapping.exhausted(size);
    throw new NumaError("ENOMEM", action, {
      why: `${this.remaining} of ${this.capacity} bytes remain on node ${this.node}` +
        (alignment > GRANULE_BYTES ? `, aligned to ${alignment}` : ""),
      fix: "Create a larger arena, reserve more, or reset() this one.",
      node: this.node,
    });
  }

  /**
   * Attaches an arena that another process of the same user created with a `name`. The arena lives as long as any process
   * has it, and its name as long as the process that created it.
   *
   * A thread has one object for each arena: if it already has this one, `open` returns that object, and its `destroy`
   * ends all use in this thread.
   *
   * Both processes have to be in one PID namespace and see the same folder of names, `/run/numakit` (root),
   * `/run/user/UID/numakit` or `/dev/shm/numakit-UID`.
   *
   * @param name Its name.
   * @returns The arena, verified to be where it was asked for.
   * @throws {NumaError} `ESTALE` no arena has that name; `ENOTSUP` its creator is in another container (PID, time or mount
   * namespace), or there is no `/proc`; `EACCES` its creator may not be inspected, or the folder of names does not belong
   * to this user; `EABI` it was created by another version of numakit, or is not what it claims to be; `EINVAL` not a
   * name; `ENOMEM`; `ESTRICT`.
   *
   * @example
   * ```ts
   * import { Arena } from "@numakit/numakit";
   *
   * using made = Arena.create({ node: 0, size: "1 MiB", name: "example.prices" });
   * const prices = made.allocFloat64(100).fill(1.5);
   * const found = Arena.open("example.prices"); // as another process would
   * console.log(new Float64Array(found.bytes.buffer, prices.byteOffset, 100)[99]); // 1.5
   * console.log(found === made); // true: in another process it is an object of its own
   * ```
   */
  static open(name: string): Arena {
    const action = `open the arena ${show(name)}`;
    return Arena.#of(Mapping.openNamed(checkName(name, action), action));
  }

  /**
   * Returns the live arena of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode toHandle}, made in any thread of this process.
   * @returns The arena.
   * @throws {NumaError} `ESTALE` if all threads have released it; `EINVAL` if it is not such a handle.
   */
  static fromHandle(handle: Handle): Arena {
    const action = "attach an arena";
    const { identity } = handleData(handle, ARENA_KIND, action);
    checkInteger(identity, "the handle's identity", 1, Number.MAX_SAFE_INTEGER, action);
    return Arena.#of(Mapping.attach(identity as number, action));
  }

  static #of(mapping: Mapping): Arena {
    return Arena.#live.get(mapping) ?? new Arena(mapping);
  }
}
