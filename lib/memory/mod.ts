/**
 * Memory on a NUMA node: arenas, and placement of what the runtime owns.
 *
 * @module
 */
export { Arena, type ArenaMark } from "./arena.ts";
export type { ArenaOptions, LocalArenaOptions } from "./options.ts";
export {
  bind,
  Binding,
  type BindOptions,
  interleave,
  type InterleaveOptions,
  migrate,
  sharedBuffer,
  type SharedBufferOptions,
} from "./binding.ts";
export { type BufferPlacement, type OwnedMemory, placement } from "./owned.ts";
export type { MemoryEvent, MemoryEventName } from "./events.ts";
export { type ArenaReport, type MemoryReport, memoryReport } from "./report.ts";
export type { Residency } from "./mapping.ts";
export type { Element, ElementType, ElementViews } from "./elements.ts";
export {
  NodeArray,
  type NodeArrayLayout,
  type NodeArrayOptions,
  type NodePart,
  type NodePlace,
} from "./node_array.ts";
export {
  type ClassUsage,
  NodePool,
  type NodePoolOptions,
  type NodePoolUsage,
} from "./node_pool.ts";
export { Slab, type SlabOptions } from "./slab.ts";
export { Snapshot } from "./replica_snapshot.ts";
export {
  Replicated,
  type ReplicatedOptions,
  type UpdateFunction,
  type UpdateSource,
} from "./replicated.ts";
export type { PageKind } from "./pages.ts";
export type { TypedAllocator } from "./typed_allocator.ts";
export type { ByteSize } from "../runtime/bytes.ts";
export type { Handle, Shareable } from "../runtime/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../runtime/error.ts";
