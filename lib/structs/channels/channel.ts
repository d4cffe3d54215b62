import { typedArrayName } from "../../base/brand.ts";
import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import type { Tenant } from "../../memory/mapping/tenants.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { Waiter } from "../../wait/waiter.ts";
import type { Struct } from "../records/struct.ts";
import { listOf } from "../rings/message_settings.ts";
import { MessageCore } from "../rings/message_core.ts";
import { ChannelCore, NO_LANE } from "./channel_core.ts";
import {
  type ChannelCodec,
  channelOptionOf,
  type ChannelOptions,
  type ChannelSettings,
  channelSettingsOf,
  type ChannelType,
  type ChannelValue,
  checkCodec,
  CUSTOM,
  RECEIVE,
  SEND,
} from "./channel_settings.ts";
import { EMPTY, Inbox } from "./inbox.ts";
import { Outbox, type Roles } from "./outbox.ts";
import { customPayload, type Payload, payloadOf } from "./payloads.ts";

export type {
  ChannelCodec,
  ChannelOptions,
  ChannelType,
  ChannelValue,
} from "./channel_settings.ts";

/** How many values `receiveMany` returns, unless it is told. */
const MANY = 1024;
const MAX_MANY = 2 ** 31 - 1;

const KIND = /* @__PURE__ */ defineKind<Channel<unknown>, ChannelOptions>({
  name: "Channel",
  code: 66,
  title: "a channel",
  accepts: ["threads", "codec", "capacity", "senders"],
  option: channelOptionOf,
  words(shape, option) {
    const { senders, capacity } = channelSettingsOf(option);
    return ChannelCore.words(shape, senders, capacity);
  },
});

/**
 * A channel: values from several threads to one.
 *
 * Values are sent as `"bytes"`, as `"clone"` (what `serialize` of `node:v8` takes: as with `postMessage`, but shared memory
 * arrives as a copy, and objects of the runtime, such as a `Blob`, arrive as plain ones or not at all), as numbers
 * (`"f64"`, `"u32"`, `"i32"`) or records of a {@linkcode struct} without any encoding, or by a codec of yours. Each sender
 * has a lane of its own, so senders never wait for each other; the receiver is woken only if it sleeps. Create it in an
 * arena on the receiver's node: then the receiver reads what is near, and writes to another node do not stall a sender.
 *
 * - **Senders.** A thread that sends for the first time gets a lane. It keeps it until it ends or calls
 *   {@linkcode Channel.leave}; then another thread gets it.
 * - **The receiver** is the first thread that receives. Another one can receive when it has ended or has called `leave`.
 * - **Back-pressure.** A lane has room for a number of bytes. `send` sleeps until there is room, `sendAsync` awaits it
 *   without blocking the thread, and `trySend` returns false. `receive`, `receiveAsync` and `tryReceive` are the same for
 *   the other side. No call blocks the main thread unless it is told to.
 * - **The end.** After `close` nothing more can be sent; the receiver gets what was sent before that, and then
 *   `undefined`, and its loops end. What is being sent while another thread calls `close` may be lost.
 *
 * Properties: first in, first out for the values of a sender; no order between those of two. A value that a terminated
 * thread was sending is there or not; what a terminated receiver was taking out may be received a second time by the next
 * one, and what it had taken out is gone. Costs: send and receive one atomic operation each, or one a batch, and the
 * copying of the bytes; no call of native code unless somebody sleeps.
 *
 * @typeParam T What is sent.
 *
 * @example
 * ```ts
 * import { Channel } from "@numakit/numakit";
 *
 * const options = { codec: "clone", senders: 4 } as const;
 * const memory = new SharedArrayBuffer(Channel.bytes(options));
 * const channel: Channel<{ id: number }> = Channel.create(memory, options);
 * // Any thread that was given the channel:
 * await channel.sendAsync({ id: 1 }); // or channel.send(…), which may block the thread
 * channel.close();
 * // The thread that receives:
 * for await (const { id } of channel) console.log(id); // 1
 * ```
 *
 * @example Records, and a codec
 * ```ts
 * import { Channel, f64, struct, u32 } from "@numakit/numakit";
 *
 * const Trade = struct({ id: u32, price: f64 });
 * const trades = Channel.create(new SharedArrayBuffer(Channel.bytes({ codec: Trade })), { codec: Trade });
 * // In each other thread, once: trades.use(Trade)
 * trades.trySend({ id: 7, price: 1.25 });
 * console.log(trades.tryReceive()); // { id: 7, price: 1.25 }
 *
 * const codec = {
 *   encode: (text: string, into: Uint8Array) => new TextEncoder().encodeInto(text, into).written,
 *   decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes),
 * };
 * const texts = Channel.create(new SharedArrayBuffer(Channel.bytes({ codec })), { codec });
 * texts.trySend("hello");
 * console.log(texts.tryReceive()); // hello
 * ```
 */
