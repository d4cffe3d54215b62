/**
 * What a thread does to a chain of buckets that it has locked, so that it can die after any word that it writes.
 *
 * An entry is written where none is, and is there once its bit is in `meta`; to change a value of several words, a new entry
 * takes the old one's place with one store of `meta`. Where two stores are needed the chain holds something twice for a
 * moment: the first one counts, as readers and the next owner come to it first. Entries that go to a new bucket are in both
 * until the old one is swept; nobody looks for them there once `grown` says that there is a new one.
 *
 * Whatever changes in a chain, the version of its first bucket changes after it and before a place is used again. So a reader
 * that finds the version as it was has seen no place with something else in it.
 *
 * Where values have several words each chain keeps a place free, so that a value can be changed in a map that is full.
 *
 * The next owner of a dead one's chain repairs it: what does not belong there, or is there a second time, goes, and so do
 * spare buckets that were taken and not linked.
 *
 * @module
 */
import type { Waiter } from "../../wait/waiter.ts";
import type { Hasher } from "./hashers.ts";
import {
  bucketAt,
  CURSOR,
  ENTRIES,
  ENTRY_MASK,
  GROWN,
  type MapLayout,
  META,
  NEXT,
  OWNER,
  placeOf,
  VERSION_UNIT,
} from "./map_table.ts";

/** What became of a value that was to be put in. */
export type Assigned = typeof REPLACED | typeof ADDED | typeof FULL;
/** The key had a value. */
export const REPLACED = 0;
/** The key is new. */
export const ADDED = 1;
/** There is no room: nothing has changed. */
export const FULL = 2;

/** Chains of buckets, for who has locked them. */
export class Chains {
  readonly #words: Int32Array;
  readonly #layout: MapLayout;
  readonly #hasher: Hasher;
  readonly #keyWords: number;
  /** What of `meta` the entries of a bucket are. */
  readonly #mask: number;
  /** How many places of a chain stay free. */
  readonly #slack: number;
  /** What was found last: a bucket, and an entry of it. */
  #bucket = 0;
  #entry = 0;

  /**
   * @param words All words of the map.
   * @param layout Its layout.
   * @param keyWords 32-bit words of a key.
   * @param hasher Its hash function.
   */
  constructor(words: Int32Array, layout: MapLayout, keyWords: number, hasher: Hasher) {
    this.#words = words;
    this.#layout = layout;
    this.#keyWords = keyWords;
    this.#hasher = hasher;
    this.#mask = ENTRY_MASK >>> (8 - layout.entries);
    this.#slack = layout.entryWords === keyWords + 1 ? 0 : 1;
  }

