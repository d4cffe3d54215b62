import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { ConditionCore } from "./condition_core.ts";
import { Crowd } from "./crowd.ts";
import { EventCountCore } from "./event_count_core.ts";
import { acquisitionOf, type Guard } from "../locks/guard.ts";
import { isLock, type Lock } from "../locks/lock.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { checkAlive, settleIn } from "../../shared/tenancy.ts";
import { currentWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";

const KIND = /* @__PURE__ */ defineKind<Condition>({
  name: "Condition",
  code: 45,
  title: "a condition variable",
  accepts: ["threads"],
  words: (shape) => EventCountCore.words(shape),
});
const WAIT = "wait for a condition";

/**
 * A condition variable: releases a lock, sleeps until another thread signals, and acquires the lock again.
 *
 * A wait may end without a signal, and other threads may intervene, so check the condition again, in a loop. A thread
 * that signals need not hold the lock, but must have changed the condition while it held it.
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
  static readonly #kind = /* @__PURE__ */ KIND.register(
    Condition,
    (region) => new Condition(region),
  );
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
   * Creates a condition variable. It belongs to no lock: pass the lock to each wait.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode Condition.bytes} bytes.
   * @param options The maximum number of threads, and other options.
   * @returns The condition variable.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: SyncOptions = {}): Condition {
    return Condition.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a condition variable needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SyncOptions = {}): number {
    return Condition.#kind.bytes(options);
  }

  /**
   * Returns the live condition variable of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Condition.toHandle}, made in any thread of this process.
   * @returns The condition variable.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Condition {
    return Condition.#kind.attach(handle);
  }

  /**
   * Releases a lock, sleeps until another thread signals, and acquires the lock again. This thread holds it afterwards,
   * even after `ETIMEDOUT`, but not after `ETERMINATED` or if the lock itself throws.
   *
   * @param lock A lock that this thread holds by `acquire`.
   * @param options The timeout for the signal, and whether the main thread may block. Acquiring the lock has no
   * timeout.
   * @throws {NumaError} `EOWNER` this thread does not hold the lock; `ETIMEDOUT`; `EWOULDBLOCK` the call would block
   * the main thread; `ETERMINATED` this thread is being terminated; `EDESTROYED` an arena is destroyed; `EINVAL`. What
   * the lock throws: `EOWNERDEAD`.
   */
  wait(lock: Lock, options?: BlockOptions): void {
    options = checkBlockOptions(options, WAIT);
    checkAlive(this.#region, WAIT);
    checkLock(lock);
    if (!lock.held) {
      throw new NumaError("EOWNER", WAIT, {
        why: "this thread does not hold the lock",
        fix: "Acquire it and check the condition first.",
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
   * Releases a lock, waits for a signal without blocking the thread, and acquires the lock again. There can be any
   * number of such waits.
   *
   * @param lock The lock.
   * @param guard The guard of it from `acquireAsync`, which is no longer valid afterwards.
   * @param options The timeout for the signal. Acquiring the lock has no timeout.
   * @returns A promise for the new guard. If it rejects, the lock is not held, except where nothing has happened.
   * @throws {NumaError} `EINVAL` not a lock, or not a guard of its `acquireAsync`, and `EOWNER` one that has been
   * released: nothing has happened then. `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is
   * destroyed; `EINVAL` bad options. The signal's reason if it aborts. What the lock throws.
   */
  async waitAsync(lock: Lock, guard: Guard, options?: AsyncWaitOptions): Promise<Guard> {
    checkLock(lock);
    checkGuard(guard, lock);
    let isHeld = true;
    const letGo = (): void => {
      isHeld = false;
      guard.release();
    };
    try {
      checkAlive(this.#region, WAIT);
      const checked = checkWaitOptions(options, WAIT);
      checked?.signal?.throwIfAborted();
      await this.#crowd.join(this, checked, undefined, letGo);
    } catch (error) {
      if (isHeld) letGo();
      throw error;
    }
    return await lock.acquireAsync();
  }

  /**
   * Wakes one waiter. Call it after the condition was changed, under the lock.
   *
   * @returns Whether it woke a thread. The asynchronous waits of a thread wake it together, so that for the second of two
   * such waits it is false, although the signal ends that wait.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  signal(): boolean {
    checkAlive(this.#region, "signal a condition");
    return this.#core.signal(this.#me);
  }

  /**
   * Wakes all waiters, which then compete for their locks. Call it after the condition was changed, under the lock.
   *
   * @returns Whether a thread was waiting.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  broadcast(): boolean {
    checkAlive(this.#region, "signal a condition");
    return this.#core.broadcast(this.#me);
  }

  /**
   * Returns a handle with which another thread finds it. Arguments and results of threads are converted automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }
}

function checkLock(lock: unknown): void {
  if (isLock(lock)) return;
  throw new NumaError("EINVAL", WAIT, {
    why: `${show(lock)} is not a lock`,
    fix: "Give the lock that guards the condition, such as a Mutex.",
  });
}

/** Releasing any other guard would let go of what somebody else relies on. */
function checkGuard(guard: unknown, lock: Lock): void {
  const acquisition = acquisitionOf(guard);
  const fix = "Give the guard that the lock's acquireAsync gave last.";
  if (acquisition?.lock !== lock) {
    const why = acquisition === undefined
      ? `${show(guard)} is not a guard of acquireAsync`
      : "the guard is of another lock";
    throw new NumaError("EINVAL", WAIT, { why, fix });
  }
  if (acquisition.held) return;
  throw new NumaError("EOWNER", WAIT, { why: "the guard has been released", fix });
}
