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
export type { PageKind } from "./pages.ts";
export type { TypedAllocator } from "./typed_allocator.ts";
export type { ByteSize } from "../runtime/bytes.ts";
export type { Handle, Shareable } from "../runtime/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../runtime/error.ts";
