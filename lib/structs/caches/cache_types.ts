/**
 * The types of a cache's keys and values, and its options.
 *
 * @module
 */
import type { ByteSize } from "../../base/bytes.ts";
import type { SyncOptions } from "../../shared/region.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";

/** What keys are: texts, or bytes. */
export type CacheKeyType = "text" | "bytes";

/** What values are: bytes; texts; or anything that `JSON.stringify` takes. */
export type CacheValueType = "bytes" | "text" | "json";

/** What JavaScript has for a {@linkcode CacheKeyType}. */
export type CacheKey<Type extends CacheKeyType> = Type extends "bytes" ? Uint8Array : string;

/** What JavaScript has for a {@linkcode CacheValueType}. */
export type CacheValue<Type extends CacheValueType> = Type extends "bytes" ? Uint8Array<ArrayBuffer>
  : Type extends "text" ? string
  : unknown;

/** What a `Cache` takes for a value: bytes also where they are shared. */
export type CacheInput<Value> = Value extends Uint8Array ? Uint8Array : Value;

/** Options of a `Cache`. */
export interface CacheOptions<
  Key extends CacheKeyType = CacheKeyType,
  Value extends CacheValueType = CacheValueType,
> extends SyncOptions {
  /**
   * The memory for entries, in each of the memories that the cache is created in: 4 KiB to 3 GiB, rounded up by up to an
   * eighth. An entry takes its key and value, each rounded up to 4 bytes, and 16 bytes, all rounded up to 16. Memory for
   * finding them comes on top of it: `Cache.bytes` says how much it is in all. Default: 16 MiB.
   */
  readonly capacity?: ByteSize;
  /** What keys are. Default: `"text"`. */
  readonly key?: Key;
  /** What values are. Default: `"bytes"`. */
  readonly value?: Value;
  /**
   * How long an entry may be read, in milliseconds, unless `set` says otherwise: 1 to 2^40, or `Infinity`. Default:
   * `Infinity`.
   */
  readonly ttlMs?: number;
  /**
   * The number of shards in each memory: a power of two from 1 to 256, so that each has 4 KiB to 64 MiB. Writes of one
   * shard wait for each other, and an entry takes at most a ninth of one. Default: as many as have 512 KiB, at most 32.
   */
  readonly shards?: number;
  /**
   * What a key and its value are expected to take together, in bytes: 16 to 65,536. It decides how many entries there is
   * room for; if they are smaller, they do not fill the capacity. Default: 128.
   */
  readonly entryBytes?: number;
}

/** Options of `Cache.set`. */
export interface CacheSetOptions {
  /** How long the entry may be read, in milliseconds: 1 to 2^40, or `Infinity`. Default: as the cache says. */
  readonly ttlMs?: number;
}

/** Options of `Cache.getOrCompute`. */
export interface CacheComputeOptions extends CacheSetOptions, AsyncWaitOptions {}

/** What a cache has counted, of all threads. */
export interface CacheStats {
  /** Entries, with those whose time is over and whose memory is not reused yet. */
  readonly entries: number;
  /** Bytes that these take, with their headers. */
  readonly bytes: number;
  /** Bytes for entries. */
  readonly capacity: number;
  /** Calls of `get`, `getInto` and `getOrCompute` that found a value. */
  readonly hits: number;
  /** Those that found none. */
  readonly misses: number;
  /** Values that were written. */
  readonly writes: number;
  /** Entries that made room for others. */
  readonly evictions: number;
  /** Entries whose memory was reused when their time was over. */
  readonly expirations: number;
  /** Shards that were emptied because a thread died while it wrote to them. */
  readonly resets: number;
}
