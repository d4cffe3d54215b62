/**
 * Kinds of steps.
 *
 * @module
 */

/** By number; `Atomics` functions come first, in the order of `ATOMICS` in `names.ts`. */
export const KINDS: readonly string[] = [
  "load",
  "store",
  "exchange",
  "compareExchange",
  "add",
  "sub",
  "and",
  "or",
  "xor",
  "pause",
  "spin",
  "unpark",
  "alive",
  "now",
  "choose",
  "park",
];

export const LOAD = 0;
export const STORE = 1;
export const EXCHANGE = 2;
export const COMPARE_EXCHANGE = 3;
export const ADD = 4;
export const SUB = 5;
export const AND = 6;
export const OR = 7;
/** The last one that is an `Atomics` function. */
export const XOR = 8;
export const PAUSE = 9;
export const SPIN = 10;
export const UNPARK = 11;
export const ALIVE = 12;
export const NOW = 13;
export const CHOOSE = 14;
export const PARK = 15;

/** The spec, or the code, is wrong in a way that the explorer cannot explore. No mutant dies of it. */
export class Misuse extends Error {}

/** A run went wrong. */
export class Violation extends Error {}

/** Any typed array. */
export type Words = Int32Array | Uint32Array | BigInt64Array | BigUint64Array;

/** What an observer is told of, in the order in which it happens. */
export interface Observer {
  /**
   * An access to shared memory.
   *
   * @param thread Who.
   * @param kind LOAD to XOR.
   * @param word Index of the 32-bit word.
   * @param wrote Whether the word was written: not by a compareExchange that failed.
   * @param plain Whether it was no atomic.
   */
  access(thread: number, kind: number, word: number, wrote: boolean, plain: boolean): void;
  /** A step of another kind. */
  other(thread: number, kind: number): void;
  /** A thread begins an operation, or ends it. */
  operation(thread: number, name: string | undefined): void;
  /** What a thread has to do with the lock. It wants it from its doorway on, where there is one. */
  lock(thread: number, state: "wanted" | "taken" | "free" | "gave up"): void;
}