  /**
   * Looks for a key.
   *
   * @param head The chain's first bucket, as the index of its first word.
   * @param key The key, from its start.
   * @returns The index of its entry's first word; 0: it is not there.
   */
  find(head: number, key: Int32Array): number {
    for (let bucket = head, left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      const present = (this.#words[bucket + META] as number) & this.#mask;
      for (let entry = 0; present >>> entry !== 0; entry++) {
        const at = this.#at(bucket, entry);
        if ((present & (1 << entry)) === 0 || !this.#hasKey(at, key)) continue;
        this.#bucket = bucket;
        this.#entry = entry;
        return at;
      }
      bucket = this.#next(bucket);
    }
    return 0;
  }

  /**
   * The values of all entries of a chain.
   *
   * @param head Its first bucket.
   * @returns Their words, value by value.
   */
  values(head: number): number[] {
    const { entryWords } = this.#layout;
    const values: number[] = [];
    this.#each(head, (bucket, entry) => {
      const at = this.#at(bucket, entry);
      for (let word = this.#keyWords; word < entryWords; word++) {
        values.push(this.#words[at + word] as number);
      }
    });
    return values;
  }

  /**
   * Puts a value in, in the place of the key's old one if it has one.
   *
   * @param head The chain's first bucket.
   * @param key The key, from its start.
   * @param value The value, from its start.
   * @returns What became of it.
   */
  assign(head: number, key: Int32Array, value: Int32Array): Assigned {
    const words = this.#words;
    const keyWords = this.#keyWords;
    const at = this.find(head, key);
    const [bucket, entry] = [this.#bucket, this.#entry];
    if (at !== 0 && this.#slack === 0) {
      Atomics.store(words, at + keyWords, value[0] as number);
      return REPLACED;
    }
    if (at === 0) return this.#insert(head, key, 0, value, 0) ? ADDED : FULL;
    // In the same bucket it takes the old one's place at once.
    const free = this.#free(bucket);
    if (free >= 0) {
      this.#write(bucket, free, key, 0, value, 0);
      this.#commit(head, bucket, 1 << free, 1 << entry);
      return REPLACED;
    }
    // There is a place: the one that stays free.
    if (!this.#place(head, 0, key, 0, value, 0)) return FULL;
    this.#commit(head, bucket, 0, 1 << entry);
    return REPLACED;
  }

  /**
   * Takes a key out.
   *
   * @param head The chain's first bucket.
   * @param key The key, from its start.
   * @returns Whether it was there.
   */
  remove(head: number, key: Int32Array): boolean {
    if (this.find(head, key) === 0) return false;
    this.#commit(head, this.#bucket, 0, 1 << this.#entry);
    if (this.#bucket !== head) this.#unlinkEmpty(head);
    return true;
  }

  /**
   * Gives a bucket's keys that belong to the next new one to that, if there is room. For who has locked the bucket, and is
   * the only one that splits any.
   *
   * @param me The calling thread.
   * @param from The bucket's number.
   * @param buckets How many there are: the number of the new one.
   */
  split(me: Waiter, from: number, buckets: number): void {
    const words = this.#words;
    const { first, bucketWords } = this.#layout;
    const old = bucketAt(from, bucketWords);
    const fresh = bucketAt(buckets, bucketWords);
    const before = Atomics.exchange(words, fresh + OWNER, me.id);
    // Somebody has begun with it, and died.
    if (before !== 0) this.#clear(fresh);
    if (before !== 0) this.#reclaim(fresh, buckets);
    let fits = true;
    this.#each(old, (bucket, entry) => {
      const at = this.#at(bucket, entry);
      if (placeOf(this.#hasher.hash(words, at), buckets + 1) !== buckets || !fits) return;
      fits = this.#insert(fresh, words, at, words, at + this.#keyWords);
    });
    if (!fits) this.#clear(fresh);
    else {
      Atomics.store(words, GROWN, buckets + 1 - first);
      this.#sweep(old, from, buckets + 1);
      this.#pull(old);
    }
    Atomics.store(words, fresh + OWNER, 0);
  }

  /**
   * Puts a chain in order whose owner has died.
   *
   * @param place Its number.
   * @param buckets How many buckets there are.
   */
  repair(place: number, buckets: number): void {
    const head = bucketAt(place, this.#layout.bucketWords);
    this.#commit(head, head, 0, 0);
    this.#sweep(head, place, buckets);
    this.#each(head, (bucket, entry) => {
      // The first one counts.
      const at = this.#at(bucket, entry);
      this.find(head, this.#words.subarray(at, at + this.#keyWords));
      if (this.#bucket === bucket && this.#entry === entry) return;
      this.#commit(head, bucket, 0, 1 << entry);
    });
    this.#unlinkEmpty(head);
    this.#reclaim(head, place);
  }

  #at(bucket: number, entry: number): number {
    return bucket + ENTRIES + entry * this.#layout.entryWords;
  }

  #hasKey(at: number, key: Int32Array): boolean {
    for (let word = 0; word < this.#keyWords; word++) {
      if (this.#words[at + word] !== key[word]) return false;
    }
    return true;
  }

  /** The next bucket of a chain; 0: there is none. */
  #next(bucket: number): number {
    const { most, all, bucketWords } = this.#layout;
    const next = this.#words[bucket + NEXT] as number;
    return next >= most && next < all ? bucketAt(next, bucketWords) : 0;
  }

  /** Calls a function with each entry of a chain as it is when it comes to it. */
  #each(head: number, body: (bucket: number, entry: number) => void): void {
    for (let bucket = head, left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      const present = (this.#words[bucket + META] as number) & this.#mask;
      for (let entry = 0; present >>> entry !== 0; entry++) {
        if ((present & (1 << entry)) !== 0) body(bucket, entry);
      }
      bucket = this.#next(bucket);
    }
  }

  /** A place of a bucket where no entry is; -1: there is none. */
  #free(bucket: number): number {
    const free = ~(this.#words[bucket + META] as number) & this.#mask;
    return free === 0 ? -1 : 31 - Math.clz32(free & -free);
  }

  #write(
    bucket: number,
    entry: number,
    key: Int32Array,
    keyFrom: number,
    value: Int32Array,
    valueFrom: number,
  ): void {
    const words = this.#words;
    const keyWords = this.#keyWords;
    const { entryWords } = this.#layout;
    const at = this.#at(bucket, entry);
    for (let word = 0; word < keyWords; word++) {
      Atomics.store(words, at + word, key[keyFrom + word] as number);
    }
    for (let word = keyWords; word < entryWords; word++) {
      Atomics.store(words, at + word, value[valueFrom + word - keyWords] as number);
    }
  }

  /** Entries come and go, at once; then the chain has another version. */
  #commit(head: number, bucket: number, come: number, go: number): void {
    const words = this.#words;
    const meta = words[bucket + META] as number;
    Atomics.store(words, bucket + META, (((meta | come) & ~go) + VERSION_UNIT) | 0);
    if (bucket !== head) this.#commit(head, head, 0, 0);
  }

  /** How many places of a chain are free, up to two. */
  #room(head: number): number {
    let room = 0;
    for (let bucket = head, left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      const free = ~(this.#words[bucket + META] as number) & this.#mask;
      if (free !== 0) room += (free & (free - 1)) === 0 ? 1 : 2;
      if (room >= 2) return 2;
      bucket = this.#next(bucket);
    }
    return room;
  }

  /** Puts an entry where there is room, if so many places stay free. */
  #place(
    head: number,
    slack: number,
    key: Int32Array,
    keyFrom: number,
    value: Int32Array,
    valueFrom: number,
  ): boolean {
    if (slack > 0 && this.#room(head) <= slack) return false;
    for (let bucket = head, left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      const free = this.#free(bucket);
      if (free >= 0) {
        this.#write(bucket, free, key, keyFrom, value, valueFrom);
        this.#commit(head, bucket, 1 << free, 0);
        return true;
      }
      bucket = this.#next(bucket);
    }
    return false;
  }

  /** Puts an entry where there is room, or in another bucket. */
  #insert(
    head: number,
    key: Int32Array,
    keyFrom: number,
    value: Int32Array,
    valueFrom: number,
  ): boolean {
    if (this.#place(head, this.#slack, key, keyFrom, value, valueFrom)) return true;
    const words = this.#words;
    let last = head;
    for (let left = this.#layout.all; left > 0; left--) {
      const next = this.#next(last);
      if (next === 0) break;
      last = next;
    }
    const { bucketWords } = this.#layout;
    const spare = this.#claim(1 + (head - bucketAt(0, bucketWords)) / bucketWords);
    if (spare === 0) return false;
    const bucket = bucketAt(spare, bucketWords);
    Atomics.store(words, bucket + NEXT, 0);
    this.#write(bucket, 0, key, keyFrom, value, valueFrom);
    const meta = (words[bucket + META] as number) & ~ENTRY_MASK;
    Atomics.store(words, bucket + META, ((meta | 1) + VERSION_UNIT) | 0);
    Atomics.store(words, last + NEXT, spare);
    this.#commit(head, head, 0, 0);
    return true;
  }

  /** Takes a spare bucket. Returns its number; 0: there is none. */
  #claim(owner: number): number {
    const words = this.#words;
    const { most, all, bucketWords } = this.#layout;
    const spares = all - most;
    const start = Atomics.load(words, CURSOR) >>> 0;
    for (let step = 0; step < spares; step++) {
      const spare = most + (start + step) % spares;
      const at = bucketAt(spare, bucketWords) + OWNER;
      if (Atomics.load(words, at) !== 0) continue;
      if (Atomics.compareExchange(words, at, 0, owner) !== 0) continue;
      Atomics.store(words, CURSOR, (spare - most + 1) % spares);
      return spare;
    }
    return 0;
  }

