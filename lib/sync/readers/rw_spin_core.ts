/**
 * A reader-writer lock in one word.
 *
 * ```
 *   word 0      bits 0-28: how many read, or who writes | 29 WAITING | 30 DIED | 31 WRITER
 *
 *   0                        free                  WRITER + id            id writes
 *   n                        n threads read        WRITER + DIED + id     id writes, and a writer before it died
 *   WAITING + n              a writer waits        DIED                   a writer died: none may read, one may write
 *                                                  DIED + POISONED        nobody gets it
 * ```
 *
 * Everything is a compare-exchange of this word, so that it tells at any moment who writes. Writers come first: while
 * WAITING is set no reader enters, so that a writer waits for those readers only that are inside. A writer that
 * enters clears it and the others set it again. Readers may starve while writers never pause.
 *
 * A word has no room for sleepers' names. A thread that has spun for long enough naps for a millisecond and looks again;
 * nobody is ever woken, so no wake-up can be lost, but a lock that is held for long should be another one.
 *
 * Death. A dead writer is found by who waits for it, and followed by a writer with DIED; for readers the lock is
 * broken until then. A release with DIED still set poisons the lock, until somebody says that what it guards is right
 * again. WAITING of a dead writer is cleared by a reader that finds nothing else in the word when it wakes. **A dead
 * reader cannot be told from a slow one and keeps writers out forever**: that takes `RwLock`.
 *
 * That a thread reads is remembered by its core alone, so that its release costs one atomic: use one core a thread,
 * and keep it while {@linkcode RwSpinCore.isUsed}.
 *
 * As DPDK's rte_rwlock and Linux' rwlock_t before it was queued; Mellor-Crummey and Scott (1991) show what a fair one
 * takes. Uncontended: two atomics for a read and its end, two for a write. All readers write one line: they cost more
 * the more there are, and much more from another node. Use it where there are many locks, each hardly ever contended
 * (a lock a bucket); else `RwLock`.
 *
 * @module
 */
import type { LockCore } from "../locks/lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { ID_MASK, type Wait, type Waiter } from "../../wait/waiter.ts";

const STATE = 0;
const WAITING = 1 << 29;
const DIED = 1 << 30;
const WRITER = 1 << 31;
/** With DIED and no writer, when nobody reads. */
const POISONED = 1;

/** How many may read: as many as there are ids. */
const MAX_READERS = ID_MASK;
/** Between two looks, in milliseconds. */
const NAP_MS = 1;

/** What both sides do. */
class Side {
  protected readonly words: Int32Array;

  constructor(words: Int32Array) {
    this.words = words;
  }

  /**
   * Whether a writer died and nobody has said that all is right again.
   *
   * @returns True also while an heir holds the lock.
   */
  ownerDied(): boolean {
    return (Atomics.load(this.words, STATE) & DIED) !== 0;
  }

  /**
   * Says that what a dead writer left is right again.
   *
   * @param me The heir; anybody when there is none.
   * @returns False when there is nothing to say, or it is not for `me` to say.
   */
  markConsistent(me: Waiter): boolean {
    const words = this.words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & DIED) === 0) return false;
      const held = (state & WRITER) !== 0;
      if (held && (state & ID_MASK) !== me.id) return false;
      const next = state & ~(held ? DIED : DIED | POISONED);
      if (Atomics.compareExchange(words, STATE, state, next) === state) return true;
    }
  }
}

/** To read: together with others. */
export class RwSpinReadSide extends Side implements LockCore {
  /** Ids that read through this object; hardly ever more than one. */
  readonly #readers: number[] = [];

  tryAcquire(me: Waiter): boolean {
    const words = this.words;
    let state = Atomics.compareExchange(words, STATE, 0, 1);
    while (state !== 0) {
      // Any flag keeps readers out, WRITER as the sign does.
      if (state < 0 || state >= MAX_READERS) return false;
      const found = Atomics.compareExchange(words, STATE, state, state + 1);
      if (found === state) break;
      state = found;
      if (state === 0) state = Atomics.compareExchange(words, STATE, 0, 1);
    }
    this.#readers.push(me.id);
    return true;
  }

  begin(me: Waiter): boolean {
    if (this.tryAcquire(me)) return true;
    for (let round = 0; me.spin(round); round++) {
      const state = loadShared(this.words, STATE);
      if (state >= 0 && state < MAX_READERS && this.tryAcquire(me)) return true;
    }
    return false;
  }

  *wait(me: Waiter): Wait<boolean> {
    for (let over = false;;) {
      if (this.tryAcquire(me)) return true;
      const state = Atomics.load(this.words, STATE);
      if ((state & WRITER) !== 0 && !me.alive(state & ID_MASK)) {
        Atomics.compareExchange(this.words, STATE, state, DIED);
      }
      if (over || this.broken()) return false;
      over = yield NAP_MS;
      // Nobody inside, and the writer that waits has not come in all this time: it may be dead.
      Atomics.compareExchange(this.words, STATE, WAITING, 0);
    }
  }

