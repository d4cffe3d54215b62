import { NumaError } from "../../base/error.ts";
import type { Attachment } from "../../shared/attachment.ts";
import type { Crowd } from "../../sync/conditions/crowd.ts";
import { waitUntil } from "../../sync/conditions/wait_until.ts";
import { checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { type BroadcastCore, BroadcastCursor } from "./broadcast_core.ts";
import { countOf } from "./ring_ends.ts";

const READ = "read records of a broadcast ring";

/**
 * One consumer of a {@linkcode BroadcastRing}: it sees every record that is published after it began.
 *
 * It belongs to the thread that called `subscribe`, and is nothing but a number in that thread: the producer does not know
 * of it, and there is nothing to close. If it is further behind than the ring's capacity, it has missed records. Then
 * {@linkcode BroadcastConsumer.missed} says how many, and it goes on at the oldest record that is whole, or at a later one if
 * the producer overwrites those as fast as they are read.
 *
 * @example
 * ```ts
 * import { BroadcastRing } from "@numakit/numakit";
 *
 * const options = { capacity: 64, recordWords: 1 };
 * const ring = BroadcastRing.create(new SharedArrayBuffer(BroadcastRing.bytes(options)), options);
 * const consumer = ring.subscribe();
 * for (let record = 0; record < 100; record++) ring.publish(Int32Array.of(record));
 * const records = new Int32Array(64);
 * const count = consumer.tryRead(records);
 * console.log(count + consumer.missed); // 100: what was overwritten is counted
 * ```
 */
export class BroadcastConsumer {
  /** Has the waits of this thread, and is kept alive for them. */
  readonly #ring: object;
  readonly #core: BroadcastCore;
  readonly #cursor: BroadcastCursor;
  readonly #attached: Attachment;
  readonly #crowd: Crowd;
  readonly #size: number;

  /**
   * For internal use: `BroadcastRing.subscribe` returns one.
   *
   * @param ring The ring.
   * @param parts What it consists of in this thread: its algorithm, its memory, and those that wait for it.
   * @param start The number of the first record that it sees.
   */
  constructor(
    ring: object,
    parts: {
      readonly core: BroadcastCore;
      readonly attached: Attachment;
      readonly crowd: Crowd;
    },
    start: number,
  ) {
    const { core, attached, crowd } = parts;
    this.#ring = ring;
    this.#core = core;
    this.#attached = attached;
    this.#crowd = crowd;
    this.#size = core.size;
    this.#cursor = new BroadcastCursor(core, start);
  }

  /** How many records it has missed since it began, because it was too far behind. Exact up to 2^53. */
  get missed(): number {
    return this.#cursor.missed();
  }

  /** The number of the record that it wants next: how many were published before that. Exact up to 2^53. */
  get position(): number {
    return this.#cursor.position();
  }

  /**
   * How many records were published that it has not seen. More than the ring's capacity: it has missed some of them.
   *
   * @throws {NumaError} `EDESTROYED` if the ring's arena is destroyed.
   */
  get lag(): number {
    this.#attached.check("read");
    return Math.max(0, this.#core.count() - this.#cursor.position());
  }

  /**
   * Copies the next records, as many as there are and `target` has room for. Cost: one look with order a batch, and another
   * one if there is nothing; no write to shared memory.
   *
   * @param target Where their words go, from its start. Behind them it may hold anything.
   * @returns The number of records: 0 if there is no new one, or if the producer has overwritten those that there were
   * while they were copied, six times.
   * @throws {NumaError} `EINVAL` if `target` would have room for a part of a record; `EDESTROYED` if the ring's arena is
   * destroyed.
   */
  tryRead(target: Int32Array): number {
    const count = countOf(target, this.#size, READ);
    try {
      return count === 0 ? 0 : this.#cursor.read(target, count);
    } catch (error) {
      this.#attached.check("read");
      throw error;
    }
  }

  /**
   * Copies the next records, and sleeps until there is at least one.
   *
   * @param target Where their words go, as for {@linkcode BroadcastConsumer.tryRead}, with room for at least one record.
   * @param options The timeout, and whether the main thread may block.
   * @returns The number of records: 0 if the ring is closed, and it has seen all.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread; `ETERMINATED` this thread is being
   * terminated; `EDESTROYED` the ring's arena is destroyed; `EINVAL`.
   */
  read(target: Int32Array, options?: BlockOptions): number {
    const reading = this.#reading(target);
    if (options !== undefined) options = checkBlockOptions(options, READ);
    const { region, me } = this.#attached;
    this.#attached.check("read");
    for (let round = 0;; round++) {
      if (reading.take()) return reading.count;
      if (!me.spin(round)) break;
    }
    waitUntil({ core: this.#core.published, region, me, action: READ }, reading.take, options);
    return reading.count;
  }

  /**
   * Copies the next records when there is at least one, without blocking the thread. Several calls of a thread may be
   * served in any order.
   *
   * @param target As for {@linkcode BroadcastConsumer.read}. Do not use it before the promise is settled.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the number of records: 0 if the ring is closed, and it has seen all.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` the ring's arena is destroyed, or
   * was during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  async readAsync(target: Int32Array, options?: AsyncWaitOptions): Promise<number> {
    const reading = this.#reading(target);
    const checked = checkWaitOptions(options, READ);
    checked?.signal?.throwIfAborted();
    this.#attached.check("read");
    if (!reading.take()) await this.#crowd.join(this.#ring, checked, reading.take);
    return reading.count;
  }

  /** Tries to copy records, or to see that there will be none. */
  #reading(target: Int32Array): { readonly take: () => boolean; readonly count: number } {
    const core = this.#core;
    const cursor = this.#cursor;
    const room = countOf(target, this.#size, READ);
    if (room === 0) {
      throw new NumaError("EINVAL", READ, {
        why: "the array is empty",
        fix: "Give one with room for a record.",
      });
    }
    const reading = {
      count: 0,
      take(): boolean {
        reading.count = cursor.read(target, room);
        if (reading.count > 0) return true;
        if (!core.closed()) return false;
        // What was published before it was closed.
        reading.count = cursor.read(target, room);
        return true;
      },
    };
    return reading;
  }
}
