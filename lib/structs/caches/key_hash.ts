/**
 * Hashes of keys of any length, which differ from cache to cache: who chooses keys cannot choose where they go.
 *
 * @module
 */

/**
 * HalfSipHash-1-3 (Aumasson and Bernstein).
 *
 * @param words The key; the bytes after its end, to the end of a word, are zero.
 * @param bytes How long it is.
 * @param low The cache's seed, lower half.
 * @param high Its upper half.
 * @returns 32 bits, all of them good.
 */
export function keyHash(words: Int32Array, bytes: number, low: number, high: number): number {
  const size = (bytes + 3) >>> 2;
  let v0 = low;
  let v1 = high;
  let v2 = 0x6c796765 ^ low;
  let v3 = 0x74656462 ^ high;
  // A round for each word, one for the length, and three to finish.
  for (let round = 0; round < size + 4; round++) {
    const word = round < size ? words[round] as number : round === size ? bytes : 0;
    v3 ^= word;
    if (round === size + 1) v2 ^= 0xff;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}
