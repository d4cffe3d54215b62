/**
 * A counter that never exceeds a limit, and that threads add to from credit of their own.
 *
 * ```
 *   line 0       | granted |                  amount | bit 30 MOVING
 *   line 1       | limit | batch | used | owner | slot line | amount | drawing |
 *   line 2 + s   | credit |                   slot s: amount | bit 30 MOVING
 *
 *   total = granted - all credit <= granted <= limit
 * ```
 *
 * - An add is one compare-exchange, so that it is done or not when its thread is killed: of the own credit, which lowers
 *   it; or, where that is too little, of `granted`, which raises it. Taking back is the same the other way round.
 * - Credit moves between `granted` and a slot in a transfer, which changes two words. One at a time: `owner` is who does
 *   it, nobody waits for it (without a transfer an add takes from `granted`, a batch at a time becomes one at a time).
 *   What is to move is written down first. The first of the two words is changed together with its MOVING bit, which
 *   says that the second has to follow; so is the second, which says that it has. Then the bits go, in the same order.
 *   A thread that finds a dead owner ends the transfer by what the bits say. So no credit is lost, wherever threads are
 *   killed.
 * - Anybody may take a slot's credit back, a living thread's and a dead one's, by such a transfer.
 *
 * Never above the limit: credit is granted before it can be spent. Refused only where the total and n exceed it, but
 * for the moment in which another thread moves credit, spends it, or stopped in the middle: then up to 2 * batch for
 * each thread may be out of reach. Batches shrink as the limit comes near: no more than an equal part of what is left.
 *
 * Costs. Add and take back: one atomic on a line that nobody else writes, once a batch about twelve on shared lines. Near
 * the limit each add looks at the shared line, and at every slot's where that is not enough.
 *
 * After escrow (O'Neil, TODS 1986) and scalable counters (Dice, Lev and Moir, SPAA 2013). Lock-free, but for the batch.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { raise } from "../../wait/slot_words.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const GRANTED = 0;
const LIMIT = LINE_WORDS;
const BATCH = LINE_WORDS + 1;
const USED = LINE_WORDS + 2;
const OWNER = LINE_WORDS + 3;
const SLOT_LINE = LINE_WORDS + 4;
const MOVED = LINE_WORDS + 5;
const DRAWING = LINE_WORDS + 6;
const SLOTS = 2 * LINE_WORDS;

const MOVING = 2 ** 30;
const AMOUNT = MOVING - 1;

/** The highest limit. */
export const MAX_LIMIT: number = AMOUNT;

/** The algorithm of counters with a limit. */
export class LimitCore {
  readonly #words: Int32Array;
  readonly #threads: number;
  /** What the total never exceeds. */
  readonly limit: number;
  readonly #batch: number;
  /** What this thread's credit was when it last looked: saves it a load. */
  #credit = 0;

  /**
   * @param words Its memory, after {@linkcode LimitCore.init}.
   * @param shape The number of threads and domains.
   */
  constructor(words: Int32Array, { threads }: Shape) {
    this.#words = words;
    this.#threads = threads;
    // Written once, before anybody knows of the words.
    this.limit = words[LIMIT] as number;
    this.#batch = words[BATCH] as number;
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
   * Writes what never changes.
   *
   * @param words Its memory: zero, and nobody else's yet.
   * @param limit The limit, {@linkcode MAX_LIMIT} at the most.
   * @param batch The most credit that a thread draws at once.
   */
  static init(words: Int32Array, limit: number, batch: number): void {
    words[LIMIT] = limit;
    words[BATCH] = batch;
  }

  /**
   * Adds unless the total would exceed the limit.
   *
   * @param me The calling thread.
   * @param n At least 1, at most {@linkcode MAX_LIMIT}.
   * @returns Whether it did.
   */
  tryAdd(me: Waiter, n: number): boolean {
    const at = SLOTS + me.slot * LINE_WORDS;
    return this.#spend(at, n, this.#credit) || this.#tryAddSlowly(me, at, n);
  }

  /**
   * Takes back what was added, by any thread.
   *
   * @param me The calling thread.
   * @param n At least 1, no more than was added.
   * @returns False, and nothing is changed, when it is seen to be more than was added.
   */
  sub(me: Waiter, n: number): boolean {
    const words = this.#words;
    const at = SLOTS + me.slot * LINE_WORDS;
    raise(words, USED, me.slot + 1);
    for (let credit = Atomics.load(words, at); (credit & AMOUNT) + n <= 2 * this.#batch;) {
      const found = Atomics.compareExchange(words, at, credit, credit + n);
      if (found === credit) {
        this.#credit = credit + n;
        return true;
      }
      credit = found;
    }
    for (;;) {
      const granted = Atomics.load(words, GRANTED);
      if ((granted & AMOUNT) < n) return false;
      if (Atomics.compareExchange(words, GRANTED, granted, granted - n) !== granted) continue;
      // So that the next ones need not come here.
      if (Atomics.load(words, at) > this.#batch && this.#lock(me)) {
        this.#giveBack(at, this.#batch);
        Atomics.store(words, OWNER, 0);
      }
      return true;
    }
  }

  /**
   * The total.
   *
   * @returns Exact while nobody adds or takes back; otherwise it may miss what is under way.
   */
  value(): number {
    const words = this.#words;
    let total = Atomics.load(words, GRANTED) & AMOUNT;
    const used = Atomics.load(words, USED);
    for (let slot = 0; slot < used; slot++) {
      total -= Atomics.load(words, SLOTS + slot * LINE_WORDS) & AMOUNT;
    }
    return total;
  }

  #spend(at: number, n: number, guess: number): boolean {
    const words = this.#words;
    for (let credit = guess; (credit & AMOUNT) >= n;) {
      const found = Atomics.compareExchange(words, at, credit, credit - n);
      if (found === credit) {
        this.#credit = credit - n;
        return true;
      }
      credit = found;
    }
    return false;
  }

