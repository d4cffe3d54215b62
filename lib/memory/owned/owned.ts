import { isArrayBuffer, isSharedArrayBuffer } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { errnoError } from "../../base/errno.ts";
import { NumaError } from "../../base/error.ts";
import { native } from "../../runtime/native.ts";
import { STEP_BYTES } from "../mapping/pages.ts";

/**
 * Memory that the runtime owns: a buffer, a view of one, or a `WebAssembly.Memory`. A view means its own part; everything
 * else means all of it.
 */
export type OwnedMemory =
  | ArrayBufferLike
  | ArrayBufferView<ArrayBufferLike>
  | { readonly buffer: ArrayBufferLike };

/** Where the pages of a buffer are, according to the kernel. */
export interface BufferPlacement {
  /** Offset of the first whole page in the memory that was asked about. */
  readonly offset: number;
  /** Bytes of whole pages. Only these can be placed. */
  readonly bytes: number;
  /** Bytes before and after them, on pages that are shared with other objects. */
  readonly edgeBytes: number;
  /** The size of a page in bytes. */
  readonly pageBytes: number;
  /** The node of each whole page, -1 for one that is not resident. */
  readonly pageNodes: Int32Array;
  /** The number of pages by node, without nodes that have none. */
  readonly nodes: ReadonlyMap<number, number>;
  /** Pages that are not resident. */
  readonly absent: number;
}

/** The whole pages of a buffer, in steps that keep no call of C running for long. */
export interface WholePages {
  readonly offset: number;
  readonly bytes: number;
  readonly edgeBytes: number;
  readonly pageBytes: number;
  /** All of them. */
  readonly whole: Uint8Array<ArrayBufferLike>;
  readonly steps: readonly Uint8Array<ArrayBufferLike>[];
}

/**
 * The bytes of some memory.
 *
 * @param memory What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns A view of them. A `WebAssembly.Memory` that grew gives another one.
 * @throws {NumaError} `EINVAL` when it is none, or detached.
 */
export function bytesOf(memory: OwnedMemory, action: string): Uint8Array<ArrayBufferLike> {
  const isBuffer = (value: unknown): value is ArrayBufferLike =>
    isArrayBuffer(value) || isSharedArrayBuffer(value);
  const outer: unknown = memory;
  const isObject = typeof outer === "object" && outer !== null;
  const buffer: unknown = isBuffer(outer)
    ? outer
    : isObject
    ? (outer as { buffer?: unknown }).buffer
    : undefined;
  let view: Uint8Array<ArrayBufferLike> | undefined;
  // Length 0 also stands for a buffer that was transferred away: a view of that throws.
  if (isBuffer(buffer) && buffer.byteLength > 0) {
    view = ArrayBuffer.isView(outer)
      ? new Uint8Array(buffer, outer.byteOffset, outer.byteLength)
      : new Uint8Array(buffer);
  }
  if (view !== undefined && view.length > 0) return view;
  throw new NumaError("EINVAL", action, {
    why: view === undefined
      ? `${show(memory)} is no memory`
      : "it is empty or was transferred away",
    fix: "Give a SharedArrayBuffer, an ArrayBuffer, a typed array or a WebAssembly.Memory.",
  });
}

/**
 * The whole pages inside some memory.
 *
 * @param view Its bytes.
 * @param action What was asked, as it follows "Cannot".
 * @returns The pages.
 * @throws {NumaError} `EINVAL` when there is none.
 */
export function wholePages(view: Uint8Array<ArrayBufferLike>, action: string): WholePages {
  const out = new BigUint64Array(3);
  const result = native().calls.nk_buffer_pages(view, view.length, out);
  if (result < 0) {
    throw errnoError(result, "nk_buffer_pages", action, {
      why: `there is no whole page in its ${view.length} bytes`,
      fix: "Give at least two pages, or allocate from an arena: pages are what the kernel places.",
    });
  }
  const [offset, bytes, pageBytes] = [Number(out[0]), Number(out[1]), Number(out[2])];
  const steps = Array.from({ length: Math.ceil(bytes / STEP_BYTES) }, (_, index) => {
    const start = offset + index * STEP_BYTES;
    return view.subarray(start, Math.min(start + STEP_BYTES, offset + bytes));
  });
  const whole = view.subarray(offset, offset + bytes);
  return { offset, bytes, edgeBytes: view.length - bytes, pageBytes, whole, steps };
}

/**
 * Asks the kernel where whole pages are.
 *
 * @param pages The pages.
 * @param action What was asked, as it follows "Cannot".
 * @returns Each page's node.
 * @throws {NumaError} `EPERM`, `ENOSYS`.
 */
export function locate(pages: WholePages, action: string): BufferPlacement {
  const { offset, bytes, edgeBytes, pageBytes, steps } = pages;
  const pageNodes = new Int32Array(bytes / pageBytes);
  const nodes = new Map<number, number>();
  let done = 0;
  for (const step of steps) {
    const rest = pageNodes.subarray(done);
    const result = native().calls.nk_buffer_locate(step, step.length, rest, rest.length);
    if (result < 0) throw errnoError(result, "nk_buffer_locate", action);
    done += result;
  }
  for (const node of pageNodes) nodes.set(node, (nodes.get(node) ?? 0) + 1);
  const absent = nodes.get(-1) ?? 0;
  nodes.delete(-1);
  return { offset, bytes, edgeBytes, pageBytes, pageNodes, nodes, absent };
}

/**
 * Asks the kernel on which nodes memory is that the runtime owns.
 *
 * Cost: one system call per 1024 pages.
 *
 * @param memory The memory.
 * @returns Each whole page's node, and what lies outside of whole pages.
 * @throws {NumaError} `EINVAL` no memory, or no whole page in it; `EPERM`, `ENOSYS` the system does not say.
 *
 * @example
 * ```ts
 * import { placement } from "@numakit/numakit";
 *
 * const { nodes, absent } = placement(new SharedArrayBuffer(2 ** 20));
 * console.log(nodes, absent); // pages that were touched, and those that were not
 * ```
 */
export function placement(memory: OwnedMemory): BufferPlacement {
  const action = "ask where memory is";
  return locate(wholePages(bytesOf(memory, action), action), action);
}
