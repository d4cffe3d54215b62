import type { Handle } from "../../base/handle.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { TicketCore } from "./ticket_core.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

const KIND = defineLock<TicketLock>({
  name: "TicketLock",
  code: 3,
  title: "a ticket lock",
  words: (shape) => TicketCore.words(shape),
  core: ({ words, shape }) => new TicketCore(words, shape),
  strategy: SPIN_YIELD_PARK,
});

/**
 * The smallest lock that is first come, first served: draw a number, wait until it is served.
 *
 * For a few threads that are pinned and have a CPU each: all that spin look at one word, those farther back less often.
 * When threads outnumber CPUs every hand-off waits for a thread that does not run: 8 threads on 2 CPUs get it 0.13 million
 * times a second, and a `Mutex` 17 million times. A thread that gives up and comes back before its number was called goes
 * on with that number.
 *
 * Not robust: when a thread dies that holds it, waits for it, or is just taking it or giving it back, all that wait get
 * `EOWNERDEAD`, now and later. They find out within 20 ms.
 *
 * Properties: FIFO, abortable; 2 atomic operations uncontended. Reed and Kanodia, CACM 1979; proportional back-off:
 * Mellor-Crummey and Scott, TOCS 1991.
 *
 * @example
 * ```ts
 * import { TicketLock } from "@numakit/numakit";
 *
 * const lock = TicketLock.create(new SharedArrayBuffer(TicketLock.bytes()));
 * {
 *   using _guard = lock.acquire();
 * }
 * ```
 */
export class TicketLock extends Lock {
  private constructor(region: Region) {
    super(KIND.row, region);
  }

  /**
   * Makes a ticket lock. It is free at first.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode TicketLock.bytes} bytes.
   * @param options For whom.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): TicketLock {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a ticket lock takes.
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
  static fromHandle(handle: Handle): TicketLock {
    return KIND.attach(handle);
  }

  static {
    KIND.register(TicketLock, (region) => new TicketLock(region));
  }
}
