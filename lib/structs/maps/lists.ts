/**
 * Several keys and values of a map at once.
 *
 * @module
 */
import { isList, isUint8Array, lengthOf } from "../../base/brand.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Codec } from "./codecs.ts";
import { BATCH, type MapCore } from "./map_core.ts";

/** What is known of a map's keys and values. */
export interface ListShape {
  readonly keys: Codec;
  readonly values: Codec;
  readonly keyWords: number;
  readonly valueWords: number;
}

/** What a caller gave. */
export interface Lists {
  readonly keys: unknown;
  readonly values: unknown;
  readonly found?: Uint8Array | undefined;
}

function countOf(list: unknown, codec: Codec, name: string, action: string): number {
  const count = codec.count(list);
  if (Number.isInteger(count)) return count;
  throw new NumaError("EINVAL", action, {
    why: `${name} are ${show(list)}`,
    fix: `Give ${codec.list}.`,
  });
}

/**
 * Checks that there are as many values as keys.
 *
 * @param shape What is known of the map.
 * @param lists What a caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns How many.
 * @throws {NumaError} `EINVAL`.
 */
export function checkLists(shape: ListShape, lists: Lists, action: string): number {
  const count = countOf(lists.keys, shape.keys, "keys", action);
  const values = countOf(lists.values, shape.values, "values", action);
  const found = lists.found === undefined
    ? count
    : isUint8Array(lists.found)
    ? lengthOf(lists.found)
    : -1;
  if (values === count && found === count) return count;
  throw new NumaError("EINVAL", action, {
    why: `there are ${count} keys, and other arrays are not as long`,
    fix: "Give arrays of the same length.",
  });
}

/**
 * What is in a list, without getters of the caller's that could use the map.
 *
 * @param list A list that was checked.
 * @param count How many elements it had then.
 * @returns The same, or a copy of its elements.
 */
export function elementsOf(list: unknown, count: number): unknown {
  if (!isList(list)) return list;
  const elements = new Array<unknown>(count);
  for (let index = 0; index < elements.length; index++) elements[index] = list[index];
  return elements;
}

/** Reads of several keys at once. */
export class ListReader {
  readonly #core: MapCore;
  readonly #shape: ListShape;
  readonly #keys: Int32Array;
  readonly #values: Int32Array;

  /**
   * @param core The map.
   * @param shape What is known of it.
   */
  constructor(core: MapCore, shape: ListShape) {
    this.#core = core;
    this.#shape = shape;
    this.#keys = new Int32Array(BATCH * shape.keyWords);
    this.#values = new Int32Array(BATCH * shape.valueWords);
  }

  /**
   * Reads the values of several keys.
   *
   * @param lists Keys, and where values go, and whether there are any.
   * @param action What was asked, as it follows "Cannot".
   * @returns How many have a value.
   * @throws {NumaError} `EINVAL`.
   */
  read(lists: Lists, action: string): number {
    const { keys, values } = this.#shape;
    const { found } = lists;
    const count = checkLists(this.#shape, lists, action);
    const own = elementsOf(lists.keys, count);
    let all = 0;
    for (let first = 0; first < count; first += BATCH) {
      const batch = Math.min(BATCH, count - first);
      keys.encode(own, first, batch, this.#keys, action);
      const bits = this.#core.getBatch(this.#keys, batch, this.#values);
      values.decode(this.#values, bits, lists.values, first);
      for (let index = 0; index < batch; index++) {
        const has = (bits >>> index) & 1;
        if (found !== undefined) found[first + index] = has;
        all += has;
      }
    }
    return all;
  }
}
