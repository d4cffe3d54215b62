/**
 * Keys and values of a map as 32-bit words.
 *
 * @module
 */
import { isList, isUint8Array, lengthOf, partOf, typedArrayName } from "../../base/brand.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { BYTES, F64, I32, TEXT, type TypeCode, U32 } from "./map_settings.ts";

/** How a type is kept in words. */
export interface Codec {
  /** What several of them are in, with its article. */
  readonly list: string;
  /**
   * How many of them there are.
   *
   * @param list What a caller gave.
   * @returns How many; no integer where it is not {@linkcode Codec.list}.
   */
  count(list: unknown): number;
  /**
   * Writes several of a list.
   *
   * @param list The list.
   * @param first The number of the first one.
   * @param count How many.
   * @param words Where they go, from its start.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  encode(list: unknown, first: number, count: number, words: Int32Array, action: string): void;
  /**
   * Puts several into a list.
   *
   * @param words Where they are, from its start.
   * @param which A bit for each: whether it is put into the list.
   * @param list The list.
   * @param first The place of the first one.
   */
  decode(words: Int32Array, which: number, list: unknown, first: number): void;
  /**
   * Writes a value.
   *
   * @param value What a caller gave.
   * @param words Where it goes.
   * @param at The index of its first word.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  write(value: unknown, words: Int32Array, at: number, action: string): void;
  /**
   * Reads a value.
   *
   * @param words Where it is.
   * @param at The index of its first word.
   * @returns The value: never what another thread can change.
   */
  read(words: ArrayLike<number>, at: number): unknown;
}

/** What numbers of a word have in common. */
abstract class WordCodec implements Codec {
  abstract readonly list: string;
  readonly #array: string;

  constructor(array: string) {
    this.#array = array;
  }

  count(list: unknown): number {
    return countOf(list, this.#array);
  }

  encode(list: unknown, first: number, count: number, words: Int32Array): void {
    for (let index = 0; index < count; index++) {
      words[index] = (list as Int32Array)[first + index] as number;
    }
  }

  decode(words: Int32Array, which: number, list: unknown, first: number): void {
    for (let index = 0; which >>> index !== 0; index++) {
      if ((which >>> index & 1) !== 0) (list as Int32Array)[first + index] = words[index] as number;
    }
  }

  abstract write(value: unknown, words: Int32Array, at: number, action: string): void;
  abstract read(words: ArrayLike<number>, at: number): number;
}

/** The length of a typed array, if it is one of that name. */
function countOf(list: unknown, array: string): number {
  return typedArrayName(list) === array ? lengthOf(list as Int32Array) : NaN;
}

const MAX_U32 = 2 ** 32 - 1;
const MAX_I32 = 2 ** 31 - 1;
const MAX_ASCII = 0x7f;

class U32Codec extends WordCodec {
  readonly list = "a Uint32Array";
  readonly #noun: string;

  constructor(noun: string) {
    super("Uint32Array");
    this.#noun = noun;
  }

  write(value: unknown, words: Int32Array, at: number, action: string): void {
    if (typeof value !== "number" || value >>> 0 !== value || Object.is(value, -0)) {
      checkInteger(value, this.#noun, 0, MAX_U32, action);
    }
    words[at] = value as number;
  }

  read(words: ArrayLike<number>, at: number): number {
    return (words[at] as number) >>> 0;
  }
}

class I32Codec extends WordCodec {
  readonly list = "an Int32Array";
  readonly #noun: string;

  constructor(noun: string) {
    super("Int32Array");
    this.#noun = noun;
  }

  write(value: unknown, words: Int32Array, at: number, action: string): void {
    if (typeof value !== "number" || (value | 0) !== value || Object.is(value, -0)) {
      checkInteger(value, this.#noun, -MAX_I32 - 1, MAX_I32, action);
    }
    words[at] = value as number;
  }

  read(words: ArrayLike<number>, at: number): number {
    return words[at] as number;
  }
}

const doubles = /* @__PURE__ */ new Float64Array(1);
const halves = /* @__PURE__ */ new Int32Array(doubles.buffer);

/** Keys as a Map's: −0 is 0, and all NaN are one. */
class F64Codec implements Codec {
  readonly list = "a Float64Array";
  readonly #noun: string;
  readonly #isKey: boolean;

  constructor(noun: string, isKey: boolean) {
    this.#noun = noun;
    this.#isKey = isKey;
  }

  count(list: unknown): number {
    return countOf(list, "Float64Array");
  }

  encode(list: unknown, first: number, count: number, words: Int32Array, action: string): void {
    for (let index = 0; index < count; index++) {
      this.write((list as Float64Array)[first + index], words, 2 * index, action);
    }
  }

  decode(words: Int32Array, which: number, list: unknown, first: number): void {
    for (let index = 0; which >>> index !== 0; index++) {
      if ((which >>> index & 1) === 0) continue;
      (list as Float64Array)[first + index] = this.read(words, 2 * index);
    }
  }

  write(value: unknown, words: Int32Array, at: number, action: string): void {
    if (typeof value !== "number") {
      throw new NumaError("EINVAL", action, {
        why: `${this.#noun} is ${show(value)}`,
        fix: "Give a number.",
      });
    }
    if (value !== value) {
      // One of the many.
      words[at] = 0;
      words[at + 1] = 0x7ff80000;
      return;
    }
    doubles[0] = this.#isKey ? value + 0 : value;
    words[at] = halves[0] as number;
    words[at + 1] = halves[1] as number;
  }

