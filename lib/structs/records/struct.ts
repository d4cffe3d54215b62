import { showAs } from "../../base/inspect.ts";
import { checkInteger } from "../../base/check.ts";
import type { Arena } from "../../memory/arena/arena.ts";
import type { OwnedMemory } from "../../memory/owned/owned.ts";
import { ARRAY, COLUMNS } from "./arrangements.ts";
import { declarationInC } from "./c_declaration.ts";
import { rowOf, type StructFields } from "./fields.ts";
import { byName, entriesOf, fieldsOf, layoutOf, type RecordLayout } from "./layout.ts";
import { MAX_LENGTH, placeRecords, recordBytes, type Records } from "./record_memory.ts";
import { StructArray } from "./struct_array.ts";
import { StructColumns } from "./struct_columns.ts";

/**
 * A schema of records: what {@linkcode struct} returns.
 *
 * @typeParam Fields The fields.
 *
 * @example
 * ```ts
 * import { f64, type Struct, struct, u32 } from "@numakit/numakit";
 *
 * const Point = struct({ id: u32, x: f64 });
 * const sizes = (schema: Struct): string => `${schema.size} bytes, aligned to ${schema.align}`;
 * console.log(sizes(Point)); // 16 bytes, aligned to 8
 * ```
 */
export class Struct<Fields extends StructFields = StructFields> {
  static readonly #shown = /* @__PURE__ */ showAs(Struct, String);
  /** The fields, in the order in which they are in memory. */
  readonly fields: Fields;
  /** The size of a record in bytes: a multiple of its alignment, at most 2^20. */
  readonly size: number;
  /** The alignment of a record in bytes: 1, 2, 4 or 8. */
  readonly align: number;
  /** The first byte of each field in a record, by its name. */
  readonly offsets: { readonly [Name in keyof Fields]: number };

  readonly #layout: RecordLayout;

  /**
   * Lays out fields. {@linkcode struct} does the same.
   *
   * @param fields The fields.
   * @throws {NumaError} `EINVAL`.
   */
  constructor(fields: Fields) {
    void Struct.#shown;
    const action = "define a struct";
    const layout = layoutOf(entriesOf(fields, action), action);
    this.#layout = layout;
    this.fields = fieldsOf(layout) as Fields;
    this.size = layout.size;
    this.align = layout.align;
    const offsets = byName(layout, (_, index) => layout.offsets[index]!);
    this.offsets = offsets as { readonly [Name in keyof Fields]: number };
  }

