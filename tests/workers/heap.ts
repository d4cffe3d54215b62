// Grows the heap of its thread, and tells where that went.
import { Buffer } from "node:buffer";
import { currentNode, placement, worker } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { bytesByNode, readNumaMaps } from "../support/numa_maps.ts";

/** What the thread saw. */
export interface HeapGrowth {
  readonly affinity: string;
  readonly node: number;
  /** Bytes of the process's anonymous memory by node that came while it allocated. */
  readonly grown: [number, number][];
  /** Nodes that the pages of its later buffers are on: the first may have recycled ones, of before it was pinned. */
  readonly bufferNodes: number[];
}

const anonymous = (): Map<number, number> =>
  bytesByNode(readNumaMaps().filter((map) => map.anonymous));

const body: (args: { bytes: number }) => HeapGrowth = ({ bytes }) => {
  const before = anonymous();
  const objects: unknown[] = [];
  const buffers: Buffer<ArrayBuffer>[] = [];
  for (let done = 0; done < bytes; done += 2 ** 20) {
    // Both kinds of heap: objects, and the memory of buffers.
    objects.push(Array.from({ length: 2 ** 15 }, (_, index) => ({ index })));
    buffers.push(Buffer.alloc(2 ** 19, 1));
  }
  const after = anonymous();
  const grown = [...after].map(([node, count]): [number, number] => [
    node,
    count - (before.get(node) ?? 0),
  ]);
  if (objects.length === 0) throw new Error("nothing was allocated");
  const later = buffers.slice(buffers.length / 2);
  const bufferNodes = new Set(later.flatMap((buffer) => [...placement(buffer).pageNodes]));
  return {
    affinity: threadAffinity().toString(),
    node: currentNode(),
    grown,
    bufferNodes: [...bufferNodes],
  };
};

export default worker(body);
