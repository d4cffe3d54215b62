/**
 * A mutex of three states, as in Drepper's "Futexes are tricky", with a list of sleepers so small that it is a bit mask.
 * It is here for the explorer's own sake.
 *
 * @module
 */

import type { LockCore } from "../../../lib/sync/locks/lock_core.ts";
import { FOREVER, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";

/** Owner's id, and {@linkcode WAITERS}. */
export const STATE = 0;
/** Bits of the slots that sleep. */
export const SLEEPERS = 1;
const WAITERS = 2 ** 30;

/** For at most 30 slots, whose ids are one more. */
export class FutexMutex implements LockCore {
  readonly #words: Int32Array;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  tryAcquire(me: Waiter): boolean {
    return Atomics.compareExchange(this.#words, STATE, 0, me.id) === 0;
  }

  begin(me: Waiter): boolean {
    for (let round = 0;; round++) {
      if (this.tryAcquire(me)) return true;
      if (!me.spin(round)) return false;
    }
  }

  *wait(me: Waiter): Wait<boolean> {
    const words = this.#words;
    const bit = 1 << me.slot;
    for (let over = false;;) {
      Atomics.or(words, SLEEPERS, bit);
      const state = Atomics.load(words, STATE);
      if (state === 0) {
        if (Atomics.compareExchange(words, STATE, 0, me.id | WAITERS) === 0) {
          Atomics.and(words, SLEEPERS, ~bit);
          return true;
        }
      } else if (over) {
        this.#leave(me);
        return false;
      } else if (
        (state & WAITERS) !== 0 ||
        Atomics.compareExchange(words, STATE, state, state | WAITERS) === state
      ) {
        over = yield FOREVER;
      }
    }
  }

  /** Gives up. A wake-up may have been meant for who leaves: it is passed on. */
  #leave(me: Waiter): void {
    const words = this.#words;
    Atomics.and(words, SLEEPERS, ~(1 << me.slot));
    for (;;) {
      const state = Atomics.load(words, STATE);
      if (state === 0) return this.#wake(me);
      const marked = state | WAITERS;
      if (state === marked || Atomics.compareExchange(words, STATE, state, marked) === state) {
        return;
      }
    }
  }

  release(me: Waiter): boolean {
    if (!this.holds(me)) return false;
    const state = Atomics.exchange(this.#words, STATE, 0);
    if ((state & WAITERS) !== 0) this.#wake(me);
    return true;
  }

  #wake(me: Waiter): void {
    const sleepers = Atomics.load(this.#words, SLEEPERS);
    if (sleepers === 0) return;
    const slot = 31 - Math.clz32(sleepers & -sleepers);
    Atomics.and(this.#words, SLEEPERS, ~(1 << slot));
    me.unpark(slot + 1);
  }

  holds(me: Waiter): boolean {
    return (Atomics.load(this.#words, STATE) & ~WAITERS) === me.id;
  }
}