  /**
   * Returns how much memory an array of structs takes.
   *
   * @param length The number of records: 1 to 2^32 - 1.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  bytes(length: number): number {
    return recordBytes(ARRAY, this.#layout, length);
  }

  /**
   * Returns how much memory a struct of arrays takes.
   *
   * @param length The number of records: 1 to 2^32 - 1.
   * @returns Bytes: a multiple of 128.
   * @throws {NumaError} `EINVAL`.
   */
  columnBytes(length: number): number {
    return recordBytes(COLUMNS, this.#layout, length);
  }

  /**
   * Makes an array of structs in an arena. All its bytes are zero.
   *
   * Cost: {@linkcode Struct.bytes} bytes of the arena, and an accessor for each field.
   *
   * @param memory The arena.
   * @param length The number of records: 1 to 2^32 - 1.
   * @returns The array. `destroy` of the arena ends its use.
   * @throws {NumaError} `EINVAL`; `ENOMEM` if the arena is full; `EBUSY` if another thread allocates from it;
   * `EDESTROYED`.
   */
  array(memory: Arena, length: number): StructArray<Fields>;
  /**
   * Makes an array of structs of what is in some memory. Nothing is written there.
   *
   * Cost: an accessor for each field.
   *
   * @param memory A buffer, a typed array or a `WebAssembly.Memory`. It begins at a multiple of {@linkcode
   * Struct.align} in its buffer. All records of a ring are such memory: `Point.array(ring.records)`.
   * @param length The number of records. Default: as many as there is room for.
   * @returns The array.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind, too small, or not aligned.
   */
  array(memory: OwnedMemory, length?: number): StructArray<Fields>;
  array(memory: Arena | OwnedMemory, length?: number): StructArray<Fields> {
    return make(StructArray<Fields>, placeRecords(ARRAY, this.#layout, memory, length));
  }

  /**
   * Makes a struct of arrays in an arena. All its bytes are zero.
   *
   * Cost: {@linkcode Struct.columnBytes} bytes of the arena, and a typed array for each field.
   *
   * @param memory The arena.
   * @param length The number of records: 1 to 2^32 - 1.
   * @returns The columns. `destroy` of the arena ends their use.
   * @throws {NumaError} As {@linkcode Struct.array}.
   */
  columns(memory: Arena, length: number): StructColumns<Fields, ArrayBuffer>;
  /**
   * Makes a struct of arrays of what is in some memory. Nothing is written there.
   *
   * Cost: a typed array for each field.
   *
   * @typeParam Backing The kind of buffer.
   * @param memory A buffer, a typed array or a `WebAssembly.Memory`. It begins at a multiple of 128 bytes in its
   * buffer.
   * @param length The number of records.
   * @returns The columns.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind, too small, or not aligned.
   */
  columns<Backing extends ArrayBufferLike>(
    memory: Backing | { readonly buffer: Backing },
    length: number,
  ): StructColumns<Fields, Backing>;
  columns(memory: Arena | OwnedMemory, length: number): StructColumns<Fields> {
    const count = checkInteger(length, "length", 1, MAX_LENGTH, `make ${COLUMNS.title}`);
    return make(StructColumns<Fields>, placeRecords(COLUMNS, this.#layout, memory, count));
  }

  /**
   * Declares the struct in C, for programs that use the same memory. It is C++, too. A field whose name is a keyword
   * there has a `_` behind it.
   *
   * @param name The name of the struct in C. Default: `"record"`.
   * @returns Lines of C.
   * @throws {NumaError} `EINVAL` a name that C does not take.
   *
   * @example
   * ```ts
   * import { bytes, f64, struct, u32 } from "@numakit/numakit";
   *
   * console.log(struct({ id: u32, x: f64, name: bytes(16) }).describe("point"));
   * // #include <assert.h>
   * // #include <stdbool.h>
   * // #include <stdint.h>
   * //
   * // struct point {
   * //   uint32_t id; // at 0
   * //   double x; // at 8
   * //   uint8_t name[16]; // at 16
   * // };
   * // static_assert(sizeof(struct point) == 32, "32 bytes, aligned to 8");
   * ```
   */
  describe(name: string = "record"): string {
    return declarationInC(this.#layout, name);
  }

  /** Returns a short text for logs. */
  toString(): string {
    const { names, fields, size } = this.#layout;
    const shown = fields.slice(0, 8).map((field, index) =>
      `${names[index]}: ${field.type}${rowOf(field).isArray ? `(${field.size})` : ""}`
    );
    const more = fields.length > shown.length ? `, ${fields.length - shown.length} more` : "";
    return `Struct(${shown.join(", ")}${more}: ${size} bytes)`;
  }
}

/** Calls a private constructor. */
function make<Type>(type: { readonly prototype: Type }, records: Records): Type {
  return new (type as unknown as new (records: Records) => Type)(records);
}

/**
 * Defines a schema of records: fields with names and types, laid out in memory as C does it, in the order of their
 * declaration.
 *
 * The types of records, accessors and columns follow from it. `Point.array(memory)` is an array of structs, and
 * `Point.columns(memory, length)` a struct of arrays. Their memory is yours, so several threads, and code in C or
 * WebAssembly, can use it at the same time. All of it is plain memory: see {@linkcode StructArray} for what
 * synchronizes threads.
 *
 * @typeParam Fields The fields.
 * @param fields 1 to 1,024 fields: `i8` to `u64`, `f32`, `f64`, `bool`, {@linkcode bytes} and {@linkcode text}. A name
 * is one that C takes, and not `__proto__`. A record is at most 1 MiB.
 * @returns The schema.
 * @throws {NumaError} `EINVAL`.
 *
 * @example
 * ```ts
 * import { Arena, bytes, f64, struct, u32 } from "@numakit/numakit";
 *
 * const Point = struct({ id: u32, x: f64, name: bytes(16) });
 * console.log(Point.size, Point.offsets); // 32 { id: 0, x: 8, name: 16 }
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB" });
 * const points = Point.array(arena, 1000); // on node 0
 * points.fields.x.set(7, 1.5);
 * console.log(points.fields.x.get(7)); // 1.5
 * ```
 */
export function struct<Fields extends StructFields>(fields: Fields): Struct<Readonly<Fields>> {
  return new Struct<Readonly<Fields>>(fields);
}
