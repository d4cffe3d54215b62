import { checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, registerKind, type Shareable } from "../../base/handle.ts";
import { synchronous } from "../../base/synchronous.ts";
import { defineKind } from "../../shared/kind.ts";
import { oneOf } from "../../shared/live_objects.ts";
import { type Region, regionBytes, type SyncMemory } from "../../shared/region.ts";
import { type Codec, codecOf } from "../maps/codecs.ts";
import { checkLists, ListReader, type ListShape } from "../maps/lists.ts";
import type { MapCore } from "../maps/map_core.ts";
import { mapOptionOf, mapSettingsOf } from "../maps/map_settings.ts";
import type { Listed, MapType, MapTypeValue, PlacedMapOptions } from "../maps/map_types.ts";
import { checkAddend, sumOf } from "../maps/sums.ts";
import { attachParts, createParts, handleOfParts } from "./parts.ts";
import { READ, Replicas, WRITE } from "./replicas.ts";
import { replicatedLayoutOf } from "./replicated_table.ts";

/** Options of a `ReplicatedMap`. */
export type ReplicatedMapOptions<
  Key extends MapType = MapType,
  Value extends MapType = MapType,
> = PlacedMapOptions<Key, Value>;

/** What is known of its regions. */
const KIND = /* @__PURE__ */ defineKind<Shareable, ReplicatedMapOptions>({
  name: "ReplicatedMap",
  code: 70,
  title: "a replicated map",
  accepts: ["threads", "capacity", "key", "value"],
  words: (_, option) => replicatedLayoutOf(mapSettingsOf(option).shape).words,
});

/** What its regions keep of the options. */
function settingsOf(
  options: ReplicatedMapOptions,
  action: string,
): { readonly threads: number | undefined; readonly option: number } {
  checkOptions(options, `{ ${KIND.row.accepts.join(", ")} }`, action);
  const { threads, capacity, key, value } = options;
  const given = { key, value, ...(capacity !== undefined && { capacity }) };
  const option = mapOptionOf(given, action, (shape) => replicatedLayoutOf(shape).words);
  return { threads, option };
}

/**
 * A hash map with a copy on each node: for what all threads read often, and seldom write.
 *
 * Keys and values are numbers, bytes of a fixed length, or short texts, as in a `HashMap`. Each thread reads the copy of
 * the node that it runs on, so reads cross no interconnect. A write is put into a log that all copies share; each copy gets
 * it from there, at the latest when it is read next. So a write costs as much as the map has copies, and writes of all
 * threads are done one after the other: use a `HashMap` for what is written often.
 *
 * Properties: each read and write happens at one moment between its call and its return, for all threads on all nodes. A
 * thread that ends in the middle of a call blocks nobody; its write has happened, or has not. While a thread brings a copy
 * up to date, others that read it wait if they have to know of what it is about to do.
 *
 * @example
 * ```ts
 * import { ReplicatedMap } from "@numakit/numakit";
 *
 * const options = { capacity: 1000, key: { text: 32 }, value: "f64" } as const;
 * const memory = () => new SharedArrayBuffer(ReplicatedMap.bytes(options));
 * const prices = ReplicatedMap.create([memory(), memory()], options);
 * prices.set("apple", 0.25); // in any thread
 * console.log(prices.get("apple"), prices.get("pear")); // 0.25 undefined
 * prices.update("apple", (price = 0) => price * 2);
 * console.log([...prices]); // [ [ "apple", 0.5 ] ]
 * ```
 *
 * @example A copy on each node
 * ```ts
 * import { Arena, ReplicatedMap, topology } from "@numakit/numakit";
 *
 * const options = { capacity: 100_000, key: "u32", value: "f64" } as const;
 * const size = ReplicatedMap.bytes(options) + 4096;
 * const arenas = topology().nodes.map(({ id }) => Arena.create({ node: id, size }));
 * const rates = ReplicatedMap.create(arenas, options);
 * console.log(rates.nodes, rates.get(7)); // [ 0, 1 ] undefined
 * ```
 *
 * "Black-box Concurrent Data Structures for NUMA Architectures", Calciu, Sen, Balakrishnan and Aguilera, ASPLOS 2017.
 *
 * @typeParam Key What JavaScript has for a key: `number`, `string` or `Uint8Array`.
 * @typeParam Value The same for a value.
 */
