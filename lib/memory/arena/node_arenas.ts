/**
 * What is spread over several nodes has in common: which nodes, an arena on each, and the one that is nearest.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle } from "../../base/handle.ts";
import { currentNode } from "../../topology/current.ts";
import { topology } from "../../topology/load.ts";
import { checkNode, MAX_NODES } from "../../topology/nodes.ts";
import { Arena } from "./arena.ts";
import { memoryNodes, nearestNode } from "./memory_nodes.ts";
import type { PageKind } from "../mapping/pages.ts";

const UNKNOWN = -1;

/**
 * The nodes with the memory that is nearest to some CPU: all of {@linkcode memoryNodes} but those that no thread
 * would ever prefer.
 *
 * @returns Their ids, at least one.
 */
export function readerNodes(): readonly number[] {
  const machine = topology();
  const usable = memoryNodes(machine);
  const homes = machine.nodes.filter(({ cpus }) => cpus.size > 0)
    .map(({ id }) => nearestNode(machine, id, usable));
  const near = usable.filter((node) => homes.includes(node));
  return near.length > 0 ? near : usable;
}

/**
 * Checks the `nodes` option.
 *
 * @param nodes What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns A copy of it: different nodes, at least one.
 * @throws {NumaError} `EINVAL`.
 */
export function checkNodes(nodes: unknown, action: string): readonly number[] {
  if (Array.isArray(nodes) && nodes.length > 0 && new Set(nodes).size === nodes.length) {
    return nodes.map((node) => checkNode(node, action, "a node"));
  }
  throw new NumaError("EINVAL", action, {
    why: `nodes is ${show(nodes)}${
      Array.isArray(nodes) && nodes.length > 0 ? " with repeats" : ""
    }`,
    fix: "Give a list of different node numbers: [0, 1].",
  });
}

/** An arena on each node. */
export interface ArenasRequest {
  /** The nodes. */
  readonly nodes: readonly number[];
  /** Bytes on the node of that index. */
  readonly bytesOf: (index: number) => number;
  /** What they are called in reports. */
  readonly label: string;
  /** As for `Arena.create`. */
  readonly pages: PageKind | readonly PageKind[];
}

/**
 * Makes an arena on each node, and something of them; all of it or nothing.
 *
 * @param request What to make.
 * @param make Makes it of the arenas, which are in the order of the nodes.
 * @returns What that made.
 * @throws {NumaError} As {@linkcode Arena.create}. What `make` throws.
 */
export function createOver<Made>(
  { nodes, bytesOf, label, pages }: ArenasRequest,
  make: (arenas: readonly Arena[]) => Made,
): Made {
  const arenas: Arena[] = [];
  try {
    for (const [index, node] of nodes.entries()) {
      arenas.push(Arena.create({ node, size: bytesOf(index), label, pages }));
    }
    return make(arenas);
  } catch (error) {
    destroyArenas(arenas);
    throw error;
  }
}

/**
 * Attaches the arenas of a handle, which anybody may have written.
 *
 * The first is attached first, and {@linkcode destroyArenas} lets go of it first, so that what is gone is found out
 * before anything is held.
 *
 * @param handles What the handle has for them.
 * @param action What was asked, as it follows "Cannot".
 * @returns At least one, no two on the same node.
 * @throws {NumaError} `EINVAL`; `ESTALE` when one is gone.
 */
export function attachArenas(handles: unknown, action: string): readonly Arena[] {
  if (!Array.isArray(handles) || handles.length === 0 || handles.length > MAX_NODES) {
    throw new NumaError("EINVAL", action, {
      why: `the handle's arenas are ${show(handles)}`,
      fix: "Give what toHandle() returned.",
    });
  }
  // Not by map, which would pass over holes.
  const arenas = Array.from(handles, (handle: Handle) => Arena.fromHandle(handle));
  checkNodes(arenas.map(({ node }) => node), action);
  return arenas;
}

/**
 * Checks that an arena is as large as a handle says.
 *
 * @param arena The arena.
 * @param bytes What it has to have.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkRoom(arena: Arena, bytes: number, action: string): void {
  if (bytes <= arena.capacity) return;
  throw new NumaError("EINVAL", action, {
    why: `the handle wants ${bytes} bytes on node ${arena.node}, where there are ${arena.capacity}`,
    fix: "Give what toHandle() returned.",
  });
}

/**
 * Lets go of arenas.
 *
 * @param arenas The arenas.
 */
export function destroyArenas(arenas: readonly Arena[]): void {
  for (const arena of arenas) arena.destroy();
}

/** Which of several nodes is nearest to the calling thread: one look into a table, no system call. */
export class Nearest {
  readonly #nodes: readonly number[];
  readonly #table: Int32Array = new Int32Array(MAX_NODES).fill(UNKNOWN);

  /**
   * Prepares.
   *
   * @param nodes The nodes to choose from.
   */
  constructor(nodes: readonly number[]) {
    this.#nodes = nodes;
  }

  /**
   * The nearest now: a thread that is not pinned may be moved right after.
   *
   * @returns Its index.
   */
  index(): number {
    const node = currentNode();
    const known = this.#table[node];
    return known !== undefined && known !== UNKNOWN ? known : this.#find(node);
  }

  #find(node: number): number {
    const nearest = nearestNode(topology(), node, this.#nodes);
    // A node that came after the topology was read is not in it; any copy is right, if not near.
    const index = nearest === undefined ? 0 : this.#nodes.indexOf(nearest);
    this.#table[node] = index;
    return index;
  }
}
