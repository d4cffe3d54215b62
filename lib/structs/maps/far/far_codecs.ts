/**
 * Keys and values of any length as bytes, and the marks of keys.
 *
 * @module
 */
import { isList, isUint8Array, lengthOf } from "../../../base/brand.ts";
import { show } from "../../../base/check.ts";
import { NumaError } from "../../../base/error.ts";
import { halfSip } from "../../half_sip.ts";
import type { Codec } from "../codecs.ts";
import type { FarBytes } from "./far_bytes.ts";

/** Makes the marks of keys: the same in all threads of a map, and others in each map. */
export interface Marker {
  /**
   * Makes the marks of a key.
   *
   * @param key The key.
   * @param words Where they go, and the number 0 behind them.
   * @param at The index of the first one.
   */
  mark(key: FarBytes, words: Int32Array, at: number): void;
}

/** Odd, and with bits everywhere: the golden ratio. */
const MULTIPLIER = 0x9e3779b1;

/**
 * Makes the marks of a map: HalfSipHash-1-3, of which nobody can choose keys that collide who does not know the seed; and
 * another hash, which tells apart those that do by chance.
 *
 * @param low The map's seed, lower half.
 * @param high Its upper half.
 * @returns What makes them.
 */
export function markerOf(low: number, high: number): Marker {
  return {
    mark({ words: key, length }: FarBytes, words: Int32Array, at: number): void {
      const count = (length + 3) >>> 2;
      let second = high ^ length;
      for (let word = 0; word < count; word++) {
        second = Math.imul(second ^ (key[word] as number), MULTIPLIER);
        second ^= second >>> 15;
      }
      words[at] = halfSip(key, 0, count, length, low, high);
      words[at + 1] = second;
      words[at + 2] = 0;
    },
  };
}

/** What a codec of any length is made for. */
export interface FarCodecOptions {
  readonly noun: "the key" | "the value";
  /** The most bytes. */
  readonly most: number;
  /** Where what a caller gives is written. */
  readonly into: FarBytes;
  /** Where what was read is. */
  readonly found: FarBytes;
  /** Of keys: makes their marks, which are their words. */
  readonly marker?: Marker | undefined;
}

/** What bytes and texts have in common: they are lists of JavaScript, one by one. */
abstract class FarCodec implements Codec {
  abstract readonly list: string;
  protected readonly noun: string;
  protected readonly most: number;
  protected readonly into: FarBytes;
  protected readonly found: FarBytes;
  readonly #marker: Marker | undefined;

  constructor({ noun, most, into, found, marker }: FarCodecOptions) {
    this.noun = noun;
    this.most = most;
    this.into = into;
    this.found = found;
    this.#marker = marker;
  }

  count(list: unknown): number {
    return isList(list) ? list.length : NaN;
  }

  encode(list: unknown, first: number, _count: number, words: Int32Array, action: string): void {
    this.write((list as unknown[])[first], words, 0, action);
  }

  decode(words: Int32Array, which: number, list: unknown, first: number): void {
    if (which !== 0) (list as unknown[])[first] = this.read(words, 0);
  }

  write(value: unknown, words: Int32Array, at: number, action: string): void {
    this.put(value, action);
    this.#marker?.mark(this.into, words, at);
  }

  abstract read(words: ArrayLike<number>, at: number): unknown;
  /** Writes the bytes of what a caller gave. */
  protected abstract put(value: unknown, action: string): void;

  protected refuseLength(length: string): string {
    return `${this.noun} is ${length}, and ${this.noun.slice(4)}s have at most ${this.most}`;
  }
}

class AnyBytesCodec extends FarCodec {
  readonly list = "an array of Uint8Arrays";

  read(): Uint8Array {
    return this.found.bytes.slice(0, this.found.length);
  }

  protected put(value: unknown, action: string): void {
    const length = isUint8Array(value) ? lengthOf(value) : -1;
    if (length < 0 || length > this.most) {
      throw new NumaError("EINVAL", action, {
        why: length < 0
          ? `${this.noun} is ${show(value)}`
          : this.refuseLength(`${length} bytes long`),
        fix: `Give a Uint8Array of at most ${this.most} bytes.`,
      });
    }
    this.into.reserve(length);
    // One whose buffer was transferred away has no bytes, and cannot be read.
    if (length > 0) this.into.bytes.set(value as Uint8Array);
    this.into.end(length);
  }
}

const encoder = /* @__PURE__ */ new TextEncoder();
const decoder = /* @__PURE__ */ new TextDecoder("utf-8", { ignoreBOM: true });
const MAX_ASCII = 0x7f;
/** Texts up to this length are tried as ASCII, which is faster than an encoder then. */
const SHORT = 64;
/** Bytes of a unit of UTF-16 in UTF-8, at most. */
const UNIT_BYTES = 3;

class AnyTextCodec extends FarCodec {
  readonly list = "an array of texts";

  read(): string {
    return decoder.decode(this.found.bytes.subarray(0, this.found.length));
  }

  protected put(value: unknown, action: string): void {
    if (typeof value !== "string") {
      throw new NumaError("EINVAL", action, {
        why: `${this.noun} is ${show(value)}`,
        fix: "Give a string.",
      });
    }
    const { into, most } = this;
    const { length } = value;
    if (length <= most) {
      if (length <= SHORT && this.#putAscii(value)) return;
      into.reserve(Math.min(UNIT_BYTES * length, most));
      const isWhole = value.isWellFormed();
      const { read, written } = encoder.encodeInto(value, into.bytes);
      if (isWhole && read === length && written <= most) {
        into.end(written);
        return;
      }
      if (!isWhole) {
        throw new NumaError("EINVAL", action, {
          why: `${this.noun} ${show(value)} has half a surrogate pair`,
          fix: "Give text, and bytes for what is none.",
        });
      }
    }
    throw new NumaError("EINVAL", action, {
      why: this.refuseLength("longer than that in UTF-8"),
      fix: "Give a shorter text.",
    });
  }

  #putAscii(text: string): boolean {
    const { into } = this;
    const { length } = text;
    into.reserve(length);
    const { bytes } = into;
    for (let at = 0; at < length; at++) {
      const code = text.charCodeAt(at);
      if (code > MAX_ASCII) return false;
      bytes[at] = code;
    }
    into.end(length);
    return true;
  }
}

/**
 * A codec of any length.
 *
 * @param isText Whether it is text; else bytes.
 * @param options What it is for.
 * @returns Its codec, for this thread.
 */
export function farCodecOf(isText: boolean, options: FarCodecOptions): Codec {
  return isText ? new AnyTextCodec(options) : new AnyBytesCodec(options);
}
