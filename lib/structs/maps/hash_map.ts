import type { Handle, Shareable } from "../../base/handle.ts";
import type { Arena } from "../../memory/arena/arena.ts";
import { Attachment } from "../../shared/attachment.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory } from "../../shared/region.ts";
import { settleIn } from "../../shared/tenancy.ts";
import { CounterCore } from "../../sync/counters/counter_core.ts";
import type { Struct } from "../records/struct.ts";
import { inTurns, piecesOf } from "../snapshots/pieces.ts";
import { writeSnapshot } from "../snapshots/snapshot.ts";
import type { SnapshotSource } from "../snapshots/snapshot_source.ts";
import { clearKeys } from "./clear_keys.ts";
import type { Codec } from "./codecs.ts";
import type { FarCore } from "./far/far_core.ts";
import { hashOptionOf, hashSettingsOf, hashWords } from "./far/far_settings.ts";
import { checkLists, elementsOf } from "./lists.ts";
import type { MapCore } from "./map_core.ts";
import { MapChanges } from "./map_changes.ts";
import { entriesOf } from "./map_entries.ts";
import { bytesOf, type MapParts, partsOf, tenantOf, useStruct } from "./map_parts.ts";
import { chunksOf, headerOf, readEntries, RESTORE } from "./map_snapshots.ts";
import { SEED } from "./map_table.ts";
import type { ValueBytes } from "./value_bytes.ts";
import { MapWriter, READ, WRITE } from "./map_writer.ts";
import type {
  HashMapKeyType,
  HashMapOptions,
  HashMapValueType,
  Listed,
  MapTypeValue,
} from "./map_types.ts";

export type {
  HashMapKeyType,
  HashMapOptions,
  HashMapValueType,
  Listed,
  MapType,
  MapTypeValue,
} from "./map_types.ts";

const KIND = /* @__PURE__ */ defineKind<HashMap<unknown, unknown>, HashMapOptions>({
  name: "HashMap",
  code: 64,
  title: "a hash map",
  accepts: ["threads", "capacity", "key", "value", "storage", "blockBytes", "processes"],
  option: hashOptionOf,
  words: (shape, option) => hashWords(hashSettingsOf(option)) + CounterCore.words(shape),
  prepare: () => (words) => words.set(crypto.getRandomValues(new Int32Array(2)), SEED),
});

/**
 * A hash map that threads share.
 *
 * Keys and values are numbers, bytes and texts, of a few bytes or of any length, and values also records of a
 * {@linkcode struct}; they are copied. Keys are the same as in a `Map`: of `"f64"` -0 is 0, and all `NaN` are one; bytes are the same
 * if what is in them is, and text with half a surrogate pair is refused. Methods are those of a `Map`, and more that do
 * several things at once: `getMany`, `update`, `compareExchange`.
 *
 * Reads write nothing that others look at, and take no lock, but for what has any length where others write all the time.
 * Writes of keys in the same bucket wait for each other. The map grows a bucket at a time up to its capacity, while others
 * go on. Keys hash differently in each map, so nobody can choose keys that make it slow. With `processes: true`, in an
 * arena with a name, it is for all processes that open the arena.
 *
 * Properties: each read and write of a key happens at one moment between its call and its return, for all threads. A
 * thread or process that ends in the middle of a write leaves the key as it was, or with the new value, and blocks nobody;
 * `size` can then be off by one. What it had taken of the `storage` is found again by a writer that has none left, which
 * reads all entries, and can then call the function of an {@linkcode HashMap.update} again.
 *
 * @example
 * ```ts
 * import { HashMap } from "@numakit/numakit";
 *
 * const options = { capacity: 1000, key: { text: 32 }, value: "f64" } as const;
 * const prices = HashMap.create(new SharedArrayBuffer(HashMap.bytes(options)), options);
 * prices.set("apple", 0.25); // in any thread
 * console.log(prices.get("apple"), prices.get("pear")); // 0.25 undefined
 * prices.update("apple", (price = 0) => price * 2);
 * console.log([...prices]); // [ [ "apple", 0.5 ] ]
 * ```
 *
 * @example Keys and values of any length, and records
 * ```ts
 * import { f64, HashMap, struct, u32 } from "@numakit/numakit";
 *
 * const pages = { capacity: 100, key: "text", value: "bytes", storage: "1 MiB" } as const;
 * const cached = HashMap.create(new SharedArrayBuffer(HashMap.bytes(pages)), pages);
 * cached.set("https://example.org/".repeat(10), new Uint8Array(10_000));
 *
 * const Point = struct({ id: u32, x: f64 });
 * const points = { key: "u32", value: Point } as const;
 * const map = HashMap.create(new SharedArrayBuffer(HashMap.bytes(points)), points);
 * map.set(7, { id: 1, x: 0.5 }); // other threads say map.use(Point) first
 * console.log(map.get(7)); // { id: 1, x: 0.5 }
 * ```
 *
 * @typeParam Key What JavaScript has for a key: `number`, `string` or `Uint8Array`.
 * @typeParam Value The same for a value, or a record.
 */
