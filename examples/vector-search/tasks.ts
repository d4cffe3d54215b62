/** What the pool's workers do. Each is called where its slice is. */
import { Best, type Found } from "./best.ts";
import { BLOCK, type Kernel, makeKernel, type Memory } from "./kernel.ts";
import { DIMENSIONS, writeVectors } from "./vectors.ts";

/** A run of vectors on one node: as much of them as one task searches. */
export interface Slice {
  readonly node: number;
  readonly memory: Memory;
  /** Where it begins in the memory, and which vector that is. */
  readonly at: number;
  readonly first: number;
  readonly count: number;
}

/** A worker's kernels, by node: it makes one when it is given a slice there for the first time. */
const kernels = new Map<number, Kernel>();

function kernelOf({ node, memory }: Slice): Kernel {
  const known = kernels.get(node) ?? makeKernel(memory);
  kernels.set(node, known);
  return known;
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
