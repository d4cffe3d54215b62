/**
 * Loads of shared words, where `Atomics.load` costs more than it has to, and a store whose order the next one makes.
 *
 * On JavaScriptCore `Atomics.load` is a locked instruction, which takes the line from all others: two threads that only look
 * at a word slow each other down as if both wrote it (5 ns become 23 to 66). On V8 it is a call (6 ns). On x64 a plain load
 * does the same for less, where these hold:
 *
 * - **The processor keeps the order** (Intel SDM, volume 3A, 9.2): loads are not moved over loads, nor stores over older
 *   loads or stores. Only a load may come before an older store, and not over a locked instruction, which all writes of
 *   `Atomics` are. A load of an aligned word is never torn.
 * - **The compiler keeps the order** of a plain load of a typed array and an atomic operation, whatever their words are, and
 *   takes the result of no load from before the operation for one after it. Between two atomic operations it may do either.
 *   So here there is at most one plain load of a word after each atomic operation of the thread; and where the order of two
 *   plain loads matters, the place of the second depends on what the first one found, or {@linkcode fence} is between.
 * - **What a look decides stays behind it.** After a look that says "yours" callers read what is guarded, with plain loads
 *   of their own. The processor moves none of them up. Engines move a load up over a branch only out of a loop, and out of
 *   none that has an atomic operation in it.
 *
 * - **A store that leads** ({@linkcode storeLeading}) comes behind all that the thread has read and written before it: the
 *   processor keeps that order, and the compiler that of two plain accesses of which it cannot tell that their words
 *   differ. The atomic write right behind it makes it visible before anything that the thread loads from then on.
 *
 * On arm64 the first does not hold: without LSE an atomic operation is a loop of `ldaxr` and `stlxr`, and what follows can
 * be loaded before the store. So `Atomics.load` stays there.
 *
 * The litmus tests are in `tests/wait/loads_test.ts`. The explorer takes each of these for an atomic load or store, and
 * refuses a {@linkcode loadFollowing} that follows something else, or comes to a word a second time, and a
 * {@linkcode storeLeading} behind which something else comes than an atomic write. It does not change the order of two
 * loads that follow the same operation.
 *
 * @module
 */
import { isJavaScriptCore, isX64 } from "../runtime/engine.ts";
import { LINE_WORDS } from "./waiter.ts";

/** Whether `Atomics.load` takes the line, and plain loads do without. */
const isLocked: boolean = isX64 && isJavaScriptCore;

/** A word of this thread's own: no other one waits for its line. */
const own: Int32Array = /* @__PURE__ */ new Int32Array(LINE_WORDS);

/** An atomic operation that nobody sees, for {@linkcode loadFollowing} to follow. */
export function fence(): void {
  if (isX64) Atomics.store(own, 0, 0);
}

/**
 * Loads a word that other threads look at, too, without taking its line.
 *
 * @param words Shared memory.
 * @param index The word.
 * @returns What `Atomics.load` returns.
 */
export function loadShared(words: Int32Array, index: number): number {
  if (!isLocked) return Atomics.load(words, index);
  // `fence` and `loadFollowing`, written out: engines inline only so many calls within each other.
  Atomics.store(own, 0, 0);
  const value = words[index];
  return value === undefined ? Atomics.load(words, index) : value;
}

/**
 * Loads a word right after an atomic operation of this thread, {@linkcode fence} or {@linkcode loadShared}, or after loads
 * of this kind of other words that followed one.
 *
 * @param words Shared memory.
 * @param index The word.
 * @returns What `Atomics.load` returns.
 */
export function loadFollowing(words: Int32Array, index: number): number {
  if (!isX64) return Atomics.load(words, index);
  const value = words[index];
  // Where there is no such word, Atomics says so.
  return value === undefined ? Atomics.load(words, index) : value;
}

/**
 * Loads a word that may be seen as it was any time ago: where an old value is as right as a new one, and a look with order
 * follows one that was too old before anybody waits. What the word says to be there can be read after it.
 *
 * @param words Shared memory.
 * @param index The word.
 * @returns What `Atomics.load` returned at some moment since this thread's last look at it.
 */
export function glance(words: Int32Array, index: number): number {
  if (!isX64) return Atomics.load(words, index);
  const value = words[index];
  return value === undefined ? Atomics.load(words, index) : value;
}

/**
 * Stores a word right before an atomic write of this thread: a store, an exchange or what adds or the like. Whoever sees
 * the value sees all that this thread did before.
 *
 * @param words Shared memory, in which there is such a word.
 * @param index The word.
 * @param value An integer of 32 bits.
 */
export function storeLeading(words: Int32Array, index: number, value: number): void {
  if (isX64) words[index] = value;
  else Atomics.store(words, index, value);
}
