/**
 * What parallel loops and fork/join need of a pool, and nothing else.
 *
 * @module
 */
import type { ThreadPlacement } from "../../sched/policies/plan.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";

/** Workers that run functions of a module, and builtins of their own. */
export interface Crew {
  /** Where each of its workers runs, by index; undefined for one that does not at this moment. */
  readonly placements: readonly (ThreadPlacement | undefined)[];
  /**
   * Runs a builtin of `builtins.ts` in each worker, once.
   *
   * @param builtin Its name.
   * @param args Its arguments; numakit's objects among them arrive alive.
   * @returns A promise for each of {@linkcode Crew.placements}, for what the worker returned or threw. It rejects when there
   * is no such worker, or it ends before that; it may stay pending for as long as the worker is busy.
   */
  runOnAll(builtin: string, args: readonly unknown[]): readonly Promise<unknown>[];
}

/**
 * Checks that something is a pool, before anything looks into it.
 *
 * @param crew What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns It.
 * @throws {NumaError} `EINVAL`.
 */
export function checkCrew(crew: unknown, action: string): Crew {
  const { placements, runOnAll } = Object(crew) as Partial<Crew>;
  if (Array.isArray(placements) && typeof runOnAll === "function") return crew as Crew;
  throw new NumaError("EINVAL", action, {
    why: `the pool is ${show(crew)}`,
    fix: "Give a TaskPool.",
  });
}

/**
 * Checks the name of a function before any worker looks for it.
 *
 * @param name What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The name.
 * @throws {NumaError} `EINVAL`.
 */
export function checkName(name: unknown, action: string): string {
  if (typeof name === "string" && name !== "") return name;
  throw new NumaError("EINVAL", action, {
    why: `the task is ${show(name)}`,
    fix: "Give the name of a function that the pool's module exports.",
  });
}

/**
 * Checks a list of arguments.
 *
 * @param args What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The list.
 * @throws {NumaError} `EINVAL`.
 */
export function checkArgs(args: unknown, action: string): readonly unknown[] {
  if (Array.isArray(args)) return args;
  throw new NumaError("EINVAL", action, {
    why: `args is ${show(args)}`,
    fix: "Give an array of the arguments that follow the range.",
  });
}
