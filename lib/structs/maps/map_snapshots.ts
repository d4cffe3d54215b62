/**
 * A map's entries as the words of a snapshot, and back.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { damaged, readSnapshot } from "../snapshots/snapshot.ts";
import { type Codec, codecOf } from "./codecs.ts";
import type { MapCore } from "./map_core.ts";
import { mapOptionOf, mapSettingsOf, mapTypeOf } from "./map_settings.ts";
import type { HashMapOptions, MapType } from "./map_types.ts";

/** The name of maps in snapshots. */
export const MAP_KIND = "HashMap";
/** Words of a piece, about: 64 KiB. */
const PIECE_WORDS = 16_384;

/** What a map is, in the header of its snapshot. */
export interface MapHeader {
  readonly key: MapType;
  readonly value: MapType;
  readonly capacity: number;
}

/**
 * What a map is, for the header of its snapshot.
 *
 * @param option The number of its settings.
 * @returns The header.
 */
export function headerOf(option: number): MapHeader & { readonly kind: string } {
  const { key, value, shape } = mapSettingsOf(option);
  return {
    kind: MAP_KIND,
    key: mapTypeOf(key),
    value: mapTypeOf(value),
    capacity: shape.capacity,
  };
}

/**
 * Takes the entries of a map, some at a time.
 *
 * @param core The map.
 * @param check Throws when the map is gone.
 * @returns Pieces of their words.
 * @throws What `check` throws.
 */
export function* piecesOf(core: MapCore, check: () => void): Generator<Int32Array> {
  check();
  const buckets = core.buckets();
  let words: number[] = [];
  for (let place = 0; place < buckets; place++) {
    words.push(...core.copy(place, buckets));
    if (words.length < PIECE_WORDS) continue;
    yield Int32Array.from(words);
    words = [];
    check();
  }
  if (words.length > 0) yield Int32Array.from(words);
}

/** What a snapshot says that its map is, if anything can be of these types. */
function settingsOf(header: Readonly<Record<string, unknown>>, action: string): HashMapOptions {
  const { key, value, capacity } = header as unknown as MapHeader;
  try {
    mapOptionOf({ key, value, capacity }, action);
  } catch (error) {
    throw damaged(action, "no hash map is as it says", error);
  }
  return { key, value, capacity };
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
  /** As many as the map has to have room for. */
  readonly capacity: number;
  /** Their words. */
  readonly pieces: readonly Int32Array[];
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
  const wanted = mapOptionOf({ key, value }, action);
  const { header, pieces } = await readSnapshot(source, MAP_KIND, action);
  const settings = settingsOf(header, action);
  const found = mapOptionOf({ key: settings.key, value: settings.value }, action);
  if (found !== wanted) {
    throw new NumaError("EINVAL", action, {
      why: `its keys and values are ${show(settings.key)} and ${show(settings.value)}, and not ${
        show(key)
      } and ${show(value)}`,
      fix: "Give the types that it was taken of.",
    });
  }
  const { key: keyType, value: valueType, shape: { keyWords, valueWords } } = mapSettingsOf(found);
  const entryWords = keyWords + valueWords;
  const codecs: [Codec, number][] = [
    [codecOf(keyType, "the key"), keyWords],
    [codecOf(valueType, "the value"), valueWords],
  ];
  let words = 0;
  for (const piece of pieces) {
    if (piece.length % entryWords !== 0) throw damaged(action, "it has a part of an entry");
    normalize(piece, codecs, action);
    words += piece.length;
  }
  // A map may have taken more than its capacity.
  const least = Math.max(settings.capacity as number, words / entryWords);
  const capacity = options.capacity ?? least;
  if (words / entryWords > capacity) {
    throw new NumaError("ENOMEM", action, {
      why: `it has ${words / entryWords} entries, and the map will have room for ${capacity}`,
      fix: "Give a greater capacity, or none.",
    });
  }
  return { capacity, pieces };
}
