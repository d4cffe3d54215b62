/**
 * Memory on a NUMA node: arenas, slabs, pools, arrays and replicas, and the placement of memory that the runtime owns.
 *
 * @example An arena, and where its pages are
 * ```ts
 * import { Arena } from "@numakit/numakit/memory";
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB" }); // on node 0, or it throws
 * const samples = arena.allocFloat64(1000);
 * samples.fill(1.5);
 * const { nodes, pages } = arena.residency();
 * console.log(nodes.get(0) === pages); // true
 * ```
 *
 * @module
 */
export { Arena, type ArenaMark } from "./arena/arena.ts";
export type { ArenaOptions, LocalArenaOptions } from "./arena/options.ts";
export { bind, Binding, interleave, migrate, sharedBuffer } from "./owned/binding.ts";
export type {
  BindOptions,
  InterleaveOptions,
  MoveOptions,
  SharedBufferOptions,
} from "./owned/options.ts";
export { type BufferPlacement, type OwnedMemory, placement } from "./owned/owned.ts";
export type { MemoryEvent, MemoryEventName } from "./mapping/events.ts";
export { type ArenaReport, type MemoryReport, memoryReport } from "./mapping/report.ts";
export type { Residency } from "./mapping/mapping.ts";
export type {
  NodeArrayElement,
  NodeArrayElementType,
  NodeArrayElementViews,
} from "./spread/elements.ts";
export {
  NodeArray,
  type NodeArrayLayout,
  type NodeArrayOptions,
  type NodeArrayPart,
  type NodeArrayPlace,
} from "./spread/node_array.ts";
export {
  NodePool,
  type NodePoolClassUsage,
  type NodePoolOptions,
  type NodePoolUsage,
} from "./objects/node_pool.ts";
export { Slab, type SlabOptions } from "./objects/slab.ts";
export { ReplicaSnapshot } from "./spread/replica_snapshot.ts";
export {
  Replicated,
  type ReplicatedOptions,
  type ReplicatedUpdateFunction,
  type ReplicatedUpdateSource,
} from "./spread/replicated.ts";
export type { PageKind } from "./mapping/pages.ts";
export type { TypedAllocator } from "./arena/typed_allocator.ts";
export type { ByteSize } from "../base/bytes.ts";
export type { Handle, Shareable } from "../base/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../base/error.ts";
