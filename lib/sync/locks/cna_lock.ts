import type { Handle } from "../../base/handle.ts";
import { CnaCore, PASSES } from "./cna_core.ts";
import type { Guard } from "./guard.ts";
import { type Hold, holdOf } from "./hold.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock, MAX_PASSES } from "./lock_kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

/** Options of a {@linkcode CnaLock}. */
export interface CnaLockOptions extends LockOptions {
  /**
   * The number of hand-offs within a domain before waiters of other domains get their turn: 1 to 2^30. Default: 256.
   * More is faster, fewer is fairer.
   */
  readonly passes?: number;
}

const KIND = /* @__PURE__ */ defineLock<CnaLock, CnaLockOptions>({
  name: "CnaLock",
  code: 4,
  title: "a CNA lock",
  option: { name: "passes", min: 1, max: MAX_PASSES, default: PASSES },
  words: (shape) => CnaCore.words(shape),
  strategy: SPIN_YIELD_PARK,
});

/**
 * A queue lock that stays in an L3 domain for a while: as small as an MCS lock, NUMA-aware.
 *
 * It is for many pinned threads with a CPU each, on a machine with several L3 domains. The holder hands the lock to the
 * first waiter of its own domain; waiters that it passes over wait in a second queue, which is admitted when no thread
 * of the domain waits, or after `passes` hand-offs. A thread with k others before it is overtaken at most (k + 1) ×
 * passes times. When there are more threads than CPUs it is as slow as `McsLock`; use a `Mutex` then.
 *
 * Not robust: if a thread dies while it holds the lock, waits for it, acquires it or releases it, all waiters get
 * `EOWNERDEAD`, now and later. They notice within 20 ms.
 *
 * Properties: bounded bypass, NUMA-aware, abortable; 2 atomic operations uncontended. Dice and Kogan, EuroSys 2019.
 *
 * @example
 * ```ts
 * import { CnaLock } from "@numakit/numakit";
 *
 * const options = { threads: 16, passes: 100 };
 * const lock = CnaLock.create(new SharedArrayBuffer(CnaLock.bytes(options)), options);
 * {
 *   using _guard = lock.acquire();
 * }
 * ```
 */
export class CnaLock extends Lock {
  static readonly #kind = /* @__PURE__ */ KIND.register(CnaLock, (region) => new CnaLock(region));
  readonly #core: CnaCore;
  readonly #hold: Hold;

  private constructor(region: Region) {
    const core = new CnaCore(region.words, region.shape, region.option);
    super(CnaLock.#kind.row, region, core, () => this.release());
    this.#core = core;
    this.#hold = holdOf(this);
  }

  /**
   * Creates a CNA lock that no thread holds.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode CnaLock.bytes} bytes.
   * @param options Options of the lock.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: CnaLockOptions = {}): CnaLock {
    return CnaLock.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a CNA lock needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: CnaLockOptions = {}): number {
    return CnaLock.#kind.bytes(options);
  }

  /**
   * Returns the live lock of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Lock.toHandle}, made in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): CnaLock {
    return CnaLock.#kind.attach(handle);
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
