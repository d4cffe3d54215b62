/**
 * A map's entries as the words of a snapshot, and back.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { Struct } from "../records/struct.ts";
import { damaged, readSnapshot } from "../snapshots/snapshot.ts";
import { type FarEntries, farPiecesOf, readFarPieces } from "./far/far_snapshots.ts";
import { FAR_WORDS } from "./far/far_core.ts";
import {
  ANY_BYTES,
  ANY_TEXT,
  hashOptionOf,
  hashSettingsOf,
  hashTypeOf,
} from "./far/far_settings.ts";
import type { Codec } from "./codecs.ts";
import { type MapParts, nearCodecOf } from "./map_parts.ts";
import { RecordCodec } from "./record_codec.ts";
import type { HashMapKeyType, HashMapOptions, HashMapValueType } from "./map_types.ts";

/** The name of maps in snapshots. */
export const MAP_KIND = "HashMap";
/** What was asked, as it follows "Cannot". */
export const RESTORE = "restore a hash map";
const SNAPSHOT = "take a snapshot of a hash map";

/** What a map is, in the header of its snapshot. */
export interface MapHeader {
  readonly key: HashMapKeyType;
  readonly value: Exclude<HashMapValueType, Struct>;
  readonly capacity: number;
  /** Of records: the struct, in C. */
  readonly record?: string;
  /** Where keys or values have any length. */
  readonly storage?: number;
  /** Where values have. */
  readonly blockBytes?: number;
}

/**
 * What a map is, for the header of its snapshot.
 *
 * @param parts The map.
 * @returns The header.
 * @throws {NumaError} `EINVAL` this thread does not know the struct of its records.
 */
export function headerOf(
  { settings, records, isFarValue }: MapParts,
): MapHeader & { readonly kind: string } {
  const { key, value, shape, heap } = settings;
  const record = records?.declaration(SNAPSHOT);
  return {
    kind: MAP_KIND,
    key: hashTypeOf(key),
    value: hashTypeOf(value),
    capacity: shape.capacity,
    ...(record === undefined ? {} : { record }),
    ...(heap === undefined ? {} : { storage: heap.blocks * heap.blockWords * 4 }),
    ...(heap === undefined || !isFarValue ? {} : { blockBytes: heap.blockWords * 4 }),
  };
}

/**
 * Takes the entries of a map, bucket by bucket.
 *
 * @param parts The map.
 * @param check Throws when the map is gone.
 * @returns Their words.
 * @throws What `check` throws.
 */
export function* chunksOf(parts: MapParts, check: () => void): Generator<ArrayLike<number>> {
  const { core, far } = parts;
  check();
  if (far !== undefined) {
    yield* farPiecesOf(parts, far, check);
    return;
  }
  const buckets = core.buckets();
  for (let place = 0; place < buckets; place++) {
    check();
    yield core.copy(place, buckets);
  }
}

/** What a snapshot says that its map is, if anything can be of these types. */
function settingsOf(
  header: Readonly<Record<string, unknown>>,
  wanted: HashMapOptions,
  action: string,
): HashMapOptions {
  const { key, value, capacity, record, storage, blockBytes } = header as unknown as MapHeader;
  try {
    const found: HashMapOptions = {
      ...{ key, value, capacity },
      ...(storage === undefined ? {} : { storage }),
      ...(blockBytes === undefined ? {} : { blockBytes }),
    };
    hashOptionOf(found, action);
    if (![capacity, storage ?? 0, blockBytes ?? 0].every(Number.isInteger)) throw new RangeError();
    const { value: struct } = wanted;
    const isStruct = struct instanceof Struct && struct.describe() === record;
    return isStruct ? { ...found, value: struct } : found;
  } catch (error) {
    throw damaged(action, "no hash map is as it says", error);
  }
}

/** Writes each word as the map would, whoever has made the snapshot. */
function normalize(
  piece: Int32Array,
  codecs: readonly [Codec, number][],
  action: string,
): void {
  try {
    for (let at = 0; at < piece.length;) {
      for (const [codec, words] of codecs) {
        codec.write(codec.read(piece, at), piece, at, action);
        at += words;
      }
    }
  } catch (error) {
    throw damaged(action, "an entry is not of its types", error);
  }
}

