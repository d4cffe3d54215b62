import { checkOptions, show } from "../../base/check.ts";
import { isUint8Array } from "../../base/brand.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, registerKind, type Shareable } from "../../base/handle.ts";
import { oneOf } from "../../shared/live_objects.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { checkWaitOptions } from "../../wait/block.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";
import { KeyBytes, ValueBytes } from "./cache_codecs.ts";
import { Computations, COMPUTE, outcomeOf } from "./cache_computations.ts";
import { THERE } from "./cache_core.ts";
import { CachePart } from "./cache_part.ts";
import { attachParts, createParts, handleOfParts, partBytes } from "./cache_parts.ts";
import { cacheSettingsOf, checkTtl } from "./cache_settings.ts";
import type {
  CacheInput,
  CacheKey,
  CacheKeyType,
  CacheOptions,
  CacheValue,
  CacheValueType,
} from "./cache_types.ts";
import { SEED, TTL_HIGH, TTL_LOW } from "./cache_table.ts";
import { keyHash } from "./key_hash.ts";

export type {
  CacheInput,
  CacheKey,
  CacheKeyType,
  CacheOptions,
  CacheValue,
  CacheValueType,
} from "./cache_types.ts";

/** Options of `Cache.set`. */
export interface CacheSetOptions {
  /** How long the entry may be read, in milliseconds: 1 to 2^40, or `Infinity`. Default: as the cache says. */
  readonly ttlMs?: number;
}

/** Options of `Cache.getOrCompute`. */
export interface CacheComputeOptions extends CacheSetOptions, AsyncWaitOptions {}

/** What a cache has counted, of all threads. */
export interface CacheStats {
  /** Entries, with those whose time is over and whose memory is not reused yet. */
  readonly entries: number;
  /** Bytes that these take, with their headers. */
  readonly bytes: number;
  /** Bytes for entries. */
  readonly capacity: number;
  /** Calls of `get`, `getInto` and `getOrCompute` that found a value when they first looked. */
  readonly hits: number;
  /** Those that found none: also where the value came from another call's computation. */
  readonly misses: number;
  /** Values that were written. */
  readonly writes: number;
  /** Entries that made room for others. */
  readonly evictions: number;
  /** Entries whose memory was reused when their time was over. */
  readonly expirations: number;
  /** Shards that were emptied because a thread died while it wrote to them. */
  readonly resets: number;
}

const READ = "read a cache";
const WRITE = "write to a cache";

/** The time that entries end by: the system's, which is the same in all threads. */
const now = (): number => Date.now();

/**
 * A cache that threads share: for what an HTTP server with several workers computes once, and sends often.
 *
 * Keys are texts or bytes; values are bytes, texts, or anything that is written as JSON. They are copied into the cache's
 * memory, all of which it takes when it is created, and out of it. When that is full, entries go that are not worth keeping:
 * those that were not read soon after they were written, then those that are no longer read (S3-FIFO). Entries may have a
 * time to live; it is measured by the system's clock, `Date.now()`.
 *
 * Reads take no lock unless others write to the shard all the time, and write nothing that others look at but two bits
 * that say that the entry is in use. Writes of keys
 * of the same shard wait for each other. Keys hash differently in each cache, so nobody can choose keys that make it slow.
 *
 * Created in several arenas, it has a part in each: {@linkcode Cache.homeOf} says which node has a key's part, so that
 * requests can be sent to a thread there.
 *
 * Properties: each read and write of a key happens at one moment between its call and its return, for all threads. A
 * thread that ends in the middle of a write blocks nobody: the next one that writes there empties the shard, which is one
 * of up to 256. So a `get` returns what the last `set` has written, or nothing.
 *
 * @example
 * ```ts
 * import { Cache } from "@numakit/numakit";
 *
 * const options = { capacity: "1 MiB", value: "text", ttlMs: 60_000 } as const;
 * const pages = Cache.create(new SharedArrayBuffer(Cache.bytes(options)), options);
 * pages.set("/", "Hello"); // in any thread
 * console.log(pages.get("/"), pages.get("/none")); // Hello undefined
 * const page = await pages.getOrCompute("/about", () => "computed once");
 * console.log(page, pages.stats().entries); // computed once 2
 * ```
 *
 * "FIFO Queues Are All You Need for Cache Eviction", Yang, Zhang, Qiu, Yue and Rashmi, SOSP 2023.
 *
 * @typeParam Key What JavaScript has for a key: `string` or `Uint8Array`.
 * @typeParam Value The same for a value: `Uint8Array`, `string` or `unknown`.
 */
