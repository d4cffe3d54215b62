/**
 * HalfSipHash-1-3 (Aumasson and Bernstein): whoever does not know the seed cannot choose words that collide.
 *
 * @module
 */

/**
 * Hashes words.
 *
 * @param words Where they are.
 * @param from The index of the first one.
 * @param count How many.
 * @param length Hashed behind them: tells those of one length from others that are followed by zeros.
 * @param low The seed, lower half.
 * @param high Its upper half.
 * @returns 32 bits, all of them good.
 */
export function halfSip(
  words: Int32Array,
  from: number,
  count: number,
  length: number,
  low: number,
  high: number,
): number {
  let v0 = low;
  let v1 = high;
  let v2 = 0x6c796765 ^ low;
  let v3 = 0x74656462 ^ high;
  // A round for each word, one for the length, and three to finish.
  for (let round = 0; round < count + 4; round++) {
    const word = round < count ? words[from + round] as number : round === count ? length : 0;
    v3 ^= word;
    if (round === count + 1) v2 ^= 0xff;
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
