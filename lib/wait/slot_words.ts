/**
 * What structures keep by slot in their words: how many slots have ever been used, and who sleeps.
 *
 * ```
 *   … | used | …                              slots from here on were never used: nobody looks at them
 *   slots: | id of slot 0 | id of slot 1 | …  who sleeps, 0 for nobody
 * ```
 *
 * A sleeper writes its id, then raises `used`, and then looks a last time at what it waits for. Whoever changes that looks
 * at `used`, and then at the ids, so it finds all that may have looked before.
 *
 * @module
 */
import { LINE_WORDS, type Waiter } from "./waiter.ts";

/**
 * The words that a word for each slot takes: slots share lines.
 *
 * @param threads How many slots.
 * @returns 32-bit words, whole lines.
 */
export function slotWords(threads: number): number {
  return Math.ceil(threads / LINE_WORDS) * LINE_WORDS;
}

/**
 * Raises a word that never falls.
 *
 * @param words Shared words.
 * @param at The word's index.
 * @param least What it has to be at least.
 * @returns What it was at some moment since: at least that.
 */
export function raise(words: Int32Array, at: number, least: number): number {
  let found = Atomics.load(words, at);
  while (found < least) {
    const seen = Atomics.compareExchange(words, at, found, least);
    if (seen === found) return least;
    found = seen;
  }
  return found;
}

/**
 * Wakes all that sleep.
 *
 * @param words Shared words.
 * @param slots Where their ids begin.
 * @param used How many of them have ever been written.
 * @param me The thread that wakes them.
 */
export function wakeSleepers(words: Int32Array, slots: number, used: number, me: Waiter): void {
  for (let slot = 0; slot < used; slot++) {
    const id = Atomics.load(words, slots + slot);
    if (id !== 0) me.unpark(id);
  }
}
