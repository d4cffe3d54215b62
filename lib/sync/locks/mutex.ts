import { checkInteger, checkOptions } from "../../base/check.ts";
import { type Handle, handleData, registerKind } from "../../base/handle.ts";
import { Lock, type LockKind, type LockOptions } from "./lock.ts";
import { MutexCore, PATIENCE_MS } from "./mutex_core.ts";
import { oneOf } from "../../shared/live_objects.ts";
import {
  attachRegion,
  createRegion,
  type Region,
  regionBytes,
  type RegionKind,
  type RegionOptions,
  type SyncMemory,
} from "../../shared/region.ts";

/** For whom a mutex is made, and how long it lets others pass. */
export interface MutexOptions extends LockOptions {
  /**
   * How long a thread lets others pass, in milliseconds, before the lock is handed to it: 1 to 60,000. Default: 10. Where
   * the lock is held for milliseconds, everybody has waited for as long as that, and it wanders between nodes: give a
   * hundred holds.
   */
  readonly patienceMs?: number;
}

const EXAMPLE = "{ threads, statistics, patienceMs }";
const MOST_PATIENCE_MS = 60_000;

const MEMORY: RegionKind = { name: "Mutex", code: 1, words: (shape) => MutexCore.words(shape) };
const KIND: LockKind = {
  title: "mutex",
  core: ({ words, shape, option }) => new MutexCore(words, shape, option),
};

/** The settings of its memory. */
function settingsOf(options: MutexOptions, action: string): RegionOptions {
  checkOptions(options, EXAMPLE, action);
  const { threads, statistics, patienceMs = PATIENCE_MS } = options;
  return {
    threads,
    statistics,
    option: checkInteger(patienceMs, "patienceMs", 1, MOST_PATIENCE_MS, action),
  };
}

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
    super(KIND, region);
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
    const action = "create a mutex";
    const region = createRegion(MEMORY, memory, settingsOf(options, action), action);
    return oneOf(region, (region) => new Mutex(region));
  }

  /**
   * How much memory a mutex takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: MutexOptions = {}): number {
    return regionBytes(MEMORY, settingsOf(options, "size a mutex"));
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
    const action = "attach a mutex";
    const region = attachRegion(MEMORY, handleData(handle, MEMORY.name, action), action);
    return oneOf(region, (region) => new Mutex(region));
  }

  static {
    registerKind(MEMORY.name, Mutex, Mutex.fromHandle);
  }
}
