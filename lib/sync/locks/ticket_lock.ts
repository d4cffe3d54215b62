import type { Handle } from "../../base/handle.ts";
import type { Guard } from "./guard.ts";
import { type Hold, holdOf } from "./hold.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { TicketCore } from "./ticket_core.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";

const KIND = /* @__PURE__ */ defineLock<TicketLock>({
  name: "TicketLock",
  code: 3,
  title: "a ticket lock",
  words: (shape) => TicketCore.words(shape),
  strategy: SPIN_YIELD_PARK,
});

/**
 * The smallest lock that is first come, first served: a thread draws a number, and waits until it is called.
 *
 * It is for a few pinned threads with a CPU each: all that spin check one word, those farther back less often. When
 * there are more threads than CPUs, every hand-off waits for a thread that does not run: 8 threads on 2 CPUs acquire it
 * 0.13 million times a second, and a `Mutex` 17 million times. A thread that gives up and returns before its number was
 * called continues with that number.
 *
 * Not robust: if a thread dies while it holds the lock, waits for it, acquires it or releases it, all waiters get
 * `EOWNERDEAD`, now and later. They notice within 20 ms.
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
  static readonly #kind = /* @__PURE__ */ KIND.register(
    TicketLock,
    (region) => new TicketLock(region),
  );
  readonly #core: TicketCore;
  readonly #hold: Hold;

  private constructor(region: Region) {
    const core = new TicketCore(region.words, region.shape);
    super(TicketLock.#kind.row, region, core, () => this.release());
    this.#core = core;
    this.#hold = holdOf(this);
  }

  /**
   * Creates a ticket lock that no thread holds.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode TicketLock.bytes} bytes.
   * @param options The maximum number of threads, and other options.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): TicketLock {
    return TicketLock.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a ticket lock needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LockOptions = {}): number {
    return TicketLock.#kind.bytes(options);
  }

  /**
   * Returns the live lock of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Lock.toHandle}, made in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): TicketLock {
    return TicketLock.#kind.attach(handle);
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
