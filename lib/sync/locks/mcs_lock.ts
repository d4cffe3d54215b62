import type { Handle } from "../../base/handle.ts";
import type { Guard } from "./guard.ts";
import { type Hold, holdOf } from "./hold.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import { McsCore } from "./mcs_core.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

const KIND = /* @__PURE__ */ defineLock<McsLock>({
  name: "McsLock",
  code: 2,
  title: "an MCS lock",
  words: (shape) => McsCore.words(shape),
  strategy: SPIN_YIELD_PARK,
});

/**
 * A queue lock: first come, first served, and every waiter checks a cache line of its own.
 *
 * It is for pinned threads with a CPU each. When there are more threads than CPUs, every hand-off waits for a thread
 * that does not run: 8 threads on 2 CPUs acquire it 0.14 million times a second, and a `Mutex` 17 million times. A
 * thread that gives up and returns before it was passed over has its old place.
 *
 * Not robust: if a thread dies while it holds the lock, waits for it, acquires it or releases it, all waiters get
 * `EOWNERDEAD`, now and later. They notice within 20 ms.
 *
 * Properties: FIFO, abortable; 2 atomic operations uncontended. Mellor-Crummey and Scott, TOCS 1991.
 *
 * @example
 * ```ts
 * import { McsLock } from "@numakit/numakit";
 *
 * const lock = McsLock.create(new SharedArrayBuffer(McsLock.bytes()));
 * {
 *   using _guard = lock.acquire();
 * }
 * lock.acquire(); // the same without a block
 * lock.release();
 * ```
 */
export class McsLock extends Lock {
  static readonly #kind = /* @__PURE__ */ KIND.register(McsLock, (region) => new McsLock(region));
  readonly #core: McsCore;
  readonly #hold: Hold;

  private constructor(region: Region) {
    const core = new McsCore(region.words, region.shape);
    super(McsLock.#kind.row, region, core, () => this.release());
    this.#core = core;
    this.#hold = holdOf(this);
  }

  /**
   * Creates an MCS lock that no thread holds.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode McsLock.bytes} bytes.
   * @param options The maximum number of threads, and other options.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): McsLock {
    return McsLock.#kind.create(memory, options);
  }

  /**
   * Returns how much memory an MCS lock needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LockOptions = {}): number {
    return McsLock.#kind.bytes(options);
  }

  /**
   * Returns the live lock of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Lock.toHandle}, made in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): McsLock {
    return McsLock.#kind.attach(handle);
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
