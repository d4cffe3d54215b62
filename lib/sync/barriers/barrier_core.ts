/**
 * A point that threads pass when all have come: those of a domain count among themselves, the last of each counts for all.
 *
 * ```
 *   line 0         | phase |                        number << 3 | why it is broken, 0 while it is whole
 *   line 1         | counted 0 | counted 1 | parties | used | resetter |
 *   line 2 + d     | arrived 0 | arrived 1 | asleep |             L3 domain d: expected << 16 | arrived
 *   then, a line   | id, INSIDE, ASLEEP | phase |               slot s: a party
 * ```
 *
 * The last bit of the phase's number picks one word of each pair; the leader prepares the others for the next phase. Nobody
 * touches those any more: all have arrived, so all have finished with the phase before.
 *
 * - An arrival adds 1 to its domain's word. `expected` is how many arrived there in the phase before: threads seldom move.
 *   The one that makes it so many counts all of them in `counted`, those before it nothing, each later one itself. So
 *   `counted` is never more than have arrived, and exactly that while every domain has what it expects, or more.
 * - Who makes `counted` reach `parties` is the leader: it prepares the other words, changes the phase, and wakes.
 * - When domains have changed, fewer than expected come somewhere, and `counted` stays short. So everybody adds up
 *   `arrived` of all domains before it sleeps: the last that goes to sleep finds all, and makes itself the leader. It costs
 *   that phase some spinning. In the first phase nothing is expected and each counts itself.
 * - Waiting threads spin on the phase, whose line changes once a phase, and reaches each domain once.
 *
 * Why no wake-up is lost. A sleeper sets ASLEEP, then `asleep` of its domain, then looks at the phase. A thread that
 * changes the phase looks at `asleep` after that, clears it, and then looks at the slots.
 *
 * Breaking. A phase ends in one of two ways, by a compare-exchange of its word: the number grows, or it gets a reason. A
 * thread that gives up breaks it; so does one that finds, before it sleeps, that a party is dead: one that has joined,
 * or has arrived in this phase or in any before, and has not left. All that are in then leave with that reason, and so
 * do those that come, until a reset. A thread that dies before it joined or came is not known here. When a thread dies
 * all sleepers get a permit and look.
 *
 * A reset tells those who are in, waits until they are out, and clears everything. INSIDE is set before the phase is
 * read, so that nobody is overlooked.
 *
 * Costs. Arrival: an exchange, a store and two loads, one add on the domain's line; for the last of a domain one compare-exchange on a
 * global line; for the leader two stores a domain. Parties: exactly as many as said in each phase, 65,535 at most.
 *
 * Sense reversal after Mellor-Crummey and Scott (TOCS 1991), with counts that domains learn in place of a tree.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { raise } from "../../wait/slot_words.ts";
import { FOREVER, ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

const PHASE = 0;
const COUNTED = LINE_WORDS;
const PARTIES = LINE_WORDS + 2;
const USED = LINE_WORDS + 3;
const RESETTER = LINE_WORDS + 4;
const DOMAINS = 2 * LINE_WORDS;
/** Of a domain's line. */
const SLEEPERS = 2;
/** Of a slot's line. */
const ENTERED = 1;

const REASON = 7;
const NEXT_PHASE = 8;
const PHASE_SHIFT = 3;
const EXPECTED_SHIFT = 16;
const ARRIVED = (1 << EXPECTED_SHIFT) - 1;
const INSIDE = 2 ** 29;
const ASLEEP = 2 ** 30;

/** Not all have come yet. */
export const BARRIER_WAITING = 0;
/** All have come. */
export const BARRIER_PASSED = 1;
/** All have come, and the caller is the one of them that is told so. */
export const BARRIER_LEADER = 2;
/** A party has died. */
export const BARRIER_DIED = 3;
/** A party has given up. */
export const BARRIER_GAVE_UP = 4;
/** Somebody resets it. */
export const BARRIER_RESET = 5;