export class HashMap<Key, Value> implements Shareable, Iterable<[Key, Value]> {
  static readonly #kind = /* @__PURE__ */ KIND.register(HashMap, (region) => new HashMap(region));
  readonly #core: MapCore | FarCore;
  readonly #parts: MapParts;
  readonly #attached: Attachment;
  readonly #entries: CounterCore;
  readonly #writer: MapWriter;
  readonly #keys: Codec;
  readonly #values: Codec;
  /** One key and one value, as words. */
  readonly #key: Int32Array;
  readonly #value: Int32Array;
  readonly #changes: MapChanges;
  readonly #bytes: ValueBytes;
  readonly #check: () => void;

  private constructor(region: Region) {
    const settings = hashSettingsOf(region.option);
    const { words } = region;
    const attached = new Attachment(region);
    const lock = (key: Int32Array): void => this.#writer.lockFor(key);
    const parts = partsOf(settings, { words, lock, slot: attached.peer.slot });
    this.#parts = parts;
    this.#core = parts.core;
    this.#entries = new CounterCore(words.subarray(hashWords(settings)), region.shape);
    this.#attached = attached;
    this.#check = () => attached.check("read");
    this.#keys = parts.shape.keys;
    this.#values = parts.shape.values;
    this.#writer = new MapWriter(parts.core, attached, this.#entries, parts.shape);
    this.#key = this.#writer.key;
    this.#value = this.#writer.value;
    this.#changes = new MapChanges(parts, this.#writer);
    this.#bytes = bytesOf(parts, this.#value);
    settleIn(this, region, "writer", tenantOf(parts, words));
  }

