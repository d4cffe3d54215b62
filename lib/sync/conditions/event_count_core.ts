/**
 * The event count: sleeping until something changes, for code that changes things without a lock.
 *
 * ```
 *   line 0      | armed | top | cursor |   1: somebody may wait | slots below top are in use | where to look first
 *               | ones | alls |            notifications of one, and of all, while armed; they wrap
 *   then        | entry of slot 0 | entry of slot 1 | …
 *
 *   entry:  0 never waited    id             waits, or is about to look a last time
 *                             id + NOTIFIED  has been notified
 *                             id + AWAKE     has waited, and may have what it was told of in hand
 * ```
 *
 * Entries share lines, unlike those of a lock: who writes one is about to sleep, which costs a hundred times more.
 *
 * ```
 *   while (!take()) {                 // notify() is called after whatever may make take() succeed
 *     events.prepare(me);
 *     if (take()) { events.cancel(me); break; }
 *     block(events.wait(me), …);
 *   }
 * ```
 *
 * Why no wake-up is lost. A waiter writes its entry, makes sure that `armed` is set, and looks a last time. A
 * notifier has changed things before it looks at `armed`. If that was 0, the waiter sets it later, and sees the
 * change when it looks. It is cleared only by a notifier that afterwards notifies everybody it finds: a waiter that
 * saw it set before that has written its entry before, too.
 *
 * A notification of one goes to somebody who waits and lives. A waiter that cancels or gives up passes on what came too
 * late. When a thread dies all sleepers get a permit; one of them takes over the dead one's entry if that was notified
 * or awake, and returns, because what the dead one was told of may still be there; the slot's next user passes it on.
 * Both clear that entry last: if they die, too, it is still there, or in their own entry. A sleeper that was notified
 * itself leaves it to the others. If a notifier dies while `armed` is 0, sleepers return for no reason. What cannot be
 * made good for is a thread that has never waited here and dies between its change and `notify`; unless all who wait
 * look for themselves (`looks`): then they all return when a thread dies.
 *
 * Eventcounts: Reed and Kanodia (1979); in this form by Vyukov, in Eigen and folly. Cost: `notify` one load when
 * nobody waits, which is what it is for; `prepare` four and `cancel` one; a slow `notify` one load for each slot in
 * use. Fair: in turn by slots. Robust, abortable. Use it to let consumers of a queue sleep; with a mutex around the
 * data `Condition` is simpler.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { loadFollowing } from "../../wait/loads.ts";
import { raise, slotWords } from "../../wait/slot_words.ts";
import { FOREVER, ID_MASK, LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

const ARMED = 0;
const TOP = 1;
const CURSOR = 2;
const ONES = 3;
const ALLS = 4;
const ENTRIES = LINE_WORDS;

const NOTIFIED = 1 << 29;
const AWAKE = 1 << 30;

/** The algorithm of `EventCount`. */
export class EventCountCore {
  readonly #words: Int32Array;
  readonly #threads: number;
  readonly #looks: boolean;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param looks Whether all who wait look themselves at what they wait for, and do so whenever they wake up. Default: no.
   */
  constructor(words: Int32Array, shape: Shape, looks: boolean = false) {
    this.#words = words;
    this.#threads = shape.threads;
    this.#looks = looks;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape): number {
    return ENTRIES + slotWords(threads);
  }

  /**
   * Announces that a thread is about to wait. It looks once more at what it waits for, then cancels or waits.
   *
   * @param me The calling thread.
   */
  prepare(me: Waiter): void {
    const words = this.#words;
    const entry = ENTRIES + me.slot;
    const before = Atomics.load(words, entry);
    if (before !== 0 && before !== (me.id | AWAKE)) this.#succeed(me, before);
    Atomics.store(words, entry, me.id);
    raise(words, TOP, me.slot + 1);
    if (Atomics.load(words, ARMED) === 0) Atomics.store(words, ARMED, 1);
  }

