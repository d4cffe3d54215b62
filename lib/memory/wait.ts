/**
 * How an update waits for its turn, and what it says when that does not come.
 *
 * @module
 */
import { NumaError } from "../runtime/error.ts";

/** Who keeps an update from beginning. */
export interface Busy {
  /** Whether it is the very thread that wants to update. */
  readonly self: boolean;
  /** Where a version is still read; undefined when it is another update that is in the way. */
  readonly reader: { readonly slot: number; readonly node: number } | undefined;
}

/** So long may a reader that runs take; after that the CPU is better given to it. */
const SPINS = 100;
const NAP_MS = 1;

const word: Int32Array<SharedArrayBuffer> = new Int32Array(new SharedArrayBuffer(4));
// Not every runtime's types have it yet, and Node 20 has not got it.
const pause: () => void = (Atomics as { pause?: () => void }).pause?.bind(Atomics) ?? (() => {});

/**
 * Blocks the thread for a moment.
 *
 * @param round How often it has waited already.
 */
export function nap(round: number): void {
  if (round < SPINS) pause();
  else Atomics.wait(word, 0, 0, NAP_MS);
}

/**
 * Waits for a moment without blocking the thread.
 *
 * @returns Resolves after it.
 */
export function sleep(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, NAP_MS));
}

/**
 * The error of an update that could not begin.
 *
 * @param busy Who is in the way.
 * @param action What was asked, as it follows "Cannot".
 * @returns The error.
 */
export function busyError({ self, reader }: Busy, action: string): NumaError {
  const who = self
    ? "this thread"
    : reader === undefined
    ? "another thread"
    : "the thread in slot ";
  if (reader === undefined) {
    return new NumaError("EBUSY", action, {
      why: `${who} is updating it`,
      fix: self ? "Update it after the function has returned." : "Wait longer (timeoutMs).",
    });
  }
  const { slot, node } = reader;
  return new NumaError("EBUSY", action, {
    why: `${
      self ? who : who + slot
    } still reads the version before the current one on node ${node}`,
    fix: "Dispose snapshots soon and keep reads short, or wait longer (timeoutMs).",
    node,
  });
}
