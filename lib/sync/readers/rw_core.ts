/**
 * The reader-writer lock: readers write a line of their own and nothing else, one writer looks at all of them.
 *
 * ```
 *   line 0      | owner |                 bits 0-28 the writer's id | 29 DRAINING or POISONED | 30 DIED | 31 WAITERS
 *   line 1      | top | passed | cursor | slots below top are in use; the others are the owner's
 *   line 2 + s  | entry of slot s |       0, or an id | 29 WAKE | 30 WAIT | 31 WRITE
 *
 *   entry:  id           reads            id + WAKE          reads, and is to wake the writer when it leaves
 *           id + WAIT    waits to read    id + WAIT + WRITE  waits to write
 * ```
 *
 * To read is to store one's entry and to find no owner; to write is to become the owner and to find no reader. Each
 * does the first before the second, so that never both miss the other: each look follows an atomic operation, so that it can
 * be a `loadFollowing`. Readers share no line but the owner's, which they only look at: they cost the same on every node,
 * however many there are. The price is the writer's, who looks at a line for every slot below `top`. Entries instead of
 * counters also tell who reads, so that a dead reader is no obstacle and a stranger cannot end another's read.
 *
 * Nobody starves. A writer waits for the readers that were inside when it became the owner, and for no later ones.
 * Readers that sleep are let in, all of them, by the release that lets no other writer pass, and by one in {@linkcode
 * WRITERS_IN_A_ROW} + 1 at the latest: their entries are turned to "reads" before the lock is free, so that the next
 * writer has to wait for them. Writers among themselves compete; who sleeps is woken in turn, but may be overtaken by
 * one that is running (handing the lock to a sleeper would cost a context switch each time).
 *
 * Why no wake-up is lost. A sleeper has written its entry before its last look at the owner, at which it took the lock,
 * or made sure that WAITERS is set on an owner's word. A release that finds WAITERS lets readers in, frees the word, and
 * only then searches the entries for one writer, or for readers when there is none. A thread that sleeps later has
 * looked later. A writer so woken (its entry was taken away) cares for those who still sleep: it sets WAITERS on
 * whatever owner it finds, itself included, and, giving up, searches itself. A writer that waits for a reader marks that
 * reader's entry with WAKE, which the reader cannot miss, since it leaves by exchanging that word.
 *
 * Death. A writer that finds the owner dead takes its place, with DIED unless that had not begun (DRAINING). A reader
 * cannot repair anything: it leaves the word free with DIED, for a writer to take, and is told that the lock is broken.
 * A release with DIED still set poisons the lock: nobody gets it until somebody says that what it guards is right again.
 * A thread that died with a wake-up in hand is made good for by the permit that every sleeper gets when a thread dies.
 *
 * BRAVO's readers' table (Dice and Kogan, ATC 2019) with dense slots instead of hashes, for threads are numbered
 * here; writers and readers take turns as in Calciu et al. (PPoPP 2013) and in Brandenburg and Anderson's phase-fair
 * locks (2010). Uncontended: two atomics and a load for a read and its end; for a write, two, a load of `top`, and one for
 * each slot below it. Robust, abortable, not reentrant. Use it when reads are many, or long; with more than one write in
 * ten or so `Mutex` is better, for small records `SeqLock`, where memory counts `RwSpinLock`.
 *
 * @module
 */
