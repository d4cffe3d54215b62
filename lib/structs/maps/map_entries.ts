/**
 * All entries of a map, some at a time.
 *
 * @module
 */
import type { MapParts } from "./map_parts.ts";

/**
 * Reads all entries: those of a bucket together, or, where keys or values have any length, one after the other.
 *
 * @param parts The map.
 * @param check Throws when the map is gone.
 * @param wants Whether values are wanted.
 * @returns Keys and values; undefined where values are not wanted.
 * @throws What `check` throws.
 */
export function* entriesOf(
  parts: MapParts,
  check: () => void,
  wants: boolean,
): Generator<[key: unknown, value: unknown], void, undefined> {
  const { core, far, shape: { keys, values, keyWords, valueWords } } = parts;
  check();
  const entryWords = keyWords + (far === undefined ? valueWords : far.valueWords);
  const value = new Int32Array(valueWords);
  const buckets = core.buckets();
  for (let place = 0; place < buckets; place++) {
    check();
    const words = core.copy(place, buckets);
    for (let at = 0; at < words.length; at += entryWords) {
      if (far === undefined) {
        yield [keys.read(words, at), wants ? values.read(words, at + keyWords) : undefined];
        continue;
      }
      check();
      if (!far.load(words, at, value, wants)) continue;
      yield [keys.read(words, at), wants ? values.read(value, 0) : undefined];
    }
  }
}
