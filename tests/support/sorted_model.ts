/** What an ordered map is compared with. */
import fc from "fast-check";
import type { MapType } from "../../mod.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const text = (most: number): fc.Arbitrary<string> =>
  fc.string({ unit: "binary", maxLength: most }).filter((some) =>
    some.isWellFormed() && utf8(some).length <= most
  );

/** The order of keys: of numbers, or of bytes. */
function compare(one: unknown, other: unknown): number {
  if (typeof one === "number") return one - (other as number) || 0;
  const [left, right] = [one, other].map((key) => typeof key === "string" ? utf8(key) : key) as [
    Uint8Array,
    Uint8Array,
  ];
  const at = left.findIndex((byte, index) => byte !== right[index]);
  if (at < 0) return left.length - right.length;
  return at >= right.length ? 1 : (left[at] as number) - (right[at] as number);
}

/** Key and value. */
export type Pair = [unknown, unknown];

/** A sorted array that does what an ordered map does. */
export class SortedModel {
  readonly pairs: Pair[] = [];

  /** Where a key is; -1: nowhere. */
  find(key: unknown): number {
    return this.pairs.findIndex(([other]) => isSame(other, key));
  }

  get(key: unknown): unknown {
    return this.pairs[this.find(key)]?.[1];
  }

  set(key: unknown, value: unknown): void {
    this.delete(key);
    // -0 is 0.
    this.pairs.push([typeof key === "number" ? key + 0 : key, value]);
    this.pairs.sort(([one], [other]) => order(one, other));
  }

  delete(key: unknown): boolean {
    const at = this.find(key);
    if (at >= 0) this.pairs.splice(at, 1);
    return at >= 0;
  }

  nearest(test: (order: number) => boolean, isLast: boolean, key: unknown): Pair | undefined {
    const some = ([other]: Pair): boolean => test(order(other, key));
    return isLast ? this.pairs.findLast(some) : this.pairs.find(some);
  }
}

/** As {@linkcode compare}, for infinite numbers, too. */
export function order(one: unknown, other: unknown): number {
  return one === other ? 0 : compare(one, other);
}
const isSame = (one: unknown, other: unknown): boolean => order(one, other) === 0;

const doubles = fc.oneof(
  fc.double({ noNaN: true }),
  fc.constantFrom(0, -0, Infinity, -Infinity, 2 ** 53, 5e-324, -5e-324, -1, 1, 2 ** -1022),
);

/** Types of keys and values, and what is of them: few keys, so that the same ones come again. */
export const ORDERED_TYPES: readonly {
  readonly key: MapType;
  readonly value: MapType;
  readonly keys: fc.Arbitrary<unknown>;
  readonly values: fc.Arbitrary<unknown>;
}[] = [
  {
    key: "u32",
    value: "i32",
    keys: fc.oneof(fc.constantFrom(0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1), fc.nat(40)),
    values: fc.integer(),
  },
  {
    key: "i32",
    value: "u32",
    keys: fc.oneof(fc.constantFrom(-(2 ** 31), 2 ** 31 - 1), fc.integer({ min: -20, max: 20 })),
    values: fc.nat(),
  },
  { key: "f64", value: "f64", keys: doubles, values: fc.double() },
  {
    key: { bytes: 5 },
    value: { bytes: 7 },
    keys: fc.uint8Array({ minLength: 5, maxLength: 5 }).map((bytes) =>
      bytes.map((byte) => byte % 3 === 0 ? byte : byte % 2)
    ),
    values: fc.uint8Array({ minLength: 7, maxLength: 7 }),
  },
  {
    key: { text: 9 },
    value: { text: 30 },
    keys: fc.oneof(
      fc.constantFrom("", "\0", "a", "a\0", "a\0\0\0", "\ufeff", "é", "💥", "\uffff", "123456789"),
      text(9),
    ),
    values: text(30),
  },
];

/** Whether two values are the same. */
export function isEqual(one: unknown, other: unknown): boolean {
  if (one instanceof Uint8Array) return one.join() === (other as Uint8Array).join();
  return Object.is(one, other);
}
