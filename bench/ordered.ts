/**
 * What an ordered map costs: against a `Map`, which has no order, and against a sorted array with binary search, which no
 * other thread can write to.
 */
import { OrderedMap } from "../mod.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { mixed } from "./mixed.ts";

const SIZES = [100_000, 10_000_000];
const READS = 1000;
/** Entries of a range. */
const RANGE = 100;
const SCANS = 200;
/** Makes of 0, 1, 2 … keys that come in no order. */
const SCATTER = 0x9e3779b1;

type Numbers = OrderedMap<number, number>;

/** Keys in order, and their values. */
class SortedArray {
  readonly keys: Uint32Array;
  readonly values: Uint32Array;
  #length = 0;

  constructor(capacity: number) {
    this.keys = new Uint32Array(capacity);
    this.values = new Uint32Array(capacity);
  }

  /** How many keys are less than a key. */
  below(key: number): number {
    const { keys } = this;
    let low = 0;
    let high = this.#length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] as number) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  get(key: number): number | undefined {
    const at = this.below(key);
    return at < this.#length && this.keys[at] === key ? this.values[at] : undefined;
  }

  set(key: number, value: number): void {
    const at = this.below(key);
    const length = this.#length;
    if (at === length || this.keys[at] !== key) {
      if (at < length) {
        this.keys.copyWithin(at + 1, at, length);
        this.values.copyWithin(at + 1, at, length);
      }
      this.keys[at] = key;
      this.#length++;
    }
    this.values[at] = value;
  }
}

function emptyMap(capacity: number): Numbers {
  const options = { capacity, key: "u32", value: "u32" } as const;
  return OrderedMap.create(new SharedArrayBuffer(OrderedMap.bytes(options)), options);
}

/** The same keys in all, made when they are first needed. */
class Maps {
  readonly keys: number;
  readonly #made = new Map<string, unknown>();

  constructor(keys: number) {
    this.keys = keys;
  }

  get ours(): Numbers {
    return this.#filled("ours", () => emptyMap(this.keys));
  }

  get hashed(): Map<number, number> {
    return this.#filled("hashed", () => new Map<number, number>());
  }

  get sorted(): SortedArray {
    return this.#filled("sorted", () => new SortedArray(this.keys));
  }

  #filled<Type extends { set(key: number, value: number): unknown }>(
    name: string,
    make: () => Type,
  ): Type {
    let map = this.#made.get(name) as Type | undefined;
    if (map !== undefined) return map;
    map = make();
    for (let key = 0; key < this.keys; key++) map.set(key, key);
    this.#made.set(name, map);
    return map;
  }
}

/** The loops are written out, as a user's would be. */
function reads(maps: Maps): Subject[] {
  let from = 0;
  return [
    {
      name: "OrderedMap.get",
      operations: READS,
      batch(): void {
        const { ours, keys } = maps;
        let sum = 0;
        for (let index = 0; index < READS; index++) sum += ours.get(mixed(from++, keys)) as number;
        sink.value = sum;
      },
    },
    {
      name: "Map.get",
      operations: READS,
      batch(): void {
        const { hashed, keys } = maps;
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += hashed.get(mixed(from++, keys)) as number;
        }
        sink.value = sum;
      },
    },
    {
      name: "a sorted array",
      operations: READS,
      batch(): void {
        const { sorted, keys } = maps;
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += sorted.get(mixed(from++, keys)) as number;
        }
        sink.value = sum;
      },
    },
  ];
}

/** The next key above one. */
function nearest(maps: Maps): Subject[] {
  let from = 0;
  return [
    {
      name: "OrderedMap.higher",
      operations: READS,
      batch(): void {
        const { ours, keys } = maps;
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += ours.higher(mixed(from++, keys - 1))?.[0] as number;
        }
        sink.value = sum;
      },
    },
    {
      name: "a sorted array",
      operations: READS,
      batch(): void {
        const { sorted, keys } = maps;
        let sum = 0;
        for (let index = 0; index < READS; index++) {
          sum += sorted.keys[sorted.below(mixed(from++, keys - 1) + 1)] as number;
        }
        sink.value = sum;
      },
    },
  ];
}

/** Entries of a range, of which each counts as an operation. */
function ranges(maps: Maps): Subject[] {
  let start = 0;
  return [
    {
      name: "OrderedMap.entries",
      operations: SCANS * RANGE,
      batch(): void {
        const { ours, keys } = maps;
        let sum = 0;
        for (let scan = 0; scan < SCANS; scan++) {
          const from = mixed(start++, keys - RANGE);
          for (const [key, value] of ours.entries({ from, limit: RANGE })) sum += key + value;
        }
        sink.value = sum;
      },
    },
    {
      name: "a sorted array",
      operations: SCANS * RANGE,
      batch(): void {
        const { sorted, keys } = maps;
        let sum = 0;
        for (let scan = 0; scan < SCANS; scan++) {
          const first = sorted.below(mixed(start++, keys - RANGE));
          for (let at = first; at < first + RANGE; at++) {
            sum += (sorted.keys[at] as number) + (sorted.values[at] as number);
          }
        }
        sink.value = sum;
      },
    },
  ];
}

/** Other values for keys that are there. */
function writes(maps: Maps): Subject[] {
  let from = 0;
  return [
    {
      name: "OrderedMap.set",
      operations: READS,
      batch(): void {
        const { ours, keys } = maps;
        for (let index = 0; index < READS; index++) ours.set(mixed(from++, keys), index);
        sink.value = ours;
      },
    },
    {
      name: "Map.set",
      operations: READS,
      batch(): void {
        const { hashed, keys } = maps;
        for (let index = 0; index < READS; index++) hashed.set(mixed(from++, keys), index);
        sink.value = hashed;
      },
    },
  ];
}

/** From nothing to all keys, in no order. */
function fills(keys: number): Subject[] {
  const timed = (
    name: string,
    make: () => { set(key: number, value: number): unknown },
  ): Subject => ({
    name,
    repeats: 1,
    self(): number {
      const start = performance.now();
      const map = make();
      for (let index = 0; index < keys; index++) map.set(Math.imul(index, SCATTER) >>> 0, index);
      sink.value = map;
      return (performance.now() - start) * 1e6 / keys;
    },
  });
  return [
    timed("OrderedMap", () => emptyMap(keys)),
    timed("Map", () => new Map<number, number>()),
    timed("a sorted array", () => new SortedArray(keys)),
  ];
}

const named = (keys: number): string => `${keys.toExponential().replace("1e+", "10^")} keys`;

/** What is compared. */
export function comparisons(): Comparison[] {
  return SIZES.flatMap((keys, index): Comparison[] => {
    const maps = new Maps(keys);
    const all: Comparison[] = [
      { name: `a read, ${named(keys)}`, subjects: reads(maps) },
      { name: `the next key, ${named(keys)}`, subjects: nearest(maps) },
      { name: `an entry of a range of ${RANGE}, ${named(keys)}`, subjects: ranges(maps) },
      { name: `a write, ${named(keys)}`, subjects: writes(maps) },
    ];
    // A sorted array moves half of itself for each new key.
    if (index > 0) return all;
    return [...all, { name: `a key put in, up to ${named(keys)}`, subjects: fills(keys) }];
  });
}
