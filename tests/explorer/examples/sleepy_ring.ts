/**
 * A ring of one producer and one consumer that sleep while there is nothing to do. It is here for the explorer's own
 * sake: announcing a sleep and looking once more, in this order, is what hand-written rings get wrong.
 *
 * @module
 */

import { FOREVER, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";

/** Next to be taken. */
export const HEAD = 0;
/** Next to be put. */
export const TAIL = 1;
/** Id of the thread that sleeps until there is something. */
export const SLEEPER = 2;
/** Id of the thread that sleeps until there is room. */
export const BLOCKED = 3;
const ITEMS = 4;

/** Words of a ring. */
export function ringWords(capacity: number): number {
  return ITEMS + capacity;
}

/** A bounded queue of numbers. */
export class SleepyRing {
  readonly #words: Int32Array;
  readonly #capacity: number;

  constructor(words: Int32Array, capacity: number) {
    this.#words = words;
    this.#capacity = capacity;
  }

  /** Puts a number at the end; sleeps while the ring is full. */
  *put(me: Waiter, value: number): Wait<void> {
    const words = this.#words;
    const tail = Atomics.load(words, TAIL);
    while (tail - Atomics.load(words, HEAD) >= this.#capacity) {
      Atomics.store(words, BLOCKED, me.id);
      if (tail - Atomics.load(words, HEAD) >= this.#capacity) yield FOREVER;
    }
    words[ITEMS + tail % this.#capacity] = value;
    Atomics.store(words, TAIL, tail + 1);
    this.#wake(me, SLEEPER);
  }

  /** Takes the first number; sleeps while there is none. */
  *take(me: Waiter): Wait<number> {
    const words = this.#words;
    const head = Atomics.load(words, HEAD);
    while (Atomics.load(words, TAIL) === head) {
      Atomics.store(words, SLEEPER, me.id);
      if (Atomics.load(words, TAIL) === head) yield FOREVER;
    }
    const value = words[ITEMS + head % this.#capacity] as number;
    Atomics.store(words, HEAD, head + 1);
    this.#wake(me, BLOCKED);
    return value;
  }

  #wake(me: Waiter, whom: number): void {
    if (Atomics.load(this.#words, whom) === 0) return;
    const id = Atomics.exchange(this.#words, whom, 0);
    if (id !== 0) me.unpark(id);
  }
}
