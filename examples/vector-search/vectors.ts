/** The vectors: made up, the same ones each time, and a few that are asked for. */

/** Numbers of a vector, a multiple of 16. */
export const DIMENSIONS = 128;
/**
 * Numbers go from minus this to one below it. They are whole, so that a score is the same one in whatever order a
 * kernel adds up: floats of 32 bits have no room for such sums of fractions.
 */
const LIMIT = 8;

/** Writes some vectors, one after the other: those from a number on. */
export function writeVectors(into: Float32Array, first: number): void {
  for (let at = 0; at < into.length; at += DIMENSIONS) {
    // Each has a sequence of its own, so that any thread can make any part of them.
    let seed = Math.imul(first + at / DIMENSIONS, 0x9e3779b1) ^ 0x5bd1e995;
    for (let index = at; index < at + DIMENSIONS; index++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      into[index] = (seed >>> 28) - LIMIT;
    }
  }
}

/** What is asked for: a vector that none of the others is. */
export function queryVector(query: number): Float32Array {
  const vector = new Float32Array(DIMENSIONS);
  writeVectors(vector, -1 - query);
  return vector;
}
