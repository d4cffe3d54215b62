/**
 * What one thread needs to work with a map, by what the map holds.
 *
 * @module
 */
import { MAX_FAR_KEY, MAX_FAR_VALUE } from "./far/far_bytes.ts";
import { NumaError } from "../../base/error.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { holdsTenant } from "../../shared/tenancy.ts";
import { FAR_WORDS, FarCore } from "./far/far_core.ts";
import { farCodecOf, markerOf } from "./far/far_codecs.ts";
import { FarListReader } from "./far/far_lists.ts";
import {
  ANY_BYTES,
  ANY_TEXT,
  type HashSettings,
  type HashTypeCode,
  RECORD,
} from "./far/far_settings.ts";
import { FarHeap, heapWords } from "./far/far_heap.ts";
import { type Codec, codecOf } from "./codecs.ts";
import { type Hasher, hasherOf } from "./hashers.ts";
import { ListReader, type ListShape } from "./lists.ts";
import { MapCore } from "./map_core.ts";
import type { TypeCode } from "./map_settings.ts";
import { layoutOf, SEED } from "./map_table.ts";
import { RecordCodec } from "./record_codec.ts";
import { ValueBytes } from "./value_bytes.ts";

/** The words of a map, and where this thread is in it. */
export interface MapPlace {
  readonly words: Int32Array;
  /** Locks the chain of a key for a reader. */
  readonly lock: (key: Int32Array) => void;
  /** Differs from thread to thread. */
  readonly slot: number;
}

/** What a map is made of. */
export interface MapParts {
  readonly core: MapCore | FarCore;
  /** The same, if keys or values have any length. */
  readonly far: FarCore | undefined;
  /** Whether values have. */
  readonly isFarValue: boolean;
  readonly shape: ListShape;
  readonly lists: ListReader | FarListReader;
  /** If values are records. */
  readonly records: RecordCodec | undefined;
  readonly settings: HashSettings;
}

/** The first mark of a key is its hash. */
const MARKED: Hasher = { hash: (words, at) => words[at] as number };

/**
 * Makes the parts of a map.
 *
 * @param settings What it holds.
 * @param place Where it is.
 * @returns The parts, for this thread.
 */
export function partsOf(settings: HashSettings, place: MapPlace): MapParts {
  const { key, value, shape, heap } = settings;
  const layout = layoutOf(shape);
  const words = place.words.subarray(0, layout.words);
  const seed: [number, number] = [words[SEED] as number, words[SEED + 1] as number];
  const isKey = key.kind === ANY_BYTES || key.kind === ANY_TEXT;
  const isValue = value.kind === ANY_BYTES || value.kind === ANY_TEXT;
  const { keyWords, valueWords } = shape;
  const hasher = isKey ? MARKED : hasherOf(keyWords, ...seed);
  const near = new MapCore(words, { layout, keyWords, hasher });
  if (heap === undefined) {
    const keys = nearCodecOf(key, "the key");
    const values = nearCodecOf(value, "the value");
    const lists: ListShape = { keys, values, keyWords, valueWords };
    return {
      ...{ core: near, far: undefined, isFarValue: false, shape: lists, settings },
      lists: new ListReader(near, lists),
      records: values instanceof RecordCodec ? values : undefined,
    };
  }
  const blocks = place.words.subarray(layout.words, layout.words + heapWords(heap));
  // Each thread looks for free blocks elsewhere.
  const storage = new FarHeap(blocks, heap, place.slot * Math.ceil(heap.blocks / 16));
  const { lock } = place;
  const core = new FarCore(near, storage, { isKey, isValue, keyWords, valueWords, lock });
  const most = storage.mostWords() * 4;
  const keys = isKey
    ? farCodecOf(key.kind === ANY_TEXT, {
      noun: "the key",
      most: Math.min(MAX_FAR_KEY, most),
      into: core.key,
      found: core.foundKey,
      marker: markerOf(...seed),
    })
    : nearCodecOf(key, "the key");
  const values = isValue
    ? farCodecOf(value.kind === ANY_TEXT, {
      noun: "the value",
      most: Math.min(MAX_FAR_VALUE, most),
      into: core.value,
      found: core.foundValue,
    })
    : nearCodecOf(value, "the value");
  const inside = valueWords - (isKey ? FAR_WORDS : 0);
  const lists: ListShape = { keys, values, keyWords, valueWords: inside };
  return {
    ...{ core, far: core, isFarValue: isValue, shape: lists, settings },
    lists: new FarListReader(core, lists),
    records: values instanceof RecordCodec ? values : undefined,
  };
}

/**
 * How what is in buckets is kept in words.
 *
 * @param type Its type.
 * @param noun What it is the type of, for errors.
 * @returns Its codec, for this thread.
 */
export function nearCodecOf(type: HashTypeCode, noun: "the key" | "the value"): Codec {
  return type.kind === RECORD ? new RecordCodec(type.bytes) : codecOf(type as TypeCode, noun);
}

/**
 * Tells this thread of which struct values are.
 *
 * @param parts The map.
 * @param struct What a caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function useStruct({ records }: MapParts, struct: unknown, action: string): void {
  if (records !== undefined) return records.use(struct, action);
  throw new NumaError("EINVAL", action, {
    why: "its values are no records",
    fix: "Create it with a struct as the type of its values.",
  });
}

/**
 * What is to be ended for a thread that destroys the arena in the function of an update: it writes nothing any more.
 *
 * @param parts The map.
 * @param words Its memory.
 * @returns What holds its lock.
 */
export function tenantOf({ core }: MapParts, words: Int32Array): Tenant {
  return holdsTenant(words, () => core.holds(), () => core.unlock());
}

/**
 * What copies the bytes of values that were read.
 *
 * @param parts The map.
 * @param value Where the words of a value are read.
 * @returns It.
 */
export function bytesOf({ settings, isFarValue, far }: MapParts, value: Int32Array): ValueBytes {
  return new ValueBytes(settings.value, value, isFarValue ? far?.foundValue : undefined);
}
