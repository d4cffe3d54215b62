import type { Handle } from "../../base/handle.ts";
import { CohortCore, PASSES } from "./cohort_core.ts";
import type { Guard } from "./guard.ts";
import { type Hold, holdOf } from "./hold.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock, MAX_PASSES } from "./lock_kind.ts";
import { McsCore } from "./mcs_core.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import type { Shape } from "../../shared/shape.ts";
import { TicketCore } from "./ticket_core.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

/** Options of a {@linkcode CohortLock}. */
export interface CohortLockOptions extends LockOptions {
  /**
   * The number of hand-offs within a domain before other domains get their turn: 1 to 2^30. Default: 64. More is
   * faster, fewer is fairer.
   */
  readonly passes?: number;
}

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

const KIND = /* @__PURE__ */ defineLock<CohortLock, CohortLockOptions>({
  name: "CohortLock",
  code: 5,
  title: "a cohort lock",
  option: { name: "passes", min: 1, max: MAX_PASSES, default: PASSES },
  words(shape) {
    const { own, global, local } = partsOf(shape);
    return own + global + local * shape.domains;
  },
  strategy: SPIN_YIELD_PARK,
});

/**
 * A lock for each L3 domain and one for all of them: it is handed over within a domain, up to `passes` times in a row.
 *
 * It is for several pinned threads in each domain, with a CPU each, that need the lock all the time. It consists of an
 * MCS lock for each domain and a ticket lock for all, so the threads of a domain are served in order, and so are the
 * domains. A thread with k others of its domain before it is overtaken at most (k + 1) × (domains - 1) × (passes + 1)
 * times. When there are more threads than CPUs it is as slow as `McsLock`; use a `Mutex` then.
 *
 * Not robust: if a thread dies while it holds the lock, waits for it, acquires it or releases it, waiters get
 * `EOWNERDEAD`, now and later. They notice within 20 ms. Waiters of other domains may continue for a while.
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
  static readonly #kind = /* @__PURE__ */ KIND.register(
    CohortLock,
    (region) => new CohortLock(region),
  );
  readonly #core: CohortCore;
  readonly #hold: Hold;

  private constructor(region: Region) {
    const core = coreOf(region);
    super(CohortLock.#kind.row, region, core, () => this.release());
    this.#core = core;
    this.#hold = holdOf(this);
  }

  /**
   * Creates a cohort lock that no thread holds.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode CohortLock.bytes} bytes.
   * @param options Options of the lock.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: CohortLockOptions = {}): CohortLock {
    return CohortLock.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a cohort lock needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: CohortLockOptions = {}): number {
    return CohortLock.#kind.bytes(options);
  }

  /**
   * Returns the live lock of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Lock.toHandle}, made in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): CohortLock {
    return CohortLock.#kind.attach(handle);
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