  /**
   * Creates an empty map.
   *
   * @typeParam KeyType The type of its keys.
   * @typeParam ValueType The type of its values.
   * @param memory The memory for it: an arena, or a `SharedArrayBuffer` of {@linkcode HashMap.bytes} bytes.
   * @param options The types of keys and values, the capacity, and other options.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create<const KeyType extends HashMapKeyType, const ValueType extends HashMapValueType>(
    memory: SyncMemory,
    options: HashMapOptions<KeyType, ValueType>,
  ): HashMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>> {
    const own = typeof options === "object" && options !== null ? { ...options } : options;
    const map = HashMap.#kind.create(memory, own) as HashMap<unknown, unknown>;
    if (map.#parts.records !== undefined) map.use(own.value as Struct);
    return map as HashMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>>;
  }

  /**
   * Returns how much memory a map needs: with 32-bit keys and values 21 to 24 bytes for each entry of its
   * capacity, and 128 for each of `threads`; with keys and values of any length 64 for each entry, and `storage` and a
   * sixteenth of it.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: HashMapOptions): number {
    return HashMap.#kind.bytes(options);
  }

  /**
   * Returns the live map of a handle. In one thread, the same handle always gives the same object.
   *
   * @typeParam Key What its keys are: nothing checks that.
   * @typeParam Value What its values are.
   * @param handle A handle from {@linkcode HashMap.toHandle}, made in any thread of this process.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if its memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle<Key, Value>(handle: Handle): HashMap<Key, Value> {
    return HashMap.#kind.attach(handle) as HashMap<Key, Value>;
  }

  /**
   * Tells this thread of which struct the values are. The struct stays in the thread that created the map, so each other
   * one has to be told, with the same one.
   *
   * @typeParam Type The struct.
   * @param struct The struct.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if it is none, or of another size, or the values are no records.
   */
  use<Type extends Struct>(struct: Type): HashMap<Key, MapTypeValue<Type>> {
    useStruct(this.#parts, struct, "use a struct in a hash map");
    return this as unknown as HashMap<Key, MapTypeValue<Type>>;
  }

  /**
   * Opens a map that another process has created with `processes: true`.
   *
   * @typeParam Key What its keys are: nothing checks that.
   * @typeParam Value What its values are.
   * @param arena The arena, from `Arena.open`.
   * @param offset Its {@linkcode HashMap.offset} in the process that created it.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if there is none; `EAGAIN` if more threads than `threads` use it, or this one has 31 such
   * objects; `EDESTROYED`; `ENOSYS`, `EPERM` a kernel or sandbox without robust futexes.
   */
  static open<Key, Value>(arena: Arena, offset: number): HashMap<Key, Value> {
    return HashMap.#kind.open(arena, offset) as HashMap<Key, Value>;
  }

  /** Its offset in its arena, in bytes, for {@linkcode HashMap.open}; 0 in other memory. */
  get offset(): number {
    return this.#attached.region.offset;
  }

  /**
   * Makes a map of what a {@linkcode HashMap.snapshot} has in it. All of it is read and checked first.
   *
   * @typeParam KeyType The type of its keys.
   * @typeParam ValueType The type of its values.
   * @param memory The memory for it, as for {@linkcode HashMap.create}.
   * @param source The snapshot's bytes: a `Uint8Array`, or a stream or list of such.
   * @param options As for {@linkcode HashMap.create}: the same types as the map had of which it was taken. Default for
   * `capacity`: that map's, or the number of its entries if it had taken more.
   * @returns The map.
   * @throws {NumaError} `EBADMSG` if the snapshot is damaged, truncated or of something else, and then no memory was used;
   * `EABI` if a later version has written it; `EINVAL` if it is of other types; `ENOMEM` if there are more entries than the
   * map will have room for; and as {@linkcode HashMap.create}. What the source throws.
   */
  static async restore<
    const KeyType extends HashMapKeyType,
    const ValueType extends HashMapValueType,
  >(
    memory: SyncMemory,
    source: SnapshotSource,
    options: HashMapOptions<KeyType, ValueType>,
  ): Promise<HashMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>>> {
    const own = { ...options };
    HashMap.bytes(own);
    const { options: room, pieces, far } = await readEntries(source, own, RESTORE);
    const map = HashMap.create(memory, { ...own, ...room });
    await inTurns(pieces, (piece) => {
      if (far === undefined) map.#writer.fill(piece);
      else for (const [key, value] of far.read(piece)) map.set(key as never, value as never);
    });
    return map;
  }

  /**
   * The number of entries at this moment. Cost: three loads for each thread that has ever written.
   *
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  get size(): number {
    this.#attached.check("read");
    return Math.max(0, this.#entries.value());
  }

  /**
   * Returns a key's value.
   *
   * Cost: two looks with order, and a plain load for each place of the key's bucket: four to eight; and of what has any
   * length one for each word.
   *
   * @param key The key.
   * @returns The value; undefined if there is none.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type; `EDESTROYED`; and of what has any length, if others
   * write to its bucket all the time, `EBUSY` and `ETERMINATED` as {@linkcode HashMap.set}.
   */
  get(key: Key): Value | undefined {
    this.#keys.write(key, this.#key, 0, READ);
    return this.#has(true) ? this.#values.read(this.#value, 0) as Value : undefined;
  }

  /**
   * Copies the bytes of a key's value, and allocates nothing.
   *
   * @param key The key.
   * @param target Where they go, from its start. If it is shorter than the value it stays as it is.
   * @returns The number of the value's bytes, which may be more than `target` has; undefined if there is none.
   * @throws {NumaError} As {@linkcode HashMap.get}; `EINVAL` if values are neither bytes nor text.
   */
  getInto(key: Key, target: Uint8Array): number | undefined {
    this.#bytes.check(target, READ);
    this.#keys.write(key, this.#key, 0, READ);
    return this.#has(true) ? this.#bytes.copy(target) : undefined;
  }

  /**
   * Whether a key has a value.
   *
   * @param key The key.
   * @returns Whether it has.
   * @throws {NumaError} As {@linkcode HashMap.get}.
   */
  has(key: Key): boolean {
    this.#keys.write(key, this.#key, 0, READ);
    return this.#has(false);
  }

  /**
   * Reads the values of several keys, 16 at a time: the machine fetches their buckets together, and two looks with order
   * are enough for all of them.
   *
   * @param keys The keys: a `Uint32Array`, `Int32Array` or `Float64Array` by their type, a `Uint8Array` of all bytes one
   * key after the other, or an array of texts; of any length, an array of texts or of `Uint8Array`s.
   * @param values Where the values go, each to its key's place; of the same kind by the type of values. Where there is
   * none it stays as it is.
   * @param found If given, gets 1 or 0 for each key: whether it has a value.
   * @returns How many have a value.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` if its arena is destroyed.
   */
  getMany(keys: Listed<Key>, values: Listed<Value>, found?: Uint8Array): number {
    this.#attached.check("read");
    return this.#parts.lists.read({ keys, values, found }, READ);
  }

  /**
   * Gives a key a value.
   *
   * Cost: a lock of the bucket that is free or held for some hundred nanoseconds, an atomic store for each word, and an
   * `add` of a {@linkcode PartitionedCounter} for a new key.
   *
   * @param key The key.
   * @param value The value.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if one of them is not of the map's type; `ENOMEM` if there is no room for a new key, or
   * not enough storage for what has any length (for a moment also where others are about to give theirs back); `EDEADLK`
   * in the function of an {@linkcode HashMap.update}; `EBUSY` another thread has the key's bucket locked for a second or
   * more; `ETERMINATED` this thread is being terminated; `EDESTROYED` if its arena is destroyed.
   */
  set(key: Key, value: Value): this {
    // Before the key: getters of a record may use the map.
    this.#values.write(value, this.#value, 0, WRITE);
    this.#keys.write(key, this.#key, 0, WRITE);
    this.#writer.put();
    return this;
  }

  /**
   * Gives keys values, one after the other.
   *
   * @param keys The keys, as for {@linkcode HashMap.getMany}.
   * @param values As many values.
   * @throws {NumaError} As {@linkcode HashMap.set}: then the keys before have their new values.
   */
  setMany(keys: Listed<Key>, values: Listed<Value>): void {
    this.#attached.check("write to");
    const count = checkLists(this.#parts.shape, { keys, values }, WRITE);
    const [ownKeys, ownValues] = [elementsOf(keys, count), elementsOf(values, count)];
    for (let index = 0; index < count; index++) {
      this.#values.encode(ownValues, index, 1, this.#value, WRITE);
      this.#keys.encode(ownKeys, index, 1, this.#key, WRITE);
      this.#writer.put();
    }
  }

  /**
   * Takes a key out.
   *
   * @param key The key.
   * @returns Whether it had a value.
   * @throws {NumaError} As {@linkcode HashMap.set}.
   */
  delete(key: Key): boolean {
    this.#keys.write(key, this.#key, 0, WRITE);
    this.#writer.lock();
    return this.#writer.remove();
  }

  /**
   * Gives a key another value that a function makes of its present one, and no other thread writes to it meanwhile. Others
   * that write to keys of the same bucket wait, so the function should do little; it can read the map, and not write to it.
   *
   * @param key The key.
   * @param change Gets the value, undefined if there is none. Returns the new one; undefined takes the key out.
   * @returns What it has returned.
   * @throws {NumaError} As {@linkcode HashMap.set}. What `change` throws: then nothing has changed.
   */
  update(key: Key, change: (value: Value | undefined) => Value | undefined): Value | undefined {
    return this.#changes.update(key, change) as Value | undefined;
  }

  /**
   * Adds to a key's value, which is a number; a key without one has 0. Integers wrap.
   *
   * @param key The key.
   * @param n What to add: a number of the values' type; to `"u32"` also a negative one, from -2^31.
   * @returns The sum.
   * @throws {NumaError} As {@linkcode HashMap.set}; `EINVAL` if values are no numbers.
   */
  add(key: Key, n: number): number {
    return this.#changes.add(key, n);
  }

  /**
   * Returns a key's value, and gives it one if it has none.
   *
   * @param key The key.
   * @param value The value that it gets then.
   * @returns The value that it has in the end.
   * @throws {NumaError} As {@linkcode HashMap.set}.
   */
  getOrInsert(key: Key, value: Value): Value {
    this.#changes.check(value);
    return this.get(key) ?? this.#changes.insert(key, value) as Value;
  }

  /**
   * Gives a key another value if it has the expected one.
   *
   * @param key The key.
   * @param expected The value that it is to have; undefined: none.
   * @param replacement The new one; undefined takes the key out.
   * @returns The value that it had: the expected one if it was replaced.
   * @throws {NumaError} As {@linkcode HashMap.set}.
   */
  compareExchange(
    key: Key,
    expected: Value | undefined,
    replacement: Value | undefined,
  ): Value | undefined {
    return this.#changes.exchange(key, expected, replacement) as Value | undefined;
  }

  /**
   * Returns what is in the map as bytes for a file, which {@linkcode HashMap.restore} reads: with checksums, so that a
   * damaged or truncated file is noticed. Entries are taken as the stream is read, as {@linkcode HashMap.entries} takes
   * them: if others write meanwhile, it is not the map of one moment.
   *
   * @returns The bytes, about as many as keys and values have. The stream fails with `EDESTROYED` when the arena goes.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  snapshot(): ReadableStream<Uint8Array> {
    this.#attached.check("read");
    return writeSnapshot(headerOf(this.#parts), piecesOf(chunksOf(this.#parts, this.#check)));
  }

  /**
   * Takes out all keys that are there when it begins, one after the other.
   *
   * @throws {NumaError} As {@linkcode HashMap.set}; `EBADMSG` if its memory was overwritten.
   */
  clear(): void {
    clearKeys(this.keys(), (key) => void this.delete(key), "clear a hash map");
  }

  /**
   * Returns all entries, while others may write: each key once that is there all the time, and others once or not at all.
   * Those of a bucket are read at the same moment; where keys or values have any length, each at a moment of its own.
   *
   * @returns Keys and values, in no order.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  entries(): Generator<[Key, Value], void, undefined> {
    return entriesOf(this.#parts, this.#check, true) as Generator<[Key, Value], void, undefined>;
  }

  /** The same as {@linkcode HashMap.entries}. */
  [Symbol.iterator](): Generator<[Key, Value], void, undefined> {
    return this.entries();
  }

  /**
   * Returns all keys, as {@linkcode HashMap.entries} does.
   *
   * @returns The keys, in no order.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  *keys(): Generator<Key, void, undefined> {
    for (const [key] of entriesOf(this.#parts, this.#check, false)) yield key as Key;
  }

  /**
   * Returns all values, as {@linkcode HashMap.entries} does.
   *
   * @returns The values, in no order.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed.
   */
  *values(): Generator<Value, void, undefined> {
    for (const [, value] of this.entries()) yield value;
  }

  /**
   * Calls a function with all entries, as {@linkcode HashMap.entries} gives them.
   *
   * @param body The function.
   * @throws {NumaError} `EDESTROYED` if its arena is destroyed. What `body` throws.
   */
  forEach(body: (value: Value, key: Key, map: this) => void): void {
    for (const [key, value] of this.entries()) body(value, key, this);
  }

  /**
   * Returns a handle with which another thread finds the map. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  /** Whether the key that is in words has a value, which is read if it is wanted. */
  #has(wants: boolean): boolean {
    try {
      const { far } = this.#parts;
      if (!wants && far !== undefined) return far.has(this.#key);
      return this.#core.get(this.#key, 0, this.#value, 0);
    } catch (error) {
      this.#attached.check("read");
      throw error;
    }
  }
}
