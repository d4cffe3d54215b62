/**
 * An ordered map that threads share: a B+-tree of which each version stays as it is. Reads take no lock and see the map as
 * it was at one moment; writes lock the map.
 *
 * The picture is in `ordered_table.ts`, and how the tree changes in `ordered_tree.ts`. A reader looks at the version, walks
 * through the tree of that version, and looks at the version again. Nodes that a version has and a later one does not have
 * are written to only when the map is {@linkcode lagOf} versions further: if it is not, what was read was whole. If it is,
 * the reader begins anew, so a read fails only when so many writes have been completed during it.
 *
 * Writers exclude each other by the owner's word. They hold it for about a microsecond, and nap for a millisecond at a time
 * when they find it taken for longer, so nobody is ever woken.
 *
 * Death. A version is there with one store of its number, and what belongs to it was written before where no version has
 * anything. So whoever dies in a write leaves the map as it was, or with the write done, and the next writer takes the
 * owner's word of a thread that is not alive. There is nothing to repair.
 *
 * Linearizable: a read that is whole takes effect at its first look at the version, a write with its store of it. Reads are lock-free,
 * writes robust, and they wait for each other. Costs: a read takes two looks with order, and plain loads for some keys of
 * one node in each level of the tree. It writes nothing shared. A write takes the owner's word, stores the words of a node
 * in each level and eight more (plainly on x64: `stores.ts`), and gives the word back.
 *
 * Wrap-around: a read that sleeps for exactly 2^32 writes would take what it saw for whole.
 *
 * A tree whose writer leaves what is there alone is LMDB's (Chu, 2011); that the version's number tells whether what a
 * reader has seen is still there comes from sequence locks.
 *
 * @module
 */
import { glance, loadShared } from "../../wait/loads.ts";
import type { Wait, Waiter } from "../../wait/waiter.ts";
import {
  COUNT,
  ENTRIES,
  HEIGHT,
  lagOf,
  nodesAt,
  type OrderedLayout,
  OWNER,
  RECORD_WORDS,
  RECORDS,
  ROOT,
  SIZE,
  VERSION,
} from "./ordered_table.ts";
import { type Assigned, OrderedTree } from "./ordered_tree.ts";

/** Between two looks of a writer, in milliseconds. */
const NAP_MS = 1;

/** Which entry is looked for: the first or last one of all, or the nearest one to a key. */
export type Relation =
  | typeof FIRST
  | typeof LAST
  | typeof AT_LEAST
  | typeof ABOVE
  | typeof AT_MOST
  | typeof BELOW;
export const FIRST = 0;
export const AT_LEAST = 1;
export const ABOVE = 2;
/** From here on what follows an entry are smaller keys. */
export const LAST = 3;
export const AT_MOST = 4;
export const BELOW = 5;

/** The algorithm of `OrderedMap`. */
export class OrderedCore {
  readonly #words: Int32Array;
  readonly #tree: OrderedTree;
  readonly #keyWords: number;
  readonly #valueWords: number;
  readonly #leafEntries: number;
  readonly #innerEntries: number;
  readonly #levels: number;
  readonly #nodeWords: number;
  readonly #nodeCount: number;
  readonly #nodes: number;
  readonly #mask: number;
  readonly #lag: number;
  /** The way down: of each level where the node is, its entries, and the one that was taken. */
  readonly #path: Int32Array;
  readonly #counts: Int32Array;
  readonly #slots: Int32Array;

  /**
   * @param words Its memory: zero at first.
   * @param layout Its layout.
   */
  constructor(words: Int32Array, layout: OrderedLayout) {
    this.#words = words;
    this.#tree = new OrderedTree(words, layout);
    this.#keyWords = layout.keyWords;
    this.#valueWords = layout.valueWords;
    this.#leafEntries = layout.leafEntries;
    this.#innerEntries = layout.innerEntries;
    this.#levels = layout.levels;
    this.#nodeWords = layout.nodeWords;
    this.#nodeCount = layout.nodes;
    this.#nodes = nodesAt(layout.records, layout.ring);
    this.#mask = layout.records - 1;
    this.#lag = lagOf(layout.records);
    this.#path = new Int32Array(layout.levels);
    this.#counts = new Int32Array(layout.levels);
    this.#slots = new Int32Array(layout.levels);
  }

