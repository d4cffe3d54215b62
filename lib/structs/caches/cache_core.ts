/**
 * A cache that threads share: reads take no lock, and a thread that dies in a write costs what is in one shard.
 *
 * The picture is in `cache_table.ts`, what stays and what goes in `cache_queues.ts`. A key's hash leads to a shard and, in
 * there, to a bucket of 15 places; a place with the right bits of the hash leads to an entry, which has the key.
 *
 * Reads. A shard has a version, which is odd while somebody writes in it. A reader takes the version, looks for the key,
 * copies the value, and looks at the version again: the same even one means that nothing was written meanwhile. What it
 * does before that is bounded by what it knows itself: places and lengths are compared with the shard's size. After several
 * attempts it takes the shard as a writer does, and reads then: so a large value can be read while others write all the
 * time. A hit sets the frequency of its place, a word in the line that it has looked at, unless that is at its greatest.
 * This has no order: two at the same moment may lose one. Frequencies decide about nothing but what goes first.
 *
 * Writes. A writer takes the shard's owner word, counts the version up to an odd number, writes as it likes, and counts it
 * up again. Others find the word taken, spin, and nap for a millisecond at a time; nobody is ever woken.
 *
 * Death. A thread that finds the owner dead takes the word from it. Where the version is odd the dead one was in a write,
 * and the shard is emptied before anything else, still under the odd version: it is a cache, nothing in it was promised to
 * stay. A thread that dies in that leaves an odd version again. Where the version is even all is whole. No reader sees what
 * a dead thread left half done, because the version is odd until the shard is empty.
 *
 * One computes. The thread that computes a missing key's value takes a flight of the shard, in the shard's lock: two words,
 * the hash and its id. Others that miss find it, and wait to be woken: they set their bell, look once more, and sleep. The
 * flight ends with one compare-exchange of the id, without the lock, as nobody else takes the id of a living thread; then
 * all bells are rung. Either that look comes after the end of the flight, and finds none; or the bell comes before it, and
 * is rung. A flight of a dead thread counts as free, and sleepers look for that once a second. Two keys with the same hash
 * share a flight: with 32 bits that hardly happens, and costs time alone.
 *
 * Costs: a read two looks at the version with order, and plain loads of 15 places at most and of an entry's header and key;
 * a write four atomics, and a load.
 *
 * On arm64 plain loads may come after a later load, and plain stores before an earlier store. There a reader's second look
 * is a compare-exchange, over which no load moves down, and a writer loads the version after it has stored the odd one.
 *
 * Wrap-around: a read that sleeps for exactly 2^31 writes of its shard would take what it saw for whole.
 *
 * @module
 */
import { isX64 } from "../../runtime/engine.ts";
import { loadShared } from "../../wait/loads.ts";
import { ID_MASK, type Wait, type Waiter } from "../../wait/waiter.ts";
import { BUSY, Flights } from "./cache_flights.ts";
import { Queues, type ShardCounts } from "./cache_queues.ts";
import {
  BUCKET_WORDS,
  BUCKETS_AT,
  type CacheLayout,
  ENTRIES,
  EXPIRY_LOW,
  EXPIRY_SHIFT,
  GRANULE_WORDS,
  GRANULES,
  granulesOf,
  HASH,
  KEY_BYTES,
  MAX_FREQUENCY,
  MAX_KEY_BYTES,
  OWNER,
  PLACES,
  RESETS,
  TAIL,
  TO_MAIN,
  USED,
  VALUE_BYTES,
  VERSION,
  WRITES,
} from "./cache_table.ts";

/** Between two looks of a writer, in milliseconds. */
const NAP_MS = 1;
/** Between two looks of a thread that waits for a computation, in milliseconds, unless it is woken. */
const LOOK_MS = 1000;

// What a look for a key finds.
/** There is none. */
export const NONE = 0;
/** There is one. */
export const FOUND = 1;
/** Somebody writes: look again. */
export const AGAIN = 2;

// What becomes of a thread that misses: as of Flights, and
/** The value is there. */
export const THERE = 3;

/** The algorithm of `Cache`, for one node's part. */
export class CacheCore {
  readonly #words: Int32Array;
  readonly #layout: CacheLayout;
  readonly #queues: Queues;
  readonly #flights: Flights;
  readonly #now: () => number;
  readonly #granules: number;
  readonly #placeBits: number;
  readonly #placeMask: number;
  /** What was found last: its shard, that shard's version, its bucket, the number of its place and the entry. */
  #base = 0;
  #version = 0;
  #bucket = 0;
  #place = 0;
  #entry = 0;
  /** Of what was found last: the length of the value. */
  valueBytes = 0;
  /** Of what was found last: the index of the value's first word. */
  valueAt = 0;
  /** Whether the last {@linkcode CacheCore.place} took the place of a value whose time was not over. */
  replaced = false;

