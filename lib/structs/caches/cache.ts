import { checkOptions, show } from "../../base/check.ts";
import { isUint8Array, lengthOf } from "../../base/brand.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, registerKind, type Shareable } from "../../base/handle.ts";
import { readOptions } from "../../base/options.ts";
import { oneOf } from "../../shared/live_objects.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import type { AsyncWaitOptions } from "../../wait/options.ts";
import { KeyBytes, ValueBytes } from "./cache_codecs.ts";
import { inTurns, piecesOf } from "../snapshots/pieces.ts";
import { writeSnapshot } from "../snapshots/snapshot.ts";
import type { SnapshotSource } from "../snapshots/snapshot_source.ts";
import { Computations, COMPUTE, outcomeOf, timeLeftOf } from "./cache_computations.ts";
import { THERE } from "./cache_core.ts";
import { CachePart, entriesOf, noCounts } from "./cache_part.ts";
import { attachParts, createParts, handleOfParts, partBytes } from "./cache_parts.ts";
import { cacheSettingsOf, checkTtl } from "./cache_settings.ts";
import type {
  CacheComputeOptions,
  CacheInput,
  CacheKey,
  CacheKeyType,
  CacheOptions,
  CacheSetOptions,
  CacheStats,
  CacheValue,
  CacheValueType,
} from "./cache_types.ts";
import { type CacheEntry, cacheHeaderOf, readCache, worthKeeping } from "./cache_snapshots.ts";
import { SEED, TTL_HIGH, TTL_LOW } from "./cache_table.ts";
import { keyHash, partOfKey } from "./key_hash.ts";

export type {
  CacheComputeOptions,
  CacheInput,
  CacheKey,
  CacheKeyType,
  CacheOptions,
  CacheSetOptions,
  CacheStats,
  CacheValue,
  CacheValueType,
} from "./cache_types.ts";

const READ = "read a cache";
const WRITE = "write to a cache";
const RESTORE = "restore a cache";

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
    const [{ words, option }] = regions as readonly [Region];
    const { key, value } = cacheSettingsOf(option);
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

  /**
   * Makes a cache of what a {@linkcode Cache.snapshot} has in it. All of it is read and checked first. If the cache is
   * smaller than the one that it was taken of, it gets what is worth most: what was read more often, then what is younger.
   * Entries whose time is over, and those that are too long for it, are left out.
   *
   * @typeParam KeyType What its keys are.
   * @typeParam ValueType What its values are.
   * @param memory The memory for it, as for {@linkcode Cache.create}.
   * @param source The snapshot's bytes: a `Uint8Array`, or a stream or list of such.
   * @param options As for {@linkcode Cache.create}: the same types as the cache had of which it was taken. Default for
   * `ttlMs`, and for `capacity`, `shards` and `entryBytes` if none of them is given: as that cache had them.
   * @returns The cache.
   * @throws {NumaError} `EBADMSG` if the snapshot is damaged, truncated or of something else, and then no memory was used;
   * `EABI` if a later version has written it; `EINVAL` if it is of other types; and as {@linkcode Cache.create}. What the
   * source throws.
   */
  static async restore<
    const KeyType extends CacheKeyType = "text",
    const ValueType extends CacheValueType = "bytes",
  >(
    memory: SyncMemory | readonly SyncMemory[],
    source: SnapshotSource,
    options: CacheOptions<KeyType, ValueType> = {},
  ): Promise<Cache<CacheKey<KeyType>, CacheValue<ValueType>>> {
    checkOptions(options, "an object of options", RESTORE);
    const own: CacheOptions = { ...options };
    partBytes(own);
    const found = await readCache(source, own, RESTORE);
    const cache = Cache.#of<CacheKey<KeyType>, CacheValue<ValueType>>(
      createParts(memory, found.options),
    );
    const best = worthKeeping(found.entries, cache.stats().capacity, now());
    await inTurns(best, (entry) => cache.#restore(entry), 10_000);
    return cache;
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
   * @throws {NumaError} `EINVAL` if one of them is not of the cache's type, or they are too long together; `EBUSY` if
   * another thread has the shard locked for a second or more; `ETERMINATED` if this thread is being terminated;
   * `EDESTROYED` if its arena is destroyed.
   */
  set(key: Key, value: CacheInput<Value>, options?: CacheSetOptions): boolean {
    let lastMs = this.#ttlMs;
    if (options !== undefined) {
      const { ttlMs } = readOptions(options, ["ttlMs"], WRITE);
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
    const { ttlMs: given, ...wait } = options;
    const ttlMs = given === undefined ? this.#ttlMs : checkTtl(given, COMPUTE);
    const left = timeLeftOf(wait);
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
    const counts = noCounts();
    for (const part of this.#parts) {
      part.addCounts(counts);
      counts.capacity += part.capacity;
    }
    return counts;
  }

  /**
   * Writes all entries as bytes, for a file or another machine, while others may write: each as it is at one moment. Times
   * to live go on: they are times of the system's clock. Statistics are not in it.
   *
   * @returns A stream of pieces, each of about 64 KiB or one entry, which are made as they are read. It ends with what
   * {@linkcode Cache.get} throws.
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  snapshot(): ReadableStream<Uint8Array> {
    const parts = this.#parts;
    for (const { attached } of parts) attached.check("read");
    const header = cacheHeaderOf((this.#regions[0] as Region).option, this.#ttlMs);
    return writeSnapshot(header, piecesOf(entriesOf(parts)));
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

  /** Writes an entry of a snapshot, if it is not too long. */
  #restore({ key, value, expiry }: CacheEntry): void {
    if (!this.#key.canBe(key.length)) return;
    const part = this.#take(this.#key.decode(key) as Key, RESTORE);
    const { words, length } = this.#key;
    if (value.length <= part.mostValue(length)) {
      part.write(this.#hash, words, length, value, expiry);
    }
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
    const home = length === 1 ? 0 : partOfKey(hash, length);
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
    if (bytes === undefined || lengthOf(bytes) > part.mostValue(length)) return undefined;
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
