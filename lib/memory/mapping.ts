import { errnoError } from "../runtime/errno.ts";
import { NumaError } from "../runtime/error.ts";
import { formatBytes } from "../runtime/bytes.ts";
import { native } from "../runtime/native.ts";
import { explainCreate, explainPopulate } from "./explain.ts";
import { MAX_DATA_BYTES } from "./layout.ts";
import type { PageFormat } from "./pages.ts";

/** What a mapping is made of. */
export interface MappingRequest {
  /** The node. */
  readonly node: number;
  /** Its pages. */
  readonly format: PageFormat;
  /** Bytes of data, a multiple of the page size. */
  readonly dataBytes: number;
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
}

/** Where the pages of a range are. */
export interface Residency {
  /** Bytes a counted page. */
  readonly pageBytes: number;
  /** Pages in the range. */
  readonly pages: number;
  /** Pages by node, nodes with none left out. */
  readonly nodes: ReadonlyMap<number, number>;
  /** Pages that are not resident. */
  readonly absent: number;
}

/** One call of populate stays well below the 50 ms that a thread may be out of reach inside C. */
const STEP_BYTES = 2 ** 26;
const NODES = 1024;

/** This thread's mappings by identity: each has exactly one buffer, so that releasing it reaches every view. */
const held = new Map<number, Mapping>();

/** Detaches a buffer from its memory: every view of it is dead from now on, on all runtimes. */
function detach(buffer: ArrayBuffer): boolean {
  try {
    native().detach(buffer);
  } catch {
    // Somebody marked it as untransferable, so views of it may live on.
    return false;
  }
  return buffer.byteLength === 0;
}

/**
 * Refuses a size that cannot be had on this runtime, before anything is reserved.
 *
 * @param dataBytes Bytes of data.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkSize(dataBytes: number, action: string): void {
  const { maxBufferBytes, backend } = native();
  const most = Math.min(MAX_DATA_BYTES, maxBufferBytes - 2 ** 16);
  if (dataBytes <= most) return;
  throw new NumaError("EINVAL", action, {
    why: `the largest arena on ${backend} is ${formatBytes(most)}`,
    fix: "Use several arenas.",
  });
}

/**
 * Memory on a node, as one thread sees it: a header page and data, in one ArrayBuffer.
 *
 * Identity, holders and unmapping are the C helper's (`native/include/numakit.h`); this class makes the views and sees
 * to it that they are dead before the thread lets go.
 */
export class Mapping {
  /** The process-wide identity, never reused. */
  readonly identity: number;
  /** Bytes of the header page. */
  readonly headerBytes: number;
  /** Bytes of data behind it. */
  readonly dataBytes: number;
  /** Header and data. */
  readonly buffer: ArrayBuffer;

  private constructor(out: BigUint64Array) {
    this.identity = Number(out[0]);
    this.headerBytes = Number(out[2]);
    this.dataBytes = Number(out[3]);
    this.buffer = native().view(Number(out[1]), this.headerBytes + this.dataBytes);
    held.set(this.identity, this);
  }

