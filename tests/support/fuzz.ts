/**
 * Random programs of public calls. The calls are found by looking at the classes, so that a new method is in here from
 * its first day; the arguments are what callers get wrong, and now and then what is right.
 */
import process from "node:process";
import * as numakit from "../../mod.ts";

const { Arena, Binding, NodeArray, NodePool, NumaError, Replicated, Slab } = numakit;
const { bind, interleave, memoryReport, migrate, placement, sharedBuffer } = numakit;

/** A generator of numbers from 0 to 1, the same for the same seed (mulberry32). */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const CALLS = 40;
const NUMBERS = [
  ...[0, 1, 2, 7, 15, 16, 64, 100, 1024, 4096, 65536, 2 ** 20],
  ...[-1, -0, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 37, 2 ** 53, 2 ** 64],
];
const TEXTS = [
  "",
  "x",
  "4k",
  "2m",
  "thp",
  "64 KiB",
  "1 MiB",
  "float64",
  "int32",
  "blocked",
  "cyclic",
];
const KEYS = [
  ...[
    "node",
    "size",
    "reserve",
    "pages",
    "lock",
    "label",
    "name",
    "objectSize",
    "count",
    "threads",
  ],
  ...["nodes", "weights", "huge", "bytesPerNode", "type", "length", "layout", "block", "data"],
  ...["timeoutMs", "signal", "numakitHandle", "identity"],
];
const CLASSES = { Arena, Binding, NodeArray, NodePool, Replicated, Slab };
/** What makes objects when everything is right, so that programs have some to play with. */
const MAKERS: readonly (() => unknown)[] = [
  () => Arena.create({ node: 0, size: "64 KiB" }),
  () => Arena.create({ node: 0, size: 4096, reserve: "1 MiB", label: "fuzz" }),
  () => Arena.create({ node: 0, size: 4096, name: `fuzz-${process.pid}` }),
  () => Arena.open(`fuzz-${process.pid}`),
  () => Arena.local({ size: 4096, reserve: 65536 }),
  () => Slab.create({ node: 0, objectSize: 64, count: 100 }),
  () => NodePool.create({ nodes: [0], bytesPerNode: "1 MiB" }),
  () => NodeArray.create({ type: "float64", length: 1000 }),
  () => Replicated.create({ size: 4096 }),
  () => bind(new SharedArrayBuffer(65536), { node: 0 }),
  () => sharedBuffer({ node: 0, size: 65536, huge: true }),
  () => interleave(new Uint8Array(65536), { nodes: [0], weights: [2] }),
  () => placement(new SharedArrayBuffer(65536)),
  () => migrate(new ArrayBuffer(65536), { node: 0 }),
  () => memoryReport(),
];

/** One program's run. */
class Program {
  readonly #next: () => number;
  readonly #live: unknown[];
  /** What each object gave: offsets, ids, marks and sizes. */
  readonly #given: Map<unknown, number[]> = new Map();
  readonly #pending: Promise<unknown>[] = [];
  #told = "";

  constructor(seed: number, given: readonly unknown[]) {
    this.#next = random(seed);
    this.#live = [...given];
  }

