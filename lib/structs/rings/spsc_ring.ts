import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { closedError } from "../outcomes.ts";
import { countOf, PUT, RingEnds, TAKE } from "./ring_ends.ts";
import { optionOf, type RingOptions, settingsOf } from "./ring_settings.ts";
import { SpscCore } from "./spsc_core.ts";

/** Options of a {@linkcode SpscRing}. */
export type SpscRingOptions = RingOptions;

const KIND = /* @__PURE__ */ defineKind<SpscRing, SpscRingOptions>({
  name: "SpscRing",
  code: 60,
  title: "a ring",
  accepts: ["threads", "capacity", "recordWords"],
  option: optionOf,
  words(shape, option) {
    const { capacity, recordWords } = settingsOf(option);
    return SpscCore.words(shape, capacity, recordWords);
  },
});

/**
 * A ring of fixed-size records, from one thread to another.
 *
 * A record is one or more 32-bit words. One thread puts records in, the producer, and one takes them out, the consumer;
 * each may also be the other. Another thread can take over as the producer or the consumer after the two have
 * synchronized, for example by a message. Create it in an arena on the consumer's node: writes to another node do not
 * stall a thread, and reads do.
 *
 * Nobody notices a second thread that puts in at the same time, or takes out: then records are lost. Use a `MpmcRing`, or
 * a `Channel`, where several threads do.
 *
 * Full and empty are return values. Methods that begin with `try` never wait; `push` and `pop` sleep until there is room
 * or something to take, and those that end in `Async` do so without blocking the thread.
 *
 * Properties: first in, first out. A producer that dies has put in all records of a call or none; what a consumer was
 * taking out when it died is there for the next one, which may get it a second time. Costs of the methods that begin with
 * `try`: one atomic operation a batch, no call of native code unless somebody sleeps, no allocation.
 *
 * @example
 * ```ts
 * import { SpscRing } from "@numakit/numakit";
 *
 * const options = { capacity: 1024, recordWords: 2 };
 * const ring = SpscRing.create(new SharedArrayBuffer(SpscRing.bytes(options)), options);
 * // The producer:
 * ring.tryPush(Int32Array.of(1, 10, 2, 20)); // two records
 * // The consumer, in any thread:
 * const records = new Int32Array(2 * 64);
 * const count = ring.tryPop(records); // up to 64 of them
 * console.log(count, records[2], records[3]); // 2 2 20
 * ```
 */
