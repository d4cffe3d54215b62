/**
 * What a map holds, as its options say it and as one number that its memory keeps.
 *
 * ```
 *   bits 0-7    capacity: three bits of a fraction, five of an exponent
 *   bits 8-16   keys: three bits of a type, six of a size
 *   bits 17-29  values: three bits of a type, ten of a size
 * ```
 *
 * @module
 */
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { layoutOf, type MapShape } from "./map_table.ts";
import type { MapType, PlacedMapOptions } from "./map_types.ts";

/** The options that say how many entries there are, and of what. */
export type MapOptions = Pick<PlacedMapOptions, "capacity" | "key" | "value">;

/** The type of keys or values, as numbers. */
export interface TypeCode {
  readonly kind: 0 | 1 | 2 | 3 | 4;
  /** Bytes of `bytes` and `text`, at most; 1 for the others. */
  readonly bytes: number;
}

export const U32 = 0;
export const I32 = 1;
export const F64 = 2;
export const BYTES = 3;
export const TEXT = 4;
const NAMES = ["u32", "i32", "f64"] as const;

const MAX_KEY_BYTES = 64;
const MAX_VALUE_BYTES = 1024;
const MAX_CAPACITY = 2 ** 26;
const MIN_CAPACITY = 8;
/** Indices of words are 32-bit integers. */
const MAX_WORDS = 2 ** 31;
const KIND_BITS = 3;
const FRACTION_BITS = 3;
const KEY_SHIFT = 8;
const KEY_BITS = 9;
const VALUE_SHIFT = 17;
const VALUE_BITS = 13;

const lowBits = (number: number, bits: number): number => number & ((1 << bits) - 1);

/**
 * What {@linkcode mapOptionOf} made a number of. It is in memory that any thread can write to: also what it never made.
 *
 * @param option The number.
 * @returns Settings within the limits.
 */
export function mapSettingsOf(
  option: number,
): { readonly key: TypeCode; readonly value: TypeCode; readonly shape: MapShape } {
  const exponent = Math.max(FRACTION_BITS, lowBits(option >>> FRACTION_BITS, 5));
  const capacity = (2 ** FRACTION_BITS + lowBits(option, FRACTION_BITS)) *
    2 ** (exponent - FRACTION_BITS);
  const key = decode(lowBits(option >>> KEY_SHIFT, KEY_BITS));
  const value = decode(lowBits(option >>> VALUE_SHIFT, VALUE_BITS));
  return {
    ...{ key, value },
    shape: {
      keyWords: wordsOf(key),
      valueWords: wordsOf(value),
      capacity: Math.min(capacity, MAX_CAPACITY),
    },
  };
}

/**
 * The number that {@linkcode mapSettingsOf} takes.
 *
 * @param options The options.
 * @param action What was asked, as it follows "Cannot".
 * @param words How many words a map of a shape takes. Default: those of a hash map.
 * @param more What else may be a type, for errors. Default: nothing.
 * @returns The number.
 * @throws {NumaError} `EINVAL`.
 */
export function mapOptionOf(
  options: MapOptions,
  action: string,
  words: (shape: MapShape) => number = (shape) => layoutOf(shape).words,
  more: string = "",
): number {
  const { capacity = 1024, key, value } = options;
  checkInteger(capacity, "capacity", MIN_CAPACITY, MAX_CAPACITY, action);
  const keyCode = encode(key, "key", MAX_KEY_BYTES, action, more);
  const valueCode = encode(value, "value", MAX_VALUE_BYTES, action, more);
  // Rounded up to a number of three bits behind the first one.
  const exponent = Math.floor(Math.log2(capacity));
  const eighths = Math.ceil(capacity / 2 ** (exponent - FRACTION_BITS)) - 2 ** FRACTION_BITS;
  const code = (exponent << FRACTION_BITS) + eighths;
  const option = code | (keyCode << KEY_SHIFT) | (valueCode << VALUE_SHIFT);
  if (words(mapSettingsOf(option).shape) >= MAX_WORDS) {
    throw new NumaError("EINVAL", action, {
      why: `${capacity} entries of that size take more than 8 GiB`,
      fix: "Give a smaller capacity.",
    });
  }
  return option;
}

function decode(code: number): TypeCode {
  const kind = Math.min(lowBits(code, KIND_BITS), TEXT) as TypeCode["kind"];
  return { kind, bytes: kind < BYTES ? 1 : 1 + (code >>> KIND_BITS) };
}

function encode(
  type: unknown,
  name: string,
  most: number,
  action: string,
  more: string,
): number {
  const simple = NAMES.indexOf(type as typeof NAMES[number]);
  if (simple >= 0) return simple;
  if (typeof type === "object" && type !== null) {
    const { bytes, text } = type as { readonly bytes?: unknown; readonly text?: unknown };
    if (bytes !== undefined && text === undefined) {
      return BYTES | ((checkInteger(bytes, `${name}.bytes`, 1, most, action) - 1) << KIND_BITS);
    }
    if (text !== undefined && bytes === undefined) {
      return TEXT | ((checkInteger(text, `${name}.text`, 1, most, action) - 1) << KIND_BITS);
    }
  }
  throw new NumaError("EINVAL", action, {
    why: `${name} is ${show(type)}`,
    fix: more === ""
      ? `Give "u32", "i32", "f64", { bytes: 1 to ${most} } or { text: 1 to ${most} }.`
      : `Give "u32", "i32", "f64", { bytes: 1 to ${most} }, { text: 1 to ${most} }${more}.`,
  });
}

/**
 * What {@linkcode mapOptionOf} takes for a type.
 *
 * @param type The type, as numbers.
 * @returns The same, as callers give it.
 */
export function mapTypeOf({ kind, bytes }: TypeCode): MapType {
  if (kind === BYTES) return { bytes };
  return kind === TEXT ? { text: bytes } : NAMES[kind];
}

/** Text has its length before it. */
function wordsOf({ kind, bytes }: TypeCode): number {
  if (kind === F64) return 2;
  return kind < BYTES ? 1 : Math.ceil(bytes / 4) + Number(kind === TEXT);
}