  /** Views what the helper has just given this thread to hold. */
  static #open(out: BigUint64Array, action: string): Mapping {
    try {
      return new Mapping(out);
    } catch (cause) {
      native().calls.nk_mapping_release(Number(out[0]), 1);
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
   * @returns The mapping, held by this thread.
   * @throws {NumaError} See `docs/errors.md`.
   */
  static create(request: MappingRequest): Mapping {
    const { node, format, dataBytes, action } = request;
    const out = new BigUint64Array(4);
    const result = native().calls.nk_mapping_create(
      node,
      format.kind,
      format.pageBytes,
      dataBytes,
      out,
    );
    if (result < 0) throw explainCreate(result, request);
    const mapping = Mapping.#open(out, action);
    try {
      mapping.#populate(request);
      mapping.#verify(request);
    } catch (error) {
      mapping.release();
      throw error;
    }
    return mapping;
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
    const out = new BigUint64Array(4);
    const result = native().calls.nk_mapping_attach(identity, out);
    if (result < 0) {
      throw errnoError(result, "nk_mapping_attach", action, {
        why: "it was destroyed everywhere before this thread attached it",
        fix: "Keep it alive in the thread that sends it until the other thread has it.",
      });
    }
    return Mapping.#open(out, action);
  }

  /** Whether this thread has let go of it, or has lost its buffer to somebody else. */
  get released(): boolean {
    return held.get(this.identity) !== this || this.buffer.byteLength === 0;
  }

  /**
   * Asks the kernel where the pages are.
   *
   * @param action What was asked, as it follows "Cannot".
   * @returns Pages by node.
   * @throws {NumaError} `ESTALE`, `EPERM`.
   */
  residency(action: string): Residency {
    const counts = new Int32Array(NODES + 1);
    const nodes = new Map<number, number>();
    let pages = 0;
    let absent = 0;
    for (let offset = 0; offset < this.dataBytes; offset += STEP_BYTES * 16) {
      const bytes = Math.min(STEP_BYTES * 16, this.dataBytes - offset);
      const { nk_mapping_residency } = native().calls;
      const result = nk_mapping_residency(this.identity, offset, bytes, counts, NODES);
      if (result < 0) throw errnoError(result, "nk_mapping_residency", action);
      pages += result;
      absent += counts[NODES] as number;
      for (let node = 0; node < NODES; node++) {
        const count = counts[node] as number;
        if (count > 0) nodes.set(node, (nodes.get(node) ?? 0) + count);
      }
    }
    return { pageBytes: this.dataBytes / pages, pages, nodes, absent };
  }

  /**
   * Lets go: this thread's views die at once, and the last thread to let go unmaps.
   *
   * A buffer that somebody else has carried off cannot be detached any more; the helper then keeps its addresses
   * reserved for ever, so that what is left of it reads zeros.
   */
  release(): void {
    if (held.get(this.identity) !== this) return;
    held.delete(this.identity);
    const lost = this.buffer.byteLength === 0;
    native().calls.nk_mapping_release(this.identity, !lost && detach(this.buffer) ? 1 : 0);
  }

  /** Lets go of everything this thread holds: the last act of a worker. */
  static releaseAll(): void {
    for (const mapping of [...held.values()]) mapping.release();
  }

  #populate(request: MappingRequest): void {
    const { nk_mapping_populate } = native().calls;
    const stepBytes = Math.max(STEP_BYTES, request.format.pageBytes);
    for (let offset = 0; offset < this.dataBytes; offset += stepBytes) {
      const bytes = Math.min(stepBytes, this.dataBytes - offset);
      const result = nk_mapping_populate(this.identity, offset, bytes);
      if (result < 0) throw explainPopulate(result, request, offset);
    }
  }

  /** Nothing is believed: the kernel says where each page is, and how many are huge. */
  #verify(request: MappingRequest): void {
    const { node, format, action } = request;
    const { nodes, pages } = this.residency(action);
    const right = nodes.get(node) ?? 0;
    if (right !== pages) {
      throw new NumaError("ESTRICT", action, {
        why: `the kernel put ${pages - right} of ${pages} pages elsewhere`,
        fix: "Look for a memory policy or a page migration daemon that moves this process's pages.",
        syscall: "move_pages",
        node,
      });
    }
    if (format.kind !== 1) return;
    const out = new BigUint64Array(1);
    const result = native().calls.nk_mapping_huge_bytes(this.identity, 1, out);
    if (result < 0) throw errnoError(result, "nk_mapping_huge_bytes", action, { node });
    const hugeBytes = Number(out[0]);
    if (hugeBytes === this.dataBytes) return;
    throw new NumaError("ENOMEM", action, {
      why: `only ${hugeBytes} of ${this.dataBytes} bytes came in transparent hugepages`,
      fix: 'Memory is fragmented: `echo 1 > /proc/sys/vm/compact_memory`, or pages: ["thp", "4k"].',
      node,
    });
  }
}
