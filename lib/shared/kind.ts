/**
 * A class of objects in shared words, in one row: what it is called, what it takes, and how its objects come to be.
 *
 * The row stands in the class's file. `create`, `bytes` and `fromHandle` of the class are one call each. Both calls that
 * run when the module is loaded are marked as `@__PURE__`, so that a bundler can leave out a class that nobody uses:
 *
 * ```
 * const KIND = defineKind<Latch, SyncOptions, [count: number]>({
 *   name: "Latch",
 *   code: 24,
 *   title: "a latch",
 *   accepts: ["threads"],
 *   words: (shape) => LatchCore.words(shape),
 *   prepare({ action }, count) {
 *     checkInteger(count, "count", 0, MAX_COUNT, action);
 *     return (words) => LatchCore.init(words, count);
 *   },
 * });
 *
 * class Latch {
 *   static readonly #kind = KIND.register(Latch, (region) => new Latch(region));
 *
 *   static create(memory: SyncMemory, count: number, options: SyncOptions = {}): Latch {
 *     return Latch.#kind.create(memory, options, count);
 *   }
 *   // …
 * }
 * ```
 *
 * @module
 */
import { checkInteger, checkOptionNames, checkOptions } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { type Handle, handleData, registerKind, type Shareable } from "../base/handle.ts";
import { oneOf } from "./live_objects.ts";
import {
  attachRegion,
  checkRegionOptions,
  createRegion,
  openRegion,
  type Region,
  regionBytes,
  type RegionKind,
  type RegionOptions,
  type SyncOptions,
} from "./region.ts";

/** An option that is a whole number, and that the object's memory keeps. */
export interface NumberOption<Options> {
  /** What it is called. */
  readonly name: keyof Options & string;
  /** The least that it may be. */
  readonly min: number;
  /** The greatest that it may be. */
  readonly max: number;
  /** What it is when it is left out. Absent where it must be given. */
  readonly default?: number;
}

/** What is known when an object is to be created, before its memory is taken. */
export interface Creation<Options> {
  /** The options. Those that every kind has are checked. */
  readonly options: Options;
  /** The number of threads that it is for. */
  readonly threads: number;
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
}

/**
 * The row of a class.
 *
 * @typeParam Options What `create` takes as its options.
 * @typeParam Given What else it takes, after the memory.
 */
export interface KindRow<Options extends SyncOptions, Given extends readonly unknown[] = []>
  extends RegionKind {
  /** The names of its options, as errors show them. */
  readonly accepts: readonly (keyof Options & string)[];
  /** The number that its memory keeps of its options: one of them, or what a function makes of them. Default: 0. */
  readonly option?: NumberOption<Options> | ((options: Options, action: string) => number);
  /**
   * Checks what else `create` was given. Called before memory is taken.
   *
   * @param creation The options and what is known of them.
   * @param given What else `create` was given.
   * @returns Writes it into the words of the new object, which are zero.
   */
  prepare?(creation: Creation<Options>, ...given: Given): (words: Int32Array) => void;
}

/** The names of all kinds, by their codes. */
const names = /* @__PURE__ */ new Map<number, string>();

/**
 * A class of objects in shared words.
 *
 * @typeParam Type The class.
 * @typeParam Options What `create` takes as its options.
 * @typeParam Given What else it takes, after the memory.
 * @typeParam Row Its row.
 */
export class Kind<
  Type extends Shareable,
  Options extends SyncOptions = SyncOptions,
  Given extends readonly unknown[] = [],
  Row extends KindRow<Options, Given> = KindRow<Options, Given>,
