/**
 * Something that is to be done once, by whoever comes first.
 *
 * ```
 *   line 0     | state | used |               bits 0-28 the runner's id, 0 for nobody | 29 SLEEPERS | 30 DONE
 *   line 1 …   | id of slot 0 | id of slot 1 | …      who sleeps, 0 for nobody
 * ```
 *
 * The state goes from nobody to a runner, and from there to DONE, or back to nobody when the runner fails, or to another
 * runner when it is found dead. A sleeper writes its id, then looks at the state: it becomes the runner, sees DONE, or
 * sets SLEEPERS. The end of a run changes the same word, so one of the two sees the other. SLEEPERS stays until DONE.
 *
 * After a failure all sleepers wake, and one of them runs: to wake one only would leave the others asleep if it gave up.
 * When the runner is killed, all sleepers get a permit, look, and find it not alive.
 *
 * Slots share lines, because they are written only by who goes to sleep.
 *
 * Costs. One load when done. Abortable, robust.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { raise, slotWords, wakeSleepers } from "../../wait/slot_words.ts";
import { FOREVER, ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

const STATE = 0;
const USED = 1;
const SLOTS = LINE_WORDS;

const SLEEPERS = 2 ** 29;
const DONE = 2 ** 30;

/** Somebody else is at it. */
export const ONCE_BUSY = 0;
/** The caller has to do it. */
export const ONCE_RUN = 1;
/** It is done. */
export const ONCE_DONE = 2;

/** The algorithm of `Once`. */
export class OnceCore {
  readonly #words: Int32Array;

  /**
   * @param words Its memory: zero at first.
   * @param _shape The number of threads and domains.
   */
  constructor(words: Int32Array, _shape: Shape) {
    this.#words = words;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape): number {
    return SLOTS + slotWords(threads);
  }

  /**
   * Whether it is done.
   *
   * @returns True from then on.
   */
  done(): boolean {
    return (Atomics.load(this.#words, STATE) & DONE) !== 0;
  }

  /**
   * Whether the caller is at it.
   *
   * @param me The calling thread.
   * @returns True from ONCE_RUN until it ends the run.
   */
  runs(me: Waiter): boolean {
    return (Atomics.load(this.#words, STATE) & ID_MASK) === me.id;
  }

  /**
   * Becomes the runner if there is none, or none that lives.
   *
   * @param me The calling thread. Must not be the runner.
   * @returns {@linkcode ONCE_RUN}, {@linkcode ONCE_DONE} or {@linkcode ONCE_BUSY}.
   */
  tryBegin(me: Waiter): number {
    return this.#look(me, 0);
  }

  /**
   * The same, and spins while somebody else is at it.
   *
   * @param me The calling thread. Must not be the runner.
   * @returns The same. {@linkcode ONCE_BUSY}: {@linkcode OnceCore.wait} has to follow.
   */
  begin(me: Waiter): number {
    let answer = this.#look(me, 0);
    for (let round = 0; answer === ONCE_BUSY && me.spin(round); round++) {
      answer = this.#look(me, 0);
    }
    return answer;
  }

  /**
   * Waits until it is done, or has to be done by the caller.
   *
   * @param me The calling thread. Must not be the runner.
   * @returns {@linkcode ONCE_RUN} or {@linkcode ONCE_DONE}; {@linkcode ONCE_BUSY} when the wait was over before.
   */
  *wait(me: Waiter): Wait<number> {
    const words = this.#words;
    const at = SLOTS + me.slot;
    Atomics.store(words, at, me.id);
    raise(words, USED, me.slot + 1);
    for (let over = false;;) {
      const answer = this.#look(me, SLEEPERS);
      if (answer !== ONCE_BUSY || over) {
        Atomics.store(words, at, 0);
        return answer;
      }
      over = yield FOREVER;
    }
  }

  /**
   * Ends the run.
   *
   * @param me The calling thread.
   * @param done Whether it is done; if not, somebody else has to do it.
   * @returns False, and nothing is changed, when `me` is not the runner.
   */
  end(me: Waiter, done: boolean): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & ID_MASK) !== me.id) return false;
      const sleepers = state & SLEEPERS;
      if (Atomics.compareExchange(words, STATE, state, done ? DONE : sleepers) !== state) continue;
      if (sleepers !== 0) wakeSleepers(words, SLOTS, Atomics.load(words, USED), me);
      return true;
    }
  }

  #look(me: Waiter, mark: number): number {
    const words = this.#words;
    for (;;) {
      const state = loadShared(words, STATE);
      if ((state & DONE) !== 0) return ONCE_DONE;
      const runner = state & ID_MASK;
      const free = runner === 0 || !me.alive(runner);
      const next = free ? (state & SLEEPERS) | me.id : state | mark;
      if (next !== state && Atomics.compareExchange(words, STATE, state, next) !== state) continue;
      return free ? ONCE_RUN : ONCE_BUSY;
    }
  }
}
