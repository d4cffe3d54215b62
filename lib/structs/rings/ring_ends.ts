/**
 * The two ends of a ring of fixed-size records: arrays of records, and calls that wait.
 *
 * What is called once a batch and waits for nobody stands in each class, over its own algorithm: engines compile a method
 * for what it has seen.
 *
 * @module
 */
import { lengthOf } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Attachment } from "../../shared/attachment.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { Crowd } from "../../sync/conditions/crowd.ts";
import type { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { timeLeft, waitUntil } from "../../sync/conditions/wait_until.ts";
import { checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { NAP_MS, sitOut } from "../naps.ts";
import { BUSY } from "../outcomes.ts";
import type { RingEvents } from "./ring_words.ts";

/** What a producer asks for, as it follows "Cannot". */
export const PUT = "put records into a ring";
/** What a consumer asks for. */
export const TAKE = "take records out of a ring";

/**
 * How many records an array has, or has room for.
 *
 * @param records The array, as a caller gave it.
 * @param size 32-bit words of a record.
 * @param action What was asked, as it follows "Cannot".
 * @returns The number.
 * @throws {NumaError} `EINVAL` it is something else, or has a part of a record.
 */
export function countOf(records: Int32Array, size: number, action: string): number {
  const isWords = ArrayBuffer.isView(records) && records instanceof Int32Array;
  let length = isWords ? records.length : -1;
  // The getter that knows takes 4 ns on Bun: it is asked only where the array cannot be seen to be as long as it says.
  if (
    isWords && (typeof length !== "number" || records[length - 1] === undefined ||
      records[length] !== undefined)
  ) length = lengthOf(records);
  if (length < 0 || (size !== 1 && length % size !== 0)) refuse(records, size, action);
  return size === 1 ? length : length / size;
}

function refuse(records: unknown, size: number, action: string): never {
  const isWords = ArrayBuffer.isView(records) && records instanceof Int32Array;
  throw new NumaError("EINVAL", action, {
    why: `a record has ${size} words, and the array is ${
      isWords ? `one of ${lengthOf(records)}` : show(records)
    }`,
    fix: "Give an Int32Array of whole records.",
  });
}

/**
 * Tries, and comes back soon when somebody is in the way. Until then the thread's other calls do not try either: each of them
 * would spin.
 */
function returning(step: () => number, crowd: Crowd): () => boolean {
  return () => {
    if (crowd.looksSoon) return false;
    const found = step();
    if (found === BUSY) crowd.lookAgain(NAP_MS);
    return found > 0;
  };
}

/** What the ends of a ring have to know of its algorithm. */
export interface RingCore extends RingEvents {
  readonly capacity: number;
  readonly size: number;
  closed(): boolean;
}

/** What the calls of a ring do that wait. */
export interface RingHands {
  /**
   * Puts in all of some records, if there is room for them.
   *
   * @param records Their words.
   * @param count How many; none is right, too.
   * @returns A positive number if they are in, 0 if there is not enough room, {@linkcode BUSY}.
   * @throws {NumaError} `ECLOSED`.
   */
  put(records: Int32Array, count: number): number;
  /**
   * Takes out as many records as there are, up to a number.
   *
   * @param target Where their words go.
   * @param count The number.
   * @returns How many were taken out; {@linkcode BUSY}.
   */
  take(target: Int32Array, count: number): number;
  /**
   * Says what room a producer waits for. Left out where there is one producer.
   *
   * @param count So many records.
   */
  announce?(count: number): void;
}

/** The ends of one ring, in one thread. */
export class RingEnds {
  readonly #ring: object;
  readonly #attached: Attachment;
  readonly #core: RingCore;
  readonly #hands: RingHands;
  readonly #consumers: Crowd;
  readonly #producers: Crowd;

  /**
   * @param ring The ring, which is kept alive while somebody awaits it.
   * @param attached Its memory.
   * @param core Its algorithm.
   * @param hands What is done in its words.
   */
  constructor(ring: object, attached: Attachment, core: RingCore, hands: RingHands) {
    const { region, me } = attached;
    this.#ring = ring;
    this.#attached = attached;
    this.#core = core;
    this.#hands = hands;
    this.#consumers = new Crowd(core.notEmpty, region, me, TAKE);
    this.#producers = new Crowd(core.notFull, region, me, PUT);
    settleIn(ring, region, "consumers", this.#consumers.tenant);
    settleIn(ring, region, "producers", this.#producers.tenant);
  }

  /**
   * Puts records in, and sleeps until there is room for all of them.
   *
   * @param records Their words, as the caller gave them.
   * @param options The timeout, and whether the main thread may block, as the caller gave them.
   * @throws {NumaError} `EINVAL`, `ECLOSED`, `ETIMEDOUT`, `EWOULDBLOCK`, `ETERMINATED`, `EDESTROYED`.
   */
  push(records: Int32Array, options: BlockOptions | undefined): void {
    const count = this.#countPut(records);
    if (options !== undefined) options = checkBlockOptions(options, PUT);
    this.#attached.check("put records into");
    if (this.#spin(() => this.#hands.put(records, count))) return;
    const put = this.#sitting(this.#putting(records, count), PUT, options);
    waitUntil(this.#awaited(this.#core.notFull, PUT), put, options);
  }

  /**
   * Takes records out, and sleeps until there is one.
   *
   * @param target Where their words go, as the caller gave it.
   * @param options As for {@linkcode RingEnds.push}.
   * @returns The number of records: 0 if the ring is closed, and empty.
   * @throws {NumaError} `EINVAL`, `ETIMEDOUT`, `EWOULDBLOCK`, `ETERMINATED`, `EDESTROYED`.
   */
  pop(target: Int32Array, options: BlockOptions | undefined): number {
    const taking = this.#taking(target);
    if (options !== undefined) options = checkBlockOptions(options, TAKE);
    this.#attached.check("take records out of");
    if (!this.#spin(taking.take)) {
      const take = this.#sitting(taking.take, TAKE, options);
      waitUntil(this.#awaited(this.#core.notEmpty, TAKE), take, options);
    }
    return taking.count;
  }

  /**
   * Puts records in when there is room for all of them, without blocking the thread.
   *
   * @param records Their words, as the caller gave them.
   * @param options The timeout, and a signal, as the caller gave them.
   * @returns Resolves when they are in.
   * @throws {NumaError} `EINVAL`, `ECLOSED`, `ETIMEDOUT`, `EAGAIN`, `EDESTROYED`. The signal's reason.
   */
  async pushAsync(records: Int32Array, options: AsyncWaitOptions | undefined): Promise<void> {
    const count = this.#countPut(records);
    const checked = checkWaitOptions(options, PUT);
    checked?.signal?.throwIfAborted();
    this.#attached.check("put records into");
    if (this.#hands.put(records, count) > 0) return;
    const put = returning(this.#putting(records, count), this.#producers);
    await this.#producers.join(this.#ring, checked, put);
  }

  /**
   * Takes records out when there is one, without blocking the thread.
   *
   * @param target Where their words go, as the caller gave it.
   * @param options As for {@linkcode RingEnds.pushAsync}.
   * @returns Resolves to the number of records: 0 if the ring is closed, and empty.
   * @throws {NumaError} `EINVAL`, `ETIMEDOUT`, `EAGAIN`, `EDESTROYED`. The signal's reason.
   */
  async popAsync(target: Int32Array, options: AsyncWaitOptions | undefined): Promise<number> {
    const taking = this.#taking(target);
    const checked = checkWaitOptions(options, TAKE);
    checked?.signal?.throwIfAborted();
    this.#attached.check("take records out of");
    if (taking.take() > 0) return taking.count;
    await this.#consumers.join(this.#ring, checked, returning(taking.take, this.#consumers));
    return taking.count;
  }

  #countPut(records: Int32Array): number {
    const { capacity, size } = this.#core;
    const count = countOf(records, size, PUT);
    if (count <= capacity) return count;
    throw new NumaError("EINVAL", PUT, {
      why: `${count} records are more than it has room for, ${capacity}`,
      fix: "Put them in one part after the other.",
    });
  }

  /** Tries to put records in, for one that sleeps if it cannot. */
  #putting(records: Int32Array, count: number): () => number {
    const hands = this.#hands;
    return () => {
      hands.announce?.(count);
      return hands.put(records, count);
    };
  }

  /** Tries to take records out, or to see that there will be none: a positive number, 0 or {@linkcode BUSY}. */
  #taking(target: Int32Array): { readonly take: () => number; readonly count: number } {
    const core = this.#core;
    const hands = this.#hands;
    const room = countOf(target, core.size, TAKE);
    if (room === 0) {
      throw new NumaError("EINVAL", TAKE, {
        why: "the array is empty",
        fix: "Give one with room for a record.",
      });
    }
    const taking = {
      count: 0,
      take(): number {
        let found = hands.take(target, room);
        if (found === 0) {
          if (!core.closed()) return 0;
          // What was put in before it was closed.
          found = hands.take(target, room);
          if (found === 0) return 1;
        }
        taking.count = Math.max(0, found);
        return found;
      },
    };
    return taking;
  }

  /** Tries for as long as the thread spins. */
  #spin(take: () => number): boolean {
    const { me } = this.#attached;
    for (let round = 0;; round++) {
      const found = take();
      if (found !== 0) return found > 0;
      if (!me.spin(round)) return false;
    }
  }

  /** Tries, and sits out who is in the way, for as long as the caller has time. */
  #sitting(step: () => number, action: string, options: BlockOptions | undefined): () => boolean {
    const { me } = this.#attached;
    const start = me.now();
    return () => {
      const found = step();
      if (found !== BUSY) return found > 0;
      return sitOut(step, me, action, timeLeft(options, start, me)) > 0;
    };
  }

  #awaited(core: EventCountCore, action: string): Parameters<typeof waitUntil>[0] {
    const { region, me } = this.#attached;
    return { core, region, me, action };
  }
}
