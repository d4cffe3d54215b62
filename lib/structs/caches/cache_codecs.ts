/**
 * Keys and values as bytes.
 *
 * @module
 */
import { isUint8Array, lengthOf } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { CacheKeyType, CacheValueType } from "./cache_types.ts";

const MAX_ASCII = 0x7f;
/** Of UTF-8, for a unit of UTF-16. */
const UNIT_BYTES = 3;
const FIRST_BYTES = 256;

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });

/** Bytes of this thread, which grow as is needed. */
class Scratch {
  words: Int32Array<ArrayBuffer> = new Int32Array(FIRST_BYTES / 4);
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(this.words.buffer);

  /** Has room for so many, and for a word more. What was there is lost. */
  reserve(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes + 4 > this.bytes.length) {
      this.words = new Int32Array(2 ** Math.ceil(Math.log2(bytes / 4 + 1)));
      this.bytes = new Uint8Array(this.words.buffer);
    }
    return this.bytes;
  }

  /**
   * Encodes a text.
   *
   * @param text The text.
   * @param most It may give up where it takes more bytes.
   * @returns Bytes; -1 where it is none, as it has half a surrogate pair.
   */
  encode(text: string, most: number): number {
    const { length } = text;
    // Each unit takes a byte at least.
    if (length > most) return length;
    const bytes = this.reserve(length);
    let at = 0;
    for (; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code > MAX_ASCII) break;
      bytes[at] = code;
    }
    if (at === length) return length;
    if (!text.isWellFormed()) return -1;
    return encoder.encodeInto(text, this.reserve(length * UNIT_BYTES)).written;
  }
}

/** A key, as bytes with zeros to the end of a word. */
export class KeyBytes {
  readonly #scratch = new Scratch();
  readonly #isText: boolean;
  readonly #most: number;
  /** How many there are. */
  length = 0;

  /**
   * @param type What keys are.
   * @param most Bytes of the longest one.
   */
  constructor(type: CacheKeyType, most: number) {
    this.#isText = type === "text";
    this.#most = most;
  }

  /** The key, from its start. */
  get words(): Int32Array {
    return this.#scratch.words;
  }

  /**
   * Takes a key.
   *
   * @param key What the caller gave.
   * @param action What was asked, as it follows "Cannot".
   * @returns False if it is too long: then there is no key.
   * @throws {NumaError} `EINVAL` it is of another type.
   */
  put(key: unknown, action: string): boolean {
    const scratch = this.#scratch;
    let length: number;
    if (this.#isText) {
      if (typeof key !== "string") this.#refuse(key, action);
      length = scratch.encode(key, this.#most);
    } else {
      if (!isUint8Array(key)) this.#refuse(key, action);
      length = lengthOf(key);
      if (length >= 0 && length <= this.#most) {
        const bytes = scratch.reserve(length);
        for (let at = 0; at < length; at++) bytes[at] = key[at] as number;
      }
    }
    if (length < 0) this.#refuse(key, action);
    if (!(length <= this.#most)) return false;
    const { bytes } = scratch;
    for (let at = length; (at & 3) !== 0; at++) bytes[at] = 0;
    this.length = length;
    return true;
  }

  /**
   * Whether a key may have so many bytes.
   *
   * @param length The number.
   * @returns Whether it may.
   */
  canBe(length: number): boolean {
    return length <= this.#most;
  }

  /**
   * The key of bytes.
   *
   * @param bytes They.
   * @returns The key, which {@linkcode KeyBytes.put} takes. Of bytes that are no UTF-8 it is another one.
   */
  decode(bytes: Uint8Array): string | Uint8Array {
    return this.#isText ? decoder.decode(bytes) : bytes;
  }

  /** A copy of the words. */
  copy(): Int32Array {
    return this.words.slice(0, (this.length + 3) >>> 2);
  }

  /** A name of the key, which no other key has. */
  name(key: string | Uint8Array): string {
    if (typeof key === "string") return key;
    let name = "";
    for (let at = 0; at < this.length; at++) {
      name += String.fromCharCode(this.#scratch.bytes[at] as number);
    }
    return name;
  }

  /**
   * Refuses a key that is too long.
   *
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  refuseLength(action: string): never {
    throw new NumaError("EINVAL", action, {
      why: `the key has more than ${this.#most} bytes`,
      fix: "Use a shorter key, or its hash; or create the cache with a larger capacity.",
    });
  }

  #refuse(key: unknown, action: string): never {
    throw new NumaError("EINVAL", action, {
      why: this.#isText && typeof key === "string"
        ? `the key ${show(key)} has half a surrogate pair`
        : `the key is ${show(key)}`,
      fix: `Give ${this.#isText ? "text" : "a Uint8Array"} of at most ${this.#most} bytes.`,
    });
  }
}

/** Values as bytes. */
export class ValueBytes {
  readonly #scratch = new Scratch();
  readonly #type: CacheValueType;

  /** @param type What values are. */
  constructor(type: CacheValueType) {
    this.#type = type;
  }

  /**
   * A value's bytes, until the next one.
   *
   * @param value What the caller gave.
   * @param most How many there may be.
   * @param action What was asked, as it follows "Cannot".
   * @returns The bytes; undefined if there are more.
   * @throws {NumaError} `EINVAL` it is of another type.
   */
  encode(value: unknown, most: number, action: string): Uint8Array | undefined {
    if (this.#type === "bytes") {
      if (!isUint8Array(value)) this.#refuse(value, action);
      return lengthOf(value) <= most ? value : undefined;
    }
    const text = this.#type === "text" ? value : this.#json(value, action);
    if (typeof text !== "string") this.#refuse(value, action);
    const length = this.#scratch.encode(text, most);
    if (length < 0) this.#refuse(value, action);
    return length <= most ? this.#scratch.bytes.subarray(0, length) : undefined;
  }

  /**
   * The value of bytes.
   *
   * @param bytes A copy of them.
   * @returns The value; undefined if they are nobody's.
   */
  decode(bytes: Uint8Array<ArrayBuffer>): unknown {
    if (this.#type === "bytes") return bytes;
    const text = decoder.decode(bytes);
    if (this.#type === "text") return text;
    try {
      return JSON.parse(text);
    } catch {
      // In memory that any thread can write to.
      return undefined;
    }
  }

  /**
   * What others get for a value.
   *
   * @param value A value that was encoded.
   * @param action What was asked, as it follows "Cannot".
   * @returns The value; what JSON makes of it where values are written as JSON.
   * @throws {NumaError} `EINVAL` it has changed meanwhile.
   */
  asRead(value: unknown, action: string): unknown {
    if (this.#type !== "json") return value;
    const text = this.#json(value, action);
    return JSON.parse(typeof text === "string" ? text : this.#refuse(value, action));
  }

  #json(value: unknown, action: string): unknown {
    try {
      return JSON.stringify(value);
    } catch (cause) {
      throw new NumaError("EINVAL", action, {
        why: `the value cannot be written as JSON`,
        fix: "Give a value that JSON.stringify takes.",
        cause,
      });
    }
  }

  #refuse(value: unknown, action: string): never {
    throw new NumaError("EINVAL", action, {
      why: typeof value === "string"
        ? `the value ${show(value)} has half a surrogate pair`
        : `the value is ${show(value)}`,
      fix: {
        bytes: "Give a Uint8Array.",
        text: "Give text.",
        json: "Give a value that JSON.stringify takes.",
      }[this.#type],
    });
  }
}
