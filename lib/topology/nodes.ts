import { checkInteger } from "../base/check.ts";

/** Ids of nodes are below this: `NK_MAX_NODES`, which is the most that a Linux kernel can be built for. */
export const MAX_NODES = 1024;

/**
 * Checks a node's id, but not whether there is such a node.
 *
 * @param node What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @param name What the argument is called in the message.
 * @returns The id.
 * @throws {NumaError} `EINVAL`.
 */
export function checkNode(node: unknown, action: string, name = "node"): number {
  return checkInteger(node, name, 0, MAX_NODES - 1, action);
}
