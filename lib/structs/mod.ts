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
 * @example Records with C's layout
 * ```ts
 * import { f64, struct, u32 } from "@numakit/numakit/structs";
 *
 * const Point = struct({ id: u32, x: f64 });
 * const points = Point.array(new SharedArrayBuffer(Point.bytes(100)));
 * points.fields.x.set(7, 1.5);
 * console.log(points.read(7)); // { id: 0, x: 1.5 }
 * ```
 *
 * @module
 */
export type { StructAccessor, StructBytesAccessor } from "./records/accessors.ts";
export {
  bool,
  bytes,
  f32,
  f64,
  i16,
  i32,
  i64,
  i8,
  type StructField,
  type StructFields,
  type StructRecord,
  type StructType,
  type StructTypeName,
  type StructTypes,
  text,
  u16,
  u32,
  u64,
  u8,
} from "./records/fields.ts";
export { type Struct, struct } from "./records/struct.ts";
export type { StructAccessors, StructArray } from "./records/struct_array.ts";
export type { StructColumnArrays, StructColumns } from "./records/struct_columns.ts";
export type { AsyncWaitOptions, BlockOptions } from "../wait/options.ts";
export {
  Cache,
  type CacheComputeOptions,
  type CacheInput,
  type CacheKey,
  type CacheKeyType,
  type CacheOptions,
  type CacheSetOptions,
  type CacheStats,
  type CacheValue,
  type CacheValueType,
} from "./caches/cache.ts";
export {
  Channel,
  type ChannelCodec,
  type ChannelOptions,
  type ChannelType,
  type ChannelValue,
} from "./channels/channel.ts";
export { Deque, type DequeOptions, type StealResult } from "./deques/deque.ts";
export {
  HashMap,
  type HashMapKeyType,
  type HashMapOptions,
  type HashMapValueType,
  type Listed,
  type MapType,
  type MapTypeValue,
} from "./maps/hash_map.ts";
export type { PlacedMapOptions } from "./maps/map_types.ts";
export { BroadcastConsumer } from "./rings/broadcast_consumer.ts";
export {
  BroadcastRing,
  type BroadcastRingOptions,
  type SubscribeOptions,
} from "./rings/broadcast_ring.ts";
export {
  DelegatedMap,
  type DelegatedMapOptions,
  type ServeOptions,
} from "./placed/delegated_map.ts";
export { ReplicatedMap, type ReplicatedMapOptions } from "./placed/replicated_map.ts";
export { MpmcRing, type MpmcRingOptions } from "./rings/mpmc_ring.ts";
export type { RingOptions } from "./rings/ring_settings.ts";
export { PriorityQueue, type PriorityQueueOptions } from "./priority/priority_queue.ts";
export { OrderedMap, type OrderedMapOptions, type OrderedMapRange } from "./ordered/ordered_map.ts";
export { MessageRing, type MessageRingOptions } from "./rings/message_ring.ts";
export { SpscRing, type SpscRingOptions } from "./rings/spsc_ring.ts";
export { ShardedMap } from "./placed/sharded_map.ts";
export type { SnapshotSource } from "./snapshots/snapshot_source.ts";
export type { SyncMemory, SyncOptions } from "../shared/region.ts";
export type { Handle, Shareable } from "../base/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../base/error.ts";
