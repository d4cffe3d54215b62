import { isInt32Array, isUint8Array } from "../../base/brand.ts";
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, registerKind, type Shareable } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { refuseDestroyed } from "../../memory/arena/refusals.ts";
import type { RecordAccessor } from "./accessors.ts";
import { ARRAY } from "./arrangements.ts";
import { copyBytes, copyWords } from "./copy_elements.ts";
import { rowOf, type StructFields, type StructRecord, type StructTypes } from "./fields.ts";
import { byName } from "./layout.ts";
import { handleOfRecords, type Records, recordsOfHandle } from "./record_memory.ts";
import { readRecord, writeRecord } from "./whole_records.ts";

/**
 * The accessors of a struct's fields, by their names.
 *
 * @typeParam Fields The fields.
 */
export type StructAccessors<Fields extends StructFields> = {
  readonly [Name in keyof Fields]: StructTypes[Fields[Name]["type"]]["accessor"];
};

/**
 * An array of structs: records one after the other, as C has them.
 *
 * Its fields are under {@linkcode StructArray.fields}, apart from its methods, so that a field may have any name. Each
 * has one accessor, which reads and writes that field of every record without making an object.
 *
 * Accesses are plain: while a thread writes a record, another one may read half of it, or an old value. Let one thread
 * at a time write what others use: with a `Mutex` or a `RwLock`, behind a `Barrier`, or by passing records through a
 * `SpscRing`.
 *
 * An array passed in `args` of `launch` arrives as a live object over the same memory, if that is an arena or a
 * `SharedArrayBuffer`.
 *
 * @typeParam Fields The fields of its struct: `StructArray<typeof Point.fields>`.
 *
 * @example
 * ```ts
 * import { f64, struct, u32 } from "@numakit/numakit";
 *
 * const Point = struct({ id: u32, x: f64 });
 * const points = Point.array(new SharedArrayBuffer(Point.bytes(1000)));
 * const { id, x } = points.fields;
 * let sum = 0;
 * for (let index = 0; index < points.length; index++) {
 *   id.set(index, index);
 *   x.set(index, index / 2);
 *   sum += x.get(index);
 * }
 * console.log(sum, points.read(7)); // 249750 { id: 7, x: 3.5 }
 * ```
 */
