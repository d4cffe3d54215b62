/**
 * Which thread serves a partition, and whether a request is lost because it has died.
 *
 * ```
 *   line 1      | generation | owner |     how many owners have died, or lost a reply | the id of the thread that serves, 0 for nobody
 * ```
 *
 * A request bears the number of a generation: of the present one while its owner lives or nobody serves, and of the next
 * one when the owner is dead. Only an owner of that generation does it. So when a generation is over, each of its requests
 * was done or never will be, and who has sent it and has no reply can be told so. An owner that stops has replied to all
 * that it has taken; then the generation goes on. One that cannot send a reply ends the generation itself, so that who
 * awaits it does not wait in vain; requests of that generation that it has not done yet it does not do any more.
 *
 * The owner's word is taken with one compare-exchange, also from a dead thread. Only the owner writes the generation: right
 * after it has taken the word from a dead thread, and when a reply is lost. One that dies in between is a dead owner of the old generation.
 *
 * @module
 */
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const GENERATION: number = LINE_WORDS;
const OWNER: number = LINE_WORDS + 1;

/** Words of a partition's control region. */
export const TENURE_WORDS: number = 2 * LINE_WORDS;

/** Which thread serves a partition. */
export class Tenure {
  readonly #words: Int32Array;

  /** @param words The partition's control region. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /**
   * Becomes the owner, if there is none that lives.
   *
   * @param me The calling thread.
   * @returns Whether it is.
   */
  begin(me: Waiter): boolean {
    const words = this.#words;
    for (;;) {
      const owner = Atomics.load(words, OWNER);
      if (owner !== 0 && me.alive(owner)) return false;
      if (Atomics.compareExchange(words, OWNER, owner, me.id) !== owner) continue;
      if (owner !== 0) this.raise();
      return true;
    }
  }

  /**
   * Begins another generation. For the owner: requests of the old one that have no reply get none.
   *
   * @returns Its number.
   */
  raise(): number {
    const generation = (this.generation() + 1) | 0;
    Atomics.store(this.#words, GENERATION, generation);
    return generation;
  }

  /** Stops being the owner, which has replied to all that it has taken, or has begun another generation. */
  end(): void {
    Atomics.store(this.#words, OWNER, 0);
  }

  /**
   * The present generation.
   *
   * @returns Its number, modulo 2^32.
   */
  generation(): number {
    return Atomics.load(this.#words, GENERATION);
  }

  /**
   * The generation that does a request which is sent now.
   *
   * @param me The calling thread.
   * @returns Its number.
   */
  next(me: Waiter): number {
    const generation = this.generation();
    return this.#isDead(me) ? (generation + 1) | 0 : generation;
  }

  /**
   * Whether a request without a reply will never get one.
   *
   * @param me The calling thread.
   * @param generation The one that was to do it.
   * @returns Whether that is over.
   */
  isOver(me: Waiter, generation: number): boolean {
    const later = (this.generation() - generation) | 0;
    return later > 0 || (later === 0 && this.#isDead(me));
  }

  /**
   * Whether a living thread serves.
   *
   * @param me The calling thread.
   * @returns Whether one does.
   */
  isServed(me: Waiter): boolean {
    const owner = Atomics.load(this.#words, OWNER);
    return owner !== 0 && me.alive(owner);
  }

  #isDead(me: Waiter): boolean {
    const owner = Atomics.load(this.#words, OWNER);
    return owner !== 0 && !me.alive(owner);
  }
}
