import type { Handle } from "../../base/handle.ts";
import { CnaCore, PASSES } from "./cna_core.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

/** For whom a CNA lock is made, and how long it stays in a domain. */
export interface CnaLockOptions extends LockOptions {
  /**
   * Hand-offs within a domain, while others wait, before they have their turn: 1 to 2^30. Default: 256. More is faster,
   * less is fairer.
   */
  readonly passes?: number;
}

const MOST_PASSES = 2 ** 30;

const KIND = defineLock<CnaLock, CnaLockOptions>({
  name: "CnaLock",
  code: 4,
  title: "a CNA lock",
  option: { name: "passes", min: 1, max: MOST_PASSES, default: PASSES },
  words: (shape) => CnaCore.words(shape),
  core: ({ words, shape, option }) => new CnaCore(words, shape, option),
  strategy: SPIN_YIELD_PARK,
});

/**
 * A queue lock that stays in an L3 domain for a while: as small as an MCS lock, NUMA-aware.
 *
 * For many threads that are pinned and have a CPU each, on a machine of several L3 domains. The holder hands the lock to the
 * first waiter of its own domain; those that it passes over wait in a second queue, which is let in when nobody of the
 * domain waits, and after `passes` hand-offs. A thread that had k others before it is overtaken at most (k + 1) × passes
 * times. When threads outnumber CPUs it is as slow as `McsLock`: use a `Mutex`.
 *
 * Not robust: when a thread dies that holds it, waits for it, or is just taking it or giving it back, all that wait get
 * `EOWNERDEAD`, now and later. They find out within 20 ms.
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
  private constructor(region: Region) {
    super(KIND.row, region);
  }

  /**
   * Makes a CNA lock. It is free at first.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode CnaLock.bytes} bytes.
   * @param options For whom, and how long it stays in a domain.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: CnaLockOptions = {}): CnaLock {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a CNA lock takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: CnaLockOptions = {}): number {
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
  static fromHandle(handle: Handle): CnaLock {
    return KIND.attach(handle);
  }

  static {
    KIND.register(CnaLock, (region) => new CnaLock(region));
  }
}
