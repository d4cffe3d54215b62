import type { Handle, Shareable } from "../../base/handle.ts";
import type { Lock, LockOptions } from "../locks/lock.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { RwCore } from "./rw_core.ts";
import { rwSides, rwStatisticsWords } from "./rw_sides.ts";

const KIND = defineKind<RwLock, LockOptions>({
  name: "RwLock",
  code: 40,
  title: "a reader-writer lock",
  accepts: ["threads", "statistics"],
  words: (shape) => RwCore.words(shape),
  statisticsWords: rwStatisticsWords,
});

/**
 * A reader-writer lock whose readers do not disturb each other: for what is read far more often than written.
 *
 * Each reader writes a cache line of its own and looks at one that only writers change, so that reading costs the
 * same on every node and however many read. A writer looks at the lines of all threads that have ever used the lock.
 * Readers and writers take turns: a writer waits for the readers that are inside when it comes, readers for a few
 * writers at most.
 *
 * Each side is a {@linkcode Lock}. A thread that dies while it reads is no obstacle. One that dies while it writes
 * leaves the lock to the next writer, whose guard says so (`ownerDied`); to read is an error (`EOWNERDEAD`) until a
 * writer has called `markConsistent`.
 *
 * Properties: fair between readers and writers, NUMA-aware, robust, abortable, not recursive; uncontended 3 atomic
 * operations to read, 2 and one a thread to write.
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
 *   if (writing.ownerDied) lock.write.markConsistent(); // after looking after the data
 * }
 * ```
 */
export class RwLock implements Shareable {
  /** To read: together with others. */
  readonly read: Lock;
  /** To write: alone. */
  readonly write: Lock;
  readonly #region: Region;

  private constructor(region: Region) {
    const { words, shape } = region;
    const { read, write } = rwSides(new RwCore(words, shape), region);
    this.read = read;
    this.write = write;
    this.#region = region;
  }

  /**
   * Makes a reader-writer lock. It is free at first.
   *
   * @param memory Where its words live: an arena on the node of its users, or a SharedArrayBuffer of
   * {@linkcode RwLock.bytes} bytes.
   * @param options For whom: each thread takes 128 bytes, and with statistics as many again.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena
   * that another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: LockOptions = {}): RwLock {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a reader-writer lock takes.
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
   * @param handle What {@linkcode RwLock.toHandle} gave in any thread of this process.
   * @returns The lock.
   * @throws {NumaError} `EINVAL` for anything else than a handle, or one of threads that this one cannot wake;
   * `ESTALE` when its memory is gone; `EAGAIN` when this thread is one too many.
   */
  static fromHandle(handle: Handle): RwLock {
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
    KIND.register(RwLock, (region) => new RwLock(region));
  }
}
