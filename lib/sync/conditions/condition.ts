import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { BlockOptions, WaitOptions } from "../../wait/options.ts";
import { ConditionCore } from "./condition_core.ts";
import { Crowd } from "./crowd.ts";
import { EventCountCore } from "./event_count_core.ts";
import { Guard } from "../locks/guard.ts";
import { Lock } from "../locks/lock.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { currentWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";

const KIND = defineKind<Condition>({
  name: "Condition",
  code: 45,
  title: "a condition variable",
  accepts: ["threads"],
  words: (shape) => EventCountCore.words(shape),
});
const WAIT = "wait for a condition";

/**
 * A condition variable: gives a lock back, sleeps until somebody signals, and takes the lock again.
 *
 * A wait may end for no reason, and others may come in between: look at the condition again, in a loop. A thread that
 * signals may hold the lock or not, but has changed the condition while holding it.
 *
 * Properties: fair in turn, robust, abortable; a signal when nobody waits costs one load.
 *
 * @example
 * ```ts
 * import { Condition, Mutex } from "@numakit/numakit";
 *
 * const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
 * const filled = Condition.create(new SharedArrayBuffer(Condition.bytes()));
 * const items = new Int32Array(new SharedArrayBuffer(4));
 * // A producer, in any thread:
 * {
 *   using _guard = lock.acquire();
 *   Atomics.add(items, 0, 1);
 *   filled.signal();
 * }
 * // A consumer:
 * {
 *   using _guard = lock.acquire();
 *   while (items[0] === 0) filled.wait(lock);
 *   Atomics.sub(items, 0, 1);
 * }
 * ```
 */
export class Condition implements Shareable {
  readonly #core: ConditionCore;
  readonly #region: Region;
  readonly #me: ThreadWaiter;
  readonly #crowd: Crowd;

  private constructor(region: Region) {
    const events = new EventCountCore(region.words, region.shape);
    this.#core = new ConditionCore(events);
    this.#region = region;
    this.#me = currentWaiter();
    this.#crowd = new Crowd(events, region, this.#me, WAIT);
    settleIn(this, region, "waits", this.#crowd.tenant);
  }

  /**
   * Makes a condition variable. It belongs to no lock: give the lock with each wait.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode Condition.bytes} bytes.
   * @param options For whom.
   * @returns The condition variable.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena
   * that another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): Condition {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a condition variable takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live condition variable of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Condition.toHandle} gave in any thread of this process.
   * @returns The condition variable.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake;
   * `ESTALE` when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): Condition {
    return KIND.attach(handle);
  }

  /**
   * Gives a lock back, sleeps until somebody signals, and takes the lock again: this thread holds it afterwards, also
   * after `ETIMEDOUT`, but not after `ETERMINATED` or when the lock itself throws.
   *
   * @param lock What this thread holds, by `acquire`.
   * @param options How long to wait for the signal, and whether to block the main thread. The lock is waited for as
   * long as it takes.
   * @throws {NumaError} `EOWNER` this thread does not hold the lock; `ETIMEDOUT`; `EWOULDBLOCK` it would block the
   * main thread; `ETERMINATED` this thread is to end; `EDESTROYED` an arena is; `EINVAL`. What the lock throws:
   * `EOWNERDEAD`.
   */
  wait(lock: Lock, options?: BlockOptions): void {
    if (options !== undefined) options = checkBlockOptions(options, WAIT);
    this.#check(WAIT);
    checkLock(lock);
    if (!lock.held) {
      throw new NumaError("EOWNER", WAIT, {
        why: "this thread does not hold the lock",
        fix: "Acquire it, and look at the condition, first.",
      });
    }
    const me = this.#me;
    this.#core.begin({ release: () => (lock.release(), true) }, me);
    try {
      block(this.#core.wait(me), me, WAIT, options);
    } finally {
      // What it takes, even on the main thread: the caller goes on as the lock's owner.
      lock.acquire({ block: true });
    }
  }

  /**
   * Gives a lock back, waits for a signal without blocking the thread, and takes the lock again. There may be any number of
   * such waits.
   *
   * @param lock The lock.
   * @param guard What `acquireAsync` gave for it. It stands for nothing afterwards.
   * @param options How long to wait for the signal; the lock is waited for as long as it takes.
   * @returns Resolves to the guard of the lock. When it rejects, the lock is not held, except after `EINVAL` for what is
   * not a lock or guard.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than it was made for; `EDESTROYED` its arena is; `EINVAL` not
   * a lock or guard, and nothing has happened then, or bad options. The signal's reason when that aborts. What the lock
   * throws.
   */
  async waitAsync(lock: Lock, guard: Guard, options?: WaitOptions): Promise<Guard> {
    checkLock(lock);
    if (!(guard instanceof Guard)) {
      throw new NumaError("EINVAL", WAIT, {
        why: `${show(guard)} is not a guard`,
        fix: "Give what acquireAsync gave for the lock.",
      });
    }
    let isHeld = true;
    const letGo = (): void => {
      isHeld = false;
      guard.release();
    };
    try {
      this.#check(WAIT);
      const checked = options === undefined ? undefined : checkWaitOptions(options, WAIT);
      checked?.signal?.throwIfAborted();
      await this.#crowd.join(checked, undefined, letGo);
    } catch (error) {
      if (isHeld) letGo();
      throw error;
    }
    return await lock.acquireAsync();
  }

  /**
   * Wakes one that waits. After the condition was changed, under the lock.
   *
   * @returns Whether somebody waited.
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  signal(): boolean {
    this.#check("signal a condition");
    return this.#core.signal(this.#me);
  }

  /**
   * Wakes all that wait, who then compete for their locks. After the condition was changed, under the lock.
   *
   * @returns Whether somebody waited.
   * @throws {NumaError} `EDESTROYED` its arena is.
   */
  broadcast(): boolean {
    this.#check("signal a condition");
    return this.#core.broadcast(this.#me);
  }

  /**
   * How another thread finds it. Arguments and results of threads turn it into a live one there.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }

  #check(action: string): void {
    if (this.#region.words.length > 0) return;
    throw new NumaError("EDESTROYED", action, {
      why: "its memory is gone",
      fix: "Destroy the arena last.",
    });
  }

  static {
    KIND.register(Condition, (region) => new Condition(region));
  }
}

function checkLock(lock: unknown): void {
  if (lock instanceof Lock) return;
  throw new NumaError("EINVAL", WAIT, {
    why: `${show(lock)} is not a lock`,
    fix: "Give the lock that guards the condition, such as a Mutex.",
  });
}
