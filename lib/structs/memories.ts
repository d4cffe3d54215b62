/**
 * The memories of a structure that has a part in each.
 *
 * @module
 */
import { isList } from "../base/brand.ts";
import { show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { isArena } from "../memory/arena/identity.ts";
import type { SyncMemory } from "../shared/region.ts";

/** How many parts a structure may have. */
export const MAX_PARTS = 1024;

/**
 * Takes the list of memories that a caller gave.
 *
 * @param memory The list.
 * @param alone Whether one that is in no list may be given.
 * @param action What was asked, as it follows "Cannot".
 * @returns A list of its own: 1 to {@linkcode MAX_PARTS}.
 * @throws {NumaError} `EINVAL`.
 */
export function memoriesOf(memory: unknown, alone: boolean, action: string): SyncMemory[] {
  const memories: SyncMemory[] = isList(memory)
    ? [...memory] as SyncMemory[]
    : alone
    ? [memory as SyncMemory]
    : [];
  if (memories.length >= 1 && memories.length <= MAX_PARTS) return memories;
  throw new NumaError("EINVAL", action, {
    why: `its memory is ${show(memory)}`,
    fix: `Give ${
      alone ? "one, or " : ""
    }an array of 1 to ${MAX_PARTS}: arenas, or SharedArrayBuffers.`,
  });
}

/**
 * Checks that arenas have room for a part, before anything is taken: what an arena gave does not come back.
 *
 * @param memories All memories.
 * @param bytes The size of a part.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `ENOMEM`.
 */
export function checkRoom(memories: readonly SyncMemory[], bytes: number, action: string): void {
  for (const one of memories) {
    if (memories.length > 1 && isArena(one) && one.remaining < bytes) {
      throw new NumaError("ENOMEM", action, {
        why: `a part takes ${bytes} bytes, and an arena has ${one.remaining} left`,
        fix: "Give larger arenas, or a smaller capacity.",
      });
    }
  }
}