import type { LockCore } from "../locks/lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { loadFollowing, loadShared } from "../../wait/loads.ts";
import { raise } from "../../wait/slot_words.ts";
import { FOREVER, ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

/** How many writers may follow each other while readers sleep. */
export const WRITERS_IN_A_ROW = 4;

const OWNER = 0;
const TOP = LINE_WORDS;
const PASSED = LINE_WORDS + 1;
const CURSOR = LINE_WORDS + 2;
const ENTRIES = 2 * LINE_WORDS;

/** With an owner: it has found a reader, and waits for it to leave. */
const DRAINING = 1 << 29;
/** Without one: nobody gets the lock. */
const POISONED = 1 << 29;
const DIED = 1 << 30;
const WAITERS = 1 << 31;

const WAKE = 1 << 29;
const WAIT = 1 << 30;
const WRITE = 1 << 31;

/** What of the owner's word keeps readers out. */
const CLOSED = ID_MASK | DIED;

/** What both sides do. */
class Side {
  protected readonly words: Int32Array;
  /** What `top` was at least; it never falls. */
  #top = 0;

  constructor(words: Int32Array) {
    this.words = words;
  }

  /** The entry of a thread, where writers look from now on. */
  protected entryOf(me: Waiter): number {
    if (me.slot >= this.#top) this.#top = raise(this.words, TOP, me.slot + 1);
    return ENTRIES + me.slot * LINE_WORDS;
  }

  /** Wakes the writer that waits for a reader, after that reader's entry has changed. */
  protected wakeOwner(me: Waiter): void {
    const owner = Atomics.load(this.words, OWNER) & ID_MASK;
    if (owner !== 0) me.unpark(owner);
  }

  /**
   * Whether a writer died and nobody has said that all is right again.
   *
   * @returns True also while an heir holds the lock.
   */
  ownerDied(): boolean {
    return (Atomics.load(this.words, OWNER) & DIED) !== 0;
  }

  /**
   * Says that what a dead writer left is right again.
   *
   * @param me The heir; anybody when there is none.
   * @returns False when there is nothing to say, or it is not for `me` to say.
   */
  markConsistent(me: Waiter): boolean {
    const { words } = this;
    for (;;) {
      const state = Atomics.load(words, OWNER);
      const owner = state & ID_MASK;
      if ((state & DIED) === 0 || (owner !== 0 && owner !== me.id)) return false;
      const next = state & ~(owner === 0 ? DIED | POISONED : DIED);
      if (Atomics.compareExchange(words, OWNER, state, next) === state) return true;
    }
  }
}

/** To read: together with others. */
export class RwReadSide extends Side implements LockCore {
  tryAcquire(me: Waiter): boolean {
    return this.begin(me, false);
  }

  begin(me: Waiter, spins: boolean = true): boolean {
    const { words } = this;
    const entry = this.entryOf(me);
    for (let round = 0;;) {
      Atomics.store(words, entry, me.id);
      if ((loadFollowing(words, OWNER) & CLOSED) === 0) return true;
      if ((Atomics.exchange(words, entry, 0) & WAKE) !== 0) this.wakeOwner(me);
      do {
        if (!spins || !me.spin(round++)) return false;
      } while ((loadShared(words, OWNER) & CLOSED) !== 0);
    }
  }

  *wait(me: Waiter): Wait<boolean> {
    const { words } = this;
    const entry = this.entryOf(me);
    const waiting = me.id | WAIT;
    Atomics.store(words, entry, waiting);
    for (let over = false;;) {
      const state = Atomics.load(words, OWNER);
      const owner = state & ID_MASK;
      if ((state & CLOSED) === 0) {
        // Another value than ours is what a writer put there: we read.
        if (Atomics.compareExchange(words, entry, waiting, me.id) !== waiting) return true;
        if ((Atomics.load(words, OWNER) & CLOSED) === 0) return true;
        if ((Atomics.exchange(words, entry, waiting) & WAKE) !== 0) this.wakeOwner(me);
        continue;
      }
      if (owner !== 0 && !me.alive(owner)) {
        const died = (state & DRAINING) === 0 ? DIED : state & DIED;
        Atomics.compareExchange(words, OWNER, state, died | WAITERS);
        continue;
      }
      if (over || owner === 0) {
        return Atomics.compareExchange(words, entry, waiting, 0) !== waiting;
      }
      if ((state & WAITERS) === 0) {
        if (Atomics.compareExchange(words, OWNER, state, state | WAITERS) !== state) continue;
      }
      over = yield FOREVER;
      if (Atomics.load(words, entry) !== waiting) return true;
    }
  }

  release(me: Waiter): boolean {
    const { words } = this;
    const entry = this.entryOf(me);
    const found = Atomics.compareExchange(words, entry, me.id, 0);
    if (found === me.id) return true;
    if (found !== (me.id | WAKE)) return false;
    Atomics.store(words, entry, 0);
    this.wakeOwner(me);
    return true;
  }

  holds(me: Waiter): boolean {
    return (Atomics.load(this.words, ENTRIES + me.slot * LINE_WORDS) & ~WAKE) === me.id;
  }

  abandon(me: Waiter): boolean {
    // A reader has changed nothing.
    return this.release(me);
  }

  shares(): boolean {
    return (Atomics.load(this.words, OWNER) & CLOSED) === 0;
  }

  /**
   * Whether there is nothing to read, because a writer died and no other has taken over yet, or put it right.
   *
   * @returns Whether reading has to be given up.
   */
  broken(): boolean {
    return (Atomics.load(this.words, OWNER) & CLOSED) === DIED;
  }
}

/** To write: alone. */
export class RwWriteSide extends Side implements LockCore {
  readonly #threads: number;
  readonly #inARow: number;

  constructor(words: Int32Array, threads: number, inARow: number) {
    super(words);
    this.#threads = threads;
    this.#inARow = inARow;
  }

  tryAcquire(me: Waiter): boolean {
    if (!this.#own(me, false)) return false;
    for (let slot = this.#topOf() - 1; slot >= 0; slot--) {
      if (this.#reads(me, slot)) {
        this.#open(me);
        return false;
      }
    }
    return true;
  }

  begin(me: Waiter): boolean {
    const { words } = this;
    let round = 0;
    if (Atomics.compareExchange(words, OWNER, 0, me.id) !== 0) {
      while ((loadShared(words, OWNER) & ID_MASK) !== 0 || !this.#own(me, false)) {
        if (!me.spin(round++)) return false;
      }
    }
    // `#topOf`, written out: "calls within calls" in docs/design/sync.md.
    const top = Math.min(Atomics.load(words, TOP), this.#threads);
    for (let slot = 0; slot < top; slot++) {
      const entry = ENTRIES + slot * LINE_WORDS;
      // After the compare-exchange, and looks at other words.
      let found = loadFollowing(words, entry);
      while (found !== 0 && (found & WAIT) === 0) {
        if (!me.spin(round++)) {
          Atomics.or(words, OWNER, DRAINING);
          return false;
        }
        found = loadShared(words, entry);
      }
    }
    return true;
  }

  *wait(me: Waiter): Wait<boolean> {
    const { words } = this;
    let over = false;
    if ((Atomics.load(words, OWNER) & ID_MASK) !== me.id) {
      const entry = this.entryOf(me);
      const waiting = me.id | WAIT | WRITE;
      Atomics.store(words, entry, waiting);
      while (!this.#own(me, true)) {
        const poisoned = this.broken();
        if (over || poisoned) {
          if (Atomics.compareExchange(words, entry, waiting, 0) !== waiting) this.#passOn(me);
          return false;
        }
        over = yield FOREVER;
        // A release that chose this thread has taken its entry away.
        Atomics.store(words, entry, waiting);
      }
      Atomics.store(words, entry, 0);
    }
    const top = this.#topOf();
    for (let slot = 0; slot < top; slot++) {
      while (this.#reads(me, slot)) {
        if (over) {
          this.#open(me);
          return false;
        }
        const entry = ENTRIES + slot * LINE_WORDS;
        const found = Atomics.load(words, entry);
        if (found === 0 || (found & WAIT) !== 0) break;
        if (Atomics.compareExchange(words, entry, found, found | WAKE) !== found) continue;
        over = yield FOREVER;
      }
    }
    Atomics.and(words, OWNER, ~DRAINING);
    return true;
  }

  release(me: Waiter): boolean {
    const { words } = this;
    const state = Atomics.compareExchange(words, OWNER, me.id, 0);
    if (state === me.id) return true;
    if ((state & ID_MASK) !== me.id) return false;
    if ((state & DIED) === 0) {
      this.#open(me);
    } else {
      Atomics.store(words, OWNER, DIED | POISONED);
      this.#wakeAll(me);
    }
    return true;
  }

  holds(me: Waiter): boolean {
    return (Atomics.load(this.words, OWNER) & (ID_MASK | DRAINING)) === me.id;
  }

  abandon(me: Waiter, dead: number): boolean {
    const { words } = this;
    while (this.holds(me)) {
      const state = Atomics.load(words, OWNER);
      const next = (state & ~ID_MASK) | dead;
      if (Atomics.compareExchange(words, OWNER, state, next) === state) return true;
    }
    return false;
  }

  /**
   * Whether nobody can take the lock, because a writer died and its heir gave it back as it was.
   *
   * @returns Whether it is poisoned.
   */
  broken(): boolean {
    return (Atomics.load(this.words, OWNER) & (ID_MASK | POISONED)) === POISONED;
  }

  /** How many slots to look at. */
  #topOf(): number {
    return Math.min(Atomics.load(this.words, TOP), this.#threads);
  }

  /** Whether a living thread reads. A dead one's entry is cleared. */
  #reads(me: Waiter, slot: number): boolean {
    const { words } = this;
    const entry = ENTRIES + slot * LINE_WORDS;
    for (;;) {
      const found = Atomics.load(words, entry);
      if (found === 0 || (found & WAIT) !== 0) return false;
      if (me.alive(found & ID_MASK)) return true;
      Atomics.compareExchange(words, entry, found, 0);
    }
  }

  /**
   * Becomes the owner if there is none, or it is dead. A waiter makes sure of WAITERS, on its own word too, because
   * it may have been woken to care for others.
   */
  #own(me: Waiter, waits: boolean): boolean {
    const { words } = this;
    const flags = waits ? WAITERS : 0;
    for (;;) {
      const state = Atomics.load(words, OWNER);
      const owner = state & ID_MASK;
      let next = (state & (DIED | WAITERS)) | flags | (waits ? DRAINING : 0) | me.id;
      let got = true;
      if (owner === 0) {
        if ((state & POISONED) !== 0) return false;
      } else if (me.alive(owner)) {
        next = state | flags;
        got = false;
      } else {
        next |= (state & DRAINING) === 0 ? DIED | WAITERS : WAITERS;
      }
      if (next === state) return false;
      if (Atomics.compareExchange(words, OWNER, state, next) === state) return got;
    }
  }

  /** Gives up ownership, and cares for those who wait. */
  #open(me: Waiter): void {
    const { words } = this;
    const state = Atomics.load(words, OWNER);
    if ((state & DIED) !== 0) {
      // An heir that never got in: the next one is to find the lock as the dead one left it.
      Atomics.store(words, OWNER, DIED);
      this.#wakeAll(me);
      return;
    }
    if ((state & WAITERS) === 0) {
      if (Atomics.compareExchange(words, OWNER, state, 0) === state) return;
    }
    const passed = Atomics.load(words, PASSED);
    const writers = this.#hasWriters();
    if (writers && passed < this.#inARow) {
      Atomics.store(words, PASSED, passed + 1);
    } else {
      this.#letReadersIn(me);
      Atomics.store(words, PASSED, 0);
    }
    // Kept for those who still sleep, so that whoever comes first counts as one that has passed them.
    Atomics.store(words, OWNER, writers ? WAITERS : 0);
    this.#wakeOne(me);
  }

  #hasWriters(): boolean {
    const { words } = this;
    for (let slot = this.#topOf() - 1; slot >= 0; slot--) {
      if ((Atomics.load(words, ENTRIES + slot * LINE_WORDS) & WRITE) !== 0) return true;
    }
    return false;
  }

  /** Makes all who wait to read readers. While owner: the next one then waits for them. */
  #letReadersIn(me: Waiter): void {
    const { words } = this;
    const top = this.#topOf();
    for (let slot = 0; slot < top; slot++) {
      const entry = ENTRIES + slot * LINE_WORDS;
      const found = Atomics.load(words, entry);
      if ((found & (WAIT | WRITE)) !== WAIT) continue;
      const id = found & ID_MASK;
      if (Atomics.compareExchange(words, entry, found, id) === found) me.unpark(id);
    }
  }

  /** Wakes one who waits to write, in turn, or all who wait to read. The word is free already. */
  #wakeOne(me: Waiter): void {
    const { words } = this;
    const top = this.#topOf();
    const start = Atomics.load(words, CURSOR);
    for (let step = 0; step < top; step++) {
      const slot = (start + step) % top;
      const entry = ENTRIES + slot * LINE_WORDS;
      const found = Atomics.load(words, entry);
      if ((found & WRITE) === 0) continue;
      if (Atomics.compareExchange(words, entry, found, 0) !== found) continue;
      const id = found & ID_MASK;
      if (!me.alive(id)) continue;
      Atomics.store(words, CURSOR, slot + 1);
      me.unpark(id);
      return;
    }
    this.#wakeAll(me);
  }

  /** Wakes all who wait, to look again. */
  #wakeAll(me: Waiter): void {
    const { words } = this;
    const top = this.#topOf();
    for (let slot = 0; slot < top; slot++) {
      const found = Atomics.load(words, ENTRIES + slot * LINE_WORDS);
      if ((found & WAIT) !== 0) me.unpark(found & ID_MASK);
    }
  }

  /** Gives a wake-up that came too late to somebody else. */
  #passOn(me: Waiter): void {
    const { words } = this;
    for (;;) {
      const state = Atomics.load(words, OWNER);
      if ((state & ID_MASK) === 0) {
        this.#wakeOne(me);
        return;
      }
      if ((state & WAITERS) !== 0) return;
      if (Atomics.compareExchange(words, OWNER, state, state | WAITERS) === state) return;
    }
  }
}

/** The algorithm of `RwLock`. */
export class RwCore {
  /** To read: together with others. */
  readonly read: RwReadSide;
  /** To write: alone. */
  readonly write: RwWriteSide;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param inARow How many writers may follow each other while readers sleep; the same in all threads.
   */
  constructor(words: Int32Array, shape: Shape, inARow: number = WRITERS_IN_A_ROW) {
    this.read = new RwReadSide(words);
    this.write = new RwWriteSide(words, shape.threads, inARow);
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape): number {
    return ENTRIES + threads * LINE_WORDS;
  }
}
