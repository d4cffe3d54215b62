import type { Tenant } from "../../memory/mapping/tenants.ts";
import { goneError, wakeHeirs } from "../../shared/tenancy.ts";
import { DEAD_ID } from "../../wait/parking_lot.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { Turns } from "../../wait/turns.ts";
import type { LockCore } from "./lock_core.ts";

/**
 * The tenant of a lock.
 *
 * @param core The lock.
 * @param words Its words.
 * @param me The calling thread.
 * @param turns Its asynchronous waits.
 * @returns The tenant.
 */
export function lockTenant(
  core: LockCore,
  words: Int32Array,
  me: ThreadWaiter,
  turns: Turns,
): Tenant {
  return {
    holds: () => turns.holders > 0 || (words.length > 0 && core.holds(me)),
    endWaits: () => turns.end(goneError),
    abandon(): void {
      // Where somebody has carried the buffer off, there is nothing to write to.
      const leave = (holder: ThreadWaiter | undefined): boolean =>
        words.length > 0 && holder !== undefined && core.abandon?.(holder, DEAD_ID) === true;
      const { holder } = turns;
      const hasLeft = leave(me);
      const hasLeftTurn = leave(holder);
      // The turn may be one at the other side of a reader-writer lock, which has yet to leave it.
      if (hasLeftTurn || words.length === 0) turns.drop();
      if (hasLeft || hasLeftTurn) wakeHeirs();
    },
  };
}
