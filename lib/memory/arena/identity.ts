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

/** What handles of arenas are called. */
export const ARENA_KIND = "arena";

/** All of this thread's arenas. */
export const arenas: WeakSet<object> = /* @__PURE__ */ new WeakSet();

/**
 * Whether something is an arena, and does not only have the prototype of one.
 *
 * @param value Anything.
 * @returns Whether it is.
 */
export function isArena(value: unknown): value is Arena {
  return arenas.has(value as object);
}
