/**
 * Which entries of an ordered map a scan is about.
 *
 * @module
 */
import { checkInteger, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import {
  ABOVE,
  AT_LEAST,
  BELOW,
  FIRST,
  LAST,
  type OrderedCore,
  type Relation,
} from "./ordered_core.ts";
import { compareKeys, type OrderedKeys } from "./ordered_keys.ts";
import type { OrderedMapRange } from "./ordered_types.ts";

const MAX_LIMIT = 2 ** 32 - 1;

/** A scan, which has not begun. */
export interface Scan {
  /** The least key. */
  readonly from: Int32Array | undefined;
  /** The key that is too great. */
  readonly to: Int32Array | undefined;
  readonly isDown: boolean;
  readonly limit: number;
}

/**
 * Checks what a caller gave.
 *
 * @param range The range, if there is one.
 * @param keys The map's keys.
 * @param keyWords 32-bit words of a key.
 * @param action What was asked, as it follows "Cannot".
 * @returns A copy.
 * @throws {NumaError} `EINVAL`.
 */
export function scanOf(
  range: OrderedMapRange<unknown> | undefined,
  keys: OrderedKeys,
  keyWords: number,
  action: string,
): Scan {
  if (range === undefined) {
    return { from: undefined, to: undefined, isDown: false, limit: Infinity };
  }
  checkOptions(range, "{ from, to, reverse, limit }", action);
  const { from, to, reverse = false, limit } = range;
  if (typeof reverse !== "boolean") {
    throw new NumaError("EINVAL", action, {
      why: `reverse is ${show(reverse)}`,
      fix: "Give true or false.",
    });
  }
  const words = (key: unknown): Int32Array | undefined => {
    if (key === undefined) return undefined;
    const copy = new Int32Array(keyWords);
    keys.write(key, copy, action);
    return copy;
  };
  return {
    from: words(from),
    to: words(to),
    isDown: reverse,
    limit: limit === undefined ? Infinity : checkInteger(limit, "limit", 0, MAX_LIMIT, action),
  };
}

/** What a scan reads. */
export interface Scanned {
  readonly core: OrderedCore;
  readonly keyWords: number;
  readonly entryWords: number;
  /** Entries of a leaf, at most. */
  readonly leafEntries: number;
}

/** Reads a map's entries a leaf at a time. Whatever is in the map's memory, each key is beyond the one before. */
export class Scanner {
  /** The entries of a leaf, one after the other: key, value. */
  readonly words: Int32Array;
  readonly #core: OrderedCore;
  readonly #entryWords: number;
  readonly #leafEntries: number;
  readonly #isDown: boolean;
  readonly #end: Int32Array | undefined;
  /** The key before, or where it begins. */
  readonly #last: Int32Array;
  #relation: Relation;
  #isBegun = false;
  /** How many there may be. */
  #left: number;
  /** Where the next one is, and where those end that have been read. */
  #at = 0;
  #until = 0;

  /**
   * @param scan Which entries.
   * @param map The map.
   */
  constructor({ from, to, isDown, limit }: Scan, map: Scanned) {
    const start = isDown ? to : from;
    this.words = new Int32Array(map.leafEntries * map.entryWords);
    this.#core = map.core;
    this.#entryWords = map.entryWords;
    this.#leafEntries = map.leafEntries;
    this.#isDown = isDown;
    this.#end = isDown ? from : to;
    this.#last = start ?? new Int32Array(map.keyWords);
    this.#relation = isDown ? LAST : FIRST;
    if (start !== undefined) this.#relation = isDown ? BELOW : AT_LEAST;
    this.#left = limit;
  }

  /** Whether the next entry has to be looked for in the map. */
  get looks(): boolean {
    return this.#at === this.#until;
  }

  /**
   * Finds the next entry.
   *
   * @returns The index of its first word; -1: there is none.
   */
  next(): number {
    if (this.#at === this.#until && !this.#look()) return -1;
    const { words } = this;
    const last = this.#last;
    const at = this.#at;
    const isDown = this.#isDown;
    if (this.#isBegun) {
      const order = compareKeys(words, at, last);
      if (isDown ? order >= 0 : order <= 0) return -1;
    }
    if (this.#end !== undefined) {
      const rest = compareKeys(words, at, this.#end);
      if (isDown ? rest < 0 : rest >= 0) return -1;
    }
    for (let word = 0; word < last.length; word++) last[word] = words[at + word] as number;
    this.#isBegun = true;
    this.#at = at + this.#entryWords;
    this.#left--;
    return at;
  }

  /** Reads what follows. */
  #look(): boolean {
    const most = Math.min(this.#left, this.#leafEntries);
    if (most <= 0) return false;
    const count = this.#core.collect(this.#relation, this.#last, this.words, most);
    this.#relation = this.#isDown ? BELOW : ABOVE;
    this.#at = 0;
    this.#until = count * this.#entryWords;
    return count > 0;
  }
}
