import { NumaError } from "../../base/error.ts";

/**
 * Refuses the use of memory that this thread has let go of.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param node The node that it was on, where it was one.
 * @throws {NumaError} `EDESTROYED`.
 */
export function refuseDestroyed(action: string, node?: number): never {
  throw new NumaError("EDESTROYED", action, {
    why: "it was destroyed in this thread, or its buffer was transferred away",
    fix: "Make a new one, or destroy it later.",
    ...(node !== undefined && { node }),
  });
}
