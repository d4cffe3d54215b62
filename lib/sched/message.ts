/**
 * What a thread and its launcher tell each other. Plain data only.
 *
 * ```
 *   launcher                                worker
 *   workerData: Birth ───────────────────▶  pins itself, then imports the user's module
 *                    ◀─────────────────── started
 *                    ◀─────────────────── loaded           (the module listens to its parentPort, if it wants to)
 *                    ◀─────────────────── done | failed    (its shared objects are still held)
 *   takes hold of the result's objects
 *   leave ───────────────────────────────▶  lets go of everything and ends
 * ```
 *
 * All but the first travel over a channel of their own, which the user's module never sees: `parentPort`, and the
 * worker's messages on the launcher's side, are the user's. See `mailbox.ts`.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { NumaError, type NumaErrorParts, partsOf } from "../base/error.ts";
import type { TopologySnapshot } from "../topology/snapshot.ts";
import type { HeapPolicy, HeapReport, Inherited } from "./pin.ts";

/** What a worker is born with. */
export interface Birth {
  /** The worker's end of the channel to its launcher. */
  readonly channel: MessagePort;
  /** The user's module. */
  readonly url: string;
  /** Its arguments, encoded. */
  readonly args: unknown;
  /** What it has from the thread that launches it. */
  readonly inherited: Inherited;
  /** The CPUs to pin it to, in kernel notation; null for a thread that is not pinned. */
  readonly cpus: string | null;
  /** The node of its heap; null for none. */
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
  readonly numa: NumaErrorParts | undefined;
  /** What was thrown, when it was not an Error and can be cloned: in a box, because undefined can be thrown, too. */
  readonly thrown: { readonly value: unknown } | undefined;
}

/** A {@linkcode HeapReport}, flat. */
export interface FlatHeapReport extends Omit<HeapReport, "refused"> {
  readonly refused: FlatError | undefined;
}

/** From the worker. */
export type FromWorker =
  | { readonly type: "started"; readonly tid: number; readonly heap: FlatHeapReport }
  | { readonly type: "loaded" }
  | { readonly type: "done"; readonly value: unknown }
  | { readonly type: "failed"; readonly error: FlatError };

/** To the worker: let go of everything and end. */
export interface Leave {
  readonly type: "leave";
}

/**
 * The error of a value that cannot be copied or transferred to another thread.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param what What it is that cannot be sent.
 * @param cause What the runtime threw.
 * @returns An `EINVAL`.
 */
export function cannotSend(action: string, what: string, cause: unknown): NumaError {
  if ((cause as { code?: unknown } | null)?.code === "EAGAIN") {
    return new NumaError("EAGAIN", action, {
      why: "this user may have no more threads (EAGAIN)",
      fix: "End some, or raise the limit (`ulimit -u`; pids.max of the cgroup).",
      cause,
    });
  }
  return new NumaError("EINVAL", action, {
    why: `${what} cannot be sent (${cause instanceof Error ? cause.message : cause})`,
    fix: "Give values that structuredClone takes, and numakit's own objects.",
    cause,
  });
}

/**
 * Shows what was thrown, which may be something that is no text and cannot become one.
 *
 * @param thrown Anything.
 * @returns Its text.
 */
export function textOf(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "something that cannot be shown";
  }
}

/**
 * Makes plain data of whatever was thrown.
 *
 * @param error What was thrown.
 * @returns Data that can be cloned.
 */
export function flatten(error: unknown): FlatError {
  if (!(error instanceof Error)) {
    const thrown = { value: error };
    return { name: "Error", message: textOf(error), stack: undefined, numa: undefined, thrown };
  }
  const numa = error instanceof NumaError ? partsOf(error) : undefined;
  return { name: error.name, message: error.message, stack: error.stack, numa, thrown: undefined };
}

/**
 * Makes an error of plain data again, with the stack of the thread it was thrown in.
 *
 * @param flat What {@linkcode flatten} made.
 * @returns The error, or the very value that was thrown when that was not an Error.
 */
export function unflatten(flat: FlatError): unknown {
  if (flat.thrown !== undefined) return flat.thrown.value;
  const { numa } = flat;
  const error = numa === undefined
    ? new Error(flat.message)
    : new NumaError(numa.code, numa.action, numa);
  error.name = flat.name;
  if (flat.stack !== undefined) error.stack = flat.stack;
  return error;
}
