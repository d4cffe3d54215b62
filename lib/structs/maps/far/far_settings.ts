/**
 * What a `HashMap` holds that may have keys or values of any length, or records, as one number: `map_settings.ts`, and more.
 *
 * ```
 *   bits 8-10   5: bytes of any length, 6: text of any length
 *   bits 11-16  where keys alone have any length: the lower six bits of the storage
 *   bits 17-19  as bits 8-10; 7: records
 *   bits 20-29  records: their size. Any length: eight bits of the storage, the lower two of a block's size
 *   bits 30-31  the upper two of a block's size; where keys alone have any length, of the storage
 *
 *   storage     three bits of a fraction, five of an exponent
 *   a block     the logarithm of its bytes, less six
 * ```
 *
 * @module
 */
import { parseBytes } from "../../../base/bytes.ts";
import { checkInteger, show } from "../../../base/check.ts";
import { NumaError } from "../../../base/error.ts";
import { Struct } from "../../records/struct.ts";
import { layoutOf, type MapShape } from "../map_table.ts";
import { mapOptionOf, mapSettingsOf, mapTypeOf, type TypeCode } from "../map_settings.ts";
import type { HashMapOptions, MapType } from "../map_types.ts";
import { FAR_WORDS, MARK_WORDS } from "./far_core.ts";
import { type HeapShape, heapWords } from "./far_heap.ts";

/** Bytes of any length. */
export const ANY_BYTES = 5;
/** Text of any length. */
export const ANY_TEXT = 6;
/** Records. */
export const RECORD = 7;
const NAMES = ["bytes", "text"] as const;

/** The type of keys or values, as numbers. */
export interface HashTypeCode {
  readonly kind: TypeCode["kind"] | typeof ANY_BYTES | typeof ANY_TEXT | typeof RECORD;
  /** Bytes of `bytes`, `text` and records, at most; 1 for the others. */
  readonly bytes: number;
}

/** What a map holds. */
export interface HashSettings {
  readonly key: HashTypeCode;
  readonly value: HashTypeCode;
  /** Of the buckets. */
  readonly shape: MapShape;
  /** What is outside of them; undefined: nothing. */
  readonly heap: HeapShape | undefined;
}

const MAX_RECORD = 1024;
const MIN_STORAGE_BITS = 12;
const MAX_STORAGE = 3 * 2 ** 30;
const STORAGE_FOR_EACH = 128;
const MIN_BLOCK_BITS = 6;
const MAX_BLOCK_BITS = 16;
/** Indices of words are 32-bit integers. */
const MAX_WORDS = 2 ** 31;
const FRACTION_BITS = 3;
const KEY_SHIFT = 8;
const VALUE_SHIFT = 17;
const KIND_BITS = 3;
const KEY_SIZE_BITS = 6;
const STORAGE_BITS = 8;
const TOP_SHIFT = 30;

const lowBits = (number: number, bits: number): number => number & ((1 << bits) - 1);

/** Whether something of a kind is outside of the buckets. */
function isFar(kind: number): boolean {
  return kind === ANY_BYTES || kind === ANY_TEXT;
}

/**
 * What {@linkcode hashOptionOf} made a number of. It is in memory that any thread can write to: also what it never made.
 *
 * @param option The number.
 * @returns Settings within the limits.
 */
export function hashSettingsOf(option: number): HashSettings {
  const near = mapSettingsOf(option);
  const keyKind = lowBits(option >>> KEY_SHIFT, KIND_BITS);
  const valueKind = lowBits(option >>> VALUE_SHIFT, KIND_BITS);
  const isKey = isFar(keyKind);
  const isValue = isFar(valueKind);
  const keySize = lowBits(option >>> (KEY_SHIFT + KIND_BITS), KEY_SIZE_BITS);
  const valueSize = lowBits(option >>> (VALUE_SHIFT + KIND_BITS), 10);
  const top = option >>> TOP_SHIFT;
  const key = isKey ? { kind: keyKind, bytes: 1 } as HashTypeCode : near.key;
  let value: HashTypeCode = near.value;
  let valueWords = near.shape.valueWords;
  if (isValue) {
    value = { kind: valueKind as typeof ANY_TEXT, bytes: 1 };
    valueWords = FAR_WORDS;
  } else if (valueKind === RECORD) {
    value = { kind: RECORD, bytes: 1 + valueSize };
    valueWords = Math.ceil(value.bytes / 4);
  }
  const storage = isValue ? lowBits(valueSize, STORAGE_BITS) : keySize | (top << KEY_SIZE_BITS);
  const block = isValue ? (valueSize >>> STORAGE_BITS) | (top << 2) : 0;
  return {
    key,
    value,
    shape: {
      keyWords: isKey ? MARK_WORDS : near.shape.keyWords,
      valueWords: (isKey ? FAR_WORDS : 0) + valueWords,
      capacity: near.shape.capacity,
    },
    heap: isKey || isValue ? heapOf(storage, block) : undefined,
  };
}

function heapOf(storage: number, block: number): HeapShape {
  const exponent = Math.max(MIN_STORAGE_BITS, storage >>> FRACTION_BITS);
  const bytes = (2 ** FRACTION_BITS + lowBits(storage, FRACTION_BITS)) *
    2 ** (exponent - FRACTION_BITS);
  const blockBytes = 2 ** Math.min(MIN_BLOCK_BITS + block, MAX_BLOCK_BITS);
  return {
    blockWords: blockBytes / 4,
    blocks: Math.ceil(Math.min(bytes, MAX_STORAGE) / blockBytes),
  };
}