  release(me: Waiter): boolean {
    const readers = this.#readers;
    const at = readers.indexOf(me.id);
    if (at < 0) return false;
    const last = readers.pop() as number;
    if (at < readers.length) readers[at] = last;
    Atomics.sub(this.words, STATE, 1);
    return true;
  }

  holds(me: Waiter): boolean {
    return this.#readers.includes(me.id);
  }

  /**
   * Whether anybody reads through this object.
   *
   * @returns Whether somebody does.
   */
  isUsed(): boolean {
    return this.#readers.length > 0;
  }

  abandon(me: Waiter): boolean {
    // A reader has changed nothing.
    return this.release(me);
  }

  shares(): boolean {
    const state = Atomics.load(this.words, STATE);
    return state >= 0 && state < MAX_READERS;
  }

  /**
   * Whether there is nothing to read, because a writer died and no other has taken over yet, or put it right.
   *
   * @returns Whether reading has to be given up.
   */
  broken(): boolean {
    return (Atomics.load(this.words, STATE) & (DIED | WRITER)) === DIED;
  }
}

/** To write: alone. */
export class RwSpinWriteSide extends Side implements LockCore {
  tryAcquire(me: Waiter): boolean {
    const words = this.words;
    let state = Atomics.compareExchange(words, STATE, 0, WRITER | me.id);
    while (state !== 0) {
      let next = WRITER | me.id;
      if ((state & WRITER) !== 0) {
        if (me.alive(state & ID_MASK)) return false;
        next |= DIED;
      } else if ((state & ~(WAITING | DIED)) === 0) next |= state & DIED;
      else return false;
      const found = Atomics.compareExchange(words, STATE, state, next);
      if (found === state) return true;
      state = found === 0 ? Atomics.compareExchange(words, STATE, 0, WRITER | me.id) : found;
    }
    return true;
  }

  begin(me: Waiter): boolean {
    if (this.tryAcquire(me)) return true;
    for (let round = 0; me.spin(round); round++) {
      if (this.#takeOrMark(me)) return true;
    }
    return false;
  }

  *wait(me: Waiter): Wait<boolean> {
    const words = this.words;
    for (let over = false;;) {
      if (this.tryAcquire(me)) return true;
      if (over || this.broken()) {
        // Others that wait set it again.
        Atomics.and(words, STATE, ~WAITING);
        return false;
      }
      if (this.#takeOrMark(me)) return true;
      over = yield NAP_MS;
    }
  }

  release(me: Waiter): boolean {
    const words = this.words;
    let state = Atomics.compareExchange(words, STATE, WRITER | me.id, 0);
    while (state !== (WRITER | me.id)) {
      if ((state & (WRITER | ID_MASK)) !== (WRITER | me.id)) return false;
      // Keeps readers out for the next writer.
      const next = (state & DIED) === 0 ? WAITING : DIED | POISONED;
      const found = Atomics.compareExchange(words, STATE, state, next);
      if (found === state) return true;
      state = found === (WRITER | me.id) ? Atomics.compareExchange(words, STATE, found, 0) : found;
    }
    return true;
  }

  holds(me: Waiter): boolean {
    return (Atomics.load(this.words, STATE) & (WRITER | ID_MASK)) === (WRITER | me.id);
  }

  abandon(me: Waiter, dead: number): boolean {
    const { words } = this;
    while (this.holds(me)) {
      const state = Atomics.load(words, STATE);
      const next = (state & ~ID_MASK) | dead;
      if (Atomics.compareExchange(words, STATE, state, next) === state) return true;
    }
    return false;
  }

  /**
   * Whether nobody can take the lock, because a writer died and its heir gave it back as it was.
   *
   * @returns Whether it is poisoned.
   */
  broken(): boolean {
    const state = Atomics.load(this.words, STATE);
    return (state & ~WAITING) === (DIED | POISONED);
  }

  /** Takes it if nobody has it, else keeps further readers out. */
  #takeOrMark(me: Waiter): boolean {
    const words = this.words;
    for (;;) {
      const state = loadShared(words, STATE);
      if ((state & ~(WAITING | DIED)) === 0) {
        if (this.tryAcquire(me)) return true;
        continue;
      }
      if ((state & WAITING) !== 0) return false;
      if (Atomics.compareExchange(words, STATE, state, state | WAITING) === state) return false;
    }
  }
}

/** The algorithm of `RwSpinLock`. */
export class RwSpinCore {
  /** To read: together with others. */
  readonly read: RwSpinReadSide;
  /** To write: alone. */
  readonly write: RwSpinWriteSide;

  /**
   * @param words Its memory: zero at first.
   * @param _shape The number of threads and domains; it does not matter.
   */
  constructor(words: Int32Array, _shape: Shape) {
    this.read = new RwSpinReadSide(words);
    this.write = new RwSpinWriteSide(words);
  }

  /**
   * Whether this object knows of somebody who reads.
   *
   * @returns Whether it must not be forgotten.
   */
  isUsed(): boolean {
    return this.read.isUsed();
  }

  /**
   * The words that one takes. Give it a line of its own unless it is one of many that are hardly ever contended.
   *
   * @param _shape The number of threads and domains; it does not matter.
   * @returns 32-bit words.
   */
  static words(_shape: Shape): number {
    return 1;
  }
}
