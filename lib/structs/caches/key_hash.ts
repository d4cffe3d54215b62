/**
 * Hashes of keys of any length, which differ from cache to cache: who chooses keys cannot choose where they go.
 *
 * @module
 */
import { halfSip } from "../half_sip.ts";

/**
 * Hashes a key.
 *
 * @param words The key; the bytes after its end, to the end of a word, are zero.
 * @param bytes How long it is.
 * @param low The cache's seed, lower half.
 * @param high Its upper half.
 * @returns 32 bits, all of them good.
 */
export function keyHash(words: Int32Array, bytes: number, low: number, high: number): number {
  return halfSip(words, 0, (bytes + 3) >>> 2, bytes, low, high);
}

/**
 * Which part of a cache has a key: by other bits than shards and buckets.
 *
 * @param hash The key's hash.
 * @param parts How many parts there are.
 * @returns The number of the part.
 */
export function partOfKey(hash: number, parts: number): number {
  return (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 16) * parts >>> 16;
}