export class Channel<T> implements Shareable, AsyncIterable<T> {
  static readonly #kind = /* @__PURE__ */ KIND.register(Channel, (region) => new Channel(region));
  readonly #attached: Attachment;
  readonly #core: ChannelCore;
  readonly #settings: ChannelSettings;
  readonly #maxBytes: number;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  #payload: Payload | undefined;

  private constructor(region: Region) {
    const settings = channelSettingsOf(region.option);
    const { type, senders, capacity } = settings;
    const core = new ChannelCore(region.words, region.shape, senders, capacity);
    const attached = new Attachment(region);
    const roles: Roles = { lane: NO_LANE, receives: false };
    this.#attached = attached;
    this.#core = core;
    this.#settings = settings;
    this.#maxBytes = MessageCore.maxBytes(capacity);
    this.#outbox = new Outbox(this, attached, core, roles);
    this.#inbox = new Inbox(this, attached, core, roles, senders);
    this.#payload = payloadOf(type, this.#maxBytes);
    settleIn(this, region, "roles", tenantOf(core, region.words, attached.me, roles));
  }

  /**
   * Creates an empty channel.
   *
   * @typeParam Type What its messages are.
   * @typeParam T What is sent: for `"clone"` whatever you say.
   * @param memory The memory for it: an arena on the receiver's node, or a `SharedArrayBuffer` of
   * {@linkcode Channel.bytes} bytes.
   * @param options What its messages are, how many bytes of them there is room for, and for how many senders.
   * @returns The channel.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create<
    const Type extends ChannelType = "clone",
    T extends ChannelValue<Type> = ChannelValue<Type>,
  >(memory: SyncMemory, options: ChannelOptions<Type> = {}): Channel<T> {
    const { codec } = options ?? {};
    const channel = Channel.#kind.create(memory, options) as Channel<T>;
    if (channel.#settings.type === CUSTOM) channel.use(codec as ChannelCodec<T>);
    return channel;
  }

  /**
   * Returns how much memory a channel needs: for each sender {@linkcode ChannelOptions.capacity} and some hundred bytes.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: ChannelOptions = {}): number {
    return Channel.#kind.bytes(options);
  }

  /**
   * Returns the live channel of a handle. In one thread, the same handle always gives the same object.
   *
   * @typeParam T What is sent: nothing checks that.
   * @param handle A handle from {@linkcode Channel.toHandle}, made in any thread of this process.
   * @returns The channel. One with a struct or a codec has to be told which, once a thread: {@linkcode Channel.use}.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle<T>(handle: Handle): Channel<T> {
    return Channel.#kind.attach(handle) as Channel<T>;
  }

  /** The bytes that there is room for in each lane, with four more for each message. */
  get capacity(): number {
    return this.#settings.capacity * 4;
  }

  /** How many threads may send at the same time. */
  get senders(): number {
    return this.#settings.senders;
  }

  /** The bytes of the longest message: four less than half of {@linkcode Channel.capacity}. */
  get maxBytes(): number {
    return this.#maxBytes;
  }

  /**
   * Whether it was closed. What was sent before that can still be received.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get closed(): boolean {
    this.#attached.check("read");
    return this.#core.closed();
  }

  /**
   * Tells this thread how values become bytes. For a channel that was created with a struct or a codec: they stay in the
   * thread, so that each other thread has to be told, with the same one.
   *
   * @typeParam Value What is sent.
   * @param codec The struct, or the codec.
   * @returns The channel.
   * @throws {NumaError} `EINVAL` if it is none, or its records are too long, or the channel carries something else.
   */
  use<const Type extends Struct | ChannelCodec<unknown>>(
    codec: Type,
  ): Channel<ChannelValue<Type>> {
    const action = "use a codec in a channel";
    const checked = checkCodec(codec, action);
    if (this.#settings.type !== CUSTOM) {
      throw new NumaError("EINVAL", action, {
        why: `it was created with "${this.#settings.type}"`,
        fix: "Create it with a struct or a codec.",
      });
    }
    this.#payload = customPayload(checked, this.#maxBytes);
    return this as unknown as Channel<ChannelValue<Type>>;
  }

  /**
   * Sends a value if there is room for it. Never waits.
   *
   * @param value The value.
   * @returns False if there is no room, or if values of this thread wait for it.
   * @throws {NumaError} `ECLOSED` if the channel is closed; `EAGAIN` if other threads have all lanes; `EINVAL` if the
   * value cannot be sent; `EDESTROYED` if its arena is destroyed. What a codec throws.
   */
  trySend(value: T): boolean {
    const payload = this.#payload ?? this.#refuse(SEND);
    const bytes = payload.pack(value);
    return this.#outbox.push(bytes, payload.length);
  }

