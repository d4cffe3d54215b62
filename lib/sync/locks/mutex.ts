import type { Handle } from "../../base/handle.ts";
import { Lock, type LockOptions } from "./lock.ts";
import { defineLock } from "./lock_kind.ts";
import { MutexCore, PATIENCE_MS } from "./mutex_core.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";

/** For whom a mutex is made, and how long it lets others pass. */
export interface MutexOptions extends LockOptions {
  /**
   * How long a thread lets others pass, in milliseconds, before the lock is handed to it: 1 to 60,000. Default: 10. Where
   * the lock is held for milliseconds, everybody has waited for as long as that, and it wanders between nodes: give a
   * hundred holds.
   */
  readonly patienceMs?: number;
}

const MOST_PATIENCE_MS = 60_000;

const KIND = defineLock<Mutex, MutexOptions>({
  name: "Mutex",
  code: 1,
  title: "a mutex",
  option: { name: "patienceMs", min: 1, max: MOST_PATIENCE_MS, default: PATIENCE_MS },
  words: (shape) => MutexCore.words(shape),
  core: ({ words, shape, option }) => new MutexCore(words, shape, option),
});

/**
 * The lock to use unless you know better: fast when it is free, and still when threads outnumber CPUs.
 *
 * Whoever finds it free takes it. Those that do not: one of an L3 domain spins for some microseconds, the others sleep.
 * It tends to stay in a domain, where its cache lines are cheap; after `patienceMs` a waiter is handed it. A thread that
 * dies holding it leaves it to the next one, whose guard says so.
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
 *   if (guard.ownerDied) lock.markConsistent(); // after looking after the data
 * }
 * lock.acquire(); // the same without a block
 * lock.release();
 * ```
 */
export class Mutex extends Lock {
  private constructor(region: Region) {
    super(KIND.row, region);
  }

  /**
   * Makes a mutex. It is free at first.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode Mutex.bytes} bytes.
   * @param options For whom, and how long it lets others pass.
   * @returns The mutex.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: MutexOptions = {}): Mutex {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a mutex takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: MutexOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live mutex of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Lock.toHandle} gave in any thread of this process.
   * @returns The mutex.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake; `ESTALE`
   * when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): Mutex {
    return KIND.attach(handle);
  }

  static {
    KIND.register(Mutex, (region) => new Mutex(region));
  }
}
