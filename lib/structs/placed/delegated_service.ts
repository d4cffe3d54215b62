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
  SENDER,
} from "./delegated_messages.ts";
import type { DelegatedPart } from "./delegated_parts.ts";
import type { Tenure } from "./tenure.ts";

/** What is asked, as it follows "Cannot". */
export const SERVE = "serve a partition";

/** Requests that are done before other work of the thread goes on. */
const BATCH = 256;
/** How long one that stops waits for threads that do not take its replies, in milliseconds. */
const PATIENCE_MS = 10_000;
/** How often it looks whether a thread still lives that does not take its replies. */
const LOOK_MS = 500;
/** How often one that stops looks whether its replies are out. */
const STOP_MS = 2;

/** That this thread serves a partition: from `serve` to its end. */
interface Term {
  readonly partition: number;
  readonly tenure: Tenure;
  /** The generation whose requests it does. */
  generation: number;
  /** How many of its replies wait for room. */
  unsent: number;
  /** When those are given up, by `performance.now()`. */
  until: number;
}

/** A reply that waits for room. */
interface Letter {
  readonly bytes: Uint8Array;
  /** The id of the thread that has asked. */
  readonly sender: number;
  readonly term: Term;
}

/** Lets other work of the thread go on. */
function others(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Ends that this thread receives requests. Says whether it could, or their memory is gone. */
function leaves(requests: Channel<Uint8Array>): boolean {
  try {
    requests.leave();
    return true;
  } catch (error) {
    return !(error instanceof NumaError) || error.code !== "EBUSY";
  }
}

/** What was asked; nothing where memory is gone. */
function received(requests: Channel<Uint8Array>): Uint8Array[] {
  try {
    return requests.tryReceiveMany(BATCH);
  } catch {
    return [];
  }
}

/** The partitions of one thread. */
export class DelegatedService {
  readonly #parts: readonly DelegatedPart[];
  readonly #tenures: readonly Tenure[];
  readonly #inboxes: readonly Channel<Uint8Array>[];
  readonly #shape: MessageShape;
  readonly #me: Waiter;
  readonly #near: () => number;
  readonly #keeps: () => number;
  /** Those that this thread owns, by their numbers. */
  readonly #own: Map<number, Term> = new Map();
  /** What waits for room in each inbox that is full. */
  readonly #waiting: Map<Channel<Uint8Array>, Letter[]> = new Map();

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
    const term = this.#begin(wanted);
    const { requests } = this.#parts[term.partition] as DelegatedPart;
    const options = signal && { signal };
    try {
      for (;;) {
        // Also where the signal is aborted meanwhile: what was taken gets its reply.
        const messages = await requests.receiveManyAsync(BATCH, options);
        if (messages.length === 0) return;
        for (const message of messages) this.#reply(term, wordsOf(message));
        // The signal is seen, too, when there is always something to do.
        await others();
      }
    } catch (error) {
      if (signal?.aborted !== true) throw error;
    } finally {
      await this.#end(term);
    }
  }

  /**
   * Stops owning a partition whose memory goes.
   *
   * @param partition Its number.
   */
  abandon(partition: number): void {
    const term = this.#own.get(partition);
    if (term === undefined) return;
    if (term.unsent > 0) term.tenure.raise();
    term.tenure.end();
  }

  #begin(wanted: number | undefined): Term {
    const { length } = this.#parts;
    const first = wanted ?? this.#near();
    for (let step = 0; step < (wanted === undefined ? length : 1); step++) {
      const partition = (first + step) % length;
      const tenure = this.#tenures[partition] as Tenure;
      if (!tenure.begin(this.#me)) continue;
      const generation = tenure.generation();
      const term: Term = { partition, tenure, generation, unsent: 0, until: Infinity };
      this.#own.set(partition, term);
      return term;
    }
    throw new NumaError("EOWNER", SERVE, {
      why: wanted === undefined
        ? `a thread serves each of the ${length} partitions`
        : `a thread serves partition ${wanted}`,
      fix: "Serve another one, or wait until that thread has ended or has stopped.",
    });
  }

  /** Stops, when what it has replied is out or nobody takes it. */
  async #end(term: Term): Promise<void> {
    const { partition, tenure } = term;
    const { region, requests } = this.#parts[partition] as DelegatedPart;
    term.until = performance.now() + PATIENCE_MS;
    // Requests of this thread itself that wait for room keep it from leaving. There is room when others are done; and as
    // long as it owns the partition, it sends no more there.
    while (!leaves(requests) && performance.now() < term.until) {
      for (const message of received(requests)) this.#reply(term, wordsOf(message));
      await others();
    }
    while (term.unsent > 0) await new Promise((resolve) => setTimeout(resolve, STOP_MS));
    this.#own.delete(partition);
    if (region.words.length === 0) return;
    // Before another thread serves: there are lanes for so many owners.
    if (this.#own.size === 0) this.#leaveInboxes();
    tenure.end();
  }

  #leaveInboxes(): void {
    for (const [number, inbox] of this.#inboxes.entries()) {
      try {
        if (number !== this.#keeps()) inbox.leave();
      } catch {
        // Its memory is gone.
      }
    }
  }

  #reply(term: Term, request: Int32Array): void {
    // In memory that any thread can write to. Requests to an owner that has died were given up.
    if (request.length < REQUEST_HEAD || request[GENERATION] !== term.generation) return;
    const inbox = this.#inboxes[request[INBOX] as number];
    const bytes = bytesOf(this.answer(term.partition, request));
    if (inbox === undefined || bytes.length > inbox.maxBytes) return;
    const letter: Letter = { bytes, term, sender: request[SENDER] as number };
    const waiting = this.#waiting.get(inbox);
    try {
      if (waiting === undefined && inbox.trySend(bytes)) return;
    } catch {
      // It has no lane left for this thread, or is gone.
      this.#lose(letter);
      return;
    }
    term.unsent++;
    if (waiting !== undefined) waiting.push(letter);
    else {
      this.#waiting.set(inbox, [letter]);
      void this.#sendAll(inbox);
    }
  }

  /** Sends what waits for room in an inbox. */
  async #sendAll(inbox: Channel<Uint8Array>): Promise<void> {
    for (;;) {
      const waiting = this.#waiting.get(inbox) as Letter[];
      if (waiting.length === 0) break;
      for (const letter of waiting.splice(0)) {
        if (!await this.#send(inbox, letter)) this.#lose(letter);
        letter.term.unsent--;
      }
    }
    this.#waiting.delete(inbox);
  }

  /** Sends a reply when there is room. Says whether it is out, or nobody is there who awaits it. */
  async #send(inbox: Channel<Uint8Array>, { bytes, sender, term }: Letter): Promise<boolean> {
    while (this.#me.alive(sender)) {
      if (performance.now() >= term.until) return false;
      try {
        await inbox.sendAsync(bytes, { timeoutMs: LOOK_MS });
        return true;
      } catch (error) {
        if (!(error instanceof NumaError) || error.code !== "ETIMEDOUT") return false;
      }
    }
    return true;
  }

  /** Lets the one who awaits a reply know that there will be none. */
  #lose({ sender, term }: Letter): void {
    const { region } = this.#parts[term.partition] as DelegatedPart;
    if (region.words.length > 0 && this.#me.alive(sender)) term.generation = term.tenure.raise();
  }
}
