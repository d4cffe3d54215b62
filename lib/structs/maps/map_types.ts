/**
 * The types of keys and values, as callers give them.
 *
 * @module
 */
import type { ByteSize } from "../../base/bytes.ts";
import type { SyncOptions } from "../../shared/region.ts";
import type { StructRecord } from "../records/fields.ts";
import type { Struct } from "../records/struct.ts";

/**
 * A type of keys or values of a fixed size: unsigned and signed 32-bit integers, numbers, so many bytes, or text of up to
 * so many bytes of UTF-8.
 */
export type MapType = "u32" | "i32" | "f64" | { readonly bytes: number } | {
  readonly text: number;
};

/** A type of the keys of a `HashMap`: also bytes, and text, of any length. */
export type HashMapKeyType = MapType | "bytes" | "text";

/** A type of the values of a `HashMap`: also records of a {@linkcode struct}. */
export type HashMapValueType = HashMapKeyType | Struct;

/** What JavaScript has for a type of keys or values. */
export type MapTypeValue<Type extends HashMapValueType> = Type extends "u32" | "i32" | "f64"
  ? number
  : Type extends "text" | { readonly text: number } ? string
  : Type extends Struct<infer Fields> ? StructRecord<Fields>
  : Uint8Array;

/** Options of a map whose keys and values have a fixed size. */
export interface PlacedMapOptions<Key extends MapType = MapType, Value extends MapType = MapType>
  extends SyncOptions {
  /** How many entries there is room for at least: 8 to 2^26. Default: 1,024. */
  readonly capacity?: number;
  /** The type of its keys; bytes and text have at most 64 bytes. */
  readonly key: Key;
  /** The type of its values; bytes and text have at most 1,024 bytes. */
  readonly value: Value;
}

/** Options of a `HashMap`. */
export interface HashMapOptions<
  Key extends HashMapKeyType = HashMapKeyType,
  Value extends HashMapValueType = HashMapValueType,
> extends SyncOptions {
  /**
   * How many entries there is room for at least: 8 to 2^26. How many more depends on the keys. Default: 1,024.
   */
  readonly capacity?: number;
  /**
   * Whether other processes of this user may use it: its memory is an arena with a name, and
   * `HashMap.open` finds it there. Then `threads` are those of all processes. Default: false.
   */
  readonly processes?: boolean;
  /**
   * The type of its keys. `{ bytes }` and `{ text }` have at most 64 bytes; `"bytes"` and `"text"` have any length up to
   * 64 KiB, and are in {@linkcode HashMapOptions.storage}.
   */
  readonly key: Key;
  /**
   * The type of its values. `{ bytes }`, `{ text }` and the records of a struct have at most 1,024 bytes; `"bytes"` and
   * `"text"` have any length up to 16 MiB, and are in {@linkcode HashMapOptions.storage}.
   */
  readonly value: Value;
  /**
   * How many bytes there are for keys and values of any length: 4 KiB to 3 GiB. It is rounded up by up to an eighth. A
   * value needs its place beside the old one while it is replaced. Default: 128 for each entry of the capacity.
   */
  readonly storage?: ByteSize;
  /**
   * The bytes of a block of {@linkcode HashMapOptions.storage}, where values have any length: a power of two from 64 to
   * 65,536. A key or value takes whole blocks; long ones are read and written faster in large blocks. Default: 64.
   */
  readonly blockBytes?: number;
}

/**
 * Several keys or values: a typed array of numbers of the map's type; all bytes one after the other, or an array of
 * `Uint8Array`s where they have any length; or an array of texts, or of records.
 */
export type Listed<Type> = Type extends number ? Uint32Array | Int32Array | Float64Array
  : Type extends string ? string[]
  : Type extends Uint8Array ? Uint8Array | Uint8Array[]
  : Type[];
