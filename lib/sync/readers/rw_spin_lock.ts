import { type Handle, registerSubclass, type Shareable } from "../../base/handle.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { Turns } from "../../wait/turns.ts";
import type { Guard } from "../locks/guard.ts";
import { type Hold, holdOf } from "../locks/hold.ts";
import type { Lock, LockOptions } from "../locks/lock.ts";
import { defineKind } from "../../shared/kind.ts";
import { remembered } from "../../shared/live_objects.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { RwSpinCore, type RwSpinReadSide, type RwSpinWriteSide } from "./rw_spin_core.ts";
import { pair, type RwParts, RwSide, rwStatisticsWords } from "./rw_sides.ts";

const KIND = /* @__PURE__ */ defineKind<RwSpinLock, LockOptions>({
  name: "RwSpinLock",
  code: 41,
  title: "a reader-writer spin lock",
  accepts: ["threads", "statistics"],
  words: (shape) => RwSpinCore.words(shape),
  statisticsWords: rwStatisticsWords,
});

class RwSpinRead extends RwSide {
  readonly #core: RwSpinReadSide;
  readonly #hold: Hold;

  constructor(parts: RwParts, core: RwSpinReadSide) {
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

class RwSpinWrite extends RwSide {
  readonly #core: RwSpinWriteSide;
  readonly #hold: Hold;

  constructor(parts: RwParts, core: RwSpinWriteSide) {
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
 * A reader-writer lock in one word, for short sections that are rarely contended.
 *
 * Readers count themselves in one shared word, which moves from CPU to CPU. A thread that finds the lock taken spins
 * for some microseconds, and then sleeps for a millisecond at a time. Writers have precedence: readers may starve while
 * writers never pause.
 *
 * Each side is a {@linkcode Lock}. If a thread dies while it writes, the next writer gets the lock, and its guard says
 * so (`ownerDied`); reading is an error (`EOWNERDEAD`) until a writer has called `markConsistent`. **A thread that dies
 * while it reads keeps writers out forever**; where threads are terminated, use {@linkcode RwLock}.
 *
 * Properties: writer preference, not fair, abortable, not recursive; uncontended 2 atomic operations.
 *
 * @example
 * ```ts
 * import { RwSpinLock } from "@numakit/numakit";
 *
 * const lock = RwSpinLock.create(new SharedArrayBuffer(RwSpinLock.bytes()));
 * {
 *   using _reading = lock.read.acquire();
 * }
 * {
 *   using writing = lock.write.acquire();
 *   if (writing.ownerDied) lock.write.markConsistent(); // after repairing the data
 * }
 * ```
 */
export class RwSpinLock implements Shareable {
  static readonly #read = /* @__PURE__ */ registerSubclass(RwSpinRead);
  static readonly #write = /* @__PURE__ */ registerSubclass(RwSpinWrite);
  static readonly #kind = /* @__PURE__ */ KIND.register(
    RwSpinLock,
    (region) => new RwSpinLock(region),
  );
  /** The lock for reading, which several threads can hold together. */
  readonly read: Lock;
  /** The lock for writing, which one thread holds alone. */
  readonly write: Lock;
  readonly #region: Region;

  private constructor(region: Region) {
    const { words, shape } = region;
    const core = remembered(region, () => new RwSpinCore(words, shape));
    const parts = { whole: this, region, turns: new Turns() };
    const read = new RwSpinLock.#read(parts, core.read);
    const write = new RwSpinLock.#write(parts, core.write);
    pair(read, write);
    this.read = read;
    this.write = write;
    this.#region = region;
  }

  /**
   * Creates a reader-writer spin lock that no thread holds.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode RwSpinLock.bytes} bytes.
   * @param options Options of the lock. It needs the same memory for any number of threads, except for statistics.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): RwSpinLock {
    return RwSpinLock.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a reader-writer spin lock needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: LockOptions = {}): number {
    return RwSpinLock.#kind.bytes(options);
  }

  /**
   * Returns the live lock of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode RwSpinLock.toHandle}, made in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): RwSpinLock {
    return RwSpinLock.#kind.attach(handle);
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
