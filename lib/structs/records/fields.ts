/**
 * The types of fields: what each is in JavaScript, in C and in memory.
 *
 * They are exported by their plain names, and not as members of an object, so that a schema reads like the C struct
 * that it describes. Where a name is in the way, an import renames it: `import { bytes as fixedBytes } from …`.
 *
 * @module
 */
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type {
  FieldMemory,
  RecordAccessor,
  StructAccessor,
  StructBytesAccessor,
} from "./accessors.ts";
import { BoolAccessor, BytesAccessor, TextAccessor } from "./byte_accessors.ts";
import {
  BigInt64Accessor,
  BigUint64Accessor,
  Float32Accessor,
  Float64Accessor,
  Int16Accessor,
  Int32Accessor,
  Int8Accessor,
  Uint16Accessor,
  Uint32Accessor,
  Uint8Accessor,
} from "./number_accessors.ts";

/** What a type of field is in JavaScript. */
export interface StructType<Value, Column, Accessor = StructAccessor<Value>> {
  /** Its value in a record. */
  readonly value: Value;
  /** The typed array of all its values in a `StructColumns`. */
  readonly column: Column;
  /** What reads and writes it in a `StructArray`. */
  readonly accessor: Accessor;
}

/**
 * The types of fields, by their names.
 *
 * @typeParam Backing The kind of buffer of columns.
 */
export interface StructTypes<Backing extends ArrayBufferLike = ArrayBufferLike> {
  /** Signed 8-bit numbers. */
  readonly i8: StructType<number, Int8Array<Backing>>;
  /** Unsigned 8-bit numbers. */
  readonly u8: StructType<number, Uint8Array<Backing>>;
  /** Signed 16-bit numbers. */
  readonly i16: StructType<number, Int16Array<Backing>>;
  /** Unsigned 16-bit numbers. */
  readonly u16: StructType<number, Uint16Array<Backing>>;
  /** Signed 32-bit numbers. */
  readonly i32: StructType<number, Int32Array<Backing>>;
  /** Unsigned 32-bit numbers. */
  readonly u32: StructType<number, Uint32Array<Backing>>;
  /** Signed 64-bit numbers, as bigints. */
  readonly i64: StructType<bigint, BigInt64Array<Backing>>;
  /** Unsigned 64-bit numbers, as bigints. */
  readonly u64: StructType<bigint, BigUint64Array<Backing>>;
  /** 32-bit floats. */
  readonly f32: StructType<number, Float32Array<Backing>>;
  /** 64-bit floats. */
  readonly f64: StructType<number, Float64Array<Backing>>;
  /** Booleans. */
  readonly bool: StructType<boolean, Uint8Array<Backing>>;
  /** Bytes. */
  readonly bytes: StructType<Uint8Array, Uint8Array<Backing>, StructBytesAccessor>;
  /** Texts. */
  readonly text: StructType<string, Uint8Array<Backing>>;
}

/** The names of the types of fields. */
export type StructTypeName = keyof StructTypes;

/**
 * A field of a struct: its type and size.
 *
 * @typeParam Type The name of its type.
 */
export interface StructField<Type extends StructTypeName = StructTypeName> {
  /** The name of its type. */
  readonly type: Type;
  /** Its size in bytes. */
  readonly size: number;
  /** Its alignment in bytes: the size of one of its elements. */
  readonly align: number;
}

/** The fields of a struct, by their names, in the order in which they are in memory. */
export type StructFields = Readonly<Record<string, StructField>>;

/**
 * A record as an object.
 *
 * @typeParam Fields The fields of its struct: `StructRecord<typeof Point.fields>`.
 */
export type StructRecord<Fields extends StructFields> = {
  -readonly [Name in keyof Fields]: StructTypes[Fields[Name]["type"]]["value"];
};

/** The greatest size of a struct, and so of a field, in bytes. */
export const MAX_SIZE: number = 2 ** 20;

/** What a type of field is to memory and to C. */
export interface TypeRow {
  /** The size of an element in bytes. */
  readonly element: number;
  /** What C calls an element. */
  readonly c: string;
  /** Whether a field has as many elements as its declaration says. */
  readonly isArray: boolean;
  /** Makes an accessor. */
  access(memory: FieldMemory): RecordAccessor;
  /** Makes a column of so many elements. */
  column(buffer: ArrayBufferLike, byteOffset: number, length: number): ArrayBufferView;
}

type Access<Memory> = new (memory: Memory) => object;
type Column = {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): ArrayBufferView;
  readonly BYTES_PER_ELEMENT: number;
};

function row(c: string, View: Column, Accessor: Access<FieldMemory>, isArray = false): TypeRow {
  return {
    c,
    element: View.BYTES_PER_ELEMENT,
    isArray,
    access: (memory) => new Accessor(memory) as RecordAccessor,
    column: (buffer, byteOffset, length) => new View(buffer, byteOffset, length),
  };
}

type Rows = { readonly [Type in StructTypeName]: TypeRow };

/** Not an object as it stands: Bun's bundler would keep one with calls in it where nobody uses it. */
function rows(): Rows {
  return {
    i8: row("int8_t", Int8Array, Int8Accessor),
    u8: row("uint8_t", Uint8Array, Uint8Accessor),
    i16: row("int16_t", Int16Array, Int16Accessor),
    u16: row("uint16_t", Uint16Array, Uint16Accessor),
    i32: row("int32_t", Int32Array, Int32Accessor),
    u32: row("uint32_t", Uint32Array, Uint32Accessor),
    i64: row("int64_t", BigInt64Array, BigInt64Accessor),
    u64: row("uint64_t", BigUint64Array, BigUint64Accessor),
    f32: row("float", Float32Array, Float32Accessor),
    f64: row("double", Float64Array, Float64Accessor),
    bool: row("bool", Uint8Array, BoolAccessor),
    bytes: row("uint8_t", Uint8Array, BytesAccessor, true),
    text: row("char", Uint8Array, TextAccessor, true),
  };
}

