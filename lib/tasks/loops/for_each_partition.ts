import { checkOptionNames, checkOptions } from "../../base/check.ts";
import { checkFunction, checkSignal } from "../../base/options.ts";
import { checkArgs, checkCrew, checkName, type Crew } from "../crew/crew.ts";
import { runLoop } from "./loop.ts";
import type { AnyNodeArray, LoopOptions } from "./loop_types.ts";
import { checkArray } from "./range.ts";

/** Options of {@linkcode forEachPartition}. */
export type PartitionOptions = Pick<LoopOptions, "args" | "signal" | "onProgress">;

const NAMES = ["args", "signal", "onProgress"];

/**
 * Calls a function once for each part of an array over nodes, in a worker on the part's node.
 *
 * The function gets the part, with its `part`, `node` and `view`, and then `args`. A part whose node has no workers goes to
 * the nearest one that is free. A node's workers do its parts; others do not help them, unlike in {@linkcode parallelFor}
 * with `near`. Parts without elements are not left out.
 *
 * @typeParam Value What the function returns.
 * @param pool The pool.
 * @param array The array.
 * @param task The name of a function that the pool's module exports: `(part: NodeArrayPart, ...args) => Value`.
 * @param options Arguments, signal, progress (`done` and `total` count parts).
 * @returns What the calls returned, in the order of parts; what is no number was cloned.
 * @throws As {@linkcode parallelFor}.
 *
 * @example
 * ```ts
 * import { forEachPartition, NodeArray, TaskPool } from "@numakit/numakit";
 *
 * // Usually new URL("./tasks.ts", import.meta.url).
 * const tasks = `data:text/javascript,
 *   export const sum = ({ view }) => view["reduce"]((a, b) => a + b, 0);`;
 * await using pool = await TaskPool.create(tasks, { threads: 2 });
 * using array = NodeArray.create({ type: "float64", length: 1000 });
 * array.fill(1);
 * const sums = await forEachPartition<number>(pool, array, "sum");
 * console.log(sums.reduce((a, b) => a + b, 0)); // 1000
 * ```
 */
export async function forEachPartition<Value = unknown>(
  pool: Crew,
  array: AnyNodeArray,
  task: string,
  options: PartitionOptions = {},
): Promise<Value[]> {
  const action = "call a function for each part of an array";
  const crew = checkCrew(pool, action);
  const { nodes } = checkArray(array, action);
  const name = checkName(task, action);
  checkOptions(options, `{ ${NAMES.join(", ")} }`, action);
  checkOptionNames(options, NAMES, action);
  const { args = [], signal, onProgress } = options;
  checkFunction(onProgress, "onProgress", action);
  const count = nodes.length;
  const values = await runLoop(crew, {
    ...{ action, nodes, args: [name, checkArgs(args, action), array] },
    builtin: "parts",
    ...{ isFixed: true, isApart: true, isStrict: true, hasValues: true },
    cut: { begin: 0, end: count, step: 1, origin: 0, block: 1, parts: count, grain: 1 },
    signal: checkSignal(signal, action),
    onProgress,
  });
  return values as Value[];
}
