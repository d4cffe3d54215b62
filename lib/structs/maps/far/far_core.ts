/**
 * The algorithm of a `HashMap` whose keys or values may have any length: entries of `MapCore` that refer to blocks.
 *
 * ```
 *   entry       | key                    | value
 *   short key   | its words              | …
 *   any key     | mark | mark | number   | first block, bytes | …
 *   short value | …                      | its words
 *   any value   | …                      | first block, bytes
 * ```
 *
 * **Keys.** Of a long key the bucket has two marks, which are 64 bits made of all of it: HalfSipHash, by which it is also
 * put into its chain, and a second hash. Two keys with the same marks have different numbers: they are looked for with 0,
 * 1, 2 …, until there is none. As marks are the same, so is the chain, and its lock guards all of them. A key that goes
 * while one with a greater number stays leaves a gap there, an entry that is no key's. So no key's number ever changes, and
 * a reader that goes from number to number misses none that stays. With 2^26 random keys two have the same marks in one
 * map of 8,000.
 *
 * **Reads.** A reader finds the entry, compares the key's blocks and copies the value's, and looks at the chain's version
 * then (`MapCore.isWhole`). The same version means that the entry was there all the time; blocks are given back after their
 * entry has gone, so nothing else was written to them meanwhile. Nobody has to know of readers. What a reader does before it
 * knows is bounded by what it knows itself: blocks' numbers are compared with how many there are, lengths with the most that
 * they hold. After several attempts, as in a chain to which others write all the time, a reader locks the chain.
 *
 * **Writes.** A writer has locked the chain. It writes new blocks, puts its id into the states of old ones, lets the entry
 * refer to the new ones with the one store with which `MapCore` changes a value, and gives the old ones back
 * (`far_heap.ts`). The key's blocks stay as they are when the value changes.
 *
 * **Death.** The entry is the old one or the new one. Blocks that were taken or not given back have the dead thread's id.
 * When there are not enough free ones a writer unlocks and sweeps: for each chain in turn it takes the lock, which puts in
 * order what a dead thread has left in it, and keeps the blocks to which entries refer; then all others of threads that had
 * ended before it began are free. Entries move, when a bucket is split, from a chain to one with a greater number, which it
 * comes to later. A bucket that a thread was splitting when it died, and that is not part of the map yet, has no entry that
 * counts.
 *
 * Costs, beyond what `MapCore` costs: a read a plain load for each word of key and value; a write a compare-exchange for
 * each block, and plain stores.
 *
 * Wrap-around: as for `MapCore`.
 *
 * @module
 */
import type { Wait, Waiter } from "../../../wait/waiter.ts";
import { ADDED, type Assigned, REPLACED } from "../map_chains.ts";
import type { MapCore } from "../map_core.ts";
import { FarBytes, MAX_FAR_KEY, MAX_FAR_VALUE, wordsOf } from "./far_bytes.ts";
import { type FarHeap, NO_BLOCK } from "./far_heap.ts";

/** There are not enough free blocks: nothing has changed. */
export const NO_BLOCKS = 3;
/** Words of a long key in a bucket: two marks and a number. */
export const MARK_WORDS = 3;
const NUMBER = 2;
/** Words that refer to blocks: the first one, and how many bytes. */
export const FAR_WORDS = 2;
const BLOCK = 0;
const BYTES = 1;
/** Stands for the bytes of a key that has gone, while one with a greater number stays. */
const GAP = -1;
/** A sweep was told to end before it was done. */
export const GAVE_UP = -1;
/** How often a reader looks again that has a chain locked, and can lock no other. */
const LONG_PATIENCE = 1000;
/** How often a reader looks again before it locks the chain. */
const PATIENCE = 16;
/** Between two looks of a sweep, in milliseconds. */
const NAP_MS = 1;

// What is found.
const NONE = 0;
const SAME = 1;
const OTHER = 2;

/** What it needs to know of a map. */
export interface FarCoreOptions {
  /** Whether keys are outside of the buckets. */
  readonly isKey: boolean;
  /** Whether values are. */
  readonly isValue: boolean;
  /** Words of a key in its bucket. */
  readonly keyWords: number;
  /** Words of a value in its bucket, and of what refers to the key. */
  readonly valueWords: number;
  /** Locks the chain of a key for a reader; throws where that cannot be. */
  readonly lock: (key: Int32Array) => void;
}