  /**
   * Does not wait after all.
   *
   * @param me The calling thread, which has prepared.
   */
  cancel(me: Waiter): void {
    const before = Atomics.exchange(this.#words, ENTRIES + me.slot, me.id | AWAKE);
    if ((before & NOTIFIED) !== 0) this.notify(me);
  }

  /**
   * Says that a thread has nothing in hand that it was told of: for waiters that end before their thread does.
   *
   * @param me The thread, which does not wait.
   */
  leave(me: Waiter): void {
    Atomics.store(this.#words, ENTRIES + me.slot, 0);
  }

  /**
   * Waits for a notification that came after {@linkcode prepare}.
   *
   * @param me The calling thread, which has prepared.
   * @returns Whether there was one; sometimes true for no reason.
   */
  *wait(me: Waiter): Wait<boolean> {
    const words = this.#words;
    const entry = ENTRIES + me.slot;
    const awake = me.id | AWAKE;
    while (Atomics.load(words, entry) === me.id) {
      const over = yield FOREVER;
      if (Atomics.load(words, entry) !== me.id) break;
      const left = !this.#looks && this.#inherit(me, false);
      if (!over && !left && !this.#looks && Atomics.load(words, ARMED) !== 0) continue;
      // Before it takes what a dead one left, which is not lost then if this thread dies, too.
      if (Atomics.compareExchange(words, entry, me.id, awake) !== me.id) break;
      return (left && this.#inherit(me, true)) || !over;
    }
    Atomics.store(words, entry, awake);
    return true;
  }

  /**
   * Whether somebody may wait. Right after an atomic operation that changed what is waited for.
   *
   * @returns False when {@linkcode notify} would find nobody.
   */
  mayWait(): boolean {
    return loadFollowing(this.#words, ARMED) !== 0;
  }

  /**
   * Wakes one that waits. After what it waits for was changed.
   *
   * @param me The calling thread.
   * @returns Whether somebody waited.
   */
  notify(me: Waiter): boolean {
    const words = this.#words;
    if (Atomics.load(words, ARMED) === 0) return false;
    const top = Math.min(Atomics.load(words, TOP), this.#threads);
    // Before it looks: an entry that stands for several waits has to know of those that find it notified already.
    Atomics.add(words, ONES, 1);
    const start = Atomics.load(words, CURSOR);
    let isComing = false;
    for (let step = 0; step < top; step++) {
      const slot = (start + step) % top;
      if (this.#give(me, slot)) {
        Atomics.store(words, CURSOR, slot + 1);
        return true;
      }
      const found = Atomics.load(words, ENTRIES + slot);
      isComing ||= (found & NOTIFIED) !== 0 && me.alive(found & ID_MASK);
    }
    // One that has yet to notice may stand for several waits, and counts what comes meanwhile: so `armed` stays.
    if (isComing) return false;
    return this.notifyAll(me);
  }

  /**
   * Wakes all that wait. After what they wait for was changed.
   *
   * @param me The calling thread.
   * @returns Whether somebody waited.
   */
  notifyAll(me: Waiter): boolean {
    const words = this.#words;
    if (Atomics.load(words, ARMED) === 0) return false;
    Atomics.add(words, ALLS, 1);
    Atomics.store(words, ARMED, 0);
    const top = Math.min(Atomics.load(words, TOP), this.#threads);
    let any = false;
    for (let slot = 0; slot < top; slot++) {
      if (this.#give(me, slot)) any = true;
    }
    return any;
  }

  /**
   * How many notifications of one have been given while somebody may have waited.
   *
   * @returns The number; it wraps.
   */
  ones(): number {
    return Atomics.load(this.#words, ONES);
  }

  /**
   * How many notifications of all have been given while somebody may have waited.
   *
   * @returns The number; it wraps.
   */
  alls(): number {
    return Atomics.load(this.#words, ALLS);
  }

  /** Notifies whoever waits in a slot. */
  #give(me: Waiter, slot: number): boolean {
    const words = this.#words;
    const entry = ENTRIES + slot;
    const found = Atomics.load(words, entry);
    const given = found | NOTIFIED;
    if (found === 0 || (found & ~ID_MASK) !== 0) return false;
    if (Atomics.compareExchange(words, entry, found, given) !== found) return false;
    // Looked at last: who dies from now on leaves it to those that its death wakes.
    if (me.alive(found)) {
      me.unpark(found);
      return true;
    }
    return Atomics.compareExchange(words, entry, given, 0) !== given;
  }

  /** Passes on what the slot's last thread died with: while that is there, as this thread may die, too. */
  #succeed(me: Waiter, last: number): void {
    const entry = ENTRIES + me.slot;
    for (let found = last; found !== 0;) {
      this.notify(me);
      // Another one when somebody has notified the dead one meanwhile, and leaves that to this thread.
      const now = Atomics.compareExchange(this.#words, entry, found, 0);
      found = now === found ? 0 : now;
    }
  }

  /** Looks for a thread that died with a notification, or what came of it, in hand; takes it over, if so said. */
  #inherit(me: Waiter, takes: boolean): boolean {
    const words = this.#words;
    const top = Math.min(Atomics.load(words, TOP), this.#threads);
    for (let slot = 0; slot < top; slot++) {
      const found = Atomics.load(words, ENTRIES + slot);
      if ((found & ~ID_MASK) === 0 || me.alive(found & ID_MASK)) continue;
      if (!takes) return true;
      if (Atomics.compareExchange(words, ENTRIES + slot, found, 0) === found) return true;
    }
    return false;
  }
}