export class ReplicatedMap<Key, Value> implements Shareable, Iterable<[Key, Value]> {
  static readonly #kind = /* @__PURE__ */ registerKind(
    "ReplicatedMap",
    ReplicatedMap,
    (handle) => ReplicatedMap.fromHandle(handle),
  );
  readonly #regions: readonly Region[];
  readonly #replicas: Replicas;
  readonly #keys: Codec;
  readonly #values: Codec;
  readonly #shape: ListShape;
  /** Those of the copies that were read so. */
  readonly #lists = new WeakMap<MapCore, ListReader>();
  readonly #valueKind: number;
  /** One key, a value that is written, and one that was found, as words. */
  readonly #key: Int32Array;
  readonly #value: Int32Array;
  readonly #found: Int32Array;

  private constructor(regions: readonly Region[]) {
    const { key, value, shape } = mapSettingsOf((regions[0] as Region).option);
    const { keyWords, valueWords } = shape;
    this.#regions = regions;
    this.#replicas = new Replicas(regions, shape);
    this.#keys = codecOf(key, "the key");
    this.#values = codecOf(value, "the value");
    this.#shape = { keys: this.#keys, values: this.#values, keyWords, valueWords };
    this.#valueKind = value.kind;
    this.#key = new Int32Array(keyWords);
    this.#value = new Int32Array(valueWords);
    this.#found = new Int32Array(valueWords);
  }

  /**
   * Creates an empty map.
   *
   * @typeParam KeyType The type of its keys.
   * @typeParam ValueType The type of its values.
   * @param memory The memory for each copy, one for each node: an array of arenas, or of `SharedArrayBuffer`s of
   * {@linkcode ReplicatedMap.bytes} bytes; or a single one. The log is in the first.
   * @param options The types of keys and values, the capacity, and other options.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from an arena; `ENOMEM` if an arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create<const KeyType extends MapType, const ValueType extends MapType>(
    memory: SyncMemory | readonly SyncMemory[],
    options: ReplicatedMapOptions<KeyType, ValueType>,
  ): ReplicatedMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>> {
    const settings = settingsOf(options, `create ${KIND.row.title}`);
    return ReplicatedMap.#of(createParts(KIND.row, memory, settings));
  }

  /**
   * Returns how much memory each copy needs: about a quarter more than a `HashMap`, and up to 32 KiB for a log; with values
   * of 1,024 bytes 70.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes, of each.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: ReplicatedMapOptions): number {
    const action = `size ${KIND.row.title}`;
    return regionBytes(KIND.row, settingsOf(options, action), action);
  }

  /**
   * Returns the live map of a handle. In one thread, the same handle always gives the same object.
   *
   * @typeParam Key What its keys are: nothing checks that.
   * @typeParam Value What its values are.
   * @param handle A handle from {@linkcode ReplicatedMap.toHandle}, made in any thread of this process.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle<Key, Value>(handle: Handle): ReplicatedMap<Key, Value> {
    return ReplicatedMap.#of(attachParts(KIND.row, handle));
  }

  static #of<Key, Value>(regions: readonly Region[]): ReplicatedMap<Key, Value> {
    return oneOf(regions[0] as Region, () => new ReplicatedMap<Key, Value>(regions));
  }

  /** The nodes of its copies, in their order; -1 for memory that is not an arena's. */
  get nodes(): readonly number[] {
    return this.#replicas.nodes;
  }

  /**
   * The number of the copy that this thread reads, from 0: one on the nearest node. Of several on the same node a thread
   * reads one by its L3 domain, or by its number where there is one domain.
   */
  get copy(): number {
    return this.#replicas.near;
  }

  /**
   * The number of entries at one moment.
   *
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed; as {@linkcode ReplicatedMap.get}.
   */
  get size(): number {
    this.#replicas.check("read");
    return this.#replicas.size();
  }

  /**
   * Returns a key's value.
   *
   * Cost: that of `HashMap.get`, and two looks at words that only writes change. After a write the first thread that reads
   * on a node does it there.
   *
   * @param key The key.
   * @returns The value; undefined if there is none.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type; `ENOMEM` if no copy had room for what was written;
   * `EBUSY` if another thread has been bringing the copy up to date for a second or more: it stands still, or clears millions
   * of entries; `ETERMINATED` if this thread is being terminated; `EDESTROYED` if an arena of it is destroyed.
   */
  get(key: Key): Value | undefined {
    this.#keys.write(key, this.#key, 0, READ);
    return this.#has() ? this.#values.read(this.#found, 0) as Value : undefined;
  }

  /**
   * Whether a key has a value.
   *
   * @param key The key.
   * @returns Whether it has.
   * @throws {NumaError} As {@linkcode ReplicatedMap.get}.
   */
  has(key: Key): boolean {
    this.#keys.write(key, this.#key, 0, READ);
    return this.#has();
  }

  /**
   * Reads the values of several keys, 16 at a time: the machine fetches their buckets together. Each key is read at a moment
   * of its own.
   *
   * @param keys The keys: a `Uint32Array`, `Int32Array` or `Float64Array` by their type, a `Uint8Array` of all bytes one
   * key after the other, or an array of texts.
   * @param values Where the values go, each to its key's place; of the same kind by the type of values. Where there is
   * none it stays as it is.
   * @param found If given, gets 1 or 0 for each key: whether it has a value.
   * @returns How many have a value.
   * @throws {NumaError} As {@linkcode ReplicatedMap.get}.
   */
  getMany(keys: Listed<Key>, values: Listed<Value>, found?: Uint8Array): number {
    this.#replicas.check("read");
    checkLists(this.#shape, { keys, values, found }, READ);
    const map = this.#replicas.current();
    // Elements of a caller's list may be getters, which may call this again.
    const reader = this.#lists.get(map) ?? new ListReader(map, this.#shape);
    this.#lists.delete(map);
    const count = reader.read({ keys, values, found }, READ);
    this.#lists.set(map, reader);
    return count;
  }

  /**
   * Gives a key a value.
   *
   * Cost: a lock of the whole map, which is free or held for some hundred nanoseconds, two atomic stores, and a `set` of a
   * `HashMap` on each copy.
   *
   * @param key The key.
   * @param value The value.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if one of them is not of the map's type; `ENOMEM` if there is no room for a new key;
   * `EDEADLK` in the function of an {@linkcode ReplicatedMap.update}; `EBUSY` if another thread has been writing for a
   * second or more, or as {@linkcode ReplicatedMap.get}; `ETERMINATED` if this thread is being terminated; `EDESTROYED` if an
   * arena of it is destroyed.
   */
  set(key: Key, value: Value): this {
    this.#keys.write(key, this.#key, 0, WRITE);
    this.#values.write(value, this.#value, 0, WRITE);
    this.#set();
    return this;
  }

  /**
   * Gives keys values, one after the other.
   *
   * @param keys The keys, as for {@linkcode ReplicatedMap.getMany}.
   * @param values As many values.
   * @throws {NumaError} As {@linkcode ReplicatedMap.set}: then the keys before have their new values.
   */
  setMany(keys: Listed<Key>, values: Listed<Value>): void {
    this.#replicas.checkWrite();
    const count = checkLists(this.#shape, { keys, values }, WRITE);
    // Words of its own: elements of a caller's list may be getters, which may call the map.
    const [key, value] = [new Int32Array(this.#key.length), new Int32Array(this.#value.length)];
    for (let index = 0; index < count; index++) {
      this.#keys.encode(keys, index, 1, key, WRITE);
      this.#values.encode(values, index, 1, value, WRITE);
      this.#key.set(key);
      this.#value.set(value);
      this.#set();
    }
  }

  /**
   * Takes a key out.
   *
   * @param key The key.
   * @returns Whether it had a value.
   * @throws {NumaError} As {@linkcode ReplicatedMap.set}.
   */
  delete(key: Key): boolean {
    this.#keys.write(key, this.#key, 0, WRITE);
    const had = this.#begin();
    if (had) this.#replicas.remove(this.#key);
    else this.#replicas.cancel();
    return had;
  }

  /**
   * Gives a key another value that a function makes of its present one. If another thread has given the key another value
   * meanwhile, the function is called again with that. No lock is held while it runs. It can read the map, and not write to
   * it.
   *
   * @param key The key.
   * @param change Gets the value, undefined if there is none. Returns the new one; undefined takes the key out.
   * @returns What it has returned last.
   * @throws {NumaError} As {@linkcode ReplicatedMap.set}; `EDEADLK` from writes in the function. What `change` throws:
   * then nothing has changed.
   */
  update(key: Key, change: (value: Value | undefined) => Value | undefined): Value | undefined {
    if (typeof change !== "function") {
      throw new NumaError("EINVAL", WRITE, {
        why: `the function is ${show(change)}`,
        fix: "Give a function of the value.",
      });
    }
    const replicas = this.#replicas;
    const name = new Int32Array(this.#key.length);
    this.#keys.write(key, name, 0, WRITE);
    replicas.checkWrite();
    for (;;) {
      // What the function has called may have used the words.
      this.#key.set(name);
      const before = this.#has() ? this.#found.slice() : undefined;
      replicas.isUpdating = true;
      let next: Value | undefined;
      try {
        const value = before && this.#values.read(before, 0) as Value;
        next = synchronous(change(value), WRITE, "Give a function that returns the value.");
      } finally {
        replicas.isUpdating = false;
      }
      if (next === undefined && before === undefined) return undefined;
      if (next !== undefined) this.#values.write(next, this.#value, 0, WRITE);
      this.#key.set(name);
      const had = this.#begin();
      if (this.#exchange(had, before, next !== undefined)) return next;
    }
  }

  /**
   * Adds to a key's value, which is a number; a key without one has 0. Integers wrap.
   *
   * @param key The key.
   * @param n What to add: a number of the values' type; to `"u32"` also a negative one, from -2^31.
   * @returns The sum.
   * @throws {NumaError} As {@linkcode ReplicatedMap.set}; `EINVAL` if values are no numbers.
   */
  add(key: Key, n: number): number {
    const kind = this.#valueKind;
    const addend = checkAddend(kind, n, WRITE);
    this.#keys.write(key, this.#key, 0, WRITE);
    const had = this.#begin();
    const result = sumOf(kind, had ? this.#values.read(this.#found, 0) as number : 0, addend);
    // It is of the type, and no function of a caller's is called.
    this.#values.write(result, this.#value, 0, WRITE);
    this.#replicas.set(this.#key, this.#value, had);
    return result;
  }

  /**
   * Returns a key's value, and gives it one if it has none.
   *
   * @param key The key.
   * @param value The value that it gets then.
   * @returns The value that it has in the end.
   * @throws {NumaError} As {@linkcode ReplicatedMap.set}.
   */
  getOrInsert(key: Key, value: Value): Value {
    this.#values.write(value, this.#value, 0, WRITE);
    this.#replicas.checkWrite();
    return this.get(key) ?? this.compareExchange(key, undefined, value) ?? value;
  }

  /**
   * Gives a key another value if it has the expected one.
   *
   * @param key The key.
   * @param expected The value that it is to have; undefined: none.
   * @param replacement The new one; undefined takes the key out.
   * @returns The value that it had: the expected one if it was replaced.
   * @throws {NumaError} As {@linkcode ReplicatedMap.set}.
   */
  compareExchange(
    key: Key,
    expected: Value | undefined,
    replacement: Value | undefined,
  ): Value | undefined {
    let wanted: Int32Array | undefined;
    if (expected !== undefined) {
      wanted = new Int32Array(this.#value.length);
      this.#values.write(expected, wanted, 0, WRITE);
    }
    if (replacement !== undefined) this.#values.write(replacement, this.#value, 0, WRITE);
    this.#keys.write(key, this.#key, 0, WRITE);
    const had = this.#begin();
    this.#exchange(had, wanted, replacement !== undefined);
    return had ? this.#values.read(this.#found, 0) as Value : undefined;
  }

  /**
   * Takes all keys out, at one moment.
   *
   * Cost: one write for this call, and for each copy as much as there are buckets and entries.
   *
   * @throws {NumaError} As {@linkcode ReplicatedMap.set}.
   */
  clear(): void {
    this.#replicas.begin();
    this.#replicas.clear();
  }

  /**
   * Returns all entries, while others may write: each key once that is there all the time, and others once or not at all.
   * Those of a bucket are read at the same moment.
   *
   * @returns Keys and values, in no order.
   * @throws {NumaError} As {@linkcode ReplicatedMap.get}; `ENOMEM` also if the copy that it reads is lost meanwhile.
   */
  *entries(): Generator<[Key, Value], void, undefined> {
    const replicas = this.#replicas;
    replicas.check("read");
    const { keyWords, valueWords } = this.#shape;
    const map = replicas.current();
    const buckets = map.buckets();
    for (let place = 0; place < buckets; place++) {
      replicas.check("read");
      replicas.follow(map);
      const words = map.copy(place, buckets);
      for (let at = 0; at < words.length; at += keyWords + valueWords) {
        yield [
          this.#keys.read(words, at) as Key,
          this.#values.read(words, at + keyWords) as Value,
        ];
      }
    }
  }

  /** The same as {@linkcode ReplicatedMap.entries}. */
  [Symbol.iterator](): Generator<[Key, Value], void, undefined> {
    return this.entries();
  }

  /**
   * Returns all keys, as {@linkcode ReplicatedMap.entries} does.
   *
   * @returns The keys, in no order.
   * @throws {NumaError} As {@linkcode ReplicatedMap.get}.
   */
  *keys(): Generator<Key, void, undefined> {
    for (const [key] of this.entries()) yield key;
  }

  /**
   * Returns all values, as {@linkcode ReplicatedMap.entries} does.
   *
   * @returns The values, in no order.
   * @throws {NumaError} As {@linkcode ReplicatedMap.get}.
   */
  *values(): Generator<Value, void, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  /**
   * Calls a function with all entries, as {@linkcode ReplicatedMap.entries} gives them.
   *
   * @param body The function.
   * @throws {NumaError} As {@linkcode ReplicatedMap.get}. What `body` throws.
   */
  forEach(body: (value: Value, key: Key, map: this) => void): void {
    for (const [key, value] of this.entries()) body(value, key, this);
  }

  /**
   * Returns a handle with which another thread finds the map. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if an arena of it is destroyed.
   */
  toHandle(): Handle {
    return handleOfParts(ReplicatedMap.#kind, this.#regions);
  }

  /** Whether the key that is in words has a value, which is found. */
  #has(): boolean {
    try {
      return this.#replicas.current().get(this.#key, 0, this.#found, 0);
    } catch (error) {
      this.#replicas.check("read");
      throw error;
    }
  }

  /** Begins a write of the key that is in words. Returns whether it has a value, which is found. */
  #begin(): boolean {
    return this.#replicas.begin().get(this.#key, 0, this.#found, 0);
  }

  /** Gives the key that is in words the value that is. */
  #set(): void {
    this.#replicas.set(this.#key, this.#value, this.#begin());
  }

  /** Ends a write: with the value that is in words, or none, if the key has the expected one. */
  #exchange(had: boolean, expected: Int32Array | undefined, hasNext: boolean): boolean {
    const found = this.#found;
    const isSame = had === (expected !== undefined) &&
      (expected === undefined || expected.every((word, index) => word === found[index]));
    if (isSame && hasNext) this.#replicas.set(this.#key, this.#value, had);
    else if (isSame && had) this.#replicas.remove(this.#key);
    else this.#replicas.cancel();
    return isSame;
  }
}