  #tryAddSlowly(me: Waiter, at: number, n: number): boolean {
    const words = this.#words;
    raise(words, USED, me.slot + 1);
    for (;;) {
      // It may be more than this thread thought.
      if (this.#spend(at, n, Atomics.load(words, at))) return true;
      const granted = Atomics.load(words, GRANTED);
      const room = this.limit - (granted & AMOUNT);
      if (room >= n) {
        if (Atomics.compareExchange(words, GRANTED, granted, granted + n) !== granted) continue;
        const extra = Math.min(this.#batch, Math.floor((room - n) / this.#threads));
        if (extra > 0) this.#draw(me, at, extra);
        return true;
      }
      if (!this.#reclaim(me, n)) return false;
    }
  }

  /** Becomes the one who moves credit. */
  #lock(me: Waiter): boolean {
    const words = this.#words;
    const owner = Atomics.compareExchange(words, OWNER, 0, me.id);
    if (owner === 0) return true;
    if (me.alive(owner) || Atomics.compareExchange(words, OWNER, owner, me.id) !== owner) {
      return false;
    }
    this.#finish();
    return true;
  }

  /** Moves credit to a slot, unless somebody else is moving some. */
  #draw(me: Waiter, at: number, extra: number): void {
    const words = this.#words;
    if (!this.#lock(me)) return;
    this.#plan(at, extra, 1);
    for (;;) {
      const granted = Atomics.load(words, GRANTED);
      if ((granted & AMOUNT) + extra > this.limit) break;
      const next = (granted + extra) | MOVING;
      if (Atomics.compareExchange(words, GRANTED, granted, next) !== granted) continue;
      this.#finish();
      break;
    }
    Atomics.store(words, OWNER, 0);
    this.#credit = Atomics.load(words, at);
  }

  /** Collects credit until n can be granted. Answers whether it can. */
  #reclaim(me: Waiter, n: number): boolean {
    const words = this.#words;
    for (let round = 0; !this.#lock(me); round++) if (!me.spin(round)) return false;
    const used = Atomics.load(words, USED);
    for (let slot = 0; slot < used && !this.#fits(n); slot++) {
      this.#giveBack(SLOTS + slot * LINE_WORDS, 0);
    }
    Atomics.store(words, OWNER, 0);
    return this.#fits(n);
  }

  #fits(n: number): boolean {
    return this.limit - (Atomics.load(this.#words, GRANTED) & AMOUNT) >= n;
  }

  /** Moves a slot's credit, but for so much, to `granted`. */
  #giveBack(at: number, keep: number): void {
    const words = this.#words;
    for (;;) {
      const credit = Atomics.load(words, at);
      if (credit <= keep) return;
      this.#plan(at, credit - keep, 0);
      if (Atomics.compareExchange(words, at, credit, keep | MOVING) !== credit) continue;
      this.#finish();
      return;
    }
  }

  #plan(at: number, amount: number, drawing: number): void {
    const words = this.#words;
    Atomics.store(words, SLOT_LINE, at);
    Atomics.store(words, MOVED, amount);
    Atomics.store(words, DRAWING, drawing);
  }

  /** Ends the transfer, wherever it is. */
  #finish(): void {
    const words = this.#words;
    const at = Atomics.load(words, SLOT_LINE);
    const amount = Atomics.load(words, MOVED);
    const drawing = Atomics.load(words, DRAWING) === 1;
    const from = drawing ? GRANTED : at;
    const to = drawing ? at : GRANTED;
    if ((Atomics.load(words, from) & MOVING) !== 0) {
      for (let word = Atomics.load(words, to); (word & MOVING) === 0;) {
        // Below zero only where more was taken back than added.
        const next = drawing ? word + amount : Math.max(0, word - amount);
        const found = Atomics.compareExchange(words, to, word, next | MOVING);
        if (found === word) break;
        word = found;
      }
      Atomics.and(words, from, ~MOVING);
    }
    Atomics.and(words, to, ~MOVING);
  }
}
