/**
 * Who can go on, and what else may happen: the alternatives at a point of a run, and its state.
 *
 * @module
 */

import { sizeOf } from "./bits.ts";
import { PARK, SPIN, Violation } from "./ops.ts";
import type { Case } from "./spec.ts";
import { mix } from "./state.ts";
import { PLACES, Support } from "./support.ts";

/** Kinds of alternatives; one of them is picked by its number, `thread * 4` and one of these. */
export const RUN = 0;
export const GIVE_UP = 1;
export const WAKE = 2;
export const KILL = 3;

/** Most threads of a case that is explored: all their alternatives, or all flags of a state, are bits of one word. */
export const MAX_EXPLORED = 7;

/** Picks what happens. */
export interface Strategy {
  /** The next alternative when it is known already, else -1. */
  replay(): number;
  /**
   * Whether to end the run in this state. Left out by who never does: hashing it takes time, and many threads have no hash.
   *
   * @param low Half of the state's hash.
   * @param high The other half.
   */
  cut?(low: number, high: number): boolean;
  /**
   * Picks.
   *
   * @param alternatives By kind, bits of the threads.
   * @param interrupted The thread that any other one interrupts; -1 when that is nobody.
   * @returns Number of an alternative.
   */
  pick(alternatives: Int32Array, interrupted: number): number;
  /** Picks a number below `ways`. */
  choose(ways: number): number;
}

/** Steps that a thread may do while others could, before they have their turn. */
const MAX_IN_A_ROW = 150;
/** Steps that a run may have. */
const MAX_STEPS = 3000;

/** The threads of a run and what each does next. */
export class Schedule extends Support {
  /** Steps of this run. */
  steps = 0;
  /** Bits of threads that were killed. */
  killed = 0;
  protected subject: Case | undefined;
  protected threads = 0;
  // Bits of threads
  protected ended = 0;
  protected permits = 0;
  protected givenUp = 0;
  /** Of each thread: the bit of the one whose slot it gets; 0 where nobody had it. */
  readonly #before: Int32Array = new Int32Array(PLACES);
  // Events to spare
  protected kills = 0;
  protected timeouts = 0;
  protected spurious = 0;
  protected clock = 0;
  /** Milliseconds that a step takes; 0 in explorations, where no two states would be the same. */
  protected stepMs = 0;
  /** Steps since another thread did one. */
  protected inARow = 0;
  // What each thread does next
  protected readonly kinds: Int32Array = new Int32Array(PLACES);
  protected readonly sitesNext: Int32Array = new Int32Array(PLACES);
  /** When its sleep ends. */
  protected readonly deadlines: Float64Array = new Float64Array(PLACES);
  /** Bits of the threads that each has found alive since it last spun. */
  protected readonly asked: Int32Array = new Int32Array(PLACES);
  /** What may happen next: by kind, bits of threads. */
  readonly #alternatives: Int32Array = new Int32Array(4);

  /** Before a run. */
  protected restart(): void {
    const { kills = 0, timeouts = 0, spurious = 0, slots = [] } = this.subject as Case;
    this.kills = kills;
    this.timeouts = timeouts;
    this.spurious = spurious;
    this.steps =
      this.killed =
      this.ended =
      this.permits =
      this.givenUp =
        0;
    this.clock = this.inARow = 0;
    this.asked.fill(0);
    this.deadlines.fill(Infinity);
    this.#before.fill(0);
    for (const [thread, slot] of slots.entries()) {
      const before = slots.slice(0, thread).lastIndexOf(slot);
      if (before >= 0) this.#before[thread] = 1 << before;
    }
    this.forgetAll();
  }