  /**
   * Reads a key's value.
   *
   * @param key The key, from its start.
   * @param value Where the value goes; holds anything when there is none.
   * @returns Whether there is one.
   */
  get(key: Int32Array, value: Int32Array): boolean {
    for (;;) {
      const version = loadShared(this.#words, VERSION);
      const found = this.#get(version, key, value);
      if (this.#isWhole(version)) return found;
    }
  }

  /**
   * Copies an entry, and those that follow it in its leaf: all as they are at one moment.
   *
   * @param relation Which entry.
   * @param key The key that it is near to, from its start.
   * @param entries Where they go, one after the other: key, value.
   * @param most How many, at most.
   * @returns How many. 0: there is none.
   */
  collect(relation: Relation, key: Int32Array, entries: Int32Array, most: number): number {
    for (;;) {
      const version = loadShared(this.#words, VERSION);
      const count = this.#collect(version, relation, key, entries, most);
      if (this.#isWhole(version)) return count;
    }
  }

  /**
   * The number of entries.
   *
   * @returns How many there are at one moment.
   */
  size(): number {
    for (;;) {
      const version = loadShared(this.#words, VERSION);
      const size = glance(this.#words, this.#recordOf(version) + SIZE);
      if (this.#isWhole(version)) return size >>> 0;
    }
  }

  /**
   * Locks the map, if nobody else has it for long.
   *
   * @param me The calling thread, which has not locked it.
   * @returns Whether it has.
   */
  lock(me: Waiter): boolean {
    if (this.#tryLock(me)) return true;
    for (let round = 0; me.spin(round); round++) {
      if (loadShared(this.#words, OWNER) === 0 && this.#tryLock(me)) return true;
    }
    return false;
  }

  /**
   * Locks the map, and naps while somebody else has it.
   *
   * @param me The calling thread, which has not locked it.
   * @returns Whether it has.
   */
  *wait(me: Waiter): Wait<boolean> {
    for (let over = false;;) {
      if (this.#tryLock(me)) return true;
      if (over) return false;
      over = yield NAP_MS;
    }
  }

  /** Unlocks the map, which this thread has locked. */
  unlock(): void {
    Atomics.store(this.#words, OWNER, 0);
  }

  /**
   * Puts a value in, in the map that this thread has locked.
   *
   * @param key The key, from its start.
   * @param value The value, from its start.
   * @returns What became of it.
   */
  assign(key: Int32Array, value: Int32Array): Assigned {
    return this.#tree.assign(key, value);
  }

  /**
   * Takes a key out of the map that this thread has locked.
   *
   * @param key The key, from its start.
   * @returns Whether it was there.
   */
  remove(key: Int32Array): boolean {
    return this.#tree.remove(key);
  }

  /** Whether all that a read of a version has seen is of that version. */
  #isWhole(version: number): boolean {
    return (loadShared(this.#words, VERSION) - version) >>> 0 <= this.#lag;
  }

  #recordOf(version: number): number {
    return RECORDS + (version & this.#mask) * RECORD_WORDS;
  }

  #get(version: number, key: Int32Array, value: Int32Array): boolean {
    const words = this.#words;
    const keyWords = this.#keyWords;
    const valueWords = this.#valueWords;
    const record = this.#recordOf(version);
    let node = this.#nodeAt(glance(words, record + ROOT));
    let level = this.#heightOf(record) - 1;
    if (level < 0) return false;
    for (; level > 0; level--) {
      const count = this.#countOf(node, this.#innerEntries);
      const slot = this.#below(node, 1, count, keyWords + 1, key, true) - 1;
      node = this.#childOf(node, slot);
    }
    const size = keyWords + valueWords;
    const count = this.#countOf(node, this.#leafEntries);
    const at = node + ENTRIES + this.#below(node, 0, count, size, key, false) * size;
    if (at >= node + ENTRIES + count * size || !this.#isAt(at, key)) return false;
    for (let word = 0; word < valueWords; word++) {
      value[word] = glance(words, at + keyWords + word);
    }
    return true;
  }

  #collect(
    version: number,
    relation: Relation,
    key: Int32Array,
    entries: Int32Array,
    most: number,
  ): number {
    const record = this.#recordOf(version);
    const height = this.#heightOf(record);
    const size = this.#keyWords + this.#valueWords;
    const isDown = relation >= LAST;
    if (height === 0) return 0;
    let node = this.#nodeAt(glance(this.#words, record + ROOT));
    for (let level = height - 1; level > 0; level--) {
      const count = this.#countOf(node, this.#innerEntries);
      let slot = isDown ? count - 1 : 0;
      if (relation !== FIRST && relation !== LAST) {
        slot = this.#below(node, 1, count, this.#keyWords + 1, key, relation !== BELOW) - 1;
      }
      this.#path[level] = node;
      this.#counts[level] = count;
      this.#slots[level] = slot;
      node = this.#childOf(node, slot);
    }
    let count = this.#countOf(node, this.#leafEntries);
    let slot = isDown ? count - 1 : 0;
    if (relation !== FIRST && relation !== LAST) {
      const isSame = relation === ABOVE || relation === AT_MOST;
      slot = this.#below(node, 0, count, size, key, isSame) - (isDown ? 1 : 0);
    }
    if (slot < 0 || slot >= count) {
      node = this.#neighbor(height, isDown);
      if (node === 0) return 0;
      count = this.#countOf(node, this.#leafEntries);
      slot = isDown ? count - 1 : 0;
    }
    const copied = Math.min(most, isDown ? slot + 1 : count - slot);
    for (let entry = 0; entry < copied; entry++) {
      const at = node + ENTRIES + (isDown ? slot - entry : slot + entry) * size;
      for (let word = 0; word < size; word++) {
        entries[entry * size + word] = glance(this.#words, at + word);
      }
    }
    return Math.max(0, copied);
  }

  /** The leaf beside the one that the way led to; 0: there is none. */
  #neighbor(height: number, isBefore: boolean): number {
    for (let level = 1; level < height; level++) {
      const slot = this.#slots[level] as number;
      if (isBefore ? slot <= 0 : slot >= (this.#counts[level] as number) - 1) continue;
      let node = this.#childOf(this.#path[level] as number, isBefore ? slot - 1 : slot + 1);
      for (let below = level - 1; below > 0; below--) {
        const last = this.#countOf(node, this.#innerEntries) - 1;
        node = this.#childOf(node, isBefore ? last : 0);
      }
      return node;
    }
    return 0;
  }

  /** How many entries of a node are less than a key, or the same if those count, too. Those before `low` do. */
  #below(
    node: number,
    low: number,
    count: number,
    size: number,
    key: Int32Array,
    isSame: boolean,
  ): number {
    const words = this.#words;
    const first = key[0] as number;
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = node + ENTRIES + middle * size;
      const found = glance(words, at);
      const isLess = found < first || (found === first && this.#restIsLess(at, key, isSame));
      if (isLess) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Whether a key whose first word is that of another one is less than it, or the same if that counts, too. */
  #restIsLess(at: number, key: Int32Array, isSame: boolean): boolean {
    for (let word = 1; word < this.#keyWords; word++) {
      const found = glance(this.#words, at + word);
      if (found !== key[word]) return found < (key[word] as number);
    }
    return isSame;
  }

  #isAt(at: number, key: Int32Array): boolean {
    for (let word = 0; word < this.#keyWords; word++) {
      if (glance(this.#words, at + word) !== key[word]) return false;
    }
    return true;
  }

  // What follows is in memory that any thread can write to, or that has another node by now: numbers are within the limits.

  #heightOf(record: number): number {
    return Math.min(glance(this.#words, record + HEIGHT) >>> 0, this.#levels);
  }

  #nodeAt(node: number): number {
    return this.#nodes + (node > 0 && node < this.#nodeCount ? node : 0) * this.#nodeWords;
  }

  #countOf(node: number, most: number): number {
    return Math.min(glance(this.#words, node + COUNT) >>> 0, most);
  }

  #childOf(node: number, slot: number): number {
    const at = node + ENTRIES + Math.max(0, slot) * (this.#keyWords + 1) + this.#keyWords;
    return this.#nodeAt(glance(this.#words, at));
  }

  /** Takes the owner's word, also of a thread that has died with it. */
  #tryLock(me: Waiter): boolean {
    const words = this.#words;
    let owner = Atomics.compareExchange(words, OWNER, 0, me.id);
    while (owner !== 0) {
      if (me.alive(owner)) return false;
      const found = Atomics.compareExchange(words, OWNER, owner, me.id);
      if (found === owner) return true;
      owner = found === 0 ? Atomics.compareExchange(words, OWNER, 0, me.id) : found;
    }
    return true;
  }
}
