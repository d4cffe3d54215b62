/**
 * Snapshots of sharded maps: those of a hash map that has what is in all parts. So a file can be read into a map of other
 * parts, or of one.
 *
 * @module
 */
import { inTurns, PIECE_WORDS } from "../snapshots/pieces.ts";
import type { ListShape } from "../maps/lists.ts";
import { mapTypeOf } from "../maps/map_settings.ts";
import { MAP_KIND, type MapHeader } from "../maps/map_snapshots.ts";
import type { ShardedParts } from "./sharded_parts.ts";

/**
 * What a map is, for the header of its snapshot.
 *
 * @param parts Its parts.
 * @returns The header.
 */
export function shardedHeaderOf(
  { key, value, capacity }: ShardedParts,
): MapHeader & { readonly kind: string } {
  return { kind: MAP_KIND, key: mapTypeOf(key), value: mapTypeOf(value), capacity };
}

/**
 * Takes entries, some at a time.
 *
 * @param entries The entries.
 * @param shape What is known of keys and values.
 * @returns Pieces of their words.
 * @throws What the entries throw.
 */
export function* piecesOfShards(
  entries: Iterable<readonly [unknown, unknown]>,
  { keys, values, keyWords, valueWords }: ListShape,
): Generator<Int32Array> {
  const size = keyWords + valueWords;
  const piece = new Int32Array(Math.ceil(PIECE_WORDS / size) * size);
  let at = 0;
  for (const [key, value] of entries) {
    keys.write(key, piece, at, "write a snapshot");
    values.write(value, piece, at + keyWords, "write a snapshot");
    at += size;
    if (at < piece.length) continue;
    yield piece.slice();
    at = 0;
  }
  if (at > 0) yield piece.slice(0, at);
}

/**
 * Puts entries into a map. Other work of this thread goes on meanwhile.
 *
 * @param pieces Their words: checked.
 * @param shape What is known of keys and values.
 * @param set Gives a key a value.
 */
export async function fillFrom(
  pieces: readonly Int32Array[],
  { keys, values, keyWords, valueWords }: ListShape,
  set: (key: unknown, value: unknown) => void,
): Promise<void> {
  await inTurns(pieces, (piece) => {
    for (let at = 0; at < piece.length; at += keyWords + valueWords) {
      set(keys.read(piece, at), values.read(piece, at + keyWords));
    }
  });
}
