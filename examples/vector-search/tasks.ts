/** What the pool's workers do. Each is called where its slice is. */
import { Best, type Found } from "./best.ts";
import { BLOCK, type Kernel, makeKernel, type Memory } from "./kernel.ts";
import { DIMENSIONS, writeVectors } from "./vectors.ts";

/** The memory of the vectors on a node. */
export interface Part {
  readonly node: number;
  readonly memory: Memory;
}

/** A run of vectors on one node: as much of them as one task searches. */
export interface Slice {
  readonly node: number;
  /** Where it begins in the node's memory, and which vector that is. */
  readonly at: number;
  readonly first: number;
  readonly count: number;
}

/** A worker's kernels, by node. */
const kernels = new Map<number, Kernel>();

/**
 * Takes the memory of all nodes. Each worker gets it once, and not with each task: where a shared `WebAssembly.Memory`
 * arrives, Node collects all garbage.
 */
export function open(parts: readonly Part[]): void {
  for (const { node, memory } of parts) kernels.set(node, makeKernel(memory));
}

function kernelOf({ node }: Slice): Kernel {
  const kernel = kernels.get(node);
  if (kernel === undefined) throw new Error(`this worker was given no vectors of node ${node}`);
  return kernel;
}

/** Writes the slice's vectors. */
export function fill(slice: Slice): void {
  const { at, first, count } = slice;
  const { vectors } = kernelOf(slice);
  writeVectors(vectors.subarray(at * DIMENSIONS, (at + count) * DIMENSIONS), first);
}

/** Finds the vectors of a slice that are most like the query. */
export function search(slice: Slice, query: Float32Array, most: number): Found {
  return searchWith(kernelOf(slice), slice, query, most);
}

/** The same with a kernel of the caller's. */
export function searchWith(
  kernel: Kernel,
  { at, first, count }: Pick<Slice, "at" | "first" | "count">,
  query: Float32Array,
  most: number,
): Found {
  const best = new Best(most);
  kernel.ask(query);
  for (let done = 0; done < count; done += BLOCK) {
    const block = Math.min(BLOCK, count - done);
    const scores = kernel.scores(at + done, block);
    for (let index = 0; index < block; index++) best.offer(first + done + index, scores[index]!);
  }
  return best.found();
}
