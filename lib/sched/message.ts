/**
 * What a thread and its launcher tell each other. Plain data only.
 *
 * ```
 *   launcher                                worker
 *   workerData: Birth ───────────────────▶  pins itself, then imports the user's module
 *                    ◀─────────────────── started
 *                    ◀─────────────────── loaded           (the module listens to its parentPort, if it wants to)
 *   move | machine ──────────────────────▶  (at its event loop) goes to another place; sees another machine
 *                    ◀─────────────────── moved
 *                    ◀─────────────────── done | failed    (its shared objects are still held)
 *   takes hold of the result's objects
 *   sample ──────────────────────────────▶  as often as somebody asks, when it is at its event loop
 *                    ◀─────────────────── sampled | unsampled
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
import { CpuSet } from "../topology/cpu_set.ts";
import type { CpuBinding, MemoryBinding, ThreadBinding } from "./binding/binding.ts";
import type { HeapSample } from "./binding/heap_sample.ts";
import type { Inherited, Wish } from "./binding/pin.ts";

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
  /** Where it is wanted. */
  readonly wish: FlatWish;
  /** The name that tools show. */
  readonly name: string;
  /** How nice it is; undefined for as nice as its launcher. */
  readonly nice: number | undefined;
  /** What the launcher sees of the machine. */
  readonly topology: TopologySnapshot;
  /** The number of its last move, in one word: an earlier one that it comes to late is none of its affairs any more. */
  readonly moves: Int32Array;
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

/** A {@linkcode Wish}, flat: CPUs in kernel notation. */
export interface FlatWish extends Omit<Wish, "asked" | "cpus" | "refused"> {
  readonly asked: string | undefined;
  readonly cpus: string | undefined;
  readonly refused: FlatError | undefined;
}

/** A {@linkcode ThreadBinding}, flat. */
export interface FlatBinding {
  readonly cpus: Omit<CpuBinding, "asked" | "got" | "refused"> & {
    readonly asked: string | undefined;
    readonly got: string;
    readonly refused: FlatError | undefined;
  };
  readonly memory: Omit<MemoryBinding, "refused"> & { readonly refused: FlatError | undefined };
}

/** A worker's first message. */
export interface Started {
  readonly type: "started";
  readonly tid: number;
  /** What the C helper knows it by. */
  readonly identity: number;
  readonly binding: FlatBinding;
}

/** The answer to a {@linkcode Move}. */
export interface Moved {
  readonly type: "moved";
  readonly serial: number;
  /** What came of it; undefined when something that is required was refused. */
  readonly binding: FlatBinding | undefined;
  /** Why it was refused. */
  readonly error: FlatError | undefined;
}

/** From the worker. */
export type FromWorker =
  | Started
  | { readonly type: "loaded" }
  | Moved
  | { readonly type: "done"; readonly value: unknown }
  | { readonly type: "failed"; readonly error: FlatError }
  | { readonly type: "sampled"; readonly request: number; readonly sample: HeapSample }
  | { readonly type: "unsampled"; readonly request: number; readonly error: FlatError };

/** To the worker: it has been moved, and does itself what only it can. */
export interface Move {
  readonly type: "move";
  /** The number of the move, which comes back with the answer. */
  readonly serial: number;
  /** Where it is wanted now. */
  readonly wish: FlatWish;
  /** The CPUs that it would have without numakit, in kernel notation. */
  readonly home: string;
}

/** To the worker: the machine has changed. */
export interface Machine {
  readonly type: "machine";
  /** What the launcher sees now. */
  readonly topology: TopologySnapshot;
  /** The CPUs that the process may use now, in kernel notation. */
  readonly home: string;
}

/** To the worker: let go of everything and end; tell where its heap is; and what is above. */
export type ToWorker =
  | { readonly type: "leave" }
  | { readonly type: "sample"; readonly request: number }
  | Move
  | Machine;

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

function flattenNuma(error: NumaError | undefined): FlatError | undefined {
  return error && flatten(error);
}

function unflattenNuma(flat: FlatError | undefined): NumaError | undefined {
  return flat && unflatten(flat) as NumaError;
}

/**
 * Makes plain data of what is wanted of a thread.
 *
 * @param wish Where it is wanted.
 * @returns Data that can be cloned.
 */
export function flattenWish({ asked, cpus, node, strengths, refused }: Wish): FlatWish {
  const texts = { asked: asked?.toString(), cpus: cpus?.toString() };
  return { ...texts, node, strengths, refused: flattenNuma(refused) };
}

/**
 * Reads what is wanted of a thread.
 *
 * @param flat What {@linkcode flattenWish} made.
 * @returns Where it is wanted.
 */
export function unflattenWish({ asked, cpus, node, strengths, refused }: FlatWish): Wish {
  const parse = (text: string | undefined) => text === undefined ? undefined : CpuSet.parse(text);
  const sets = { asked: parse(asked), cpus: parse(cpus) };
  return { ...sets, node, strengths, refused: unflattenNuma(refused) };
}

/**
 * Makes plain data of what came of binding a thread.
 *
 * @param binding What came of it.
 * @returns Data that can be cloned.
 */
export function flattenBinding({ cpus, memory }: ThreadBinding): FlatBinding {
  const texts = { asked: cpus.asked?.toString(), got: cpus.got.toString() };
  return {
    cpus: { ...cpus, ...texts, refused: flattenNuma(cpus.refused) },
    memory: { ...memory, refused: flattenNuma(memory.refused) },
  };
}

/**
 * Reads what came of binding a thread.
 *
 * @param flat What {@linkcode flattenBinding} made.
 * @returns What came of it.
 */
export function unflattenBinding({ cpus, memory }: FlatBinding): ThreadBinding {
  const asked = cpus.asked === undefined ? undefined : CpuSet.parse(cpus.asked);
  const sets = { asked, got: CpuSet.parse(cpus.got) };
  return {
    cpus: { ...cpus, ...sets, refused: unflattenNuma(cpus.refused) },
    memory: { ...memory, refused: unflattenNuma(memory.refused) },
  };
}
