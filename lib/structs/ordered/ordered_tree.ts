/**
 * How the tree of an ordered map changes, for who has locked it: nothing that is there is written to.
 *
 * A write makes new nodes of all on the way from the root to a leaf, and a record of the new version, and then it stores
 * the version's number. Before that store nothing has happened, and after it all has: the number of entries, and which
 * nodes are free, are in the record, too. So a thread may die after any word that it writes, and leaves nothing to repair.
 *
 * The nodes that are replaced go into the ring of free nodes. They are taken out in the same order, and only once the
 * record of {@linkcode lagOf} versions ago says that they were in it: reads of older versions fail by then.
 *
 * Splits and joins are a B+-tree's (Comer, 1979). Where keys come in ascending order full nodes are left behind.
 *
 * @module
 */
import { storeBetween } from "../../wait/stores.ts";
import {
  COUNT,
  ENTRIES,
  FRESH,
  HEIGHT,
  lagOf,
  leastOf,
  nodesAt,
  type OrderedLayout,
  PUT,
  RECORD_WORDS,
  RECORDS,
  ringAt,
  ROOT,
  SIZE,
  TAKEN,
  VERSION,
} from "./ordered_table.ts";

/** What became of a value that was to be put in. */
export type Assigned = typeof REPLACED | typeof ADDED | typeof FULL;
/** The key had a value. */
export const REPLACED = 0;
/** The key is new. */
export const ADDED = 1;
/** There is no room: nothing has changed. */
export const FULL = 2;

/** The tree, for who has locked the map. */
export class OrderedTree {
  readonly #words: Int32Array;
  readonly #layout: OrderedLayout;
  readonly #nodes: number;
  readonly #ring: number;
  readonly #lag: number;
  /** The present version. */
  #version = 0;
  /** The record of the version that is being made. */
  #root = 0;
  #height = 0;
  #size = 0;
  #taken = 0;
  #put = 0;
  #fresh = 0;
  /** How many nodes of those in the ring nobody looks at any more. */
  #free = 0;
  /** The way down: of each level a node, its entries, and the one that was taken. */
  readonly #path: Int32Array;
  readonly #counts: Int32Array;
  readonly #slots: Int32Array;
  /** Whether it leads to the end of all entries. */
  #isEnd = false;
  /** The entries of which one or two nodes become. */
  readonly #draft: Int32Array;
  /** The entries that a level gets in place of others. */
  readonly #come: Int32Array;

  /**
   * @param words All words of the map.
   * @param layout Its layout.
   */
  constructor(words: Int32Array, layout: OrderedLayout) {
    const { records, ring, levels, keyWords, valueWords, leafEntries, innerEntries } = layout;
    this.#words = words;
    this.#layout = layout;
    this.#nodes = nodesAt(records, ring);
    this.#ring = ringAt(records);
    this.#lag = lagOf(records);
    this.#path = new Int32Array(levels);
    this.#counts = new Int32Array(levels);
    this.#slots = new Int32Array(levels);
    const leafWords = (2 * leafEntries + 1) * (keyWords + valueWords);
    this.#draft = new Int32Array(Math.max(leafWords, (2 * innerEntries + 1) * (keyWords + 1)));
    this.#come = new Int32Array(2 * (keyWords + Math.max(1, valueWords)));
  }

