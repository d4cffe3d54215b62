/**
 * Stores of words that nobody has to see yet.
 *
 * `Atomics.store` is a locked instruction on Bun and a call on V8: 5 to 9 ns a word. On x64 a plain store does for words of
 * which the thread says with an atomic operation afterwards that they are there, and whose old content it may have given up
 * with one before: the processor moves no store over another one, nor over a locked instruction (Intel SDM, volume 3A, 9.2),
 * and engines move none over an atomic operation. On arm64 the first does not hold.
 *
 * The explorer lets other threads run before each of them (`plainSteps` of a spec).
 *
 * @module
 */
import { isX64 } from "../runtime/engine.ts";

/**
 * Stores a word after the atomic operations that this thread has done, and before those that it will do.
 *
 * @param words Shared memory.
 * @param index The word.
 * @param value What to put there.
 */
export function storeBetween(words: Int32Array, index: number, value: number): void {
  if (isX64) words[index] = value;
  else Atomics.store(words, index, value);
}
