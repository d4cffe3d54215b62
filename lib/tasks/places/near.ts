/**
 * The node that the data of a task is on.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type BufferPlacement, type OwnedMemory, placement } from "../../memory/owned/owned.ts";

/** Something on a node, such as an arena; or memory, of which most is on some node. */
export type MemoryOnNode = { readonly node: number } | OwnedMemory;

/** Memory is looked at again after so long, as it may have moved, in milliseconds. */
const LOOK_MS = 1000;

interface Known {
  readonly node: number;
  /** When it was looked at, as `performance.now()` has it. */
  readonly at: number;
}

/** By memory. */
const known = /* @__PURE__ */ new WeakMap<object, Known>();

function isBuffer(value: unknown): boolean {
  return value instanceof ArrayBuffer || value instanceof SharedArrayBuffer;
}

/** Whether something looks like memory; `placement` looks closer. */
function isMemory(near: unknown): near is OwnedMemory & object {
  if (typeof near !== "object" || near === null) return false;
  try {
    return isBuffer(near) || isBuffer((near as { buffer?: unknown }).buffer);
  } catch {
    return false;
  }
}

function nodeIn(near: unknown): unknown {
  try {
    return (near as { node?: unknown } | null | undefined)?.node;
  } catch {
    // A revoked proxy, or a getter that throws.
    return undefined;
  }
}

/**
 * The node that something is on.
 *
 * @param near A node, something with a node, or memory.
 * @param action What was asked, as it follows "Cannot".
 * @param look Says where memory is.
 * @returns The node.
 * @throws {NumaError} `EINVAL` none of these, or memory that nobody has touched; the errors of `placement`.
 */
export function nodeNear(
  near: unknown,
  action: string,
  look: (memory: OwnedMemory) => Pick<BufferPlacement, "nodes"> = placement,
): number {
  const node = typeof near === "number" ? near : nodeIn(near);
  if (typeof node === "number" && Number.isInteger(node) && node >= 0 && !Object.is(node, -0)) {
    return node;
  }
  if (!isMemory(near)) {
    throw new NumaError("EINVAL", action, {
      why: `near is ${show(near)}`,
      fix: "Give the number of a node, an arena, or memory.",
    });
  }
  const before = known.get(near);
  const now = performance.now();
  if (before !== undefined && now - before.at < LOOK_MS) return before.node;
  const [most] = [...look(near).nodes].sort((a, b) => b[1] - a[1]);
  if (most === undefined) {
    throw new NumaError("EINVAL", action, {
      why: "the memory that it is to be near to is on no node: nobody has touched it",
      fix: "Write to it first, or give a node.",
    });
  }
  known.set(near, { node: most[0], at: now });
  return most[0];
}
