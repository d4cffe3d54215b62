/**
 * Lists of keys and values of a map, whose elements are put in another order.
 *
 * A class for each way in which elements are kept, with loops of its own: engines compile a loop for what it has seen, and
 * one that sees several kinds of arrays takes ten times as long. Numbers are moved as words of 32 bits, whatever they are.
 *
 * @module
 */
import { typedArrayWords } from "../../base/brand.ts";
import { BYTES, F64, TEXT, type TypeCode, U32 } from "../maps/map_settings.ts";

/** What of an order is meant: the places of the elements from one on, up to another. */
export interface Slice {
  /** For each element, where it is in the list, counted from {@linkcode Slice.first}. */
  readonly order: Uint16Array;
  readonly first: number;
  readonly from: number;
  readonly to: number;
}

/**
 * Lists of a type.
 *
 * @typeParam List What such a list is to callers.
 * @typeParam Raw What its elements are moved in.
 */
export interface ListKind<List = unknown, Raw = unknown> {
  /** A list of so many. */
  make(count: number): List;
  /** What the elements of a list are moved in. */
  raw(list: List): Raw;
  /** Some of a list, as a list. */
  some(list: List, from: number, count: number): List;
  /** Puts what somebody has written to {@linkcode ListKind.some} of a list into the list. */
  put(some: List, list: List, from: number): void;
  /** Copies elements to the start of another list. */
  copy(source: Raw, from: number, count: number, target: Raw): void;
  /** Brings elements from their places into the order. */
  sort(source: Raw, target: Raw, slice: Slice): void;
  /** Brings those of which `found` says so from the order back into their places. */
  unsort(source: Raw, target: Raw, slice: Slice, found: Uint8Array): void;
}

type Numbers = Uint32Array | Int32Array | Float64Array;

class NumberLists implements ListKind<Numbers, Int32Array> {
  readonly #kind: TypeCode["kind"];
  /** 32-bit words of an element, less one: a shift. */
  readonly #shift: number;

  constructor(kind: TypeCode["kind"]) {
    this.#kind = kind;
    this.#shift = Number(kind === F64);
  }

  make(count: number): Numbers {
    if (this.#kind === F64) return new Float64Array(count);
    return this.#kind === U32 ? new Uint32Array(count) : new Int32Array(count);
  }

  raw(list: Numbers): Int32Array {
    return typedArrayWords(list);
  }

  some(list: Numbers, from: number, count: number): Numbers {
    return list.subarray(from, from + count);
  }

  put(): void {}

  copy(source: Int32Array, from: number, count: number, target: Int32Array): void {
    const start = from << this.#shift;
    const words = count << this.#shift;
    for (let at = 0; at < words; at++) target[at] = source[start + at] as number;
  }

  sort(source: Int32Array, target: Int32Array, { order, first, from, to }: Slice): void {
    const shift = this.#shift;
    for (let at = from; at < to; at++) {
      const place = (first + (order[at] as number)) << shift;
      const next = at << shift;
      target[next] = source[place] as number;
      if (shift !== 0) target[next + 1] = source[place + 1] as number;
    }
  }

  unsort(
    source: Int32Array,
    target: Int32Array,
    { order, first, from, to }: Slice,
    found: Uint8Array,
  ): void {
    const shift = this.#shift;
    for (let at = from; at < to; at++) {
      if (found[at] === 0) continue;
      const place = (first + (order[at] as number)) << shift;
      const next = at << shift;
      target[place] = source[next] as number;
      if (shift !== 0) target[place + 1] = source[next + 1] as number;
    }
  }
}

class BytesLists implements ListKind<Uint8Array, Uint8Array> {
  /** Bytes of an element. */
  readonly #size: number;

  constructor(size: number) {
    this.#size = size;
  }

  make(count: number): Uint8Array {
    return new Uint8Array(count * this.#size);
  }

  raw(list: Uint8Array): Uint8Array {
    return list;
  }

  some(list: Uint8Array, from: number, count: number): Uint8Array {
    return list.subarray(from * this.#size, (from + count) * this.#size);
  }

  put(): void {}

  copy(source: Uint8Array, from: number, count: number, target: Uint8Array): void {
    const start = from * this.#size;
    const bytes = count * this.#size;
    for (let at = 0; at < bytes; at++) target[at] = source[start + at] as number;
  }

  sort(source: Uint8Array, target: Uint8Array, { order, first, from, to }: Slice): void {
    const size = this.#size;
    for (let at = from; at < to; at++) {
      const place = (first + (order[at] as number)) * size;
      for (let byte = 0; byte < size; byte++) {
        target[at * size + byte] = source[place + byte] as number;
      }
    }
  }

  unsort(
    source: Uint8Array,
    target: Uint8Array,
    { order, first, from, to }: Slice,
    found: Uint8Array,
  ): void {
    const size = this.#size;
    for (let at = from; at < to; at++) {
      if (found[at] === 0) continue;
      const place = (first + (order[at] as number)) * size;
      for (let byte = 0; byte < size; byte++) {
        target[place + byte] = source[at * size + byte] as number;
      }
    }
  }
}

class TextLists implements ListKind<unknown[], unknown[]> {
  make(count: number): unknown[] {
    return new Array<unknown>(count).fill("");
  }

  raw(list: unknown[]): unknown[] {
    return list;
  }

  some(list: unknown[], from: number, count: number): unknown[] {
    return list.slice(from, from + count);
  }

  put(some: unknown[], list: unknown[], from: number): void {
    for (let at = 0; at < some.length; at++) list[from + at] = some[at];
  }

  copy(source: unknown[], from: number, count: number, target: unknown[]): void {
    for (let at = 0; at < count; at++) target[at] = source[from + at];
  }

  sort(source: unknown[], target: unknown[], { order, first, from, to }: Slice): void {
    for (let at = from; at < to; at++) target[at] = source[first + (order[at] as number)];
  }

  unsort(
    source: unknown[],
    target: unknown[],
    { order, first, from, to }: Slice,
    found: Uint8Array,
  ): void {
    for (let at = from; at < to; at++) {
      if (found[at] !== 0) target[first + (order[at] as number)] = source[at];
    }
  }
}

/**
 * Lists of a type.
 *
 * @param type The type.
 * @returns What is done with them.
 */
export function listsOf({ kind, bytes }: TypeCode): ListKind {
  if (kind === TEXT) return new TextLists() as ListKind;
  return (kind === BYTES ? new BytesLists(bytes) : new NumberLists(kind)) as ListKind;
}
