/**
 * Which workers take part in a parallel computation, and how it ends: words that `LoopCore` and `ForkCore` have in common.
 *
 * ```
 *   line 0        | caller | stop |       all look at stop; it is written once
 *   the line of each worker
 *                 | id | …                the thread, from before its first look at stop to after all it does; 0 outside
 *
 *   caller  the id of the thread that waits
 *   stop    0 go on | 1 aborted | 2 abandoned: nobody is left that could work | 3 finished |
 *           4 + w: the function threw in worker w | -1 - w: worker w died with what it had taken
 * ```
 *
 * A worker says that it is inside, then looks at `stop`; the caller looks at the ids after `stop` was written. So one of the
 * two sees the other, and nothing runs any more when the caller goes on. A worker that leaves clears its id and then looks
 * for others that are inside and live: the last one that clears sees nobody, and wakes the caller. `stop` is written once:
 * the first reason counts. A worker that dies inside keeps its line.
 *
 * @module
 */
import { glance } from "../../wait/loads.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const CALLER = 0;
const STOP = 1;
/** In a worker's line: its thread. */
const ID = 0;

/** It goes on. */
export const GOING = 0;
/** It was aborted. */
export const ABORTED = 1;
/** Not all is done, and no worker is left to do it. */
export const ABANDONED = 2;
/** There is a result. */
export const FINISHED = 3;
/** Plus the worker in which the function threw. */
export const FAILED = 4;
/** Minus the worker that died. */
export const DIED: number = -1;

/** A caller looks this often even if nobody wakes it, in milliseconds. */
export const SLICE_MS = 20;

/** Where the words are. */
export interface MusterWords {
  /** All of them. */
  readonly words: Int32Array;
  /** Where the first worker's line begins. */
  readonly lines: number;
  /** From one worker's line to the next: a multiple of {@linkcode LINE_WORDS}. */
  readonly stride: number;
  /** The number of workers. */
  readonly workers: number;
}

/** The words before those of workers. */
export const MUSTER_WORDS: number = LINE_WORDS;

/**
 * Says who waits. Before any worker knows of it.
 *
 * @param muster The words.
 * @param me The thread that will wait.
 */
export function open({ words }: MusterWords, me: Waiter): void {
  Atomics.store(words, CALLER, me.id);
}

/**
 * Goes in, as a worker.
 *
 * @param muster The words.
 * @param me The calling thread.
 * @param worker The worker's index.
 * @returns False when it was stopped, or the worker has been inside and died; then it is not inside.
 */
export function enter(muster: MusterWords, me: Waiter, worker: number): boolean {
  const { words } = muster;
  const at = muster.lines + worker * muster.stride + ID;
  if (Atomics.compareExchange(words, at, 0, me.id) !== 0) return false;
  if (Atomics.load(words, STOP) === GOING) return true;
  leave(muster, me, worker);
  return false;
}

/**
 * Goes out.
 *
 * @param muster The words.
 * @param me The calling thread, which is inside.
 * @param worker The worker's index.
 */
export function leave(muster: MusterWords, me: Waiter, worker: number): void {
  const { words } = muster;
  Atomics.store(words, muster.lines + worker * muster.stride + ID, 0);
  // The last one that is out finds nobody.
  if (!isInside(muster, me)) me.unpark(Atomics.load(words, CALLER));
}

/**
 * Whether a worker that lives is inside.
 *
 * @param muster The words.
 * @param me The calling thread.
 * @returns Whether there is one.
 */
export function isInside(muster: MusterWords, me: Waiter): boolean {
  for (let worker = 0; worker < muster.workers; worker++) {
    const id = idOf(muster, worker);
    if (id !== 0 && me.alive(id)) return true;
  }
  return false;
}

/**
 * The thread of a worker.
 *
 * @param muster The words.
 * @param worker Its index.
 * @returns Its id; 0 when it is not inside. A thread that died inside is found here forever.
 */
export function idOf({ words, lines, stride }: MusterWords, worker: number): number {
  return Atomics.load(words, lines + worker * stride + ID);
}

/**
 * Stops it, unless it was stopped before. For any thread.
 *
 * @param muster The words.
 * @param reason Why.
 * @returns The reason that counts.
 */
export function stop({ words }: MusterWords, reason: number): number {
  const before = Atomics.compareExchange(words, STOP, GOING, reason);
  return before === GOING ? reason : before;
}

/**
 * Why it was stopped.
 *
 * @param muster The words.
 * @returns The reason; {@linkcode GOING} for none.
 */
export function stopped({ words }: MusterWords): number {
  return Atomics.load(words, STOP);
}

/**
 * The same, perhaps as it was a moment ago: for a worker that looks before each step.
 *
 * @param muster The words.
 * @returns Whether it goes on.
 */
export function goesOn({ words }: MusterWords): boolean {
  return glance(words, STOP) === GOING;
}
