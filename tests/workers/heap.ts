// Grows the heap of its thread, and tells where that went.
import { Buffer } from "node:buffer";
import { currentNode, worker } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { bytesByNode, readNumaMaps } from "../support/numa_maps.ts";

/** What the thread saw. */
export interface HeapReport {
  readonly affinity: string;
  readonly node: number;
  /** Bytes of anonymous memory by node that came while it allocated. */
  readonly grown: [number, number][];
}

const anonymous = (): Map<number, number> =>
  bytesByNode(readNumaMaps().filter((map) => map.anonymous));

const body: (args: { bytes: number }) => HeapReport = ({ bytes }) => {
  const before = anonymous();
  const kept: unknown[] = [];
  for (let done = 0; done < bytes; done += 2 ** 20) {
    // Both kinds of heap: objects, and the memory of buffers.
    kept.push(Array.from({ length: 2 ** 15 }, (_, index) => ({ index })));
    kept.push(Buffer.alloc(2 ** 19, 1));
  }
  const after = anonymous();
  const grown = [...after].map(([node, count]): [number, number] => [
    node,
    count - (before.get(node) ?? 0),
  ]);
  if (kept.length === 0) throw new Error("nothing was allocated");
  return { affinity: threadAffinity().toString(), node: currentNode(), grown };
};

export default worker(body);
