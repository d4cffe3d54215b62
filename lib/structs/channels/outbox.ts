/**
 * The sender's end of a channel, in one thread.
 *
 * A thread's messages arrive in the order in which it has sent them. So those that are sent without blocking, and find no
 * room, queue here, and whatever the thread sends after that queues behind them.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import type { Attachment } from "../../shared/attachment.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { MessageCore } from "../rings/message_core.ts";
import { closedError } from "../outcomes.ts";
import { WaitingEnd } from "../rings/waiting_end.ts";
import { type ChannelCore, NO_LANE } from "./channel_core.ts";
import { SEND } from "./channel_settings.ts";
import type { Payload } from "./payloads.ts";

/** What this thread is to a channel: it outlives the object. */
export interface Roles {
  /** The lane that it sends in. */
  lane: number;
  /** Whether it is the receiver. */
  receives: boolean;
}

/** A message that waits for room. */
interface Letter {
  readonly bytes: Uint8Array;
  isSent: boolean;
}

/** The sender's end. */
export class Outbox {
  readonly #channel: object;
  readonly #attached: Attachment;
  readonly #core: ChannelCore;
  readonly #roles: Roles;
  /** The lane's ring, once there is one. */
  #ring: MessageCore | undefined;
  readonly #rooms: Map<number, WaitingEnd> = new Map();
  /** In the order in which they were sent. */
  #letters: Letter[] = [];

  /**
   * @param channel The channel.
   * @param attached Its memory.
   * @param core Its algorithm.
   * @param roles What this thread is to it.
   */
  constructor(channel: object, attached: Attachment, core: ChannelCore, roles: Roles) {
    this.#channel = channel;
    this.#attached = attached;
    this.#core = core;
    this.#roles = roles;
  }

  /**
   * Sends a message if there is room for it.
   *
   * @param bytes Its bytes.
   * @param length How many there are.
   * @returns False if there is none, or if others wait for it.
   * @throws {NumaError} `ECLOSED`, `EAGAIN`, `EDESTROYED`.
   */
  push(bytes: Uint8Array, length: number): boolean {
    try {
      if (this.#core.glancesClosed()) throw closedError(SEND);
      const ring = this.#ring ?? this.#claim();
      if (this.#letters.length > 0 && !this.#flush(ring)) return false;
      return ring.push(this.#attached.me, bytes, length);
    } catch (error) {
      this.#attached.check("send through");
      throw error;
    }
  }

  /**
   * Sends as many messages as there is room for.
   *
   * @param values The values. Packing them runs nobody's code, or they are packed.
   * @param payload Packs them; undefined if they are.
   * @returns How many were sent: the first ones.
   * @throws {NumaError} `ECLOSED`, `EAGAIN`, `EDESTROYED`, `EINVAL`: then none was sent.
   */
  pushMany(values: readonly unknown[], payload: Payload | undefined): number {
    try {
      if (this.#core.glancesClosed()) throw closedError(SEND);
      const ring = this.#ring ?? this.#claim();
      if (this.#letters.length > 0 && !this.#flush(ring)) return 0;
      ring.begin();
      let count = 0;
      let isFull = false;
      for (const value of values) {
        // Also those for which there is no room: a wrong one is an error wherever it is.
        const bytes = payload === undefined ? value as Uint8Array : payload.pack(value);
        isFull ||= !ring.write(bytes, payload === undefined ? bytes.length : payload.length);
        if (!isFull) count++;
      }
      if (count > 0) ring.publish(this.#attached.me);
      return count;
    } catch (error) {
      this.#attached.check("send through");
      throw error;
    }
  }

  /**
   * Sends a message, and sleeps until there is room for it.
   *
   * @param bytes Its bytes.
   * @param length How many there are.
   * @param options The timeout, and whether the main thread may block, checked.
   * @throws {NumaError} `ECLOSED`, `EAGAIN`, `ETIMEDOUT`, `EWOULDBLOCK`, `ETERMINATED`, `EDESTROYED`.
   */
  block(bytes: Uint8Array, length: number, options: BlockOptions | undefined): void {
    if (this.push(bytes, length)) return;
    this.#room().block(() => {
      this.#checkOpen();
      return this.push(bytes, length);
    }, options);
  }

  /**
   * Sends a message when there is room for it.
   *
   * @param bytes Its bytes.
   * @param length How many there are.
   * @param options The timeout, and a signal, checked.
   * @throws {NumaError} `ECLOSED`, `EAGAIN`, `ETIMEDOUT`, `EDESTROYED`. The signal's reason.
   */
  async await(
    bytes: Uint8Array,
    length: number,
    options: AsyncWaitOptions | undefined,
  ): Promise<void> {
    if (this.push(bytes, length)) return;
    // Not `slice`, which a Buffer and a class of the caller's have of their own.
    const letter: Letter = { bytes: new Uint8Array(bytes), isSent: false };
    this.#letters.push(letter);
    try {
      await this.#room().await(() => {
        if (letter.isSent) return true;
        this.#attached.check("send through");
        this.#checkOpen();
        this.#flush(this.#ring as MessageCore);
        return letter.isSent;
      }, options);
    } catch (error) {
      // It may have been sent by one after it, which had the thread.
      if (letter.isSent) return;
      this.#letters = this.#letters.filter((other) => other !== letter);
      this.#wakeOthers();
      throw error;
    }
  }

  /**
   * Gives the lane to other threads.
   *
   * @throws {NumaError} `EBUSY` messages wait for room.
   */
  leave(): void {
    if (this.#letters.length > 0) {
      throw new NumaError("EBUSY", "leave a channel", {
        why: `${this.#letters.length} messages of this thread wait for room`,
        fix: "Await what sendAsync returned.",
      });
    }
    if (this.#roles.lane !== NO_LANE) this.#core.leave(this.#attached.me, this.#roles.lane);
    this.#roles.lane = NO_LANE;
    this.#ring = undefined;
  }

  #claim(): MessageCore {
    const lane = this.#core.claim(this.#attached.me);
    if (lane === NO_LANE) {
      throw new NumaError("EAGAIN", SEND, {
        why: "as many threads send as it has lanes",
        fix: "Create it with more `senders`, or let threads that are done call leave().",
      });
    }
    this.#roles.lane = lane;
    return this.#ring = this.#core.lane(lane);
  }

  /** Sends those that wait, as far as there is room. Says whether none waits any more. */
  #flush(ring: MessageCore): boolean {
    const letters = this.#letters;
    let count = 0;
    ring.begin();
    for (const { bytes } of letters) {
      if (!ring.write(bytes, bytes.length)) break;
      count++;
    }
    if (count === 0) return letters.length === 0;
    ring.publish(this.#attached.me);
    for (const letter of letters.splice(0, count)) letter.isSent = true;
    return letters.length === 0;
  }

  /** Lets those go on that waited behind one that has given up, or that somebody else has sent. */
  #wakeOthers(): void {
    if (this.#letters.length > 0 && this.#attached.words.length > 0) {
      this.#ring?.notFull.notifyAll(this.#attached.me);
    }
  }

  #checkOpen(): void {
    if (this.#core.closed()) throw closedError(SEND);
  }

  /** What this thread waits for in its lane. */
  #room(): WaitingEnd {
    const { lane } = this.#roles;
    let room = this.#rooms.get(lane);
    if (room === undefined) {
      const { notFull } = this.#core.lane(lane);
      room = new WaitingEnd(this.#channel, this.#attached, notFull, SEND, `lane ${lane}`);
      this.#rooms.set(lane, room);
    }
    return room;
  }
}
