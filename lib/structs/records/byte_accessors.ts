/**
 * Accessors of what takes bytes: booleans, fixed bytes and texts. `number_accessors.ts` says why one check is enough.
 *
 * @module
 */
import { isUint8Array, lengthOf } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import {
  type FieldMemory,
  FieldRefusals,
  type StructAccessor,
  type StructBytesAccessor,
} from "./accessors.ts";
import { copyBytes } from "./copy_elements.ts";
import { HAS_ZERO, LONE_SURROGATE, utf8Length, utf8Read, utf8Write } from "./utf8.ts";

const BOOLEAN = "Give a boolean.";

/** The bytes from the first record's field to the end of the last one's. */
function bytesOf({ buffer, byteOffset, size, stride, length }: FieldMemory): Uint8Array {
  return new Uint8Array(buffer, byteOffset, (length - 1) * stride + size);
}

/** Booleans: a byte that is 0 or 1. Every other value that somebody wrote there is true, too. */
export class BoolAccessor implements StructAccessor<boolean> {
  readonly #view: Uint8Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    this.#view = bytesOf(memory);
    this.#stride = memory.stride;
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): boolean {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] !== 0;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: boolean): void {
    if (typeof value !== "boolean") this.#refuse.value(value, BOOLEAN);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value ? 1 : 0;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "boolean") this.#refuse.value(value, BOOLEAN);
  }
}

/** Bytes, always as many. */
export class BytesAccessor implements StructBytesAccessor {
  readonly #view: Uint8Array;
  readonly #stride: number;
  readonly #size: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    this.#view = bytesOf(memory);
    this.#stride = memory.stride;
    this.#size = memory.size;
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): Uint8Array {
    const at = this.#at(index);
    if (at < 0) this.#refuse.read(index);
    // A copy on this thread's own heap, also of shared memory.
    return this.#view.slice(at, at + this.#size);
  }

  view(index: number): Uint8Array {
    const at = this.#at(index);
    if (at < 0) this.#refuse.read(index);
    return this.#view.subarray(at, at + this.#size);
  }

  copyTo(index: number, target: Uint8Array, at: number = 0): void {
    const from = this.#at(index);
    if (from < 0) this.#refuse.read(index);
    const size = this.#size;
    if (!isUint8Array(target)) this.#refuse.target(target, size);
    const isIndex = typeof at === "number" && (at >>> 0) === at;
    if (!isIndex || at + size > lengthOf(target)) this.#refuse.target(target, size, at);
    copyBytes(this.#view, from, target, at, size);
  }

  set(index: number, value: Uint8Array): void {
    this.check(value);
    const at = this.#at(index);
    if (at < 0) this.#refuse.write(index);
    copyBytes(value, 0, this.#view, at, this.#size);
  }

  check(value: unknown): void {
    if (isUint8Array(value) && lengthOf(value) === this.#size) return;
    const what = isUint8Array(value) ? `one of ${lengthOf(value)} bytes` : show(value);
    this.#refuse.value(value, `Give a Uint8Array of ${this.#size} bytes.`, `the value is ${what}`);
  }

  /** Where a record's bytes begin; -1 for what is no record. */
  #at(index: number): number {
    if (typeof index !== "number" || (index >>> 0) !== index) return -1;
    const at = index * this.#stride;
    return at < this.#view.length ? at : -1;
  }
}

/** Texts in UTF-8, with zeros behind them where they are shorter than the field. */
export class TextAccessor implements StructAccessor<string> {
  readonly #view: Uint8Array;
  readonly #stride: number;
  readonly #size: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    this.#view = bytesOf(memory);
    this.#stride = memory.stride;
    this.#size = memory.size;
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): string {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return utf8Read(view, at, at + this.#size);
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: string): void {
    this.check(value);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        const end = at + this.#size;
        for (let zero = utf8Write(value, view, at); zero < end; zero++) view[zero] = 0;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    const size = this.#size;
    if (typeof value !== "string") this.#refuse.value(value, "Give a string.");
    const length = utf8Length(value, size);
    if (length >= 0 && length <= size) return;
    const fix = length === LONE_SURROGATE
      ? "Make it well-formed: value.toWellFormed()."
      : length === HAS_ZERO
      ? "Leave it out, or take a field of bytes()."
      : `Shorten it, or give the field more than ${size} bytes.`;
    const why = length === LONE_SURROGATE
      ? "it has half of a surrogate pair"
      : length === HAS_ZERO
      ? "it has a character U+0000, where a text ends"
      : `it takes more than ${size} bytes`;
    this.#refuse.value(value, fix, `the value is ${show(value)}, and ${why}`);
  }
}
