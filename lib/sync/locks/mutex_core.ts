/**
 * The default mutex: whoever comes first takes it, few spin, the rest sleep, nobody starves, and a dead owner is noticed.
 *
 * ```
 *   line 0      | state | domain of the last contended release | entries in use | cursor | where the entry is of who was called last |
 *   line 1 + d  | id of domain d's spinner |
 *   then        | entry | domain | of slot 0, entry | domain | of slot 1, …
 *
 *   state:  bits 0-28 owner's id, 0: free | 29 IMPATIENT | 30 DIED | 31 WAITERS
 *   entry:  0 not asleep | id asleep | id + IMPATIENT | id + CALLED: woken, and has yet to come
 *           | id of the owner + GRANTED: who is about to make it that slot's
 * ```
 *
 * Barging. Release frees the lock and, at most, wakes one sleeper, who competes with everybody. Handing the lock to the
 * longest waiter instead costs a context switch for each acquisition as soon as threads outnumber CPUs: four to five
 * orders of magnitude (`docs/design/sync.md` has the figures).
 *
 * Spinning. One thread a domain spins, and only if the last contended release was in that domain: spinners elsewhere would
 * pull the lock's line, and what it guards, across the machine at every release. Threads of
 * other domains spin only while the lock is free, to leave it to that domain for a moment.
 *
 * Domains. Release wakes a sleeper of its own domain first, and nobody while its domain has a spinner or somebody who was
 * called is on the way. The lock leaves a domain when nobody there wants it, or for somebody impatient.
 *
 * Impatience bounds the bypass: who has waited for its patience says so, and the next release hands it the
 * lock. Several are served one release after the other, in the order of their slots from the last one served. So
 * nobody waits for longer than that, one hold for each impatient waiter, and one for the release that was under
 * way.
 *
 * Why no wake-up is lost. A sleeper writes its entry before its last look at the state, at which it takes the lock, or
 * makes sure that WAITERS is set on an owner's word. A release that sees WAITERS does one of four things:
 * - it grants: the new owner's word keeps WAITERS;
 * - it drops WAITERS from the free word, and leaves the lock to a spinner of its domain that it sees after it was free, or
 *   to one who was called, who has yet to take it, or to look at it once more. Others take it the fast way meanwhile;
 * - with several domains it leaves WAITERS on the free word, for that one or for one that it wakes, as nobody takes the
 *   lock then without a look at whose domain it is in;
 * - it drops WAITERS from the free word, and only then searches the entries and wakes one. A thread that sleeps later
 *   has looked later. If WAITERS was gone already, somebody has taken the lock with it and cares, or an earlier release
 *   of the second kind was late, whose comer has been here since: then this one sees to it that somebody cares.
 * A thread that was woken, or spun, cares for the others from then on: it acquires with WAITERS, or sets it again, or,
 * giving up, passes the care on. So nobody else has to be woken before it has come. It says so in its own entry, before it
 * looks: the word that tells where is only a hint, as whoever wrote it may have died in between.
 *
 * Death. A waiter who finds that the owner is not alive takes the lock with DIED, so does the one who finds a dead
 * grantee, also at the last look before a sleep; a thread that died on its way with a wake-up in hand is made good for by
 * the permit that every sleeper gets when a thread dies. A release with DIED still set poisons the lock: "free, DIED" can
 * be taken by nobody until somebody says that what it guards is right again.
 *
 * After Fissile locks (Dice and Kogan, 2020), Go's sync.Mutex (starvation mode) and Malthusian locks (Dice, EuroSys
 * 2017). Uncontended: one compare-exchange to acquire, one to release. Fair: in the long run. Robust, abortable.
 *
 * @module
 */
