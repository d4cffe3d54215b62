import { NumaError } from "../../base/error.ts";
import { locate, type WholePages, wholePages } from "../../memory/owned/owned.ts";
import { currentNode } from "../../topology/current.ts";

/** Where the memory is that the runtime gives a thread for new buffers. */
export interface HeapSample {
  /** The node that the thread ran on when it was asked: what counts as local. */
  readonly node: number;
  /** The bytes that the kernel was asked about: whole pages of the sample. */
  readonly bytes: number;
  /** Those of them on each node. */
  readonly nodes: ReadonlyMap<number, number>;
  /** The share of them that is local: 0 to 1. */
  readonly share: number;
}

/** Sizes that allocators take from different places: recycled pages, and new ones. In bytes; 2 MiB together. */
const SIZES: readonly number[] = [
  ...Array.from({ length: 32 }, () => 1 << 14),
  ...Array.from({ length: 8 }, () => 1 << 16),
  1 << 20,
];

/**
 * Samples the calling thread's heap: buffers of 16 KiB to 1 MiB, 2 MiB together, are allocated as a program would, filled,
 * and given up; the kernel says where their pages are.
 *
 * @returns Where they are.
 * @throws {NumaError} `EPERM` the system does not say (a default container); `ENOSYS`; `ENOMEM` no memory for it.
 */
export function sampleHeap(): HeapSample {
  const action = "sample this thread's heap";
  const node = currentNode();
  const nodes = new Map<number, number>();
  let bytes = 0;
  for (const pages of fill(action)) {
    const found = locate(pages, action);
    for (const [at, count] of found.nodes) {
      nodes.set(at, (nodes.get(at) ?? 0) + count * found.pageBytes);
      bytes += count * found.pageBytes;
    }
  }
  return { node, bytes, nodes, share: bytes === 0 ? 0 : (nodes.get(node) ?? 0) / bytes };
}

/** All of them at once: the next one is not to have the pages of one that was looked at. */
function fill(action: string): readonly WholePages[] {
  let views: readonly Uint8Array[];
  try {
    views = SIZES.map((size) => new Uint8Array(size).fill(1));
  } catch (cause) {
    throw new NumaError("ENOMEM", action, { why: "the runtime has no memory for it", cause });
  }
  return views.map((view) => wholePages(view, action));
}
