/**
 * On which node that is what a task works on.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type OwnedMemory, placement } from "../../memory/owned/owned.ts";

/** Something on a node, such as an arena; or memory, of which most is on some node. */
export type MemoryOnNode = { readonly node: number } | OwnedMemory;

/** By memory; it is looked at once. */
const known = /* @__PURE__ */ new WeakMap<object, number>();

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
 * @returns The node.
 * @throws {NumaError} `EINVAL` none of these, or memory that nobody has touched; the errors of `placement`.
 */
export function nodeNear(near: unknown, action: string): number {
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
  if (before !== undefined) return before;
  const [most] = [...placement(near).nodes].sort((a, b) => b[1] - a[1]);
  if (most === undefined) {
    throw new NumaError("EINVAL", action, {
      why: "the memory that it is to be near to is on no node: nobody has touched it",
      fix: "Write to it first, or give a node.",
    });
  }
  known.set(near, most[0]);
  return most[0];
}
