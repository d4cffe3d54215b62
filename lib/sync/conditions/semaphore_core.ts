/**
 * A number of permits: newcomers may overtake sleepers, but not forever; sleepers are served in their order.
 *
 * ```
 *   line 0       | state |                    permits << 2 | CLOSED | WAITERS
 *   line 1       | max | bypass | used | tickets | bypassed |
 *   line 2 + s   | id | need | ticket |       slot s: who waits, 0 for nobody
 * ```
 *
 * Acquire takes permits from `state` when there are enough, also past sleepers: to leave them to somebody who has yet
 * to wake up costs a context switch for each acquisition. After `bypass` times CLOSED keeps newcomers out, permits
 * gather, and the first sleeper takes its own: however many it needs, it does not starve. Sleepers go by their
 * tickets, without exception: many small requests behind a large one wait for it. That is the documented policy.
 *
 * Why no wake-up is lost. A sleeper publishes its id, then looks at the state: it takes its permits if it is the first,
 * or makes sure that WAITERS is set. A release changes the state, then looks for the first sleeper if WAITERS was set,
 * and wakes it if there are enough for it. A thread that leaves the queue, served or not, does the same for the next
 * one. A thread that finds nobody clears WAITERS and then searches once more, because another may have joined that saw
 * it still set.
 *
 * Death. A dead sleeper is taken out by the next search. One that was woken and died has not passed its wake-up on: the
 * permit that every sleeper gets when a thread dies is for that. Permits have no owner: those that a dead thread had taken
 * are gone, until somebody releases them in its place.
 *
 * Costs. Acquire: load and compare-exchange; release: the same. With sleepers: two loads for each slot ever used.
 *
 * Bounded bypass after Fissile locks (Dice and Kogan, 2020). Fair among sleepers; abortable.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { raise } from "../../wait/slot_words.ts";
import { FOREVER, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

const STATE = 0;
const MAX = LINE_WORDS;
const BYPASS = LINE_WORDS + 1;
const USED = LINE_WORDS + 2;
const TICKETS = LINE_WORDS + 3;
const BYPASSED = LINE_WORDS + 4;
const SLOTS = 2 * LINE_WORDS;

const ID = 0;
const NEED = 1;
const TICKET = 2;

const WAITERS = 1;
const CLOSED = 2;
const PERMIT_SHIFT = 2;

/** The most permits. */
export const MAX_PERMITS: number = 2 ** 29 - 1;

/** The algorithm of `Semaphore`. */
export class SemaphoreCore {
  readonly #words: Int32Array;
  readonly #bypass: number;
  /** How many permits there can be. */
  readonly maxPermits: number;

  /**
   * @param words Its memory, after {@linkcode SemaphoreCore.init}.
   * @param _shape The number of threads and domains.
   */
  constructor(words: Int32Array, _shape: Shape) {
    this.#words = words;
    // Written once, before anybody knows of the words.
    this.maxPermits = words[MAX] as number;
    this.#bypass = words[BYPASS] as number;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape): number {
    return SLOTS + threads * LINE_WORDS;
  }

  /**
   * Fills it.
   *
   * @param words Its memory: zero, and nobody else's yet.
   * @param permits How many there are at first.
   * @param max How many there can be, {@linkcode MAX_PERMITS} at the most.
   * @param bypass How often sleepers are overtaken, at most: at least 1.
   */
  static init(words: Int32Array, permits: number, max: number, bypass: number): void {
    words[STATE] = permits << PERMIT_SHIFT;
    words[MAX] = max;
    words[BYPASS] = bypass;
  }

