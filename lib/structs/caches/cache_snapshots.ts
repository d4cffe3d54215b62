/**
 * A cache's entries as a snapshot, and back.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { damaged, readSnapshot } from "../snapshots/snapshot.ts";
import { ENTRY_HEAD, WORTH_SHIFT } from "./cache_scan.ts";
import { cacheOptionOf, cacheSettingsOf, checkTtl } from "./cache_settings.ts";
import { GRANULE_BYTES, granulesOf, MAX_KEY_BYTES } from "./cache_table.ts";
import type { CacheOptions } from "./cache_types.ts";

/** The name of caches in snapshots. */
const CACHE_KIND = "Cache";
const MAX_VALUE_BYTES = 2 ** 24;
const MAX_EXPIRY_HIGH = 0xffff;

const strict = /* @__PURE__ */ new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * What a cache is, for the header of its snapshot.
 *
 * @param option The number of its settings.
 * @param ttlMs How long entries may be read by default; 0: without end.
 * @returns The header.
 */
export function cacheHeaderOf(
  option: number,
  ttlMs: number,
): CacheOptions & { readonly kind: string } {
  const { key, value, size: { capacity, shardBits, entryBytes } } = cacheSettingsOf(option);
  const header = { kind: CACHE_KIND, key, value, capacity, shards: 2 ** shardBits, entryBytes };
  return ttlMs === 0 ? header : { ...header, ttlMs };
}

/** An entry out of a snapshot. */
export interface CacheEntry {
  /** The bytes of its key. */
  readonly key: Uint8Array;
  /** The bytes of its value. */
  readonly value: Uint8Array;
  /** When its time is over; 0: never. */
  readonly expiry: number;
  /** Bytes that it takes in a cache. */
  readonly bytes: number;
}

/** What is in the snapshot of a cache. */
export interface CacheEntries {
  /** The options of the new cache. */
  readonly options: CacheOptions;
  /** Its entries: those that are worth most are first. They are made as they are read. */
  readonly entries: Iterable<CacheEntry>;
}

/** What a snapshot says that its cache is, if any can be so. */
function settingsOf(header: Readonly<Record<string, unknown>>, action: string): CacheOptions {
  const { key, value, capacity, shards, entryBytes, ttlMs = Infinity } = header as CacheOptions;
  try {
    for (const option of [key, value, capacity, shards, entryBytes]) {
      if (option === undefined) throw new TypeError("an option is missing");
    }
    checkTtl(ttlMs, action);
    cacheOptionOf({ key, value, capacity, shards, entryBytes } as CacheOptions, action);
  } catch (error) {
    throw damaged(action, "no cache is as it says", error);
  }
  return { key, value, capacity, shards, entryBytes, ttlMs } as CacheOptions;
}

function checkText(bytes: Uint8Array, action: string): void {
  try {
    strict.decode(bytes);
  } catch (error) {
    throw damaged(action, "a key is no text", error);
  }
}

/** Where the entries of a piece begin. */
function* placesIn(piece: Int32Array, action: string): Generator<number> {
  for (let at = 0; at < piece.length;) {
    const from = at;
    const keyBytes = (piece[at] as number) & MAX_KEY_BYTES;
    const valueBytes = (piece[at + 1] ?? -1) >>> 0;
    const high = (piece[at + 3] ?? -1) >>> 0;
    at += ENTRY_HEAD + ((keyBytes + 3) >>> 2) + Math.ceil(valueBytes / 4);
    if (at > piece.length || valueBytes > MAX_VALUE_BYTES || high > MAX_EXPIRY_HIGH) {
      throw damaged(action, "it has a part of an entry");
    }
    yield from;
  }
}

function entryAt(piece: Int32Array, at: number): CacheEntry {
  const keyBytes = (piece[at] as number) & MAX_KEY_BYTES;
  const valueBytes = piece[at + 1] as number;
  const from = piece.byteOffset + (at + ENTRY_HEAD) * 4;
  const valueFrom = from + ((keyBytes + 3) & ~3);
  return {
    key: new Uint8Array(piece.buffer, from, keyBytes),
    value: new Uint8Array(piece.buffer, valueFrom, valueBytes),
    expiry: (piece[at + 3] as number) * 2 ** 32 + ((piece[at + 2] as number) >>> 0),
    bytes: granulesOf(keyBytes, valueBytes) * GRANULE_BYTES,
  };
}

/** Where an entry is. */
interface Found {
  readonly piece: Int32Array;
  readonly at: number;
}

/** Those that are worth most first; of the same worth in the order in which they were found. */
function* byWorth(found: readonly Found[]): Generator<CacheEntry> {
  const order = Float64Array.from(found, ({ piece, at }, index) => {
    const worth = (piece[at] as number) >>> WORTH_SHIFT;
    return -worth * 2 ** 32 + index;
  });
  for (const number of order.sort()) {
    const index = number - Math.floor(number / 2 ** 32) * 2 ** 32;
    const { piece, at } = found[index] as Found;
    yield entryAt(piece, at);
  }
}

/**
 * Reads the snapshot of a cache, and checks it.
 *
 * @param source Where its bytes are, from a caller.
 * @param options What the cache will be: of the same types.
 * @param action What was asked, as it follows "Cannot".
 * @returns What is in it.
 * @throws {NumaError} As `Cache.restore`.
 */
export async function readCache(
  source: unknown,
  options: CacheOptions,
  action: string,
): Promise<CacheEntries> {
  const { key = "text", value = "bytes" } = options;
  const { header, pieces } = await readSnapshot(source, CACHE_KIND, action);
  const settings = settingsOf(header, action);
  if (settings.key !== key || settings.value !== value) {
    throw new NumaError("EINVAL", action, {
      why: `its keys and values are ${show(settings.key)} and ${show(settings.value)}, and not ${
        show(key)
      } and ${show(value)}`,
      fix: "Give the types that it was taken of.",
    });
  }
  const found: Found[] = [];
  for (const piece of pieces) {
    for (const at of placesIn(piece, action)) {
      if (key === "text") checkText(entryAt(piece, at).key, action);
      found.push({ piece, at });
    }
  }
  // What says how much memory it takes goes together: `Cache.bytes` knows nothing of the snapshot.
  const { ttlMs, ...size } = settings;
  const { capacity, shards, entryBytes } = options;
  const isSame = capacity === undefined && shards === undefined && entryBytes === undefined;
  return {
    options: { ttlMs, ...(isSame && size), ...options },
    entries: byWorth(found),
  };
}

/**
 * Entries without those whose time is over, and no more than there is room for: what would come behind them would drive
 * out what is worth more.
 *
 * @param entries The entries: those first that are worth most.
 * @param capacity Bytes of the cache for entries.
 * @param now The time.
 * @returns Those that it gets.
 */
export function* worthKeeping(
  entries: Iterable<CacheEntry>,
  capacity: number,
  now: number,
): Generator<CacheEntry> {
  let left = capacity;
  for (const entry of entries) {
    const { bytes, expiry } = entry;
    if (expiry !== 0 && expiry <= now) continue;
    left -= bytes;
    if (left < 0) return;
    yield entry;
  }
}
