import { checkInteger, checkOptions } from "../../base/check.ts";
import { type Handle, registerKind, type Shareable } from "../../base/handle.ts";
import { oneOf } from "../../shared/live_objects.ts";
import { Attachment } from "../../shared/attachment.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { holdsTenant, settleIn } from "../../shared/tenancy.ts";
import { checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";
import { codecOf } from "../maps/codecs.ts";
import { mapSettingsOf, U32 } from "../maps/map_settings.ts";
import type { MapType, MapTypeValue } from "../maps/map_types.ts";
import { checkAddend } from "../maps/sums.ts";
import { ASK, DelegatedClient } from "./delegated_client.ts";
import {
  ADD,
  DELETE,
  EXCHANGE,
  GET,
  HAS_EXPECTED,
  HAS_REPLACEMENT,
  INSERT,
  type MessageShape,
  REPLY_HEAD,
  SET,
} from "./delegated_messages.ts";
import { DelegatedRequests, listOf } from "./delegated_requests.ts";
import {
  attachDelegated,
  createDelegated,
  delegatedBytes,
  type DelegatedMapOptions,
  type DelegatedPart,
  handleOfDelegated,
} from "./delegated_parts.ts";
import { DelegatedService, SERVE } from "./delegated_service.ts";
import { NearPart } from "./near_part.ts";
import { nodeOf, seedOf } from "./parts.ts";
import { Tenure } from "./tenure.ts";

export type { DelegatedMapOptions } from "./delegated_parts.ts";

/** Options of `DelegatedMap.serve`. */
export interface ServeOptions {
  /** Ends serving. Default: it ends when the map is closed. */
  readonly signal?: AbortSignal;
  /** The number of the partition, from 0. Default: the nearest that no thread serves. */
  readonly partition?: number;
}

/**
 * A hash map in partitions, each of which one thread owns: for what is written often, or in steps that depend on each other.
 *
 * A thread that calls {@linkcode DelegatedMap.serve} owns a partition, and does to it what others ask, one after the
 * other: so its data stay in the caches of its CPU, and no lock moves between nodes. Others send a message and await the
 * reply; a batch costs one message for each owner, if it is not too long. No call blocks a thread. The owner does what it
 * asks of its own partition at once.
 *
 * Use it with batches, or with many requests at a time: a single reply takes as long as it takes to wake two event loops.
 * A `HashMap` is faster for what is mostly read.
 *
 * - **No owner.** Requests wait until a thread serves the partition, or their timeout.
 * - **A dead owner.** Requests that have no reply fail with `EOWNERDEAD`, at most about 50 ms after it has died: each was
 *   done, or never will be. The partition's data are in its memory, and not the thread's: the next thread that serves it
 *   goes on with them, and requests from then on go to it.
 * - **An owner that stops** waits until its replies are out, but not longer than 10 s for threads that do not take theirs:
 *   then these fail with `EOWNERDEAD`, too, and so do requests to the partition that were sent before that.
 * - **A timeout** ends waiting for the reply; the request may be done later. So does {@linkcode DelegatedMap.close} where
 *   nobody serves.
 *
 * Properties: each request to a key happens at one moment between the call and its reply. A batch is not one moment.
 *
 * @example
 * ```ts
 * import { DelegatedMap } from "@numakit/numakit";
 *
 * const options = { capacity: 1000, key: { text: 32 }, value: "f64" } as const;
 * const memory = () => new SharedArrayBuffer(DelegatedMap.bytes(options, 2));
 * const stock = DelegatedMap.create([memory(), memory()], options);
 * // In the threads that own the partitions: here one owns both.
 * const done = [stock.serve(), stock.serve()];
 * // In any thread:
 * await stock.set("apple", 3);
 * await stock.add("apple", 2);
 * console.log(await stock.getMany(["apple", "pear"])); // [ 5, undefined ]
 * stock.close();
 * await Promise.all(done);
 * ```
 *
 * After ffwd (Roghanchi, Eriksson and Basu, SOSP 2017).
 *
 * @typeParam Key What JavaScript has for a key: `number`, `string` or `Uint8Array`.
 * @typeParam Value The same for a value.
 */
export class DelegatedMap<Key, Value> implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    "DelegatedMap",
    DelegatedMap,
    (handle) => DelegatedMap.fromHandle(handle),
  );
  readonly #parts: readonly DelegatedPart[];
  readonly #attached: readonly Attachment[];
  readonly #requests: DelegatedRequests;
  readonly #valueKind: number;
  readonly #client: DelegatedClient;
  readonly #service: DelegatedService;

  private constructor(parts: readonly DelegatedPart[]) {
    const regions = parts.map(({ region }) => region);
    const [first] = regions as [Region];
    const { key, value, shape } = mapSettingsOf(first.option);
    const { keyWords, valueWords } = shape;
    this.#parts = parts;
    this.#attached = regions.map((region) => new Attachment(region));
    const { me } = this.#attached[0] as Attachment;
    const tenures = regions.map(({ words }) => new Tenure(words));
    const messages: MessageShape = {
      keys: codecOf(key, "the key"),
      values: codecOf(value, "the value"),
      ...{ keyWords, valueWords },
    };
    this.#valueKind = value.kind;
    const near = new NearPart(regions.map(nodeOf), me);
    const client = new DelegatedClient(parts, tenures, me, near.index());
    const service = new DelegatedService(parts, tenures, messages, me, {
      near: () => near.index(),
      inbox: () => client.inbox,
    });
    this.#client = client;
    this.#service = service;
    this.#requests = new DelegatedRequests({
      shape: messages,
      partitions: parts.length,
      maxBytes: (parts[0] as DelegatedPart).requests.maxBytes,
      seed: seedOf(first),
      ...{ client, service },
      check: () => this.#check("ask"),
    });
    for (const [index, region] of regions.entries()) {
      settleIn(
        this,
        region,
        "tenure",
        holdsTenant(region.words, () => service.owns(index), () => service.abandon(index)),
      );
    }
  }

  /**
   * Creates an empty map.
   *
   * @typeParam KeyType The type of its keys.
   * @typeParam ValueType The type of its values.
   * @param memory The memory for each partition: an array of arenas on the nodes of their owners, or of
   * `SharedArrayBuffer`s of {@linkcode DelegatedMap.bytes} bytes; or a single one. There are 64 at most.
   * @param options The types of keys and values, the capacity of each partition, and other options.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from an arena; `ENOMEM` if an arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create<const KeyType extends MapType, const ValueType extends MapType>(
    memory: SyncMemory | readonly SyncMemory[],
    options: DelegatedMapOptions<KeyType, ValueType>,
  ): DelegatedMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>> {
    return DelegatedMap.#of(createDelegated(memory, options));
  }

  /**
   * Returns how much memory each partition needs: that of a `HashMap`, and 16 KiB for each client of all partitions, and
   * for each of its own clients and each partition.
   *
   * @param options The options that `create` will get.
   * @param partitions How many partitions there will be: 1 to 64. Default: 1.
   * @returns The size in bytes, of each.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: DelegatedMapOptions, partitions: number = 1): number {
    return delegatedBytes(options, partitions);
  }

  /**
   * Returns the live map of a handle. In one thread, the same handle always gives the same object.
   *
   * @typeParam Key What its keys are: nothing checks that.
   * @typeParam Value What its values are.
   * @param handle A handle from {@linkcode DelegatedMap.toHandle}, made in any thread of this process.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle<Key, Value>(handle: Handle): DelegatedMap<Key, Value> {
    return DelegatedMap.#of(attachDelegated(handle));
  }

  static #of<Key, Value>(parts: readonly DelegatedPart[]): DelegatedMap<Key, Value> {
    return oneOf((parts[0] as DelegatedPart).region, () => new DelegatedMap<Key, Value>(parts));
  }

  /** The nodes of its partitions, in their order; -1 for memory that is not an arena's. */
  get nodes(): readonly number[] {
    return this.#parts.map(({ region }) => nodeOf(region));
  }

  /**
   * The number of entries: of each partition at a moment of its own. It is read without asking.
   *
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  get size(): number {
    return this.#parts.reduce((sum, { map }) => sum + map.size, 0);
  }

  /**
   * Returns the number of a key's partition.
   *
   * @param key The key.
   * @returns Its number, from 0.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type.
   */
  partitionOf(key: Key): number {
    return this.#requests.partitionOf(key);
  }

  /**
   * Returns the node that has a key's partition.
   *
   * @param key The key.
   * @returns The node; -1 if its memory is not an arena's.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type.
   */
  homeOf(key: Key): number {
    return nodeOf((this.#parts[this.partitionOf(key)] as DelegatedPart).region);
  }

  /**
   * Owns a partition, and does what others ask of it, until the signal is aborted or the map is closed. It never blocks the
   * thread: a request is done when the thread comes to its event loop. A thread may serve several partitions, with a call
   * for each.
   *
   * @param options Which partition, and a signal.
   * @returns A promise that resolves when it is over, and threads that live have taken their replies, or 10 s later.
   * @throws {NumaError} `EOWNER` if a thread serves it, or each of them; `EINVAL`; `EDESTROYED` if its arena is destroyed,
   * also meanwhile.
   */
  async serve(options: ServeOptions = {}): Promise<void> {
    checkOptions(options, "{ signal, partition }", SERVE);
    const { signal, partition } = options;
    if (partition !== undefined) {
      checkInteger(partition, "partition", 0, this.#parts.length - 1, SERVE);
    }
    checkWaitOptions(signal && { signal }, SERVE);
    this.#check("serve");
    if (signal?.aborted === true) return;
    await this.#service.serve(partition, signal);
  }

  /**
   * Returns a key's value.
   *
   * @param key The key.
   * @param options The timeout, and a signal that aborts the wait.
   * @returns A promise for the value; undefined if there is none.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type, or its partition was written over; `EOWNERDEAD` if
   * the owner of its partition has died meanwhile, or could not send its reply; `ECLOSED` if the map is closed;
   * `ETIMEDOUT`; `EAGAIN` if more threads ask than there are clients; `EDESTROYED` if an arena of it is
   * destroyed. The signal's reason if it aborts.
   */
  async get(key: Key, options?: AsyncWaitOptions): Promise<Value | undefined> {
    return this.#requests.value(await this.#requests.one(GET, key, [], 0, options)) as
      | Value
      | undefined;
  }

  /**
   * Whether a key has a value.
   *
   * @param key The key.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise for whether it has.
   * @throws {NumaError} As {@linkcode DelegatedMap.get}.
   */
  async has(key: Key, options?: AsyncWaitOptions): Promise<boolean> {
    return (await this.#requests.one(GET, key, [], 0, options))[REPLY_HEAD] === 1;
  }

  /**
   * Returns the values of several keys: with a message to each owner, or some if there are more than fit into one.
   *
   * @param keys The keys.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise for the values, in the order of the keys; undefined where there is none.
   * @throws {NumaError} As {@linkcode DelegatedMap.get}.
   */
  async getMany(
    keys: readonly Key[],
    options?: AsyncWaitOptions,
  ): Promise<(Value | undefined)[]> {
    const list = listOf(keys, "keys");
    const found = new Array<Value | undefined>(list.length).fill(undefined);
    await this.#requests.many(GET, list, undefined, options, (reply, indices) => {
      for (const [place, index] of indices.entries()) {
        found[index] = this.#requests.value(reply, place) as Value | undefined;
      }
    });
    return found;
  }

  /**
   * Gives a key a value.
   *
   * @param key The key.
   * @param value The value.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise that resolves when it is done.
   * @throws {NumaError} As {@linkcode DelegatedMap.get}; `ENOMEM` if its partition has no room for a new key; `EBUSY` if
   * something else has locked its bucket.
   */
  async set(key: Key, value: Value, options?: AsyncWaitOptions): Promise<void> {
    await this.#requests.one(SET, key, [value], 0, options);
  }

  /**
   * Gives keys values: with a message to each owner, or some if there are more than fit into one.
   *
   * @param entries Keys and values.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise that resolves when all is done.
   * @throws {NumaError} As {@linkcode DelegatedMap.set}: then some are done, and others may be done later.
   */
  async setMany(
    entries: Iterable<readonly [Key, Value]>,
    options?: AsyncWaitOptions,
  ): Promise<void> {
    // Iterated once: an entry may be what gives its items a single time.
    const list = listOf(entries, "entries").map((entry) => listOf(entry, "an entry"));
    await this.#requests.many(
      SET,
      list.map(([key]) => key),
      list.map(([, value]) => value),
      options,
      () => {},
    );
  }

  /**
   * Takes a key out.
   *
   * @param key The key.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise for whether it had a value.
   * @throws {NumaError} As {@linkcode DelegatedMap.get}.
   */
  async delete(key: Key, options?: AsyncWaitOptions): Promise<boolean> {
    return (await this.#requests.one(DELETE, key, [], 0, options))[REPLY_HEAD] === 1;
  }

  /**
   * Adds to a key's value, which is a number; a key without one has 0. Integers wrap.
   *
   * @param key The key.
   * @param n What to add: a number of the values' type; to `"u32"` also a negative one, from -2^31.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise for the sum.
   * @throws {NumaError} As {@linkcode DelegatedMap.set}; `EINVAL` if values are no numbers.
   */
  async add(key: Key, n: number, options?: AsyncWaitOptions): Promise<number> {
    const kind = this.#valueKind;
    const addend = checkAddend(kind, n, ASK);
    // It wraps all the same.
    const value = kind === U32 ? addend >>> 0 : addend;
    return this.#requests.value(
      await this.#requests.one(ADD, key, [value as Value], 0, options),
    ) as number;
  }

  /**
   * Returns a key's value, and gives it one if it has none.
   *
   * @param key The key.
   * @param value The value that it gets then.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise for the value that it has in the end.
   * @throws {NumaError} As {@linkcode DelegatedMap.set}.
   */
  async getOrInsert(key: Key, value: Value, options?: AsyncWaitOptions): Promise<Value> {
    return this.#requests.value(
      await this.#requests.one(INSERT, key, [value], 0, options),
    ) as Value;
  }

  /**
   * Gives a key another value if it has the expected one.
   *
   * @param key The key.
   * @param expected The value that it is to have; undefined: none.
   * @param replacement The new one; undefined takes the key out.
   * @param options As for {@linkcode DelegatedMap.get}.
   * @returns A promise for the value that it had: the expected one if it was replaced.
   * @throws {NumaError} As {@linkcode DelegatedMap.set}.
   */
  async compareExchange(
    key: Key,
    expected: Value | undefined,
    replacement: Value | undefined,
    options?: AsyncWaitOptions,
  ): Promise<Value | undefined> {
    const flags = (expected === undefined ? 0 : HAS_EXPECTED) |
      (replacement === undefined ? 0 : HAS_REPLACEMENT);
    const given = [expected, replacement];
    const reply = await this.#requests.one(EXCHANGE, key, given, flags, options);
    return this.#requests.value(reply) as Value | undefined;
  }

  /**
   * Says that nothing more will be asked. Owners do what was sent before that, and then their `serve` ends. Requests to a
   * partition that nobody serves fail with `ECLOSED`; a thread that serves it later does them all the same.
   *
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  close(): void {
    this.#check("close");
    for (const { requests } of this.#parts) requests.close();
    this.#client.look();
  }

  /**
   * Ends that this thread asks: another one can be a client in its place.
   *
   * @throws {NumaError} `EBUSY` if requests of this thread are awaited; `EDESTROYED` if an arena of it is destroyed.
   */
  leave(): void {
    this.#check("leave");
    this.#client.leave();
    for (const [partition, { requests }] of this.#parts.entries()) {
      if (!this.#service.owns(partition)) requests.leave();
    }
  }

  /**
   * Returns a handle with which another thread finds the map. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if an arena of it is destroyed.
   */
  toHandle(): Handle {
    return handleOfDelegated(DelegatedMap.#kind, this.#parts);
  }

  #check(verb: string): void {
    for (const attached of this.#attached) attached.check(verb);
  }
}
