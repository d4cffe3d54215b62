import { HeldMappings, refuseOthers } from "./copies.ts";
import { errnoError } from "../../base/errno.ts";
import { NumaError } from "../../base/error.ts";
import { native } from "../../runtime/native.ts";
import { MAPPING_FACTS } from "../../runtime/symbols.ts";
import { formatBytes } from "../../base/bytes.ts";
import { explainCreate, explainPopulate, type Refused } from "./explain.ts";
import { explainFinding, explainSharing, explainTaking } from "./explain_name.ts";
import { callerStack, inDebugMode, reportAtExit, reportPending } from "./debug.ts";
import { type MemoryEvent, publish } from "./events.ts";
import { nulTerminated, readText, writeText } from "./header.ts";
import {
  GRANULE_BYTES,
  HEADER_WORDS,
  LABEL_BYTES,
  LABEL_OFFSET,
  STACK_BYTES,
  STACK_OFFSET,
  TOP,
} from "./layout.ts";
import { HUGE, pageFormat, type PageKind, pageKind, STEP_BYTES } from "./pages.ts";
import { askResidency, type Residency } from "./residency.ts";
import { endWaits, evict } from "./tenants.ts";
import { detachPinned, letGo, letGoUnseen } from "./views.ts";

export type { Residency } from "./residency.ts";

/** What a mapping is made of. */
export interface MappingRequest {
  /** The node. */
  readonly node: number;
  /** Its pages. */
  readonly pages: PageKind;
  /** Bytes that have pages from the start; rounded up to whole pages. */
  readonly committedBytes: number;
  /** Bytes that have addresses; rounded up to whole pages. */
  readonly reservedBytes: number;
  /** Whether its pages are locked. */
  readonly lock: boolean;
  /** Its name in reports. */
  readonly label: string;
  /** By which other processes find it; undefined for memory of this process alone. */
  readonly name?: string | undefined;
}

/** `NK_LOCK` and `NK_RESERVE`. */
const LOCK = 1;
const RESERVE = 2;
/** How much a mapping grows by itself: as much as it has, within these bounds. */
const MIN_GROWTH_BYTES = 2 ** 20;
const MAX_GROWTH_BYTES = 2 ** 26;

/** This thread's mappings by identity: each has exactly one buffer a window, so that releasing it reaches every view. */
const held = /* @__PURE__ */ new HeldMappings<Mapping>();

/**
 * Bytes of data that one ArrayBuffer shows; those of larger mappings have several. Whole GiB, so that no page of any
 * size is in two of them.
 */
export function windowBytes(): number {
  return (Math.floor(native().maxBufferBytes / 2 ** 30) - 1) * 2 ** 30;
}

/**
 * Memory on a node, as one thread sees it: a header page and data, in one ArrayBuffer or one for each window.
 *
 * Identity, holders, committed bytes and unmapping are the C helper's (`native/include/numakit.h`); this class makes the
 * views and sees to it that they are dead before the thread lets go.
 */
export class Mapping {
  /** The process-wide identity, never reused. */
  readonly identity: number;
  /** Bytes of the header page. */
  readonly headerBytes: number;
  /** Bytes of data behind it that have addresses. */
  readonly dataBytes: number;
  /** The node of its memory. */
  readonly node: number;
  /** Its pages. */
  readonly pages: PageKind;
  /** The size of a page in bytes. */
  readonly pageBytes: number;
  /** Whether its pages are locked. */
  readonly locked: boolean;
  /** Whether other processes may have it, too. */
  readonly shared: boolean;
  /** Bytes of data in a window; the last one has what is left. */
  readonly windowBytes: number = windowBytes();
  /** Header and first window. */
  readonly buffer: ArrayBuffer;
  readonly #more: readonly ArrayBuffer[];

