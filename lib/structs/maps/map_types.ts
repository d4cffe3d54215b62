/**
 * The types of keys and values, as callers give them.
 *
 * @module
 */
import type { SyncOptions } from "../../shared/region.ts";

/**
 * A type of keys or values: unsigned and signed 32-bit integers, numbers, so many bytes, or text of up to so many bytes
 * of UTF-8.
 */
export type MapType = "u32" | "i32" | "f64" | { readonly bytes: number } | {
  readonly text: number;
};

/** What JavaScript has for a {@linkcode MapType}. */
export type MapTypeValue<Type extends MapType> = Type extends string ? number
  : Type extends { readonly text: number } ? string
  : Uint8Array;

/** Options of a `HashMap`. */
export interface HashMapOptions<Key extends MapType = MapType, Value extends MapType = MapType>
  extends SyncOptions {
  /**
   * The number of entries that it has room for: 8 to 2^26. It is rounded up by up to an eighth. Default: 1,024.
   */
  readonly capacity?: number;
  /** The type of its keys; bytes and text have at most 64 bytes. */
  readonly key: Key;
  /** The type of its values; bytes and text have at most 1,024 bytes. */
  readonly value: Value;
}

/**
 * Several keys or values: a typed array of numbers of the map's type, all bytes one after the other, or an array of texts.
 */
export type Listed<Type> = Type extends number ? Uint32Array | Int32Array | Float64Array
  : Type extends string ? string[]
  : Uint8Array;
