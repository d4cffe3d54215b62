/**
 * Hashes of keys, which differ from map to map: who chooses keys cannot choose where they go.
 *
 * @module
 */
import { halfSip } from "../half_sip.ts";

/** A hash function of keys of some size. */
export interface Hasher {
  /**
   * Hashes a key.
   *
   * @param words Where it is.
   * @param at The index of its first word.
   * @returns 32 bits, all of them good.
   */
  hash(words: Int32Array, at: number): number;
}

const BYTE_VALUES = 256;
const WORD_BYTES = 4;

/** HalfSipHash-1-3, for keys of more words. */
class HalfSip implements Hasher {
  readonly #keyWords: number;
  readonly #low: number;
  readonly #high: number;

  constructor(keyWords: number, low: number, high: number) {
    this.#keyWords = keyWords;
    this.#low = low;
    this.#high = high;
  }

  hash(words: Int32Array, at: number): number {
    const size = this.#keyWords;
    return halfSip(words, at, size, size << 26, this.#low, this.#high);
  }
}

/**
 * Tabulation hashing for keys of a word or two: a table of random numbers for each byte. It is as good as full randomness
 * where what collides is chained (Pătraşcu and Thorup, 2012).
 */
class Tabulation implements Hasher {
  readonly #tables: Int32Array;
  readonly #isDouble: boolean;

  constructor(keyWords: number, low: number, high: number) {
    this.#isDouble = keyWords === 2;
    const random = new HalfSip(1, low, high);
    const index = new Int32Array(1);
    this.#tables = new Int32Array(keyWords * WORD_BYTES * BYTE_VALUES);
    for (let at = 0; at < this.#tables.length; at++) {
      index[0] = at;
      this.#tables[at] = random.hash(index, 0);
    }
  }

  hash(words: Int32Array, at: number): number {
    const tables = this.#tables;
    const word = words[at] as number;
    const hash = (tables[word & 0xff] as number) ^
      (tables[0x100 | ((word >>> 8) & 0xff)] as number) ^
      (tables[0x200 | ((word >>> 16) & 0xff)] as number) ^
      (tables[0x300 | (word >>> 24)] as number);
    if (!this.#isDouble) return hash;
    const second = words[at + 1] as number;
    return hash ^ (tables[0x400 | (second & 0xff)] as number) ^
      (tables[0x500 | ((second >>> 8) & 0xff)] as number) ^
      (tables[0x600 | ((second >>> 16) & 0xff)] as number) ^
      (tables[0x700 | (second >>> 24)] as number);
  }
}

/**
 * Makes the hash function of a map.
 *
 * @param keyWords 32-bit words of a key.
 * @param low The map's seed, lower half.
 * @param high Its upper half.
 * @returns The function: the same in all threads.
 */
export function hasherOf(keyWords: number, low: number, high: number): Hasher {
  return keyWords <= 2 ? new Tabulation(keyWords, low, high) : new HalfSip(keyWords, low, high);
}
