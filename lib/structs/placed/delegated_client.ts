/**
 * The requests of one thread to the owners of a delegated map's partitions.
 *
 * Replies to all of them arrive in one channel, the thread's inbox, which is received from while some are awaited. Now and
 * then the thread looks whether an owner has died. What it had published before is in the inbox then, so requests that are
 * still without a reply when the inbox is empty have none.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";
import type { Waiter } from "../../wait/waiter.ts";
import type { Channel } from "../channels/channel.ts";
import type { DelegatedPart } from "./delegated_parts.ts";
import {
  GENERATION,
  INBOX,
  NUMBER,
  REPLY_HEAD,
  REPLY_NUMBER,
  REPLY_SESSION,
  SENDER,
  SESSION,
} from "./delegated_messages.ts";
import type { Tenure } from "./tenure.ts";

/** How often it looks for dead owners, in milliseconds: soon after a request, and then more and more seldom. */
const FIRST_LOOK_MS = 1;
const LOOK_MS = 50;
const MAX_NUMBER = 2 ** 31 - 1;
/** More than a full inbox has replies, by the thousand. */
const MAX_ROUNDS = 64;

/** What is asked, as it follows "Cannot". */
export const ASK = "ask the owner of a partition";

/** A request that is awaited. */
interface Pending {
  readonly partition: number;
  readonly generation: number;
  readonly resolve: (reply: Int32Array) => void;
  readonly reject: (error: unknown) => void;
}

/** The inboxes of all partitions, in the order of their numbers. */
export function inboxesOf(parts: readonly DelegatedPart[]): readonly Channel<Uint8Array>[] {
  return parts.flatMap(({ inboxes }) => inboxes);
}

