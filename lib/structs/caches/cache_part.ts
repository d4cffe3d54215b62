/**
 * The part of a cache that is in one memory, as this thread sees it.
 *
 * @module
 */
import { lengthOf } from "../../base/brand.ts";
import { Attachment } from "../../shared/attachment.ts";
import type { Region } from "../../shared/region.ts";
import { CounterCore } from "../../sync/counters/counter_core.ts";
import { outlast } from "../naps.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { AGAIN, CacheCore, FOUND } from "./cache_core.ts";
import type { ShardCounts } from "./cache_queues.ts";
import { Scan } from "./cache_scan.ts";
import { cacheSettingsOf } from "./cache_settings.ts";
import { cacheLayoutOf, GRANULE_BYTES, MAX_KEY_BYTES, NODE } from "./cache_table.ts";

/** How often a reader looks, before it takes the lock. */
const READ_TRIES = 8;
/** Of so many bytes and more, the engine's own copy is faster than a loop. */
const LONG_COPY = 96;

const READ = "read a cache";
const WRITE = "write to a cache";

// What is done with a value that was found.
const NOTHING = 0;
const COPY = 1;
const COPY_INTO = 2;
const COPY_UNCOUNTED = 3;

const empty = /* @__PURE__ */ new Uint8Array(0);

/** What was counted in a part. */
export interface PartCounts extends ShardCounts {
  hits: number;
  misses: number;
}

/** Counts to add to. */
export function noCounts(): PartCounts & { capacity: number } {
  return {
    ...{ entries: 0, bytes: 0, capacity: 0, hits: 0, misses: 0 },
    ...{ writes: 0, evictions: 0, expirations: 0, resets: 0 },
  };
}

/** One part. */
export class CachePart {
  readonly region: Region;
  readonly core: CacheCore;
  readonly attached: Attachment;
  /** Bytes of the longest key. */
  readonly mostKey: number;
  /** The node of its memory; -1 where that is not an arena. */
  readonly node: number;
  /** Bytes for entries. */
  readonly capacity: number;
  readonly #me: ThreadWaiter;
  readonly #bytes: Uint8Array;
  readonly #hits: CounterCore;
  readonly #misses: CounterCore;
  readonly #scan: Scan;
  readonly #mostBytes: number;
  #value: Uint8Array<ArrayBuffer> = empty;
  #length = 0;

