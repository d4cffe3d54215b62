import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, registerKind, type Shareable } from "../../base/handle.ts";
import { oneOf } from "../../shared/live_objects.ts";
import type { SyncMemory } from "../../shared/region.ts";
import type { HashMap } from "../maps/hash_map.ts";
import { readEntries } from "../maps/map_snapshots.ts";
import type { Listed, MapType, MapTypeValue, PlacedMapOptions } from "../maps/map_types.ts";
import { memoriesOf } from "../memories.ts";
import { writeSnapshot } from "../snapshots/snapshot.ts";
import type { SnapshotSource } from "../snapshots/snapshot_source.ts";
import {
  attachShards,
  createShards,
  handleOfShards,
  shardedBytes,
  type ShardedParts,
  shardedSettingsOf,
} from "./sharded_parts.ts";
import { fillFrom, piecesOfShards, shardedHeaderOf } from "./sharded_snapshots.ts";
import { Shards } from "./shards.ts";

const READ = "read a sharded map";
const WRITE = "write to a sharded map";
const RESTORE = "restore a sharded map";

/**
 * A hash map that threads share, with a part on each of several nodes.
 *
 * It has the methods of a {@linkcode HashMap}, and is made of one in each of the memories that it is given: an arena on each
 * node. A hash of the key chooses the part, and {@linkcode ShardedMap.homeOf} says on which node that is. A program that
 * sends each request to a thread on its key's home reads and writes near memory alone; one that does not reads from all
 * nodes evenly, so that no node's memory is asked for everything. For tables that all nodes read and few threads write,
 * use a copy on each node instead.
 *
 * Properties: those of `HashMap` for each key, also when threads end in the middle of a write. Calls for several keys
 * (`getMany`, `size`, `entries`, `clear`) go from part to part, and are not of one moment. Nobody who does not know the
 * map's seed can choose keys for one part.
 *
 * @example
 * ```ts
 * import { ShardedMap } from "@numakit/numakit";
 *
 * const options = { capacity: 1000, key: { text: 32 }, value: "f64" } as const;
 * // Here of two buffers; usually of an arena on each node.
 * const memory = () => new SharedArrayBuffer(ShardedMap.bytes(options, 2));
 * const prices = ShardedMap.create([memory(), memory()], options);
 * prices.set("apple", 0.25).set("pear", 0.5); // in any thread
 * console.log(prices.get("apple"), prices.size, prices.homeOf("pear")); // 0.25 2 -1
 * ```
 *
 * @typeParam Key What JavaScript has for a key: `number`, `string` or `Uint8Array`.
 * @typeParam Value The same for a value.
 */
