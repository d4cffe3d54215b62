/**
 * Cohort lock: a lock for each domain and one for all make a lock that stays in a domain.
 *
 * ```
 *   line d      | owned | passes |                                  of domain d
 *
 *   owned:   1 while domain d has the global lock
 *   passes:  how often it was passed on since
 * ```
 *
 * A thread takes the local lock of its domain and then, unless it finds that the domain has it, the global one. Release
 * passes the local lock on to somebody who waits for it, with the global one; where nobody does, and after
 * {@linkcode PASSES} times, it releases both.
 *
 * Invariants
 * - `owned` and `passes` belong to who has the local lock, which puts plain accesses to them in order.
 * - The global lock is held in the seat of a domain, by whichever thread has the local lock.
 * - Passing succeeds or fails as one step: a waiter that gives up at the same moment is either given the lock, or skipped.
 *   Otherwise the domain could be left with a lock that nobody there wants.
 *
 * Bypass. Where both locks are first come, first served, a thread that had k threads of its domain before it is overtaken
 * by others at most (k + 1) × (domains - 1) × (PASSES + 1) times.
 *
 * Death: the two locks tell. The thread that was passed the lock is known to the global one from then on, so that
 * whoever waits there can find it dead. After a death in one domain only, the others may go on for a while; `broken`
 * says true to all.
 *
 * | fair | NUMA-aware | robust | abortable | atomics uncontended |
 * | ---- | ---------- | ------ | --------- | ------------------- |
 * | bounded bypass | yes | no: tells | yes | 4 |
 *
 * Wins where a domain has several threads that want the lock all the time. Takes two locks where one would do when nobody
 * else wants it, and collapses like what it is made of when threads outnumber CPUs (`docs/design/sync.md`).
 *
 * Dice, Marathe and Shavit, "Lock cohorting: a general technique for designing NUMA locks", PPoPP 2012. Their abortable
 * cohort lock asks more of the local lock, for the same reason.
 *
 * @module
 */
import type { LockCore } from "./lock_core.ts";
import { GAVE_UP, GOT_LATE } from "./queue_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";

/** How often a domain passes the lock on, before others have their turn. */
export const PASSES = 64;

const OWNED = 0;
const COUNT = 1;

/** A lock that can be a cohort's local one. */
export interface LocalLock extends LockCore {
  /**
   * As {@linkcode LockCore.wait}.
   *
   * @param me The calling thread.
   * @returns {@linkcode GAVE_UP}, {@linkcode GOT_LATE}, or another number: has the lock, and there is time left.
   */
  obtain(me: Waiter): Wait<number>;
  /**
   * Gives the lock to a waiter, for certain.
   *
   * @param me The holder.
   * @returns The id of who has it now; 0 when nobody waits, and `me` still holds it.
   */
  pass(me: Waiter): number;
  /** As {@linkcode LockCore.abandon}. */
  abandon(me: Waiter, dead: number): boolean;
  /** As {@linkcode LockCore.broken}. */
  broken(): boolean;
}

/**
 * A lock that can be a cohort's global one: it is held in a seat, and need not be released by the thread that acquired
 * it, as long as each says that it has taken over.
 */
export interface GlobalLock {
  /** As {@linkcode LockCore.tryAcquire}. */
  tryAcquire(me: Waiter, seat: number): boolean;
  /** As {@linkcode LockCore.begin}. */
  begin(me: Waiter, seat: number): boolean;
  /** As {@linkcode LockCore.wait}. */
  wait(me: Waiter, seat: number): Wait<boolean>;
  /** As {@linkcode LockCore.release}. */
  release(me: Waiter, seat: number): boolean;
  /**
   * Says who holds it now.
   *
   * @param me The new holder.
   * @param seat The seat.
   */
  takeOver(me: Waiter, seat: number): void;
  /**
   * Says who will take it over, if that has not happened yet.
   *
   * @param me The thread that held it last.
   * @param heir Id of the new holder.
   * @param seat The seat.
   */
  bequeath(me: Waiter, heir: number, seat: number): void;
  /** As {@linkcode LockCore.abandon}. */
  abandon(me: Waiter, dead: number, seat: number): boolean;
  /** As {@linkcode LockCore.broken}. */
  broken(): boolean;
}

