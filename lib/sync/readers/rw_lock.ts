import { type Handle, registerSubclass, type Shareable } from "../../base/handle.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { Turns } from "../../wait/turns.ts";
import type { Guard } from "../locks/guard.ts";
import { type Hold, holdOf } from "../locks/hold.ts";
import type { Lock, LockOptions } from "../locks/lock.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { RwCore, type RwReadSide, type RwWriteSide } from "./rw_core.ts";
import { pair, type RwParts, RwSide, rwStatisticsWords } from "./rw_sides.ts";

const KIND = /* @__PURE__ */ defineKind<RwLock, LockOptions>({
  name: "RwLock",
  code: 40,
  title: "a reader-writer lock",
  accepts: ["threads", "statistics"],
  words: (shape) => RwCore.words(shape),
  statisticsWords: rwStatisticsWords,
});

class RwRead extends RwSide {
  readonly #core: RwReadSide;
  readonly #hold: Hold;

  constructor(parts: RwParts, core: RwReadSide) {
    super("read", parts, core, () => this.release());
    this.#core = core;
    this.#hold = holdOf(this);
  }

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

class RwWrite extends RwSide {
  readonly #core: RwWriteSide;
  readonly #hold: Hold;

  constructor(parts: RwParts, core: RwWriteSide) {
    super("write", parts, core, () => this.release());
    this.#core = core;
    this.#hold = holdOf(this);
  }

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

/**
 * A reader-writer lock whose readers do not slow each other down, for data that is read far more often than written.
 *
 * Each reader writes a cache line of its own and reads one that only writers change, so reading costs the same on every
 * node and with any number of readers. A writer checks the lines of all threads that have ever used the lock. Readers
 * and writers take turns: a writer waits for the readers that hold the lock when it arrives, and readers wait for a few
 * writers at most.
 *
 * Each side is a {@linkcode Lock}. A thread that dies while it reads does not block others. If a thread dies while it
 * writes, the next writer gets the lock, and its guard says so (`ownerDied`); reading is an error (`EOWNERDEAD`) until
 * a writer has called `markConsistent`.
 *
 * Properties: fair between readers and writers, NUMA-aware, robust, abortable, not recursive; when uncontended, 2
 * atomic operations and a load to read, and 2 plus a load for each thread to write.
 *
 * @example
 * ```ts
 * import { RwLock } from "@numakit/numakit";
 *
 * const lock = RwLock.create(new SharedArrayBuffer(RwLock.bytes()));
 * {
 *   using _reading = lock.read.acquire();
 * }
 * {
 *   using writing = lock.write.acquire();
 *   if (writing.ownerDied) lock.write.markConsistent(); // after repairing the data
 * }
 * ```
 */
export class RwLock implements Shareable {
  static readonly #read = /* @__PURE__ */ registerSubclass(RwRead);
  static readonly #write = /* @__PURE__ */ registerSubclass(RwWrite);
  static readonly #kind = /* @__PURE__ */ KIND.register(RwLock, (region) => new RwLock(region));
  /** The lock for reading, which several threads can hold together. */
  readonly read: Lock;
  /** The lock for writing, which one thread holds alone. */
  readonly write: Lock;
  readonly #region: Region;

  private constructor(region: Region) {
    const { words, shape } = region;
    const core = new RwCore(words, shape);
    const parts = { whole: this, region, turns: new Turns() };
    const read = new RwLock.#read(parts, core.read);
    const write = new RwLock.#write(parts, core.write);
    pair(read, write);
    this.read = read;
    this.write = write;
    this.#region = region;
  }

  /**
   * Creates a reader-writer lock that no thread holds.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode RwLock.bytes} bytes.
   * @param options Options of the lock. Each thread needs 128 bytes, and with statistics as many again.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): RwLock {
    return RwLock.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a reader-writer lock needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LockOptions = {}): number {
    return RwLock.#kind.bytes(options);
  }

  /**
   * Returns the live lock of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode RwLock.toHandle}, made in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): RwLock {
    return RwLock.#kind.attach(handle);
  }

  /**
   * Returns a handle with which another thread finds the lock. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle, of both sides.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }
}
