import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions, giveUp } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { AsyncRequest } from "../../wait/request.ts";
import { Turns } from "../../wait/turns.ts";
import type { LockCore } from "./lock_core.ts";
import type { LockReport } from "./lock_report.ts";
import { LockStatistics, type Recorder } from "./lock_statistics.ts";
import { Guard } from "./guard.ts";
import { Hold, holds } from "./hold.ts";
import { Attachment } from "../../shared/attachment.ts";
import type { Region, SyncOptions } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { heldError, notHeldError, poisonedError } from "./lock_errors.ts";
import { lockTenant } from "./lock_tenant.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { WaitStrategy } from "../../wait/wait_strategy.ts";

/** Options of every lock. */
export interface LockOptions extends SyncOptions {
  /** Whether to collect {@linkcode Lock.statistics}. Default: false, because counting takes time. */
  readonly statistics?: boolean;
}

/** What a kind of lock is called and how it waits. */
export interface LockTraits {
  /** What one is called, with its article, as it follows "Cannot acquire". */
  readonly title: string;
  /** Counts in words that are zero at first. Default: for a lock that one thread holds at a time. */
  readonly recorder?: (words: Int32Array) => Recorder;
  /** What threads do before they sleep. Default: they spin. */
  readonly strategy?: WaitStrategy;
  /** The turns of the thread's asynchronous waits, where several locks have the same words. */
  readonly turns?: Turns;
}

/**
 * The base class of all locks: mutual exclusion between threads.
 *
 * Locks are not recursive: a holder that acquires again gets `EDEADLK`. A thread holds a lock, or one of its
 * asynchronous calls does.
 *
 * @example
 * ```ts
 * import { type Lock, McsLock, Mutex } from "@numakit/numakit";
 *
 * // Adds to a word that a lock guards, whichever it is.
 * function add(lock: Lock, words: Int32Array): void {
 *   lock.acquire();
 *   try {
 *     words[0] = (words[0] ?? 0) + 1;
 *   } finally {
 *     lock.release();
 *   }
 * }
 *
 * const words = new Int32Array(new SharedArrayBuffer(4));
 * add(Mutex.create(new SharedArrayBuffer(Mutex.bytes())), words);
 * add(McsLock.create(new SharedArrayBuffer(McsLock.bytes())), words);
 * console.log(words[0]); // 2
 * ```
 */
export abstract class Lock implements Shareable {
  readonly #core: LockCore;
  readonly #attached: Attachment;
  readonly #me: ThreadWaiter;
  readonly #title: string;
  readonly #statistics: Recorder | undefined;
  readonly #hold: Hold;
  /** This thread's waits that do not block. */
  readonly #turns: Turns;
  readonly #request: AsyncRequest<boolean>;

