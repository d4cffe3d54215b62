import type { ByteSize } from "../../base/bytes.ts";
import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { checkBlockOptions, checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { closedError } from "../outcomes.ts";
import { MessageCore, NONE } from "./message_core.ts";
import {
  bytesLength,
  capacityBits,
  capacityWords,
  listOf,
  messageLength,
  PUT,
  TAKE,
} from "./message_settings.ts";
import { WaitingEnd } from "./waiting_end.ts";

/** Options of a {@linkcode MessageRing}. */
export interface MessageRingOptions extends SyncOptions {
  /**
   * The bytes that it has room for: a power of two from 64 to 1 GiB. A message takes four bytes more than it has, rounded
   * up to a multiple of four. Default: 64 KiB.
   */
  readonly capacity?: ByteSize;
}

const MAX_BITS = 30;

const KIND = /* @__PURE__ */ defineKind<MessageRing, MessageRingOptions>({
  name: "MessageRing",
  code: 65,
  title: "a ring of messages",
  accepts: ["threads", "capacity"],
  option: ({ capacity = 65_536 }, action) => capacityBits(capacity, MAX_BITS, action),
  words: (shape, option) => MessageCore.words(shape, capacityWords(option)),
});

/**
 * A ring of messages of any length, from one thread to another.
 *
 * A message is bytes: as many as you like, up to {@linkcode MessageRing.maxBytes}. One thread puts messages in, the
 * producer, and one takes them out, the consumer; each may also be the other. Another thread can take over as the producer
 * or the consumer after the two have synchronized, for example by a message. Create it in an arena on the consumer's node:
 * writes to another node do not stall a thread, and reads do.
 *
 * Nobody notices a second thread that puts in at the same time, or takes out: then messages are lost. Use a `Channel` where
 * several threads send.
 *
 * Full and empty are return values. Methods that begin with `try` never wait; `push` and `pop` sleep until there is room
 * or a message, and those that end in `Async` do so without blocking the thread. `reserve` and `commit` write a message
 * where it is, and `readable` and `consume` read it there.
 *
 * Properties: first in, first out. A producer that dies has put in all messages of a call or none; what a consumer was
 * taking out when it died is there for the next one, which may get it a second time. Costs of the methods that begin with
 * `try`: one atomic operation a call, however many messages it is about; no call of native code unless somebody sleeps;
 * no allocation but of what is returned.
 *
 * @example
 * ```ts
 * import { MessageRing } from "@numakit/numakit";
 *
 * const ring = MessageRing.create(new SharedArrayBuffer(MessageRing.bytes()));
 * // The producer:
 * ring.tryPush(new TextEncoder().encode("hello"));
 * // The consumer, in any thread:
 * console.log(new TextDecoder().decode(ring.tryPop())); // hello
 * console.log(ring.tryPop()); // undefined
 * ```
 *
 * @example Without a copy
 * ```ts
 * import { MessageRing } from "@numakit/numakit";
 *
 * const ring = MessageRing.create(new SharedArrayBuffer(MessageRing.bytes()));
 * const { memory } = ring;
 * const at = ring.reserve(100); // -1 if there is no room
 * memory[at] = 7; // and so on, up to 100 bytes
 * ring.commit(1); // it has become a message of one byte
 * // The consumer:
 * const length = ring.readable(); // -1 if there is none
 * console.log(length, memory[ring.readAt]); // 1 7
 * ring.consume();
 * ```
 */
export class MessageRing implements Shareable {
  static readonly #kind = /* @__PURE__ */ KIND.register(
    MessageRing,
    (region) => new MessageRing(region),
  );
  readonly #core: MessageCore;
  readonly #attached: Attachment;
  readonly #me: ThreadWaiter;
  readonly #producer: WaitingEnd;
  readonly #consumer: WaitingEnd;
  /** The bytes that `reserve` has found room for, and the message that `readable` has found. */
  #reserved = NONE;
  #found = NONE;

  private constructor(region: Region) {
    const core = new MessageCore(region.words, region.shape, capacityWords(region.option));
    const attached = new Attachment(region);
    this.#core = core;
    this.#attached = attached;
    this.#me = attached.me;
    this.#producer = new WaitingEnd(this, attached, core.notFull, PUT, "producers");
    this.#consumer = new WaitingEnd(this, attached, core.notEmpty, TAKE, "consumers");
  }

  /**
   * Creates an empty ring.
   *
   * @param memory The memory for it: an arena on the consumer's node, or a `SharedArrayBuffer` of
   * {@linkcode MessageRing.bytes} bytes.
   * @param options The bytes that it has room for, and other options.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: MessageRingOptions = {}): MessageRing {
    return MessageRing.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a ring needs.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: MessageRingOptions = {}): number {
    return MessageRing.#kind.bytes(options);
  }

  /**
   * Returns the live ring of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode MessageRing.toHandle}, made in any thread of this process.
   * @returns The ring.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): MessageRing {
    return MessageRing.#kind.attach(handle);
  }

  /** The bytes that it has room for, with four more for each message. */
  get capacity(): number {
    return capacityWords(this.#attached.region.option) * 4;
  }

  /** The bytes of the longest message: four less than half of {@linkcode MessageRing.capacity}. */
  get maxBytes(): number {
    return this.#core.maxBytes;
  }

  /**
   * The bytes that are in use at this moment: those of its messages, four more for each, and what was skipped at the end
   * of the memory.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get usedBytes(): number {
    this.#attached.check("read");
    return this.#core.used() * 4;
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
   * Puts a message in if there is room for it. For the producer.
   *
   * @param message Its bytes: at most {@linkcode MessageRing.maxBytes}; none is right, too.
   * @returns False if there is no room.
   * @throws {NumaError} `ECLOSED` if the ring is closed; `EINVAL` if it is no Uint8Array, or too long; `EDESTROYED` if its
   * arena is destroyed.
   */
  tryPush(message: Uint8Array): boolean {
    const length = this.#lengthOf(message);
    this.#reserved = NONE;
    try {
      this.#checkOpen();
      return this.#core.push(this.#me, message, length);
    } catch (error) {
      this.#attached.check("put messages into");
      throw error;
    }
  }

  /**
   * Puts in as many messages as there is room for, all at once. For the producer.
   *
   * @param messages The messages.
   * @returns The number of messages that were put in: the first ones.
   * @throws {NumaError} As {@linkcode MessageRing.tryPush}: then none is put in.
   */
  tryPushMany(messages: readonly Uint8Array[]): number {
    const list = listOf(messages, PUT);
    const lengths = list.map((message) => this.#lengthOf(message));
    this.#attached.check("put messages into");
    this.#checkOpen();
    const core = this.#core;
    this.#reserved = NONE;
    let count = 0;
    core.begin();
    for (const message of list) {
      if (!core.write(message, lengths[count] as number)) break;
      count++;
    }
    if (count > 0) core.publish(this.#me);
    return count;
  }

  /**
   * Takes the next message out. For the consumer.
   *
   * @returns A copy of its bytes; undefined if the ring is empty.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  tryPop(): Uint8Array<ArrayBuffer> | undefined {
    const length = this.#find();
    if (length === NONE) return undefined;
    const message = this.#core.copy(length);
    this.#release();
    return message;
  }

  /**
   * Takes the next message out, and copies it into an array: nothing is allocated. For the consumer.
   *
   * @param target Where its bytes go, from its start.
   * @returns The number of its bytes; -1 if the ring is empty.
   * @throws {NumaError} `EINVAL` if `target` is no Uint8Array, or has no room for it: then it stays in the ring;
   * `EDESTROYED` if its arena is destroyed.
   */
  tryPopInto(target: Uint8Array): number {
    const room = bytesLength(target, TAKE);
    const length = this.#find();
    if (length > room) {
      throw new NumaError("EINVAL", TAKE, {
        why: `the message has ${length} bytes and the array ${room}`,
        fix: `Give one of maxBytes, ${this.maxBytes}, or use tryPop().`,
      });
    }
    if (length === NONE) return NONE;
    this.#core.read(target, length);
    this.#release();
    return length;
  }

  /**
   * Takes out messages, all at once. For the consumer.
   *
   * @param limit How many, at most. Default: all that are there.
   * @returns Copies of their bytes: none if the ring is empty.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` if its arena is destroyed.
   */
  tryPopMany(limit: number = Number.MAX_SAFE_INTEGER): Uint8Array<ArrayBuffer>[] {
    checkInteger(limit, "limit", 1, Number.MAX_SAFE_INTEGER, TAKE);
    this.#attached.check("take messages out of");
    const core = this.#core;
    const messages: Uint8Array<ArrayBuffer>[] = [];
    core.rewind();
    while (messages.length < limit) {
      const length = core.find(this.#me);
      if (length === NONE) break;
      messages.push(core.copy(length));
      core.pass();
    }
    this.#found = NONE;
    if (messages.length > 0) core.release(this.#me);
    return messages;
  }

  /**
   * Puts a message in, and sleeps until there is room for it. For the producer.
   *
   * @param message Its bytes: at most {@linkcode MessageRing.maxBytes}.
   * @param options The timeout, and whether the main thread may block.
   * @throws {NumaError} `ECLOSED` if the ring is closed, or is meanwhile; `ETIMEDOUT`; `EWOULDBLOCK` the call would block
   * the main thread; `ETERMINATED` this thread is being terminated; `EDESTROYED` its arena is destroyed; `EINVAL`. In all
   * cases it is not put in.
   */
  push(message: Uint8Array, options?: BlockOptions): void {
    this.#lengthOf(message);
    if (options !== undefined) options = checkBlockOptions(options, PUT);
    this.#attached.check("put messages into");
    this.#producer.block(() => this.#put(message), options);
  }

  /**
   * Takes the next message out, and sleeps until there is one. For the consumer.
   *
   * @param options The timeout, and whether the main thread may block.
   * @returns A copy of its bytes; undefined if the ring is closed, and empty.
   * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK` the call would block the main thread; `ETERMINATED` this thread is being
   * terminated; `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  pop(options?: BlockOptions): Uint8Array<ArrayBuffer> | undefined {
    if (options !== undefined) options = checkBlockOptions(options, TAKE);
    this.#attached.check("take messages out of");
    const taking = this.#taking();
    this.#consumer.block(taking.take, options);
    return taking.message;
  }

  /**
   * Puts a message in when there is room for it, without blocking the thread. Several calls of a thread may be served in
   * any order.
   *
   * @param message As for {@linkcode MessageRing.push}. Do not change it before the promise is settled.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise that resolves when it is in.
   * @throws {NumaError} `ECLOSED` if the ring is closed, or is meanwhile; `ETIMEDOUT`; `EAGAIN` more threads than
   * `threads`; `EDESTROYED` its arena is destroyed, or was during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  async pushAsync(message: Uint8Array, options?: AsyncWaitOptions): Promise<void> {
    this.#lengthOf(message);
    const checked = checkWaitOptions(options, PUT);
    this.#attached.check("put messages into");
    await this.#producer.await(() => this.#put(message), checked);
  }

  /**
   * Takes the next message out when there is one, without blocking the thread.
   *
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for a copy of its bytes: undefined if the ring is closed, and empty.
   * @throws {NumaError} `ETIMEDOUT`; `EAGAIN` more threads than `threads`; `EDESTROYED` its arena is destroyed, or was
   * during the wait; `EINVAL`. The signal's reason if it aborts.
   */
  async popAsync(options?: AsyncWaitOptions): Promise<Uint8Array<ArrayBuffer> | undefined> {
    const checked = checkWaitOptions(options, TAKE);
    this.#attached.check("take messages out of");
    const taking = this.#taking();
    await this.#consumer.await(taking.take, checked);
    return taking.message;
  }

  /**
   * The bytes of all messages, to write and read them in place. Use only what {@linkcode MessageRing.reserve} and
   * {@linkcode MessageRing.readable} say.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get memory(): Uint8Array {
    this.#attached.check("read");
    return this.#core.bytes;
  }

  /**
   * Finds room for a message that is written in place before {@linkcode MessageRing.commit}. For the producer. Any other
   * method that puts messages in takes the room back.
   *
   * @param length Its bytes, at most: 0 to {@linkcode MessageRing.maxBytes}.
   * @returns The index of its first byte in {@linkcode MessageRing.memory}, a multiple of four; -1 if there is no room.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` if its arena is destroyed.
   */
  reserve(length: number): number {
    checkInteger(length, "length", 0, this.#core.maxBytes, PUT);
    this.#attached.check("put messages into");
    this.#core.begin();
    const at = this.#core.place(length);
    this.#reserved = at === NONE ? NONE : length;
    return at;
  }

  /**
   * Puts in the message that was written in place. For the producer.
   *
   * @param length Its bytes: no more than {@linkcode MessageRing.reserve} was asked for. Default: as many.
   * @throws {NumaError} `ECLOSED` if the ring is closed; `EINVAL` if there is no room for them; `EDESTROYED` if its arena
   * is destroyed.
   */
  commit(length: number = Math.max(0, this.#reserved)): void {
    checkInteger(length, "length", 0, this.#core.maxBytes, PUT);
    this.#attached.check("put messages into");
    if (length > this.#reserved) {
      throw new NumaError("EINVAL", PUT, {
        why: this.#reserved === NONE
          ? "no room was reserved, or something was put in after that"
          : `${length} bytes are more than the ${this.#reserved} that were reserved`,
        fix: "Reserve room for each message, and commit no more.",
      });
    }
    this.#reserved = NONE;
    this.#checkOpen();
    this.#core.add(length);
    this.#core.publish(this.#me);
  }

  /**
   * Finds the next message, to read it in place before {@linkcode MessageRing.consume}. For the consumer.
   *
   * @returns The number of its bytes; -1 if the ring is empty.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  readable(): number {
    this.#found = this.#find();
    return this.#found;
  }

  /**
   * Where the message is that {@linkcode MessageRing.readable} has found: the index of its first byte in
   * {@linkcode MessageRing.memory}, a multiple of four. For the consumer.
   */
  get readAt(): number {
    return this.#core.foundAt();
  }

  /**
   * Takes out the message that {@linkcode MessageRing.readable} has found. For the consumer.
   *
   * @throws {NumaError} `EINVAL` if it has found none, or that was taken out meanwhile; `EDESTROYED` if its arena is
   * destroyed.
   */
  consume(): void {
    this.#attached.check("take messages out of");
    if (this.#found === NONE) {
      throw new NumaError("EINVAL", TAKE, {
        why: "no message was found, or it was taken out after that",
        fix: "Call readable() before each message.",
      });
    }
    this.#release();
  }

  /**
   * Says that no more messages will come, or be taken out, and wakes everybody who waits. Consumers still get what is
   * there; `push` and `pushAsync` throw `ECLOSED` from now on. Close it when a producer's thread has ended, if others
   * wait for its messages.
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

  #lengthOf(message: Uint8Array): number {
    return messageLength(message, this.#core.maxBytes, PUT);
  }

  /** Puts a message in, for those who wait. */
  #put(message: Uint8Array): boolean {
    this.#attached.check("put messages into");
    if (this.#core.closed()) throw closedError(PUT);
    return this.tryPush(message);
  }

  /** Finds the next message. */
  #find(): number {
    try {
      this.#core.rewind();
      return this.#core.find(this.#me);
    } catch (error) {
      this.#attached.check("take messages out of");
      throw error;
    }
  }

  /** Takes out the message that was found. */
  #release(): void {
    this.#found = NONE;
    this.#core.pass();
    this.#core.release(this.#me);
  }

  /** Tries to take a message out, or to see that there will be none. */
  #taking(): {
    readonly take: () => boolean;
    readonly message: Uint8Array<ArrayBuffer> | undefined;
  } {
    const taking = {
      message: undefined as Uint8Array<ArrayBuffer> | undefined,
      take: (): boolean => {
        taking.message = this.tryPop();
        if (taking.message !== undefined) return true;
        if (!this.#core.closed()) return false;
        // What was put in before it was closed.
        taking.message = this.tryPop();
        return true;
      },
    };
    return taking;
  }
}
