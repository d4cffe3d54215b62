/**
 * The condition variable: gives a lock back and sleeps, without a gap between the two for a signal to fall into.
 *
 * It is an event count whose waiters prepare before they let go of the lock: whoever signals after that finds them,
 * whether it holds the lock or not.
 *
 * ```
 *   if (!condition.begin(lock, me)) …      // prepares, and releases the lock
 *   block(condition.wait(me), …);          // false: gave up
 *   lock.begin(me) || block(lock.wait(me)) // takes the lock back, whatever the outcome
 * ```
 *
 * The caller takes the lock back, because that wait has other limits: time that is up does not spare it.
 *
 * Any {@linkcode LockCore} will do, another one each time. A wait may end for no reason, and somebody may come in
 * between: look at the condition again, in a loop. (Mesa monitors: Lampson and Redell, 1980.) Who is woken competes
 * for the lock; a broadcast makes all of them compete, and is for changes that concern all.
 *
 * Signals go to those who wait, in turn, and are passed on as notifications of an event count are: a signal to a
 * thread that gave up, or died before it noticed, is another's. Cost: `signal` and `broadcast` one load when nobody
 * waits.
 *
 * @module
 */
import type { EventCountCore } from "./event_count_core.ts";
import type { LockCore } from "../locks/lock_core.ts";
import type { Wait, Waiter } from "../../wait/waiter.ts";

/** The algorithm of `Condition`. */
export class ConditionCore {
  readonly #events: EventCountCore;

  /**
   * @param events Over the words of the condition: it has no others.
   */
  constructor(events: EventCountCore) {
    this.#events = events;
  }

  /**
   * Begins to wait, and releases a lock.
   *
   * @param lock The lock.
   * @param me The calling thread, which holds it.
   * @returns False, and nothing is changed, when `me` does not hold it.
   */
  begin(lock: Pick<LockCore, "release">, me: Waiter): boolean {
    this.#events.prepare(me);
    if (lock.release(me)) return true;
    this.#events.cancel(me);
    return false;
  }

  /**
   * Waits for a signal after {@linkcode begin}. The lock is to be taken back afterwards.
   *
   * @param me The calling thread.
   * @returns Whether there was one; sometimes true for no reason.
   */
  wait(me: Waiter): Wait<boolean> {
    return this.#events.wait(me);
  }

  /**
   * Wakes one that waits.
   *
   * @param me The calling thread. Has changed the condition before; need not hold the lock.
   * @returns Whether somebody waited.
   */
  signal(me: Waiter): boolean {
    return this.#events.notify(me);
  }

  /**
   * Wakes all that wait.
   *
   * @param me The calling thread. Has changed the condition before; need not hold the lock.
   * @returns Whether somebody waited.
   */
  broadcast(me: Waiter): boolean {
    return this.#events.notifyAll(me);
  }
}