  /**
   * @param region Its memory.
   * @param now The time.
   */
  constructor(region: Region, now: () => number) {
    const { words, shape, option } = region;
    const layout = cacheLayoutOf(cacheSettingsOf(option).size, shape);
    this.region = region;
    this.core = new CacheCore(words, layout, now);
    this.attached = new Attachment(region);
    this.node = words[NODE] as number;
    this.capacity = (layout.small + layout.main) * GRANULE_BYTES * 2 ** layout.bits;
    this.#me = this.attached.me;
    this.#bytes = new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
    this.#hits = new CounterCore(words.subarray(layout.hitsAt, layout.missesAt), shape);
    this.#misses = new CounterCore(words.subarray(layout.missesAt, layout.bellsAt), shape);
    this.#scan = new Scan(words, layout, this.core, now);
    this.#mostBytes = (layout.most - 1) * GRANULE_BYTES;
    this.mostKey = Math.min(MAX_KEY_BYTES, this.#mostBytes);
  }

  /**
   * Bytes of the longest value.
   *
   * @param keyBytes The length of its key.
   * @returns Bytes.
   */
  mostValue(keyBytes: number): number {
    return this.#mostBytes - ((keyBytes + 3) & ~3);
  }

  /**
   * Reads a value.
   *
   * @param hash The key's hash.
   * @param key The key.
   * @param keyBytes Its length.
   * @param counts Whether it counts as a hit or a miss.
   * @returns A copy; undefined if there is none.
   */
  read(
    hash: number,
    key: Int32Array,
    keyBytes: number,
    counts: boolean,
  ): Uint8Array<ArrayBuffer> | undefined {
    const what = counts ? COPY : COPY_UNCOUNTED;
    if (!this.#read(hash, key, keyBytes, what, empty)) return undefined;
    const value = this.#value;
    this.#value = empty;
    return value;
  }

  /**
   * Reads a value without allocating.
   *
   * @param hash The key's hash.
   * @param key The key.
   * @param keyBytes Its length.
   * @param target Where it goes, if there is room for all of it.
   * @returns Its length; undefined if there is none.
   */
  readInto(
    hash: number,
    key: Int32Array,
    keyBytes: number,
    target: Uint8Array,
  ): number | undefined {
    return this.#read(hash, key, keyBytes, COPY_INTO, target) ? this.#length : undefined;
  }

  /**
   * Whether there is a value.
   *
   * @param hash The key's hash.
   * @param key The key.
   * @param keyBytes Its length.
   * @returns Whether there is.
   */
  has(hash: number, key: Int32Array, keyBytes: number): boolean {
    return this.#read(hash, key, keyBytes, NOTHING, empty);
  }

  /**
   * Writes a value.
   *
   * @param hash The key's hash.
   * @param key The key.
   * @param keyBytes Its length.
   * @param value The value: no longer than {@linkcode CachePart.mostValue}.
   * @param expiry When its time is over; 0: never.
   * @returns Whether it took the place of one.
   */
  write(
    hash: number,
    key: Int32Array,
    keyBytes: number,
    value: Uint8Array,
    expiry: number,
  ): boolean {
    const core = this.core;
    const length = lengthOf(value);
    this.#lock(hash, WRITE);
    let isDone = false;
    try {
      this.#fill(core.place(hash, key, keyBytes, length, expiry) * 4, value, length);
      isDone = true;
      return core.replaced;
    } finally {
      // Nothing is known to throw there.
      if (!isDone) core.reset();
      core.commit();
      core.unlock();
    }
  }

  /**
   * Takes a key out.
   *
   * @param hash The key's hash.
   * @param key The key.
   * @param keyBytes Its length.
   * @returns Whether it had a value.
   */
  remove(hash: number, key: Int32Array, keyBytes: number): boolean {
    this.#lock(hash, WRITE);
    const had = this.core.remove(hash, key, keyBytes);
    this.core.unlock();
    return had;
  }

  /** Takes all out, shard by shard. */
  clear(): void {
    for (let shard = 0; shard < this.core.shards; shard++) {
      this.#lock(this.core.hashOf(shard), WRITE);
      this.core.clear();
      this.core.unlock();
    }
  }

  /**
   * Takes all entries, bucket by bucket, while others may write: those of a bucket as they are at one moment.
   *
   * @returns Their words, as `cache_scan.ts` shows them.
   */
  *entries(): Generator<Int32Array> {
    const scan = this.#scan;
    this.attached.check("read");
    for (let shard = 0; shard < this.core.shards; shard++) {
      for (let bucket = 0; bucket < scan.buckets; bucket++) {
        yield* this.#copyBucket(shard, bucket);
        this.attached.check("read");
      }
    }
  }

  /**
   * Adds up what was counted.
   *
   * @param counts What is added to.
   */
  addCounts(counts: PartCounts): void {
    this.attached.check("read");
    this.core.addCounts(counts);
    counts.hits += this.#hits.value();
    counts.misses += this.#misses.value();
  }

  #copyBucket(shard: number, bucket: number): Int32Array[] {
    const scan = this.#scan;
    for (let round = 0; round < READ_TRIES; round++) {
      const found = scan.tryCopy(shard, bucket);
      if (found !== undefined) return found;
      if (!this.#me.spin(round)) break;
    }
    this.#lock(this.core.hashOf(shard), READ);
    try {
      return scan.copy(shard, bucket);
    } finally {
      this.core.unlock();
    }
  }

  #read(
    hash: number,
    key: Int32Array,
    keyBytes: number,
    what: number,
    target: Uint8Array,
  ): boolean {
    const core = this.core;
    const me = this.#me;
    try {
      for (let round = 0; round < READ_TRIES; round++) {
        const state = core.seek(hash, key, keyBytes);
        if (state === AGAIN) {
          if (!me.spin(round)) break;
          continue;
        }
        const found = state === FOUND && this.#copy(what, target);
        if (core.isWhole()) return this.#count(found, what);
      }
      this.#lock(hash, READ);
      try {
        return this.#count(core.find(hash, key, keyBytes) && this.#copy(what, target), what);
      } finally {
        core.unlock();
      }
    } catch (error) {
      this.attached.check("read");
      throw error;
    }
  }

  /** Copies what was found, if its time is not over. */
  #copy(what: number, target: Uint8Array): boolean {
    const core = this.core;
    if (core.isOver()) return false;
    const from = core.valueAt * 4;
    const length = core.valueBytes;
    if (what === COPY || what === COPY_UNCOUNTED) {
      this.#value = this.#bytes.slice(from, from + length) as Uint8Array<ArrayBuffer>;
    } else if (what === COPY_INTO) {
      this.#length = length;
      if (length > lengthOf(target)) return true;
      const bytes = this.#bytes;
      if (length >= LONG_COPY) target.set(bytes.subarray(from, from + length));
      else for (let at = 0; at < length; at++) target[at] = bytes[from + at] as number;
    }
    return true;
  }

  /** `has` is not counted, and does not keep an entry. */
  #count(found: boolean, what: number): boolean {
    if (what === NOTHING) return found;
    if (found) this.core.touch();
    if (what !== COPY_UNCOUNTED) (found ? this.#hits : this.#misses).add(this.#me, 1);
    return found;
  }

  #fill(at: number, value: Uint8Array, length: number): void {
    const bytes = this.#bytes;
    if (length >= LONG_COPY) bytes.set(value, at);
    else for (let index = 0; index < length; index++) bytes[at + index] = value[index] as number;
  }

  /** Locks the shard of a hash. It is not for long: the main thread naps, too. */
  #lock(hash: number, action: string): void {
    const core = this.core;
    const me = this.#me;
    this.attached.check(action === READ ? "read" : "write to");
    if (!core.lock(me, hash)) outlast(core.wait(me, hash), me, action);
  }
}

/**
 * Takes all entries of several parts.
 *
 * @param parts The parts.
 * @returns As {@linkcode CachePart.entries}.
 */
export function* entriesOf(parts: readonly CachePart[]): Generator<Int32Array> {
  for (const part of parts) yield* part.entries();
}
