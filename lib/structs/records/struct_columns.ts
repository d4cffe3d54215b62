import { type Handle, registerKind, type Shareable } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { checkInteger, show } from "../../base/check.ts";
import { refuseDestroyed } from "../../memory/arena/refusals.ts";
import type { RecordAccessor } from "./accessors.ts";
import { columnOffsets, COLUMNS } from "./arrangements.ts";
import { rowOf, type StructFields, type StructRecord, type StructTypes } from "./fields.ts";
import { byName } from "./layout.ts";
import { handleOfRecords, type Records, recordsOfHandle } from "./record_memory.ts";
import { readRecord, writeRecord } from "./whole_records.ts";

/**
 * The columns of a struct's fields, by their names.
 *
 * @typeParam Fields The fields.
 * @typeParam Backing The kind of their buffer.
 */
export type StructColumnArrays<
  Fields extends StructFields,
  Backing extends ArrayBufferLike = ArrayBufferLike,
> = { readonly [Name in keyof Fields]: StructTypes<Backing>[Fields[Name]["type"]]["column"] };

/**
 * A struct of arrays: one array for each field, a column.
 *
 * Each column is a plain typed array, for loops, `Atomics`, WebAssembly and C: `columns.fields.x` is a `Float64Array`.
 * Of
 * `bytes(n)` and `text(n)` it is a `Uint8Array` of n bytes a record, and of `bool` one of zeros and ones. A column
 * begins at a multiple of 128 bytes, so that two of them share no cache line.
 *
 * Accesses are plain: while a thread writes a record, another one may read half of it, or an old value. Use `Atomics`
 * on a column of integers, or what {@linkcode StructArray} names.
 *
 * Columns passed in `args` of `launch` arrive as a live object over the same memory, if that is an arena or a
 * `SharedArrayBuffer`.
 *
 * @typeParam Fields The fields of its struct: `StructColumns<typeof Point.fields>`.
 * @typeParam Backing The kind of buffer that the columns are in.
 *
 * @example
 * ```ts
 * import { f64, struct, u32 } from "@numakit/numakit";
 *
 * const Point = struct({ id: u32, x: f64 });
 * const points = Point.columns(new SharedArrayBuffer(Point.columnBytes(1000)), 1000);
 * const { id, x } = points.fields;
 * x.fill(0.5);
 * Atomics.add(id, 7, 1);
 * console.log(x.length, x.byteOffset % 128, points.read(7)); // 1000 0 { id: 1, x: 0.5 }
 * ```
 */
export class StructColumns<
  Fields extends StructFields = StructFields,
  Backing extends ArrayBufferLike = ArrayBufferLike,
> implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    COLUMNS.name,
    /* @__PURE__ */ showAs(StructColumns, String),
    (handle) => new StructColumns(recordsOfHandle(COLUMNS, handle)),
  );
  /** The number of records. */
  readonly length: number;
  /** The column of each field, by its name: the same arrays every time, which are empty once their memory is gone. */
  readonly fields: StructColumnArrays<Fields, Backing>;

  readonly #records: Records;
  readonly #accessors: readonly RecordAccessor[];

  private constructor(records: Records) {
    void StructColumns.#kind;
    const { layout, length, bytes } = records;
    const { buffer } = bytes;
    const begins = columnOffsets(layout, length).map((offset) => bytes.byteOffset + offset);
    this.#records = records;
    this.#accessors = layout.fields.map((field, index) =>
      rowOf(field).access({
        name: layout.names[index]!,
        size: field.size,
        buffer,
        byteOffset: begins[index]!,
        stride: field.size,
        length,
      })
    );
    this.length = length;
    const columns = byName(layout, (field, index) => {
      const row = rowOf(field);
      return row.column(buffer, begins[index]!, length * field.size / row.element);
    });
    this.fields = columns as unknown as StructColumnArrays<Fields, Backing>;
  }

  /**
   * All of its memory: the columns in their order, and what is between them.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed, or its buffer was transferred away.
   */
  get bytes(): Uint8Array<Backing> {
    const { bytes } = this.#records;
    if (bytes.length === 0) refuseDestroyed("view columns of structs");
    return bytes as Uint8Array<Backing>;
  }

  /**
   * Reads a record as a new object. Its bytes are copies.
   *
   * @param index The record: 0 to length - 1.
   * @returns The values of all fields, in their order.
   * @throws {NumaError} `EINVAL` another index; `EDESTROYED` as {@linkcode StructColumns.bytes}.
   */
  read(index: number): StructRecord<Fields> {
    this.#check(index, "read");
    return readRecord(this.#records.layout, this.#accessors, index) as StructRecord<Fields>;
  }

  /**
   * Writes all fields of a record. If a value is refused, nothing is written.
   *
   * @param index The record: 0 to length - 1.
   * @param record A value for each field. Other properties do not matter.
   * @throws {NumaError} `EINVAL` another index, or a value of another kind; `EDESTROYED` as {@linkcode
   * StructColumns.bytes}.
   */
  write(index: number, record: StructRecord<Fields>): void {
    this.#check(index, "write");
    writeRecord(this.#records.layout, this.#accessors, index, record);
  }

  /**
   * Returns a handle with which another thread makes columns over the same memory. Arguments and results of threads are
   * converted automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return handleOfRecords(COLUMNS, this.#records);
  }

  /** Returns a short text for logs. */
  toString(): string {
    const { bytes, layout } = this.#records;
    const state = bytes.length === 0 ? ", destroyed" : "";
    return `StructColumns(${layout.names.length} columns of ${this.length}${state})`;
  }

  #check(index: number, verb: string): void {
    const isIndex = typeof index === "number" && (index >>> 0) === index && index < this.length;
    if (isIndex && this.#records.bytes.length > 0) return;
    const action = `${verb} record ${show(index)}`;
    checkInteger(index, "the index", 0, this.length - 1, action);
    refuseDestroyed(action);
  }
}
