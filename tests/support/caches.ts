/**
 * Caches for tests.
 */
import {
  Cache,
  type CacheKey,
  type CacheKeyType,
  type CacheOptions,
  type CacheValue,
  type CacheValueType,
} from "../../mod.ts";

/** A new cache, in as many parts. */
export function cacheOf<
  const Key extends CacheKeyType = "text",
  const Value extends CacheValueType = "bytes",
>(
  options: CacheOptions<Key, Value> = {},
  parts = 1,
): Cache<CacheKey<Key>, CacheValue<Value>> {
  const memory = (): SharedArrayBuffer => new SharedArrayBuffer(Cache.bytes(options));
  return Cache.create(parts === 1 ? memory() : Array.from({ length: parts }, memory), options);
}