/** `MapCore`, for keys and values of any length. */
export class FarCore {
  readonly #core: MapCore;
  readonly #heap: FarHeap;
  readonly #isKey: boolean;
  readonly #isValue: boolean;
  readonly #valueAt: number;
  readonly #lock: (key: Int32Array) => void;
  /** The key that is looked for, as it is in a bucket; and what was found there as its value. */
  readonly #name: Int32Array;
  readonly #entry: Int32Array;
  /** What is to be put in. */
  readonly #fresh: Int32Array;
  /** Whose chain is locked. */
  #me = 0;
  /** The key of the calls, whose marks are the key's words. */
  readonly key: FarBytes = new FarBytes();
  /** The value that is to be put in. */
  readonly value: FarBytes = new FarBytes();
  /** What was read. */
  readonly foundKey: FarBytes = new FarBytes();
  readonly foundValue: FarBytes = new FarBytes();
  /** Words of a value in its bucket, and of what refers to the key. */
  readonly valueWords: number;
  /** For how many bytes there were not enough blocks last. */
  wanted = 0;

  /**
   * @param core The buckets.
   * @param heap The blocks.
   * @param options What is known of the map.
   */
  constructor(core: MapCore, heap: FarHeap, options: FarCoreOptions) {
    const { isKey, isValue, keyWords, valueWords, lock } = options;
    this.#core = core;
    this.#heap = heap;
    this.valueWords = valueWords;
    this.#isKey = isKey;
    this.#isValue = isValue;
    this.#valueAt = isKey ? FAR_WORDS : 0;
    this.#lock = lock;
    this.#name = new Int32Array(keyWords);
    this.#entry = new Int32Array(valueWords);
    this.#fresh = new Int32Array(valueWords);
  }

