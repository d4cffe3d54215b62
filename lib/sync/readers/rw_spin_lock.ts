import type { Handle, Shareable } from "../../base/handle.ts";
import type { Lock, LockOptions } from "../locks/lock.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { RwSpinCore } from "./rw_spin_core.ts";
import { rwSides, rwStatisticsWords } from "./rw_sides.ts";

const KIND = defineKind<RwSpinLock, LockOptions>({
  name: "RwSpinLock",
  code: 41,
  title: "a reader-writer spin lock",
  accepts: ["threads", "statistics"],
  words: (shape) => RwSpinCore.words(shape),
  statisticsWords: rwStatisticsWords,
});

/**
 * A reader-writer lock in one word: for short sections that are hardly ever contended.
 *
 * Readers count themselves in the word that all of them share, which moves from CPU to CPU. A thread that finds the lock
 * taken spins for some microseconds and then naps for a millisecond at a time. Writers come first: readers may starve
 * while writers never pause.
 *
 * Each side is a {@linkcode Lock}. A thread that dies while it writes leaves the lock to the next writer, whose guard
 * says so (`ownerDied`); to read is an error (`EOWNERDEAD`) until a writer has called `markConsistent`. **A thread
 * that dies while it reads keeps writers out for ever**; where threads are terminated use {@linkcode RwLock}.
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
 *   if (writing.ownerDied) lock.write.markConsistent(); // after looking after the data
 * }
 * ```
 */
export class RwSpinLock implements Shareable {
  /** To read: together with others. */
  readonly read: Lock;
  /** To write: alone. */
  readonly write: Lock;
  readonly #region: Region;

  private constructor(region: Region) {
    const { words, shape } = region;
    const { read, write } = rwSides(new RwSpinCore(words, shape), region);
    this.read = read;
    this.write = write;
    this.#region = region;
  }

  /**
   * Makes a reader-writer spin lock. It is free at first.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode RwSpinLock.bytes} bytes.
   * @param options For whom: it takes the same room for any number of threads, but for statistics.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena
   * that another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): RwSpinLock {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a reader-writer spin lock takes.
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
   * @param handle What {@linkcode RwSpinLock.toHandle} gave in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake;
   * `ESTALE` when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): RwSpinLock {
    return KIND.attach(handle);
  }

  /**
   * How another thread finds the lock. Arguments and results of threads turn it into a live lock there.
   *
   * @returns The handle, of both sides.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }

  static {
    KIND.register(RwSpinLock, (region) => new RwSpinLock(region));
  }
}