  read(words: ArrayLike<number>, at: number): number {
    halves[0] = words[at] as number;
    halves[1] = words[at + 1] as number;
    return doubles[0] as number;
  }
}

class BytesCodec implements Codec {
  readonly list: string;
  readonly #noun: string;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(noun: string, bytes: number) {
    this.#noun = noun;
    this.list = `a Uint8Array of ${bytes} bytes for each`;
    this.#words = new Int32Array(Math.ceil(bytes / 4));
    this.#bytes = new Uint8Array(this.#words.buffer, 0, bytes);
  }

  count(list: unknown): number {
    if (!isUint8Array(list)) return NaN;
    return lengthOf(list) / this.#bytes.length;
  }

  encode(list: unknown, first: number, count: number, words: Int32Array, action: string): void {
    const { length } = this.#bytes;
    for (let index = 0; index < count; index++) {
      const at = (first + index) * length;
      const value = partOf(list as Uint8Array, at, length);
      this.write(value, words, index * this.#words.length, action);
    }
  }

  decode(words: Int32Array, which: number, list: unknown, first: number): void {
    for (let index = 0; which >>> index !== 0; index++) {
      if ((which >>> index & 1) === 0) continue;
      const value = this.read(words, index * this.#words.length);
      (list as Uint8Array).set(value, (first + index) * value.length);
    }
  }

  write(value: unknown, words: Int32Array, at: number, action: string): void {
    const { length } = this.#bytes;
    if (!isUint8Array(value) || lengthOf(value) !== length) {
      throw new NumaError("EINVAL", action, {
        why: `${this.#noun} is ${
          isUint8Array(value) ? `${lengthOf(value)} bytes long` : show(value)
        }`,
        fix: `Give a Uint8Array of ${length} bytes.`,
      });
    }
    this.#bytes.set(value);
    for (let word = 0; word < this.#words.length; word++) {
      words[at + word] = this.#words[word] as number;
    }
  }

  read(words: ArrayLike<number>, at: number): Uint8Array {
    for (let word = 0; word < this.#words.length; word++) {
      this.#words[word] = words[at + word] as number;
    }
    return this.#bytes.slice();
  }
}

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });

class TextCodec implements Codec {
  readonly list = "an array of texts";
  readonly #noun: string;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;

  constructor(noun: string, bytes: number) {
    this.#noun = noun;
    this.#words = new Int32Array(Math.ceil(bytes / 4));
    this.#bytes = new Uint8Array(this.#words.buffer, 0, bytes);
  }

  count(list: unknown): number {
    return isList(list) ? list.length : NaN;
  }

  encode(list: unknown, first: number, count: number, words: Int32Array, action: string): void {
    for (let index = 0; index < count; index++) {
      this.write((list as unknown[])[first + index], words, index * this.#size, action);
    }
  }

  decode(words: Int32Array, which: number, list: unknown, first: number): void {
    for (let index = 0; which >>> index !== 0; index++) {
      if ((which >>> index & 1) === 0) continue;
      (list as unknown[])[first + index] = this.read(words, index * this.#size);
    }
  }

  /** Words of one: its length is before it. */
  get #size(): number {
    return 1 + this.#words.length;
  }

  write(value: unknown, words: Int32Array, at: number, action: string): void {
    if (typeof value !== "string") {
      throw new NumaError("EINVAL", action, {
        why: `${this.#noun} is ${show(value)}`,
        fix: "Give a string.",
      });
    }
    this.#words.fill(0);
    words[at] = this.#encode(value, action);
    for (let word = 0; word < this.#words.length; word++) {
      words[at + 1 + word] = this.#words[word] as number;
    }
  }

  read(words: ArrayLike<number>, at: number): string {
    for (let word = 0; word < this.#words.length; word++) {
      this.#words[word] = words[at + 1 + word] as number;
    }
    // In memory that any thread can write to.
    const length = Math.min((words[at] as number) >>> 0, this.#bytes.length);
    return decoder.decode(this.#bytes.subarray(0, length));
  }

  /** Returns its length in bytes. */
  #encode(text: string, action: string): number {
    const bytes = this.#bytes;
    const { length } = text;
    let at = 0;
    if (length <= bytes.length) {
      for (; at < length; at++) {
        const code = text.charCodeAt(at);
        if (code > MAX_ASCII) break;
        bytes[at] = code;
      }
      if (at === length) return length;
    }
    const isWhole = text.isWellFormed();
    const { read, written } = encoder.encodeInto(text, bytes);
    if (isWhole && read === length) return written;
    throw new NumaError("EINVAL", action, {
      why: isWhole
        ? `${this.#noun} ${show(text)} is longer than ${bytes.length} bytes of UTF-8`
        : `${this.#noun} ${show(text)} has half a surrogate pair`,
      fix: isWhole ? "Give a shorter text." : "Give text, and bytes for what is none.",
    });
  }
}

/**
 * How a type is kept in words.
 *
 * @param type The type.
 * @param noun What it is the type of, for errors.
 * @returns Its codec, for this thread.
 */
export function codecOf({ kind, bytes }: TypeCode, noun: "the key" | "the value"): Codec {
  switch (kind) {
    case U32:
      return new U32Codec(noun);
    case I32:
      return new I32Codec(noun);
    case F64:
      return new F64Codec(noun, noun === "the key");
    case BYTES:
      return new BytesCodec(noun, bytes);
    case TEXT:
      return new TextCodec(noun, bytes);
  }
}
