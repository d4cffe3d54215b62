import type { Arena } from "./arena.ts";

/**
 * What the C helper calls an arena's mapping.
 *
 * @param arena The arena.
 * @returns Its mapping's identity: no other mapping of this process has it, or has ever had it.
 * @throws {NumaError} `EDESTROYED`.
 */
export function identityOf(arena: Arena): number {
  return (arena.toHandle().data as { readonly identity: number }).identity;
}
