import type { Handle } from "../../base/handle.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import { McsCore } from "./mcs_core.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

const KIND = defineLock<McsLock>({
  name: "McsLock",
  code: 2,
  title: "an MCS lock",
  words: (shape) => McsCore.words(shape),
  core: ({ words, shape }) => new McsCore(words, shape),
  strategy: SPIN_YIELD_PARK,
});

/**
 * A queue lock: first come, first served, and every waiter looks at a line of its own.
 *
 * For threads that are pinned and have a CPU each. When threads outnumber CPUs every hand-off waits for a thread that does
 * not run: 8 threads on 2 CPUs get it 0.14 million times a second, and a `Mutex` 17 million times. A thread that gives up
 * and comes back before it was passed over has its old place.
 *
 * Not robust: when a thread dies that holds it, waits for it, or is just taking it or giving it back, all that wait get
 * `EOWNERDEAD`, now and later. They find out within 20 ms.
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
  private constructor(region: Region) {
    super(KIND.row, region);
  }

  /**
   * Makes an MCS lock. It is free at first.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode McsLock.bytes} bytes.
   * @param options For whom.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): McsLock {
    return KIND.create(memory, options);
  }

  /**
   * How much memory an MCS lock takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LockOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live lock of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Lock.toHandle} gave in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake; `ESTALE`
   * when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): McsLock {
    return KIND.attach(handle);
  }

  static {
    KIND.register(McsLock, (region) => new McsLock(region));
  }
}
