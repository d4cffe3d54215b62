import { checkOptionNames, checkOptions } from "../../base/check.ts";
import { checkCrew, checkName, type Crew } from "../crew/crew.ts";
import { runLoop } from "./loop.ts";
import type { LoopOptions, LoopRange } from "./loop_types.ts";
import { checkLoop, checkRange, LOOP_OPTIONS } from "./range.ts";

/**
 * Calls a function for all chunks of a range of indices, in all workers of a pool.
 *
 * The function gets `begin` and `end` of a chunk and then `args`; there is no call for each index, so it has the loop
 * itself: `for (let i = begin; i < end; i += step)`. Every index is in one chunk. The range is divided among the nodes
 * first, so that the owner of data computes it (`near`); workers that have nothing left then take chunks of others: those
 * of their L3 domain, then of their node, then of other nodes, the nearest first. A chunk costs one contended atomic
 * operation.
 *
 * The call does not block; the calling thread does no chunks. Several loops may run at the same time. A function may return
 * a promise: the worker then takes its next chunk when that has settled. Once the promise of the loop has settled, no chunk
 * of it runs any more.
 *
 * Cost: a message to each worker, one from it, and a wake-up at the end, whatever the range.
 *
 * @param pool The pool.
 * @param range The indices: from 0 up to a number, or `{ begin, end, step }`.
 * @param task The name of a function that the pool's module exports: `(begin, end, ...args) => unknown`.
 * @param options Arguments, places, chunks, signal, progress.
 * @throws What a call threw first. The signal's reason. {@linkcode NumaError} `EINVAL`; `ENODEV` if there is no node of
 * `near`; `EDESTROYED` if the array in `near` is; `ETERMINATED` if a worker ended in the middle of a chunk, which the
 * message names; `EAGAIN` if too many threads and loops wait; `ECLOSED` if the pool is closed.
 *
 * @example
 * ```ts
 * import { parallelFor, TaskPool } from "@numakit/numakit";
 *
 * // Usually new URL("./tasks.ts", import.meta.url).
 * const tasks = `data:text/javascript,
 *   export const square = (begin, end, data) => {
 *     for (let i = begin; i < end; i++) data[i] = i * i;
 *   };`;
 * await using pool = await TaskPool.create(tasks, { threads: 2 });
 * const data = new Float64Array(new SharedArrayBuffer(8 * 1000));
 * await parallelFor(pool, data.length, "square", { args: [data] });
 * console.log(data[999]); // 998001
 * ```
 */
export async function parallelFor(
  pool: Crew,
  range: number | LoopRange,
  task: string,
  options: LoopOptions = {},
): Promise<void> {
  const action = "run a parallel loop";
  const crew = checkCrew(pool, action);
  const checked = checkRange(range, action);
  const name = checkName(task, action);
  checkOptions(options, `{ ${LOOP_OPTIONS.join(", ")} }`, action);
  checkOptionNames(options, LOOP_OPTIONS, action);
  const { args, hasChunk, ...loop } = checkLoop(checked, options, action);
  await runLoop(crew, {
    ...loop,
    ...{ action, args: [name, args] },
    builtin: "loop",
    ...{ isFixed: hasChunk, isApart: false, isStrict: false, hasValues: false },
  });
}