/** The most parties. */
export const MAX_PARTIES: number = ARRIVED;

/** The algorithm of `Barrier`. */
export class BarrierCore {
  readonly #words: Int32Array;
  readonly #domains: number;
  readonly #slots: number;
  /** How many take part in each phase. */
  readonly parties: number;

  /**
   * @param words Its memory, after {@linkcode BarrierCore.init}.
   * @param shape The number of threads and domains.
   */
  constructor(words: Int32Array, { domains }: Shape) {
    this.#words = words;
    this.#domains = domains;
    this.#slots = DOMAINS + domains * LINE_WORDS;
    // Written once, before anybody knows of the words.
    this.parties = words[PARTIES] as number;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads, domains }: Shape): number {
    return DOMAINS + (domains + threads) * LINE_WORDS;
  }

  /**
   * Writes what never changes.
   *
   * @param words Its memory: zero, and nobody else's yet.
   * @param parties How many threads take part in each phase.
   */
  static init(words: Int32Array, parties: number): void {
    words[PARTIES] = parties;
  }

  /**
   * Why it is broken.
   *
   * @returns {@linkcode BARRIER_DIED}, {@linkcode BARRIER_GAVE_UP} or {@linkcode BARRIER_RESET}; 0 while it is whole.
   */
  broken(): number {
    return Atomics.load(this.#words, PHASE) & REASON;
  }

  /**
   * Arrives, and spins.
   *
   * @param me The calling thread.
   * @returns How it ended. {@linkcode BARRIER_WAITING}: {@linkcode BarrierCore.wait} has to follow.
   */
  begin(me: Waiter): number {
    const words = this.#words;
    const at = this.#slots + me.slot * LINE_WORDS;
    this.#enter(me, me.id | INSIDE);
    const phase = Atomics.load(words, PHASE);
    if ((phase & REASON) !== 0) return this.#out(me, at, phase & REASON);
    Atomics.store(words, at + ENTERED, phase);
    const parity = (phase >> PHASE_SHIFT) & 1;
    const before = Atomics.add(words, DOMAINS + me.domain * LINE_WORDS + parity, 1);
    const arrived = (before & ARRIVED) + 1;
    const expected = before >>> EXPECTED_SHIFT;
    if (arrived >= expected) {
      const more = arrived === expected ? expected : 1;
      if (this.#count(me, phase, more)) return this.#out(me, at, BARRIER_LEADER);
    }
    for (let round = 0;; round++) {
      const answer = this.#answer(phase);
      if (answer !== BARRIER_WAITING) return this.#out(me, at, answer);
      if (!me.spin(round)) return BARRIER_WAITING;
    }
  }

  /**
   * Waits for the others after {@linkcode BarrierCore.begin} said that they have not all come.
   *
   * @param me The calling thread.
   * @returns How it ended.
   */
  *wait(me: Waiter): Wait<number> {
    const words = this.#words;
    const at = this.#slots + me.slot * LINE_WORDS;
    const sleepers = DOMAINS + me.domain * LINE_WORDS + SLEEPERS;
    const phase = Atomics.load(words, at + ENTERED);
    const parity = (phase >> PHASE_SHIFT) & 1;
    for (let over = false;;) {
      Atomics.store(words, at, me.id | INSIDE | ASLEEP);
      if (Atomics.load(words, sleepers) === 0) Atomics.store(words, sleepers, 1);
      const short = this.parties - Atomics.load(words, COUNTED + parity);
      if (short > 0 && this.#sum(parity) >= this.parties && this.#count(me, phase, short)) {
        return this.#out(me, at, BARRIER_LEADER);
      }
      let answer = this.#answer(phase);
      if (answer === BARRIER_WAITING && (over || this.#anyDead(me))) {
        answer = this.#break(me, phase, over ? BARRIER_GAVE_UP : BARRIER_DIED);
      }
      if (answer !== BARRIER_WAITING) return this.#out(me, at, answer);
      over = yield FOREVER;
    }
  }

  /**
   * Takes part from now on, so that everybody is told if it dies before it comes for the first time.
   *
   * @param me The calling thread. Must not be in.
   */
  join(me: Waiter): void {
    this.#enter(me, me.id);
  }

  /**
   * Takes no part any more, so that it may end without breaking anything.
   *
   * @param me The calling thread. Must not be in.
   */
  leave(me: Waiter): void {
    const at = this.#slots + me.slot * LINE_WORDS;
    Atomics.compareExchange(this.#words, at, me.id, 0);
  }

  /**
   * Whether a thread takes part.
   *
   * @param me The calling thread.
   * @returns True from its first arrival, or from {@linkcode join}, until it leaves.
   */
  takesPart(me: Waiter): boolean {
    return (Atomics.load(this.#words, this.#slots + me.slot * LINE_WORDS) & ID_MASK) === me.id;
  }

  /**
   * Leaves it as a party that died, for one whose memory goes away. Whoever calls it wakes everybody afterwards.
   *
   * @param me The calling thread.
   * @param dead An id that is nobody's and never will be.
   * @returns Whether it took part.
   */
  abandon(me: Waiter, dead: number): boolean {
    const words = this.#words;
    const at = this.#slots + me.slot * LINE_WORDS;
    const party = Atomics.load(words, at);
    if ((party & ID_MASK) !== me.id) return false;
    Atomics.store(words, at, (party & ~ID_MASK) | dead);
    return true;
  }

  /**
   * Makes it whole, as new: breaks it if it is not broken, waits until all are out, and forgets its parties.
   *
   * @param me The calling thread. Must not be in.
   * @returns False when the wait was over before that; it is broken then.
   */
  *reset(me: Waiter): Wait<boolean> {
    const words = this.#words;
    for (let over = false;;) {
      const other = Atomics.compareExchange(words, RESETTER, 0, me.id);
      if (other === 0) break;
      if (!me.alive(other)) {
        if (Atomics.compareExchange(words, RESETTER, other, me.id) === other) break;
        continue;
      }
      if (over) return false;
      over = yield 1;
    }
    let phase = Atomics.load(words, PHASE);
    while ((phase & REASON) === 0) {
      this.#break(me, phase, BARRIER_RESET);
      phase = Atomics.load(words, PHASE);
    }
    for (let over = false, round = 0; this.#anyInside(me); round++) {
      if (over) {
        Atomics.store(words, RESETTER, 0);
        return false;
      }
      if (!me.spin(round)) over = yield 1;
    }
    for (let parity = 0; parity < 2; parity++) {
      Atomics.store(words, COUNTED + parity, 0);
      for (let domain = 0; domain < this.#domains; domain++) {
        Atomics.store(words, DOMAINS + domain * LINE_WORDS + parity, 0);
      }
    }
    const used = Atomics.load(words, USED);
    for (let slot = 0; slot < used; slot++) {
      const at = this.#slots + slot * LINE_WORDS;
      const party = Atomics.load(words, at);
      // One that comes in now writes its line again.
      if ((party & INSIDE) === 0 || !me.alive(party & ID_MASK)) {
        Atomics.compareExchange(words, at, party, 0);
      }
    }
    Atomics.store(words, PHASE, (phase & ~REASON) + NEXT_PHASE);
    Atomics.store(words, RESETTER, 0);
    return true;
  }

  #enter(me: Waiter, party: number): void {
    const words = this.#words;
    const before = Atomics.exchange(words, this.#slots + me.slot * LINE_WORDS, party) & ID_MASK;
    raise(words, USED, me.slot + 1);
    if (before === 0 || before === me.id) return;
    // The slot's last thread took part, and is dead. Nobody can find that out any more.
    let phase = Atomics.load(words, PHASE);
    while ((phase & REASON) === 0) {
      this.#break(me, phase, BARRIER_DIED);
      phase = Atomics.load(words, PHASE);
    }
  }

  /** How a phase has ended. */
  #answer(phase: number): number {
    const now = loadShared(this.#words, PHASE);
    if (now === phase) return BARRIER_WAITING;
    return (now & ~REASON) === phase ? now & REASON : BARRIER_PASSED;
  }

  #out(me: Waiter, at: number, answer: number): number {
    Atomics.store(this.#words, at, me.id);
    return answer;
  }

  /** How many have arrived. */
  #sum(parity: number): number {
    let sum = 0;
    for (let domain = 0; domain < this.#domains; domain++) {
      sum += Atomics.load(this.#words, DOMAINS + domain * LINE_WORDS + parity) & ARRIVED;
    }
    return sum;
  }

  /** Counts so many for all, but no more than there are. Answers whether that ended the phase. */
  #count(me: Waiter, phase: number, more: number): boolean {
    const words = this.#words;
    const parity = (phase >> PHASE_SHIFT) & 1;
    for (;;) {
      const counted = Atomics.load(words, COUNTED + parity);
      if (counted >= this.parties) return false;
      const next = Math.min(counted + more, this.parties);
      if (Atomics.compareExchange(words, COUNTED + parity, counted, next) !== counted) continue;
      return next === this.parties && this.#end(me, phase);
    }
  }

  /** Prepares the next phase, and begins it. Answers false when this one was broken before. */
  #end(me: Waiter, phase: number): boolean {
    const words = this.#words;
    const parity = (phase >> PHASE_SHIFT) & 1;
    for (let domain = 0; domain < this.#domains; domain++) {
      const at = DOMAINS + domain * LINE_WORDS;
      const arrived = Atomics.load(words, at + parity) & ARRIVED;
      Atomics.store(words, at + 1 - parity, arrived << EXPECTED_SHIFT);
    }
    Atomics.store(words, COUNTED + 1 - parity, 0);
    const next = (phase + NEXT_PHASE) | 0;
    if (Atomics.compareExchange(words, PHASE, phase, next) !== phase) return false;
    this.#wakeAll(me);
    return true;
  }

  #break(me: Waiter, phase: number, reason: number): number {
    if (Atomics.compareExchange(this.#words, PHASE, phase, phase | reason) === phase) {
      this.#wakeAll(me);
    }
    return this.#answer(phase);
  }

  #wakeAll(me: Waiter): void {
    const words = this.#words;
    let any = false;
    for (let domain = 0; domain < this.#domains; domain++) {
      const at = DOMAINS + domain * LINE_WORDS + SLEEPERS;
      if (Atomics.load(words, at) === 0) continue;
      Atomics.store(words, at, 0);
      any = true;
    }
    if (!any) return;
    const used = Atomics.load(words, USED);
    for (let slot = 0; slot < used; slot++) {
      const party = Atomics.load(words, this.#slots + slot * LINE_WORDS);
      const id = party & ID_MASK;
      if ((party & ASLEEP) !== 0 && id !== me.id) me.unpark(id);
    }
  }

  #anyDead(me: Waiter): boolean {
    const words = this.#words;
    const used = Atomics.load(words, USED);
    for (let slot = 0; slot < used; slot++) {
      const at = this.#slots + slot * LINE_WORDS;
      const id = Atomics.load(words, at) & ID_MASK;
      if (id === 0 || id === me.id || me.alive(id)) continue;
      // A wait that does not block is gone once it has left: then it no longer stands here.
      if ((Atomics.load(words, at) & ID_MASK) === id) return true;
    }
    return false;
  }

  #anyInside(me: Waiter): boolean {
    const words = this.#words;
    const used = Atomics.load(words, USED);
    for (let slot = 0; slot < used; slot++) {
      const party = Atomics.load(words, this.#slots + slot * LINE_WORDS);
      if ((party & INSIDE) !== 0 && me.alive(party & ID_MASK)) return true;
    }
    return false;
  }
}
