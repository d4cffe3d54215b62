/**
 * What is counted of a pool.
 *
 * @module
 */
import type { ThreadBinding } from "../../sched/binding/binding.ts";
import type { TimeClass } from "./pool_counts.ts";

/** From where tasks were taken, by how far that is. */
export type StealCounts = Readonly<Record<"core" | "domain" | "node" | "remote", number>>;

/** What is counted of a worker, and of a node. */
export interface TaskCounts {
  /** Tasks that wait in queues now. */
  readonly queued: number;
  /** Tasks that have ended. A parallel loop and a `forkJoin` are one for each worker. */
  readonly done: number;
  /** Those of them that have thrown. */
  readonly failed: number;
  /** Those that were taken from other workers' queues. */
  readonly stolen: StealCounts;
  /** How long tasks have run, in milliseconds; 0 unless the pool was created with `times: true`. */
  readonly busyMs: number;
  /** How long tasks have run, by size; empty without `times: true`. */
  readonly run: readonly TimeClass[];
  /** How long tasks have waited before that, by size; empty without `times: true`. */
  readonly wait: readonly TimeClass[];
}

/** What is counted of a worker. */
export interface WorkerStatistics extends TaskCounts {
  /** Which one. */
  readonly index: number;
  /** The node of its CPUs; undefined if they are on several. */
  readonly node: number | undefined;
  /** How it is bound as the kernel says, and what was refused; undefined while it has no thread. */
  readonly binding: ThreadBinding | undefined;
  /** Whether it has a thread that does tasks. */
  readonly isLive: boolean;
  /** Whether it does a task now. */
  readonly isBusy: boolean;
}

/** What is counted of all workers of a node. */
export interface NodeStatistics extends TaskCounts {
  /** The node; undefined for workers that may run on several. */
  readonly node: number | undefined;
}

/** What {@linkcode TaskPool.statistics} returns. */
export interface PoolStatistics extends TaskCounts {
  /** When it was counted: milliseconds since 1970. */
  readonly at: number;
  /** How long it was counted: since the pool was created, or since the other statistics. */
  readonly windowMs: number;
  /** The same for each worker, in the order of their indices. */
  readonly workers: readonly WorkerStatistics[];
  /** The same for each node that workers are on, in the order of their first workers. */
  readonly nodes: readonly NodeStatistics[];
}
