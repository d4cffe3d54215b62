/**
 * Which part of a sharded map has a key, and several keys put in the order of their parts.
 *
 * A hash of the key chooses its part. It has a seed of its own: the hashes of the parts, which choose buckets, know nothing
 * of it, so buckets of a part are as even as those of a whole map; and whoever chooses keys does not know it, so no part
 * can be given more keys than others on purpose.
 *
 * Many keys go through three steps, 256 at a time, with memory that is made once:
 *
 * ```
 *   keys     a b c d e f        their parts: 1 0 1 2 0 1
 *   counts   2 3 1              of each part, and from them where each begins
 *   sorted   b e | a c f | d    stable, so that of two equal keys the later one stays the later one
 * ```
 *
 * Each part gets its own as one list, which it reads as it reads any list: buckets fetched together.
 *
 * @module
 */
import { isUint8Array } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Codec, codecOf } from "../maps/codecs.ts";
import type { HashMap } from "../maps/hash_map.ts";
import { type Hasher, hasherOf } from "../maps/hashers.ts";
import { checkLists, type ListShape } from "../maps/lists.ts";
import { BYTES } from "../maps/map_settings.ts";
import { type ListKind, listsOf, type Slice } from "./list_kinds.ts";
import type { ShardedParts } from "./sharded_parts.ts";

/** Keys that are sorted together. */
const CHUNK = 256;
/** A list of this thread's own, and what its elements are moved in. */
class OwnList {
  readonly list: unknown;
  readonly raw: unknown;

  constructor(kind: ListKind) {
    this.list = kind.make(CHUNK);
    this.raw = kind.raw(this.list);
  }
}

/** Memory for the keys that are being sorted. */
class Workspace {
  readonly keys: OwnList;
  /** The keys as words. */
  readonly words: Int32Array;
  readonly sorted: OwnList;
  readonly values: OwnList;
  readonly found: Uint8Array = new Uint8Array(CHUNK);
  readonly homes: Uint16Array = new Uint16Array(CHUNK);
  /** The places of the sorted ones in the chunk. */
  readonly order: Uint16Array = new Uint16Array(CHUNK);
  /** Where the keys of each part begin, and where the last ones end. */
  readonly starts: Uint16Array;

  constructor(keys: ListKind, values: ListKind, keyWords: number, parts: number) {
    this.keys = new OwnList(keys);
    this.words = new Int32Array(CHUNK * keyWords);
    this.sorted = new OwnList(keys);
    this.values = new OwnList(values);
    this.starts = new Uint16Array(parts + 1);
  }
}

/** The parts of one map, as one thread sees them. */
export class Shards {
  readonly keys: Codec;
  readonly values: Codec;
  readonly shape: ListShape;
  readonly #maps: readonly HashMap<unknown, unknown>[];
  readonly #hasher: Hasher;
  /** The key that was taken last, as words; and the same as bytes, where keys are bytes. */
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array | undefined;
  readonly #keyLists: ListKind;
  readonly #valueLists: ListKind;
  #workspace: Workspace | undefined;

  /** @param parts The parts. */
  constructor({ maps, seed, key, value, keyWords, valueWords }: ShardedParts) {
    this.keys = codecOf(key, "the key");
    this.values = codecOf(value, "the value");
    this.shape = { keys: this.keys, values: this.values, keyWords, valueWords };
    this.#maps = maps;
    this.#hasher = hasherOf(keyWords, ...seed);
    this.#words = new Int32Array(keyWords);
    this.#bytes = key.kind === BYTES ? new Uint8Array(this.#words.buffer, 0, key.bytes) : undefined;
    this.#keyLists = listsOf(key);
    this.#valueLists = listsOf(value);
  }

