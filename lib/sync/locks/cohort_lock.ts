import type { Handle } from "../../base/handle.ts";
import { CohortCore, PASSES } from "./cohort_core.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import { McsCore } from "./mcs_core.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import type { Shape } from "../../shared/shape.ts";
import { TicketCore } from "./ticket_core.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

/** For whom a cohort lock is made, and how long it stays in a domain. */
export interface CohortLockOptions extends LockOptions {
  /**
   * Hand-offs within a domain before the others have their turn: 1 to 2^30. Default: 64. More is faster, less is
   * fairer.
   */
  readonly passes?: number;
}

const MOST_PASSES = 2 ** 30;

/** Words of its parts: the cohort's own, then the global lock's, then each local lock's. */
function partsOf(shape: Shape): { own: number; global: number; local: number } {
  const { domains } = shape;
  return {
    own: CohortCore.words(domains),
    global: TicketCore.words({ threads: domains, domains }),
    local: McsCore.words(shape),
  };
}

function coreOf({ words, shape, option }: Region): CohortCore {
  const { domains } = shape;
  const { own, global, local } = partsOf(shape);
  const locals = Array.from({ length: domains }, (_, domain) => {
    const start = own + global + domain * local;
    return new McsCore(words.subarray(start, start + local), shape);
  });
  const ticket = new TicketCore(words.subarray(own, own + global), { threads: domains, domains });
  return new CohortCore(words.subarray(0, own), ticket, locals, option);
}

const KIND = defineLock<CohortLock, CohortLockOptions>({
  name: "CohortLock",
  code: 5,
  title: "a cohort lock",
  option: { name: "passes", min: 1, max: MOST_PASSES, default: PASSES },
  words(shape) {
    const { own, global, local } = partsOf(shape);
    return own + global + local * shape.domains;
  },
  core: coreOf,
  strategy: SPIN_YIELD_PARK,
});

/**
 * A lock for each L3 domain, and one for all: hands on within a domain, and lets others have their turn by count.
 *
 * For several threads a domain that are pinned and have a CPU each, and want the lock all the time. It is made of an MCS lock
 * a domain and a ticket lock for all, so a domain's threads are served in order, and so are the domains. A thread that had
 * k others of its domain before it is overtaken at most (k + 1) × (domains - 1) × (passes + 1) times. When threads
 * outnumber CPUs it is as slow as `McsLock`: use a `Mutex`.
 *
 * Not robust: when a thread dies that holds it, waits for it, or is just taking it or giving it back, those that wait get
 * `EOWNERDEAD`, now and later. They find out within 20 ms. Those of other domains may go on for a while.
 *
 * Properties: bounded bypass, NUMA-aware, abortable; 4 atomic operations uncontended. Dice, Marathe and Shavit, PPoPP 2012.
 *
 * @example
 * ```ts
 * import { CohortLock } from "@numakit/numakit";
 *
 * const options = { threads: 16, passes: 100 };
 * const lock = CohortLock.create(new SharedArrayBuffer(CohortLock.bytes(options)), options);
 * {
 *   using _guard = lock.acquire();
 * }
 * ```
 */
export class CohortLock extends Lock {
  private constructor(region: Region) {
    super(KIND.row, region);
  }

  /**
   * Makes a cohort lock. It is free at first.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode CohortLock.bytes} bytes.
   * @param options For whom, and how long it stays in a domain.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: CohortLockOptions = {}): CohortLock {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a cohort lock takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: CohortLockOptions = {}): number {
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
  static fromHandle(handle: Handle): CohortLock {
    return KIND.attach(handle);
  }

  static {
    KIND.register(CohortLock, (region) => new CohortLock(region));
  }
}