/** A map's entries, out of a snapshot. */
export interface MapEntries {
  /** What the map has to have room for. */
  readonly options: Pick<HashMapOptions, "capacity" | "storage" | "blockBytes">;
  /** Their words. */
  readonly pieces: readonly Int32Array[];
  /** Where keys or values have any length: reads those of a piece. */
  readonly far: FarEntries | undefined;
}

/**
 * Reads the snapshot of a map, and checks it.
 *
 * @param source Where its bytes are, from a caller.
 * @param options What the map will be: of the same types.
 * @param action What was asked, as it follows "Cannot".
 * @returns What is in it.
 * @throws {NumaError} As `HashMap.restore`.
 */
export async function readEntries(
  source: unknown,
  options: HashMapOptions,
  action: string,
): Promise<MapEntries> {
  const { key, value } = options;
  const wanted = hashOptionOf({ key, value }, action);
  const { header, pieces } = await readSnapshot(source, MAP_KIND, action);
  const settings = settingsOf(header, options, action);
  const found = hashOptionOf({ key: settings.key, value: settings.value }, action);
  if (found !== wanted || typeof header["record"] === "string" !== value instanceof Struct) {
    throw new NumaError("EINVAL", action, {
      why: `its keys and values are ${show(settings.key)} and ${show(settings.value)}, and not ${
        show(key)
      } and ${show(value)}`,
      fix: "Give the types that it was taken of.",
    });
  }
  const { key: keyType, value: valueType, shape: { keyWords, valueWords }, heap } = hashSettingsOf(
    hashOptionOf({ ...settings, ...optionsOf(options) }, action),
  );
  if (heap !== undefined) {
    if (settings.storage === undefined) throw damaged(action, "it does not say how much storage");
    const isKey = keyType.kind === ANY_BYTES || keyType.kind === ANY_TEXT;
    const types = {
      ...{ keyType, valueType, heap, keyWords, struct: value },
      valueWords: valueWords - (isKey ? FAR_WORDS : 0),
    };
    const far = readFarPieces(pieces, types, action);
    const bytes = far.blocks * heap.blockWords * 4;
    if (options.storage !== undefined && far.blocks > heap.blocks) {
      throw new NumaError("ENOMEM", action, {
        why: `its keys and values take ${bytes} bytes, and the map will have room for ${
          heap.blocks * heap.blockWords * 4
        }`,
        fix: "Give more storage, or leave it out.",
      });
    }
    return {
      options: {
        capacity: capacityFor(settings, options, far.entries, action),
        storage: options.storage ?? Math.max(settings.storage as number, bytes),
        blockBytes: options.blockBytes ?? settings.blockBytes as number,
      },
      ...{ pieces, far },
    };
  }
  const entryWords = keyWords + valueWords;
  const values = nearCodecOf(valueType, "the value");
  if (values instanceof RecordCodec) values.use(value, action);
  const codecs: [Codec, number][] = [
    [nearCodecOf(keyType, "the key"), keyWords],
    [values, valueWords],
  ];
  let words = 0;
  for (const piece of pieces) {
    if (piece.length % entryWords !== 0) throw damaged(action, "it has a part of an entry");
    normalize(piece, codecs, action);
    words += piece.length;
  }
  const capacity = capacityFor(settings, options, words / entryWords, action);
  return { options: { capacity }, pieces, far: undefined };
}

/** What a caller has said of how much there is. */
function optionsOf({ storage, blockBytes }: HashMapOptions): Partial<HashMapOptions> {
  return {
    ...(storage === undefined ? {} : { storage }),
    ...(blockBytes === undefined ? {} : { blockBytes }),
  };
}

/** How many entries the map has to have room for. */
function capacityFor(
  settings: HashMapOptions,
  options: HashMapOptions,
  entries: number,
  action: string,
): number {
  // A map may have taken more than its capacity.
  const capacity = options.capacity ?? Math.max(settings.capacity as number, entries);
  if (entries <= capacity) return capacity;
  throw new NumaError("ENOMEM", action, {
    why: `it has ${entries} entries, and the map will have room for ${capacity}`,
    fix: "Give a greater capacity, or none.",
  });
}