  /**
   * Sends as many values as there is room for, all at once. Never waits.
   *
   * @param values The values: an array, or a typed array of numbers.
   * @returns The number of values that were sent: the first ones.
   * @throws {NumaError} As {@linkcode Channel.trySend}: then none was sent.
   */
  trySendMany(values: readonly T[] | (T extends number ? ArrayLike<number> : never)): number {
    const payload = this.#payload ?? this.#refuse(SEND);
    const list: unknown[] = typedArrayName(values) === undefined
      ? listOf(values as readonly T[], SEND)
      // Its iterator throws when its buffer was transferred away.
      : Array.prototype.slice.call(values);
    if (!payload.callsOut) return this.#outbox.pushMany(list, payload);
    const packed = list.map((value) => new Uint8Array(payload.pack(value)));
    return this.#outbox.pushMany(packed, undefined);
  }

  /**
   * Sends a value, and sleeps until there is room for it.
   *
   * @param value The value.
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} As {@linkcode Channel.trySend}, and if it is closed meanwhile; `ETIMEDOUT`; `EWOULDBLOCK` the call
   * would block the main thread; `ETERMINATED` this thread is being terminated. In all cases it was not sent.
   */
  send(value: T, options?: BlockOptions): void {
    if (options !== undefined) options = checkBlockOptions(options, SEND);
    const payload = this.#payload ?? this.#refuse(SEND);
    const bytes = payload.pack(value);
    this.#outbox.block(bytes, payload.length, options);
  }

