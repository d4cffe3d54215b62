import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";
import { mapOptionOf, mapSettingsOf } from "../maps/map_settings.ts";
import type { MapType, MapTypeValue } from "../maps/map_types.ts";
import { ABOVE, AT_LEAST, AT_MOST, BELOW, FIRST, LAST } from "./ordered_core.ts";
import { OrderedEntries } from "./ordered_entries.ts";
import type { OrderedMapRange } from "./ordered_types.ts";
import { layoutOf } from "./ordered_table.ts";

export type { OrderedMapRange } from "./ordered_types.ts";

/** Options of an `OrderedMap`. */
export interface OrderedMapOptions<Key extends MapType = MapType, Value extends MapType = MapType>
  extends SyncOptions {
  /** The most entries that it can hold: 8 to 2^26. It is rounded up by up to an eighth. Default: 1,024. */
  readonly capacity?: number;
  /** The type of its keys; bytes and text have at most 64 bytes. */
  readonly key: Key;
  /** The type of its values; bytes and text have at most 1,024 bytes. */
  readonly value: Value;
}

const KIND = /* @__PURE__ */ defineKind<OrderedMap<unknown, unknown>, OrderedMapOptions>({
  name: "OrderedMap",
  code: 67,
  title: "an ordered map",
  accepts: ["threads", "capacity", "key", "value"],
  option: (options, action) => mapOptionOf(options, action, (shape) => layoutOf(shape).words),
  words: (_shape, option) => layoutOf(mapSettingsOf(option).shape).words,
});

/**
 * A map that threads share and that is sorted by its keys: it also finds the nearest key, and reads ranges of keys both ways.
 *
 * Keys and values are numbers, bytes of a fixed length, or short texts; they are copied into the map's memory, and out of
 * it. Numbers are in the order of numbers, bytes and texts in that of their bytes (texts as UTF-8: in the order of code
 * points). Methods that a `Map` has do what they do there; `first`, `last`, `floor`, `ceiling`, `lower` and `higher` return
 * an entry, `entries` reads a range.
 *
 * Reads take no lock and write nothing that others look at. Writes wait for each other, for about a microsecond each: it is
 * for threads that read more than they write. For threads that write a lot, without an order, use a {@linkcode HashMap}.
 *
 * Properties: each read and write happens at one moment between its call and its return, for all threads. A read finds the
 * map as it was at that moment; so a key and its neighbor are never from two moments. A thread that ends in the middle of a
 * write leaves the map as it was, or with the write done, and blocks nobody. `size` is exact. There is room for as many
 * entries as the capacity says, whatever the order they come in.
 *
 * It is a B+-tree of which each write makes a new version. Cost: O(log n).
 *
 * @example
 * ```ts
 * import { OrderedMap } from "@numakit/numakit";
 *
 * const options = { capacity: 1000, key: "f64", value: { text: 20 } } as const;
 * const events = OrderedMap.create(new SharedArrayBuffer(OrderedMap.bytes(options)), options);
 * events.set(1.5, "start"); // in any thread
 * events.set(7, "stop");
 * events.set(3, "pause");
 * console.log(events.first(), events.floor(6)); // [ 1.5, "start" ] [ 3, "pause" ]
 * console.log([...events.keys({ from: 2 })]); // [ 3, 7 ]
 * console.log([...events.keys({ to: 7, reverse: true, limit: 1 })]); // [ 3 ]
 * ```
 *
 * @typeParam Key What JavaScript has for a key: `number`, `string` or `Uint8Array`.
 * @typeParam Value The same for a value.
 */
