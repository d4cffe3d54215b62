/**
 * Keys of an ordered map as words: signed integers whose order, word by word, is the order of the keys.
 *
 * ```
 *   u32     the number, with its highest bit inverted
 *   i32     the number
 *   f64     as in `ordered_doubles.ts`
 *   bytes   four bytes a word, the first one highest, with the highest bit inverted
 *   text    its bytes in the same way, followed by zeros, and then how many there are
 * ```
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import { type Codec, codecOf } from "../maps/codecs.ts";
import { F64, TEXT, type TypeCode, U32 } from "../maps/map_settings.ts";
import { readOrdered, writeOrdered } from "../ordered_doubles.ts";

const SIGN = 1 << 31;

/** Four bytes in the other order. */
function swapped(word: number): number {
  return (word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24);
}

/** Keys of one type, for one thread. */
export class OrderedKeys {
  readonly #kind: TypeCode["kind"];
  readonly #codec: Codec;
  /** As a hash map keeps them. */
  readonly #plain: Int32Array;

  /**
   * @param type Their type.
   * @param words 32-bit words of a key.
   */
  constructor(type: TypeCode, words: number) {
    this.#kind = type.kind;
    this.#codec = codecOf(type, "the key");
    this.#plain = new Int32Array(words);
  }

  /**
   * Writes a key.
   *
   * @param key What a caller gave.
   * @param words Where it goes, from the start.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  write(key: unknown, words: Int32Array, action: string): void {
    const kind = this.#kind;
    if (kind < F64) {
      this.#codec.write(key, words, 0, action);
      if (kind === U32) words[0] = (words[0] as number) ^ SIGN;
      return;
    }
    const plain = this.#plain;
    if (kind === F64) {
      if (key !== key) {
        throw new NumaError("EINVAL", action, {
          why: "the key is NaN, which has no place in any order",
          fix: "Give a number.",
        });
      }
      // Checks it.
      this.#codec.write(key, plain, 0, action);
      return writeOrdered(key as number, words, 0);
    }
    this.#codec.write(key, plain, 0, action);
    const start = kind === TEXT ? 1 : 0;
    for (let word = start; word < plain.length; word++) {
      words[word - start] = swapped(plain[word] as number) ^ SIGN;
    }
    if (kind === TEXT) words[plain.length - 1] = plain[0] as number;
  }

  /**
   * Reads a key.
   *
   * @param words Where it is.
   * @param at The index of its first word.
   * @returns The key.
   */
  read(words: Int32Array, at: number): unknown {
    const kind = this.#kind;
    const plain = this.#plain;
    const first = words[at] as number;
    if (kind === F64) return readOrdered(words, at);
    if (kind < F64) {
      plain[0] = kind === U32 ? first ^ SIGN : first;
      return this.#codec.read(plain, 0);
    }
    const start = kind === TEXT ? 1 : 0;
    for (let word = start; word < plain.length; word++) {
      plain[word] = swapped((words[at + word - start] as number) ^ SIGN);
    }
    if (kind === TEXT) plain[0] = words[at + plain.length - 1] as number;
    return this.#codec.read(plain, 0);
  }
}

/**
 * Compares two keys.
 *
 * @param one Where one is.
 * @param at The index of its first word.
 * @param other The other one, from its start.
 * @returns Less than 0, 0, or more, as the one is less than the other, the same, or greater.
 */
export function compareKeys(one: Int32Array, at: number, other: Int32Array): number {
  for (let word = 0; word < other.length; word++) {
    const first = one[at + word] as number;
    const second = other[word] as number;
    if (first !== second) return first < second ? -1 : 1;
  }
  return 0;
}