  /**
   * Finds the part of a key.
   *
   * @param key The key.
   * @param action What was asked, as it follows "Cannot".
   * @returns The part's number.
   * @throws {NumaError} `EINVAL`.
   */
  take(key: unknown, action: string): number {
    this.keys.write(key, this.#words, 0, action);
    return this.#home(this.#words, 0);
  }

  /**
   * The key that was taken, as the part is to get it: bytes that other threads could change meanwhile are taken once.
   *
   * @param key The same key.
   * @returns The key: of bytes those that were taken, until the next key is.
   */
  taken(key: unknown): unknown {
    return this.#bytes ?? key;
  }

  /**
   * The same, to keep.
   *
   * @param key The same key.
   * @returns The key: of bytes a copy.
   */
  kept(key: unknown): unknown {
    return this.#bytes?.slice() ?? key;
  }

  /**
   * Reads the values of several keys.
   *
   * @param keys The keys.
   * @param values Where values go.
   * @param found Gets 1 or 0 for each key. Absent: nobody asks.
   * @param action What was asked, as it follows "Cannot".
   * @returns How many have a value.
   * @throws {NumaError} `EINVAL`; as `HashMap.getMany`.
   */
  readMany(keys: unknown, values: unknown, found: unknown, action: string): number {
    if (found !== undefined && !isUint8Array(found)) {
      throw new NumaError("EINVAL", action, {
        why: `what is found is ${show(found)}`,
        fix: "Give a Uint8Array, or nothing.",
      });
    }
    const count = checkLists(this.shape, { keys, values, found }, action);
    const lists = this.#valueLists;
    const target = lists.raw(values);
    let all = 0;
    this.#chunks(keys, count, action, (work, part, slice) => {
      const { order, first, from, to } = slice;
      const own = work.values;
      const some = lists.some(own.list, from, to - from);
      const map = this.#maps[part] as HashMap<never, never>;
      const wanted = this.#keyLists.some(work.sorted.list, from, to - from);
      all += map.getMany(wanted as never, some as never, work.found.subarray(from, to));
      lists.put(some, own.list, from);
      lists.unsort(own.raw, target, slice, work.found);
      if (found === undefined) return;
      for (let at = from; at < to; at++) {
        found[first + (order[at] as number)] = work.found[at] as number;
      }
    });
    return all;
  }

  /**
   * Gives keys values.
   *
   * @param keys The keys.
   * @param values As many values.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`; as `HashMap.setMany`.
   */
  writeMany(keys: unknown, values: unknown, action: string): void {
    const count = checkLists(this.shape, { keys, values }, action);
    const lists = this.#valueLists;
    const source = lists.raw(values);
    this.#chunks(keys, count, action, (work, part, slice) => {
      const { from, to } = slice;
      lists.sort(source, work.values.raw, slice);
      const map = this.#maps[part] as HashMap<never, never>;
      const wanted = this.#keyLists.some(work.sorted.list, from, to - from);
      map.setMany(wanted as never, lists.some(work.values.list, from, to - from) as never);
    });
  }

  /** The part of the key that is in words: of all 32 bits of its hash, as evenly as they are. */
  #home(words: Int32Array, at: number): number {
    return ((this.#hasher.hash(words, at) >>> 0) * this.#maps.length / 2 ** 32) | 0;
  }

  /** Sorts keys, some at a time, and gives those of each part, in the order of their parts. */
  #chunks(
    keys: unknown,
    count: number,
    action: string,
    each: (work: Workspace, part: number, slice: Slice) => void,
  ): void {
    const source = this.#keyLists.raw(keys);
    // Elements of a caller's list may be getters, which may call the map again.
    const work = this.#workspace ??
      new Workspace(this.#keyLists, this.#valueLists, this.shape.keyWords, this.#maps.length);
    this.#workspace = undefined;
    const { order, starts } = work;
    for (let first = 0; first < count; first += CHUNK) {
      this.#sort(work, source, first, Math.min(CHUNK, count - first), action);
      for (let part = 0; part < this.#maps.length; part++) {
        const from = starts[part] as number;
        const to = starts[part + 1] as number;
        if (to > from) each(work, part, { order, first, from, to });
      }
    }
    this.#workspace = work;
  }

  #sort(work: Workspace, source: unknown, first: number, count: number, action: string): void {
    const { starts, homes, order, words } = work;
    const lists = this.#keyLists;
    // Taken once: other threads may write to the caller's list.
    lists.copy(source, first, count, work.keys.raw);
    this.keys.encode(work.keys.list, 0, count, words, action);
    starts.fill(0);
    for (let index = 0; index < count; index++) {
      const home = this.#home(words, index * this.shape.keyWords);
      homes[index] = home;
      (starts[home + 1] as number)++;
    }
    for (let part = 1; part < starts.length; part++) {
      starts[part] = (starts[part] as number) + (starts[part - 1] as number);
    }
    for (let index = 0; index < count; index++) {
      const home = homes[index] as number;
      // It is the end of the part's keys when all are placed, and is moved back below.
      const at = starts[home] as number;
      starts[home] = at + 1;
      order[at] = index;
    }
    lists.sort(work.keys.raw, work.sorted.raw, { order, first: 0, from: 0, to: count });
    starts.copyWithin(1, 0);
    starts[0] = 0;
  }
}
