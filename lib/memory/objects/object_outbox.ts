/**
 * How objects that another thread freed travel to their owner: linked through their states, in batches.
 *
 * @module
 */
import { ALLOCATED, OUTGOING_COUNT, outgoingAt, remoteAt } from "./object_layout.ts";

/** Objects of others that a thread collects before it sends them to their owner. */
export const BATCH = 32;

/** The outgoing batches of one thread: a few, so that destinations that come in turn do not cut them short. */
export class Outbox {
  readonly #words: Int32Array;
  /** Index of the state of the object whose link (id + 1) is 0. */
  readonly #before: number;
  readonly #objects: number;
  /** Of the batches: to whom (record + 1), links to the first and the last object, and how many. */
  readonly #destinations: Int32Array = new Int32Array(OUTGOING_COUNT);
  readonly #firsts: Int32Array = new Int32Array(OUTGOING_COUNT);
  readonly #lasts: Int32Array = new Int32Array(OUTGOING_COUNT);
  readonly #counts: Int32Array = new Int32Array(OUTGOING_COUNT);

  /**
   * Begins with empty batches.
   *
   * @param words The bookkeeping of the heap.
   * @param states Where in it the states begin.
   * @param objects How many objects there are.
   */
  constructor(words: Int32Array, states: number, objects: number) {
    this.#words = words;
    this.#before = states - 1;
    this.#objects = objects;
  }

  /**
   * Adds an object to the batch for its owner, and sends that when it is full.
   *
   * @param record The calling thread's record.
   * @param link To an allocated object.
   * @param owner Its owner: a record + 1.
   * @param atOnce Whether not to wait for more.
   */
  add(record: number, link: number, owner: number, atOnce: boolean): void {
    const slot = owner & (OUTGOING_COUNT - 1);
    if (this.#destinations[slot] !== owner) {
      this.#send(record, slot);
      this.#destinations[slot] = owner;
    }
    if (this.#counts[slot] === 0) this.#lasts[slot] = link;
    this.#words[this.#before + link] = ~(this.#firsts[slot] as number);
    // In shared memory, so that whoever takes over after this thread's death finds it.
    this.#words[outgoingAt(record) + slot] = link;
    this.#firsts[slot] = link;
    const count = (this.#counts[slot] as number) + 1;
    this.#counts[slot] = count;
    if (count === BATCH || atOnce) this.#send(record, slot);
  }

  /**
   * Sends all batches.
   *
   * @param record The calling thread's record.
   */
  flush(record: number): void {
    for (let slot = 0; slot < OUTGOING_COUNT; slot++) this.#send(record, slot);
  }

  /**
   * Pushes a list onto an owner's remote stack: Treiber's, but emptied only as a whole, so there is no ABA.
   *
   * @param owner A record + 1.
   * @param first Link to the first object.
   * @param last Link to the last one.
   */
  push(owner: number, first: number, last: number): void {
    let top = 0;
    for (;;) {
      // The first guess is an empty stack: then one atomic does.
      const seen = Atomics.compareExchange(this.#words, remoteAt(owner - 1), top, first);
      if (seen === top) return;
      // Only two threads freeing one object at the same moment can have changed it. Whose it is now nobody knows.
      if (!this.isOnItsWay(last)) return;
      this.#words[this.#before + last] = ~seen;
      top = seen;
    }
  }

  /**
   * Whether a link leads to an object that somebody freed for its owner.
   *
   * @param link Any number.
   */
  isOnItsWay(link: number): boolean {
    if (link <= 0 || link > this.#objects) return false;
    const state = this.#words[this.#before + link] as number;
    return state < 0 && state !== ALLOCATED;
  }

  #send(record: number, slot: number): void {
    if (this.#counts[slot] === 0) return;
    const first = this.#firsts[slot] as number;
    this.#counts[slot] = 0;
    this.#firsts[slot] = 0;
    // Before the push: a batch must never be found here when it has arrived already. A kill in between loses it.
    this.#words[outgoingAt(record) + slot] = 0;
    this.push(this.#destinations[slot] as number, first, this.#lasts[slot] as number);
  }
}
