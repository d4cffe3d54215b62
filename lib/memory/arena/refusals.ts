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

/**
 * Refuses to allocate where another thread does.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param which Which thread, as it follows "the thread".
 * @param node The node of the arena.
 * @throws {NumaError} `EBUSY`.
 */
export function refuseOther(action: string, which: string, node: number): never {
  throw new NumaError("EBUSY", action, {
    why: `the thread ${which} allocates from it`,
    fix: "Call unclaim() there, or give each thread an arena of its own.",
    node,
  });
}
