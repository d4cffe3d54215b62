/**
 * A ticket lock that only spins. It is here for the explorer's own sake.
 *
 * @module
 */

import type { LockCore } from "../../../lib/sync/locks/lock_core.ts";
import type { Wait, Waiter } from "../../../lib/wait/waiter.ts";

/** The next ticket. */
export const NEXT = 0;
/** The ticket whose turn it is. */
export const SERVED = 1;
const OWNER = 2;

/** First come first served. */
export class TicketLock implements LockCore {
  readonly #words: Int32Array;
  #ticket = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  tryAcquire(me: Waiter): boolean {
    const words = this.#words;
    const served = Atomics.load(words, SERVED);
    if (Atomics.compareExchange(words, NEXT, served, (served + 1) | 0) !== served) return false;
    this.#ticket = served;
    Atomics.store(words, OWNER, me.id);
    return true;
  }

  begin(me: Waiter): boolean {
    const words = this.#words;
    this.#ticket = Atomics.add(words, NEXT, 1);
    for (let round = 0; Atomics.load(words, SERVED) !== this.#ticket; round++) me.spin(round);
    Atomics.store(words, OWNER, me.id);
    return true;
  }

  // deno-lint-ignore require-yield -- it never sleeps
  *wait(_me: Waiter): Wait<boolean> {
    throw new Error("begin has it always");
  }

  release(me: Waiter): boolean {
    const words = this.#words;
    if (!this.holds(me)) return false;
    Atomics.store(words, OWNER, 0);
    Atomics.store(words, SERVED, (this.#ticket + 1) | 0);
    return true;
  }

  holds(me: Waiter): boolean {
    return Atomics.load(this.#words, OWNER) === me.id;
  }
}
