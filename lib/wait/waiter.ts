/**
 * What a lock needs of the thread that uses it, and nothing of how that is done.
 *
 * An algorithm is written once and waits in any way: it asks its {@linkcode Waiter} to spin, and where spinning makes
 * no sense any more it yields. Its driver then blocks the thread (`block`), awaits (`blockAsync`) or, in tests, runs
 * some other thread (`tests/explorer`).
 *
 * @module
 */

/** A thread as a lock sees it; a wait that does not block the thread is one of its own. */
export interface Waiter {
  /**
   * Names it in lock words: 1 to 2^29 - 1. Not given to another thread before {@linkcode alive} has said false of it, and
   * long not after that.
   */
  readonly id: number;
  /** Dense, from 0; given to another thread once this one is gone. */
  readonly slot: number;
  /** Its L3 domain, from 0: threads of a domain pass cache lines to each other cheaply. */
  readonly domain: number;
  /**
   * Pauses for a moment in a loop that waits for another thread.
   *
   * @param round How often it has paused in this loop already.
   * @returns False when waiting this way makes no sense any more.
   */
  spin(round: number): boolean;
  /**
   * Makes another thread's next or current yield end. Wake-ups do not add up.
   *
   * @param id Its {@linkcode Waiter.id}. Nothing happens when it is gone.
   */
  unpark(id: number): void;
  /**
   * Whether a thread can still do anything.
   *
   * @param id Its {@linkcode Waiter.id}.
   * @returns False once its last line of code has run.
   */
  alive(id: number): boolean;
  /**
   * The time.
   *
   * @returns Milliseconds since some moment.
   */
  now(): number;
}

/**
 * The part of an algorithm that may sleep: a generator.
 *
 * It yields the longest time to sleep, in milliseconds, at most {@linkcode FOREVER}, and is resumed when somebody
 * unparks its waiter, when that time has passed, or for no reason: it has to look again at what it waits for. It is
 * resumed with true when the wait is over, whatever the outcome: it then either finds what it waited for or undoes what
 * it did, and returns.
 */
export type Wait<Result> = Generator<number, Result, boolean>;

/** Until somebody unparks. */
export const FOREVER: number = Infinity;

/** Bits of a {@linkcode Waiter.id}. */
export const ID_BITS = 29;
/** What of a word is a {@linkcode Waiter.id}. */
export const ID_MASK: number = (1 << ID_BITS) - 1;

/** 32-bit words of two cache lines: x86 prefetches lines in pairs, so what must not share a line is this far apart. */
export const LINE_WORDS = 32;
/** The same in bytes. */
export const LINE_BYTES: number = LINE_WORDS * 4;
