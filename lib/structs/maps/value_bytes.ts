/**
 * The bytes of a value that was read, without a string or an array of its own.
 *
 * @module
 */
import { isUint8Array, lengthOf } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { ANY_BYTES, ANY_TEXT, type HashTypeCode } from "./far/far_settings.ts";
import type { FarBytes } from "./far/far_bytes.ts";
import { BYTES, TEXT } from "./map_settings.ts";

/** Copies bytes of values. */
export class ValueBytes {
  readonly #type: HashTypeCode;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #found: FarBytes | undefined;

  /**
   * @param type The type of values.
   * @param words Where they are read, if they are in buckets.
   * @param found Where they are read, if they are outside.
   */
  constructor(type: HashTypeCode, words: Int32Array, found: FarBytes | undefined) {
    this.#type = type;
    this.#words = words;
    this.#bytes = new Uint8Array(words.buffer);
    this.#found = found;
  }

  /**
   * Checks what bytes are to go to.
   *
   * @param target What a caller gave.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL` it is no Uint8Array, or values are neither bytes nor text.
   */
  check(target: unknown, action: string): void {
    const { kind } = this.#type;
    const isBytes = kind === BYTES || kind === TEXT || kind === ANY_BYTES || kind === ANY_TEXT;
    if (isBytes && isUint8Array(target)) return;
    throw new NumaError("EINVAL", action, {
      why: isBytes ? `the target is ${show(target)}` : "its values are neither bytes nor text",
      fix: isBytes ? "Give a Uint8Array." : "Use get().",
    });
  }

  /**
   * Copies the value that was read last.
   *
   * @param target Where it goes, from its start; it stays as it is if it is shorter.
   * @returns The number of the value's bytes.
   */
  copy(target: Uint8Array): number {
    const found = this.#found;
    if (found !== undefined) return copyTo(target, found.bytes, 0, found.length);
    const { kind, bytes } = this.#type;
    if (kind === BYTES) return copyTo(target, this.#bytes, 0, bytes);
    // In memory that any thread can write to.
    return copyTo(target, this.#bytes, 4, Math.min((this.#words[0] as number) >>> 0, bytes));
  }
}

function copyTo(target: Uint8Array, bytes: Uint8Array, from: number, length: number): number {
  if (lengthOf(target) < length) return length;
  for (let at = 0; at < length; at++) target[at] = bytes[from + at] as number;
  return length;
}
