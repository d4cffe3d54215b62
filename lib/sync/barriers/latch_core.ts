/**
 * A gate that opens, once and for good, when it has been counted down.
 *
 * ```
 *   line 0     | state | used |               bits 0-28 what is left to count | 29 SLEEPERS
 *   line 1 …   | id of slot 0 | id of slot 1 | …      who sleeps, 0 for nobody
 * ```
 *
 * A sleeper writes its id, then sets SLEEPERS unless nothing is left. The thread that counts down to nothing changes the
 * same word, so one of the two sees the other: the sleeper an open gate, or the opener SLEEPERS, and then all ids that
 * were written before. If the opener is killed before it has woken all, the permits that all sleepers get when a thread
 * dies do that.
 *
 * Slots share lines, because they are written only by who goes to sleep. A latch does not know who is to count it down, so
 * it cannot tell when those are dead: give waits a timeout where that matters.
 *
 * Costs. Count down: load and compare-exchange. Wait: one load when open.
 *
 * As in java.util.concurrent.CountDownLatch (Lea, 2004), without its queue. Abortable.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { raise, slotWords, wakeSleepers } from "../../wait/slot_words.ts";
import { FOREVER, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

const STATE = 0;
const USED = 1;
const SLOTS = LINE_WORDS;

const SLEEPERS = 2 ** 29;
const LEFT = SLEEPERS - 1;

/** The highest count. */
export const MAX_COUNT: number = LEFT;

/** The algorithm of `Latch`. */
export class LatchCore {
  readonly #words: Int32Array;

  /**
   * @param words Its memory, after {@linkcode LatchCore.init}.
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
   * Closes it.
   *
   * @param words Its memory: zero, and nobody else's yet.
   * @param count What has to be counted down, {@linkcode MAX_COUNT} at the most.
   */
  static init(words: Int32Array, count: number): void {
    words[STATE] = count;
  }

  /**
   * What is left to count.
   *
   * @returns 0 when it is open.
   */
  left(): number {
    return loadShared(this.#words, STATE) & LEFT;
  }

  /**
   * Counts down, to 0 at the lowest.
   *
   * @param me The calling thread.
   * @param n By how much: at least 1.
   * @returns What is left.
   */
  countDown(me: Waiter, n: number): number {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      const before = state & LEFT;
      if (before === 0) return 0;
      const left = Math.max(0, before - n);
      const next = (state & SLEEPERS) | left;
      if (Atomics.compareExchange(words, STATE, state, next) !== state) continue;
      if (left === 0 && (state & SLEEPERS) !== 0) {
        wakeSleepers(words, SLOTS, Atomics.load(words, USED), me);
      }
      return left;
    }
  }

  /**
   * Looks whether it is open, and spins.
   *
   * @param me The calling thread.
   * @returns True when it is. False: {@linkcode LatchCore.wait} has to follow.
   */
  begin(me: Waiter): boolean {
    if (this.left() === 0) return true;
    for (let round = 0; me.spin(round); round++) if (this.left() === 0) return true;
    return false;
  }

  /**
   * Waits until it is open.
   *
   * @param me The calling thread.
   * @returns Whether it is.
   */
  *wait(me: Waiter): Wait<boolean> {
    const words = this.#words;
    const at = SLOTS + me.slot;
    Atomics.store(words, at, me.id);
    raise(words, USED, me.slot + 1);
    for (let over = false; !this.#openOrMark(); over = yield FOREVER) {
      if (over) {
        Atomics.store(words, at, 0);
        return false;
      }
    }
    Atomics.store(words, at, 0);
    return true;
  }

  /** Sees that it is open, or makes sure that who opens it looks for sleepers. */
  #openOrMark(): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & LEFT) === 0) return true;
      if ((state & SLEEPERS) !== 0) return false;
      Atomics.compareExchange(words, STATE, state, state | SLEEPERS);
    }
  }
}
