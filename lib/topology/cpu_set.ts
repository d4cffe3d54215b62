import { showAs } from "../base/inspect.ts";
import { checkInteger, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";

// A set is kept as its edges: the ascending ids at which membership flips. {0-3, 8} is [0, 4, 8, 9]. What a machine
// has comes in few runs, so sets of thousands of CPUs take a few words, a set of one high id is no larger than a set
// of CPU 0, and every operation of two sets is one merge of two short sorted lists.

const MAX_ID = 65_535;
const WORD_BITS = 64;
const MAX_MASK_WORDS = 1024;
const WORD_FULL = 0xffff_ffff_ffff_ffffn;
const ITEM = /^\s*(\d+)(?:-(\d+)(?::(\d+)\/(\d+))?)?\s*$/;

/**
 * An immutable set of CPUs, as the OS numbers them, or of NUMA nodes.
 *
 * Ids are integers from 0 to 65535. Two sets with the same ids have the same {@linkcode CpuSet.text}, so they also
 * compare as equal in the deep comparisons of test libraries. A set crosses threads as its text.
 *
 * Operations take time proportional to the number of runs of consecutive ids, not to the number of ids.
 *
 * @example
 * ```ts
 * import { CpuSet } from "@numakit/numakit";
 *
 * const some = CpuSet.parse("0-3,8");
 * console.log(some.size, some.first, some.last, some.has(8)); // 5 0 8 true
 *
 * const few = CpuSet.range(2, 5);
 * console.log(some.union(few).text); // 0-5,8
 * console.log(some.intersection(few).text); // 2-3
 * console.log(some.difference(few).text); // 0-1,8
 * console.log(few.isSubsetOf(some), few.equals(CpuSet.of(5, 4, 3, 2))); // false true
 *
 * for (const cpu of few) console.log(cpu);
 * ```
 */
export class CpuSet implements Iterable<number> {
  static readonly #shown = /* @__PURE__ */ showAs(
    CpuSet,
    ({ size, text }) => `CpuSet(${size}) {${text === "" ? "" : ` ${text} `}}`,
  );
  /** The set without members. */
  static readonly empty: CpuSet = /* @__PURE__ */ new CpuSet([]);

  /** How many ids are in the set. */
  readonly size: number;
  /** The set in the kernel's notation, `"0-3,8"`; `""` when it is empty. */
  readonly text: string;
  readonly #edges: Int32Array;

  private constructor(edges: readonly number[]) {
    void CpuSet.#shown;
    this.#edges = Int32Array.from(edges);
    const runs: string[] = [];
    let size = 0;
    for (let i = 0; i < edges.length; i += 2) {
      const first = edges[i]!;
      const last = edges[i + 1]! - 1;
      size += last - first + 1;
      runs.push(first === last ? `${first}` : `${first}-${last}`);
    }
    this.size = size;
    this.text = runs.join(",");
    Object.freeze(this);
  }

  /**
   * Reads the kernel's notation: ids and ranges, separated by commas, in any order; `""` is the empty set. A range may
   * have a stride, `first-last:used/group`: of every `group` ids the first `used`.
   *
   * @param text For example `"0-3,8"`, or the contents of `/sys/devices/system/node/node0/cpulist`.
   * @returns The set.
   * @throws {NumaError} `EINVAL` when the text is anything else.
   *
   * @example
   * ```ts
   * import { CpuSet } from "@numakit/numakit";
   *
   * console.log(CpuSet.parse("0-31:2/8").toString()); // 0-1,8-9,16-17,24-25
   * ```
   */
  static parse(text: string): CpuSet {
    if (typeof text !== "string") {
      throw notParsed(text, "it is not a string", 'Give a list such as "0-3,8".');
    }
    if (text.trim() === "") return CpuSet.empty;
    const runs: Run[] = [];
    for (const item of text.split(",")) addRuns(item, runs, text);
    return new CpuSet(edgesOfRuns(runs));
  }

  /**
   * The set of the given ids.
   *
   * @param ids Ids, in any order, repeated or not.
   * @returns The set.
   * @throws {NumaError} `EINVAL` when one is not a whole number from 0 to 65535.
   *
   * @example
   * ```ts
   * import { CpuSet } from "@numakit/numakit";
   *
   * console.log(CpuSet.of(2, 0, 1).toString()); // 0-2
   * ```
   */
  static of(...ids: number[]): CpuSet {
    return CpuSet.from(ids);
  }

  /**
   * The set of the ids that an iterable gives.
   *
   * @param ids Ids, in any order, repeated or not.
   * @returns The set; `ids` itself when it is one already.
   * @throws {NumaError} `EINVAL` when one is not a whole number from 0 to 65535.
   *
   * @example
   * ```ts
   * import { CpuSet } from "@numakit/numakit";
   *
   * const even = CpuSet.from([...CpuSet.range(0, 7)].filter((cpu) => cpu % 2 === 0));
   * console.log(even.toString()); // 0,2,4,6
   * ```
   */
  static from(ids: Iterable<number>): CpuSet {
    if (CpuSet.#is(ids)) return ids;
    const action = "make a set of CPUs";
    if (typeof ids !== "object" || ids === null || !(Symbol.iterator in ids)) {
      throw new NumaError("EINVAL", action, {
        why: `the ids are ${show(ids)}`,
        fix: "Give an iterable of numbers; CpuSet.parse reads text.",
      });
    }
    const runs: Run[] = [];
    for (const value of ids) {
      const id = checkInteger(value, "an id", 0, MAX_ID, action);
      const run = runs[runs.length - 1];
      if (run !== undefined && run[1] === id) run[1] = id + 1;
      else runs.push([id, id + 1]);
    }
    return new CpuSet(edgesOfRuns(runs));
  }

  /**
   * The ids from one to another.
   *
   * @param first The least id.
   * @param last The greatest id, itself included.
   * @returns The set.
   * @throws {NumaError} `EINVAL` when one is not a whole number from 0 to 65535, or `last` is below `first`.
   */
  static range(first: number, last: number): CpuSet {
    const action = "make a range of CPUs";
    checkInteger(first, "first", 0, MAX_ID, action);
    checkInteger(last, "last", first, MAX_ID, action);
    return new CpuSet([first, last + 1]);
  }

  /**
   * The set that a bit mask describes: bit `i` of word `w` is id `64 * w + i`.
   *
   * @param mask The mask, up to 1024 words; it is copied.
   * @returns The set.
   * @throws {NumaError} `EINVAL` when it is not a `BigUint64Array`, or is longer.
   *
   * @example
   * ```ts
   * import { CpuSet } from "@numakit/numakit";
   *
   * console.log(CpuSet.fromMask(BigUint64Array.of(0b1011n, 1n)).toString()); // 0-1,3,64
   * ```
   */
  static fromMask(mask: BigUint64Array): CpuSet {
    const valid = mask instanceof BigUint64Array;
    if (!valid || mask.length > MAX_MASK_WORDS) {
      throw new NumaError("EINVAL", "read a CPU mask", {
        why: valid ? `it has ${mask.length} words` : `it is ${show(mask)}`,
        fix: `Give a BigUint64Array of up to ${MAX_MASK_WORDS} words.`,
      });
    }
    const edges: number[] = [];
    let inside = false;
    const flip = (id: number): void => {
      edges.push(id);
      inside = !inside;
    };
    for (const [index, word] of mask.entries()) {
      if (word === (inside ? WORD_FULL : 0n)) continue;
      const halves: number[] = [Number(word & 0xffff_ffffn), Number(word >> 32n)];
      for (let bit = 0; bit < WORD_BITS; bit++) {
        const set: boolean = (halves[bit >>> 5]! >>> (bit & 31) & 1) === 1;
        if (set !== inside) flip(index * WORD_BITS + bit);
      }
    }
    if (inside) flip(mask.length * WORD_BITS);
    return new CpuSet(edges);
  }

  /**
   * The set as a bit mask: bit `i` of word `w` is id `64 * w + i`.
   *
   * @param words How many 64-bit words, 1 to 1024; by default as many as the set needs, and at least one.
   * @returns A new mask.
   * @throws {NumaError} `EINVAL` when the set does not fit.
   *
   * @example
   * ```ts
   * import { CpuSet } from "@numakit/numakit";
   *
   * console.log(CpuSet.of(0, 64).toMask()); // two words, 1n and 1n
   * ```
   */
  toMask(words?: number): BigUint64Array {
    const needed = Math.max(1, Math.ceil(((this.last ?? 0) + 1) / WORD_BITS));
    const length = words === undefined ? needed : checkInteger(
      words,
      "words",
      needed,
      MAX_MASK_WORDS,
      `make a mask of the CPUs ${this.text}`,
    );
    const mask = new BigUint64Array(length);
    for (let i = 0; i < this.#edges.length; i += 2) {
      const end = this.#edges[i + 1]!;
      for (let id = this.#edges[i]!; id < end;) {
        const word = Math.floor(id / WORD_BITS);
        const stop = Math.min(end, (word + 1) * WORD_BITS);
        const bits = (1n << BigInt(stop - id)) - 1n;
        mask[word] = mask[word]! | bits << BigInt(id % WORD_BITS);
        id = stop;
      }
    }
    return mask;
  }

  /** The least id, or `undefined` when the set is empty. */
  get first(): number | undefined {
    return this.#edges[0];
  }

  /** The greatest id, or `undefined` when the set is empty. */
  get last(): number | undefined {
    const edge = this.#edges[this.#edges.length - 1];
    return edge === undefined ? undefined : edge - 1;
  }

  /**
   * Whether an id is in the set, in the logarithm of the number of runs.
   *
   * @param id Any number.
   * @returns `false` also for what cannot be an id.
   */
  has(id: number): boolean {
    if (!Number.isInteger(id)) return false;
    let low = 0;
    let high = this.#edges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#edges[middle]! <= id) low = middle + 1;
      else high = middle;
    }
    return (low & 1) === 1;
  }

  /**
   * The ids that are in this set or in the other.
   *
   * @param other Another set.
   * @returns A set.
   * @throws {NumaError} `EINVAL` when `other` is not a `CpuSet`.
   */
  union(other: CpuSet): CpuSet {
    return this.#combine(other, (here, there) => here || there);
  }

  /**
   * The ids that are in both sets.
   *
   * @param other Another set.
   * @returns A set.
   * @throws {NumaError} `EINVAL` when `other` is not a `CpuSet`.
   */
  intersection(other: CpuSet): CpuSet {
    return this.#combine(other, (here, there) => here && there);
  }

  /**
   * The ids that are in this set and not in the other.
   *
   * @param other Another set.
   * @returns A set.
   * @throws {NumaError} `EINVAL` when `other` is not a `CpuSet`.
   */
  difference(other: CpuSet): CpuSet {
    return this.#combine(other, (here, there) => here && !there);
  }

  /**
   * Whether every id of this set is in the other, too.
   *
   * @param other Another set.
   * @returns `true` also when this set is empty.
   * @throws {NumaError} `EINVAL` when `other` is not a `CpuSet`.
   */
  isSubsetOf(other: CpuSet): boolean {
    return this.difference(other).size === 0;
  }

  /**
   * Whether the other set has the same ids.
   *
   * @param other Another set.
   * @returns `false` for what is not a set.
   */
  equals(other: CpuSet): boolean {
    return CpuSet.#is(other) && this.text === other.text;
  }

  /**
   * The ids, ascending.
   *
   * @returns A fresh iterator.
   */
  *[Symbol.iterator](): Generator<number, void, undefined> {
    for (let i = 0; i < this.#edges.length; i += 2) {
      const end = this.#edges[i + 1]!;
      for (let id = this.#edges[i]!; id < end; id++) yield id;
    }
  }

  /**
   * The set in the kernel's notation.
   *
   * @returns The same as {@linkcode CpuSet.text}.
   */
  toString(): string {
    return this.text;
  }

  /**
   * The set as JSON: a string that {@linkcode CpuSet.parse} reads.
   *
   * @returns The same as {@linkcode CpuSet.text}.
   */
  toJSON(): string {
    return this.text;
  }

  static #is(value: unknown): value is CpuSet {
    return typeof value === "object" && value !== null && #edges in value;
  }

  #combine(other: CpuSet, keep: (here: boolean, there: boolean) => boolean): CpuSet {
    if (!CpuSet.#is(other)) {
      throw new NumaError("EINVAL", `combine the CPUs ${this.text} with others`, {
        why: `other is ${show(other)}`,
        fix: "Give a CpuSet.",
      });
    }
    const a = this.#edges;
    const b = other.#edges;
    const edges: number[] = [];
    // The parity of the edges passed says whether the sweep is inside a set.
    for (let i = 0, j = 0; i < a.length || j < b.length;) {
      const id = Math.min(a[i] ?? Infinity, b[j] ?? Infinity);
      if (a[i] === id) i++;
      if (b[j] === id) j++;
      if (keep((i & 1) === 1, (j & 1) === 1) !== ((edges.length & 1) === 1)) edges.push(id);
    }
    return new CpuSet(edges);
  }
}