/**
 * All words of a map, without what counts its entries.
 *
 * @param settings The map.
 * @returns How many.
 */
export function hashWords({ shape, heap }: HashSettings): number {
  return layoutOf(shape).words + (heap === undefined ? 0 : heapWords(heap));
}

/**
 * The number that {@linkcode hashSettingsOf} takes.
 *
 * @param options The options.
 * @param action What was asked, as it follows "Cannot".
 * @returns The number.
 * @throws {NumaError} `EINVAL`.
 */
export function hashOptionOf(options: HashMapOptions, action: string): number {
  const { key, value, capacity = 1024, storage, blockBytes } = options;
  const keyName = NAMES.indexOf(key as typeof NAMES[number]);
  const valueName = NAMES.indexOf(value as typeof NAMES[number]);
  const isRecord = value instanceof Struct;
  refuseUseless({ storage, blockBytes }, keyName >= 0, valueName >= 0, action);
  if (keyName < 0 && valueName < 0 && !isRecord) {
    return nearOptionOf({ key: key as MapType, value: value as MapType, capacity }, action);
  }
  // The codes of "u32" are all zeros.
  let option = nearOptionOf({
    key: keyName < 0 ? key as MapType : "u32",
    value: valueName < 0 && !isRecord ? value as MapType : "u32",
    capacity,
  }, action);
  if (keyName >= 0) option |= (ANY_BYTES + keyName) << KEY_SHIFT;
  if (valueName >= 0) option |= (ANY_BYTES + valueName) << VALUE_SHIFT;
  if (isRecord) option |= recordCode(value, action) << VALUE_SHIFT;
  if (keyName >= 0 || valueName >= 0) {
    const code = storageCode(storage ?? defaultStorage(capacity), action);
    if (valueName >= 0) {
      const block = blockCode(blockBytes, action);
      option |= (code | ((block & 3) << STORAGE_BITS)) << (VALUE_SHIFT + KIND_BITS);
      option |= (block >>> 2) << TOP_SHIFT;
    } else {
      option |= lowBits(code, KEY_SIZE_BITS) << (KEY_SHIFT + KIND_BITS);
      option |= (code >>> KEY_SIZE_BITS) << TOP_SHIFT;
    }
  }
  const settings = hashSettingsOf(option);
  if (hashWords(settings) >= MAX_WORDS) {
    throw new NumaError("EINVAL", action, {
      why: `${capacity} entries of that size, and what is outside of them, take more than 8 GiB`,
      fix: "Give a smaller capacity, or less storage.",
    });
  }
  return option;
}

function defaultStorage(capacity: number): number {
  return Math.min(Math.max(2 ** MIN_STORAGE_BITS, STORAGE_FOR_EACH * capacity), MAX_STORAGE);
}

/** Types that `map_settings.ts` knows; what it says of others names all. */
function nearOptionOf(options: HashMapOptions<MapType, MapType>, action: string): number {
  return mapOptionOf(options, action, undefined, ', "bytes" or "text"');
}

function refuseUseless(
  options: Pick<HashMapOptions, "storage" | "blockBytes">,
  isKey: boolean,
  isValue: boolean,
  action: string,
): void {
  const { storage, blockBytes } = options;
  const name = storage !== undefined && !isKey && !isValue
    ? "storage"
    : blockBytes !== undefined && !isValue
    ? "blockBytes"
    : undefined;
  if (name === undefined) return;
  throw new NumaError("EINVAL", action, {
    why: `${name} is ${show(options[name])}, and ${
      name === "storage" ? "neither keys nor values" : "no values"
    } have any length`,
    fix: `Leave ${name} out, or give "bytes" or "text" as a type.`,
  });
}

function recordCode({ size }: Struct, action: string): number {
  if (size <= MAX_RECORD) return RECORD | ((size - 1) << KIND_BITS);
  throw new NumaError("EINVAL", action, {
    why: `its records have ${size} bytes, and values of a hash map at most ${MAX_RECORD}`,
    fix: 'Give a smaller struct, or "bytes".',
  });
}

/** Rounded up to a number of three bits behind the first one. */
function storageCode(storage: unknown, action: string): number {
  const bytes = checkInteger(
    parseBytes(storage as number, action),
    "storage",
    2 ** MIN_STORAGE_BITS,
    MAX_STORAGE,
    action,
  );
  const exponent = Math.floor(Math.log2(bytes));
  const eighths = Math.ceil(bytes / 2 ** (exponent - FRACTION_BITS)) - 2 ** FRACTION_BITS;
  return (exponent << FRACTION_BITS) + eighths;
}

function blockCode(blockBytes: unknown, action: string): number {
  const bytes = blockBytes ?? 2 ** MIN_BLOCK_BITS;
  checkInteger(bytes, "blockBytes", 2 ** MIN_BLOCK_BITS, 2 ** MAX_BLOCK_BITS, action);
  const bits = Math.log2(bytes as number);
  if (Number.isInteger(bits)) return bits - MIN_BLOCK_BITS;
  throw new NumaError("EINVAL", action, {
    why: `blockBytes is ${bytes}`,
    fix: "Give a power of two from 64 to 65,536.",
  });
}

/**
 * What {@linkcode hashOptionOf} takes for a type, and a snapshot keeps.
 *
 * @param code The type, as numbers.
 * @returns The same, as callers give it; of records their size.
 */
export function hashTypeOf({ kind, bytes }: HashTypeCode): MapType | "bytes" | "text" {
  if (kind === ANY_BYTES) return "bytes";
  if (kind === ANY_TEXT) return "text";
  return kind === RECORD ? { bytes } : mapTypeOf({ kind, bytes });
}
