/**
 * Records of a struct as values of a map. A struct is an object of JavaScript, so each thread has to be told which.
 *
 * @module
 */
import { isList } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { Struct } from "../records/struct.ts";
import type { StructArray } from "../records/struct_array.ts";
import type { Codec } from "./codecs.ts";

/** How records are kept in words. */
export class RecordCodec implements Codec {
  readonly list = "an array of records";
  readonly #size: number;
  readonly #words: Int32Array;
  #struct: Struct | undefined;
  #array: StructArray | undefined;
  #isBusy = false;

  /** @param size The bytes of a record. */
  constructor(size: number) {
    this.#size = size;
    // Accessors of wide fields are aligned.
    this.#words = new Int32Array(Math.ceil(size / 8) * 2);
  }

  /**
   * The struct, in C: what snapshots know it by.
   *
   * @param action What was asked, as it follows "Cannot".
   * @returns Its declaration.
   * @throws {NumaError} `EINVAL` it is not known.
   */
  declaration(action: string): string {
    this.#check(action);
    return (this.#struct as Struct).describe();
  }

  /**
   * Says which struct it is.
   *
   * @param struct What the caller gave.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  use(struct: unknown, action: string): void {
    if (!(struct instanceof Struct) || struct.size !== this.#size) {
      throw new NumaError("EINVAL", action, {
        why: struct instanceof Struct
          ? `its records have ${struct.size} bytes, and the map's ${this.#size}`
          : `it is ${show(struct)}`,
        fix: "Give the struct that the map was created with.",
      });
    }
    this.#struct = struct;
    this.#array = struct.array(this.#words.buffer as ArrayBuffer, 1);
  }

  count(list: unknown): number {
    return isList(list) ? list.length : NaN;
  }

  encode(list: unknown, first: number, count: number, words: Int32Array, action: string): void {
    const size = Math.ceil(this.#size / 4);
    for (let index = 0; index < count; index++) {
      this.write((list as unknown[])[first + index], words, index * size, action);
    }
  }

  decode(words: Int32Array, which: number, list: unknown, first: number): void {
    const size = Math.ceil(this.#size / 4);
    for (let index = 0; which >>> index !== 0; index++) {
      if ((which >>> index & 1) === 0) continue;
      (list as unknown[])[first + index] = this.read(words, index * size);
    }
  }

  write(value: unknown, words: Int32Array, at: number, action: string): void {
    const array = this.#check(action);
    // A getter of another record, which is being written, has come back here.
    if (this.#isBusy) {
      const other = new RecordCodec(this.#size);
      other.use(this.#struct, action);
      return other.write(value, words, at, action);
    }
    this.#isBusy = true;
    try {
      // Gaps between fields are zero, so equal records have equal words.
      this.#words.fill(0);
      array.write(0, value as never);
    } finally {
      this.#isBusy = false;
    }
    const size = Math.ceil(this.#size / 4);
    for (let word = 0; word < size; word++) words[at + word] = this.#words[word] as number;
  }

  read(words: ArrayLike<number>, at: number): unknown {
    const array = this.#check("read a hash map");
    const size = Math.ceil(this.#size / 4);
    for (let word = 0; word < size; word++) this.#words[word] = words[at + word] as number;
    return array.read(0);
  }

  #check(action: string): StructArray {
    if (this.#array !== undefined) return this.#array;
    throw new NumaError("EINVAL", action, {
      why: "this thread does not know the struct of its values",
      fix: "Call map.use(struct) first, with the struct that it was created with.",
    });
  }
}
