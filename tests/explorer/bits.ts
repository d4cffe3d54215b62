/**
 * Sets of threads: bits of a word.
 *
 * @module
 */

/** Most threads of a case. */
export const MAX_THREADS = 32;

/**
 * Counts.
 *
 * @param set Any set.
 * @returns How many there are in it.
 */
export function sizeOf(set: number): number {
  let size = 0;
  for (let bits = set; bits !== 0; bits &= bits - 1) size++;
  return size;
}

/**
 * Finds the first of a set.
 *
 * @param set Not the empty one.
 * @returns Index of its lowest bit.
 */
export function firstOf(set: number): number {
  return 31 - Math.clz32(set & -set);
}