  private constructor(out: BigUint64Array) {
    this.identity = Number(out[0]);
    const address = Number(out[1]);
    this.headerBytes = Number(out[2]);
    this.dataBytes = Number(out[3]);
    this.node = Number(out[5]);
    this.pages = pageKind(Number(out[6]), Number(out[7]));
    this.pageBytes = Number(out[7]);
    this.locked = Number(out[8]) === LOCK;
    this.shared = Number(out[10]) === 1;
    const [first = 0, ...more] = this.#windows();
    this.buffer = native().view(address, this.headerBytes + first);
    const data = address + this.headerBytes;
    this.#more = more.map((bytes, index) =>
      native().view(data + (index + 1) * this.windowBytes, bytes)
    );
    held.set(this.identity, this);
  }

  /** How long each window is. */
  #windows(): number[] {
    const count = Math.ceil(this.dataBytes / this.windowBytes);
    return Array.from(
      { length: count },
      (_, index) => Math.min(this.windowBytes, this.dataBytes - index * this.windowBytes),
    );
  }

  /** Views what the helper has just given this thread to hold. */
  static #open(out: BigUint64Array, action: string): Mapping {
    try {
      return new Mapping(out);
    } catch (cause) {
      letGoUnseen(Number(out[0]), []);
      if (cause instanceof NumaError) throw cause;
      throw new NumaError("ENOMEM", action, {
        why: "the runtime refused to make an ArrayBuffer of it",
        cause,
      });
    }
  }

  /**
   * Makes a mapping on a node: bound, populated and verified, or not at all.
   *
   * @param request What to make.
   * @param action What was asked, as it follows "Cannot".
   * @returns The mapping, held by this thread.
   * @throws {NumaError} See `docs/errors.md`.
   */
  static create(request: MappingRequest, action: string): Mapping {
    const { node, pages, committedBytes, reservedBytes, lock, label, name } = request;
    if (name !== undefined && pages === "thp") {
      throw new NumaError("ENOTSUP", action, {
        why: "the kernel does not guarantee transparent hugepages for named memory",
        fix: 'Use pages: ["2m", "4k"].',
        node,
      });
    }
    detachPinned();
    const { kind, pageBytes } = pageFormat(pages);
    const dataBytes = Math.ceil(reservedBytes / pageBytes) * pageBytes;
    const out = new BigUint64Array(MAPPING_FACTS);
    const flags = lock ? LOCK : 0;
    const { nk_mapping_create, nk_mapping_share } = native().calls;
    const result = name === undefined
      ? nk_mapping_create(node, kind, flags | RESERVE, pageBytes, dataBytes, out)
      : nk_mapping_share(nulTerminated(name), node, kind, flags, pageBytes, dataBytes, out);
    if (result < 0) {
      const asked = { node, pages, bytes: committedBytes, action };
      if (name !== undefined) throw explainSharing(result, asked);
      throw explainCreate(result, { ...asked, syscall: "nk_mapping_create" });
    }
    const mapping = Mapping.#open(out, action);
    try {
      mapping.#fill(committedBytes, action);
      mapping.#describe(label);
      if (name !== undefined) mapping.#publish(name, action);
      publish("create", () => mapping.#event(mapping.dataBytes));
      return mapping;
    } catch (error) {
      mapping.discard();
      throw error;
    }
  }

  /**
   * Maps what another process published, and verifies where it is. The same object where this thread has it already.
   *
   * @param name Its name.
   * @param action What was asked, as it follows "Cannot".
   * @returns The mapping, held by this thread.
   * @throws {NumaError} As `Arena.open`.
   */
  static openNamed(name: string, action: string): Mapping {
    const out = new BigUint64Array(MAPPING_FACTS);
    const result = native().calls.nk_mapping_open(nulTerminated(name), out);
    if (result < 0) throw explainFinding(result, name, action);
    const known = held.get(Number(out[0]));
    if (known !== undefined) return known;
    refuseOthers(Number(out[0]), action);
    const mapping = Mapping.#open(out, action);
    try {
      mapping.#fill(mapping.dataBytes, action);
      return mapping;
    } catch (error) {
      mapping.discard();
      throw error;
    }
  }

  /**
   * Holds a mapping that another thread made. The same object for every call in one thread.
   *
   * @param identity Its identity.
   * @param action What was asked, as it follows "Cannot".
   * @returns The mapping.
   * @throws {NumaError} `ESTALE` when its last holder has let go.
   */
  static attach(identity: number, action: string): Mapping {
    const known = held.get(identity);
    if (known !== undefined) return known;
    refuseOthers(identity, action);
    const out = new BigUint64Array(MAPPING_FACTS);
    const result = native().calls.nk_mapping_attach(identity, out);
    if (result < 0) {
      throw errnoError(result, "nk_mapping_attach", action, {
        why: "it was destroyed everywhere before this thread attached it",
        fix: "Keep it alive in the thread that sends it until the other thread has it.",
      });
    }
    return Mapping.#open(out, action);
  }

  /** Whether this thread has let go of it, or has lost a buffer to somebody else. */
  get released(): boolean {
    return held.get(this.identity) !== this || this.buffer.byteLength === 0 ||
      this.#more.some(({ byteLength }) => byteLength === 0);
  }

  /** Bytes of data that have pages now; every thread may have changed that. */
  get committedBytes(): number {
    return Number(this.#facts()[4]);
  }

  /** What its creator called it. */
  get label(): string {
    return readText(this.buffer, LABEL_OFFSET, LABEL_BYTES);
  }

  /** Where it was made; empty outside of debug mode. */
  get stack(): string {
    return readText(this.buffer, STACK_OFFSET, STACK_BYTES);
  }

  /** Bytes that are allocated, as its header says. */
  get usedBytes(): number {
    const words = new Uint32Array(this.buffer, 0, HEADER_WORDS);
    return Math.min(Atomics.load(words, TOP) * GRANULE_BYTES, this.dataBytes);
  }

  /** Bytes that are in hugepages now. */
  get hugeBytes(): number {
    const out = new BigUint64Array(1);
    const result = native().calls.nk_mapping_huge_bytes(this.identity, 0, out);
    return result < 0 ? 0 : Number(out[0]);
  }

  /** How many threads hold it. */
  get holders(): number {
    return Number(this.#facts()[9]);
  }

  /** The identities of all live mappings of the process. */
  static identities(): number[] {
    let out = new BigUint64Array(64);
    let count = native().calls.nk_mapping_list(out, out.length);
    while (count > out.length) {
      out = new BigUint64Array(count * 2);
      count = native().calls.nk_mapping_list(out, out.length);
    }
    return [...out.subarray(0, count)].map(Number);
  }

  /** Whether this thread holds a mapping. */
  static holds(identity: number): boolean {
    return held.has(identity);
  }

  #facts(): BigUint64Array {
    const out = new BigUint64Array(MAPPING_FACTS);
    native().calls.nk_mapping_attach(this.identity, out);
    return out;
  }

  /** Says in the header what it is. */
  #describe(label: string): void {
    writeText(this.buffer, LABEL_OFFSET, LABEL_BYTES, label);
    if (inDebugMode()) {
      writeText(this.buffer, STACK_OFFSET, STACK_BYTES, callerStack());
      reportAtExit(() => [...held.values()].filter(({ buffer }) => buffer.byteLength > 0));
    }
  }

  /**
   * Populates a mapping that this thread has just been given: what has a name is committed whole. One that another
   * process made has its pages; then this makes them this process's, too.
   */
  #fill(bytes: number, action: string): void {
    if (!this.shared) {
      this.commit(bytes, action);
      return;
    }
    const { node, pages, dataBytes } = this;
    this.#populate(0, dataBytes, { node, pages, bytes: dataBytes, action });
    this.#verify(0, dataBytes, action);
  }

  /**
   * Becomes the thread, of all processes, that allocates from shared memory.
   *
   * @param action What was asked, as it follows "Cannot".
   * @returns 0, or the OS thread id of the one that is.
   * @throws {NumaError} `ESTALE` it is not held.
   */
  claim(action: string): number {
    const result = native().calls.nk_mapping_claim(this.identity, 1);
    if (result < 0) throw errnoError(result, "nk_mapping_claim", action);
    return result;
  }

  /** Lets another thread {@linkcode claim}. */
  unclaim(): void {
    native().calls.nk_mapping_claim(this.identity, 0);
  }

  #publish(name: string, action: string): void {
    const result = native().calls.nk_mapping_publish(this.identity, nulTerminated(name));
    if (result < 0) throw explainTaking(result, name, action);
  }

  #event(bytes: number): MemoryEvent {
    const { label, identity, node } = this;
    return { label, identity, node, bytes };
  }

  /**
   * The buffer that shows some data, and where in it they begin.
   *
   * @param offset The first byte's offset in the data.
   * @returns The buffer of the window it is in.
   */
  window(offset: number): { readonly buffer: ArrayBuffer; readonly byteOffset: number } {
    const index = Math.floor(offset / this.windowBytes);
    if (index === 0) return { buffer: this.buffer, byteOffset: this.headerBytes + offset };
    const buffer = this.#more[index - 1] as ArrayBuffer;
    return { buffer, byteOffset: offset - index * this.windowBytes };
  }

  /**
   * Gives data pages, or takes them: the first bytes are bound, populated and verified, or all stays as it was.
   *
   * @param bytes How many bytes have pages afterwards; rounded up to whole pages.
   * @param action What was asked, as it follows "Cannot".
   * @returns Bytes that have pages now.
   * @throws {NumaError} As `create`; `ENOMEM` beyond what is reserved; `EBUSY` while another thread does the same.
   */
  commit(bytes: number, action: string): number {
    const before = this.committedBytes;
    const whole = Math.ceil(bytes / this.pageBytes) * this.pageBytes;
    if (this.shared && whole !== before) {
      throw new NumaError("ENOTSUP", action, {
        why: "other processes have mapped it at this size",
        fix: "Create a named arena at its full size.",
        node: this.node,
      });
    }
    if (whole > this.dataBytes) {
      this.exhausted(whole);
      throw new NumaError("ENOMEM", action, {
        why: `${formatBytes(this.dataBytes)} are reserved, and it would take ${formatBytes(whole)}`,
        fix: "Reserve more.",
        node: this.node,
      });
    }
    const asked = { node: this.node, pages: this.pages, bytes: whole - before, action };
    const { nk_mapping_commit } = native().calls;
    const result = nk_mapping_commit(this.identity, whole);
    if (result < 0) throw explainCreate(result, { ...asked, syscall: "nk_mapping_commit" });
    try {
      this.#populate(before, whole, asked);
      this.#verify(before, whole, action);
    } catch (error) {
      nk_mapping_commit(this.identity, before);
      throw error;
    }
    return whole;
  }

  /** Tells whoever listens that a request could not be met. */
  exhausted(bytes: number): void {
    publish("exhausted", () => this.#event(bytes));
  }

  /**
   * Grows by a good step, or, where the node has no room for that, by what is needed.
   *
   * @param least Bytes that have to have pages afterwards, more than have now.
   * @param action What was asked, as it follows "Cannot".
   * @returns Bytes that have pages now.
   * @throws {NumaError} As `commit`.
   */
  grow(least: number, action: string): number {
    const before = this.committedBytes;
    const step = Math.min(Math.max(before, MIN_GROWTH_BYTES), MAX_GROWTH_BYTES);
    const wanted = Math.min(Math.max(before + step, least), this.dataBytes);
    try {
      return this.commit(wanted, action);
    } catch (error) {
      if (!(error instanceof NumaError && error.code === "ENOMEM") || wanted <= least) throw error;
      return this.commit(least, action);
    }
  }

  /**
   * Asks the kernel where the pages are.
   *
   * @param action What was asked, as it follows "Cannot".
   * @param from The first byte asked about.
   * @param to The end of the range. Default: the end of what has pages.
   * @returns Pages by node. Of a range that another thread has cut short meanwhile, what is left.
   * @throws {NumaError} `ESTALE`, `EPERM`.
   */
  residency(action: string, from = 0, to: number = this.committedBytes): Residency {
    // A transparent hugepage counts as many small ones.
    const pageBytes = pageFormat(this.pages).kind === HUGE ? this.pageBytes : this.headerBytes;
    return askResidency({ identity: this.identity, from, to, pageBytes }, action);
  }

  /**
   * Lets go: this thread's views die at once, and when the last thread lets go, the pages go back to the system. What the
   * thread holds in it, and others may wait for, goes to them as from a dead one. On Bun a buffer that native code uses
   * dies with a later call, once that is done; until then it reads zeros.
   *
   * A buffer that somebody else has carried off cannot be detached any more; the helper then keeps its addresses
   * reserved forever, so that what is left of it reads zeros.
   */
  release(): void {
    if (held.get(this.identity) !== this) return;
    evict(this.identity);
    this.#letGo();
  }

  #letGo(): void {
    const alive = this.buffer.byteLength > 0;
    if (alive) publish("destroy", () => this.#event(this.dataBytes));
    const { node, dataBytes } = this;
    const label = inDebugMode() && alive ? this.label : undefined;
    const isPinned = letGo(this.identity, this.#buffers());
    held.delete(this.identity);
    if (label !== undefined) reportPending({ label, node, dataBytes }, isPinned);
  }

  /** Lets go of what nobody has seen a view of; nobody is told. */
  discard(): void {
    letGoUnseen(this.identity, this.#buffers());
    held.delete(this.identity);
  }

  #buffers(): ArrayBuffer[] {
    return [this.buffer, ...this.#more];
  }

  /**
   * Lets go of everything this thread holds: the last act of a worker. Memory in which it holds a lock is left to the end
   * of the OS thread: until then code of it may still run, which would change what the lock's next owner guards. For the
   * same reason others are told of its end by that alone.
   */
  static releaseAll(): void {
    for (const mapping of [...held.values()]) {
      if (!endWaits(mapping.identity)) mapping.#letGo();
    }
  }

  #populate(from: number, to: number, asked: Omit<Refused, "syscall">): void {
    const { nk_mapping_populate } = native().calls;
    const stepBytes = Math.max(STEP_BYTES, this.pageBytes);
    for (let offset = from; offset < to; offset += stepBytes) {
      const bytes = Math.min(stepBytes, to - offset);
      const result = nk_mapping_populate(this.identity, offset, bytes);
      if (result < 0) throw explainPopulate(result, asked, offset - from);
    }
  }

  /** Nothing is believed: the kernel says where each page is, and how many are huge. */
  #verify(from: number, to: number, action: string): void {
    const { node } = this;
    const { nodes, absent, pageBytes } = this.residency(action, from, to);
    const right = nodes.get(node) ?? 0;
    const pages = Math.max(0, to - from) / pageBytes;
    if (right !== pages) {
      const gone = absent === 0 ? "" : `, ${absent} of which it took away again (swapped out)`;
      throw new NumaError("ESTRICT", action, {
        why: `the kernel has ${pages - right} of ${pages} pages elsewhere${gone}`,
        fix: "Look for a memory policy or a page migration daemon that moves this process's pages.",
        syscall: "move_pages",
        node,
      });
    }
    if (this.pages !== "thp" || to <= from) return;
    const out = new BigUint64Array(1);
    const result = native().calls.nk_mapping_huge_bytes(this.identity, 1, out);
    if (result < 0) throw errnoError(result, "nk_mapping_huge_bytes", action, { node });
    const hugeBytes = Number(out[0]);
    if (hugeBytes === to) return;
    throw new NumaError("ENOMEM", action, {
      why: `only ${hugeBytes} of ${to} bytes came in transparent hugepages`,
      fix: 'Memory is fragmented: `echo 1 > /proc/sys/vm/compact_memory`, or pages: ["thp", "4k"].',
      node,
    });
  }
}
