/**
 * What a pool and its workers tell each other beside the words of `task_core.ts`. Plain data only.
 *
 * Messages of a kind arrive in the order in which they were posted. Arguments are posted before their task is submitted, to
 * the worker that it is bound to; a result before its task is handed in.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { type FlatError, flatten, textOf, unflatten } from "../../sched/message.ts";
import type { TaskShape } from "../core/task_names.ts";
import type { PoolWait } from "./pool_options.ts";

/** What `launch` is given for a worker of a pool: `worker_entry.ts` knows it. */
export const POOL_WORKER = "numakit:pool";

/** What a worker begins with. */
export interface PoolBirth {
  /** Which worker it is. */
  readonly index: number;
  /** The module of the tasks. */
  readonly url: string;
  /** The functions of the module in workers before it; none if it is among the first. */
  readonly names: readonly string[];
  /** What the module is given, if it is one of numakit's own. */
  readonly data?: unknown;
  /** Memory of the tasks, and of what is counted. */
  readonly buffer: SharedArrayBuffer;
  readonly shape: TaskShape;
  readonly port: MessagePort;
  /** Where it runs: CPUs in kernel notation, and a node. */
  readonly cpus: string;
  readonly node: number | null;
  /** How it waits, and how often it looks before. */
  readonly wait: PoolWait;
  readonly spins: number;
  /** Whether times are measured. */
  readonly times: boolean;
}

/** To a worker: the arguments of a task. */
export interface TaskArguments {
  readonly name: number;
  readonly args: readonly unknown[];
}

/** An error with what a clone of it would lose. */
export interface FlatTaskError {
  readonly flat: FlatError;
  readonly code: string | number | undefined;
}

/** From a worker. */
export type FromPoolWorker =
  /** Its thread is there; how the C helper names that. */
  | { readonly type: "begun"; readonly identity: number }
  /** Its module was loaded; its functions in the order of their indices. */
  | { readonly type: "ready"; readonly names: readonly string[] }
  | { readonly type: "done"; readonly name: number; readonly value: unknown }
  | { readonly type: "failed"; readonly name: number; readonly error: FlatTaskError };

/**
 * Makes plain data of what a task threw.
 *
 * @param error What was thrown.
 * @returns Data that can be cloned, unless what was thrown is no Error and cannot.
 */
export function flattenTaskError(error: unknown): FlatTaskError {
  return { flat: flatten(error), code: codeOf(error) };
}

function codeOf(error: unknown): string | number | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === "string" || typeof code === "number" ? code : undefined;
}

/**
 * Makes texts of what a task threw, where that cannot be cloned or not even be looked at.
 *
 * @param error What was thrown.
 * @returns Data that can be cloned.
 */
export function taskErrorTexts(error: unknown): FlatTaskError {
  const tryTo = <Value>(read: () => Value): Value | undefined => {
    try {
      return read();
    } catch {
      return undefined;
    }
  };
  const textIn = (key: "name" | "message" | "stack"): string | undefined => {
    const value = tryTo((): unknown => error instanceof Error ? error[key] : undefined);
    return value === undefined ? undefined : textOf(value);
  };
  const message = textIn("message") ?? textOf(error);
  const texts = { name: textIn("name") ?? "Error", message, stack: textIn("stack") };
  const code = tryTo(() => codeOf(error));
  return { flat: { ...texts, numa: undefined, thrown: undefined }, code };
}

/**
 * Makes an error of plain data again.
 *
 * @param error What {@linkcode flattenTaskError} made.
 * @returns An error with the task's own stack, name and code; or the very value that was thrown.
 */
export function unflattenTaskError({ flat, code }: FlatTaskError): unknown {
  const error = unflatten(flat);
  if (code !== undefined && error instanceof Error && !("code" in error)) {
    Object.defineProperty(error, "code", {
      ...{ value: code, configurable: true, enumerable: true, writable: true },
    });
  }
  return error;
}