export class SpscRing implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(
    SpscRing,
    (region) => new SpscRing(region),
  );
  readonly #core: SpscCore;
  readonly #attached: Attachment;
  readonly #me: ThreadWaiter;
  readonly #size: number;
  readonly #ends: RingEnds;
  #records: Int32Array | undefined;

  private constructor(region: Region) {
    const { capacity, recordWords } = settingsOf(region.option);
    const core = new SpscCore(region.words, region.shape, capacity, recordWords);
    this.#core = core;
    this.#size = recordWords;
    this.#attached = new Attachment(region);
    const { me } = this.#attached;
    this.#me = me;
    this.#ends = new RingEnds(this, this.#attached, core, {
      put(records, count) {
        if (core.closed()) throw closedError(PUT);
        return count === 0 ? 1 : core.push(me, records, count, count);
      },
      take: (target, count) => core.pop(me, target, count, 1),
    });
  }

  /**
   * Creates an empty ring.
   *
   * @param memory The memory for it: an arena on the consumer's node, or a `SharedArrayBuffer` of
   * {@linkcode SpscRing.bytes} bytes.
   * @param options The number and size of its records, and other options.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: SpscRingOptions = {}): SpscRing {
    return SpscRing.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a ring needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: SpscRingOptions = {}): number {
    return SpscRing.#kind.bytes(options);
  }

  /**
   * Returns the live ring of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode SpscRing.toHandle}, made in any thread of this process.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): SpscRing {
    return SpscRing.#kind.attach(handle);
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
   * Whether it was closed. What is still in it can be taken out.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get closed(): boolean {
    this.#attached.check("read");
    return this.#core.closed();
  }

  /**
   * Puts records in if there is room for all of them. For the producer.
   *
   * @param records Their words, one record after the other.
   * @returns False if there is not enough room. Then none is put in.
   * @throws {NumaError} `ECLOSED` if the ring is closed; `EINVAL` if there is a part of a record; `EDESTROYED` if its
   * arena is destroyed.
   */
  tryPush(records: Int32Array): boolean {
    const count = countOf(records, this.#size, PUT);
    try {
      this.#checkOpen();
      return count === 0 || this.#core.push(this.#me, records, count, count) > 0;
    } catch (error) {
      this.#attached.check("put records into");
      throw error;
    }
  }

  /**
   * Puts in as many records as there is room for. For the producer.
   *
   * @param records Their words, one record after the other.
   * @returns The number of records that were put in: the first ones.
   * @throws {NumaError} `ECLOSED` if the ring is closed; `EINVAL` if there is a part of a record; `EDESTROYED` if its
   * arena is destroyed.
   */
  tryPushSome(records: Int32Array): number {
    const count = countOf(records, this.#size, PUT);
    try {
      this.#checkOpen();
      return count === 0 ? 0 : this.#core.push(this.#me, records, count, 1);
    } catch (error) {
      this.#attached.check("put records into");
      throw error;
    }
  }

  /**
   * Takes out as many records as there are and `target` has room for. For the consumer.
   *
   * @param target Where their words go, from its start.
   * @returns The number of records: 0 if the ring is empty.
   * @throws {NumaError} `EINVAL` if `target` would have room for a part of a record; `EDESTROYED` if its arena is
   * destroyed.
   */
  tryPop(target: Int32Array): number {
    const count = countOf(target, this.#size, TAKE);
    try {
      return count === 0 ? 0 : this.#core.pop(this.#me, target, count, 1);
    } catch (error) {
      this.#attached.check("take records out of");
      throw error;
    }
  }

  /**
   * Takes out as many records as `target` has room for, if there are so many. For the consumer.
   *
   * @param target Where their words go.
   * @returns False if there are fewer. Then none is taken out.
   * @throws {NumaError} As {@linkcode SpscRing.tryPop}.
   */
  tryPopAll(target: Int32Array): boolean {
    const count = countOf(target, this.#size, TAKE);
    try {
      return count === 0 || this.#core.pop(this.#me, target, count, count) > 0;
    } catch (error) {
      this.#attached.check("take records out of");
      throw error;
    }
  }

  /**
   * Puts records in, and sleeps until there is room for all of them. For the producer.
   *
   * @param records Their words, one record after the other: no more than {@linkcode SpscRing.capacity} records.
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} `ECLOSED` if the ring is closed, or is meanwhile; `ETIMEDOUT`; `EWOULDBLOCK` the call would block
   * the main thread; `ETERMINATED` this thread is being terminated; `EDESTROYED` its arena is destroyed; `EINVAL`. In all
   * cases none is put in.
   */
  push(records: Int32Array, options?: BlockOptions): void {
    this.#ends.push(records, options);
  }

  /**
   * Takes records out, and sleeps until there is at least one. For the consumer.
   *
   * @param target Where their words go, from its start: as many records as there are and it has room for.
   * @param options The timeout, and whether the main thread may block.
   * @returns The number of records: 0 if the ring is closed, and empty.
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
   * @param records As for {@linkcode SpscRing.push}. Do not change them before the promise is settled.
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
   * @param target As for {@linkcode SpscRing.pop}. Do not use it before the promise is settled.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the number of records: 0 if the ring is closed, and empty.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is destroyed, or was
   * during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  popAsync(target: Int32Array, options?: AsyncWaitOptions): Promise<number> {
    return this.#ends.popAsync(target, options);
  }

  /**
   * The words of all records, to write and read them in place. The next record that is put in begins at index
   * {@linkcode SpscRing.writeAt}, the next one that is taken out at {@linkcode SpscRing.readAt}.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get records(): Int32Array {
    this.#attached.check("read");
    return this.#records ??= this.#core.records();
  }

  /**
   * Returns how many records can be written in place, one after the other, before {@linkcode SpscRing.commit}. For the
   * producer.
   *
   * @param least Enough of them: it asks the consumer's side only if it knows of less room. Default: 1.
   * @returns The number, up to the end of the memory: at its end there can be less room than in the whole ring.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` if its arena is destroyed.
   */
  writable(least = 1): number {
    this.#attached.check("put records into");
    return Math.max(0, this.#core.writable(this.#checkCount(least, "least", PUT)));
  }

  /**
   * Where the next record goes that is put in: an index of {@linkcode SpscRing.records}. For the producer.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get writeAt(): number {
    this.#attached.check("put records into");
    return this.#core.writeAt();
  }

  /**
   * Puts in records that were written in place. For the producer.
   *
   * @param count How many: no more than {@linkcode SpscRing.writable} returned.
   * @throws {NumaError} `ECLOSED` if the ring is closed; `EINVAL` if there is no room for so many; `EDESTROYED` if its
   * arena is destroyed.
   */
  commit(count: number): void {
    this.#attached.check("put records into");
    this.#checkOpen();
    if (this.#core.commit(this.#me, this.#checkCount(count, "count", PUT))) return;
    throw new NumaError("EINVAL", PUT, {
      why: `there is no room for ${count} records`,
      fix: "Commit no more than writable() returned.",
    });
  }

  /**
   * Returns how many records can be read in place, one after the other, before {@linkcode SpscRing.consume}. For the
   * consumer.
   *
   * @param least Enough of them: it asks the producer's side only if it knows of fewer. Default: 1.
   * @returns The number, up to the end of the memory: at its end there can be fewer than in the whole ring.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` if its arena is destroyed.
   */
  readable(least = 1): number {
    this.#attached.check("take records out of");
    return Math.max(0, this.#core.readable(this.#checkCount(least, "least", TAKE)));
  }

  /**
   * Where the next record is that is taken out: an index of {@linkcode SpscRing.records}. For the consumer.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get readAt(): number {
    this.#attached.check("take records out of");
    return this.#core.readAt();
  }

  /**
   * Takes out records that were read in place. For the consumer.
   *
   * @param count How many: no more than {@linkcode SpscRing.readable} returned.
   * @throws {NumaError} `EINVAL` if there are not so many; `EDESTROYED` if its arena is destroyed.
   */
  consume(count: number): void {
    this.#attached.check("take records out of");
    if (this.#core.consume(this.#me, this.#checkCount(count, "count", TAKE))) return;
    throw new NumaError("EINVAL", TAKE, {
      why: `there are no ${count} records`,
      fix: "Consume no more than readable() returned.",
    });
  }

  /**
   * Says that no more records will come, or be taken out, and wakes everybody who waits. Consumers still get what is
   * there; `push` and `pushAsync` throw `ECLOSED` from now on. Close it when a producer's thread has ended, if others
   * wait for its records.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  close(): void {
    this.#attached.check("close");
    this.#core.close(this.#me);
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

  #checkOpen(): void {
    if (this.#core.glancesClosed()) throw closedError(PUT);
  }

  #checkCount(count: unknown, name: string, action: string): number {
    return checkInteger(count, name, 1, this.#core.capacity, action);
  }
}
