/**
 * Fork and join: workers that run tasks, put tasks of their own in their deques, steal those of others, and wait for what
 * was stolen.
 *
 * ```
 *   line 0       | caller | stop |                          muster.ts
 *   line 1       | root | low | high | idle |               idle: how many workers look for work, or sleep
 *   then for each worker
 *     a line     | id | victim | asleep |
 *     a deque                                               of records of 16 words, deque_core.ts
 *     cells      | state | thief | low | high |             one for each fork that has not been joined
 *
 *   root     0: nobody runs the first task yet | 1 + w: worker w does
 *   victim   1 + the worker that the worker steals from at this moment; 0
 *   asleep   1: the worker is about to sleep, or sleeps, because it has found nothing; who wakes it sets 0
 *   state    0: pending | 1: pending, and the worker that joins it is about to sleep | 2: done
 *   thief    1 + the worker that has stolen it; 0
 *   low, high   the result
 * ```
 *
 * A record is a task: the number of its function, of its arguments, its cell (in the worker whose deque it is in), and up to
 * six numbers. The cells of a worker are a stack, as its calls are: a fork takes the next one, and gives it back when it has
 * been joined.
 *
 * **Fork** clears the cell, pushes the record, and wakes a worker if one is idle. It looks at `idle` after its push; a
 * worker counts itself idle and looks at the deques after that: one sees the other. A thief that leaves something in a deque
 * wakes the next worker, so that a fork wakes one and no more.
 *
 * **Join** pops. If the record is there, nobody else has it. If not, it was stolen, and so was all that is older, so the
 * deque is empty: the worker then steals from the thief alone and runs that (leapfrogging: what it finds there comes from
 * the task that it waits for, so that its stack grows no higher than without thieves), and sleeps when there is nothing.
 * It says in `state` that it is about to sleep; the thief writes its result, exchanges `state`, and sees that.
 *
 * **Death.** A thief that dies with a task has its number in the cell, or it dies before it has written that. So a worker
 * that steals says from whom, before it steals and until the cell has its number: when the deque is empty, the cell has no
 * thief, and no worker that lives steals from here, then one has died with the record. Whoever joins it stops it all. The
 * same holds for the worker that runs the first task, for which the caller waits. What a dead worker has forked may be
 * stolen and run; nobody waits for it, and its cells are in memory that nobody else uses: a worker that died never comes
 * back. A worker that was woken and dies before it has stolen leaves the record to its owner.
 *
 * **The end** is that of `muster.ts`: the first task is done, or something stopped it, and no worker that lives is inside.
 * A task joins all that it has forked before it returns, so that nothing runs when the first one is done.
 *
 * Costs: fork two plain stores, those of a push, and a load; join those of a pop. No wait, no lock.
 *
 * What is in the words decides about nothing but answers: records come with numbers that are masked or checked by whoever
 * runs them.
 *
 * Blumofe and Leiserson, "Scheduling multithreaded computations by work stealing" (1999); Wagner and Calder,
 * "Leapfrogging: a portable technique for implementing efficient futures" (1993).
 *
 * @module
 */
