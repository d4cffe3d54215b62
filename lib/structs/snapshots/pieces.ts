/**
 * Entries of a structure, some at a time: a snapshot's frames are neither tiny nor all of it.
 *
 * @module
 */

/** Words of a piece, about: 64 KiB. */
export const PIECE_WORDS = 16_384;

/**
 * Puts words together.
 *
 * @param chunks Whole entries, as they are found.
 * @returns Pieces of so many words that a frame is worth it, of whole entries.
 * @throws What `chunks` throw.
 */
export function* piecesOf(chunks: Iterable<ArrayLike<number>>): Generator<Int32Array> {
  let waiting: ArrayLike<number>[] = [];
  let words = 0;
  for (const chunk of chunks) {
    waiting.push(chunk);
    words += chunk.length;
    if (words < PIECE_WORDS) continue;
    yield joined(waiting, words);
    waiting = [];
    words = 0;
  }
  if (words > 0) yield joined(waiting, words);
}

function joined(chunks: readonly ArrayLike<number>[], words: number): Int32Array {
  const piece = new Int32Array(words);
  let at = 0;
  for (const chunk of chunks) {
    piece.set(chunk, at);
    at += chunk.length;
  }
  return piece;
}

/**
 * Does something with each of many things, and lets other work of this thread go on meanwhile.
 *
 * @param things The things.
 * @param each What is done.
 * @param turn How many come at a time. Default: 16.
 * @throws What `each` throws.
 */
export async function inTurns<Thing>(
  things: Iterable<Thing>,
  each: (thing: Thing) => void,
  turn: number = 16,
): Promise<void> {
  let count = 0;
  for (const thing of things) {
    each(thing);
    if (++count % turn === 0) await new Promise((resolve) => setTimeout(resolve));
  }
}
