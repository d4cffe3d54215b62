/**
 * Structures that threads share, in memory that you provide: an arena or a `SharedArrayBuffer`.
 *
 * @example A ring from one thread to another
 * ```ts
 * import { SpscRing } from "@numakit/numakit/structs";
 *
 * const ring = SpscRing.create(new SharedArrayBuffer(SpscRing.bytes()));
 * ring.tryPush(Int32Array.of(1, 2, 3)); // in the producer's thread
 * const numbers = new Int32Array(64);
 * console.log(ring.tryPop(numbers)); // 3, in the consumer's
 * ```
 *
 * @module
 */
export type { AsyncWaitOptions, BlockOptions } from "../wait/options.ts";
export { Deque, type DequeOptions, type StealResult } from "./deques/deque.ts";
export {
  HashMap,
  type HashMapOptions,
  type Listed,
  type MapType,
  type MapTypeValue,
} from "./maps/hash_map.ts";
export { SpscRing, type SpscRingOptions } from "./rings/spsc_ring.ts";
export type { SyncMemory, SyncOptions } from "../shared/region.ts";