export class Cache<Key, Value> implements Shareable {
  static readonly #kind = /* @__PURE__ */ registerKind(
    "Cache",
    Cache,
    (handle) => Cache.fromHandle(handle),
  );
  readonly #regions: readonly Region[];
  readonly #parts: readonly CachePart[];
  readonly #computations: readonly Computations[];
  readonly #low: number;
  readonly #high: number;
  readonly #ttlMs: number;
  readonly #key: KeyBytes;
  readonly #values: ValueBytes;
  /** By their keys: what this thread computes, or waits for. */
  readonly #running = new Map<string, Promise<unknown>>();
  /** The number of the part of the key that was taken last, and its hash. */
  #home = 0;
  #hash = 0;

  private constructor(regions: readonly Region[]) {
    const [first] = regions as readonly [Region];
    const { words } = first;
    const { key, value } = cacheSettingsOf(first.option);
    this.#regions = regions;
    this.#parts = regions.map((region) => new CachePart(region, now));
    this.#computations = this.#parts.map(({ core, attached }) => new Computations(core, attached));
    this.#low = words[SEED] as number;
    this.#high = words[SEED + 1] as number;
    this.#ttlMs = ((words[TTL_HIGH] as number) & 0x7fff) * 2 ** 32 +
      ((words[TTL_LOW] as number) >>> 0);
    this.#key = new KeyBytes(key, this.#parts[0]?.mostKey as number);
    this.#values = new ValueBytes(value);
    for (const [index, region] of regions.entries()) {
      settleIn(this, region, "computations", this.#computations[index] as Computations);
    }
  }

  /**
   * Creates an empty cache.
   *
   * @typeParam KeyType What its keys are.
   * @typeParam ValueType What its values are.
   * @typeParam Value What JavaScript has for a value: for `"json"` whatever you say, as in
   * `const users: Cache<string, User> = Cache.create(arena, { value: "json" })`.
   * @param memory The memory for it: an arena, or a `SharedArrayBuffer` of {@linkcode Cache.bytes} bytes; or an array of
   * these, of which each gets a part: one arena for each node.
   * @param options Its capacity, its types, and other options.
   * @returns The cache.
   * @throws {NumaError} `EINVAL` if an option is wrong, or the memory of the wrong kind or too small; `EBUSY` if it is in
   * use, or another thread allocates from the arena; `ENOMEM` if an arena is full; `EAGAIN` if this thread exceeds
   * `threads`.
   */
  static create<
    const KeyType extends CacheKeyType = "text",
    const ValueType extends CacheValueType = "bytes",
    Value extends CacheValue<ValueType> = CacheValue<ValueType>,
  >(
    memory: SyncMemory | readonly SyncMemory[],
    options: CacheOptions<KeyType, ValueType> = {},
  ): Cache<CacheKey<KeyType>, Value> {
    return Cache.#of(createParts(memory, options));
  }

  /**
   * Returns how much memory a cache needs, or each part of one: about a tenth more than its capacity, and 256 bytes for
   * each thread.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: CacheOptions = {}): number {
    return partBytes(options);
  }

  /**
   * Returns the live cache of a handle. In one thread, the same handle always gives the same object.
   *
   * @typeParam Key What its keys are.
   * @typeParam Value What its values are.
   * @param handle A handle from {@linkcode Cache.toHandle}, made in any thread of this process.
   * @returns The cache.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle<Key, Value>(handle: Handle): Cache<Key, Value> {
    return Cache.#of(attachParts(handle));
  }

  static #of<Key, Value>(regions: readonly Region[]): Cache<Key, Value> {
    return oneOf(regions[0] as Region, () => new Cache<Key, Value>(regions));
  }

  /** Bytes of the longest key, in UTF-8. */
  get maxKeyBytes(): number {
    return (this.#parts[0] as CachePart).mostKey;
  }

  /** The nodes of its parts, in their order; -1 for memory that is not an arena's. */
  get nodes(): readonly number[] {
    return this.#parts.map(({ node }) => node);
  }

  /**
   * The number of entries, with those whose time is over and whose memory is not reused yet.
   *
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  get size(): number {
    return this.stats().entries;
  }

  /**
   * Returns the node that has a key's part of the cache.
   *
   * @param key The key.
   * @returns The node; -1 if its memory is not an arena's.
   * @throws {NumaError} `EINVAL` if the key is not of the cache's type, or longer than {@linkcode Cache.maxKeyBytes}.
   */
  homeOf(key: Key): number {
    return this.#take(key, READ).node;
  }

  /**
   * Returns a key's value.
   *
   * Cost: two looks with order, plain loads, and a counter's `add` on a line of this thread.
   *
   * @param key The key.
   * @returns A copy of the value; undefined if there is none, as for each key that is too long.
   * @throws {NumaError} `EINVAL` if the key is not of the cache's type; `ETERMINATED` if this thread is being terminated
   * while it waits for one that writes; `EDESTROYED` if its arena is destroyed.
   */
  get(key: Key): Value | undefined {
    return this.#get(key, true);
  }

  /**
   * Copies the bytes of a key's value, and allocates nothing.
   *
   * @param key The key.
   * @param target Where they go, from its start. If it is shorter than the value it stays as it is.
   * @returns The number of the value's bytes, which may be more than `target` has; undefined if there is none.
   * @throws {NumaError} As {@linkcode Cache.get}.
   */
  getInto(key: Key, target: Uint8Array): number | undefined {
    if (!isUint8Array(target)) {
      throw new NumaError("EINVAL", READ, {
        why: `the target is ${show(target)}`,
        fix: "Give a Uint8Array.",
      });
    }
    const part = this.#seek(key, READ);
    return part?.readInto(this.#hash, this.#key.words, this.#key.length, target);
  }

  /**
   * Whether a key has a value. It is not counted as a read: neither in statistics, nor for what stays.
   *
   * @param key The key.
   * @returns Whether it has.
   * @throws {NumaError} As {@linkcode Cache.get}.
   */
  has(key: Key): boolean {
    const part = this.#seek(key, READ);
    return part !== undefined && part.has(this.#hash, this.#key.words, this.#key.length);
  }

  /**
   * Gives a key a value. Other entries may go.
   *
   * Cost: a lock of the shard that is free or held for about a microsecond, four atomic operations, and plain stores; and
   * entries that are moved or go, 32 at most of those that stay.
   *
   * @param key The key.
   * @param value The value.
   * @param options How long it may be read.
   * @returns Whether it has replaced a value.
   * @throws {NumaError} `EINVAL` if one of them is not of the cache's type, or they are too long together; `ETERMINATED`
   * if this thread is being terminated; `EDESTROYED` if its arena is destroyed.
   */
  set(key: Key, value: CacheInput<Value>, options?: CacheSetOptions): boolean {
    let lastMs = this.#ttlMs;
    if (options !== undefined) {
      checkOptions(options, "{ ttlMs }", WRITE);
      const { ttlMs } = options;
      if (ttlMs !== undefined) lastMs = checkTtl(ttlMs, WRITE);
    }
    const isReplaced = this.#set(key, value, lastMs, WRITE);
    if (isReplaced !== undefined) return isReplaced;
    throw new NumaError("EINVAL", WRITE, {
      why: `the value has more than the ${
        (this.#parts[0] as CachePart).mostValue(this.#key.length)
      } bytes that fit with this key`,
      fix: "Create the cache with a larger capacity or fewer shards, or leave the value out.",
    });
  }

  /**
   * Takes a key out.
   *
   * @param key The key.
   * @returns Whether it had a value.
   * @throws {NumaError} As {@linkcode Cache.set}; a key that is too long has no value.
   */
  delete(key: Key): boolean {
    const part = this.#seek(key, WRITE);
    return part !== undefined && part.remove(this.#hash, this.#key.words, this.#key.length);
  }

  /**
   * Takes all keys out, shard by shard: what others write meanwhile may stay.
   *
   * @throws {NumaError} As {@linkcode Cache.set}.
   */
  clear(): void {
    for (const part of this.#parts) part.clear();
  }

  /**
   * Returns a key's value; computes it, and gives it to the key, if there is none.
   *
   * Of several calls for a key in all threads, one computes, and the others await the value, without blocking their
   * threads. If the one that computes throws, or its thread ends, one of the others computes with its own function; an
   * error goes to that call alone. So does a value that is too long for the cache, as the call's result: then each
   * computes in turn. With a key that is too long, each computes at once. All get the same: with `"json"` what JSON makes
   * of the value, also the call that has computed it.
   *
   * More than 16 computations of one shard at a time are not known to other threads: then a key may be computed by several
   * threads at once. The function must not await such a call for the same key, which would wait for it.
   *
   * @param key The key.
   * @param compute Returns the value, or a promise of it.
   * @param options How long the value may be read; how long the call waits for another one, and a signal that aborts
   * that. They do not end a computation that has begun.
   * @returns Resolves to the value.
   * @throws {NumaError} `EINVAL` if something is of the wrong type; `ETIMEDOUT`; `EAGAIN` if more threads than `threads`
   * wait; `EDESTROYED` if its arena is destroyed, also meanwhile. What `compute` throws. The signal's reason if it
   * aborts.
   */
  async getOrCompute(
    key: Key,
    compute: () => Value | Promise<Value>,
    options: CacheComputeOptions = {},
  ): Promise<Value> {
    if (typeof compute !== "function") {
      throw new NumaError("EINVAL", COMPUTE, {
        why: `the function is ${show(compute)}`,
        fix: "Give a function that returns the value.",
      });
    }
    checkOptions(options, "{ ttlMs, timeoutMs, signal }", COMPUTE);
    const { ttlMs: given } = options;
    const ttlMs = given === undefined ? this.#ttlMs : checkTtl(given, COMPUTE);
    const { timeoutMs, signal } = checkWaitOptions(options, COMPUTE) as AsyncWaitOptions;
    signal?.throwIfAborted();
    const deadline = performance.now() + (timeoutMs ?? Infinity);
    const left = (): AsyncWaitOptions => ({
      ...(signal !== undefined && { signal }),
      ...(timeoutMs !== undefined &&
        { timeoutMs: Math.max(0, Math.ceil(deadline - performance.now())) }),
    });
    const own = isUint8Array(key) ? new Uint8Array(key) as Key : key;
    for (let isFirst = true;; isFirst = false) {
      const found = this.#get(own, isFirst);
      if (found !== undefined) return found;
      if (this.#seek(own, COMPUTE) === undefined) return this.#result(await compute());
      const name = this.#key.name(own as string | Uint8Array);
      const other = this.#running.get(name);
      if (other !== undefined) {
        await outcomeOf(other, left());
        continue;
      }
      const running = this.#compute(own, compute, ttlMs, left);
      this.#running.set(name, running);
      try {
        return await running;
      } finally {
        this.#running.delete(name);
      }
    }
  }

  /**
   * Returns what was counted: of all threads, at about the same moment.
   *
   * @returns Numbers.
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  stats(): CacheStats {
    const counts = {
      ...{ entries: 0, bytes: 0, capacity: 0, hits: 0, misses: 0 },
      ...{ writes: 0, evictions: 0, expirations: 0, resets: 0 },
    };
    for (const part of this.#parts) {
      part.addCounts(counts);
      counts.capacity += part.capacity;
    }
    return counts;
  }

  /**
   * Returns a handle with which another thread finds the cache. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if an arena of it is destroyed.
   */
  toHandle(): Handle {
    return handleOfParts(Cache.#kind, this.#regions);
  }

  #get(key: Key, counts: boolean): Value | undefined {
    const part = this.#seek(key, READ);
    const bytes = part?.read(this.#hash, this.#key.words, this.#key.length, counts);
    return bytes === undefined ? undefined : this.#values.decode(bytes) as Value;
  }

  /** Takes a key, and finds its part. */
  #take(key: Key, action: string): CachePart {
    return this.#seek(key, action) ?? this.#key.refuseLength(action);
  }

  /** The same for a key that may be too long to have a part. */
  #seek(key: Key, action: string): CachePart | undefined {
    const bytes = this.#key;
    if (!bytes.put(key, action)) return undefined;
    const hash = keyHash(bytes.words, bytes.length, this.#low, this.#high);
    const { length } = this.#parts;
    // Of other bits than shards and buckets.
    const home = length === 1
      ? 0
      : (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 16) * length >>> 16;
    this.#hash = hash;
    this.#home = home;
    return this.#parts[home] as CachePart;
  }

  /** Returns whether it has replaced a value; undefined where it has done nothing, as the value is too long. */
  #set(key: Key, value: unknown, ttlMs: number, action: string): boolean | undefined {
    // Before the key is taken: what it calls may use the cache.
    const bytes = this.#values.encode(value, (this.#parts[0] as CachePart).mostValue(0), action);
    const part = this.#take(key, action);
    const { words, length } = this.#key;
    part.attached.check("write to");
    if (bytes === undefined || bytes.length > part.mostValue(length)) return undefined;
    return part.write(this.#hash, words, length, bytes, ttlMs === 0 ? 0 : now() + ttlMs);
  }

  /** What a call returns that has computed it: what the others read. */
  #result(value: Value): Value {
    this.#values.encode(value, (this.#parts[0] as CachePart).mostValue(0), COMPUTE);
    return this.#values.asRead(value, COMPUTE) as Value;
  }

  /** Computes a key's value, when this thread is to do it. */
  async #compute(
    key: Key,
    compute: () => Value | Promise<Value>,
    ttlMs: number,
    left: () => AsyncWaitOptions,
  ): Promise<Value> {
    for (;;) {
      this.#take(key, COMPUTE);
      const hash = this.#hash;
      const computations = this.#computations[this.#home] as Computations;
      const bytes = this.#key;
      const answer = await computations.join(hash, bytes.copy(), bytes.length, left());
      if (answer === THERE) {
        const found = this.#get(key, false);
        if (found !== undefined) return found;
        continue;
      }
      try {
        const value = await compute();
        this.#set(key, value, ttlMs, COMPUTE);
        return this.#values.asRead(value, COMPUTE) as Value;
      } finally {
        computations.land(hash);
      }
    }
  }
}
