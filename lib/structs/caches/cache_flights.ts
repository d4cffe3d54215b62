/**
 * Which thread computes what in a shard, and which ones wait for it. `cache_core.ts` says why each of them is woken.
 *
 * @module
 */
import { ID_MASK, type Waiter } from "../../wait/waiter.ts";
import { type CacheLayout, FLIGHT_WORDS, FLIGHTS, FLIGHTS_AT } from "./cache_table.ts";

/** Another thread computes the value. */
export const BUSY = 0;
/** It is the one that computes. */
export const MINE = 1;
/** There are too many computations to remember this one. */
export const FULL = 2;

/** The flights of a part's shards, and its bells. */
export class Flights {
  readonly #words: Int32Array;
  readonly #bellsAt: number;
  readonly #bells: number;

  /**
   * @param words The part's words.
   * @param layout Where everything is.
   */
  constructor(words: Int32Array, { bellsAt, bells }: CacheLayout) {
    this.#words = words;
    this.#bellsAt = bellsAt;
    this.#bells = bells;
  }

  /**
   * Takes the flight of a hash, in a shard that this thread has locked.
   *
   * @param me The calling thread.
   * @param owner Its id, as one that computes.
   * @param base The shard.
   * @param hash The hash.
   * @returns {@linkcode MINE}, {@linkcode BUSY} or {@linkcode FULL}.
   */
  claim(me: Waiter, owner: number, base: number, hash: number): number {
    const words = this.#words;
    let free = 0;
    for (let flight = 0; flight < FLIGHTS; flight++) {
      const at = base + FLIGHTS_AT + flight * FLIGHT_WORDS;
      const holder = Atomics.load(words, at);
      if (holder === 0 || !me.alive(holder & ID_MASK)) free = at;
      else if (words[at + 1] === hash) return BUSY;
    }
    if (free === 0) return FULL;
    words[free + 1] = hash;
    Atomics.store(words, free, owner);
    return MINE;
  }

  /**
   * Ends the flights of a hash that a thread has, and wakes all that wait.
   *
   * @param me The calling thread, which need not have locked anything.
   * @param owner Its id, as one that computes.
   * @param base The shard.
   * @param hash The hash.
   */
  land(me: Waiter, owner: number, base: number, hash: number): void {
    const words = this.#words;
    for (let flight = 0; flight < FLIGHTS; flight++) {
      const at = base + FLIGHTS_AT + flight * FLIGHT_WORDS;
      if (words[at + 1] === hash) Atomics.compareExchange(words, at, owner, 0);
    }
    for (let bell = 0; bell < this.#bells; bell++) {
      const id = Atomics.load(words, this.#bellsAt + bell) & ID_MASK;
      if (id !== 0) me.unpark(id);
    }
  }

  /**
   * Has a thread's waits woken.
   *
   * @param me The waits.
   */
  listen(me: Waiter): void {
    Atomics.store(this.#words, this.#bellsAt + me.slot, me.id);
  }

  /**
   * Ends that.
   *
   * @param me The waits.
   */
  muffle(me: Waiter): void {
    Atomics.compareExchange(this.#words, this.#bellsAt + me.slot, me.id, 0);
  }
}