  /**
   * Reads a key's value.
   *
   * @param key Where the key's words are.
   * @param from The index of the first one.
   * @param value Where the value's words go, if values are in buckets.
   * @param to The index of the first one.
   * @returns Whether there is one.
   */
  get(key: Int32Array, from: number, value: Int32Array, to: number): boolean {
    this.#setName(key, from);
    if (this.#search(true) !== SAME) return false;
    this.#giveValue(value, to);
    return true;
  }

  /**
   * Looks for a key.
   *
   * @param key The key's words, from its start.
   * @returns Whether it has a value.
   */
  has(key: Int32Array): boolean {
    this.#setName(key, 0);
    return this.#search(false) === SAME;
  }

  /**
   * Reads the key and the value of an entry that {@linkcode FarCore.copy} gave.
   *
   * @param words Where its key's words are.
   * @param from The index of the first one.
   * @param value Where the value's words go, if values are in buckets.
   * @param wants Whether the value is wanted.
   * @returns Whether it is there.
   */
  load(words: ArrayLike<number>, from: number, value: Int32Array, wants: boolean): boolean {
    this.#setName(words, from);
    if (this.#see(wants, true) !== SAME) return false;
    if (wants) this.#giveValue(value, 0);
    return true;
  }

  /** As {@linkcode MapCore.lock}. */
  lock(me: Waiter, key: Int32Array): boolean {
    this.#me = me.id;
    return this.#core.lock(me, key);
  }

  /** As {@linkcode MapCore.wait}. */
  *wait(me: Waiter, key: Int32Array): Wait<boolean> {
    this.#me = me.id;
    return yield* this.#core.wait(me, key);
  }

  /** As {@linkcode MapCore.unlock}. */
  unlock(): void {
    this.#core.unlock();
  }

  /** As {@linkcode MapCore.holds}. */
  holds(): boolean {
    return this.#core.holds();
  }

  /** As {@linkcode MapCore.isCrowded}. */
  isCrowded(): boolean {
    return this.#core.isCrowded();
  }

  /** As {@linkcode MapCore.grow}. */
  grow(me: Waiter): void {
    this.#core.grow(me);
  }

  /** As {@linkcode MapCore.buckets}. */
  buckets(): number {
    return this.#core.buckets();
  }

  /**
   * The entries of a bucket, as {@linkcode MapCore.copy} gives them: to {@linkcode FarCore.load}.
   *
   * @param place The bucket's number.
   * @param buckets How many buckets there were.
   * @returns Their words in buckets.
   */
  copy(place: number, buckets: number): number[] {
    return this.#core.copy(place, buckets);
  }

  /**
   * Reads a key's value, in the chain that this thread has locked.
   *
   * @param key The key's words, from its start.
   * @param value Where the value's words go, if values are in buckets.
   * @returns Whether there is one.
   */
  read(key: Int32Array, value: Int32Array): boolean {
    if (this.#locate(key) !== SAME) return false;
    this.#copyValue();
    this.#giveValue(value, 0);
    return true;
  }

  /**
   * Gives {@linkcode FarCore.key} the value {@linkcode FarCore.value}, in the chain that this thread has locked.
   *
   * @param key The key's words, from its start.
   * @param value The value's words, if values are in buckets.
   * @returns What became of it.
   */
  assign(key: Int32Array, value: Int32Array): Assigned | typeof NO_BLOCKS {
    const fresh = this.#fresh;
    const had = this.#locate(key) === SAME;
    const entry = this.#entry;
    const at = this.#valueAt;
    for (let word = at; word < fresh.length; word++) fresh[word] = value[word - at] as number;
    if (this.#isKey && had) {
      fresh[BLOCK] = entry[BLOCK] as number;
      fresh[BYTES] = entry[BYTES] as number;
    }
    if (this.#isValue && !this.#put(at, this.value)) return NO_BLOCKS;
    if (this.#isKey && !had && !this.#put(0, this.key)) {
      if (this.#isValue) this.#giveBack(fresh, at);
      return NO_BLOCKS;
    }
    if (this.#isValue && had) this.#claim(entry, at);
    const outcome = this.#core.assign(this.#name, fresh);
    if (outcome !== ADDED && outcome !== REPLACED) {
      if (this.#isValue) this.#giveBack(fresh, at);
      if (this.#isKey && !had) this.#giveBack(fresh, 0);
      return outcome;
    }
    if (this.#isValue && had) this.#giveBack(entry, at);
    return had ? REPLACED : ADDED;
  }

  /**
   * Takes a key out of the chain that this thread has locked.
   *
   * @param key The key's words, from its start.
   * @returns Whether it was there.
   */
  remove(key: Int32Array): boolean {
    if (this.#locate(key) !== SAME) return false;
    const entry = this.#entry;
    const at = this.#valueAt;
    if (this.#isKey) this.#claim(entry, 0);
    if (this.#isValue) this.#claim(entry, at);
    if (this.#isKey) this.#removeMarks();
    else this.#core.remove(this.#name);
    if (this.#isKey) this.#giveBack(entry, 0);
    if (this.#isValue) this.#giveBack(entry, at);
    return true;
  }

  /**
   * Sets free the blocks of threads that have ended to which no entry refers.
   *
   * @param me The calling thread, which has locked no chain.
   * @returns How many blocks; {@linkcode GAVE_UP} when it is to.
   */
  *sweep(me: Waiter): Wait<number> {
    const core = this.#core;
    const heap = this.#heap;
    const dead = heap.dead(me);
    if (dead.size === 0) return 0;
    const entry = this.#entry;
    // Also those that come of a split meanwhile.
    for (let place = 0; place < core.buckets(); place++) {
      for (let round = 0; !core.lockBucket(me, place); round++) {
        if (!me.spin(round) && (yield NAP_MS)) return GAVE_UP;
      }
      const held = core.values();
      for (let from = 0; from < held.length; from += entry.length) {
        for (let word = 0; word < entry.length; word++) entry[word] = held[from + word] as number;
        if (this.#isKey) heap.keep(dead, entry[BLOCK] as number, this.#blocks(entry, 0));
        if (!this.#isValue) continue;
        const value = this.#valueAt;
        heap.keep(dead, entry[value + BLOCK] as number, this.#blocks(entry, value));
      }
      core.unlock();
    }
    return heap.reclaim(dead);
  }

  #setName(key: ArrayLike<number>, from: number): void {
    const name = this.#name;
    for (let word = 0; word < name.length; word++) name[word] = key[from + word] as number;
  }

  /** Looks for the key in all numbers, for a reader. */
  #search(wants: boolean): number {
    for (;;) {
      const found = this.#see(wants, false);
      if (found !== OTHER) return found;
      (this.#name[NUMBER] as number)++;
    }
  }

  /** Looks for the key in one number: and takes it whatever key it is, or compares it. */
  #see(wants: boolean, isAny: boolean): number {
    const core = this.#core;
    const patience = core.holds() ? LONG_PATIENCE : PATIENCE;
    for (let attempt = 0; attempt < patience; attempt++) {
      const found = core.seek(this.#name, this.#entry) ? this.#examine(wants, isAny) : NONE;
      if (core.isWhole()) return found;
    }
    this.#lock(this.#name);
    try {
      return core.read(this.#name, this.#entry) ? this.#examine(wants, isAny) : NONE;
    } finally {
      core.unlock();
    }
  }

  /** Compares the key of an entry, and copies what is wanted. */
  #examine(wants: boolean, isAny: boolean): number {
    if (this.#isKey && isAny) {
      if (this.#entry[BYTES] === GAP) return OTHER;
      this.#fetch(0, this.foundKey);
    } else if (!this.#hasKey()) return OTHER;
    if (wants) this.#copyValue();
    return SAME;
  }

  /** Whether the entry is of the key. */
  #hasKey(): boolean {
    const { key } = this;
    if (!this.#isKey) return true;
    if (this.#entry[BYTES] !== key.length) return false;
    return this.#heap.equals(this.#entry[BLOCK] as number, key.words, key.count());
  }

  /** Copies the entry's value out of its blocks, if it is there. */
  #copyValue(): void {
    if (this.#isValue) this.#fetch(this.#valueAt, this.foundValue);
  }

  /** Copies what words of the entry refer to. */
  #fetch(at: number, target: FarBytes): void {
    const heap = this.#heap;
    // Whatever stands there: no more than there can be.
    const bytes = this.#bytesOf(this.#entry, at);
    target.reserve(bytes);
    heap.copy(this.#entry[at + BLOCK] as number, target.words, wordsOf(bytes));
    target.end(bytes);
  }

  #giveValue(value: Int32Array, to: number): void {
    if (this.#isValue) return;
    const entry = this.#entry;
    const at = this.#valueAt;
    for (let word = at; word < entry.length; word++) value[to + word - at] = entry[word] as number;
  }

  /** Finds the key in the locked chain, or the number that it gets: that of a gap, or the next one. */
  #locate(key: Int32Array): number {
    const name = this.#name;
    this.#setName(key, 0);
    if (!this.#isKey) return this.#core.read(name, this.#entry) ? SAME : NONE;
    let gap = -1;
    while (this.#core.read(name, this.#entry)) {
      const number = name[NUMBER] as number;
      if (this.#entry[BYTES] === GAP) gap = gap < 0 ? number : gap;
      else if (this.#hasKey()) return SAME;
      name[NUMBER] = number + 1;
    }
    if (gap >= 0) name[NUMBER] = gap;
    return NONE;
  }

  /** Takes the key in the name out of its number, and gaps with it that nothing follows. */
  #removeMarks(): void {
    const core = this.#core;
    const name = this.#name;
    const fresh = this.#fresh;
    const number = name[NUMBER] as number;
    name[NUMBER] = number + 1;
    const isFollowed = core.read(name, fresh);
    name[NUMBER] = number;
    if (isFollowed) {
      fresh.fill(0);
      fresh[BYTES] = GAP;
      core.assign(name, fresh);
      return;
    }
    core.remove(name);
    for (let before = number - 1; before >= 0; before--) {
      name[NUMBER] = before;
      if (!core.read(name, fresh) || fresh[BYTES] !== GAP) return;
      core.remove(name);
    }
  }

  /** Writes bytes into blocks, to which words of what is to be put in refer then. */
  #put(at: number, bytes: FarBytes): boolean {
    const block = this.#heap.take(this.#me, bytes.words, bytes.count());
    this.#fresh[at + BLOCK] = block;
    this.#fresh[at + BYTES] = bytes.length;
    if (block === NO_BLOCK) this.wanted = bytes.length;
    return block !== NO_BLOCK;
  }

  #claim(entry: Int32Array, at: number): void {
    this.#heap.claim(this.#me, entry[at + BLOCK] as number, this.#blocks(entry, at));
  }

  #giveBack(entry: Int32Array, at: number): void {
    this.#heap.release(entry[at + BLOCK] as number, this.#blocks(entry, at));
  }

  /** How many blocks words of an entry refer to. */
  #blocks(entry: Int32Array, at: number): number {
    return entry[at + BYTES] === GAP ? 0 : this.#heap.blocksOf(wordsOf(this.#bytesOf(entry, at)));
  }

  /** How many bytes words of an entry say: whatever stands there, no more than there can be. */
  #bytesOf(entry: Int32Array, at: number): number {
    const most = this.#isKey && at === 0 ? MAX_FAR_KEY : MAX_FAR_VALUE;
    return Math.min((entry[at + BYTES] as number) >>> 0, most, 4 * this.#heap.mostWords());
  }
}
