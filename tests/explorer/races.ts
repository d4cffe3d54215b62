/**
 * Data races: plain accesses of two threads to a word, one of them a write, that no atomics put in order.
 *
 * Vector clocks. An atomic access to a word is ordered after the writes to it before; a thread that is unparked goes on
 * after what the one that unparked it did before.
 *
 * @module
 */

import { Violation } from "./ops.ts";

/** Clocks of the threads and words of one run. */
export class Clocks {
  readonly #threads: number;
  /** What each thread knows of each. */
  readonly #known: Int32Array;
  /** What who reads a word gets to know. */
  readonly #words: Int32Array;
  /** What who is unparked gets to know. */
  readonly #permits: Int32Array;
  /** Each thread's last plain read and write of a word, on its own clock; 0 for none. */
  readonly #reads: Int32Array;
  readonly #writes: Int32Array;

  constructor(threads: number, words: number) {
    this.#threads = threads;
    this.#known = new Int32Array(threads * threads);
    this.#permits = new Int32Array(threads * threads);
    this.#words = new Int32Array(threads * words);
    this.#reads = new Int32Array(threads * words);
    this.#writes = new Int32Array(threads * words);
    this.reset();
  }

  /** Before a run. */
  reset(): void {
    for (const clocks of [this.#known, this.#permits, this.#words, this.#reads, this.#writes]) {
      clocks.fill(0);
    }
    for (let thread = 0; thread < this.#threads; thread++) {
      this.#known[thread * (this.#threads + 1)] = 1;
    }
  }

  #join(to: Int32Array, at: number, from: Int32Array, start: number): void {
    for (let index = 0; index < this.#threads; index++) {
      const value = from[start + index] as number;
      if (value > (to[at + index] as number)) to[at + index] = value;
    }
  }

  /** An atomic access. */
  atomic(thread: number, word: number, reads: boolean, writes: boolean): void {
    const own = thread * this.#threads;
    const line = word * this.#threads;
    if (reads) this.#join(this.#known, own, this.#words, line);
    if (!writes) return;
    if (reads) this.#join(this.#words, line, this.#known, own);
    else {
      for (let index = 0; index < this.#threads; index++) {
        this.#words[line + index] = this.#known[own + index] as number;
      }
    }
    (this.#known[own + thread] as number)++;
  }

  /** One thread gives another a permit. */
  unpark(thread: number, other: number): void {
    const own = thread * this.#threads;
    this.#join(this.#permits, other * this.#threads, this.#known, own);
    (this.#known[own + thread] as number)++;
  }

  /** A thread finds another one dead: all that it did came before. */
  dead(thread: number, other: number): void {
    this.#join(this.#known, thread * this.#threads, this.#known, other * this.#threads);
  }

  /** A thread takes its permit. */
  park(thread: number): void {
    const own = thread * this.#threads;
    this.#join(this.#known, own, this.#permits, own);
  }

  /**
   * A plain access.
   *
   * @throws {Violation} When it is a race.
   */
  plain(thread: number, word: number, writes: boolean, name: (word: number) => string): void {
    const own = thread * this.#threads;
    const line = word * this.#threads;
    for (let other = 0; other < this.#threads; other++) {
      if (other === thread) continue;
      const known = this.#known[own + other] as number;
      const wrote = (this.#writes[line + other] as number) > known;
      if (wrote || (writes && (this.#reads[line + other] as number) > known)) {
        throw new Violation(
          `data race: thread ${thread} ${writes ? "writes" : "reads"} ${
            name(word)
          }, which thread ` +
            `${other} ${wrote ? "wrote" : "read"} without order`,
        );
      }
    }
    (writes ? this.#writes : this.#reads)[line + thread] = this.#known[own + thread] as number;
  }
}
