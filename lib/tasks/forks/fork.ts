import { currentJob } from "./fork_job.ts";

/**
 * Forks a task: another worker may run it, while this one goes on.
 *
 * For functions that {@linkcode forkJoin} runs, and what they call. A fork is some words in shared memory, and no message.
 * Nobody else is waited for: if no worker is free, {@linkcode join} runs the task in this one.
 *
 * @param name The name of a function that the pool's module exports: the one that {@linkcode forkJoin} was given, or one of
 * its option `tasks`. It takes numbers and returns a number, or nothing (NaN).
 * @param args Its arguments: at most 6 numbers.
 * @returns What `join` takes. A task that returns without having joined all its forks joins them then.
 * @throws {NumaError} `EINVAL` for other arguments, and outside of `forkJoin`; `ETERMINATED` if the computation has been
 * stopped; `ENOMEM` if more than 2^20 forks have not been joined. What the task threw, where it had to be run at once.
 *
 * @example
 * ```ts
 * import { fork, join } from "@numakit/numakit";
 *
 * // In the module of a pool, which runs it with forkJoin(pool, "fibonacci", [30]).
 * export function fibonacci(n: number): number {
 *   if (n < 2) return n;
 *   const other = fork("fibonacci", [n - 1]);
 *   return fibonacci(n - 2) + join(other);
 * }
 * ```
 */
export function fork(name: string, args: readonly number[]): number {
  return currentJob("fork a task").fork(name, args);
}

/**
 * The result of a task that this one has forked. If no other worker has taken it, it is run now; otherwise this worker runs
 * tasks of the one that has taken it, until it is done.
 *
 * Join the last fork first: then nothing else is run.
 *
 * @param task What {@linkcode fork} returned in this task.
 * @returns What the function returned; NaN for nothing.
 * @throws What the function threw, if this worker ran it. {@linkcode NumaError} `ETERMINATED` if it threw in another worker,
 * if that worker ended, or if the computation was aborted; `EINVAL` if it is no such fork, or was joined before.
 *
 * @example
 * ```ts
 * import { fork, join } from "@numakit/numakit";
 *
 * // In the module of a pool, which runs it with forkJoin(pool, "leaves", [10]).
 * export function leaves(depth: number): number {
 *   if (depth === 0) return 1;
 *   const left = fork("leaves", [depth - 1]);
 *   const right = fork("leaves", [depth - 1]);
 *   // The last one first.
 *   return join(right) + join(left);
 * }
 * ```
 */
export function join(task: number): number {
  return currentJob("join a task").join(task);
}