  /**
   * How many permits there are.
   *
   * @returns The number at some moment.
   */
  available(): number {
    return Atomics.load(this.#words, STATE) >> PERMIT_SHIFT;
  }

  /**
   * Takes permits if there are enough at this moment, and no sleeper's turn has come.
   *
   * @param me The calling thread.
   * @param n How many: at least 1.
   * @returns Whether it did.
   */
  tryAcquire(me: Waiter, n: number): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state >> PERMIT_SHIFT) < n) return false;
      if ((state & CLOSED) !== 0) {
        // For sleepers that are gone it is not kept closed.
        if (!this.#passOn(me)) return false;
        continue;
      }
      const next = state - (n << PERMIT_SHIFT);
      if (Atomics.compareExchange(words, STATE, state, next) !== state) continue;
      if ((state & WAITERS) !== 0) this.#countBypass();
      return true;
    }
  }

  /**
   * Takes permits, or spins for them.
   *
   * @param me The calling thread.
   * @param n How many: at least 1, and no more than there can be.
   * @returns True with the permits. False: {@linkcode SemaphoreCore.wait} has to follow.
   */
  begin(me: Waiter, n: number): boolean {
    if (this.tryAcquire(me, n)) return true;
    for (let round = 0; me.spin(round); round++) {
      const state = loadShared(this.#words, STATE);
      if ((state & CLOSED) === 0 && (state >> PERMIT_SHIFT) >= n && this.tryAcquire(me, n)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Queues, and waits for permits.
   *
   * @param me The calling thread.
   * @param n How many: as in {@linkcode SemaphoreCore.begin}.
   * @returns Whether it has them.
   */
  *wait(me: Waiter, n: number): Wait<boolean> {
    const words = this.#words;
    const at = SLOTS + me.slot * LINE_WORDS;
    Atomics.store(words, at + NEED, n);
    Atomics.store(words, at + TICKET, Atomics.add(words, TICKETS, 1));
    Atomics.store(words, at + ID, me.id);
    raise(words, USED, me.slot + 1);
    for (let over = false;;) {
      const got = this.#takeTurn(me, at, n);
      if (got || over) {
        Atomics.store(words, at + ID, 0);
        this.#passOn(me);
        return got;
      }
      over = yield FOREVER;
    }
  }

  /**
   * Gives permits back, or adds some.
   *
   * @param me The calling thread.
   * @param n How many: at least 1.
   * @returns False, and nothing is changed, when there would be more than there can be.
   */
  release(me: Waiter, n: number): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state >> PERMIT_SHIFT) + n > this.maxPermits) return false;
      const next = state + (n << PERMIT_SHIFT);
      if (Atomics.compareExchange(words, STATE, state, next) !== state) continue;
      if ((state & WAITERS) !== 0) this.#passOn(me);
      return true;
    }
  }

  /** Takes permits when it is this sleeper's turn; otherwise makes sure that a release will look for it. */
  #takeTurn(me: Waiter, at: number, n: number): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & WAITERS) === 0) {
        Atomics.compareExchange(words, STATE, state, state | WAITERS);
        continue;
      }
      if ((state >> PERMIT_SHIFT) < n || this.#first(me) !== at) return false;
      const next = (state & ~CLOSED) - (n << PERMIT_SHIFT);
      if (Atomics.compareExchange(words, STATE, state, next) !== state) continue;
      Atomics.store(words, BYPASSED, 0);
      return true;
    }
  }

  /** Somebody took permits past sleepers. */
  #countBypass(): void {
    const words = this.#words;
    if (Atomics.add(words, BYPASSED, 1) + 1 < this.#bypass) return;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & (WAITERS | CLOSED)) !== WAITERS) return;
      if (Atomics.compareExchange(words, STATE, state, state | CLOSED) === state) return;
    }
  }

  /** Wakes the first sleeper if there is enough for it. Answers whether there is no sleeper any more. */
  #passOn(me: Waiter): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & WAITERS) === 0) return true;
      const at = this.#first(me);
      if (at !== 0) {
        // 0 when it has just left: then it looks for the next one itself.
        const id = Atomics.load(words, at + ID);
        const need = Atomics.load(words, at + NEED);
        if (id !== 0 && id !== me.id && Atomics.load(words, STATE) >> PERMIT_SHIFT >= need) {
          me.unpark(id);
        }
        return false;
      }
      const none = state & ~(WAITERS | CLOSED);
      if (Atomics.compareExchange(words, STATE, state, none) !== state) continue;
      if (this.#first(me) === 0) return true;
      Atomics.or(words, STATE, WAITERS);
    }
  }

  /** The line of the sleeper with the lowest ticket; 0 when there is none. */
  #first(me: Waiter): number {
    const words = this.#words;
    for (;;) {
      const end = SLOTS + Atomics.load(words, USED) * LINE_WORDS;
      let first = 0;
      let lowest = 0;
      for (let at = SLOTS; at < end; at += LINE_WORDS) {
        if (Atomics.load(words, at + ID) === 0) continue;
        const ticket = Atomics.load(words, at + TICKET);
        if (first !== 0 && ((ticket - lowest) | 0) > 0) continue;
        first = at;
        lowest = ticket;
      }
      if (first === 0) return 0;
      const id = Atomics.load(words, first + ID);
      if (id === 0) continue;
      if (id === me.id || me.alive(id)) return first;
      Atomics.compareExchange(words, first + ID, id, 0);
    }
  }
}
