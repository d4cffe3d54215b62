/**
 * What a lock refuses, in the same words for locks between threads and between processes.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";

/**
 * The error of a thread that asks for what it has.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns `EDEADLK`.
 */
export function heldError(action: string): NumaError {
  return new NumaError("EDEADLK", action, {
    why: "this thread holds it already",
    fix: "Release it first.",
  });
}

/**
 * The error of a thread that releases what it does not have.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns `EOWNER`.
 */
export function notHeldError(action: string): NumaError {
  return new NumaError("EOWNER", action, {
    why: "this thread does not hold it",
    fix: "Release it once, in the thread that acquired it; for acquireAsync, release the guard.",
  });
}

/**
 * The error of a lock that a dead owner's heir released as it was.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns `EOWNERDEAD`.
 */
export function poisonedError(action: string): NumaError {
  return new NumaError("EOWNERDEAD", action, {
    why: "a thread died while it held it, and the next one released it without markConsistent()",
    fix: "Repair what it guards, then call markConsistent().",
  });
}
