import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { block, checkBlockOptions } from "../../wait/block.ts";
import type { BlockOptions } from "../../wait/options.ts";
import { defineKind } from "../../shared/kind.ts";
import { checkAlive } from "../../shared/tenancy.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { MAX_RECORD_WORDS, SeqCore } from "./seq_core.ts";
import { lockWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";

/** Options of a {@linkcode SeqLock}. */
export interface SeqLockOptions extends SyncOptions {
  /** The number of 32-bit words: 1 to 16. */
  readonly words: number;
}

const KIND = /* @__PURE__ */ defineKind<SeqLock, SeqLockOptions>({
  name: "SeqLock",
  code: 42,
  title: "a sequence lock",
  accepts: ["words", "threads"],
  option: { name: "words", min: 1, max: MAX_RECORD_WORDS },
  words: (shape, words) => SeqCore.words(shape, words),
});

/** The sleep is so short that the main thread may have it, too. */
const SHORT: BlockOptions = { block: true };

/**
 * A small record with many readers and some writers: up to sixteen 32-bit words that always belong together.
 *
 * A reader writes nothing to shared memory, and starts again only if a write was completed meanwhile. A writer that is
 * interrupted or dies in the middle of a write delays no reader, and leaves the record as it was. Writers exclude each
 * other.
 *
 * Properties: readers lock-free, writers not fair, robust, abortable; two loads and one for each word to read.
 *
 * @example
 * ```ts
 * import { SeqLock } from "@numakit/numakit";
 *
 * const route = SeqLock.create(new SharedArrayBuffer(SeqLock.bytes({ words: 3 })), { words: 3 });
 * route.write([1, 20, 300]);
 * const out = new Int32Array(3);
 * route.read(out);
 * console.log(out); // 1, 20, 300: never a mixture of two writes
 * ```
 */
export class SeqLock implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(SeqLock, (region) => new SeqLock(region));
  readonly #core: SeqCore;
  readonly #region: Region;
  readonly #me: ThreadWaiter;
  readonly #scratch: Int32Array;

  private constructor(region: Region) {
    this.#core = new SeqCore(region.words, region.shape, region.option);
    this.#scratch = new Int32Array(this.#core.size);
    this.#region = region;
    this.#me = lockWaiter();
  }

  /**
   * Creates a record with all words zero.
   *
   * @param memory The memory for its words: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode SeqLock.bytes} bytes.
   * @param options The size of the record.
   * @returns The record.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: SeqLockOptions): SeqLock {
    return SeqLock.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a record needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SeqLockOptions): number {
    return SeqLock.#kind.bytes(options);
  }

  /**
   * Returns the live record of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode SeqLock.toHandle}, made in any thread of this process.
   * @returns The record.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): SeqLock {
    return SeqLock.#kind.attach(handle);
  }

  /** The number of 32-bit words of the record. */
  get words(): number {
    return this.#core.size;
  }

  /**
   * Reads the record. If writers interfere every time, it acquires the writers' lock, so it always succeeds.
   *
   * @param out The destination: at least {@linkcode SeqLock.words} elements.
   * @throws {NumaError} `EINVAL` too few elements; `EDESTROYED` its arena is destroyed; `ETERMINATED` this thread is
   * being terminated.
   */
  read(out: Int32Array): void {
    const core = this.#core;
    this.#checkOut(out);
    if (core.read(out)) return;
    this.#lock("read a record", SHORT);
    core.read(out);
    core.release(this.#me);
  }

  /**
   * Reads the record, unless writers interfere several times.
   *
   * @param out The destination: at least {@linkcode SeqLock.words} elements. Its contents are undefined if this returns
   * false.
   * @returns Whether it succeeded.
   * @throws {NumaError} `EINVAL` too few elements; `EDESTROYED` its arena is destroyed.
   */
  tryRead(out: Int32Array): boolean {
    this.#checkOut(out);
    return this.#core.read(out);
  }

  /**
   * Replaces the record. Readers see all of the new values or none.
   *
   * @param values At least {@linkcode SeqLock.words} integers, which wrap to 32 bits.
   * @param options The timeout for other writers. The main thread may wait too, unless `block` is false.
   * @throws {NumaError} `EINVAL` too few; `ETIMEDOUT`; `EDESTROYED` its arena is destroyed; `ETERMINATED` this thread
   * is being terminated.
   */
  write(values: ArrayLike<number>, options?: BlockOptions): void {
    const action = "write a record";
    this.#check(values, action);
    if (options !== undefined) options = checkBlockOptions(options, action);
    // Before the lock is taken: looking at anything else may run code of the caller's.
    const isPlain = ArrayBuffer.isView(values) && values instanceof Int32Array;
    const words = isPlain ? values : this.#copy(values, action);
    this.#lock(
      action,
      options === undefined
        ? SHORT
        : { block: options.block ?? true, timeoutMs: options.timeoutMs },
    );
    this.#core.write(words);
    this.#core.release(this.#me);
  }

  /**
   * Returns a handle with which another thread finds the record. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#region.toHandle();
  }

  #lock(action: string, options: BlockOptions): void {
    const core = this.#core;
    const me = this.#me;
    if (!core.begin(me)) block(core.wait(me), me, action, options);
  }

  #copy(values: ArrayLike<number>, action: string): Int32Array {
    const copy = this.#scratch;
    for (let word = 0; word < copy.length; word++) {
      const value: unknown = values[word];
      if (typeof value !== "number") {
        throw new NumaError("EINVAL", action, {
          why: `word ${word} is ${show(value)}`,
          fix: "Give numbers.",
        });
      }
      copy[word] = value;
    }
    return copy;
  }

  #checkOut(out: Int32Array): void {
    const action = "read a record";
    this.#check(out, action);
    if (out instanceof Int32Array) return;
    throw new NumaError("EINVAL", action, {
      why: `out is ${show(out)}`,
      fix: "Give an Int32Array.",
    });
  }

  #check(values: ArrayLike<number>, action: string): void {
    checkAlive(this.#region, action);
    if (!(values?.length >= this.#core.size)) {
      throw new NumaError("EINVAL", action, {
        why: `it has ${this.#core.size} words and was given ${show(values)}`,
        fix: "Give an array that is long enough.",
      });
    }
  }
}
