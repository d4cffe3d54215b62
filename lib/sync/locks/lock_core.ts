import type { Wait, Waiter } from "../../wait/waiter.ts";

/**
 * One locking algorithm over 32-bit words in shared memory.
 *
 * All state is in the words; a core of the same words in another thread is the same lock. It checks nothing of its
 * callers but ownership: `Lock` does that for them.
 *
 * ```
 *   if (!core.begin(me)) {          // joins, and spins for as long as me.spin() says
 *     const got = block(core.wait(me), …); // sleeps; false: gave up, and nothing is left behind
 *   }
 *   …
 *   core.release(me);
 * ```
 */
export interface LockCore {
  /**
   * Takes the lock when it is free at this moment.
   *
   * @param me The calling thread.
   * @returns Whether it did. Nothing is changed when not.
   */
  tryAcquire(me: Waiter): boolean;
  /**
   * Takes the lock, or joins those that wait for it, and spins.
   *
   * @param me The calling thread. Must not hold it.
   * @returns True with the lock. False: {@linkcode wait} has to follow.
   */
  begin(me: Waiter): boolean;
  /**
   * Waits for the lock after {@linkcode begin} returned false.
   *
   * @param me The calling thread.
   * @returns Whether it has the lock.
   */
  wait(me: Waiter): Wait<boolean>;
  /**
   * Gives the lock back.
   *
   * @param me The calling thread.
   * @returns False, and nothing is changed, when `me` does not hold it.
   */
  release(me: Waiter): boolean;
  /**
   * Whether somebody holds it.
   *
   * @param me The calling thread.
   * @returns True when `me` does.
   */
  holds(me: Waiter): boolean;
  /**
   * Whether nobody can acquire it any more because a thread died: then `wait` returns false before its time.
   *
   * @returns Whether it is. Absent where that cannot be.
   */
  broken?(): boolean;
  /**
   * Whether an owner died and nobody has said that what it guarded is right again.
   *
   * @returns Whether that is so. Absent in locks that are not robust.
   */
  ownerDied?(): boolean;
  /**
   * Says that what a dead owner left is right again.
   *
   * @param me The heir; anybody when the lock is broken.
   * @returns False when there is nothing to say, or it is not for `me` to say. Absent in locks that are not robust.
   */
  markConsistent?(me: Waiter): boolean;
  /**
   * Leaves the lock as a dead thread does: for a living one that can never give it back, because its memory goes away.
   * Whoever calls it wakes everybody afterwards, as after a death.
   *
   * @param me The thread that may hold it.
   * @param dead An id that is nobody's and never will be: it stands for the holder from now on.
   * @returns Whether `me` held it. Absent in locks that are never held while code of others runs.
   */
  abandon?(me: Waiter, dead: number): boolean;
  /**
   * Whether a thread that holds it may let another of its own tasks have it as well, under the same id.
   *
   * @param me The thread that holds it.
   * @returns Whether that keeps nobody waiting. Absent in locks that exclude.
   */
  shares?(me: Waiter): boolean;
}
