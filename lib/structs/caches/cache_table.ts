/**
 * The words of a cache, of one part: each node has one.
 *
 * ```
 *   head      | seed | number | parts | node | default TTL |      a line, written once
 *   counters  hits and misses, a line for each thread
 *   bells     the id of a waiter for each slot of a thread; 0: nobody waits
 *   shards    2^n of them, each:
 *
 *     header    | owner | version | small: tail, used | main: tail, used | ghosts | entries | granules | counts |
 *     flights   16 of | id of who computes, 0: free | hash |
 *     buckets   16 words each: | 15 frequencies of 2 bits | 15 places |        a line
 *     ghosts    | fingerprint, 16 bits | time, 16 bits | each; 4 have a hash's bits in common
 *     data      granules of 16 bytes: first those of the small queue, then those of the main one
 *
 *   a place    0: none; low bits: granule + 1; the others: of the hash
 *   an entry   | hash | key's bytes, 16 bits; expiry's high 16 bits | value's bytes | expiry's low 32 bits |
 *              | key, whole words | value, whole words |       to the end of a granule
 * ```
 *
 * Both queues are rings of entries: `tail` is the oldest one's granule, and `used` granules follow it. An entry lies in one
 * piece; where it does not fit before the end of its ring, the rest of that is skipped: its value's bytes are
 * {@linkcode SKIP}. An entry counts if a place of its bucket leads to it. Nothing marks the others: they are what is left
 * of deletions, and their granules come back when the tail passes.
 *
 * A place stays where it is as long as its key has an entry, whichever ring that is in, so its frequency does too: readers
 * write frequencies late, and a late one never hits anything but a frequency.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { CounterCore } from "../../sync/counters/counter_core.ts";
import { LINE_WORDS } from "../../wait/waiter.ts";

// The head.
export const SEED = 0;
export const NUMBER = 2;
export const PARTS = 3;
export const NODE = 4;
export const TTL_LOW = 5;
export const TTL_HIGH = 6;

// A shard's header.
export const OWNER = 0;
export const VERSION = 1;
export const TAIL = 2;
export const USED = 3;
/** From a word of the small queue to the same of the main one. */
export const TO_MAIN = 2;
export const GHOSTS = 6;
export const ENTRIES = 7;
export const GRANULES = 8;
/** These are counted in two words each, the lower half first. */
export const WRITES = 10;
export const EVICTIONS = 12;
export const EXPIRATIONS = 14;
export const RESETS = 16;

export const FLIGHTS = 16;
export const FLIGHT_WORDS = 2;
export const FLIGHTS_AT: number = LINE_WORDS;
export const BUCKETS_AT: number = LINE_WORDS + FLIGHTS * FLIGHT_WORDS;
export const BUCKET_WORDS = 16;
/** Places of a bucket; its first word has their frequencies. */
export const PLACES: number = BUCKET_WORDS - 1;
export const MAX_FREQUENCY = 3;
export const GHOST_WAYS = 4;

export const GRANULE_WORDS = 4;
export const GRANULE_BYTES: number = GRANULE_WORDS * 4;
// An entry's first granule.
export const HASH = 0;
export const KEY_BYTES = 1;
export const VALUE_BYTES = 2;
export const EXPIRY_LOW = 3;
export const EXPIRY_SHIFT = 16;
export const MAX_KEY_BYTES = 0xffff;
export const SKIP: number = -1;

/** Where everything is in a shard, and how many there are. */
export interface ShardLayout {
  /** Where the first shard begins. */
  readonly first: number;
  /** The logarithm of how many there are. */
  readonly bits: number;
  /** Words of a shard. */
  readonly words: number;
  /** A power of two. */
  readonly buckets: number;
  readonly ghostsAt: number;
  /** Words for ghosts: a power of two, at least {@linkcode GHOST_WAYS}. */
  readonly ghosts: number;
  readonly dataAt: number;
  /** Granules of the small queue. */
  readonly small: number;
  /** Granules of the main queue. */
  readonly main: number;
  /** Granules of the largest entry: no more than the main queue's. */
  readonly most: number;
}

/** The layout of a part. */
export interface CacheLayout extends ShardLayout {
  readonly hitsAt: number;
  readonly missesAt: number;
  readonly bellsAt: number;
  /** How many bells there are. */
  readonly bells: number;
  /** All words. */
  readonly all: number;
}

/** How large a part is to be. */
export interface CacheSize {
  /** Bytes for entries. */
  readonly capacity: number;
  readonly shardBits: number;
  /** What an entry is expected to take: bytes of its key and value. */
  readonly entryBytes: number;
}

/** The small queue has this part of a shard's granules. */
const SMALL_PART = 10;
/** The largest entry takes this part of the main queue. */
const MOST_PART = 8;
/** Bytes of the largest entry, at most. */
const MOST_BYTES = 2 ** 24;
/** Places for each entry that is expected: so many that a bucket is hardly ever full. */
const PLACES_PER_ENTRY = 1.75;
/** Words for ghosts for each bucket: about as many as there are entries. */
const GHOSTS_PER_BUCKET = 8;

const powerOfTwo = (least: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, least)));
const lines = (words: number): number => Math.ceil(words / LINE_WORDS) * LINE_WORDS;

/**
 * Granules that an entry takes.
 *
 * @param keyBytes Bytes of its key.
 * @param valueBytes Bytes of its value.
 * @returns Granules, with its header.
 */
export function granulesOf(keyBytes: number, valueBytes: number): number {
  const words = GRANULE_WORDS + ((keyBytes + 3) >>> 2) + ((valueBytes + 3) >>> 2);
  return (words + GRANULE_WORDS - 1) >>> 2;
}

/**
 * Lays out a part.
 *
 * @param size How large it is to be.
 * @param shape For how many threads.
 * @returns The layout.
 */
export function cacheLayoutOf(size: CacheSize, shape: Shape): CacheLayout {
  const { capacity, shardBits, entryBytes } = size;
  const shards = 2 ** shardBits;
  // Whole lines.
  const granules = Math.ceil(capacity / GRANULE_BYTES / shards / 8) * 8;
  const small = Math.floor(granules / SMALL_PART);
  const main = granules - small;
  const entries = granules * GRANULE_BYTES / (entryBytes + GRANULE_BYTES);
  const buckets = powerOfTwo(Math.max(2, entries * PLACES_PER_ENTRY / PLACES));
  const ghosts = buckets * GHOSTS_PER_BUCKET;
  const ghostsAt = BUCKETS_AT + buckets * BUCKET_WORDS;
  const dataAt = lines(ghostsAt + ghosts);
  const words = dataAt + granules * GRANULE_WORDS;
  const hitsAt = LINE_WORDS;
  const missesAt = hitsAt + CounterCore.words(shape);
  const bellsAt = missesAt + CounterCore.words(shape);
  const first = bellsAt + lines(shape.threads);
  return {
    ...{ first, bits: shardBits, words, buckets, ghostsAt, ghosts, dataAt, small, main },
    most: Math.min(Math.floor(main / MOST_PART), MOST_BYTES / GRANULE_BYTES),
    ...{ hitsAt, missesAt, bellsAt, bells: shape.threads, all: first + shards * words },
  };
}