import { DequeCore, DONE, LOST } from "../../structs/deques/deque_core.ts";
import { loadShared } from "../../wait/loads.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";
import {
  ABORTED,
  DIED,
  enter,
  FINISHED,
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

const ROOT = MUSTER_WORDS;
const ROOT_LOW = ROOT + 1;
const ROOT_HIGH = ROOT + 2;
const IDLE = ROOT + 3;
const WORKERS = ROOT + LINE_WORDS;

// In a worker's line, behind its id.
const VICTIM = 1;
const ASLEEP = 2;

// In a cell.
const STATE = 0;
const THIEF = 1;
const LOW = 2;
const HIGH = 3;
const CELL_WORDS = 4;

const PENDING = 0;
const SLEEPING = 1;
const READY = 2;

/** 32-bit words of a task. */
export const RECORD_WORDS = 16;
/** In a record: the number of the function. */
export const FUNCTION = 0;
/** In a record: how many arguments it has. */
export const COUNT = 1;
/** In a record: the cell. */
export const CELL = 2;
/** In a record: the first argument, a number of two words. */
export const ARGS = 4;

/** How long a worker sleeps that waits for a task: it may have to help with another one. */
const JOIN_SLICE_MS = 2;

/** How much there is of each. */
export interface ForkShape {
  /** The number of workers. */
  readonly workers: number;
  /** Records that a deque has room for: a power of two. */
  readonly capacity: number;
  /** Forks of a worker that have not been joined: a power of two. */
  readonly cells: number;
}

function align(words: number): number {
  return Math.ceil(words / LINE_WORDS) * LINE_WORDS;
}

/** Words of a worker. */
function strideOf({ capacity, cells }: ForkShape): number {
  return LINE_WORDS + align(DequeCore.words(capacity, RECORD_WORDS)) + align(cells * CELL_WORDS);
}

/** The algorithm of fork and join. A thread has one of its own for each computation. */
export class ForkCore {
  readonly #words: Int32Array;
  readonly #muster: MusterWords;
  readonly #deques: readonly DequeCore[];
  readonly #workers: number;
  readonly #stride: number;
  readonly #cellsAt: number;
  readonly #cells: number;
  #worker = 0;
  #line = 0;
  #mine = 0;

  /**
   * @param words Its memory: zero at first.
   * @param shape How much there is of each.
   */
  constructor(words: Int32Array, shape: ForkShape) {
    const { workers, capacity, cells } = shape;
    const deque = DequeCore.words(capacity, RECORD_WORDS);
    this.#words = words;
    this.#workers = workers;
    this.#stride = strideOf(shape);
    this.#cellsAt = WORKERS + LINE_WORDS + align(deque);
    this.#cells = cells;
    this.#muster = { words, lines: WORKERS, stride: this.#stride, workers };
    this.#deques = Array.from({ length: workers }, (_, worker) => {
      const at = WORKERS + worker * this.#stride + LINE_WORDS;
      return new DequeCore(words.subarray(at, at + deque), capacity, RECORD_WORDS);
    });
  }

  /**
   * The words that one takes.
   *
   * @param shape How much there is of each.
   * @returns 32-bit words.
   */
  static words(shape: ForkShape): number {
    return WORKERS + shape.workers * strideOf(shape);
  }

  /** See `muster.ts`. */
  open(me: Waiter): void {
    open(this.#muster, me);
  }

  /**
   * Goes in, as a worker.
   *
   * @param me The calling thread.
   * @param worker The worker's index.
   * @returns False when it was stopped; then the worker is not inside.
   */
  enter(me: Waiter, worker: number): boolean {
    if (!enter(this.#muster, me, worker)) return false;
    this.#worker = worker;
    this.#line = WORKERS + worker * this.#stride;
    this.#mine = this.#cellsAt + worker * this.#stride;
    this.#dequeOf(worker).claim(me);
    return true;
  }

  /** See `muster.ts`. */
  leave(me: Waiter): void {
    leave(this.#muster, me, this.#worker);
  }

  /**
   * Stops it, unless it was stopped before, and wakes all workers that sleep.
   *
   * @param me The calling thread.
   * @param reason One of those in `muster.ts`.
   * @returns The reason that counts.
   */
  end(me: Waiter, reason: number): number {
    const found = this.stop(reason);
    for (let worker = 0; worker < this.#workers; worker++) {
      const id = idOf(this.#muster, worker);
      if (id !== 0 && id !== me.id) me.unpark(id);
    }
    return found;
  }

  /** See `muster.ts`. Workers that sleep find it when they look. */
  stop(reason: number): number {
    return stop(this.#muster, reason);
  }

  /** See `muster.ts`. */
  stopped(): number {
    return stopped(this.#muster);
  }

  /** Whether it goes on, perhaps as it was a moment ago. */
  goesOn(): boolean {
    return goesOn(this.#muster);
  }

  /**
   * Whether this worker is to run the first task. For one that is inside.
   *
   * @returns True for one worker.
   */
  takeRoot(): boolean {
    return Atomics.compareExchange(this.#words, ROOT, 0, this.#worker + 1) === 0;
  }

  /**
   * The first task is done.
   *
   * @param me The calling thread, which has run it.
   * @param low The result's words.
   * @param high The result's words.
   */
  finishRoot(me: Waiter, low: number, high: number): void {
    const words = this.#words;
    words[ROOT_LOW] = low;
    words[ROOT_HIGH] = high;
    this.end(me, FINISHED);
  }

  /**
   * Forks a task.
   *
   * @param me The calling thread.
   * @param record The task. Its cell is the worker's, and free.
   * @returns False when there is no room for it: it is to be run at once.
   */
  fork(me: Waiter, record: Int32Array): boolean {
    const words = this.#words;
    const at = this.#mine + ((record[CELL] as number) & (this.#cells - 1)) * CELL_WORDS;
    // Whoever steals the record sees these.
    words[at + STATE] = PENDING;
    words[at + THIEF] = 0;
    if (this.#dequeOf(this.#worker).push(me, record) !== DONE) return false;
    if (loadShared(words, IDLE) !== 0) this.#wakeOne(me);
    return true;
  }

  /**
   * Takes the task back that this worker forked last, unless it was stolen.
   *
   * @param me The calling thread.
   * @param record Where it goes.
   * @returns Whether there is one.
   */
  pop(me: Waiter, record: Int32Array): boolean {
    return this.#dequeOf(this.#worker).pop(me, record) === DONE;
  }

  /**
   * Steals the oldest task of a worker.
   *
   * @param me The calling thread.
   * @param victim The worker's index: not this one.
   * @param record Where it goes.
   * @returns Whether there is one; it is to be given to {@linkcode ForkCore.complete} once it is done.
   */
  steal(me: Waiter, victim: number, record: Int32Array): boolean {
    const words = this.#words;
    const deque = this.#dequeOf(victim);
    if (deque.length() === 0) return false;
    Atomics.store(words, this.#line + VICTIM, victim + 1);
    let done = deque.steal(record);
    // Somebody was faster, and there may be more.
    for (let tries = 0; done === LOST && tries < this.#workers; tries++) done = deque.steal(record);
    if (done === DONE) {
      Atomics.store(words, this.#cellOf(victim, record[CELL] as number) + THIEF, this.#worker + 1);
    }
    Atomics.store(words, this.#line + VICTIM, 0);
    if (done !== DONE) return false;
    if (loadShared(words, IDLE) !== 0 && deque.length() > 0) this.#wakeOne(me);
    return true;
  }

  /**
   * Says that a stolen task is done.
   *
   * @param me The calling thread, which has stolen it.
   * @param victim From whom.
   * @param cell Its cell, as its record says.
   * @param low The result's words.
   * @param high The result's words.
   */
  complete(me: Waiter, victim: number, cell: number, low: number, high: number): void {
    const words = this.#words;
    const at = this.#cellOf(victim, cell);
    words[at + LOW] = low;
    words[at + HIGH] = high;
    if (Atomics.exchange(words, at + STATE, READY) !== SLEEPING) return;
    me.unpark(idOf(this.#muster, victim));
  }

  /**
   * Whether a task that was stolen from this worker is done.
   *
   * @param cell Its cell.
   * @returns If so, {@linkcode ForkCore.low} and {@linkcode ForkCore.high} are its result.
   */
  isReady(cell: number): boolean {
    return loadShared(this.#words, this.#cellOf(this.#worker, cell) + STATE) === READY;
  }

  /** A word of the result of a task that is done. */
  low(cell: number): number {
    return this.#words[this.#cellOf(this.#worker, cell) + LOW] as number;
  }

  /** A word of the result of a task that is done. */
  high(cell: number): number {
    return this.#words[this.#cellOf(this.#worker, cell) + HIGH] as number;
  }

  /**
   * The worker that has stolen a task from this one.
   *
   * @param cell Its cell.
   * @returns Its index; -1 when it has not said so yet.
   */
  thiefOf(cell: number): number {
    const thief = Atomics.load(this.#words, this.#cellOf(this.#worker, cell) + THIEF) - 1;
    return thief < this.#workers && thief !== this.#worker ? thief : -1;
  }

  /**
   * Looks whether a task that was stolen from this worker, whose deque is empty, died with its thief.
   *
   * @param me The calling thread.
   * @param cell Its cell.
   * @returns The index of the thief; -1 when it lives, or the task is done.
   */
  lostTo(me: Waiter, cell: number): number {
    let thief = this.thiefOf(cell);
    if (thief < 0) {
      let suspect = -1;
      for (let worker = 0; worker < this.#workers; worker++) {
        const at = WORKERS + worker * this.#stride + VICTIM;
        if (Atomics.load(this.#words, at) !== this.#worker + 1) continue;
        if (!this.#isDead(me, worker)) return -1;
        suspect = worker;
      }
      thief = this.thiefOf(cell);
      if (thief < 0) return suspect;
    }
    if (!this.#isDead(me, thief)) return -1;
    return this.isReady(cell) ? -1 : thief;
  }

  /**
   * Sleeps until a task that was stolen from this worker is done, or for a moment.
   *
   * @param cell Its cell.
   * @returns False when told to give up.
   */
  *sleep(cell: number): Wait<boolean> {
    const words = this.#words;
    const at = this.#cellOf(this.#worker, cell) + STATE;
    if (Atomics.compareExchange(words, at, PENDING, SLEEPING) !== PENDING) return true;
    let over = false;
    if (this.stopped() === GOING) over = yield JOIN_SLICE_MS;
    Atomics.compareExchange(words, at, SLEEPING, PENDING);
    return !over;
  }

  /**
   * Sleeps until there may be something to steal, or it was stopped, or for a moment.
   *
   * @returns False when told to give up.
   */
  *idle(): Wait<boolean> {
    const words = this.#words;
    Atomics.store(words, this.#line + ASLEEP, 1);
    Atomics.add(words, IDLE, 1);
    let over = false;
    if (!this.#hasWork()) over = yield SLICE_MS;
    Atomics.store(words, this.#line + ASLEEP, 0);
    Atomics.sub(words, IDLE, 1);
    return !over;
  }

  /**
   * Looks whether it is over, and stops it when the worker has died that runs the first task. For the caller.
   *
   * @param me The thread that called.
   * @returns True when nothing runs any more from now on.
   */
  isOver(me: Waiter): boolean {
    const root = Atomics.load(this.#words, ROOT) - 1;
    if (root >= 0 && root < this.#workers && this.stopped() === GOING) {
      // It may be done, and gone, since then.
      if (this.#isDead(me, root)) this.end(me, DIED - root);
    }
    return this.stopped() !== GOING && !isInside(this.#muster, me);
  }

  /**
   * Waits until it is over.
   *
   * @param me The thread that called.
   * @returns Whether there is a result: {@linkcode ForkCore.rootLow} and {@linkcode ForkCore.rootHigh}. When told to give
   * up, it aborts the tasks, and waits for their end.
   */
  *wait(me: Waiter): Wait<boolean> {
    for (let over = false;; over = yield SLICE_MS) {
      if (over) this.end(me, ABORTED);
      if (this.isOver(me)) return this.stopped() === FINISHED;
    }
  }

  /** A word of the result. */
  rootLow(): number {
    return this.#words[ROOT_LOW] as number;
  }

  /** A word of the result. */
  rootHigh(): number {
    return this.#words[ROOT_HIGH] as number;
  }

  /** Whether there is something to steal, or nothing will come any more. */
  #hasWork(): boolean {
    if (this.stopped() !== GOING) return true;
    for (let worker = 0; worker < this.#workers; worker++) {
      if (worker !== this.#worker && this.#dequeOf(worker).length() > 0) return true;
    }
    return false;
  }

  /** Wakes an idle worker that lives. */
  #wakeOne(me: Waiter): void {
    const words = this.#words;
    for (let turn = 1; turn < this.#workers; turn++) {
      const worker = (this.#worker + turn) % this.#workers;
      const at = WORKERS + worker * this.#stride + ASLEEP;
      if (loadShared(words, at) === 0) continue;
      if (this.#isDead(me, worker) || Atomics.compareExchange(words, at, 1, 0) !== 1) continue;
      return me.unpark(idOf(this.#muster, worker));
    }
  }

  /** Whether a worker has died inside. */
  #isDead(me: Waiter, worker: number): boolean {
    const id = idOf(this.#muster, worker);
    return id !== 0 && !me.alive(id);
  }

  #dequeOf(worker: number): DequeCore {
    return this.#deques[worker] as DequeCore;
  }

  #cellOf(worker: number, cell: number): number {
    return this.#cellsAt + worker * this.#stride + (cell & (this.#cells - 1)) * CELL_WORDS;
  }
}