  #pick<Item>(items: readonly Item[]): Item {
    return items[Math.floor(this.#next() * items.length)] as Item;
  }

  #value(depth = 0): unknown {
    const kinds: readonly (() => unknown)[] = [
      () => this.#pick(NUMBERS),
      () => this.#pick(NUMBERS),
      () => 0,
      () => this.#pick(TEXTS),
      () => this.#pick([null, undefined, true, false, 7n, 2n ** 64n, Symbol("fuzz")]),
      () => this.#pick(this.#live),
      () => this.#pick([() => 1, (bytes: Uint8Array) => bytes[0], () => undefined]),
      () => this.#pick([new Uint8Array(100), new Float64Array(9000), new SharedArrayBuffer(9000)]),
      () =>
        depth > 2
          ? []
          : Array.from({ length: this.#pick([0, 1, 2, 5]) }, () => this.#value(depth + 1)),
      () => depth > 2 ? {} : this.#options(depth),
    ];
    return this.#pick(kinds)();
  }

  #options(depth: number): unknown {
    const keys = Array.from({ length: this.#pick([1, 2, 4, 8]) }, () => this.#pick(KEYS));
    return Object.fromEntries(keys.map((key) => [key, this.#value(depth + 1)]));
  }

  /** Runs what may only fail with a NumaError, and keeps what it gave. */
  #attempt(told: string, call: () => unknown, target?: unknown): void {
    this.#told = told;
    try {
      const result = call();
      if (typeof result === "number") {
        this.#given.set(target, [...this.#given.get(target) ?? [], result]);
      }
      if (result instanceof Promise) {
        this.#pending.push(result.catch((error) => this.#judge(error)));
      } else if (typeof result === "object" && result !== null) this.#live.push(result);
    } catch (error) {
      this.#judge(error);
    }
  }

  #judge(error: unknown): void {
    if (error instanceof NumaError) return;
    throw new Error(`${this.#told} threw ${error}`, { cause: error });
  }

  #callMethod(): void {
    const isOurs = (value: unknown) => Object.values(CLASSES).some((type) => value instanceof type);
    // The latest ones, so that some calls follow on each other.
    const target = this.#pick(this.#live.filter(isOurs).slice(-3));
    const [name, type] = Object.entries(CLASSES).find(([, type]) => target instanceof type) ?? [];
    if (type === undefined) return;
    const methods = Object.getOwnPropertyNames(type.prototype).filter((key) =>
      key !== "constructor"
    );
    const often = ["alloc", "alloc", "free", "free", "view"].filter((key) => methods.includes(key));
    const method = this.#pick([...methods, ...often, "allocInt32"]);
    const args = Array.from({ length: this.#pick([0, 1, 1, 2, 3]) }, () => this.#value());
    const kind = this.#next();
    if (kind < 0.4) args[0] = this.#pick(this.#given.get(target)?.slice(-3) ?? [0]);
    else if (kind < 0.7) args[0] = this.#pick([1, 8, 16, 64, 100]);
    this.#attempt(`${name}.${method}(${args.length} arguments)`, () => {
      const member = (target as Record<string, unknown>)[method];
      return typeof member === "function" ? member.apply(target, args) : member;
    }, target);
  }

  #callStatic(): void {
    const [name, type] = this.#pick(Object.entries(CLASSES));
    const statics = Object.getOwnPropertyNames(type).filter((key) =>
      typeof (type as unknown as Record<string, unknown>)[key] === "function"
    );
    const method = this.#pick(statics);
    const args = [this.#value(), this.#value()];
    this.#attempt(
      `${name}.${method}`,
      () => (type as unknown as Record<string, (...args: unknown[]) => unknown>)[method]?.(...args),
    );
  }

  #callFunction(): void {
    const functions = { bind, interleave, migrate, placement, sharedBuffer };
    const [name, call] = this.#pick(Object.entries(functions));
    const args = [this.#value(), this.#value()];
    this.#attempt(name, () => (call as (...args: unknown[]) => unknown)(...args));
  }

  /** Runs it, and destroys all that it made. */
  async run(): Promise<void> {
    const given = new Set(this.#live);
    for (let call = 0; call < CALLS; call++) {
      const kind = this.#next();
      if (kind < 0.15) this.#attempt("a maker", this.#pick(MAKERS));
      else if (kind < 0.25) this.#callStatic();
      else if (kind < 0.35) this.#callFunction();
      else this.#callMethod();
    }
    await Promise.all(this.#pending);
    for (const made of this.#live) {
      if (!given.has(made)) {
        this.#attempt("dispose", () => void (made as Partial<Disposable>)[Symbol.dispose]?.());
      }
    }
  }
}

/**
 * Runs a program.
 *
 * @param seed Which one.
 * @param given Objects that it may use and destroy, but does not destroy by itself.
 * @throws When a call failed with anything but a NumaError.
 */
export async function runProgram(seed: number, given: readonly unknown[] = []): Promise<void> {
  try {
    await new Program(seed, given).run();
  } catch (error) {
    throw new Error(`program ${seed}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}
