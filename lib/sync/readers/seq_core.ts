/**
 * A sequence lock over a small record: readers write nothing, and no writer that stands still can hold them up.
 *
 * ```
 *   word 0   | version | writer | copy 0: `size` words | copy 1: `size` words |     up to 15 words each in one line
 *
 *   version  wraps; the record is in copy version & 1
 *   writer   bits 0-28 the id of who writes, 0 for nobody
 * ```
 *
 * A writer fills the copy that is not current, then counts the version up. A reader takes the version, the copy it
 * names, and the version again: the same one means that this copy was not written meanwhile, because that only begins
 * after the next version is out. So a read fails only when a whole write was *completed* during it; a writer that was
 * preempted or killed half-way has touched nothing that anybody reads, and the next writer starts over. There is
 * nothing to repair and nothing is ever poisoned. (With one copy and an odd version for "being written" readers spin
 * while the writer sleeps, and a killed one leaves half a record behind.)
 *
 * A plain load of a word may be moved behind the second look at the version: by the memory model, by compilers, and by
 * arm64 processors. So the words are read with `Atomics`; on x64 with plain loads between two looks at the version, over
 * which no load is moved (`loads.ts`). The words' places depend on what the first look found.
 *
 * Writers exclude each other with `writer`. They hold it for some hundred nanoseconds, so who finds it taken naps for
 * a millisecond after spinning, and nobody is ever woken. A read that failed {@linkcode READ_TRIES} times should take
 * the writers' side and read there: then it cannot fail.
 *
 * Wrap-around: a read that sleeps for exactly 2^32 writes would take a torn record for a whole one.
 *
 * After Linux' seqcount_latch and Lamport's "Concurrent reading and writing" (1977). Read: two looks at the
 * version and a load for each word; nothing shared is written. Write: 4 atomics and one for each word. Readers lock-free,
 * writers robust and abortable, not fair. Use it for records of up to 64 bytes that are read often: times, totals, routes. Not for what is larger, nor for offsets
 * that are followed before the read has succeeded.
 *
 * @module
 */
import type { LockCore } from "../locks/lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { loadFollowing, loadShared } from "../../wait/loads.ts";
import { ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

/** The most 32-bit words of a record. */
export const MAX_RECORD_WORDS = 16;
/** How often a read begins again. */
export const READ_TRIES = 8;

const VERSION = 0;
const WRITER = 1;
const COPIES = 2;

/** Between two looks of a writer, in milliseconds. */
const NAP_MS = 1;

/** The algorithm of `SeqLock`. As a lock it is the writers' one. */
export class SeqCore implements LockCore {
  /** 32-bit words of the record. */
  readonly size: number;
  readonly #words: Int32Array;

  /**
   * @param words Its memory: zero at first, and so is the record.
   * @param _shape The number of threads and domains; it does not matter.
   * @param size 32-bit words of the record, up to {@linkcode MAX_RECORD_WORDS}.
   */
  constructor(words: Int32Array, _shape: Shape, size: number) {
    this.#words = words;
    this.size = size;
  }

  /**
   * The words that one takes.
   *
   * @param _shape The number of threads and domains; it does not matter.
   * @param size 32-bit words of the record.
   * @returns 32-bit words.
   */
  static words(_shape: Shape, size: number): number {
    return Math.ceil((COPIES + 2 * size) / LINE_WORDS) * LINE_WORDS;
  }

  /**
   * Reads the record.
   *
   * @param out Where to put it; holds anything when the read has failed.
   * @returns False when writers came in between every time. Not while the caller holds the writers' lock.
   */
  read(out: Int32Array): boolean {
    const words = this.#words;
    const size = this.size;
    let version = loadShared(words, VERSION);
    for (let round = 0; round < READ_TRIES; round++) {
      const copy = COPIES + (version & 1) * size;
      for (let word = 0; word < size; word++) out[word] = loadFollowing(words, copy + word);
      const after = loadShared(words, VERSION);
      if (after === version) return true;
      version = after;
    }
    return false;
  }

  /**
   * Replaces the record. Only for who holds the lock.
   *
   * @param values Its words.
   */
  write(values: ArrayLike<number>): void {
    const words = this.#words;
    const size = this.size;
    const next = (Atomics.load(words, VERSION) + 1) | 0;
    const copy = COPIES + (next & 1) * size;
    for (let word = 0; word < size; word++) {
      Atomics.store(words, copy + word, values[word] as number);
    }
    Atomics.store(words, VERSION, next);
  }

  tryAcquire(me: Waiter): boolean {
    const words = this.#words;
    let writer = Atomics.compareExchange(words, WRITER, 0, me.id);
    while (writer !== 0) {
      if (me.alive(writer & ID_MASK)) return false;
      const found = Atomics.compareExchange(words, WRITER, writer, me.id);
      if (found === writer) return true;
      writer = found === 0 ? Atomics.compareExchange(words, WRITER, 0, me.id) : found;
    }
    return true;
  }

  begin(me: Waiter): boolean {
    if (this.tryAcquire(me)) return true;
    for (let round = 0; me.spin(round); round++) {
      if (loadShared(this.#words, WRITER) === 0 && this.tryAcquire(me)) return true;
    }
    return false;
  }

  *wait(me: Waiter): Wait<boolean> {
    for (let over = false;;) {
      if (this.tryAcquire(me)) return true;
      if (over) return false;
      over = yield NAP_MS;
    }
  }

  release(me: Waiter): boolean {
    return Atomics.compareExchange(this.#words, WRITER, me.id, 0) === me.id;
  }

  holds(me: Waiter): boolean {
    return Atomics.load(this.#words, WRITER) === me.id;
  }
}
