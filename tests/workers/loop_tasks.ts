/** Functions that tests of parallel loops, and of fork and join, call by their names. */
import { setTimeout as sleep } from "node:timers/promises";
import { fork, join } from "../../lib/tasks/mod.ts";
import { currentNode, type NodeArray, type NodeArrayPart } from "../../mod.ts";

/** Which worker this thread is. */
export const self: { index: number } = { index: -1 };

/** Counts each index. */
export function tally(begin: number, end: number, counts: Int32Array, origin = 0, step = 1): void {
  for (let index = begin; index < end; index += step) {
    Atomics.add(counts, (index - origin) / step, 1);
  }
}

/** Counts each index after a while, as a promise. */
export async function tallyLater(begin: number, end: number, counts: Int32Array): Promise<void> {
  await sleep(1);
  tally(begin, end, counts);
}

/** Counts each index, and writes the chunk down: its begin and end, from word 2 on; word 0 counts chunks. */
export function chunks(begin: number, end: number, list: Float64Array, counter: Int32Array): void {
  const at = Atomics.add(counter, 0, 1) * 2;
  list[at] = begin;
  list[at + 1] = end;
}

/** The sum of indices. */
export function sum(begin: number, end: number): number {
  let sum = 0;
  for (let index = begin; index < end; index++) sum += index;
  return sum;
}

/** The sum of inverses, of which the order of additions can be seen. */
export function inverses(begin: number, end: number): number {
  let sum = 0;
  for (let index = begin; index < end; index++) sum += 1 / (index + 1);
  return sum;
}

/** Does something for so many milliseconds. */
export function busy(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** A value of each kind. */
export function valued(begin: number, end: number, kind: string): unknown {
  if (kind === "text") return `${begin}-${end}`;
  if (kind === "mixed") return begin % 2 === 0 ? begin : [begin];
  if (kind === "nothing") return undefined;
  if (kind === "odd") return [NaN, -0, Infinity, 5e-324][begin % 4];
  return begin;
}

/** Throws at an index. */
export function throws(begin: number, end: number, at: number, counts?: Int32Array): void {
  if (counts !== undefined) Atomics.add(counts, 0, 1);
  if (begin <= at && at < end) throw new RangeError(`no ${at}`);
}

/** Rejects at an index. */
export async function rejects(begin: number, end: number, at: number): Promise<void> {
  await sleep(1);
  throws(begin, end, at);
}

/** Waits for ever at an index, in a way that every runtime can end; says that it is there. */
export async function hangs(
  begin: number,
  end: number,
  at: number,
  flags: Int32Array,
): Promise<void> {
  if (!(begin <= at && at < end)) return;
  Atomics.store(flags, 1, self.index);
  Atomics.store(flags, 0, 1);
  for (;;) await sleep(5);
}

/** Counts, and waits until it may go on. */
export async function waits(begin: number, end: number, flags: Int32Array): Promise<void> {
  Atomics.add(flags, 0, end - begin);
  while (Atomics.load(flags, 1) === 0) await sleep(1);
}

/** Adds up numbers. */
export function sumFloats(begin: number, end: number, data: Float64Array): number {
  let sum = 0;
  for (let index = begin; index < end; index++) sum += data[index] as number;
  return sum;
}

/** Adds up elements of an array over nodes. */
export function sumOf(begin: number, end: number, array: NodeArray<"float64">): number {
  let sum = 0;
  for (let index = begin; index < end; index++) sum += array.get(index);
  return sum;
}

/** Fills a part with its node; says which it was. */
export function fillPart({ part, node, view }: NodeArrayPart<"float64">, add = 0): unknown {
  view.fill(part * 1000 + add);
  return { part, node, length: view.length };
}

/** The node that a part is done on. */
export function nodeOfPart(_part: NodeArrayPart<"float64">): number {
  busy(5);
  return currentNode();
}

/** Counts elements in word 0 where they are on this thread's node, else in word 1. */
export function atHome(
  begin: number,
  end: number,
  array: NodeArray<"float64">,
  counts: Int32Array,
): void {
  const isHome = array.nodeOf(begin) === currentNode();
  for (let index = begin; index < end; index++) array.set(index, array.get(index));
  Atomics.add(counts, isHome ? 0 : 1, end - begin);
}

/** Destroys the array. */
export function destroys(_begin: number, _end: number, array: NodeArray<"float64">): number {
  array.destroy();
  return array.get(0);
}

/** Fibonacci numbers, the slow way. */
export function fib(n: number): number {
  if (n < 2) return n;
  const a = fork("fib", [n - 1]);
  const b = fib(n - 2);
  return b + join(a);
}

/** What a random graph of tasks computes: see `fork_test.ts`. */
export function graph(seed: number, depth: number): number {
  let state = seed >>> 0;
  const next = (most: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * most);
  };
  const forks: number[] = [];
  let sum = seed % 1000;
  const count = depth === 0 ? 0 : next(4);
  for (let child = 0; child < count; child++) {
    forks.push(fork("graph", [Math.floor(seed / 3) + child + 1, depth - 1]));
    if (next(3) === 0) sum += graph(seed + child + 7, depth - 1) / 2;
  }
  // In any order, and not all of them.
  while (forks.length > 0 && next(8) > 0) {
    const [task] = forks.splice(next(forks.length), 1);
    sum += join(task as number) / 2;
  }
  return sum;
}

