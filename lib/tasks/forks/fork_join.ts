import { checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkSignal } from "../../base/options.ts";
import { topology } from "../../topology/load.ts";
import { checkCrew, checkName, type Crew } from "../crew/crew.ts";
import { drive } from "../crew/drive.ts";
import { orderOf, type Place, placesOf } from "../loops/homes.ts";
import { MAX_WORKERS } from "../loops/loop_core.ts";
import { ForkCore } from "./fork_core.ts";
import { checkNumbers, type ForkPlan } from "./fork_job.ts";

/** Options of {@linkcode forkJoin}. */
export interface ForkJoinOptions {
  /** The names of functions that are forked, beside the first one. Default: none. */
  readonly tasks?: readonly string[];
  /** Stops it: tasks that run go on until they fork or join. The promise then rejects with its reason. */
  readonly signal?: AbortSignal;
}

const NAMES = ["tasks", "signal"];
const CAPACITY = 256;
const CELLS = 1024;

/** Of each worker: the others, the nearest first. */
function victimsOf(crew: Crew): number[][] {
  const machine = topology();
  const nowhere: Place = { node: undefined, domain: undefined };
  const places = placesOf(machine, crew.placements).map((place) => place ?? nowhere);
  // A home for each worker, so that one goes to whoever is near.
  const homes = places.map((place, worker) => ({
    ...place,
    ...{ part: worker, from: 0, count: 1, hasWorkers: true },
  }));
  return places.map((place, worker) =>
    orderOf(machine, worker, place, homes, false).filter((other) => other !== worker)
  );
}

/**
 * Runs a function in a worker of a pool; it can {@linkcode fork} tasks, which other workers steal, and {@linkcode join}
 * them.
 *
 * All workers of the pool take part until the function has returned: one that is busy comes when it is free. Workers steal
 * from those of their L3 domain first, then of their node, then of other nodes. The call does not block. A task that throws
 * stops all others, also when the task that joins it catches the error.
 *
 * @param pool The pool.
 * @param task The name of a function that the pool's module exports. It takes numbers and returns a number, or nothing.
 * @param args Its arguments: at most 6 numbers.
 * @param options The other functions that are forked, and a signal.
 * @returns What the function returned; NaN for nothing.
 * @throws What a task threw first. The signal's reason. {@linkcode NumaError} `EINVAL`; `ETERMINATED` if a worker ended with
 * a task.
 *
 * @example
 * ```ts
 * import { forkJoin, TaskPool } from "@numakit/numakit";
 *
 * // Usually new URL("./tasks.ts", import.meta.url).
 * const tasks = `data:text/javascript,
 *   import { fork, join } from "${import.meta.resolve("@numakit/numakit/tasks")}";
 *   export const fibonacci = (n) => {
 *     if (n < 2) return n;
 *     const other = fork("fibonacci", [n - 1]);
 *     return fibonacci(n - 2) + join(other);
 *   };`;
 * await using pool = await TaskPool.create(tasks, { threads: 2 });
 * console.log(await forkJoin(pool, "fibonacci", [15])); // 610
 * ```
 */
export async function forkJoin(
  pool: Crew,
  task: string,
  args: readonly number[] = [],
  options: ForkJoinOptions = {},
): Promise<number> {
  const action = "fork and join tasks";
  const crew = checkCrew(pool, action);
  const name = checkName(task, action);
  const numbers = checkNumbers(args, action);
  checkOptions(options, `{ ${NAMES.join(", ")} }`, action);
  checkOptionNames(options, NAMES, action);
  const { tasks = [], signal } = options;
  checkSignal(signal, action)?.throwIfAborted();
  if (!Array.isArray(tasks)) {
    throw new NumaError("EINVAL", action, {
      why: `tasks is ${show(tasks)}`,
      fix: "Give an array of names of functions.",
    });
  }
  const names = [...new Set([name, ...tasks.map((other) => checkName(other, action))])];
  const workers = crew.placements.length;
  if (workers < 1 || workers > MAX_WORKERS) {
    throw new NumaError("EINVAL", action, {
      why: `the pool has ${workers} workers`,
      fix: `Give one with 1 to ${MAX_WORKERS}.`,
    });
  }
  const shape = { workers, capacity: CAPACITY, cells: CELLS };
  const buffer = new SharedArrayBuffer(ForkCore.words(shape) * 4);
  const core = new ForkCore(new Int32Array(buffer), shape);
  const plan: ForkPlan = { shape, names, args: numbers, orders: victimsOf(crew) };
  await drive(crew, core, {
    ...{ action, builtin: "fork", args: [buffer, plan], signal },
    died: (worker) =>
      new NumaError("ETERMINATED", action, {
        why: `worker ${worker} ended in the middle of a task`,
        fix: "Find out what ended it, and start again.",
      }),
  });
  return new Float64Array(Int32Array.of(core.rootLow(), core.rootHigh()).buffer)[0] as number;
}
