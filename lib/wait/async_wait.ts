/**
 * The waits of a thread that do not block it, all under one id.
 *
 * They share a slot of the parking lot beside the thread's own. It is claimed for the first of them, and for what is held
 * under its id, and released after the last: other threads see one more waiter, however many waits there are. An algorithm
 * knows a waiter once, so no two of them may be in the same words at a time; `Turns` and `Crowd` see to that.
 *
 * Whoever unparks the id cannot say which wait is meant: all of them look. That costs a look for each pending wait and
 * wake-up, so waits of the same object queue in the thread and not here.
 *
 * @module
 */
import { claimWaiter, type ThreadWaiter } from "./thread_waiter.ts";
import type { Wait } from "./waiter.ts";

/** A wait looks this often even if nobody wakes it, in milliseconds. */
const SLICE_MS = 1000;

let me: ThreadWaiter | undefined;
let users = 0;
/** What waits now. */
const waits = /* @__PURE__ */ new Set<AsyncWait<unknown>>();
let driving = false;
/** When the driver looks again by itself. */
let wakesAt = -Infinity;

/**
 * The waiter of this thread's asynchronous waits.
 *
 * @returns It, with an id that lives until {@linkcode returnWaiter} was called as often.
 * @throws {NumaError} `EAGAIN` when all slots are taken.
 */
export function borrowWaiter(): ThreadWaiter {
  me ??= claimWaiter();
  users++;
  return me;
}

/** Gives back what {@linkcode borrowWaiter} gave: nothing waits or holds under its id any more on this account. */
export function returnWaiter(): void {
  if (--users > 0 || me === undefined) return;
  me.lot.release(me.id);
  me = undefined;
}

/** What becomes of a wait. Called once, and by no code that could find the wait half-way. */
export interface Outcome<Result> {
  /**
   * It has ended.
   *
   * @param result With what.
   * @param over Whether it was told to give up before that.
   */
  end(result: Result, over: boolean): void;
  /** Its memory is gone. */
  fail(error: unknown): void;
}

/** A wait under the id of {@linkcode borrowWaiter}, which the caller has borrowed for as long as it takes. */
export class AsyncWait<Result> {
  readonly #wait: Wait<Result>;
  readonly #outcome: Outcome<Result>;
  #over = false;
  #dueAt = 0;
  /** Whether the wait is at it: what it calls may come back here. */
  #isLooking = false;

  /**
   * @param wait The wait: not begun.
   * @param outcome The callbacks of the promise.
   */
  constructor(wait: Wait<Result>, outcome: Outcome<Result>) {
    this.#wait = wait;
    this.#outcome = outcome;
  }

  /** Begins it. It may end before this returns. */
  begin(): void {
    waits.add(this as AsyncWait<unknown>);
    this.#goOn();
  }

  /** Ends it as soon as can be: now, unless it was promised something that has yet to come. */
  giveUp(): void {
    this.#over = true;
    this.#goOn();
  }

  /** Ends it now, because its memory is about to go, or its thread to sleep. */
  end(): void {
    this.#over = true;
    // What it was promised comes at once.
    while (!this.#isLooking && !this.look(Infinity));
  }

  /** When it has to look again. */
  get dueAt(): number {
    return this.#dueAt;
  }

  /**
   * Looks for what it waits for.
   *
   * @param now The time; it does nothing before it is due.
   * @returns Whether it has ended.
   */
  look(now: number): boolean {
    if (!waits.has(this as AsyncWait<unknown>)) return true;
    if (this.#isLooking || now < this.#dueAt) return false;
    const over = this.#over;
    let step: IteratorResult<number, Result>;
    this.#isLooking = true;
    try {
      step = this.#wait.next(over);
    } catch (error) {
      this.#leave();
      this.#outcome.fail(error);
      return true;
    } finally {
      this.#isLooking = false;
    }
    if (step.done === true) {
      this.#leave();
      this.#outcome.end(step.value, this.#over);
      return true;
    }
    // Where it was told to give up meanwhile, it looks again at once.
    this.#dueAt = this.#over === over ? performance.now() + Math.min(step.value, SLICE_MS) : 0;
    return false;
  }

  #goOn(): void {
    if (!this.look(Infinity)) wakeBy(this.#dueAt);
  }

  #leave(): void {
    waits.delete(this as AsyncWait<unknown>);
    // The driver lets go of the id.
    if (waits.size === 0) wakeBy(-Infinity);
  }
}

/** Sees to it that the waits are looked at again by a time. */
function wakeBy(time: number): void {
  if (driving) {
    if (time < wakesAt) me?.lot.unpark(me.id);
  } else if (waits.size > 0) {
    driving = true;
    void drive();
  }
}

async function drive(): Promise<void> {
  const { lot, id } = borrowWaiter();
  while (waits.size > 0) {
    wakesAt = Infinity;
    for (const { dueAt } of waits) if (dueAt < wakesAt) wakesAt = dueAt;
    const isWoken = await lot.parkAsync(id, Math.max(0, wakesAt - performance.now()));
    // What begins or is due from now on is seen by the next round.
    wakesAt = -Infinity;
    const now = isWoken ? Infinity : performance.now();
    for (const wait of [...waits]) wait.look(now);
  }
  driving = false;
  returnWaiter();
}
