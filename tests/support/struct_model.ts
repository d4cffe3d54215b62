/**
 * What a struct is, said once more and in another way: a `DataView` over bytes, with offsets as C's rules have them.
 */
import fc from "fast-check";
import {
  bool,
  bytes,
  f32,
  f64,
  i16,
  i32,
  i64,
  i8,
  type StructField,
  text,
  u16,
  u32,
  u64,
  u8,
} from "../../mod.ts";

/** A field of the model. */
export interface ModelField {
  readonly field: StructField;
  readonly size: number;
  readonly align: number;
  /** Values of it. */
  readonly values: fc.Arbitrary<unknown>;
  get(view: DataView, at: number): unknown;
  set(view: DataView, at: number, value: never): void;
}

type Method = (...args: unknown[]) => unknown;

function scalar(
  field: StructField,
  size: number,
  name: string,
  values: fc.Arbitrary<unknown>,
): ModelField {
  const of = (view: DataView, method: string): Method =>
    (view as unknown as Record<string, Method>)[`${method}${name}`] as Method;
  return {
    ...{ field, size, align: size, values },
    get: (view, at) => of(view, "get").call(view, at, true),
    set: (view, at, value) => of(view, "set").call(view, at, value, true),
  };
}

// Also those that do not fit: both cut them. What bits a NaN has is the engine's choice.
const numbers = fc.oneof(
  fc.integer({ min: -300, max: 70_000 }),
  fc.double({ noNaN: true }),
  fc.constantFrom(-0, 2 ** 31, 2 ** 32 + 1, -(2 ** 63), Infinity, 0.1),
);
const bigints = fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n });

const SCALARS: readonly ModelField[] = [
  scalar(i8, 1, "Int8", numbers),
  scalar(u8, 1, "Uint8", numbers),
  scalar(i16, 2, "Int16", numbers),
  scalar(u16, 2, "Uint16", numbers),
  scalar(i32, 4, "Int32", numbers),
  scalar(u32, 4, "Uint32", numbers),
  scalar(f32, 4, "Float32", numbers),
  scalar(f64, 8, "Float64", numbers),
  scalar(i64, 8, "BigInt64", bigints),
  scalar(u64, 8, "BigUint64", bigints),
  {
    ...{ field: bool, size: 1, align: 1, values: fc.boolean() },
    get: (view, at) => view.getUint8(at) !== 0,
    set: (view, at, value: boolean) => view.setUint8(at, value ? 1 : 0),
  },
];

const within = (view: DataView, at: number, size: number): Uint8Array =>
  new Uint8Array(view.buffer, view.byteOffset + at, size);

function someBytes(size: number): ModelField {
  return {
    ...{ field: bytes(size), size, align: 1 },
    values: fc.uint8Array({ minLength: size, maxLength: size }),
    get: (view, at) => within(view, at, size).slice(),
    set: (view, at, value: Uint8Array) => within(view, at, size).set(value),
  };
}

function someText(size: number): ModelField {
  const encoder = new TextEncoder();
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  return {
    ...{ field: text(size), size, align: 1 },
    values: fc.string({ unit: "binary", maxLength: size }).map((whole) => {
      const characters = [...whole.replaceAll("\0", "é").toWellFormed()];
      while (encoder.encode(characters.join("")).length > size) characters.pop();
      return characters.join("");
    }),
    get: (view, at) => decoder.decode(within(view, at, size).slice()).replace(/\0[^]*$/, ""),
    set: (view, at, value: string) => {
      within(view, at, size).fill(0);
      within(view, at, size).set(encoder.encode(value));
    },
  };
}

const sizes = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 250, max: 300 }));

/** Fields of all types. */
export const modelFields: fc.Arbitrary<ModelField> = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...SCALARS) },
  { weight: 1, arbitrary: sizes.map(someBytes) },
  { weight: 1, arbitrary: sizes.map(someText) },
);

/** A struct of the model. */
export interface ModelStruct {
  /** What `struct()` takes. */
  readonly fields: Record<string, StructField>;
  readonly names: readonly string[];
  readonly model: readonly ModelField[];
  readonly offsets: readonly number[];
  readonly size: number;
  readonly align: number;
}

function structOf(entries: readonly (readonly [string, ModelField])[]): ModelStruct {
  const offsets: number[] = [];
  let end = 0;
  let align = 1;
  for (const [, field] of entries) {
    while (end % field.align !== 0) end++;
    offsets.push(end);
    end += field.size;
    if (field.align > align) align = field.align;
  }
  while (end % align !== 0) end++;
  return {
    ...{ offsets, align, size: end },
    fields: Object.fromEntries(entries.map(([name, { field }]) => [name, field])),
    names: entries.map(([name]) => name),
    model: entries.map(([, field]) => field),
  };
}

/** Names that would be in the way of something, or of C's. */
const NAMES = ["x", "y", "id", "length", "read", "fields", "constructor", "toString", "_", "int"];

/** Structs of one to twelve fields. */
export const modelStructs: fc.Arbitrary<ModelStruct> = fc.uniqueArray(
  fc.tuple(
    fc.oneof(fc.constantFrom(...NAMES), fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,6}$/)),
    modelFields,
  ),
  { selector: ([name]) => name, minLength: 1, maxLength: 12 },
).map(structOf);
