/**
 * Several keys and values of a map at once.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Codec } from "./codecs.ts";
import { BATCH, type MapCore } from "./map_core.ts";

/**
 * Several keys or values: a typed array of numbers of the map's type, all bytes one after the other, or an array of texts.
 */
export type Listed<Type> = Type extends number ? Uint32Array | Int32Array | Float64Array
  : Type extends string ? string[]
  : Uint8Array;

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

const READ = "read a hash map";

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
  const found = lists.found === undefined ? count : lists.found?.length;
  if (values === count && found === count) return count;
  throw new NumaError("EINVAL", action, {
    why: `there are ${count} keys, and other arrays are not as long`,
    fix: "Give arrays of the same length.",
  });
}

/**
 * Reads the values of several keys.
 *
 * @param core The map.
 * @param shape What is known of it.
 * @param lists Keys, and where values go, and whether there are any.
 * @returns How many have a value.
 * @throws {NumaError} `EINVAL`.
 */
export function getMany(core: MapCore, shape: ListShape, lists: Lists): number {
  const count = checkLists(shape, lists, READ);
  const { keyWords, valueWords } = shape;
  const keys = new Int32Array(BATCH * keyWords);
  const values = new Int32Array(BATCH * valueWords);
  let all = 0;
  for (let first = 0; first < count; first += BATCH) {
    const batch = Math.min(BATCH, count - first);
    for (let index = 0; index < batch; index++) {
      shape.keys.write(shape.keys.take(lists.keys, first + index), keys, index * keyWords, READ);
    }
    const bits = core.getBatch(keys, 0, batch, values);
    for (let index = 0; index < batch; index++) {
      const has = (bits >>> index) & 1;
      if (lists.found !== undefined) lists.found[first + index] = has;
      if (has === 0) continue;
      all++;
      shape.values.put(lists.values, first + index, values, index * valueWords);
    }
  }
  return all;
}
