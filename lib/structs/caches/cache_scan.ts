/**
 * All entries of a part, bucket by bucket, as words that another cache can take.
 *
 * ```
 *   | key's bytes, 16 bits; worth, 16 bits | value's bytes | expiry, low | expiry, high | key, whole words | value, whole words |
 * ```
 *
 * A bucket is copied as a reader copies a value: between two looks at the shard's version. An entry that is moved to the
 * other queue keeps its place in the bucket, so it is met once.
 *
 * The worth says what to keep first: what was read more often; then what has made it to the main queue; then what is
 * younger, by its place in the queue.
 *
 * @module
 */
import { AGAIN, type CacheCore } from "./cache_core.ts";
import {
  BUCKET_WORDS,
  BUCKETS_AT,
  type CacheLayout,
  EXPIRY_LOW,
  EXPIRY_SHIFT,
  GRANULE_WORDS,
  granulesOf,
  KEY_BYTES,
  MAX_KEY_BYTES,
  PLACES,
  TAIL,
  TO_MAIN,
  VALUE_BYTES,
} from "./cache_table.ts";

/** Words before the key. */
export const ENTRY_HEAD = 4;
/** Where the worth is in an entry's first word. */
export const WORTH_SHIFT = 16;
const YOUTH_BITS = 12;
/** A key that any shard can be asked for. */
const NO_KEY: Int32Array = /* @__PURE__ */ new Int32Array(0);

/** Reads all entries of a part. */
export class Scan {
  readonly #words: Int32Array;
  readonly #layout: CacheLayout;
  readonly #core: CacheCore;
  readonly #now: () => number;

  /**
   * @param words The part's words.
   * @param layout Where everything is.
   * @param core Reads and locks its shards.
   * @param now The time.
   */
  constructor(words: Int32Array, layout: CacheLayout, core: CacheCore, now: () => number) {
    this.#words = words;
    this.#layout = layout;
    this.#core = core;
    this.#now = now;
  }

  /** Buckets of a shard. */
  get buckets(): number {
    return this.#layout.buckets;
  }

  /**
   * Copies a bucket without a lock.
   *
   * @param shard The shard's number.
   * @param bucket The bucket's.
   * @returns Its entries; undefined if somebody writes to the shard.
   */
  tryCopy(shard: number, bucket: number): Int32Array[] | undefined {
    const core = this.#core;
    // Takes the version. Which key it looks for there is of no interest.
    if (core.seek(core.hashOf(shard), NO_KEY, 0) === AGAIN) return undefined;
    const entries = this.copy(shard, bucket);
    return core.isWhole() ? entries : undefined;
  }

  /**
   * Copies a bucket of a shard that this thread has locked, or whose version it looks at.
   *
   * @param shard The shard's number.
   * @param bucket The bucket's.
   * @returns Its entries.
   */
  copy(shard: number, bucket: number): Int32Array[] {
    const words = this.#words;
    const { first, words: shardWords, small, main, dataAt, most } = this.#layout;
    const base = first + shard * shardWords;
    const at = base + BUCKETS_AT + bucket * BUCKET_WORDS;
    const mask = -1 >>> Math.clz32(small + main);
    const found: Int32Array[] = [];
    for (let place = 1; place <= PLACES; place++) {
      const granule = ((words[at + place] as number) & mask) - 1;
      if (granule < 0 || granule >= small + main) continue;
      const entry = base + dataAt + granule * GRANULE_WORDS;
      const head = words[entry + KEY_BYTES] as number;
      const keyBytes = head & MAX_KEY_BYTES;
      const valueBytes = words[entry + VALUE_BYTES] as number;
      const size = valueBytes < 0 ? Infinity : granulesOf(keyBytes, valueBytes);
      if (size > most || granule + size > small + main) continue;
      const low = words[entry + EXPIRY_LOW] as number;
      const high = head >>> EXPIRY_SHIFT;
      const expiry = high * 2 ** 32 + (low >>> 0);
      if (expiry !== 0 && expiry <= this.#now()) continue;
      const frequency = ((words[at] as number) >>> (2 * (place - 1))) & 3;
      const count = ((keyBytes + 3) >>> 2) + ((valueBytes + 3) >>> 2);
      const copy = new Int32Array(ENTRY_HEAD + count);
      copy[0] = keyBytes | (this.#worth(base, granule, frequency) << WORTH_SHIFT);
      copy[1] = valueBytes;
      copy[2] = low;
      copy[3] = high;
      const from = entry + GRANULE_WORDS;
      copy.set(words.subarray(from, from + count), ENTRY_HEAD);
      // Behind its end are bytes of what was there before.
      const rest = valueBytes & 3;
      if (rest > 0) {
        copy[ENTRY_HEAD + count - 1] = (copy[ENTRY_HEAD + count - 1] as number) &
          (-1 >>> (32 - 8 * rest));
      }
      found.push(copy);
    }
    return found;
  }

  #worth(base: number, granule: number, frequency: number): number {
    const { small, main } = this.#layout;
    const isMain = granule >= small;
    const tail = this.#words[base + (isMain ? TO_MAIN : 0) + TAIL] as number;
    const ring = isMain ? main : small;
    const from = granule - (isMain ? small : 0) - tail;
    const youth = Math.floor(((from % ring + ring) % ring) * 2 ** YOUTH_BITS / ring);
    return ((frequency * 2 + Number(isMain)) << YOUTH_BITS) | youth;
  }
}
