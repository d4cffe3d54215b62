/**
 * Where the words of an ordered map are.
 *
 * ```
 *   line 0      | version |                         how often the map has changed; wraps
 *   line 1      | owner |                           the id of the thread that writes, 0 for nobody
 *   then        records | ring of free nodes | nodes
 *
 *   record      | root | height | size | taken | put | fresh |       of version v: the one with number v & (records - 1)
 *     root      the number of the tree's root: a leaf where `height` is 1; there is none where it is 0
 *     size      entries of the map
 *     taken     nodes taken out of the ring so far; wraps
 *     put       nodes put into the ring so far; wraps
 *     fresh     nodes that have ever been in use: numbers 1 to this
 *
 *   ring        numbers of nodes; the n-th one put in is at n & (ring - 1)
 *   node        | count | entries: key, payload | …      a leaf's payload is a value, an inner node's the number of a node
 * ```
 *
 * Entries of a node are in the order of their keys, which is that of their words as signed integers. All keys below an
 * entry of an inner node are at least the entry's key, and less than the next entry's; what the first entry's key is does
 * not matter. Each node but the last one of its level has at least half of the entries that fit. Node 0 is always empty: it
 * stands for numbers of nodes that there cannot be.
 *
 * @module
 */
import { LINE_WORDS } from "../../wait/waiter.ts";

/** How often the map has changed. */
export const VERSION = 0;
/** The id of the thread that writes. */
export const OWNER: number = LINE_WORDS;
/** Where the records begin. */
export const RECORDS: number = 2 * LINE_WORDS;

/** Words of a record. */
export const RECORD_WORDS = 8;
export const ROOT = 0;
export const HEIGHT = 1;
export const SIZE = 2;
export const TAKEN = 3;
export const PUT = 4;
export const FRESH = 5;

/** Words of a node. */
export const COUNT = 0;
export const ENTRIES = 1;

/** Words of the cache lines that nodes are multiples of. */
const NODE_UNIT = 16;
/** Words that the entries of a leaf should not exceed, unless that makes them few. */
const LEAF_WORDS = 128;
const MOST_LEAF_ENTRIES = 15;
const LEAST_LEAF_ENTRIES = 4;
const LEAST_INNER_ENTRIES = 8;
/** More than that is slow to copy. */
const MOST_INNER_ENTRIES = 32;
/** How many records there are: a power of two. */
const RECORD_COUNT = 16;
/** Nodes that a write puts into the ring, at most, for each level: two that are joined, and a root with a single child. */
const RETIRED = 3;
/** Nodes that a write takes, at most, for each level: two halves. */
const TAKES = 2;

/** The number of 32-bit words of what a map holds, and how much. */
export interface OrderedShape {
  readonly keyWords: number;
  readonly valueWords: number;
  /** How many entries there can be. */
  readonly capacity: number;
}

/** The layout of a map, in numbers. */
export interface OrderedLayout extends OrderedShape {
  /** How many records there are: a power of two, at least 4. */
  readonly records: number;
  /** Words of the ring of free nodes: a power of two. */
  readonly ring: number;
  /** Words of a node. */
  readonly nodeWords: number;
  /** Entries of a leaf, at most. */
  readonly leafEntries: number;
  /** Entries of an inner node, at most. */
  readonly innerEntries: number;
  /** Levels of the tree, at most. */
  readonly levels: number;
  /** How many nodes there are, with node 0. */
  readonly nodes: number;
  /** All words. */
  readonly words: number;
}

/** What tests choose: the smaller nodes are, the more of a tree do few entries show. */
export interface OrderedSizes {
  readonly leafEntries?: number;
  readonly innerEntries?: number;
  readonly records?: number;
}

/**
 * Lays a map out.
 *
 * @param shape What it holds.
 * @param sizes How large nodes are, at least 4 entries, and how many records there are. Default: by what it holds.
 * @returns The layout.
 */
export function layoutOf(shape: OrderedShape, sizes: OrderedSizes = {}): OrderedLayout {
  const { keyWords, valueWords, capacity } = shape;
  const leafWords = keyWords + valueWords;
  const innerWords = keyWords + 1;
  const wanted = Math.floor(LEAF_WORDS / leafWords);
  const least = Math.max(LEAST_LEAF_ENTRIES, Math.min(MOST_LEAF_ENTRIES, wanted));
  const needed = ENTRIES + Math.max(least * leafWords, LEAST_INNER_ENTRIES * innerWords);
  const nodeWords = Math.ceil(needed / NODE_UNIT) * NODE_UNIT;
  const fit = (words: number): number => Math.floor((nodeWords - ENTRIES) / words);
  const leafEntries = sizes.leafEntries ?? Math.min(MOST_LEAF_ENTRIES + 1, fit(leafWords));
  const innerEntries = sizes.innerEntries ?? Math.min(MOST_INNER_ENTRIES, fit(innerWords));
  const records = sizes.records ?? RECORD_COUNT;
  // The last node of a level may have a single entry.
  const atMost = (entries: number, most: number): number =>
    Math.floor((entries - 1) / leastOf(most)) + 1;
  let nodes = atMost(capacity, leafEntries);
  let all = nodes;
  let levels = 1;
  for (; nodes > 1; levels++) {
    nodes = atMost(nodes, innerEntries);
    all += nodes;
  }
  // Those that readers may still look at, those that the next write takes, and node 0.
  all += lagOf(records) * RETIRED * levels + TAKES * levels + 1 + 1;
  // All of them, and roots of a single child that the same write has made.
  const ring = 2 ** Math.ceil(Math.log2(all + levels));
  return {
    ...shape,
    ...{ records, ring, nodeWords, leafEntries, innerEntries, levels, nodes: all },
    words: nodesAt(records, ring) + all * nodeWords,
  };
}

/**
 * How few entries a node may have, unless it is the last one of its level.
 *
 * @param most How many it may have.
 * @returns Half of that.
 */
export function leastOf(most: number): number {
  return most >> 1;
}

/**
 * How many versions later a read may end than it began, and be right: nodes that it could have looked at, and the record of
 * its version, are written to only after that.
 *
 * @param records How many records there are.
 * @returns Versions.
 */
export function lagOf(records: number): number {
  return records - 2;
}

/**
 * Where the ring of free nodes begins.
 *
 * @param records How many records there are.
 * @returns The index of its first word.
 */
export function ringAt(records: number): number {
  return RECORDS + Math.ceil(records * RECORD_WORDS / LINE_WORDS) * LINE_WORDS;
}

/**
 * Where the nodes begin.
 *
 * @param records How many records there are.
 * @param ring Words of the ring of free nodes.
 * @returns The index of node 0's first word.
 */
export function nodesAt(records: number, ring: number): number {
  return ringAt(records) + Math.ceil(ring / LINE_WORDS) * LINE_WORDS;
}
