/**
 * Functions of numakit's own that workers of a pool can do, beside those of the tasks' module.
 *
 * @module
 */
import type { ThreadPlacement } from "../sched/policies/plan.ts";
import { forkBuiltin } from "./forks/fork_job.ts";
import { loopBuiltin, partsBuiltin } from "./loops/loop_job.ts";

/** What a function of numakit's own knows of the worker that does it. */
export interface WorkerContext {
  /** Which worker it is, from 0. */
  readonly index: number;
  /** How many workers the pool has at the most. */
  readonly count: number;
  /** Where the worker runs. */
  readonly placement: ThreadPlacement;
  /**
   * A function of the tasks' module.
   *
   * @param name Its name there.
   * @returns The function.
   * @throws {NumaError} `EINVAL` when the module exports no such function.
   */
  functionOf(name: string): (...args: unknown[]) => unknown;
}

/** A function of numakit's own. It may return a promise. */
export type Builtin = (context: WorkerContext, ...args: never[]) => unknown;

/** The functions, by their names: the same in all threads. */
export const BUILTINS: Readonly<Record<string, Builtin>> = {
  fork: forkBuiltin,
  loop: loopBuiltin,
  parts: partsBuiltin,
  /** Says which worker does it. */
  whoami: ({ index }: WorkerContext): number => index,
};

/** Their names in the order of their indices. */
export const BUILTIN_NAMES: readonly string[] = /* @__PURE__ */ Object.keys(BUILTINS).sort();