export class ShardedMap<Key, Value> implements Shareable, Iterable<[Key, Value]> {
  static readonly #kind = /* @__PURE__ */ registerKind(
    "ShardedMap",
    ShardedMap,
    (handle) => ShardedMap.fromHandle(handle),
  );
  readonly #parts: ShardedParts;
  readonly #maps: readonly HashMap<Key, Value>[];
  readonly #shards: Shards;
  /** Whether a caller's function runs while a bucket is locked. */
  #isChanging = false;

  private constructor(parts: ShardedParts) {
    this.#parts = parts;
    this.#maps = parts.maps as readonly HashMap<Key, Value>[];
    this.#shards = new Shards(parts);
  }

  /**
   * Creates an empty map.
   *
   * @typeParam KeyType The type of its keys.
   * @typeParam ValueType The type of its values.
   * @param memories The memories for it, of which each gets a part: arenas, one for each node, or `SharedArrayBuffer`s of
   * {@linkcode ShardedMap.bytes} bytes. 1 to 1,024.
   * @param options The types of keys and values, the capacity of all parts together, and other options.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if an option is wrong, or a memory of the wrong kind or too small; `EBUSY` if one is in
   * use, or another thread allocates from an arena; `ENOMEM` if an arena is full; `EAGAIN` if this thread exceeds
   * `threads`.
   */
  static create<const KeyType extends MapType, const ValueType extends MapType>(
    memories: readonly SyncMemory[],
    options: PlacedMapOptions<KeyType, ValueType>,
  ): ShardedMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>> {
    return ShardedMap.#of(createShards(memories, options));
  }

  /**
   * Returns how much memory a part needs. Hashes do not deal keys out exactly: so each part has room for its share of the
   * capacity, and six times the square root of that (2.4 % more where a part has 62,500 keys, 19 % where it has 1,000). A
   * part that has more than that is full in one of about a thousand million maps.
   *
   * @param options The options that `create` will get.
   * @param parts How many parts the map has: 1 to 1,024.
   * @returns The size of a part in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: PlacedMapOptions, parts: number): number {
    return shardedBytes(options, parts, "size a sharded map");
  }

  /**
   * Returns the live map of a handle. In one thread, the same handle always gives the same object.
   *
   * @typeParam Key What its keys are: nothing checks that.
   * @typeParam Value What its values are.
   * @param handle A handle from {@linkcode ShardedMap.toHandle}, made in any thread of this process.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if it is not such a handle, or comes from threads that this one cannot wake; `ESTALE`
   * if a part's memory no longer exists; `EAGAIN` if this thread exceeds `threads`.
   */
  static fromHandle<Key, Value>(handle: Handle): ShardedMap<Key, Value> {
    return ShardedMap.#of(attachShards(handle));
  }

  /**
   * Makes a map of what a {@linkcode ShardedMap.snapshot} or a `HashMap.snapshot` has in it: how many parts there were does
   * not matter. All of it is read and checked first.
   *
   * @typeParam KeyType The type of its keys.
   * @typeParam ValueType The type of its values.
   * @param memories The memories for it, as for {@linkcode ShardedMap.create}.
   * @param source The snapshot's bytes: a `Uint8Array`, or a stream or list of such.
   * @param options As for {@linkcode ShardedMap.create}: the same types as the map had of which it was taken. Default for
   * `capacity`: that map's, or the number of its entries if it had taken more.
   * @returns The map.
   * @throws {NumaError} `EBADMSG` if the snapshot is damaged, truncated or of something else, and then no memory was used;
   * `EABI` if a later version has written it; `EINVAL` if it is of other types; `ENOMEM` if there are more entries than the
   * map will have room for; and as {@linkcode ShardedMap.create}. What the source throws.
   *
   * @example
   * ```ts
   * import { HashMap, ShardedMap } from "@numakit/numakit";
   *
   * const options = { capacity: 100, key: "u32", value: "f64" } as const;
   * const map = HashMap.create(new SharedArrayBuffer(HashMap.bytes(options)), options);
   * map.set(7, 0.5);
   * const file = new Uint8Array(await new Response(map.snapshot()).arrayBuffer());
   * const memory = () => new SharedArrayBuffer(ShardedMap.bytes(options, 2));
   * const sharded = await ShardedMap.restore([memory(), memory()], file, options);
   * console.log([...sharded]); // [ [ 7, 0.5 ] ]
   * ```
   */
  static async restore<const KeyType extends MapType, const ValueType extends MapType>(
    memories: readonly SyncMemory[],
    source: SnapshotSource,
    options: PlacedMapOptions<KeyType, ValueType>,
  ): Promise<ShardedMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>>> {
    const own = memoriesOf(memories, false, RESTORE);
    const { capacity: wanted } = options ?? {};
    const { whole } = shardedSettingsOf({ ...options, capacity: wanted }, own.length, RESTORE);
    shardedBytes(whole, own.length, RESTORE);
    const { capacity: _, ...types } = whole;
    const read = { ...types, ...(wanted !== undefined && { capacity: wanted }) };
    const { options: { capacity }, pieces } = await readEntries(source, read, RESTORE);
    const map = ShardedMap.#of(createShards(own, { ...types, capacity: capacity as number }));
    await fillFrom(pieces, map.#shards.shape, (key, value) => void map.set(key, value));
    return map as ShardedMap<MapTypeValue<KeyType>, MapTypeValue<ValueType>>;
  }

  static #of<Key, Value>(parts: ShardedParts): ShardedMap<Key, Value> {
    return oneOf(parts.head, () => new ShardedMap<Key, Value>(parts));
  }

  /** The nodes of its parts, in their order; -1 for memory that is not an arena's. */
  get nodes(): readonly number[] {
    return [...this.#parts.nodes];
  }

  /**
   * The number of entries. Cost: three loads for each thread that has ever written, in each part.
   *
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  get size(): number {
    let size = 0;
    for (const map of this.#maps) size += map.size;
    return size;
  }

  /**
   * Returns the node that has a key's part of the map. Cost: a hash of the key; nothing shared is read.
   *
   * @param key The key.
   * @returns The node; -1 if its memory is not an arena's.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type.
   */
  homeOf(key: Key): number {
    return this.#parts.nodes[this.#shards.take(key, READ)] as number;
  }

  /**
   * Returns a key's value. Cost: that of `HashMap.get`, and another hash of the key.
   *
   * @param key The key.
   * @returns The value; undefined if there is none.
   * @throws {NumaError} `EINVAL` if the key is not of the map's type; `EDESTROYED` if the arena of its part is destroyed.
   */
  get(key: Key): Value | undefined {
    return this.#home(key, READ).get(this.#shards.taken(key) as Key);
  }

  /**
   * Whether a key has a value.
   *
   * @param key The key.
   * @returns Whether it has.
   * @throws {NumaError} As {@linkcode ShardedMap.get}.
   */
  has(key: Key): boolean {
    return this.#home(key, READ).has(this.#shards.taken(key) as Key);
  }

  /**
   * Reads the values of several keys, 256 at a time: they are sorted by their parts, and each part reads its own as
   * `HashMap.getMany` does. Nothing is allocated for a key.
   *
   * @param keys The keys: a `Uint32Array`, `Int32Array` or `Float64Array` by their type, a `Uint8Array` of all bytes one
   * key after the other, or an array of texts.
   * @param values Where the values go, each to its key's place; of the same kind by the type of values. Where there is
   * none it stays as it is.
   * @param found If given, gets 1 or 0 for each key: whether it has a value.
   * @returns How many have a value.
   * @throws {NumaError} `EINVAL`; `EDESTROYED` if an arena with one of the keys is destroyed.
   */
  getMany(keys: Listed<Key>, values: Listed<Value>, found?: Uint8Array): number {
    return this.#shards.readMany(keys, values, found, READ);
  }

  /**
   * Gives a key a value. Cost: that of `HashMap.set`, and another hash of the key.
   *
   * @param key The key.
   * @param value The value.
   * @returns The map.
   * @throws {NumaError} `EINVAL` if one of them is not of the map's type; `ENOMEM` if its part has no room for a new key;
   * `EDEADLK` in the function of an {@linkcode ShardedMap.update}; `EBUSY` another thread has the key's bucket locked for a
   * second or more; `ETERMINATED` this thread is being terminated; `EDESTROYED` if the arena of its part is destroyed.
   */
  set(key: Key, value: Value): this {
    this.#written(key).set(this.#shards.taken(key) as Key, value);
    return this;
  }

  /**
   * Gives keys values, 256 at a time, sorted by their parts: keys of one part one after the other, and a key that comes
   * twice has the later value.
   *
   * @param keys The keys, as for {@linkcode ShardedMap.getMany}.
   * @param values As many values.
   * @throws {NumaError} As {@linkcode ShardedMap.set}: then the 256 before have their new values, and of those with the one
   * that failed some.
   */
  setMany(keys: Listed<Key>, values: Listed<Value>): void {
    this.#checkUnchanging();
    this.#shards.writeMany(keys, values, WRITE);
  }

  /**
   * Takes a key out.
   *
   * @param key The key.
   * @returns Whether it had a value.
   * @throws {NumaError} As {@linkcode ShardedMap.set}.
   */
  delete(key: Key): boolean {
    return this.#written(key).delete(this.#shards.taken(key) as Key);
  }

  /**
   * Gives a key another value that a function makes of its present one, and no other thread writes to it meanwhile. Others
   * that write to keys of the same bucket wait, so the function should do little; it can read the map, and not
   * write to it.
   *
   * @param key The key.
   * @param change Gets the value, undefined if there is none. Returns the new one; undefined takes the key out.
   * @returns What it has returned.
   * @throws {NumaError} As {@linkcode ShardedMap.set}. What `change` throws: then nothing has changed.
   */
  update(key: Key, change: (value: Value | undefined) => Value | undefined): Value | undefined {
    const map = this.#written(key);
    const own = this.#shards.kept(key) as Key;
    // For all parts: two threads in updates could wait for each other's buckets.
    this.#isChanging = true;
    try {
      return map.update(own, change);
    } finally {
      this.#isChanging = false;
    }
  }

  /**
   * Adds to a key's value, which is a number; a key without one has 0. Integers wrap.
   *
   * @param key The key.
   * @param n What to add: a number of the values' type; to `"u32"` also a negative one, from -2^31.
   * @returns The sum.
   * @throws {NumaError} As {@linkcode ShardedMap.set}; `EINVAL` if values are no numbers.
   */
  add(key: Key, n: number): number {
    return this.#written(key).add(this.#shards.taken(key) as Key, n);
  }

  /**
   * Returns a key's value, and gives it one if it has none.
   *
   * @param key The key.
   * @param value The value that it gets then.
   * @returns The value that it has in the end.
   * @throws {NumaError} As {@linkcode ShardedMap.set}.
   */
  getOrInsert(key: Key, value: Value): Value {
    return this.#written(key).getOrInsert(this.#shards.kept(key) as Key, value);
  }

  /**
   * Gives a key another value if it has the expected one.
   *
   * @param key The key.
   * @param expected The value that it is to have; undefined: none.
   * @param replacement The new one; undefined takes the key out.
   * @returns The value that it had: the expected one if it was replaced.
   * @throws {NumaError} As {@linkcode ShardedMap.set}.
   */
  compareExchange(
    key: Key,
    expected: Value | undefined,
    replacement: Value | undefined,
  ): Value | undefined {
    const map = this.#written(key);
    return map.compareExchange(this.#shards.kept(key) as Key, expected, replacement);
  }

  /**
   * Returns what is in the map as bytes for a file, which {@linkcode ShardedMap.restore} and `HashMap.restore` read: with
   * checksums, so that a damaged or truncated file is noticed. Entries are taken as the stream is read, as
   * {@linkcode ShardedMap.entries} takes them: if others write meanwhile, it is not the map of one moment.
   *
   * @returns The bytes, about as many as keys and values have. The stream fails with `EDESTROYED` when an arena goes.
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  snapshot(): ReadableStream<Uint8Array> {
    // Throws where one is gone.
    void this.size;
    return writeSnapshot(shardedHeaderOf(this.#parts), piecesOfShards(this, this.#shards.shape));
  }

  /**
   * Takes out all keys that are there when it comes to their parts.
   *
   * @throws {NumaError} `EDEADLK`, `EBUSY`, `ETERMINATED` and `EDESTROYED` as {@linkcode ShardedMap.set}: then some keys may
   * be gone.
   */
  clear(): void {
    this.#checkUnchanging();
    for (const map of this.#maps) map.clear();
  }

  /**
   * Returns all entries, part by part, while others may write: each key once that is there all the time, and others once
   * or not at all. Those of a bucket are read at the same moment.
   *
   * @returns Keys and values, in no order.
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  *entries(): Generator<[Key, Value], void, undefined> {
    for (const map of this.#maps) yield* map.entries();
  }

  /**
   * Returns the entries of the parts on a node, as {@linkcode ShardedMap.entries} does: what a thread on that node can go
   * through without reading from another one.
   *
   * @param node The node: one of {@linkcode ShardedMap.nodes}.
   * @returns Keys and values, in no order.
   * @throws {NumaError} `EINVAL` if no part is there; `EDESTROYED` if its arena is destroyed.
   */
  *entriesOn(node: number): Generator<[Key, Value], void, undefined> {
    const { nodes } = this.#parts;
    if (!nodes.includes(node)) {
      throw new NumaError("EINVAL", READ, {
        why: `the node is ${show(node)}, and no part is there`,
        fix: `Give one of its nodes: ${nodes.join(", ")}.`,
      });
    }
    for (const [part, map] of this.#maps.entries()) if (nodes[part] === node) yield* map.entries();
  }

  /** The same as {@linkcode ShardedMap.entries}. */
  [Symbol.iterator](): Generator<[Key, Value], void, undefined> {
    return this.entries();
  }

  /**
   * Returns all keys, as {@linkcode ShardedMap.entries} does.
   *
   * @returns The keys, in no order.
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  *keys(): Generator<Key, void, undefined> {
    for (const map of this.#maps) yield* map.keys();
  }

  /**
   * Returns all values, as {@linkcode ShardedMap.entries} does.
   *
   * @returns The values, in no order.
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed.
   */
  *values(): Generator<Value, void, undefined> {
    for (const map of this.#maps) yield* map.values();
  }

  /**
   * Calls a function with all entries, as {@linkcode ShardedMap.entries} gives them.
   *
   * @param body The function.
   * @throws {NumaError} `EDESTROYED` if an arena of it is destroyed. What `body` throws.
   */
  forEach(body: (value: Value, key: Key, map: this) => void): void {
    for (const [key, value] of this.entries()) body(value, key, this);
  }

  /**
   * Returns a handle with which another thread finds the map. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if a part's memory belongs to this thread alone; `EDESTROYED` if an arena of it is
   * destroyed.
   */
  toHandle(): Handle {
    return handleOfShards(ShardedMap.#kind, this.#parts);
  }

  /** Takes a key, and finds its part. */
  #home(key: Key, action: string): HashMap<Key, Value> {
    return this.#maps[this.#shards.take(key, action)] as HashMap<Key, Value>;
  }

  /** The same, to write to it. */
  #written(key: Key): HashMap<Key, Value> {
    this.#checkUnchanging();
    return this.#home(key, WRITE);
  }

  #checkUnchanging(): void {
    if (!this.#isChanging) return;
    throw new NumaError("EDEADLK", WRITE, {
      why: "it is written to in the function of an update",
      fix: "Return the new value, and write to other keys afterwards.",
    });
  }
}
