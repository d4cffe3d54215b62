import type { Handle, Shareable } from "../../base/handle.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { lockWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { SPIN_YIELD_PARK } from "../../wait/wait_strategy.ts";
import { LONG, nap, SOON } from "../naps.ts";
import { BUSY, closedError } from "../outcomes.ts";
import { ENDED, MpmcCore } from "./mpmc_core.ts";
import { countOf, PUT, RingEnds, TAKE } from "./ring_ends.ts";
import { optionOf, type RingOptions, settingsOf } from "./ring_settings.ts";

/** Options of a {@linkcode MpmcRing}. */
export type MpmcRingOptions = RingOptions;

const KIND = /* @__PURE__ */ defineKind<MpmcRing, MpmcRingOptions>({
  name: "MpmcRing",
  code: 61,
  title: "a ring",
  accepts: ["threads", "capacity", "recordWords"],
  option: optionOf,
  words(shape, option) {
    const { capacity, recordWords } = settingsOf(option);
    return MpmcCore.words(shape, capacity, recordWords);
  },
});

/**
 * A ring of fixed-size records, from any number of threads to any number of threads.
 *
 * A record is one or more 32-bit words. Any thread puts records in and takes them out; each record is taken out once. With
 * one thread at each end, `SpscRing` costs half as much.
 *
 * Full and empty are return values. Methods that begin with `try` wait for neither; `push` and `pop` sleep until there is
 * room or something to take, and those that end in `Async` do so without blocking the thread.
 *
 * One thread at a time puts records in, and one takes them out. It needs as long as it takes to copy a batch, or as long as
 * it is interrupted there. Others spin meanwhile. After that
 * - `push` and `pop` sleep, as they do for room and records: for `timeoutMs` at most. On a main thread that may not
 *   block they do as those that begin with `try`, and then throw `EWOULDBLOCK`;
 * - `pushAsync` and `popAsync` come back later, without blocking the thread, until their timeout or signal ends them;
 * - methods that begin with `try` sleep for a millisecond fifty times at most, also on the main thread, and then throw
 *   `EBUSY`, because they cannot tell whether there is room or something to take; `close` does so a thousand times.
 *
 * A thread that dies there is noticed within such a millisecond, or when its `launch` ends it, and holds nobody up.
 *
 * Properties: first in, first out, in the order in which threads put records in, and linearizable; not fair; robust.
 * A thread that dies in the middle of a call has put in all records of that call or none, and taken out all or none; what
 * it has taken out is gone with it, and nobody waits for it. Costs of the methods that begin with `try`: two atomic
 * operations a batch, no call of native code unless somebody sleeps, no allocation.
 *
 * @example
 * ```ts
 * import { MpmcRing } from "@numakit/numakit";
 *
 * const options = { capacity: 1024, recordWords: 2 };
 * const ring = MpmcRing.create(new SharedArrayBuffer(MpmcRing.bytes(options)), options);
 * // A producer, in any thread:
 * ring.tryPush(Int32Array.of(1, 10, 2, 20)); // two records
 * // A consumer, in any thread:
 * const records = new Int32Array(2 * 64);
 * const count = ring.tryPop(records); // up to 64 of them
 * console.log(count, records[2], records[3]); // 2 2 20
 * ```
 */
