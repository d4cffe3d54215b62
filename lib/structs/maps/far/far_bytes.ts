/**
 * Bytes of any length in this thread's own memory, as the words that a heap takes.
 *
 * @module
 */

/** The longest key of any length, in bytes. */
export const MAX_FAR_KEY: number = 2 ** 16;
/** The longest value. */
export const MAX_FAR_VALUE: number = 2 ** 24;

const LEAST = 256;
/** More than that is not kept for the next one. */
const MOST_KEPT = 2 ** 20;

/** A key or a value outside of the map's memory. */
export class FarBytes {
  /** Room for words. Those behind {@linkcode FarBytes.length} bytes hold anything, the rest of the last word is zero. */
  words: Int32Array = new Int32Array(LEAST / 4);
  /** The same as bytes. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(this.words.buffer as ArrayBuffer);
  /** How many of them count. */
  length = 0;

  /**
   * Makes room. What was there is gone.
   *
   * @param bytes For so many.
   */
  reserve(bytes: number): void {
    const { length } = this.bytes;
    if (bytes <= length && (length <= MOST_KEPT || bytes > MOST_KEPT)) return;
    const size = 2 ** Math.ceil(Math.log2(Math.max(bytes, LEAST)));
    this.words = new Int32Array(size / 4);
    this.bytes = new Uint8Array(this.words.buffer as ArrayBuffer);
  }

  /**
   * Says how many bytes count, which have been written.
   *
   * @param length How many.
   */
  end(length: number): void {
    this.length = length;
    if ((length & 3) !== 0) this.words[length >>> 2] = this.#lastWord(length);
  }

  /**
   * How many words have bytes that count.
   *
   * @returns How many.
   */
  count(): number {
    return wordsOf(this.length);
  }

  /**
   * Whether others are the same.
   *
   * @param other The others.
   * @returns Whether they are.
   */
  equals(other: FarBytes): boolean {
    if (this.length !== other.length) return false;
    for (let word = this.count() - 1; word >= 0; word--) {
      if (this.words[word] !== other.words[word]) return false;
    }
    return true;
  }

  #lastWord(length: number): number {
    return (this.words[length >>> 2] as number) & ((1 << (8 * (length & 3))) - 1);
  }
}

/**
 * How many words bytes take.
 *
 * @param bytes How many bytes.
 * @returns Words.
 */
export function wordsOf(bytes: number): number {
  return (bytes + 3) >>> 2;
}
