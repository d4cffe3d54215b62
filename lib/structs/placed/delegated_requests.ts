/**
 * What one thread asks of a delegated map: each request goes to the partition of its key.
 *
 * @module
 */
import { typedArrayName } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";
import { halfSip } from "../half_sip.ts";
import { ASK, type DelegatedClient } from "./delegated_client.ts";
import {
  checkReply,
  COUNT,
  EXCHANGE,
  FLAGS,
  type MessageShape,
  messageWords,
  REPLY_HEAD,
  REQUEST_HEAD,
  WHAT,
} from "./delegated_messages.ts";
import type { DelegatedService } from "./delegated_service.ts";

/** What requests need. */
export interface RequestsOptions {
  readonly shape: MessageShape;
  /** How many partitions there are. */
  readonly partitions: number;
  /** The bytes of the longest message. */
  readonly maxBytes: number;
  readonly seed: readonly [low: number, high: number];
  readonly client: DelegatedClient;
  readonly service: DelegatedService;
  /** Checks that the map's memory is there. */
  readonly check: () => void;
}

/** Requests of a thread. */
export class DelegatedRequests {
  readonly #shape: MessageShape;
  readonly #partitions: number;
  readonly #seed: readonly [low: number, high: number];
  readonly #client: DelegatedClient;
  readonly #service: DelegatedService;
  readonly #check: () => void;
  readonly #key: Int32Array;
  /** How many keys a message has room for. */
  readonly #most: number;

  /** @param options What they need. */
  constructor(options: RequestsOptions) {
    const { shape, maxBytes } = options;
    this.#shape = shape;
    this.#partitions = options.partitions;
    this.#seed = options.seed;
    this.#client = options.client;
    this.#service = options.service;
    this.#check = options.check;
    this.#key = new Int32Array(shape.keyWords);
    const each = messageWords(shape, 1) - REQUEST_HEAD;
    this.#most = Math.max(1, Math.floor((maxBytes / 4 - REQUEST_HEAD) / each));
  }

  /**
   * The partition of a key, which is in words then.
   *
   * @param key The key.
   * @returns Its number.
   * @throws {NumaError} `EINVAL`.
   */
  partitionOf(key: unknown): number {
    const words = this.#key;
    this.#shape.keys.write(key, words, 0, ASK);
    const { length } = words;
    return (halfSip(words, 0, length, length << 26, ...this.#seed) >>> 0) % this.#partitions;
  }

  /**
   * Asks for one key.
   *
   * @param what What is asked.
   * @param key The key.
   * @param given Some values.
   * @param flags Of an exchange: which of them there are.
   * @param options The timeout, and a signal.
   * @returns The reply.
   * @throws {NumaError} As `DelegatedMap.set`.
   */
  one(
    what: number,
    key: unknown,
    given: readonly unknown[],
    flags: number,
    options: AsyncWaitOptions | undefined,
  ): Promise<Int32Array> {
    const { values, keyWords, valueWords } = this.#shape;
    const checked = checkWaitOptions(options, ASK);
    const request = new Int32Array(REQUEST_HEAD + keyWords + given.length * valueWords);
    request[WHAT] = what;
    request[COUNT] = 1;
    request[FLAGS] = flags;
    const partition = this.partitionOf(key);
    request.set(this.#key, REQUEST_HEAD);
    for (const [index, value] of given.entries()) {
      if (what === EXCHANGE && value === undefined) continue;
      values.write(value, request, REQUEST_HEAD + keyWords + index * valueWords, ASK);
    }
    return this.#send(partition, request, checked);
  }

  /**
   * Asks for several keys.
   *
   * @param what What is asked.
   * @param keys The keys.
   * @param given A value for each, or none.
   * @param options The timeout, and a signal.
   * @param take Gets each reply, with the places of its keys.
   * @throws {NumaError} As `DelegatedMap.set`.
   */
  async many(
    what: number,
    keys: readonly unknown[],
    given: readonly unknown[] | undefined,
    options: AsyncWaitOptions | undefined,
    take: (reply: Int32Array, indices: readonly number[]) => void,
  ): Promise<void> {
    const { values, keyWords, valueWords } = this.#shape;
    const checked = checkWaitOptions(options, ASK);
    const each = keyWords + (given === undefined ? 0 : valueWords);
    const entries = new Int32Array(keys.length * each);
    const groups: number[][] = [];
    const open = new Map<number, number[]>();
    // All are checked before anything is sent.
    for (const [index, key] of keys.entries()) {
      const partition = this.partitionOf(key);
      entries.set(this.#key, index * each);
      if (given !== undefined) values.write(given[index], entries, index * each + keyWords, ASK);
      let group = open.get(partition);
      if (group === undefined || group.length === this.#most) {
        open.set(partition, group = []);
        groups.push(group);
      }
      group.push(index);
    }
    const partitions = groups.map((group) => this.partitionOf(keys[group[0] as number]));
    await Promise.all(groups.map(async (group, which) => {
      const request = new Int32Array(REQUEST_HEAD + group.length * each);
      request[WHAT] = what;
      request[COUNT] = group.length;
      for (const [place, index] of group.entries()) {
        const entry = entries.subarray(index * each, (index + 1) * each);
        request.set(entry, REQUEST_HEAD + place * each);
      }
      take(await this.#send(partitions[which] as number, request, checked), group);
    }));
  }

  async #send(
    partition: number,
    request: Int32Array,
    options: AsyncWaitOptions | undefined,
  ): Promise<Int32Array> {
    options?.signal?.throwIfAborted();
    this.#check();
    const reply = this.#service.owns(partition)
      ? this.#service.answer(partition, request)
      : await this.#client.ask(partition, request, options);
    checkReply(reply, ASK);
    return reply;
  }

  /**
   * The value in a reply.
   *
   * @param reply The reply.
   * @param place Whose value, of several.
   * @returns The value; undefined if there is none.
   */
  value(reply: Int32Array, place = 0): unknown {
    const at = REPLY_HEAD + place * (1 + this.#shape.valueWords);
    return reply[at] === 1 ? this.#shape.values.read(reply, at + 1) : undefined;
  }
}

/**
 * What a caller gave, as an array of its own.
 *
 * @param list The list.
 * @param name What it is, for errors.
 * @returns The array.
 * @throws {NumaError} `EINVAL`.
 */
export function listOf<Item>(list: Iterable<Item>, name: string): Item[] {
  // The iterator of a typed array throws when its buffer was transferred away.
  if (typedArrayName(list) !== undefined) return Array.prototype.slice.call(list) as Item[];
  const isList = typeof list === "object" && list !== null &&
    typeof list[Symbol.iterator] === "function";
  if (isList) return [...list];
  throw new NumaError("EINVAL", ASK, {
    why: `${name} is ${show(list)}`,
    fix: "Give an array.",
  });
}
