/**
 * What becomes of a thread's views when it lets go of a mapping.
 *
 * @module
 */
import { native } from "../../runtime/native.ts";

/** Somebody else carried a buffer away: `NK_VIEWS_ASTRAY`. */
const ASTRAY = 0;
/** All views are dead; native code of the runtime may still have their addresses: `NK_VIEWS_DEAD`. */
const DEAD = 1;
/** A buffer cannot be detached yet, because native code uses it: `NK_VIEWS_PINNED`. */
const PINNED = 2;
/** No view was ever shown to anybody: `NK_VIEWS_NEVER`. */
const NEVER = 3;

/** A mapping that this thread has let go of, with buffers that are still to be detached. */
interface Pinned {
  readonly identity: number;
  readonly buffers: readonly ArrayBuffer[];
}

let pinned: readonly Pinned[] = [];

const isAttached = ({ byteLength }: ArrayBuffer): boolean => byteLength > 0;

/**
 * Detaches a buffer from its memory: every view of it is dead from then on. Bun leaves a buffer as it is while native
 * code uses it; elsewhere one that somebody marked as untransferable stays alive.
 */
function detach(buffer: ArrayBuffer): number {
  try {
    native().detach(buffer);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return ASTRAY;
  }
  return isAttached(buffer) ? PINNED : DEAD;
}

/** Detaches what native code used before and does not use any more. */
export function detachPinned(): void {
  if (pinned.length === 0) return;
  pinned = pinned.filter(({ identity, buffers }) => {
    const attached = buffers.filter(isAttached);
    attached.forEach(detach);
    if (attached.some(isAttached)) return true;
    native().calls.nk_mapping_unpin(identity);
    return false;
  });
}

/**
 * Lets go of a mapping, once this thread's views of it are dead.
 *
 * @param identity The mapping.
 * @param buffers All of this thread's buffers of it.
 * @returns Whether native code of the runtime still uses one of them, as far as the runtime tells.
 * @throws {Error} What the runtime throws when it could not even try (its stack is full); nothing is let go of then.
 */
export function letGo(identity: number, buffers: readonly ArrayBuffer[]): boolean {
  detachPinned();
  // One that is empty already was detached by somebody else.
  const states = buffers.map((buffer) => isAttached(buffer) ? detach(buffer) : ASTRAY);
  const isPinned = states.includes(PINNED);
  if (isPinned) pinned = [...pinned, { identity, buffers }];
  const state = states.includes(ASTRAY) ? ASTRAY : isPinned ? PINNED : DEAD;
  native().calls.nk_mapping_release(identity, state);
  return isPinned;
}

/**
 * Lets go of a mapping that nobody has seen a view of: its addresses are free at once.
 *
 * @param identity The mapping.
 * @param buffers All of this thread's buffers of it.
 */
export function letGoUnseen(identity: number, buffers: readonly ArrayBuffer[]): void {
  buffers.forEach(detach);
  native().calls.nk_mapping_release(identity, NEVER);
}
