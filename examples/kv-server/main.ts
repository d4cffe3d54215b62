/** A key-value server whose workers share one cache. */
import { Arena, Cache, type SyncMemory, topology } from "@numakit/numakit";
import { type Options, readOptions, serve } from "./cluster.ts";

/** Memory for a part of the cache on each node that has CPUs of this process. */
function memoryOf({ unplaced }: Options, bytesOf: (parts: number) => number): SyncMemory[] {
  if (unplaced) return [new SharedArrayBuffer(bytesOf(1))];
  const { nodes, allowedNodes, allowedCpus } = topology();
  const near = nodes.filter(({ id, cpus }) =>
    allowedNodes.has(id) && cpus.intersection(allowedCpus).size > 0
  );
  return near.map(({ id }) =>
    Arena.create({ node: id, size: bytesOf(near.length), pages: ["2m", "4k"], label: "cache" })
  );
}

const options = readOptions();
const partOf = (parts: number) => ({ capacity: Math.floor(options.capacity / parts) });
const memory = memoryOf(options, (parts) => Cache.bytes(partOf(parts)));
const cache = Cache.create(memory, partOf(memory.length));
await serve(new URL("./worker.ts", import.meta.url), options, () => ({ args: { cache } }));
