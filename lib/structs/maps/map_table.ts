/**
 * Where the words of a hash map are, and which bucket a key belongs to.
 *
 * ```
 *   line 0      | grown | seed (64 bits) |     buckets there are beyond the first ones: written once a split
 *   line 1      | grower | cursor |            the id of the thread that splits a bucket | where to look for a spare bucket
 *   then        buckets, up to the most there can be | spare buckets, for more entries than fit into one
 *
 *   bucket      | owner | meta | next | entries: key, value | …         a cache line or more
 *     owner     of a bucket: the id of who changes its chain, 0 for nobody
 *               of a spare bucket: 1 + the number of the bucket in whose chain it is, 0: in none
 *     meta      bits 0-7 which entries there are; bits 8-31 a version, which wraps: in the first bucket of a chain it
 *               changes with whatever changes in the chain
 *     next      the number of the next bucket of the chain, 0: there is none
 * ```
 *
 * Linear hashing (Litwin, 1980): the map grows bucket by bucket. With n buckets a key is in the one that the lowest bits
 * of its hash say, as many bits as n needs, or one bit less where that one does not exist yet.
 *
 * @module
 */
import { LINE_WORDS } from "../../wait/waiter.ts";

/** Buckets beyond the first ones. */
export const GROWN = 0;
/** Two words that make each map's hashes its own. */
export const SEED = 1;
/** The id of the thread that splits a bucket. */
export const GROWER: number = LINE_WORDS;
/** Where to look for a spare bucket. */
export const CURSOR: number = LINE_WORDS + 1;
const BUCKETS = 2 * LINE_WORDS;

/** Words of a bucket. */
export const OWNER = 0;
export const META = 1;
export const NEXT = 2;
export const ENTRIES = 3;

/** The bits of a bucket's entries in `meta`. */
export const ENTRY_MASK = 0xff;
/** What is added to `meta` for another version. */
export const VERSION_UNIT = 0x100;

/** Words of the cache lines that buckets are multiples of. */
const BUCKET_UNIT = 16;
const MAX_ENTRIES = 8;
const MIN_ENTRIES = 4;
/** Buckets that a map begins with, if it has room for so many. */
const FIRST_BUCKETS = 64;
/** Entries a bucket that a map is laid out for, as a share of those that fit. */
const LOAD = 0.7;
/** Spare buckets a bucket: twice the 0.18 that 100,000 random keys have needed. */
const SPARE = 0.4;
const MIN_SPARE = 8;

/** The number of 32-bit words of what a map holds, and how much. */
export interface MapShape {
  readonly keyWords: number;
  readonly valueWords: number;
  /** How many entries it is laid out for. */
  readonly capacity: number;
}

/** The layout of a map, in numbers. */
export interface MapLayout {
  /** Words of an entry. */
  readonly entryWords: number;
  /** Words of a bucket. */
  readonly bucketWords: number;
  /** Entries of a bucket. */
  readonly entries: number;
  /** Buckets that it begins with: a power of two. */
  readonly first: number;
  /** The most buckets that it can have. */
  readonly most: number;
  /** The same, and spare ones. */
  readonly all: number;
  /** All words. */
  readonly words: number;
}

/**
 * Lays a map out.
 *
 * @param shape What it holds.
 * @param first How many buckets it begins with, at most: a power of two. Default: 64.
 * @returns The layout.
 */
export function layoutOf(
  { keyWords, valueWords, capacity }: MapShape,
  first: number = FIRST_BUCKETS,
): MapLayout {
  const entryWords = keyWords + valueWords;
  // A line, if enough entries fit into it.
  const least = ENTRIES +
    (ENTRIES + MIN_ENTRIES * entryWords <= BUCKET_UNIT ? 1 : MIN_ENTRIES) * entryWords;
  const bucketWords = Math.ceil(least / BUCKET_UNIT) * BUCKET_UNIT;
  const entries = Math.min(MAX_ENTRIES, Math.floor((bucketWords - ENTRIES) / entryWords));
  const most = Math.max(1, Math.ceil(capacity / (entries * LOAD)));
  const all = most + Math.ceil(most * SPARE) + MIN_SPARE;
  return {
    ...{ entryWords, bucketWords, entries, most, all },
    first: Math.min(first, 2 ** Math.floor(Math.log2(most))),
    words: BUCKETS + all * bucketWords,
  };
}

/**
 * The bucket that a key belongs to.
 *
 * @param hash The key's hash.
 * @param buckets How many buckets there are.
 * @returns Its number.
 */
export function placeOf(hash: number, buckets: number): number {
  const mask = -1 >>> Math.clz32(buckets);
  const place = hash & mask;
  return place < buckets ? place : place & (mask >>> 1);
}

/**
 * Where a bucket begins.
 *
 * @param bucket Its number.
 * @param bucketWords Words of a bucket.
 * @returns The index of its first word.
 */
export function bucketAt(bucket: number, bucketWords: number): number {
  return BUCKETS + bucket * bucketWords;
}
