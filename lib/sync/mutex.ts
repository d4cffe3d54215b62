import { checkOptions } from "../runtime/check.ts";
import { type Handle, handleData, registerKind } from "../runtime/handle.ts";
import { Lock, type LockKind, type LockOptions } from "./lock.ts";
import { MutexCore } from "./mutex_core.ts";
import {
  attachRegion,
  createRegion,
  oneOf,
  type Region,
  regionBytes,
  type RegionKind,
  type SyncMemory,
} from "./region.ts";

const MEMORY: RegionKind = { name: "Mutex", code: 1, words: (shape) => MutexCore.words(shape) };
const KIND: LockKind = {
  title: "mutex",
  core: ({ words, shape }) => new MutexCore(words, shape),
};

/**
 * The lock to use unless you know better: fast when it is free, and still when threads outnumber CPUs.
 *
 * Whoever finds it free takes it. Those that do not: one of an L3 domain spins for some microseconds, the others sleep.
 * It tends to stay in a domain, where its cache lines are cheap; who has waited for 10 ms is handed it. A thread that
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
   * @param options For whom.
   * @returns The mutex.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): Mutex {
    const action = "create a mutex";
    checkOptions(options, "{ threads, statistics }", action);
    return oneOf(createRegion(MEMORY, memory, options, action), (region) => new Mutex(region));
  }

  /**
   * How much memory a mutex takes.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LockOptions = {}): number {
    checkOptions(options, "{ threads, statistics }", "size a mutex");
    return regionBytes(MEMORY, options);
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
