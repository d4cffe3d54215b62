/**
 * The receiver's end of a channel, in one thread.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import type { Attachment } from "../../shared/attachment.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { NONE } from "../rings/message_core.ts";
import { WaitingEnd } from "../rings/waiting_end.ts";
import { type ChannelCore, NO_LANE } from "./channel_core.ts";
import { RECEIVE } from "./channel_settings.ts";
import type { Roles } from "./outbox.ts";
import type { Payload } from "./payloads.ts";

/** There is no message. */
export const EMPTY: unique symbol = /* @__PURE__ */ Symbol("empty");

/** The receiver's end. */
export class Inbox {
  readonly #attached: Attachment;
  readonly #core: ChannelCore;
  readonly #roles: Roles;
  readonly #lanes: number;
  readonly #bell: WaitingEnd;
  /** What a message could not be unpacked for that was taken out behind others. */
  #failure: { readonly error: unknown } | undefined;

  /**
   * @param channel The channel.
   * @param attached Its memory.
   * @param core Its algorithm.
   * @param roles What this thread is to it.
   * @param lanes The number of lanes.
   */
  constructor(
    channel: object,
    attached: Attachment,
    core: ChannelCore,
    roles: Roles,
    lanes: number,
  ) {
    this.#attached = attached;
    this.#core = core;
    this.#roles = roles;
    this.#lanes = lanes;
    this.#bell = new WaitingEnd(channel, attached, core.bell, RECEIVE, "receiver");
  }

  /**
   * Takes the next message out.
   *
   * @param payload Unpacks it.
   * @returns Its value; {@linkcode EMPTY}.
   * @throws {NumaError} `EOWNER`, `EDESTROYED`, `EINVAL`. What the caller's code throws.
   */
  take(payload: Payload): unknown {
    try {
      if (!this.#roles.receives) this.#claim();
      if (this.#failure !== undefined) this.#fail(this.#failure);
      if (!this.#load(payload)) return EMPTY;
    } catch (error) {
      this.#attached.check("receive from");
      throw error;
    }
    return payload.unpack();
  }

  /**
   * Takes messages out.
   *
   * @param payload Unpacks them.
   * @param limit How many, at most.
   * @returns Their values. If one cannot be unpacked, those before it; what it failed for is thrown by the next call.
   * @throws {NumaError} As {@linkcode Inbox.take}.
   */
  takeMany(payload: Payload, limit: number): unknown[] {
    const values: unknown[] = [];
    try {
      this.#attached.check("receive from");
      if (!this.#roles.receives) this.#claim();
      if (this.#failure !== undefined) this.#fail(this.#failure);
      if (payload.callsOut) this.#takeEach(payload, limit, values);
      else this.#takeAll(payload, limit, values);
    } catch (error) {
      if (values.length > 0) this.#failure = { error };
      else {
        this.#attached.check("receive from");
        throw error;
      }
    }
    return values;
  }

  /**
   * Takes something, and sleeps until there is something, or there will be nothing any more.
   *
   * @param take Takes it, and says whether it could.
   * @param options The timeout, and whether the main thread may block, checked.
   * @throws {NumaError} As {@linkcode Inbox.take}; `ETIMEDOUT`, `EWOULDBLOCK`, `ETERMINATED`.
   */
  block(take: () => boolean, options: BlockOptions | undefined): void {
    this.#bell.block(() => take() || this.#isOver(take), options);
  }

  /**
   * Takes something when there is something, or there will be nothing any more.
   *
   * @param take Takes it, and says whether it could.
   * @param options The timeout, and a signal, checked.
   * @throws {NumaError} As {@linkcode Inbox.take}; `ETIMEDOUT`, `EAGAIN`. The signal's reason.
   */
  await(take: () => boolean, options: AsyncWaitOptions | undefined): Promise<void> {
    return this.#bell.await(() => take() || this.#isOver(take), options);
  }

  /** Lets another thread receive. */
  leave(): void {
    if (this.#roles.receives) this.#core.resign(this.#attached.me);
    this.#roles.receives = false;
  }

  /** Whether it is closed; then takes what was sent before that. */
  #isOver(take: () => boolean): boolean {
    this.#attached.check("receive from");
    if (!this.#core.closed()) return false;
    take();
    return true;
  }

  #claim(): void {
    this.#attached.check("receive from");
    if (!this.#core.receives(this.#attached.me)) {
      throw new NumaError("EOWNER", RECEIVE, {
        why: "another thread receives from it",
        fix: "Let one thread at a time receive, and call leave() in it before another one does.",
      });
    }
    this.#roles.receives = true;
  }

  #fail({ error }: { readonly error: unknown }): never {
    this.#failure = undefined;
    throw error;
  }

  /** Takes the next message out of its lane. */
  #load(payload: Payload): boolean {
    const { me } = this.#attached;
    const core = this.#core;
    // In a lane whose words were written over, all is thrown away: then another lane may have a message.
    for (let tries = 0; tries <= this.#lanes; tries++) {
      const lane = core.poll();
      if (lane === NO_LANE) return false;
      const ring = core.lane(lane);
      const length = ring.find(me);
      core.turn(lane);
      if (length === NONE) continue;
      payload.load(ring, length);
      ring.pass();
      ring.release(me);
      return true;
    }
    return false;
  }

  /** Takes messages one by one, because the caller's code runs in between. */
  #takeEach(payload: Payload, limit: number, values: unknown[]): void {
    while (values.length < limit && this.#roles.receives && this.#attached.words.length > 0) {
      if (!this.#load(payload)) return;
      values.push(payload.unpack());
    }
  }

  /** Takes all messages of a lane at once. */
  #takeAll(payload: Payload, limit: number, values: unknown[]): void {
    const { me } = this.#attached;
    const core = this.#core;
    for (let empty = 0; values.length < limit && empty <= this.#lanes;) {
      const lane = core.poll();
      if (lane === NO_LANE) return;
      const ring = core.lane(lane);
      const before = values.length;
      try {
        while (values.length < limit) {
          const length = ring.find(me);
          if (length === NONE) break;
          payload.load(ring, length);
          ring.pass();
          values.push(payload.unpack());
        }
      } finally {
        core.turn(lane);
        ring.release(me);
      }
      if (values.length === before) empty++;
    }
  }
}
