/**
 * One thread's part in serving a delegated map: it owns partitions, and replies to what others ask.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import type { Waiter } from "../../wait/waiter.ts";
import type { Channel } from "../channels/channel.ts";
import { bytesOf, inboxesOf, wordsOf } from "./delegated_client.ts";
import {
  answer,
  GENERATION,
  INBOX,
  type MessageShape,
  REQUEST_HEAD,
} from "./delegated_messages.ts";
import type { DelegatedPart } from "./delegated_parts.ts";
import type { Tenure } from "./tenure.ts";

/** What is asked, as it follows "Cannot". */
export const SERVE = "serve a partition";

/** Requests that are done before other work of the thread goes on. */
const BATCH = 256;
/** How long a reply waits for a thread that does not take its replies, in milliseconds. */
const PATIENCE_MS = 10_000;

/** The partitions of one thread. */
export class DelegatedService {
  readonly #parts: readonly DelegatedPart[];
  readonly #tenures: readonly Tenure[];
  readonly #inboxes: readonly Channel<Uint8Array>[];
  readonly #shape: MessageShape;
  readonly #me: Waiter;
  readonly #near: () => number;
  readonly #keeps: () => number;
  /** The numbers of those that this thread owns. */
  readonly #own: Set<number> = new Set();

  /**
   * @param parts The partitions.
   * @param tenures Which threads serve them.
   * @param shape What is known of the map.
   * @param me The calling thread.
   * @param own Says which partition's memory is the nearest, and which inbox is this thread's.
   */
  constructor(
    parts: readonly DelegatedPart[],
    tenures: readonly Tenure[],
    shape: MessageShape,
    me: Waiter,
    own: { readonly near: () => number; readonly inbox: () => number },
  ) {
    this.#parts = parts;
    this.#tenures = tenures;
    this.#inboxes = inboxesOf(parts);
    this.#shape = shape;
    this.#me = me;
    this.#near = own.near;
    this.#keeps = own.inbox;
  }

  /**
   * Whether this thread owns a partition.
   *
   * @param partition Its number.
   * @returns Whether it does.
   */
  owns(partition: number): boolean {
    return this.#own.has(partition);
  }

  /**
   * Does a request of this thread to a partition that it owns.
   *
   * @param partition The number of the partition.
   * @param request Its words.
   * @returns The reply.
   */
  answer(partition: number, request: Int32Array): Int32Array {
    return answer(request, (this.#parts[partition] as DelegatedPart).map, this.#shape);
  }

  /**
   * Owns a partition, and does what others ask, until a signal is aborted or the map is closed.
   *
   * @param wanted The number of the partition; undefined: the nearest that nobody serves.
   * @param signal The signal.
   * @throws {NumaError} `EOWNER`, `EDESTROYED`.
   */
  async serve(wanted: number | undefined, signal: AbortSignal | undefined): Promise<void> {
    const partition = this.#begin(wanted);
    const { requests } = this.#parts[partition] as DelegatedPart;
    const tenure = this.#tenures[partition] as Tenure;
    const generation = tenure.generation();
    const options = signal && { signal };
    try {
      for (;;) {
        // Also where the signal is aborted meanwhile: what was taken gets its reply.
        const messages = await requests.receiveManyAsync(BATCH, options);
        if (messages.length === 0) return;
        for (const message of messages) this.#reply(partition, generation, wordsOf(message));
        // Other work of this thread goes on, and the signal is seen, when there is always something to do.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    } finally {
      this.#end(partition);
    }
  }

  #begin(wanted: number | undefined): number {
    const { length } = this.#parts;
    const first = wanted ?? this.#near();
    for (let step = 0; step < (wanted === undefined ? length : 1); step++) {
      const partition = (first + step) % length;
      if (!(this.#tenures[partition] as Tenure).begin(this.#me)) continue;
      this.#own.add(partition);
      return partition;
    }
    throw new NumaError("EOWNER", SERVE, {
      why: wanted === undefined
        ? `a thread serves each of the ${length} partitions`
        : `a thread serves partition ${wanted}`,
      fix: "Serve another one, or wait until that thread has ended or has stopped.",
    });
  }

  #end(partition: number): void {
    const { region, requests } = this.#parts[partition] as DelegatedPart;
    this.#own.delete(partition);
    if (region.words.length === 0) return;
    try {
      requests.leave();
    } catch {
      // Requests of this thread itself wait there for room: then it receives until it ends.
    }
    (this.#tenures[partition] as Tenure).end();
    if (this.#own.size > 0) return;
    // The lanes of replies are there for so many owners.
    for (const [number, inbox] of this.#inboxes.entries()) {
      try {
        if (number !== this.#keeps()) inbox.leave();
      } catch {
        // Replies wait there for room.
      }
    }
  }

  #reply(partition: number, generation: number, request: Int32Array): void {
    // In memory that any thread can write to. Requests to an owner that has died were given up.
    if (request.length < REQUEST_HEAD || request[GENERATION] !== generation) return;
    const inbox = this.#inboxes[request[INBOX] as number];
    const bytes = bytesOf(this.answer(partition, request));
    if (inbox === undefined || bytes.length > inbox.maxBytes) return;
    try {
      if (inbox.trySend(bytes)) return;
    } catch {
      // It has no lane left for this thread, or is gone: so is who has asked.
      return;
    }
    inbox.sendAsync(bytes, { timeoutMs: PATIENCE_MS }).catch(() => {});
  }
}
