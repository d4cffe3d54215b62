import type { MemoryOnNode } from "../places/near.ts";

/** A module of tasks: `typeof import("./tasks.ts")`. */
// deno-lint-ignore ban-types
export type TaskModule = {};

/** The names of a module's functions. */
export type TaskName<Module> =
  & {
    [Name in keyof Module]: Module[Name] extends (...args: never[]) => unknown ? Name : never;
  }[keyof Module]
  & string;

/** The arguments of a task. */
export type TaskArgs<Module, Name extends keyof Module> = Module[Name] extends
  (...args: infer Args) => unknown ? Args : never;

/** What a task returns, or what the promise that it returns resolves to. */
export type TaskResult<Module, Name extends keyof Module> = Module[Name] extends
  (...args: never[]) => infer Result ? Awaited<Result> : never;

/** Which tasks come first. */
export type TaskPriority = "high" | "normal" | "low";

/** Where and when a task is to run. */
export interface TaskOptions {
  /**
   * What the task works on: a node's number, something with a `node` such as an arena, or memory. It runs on the node on
   * which most of that is, or the nearest one that has workers, unless too many tasks wait there
   * ({@linkcode TaskPoolOptions.remoteSteals}). Where memory is, is looked at once a second at the most. Default: nothing.
   */
  readonly near?: number | MemoryOnNode;
  /** A worker looks for tasks of higher priority first. Default: `"normal"`. */
  readonly priority?: TaskPriority;
}

/** Options of {@linkcode TaskPool.run}. */
export interface RunOptions extends TaskOptions {
  /**
   * Aborts the task: the promise rejects with the signal's reason. A task that has begun goes on, and what it returns is
   * dropped; see {@linkcode TaskPoolOptions.graceMs}.
   */
  readonly signal?: AbortSignal;
  /**
   * How long the task may take, with its time in queues: 0 to 2^31 - 1 milliseconds. It is then aborted with `ETIMEDOUT`.
   * Default: no limit.
   */
  readonly timeoutMs?: number;
  /** What of the arguments is moved and not copied, once a worker takes the task. Default: nothing. */
  readonly transfer?: readonly object[];
}

/** Options of {@linkcode TaskPool.runSync}. */
export interface RunSyncOptions extends TaskOptions {
  /** How long the task may take: 0 to 2^31 - 1 milliseconds. Default: no limit. */
  readonly timeoutMs?: number;
}

/** How far a {@linkcode TaskPool.map} is. */
export interface MapProgress {
  /** How many items are done. */
  readonly done: number;
  /** How many items there are, where the iterable has a length. */
  readonly total: number | undefined;
}

/** Options of {@linkcode TaskPool.map}. */
export interface MapOptions extends TaskOptions {
  /**
   * How many items are on their way at a time: 1 to 2^31 - 1. More than 16,384 count as that many. Default: 16 for each
   * worker.
   */
  readonly concurrency?: number;
  /** Aborts the map: no more items are taken, and those in queues are taken out. */
  readonly signal?: AbortSignal;
  /** Called when an item is done. */
  readonly onProgress?: (progress: MapProgress) => void;
}