  /**
   * For internal use: call a subclass's `create` instead.
   *
   * @param kind Which lock.
   * @param region Where.
   * @param core Its algorithm, over the words of the region.
   * @param release Calls the lock's own `release`, from a function of the subclass.
   */
  protected constructor(kind: LockTraits, region: Region, core: LockCore, release: () => void) {
    this.#core = core;
    this.#attached = new Attachment(region, kind.strategy, kind.title);
    this.#me = this.#attached.me;
    this.#title = kind.title;
    const { statistics } = region;
    const { recorder = (words): Recorder => new LockStatistics(words) } = kind;
    this.#statistics = statistics && recorder(statistics);
    this.#turns = kind.turns ?? new Turns();
    this.#request = this.#newRequest();
    // This thread may have had another object of it, which was collected while the thread held it.
    const isHeld = core.holds(this.#me);
    const guard = new Guard(() => this.#hold.held, release, () => this.#ownerDied(this.#me));
    this.#hold = new Hold(isHeld, this.#statistics !== undefined, this.#me, guard, {
      wait: () => this.#acquireSlowly(undefined),
      refuse: () => this.#refuseRelease(),
      explain: (verb, error) => this.#explain(verb, error),
    });
    holds.set(this, this.#hold);
    const tenant = lockTenant(this.#core, this.#attached.words, this.#me, this.#turns);
    settleIn(this, region, kind.title, tenant);
  }

  /**
   * Acquires the lock, and sleeps while another thread holds it.
   *
   * Cost when uncontended: two atomic operations including the release, no foreign call, no allocation. The guard is
   * the same object each time, and stands for the current acquisition of this thread.
   *
   * @param options The timeout, and whether the main thread may block.
   * @returns The guard, for `using`; it says whether the previous owner died.
   * @throws {NumaError} `EDEADLK` this thread holds it; `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main
   * thread; `EOWNERDEAD` the lock is poisoned or broken; `ETERMINATED` this thread is being terminated; `EDESTROYED`
   * its arena is destroyed; `EINVAL`.
   */
  acquire(options?: BlockOptions): Guard {
    const hold = this.#hold;
    if (hold.held) this.#refuseTwice();
    if (options !== undefined) options = checkBlockOptions(options, `acquire ${this.#title}`);
    try {
      if (hold.counts || !this.#core.begin(hold.me)) this.#acquireSlowly(options);
    } catch (error) {
      throw this.#explain("acquire", error);
    }
    hold.held = true;
    return hold.guard;
  }

  /**
   * Acquires the lock if it is free now.
   *
   * @returns The guard; undefined if it is not free.
   * @throws {NumaError} `EDEADLK` this thread holds it; `EOWNERDEAD` the lock is poisoned or broken; `EDESTROYED` its
   * arena is destroyed.
   */
  tryAcquire(): Guard | undefined {
    if (this.#hold.held) this.#refuseTwice();
    this.#attached.check("acquire");
    if (!this.#core.tryAcquire(this.#me)) {
      this.checkWait();
      this.#checkBroken();
      return undefined;
    }
    this.#statistics?.acquired(this.#me, false, false);
    this.#hold.held = true;
    return this.#hold.guard;
  }

  /**
   * Acquires the lock without blocking the thread. Several such calls of a thread exclude each other, and are served in
   * their order: the first competes with other threads, and the others wait for it. There can be any number of them.
   *
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the guard of this acquisition, which is the only way to release it.
   * @throws {NumaError} `ETIMEDOUT`; `EOWNERDEAD` the lock is poisoned or broken; `EAGAIN` more threads than `threads`;
   * `EDESTROYED` its arena is destroyed, or was during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  async acquireAsync(options?: AsyncWaitOptions): Promise<Guard> {
    for (;;) {
      this.#attached.check("acquire");
      const entered = this.#turns.enter(this, this.#request, options);
      const { me, result, waited } = entered instanceof Promise ? await entered : entered;
      if (result !== false) {
        // Its arena may have gone since, and the lock with it.
        this.#attached.check("acquire");
        this.#statistics?.acquired(me, waited, waited);
        return this.#newAsyncGuard(me);
      }
      this.#turns.leave();
      this.#attached.check("acquire");
      // Broken, unless somebody has repaired it meanwhile.
      this.#checkBroken();
    }
  }

  /**
   * Releases the lock.
   *
   * @throws {NumaError} `EOWNER` this thread does not hold it, or holds it by `acquireAsync`; `EDESTROYED`.
   */
  release(): void {
    const hold = this.#hold;
    hold.held = false;
    try {
      if (hold.counts) this.#statistics?.released(hold.me);
      if (!this.#core.release(hold.me)) this.#refuseRelease();
    } catch (error) {
      throw this.#explain("release", error);
    }
  }

  /** Whether this thread holds it. Acquisitions by `acquireAsync` do not count. */
  get held(): boolean {
    return this.#hold.held && this.#attached.words.length > 0;
  }

  /**
   * Declares the data consistent after the lock's owner died. Otherwise the next release poisons the lock: acquiring it
   * is then an error, until a thread has repaired the data and calls this.
   *
   * @returns False if no owner had died.
   * @throws {NumaError} `EOWNER` another thread holds the lock; `EDESTROYED`.
   */
  markConsistent(): boolean {
    const core = this.#core;
    this.#attached.check("mark", " as consistent");
    if (core.ownerDied?.() !== true) return false;
    const { holder = this.#me } = this.#turns;
    if (core.markConsistent?.(this.#me) === true) return true;
    if (core.markConsistent?.(holder) === true) return true;
    throw new NumaError("EOWNER", `mark ${this.#title} as consistent`, {
      why: "another thread holds it",
      fix: "Call this in the thread that got it from the dead owner.",
    });
  }

  /**
   * What has happened since it was created; undefined if it was created without `statistics`.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get statistics(): LockReport | undefined {
    this.#attached.check("read");
    return this.#statistics?.report();
  }

  /**
   * Returns a handle with which another thread finds the lock. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  /** The guard of one acquisition that did not block. */
  #newAsyncGuard(me: ThreadWaiter): Guard {
    const acquisition = { lock: this, held: true };
    const release = (): void => {
      acquisition.held = false;
      const isLast = this.#turns.holders === 1;
      const isThere = this.#attached.words.length > 0;
      if (isThere && isLast) {
        this.#statistics?.released(me);
        this.#core.release(me);
      }
      this.#turns.leave();
      this.#attached.check("release");
    };
    const isHeld = (): boolean => acquisition.held;
    return new Guard(isHeld, release, () => this.#ownerDied(me), acquisition);
  }

  #ownerDied(me: ThreadWaiter): boolean {
    return this.#attached.words.length > 0 && this.#core.ownerDied?.() === true &&
      this.#core.holds(me);
  }

  #newRequest(): AsyncRequest<boolean> {
    const action = `acquire ${this.#title}`;
    const core = this.#core;
    const attached = this.#attached;
    return {
      action,
      ...attached.guards("acquire", action),
      begin: (me) => core.begin(me) || undefined,
      wait: (me) => core.wait(me),
      failed: (result) => !result,
      // An heir that lets go without a word would poison it.
      undo: (me) => core.ownerDied?.() !== true && core.release(me),
      ...(core.shares !== undefined &&
        { joins: (me) => attached.words.length > 0 && core.shares?.(me) === true }),
    };
  }

  /** Refuses to wait for what this thread itself keeps others from giving back. */
  protected checkWait(): void {}

  /** Before this thread sleeps, and could do nothing with what it is given. */
  #checkSleep(): void {
    this.checkWait();
    this.#turns.withdraw();
    if (this.#turns.holders === 0) return;
    throw new NumaError("EDEADLK", `acquire ${this.#title}`, {
      why: "an asynchronous call of this thread holds it",
      fix: "Release its guard first, or use acquireAsync here as well.",
    });
  }

  #acquireSlowly(options: BlockOptions | undefined): void {
    const core = this.#core;
    const me = this.#me;
    const statistics = this.#statistics;
    if (statistics !== undefined) {
      if (core.tryAcquire(me)) return statistics.acquired(me, false, false);
      if (!core.holds(me) && core.begin(me)) return statistics.acquired(me, true, false);
    }
    if (core.holds(me)) this.#refuseTwice();
    try {
      this.#checkSleep();
    } catch (error) {
      // It has begun to wait: that is undone.
      if (giveUp(core.wait(me))) core.release(me);
      throw error;
    }
    let got = false;
    while (!got) {
      got = block(core.wait(me), me, `acquire ${this.#title}`, options);
      // Broken, unless somebody has repaired it meanwhile.
      if (!got) this.#checkBroken();
      got ||= core.begin(me);
    }
    statistics?.acquired(me, true, true);
  }

  #checkBroken(): void {
    if (this.#core.broken?.() !== true) return;
    const action = `acquire ${this.#title}`;
    if (this.#core.markConsistent !== undefined) throw poisonedError(action);
    throw new NumaError("EOWNERDEAD", action, {
      why: "a thread died while it held it or waited for it",
      fix: "Create a new one, or use a Mutex, which survives a dead owner.",
    });
  }

  /** What to throw for an error in the algorithm: it fails when its memory is gone. */
  #explain(verb: string, error: unknown): unknown {
    this.#attached.check(verb);
    return error;
  }

  #refuseTwice(): never {
    this.#attached.check("acquire");
    throw heldError(`acquire ${this.#title}`);
  }

  #refuseRelease(): never {
    throw notHeldError(`release ${this.#title}`);
  }
}

/**
 * Whether something is a lock, and does not only have the prototype of one.
 *
 * @param value Anything.
 * @returns Whether it is.
 */
export function isLock(value: unknown): value is Lock {
  return holds.has(value as object);
}
