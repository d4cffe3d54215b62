/**
 * Pools of workers that do tasks near their data.
 *
 * @example Two workers
 * ```ts
 * import { TaskPool } from "@numakit/numakit/tasks";
 *
 * // Usually new URL("./tasks.ts", import.meta.url), and typeof import("./tasks.ts").
 * const tasks = "data:text/javascript,export const square = (x) => x * x";
 * await using pool = await TaskPool.create<{ square(x: number): number }>(tasks, { threads: 2 });
 * console.log(await pool.map("square", [1, 2, 3])); // [1, 4, 9]
 * ```
 *
 * @module
 */
export { TaskPool } from "./pool/task_pool.ts";
export type { MemoryOnNode } from "./places/near.ts";
export type { TimeClass } from "./pool/pool_counts.ts";
export type { PoolEvent, PoolEventName } from "./pool/pool_events.ts";
export type {
  PoolThreads,
  PoolUnit,
  PoolWait,
  TaskPoolOptions,
  WhenFull,
} from "./pool/pool_options.ts";
export type {
  NodeStatistics,
  PoolStatistics,
  StealCounts,
  TaskCounts,
  WorkerStatistics,
} from "./pool/statistics_types.ts";
export type {
  MapOptions,
  MapProgress,
  RunOptions,
  RunSyncOptions,
  TaskArgs,
  TaskModule,
  TaskName,
  TaskOptions,
  TaskPriority,
  TaskResult,
} from "./pool/task_types.ts";
export { PiscinaPool } from "./piscina/piscina_pool.ts";
export type { PiscinaOptions, PiscinaRunOptions } from "./piscina/piscina_options.ts";
export type { Crew } from "./crew/crew.ts";
export { parallelFor } from "./loops/parallel_for.ts";
export { reduce, type ReduceOptions } from "./loops/reduce.ts";
export { forEachPartition, type PartitionOptions } from "./loops/for_each_partition.ts";
export type { AnyNodeArray, LoopOptions, LoopProgress, LoopRange } from "./loops/loop_types.ts";
export { fork, join } from "./forks/fork.ts";
export { forkJoin, type ForkJoinOptions } from "./forks/fork_join.ts";
export type { Handle, Shareable } from "../base/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../base/error.ts";
