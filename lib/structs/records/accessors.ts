/**
 * How one field of many records is read and written: what all accessors can do, and what those of bytes can do besides.
 *
 * @module
 */
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { refuseDestroyed } from "../../memory/arena/refusals.ts";

/**
 * One field of all records of a `StructArray`.
 *
 * @typeParam Value What the field is in JavaScript.
 */
export interface StructAccessor<Value> {
  /**
   * Reads the field of a record.
   *
   * Cost: O(1): one check, one read. Nothing is allocated, except for what is not a number or a boolean.
   *
   * @param index The record: 0 to length - 1.
   * @returns Its value.
   * @throws {NumaError} `EINVAL` another index; `EDESTROYED` if its arena is destroyed, or its buffer was transferred
   * away.
   */
  get(index: number): Value;
  /**
   * Writes the field of a record.
   *
   * Cost: O(1): one check, one write. Nothing is allocated.
   *
   * @param index The record: 0 to length - 1.
   * @param value Its value. A number or a bigint is cut to the type as typed arrays do it.
   * @throws {NumaError} `EINVAL` another index, or a value of another kind; `EDESTROYED` as `get`.
   */
  set(index: number, value: Value): void;
}

/** A field of `bytes(n)` of all records of a `StructArray`. `get` returns a copy, and `set` takes exactly n bytes. */
export interface StructBytesAccessor extends StructAccessor<Uint8Array> {
  /**
   * The field's bytes themselves: a write to them is a write to the record.
   *
   * Cost: a typed array is allocated.
   *
   * @param index The record: 0 to length - 1.
   * @returns A view of n bytes.
   * @throws {NumaError} As {@linkcode StructAccessor.get}.
   */
  view(index: number): Uint8Array;
  /**
   * Copies the field's bytes, without allocating up to 256 of them.
   *
   * @param index The record: 0 to length - 1.
   * @param target Where they go.
   * @param at The index in `target` of the first one. Default: 0.
   * @throws {NumaError} `EINVAL` another index, or no room in `target`; `EDESTROYED` as {@linkcode StructAccessor.get}.
   */
  copyTo(index: number, target: Uint8Array, at?: number): void;
}

/** An accessor as `read` and `write` of whole records use it. */
export interface RecordAccessor {
  /** As {@linkcode StructAccessor.get}. */
  get(index: number): unknown;
  /** As {@linkcode StructAccessor.set}. */
  set(index: number, value: unknown): void;
  /** Throws what `set` would throw for a value. */
  check(value: unknown): void;
}

/** Where a field of many records is. */
export interface FieldMemory {
  /** Its name, for errors. */
  readonly name: string;
  /** Its size in bytes. */
  readonly size: number;
  /** The memory. */
  readonly buffer: ArrayBufferLike;
  /** The byte in `buffer` of the first record's field. */
  readonly byteOffset: number;
  /** Bytes from one record's field to the next one's: a multiple of the size of its elements. */
  readonly stride: number;
  /** The number of records, at least 1. */
  readonly length: number;
}

/** What an accessor says where it has to refuse: nothing of it is on the way of what works. */
export class FieldRefusals {
  readonly #name: string;
  readonly #length: number;

  constructor({ name, length }: FieldMemory) {
    this.#name = name;
    this.#length = length;
  }

  /** Refuses to read an index, or a field whose memory is gone. */
  read(index: unknown): never {
    this.#refuse(`read field "${this.#name}" of record ${show(index)}`, index);
  }

  /** Refuses to write to an index, or to a field whose memory is gone. */
  write(index: unknown): never {
    this.#refuse(`write field "${this.#name}" of record ${show(index)}`, index);
  }

  /** Refuses a value. */
  value(value: unknown, fix: string, why: string = `the value is ${show(value)}`): never {
    throw new NumaError("EINVAL", `write field "${this.#name}" of a record`, { why, fix });
  }

  /** Refuses an array to copy to. */
  target(target: unknown, size: number, at?: unknown): never {
    const room = ArrayBuffer.isView(target) ? `one of ${target.byteLength} bytes` : show(target);
    throw new NumaError("EINVAL", `copy field "${this.#name}" of a record`, {
      why: `the target is ${room}${at === undefined ? "" : `, and the first index ${show(at)}`}`,
      fix: `Give a Uint8Array with room for ${size} bytes.`,
    });
  }

  #refuse(action: string, index: unknown): never {
    checkInteger(index, "the index", 0, this.#length - 1, action);
    refuseDestroyed(action);
  }
}
