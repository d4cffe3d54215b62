/**
 * A hash map that threads share: reads take no lock, writes lock a chain of buckets, and it grows a bucket at a time.
 *
 * The picture is in `map_table.ts`. A reader looks at how many buckets there are and at the version of the one that the key
 * belongs to, at the entries, and at the version again: the same one means that no place has held two things meanwhile
 * (`map_chains.ts`). If it did not find the key it also looks whether the map has grown, as the key may have gone to the new
 * bucket. Writers of a chain exclude each other by the owner's word, hold it for some hundred nanoseconds, and nap for a
 * millisecond at a time when they find it taken for longer, so nobody is ever woken.
 *
 * Growth. Whoever has to take a spare bucket for a chain splits one bucket afterwards, the next one in turn, unless
 * somebody else does. The splitting thread fills the new bucket, which nobody knows of, says that it is there, and takes
 * out of the old one what has moved. Readers who look into the old one find the entry there until then, and look again
 * after that. So nobody waits for more than one bucket's split, and readers for none.
 *
 * Death. A thread that dies leaves a chain that readers can read, and its next owner puts it in order. A write was
 * completed then or has not happened.
 *
 * Reads are linearizable, and so are writes of a key; lock-free and blocking. Costs: a read takes two looks with order and
 * a plain load for each place of the key's bucket, and writes nothing shared. A write takes the owner's word, stores the
 * words of the entry and `meta`, and gives the word back.
 *
 * Wrap-around: a read that sleeps for exactly 2^24 writes of its chain would take what it saw for whole.
 *
 * Buckets as cache lines after CLHT (David, Guerraoui and Trigonakis, ASPLOS 2015); linear hashing after Litwin (1980).
 *
 * @module
 */
import { fence, glance, loadFollowing, loadShared } from "../../wait/loads.ts";
import type { Wait, Waiter } from "../../wait/waiter.ts";
import type { Hasher } from "./hashers.ts";
import { type Assigned, Chains } from "./map_chains.ts";
import {
  bucketAt,
  ENTRIES,
  ENTRY_MASK,
  GROWER,
  GROWN,
  type MapLayout,
  META,
  NEXT,
  OWNER,
  placeOf,
} from "./map_table.ts";

/** Between two looks of a writer, in milliseconds. */
const NAP_MS = 1;
/** Keys that are looked at together. */
export const BATCH = 16;

/** What it needs to know of a map. */
export interface MapCoreOptions {
  readonly layout: MapLayout;
  readonly keyWords: number;
  readonly hasher: Hasher;
}

/** The algorithm of `HashMap`. */
export class MapCore {
  readonly #words: Int32Array;
  readonly #hasher: Hasher;
  readonly #chains: Chains;
  readonly #keyWords: number;
  readonly #entryWords: number;
  readonly #bucketWords: number;
  readonly #entries: number;
  readonly #mask: number;
  readonly #first: number;
  /** How many buckets can be added. */
  readonly #added: number;
  readonly #most: number;
  readonly #all: number;
  /** The first bucket of the chain that this thread has locked; 0: none. */
  #head = 0;
  /** Of the last {@linkcode MapCore.seek}: where the chain begins, how it was, and how many buckets had been added. */
  #seenHead = 0;
  #seenMeta = 0;
  #seenGrown = 0;
  /** Of a batch: where its chains begin, and how they were. */
  readonly #heads = new Int32Array(BATCH);
  readonly #metas = new Int32Array(BATCH);
  readonly #entry: Int32Array;

  /**
   * @param words Its memory: zero at first.
   * @param options What is known of it.
   */
  constructor(words: Int32Array, { layout, keyWords, hasher }: MapCoreOptions) {
    this.#words = words;
    this.#hasher = hasher;
    this.#chains = new Chains(words, layout, keyWords, hasher);
    this.#keyWords = keyWords;
    this.#entryWords = layout.entryWords;
    this.#bucketWords = layout.bucketWords;
    this.#entries = layout.entries;
    this.#mask = ENTRY_MASK >>> (8 - layout.entries);
    this.#first = layout.first;
    this.#added = layout.most - layout.first;
    this.#most = layout.most;
    this.#all = layout.all;
    this.#entry = new Int32Array(layout.entryWords);
  }

