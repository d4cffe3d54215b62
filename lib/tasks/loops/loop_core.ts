/**
 * A parallel loop: workers take grains of it from counters, one for each home, and a caller waits until all are done.
 *
 * A home is a group of workers that share an L3 domain, and the grains whose data is near to it. A grain is a number; what
 * is to be done for it is up to the worker (`split.ts` makes indices of it). A loop has at most 2^30 grains, and indices
 * are no business of these words, so that a loop may go over any indices that numbers of JavaScript can tell apart.
 *
 * ```
 *   line 0       | caller | stop |                     muster.ts
 *   then a line for each worker
 *                | id | done | taken | home | first |  the worker's alone; the caller looks
 *   then a line for each home
 *                | next |                              grains that were given out
 *
 *   next    counted up by a take, also beyond the grains there are: whoever gets such a number knows that the home is empty
 *   done    grains that the worker has done; written when they are done
 *   taken   grains that it has taken. They are home's, taken - done of them from first on
 * ```
 *
 * **Take**: one `Atomics.add` on the home's counter. How many grains it takes is up to the worker; it gets what is there.
 * Every number is given out once, because the counter only grows, and it does not wrap: each worker counts beyond the end
 * once, by {@linkcode MAX_TAKE} at the most. When a home is empty the worker goes on to the next one in its order, and
 * never comes back.
 *
 * **Join**: the sum of all `done`. It reaches the number of grains when the last one is done and not before, because a
 * worker adds to it after its grains. It is no word that all count down, so that a chunk costs one contended operation and
 * no more.
 *
 * **The end.** The loop is over when all is done; or when it was stopped and no thread that lives is inside. The caller
 * adds up once more after that: the grains of a worker that left meanwhile are in the sum. What ends the loop, the last
 * grain or `stop`, was done before the last worker leaves, which wakes the caller, or is done by the caller's own thread:
 * no wake-up is lost.
 *
 * **Death.** A worker may die anywhere. Outside its grains nothing is lost: `taken` = `done`, and the others do the rest.
 * Between `taken` and `done` its grains are lost: the caller sees that as soon as the thread is dead, stops the loop, and
 * says which they were. Between the count and the store of `taken` it takes grains with it that nobody knows of; then the
 * others run out of grains, leave, and the sum is too small: whoever knows that no other thread comes any more stops the
 * loop (`ABANDONED`). The caller looks again after each slice, because nobody may be left that could wake it.
 *
 * What is in the words decides about nothing but which grains a worker does: a number that is out of range ends its part of
 * the loop, and no worker takes more grains than the loop has.
 *
 * Static division between nodes with stealing of chunks: Markatos and LeBlanc, "Using processor affinity in loop
 * scheduling" (1994). Smaller takes towards the end: Polychronopoulos and Kuck, "Guided self-scheduling" (1987).
 *
 * @module
 */
import { LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";
import {
  ABORTED,
  DIED,
  enter,
  goesOn,
  GOING,
  idOf,
  isInside,
  leave,
  MUSTER_WORDS,
  type MusterWords,
  open,
  SLICE_MS,
  stop,
  stopped,
} from "../crew/muster.ts";

// In a worker's line, behind its id.
const DONE = 1;
const TAKEN = 2;
const HOME = 3;
const FIRST = 4;

/** The most grains of a loop. */
export const MAX_GRAINS: number = 1 << 30;
/** The most grains that a take gives. */
export const MAX_TAKE: number = 1 << 16;
/** The most workers. */
export const MAX_WORKERS: number = 1 << 12;

/** What a loop is made of. */
export interface LoopShape {
  /** The grains of each home. */
  readonly grains: readonly number[];
  /** The number of workers. */
  readonly workers: number;
}

/** The algorithm of parallel loops. A thread has one of its own for each loop. */
export class LoopCore {
  readonly #words: Int32Array;
  readonly #muster: MusterWords;
  readonly #grains: readonly number[];
  readonly #homes: number;
  readonly #total: number;
  readonly #workers: number;
  #worker = 0;
  /** Where it is in its order. */
  #at = 0;
  /** How far it has seen the counter of that home. */
  #seen = 0;
  #taken = 0;
  /** The home of the last take. */
  home = 0;
  /** The first grain of the last take. */
  first = 0;

  /**
   * @param words Its memory: zero at first.
   * @param shape Grains and workers.
   */
  constructor(words: Int32Array, { grains, workers }: LoopShape) {
    this.#words = words;
    this.#muster = { words, lines: MUSTER_WORDS, stride: LINE_WORDS, workers };
    this.#grains = grains;
    this.#workers = workers;
    this.#homes = MUSTER_WORDS + workers * LINE_WORDS;
    let total = 0;
    for (const count of grains) total += count;
    this.#total = total;
  }

  /**
   * The words that one takes.
   *
   * @param shape Grains and workers.
   * @returns 32-bit words.
   */
  static words({ grains, workers }: LoopShape): number {
    return MUSTER_WORDS + (grains.length + workers) * LINE_WORDS;
  }

  /**
   * Says who waits. Before any worker knows of the loop.
   *
   * @param me The thread that will wait.
   */
  open(me: Waiter): void {
    open(this.#muster, me);
  }

  /**
   * Goes in, as a worker.
   *
   * @param me The calling thread.
   * @param worker The worker's index.
   * @returns False when the loop was stopped; then the worker is not inside.
   */
  enter(me: Waiter, worker: number): boolean {
    this.#worker = worker;
    return enter(this.#muster, me, worker);
  }

  /**
   * Takes grains: from the first home in the worker's order that has some. {@linkcode LoopCore.home} and
   * {@linkcode LoopCore.first} say which. For a worker that is inside and has done what it took before.
   *
   * @param order The homes, the nearest first: the same at each call.
   * @param want How many it would like, from 1 to {@linkcode MAX_TAKE}.
   * @param share The part of what is left in the home that it takes at most: one in so many.
   * @returns How many it has got: 0 when there are none, or when the loop was stopped.
   */
  take(order: readonly number[], want: number, share: number): number {
    const words = this.#words;
    if (!goesOn(this.#muster)) return 0;
    while (this.#at < order.length) {
      const home = order[this.#at] as number;
      const grains = this.#grains[home] as number;
      const most = Math.max(1, Math.floor((grains - this.#seen) / share)) | 0;
      const ask = want < most ? want : most;
      const first = Atomics.add(words, this.#homes + home * LINE_WORDS, ask);
      if (first >= 0 && first < grains) {
        const left = grains - first;
        const got = ask < left ? ask : left;
        // More than there are: the words are not what this algorithm wrote.
        if (got > this.#total - this.#taken) return 0;
        this.#seen = first + got;
        this.#taken += got;
        this.home = home;
        this.first = first;
        const line = this.#lineOf(this.#worker);
        words[line + HOME] = home;
        words[line + FIRST] = first;
        words[line + TAKEN] = this.#taken;
        return got;
      }
      this.#at++;
      this.#seen = 0;
    }
    return 0;
  }

  /** Says that what was taken is done. */
  finish(): void {
    Atomics.store(this.#words, this.#lineOf(this.#worker) + DONE, this.#taken);
  }

  /**
   * Goes out. What has been taken is done, or the loop was stopped.
   *
   * @param me The calling thread.
   */
  leave(me: Waiter): void {
    leave(this.#muster, me, this.#worker);
  }

  /**
   * Stops the loop, unless it was stopped before. For any thread.
   *
   * @param reason One of those in `muster.ts`.
   * @returns The reason that counts.
   */
  stop(reason: number): number {
    return stop(this.#muster, reason);
  }

  /**
   * Why it was stopped.
   *
   * @returns The reason; `GOING` for none.
   */
  stopped(): number {
    return stopped(this.#muster);
  }

  /**
   * How many grains are done. For any thread.
   *
   * @returns The number at some moment.
   */
  done(): number {
    let sum = 0;
    for (let worker = 0; worker < this.#workers; worker++) {
      sum += Atomics.load(this.#words, this.#lineOf(worker) + DONE);
    }
    return sum;
  }

  /**
   * What a worker has taken and not done, when it has died.
   *
   * @param worker Its index.
   * @returns Home, first grain and number.
   */
  lost(worker: number): { home: number; first: number; count: number } {
    const words = this.#words;
    const line = this.#lineOf(worker);
    const done = Atomics.load(words, line + DONE);
    return {
      home: words[line + HOME] as number,
      first: words[line + FIRST] as number,
      count: (words[line + TAKEN] as number) - done,
    };
  }

  /**
   * Looks whether it is over, and stops it when a worker has died in the middle of its grains. For the caller.
   *
   * @param me The thread that called.
   * @returns True when no grain is done any more from now on.
   */
  isOver(me: Waiter): boolean {
    for (let worker = 0; worker < this.#workers; worker++) {
      const id = idOf(this.#muster, worker);
      if (id === 0 || me.alive(id)) continue;
      if (this.lost(worker).count !== 0) this.stop(DIED - worker);
    }
    const isStopped = this.stopped() !== GOING;
    const isBusy = isInside(this.#muster, me);
    return this.done() === this.#total || (isStopped && !isBusy);
  }

  /**
   * Waits until it is over.
   *
   * @param me The thread that called.
   * @returns Whether all is done. Otherwise it was stopped. When told to give up, it aborts the loop, and waits for its end.
   */
  *wait(me: Waiter): Wait<boolean> {
    for (let over = false;; over = yield SLICE_MS) {
      if (over) this.stop(ABORTED);
      if (this.isOver(me)) return this.done() === this.#total;
    }
  }

  #lineOf(worker: number): number {
    return MUSTER_WORDS + worker * LINE_WORDS;
  }
}