import type { LockCore } from "./lock_core.ts";
import type { Shape } from "../../shared/shape.ts";
import { loadShared } from "../../wait/loads.ts";
import { raise } from "../../wait/slot_words.ts";
import { FOREVER, ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

/** How long a thread lets others pass by default, in milliseconds. */
export const PATIENCE_MS = 10;

const STATE = 0;
const LAST_DOMAIN = 1;
const USED = 2;
const CURSOR = 3;
const LAST_CALLED = 4;

const IMPATIENT = 1 << 29;
const DIED = 1 << 30;
const WAITERS = 1 << 31;
const GRANTED = 1 << 30;
const CALLED = 1 << 31;

/** What a last look found: another's lock, whose release will look for sleepers; the caller's; a poisoned one. */
const MARKED = 0;
const TAKEN = 1;
const BROKEN = 2;

const ENTRY_WORDS = 2;
/** Between two looks of a spinner. */
const MAX_PAUSES = 8;

/** The algorithm of `Mutex`. */
export class MutexCore implements LockCore {
  readonly #words: Int32Array;
  readonly #entries: number;
  readonly #domains: number;
  readonly #patienceMs: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param patienceMs How long a thread lets others pass, in milliseconds. Default: 10.
   */
  constructor(words: Int32Array, shape: Shape, patienceMs: number = PATIENCE_MS) {
    this.#words = words;
    this.#patienceMs = patienceMs;
    this.#domains = shape.domains;
    this.#entries = (1 + shape.domains) * LINE_WORDS;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads, domains }: Shape): number {
    const lines = 1 + domains + Math.ceil(threads * ENTRY_WORDS / LINE_WORDS);
    return lines * LINE_WORDS;
  }

  tryAcquire(me: Waiter): boolean {
    return Atomics.compareExchange(this.#words, STATE, 0, me.id) === 0 || this.#take(me);
  }

  begin(me: Waiter): boolean {
    return Atomics.compareExchange(this.#words, STATE, 0, me.id) === 0 || this.#spin(me);
  }

  release(me: Waiter): boolean {
    const state = Atomics.compareExchange(this.#words, STATE, me.id, 0);
    return state === me.id || this.#releaseContended(me, state);
  }

  holds(me: Waiter): boolean {
    return (Atomics.load(this.#words, STATE) & ID_MASK) === me.id;
  }

  /**
   * Whether an owner died and nobody has said that all is right again.
   *
   * @returns True also while an heir holds it.
   */
  ownerDied(): boolean {
    return (Atomics.load(this.#words, STATE) & DIED) !== 0;
  }

  /**
   * Whether nobody can take it, because its owner died and the heir gave it back as it was.
   *
   * @returns Whether it is poisoned.
   */
  broken(): boolean {
    const state = Atomics.load(this.#words, STATE);
    return (state & DIED) !== 0 && (state & ID_MASK) === 0;
  }

  /**
   * Says that what a dead owner left is right again.
   *
   * @param me The heir; anybody when the lock is poisoned.
   * @returns False when there is nothing to say, or it is not for `me` to say.
   */
  markConsistent(me: Waiter): boolean {
    for (;;) {
      const state = Atomics.load(this.#words, STATE);
      const owner = state & ID_MASK;
      if ((state & DIED) === 0 || (owner !== 0 && owner !== me.id)) return false;
      if (Atomics.compareExchange(this.#words, STATE, state, state & ~DIED) === state) return true;
    }
  }

  abandon(me: Waiter, dead: number): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & ID_MASK) !== me.id) return false;
      const next = (state & ~ID_MASK) | dead;
      if (Atomics.compareExchange(words, STATE, state, next) === state) return true;
    }
  }

  *wait(me: Waiter): Wait<boolean> {
    const words = this.#words;
    const entry = this.#entries + me.slot * ENTRY_WORDS;
    const impatientAt = me.now() + this.#patienceMs;
    let mark = me.id;
    for (;;) {
      Atomics.store(words, entry + 1, me.domain);
      Atomics.store(words, entry, mark);
      raise(words, USED, me.slot + 1);
      // The last look. It also finds what was granted while this thread was not asleep. What is free elsewhere is left
      // to those there for a moment, by a thread that does not sleep.
      const leaves = this.#isElsewhere(me) && (Atomics.load(words, STATE) & ID_MASK) === 0;
      if (leaves && Atomics.compareExchange(words, entry, mark, 0) === mark) {
        if (this.#takeIfLeft(me)) return this.#keepWaiters();
        continue;
      }
      const look = this.#takeOrMark(me, mark);
      if (look === TAKEN) {
        Atomics.store(words, entry, 0);
        return true;
      }
      let over = false;
      if (look === MARKED) {
        over = yield mark === me.id ? Math.max(0, impatientAt - me.now()) : FOREVER;
      }
      const seen = Atomics.compareExchange(words, entry, mark, 0);
      // Or else it was repaired meanwhile, and a release has chosen this thread.
      if (look === BROKEN && seen === mark) return false;
      if (seen === (me.id | CALLED)) Atomics.store(words, entry, 0);
      // What is there now is a promise: it is kept at once, unless who made it dies.
      for (let promise = seen & GRANTED ? seen : 0; promise !== 0;) {
        const kept = me.alive(promise & ID_MASK);
        if (this.holds(me)) {
          Atomics.store(words, entry, 0);
          return true;
        }
        if (kept) yield 1;
        else promise = Atomics.store(words, entry, 0);
      }
      if (this.#spin(me)) return this.#keepWaiters();
      if (over) {
        this.#passOn(me);
        return false;
      }
      if (mark === me.id && me.now() >= impatientAt) mark = me.id | IMPATIENT;
    }
  }

  /** A thread that was woken cares for those that still sleep: makes its release look for them. */
  #keepWaiters(): true {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & WAITERS) !== 0) return true;
      if (Atomics.compareExchange(words, STATE, state, state | WAITERS) === state) return true;
    }
  }

  /** Takes it if it is free or its owner is dead. What there is of WAITERS stays. */
  #take(me: Waiter, flags = 0): boolean {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      const owner = state & ID_MASK;
      let next = (state & (WAITERS | IMPATIENT)) | flags | me.id;
      if (owner === 0) {
        if ((state & DIED) !== 0) return false;
      } else {
        if (owner === me.id || me.alive(owner)) return false;
        next |= DIED | WAITERS;
      }
      if (Atomics.compareExchange(words, STATE, state, next) === state) return true;
    }
  }

  /** Takes it, finds that it was granted, or makes sure that its release will look for sleepers. */
  #takeOrMark(me: Waiter, mark: number): number {
    const words = this.#words;
    const flags = WAITERS | (mark & IMPATIENT);
    for (;;) {
      const state = Atomics.load(words, STATE);
      const owner = state & ID_MASK;
      if (owner === me.id) return TAKEN;
      // By this very look: another one could find it repaired, and nobody would know of this sleeper.
      if (owner === 0 && (state & DIED) !== 0) return BROKEN;
      // One that was granted the lock may have been dead before: its death woke those who slept then.
      if (owner !== 0 && !me.alive(owner)) {
        if (this.#take(me, WAITERS)) return TAKEN;
        continue;
      }
      const next = owner === 0 ? (state & IMPATIENT) | WAITERS | me.id : state | flags;
      if (next === state) return MARKED;
      if (Atomics.compareExchange(words, STATE, state, next) === state) {
        return owner === 0 ? TAKEN : MARKED;
      }
    }
  }

  /** Whether others contend for it in another domain, where it is cheaper to have. */
  #isElsewhere(me: Waiter): boolean {
    const words = this.#words;
    return this.#domains > 1 && (Atomics.load(words, STATE) & WAITERS) !== 0 &&
      Atomics.load(words, LAST_DOMAIN) !== me.domain;
  }

  /** Takes it if it stays free for a moment, in which those of its domain may take it. */
  #takeIfLeft(me: Waiter): boolean {
    const words = this.#words;
    for (let round = 0; me.spin(round); round++) {
      if ((loadShared(words, STATE) & ID_MASK) !== 0) return false;
    }
    return this.#take(me);
  }

  /** Competes for it, and waits for a moment if nobody else of this domain does. */
  #spin(me: Waiter): boolean {
    const words = this.#words;
    if (this.#isElsewhere(me)) return this.#takeIfLeft(me);
    if (this.#take(me)) return true;
    if (Atomics.load(words, LAST_DOMAIN) !== me.domain) return false;
    const spinner = (1 + me.domain) * LINE_WORDS;
    const other = Atomics.compareExchange(words, spinner, 0, me.id);
    if (other !== 0) {
      // Not this time; but a dead one must not keep the place.
      if (!me.alive(other)) Atomics.compareExchange(words, spinner, other, 0);
      return false;
    }
    let got = false;
    let look = 0;
    for (let round = 0; !got && me.spin(round); round++) {
      // Each look takes the line from the owner, so there are fewer and fewer.
      if (round < look) continue;
      look += Math.min(1 + look, MAX_PAUSES);
      got = (loadShared(words, STATE) & ID_MASK) === 0 && this.#take(me, WAITERS);
    }
    Atomics.store(words, spinner, 0);
    return got;
  }

  #releaseContended(me: Waiter, seen: number): boolean {
    const words = this.#words;
    if ((seen & ID_MASK) !== me.id) return false;
    if ((seen & DIED) !== 0) return this.#poison(me);
    Atomics.store(words, LAST_DOMAIN, me.domain);
    if ((seen & IMPATIENT) !== 0 && this.#grant(me)) return true;
    const free = Atomics.and(words, STATE, WAITERS | IMPATIENT) & (WAITERS | IMPATIENT);
    // Looked at after the state is free: who spins here, or was called, and leaves now looks at the state once more.
    const comes = this.#isSpun(me) || this.#isCalled(me);
    // With several domains WAITERS stays: nobody takes the lock without a look at whom to let go first.
    if (this.#domains > 1 && (comes || this.#wakeOne(me))) return true;
    // Without it, others take the lock the fast way until somebody comes.
    const bare = free & IMPATIENT;
    const dropped = Atomics.compareExchange(words, STATE, free, bare) === free;
    if (comes) return true;
    // Whoever has taken it meanwhile has taken WAITERS over; unless an earlier release, which knew of somebody who has
    // come since, dropped it only now.
    if (!dropped) this.#passOn(me);
    else if (this.#wakeOne(me) && this.#domains > 1) Atomics.or(words, STATE, WAITERS);
    return true;
  }

  /** Whether somebody of this thread's domain spins. */
  #isSpun(me: Waiter): boolean {
    const id = Atomics.load(this.#words, (1 + me.domain) * LINE_WORDS);
    return id !== 0 && me.alive(id);
  }

  /** Whether somebody was woken and has yet to come. */
  #isCalled(me: Waiter): boolean {
    const words = this.#words;
    const at = Atomics.load(words, LAST_CALLED);
    const entry = at === 0 ? 0 : Atomics.load(words, at);
    return entry < 0 && me.alive(entry & ID_MASK);
  }

  #poison(me: Waiter): true {
    Atomics.store(this.#words, STATE, DIED);
    while (this.#wakeOne(me));
    return true;
  }

  /** Hands the lock to the next impatient one. */
  #grant(me: Waiter): boolean {
    const words = this.#words;
    // Cleared before the search: who says it after being passed over sets it again.
    Atomics.and(words, STATE, ~IMPATIENT);
    const used = Atomics.load(words, USED);
    const start = Atomics.load(words, CURSOR);
    for (let step = 0; step < used; step++) {
      const slot = (start + step) % used;
      const at = this.#entries + slot * ENTRY_WORDS;
      const mark = Atomics.load(words, at);
      if ((mark & (GRANTED | IMPATIENT)) !== IMPATIENT) continue;
      const id = mark & ID_MASK;
      if (!me.alive(id)) {
        Atomics.compareExchange(words, at, mark, 0);
        continue;
      }
      if (Atomics.compareExchange(words, at, mark, me.id | GRANTED) !== mark) continue;
      Atomics.store(words, CURSOR, slot + 1);
      Atomics.store(words, STATE, id | WAITERS | IMPATIENT);
      me.unpark(id);
      // Dead before it was the owner: those that its death woke have found another one, and sleep again.
      if (!me.alive(id)) this.#wakeOne(me);
      return true;
    }
    return false;
  }

  /** Wakes a sleeper, of this thread's domain if there is one. After the state was changed. */
  #wakeOne(me: Waiter): boolean {
    const words = this.#words;
    for (let pass = 0; pass < 2; pass++) {
      const used = Atomics.load(words, USED);
      const start = Atomics.load(words, CURSOR);
      for (let step = 0; step < used; step++) {
        const slot = (start + step) % used;
        const at = this.#entries + slot * ENTRY_WORDS;
        const mark = Atomics.load(words, at);
        if (mark <= 0 || (mark & GRANTED) !== 0) continue;
        if (pass === 0 && Atomics.load(words, at + 1) !== me.domain) continue;
        if (this.#wake(me, at, mark)) {
          Atomics.store(words, CURSOR, slot + 1);
          return true;
        }
        // Others may have relied on a wake-up that was none: everybody is looked at again.
        pass = 0;
        step = -1;
      }
    }
    return false;
  }

  #wake(me: Waiter, at: number, mark: number): boolean {
    const words = this.#words;
    const id = mark & ID_MASK;
    if (Atomics.compareExchange(words, at, mark, id | CALLED) !== mark || !me.alive(id)) {
      return false;
    }
    Atomics.store(words, LAST_CALLED, at);
    me.unpark(id);
    return true;
  }

  /** Gives a wake-up that came too late to somebody else. */
  #passOn(me: Waiter): void {
    const words = this.#words;
    for (;;) {
      const state = Atomics.load(words, STATE);
      if ((state & ID_MASK) === 0) {
        this.#wakeOne(me);
        return;
      }
      if ((state & WAITERS) !== 0) return;
      if (Atomics.compareExchange(words, STATE, state, state | WAITERS) === state) return;
    }
  }
}