  /**
   * Reads a key's value.
   *
   * @param key Where the key is.
   * @param from The index of its first word.
   * @param value Where the value goes; holds anything when there is none.
   * @param to The index of its first word.
   * @returns Whether there is one.
   */
  get(key: Int32Array, from: number, value: Int32Array, to: number): boolean {
    const words = this.#words;
    const hash = this.#hasher.hash(key, from);
    for (;;) {
      const grown = loadShared(words, GROWN);
      const head = bucketAt(placeOf(hash, this.#buckets(grown)), this.#bucketWords);
      const meta = glance(words, head + META);
      const found = this.#look(head, meta, key, from, value, to);
      if (loadShared(words, head + META) !== meta) continue;
      if (found || loadFollowing(words, GROWN) === grown) return found;
    }
  }

  /**
   * Looks for a key, for a reader that has more to copy, to which the value refers. What it finds counts if {@linkcode
   * MapCore.isWhole} says so after that.
   *
   * @param key The key, from its start.
   * @param value Where the value goes, from its start.
   * @returns Whether there is one.
   */
  seek(key: Int32Array, value: Int32Array): boolean {
    const words = this.#words;
    const grown = loadShared(words, GROWN);
    const place = placeOf(this.#hasher.hash(key, 0), this.#buckets(grown));
    const head = bucketAt(place, this.#bucketWords);
    const meta = glance(words, head + META);
    this.#seenGrown = grown;
    this.#seenHead = head;
    this.#seenMeta = meta;
    return this.#look(head, meta, key, 0, value, 0);
  }

  /**
   * Whether the chain of the last {@linkcode MapCore.seek} is as it was: nothing that was in it has been given back since.
   *
   * @returns Whether it is.
   */
  isWhole(): boolean {
    const words = this.#words;
    if (loadShared(words, this.#seenHead + META) !== this.#seenMeta) return false;
    // Once a bucket is split, the key may be written to in the new one while it still is in the old one.
    return loadFollowing(words, GROWN) === this.#seenGrown;
  }

  /**
   * Reads the values of up to {@linkcode BATCH} keys. All chains are asked for before any is looked at, so the machine
   * fetches them at the same time; and two looks with order are enough for all.
   *
   * @param keys The keys, one after the other.
   * @param count How many.
   * @param values Where the values go, in the same places; where there is none, it holds anything.
   * @returns A bit for each key: whether it has a value.
   */
  getBatch(keys: Int32Array, count: number, values: Int32Array): number {
    const words = this.#words;
    const keyWords = this.#keyWords;
    const valueWords = this.#entryWords - keyWords;
    const heads = this.#heads;
    const metas = this.#metas;
    const grown = loadShared(words, GROWN);
    const buckets = this.#buckets(grown);
    for (let index = 0; index < count; index++) {
      const hash = this.#hasher.hash(keys, index * keyWords);
      const head = bucketAt(placeOf(hash, buckets), this.#bucketWords);
      heads[index] = head;
      metas[index] = glance(words, head + META);
    }
    let found = 0;
    for (let index = 0; index < count; index++) {
      const head = heads[index] as number;
      const meta = metas[index] as number;
      const has = this.#look(head, meta, keys, index * keyWords, values, index * valueWords);
      if (has) found |= 1 << index;
    }
    fence();
    // After the fence each word is looked at as often as there are keys of its chain: any of these looks will do.
    const isSame = glance(words, GROWN) === grown;
    for (let index = 0; index < count; index++) {
      const bit = 1 << index;
      const isWhole = glance(words, (heads[index] as number) + META) === metas[index];
      if (isWhole && (isSame || (found & bit) !== 0)) continue;
      const has = this.get(keys, index * keyWords, values, index * valueWords);
      found = has ? found | bit : found & ~bit;
    }
    return found;
  }

  /**
   * Locks the chain of a key, if nobody else has it for long.
   *
   * @param me The calling thread, which has locked none.
   * @param key Where the key is.
   * @returns Whether it has.
   */
  lock(me: Waiter, key: Int32Array): boolean {
    const hash = this.#hasher.hash(key, 0);
    if (this.#tryLock(me, hash)) return true;
    for (let round = 0; me.spin(round); round++) if (this.#tryLock(me, hash)) return true;
    return false;
  }

  /**
   * Locks the chain of a key, and naps while somebody else has it.
   *
   * @param me The calling thread, which has locked none.
   * @param key Where the key is.
   * @returns Whether it has.
   */
  *wait(me: Waiter, key: Int32Array): Wait<boolean> {
    const hash = this.#hasher.hash(key, 0);
    for (let over = false;;) {
      if (this.#tryLock(me, hash)) return true;
      if (over) return false;
      over = yield NAP_MS;
    }
  }

  /**
   * Locks the chain of a bucket, if nobody else has it.
   *
   * @param me The calling thread, which has locked none.
   * @param place The bucket's number.
   * @returns Whether it has.
   */
  lockBucket(me: Waiter, place: number): boolean {
    return this.#lockPlace(me, place);
  }

  /**
   * The values of all entries of the chain that this thread has locked.
   *
   * @returns Their words, value by value.
   */
  values(): number[] {
    return this.#chains.values(this.#head);
  }

  /** Unlocks the chain that this thread has locked. */
  unlock(): void {
    Atomics.store(this.#words, this.#head + OWNER, 0);
    this.#head = 0;
  }

  /**
   * Whether this thread has locked a chain.
   *
   * @returns Whether it has.
   */
  holds(): boolean {
    return this.#head !== 0;
  }

  /**
   * Reads a key's value, in the chain that this thread has locked.
   *
   * @param key The key, from its start.
   * @param value Where the value goes.
   * @returns Whether there is one.
   */
  read(key: Int32Array, value: Int32Array): boolean {
    const at = this.#chains.find(this.#head, key);
    if (at === 0) return false;
    for (let word = this.#keyWords; word < this.#entryWords; word++) {
      value[word - this.#keyWords] = this.#words[at + word] as number;
    }
    return true;
  }

  /**
   * Puts a value in, in the chain that this thread has locked.
   *
   * @param key The key, from its start.
   * @param value The value, from its start.
   * @returns What became of it.
   */
  assign(key: Int32Array, value: Int32Array): Assigned {
    return this.#chains.assign(this.#head, key, value);
  }

  /**
   * Takes a key out of the chain that this thread has locked.
   *
   * @param key The key, from its start.
   * @returns Whether it was there.
   */
  remove(key: Int32Array): boolean {
    return this.#chains.remove(this.#head, key);
  }

  /**
   * Whether the chain that this thread has locked is longer than a bucket: then {@linkcode MapCore.grow} once it is unlocked.
   *
   * @returns Whether it is.
   */
  isCrowded(): boolean {
    return this.#words[this.#head + NEXT] !== 0;
  }

  /**
   * Makes one bucket more, unless another thread does, or has its entries locked.
   *
   * @param me The calling thread, which has locked no chain.
   */
  grow(me: Waiter): void {
    const words = this.#words;
    if (Atomics.load(words, GROWN) >= this.#added || this.#take(me, GROWER) < 0) return;
    const buckets = this.#buckets(Atomics.load(words, GROWN));
    const from = placeOf(buckets, buckets);
    if (buckets < this.#most && this.#lockPlace(me, from)) {
      this.#chains.split(me, from, buckets);
      this.unlock();
    }
    Atomics.store(words, GROWER, 0);
  }

  /**
   * How many buckets there are.
   *
   * @returns The number at some moment.
   */
  buckets(): number {
    return this.#buckets(Atomics.load(this.#words, GROWN));
  }

  /**
   * Copies the entries of a bucket, and of those that have come of it since: of each chain as it is at one moment, and each
   * key once.
   *
   * @param place The bucket's number.
   * @param buckets How many buckets there were.
   * @returns Their words, entry by entry.
   */
  copy(place: number, buckets: number): number[] {
    const words = this.#words;
    const range = (-1 >>> Math.clz32(buckets)) + 1;
    const isHalf = place < range / 2 && place + range / 2 >= buckets;
    for (;;) {
      const grown = loadShared(words, GROWN);
      const entries: number[] = [];
      const now = this.#buckets(grown);
      for (let at = place; at < now; at += isHalf ? range / 2 : range) {
        this.#copyChain(at, now, entries);
      }
      if (loadShared(words, GROWN) === grown) return entries;
    }
  }

  /** Of what is there twice for a moment the first counts, and in the chain that it belongs to by now. */
  #copyChain(place: number, buckets: number, entries: number[]): void {
    const words = this.#words;
    const entryWords = this.#entryWords;
    const entry = this.#entry;
    const head = bucketAt(place, this.#bucketWords);
    const before = entries.length;
    for (;;) {
      const meta = loadShared(words, head + META);
      let bucket = head;
      for (let left = this.#all; bucket !== 0 && left > 0; left--) {
        let present = (bucket === head ? meta : loadFollowing(words, bucket + META)) & this.#mask;
        for (let at = bucket + ENTRIES; present !== 0; present >>>= 1, at += entryWords) {
          if ((present & 1) === 0) continue;
          for (let word = 0; word < entryWords; word++) {
            entry[word] = loadFollowing(words, at + word);
          }
          const isHere = placeOf(this.#hasher.hash(entry, 0), buckets) === place;
          if (isHere && !this.#isIn(entries, before)) entries.push(...entry);
        }
        bucket = this.#next(bucket);
      }
      if (loadShared(words, head + META) === meta) return;
      entries.length = before;
    }
  }

  /** Whether the entry's key is in a list of entries, from a place on. */
  #isIn(entries: readonly number[], from: number): boolean {
    for (let at = from; at < entries.length; at += this.#entryWords) {
      let word = 0;
      while (word < this.#keyWords && entries[at + word] === this.#entry[word]) word++;
      if (word === this.#keyWords) return true;
    }
    return false;
  }

  /** How many there are, when so many have been added. */
  #buckets(grown: number): number {
    // In memory that any thread can write to: also what nobody has ever added.
    return grown >>> 0 > this.#added ? this.#most : this.#first + grown;
  }

  /** Looks for a key, and copies its value: after a look with order, and before one that tells whether it was whole. */
  #look(
    head: number,
    meta: number,
    key: Int32Array,
    from: number,
    value: Int32Array,
    to: number,
  ): boolean {
    const words = this.#words;
    const keyWords = this.#keyWords;
    const entryWords = this.#entryWords;
    const entries = this.#entries;
    const first = key[from] as number;
    let bucket = head;
    let present = meta & this.#mask;
    for (let left = this.#all;;) {
      // All first words are compared, without a branch: which one it is no processor can foresee.
      let same = 0;
      for (let entry = 0, at = bucket + ENTRIES; entry < entries; entry++, at += entryWords) {
        const differs = glance(words, at) ^ first;
        same |= (((differs | (0 - differs)) >>> 31) ^ 1) << entry;
      }
      for (same &= present; same !== 0; same &= same - 1) {
        const at = bucket + ENTRIES + (31 - Math.clz32(same & -same)) * entryWords;
        let word = 1;
        while (word < keyWords && glance(words, at + word) === key[from + word]) word++;
        if (word < keyWords) continue;
        for (; word < entryWords; word++) value[to + word - keyWords] = glance(words, at + word);
        return true;
      }
      bucket = this.#next(bucket);
      if (bucket === 0 || --left === 0) return false;
      present = glance(words, bucket + META) & this.#mask;
    }
  }

  /** The next bucket of a chain; 0: there is none. */
  #next(bucket: number): number {
    const next = glance(this.#words, bucket + NEXT);
    return next >= this.#most && next < this.#all ? bucketAt(next, this.#bucketWords) : 0;
  }

  #tryLock(me: Waiter, hash: number): boolean {
    for (;;) {
      // Where it was at some moment: it is looked at again once nobody can split the bucket.
      const place = placeOf(hash, this.#buckets(glance(this.#words, GROWN)));
      if (!this.#lockPlace(me, place)) return false;
      if (placeOf(hash, this.buckets()) === place) return true;
      this.unlock();
    }
  }

  #lockPlace(me: Waiter, place: number): boolean {
    const head = bucketAt(place, this.#bucketWords);
    const before = this.#take(me, head + OWNER);
    if (before < 0) return false;
    this.#head = head;
    if (before !== 0) this.#chains.repair(place, this.buckets());
    return true;
  }

  /** Takes an owner's word. Returns 0; 1 where a dead one had it; -1 when a living one has it. */
  #take(me: Waiter, at: number): number {
    const words = this.#words;
    let owner = Atomics.compareExchange(words, at, 0, me.id);
    while (owner !== 0) {
      if (me.alive(owner)) return -1;
      const found = Atomics.compareExchange(words, at, owner, me.id);
      if (found === owner) return 1;
      owner = found === 0 ? Atomics.compareExchange(words, at, 0, me.id) : found;
    }
    return 0;
  }
}