> {
  /** What is known of it. */
  readonly row: Row;
  #make: ((region: Region) => Type) | undefined;

  /** @param row What is known of it. */
  constructor(row: Row) {
    this.row = row;
  }

  /**
   * Creates an object.
   *
   * @param memory The memory that it takes, or takes from.
   * @param options The options.
   * @param given What else the class takes.
   * @returns The object.
   * @throws {NumaError} `EINVAL`; as {@linkcode createRegion}.
   */
  create(memory: unknown, options: Options, ...given: Given): Type {
    const { row } = this;
    const action = `create ${row.title}`;
    const settings = this.#settings(options, action);
    const { threads } = checkRegionOptions(settings, action);
    const write = row.prepare?.({ options, threads, action }, ...given);
    const region = createRegion(row, memory, settings, action);
    write?.(region.words);
    return this.#objectOf(region);
  }

  /**
   * The size of an object.
   *
   * @param options The options that it will be created with.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  bytes(options: Options): number {
    const action = `size ${this.row.title}`;
    return regionBytes(this.row, this.#settings(options, action), action);
  }

  /**
   * The live object of a handle.
   *
   * @param handle What the object's `toHandle` gave in any thread.
   * @returns The object: one a thread.
   * @throws {NumaError} As {@linkcode attachRegion}.
   */
  attach(handle: Handle): Type {
    const { row } = this;
    const { option } = row;
    const action = `attach ${row.title}`;
    const region = attachRegion(row, handleData(handle, row.name, action), action);
    // It is in memory that any thread can write to.
    if (typeof option === "object") checkNumber(option, region.option, action);
    return this.#objectOf(region);
  }

  /**
   * The live object that another process has created.
   *
   * @param arena The arena, from a caller.
   * @param offset Where it is there, from a caller.
   * @returns The object: one a thread.
   * @throws {NumaError} As {@linkcode openRegion}.
   */
  open(arena: unknown, offset: unknown): Type {
    return this.#objectOf(openRegion(this.row, arena, offset, `open ${this.row.title}`));
  }

  /**
   * Says which class it is. Handles of its objects come back to life from then on.
   *
   * @param type The class.
   * @param make Makes an object of a region.
   * @returns The kind, for a field of the class: where a bundler leaves the class out, it leaves this out as well.
   */
  register(type: { readonly prototype: Type }, make: (region: Region) => Type): this {
    this.#make = make;
    registerKind(this.row.name, type, (handle) => this.attach(handle));
    return this;
  }

  #objectOf(region: Region): Type {
    return oneOf(region, this.#make as (region: Region) => Type);
  }

  /** What of the options its memory has to know. */
  #settings(options: Options, action: string): RegionOptions {
    const { accepts, option } = this.row;
    checkOptions(options, `{ ${accepts.join(", ")} }`, action);
    checkOptionNames(options, accepts, action);
    const { threads, statistics, processes } = options as RegionOptions;
    const settings = {
      threads,
      statistics: accepts.includes("statistics" as never) && statistics,
      processes: accepts.includes("processes" as never) && processes,
    };
    if (option === undefined) return settings;
    const value = typeof option === "function"
      ? option(options, action)
      : checkNumber(option, options[option.name], action);
    return { ...settings, option: value };
  }
}

function checkNumber<Options>(
  option: NumberOption<Options>,
  value: unknown,
  action: string,
): number {
  const { name, min, max } = option;
  return checkInteger(value === undefined ? option.default : value, name, min, max, action);
}

/**
 * Defines a kind. Called once for a class, when its module is loaded.
 *
 * @typeParam Type The class.
 * @typeParam Options What its `create` takes as its options.
 * @typeParam Given What else that takes, after the memory.
 * @typeParam Row The row, where there is more in it.
 * @param row What is known of it.
 * @returns The kind.
 * @throws {NumaError} `EINVAL` a name or code that another kind has: handles and memory of the one would pass for the
 * other.
 */
export function defineKind<
  Type extends Shareable,
  Options extends SyncOptions = SyncOptions,
  Given extends readonly unknown[] = [],
  Row extends KindRow<Options, Given> = KindRow<Options, Given>,
>(row: Row): Kind<Type, Options, Given, Row> {
  const { name, code } = row;
  const taken = names.has(code) ? `code ${code}` : `name "${name}"`;
  if (names.has(code) || [...names.values()].includes(name)) {
    throw new NumaError("EINVAL", `define the kind "${name}" with code ${code}`, {
      why: `"${names.get(code) ?? name}" has the ${taken} already`,
      fix: "Give it one that no kind has ever had.",
    });
  }
  names.set(code, name);
  return new Kind(row);
}