/** The algorithm of `CohortLock`. */
export class CohortCore implements LockCore {
  readonly #words: Int32Array;
  readonly #global: GlobalLock;
  readonly #locals: readonly LocalLock[];
  readonly #passes: number;

  /**
   * @param words Its memory: zero at first.
   * @param global The lock for all, with a seat for each domain.
   * @param locals The lock of each domain, for all threads.
   * @param passes In place of {@linkcode PASSES}; the same in all threads.
   */
  constructor(
    words: Int32Array,
    global: GlobalLock,
    locals: readonly LocalLock[],
    passes: number = PASSES,
  ) {
    this.#words = words;
    this.#global = global;
    this.#locals = locals;
    this.#passes = passes;
  }

  /**
   * The words that one takes, beside those of its locks.
   *
   * @param domains How many local locks it has.
   * @returns 32-bit words.
   */
  static words(domains: number): number {
    return domains * LINE_WORDS;
  }

  tryAcquire(me: Waiter): boolean {
    const { domain } = me;
    const local = this.#localOf(domain);
    if (!local.tryAcquire(me)) return false;
    if (this.#global.tryAcquire(me, domain)) return this.#own(domain);
    local.release(me);
    return false;
  }

  begin(me: Waiter): boolean {
    const { domain } = me;
    return this.#localOf(domain).begin(me) && this.#continue(me, domain);
  }

  *wait(me: Waiter): Wait<boolean> {
    const { domain } = me;
    const local = this.#localOf(domain);
    if (!local.holds(me)) {
      const outcome = yield* local.obtain(me);
      if (outcome === GAVE_UP) return false;
      if (outcome === GOT_LATE) {
        if (this.#inherit(me, domain)) return true;
        if (this.#global.tryAcquire(me, domain)) return this.#own(domain);
        local.release(me);
        return false;
      }
      if (this.#continue(me, domain)) return true;
    }
    if (yield* this.#global.wait(me, domain)) return this.#own(domain);
    local.release(me);
    return false;
  }

  release(me: Waiter): boolean {
    const { domain } = me;
    const words = this.#words;
    const local = this.#localOf(domain);
    const line = domain * LINE_WORDS;
    if (!local.holds(me) || words[line + OWNED] === 0) return false;
    const passes = words[line + COUNT] as number;
    if (passes < this.#passes) {
      words[line + COUNT] = passes + 1;
      const heir = local.pass(me);
      if (heir !== 0) {
        this.#global.bequeath(me, heir, domain);
        return true;
      }
    }
    words[line + OWNED] = 0;
    this.#global.release(me, domain);
    local.release(me);
    return true;
  }

  holds(me: Waiter): boolean {
    const { domain } = me;
    return this.#localOf(domain).holds(me) && this.#words[domain * LINE_WORDS + OWNED] !== 0;
  }

  abandon(me: Waiter, dead: number): boolean {
    const { domain } = me;
    if (!this.holds(me)) return false;
    this.#global.abandon(me, dead, domain);
    return this.#localOf(domain).abandon(me, dead);
  }

  /**
   * Whether a thread was found dead in one of the locks.
   *
   * @returns True for good.
   */
  broken(): boolean {
    if (this.#global.broken()) return true;
    for (let domain = 0; domain < this.#locals.length; domain++) {
      if (this.#localOf(domain).broken()) return true;
    }
    return false;
  }

  #localOf(domain: number): LocalLock {
    return this.#locals[domain] as LocalLock;
  }

  /** With the local lock: has the global one, too, or joins those that wait for it. */
  #continue(me: Waiter, domain: number): boolean {
    if (this.#inherit(me, domain)) return true;
    return this.#global.begin(me, domain) && this.#own(domain);
  }

  /** With the local lock: finds that the global one was passed on with it. */
  #inherit(me: Waiter, domain: number): boolean {
    if (this.#words[domain * LINE_WORDS + OWNED] === 0) return false;
    this.#global.takeOver(me, domain);
    return true;
  }

  /** With both. */
  #own(domain: number): true {
    const words = this.#words;
    const line = domain * LINE_WORDS;
    words[line + OWNED] = 1;
    words[line + COUNT] = 0;
    return true;
  }
}