export class MpmcRing implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(
    MpmcRing,
    (region) => new MpmcRing(region),
  );
  readonly #core: MpmcCore;
  readonly #attached: Attachment;
  /** The calling thread, as it waits for those in the middle of an operation. */
  readonly #me: ThreadWaiter;
  readonly #size: number;
  readonly #ends: RingEnds;

  private constructor(region: Region) {
    const { capacity, recordWords } = settingsOf(region.option);
    const core = new MpmcCore(region.words, region.shape, capacity, recordWords);
    this.#core = core;
    this.#size = recordWords;
    this.#attached = new Attachment(region);
    this.#me = lockWaiter(SPIN_YIELD_PARK);
    this.#ends = new RingEnds(this, this.#attached, core, {
      put: (records, count) => {
        if (count === 0 && !core.closed()) return 1;
        const done = count === 0 ? ENDED : core.push(this.#me, records, count, count);
        if (done === ENDED) throw closedError(PUT);
        return done;
      },
      take: (target, count) => core.pop(this.#me, target, count, 1),
      announce: (count) => core.announce(this.#me, count),
    });
  }

  /**
   * Creates an empty ring.
   *
   * @param memory The memory for it: an arena on the node of its users, or a `SharedArrayBuffer` of
   * {@linkcode MpmcRing.bytes} bytes.
   * @param options The number and size of its records, and other options.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: MpmcRingOptions = {}): MpmcRing {
    return MpmcRing.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a ring needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: MpmcRingOptions = {}): number {
    return MpmcRing.#kind.bytes(options);
  }

  /**
   * Returns the live ring of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode MpmcRing.toHandle}, made in any thread of this process.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): MpmcRing {
    return MpmcRing.#kind.attach(handle);
  }

  /** The number of records that it has room for. */
  get capacity(): number {
    return this.#core.capacity;
  }

  /** The number of 32-bit words of a record. */
  get recordWords(): number {
    return this.#size;
  }

  /**
   * The number of records in it at this moment.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get length(): number {
    this.#attached.check("read");
    return this.#core.length();
  }

  /**
   * Whether it is closed. What is in it can still be taken out; nothing more will come.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get closed(): boolean {
    this.#attached.check("read");
    return this.#core.closed();
  }

  /**
   * Puts records in if there is room for all of them. They stay together: no other thread's records come between them.
   *
   * @param records Their words, one record after the other.
   * @returns False if there is not enough room. Then none is put in.
   * @throws {NumaError} `EINVAL` if there is a part of a record; `ECLOSED` if the ring is closed; `EBUSY` another thread
   * stands still in the middle of putting records in; `ETERMINATED` this thread is being terminated while it
   * waits for such a one; `EDESTROYED` if its arena is destroyed. In all cases none is put in.
   */
  tryPush(records: Int32Array): boolean {
    const count = countOf(records, this.#size, PUT);
    try {
      if (count === 0) return this.#checkOpen();
      const done = this.#core.push(this.#me, records, count, count);
      return (done >= 0 ? done : this.#push(done, records, count, count)) > 0;
    } catch (error) {
      this.#attached.check("put records into");
      throw error;
    }
  }

  /**
   * Puts in as many records as there is room for. They stay together.
   *
   * @param records Their words, one record after the other.
   * @returns The number of records that were put in: the first ones.
   * @throws {NumaError} As {@linkcode MpmcRing.tryPush}.
   */
  tryPushSome(records: Int32Array): number {
    const count = countOf(records, this.#size, PUT);
    try {
      if (count === 0) return Number(!this.#checkOpen());
      const done = this.#core.push(this.#me, records, count, 1);
      return done >= 0 ? done : this.#push(done, records, count, 1);
    } catch (error) {
      this.#attached.check("put records into");
      throw error;
    }
  }

  /**
   * Takes out as many records as there are and `target` has room for.
   *
   * @param target Where their words go, from its start.
   * @returns The number of records: 0 if the ring is empty.
   * @throws {NumaError} `EINVAL` if `target` would have room for a part of a record; `EBUSY` another thread stands
   * still in the middle of taking records out; `ETERMINATED` this thread is being terminated while it waits for such
   * a one; `EDESTROYED` if its arena is destroyed. In all cases none is taken out.
   */
  tryPop(target: Int32Array): number {
    const count = countOf(target, this.#size, TAKE);
    try {
      if (count === 0) return 0;
      const done = this.#core.pop(this.#me, target, count, 1);
      return done >= 0 ? done : this.#pop(target, count, 1);
    } catch (error) {
      this.#attached.check("take records out of");
      throw error;
    }
  }

  /**
   * Takes out as many records as `target` has room for, if there are so many.
   *
   * @param target Where their words go.
   * @returns False if there are fewer. Then none is taken out.
   * @throws {NumaError} As {@linkcode MpmcRing.tryPop}.
   */
  tryPopAll(target: Int32Array): boolean {
    const count = countOf(target, this.#size, TAKE);
    try {
      if (count === 0) return true;
      const done = this.#core.pop(this.#me, target, count, count);
      return (done >= 0 ? done : this.#pop(target, count, count)) > 0;
    } catch (error) {
      this.#attached.check("take records out of");
      throw error;
    }
  }

  /**
   * Puts records in, and sleeps until there is room for all of them. They stay together. Whoever needs little room may
   * overtake others that need more.
   *
   * @param records Their words, one record after the other: no more than {@linkcode MpmcRing.capacity} records.
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} `ECLOSED` if the ring is closed, or is meanwhile; `ETIMEDOUT`; `EWOULDBLOCK` the call would block
   * the main thread; `ETERMINATED` this thread is being terminated; `EDESTROYED` its arena is destroyed; `EINVAL`. In all
   * cases none is put in.
   */
  push(records: Int32Array, options?: BlockOptions): void {
    this.#ends.push(records, options);
  }

  /**
   * Takes records out, and sleeps until there is at least one.
   *
   * @param target Where their words go, from its start: as many records as there are and it has room for.
   * @param options The timeout, and whether the main thread may block.
   * @returns The number of records: 0 if the ring is closed, and empty. Then nothing more will come.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread; `ETERMINATED` this thread is being
   * terminated; `EDESTROYED` its arena is destroyed; `EINVAL` if `target` has no room for a record, or for a part of one.
   */
  pop(target: Int32Array, options?: BlockOptions): number {
    return this.#ends.pop(target, options);
  }

  /**
   * Puts records in when there is room for all of them, without blocking the thread. Several calls of a thread may be
   * served in any order.
   *
   * @param records As for {@linkcode MpmcRing.push}. Do not change them before the promise is settled.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise that resolves when they are in.
   * @throws {NumaError} `ECLOSED` if the ring is closed, or is meanwhile; `ETIMEDOUT`; `EAGAIN` more threads than
   * `threads`; `EDESTROYED` its arena is destroyed, or was during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  pushAsync(records: Int32Array, options?: AsyncWaitOptions): Promise<void> {
    return this.#ends.pushAsync(records, options);
  }

  /**
   * Takes records out when there is at least one, without blocking the thread.
   *
   * @param target As for {@linkcode MpmcRing.pop}. Do not use it before the promise is settled.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the number of records: 0 if the ring is closed, and empty.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is destroyed, or was during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  popAsync(target: Int32Array, options?: AsyncWaitOptions): Promise<number> {
    return this.#ends.popAsync(target, options);
  }

  /**
   * Says that no more records will come, and wakes everybody who waits. Consumers still get what is there; every attempt
   * to put records in throws `ECLOSED` from now on. Close it when all producers are done, if others wait for their records.
   *
   * @throws {NumaError} `EBUSY` or `ETERMINATED` as {@linkcode MpmcRing.tryPush}, and it is not closed; `EDESTROYED` if
   * its arena is destroyed.
   */
  close(): void {
    this.#attached.check("close");
    const step = (): number => this.#core.close(this.#me) ? 0 : BUSY;
    if (step() === BUSY) nap(step, this.#me, "close a ring", LONG);
  }

  /**
   * Returns a handle with which another thread finds the ring. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  /** That it is not closed, for one who puts nothing in. */
  #checkOpen(): true {
    if (this.#core.closed()) throw closedError(PUT);
    return true;
  }

  /** Puts records in, after an attempt that failed. */
  #push(before: number, records: Int32Array, count: number, least: number): number {
    const step = (): number => this.#core.push(this.#me, records, count, least);
    const done = before === BUSY ? nap(step, this.#me, PUT, SOON) : before;
    if (done === ENDED) throw closedError(PUT);
    return done;
  }

  /** Takes records out, after an attempt that failed. */
  #pop(target: Int32Array, count: number, least: number): number {
    const step = (): number => this.#core.pop(this.#me, target, count, least);
    return nap(step, this.#me, TAKE, SOON);
  }
}
