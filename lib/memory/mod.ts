/**
 * Memory on a NUMA node: arenas.
 *
 * @module
 */
export { Arena, type ArenaMark, type ArenaOptions, type LocalArenaOptions } from "./arena.ts";
export type { Residency } from "./mapping.ts";
export type { PageKind } from "./pages.ts";
export type { TypedAllocator } from "./typed_allocator.ts";
export type { ByteSize } from "../runtime/bytes.ts";
export type { Handle, Shareable } from "../runtime/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../runtime/error.ts";