  /**
   * @param words The part's words: zero at first.
   * @param layout Where everything is.
   * @param now The time that expiries are compared with: an integer below 2^48.
   */
  constructor(words: Int32Array, layout: CacheLayout, now: () => number) {
    this.#words = words;
    this.#layout = layout;
    this.#queues = new Queues(words, layout, now);
    this.#flights = new Flights(words, layout);
    this.#now = now;
    this.#granules = layout.small + layout.main;
    this.#placeBits = 32 - Math.clz32(this.#granules);
    this.#placeMask = -1 >>> Math.clz32(this.#granules);
  }

  // Reading

  /**
   * Looks for a key without a lock. What it finds counts if {@linkcode CacheCore.isWhole} says so after the value was
   * copied.
   *
   * @param hash Its hash.
   * @param key The key, from its start.
   * @param keyBytes How long it is.
   * @returns {@linkcode FOUND}, {@linkcode NONE} or {@linkcode AGAIN}.
   */
  seek(hash: number, key: Int32Array, keyBytes: number): number {
    const base = this.#baseOf(hash);
    const version = loadShared(this.#words, base + VERSION);
    this.#base = base;
    this.#version = version;
    if ((version & 1) !== 0) return AGAIN;
    return this.#find(hash, key, keyBytes);
  }

  /**
   * Whether nothing has been written to the shard since {@linkcode CacheCore.seek}.
   *
   * @returns Whether that is so.
   */
  isWhole(): boolean {
    const words = this.#words;
    const version = this.#version;
    const at = this.#base + VERSION;
    if (!isX64) return Atomics.compareExchange(words, at, version, version) === version;
    return loadShared(words, at) === version;
  }

  /**
   * When the time of what was found is over. To be asked before {@linkcode CacheCore.isWhole}.
   *
   * @returns The time; 0: never.
   */
  expiry(): number {
    return this.#queues.expiryAt(this.#entry);
  }

  /** Remembers that what was found was read. */
  touch(): void {
    const words = this.#words;
    const shift = 2 * (this.#place - 1);
    const word = words[this.#bucket] as number;
    if (((word >>> shift) & 3) < MAX_FREQUENCY) words[this.#bucket] = (word + (1 << shift)) | 0;
  }

  // The lock of a shard

  /**
   * Locks the shard of a hash, if nobody else has it for long.
   *
   * @param me The calling thread, which has locked none.
   * @param hash The hash.
   * @returns Whether it has.
   */
  lock(me: Waiter, hash: number): boolean {
    const base = this.#baseOf(hash);
    if (this.#tryLock(me, base)) return true;
    for (let round = 0; me.spin(round); round++) if (this.#tryLock(me, base)) return true;
    return false;
  }

  /**
   * Locks the shard of a hash, and naps while somebody else has it.
   *
   * @param me The calling thread, which has locked none.
   * @param hash The hash.
   * @returns Whether it has.
   */
  *wait(me: Waiter, hash: number): Wait<boolean> {
    const base = this.#baseOf(hash);
    for (let over = false;;) {
      if (this.#tryLock(me, base)) return true;
      if (over) return false;
      over = yield NAP_MS;
    }
  }

  /** Unlocks the shard that this thread has locked. */
  unlock(): void {
    Atomics.store(this.#words, this.#base + OWNER, 0);
  }

  /**
   * Looks for a key in the shard that this thread has locked. What it finds stays until the shard is unlocked.
   *
   * @param hash Its hash.
   * @param key The key, from its start.
   * @param keyBytes How long it is.
   * @returns Whether it is there.
   */
  find(hash: number, key: Int32Array, keyBytes: number): boolean {
    return this.#find(hash, key, keyBytes) === FOUND;
  }

  // Writing, in the shard that this thread has locked

  /**
   * Begins to write an entry: all but its value. To be followed by {@linkcode CacheCore.commit}, or by
   * {@linkcode CacheCore.reset}.
   *
   * @param hash The key's hash.
   * @param key The key, from its start.
   * @param keyBytes How long it is.
   * @param valueBytes How long the value is: key and value are no more than {@linkcode CacheLayout.most} granules.
   * @param expiry When its time is over; 0: never.
   * @returns The index of the value's first word.
   */
  place(
    hash: number,
    key: Int32Array,
    keyBytes: number,
    valueBytes: number,
    expiry: number,
  ): number {
    const words = this.#words;
    const queues = this.#queues;
    const { small, dataAt } = this.#layout;
    const need = granulesOf(keyBytes, valueBytes);
    this.#begin();
    const base = this.#base;
    const state = this.#find(hash, key, keyBytes);
    const found = state === FOUND;
    if (state === AGAIN) this.reset();
    this.replaced = found && !this.isOver();
    let place = this.#place;
    let entry = this.#entry;
    let granule = (entry - base - dataAt) / GRANULE_WORDS;
    if (!found || granulesOf(keyBytes, this.valueBytes) !== need) {
      const toMain = (found && granule >= small) || need * 2 > small ||
        (!found && queues.takeGhost(base, hash));
      if (found) queues.free(base, this.#bucket, place);
      granule = queues.append(base, toMain, need);
      if (!(granule >= 0 && granule + need <= this.#granules)) {
        this.reset();
        queues.append(base, toMain, need);
        granule = toMain ? small : 0;
      }
      entry = base + dataAt + granule * GRANULE_WORDS;
      const bucket = queues.bucketOf(base, hash);
      if (!found) {
        place = queues.freePlace(bucket, base);
        queues.setFrequency(bucket, place, 0);
      }
      words[bucket + place] = this.#tagOf(hash) | (granule + 1);
      words[entry + HASH] = hash;
      const keyWords = (keyBytes + 3) >>> 2;
      for (let word = 0; word < keyWords; word++) {
        words[entry + GRANULE_WORDS + word] = key[word] as number;
      }
      words[base + ENTRIES] = (words[base + ENTRIES] as number) + 1;
      words[base + GRANULES] = (words[base + GRANULES] as number) + need;
    }
    words[entry + KEY_BYTES] = keyBytes | (Math.floor(expiry / 2 ** 32) << EXPIRY_SHIFT);
    words[entry + VALUE_BYTES] = valueBytes;
    words[entry + EXPIRY_LOW] = expiry | 0;
    queues.count(base + WRITES);
    return entry + GRANULE_WORDS + ((keyBytes + 3) >>> 2);
  }

  /** What was written can be read from now on. */
  commit(): void {
    const words = this.#words;
    Atomics.store(words, this.#base + VERSION, (this.#version + 2) & ~1);
  }

  /**
   * Takes a key out.
   *
   * @param hash Its hash.
   * @param key The key, from its start.
   * @param keyBytes How long it is.
   * @returns Whether it was there, and its time not over.
   */
  remove(hash: number, key: Int32Array, keyBytes: number): boolean {
    if (!this.find(hash, key, keyBytes)) return false;
    const isOver = this.isOver();
    this.#begin();
    this.#queues.free(this.#base, this.#bucket, this.#place);
    this.commit();
    return !isOver;
  }

  /** Takes all out. */
  clear(): void {
    this.#begin();
    this.#empty();
    this.commit();
  }

  /** Takes all out because something is wrong with it. A write that has begun goes on, in an empty shard. */
  reset(): void {
    const words = this.#words;
    const at = this.#base + RESETS;
    words[at] = ((words[at] as number) + 1) | 0;
    this.#empty();
  }

  /**
   * Whether the time of what was found is over.
   *
   * @returns Whether it is.
   */
  isOver(): boolean {
    const expiry = this.expiry();
    return expiry !== 0 && expiry <= this.#now();
  }

  // Computations

  /**
   * Ends the flight of a key, if this thread has it, and wakes who waits.
   *
   * @param me The calling thread, which need not have locked anything.
   * @param owner Its id, as one that computes.
   * @param hash The key's hash.
   */
  land(me: Waiter, owner: number, hash: number): void {
    this.#flights.land(me, owner, this.#baseOf(hash), hash);
  }

  /**
   * Waits until a key has a value, or until this thread is the one that computes it.
   *
   * @param me The wait, with a slot below the number of bells.
   * @param owner The thread's id, as one that computes.
   * @param hash The key's hash.
   * @param key The key, from its start: its own copy.
   * @param keyBytes How long it is.
   * @returns {@linkcode THERE}, {@linkcode MINE}, {@linkcode FULL}; {@linkcode BUSY} if it has given up.
   */
  *join(
    me: Waiter,
    owner: number,
    hash: number,
    key: Int32Array,
    keyBytes: number,
  ): Wait<number> {
    const base = this.#baseOf(hash);
    for (let over = false;;) {
      let napMs = NAP_MS;
      // Before it looks: who ends the flight after that look rings it.
      this.#flights.listen(me);
      if (this.lock(me, hash)) {
        const isThere = this.find(hash, key, keyBytes) && !this.isOver();
        const answer = isThere ? THERE : over ? BUSY : this.#flights.claim(me, owner, base, hash);
        this.unlock();
        if (answer !== BUSY) return answer;
        napMs = LOOK_MS;
      }
      if (over) return BUSY;
      over = yield napMs;
    }
  }

  /**
   * Ends that a thread's waits are woken.
   *
   * @param me The waits.
   */
  muffle(me: Waiter): void {
    this.#flights.muffle(me);
  }

  // All shards

  /** How many shards there are. */
  get shards(): number {
    return 2 ** this.#layout.bits;
  }

  /**
   * A hash that leads to a shard.
   *
   * @param shard The shard's number.
   * @returns The hash.
   */
  hashOf(shard: number): number {
    return shard === 0 ? 0 : (shard << (32 - this.#layout.bits)) | 0;
  }

  /**
   * Adds up what was counted, of all shards, at about the same moment.
   *
   * @param counts What is added to.
   */
  addCounts(counts: ShardCounts): void {
    for (let shard = 0; shard < this.shards; shard++) {
      this.#queues.addCounts(this.#baseOf(this.hashOf(shard)), counts);
    }
  }

  /** The shard of a hash. */
  #baseOf(hash: number): number {
    const { first, bits, words } = this.#layout;
    // In two steps: a shift by 32 is none.
    return first + ((hash >>> 1) >>> (31 - bits)) * words;
  }

  /** What of a hash is in a place. */
  #tagOf(hash: number): number {
    return (Math.imul(hash, 0x9e3779b1) >>> this.#placeBits) << this.#placeBits;
  }

  #find(hash: number, key: Int32Array, keyBytes: number): number {
    const words = this.#words;
    const base = this.#base;
    const mask = this.#placeMask;
    const granules = this.#granules;
    const bucket = base + BUCKETS_AT + (hash & (this.#layout.buckets - 1)) * BUCKET_WORDS;
    const tag = this.#tagOf(hash);
    const keyWords = (keyBytes + 3) >>> 2;
    for (let place = 1; place <= PLACES; place++) {
      const word = words[bucket + place] as number;
      if (((word ^ tag) & ~mask) !== 0) continue;
      const granule = (word & mask) - 1;
      if (granule < 0 || granule >= granules) continue;
      const entry = base + this.#layout.dataAt + granule * GRANULE_WORDS;
      if (words[entry + HASH] !== hash) continue;
      if (((words[entry + KEY_BYTES] as number) & MAX_KEY_BYTES) !== keyBytes) continue;
      const from = entry + GRANULE_WORDS;
      let at = 0;
      while (at < keyWords && words[from + at] === key[at]) at++;
      if (at < keyWords) continue;
      const valueBytes = words[entry + VALUE_BYTES] as number;
      const size = valueBytes < 0 ? Infinity : granulesOf(keyBytes, valueBytes);
      if (size > this.#layout.most || granule + size > granules) return AGAIN;
      this.#bucket = bucket;
      this.#place = place;
      this.#entry = entry;
      this.valueBytes = valueBytes;
      this.valueAt = from + keyWords;
      return FOUND;
    }
    return NONE;
  }

  /** Says that it writes. */
  #begin(): void {
    const words = this.#words;
    const at = this.#base + VERSION;
    this.#version = Atomics.load(words, at) & ~1;
    Atomics.store(words, at, this.#version | 1);
    // No store moves up over a load.
    if (!isX64) Atomics.load(words, at);
  }

  /** Empties the shard: flights go on, and what was counted stays. */
  #empty(): void {
    const words = this.#words;
    const base = this.#base;
    words[base + TAIL] = 0;
    words[base + USED] = 0;
    words[base + TO_MAIN + TAIL] = 0;
    words[base + TO_MAIN + USED] = 0;
    words[base + ENTRIES] = 0;
    words[base + GRANULES] = 0;
    const from = base + BUCKETS_AT;
    const end = from + this.#layout.buckets * BUCKET_WORDS;
    for (let at = from; at < end; at++) words[at] = 0;
  }

  #tryLock(me: Waiter, base: number): boolean {
    const words = this.#words;
    if (!this.#take(me, base + OWNER)) return false;
    this.#base = base;
    const isTorn = (Atomics.load(words, base + VERSION) & 1) !== 0;
    if (isTorn || !this.#queues.isSound(base)) {
      this.#begin();
      this.reset();
      this.commit();
    }
    return true;
  }

  /** Takes an owner's word, unless a living thread has it. */
  #take(me: Waiter, at: number): boolean {
    const words = this.#words;
    let owner = Atomics.compareExchange(words, at, 0, me.id);
    while (owner !== 0) {
      if (me.alive(owner & ID_MASK)) return false;
      const found = Atomics.compareExchange(words, at, owner, me.id);
      if (found === owner) return true;
      owner = found === 0 ? Atomics.compareExchange(words, at, 0, me.id) : found;
    }
    return true;
  }
}
