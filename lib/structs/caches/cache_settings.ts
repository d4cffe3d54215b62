/**
 * What a cache is made of, as its options say it and as one number that its memory keeps.
 *
 * ```
 *   bits 0-7    capacity: three bits of a fraction, five of an exponent
 *   bits 8-11   the logarithm of the number of shards
 *   bits 12-15  the logarithm of what an entry takes, less four
 *   bits 16-19  keys, values
 * ```
 *
 * @module
 */
import { parseBytes } from "../../base/bytes.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { CacheSize } from "./cache_table.ts";
import type { CacheKeyType, CacheOptions, CacheValueType } from "./cache_types.ts";

const MIN_CAPACITY = 2 ** 12;
const MAX_CAPACITY = 3 * 2 ** 30;
const MIN_SHARD = 2 ** 12;
const MAX_SHARD = 2 ** 26;
const MAX_SHARD_BITS = 8;
const DEFAULT_SHARD = 2 ** 19;
const DEFAULT_SHARD_BITS = 5;
const MIN_ENTRY_BITS = 4;
const MAX_ENTRY_BITS = 16;
const FRACTION_BITS = 3;
const KEYS: readonly CacheKeyType[] = ["text", "bytes"];
const VALUES: readonly CacheValueType[] = ["bytes", "text", "json"];
/** The longest time of an entry that ends. */
export const MAX_TTL_MS: number = 2 ** 40;

/** The options, with what was left out. */
export interface CacheSettings {
  readonly size: CacheSize;
  readonly key: CacheKeyType;
  readonly value: CacheValueType;
}

const lowBits = (number: number, bits: number): number => number & ((1 << bits) - 1);

/**
 * What {@linkcode cacheOptionOf} made a number of. It is in memory that any thread can write to: also what it never made.
 *
 * @param option The number.
 * @returns Settings within the limits.
 */
export function cacheSettingsOf(option: number): CacheSettings {
  const exponent = Math.max(12, lowBits(option >>> FRACTION_BITS, 5));
  const capacity = (2 ** FRACTION_BITS + lowBits(option, FRACTION_BITS)) *
    2 ** (exponent - FRACTION_BITS);
  const bits = Math.ceil(Math.log2(capacity));
  const least = Math.max(0, bits - Math.log2(MAX_SHARD));
  const most = Math.min(MAX_SHARD_BITS, Math.floor(Math.log2(capacity / MIN_SHARD)));
  const shardBits = Math.min(Math.max(least, lowBits(option >>> 8, 4)), most);
  const entryBits = Math.min(MIN_ENTRY_BITS + lowBits(option >>> 12, 4), MAX_ENTRY_BITS);
  return {
    size: { capacity, shardBits, entryBytes: 2 ** entryBits },
    key: KEYS[lowBits(option >>> 16, 1)] as CacheKeyType,
    value: VALUES[Math.min(lowBits(option >>> 17, 2), VALUES.length - 1)] as CacheValueType,
  };
}

/**
 * The number that {@linkcode cacheSettingsOf} takes.
 *
 * @param options The options.
 * @param action What was asked, as it follows "Cannot".
 * @returns The number.
 * @throws {NumaError} `EINVAL`.
 */
export function cacheOptionOf(options: CacheOptions, action: string): number {
  const { capacity = "16 MiB", key = "text", value = "bytes", shards, entryBytes = 128 } = options;
  const bytes = checkInteger(
    parseBytes(capacity, action),
    "capacity",
    MIN_CAPACITY,
    MAX_CAPACITY,
    action,
  );
  // Rounded up to a number of three bits behind the first one.
  const exponent = Math.floor(Math.log2(bytes));
  const eighths = Math.ceil(bytes / 2 ** (exponent - FRACTION_BITS)) - 2 ** FRACTION_BITS;
  const code = (exponent << FRACTION_BITS) + eighths;
  const entryBits = Math.floor(
    Math.log2(checkInteger(entryBytes, "entryBytes", 16, 2 ** MAX_ENTRY_BITS, action)),
  );
  const option = code | ((entryBits - MIN_ENTRY_BITS) << 12) |
    (indexOf(KEYS, key, "key", action) << 16) | (indexOf(VALUES, value, "value", action) << 17);
  const byDefault = Math.min(
    DEFAULT_SHARD_BITS,
    Math.max(0, Math.floor(Math.log2(bytes / DEFAULT_SHARD))),
  );
  if (shards === undefined) return option | (byDefault << 8);
  checkInteger(shards, "shards", 1, 2 ** MAX_SHARD_BITS, action);
  const whole = option | (Math.round(Math.log2(shards)) << 8);
  if (2 ** cacheSettingsOf(whole).size.shardBits !== shards) {
    throw new NumaError("EINVAL", action, {
      why: `shards is ${shards}, with a capacity of ${bytes} bytes`,
      fix: "Give a power of two, so that a shard has 4 KiB to 64 MiB.",
    });
  }
  return whole;
}

function indexOf(
  types: readonly string[],
  type: unknown,
  name: string,
  action: string,
): number {
  const index = types.indexOf(type as string);
  if (index >= 0) return index;
  throw new NumaError("EINVAL", action, {
    why: `${name} is ${show(type)}`,
    fix: `Give "${types.join('", "')}".`,
  });
}

/**
 * Checks how long an entry may be read.
 *
 * @param ttlMs What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns Milliseconds; 0: without end.
 * @throws {NumaError} `EINVAL`.
 */
export function checkTtl(ttlMs: unknown, action: string): number {
  if (ttlMs === Infinity) return 0;
  return checkInteger(ttlMs, "ttlMs", 1, MAX_TTL_MS, action);
}