/** What there is to know of each type. */
const ROWS: Rows = /* @__PURE__ */ rows();

/**
 * What there is to know of a field's type.
 *
 * @param field The field.
 * @returns What its type is to memory and to C.
 */
export function rowOf({ type }: StructField): TypeRow {
  return ROWS[type];
}

function plain<Type extends StructTypeName>(type: Type, size: number): StructField<Type> {
  return Object.freeze({ type, size, align: size });
}

function many<Type extends StructTypeName>(type: Type, size: unknown): StructField<Type> {
  const checked = checkInteger(size, "the size", 1, MAX_SIZE, `define a field of ${type}`);
  return Object.freeze({ type, size: checked, align: 1 });
}

/**
 * Checks a field, which may come from a caller or from another thread.
 *
 * @param field What should be one.
 * @param name Its name.
 * @param action What was asked, as it follows "Cannot".
 * @returns The same as a new object.
 * @throws {NumaError} `EINVAL`.
 */
export function checkField(field: unknown, name: string, action: string): StructField {
  const isObject = typeof field === "object" && field !== null;
  const { type, size } = isObject ? field as Partial<StructField> : {};
  if (typeof type === "string" && Object.hasOwn(ROWS, type)) {
    const { element, isArray } = ROWS[type];
    if (isArray) return many(type, size);
    if (size === element) return plain(type, element);
  }
  throw new NumaError("EINVAL", action, {
    why: `field ${show(name)} is ${show(field)}`,
    fix: `Give one of ${Object.keys(ROWS).join(", ")}: import { u32 }, and bytes(16) for bytes.`,
  });
}

/** A field of signed 8-bit numbers: `int8_t` in C. */
export const i8: StructField<"i8"> = /* @__PURE__ */ plain("i8", 1);
/** A field of unsigned 8-bit numbers: `uint8_t` in C. */
export const u8: StructField<"u8"> = /* @__PURE__ */ plain("u8", 1);
/** A field of signed 16-bit numbers: `int16_t` in C. */
export const i16: StructField<"i16"> = /* @__PURE__ */ plain("i16", 2);
/** A field of unsigned 16-bit numbers: `uint16_t` in C. */
export const u16: StructField<"u16"> = /* @__PURE__ */ plain("u16", 2);
/** A field of signed 32-bit numbers: `int32_t` in C. */
export const i32: StructField<"i32"> = /* @__PURE__ */ plain("i32", 4);
/** A field of unsigned 32-bit numbers: `uint32_t` in C. */
export const u32: StructField<"u32"> = /* @__PURE__ */ plain("u32", 4);
/** A field of signed 64-bit numbers, as bigints: `int64_t` in C. Each bigint that is read is allocated. */
export const i64: StructField<"i64"> = /* @__PURE__ */ plain("i64", 8);
/** A field of unsigned 64-bit numbers, as bigints: `uint64_t` in C. Each bigint that is read is allocated. */
export const u64: StructField<"u64"> = /* @__PURE__ */ plain("u64", 8);
/** A field of 32-bit floats: `float` in C. */
export const f32: StructField<"f32"> = /* @__PURE__ */ plain("f32", 4);
/** A field of 64-bit floats: `double` in C. */
export const f64: StructField<"f64"> = /* @__PURE__ */ plain("f64", 8);
/** A field of booleans: `bool` in C, a byte that is 0 or 1. */
export const bool: StructField<"bool"> = /* @__PURE__ */ plain("bool", 1);

/**
 * A field of bytes, always as many: `uint8_t name[size]` in C, a `Uint8Array` here.
 *
 * @param size The number of bytes: 1 to 2^20.
 * @returns The field.
 * @throws {NumaError} `EINVAL`.
 *
 * @example
 * ```ts
 * import { bytes, struct, u32 } from "@numakit/numakit";
 *
 * const Key = struct({ id: u32, digest: bytes(32) });
 * const keys = Key.array(new SharedArrayBuffer(Key.bytes(10)));
 * keys.fields.digest.set(3, new Uint8Array(32).fill(7));
 * console.log(Key.size, keys.read(3).digest[31]); // 36 7
 * ```
 */
export function bytes(size: number): StructField<"bytes"> {
  return many("bytes", size);
}

/**
 * A field of text: `char name[size]` in C, a string here.
 *
 * In memory it is UTF-8 with zeros behind it. A text that takes all the bytes has no zero at its end. A text is never
 * cut: one that takes more bytes is an error, and so is one with U+0000 or with half of a surrogate pair. Bytes that
 * are no UTF-8, which others may have written, are read as U+FFFD.
 *
 * @param size The number of bytes: 1 to 2^20.
 * @returns The field.
 * @throws {NumaError} `EINVAL`.
 *
 * @example
 * ```ts
 * import { struct, text, u32 } from "@numakit/numakit";
 *
 * const User = struct({ id: u32, name: text(12) });
 * const users = User.array(new SharedArrayBuffer(User.bytes(10)));
 * users.write(0, { id: 1, name: "Zoë" });
 * console.log(users.fields.name.get(0)); // Zoë
 * ```
 */
export function text(size: number): StructField<"text"> {
  return many("text", size);
}