  /**
   * Puts a value in, in the place of the key's old one if it has one.
   *
   * @param key The key, from its start.
   * @param value The value, from its start.
   * @returns What became of it.
   */
  assign(key: Int32Array, value: Int32Array): Assigned {
    const { keyWords, valueWords, capacity } = this.#layout;
    const has = this.#find(key);
    if (!has && this.#size >= capacity) return FULL;
    for (let word = 0; word < keyWords; word++) this.#come[word] = key[word] as number;
    for (let word = 0; word < valueWords; word++) {
      this.#come[keyWords + word] = value[word] as number;
    }
    if (!has) this.#size++;
    if (!this.#change(has ? 1 : 0, 1)) return FULL;
    this.#commit();
    return has ? REPLACED : ADDED;
  }

  /**
   * Takes a key out.
   *
   * @param key The key, from its start.
   * @returns Whether it was there.
   */
  remove(key: Int32Array): boolean {
    if (!this.#find(key)) return false;
    this.#size--;
    if (!this.#change(1, 0)) return false;
    this.#commit();
    return true;
  }

  /** Looks for a key in the map as it is now. Leaves the way to where it is, or would be. */
  #find(key: Int32Array): boolean {
    const words = this.#words;
    const { records, levels, leafEntries, innerEntries, keyWords, valueWords } = this.#layout;
    const version = Atomics.load(words, VERSION);
    this.#version = version;
    const record = RECORDS + (version & (records - 1)) * RECORD_WORDS;
    const before = RECORDS + ((version - this.#lag) & (records - 1)) * RECORD_WORDS;
    this.#root = words[record + ROOT] as number;
    // In memory that any thread can write to.
    this.#height = Math.min((words[record + HEIGHT] as number) >>> 0, levels);
    this.#size = words[record + SIZE] as number;
    this.#taken = words[record + TAKEN] as number;
    this.#put = words[record + PUT] as number;
    this.#fresh = (words[record + FRESH] as number) >>> 0;
    this.#free = ((words[before + PUT] as number) - this.#taken) | 0;
    let node = this.#root;
    this.#isEnd = true;
    for (let level = this.#height - 1; level >= 0; level--) {
      const at = this.#nodeAt(node);
      const size = keyWords + (level > 0 ? 1 : valueWords);
      const count = this.#countOf(at, level > 0 ? innerEntries : leafEntries);
      let slot = this.#below(at, level > 0 ? 1 : 0, count, size, key);
      const isSame = slot < count && this.#isAt(at + ENTRIES + slot * size, key);
      if (level > 0 && !isSame) slot--;
      this.#path[level] = node;
      this.#counts[level] = count;
      this.#slots[level] = slot;
      if (slot < (level > 0 ? count - 1 : count)) this.#isEnd = false;
      if (level === 0) return isSame;
      node = words[at + ENTRIES + slot * size + keyWords] as number;
    }
    return false;
  }

  /** How many entries of a node are less than a key. Those before `low` are. */
  #below(at: number, low: number, count: number, size: number, key: Int32Array): number {
    let high = count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#isLess(at + ENTRIES + middle * size, key)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #isLess(at: number, key: Int32Array): boolean {
    const { keyWords } = this.#layout;
    for (let word = 0; word < keyWords; word++) {
      const found = this.#words[at + word] as number;
      if (found !== key[word]) return found < (key[word] as number);
    }
    return false;
  }

  #isAt(at: number, key: Int32Array): boolean {
    const { keyWords } = this.#layout;
    for (let word = 0; word < keyWords; word++) {
      if (this.#words[at + word] !== key[word]) return false;
    }
    return true;
  }

  /**
   * Makes the nodes of a new version, from the leaf at the end of the way to the root.
   *
   * @param gone How many entries of the leaf go, from the slot on.
   * @param come How many come there.
   * @returns False when there are not enough nodes.
   */
  #change(gone: number, come: number): boolean {
    const { keyWords, valueWords, leafEntries, innerEntries } = this.#layout;
    const height = this.#height;
    const slots = this.#slots;
    if (height === 0) return this.#plant(come);
    let slot = slots[0] as number;
    for (let level = 0; level < height; level++) {
      const size = keyWords + (level > 0 ? 1 : valueWords);
      const most = level > 0 ? innerEntries : leafEntries;
      const isTop = level === height - 1;
      let count = this.#replace(level, size, slot, gone, come);
      gone = 1;
      slot = isTop ? 0 : slots[level + 1] as number;
      const isShort = count < (this.#counts[level] as number) && count < leastOf(most);
      if (isShort && count > 0 && !isTop && (this.#counts[level + 1] as number) > 1) {
        const isRight = slot > 0;
        count = this.#join(level, size, most, count, isRight ? slot - 1 : slot + 1);
        if (isRight) slot--;
        gone = 2;
      }
      // At the end, where keys come in ascending order, what is full stays so.
      const cut = count <= most ? count : this.#isEnd ? count - 1 : count >> 1;
      come = 0;
      if (count > 0) {
        const node = this.#make(size, 0, cut);
        if (node === 0) return false;
        if (isTop) this.#announce(come++, node, this.#draft, 0);
        else this.#announce(come++, node, this.#words, this.#entryAt(level + 1, slot));
      }
      if (count > cut) {
        const node = this.#make(size, cut, count);
        if (node === 0) return false;
        this.#announce(come++, node, this.#draft, cut * size);
      }
    }
    return this.#crown(come);
  }

  /** The first leaf. */
  #plant(come: number): boolean {
    const { keyWords, valueWords } = this.#layout;
    const size = keyWords + valueWords;
    for (let word = 0; word < size; word++) this.#draft[word] = this.#come[word] as number;
    this.#root = this.#make(size, 0, come);
    this.#height = 1;
    return this.#root !== 0;
  }

  /** The root of a new version, when so many nodes have come of the old one. */
  #crown(come: number): boolean {
    const words = this.#words;
    const { keyWords, levels, innerEntries } = this.#layout;
    const size = keyWords + 1;
    this.#root = come === 0 ? 0 : this.#come[keyWords] as number;
    if (come === 0) this.#height = 0;
    if (come > 1) {
      if (this.#height >= levels) return false;
      for (let word = 0; word < 2 * size; word++) this.#draft[word] = this.#come[word] as number;
      this.#root = this.#make(size, 0, 2);
      this.#height++;
      return this.#root !== 0;
    }
    while (this.#height > 1) {
      const at = this.#nodeAt(this.#root);
      if (this.#countOf(at, innerEntries) !== 1) break;
      this.#retire(this.#root);
      this.#root = words[at + ENTRIES + keyWords] as number;
      this.#height--;
    }
    return true;
  }

  /** Drafts the node of a level with other entries in place of some. Returns how many there are then. */
  #replace(level: number, size: number, slot: number, gone: number, come: number): number {
    const words = this.#words;
    const draft = this.#draft;
    const from = this.#entryAt(level, 0);
    const before = slot * size;
    const count = this.#counts[level] as number;
    for (let word = 0; word < before; word++) draft[word] = words[from + word] as number;
    for (let word = 0; word < come * size; word++) {
      draft[before + word] = this.#come[word] as number;
    }
    const shift = (come - gone) * size;
    for (let word = before + gone * size; word < count * size; word++) {
      draft[word + shift] = words[from + word] as number;
    }
    this.#retire(this.#path[level] as number);
    return count - gone + come;
  }

  /**
   * Puts the entries of a node's neighbor into the draft, too.
   *
   * @param level The node's level.
   * @param size Words of an entry.
   * @param most How many entries a node may have.
   * @param count How many are drafted.
   * @param other Where the neighbor is in the node above.
   * @returns How many there are then.
   */
  #join(level: number, size: number, most: number, count: number, other: number): number {
    const words = this.#words;
    const draft = this.#draft;
    const { keyWords } = this.#layout;
    const mine = this.#slots[level + 1] as number;
    const node = words[this.#entryAt(level + 1, other) + keyWords] as number;
    const at = this.#nodeAt(node);
    const more = this.#countOf(at, most);
    const isBefore = other < mine;
    if (isBefore) draft.copyWithin(more * size, 0, count * size);
    const to = isBefore ? 0 : count * size;
    for (let word = 0; word < more * size; word++) {
      draft[to + word] = words[at + ENTRIES + word] as number;
    }
    if (level > 0) {
      // The first key of the right one, which did not matter, does now: it is what the node above says.
      const key = this.#entryAt(level + 1, Math.max(mine, other));
      const right = (isBefore ? more : count) * size;
      for (let word = 0; word < keyWords; word++) draft[right + word] = words[key + word] as number;
    }
    this.#retire(node);
    return count + more;
  }

  /** Makes the entry of the level above for a new node. */
  #announce(index: number, node: number, keys: Int32Array, key: number): void {
    const { keyWords } = this.#layout;
    const come = this.#come;
    const at = index * (keyWords + 1);
    for (let word = 0; word < keyWords; word++) come[at + word] = keys[key + word] as number;
    come[at + keyWords] = node;
  }

  /** Writes a node of drafted entries. Returns its number; 0: there is none. */
  #make(size: number, from: number, to: number): number {
    const words = this.#words;
    const draft = this.#draft;
    const node = this.#take();
    if (node === 0) return 0;
    const at = this.#nodeAt(node);
    storeBetween(words, at + COUNT, to - from);
    const first = from * size;
    const end = to * size;
    for (let word = first; word < end; word++) {
      storeBetween(words, at + ENTRIES + word - first, draft[word] as number);
    }
    return node;
  }

  /** Takes a node that nobody looks at. Returns its number; 0: there is none. */
  #take(): number {
    const { ring, nodes } = this.#layout;
    if (this.#free > 0) {
      const node = this.#words[this.#ring + (this.#taken & (ring - 1))] as number;
      this.#free--;
      this.#taken = (this.#taken + 1) | 0;
      return node > 0 && node < nodes ? node : 0;
    }
    if (this.#fresh >= nodes - 1) return 0;
    return ++this.#fresh;
  }

  /** Puts a node into the ring that the new version does not have. */
  #retire(node: number): void {
    const { ring } = this.#layout;
    storeBetween(this.#words, this.#ring + (this.#put & (ring - 1)), node);
    this.#put = (this.#put + 1) | 0;
  }

  /** Makes the new version the map's. */
  #commit(): void {
    const words = this.#words;
    const version = (this.#version + 1) | 0;
    const record = RECORDS + (version & (this.#layout.records - 1)) * RECORD_WORDS;
    storeBetween(words, record + ROOT, this.#root);
    storeBetween(words, record + HEIGHT, this.#height);
    storeBetween(words, record + SIZE, this.#size);
    storeBetween(words, record + TAKEN, this.#taken);
    storeBetween(words, record + PUT, this.#put);
    storeBetween(words, record + FRESH, this.#fresh);
    Atomics.store(words, VERSION, version);
  }

  /** The index of a node's first word. */
  #nodeAt(node: number): number {
    const { nodes, nodeWords } = this.#layout;
    return this.#nodes + (node > 0 && node < nodes ? node : 0) * nodeWords;
  }

  #countOf(at: number, most: number): number {
    return Math.min((this.#words[at + COUNT] as number) >>> 0, most);
  }

  /** Where an entry of the node of a level is. */
  #entryAt(level: number, slot: number): number {
    const { keyWords, valueWords } = this.#layout;
    const size = keyWords + (level > 0 ? 1 : valueWords);
    return this.#nodeAt(this.#path[level] as number) + ENTRIES + slot * size;
  }
}