  /** Takes out what does not belong to a bucket, of so many. */
  #sweep(head: number, place: number, buckets: number): void {
    const words = this.#words;
    for (let bucket = head, left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      const present = (words[bucket + META] as number) & this.#mask;
      let go = 0;
      for (let entry = 0; present >>> entry !== 0; entry++) {
        if ((present & (1 << entry)) === 0) continue;
        const hash = this.#hasher.hash(words, this.#at(bucket, entry));
        if (placeOf(hash, buckets) !== place) go |= 1 << entry;
      }
      if (go !== 0) this.#commit(head, bucket, 0, go);
      bucket = this.#next(bucket);
    }
  }

  /** Moves entries to where there is room nearer to the chain's start. */
  #pull(head: number): void {
    const words = this.#words;
    let room = head;
    this.#each(head, (bucket, entry) => {
      while (room !== bucket && room !== 0 && this.#free(room) < 0) room = this.#next(room);
      if (room === bucket || room === 0) return;
      const free = this.#free(room);
      const at = this.#at(bucket, entry);
      this.#write(room, free, words, at, words, at + this.#keyWords);
      this.#commit(head, room, 1 << free, 0);
      this.#commit(head, bucket, 0, 1 << entry);
    });
    this.#unlinkEmpty(head);
  }

  /** Gives spare buckets back in which nothing is. */
  #unlinkEmpty(head: number): void {
    const words = this.#words;
    let last = head;
    for (let bucket = this.#next(head), left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      const next = this.#next(bucket);
      const isEmpty = ((words[bucket + META] as number) & this.#mask) === 0;
      // Its own places are free; others have to be, too, where some stay free.
      if (!isEmpty || (this.#slack > 0 && !this.#hasRoomBeside(head, bucket))) last = bucket;
      else {
        Atomics.store(words, last + NEXT, words[bucket + NEXT] as number);
        this.#commit(head, head, 0, 0);
        Atomics.store(words, bucket + OWNER, 0);
      }
      bucket = next;
    }
  }

  /** Whether a place is free in another bucket of a chain. */
  #hasRoomBeside(head: number, spare: number): boolean {
    for (let bucket = head, left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      if (bucket !== spare && this.#free(bucket) >= 0) return true;
      bucket = this.#next(bucket);
    }
    return false;
  }

  /** Empties a chain that nobody looks into. */
  #clear(head: number): void {
    for (let bucket = head, left = this.#layout.all; bucket !== 0 && left > 0; left--) {
      this.#commit(head, bucket, 0, ENTRY_MASK);
      bucket = this.#next(bucket);
    }
    this.#unlinkEmpty(head);
  }

  /** Gives spare buckets back that somebody took for a chain, and that are not in it. */
  #reclaim(head: number, place: number): void {
    const words = this.#words;
    const { most, all, bucketWords } = this.#layout;
    const linked = new Set<number>();
    for (let bucket = head; bucket !== 0 && !linked.has(bucket);) {
      linked.add(bucket);
      bucket = this.#next(bucket);
    }
    for (let spare = most; spare < all; spare++) {
      const bucket = bucketAt(spare, bucketWords);
      if (linked.has(bucket) || Atomics.load(words, bucket + OWNER) !== place + 1) continue;
      Atomics.store(words, bucket + OWNER, 0);
    }
  }
}