export class OrderedMap<Key, Value> implements Shareable, Iterable<[Key, Value]> {
  static readonly #kind = /* @__PURE__ */ KIND.register(
    OrderedMap,
    (region) => new OrderedMap(region),
  );
  readonly #entries: OrderedEntries;

  private constructor(region: Region) {
    this.#entries = new OrderedEntries(region);
  }

  /**
   * Creates an empty map.
   *
   * @typeParam KeyType The type of its keys.
   * @typeParam ValueType The type of its values.
   * @param memory The memory for it: an arena, or a `SharedArrayBuffer` of {@linkcode OrderedMap.bytes} bytes.
   * @param options The types of keys and values, the capacity, and other options.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create<const KeyType extends MapType, const ValueType extends MapType>(
    memory: SyncMemory,
    options: OrderedMapOptions<KeyType, ValueType>,
  ): OrderedMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>> {
    return OrderedMap.#kind.create(memory, options) as OrderedMap<
      MapTypeValue<KeyType>,
      MapTypeValue<ValueType>
    >;
  }

  /**
   * Returns how much memory a map needs: with 32-bit keys and values 23 bytes for each entry of its capacity, with long
   * ones up to twice their size, and at least some tens of nodes of fifteen entries: with values of 1,024 bytes 400 KiB.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: OrderedMapOptions): number {
    return OrderedMap.#kind.bytes(options);
  }

  /**
   * Returns the live map of a handle. In one thread, the same handle always gives the same object.
   *
   * @typeParam Key What its keys are: nothing checks that.
   * @typeParam Value What its values are.
   * @param handle A handle from {@linkcode OrderedMap.toHandle}, made in any thread of this process.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle<Key, Value>(handle: Handle): OrderedMap<Key, Value> {
    return OrderedMap.#kind.attach(handle) as OrderedMap<Key, Value>;
  }

  /**
   * The number of entries at this moment. Cost: two looks with order and a load.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get size(): number {
    return this.#entries.size();
  }

  /**
   * Returns a key's value.
   *
   * Cost: two looks with order, and plain loads for some keys of one node in each level of the tree.
   *
   * @param key The key.
   * @returns The value; undefined if there is none.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type, or is NaN; `EDESTROYED` if its arena is destroyed.
   */
  get(key: Key): Value | undefined {
    return this.#entries.has(key) ? this.#entries.value() as Value : undefined;
  }

  /**
   * Whether a key has a value.
   *
   * @param key The key.
   * @returns Whether it has.
   * @throws {NumaError} As {@linkcode OrderedMap.get}.
   */
  has(key: Key): boolean {
    return this.#entries.has(key);
  }

  /**
   * Returns the entry with the least key.
   *
   * @returns Key and value; undefined if the map is empty.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  first(): [Key, Value] | undefined {
    return this.#entries.end(FIRST) as [Key, Value] | undefined;
  }

  /**
   * Returns the entry with the greatest key.
   *
   * @returns Key and value; undefined if the map is empty.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  last(): [Key, Value] | undefined {
    return this.#entries.end(LAST) as [Key, Value] | undefined;
  }

  /**
   * Returns the entry with the greatest key that is at most the given one.
   *
   * @param key The key.
   * @returns Key and value; undefined if there is none.
   * @throws {NumaError} As {@linkcode OrderedMap.get}.
   */
  floor(key: Key): [Key, Value] | undefined {
    return this.#entries.near(AT_MOST, key) as [Key, Value] | undefined;
  }

  /**
   * Returns the entry with the least key that is at least the given one.
   *
   * @param key The key.
   * @returns Key and value; undefined if there is none.
   * @throws {NumaError} As {@linkcode OrderedMap.get}.
   */
  ceiling(key: Key): [Key, Value] | undefined {
    return this.#entries.near(AT_LEAST, key) as [Key, Value] | undefined;
  }

  /**
   * Returns the entry with the greatest key that is less than the given one.
   *
   * @param key The key.
   * @returns Key and value; undefined if there is none.
   * @throws {NumaError} As {@linkcode OrderedMap.get}.
   */
  lower(key: Key): [Key, Value] | undefined {
    return this.#entries.near(BELOW, key) as [Key, Value] | undefined;
  }

  /**
   * Returns the entry with the least key that is greater than the given one.
   *
   * @param key The key.
   * @returns Key and value; undefined if there is none.
   * @throws {NumaError} As {@linkcode OrderedMap.get}.
   */
  higher(key: Key): [Key, Value] | undefined {
    return this.#entries.near(ABOVE, key) as [Key, Value] | undefined;
  }

  /**
   * Gives a key a value.
   *
   * Cost: the map's lock, which is free or held for about a microsecond, and a store for each word of one node in each level of
   * the tree.
   *
   * @param key The key.
   * @param value The value.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if one of them is not of the map's type, or the key is NaN; `ENOMEM` if the map is full and
   * the key is new; `EBUSY` another thread has the map locked for a second or more; `ETERMINATED` this thread is being
   * terminated; `EDESTROYED` if its arena is destroyed.
   */
  set(key: Key, value: Value): this {
    this.#entries.set(key, value);
    return this;
  }

  /**
   * Takes a key out.
   *
   * @param key The key.
   * @returns Whether it had a value.
   * @throws {NumaError} As {@linkcode OrderedMap.set}.
   */
  delete(key: Key): boolean {
    return this.#entries.remove(key);
  }

  /**
   * Takes the entry with the least key out. Several threads never get the same one.
   *
   * @returns Key and value; undefined if the map is empty.
   * @throws {NumaError} `EBUSY`, `ETERMINATED` as {@linkcode OrderedMap.set}; `EDESTROYED` if its arena is destroyed.
   */
  popFirst(): [Key, Value] | undefined {
    return this.#entries.pop(FIRST) as [Key, Value] | undefined;
  }

  /**
   * Takes the entry with the greatest key out. Several threads never get the same one.
   *
   * @returns Key and value; undefined if the map is empty.
   * @throws {NumaError} As {@linkcode OrderedMap.popFirst}.
   */
  popLast(): [Key, Value] | undefined {
    return this.#entries.pop(LAST) as [Key, Value] | undefined;
  }

  /**
   * Gives a key another value that a function makes of its present one. If another thread has given the key another value
   * meanwhile, the function is called again with that. No lock is held while it runs. It can read the map, and not write to
   * it.
   *
   * @param key The key.
   * @param change Gets the value, undefined if there is none. Returns the new one; undefined takes the key out.
   * @returns What it has returned last.
   * @throws {NumaError} As {@linkcode OrderedMap.set}; `EDEADLK` from writes in the function. What `change` throws: then
   * nothing has changed.
   */
  update(key: Key, change: (value: Value | undefined) => Value | undefined): Value | undefined {
    if (typeof change !== "function") {
      throw new NumaError("EINVAL", "write to an ordered map", {
        why: `the function is ${show(change)}`,
        fix: "Give a function of the value.",
      });
    }
    return this.#entries.update(key, change as (value: unknown) => unknown) as Value | undefined;
  }

  /**
   * Adds to a key's value, which is a number; a key without one has 0. Integers wrap.
   *
   * @param key The key.
   * @param n What to add: a number of the values' type; to `"u32"` also a negative one, from -2^31.
   * @returns The sum.
   * @throws {NumaError} As {@linkcode OrderedMap.set}; `EINVAL` if values are no numbers.
   */
  add(key: Key, n: number): number {
    return this.#entries.add(key, n);
  }

  /**
   * Returns a key's value, and gives it one if it has none.
   *
   * @param key The key.
   * @param value The value that it gets then.
   * @returns The value that it has in the end.
   * @throws {NumaError} As {@linkcode OrderedMap.set}.
   */
  getOrInsert(key: Key, value: Value): Value {
    this.#entries.checkValue(value);
    const before = this.get(key);
    if (before !== undefined) return before;
    return this.compareExchange(key, undefined, value) ?? value;
  }

  /**
   * Gives a key another value if it has the expected one.
   *
   * @param key The key.
   * @param expected The value that it is to have; undefined: none.
   * @param replacement The new one; undefined takes the key out.
   * @returns The value that it had: the expected one if it was replaced.
   * @throws {NumaError} As {@linkcode OrderedMap.set}.
   */
  compareExchange(
    key: Key,
    expected: Value | undefined,
    replacement: Value | undefined,
  ): Value | undefined {
    return this.#entries.exchange(key, expected, replacement) as Value | undefined;
  }

  /** Takes out all keys that are there when it begins. */
  clear(): void {
    this.#entries.clear();
  }

  /**
   * Returns the entries of a range of keys in their order, or in the reverse, while others may write: no key twice; each
   * key that is there all the time; and others once or not at all. Those of a leaf, 4 to 16, are read at the same moment.
   *
   * @param range From which key on, up to which one, which way, and how many. Default: all.
   * @returns Keys and values.
   * @throws {NumaError} `EINVAL` if the range is none; `EDESTROYED` if its arena is destroyed.
   */
  entries(range?: OrderedMapRange<Key>): Generator<[Key, Value], void, undefined> {
    const entries = this.#entries;
    return entries.entries(entries.scan(range)) as Generator<[Key, Value], void, undefined>;
  }

  /** The same as {@linkcode OrderedMap.entries}, of all keys. */
  [Symbol.iterator](): Generator<[Key, Value], void, undefined> {
    return this.entries();
  }

  /**
   * Returns the keys of a range, as {@linkcode OrderedMap.entries} does.
   *
   * @param range Which ones. Default: all.
   * @returns The keys.
   * @throws {NumaError} As {@linkcode OrderedMap.entries}.
   */
  keys(range?: OrderedMapRange<Key>): Generator<Key, void, undefined> {
    const entries = this.#entries;
    return entries.keys(entries.scan(range)) as Generator<Key, void, undefined>;
  }

  /**
   * Returns the values of a range of keys, as {@linkcode OrderedMap.entries} does.
   *
   * @param range Which ones. Default: all.
   * @returns The values, in the order of their keys.
   * @throws {NumaError} As {@linkcode OrderedMap.entries}.
   */
  values(range?: OrderedMapRange<Key>): Generator<Value, void, undefined> {
    const entries = this.#entries;
    return entries.values(entries.scan(range)) as Generator<Value, void, undefined>;
  }

  /**
   * Calls a function with the entries of a range, as {@linkcode OrderedMap.entries} gives them.
   *
   * @param body The function.
   * @param range Which ones. Default: all.
   * @throws {NumaError} As {@linkcode OrderedMap.entries}. What `body` throws.
   */
  forEach(
    body: (value: Value, key: Key, map: this) => void,
    range?: OrderedMapRange<Key>,
  ): void {
    for (const [key, value] of this.entries(range)) body(value, key, this);
  }

  /**
   * Returns a handle with which another thread finds the map. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#entries.attached.region.toHandle();
  }
}
