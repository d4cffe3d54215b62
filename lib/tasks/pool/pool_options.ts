/**
 * What a pool may be asked to be.
 *
 * @module
 */
import type { BindStrengths } from "../../sched/binding/binding.ts";
import type { Policy } from "../../sched/policies/policy.ts";

/** How a worker of a pool waits for tasks. */
export type PoolWait = "block" | "await";

/** How many workers a pool has at least and at the most. */
export interface PoolThreads {
  /** They are there from the beginning, and stay: 1 to 256. */
  readonly min: number;
  /** Up to so many are there while there is more to do than there are workers: `min` to 256. */
  readonly max: number;
}

/** What each worker is bound to. */
export type PoolUnit = "node" | "domain" | "core" | "cpu";

/** What `run` does when as many tasks wait as may. */
export type WhenFull = "wait" | "reject";

/** Options of {@linkcode TaskPool.create}. */
export interface TaskPoolOptions {
  /**
   * The number of workers, 1 to 256, or the least and the greatest number. Default: one for each CPU's worth of time that
   * the process may use.
   */
  readonly threads?: number | PoolThreads;
  /**
   * What a worker is bound to: it runs on all CPUs of a node, of an L3 domain, of a core, or on one CPU. Workers take turns
   * between the units, and between nodes first. Default: `"node"`.
   */
  readonly per?: PoolUnit;
  /** Where workers go, instead of `per`: worker `i` has place `i` of the policy, which may be a text such as `"core"`. */
  readonly policy?: Policy | string;
  /**
   * How hard workers are bound to CPUs and memory; {@linkcode TaskPool.statistics} reports what came of it. Default:
   * `{ cpus: "require", memory: "prefer" }`.
   */
  readonly bind?: BindStrengths;
  /**
   * How many tasks may wait, beyond one for each worker: 0 to 2^31 - 1. Default: no limit. Up to 16,384 tasks are handed to
   * workers at a time, the others wait in the thread that has the pool.
   */
  readonly maxQueued?: number;
  /** What {@linkcode TaskPool.run} does when so many wait: the task waits for room, or `EAGAIN`. Default: `"wait"`. */
  readonly whenFull?: WhenFull;
  /**
   * A worker beyond the least number ends when it has had nothing to do for so many milliseconds: 1 to 2^31 - 1. Default:
   * 10,000.
   */
  readonly idleMs?: number;
  /**
   * How a worker waits for tasks: it blocks its thread, and looks at its event loop every 40 ms; or it awaits, which is
   * slower, for modules with connections and timers of their own. Default: `"block"`.
   */
  readonly wait?: PoolWait;
  /**
   * How often a worker, and {@linkcode TaskPool.runSync}, look for what they wait for before they sleep: 0 to 10,000,000.
   * Default: 5,000 if there are more CPUs than workers, and 100 otherwise.
   */
  readonly spins?: number;
  /**
   * How many tasks near a node may wait for a worker of that node before workers of other nodes take some: 0 to 16,384.
   * Default: 4.
   */
  readonly remoteSteals?: number;
  /**
   * A worker that still does a task so long after that was aborted, or its time had passed, is ended and replaced: 0 to
   * 2^31 - 1 milliseconds. Default: it never is, and goes on until the task is done.
   */
  readonly graceMs?: number;
  /** Whether times are measured, for {@linkcode TaskPool.statistics}: three looks at the clock a task. Default: false. */
  readonly times?: boolean;
  /** A name that error messages use, and the workers' names begin with. Default: `tasks-` and a number. */
  readonly name?: string;
}