/** First id, and the one after the last. */
type Run = [start: number, end: number];

function addRuns(item: string, runs: Run[], text: string): void {
  const match = ITEM.exec(item);
  if (match === null) {
    const fix = 'Separate numbers and ranges by commas: "0-3,8".';
    throw notParsed(text, `${show(item)} is neither a number nor a range`, fix);
  }
  const first = Number(match[1]);
  const last = match[2] === undefined ? first : Number(match[2]);
  if (last < first || last > MAX_ID) {
    const fix = `Give numbers from 0 to ${MAX_ID}, the lesser one first.`;
    throw notParsed(text, `${show(item)} is out of range`, fix);
  }
  if (match[3] === undefined) {
    runs.push([first, last + 1]);
    return;
  }
  const used = Number(match[3]);
  const group = Number(match[4]);
  if (used < 1 || group < used) {
    const fix = "Write a stride as first-last:used/group, with 1 <= used <= group.";
    throw notParsed(text, `${show(item)} has a stride that cannot be`, fix);
  }
  for (let id = first; id <= last; id += group) runs.push([id, Math.min(id + used, last + 1)]);
}

function notParsed(text: unknown, why: string, fix: string): NumaError {
  return new NumaError("EINVAL", `parse the CPU list ${show(text)}`, { why, fix });
}

function edgesOfRuns(runs: Run[]): number[] {
  runs.sort((a, b) => a[0] - b[0]);
  const edges: number[] = [];
  for (const [start, end] of runs) {
    const reached = edges[edges.length - 1];
    if (reached === undefined || start > reached) edges.push(start, end);
    else if (end > reached) edges[edges.length - 1] = end;
  }
  return edges;
}