  /** Whether a thread's next step can be done. */
  protected canRun(thread: number): boolean {
    if (this.isUnborn(thread)) return false;
    const kind = this.kinds[thread] as number;
    if (kind === PARK) {
      const bit = 1 << thread;
      return (this.permits & bit) !== 0 ||
        ((this.givenUp & bit) !== 0 && this.#news(thread)) ||
        (this.stepMs > 0 && (this.deadlines[thread] as number) <= this.clock);
    }
    return kind !== SPIN || this.#news(thread);
  }

  /** Whose slot a thread gets; -1 where nobody had it. */
  protected predecessorOf(thread: number): number {
    return 31 - Math.clz32(this.#before[thread] as number);
  }

  /** Whether a thread waits for another one's slot. */
  isUnborn(thread: number): boolean {
    const before = this.#before[thread] as number;
    return before !== 0 && (before & this.dead) === 0;
  }

  /** Whether what a thread has read or asked since it last spun is different now. */
  #news(thread: number): boolean {
    return this.memory.changed(thread) || ((this.asked[thread] as number) & this.dead) !== 0;
  }

  /** Bits of threads that others do not find alive. */
  protected get dead(): number {
    return this.subject?.gone === true ? this.killed | this.ended : this.killed;
  }

  /** Whether nobody can do anything. */
  protected idle(): boolean {
    for (let thread = 0; thread < this.threads; thread++) {
      if (((this.ended | this.killed) & (1 << thread)) === 0 && this.canRun(thread)) return false;
    }
    return true;
  }

  /** The alternatives; -1 when the run is over early, -2 when it has come to its end. */
  protected pick(strategy: Strategy): number {
    const { current } = this;
    const subject = this.subject as Case;
    const limit = subject.steps ?? MAX_STEPS;
    if (this.steps > limit) {
      throw new Violation(`no progress: ${limit} steps and no end (a loop that waits has to spin)`);
    }
    let runs = 0;
    let left = 0;
    for (let thread = 0; thread < this.threads; thread++) {
      const bit = 1 << thread;
      if (((this.ended | this.killed) & bit) !== 0 || this.isUnborn(thread)) continue;
      left |= bit;
      if (this.canRun(thread)) runs |= bit;
    }
    if (left === 0) return -2;
    const idle = runs === 0;
    // Each that can run has a CPU: this step is one of as many in the same time.
    if (this.stepMs > 0 && !idle) this.clock += this.stepMs / sizeOf(runs);
    const wakes = idle ? this.#wakeFirst(left) : 0;
    if (idle && wakes === 0) throw new Violation(this.#deadlock(left));
    const own = current < 0 ? 0 : runs & (1 << current);
    // Fair: whoever does so much at once waits for somebody.
    const tooLong = own !== 0 && this.inARow > MAX_IN_A_ROW && runs !== own;
    const alternatives = this.#alternatives;
    alternatives.fill(0);
    alternatives[RUN] = tooLong ? runs ^ own : runs;
    alternatives[WAKE] = wakes;
    if (!tooLong) this.#addEvents(left, idle ? 0 : this.spurious);
    const interrupted = own === 0 || tooLong ? -1 : current;
    if (this.#isCut(strategy, interrupted)) return -1;
    return strategy.pick(alternatives, interrupted);
  }

  /** Shows the state to a strategy that looks at it. */
  #isCut(strategy: Strategy, interrupted: number): boolean {
    if (strategy.cut === undefined) return false;
    let low = this.memory.low ^ this.noted;
    let high = this.memory.high ^ this.noted2;
    for (let thread = 0; thread < this.threads; thread++) {
      low ^= mix(this.lows[thread] as number, thread);
      high ^= mix(thread, this.highs[thread] as number);
      // As long as no time has passed, a thread knows itself when it wants to wake up.
      if (this.clock > 0) low ^= mix((this.deadlines[thread] as number) | 0, thread + 8);
    }
    const last = interrupted & MAX_EXPLORED;
    const flags = last | (this.permits << 3) | (this.killed << 10) | (this.givenUp << 17);
    const counts = this.kills | (this.timeouts << 4) | (this.spurious << 8) |
      (Math.trunc(this.clock) << 12);
    low = mix(low ^ Math.imul(flags, 0x9e3779b1), counts);
    high = mix(high ^ Math.imul(counts, 0x85ebca77), flags);
    return strategy.cut(low, high);
  }

  /** Nobody can run: time passes until the first sleep with an end is over, or for a spinner that looks at the clock. */
  #wakeFirst(left: number): number {
    const isSliced = this.subject?.slices !== undefined || this.stepMs > 0;
    let mask = 0;
    let first = Infinity;
    for (let thread = 0; thread < this.threads; thread++) {
      if ((left & (1 << thread)) === 0 || (this.kinds[thread] === PARK && !isSliced)) continue;
      const deadline = this.deadlines[thread] as number;
      if (deadline < first) mask = 0;
      first = Math.min(first, deadline);
      if (deadline === first && first < Infinity) mask |= 1 << thread;
    }
    return mask;
  }

  /** What else may happen here. */
  #addEvents(left: number, spurious: number): void {
    if (this.timeouts === 0 && spurious === 0 && this.kills === 0) return;
    const alternatives = this.#alternatives;
    const { victim, victims = victim === undefined ? undefined : [victim] } = this.subject as Case;
    for (let thread = 0; thread < this.threads; thread++) {
      const bit = 1 << thread;
      if ((left & bit) === 0) continue;
      if (this.kinds[thread] === PARK && (this.givenUp & bit) === 0) {
        if (this.timeouts > 0) (alternatives[GIVE_UP] as number) |= bit;
        if (spurious > 0 && (this.permits & bit) === 0) (alternatives[WAKE] as number) |= bit;
      }
      const mayDie = victims === undefined || victims.includes(thread);
      if (this.kills > 0 && mayDie) (alternatives[KILL] as number) |= bit;
    }
  }

  #deadlock(left: number): string {
    const who: string[] = [];
    for (let thread = 0; thread < this.threads; thread++) {
      if ((left & (1 << thread)) === 0) continue;
      const asleep = this.kinds[thread] === PARK ? "sleeps" : "spins";
      who.push(`thread ${thread} ${asleep} at ${this.where(this.sitesNext[thread] as number)}`);
    }
    return `nobody can go on: ${who.join(", ")}`;
  }
}
