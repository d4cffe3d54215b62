/**
 * What a thread and its launcher tell each other. Plain data only.
 *
 * ```
 *   launcher                                worker
 *   workerData: Birth ───────────────────▶  pins itself, then imports the user's module
 *                    ◀─────────────────── started
 *                    ◀─────────────────── done | failed    (its shared objects are still held)
 *   takes hold of the result's objects
 *   leave ───────────────────────────────▶  lets go of everything and ends
 * ```
 *
 * @module
 */
import { NumaError, type NumaErrorCode } from "../runtime/error.ts";
import type { TopologySnapshot } from "../topology/snapshot.ts";
import type { HeapPolicy } from "./pin.ts";

/** What a worker is born with. */
export interface Birth {
  /** The user's module. */
  readonly url: string;
  /** Its arguments, encoded. */
  readonly args: unknown;
  /** The CPUs to pin it to, in kernel notation; null leaves the affinity alone. */
  readonly cpus: string | null;
  /** The node of its heap; null leaves the policy alone. */
  readonly node: number | null;
  /** How its heap sticks to that node. */
  readonly heap: HeapPolicy;
  /** What the launcher sees of the machine. */
  readonly topology: TopologySnapshot;
  /** The process's parking lot. */
  readonly lot: SharedArrayBuffer;
  /** The id that was claimed for it there: launcher and worker share what the lot says of it. */
  readonly id: number;
}

/** An error, flat. */
export interface FlatError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  /** A {@linkcode NumaError}'s details, so that it arrives as one. */
  readonly numa: NumaParts | undefined;
  /** What was thrown, when it was not an Error and can be cloned. */
  readonly thrown: unknown;
}

interface NumaParts {
  readonly code: NumaErrorCode;
  readonly action: string;
  readonly why: string;
  readonly fix: string | undefined;
  readonly syscall: string | undefined;
  readonly node: number | undefined;
}

/** From the worker. */
export type FromWorker =
  | { readonly type: "started"; readonly tid: number }
  | { readonly type: "done"; readonly value: unknown }
  | { readonly type: "failed"; readonly error: FlatError };

/** To the worker: let go of everything and end. */
export interface Leave {
  readonly type: "leave";
}

/**
 * Makes plain data of whatever was thrown.
 *
 * @param error What was thrown.
 * @returns Data that can be cloned.
 */
export function flatten(error: unknown): FlatError {
  if (!(error instanceof Error)) {
    const text = String(error);
    return { name: "Error", message: text, stack: undefined, numa: undefined, thrown: error };
  }
  const numa = error instanceof NumaError
    ? {
      code: error.code,
      action: error.action,
      why: error.why,
      fix: error.fix,
      syscall: error.syscall,
      node: error.node,
    }
    : undefined;
  return { name: error.name, message: error.message, stack: error.stack, numa, thrown: undefined };
}

/**
 * Makes an error of plain data again, with the stack of the thread it was thrown in.
 *
 * @param flat What {@linkcode flatten} made.
 * @returns The error, or the very value that was thrown when that was not an Error.
 */
export function unflatten(flat: FlatError): unknown {
  if (flat.thrown !== undefined) return flat.thrown;
  const { numa } = flat;
  const error = numa === undefined
    ? new Error(flat.message)
    : new NumaError(numa.code, numa.action, numa);
  error.name = flat.name;
  if (flat.stack !== undefined) error.stack = flat.stack;
  return error;
}
