/**
 * Several keys and values at once, where they have any length.
 *
 * @module
 */
import { checkLists, elementsOf, type Lists, type ListShape } from "../lists.ts";
import type { FarCore } from "./far_core.ts";

/** Reads of several keys, one after the other: what they refer to cannot be asked for before it is known. */
export class FarListReader {
  readonly #core: FarCore;
  readonly #shape: ListShape;
  readonly #key: Int32Array;
  readonly #value: Int32Array;

  /**
   * @param core The map.
   * @param shape What is known of it.
   */
  constructor(core: FarCore, shape: ListShape) {
    this.#core = core;
    this.#shape = shape;
    this.#key = new Int32Array(shape.keyWords);
    this.#value = new Int32Array(shape.valueWords);
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
    for (let index = 0; index < count; index++) {
      keys.encode(own, index, 1, this.#key, action);
      const has = Number(this.#core.get(this.#key, 0, this.#value, 0));
      values.decode(this.#value, has, lists.values, index);
      if (found !== undefined) found[index] = has;
      all += has;
    }
    return all;
  }
}