/** Bytes of words, and words of bytes. */
export function bytesOf(words: Int32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

/**
 * The words of a message.
 *
 * @param bytes Its bytes, which nobody else has.
 * @returns As many words as are whole.
 */
export function wordsOf(bytes: Uint8Array): Int32Array {
  const { buffer, byteOffset, byteLength } = byteOffsetIsWhole(bytes) ? bytes : bytes.slice();
  return new Int32Array(buffer, byteOffset, byteLength >>> 2);
}

function byteOffsetIsWhole({ byteOffset }: Uint8Array): boolean {
  return byteOffset % 4 === 0;
}

/** Requests of a thread. */
export class DelegatedClient {
  readonly #parts: readonly DelegatedPart[];
  readonly #inboxes: readonly Channel<Uint8Array>[];
  readonly #tenures: readonly Tenure[];
  readonly #me: Waiter;
  /** The number of the first inbox to try. */
  readonly #first: number;
  /** Replies to another thread that had the inbox before are not taken for those to this one. */
  readonly #session: number;
  readonly #pending: Map<number, Pending> = new Map();
  #inbox = -1;
  #number = 0;
  /** Ends the loop that receives replies; undefined where none runs. */
  #loop: AbortController | undefined;
  #lookMs = FIRST_LOOK_MS;

  /**
   * @param parts The partitions.
   * @param tenures Which threads serve them.
   * @param me The calling thread.
   * @param near The number of the partition whose memory is the nearest.
   */
  constructor(
    parts: readonly DelegatedPart[],
    tenures: readonly Tenure[],
    me: Waiter,
    near: number,
  ) {
    this.#parts = parts;
    this.#inboxes = inboxesOf(parts);
    this.#tenures = tenures;
    this.#me = me;
    this.#first = near * (this.#inboxes.length / parts.length) | 0;
    this.#session = crypto.getRandomValues(new Int32Array(1))[0] as number;
  }

  /** The number of requests that are awaited. */
  get pending(): number {
    return this.#pending.size;
  }

  /** The number of this thread's inbox; -1: it has none. */
  get inbox(): number {
    return this.#inbox;
  }

  /**
   * Sends a request, and awaits the reply.
   *
   * @param partition The number of the partition.
   * @param request Its words, of which the first ones are filled in.
   * @param options The timeout, and a signal, checked.
   * @returns The reply.
   * @throws {NumaError} `EOWNERDEAD`, `ECLOSED`, `ETIMEDOUT`, `EAGAIN`, `EDESTROYED`. The signal's reason.
   */
  ask(
    partition: number,
    request: Int32Array,
    options: AsyncWaitOptions | undefined,
  ): Promise<Int32Array> {
    const { requests } = this.#parts[partition] as DelegatedPart;
    const generation = (this.#tenures[partition] as Tenure).next(this.#me);
    this.#claim();
    const number = this.#number = this.#number === MAX_NUMBER ? 1 : this.#number + 1;
    request[NUMBER] = number;
    request[INBOX] = this.#inbox;
    request[SESSION] = this.#session;
    request[GENERATION] = generation;
    request[SENDER] = this.#me.id;
    const bytes = bytesOf(request);
    this.#lookMs = FIRST_LOOK_MS;
    // Before anybody awaits anything: what cannot be sent is nobody's request.
    const isSent = requests.trySend(bytes);
    return new Promise((resolve, reject) => {
      const timer = options?.timeoutMs === undefined ? undefined : setTimeout(() => {
        end(
          new NumaError("ETIMEDOUT", ASK, {
            why: `there was no reply after ${options.timeoutMs} ms; it may be done later`,
            fix: "Look whether a thread serves the partition, or give more time.",
          }),
        );
      }, options.timeoutMs);
      const signal = options?.signal;
      const abort = (): void => end(signal?.reason);
      const clear = (): void => {
        this.#pending.delete(number);
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
      };
      const end = (error: unknown): void => {
        if (!this.#pending.has(number)) return;
        clear();
        reject(error);
      };
      signal?.addEventListener("abort", abort);
      this.#pending.set(number, {
        partition,
        generation,
        resolve: (reply) => {
          clear();
          resolve(reply);
        },
        reject: end,
      });
      if (!isSent) requests.sendAsync(bytes, options).catch(end);
      if (this.#loop === undefined) void this.#receive();
    });
  }

  /**
   * Gives the inbox to other threads.
   *
   * @throws {NumaError} `EBUSY` requests are awaited.
   */
  leave(): void {
    if (this.#pending.size > 0) {
      throw new NumaError("EBUSY", "leave a delegated map", {
        why: `${this.#pending.size} requests of this thread are awaited`,
        fix: "Await what its methods returned.",
      });
    }
    if (this.#inbox >= 0) this.#inboxes[this.#inbox]?.leave();
    this.#inbox = -1;
    // It would look once more, and be the receiver of what another thread may have then.
    this.#loop?.abort();
    this.#loop = undefined;
  }

  /** Ends requests that get no reply any more. */
  look(): void {
    const inbox = this.#inboxes[this.#inbox];
    if (inbox === undefined) return;
    const lost: Pending[] = [];
    const closed: Pending[] = [];
    for (const pending of this.#pending.values()) {
      const tenure = this.#tenures[pending.partition] as Tenure;
      if (tenure.isOver(this.#me, pending.generation)) lost.push(pending);
      else if (
        !tenure.isServed(this.#me) && this.#parts[pending.partition]?.requests.closed === true
      ) {
        closed.push(pending);
      }
    }
    if (lost.length + closed.length === 0) return;
    // What the dead have sent before.
    for (let round = 0; round < MAX_ROUNDS; round++) {
      const replies = inbox.tryReceiveMany();
      if (replies.length === 0) break;
      for (const reply of replies) this.#settle(wordsOf(reply));
    }
    for (const { reject, partition } of lost) {
      reject(
        new NumaError("EOWNERDEAD", ASK, {
          why:
            `the owner of partition ${partition} has died, or could not send its reply; it was done or never will be`,
          fix: "Look whether a thread serves it and what is there, and ask again.",
        }),
      );
    }
    for (const { reject } of closed) {
      reject(closedError());
    }
  }

  /** Gets an inbox that nobody has, or whose thread has died. */
  #claim(): void {
    if (this.#inbox >= 0) return;
    const { length } = this.#inboxes;
    for (let step = 0; step < length; step++) {
      const number = (this.#first + step) % length;
      try {
        // To receive is to become the receiver. What is there was for another thread.
        this.#inboxes[number]?.tryReceiveMany();
        this.#inbox = number;
        return;
      } catch (error) {
        if (!(error instanceof NumaError) || error.code !== "EOWNER") throw error;
      }
    }
    throw new NumaError("EAGAIN", ASK, {
      why: "as many threads ask as it has clients",
      fix: "Create it with more `clients`, or let threads that are done call leave().",
    });
  }

  /** Receives replies while some are awaited. */
  async #receive(): Promise<void> {
    const loop = this.#loop = new AbortController();
    const { signal } = loop;
    const inbox = this.#inboxes[this.#inbox] as Channel<Uint8Array>;
    let looked = performance.now();
    try {
      while (this.#loop === loop && this.#pending.size > 0) {
        const replies = await inbox.receiveManyAsync(undefined, { timeoutMs: this.#lookMs, signal })
          .catch((error: unknown) => {
            if (error instanceof NumaError && error.code === "ETIMEDOUT") return [];
            throw error;
          });
        for (const reply of replies) this.#settle(wordsOf(reply));
        // Nobody closes an inbox: then its memory was written over, and nothing arrives there any more.
        if (replies.length === 0 && inbox.closed) throw closedError();
        if (performance.now() - looked < this.#lookMs) continue;
        this.look();
        this.#lookMs = Math.min(2 * this.#lookMs, LOOK_MS);
        looked = performance.now();
      }
    } catch (error) {
      // If this one was ended, those that are awaited now are for the next one.
      if (this.#loop !== loop) return;
      for (const { reject } of [...this.#pending.values()]) reject(error);
    } finally {
      if (this.#loop === loop) this.#loop = undefined;
    }
  }

  #settle(reply: Int32Array): void {
    if (reply.length < REPLY_HEAD || reply[REPLY_SESSION] !== this.#session) return;
    this.#pending.get(reply[REPLY_NUMBER] as number)?.resolve(reply);
  }
}

function closedError(): NumaError {
  return new NumaError("ECLOSED", ASK, {
    why: "the map was closed; it may be done, or be done later",
    fix: "Stop asking, or create another map; call close() when what was asked has its reply.",
  });
}