/** Rejects, which is no number. */
export const rejecting = (): Promise<never> => Promise.reject(new Error("not waited for"));

/** Forks a task that throws. */
export function failing(depth: number): number {
  if (depth === 0) throw new TypeError("too deep");
  const a = fork("failing", [depth - 1]);
  const b = fork("fib", [10]);
  return join(b) + join(a);
}

/** Forks a task that throws, and catches that. */
export function catching(): number {
  const a = fork("failing", [0]);
  try {
    return join(a);
  } catch {
    return 1;
  }
}

/** Forks with an argument that is another number at each look, and forks a task when it is looked at. */
export function forkWithGetter(): number {
  let looks = 0;
  let inner = 0;
  const args = Object.defineProperty([0, 5], 0, {
    get() {
      inner += join(fork("fib", [3]));
      return ++looks * 100;
    },
  });
  const outer = join(fork("plus", args));
  return looks === 1 && inner === 2 ? outer : NaN;
}

export const anything = (..._args: unknown[]): number => 1;
export const plus = (a: number, b: number): number => a + b;

/** Wrong uses: the error's code, as a number of its letters. */
export function misuse(kind: number): number {
  const a = fork("fib", [3]);
  if (kind === 0) return join(a) + join(a);
  if (kind === 1) return join(a + 1);
  if (kind === 2) return fork("nothing", []);
  if (kind === 3) return fork("fib", ["1"] as unknown as number[]);
  if (kind === 4) return fork("fib", [1, 2, 3, 4, 5, 6, 7]);
  if (kind === 5) return join(NaN);
  if (kind === 6) return fork("joins", [a]);
  if (kind === 7) return "1" as unknown as number;
  return join(-0.5);
}

/** Joins what it has not forked. */
export function joins(task: number): number {
  return join(task);
}

/** Forks more than there are cells for, and joins them from the first to the last. */
export function wide(count: number): number {
  const forks: number[] = [];
  for (let index = 0; index < count; index++) forks.push(fork("one", [index]));
  let sum = 0;
  for (const task of forks) sum += join(task);
  return sum;
}

/** A task that does nothing. */
export function one(index: number): number {
  return index;
}

/** Forks what it does not join. */
export function leaves(words: number): void {
  void words;
  for (let index = 0; index < 10; index++) fork("count", [index]);
}

/** How often {@linkcode count} ran in this thread. */
let counted = 0;

/** Counts. */
export function count(): number {
  return ++counted;
}

/** A task for six numbers. */
export function six(...args: number[]): number {
  return args.reduce((sum, arg, index) => sum + arg * 10 ** index, 0);
}

/** Forks with each number of arguments. */
export function arities(): number {
  let sum = 0;
  for (let length = 0; length <= 6; length++) {
    sum += join(fork("six", Array.from({ length }, (_, index) => index + 1)));
  }
  return sum;
}

/** Waits for the end of its computation with a fork that nobody can finish. */
export function endless(n: number): number {
  if (n === 0) { for (;;) join(fork("one", [1])); }
  return n;
}
