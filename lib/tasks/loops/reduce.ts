import { checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkCrew, checkName, type Crew } from "../crew/crew.ts";
import { runLoop } from "./loop.ts";
import type { LoopOptions, LoopRange } from "./loop_types.ts";
import { checkLoop, checkRange, LOOP_OPTIONS } from "./range.ts";

/** Options of {@linkcode reduce}. */
export interface ReduceOptions<Value, Result> extends LoopOptions {
  /**
   * Adds the value of a chunk to what was combined before. Called in the calling thread, in the order of indices, when all
   * chunks are done; what it throws rejects the promise.
   */
  readonly combine: (before: Result, value: Value) => Result;
  /** What the first value is combined with, and the result of an empty range. */
  readonly initial: Result;
  /**
   * Whether chunks are cut at the same indices each time, so that a sum of floating-point numbers has the same last bit on
   * every run, with any number of workers: about 1,024 chunks, or those of `chunk`. If not, chunks are as long as takes
   * 20 µs or more. Default: true.
   */
  readonly ordered?: boolean;
}

const NAMES: readonly string[] = /* @__PURE__ */ LOOP_OPTIONS.concat([
  "combine",
  "initial",
  "ordered",
]);
/** Chunks of a loop whose result is the same each time. */
const COARSE = 1 << 10;

/**
 * Calls a function for all chunks of a range, as {@linkcode parallelFor} does, and combines the values that it returns.
 *
 * Numbers come through shared memory, exactly as they are; everything else is cloned. Values are always combined in the
 * order of indices. Where chunks are cut depends on the range, on `chunk`, and on the blocks of what is in `near`, not on
 * the workers or on how long they take, unless `ordered` is false.
 *
 * @typeParam Value What the function returns for a chunk.
 * @typeParam Result What is combined of it.
 * @param pool The pool.
 * @param range The indices: from 0 up to a number, or `{ begin, end, step }`.
 * @param task The name of a function that the pool's module exports: `(begin, end, ...args) => Value`.
 * @param options How values are combined, and what {@linkcode parallelFor} takes. At most 2^20 chunks are possible.
 * @returns The result.
 * @throws As {@linkcode parallelFor}. What `combine` threw.
 *
 * @example
 * ```ts
 * import { reduce, TaskPool } from "@numakit/numakit";
 *
 * // Usually new URL("./tasks.ts", import.meta.url).
 * const tasks = `data:text/javascript,
 *   export const sum = (begin, end) => {
 *     let all = 0;
 *     for (let i = begin; i < end; i++) all += i;
 *     return all;
 *   };`;
 * await using pool = await TaskPool.create(tasks, { threads: 2 });
 * const add = (a: number, b: number): number => a + b;
 * console.log(await reduce<number>(pool, 1000, "sum", { combine: add, initial: 0 })); // 499500
 * ```
 */
export async function reduce<Value = number, Result = Value>(
  pool: Crew,
  range: number | LoopRange,
  task: string,
  options: ReduceOptions<Value, Result>,
): Promise<Result> {
  const action = "reduce in a parallel loop";
  const crew = checkCrew(pool, action);
  const checked = checkRange(range, action);
  const name = checkName(task, action);
  checkOptions(options, "{ combine: (a, b) => a + b, initial: 0 }", action);
  checkOptionNames(options, NAMES, action);
  const { combine, initial, ordered = true } = options;
  if (typeof combine !== "function" || typeof ordered !== "boolean") {
    throw new NumaError("EINVAL", action, {
      why: typeof combine === "function"
        ? `ordered is ${show(ordered)}`
        : `combine is ${show(combine)}`,
      fix: typeof combine === "function"
        ? "Give true or false."
        : "Give a function of two values: combine: (a, b) => a + b.",
    });
  }
  const { args, hasChunk, ...loop } = checkLoop(checked, options, action, COARSE);
  const values = await runLoop(crew, {
    ...loop,
    ...{ action, args: [name, args] },
    builtin: "loop",
    ...{ isFixed: hasChunk, isApart: ordered, isStrict: false, hasValues: true },
  });
  let result = initial;
  // A slot without a value is passed over by forEach, and only that.
  values.forEach((value) => {
    result = combine(result, value as Value);
  });
  return result;
}