export class StructArray<Fields extends StructFields = StructFields> implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    ARRAY.name,
    /* @__PURE__ */ showAs(StructArray, String),
    (handle) => new StructArray(recordsOfHandle(ARRAY, handle)),
  );
  /** The number of records. */
  readonly length: number;
  /** The accessor of each field, by its name: the same objects every time. */
  readonly fields: StructAccessors<Fields>;

  readonly #records: Records;
  readonly #bytes: Uint8Array;
  /** The same memory in words, if a record is whole ones. */
  readonly #words: Int32Array | undefined;
  readonly #size: number;
  readonly #accessors: readonly RecordAccessor[];

  private constructor(records: Records) {
    void StructArray.#kind;
    const { layout, length, bytes } = records;
    const { buffer, byteOffset } = bytes;
    const { names, offsets, size } = layout;
    this.#records = records;
    this.#bytes = bytes;
    const isWords = size % 4 === 0 && byteOffset % 4 === 0;
    this.#words = isWords ? new Int32Array(buffer, byteOffset, bytes.length / 4) : undefined;
    this.#size = size;
    this.#accessors = layout.fields.map((field, index) =>
      rowOf(field).access({
        name: names[index]!,
        size: field.size,
        buffer,
        byteOffset: byteOffset + offsets[index]!,
        stride: size,
        length,
      })
    );
    this.length = length;
    const fields = byName(layout, (_, index) => this.#accessors[index]);
    this.fields = fields as unknown as StructAccessors<Fields>;
  }

  /**
   * All of its memory.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed, or its buffer was transferred away.
   */
  get bytes(): Uint8Array {
    if (this.#bytes.length === 0) refuseDestroyed("view an array of structs");
    return this.#bytes;
  }

  /**
   * Reads a record as a new object. Its bytes are copies.
   *
   * @param index The record: 0 to length - 1.
   * @returns The values of all fields, in their order.
   * @throws {NumaError} `EINVAL` another index; `EDESTROYED` as {@linkcode StructArray.bytes}.
   */
  read(index: number): StructRecord<Fields> {
    this.#at(index, "read");
    return readRecord(this.#records.layout, this.#accessors, index) as StructRecord<Fields>;
  }

  /**
   * Writes all fields of a record. If a value is refused, nothing is written.
   *
   * @param index The record: 0 to length - 1.
   * @param record A value for each field. Other properties do not matter.
   * @throws {NumaError} `EINVAL` another index, or a value of another kind; `EDESTROYED` as {@linkcode
   * StructArray.bytes}.
   */
  write(index: number, record: StructRecord<Fields>): void {
    this.#at(index, "write");
    writeRecord(this.#records.layout, this.#accessors, index, record);
  }

  /**
   * Copies the bytes of a record out, for example to put it into a ring: `ring.tryPush(words)`.
   *
   * Cost: nothing is allocated for records of up to 256 elements of the target.
   *
   * @param index The record: 0 to length - 1.
   * @param target Where they go: bytes, or 32-bit words if the size of a record is a multiple of four.
   * @param at The index in `target` of the first one. Default: 0.
   * @throws {NumaError} `EINVAL` another index, or no room in `target`; `EDESTROYED` as {@linkcode StructArray.bytes}.
   */
  copyTo(index: number, target: Uint8Array | Int32Array, at: number = 0): void {
    const from = this.#at(index, "copy");
    const words = this.#words;
    if (words !== undefined && isInt32Array(target)) {
      const count = this.#size >> 2;
      this.#checkRoom(target, at, count);
      copyWords(words, from / 4, target, at, count);
    } else if (isUint8Array(target)) {
      this.#checkRoom(target, at, this.#size);
      copyBytes(this.#bytes, from, target, at, this.#size);
    } else this.#refuse(target);
  }

  /**
   * Copies the bytes of a record in, as {@linkcode StructArray.copyTo} copied them out.
   *
   * @param index The record: 0 to length - 1.
   * @param source Where they are: bytes, or 32-bit words if the size of a record is a multiple of four.
   * @param at The index in `source` of the first one. Default: 0.
   * @throws {NumaError} As {@linkcode StructArray.copyTo}.
   */
  copyFrom(index: number, source: Uint8Array | Int32Array, at: number = 0): void {
    const to = this.#at(index, "copy");
    const words = this.#words;
    if (words !== undefined && isInt32Array(source)) {
      const count = this.#size >> 2;
      this.#checkRoom(source, at, count);
      copyWords(source, at, words, to / 4, count);
    } else if (isUint8Array(source)) {
      this.#checkRoom(source, at, this.#size);
      copyBytes(source, at, this.#bytes, to, this.#size);
    } else this.#refuse(source);
  }

  /**
   * Returns a handle with which another thread makes an array over the same memory. Arguments and results of threads
   * are converted automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return handleOfRecords(ARRAY, this.#records);
  }

  /** Returns a short text for logs. */
  toString(): string {
    const state = this.#bytes.length === 0 ? ", destroyed" : "";
    return `StructArray(${this.length} records of ${this.#size} bytes${state})`;
  }

  /** Where a record begins in the bytes. */
  #at(index: number, verb: string): number {
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#size;
      if (at < this.#bytes.length) return at;
    }
    const action = `${verb} record ${show(index)}`;
    checkInteger(index, "the index", 0, this.length - 1, action);
    refuseDestroyed(action);
  }

  #checkRoom(array: Uint8Array | Int32Array, at: number, count: number): void {
    const isIndex = typeof at === "number" && (at >>> 0) === at;
    if (!isIndex || at + count > array.length) this.#refuse(array, at);
  }

  #refuse(array: unknown, at: unknown = 0): never {
    const size = this.#size;
    const what = ArrayBuffer.isView(array)
      ? `${show(array)} with ${array.byteLength} bytes`
      : show(array);
    const words = this.#words === undefined ? "" : ` or an Int32Array of ${size / 4} words`;
    throw new NumaError("EINVAL", "copy a record", {
      why: `the array is ${what}, and the first index ${show(at)}`,
      fix: `Give a Uint8Array of ${size} bytes${words} from there on.`,
    });
  }
}