  /**
   * Sends a value when there is room for it, without blocking the thread. Values of a thread are sent in the order of its
   * calls, also of {@linkcode Channel.send}.
   *
   * @param value The value, of which a copy is made now.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise that resolves when it is sent.
   * @throws {NumaError} As {@linkcode Channel.trySend}, and if it is closed meanwhile; `ETIMEDOUT`; `EAGAIN` more threads
   * than `threads`. The signal's reason if it aborts. In all cases it was not sent.
   */
  async sendAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    const checked = checkWaitOptions(options, SEND);
    checked?.signal?.throwIfAborted();
    const payload = this.#payload ?? this.#refuse(SEND);
    const bytes = payload.pack(value);
    await this.#outbox.await(bytes, payload.length, checked);
  }

  /**
   * Receives the next value if there is one. Never waits.
   *
   * @returns The value; undefined if there is none.
   * @throws {NumaError} `EOWNER` if another thread receives; `EINVAL` if a message is none of this channel's;
   * `EDESTROYED` if its arena is destroyed. What a codec throws: then the message is lost.
   */
  tryReceive(): T | undefined {
    const value = this.#inbox.take(this.#payload ?? this.#refuse(RECEIVE));
    return value === EMPTY ? undefined : value as T;
  }

  /**
   * Receives the values that are there. Never waits.
   *
   * @param limit How many, at most. Default: 1,024.
   * @returns The values: none if there are none.
   * @throws {NumaError} As {@linkcode Channel.tryReceive}. If that happens behind other values, these are returned, and the
   * next call throws.
   */
  tryReceiveMany(limit: number = MANY): T[] {
    checkInteger(limit, "limit", 1, MAX_MANY, RECEIVE);
    return this.#inbox.takeMany(this.#payload ?? this.#refuse(RECEIVE), limit) as T[];
  }

  /**
   * Receives the next value, and sleeps until there is one.
   *
   * @param options The timeout, and whether the main thread may block.
   * @returns The value; undefined if the channel is closed, and empty.
   * @throws {NumaError} As {@linkcode Channel.tryReceive}; `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread;
   * `ETERMINATED` this thread is being terminated.
   */
  receive(options?: BlockOptions): T | undefined {
    if (options !== undefined) options = checkBlockOptions(options, RECEIVE);
    const taking = this.#taking();
    this.#inbox.block(taking.take, options);
    return taking.value === EMPTY ? undefined : taking.value as T;
  }

  /**
   * Receives the values that are there, and sleeps until there is one.
   *
   * @param limit How many, at most. Default: 1,024.
   * @param options The timeout, and whether the main thread may block.
   * @returns The values: none if the channel is closed, and empty.
   * @throws {NumaError} As {@linkcode Channel.receive} and {@linkcode Channel.tryReceiveMany}.
   */
  receiveMany(limit: number = MANY, options?: BlockOptions): T[] {
    checkInteger(limit, "limit", 1, MAX_MANY, RECEIVE);
    if (options !== undefined) options = checkBlockOptions(options, RECEIVE);
    let values: T[] = [];
    this.#inbox.block(() => (values = this.tryReceiveMany(limit)).length > 0, options);
    return values;
  }

  /**
   * Receives the next value when there is one, without blocking the thread.
   *
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the value: undefined if the channel is closed, and empty.
   * @throws {NumaError} As {@linkcode Channel.tryReceive}; `ETIMEDOUT`; `EAGAIN` more threads than `threads`. The signal's
   * reason if it aborts.
   */
  async receiveAsync(options?: AsyncWaitOptions): Promise<T | undefined> {
    const value = await this.#next(checkWaitOptions(options, RECEIVE));
    return value === EMPTY ? undefined : value as T;
  }

  /**
   * Receives the values that are there when there is one, without blocking the thread.
   *
   * @param limit How many, at most. Default: 1,024.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the values: none if the channel is closed, and empty.
   * @throws {NumaError} As {@linkcode Channel.receiveAsync} and {@linkcode Channel.tryReceiveMany}.
   */
  async receiveManyAsync(limit: number = MANY, options?: AsyncWaitOptions): Promise<T[]> {
    checkInteger(limit, "limit", 1, MAX_MANY, RECEIVE);
    const checked = checkWaitOptions(options, RECEIVE);
    let values: T[] = [];
    await this.#inbox.await(() => (values = this.tryReceiveMany(limit)).length > 0, checked);
    return values;
  }

  /**
   * Iterates over the values as they come, until the channel is closed and empty. Does not block the thread.
   *
   * @throws {NumaError} As {@linkcode Channel.receiveAsync}.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    for (;;) {
      const value = await this.#next(undefined);
      if (value === EMPTY) return;
      yield value as T;
    }
  }

  /**
   * Returns the values as a stream. It receives one when somebody reads, and ends when the channel is closed and empty;
   * to cancel it does not close the channel.
   *
   * @returns A new stream.
   */
  readable(): ReadableStream<T> {
    const controller = new AbortController();
    const { signal } = controller;
    return new ReadableStream<T>({
      pull: async (stream) => {
        const value = await this.#next({ signal });
        if (value === EMPTY) stream.close();
        else stream.enqueue(value as T);
      },
      cancel: () => controller.abort(),
    }, { highWaterMark: 0 });
  }

  /**
   * Returns a stream that sends what is written to it. To close or abort it closes the channel: `pipeTo` has
   * `preventClose` for a channel that others still send through.
   *
   * @returns A new stream.
   */
  writable(): WritableStream<T> {
    return new WritableStream<T>({
      write: (value, controller) => {
        // Not every runtime's types have it.
        const { signal } = controller as { readonly signal?: AbortSignal };
        return this.sendAsync(value, signal && { signal });
      },
      close: () => this.close(),
      abort: () => this.close(),
    });
  }

  /**
   * Says that nothing more will be sent, or received, and wakes everybody who waits. The receiver still gets what was sent
   * before that. Close it when a sender's thread has ended, if the receiver waits for its values.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  close(): void {
    this.#attached.check("close");
    this.#core.close(this.#attached.me);
  }

  /**
   * Ends that this thread sends or receives: its lane goes to the next thread that sends, and the next thread that
   * receives may do so. What it has sent stays.
   *
   * @throws {NumaError} `EBUSY` if values of this thread wait for room; `EDESTROYED` if its arena is destroyed.
   */
  leave(): void {
    this.#attached.check("leave");
    this.#outbox.leave();
    this.#inbox.leave();
  }

  /**
   * Returns a handle with which another thread finds the channel. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  /** Receives the next value: EMPTY if the channel is closed, and empty. */
  async #next(options: AsyncWaitOptions | undefined): Promise<unknown> {
    const taking = this.#taking();
    await this.#inbox.await(taking.take, options);
    return taking.value;
  }

  /** Tries to take a value out. */
  #taking(): { readonly take: () => boolean; readonly value: unknown } {
    const payload = this.#payload ?? this.#refuse(RECEIVE);
    const taking = {
      value: EMPTY as unknown,
      take: (): boolean => (taking.value = this.#inbox.take(payload)) !== EMPTY,
    };
    return taking;
  }

  #refuse(action: string): never {
    throw new NumaError("EINVAL", action, {
      why: "this thread does not know its codec",
      fix: "Call channel.use(codec) first, with the codec or struct that it was created with.",
    });
  }
}

/** A thread that can send and receive no more leaves that to others. */
function tenantOf(core: ChannelCore, words: Int32Array, me: Waiter, roles: Roles): Tenant {
  return {
    holds: () => roles.lane !== NO_LANE || roles.receives,
    endWaits: () => {},
    abandon(): void {
      if (words.length === 0) return;
      if (roles.lane !== NO_LANE) core.leave(me, roles.lane);
      if (roles.receives) core.resign(me);
    },
  };
}
