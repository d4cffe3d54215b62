/**
 * What becomes of attempts that several structures have in common.
 *
 * @module
 */
import { NumaError } from "../base/error.ts";

/** Nothing was done: another thread is in the middle of the same kind of operation. */
export const BUSY = -1;

/**
 * The error of a thread that puts in what nobody will take out.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns `ECLOSED`.
 */
export function closedError(action: string): NumaError {
  return new NumaError("ECLOSED", action, {
    why: "it was closed",
    fix: "Stop sending, or create a new one.",
  });
}
