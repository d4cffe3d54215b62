import type { Handle } from "../../base/handle.ts";
import type { Guard } from "./guard.ts";
import { type Hold, holdOf } from "./hold.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import { MutexCore, PATIENCE_MS } from "./mutex_core.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import type { BlockOptions } from "../../wait/options.ts";

/** Options of a {@linkcode Mutex}. */
export interface MutexOptions extends LockOptions {
  /**
   * The time in milliseconds that a thread lets others overtake it, before the lock is handed to it: 1 to 60,000.
   * Default: 10. If the lock is held for milliseconds, all waiters have waited that long, and the lock moves between
   * nodes at each release; then set this to the time of a hundred holds.
   */
  readonly patienceMs?: number;
}

const MAX_PATIENCE_MS = 60_000;

const KIND = /* @__PURE__ */ defineLock<Mutex, MutexOptions>({
  name: "Mutex",
  code: 1,
  title: "a mutex",
  option: { name: "patienceMs", min: 1, max: MAX_PATIENCE_MS, default: PATIENCE_MS },
  words: (shape) => MutexCore.words(shape),
});

/**
 * The lock for general use: fast when it is free, and when there are more threads than CPUs.
 *
 * A thread that finds it free takes it. Otherwise, one thread for each L3 domain spins for some microseconds, and the
 * others sleep. The lock tends to stay in a domain, where its cache lines are cheap; after `patienceMs` it is handed to
 * a waiter. If a thread dies while it holds the lock, the next one gets it, and its guard says so.
 *
 * Properties: barging, fair in the long run, NUMA-aware, robust, abortable; 2 atomic operations uncontended.
 *
 * @example
 * ```ts
 * import { Mutex } from "@numakit/numakit";
 *
 * const lock = Mutex.create(new SharedArrayBuffer(Mutex.bytes()));
 * {
 *   using guard = lock.acquire();
 *   if (guard.ownerDied) lock.markConsistent(); // after repairing the data
 * }
 * lock.acquire(); // the same without a block
 * lock.release();
 * ```
 */
export class Mutex extends Lock {
  static readonly #kind = /* @__PURE__ */ KIND.register(Mutex, (region) => new Mutex(region));
  readonly #core: MutexCore;
  readonly #hold: Hold;

  private constructor(region: Region) {
    const core = new MutexCore(region.words, region.shape, region.option);
    super(Mutex.#kind.row, region, core, () => this.release());
    this.#core = core;
    this.#hold = holdOf(this);
  }

  /**
   * Creates a mutex that no thread holds.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode Mutex.bytes} bytes.
   * @param options Options of the mutex.
   * @returns The mutex.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: MutexOptions = {}): Mutex {
    return Mutex.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a mutex needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: MutexOptions = {}): number {
    return Mutex.#kind.bytes(options);
  }

  /**
   * Returns the live mutex of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Lock.toHandle}, made in any thread of this process.
   * @returns The mutex.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Mutex {
    return Mutex.#kind.attach(handle);
  }

  /** Acquires the lock, as {@linkcode Lock.acquire} says. */
  override acquire(options?: BlockOptions): Guard {
    const hold = this.#hold;
    if (hold.needsCare(options)) return super.acquire(options);
    try {
      if (!this.#core.begin(hold.me)) hold.slow.wait();
    } catch (error) {
      throw hold.slow.explain("acquire", error);
    }
    hold.held = true;
    return hold.guard;
  }

  /** Releases the lock, as {@linkcode Lock.release} says. */
  override release(): void {
    const hold = this.#hold;
    if (!hold.held || hold.counts) return super.release();
    hold.held = false;
    try {
      if (!this.#core.release(hold.me)) hold.slow.refuse();
    } catch (error) {
      throw hold.slow.explain("release", error);
    }
  }
}
