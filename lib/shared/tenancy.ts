/**
 * What becomes of locks and waits when this thread lets go of the arena they are in.
 *
 * A thread that destroys an arena can give nothing back any more that it holds there. It is no refusal, because `using`
 * calls it in the middle of an error's way up; it counts as the thread's death, for what it holds there: a Mutex goes to
 * the next one with `ownerDied`, an McsLock breaks, and so on, as each lock's documentation says of a dead owner. What the
 * thread holds elsewhere stays. Its own waits there end with `EDESTROYED`, and are properly undone before that.
 *
 * @module
 */
import { forget, settle, type Tenant } from "../memory/mapping/tenants.ts";
import { NumaError } from "../base/error.ts";
import { DEAD_ID } from "../wait/parking_lot.ts";
import { parkingLot } from "../wait/thread_waiter.ts";
import type { Turns } from "../wait/turns.ts";
import type { Region } from "./region.ts";

interface Settled {
  readonly identity: number;
  readonly name: string;
  readonly tenant: Tenant;
}

const forgotten = /* @__PURE__ */ new FinalizationRegistry<Settled>(
  ({ identity, name, tenant }) => forget(identity, name, tenant),
);

/**
 * Has an object's tenant told when its arena goes. Does nothing for words in a SharedArrayBuffer, which cannot go.
 *
 * @param object The object, which the tenant must not refer to.
 * @param region Its memory.
 * @param title Tells it from others in the same words.
 * @param tenant The tenant.
 */
export function settleIn(object: object, region: Region, title: string, tenant: Tenant): void {
  const { mapping } = region;
  if (mapping === undefined) return;
  const name = `${region.name} ${title}`;
  settle(mapping, name, tenant);
  forgotten.register(object, { identity: mapping, name, tenant });
}

function arenaError(action: string, why: string): NumaError {
  return new NumaError("EDESTROYED", action, {
    why,
    fix: "Destroy the arena after the objects in it.",
  });
}

/**
 * The error of a call for something whose memory is gone.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns `EDESTROYED`.
 */
export function destroyedError(action: string): NumaError {
  return arenaError(action, "its arena was destroyed in this thread");
}

/**
 * Checks that the memory of something is there.
 *
 * @param region Its memory.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EDESTROYED`.
 */
export function checkAlive(region: Region, action: string): void {
  if (region.words.length === 0) throw destroyedError(action);
}

/**
 * The error of a wait whose memory goes.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns `EDESTROYED`.
 */
export function goneError(action: string): NumaError {
  return arenaError(action, "its arena was destroyed in this thread meanwhile");
}

/**
 * Wakes everybody to look for dead threads, after something was left to {@linkcode DEAD_ID}.
 */
export function wakeHeirs(): void {
  parkingLot().bury(DEAD_ID);
}

/**
 * The tenant of something that is waited for and not held.
 *
 * @param turns The thread's asynchronous waits.
 * @returns The tenant.
 */
export function waitsTenant(turns: Turns): Tenant {
  return { holds: () => false, endWaits: () => turns.end(goneError), abandon: () => {} };
}

/**
 * The tenant of something that the thread holds and does not wait for.
 *
 * @param words Its words: none once they are gone.
 * @param holds Whether the thread holds it.
 * @param release Gives it back.
 * @returns The tenant.
 */
export function holdsTenant(words: Int32Array, holds: () => boolean, release: () => void): Tenant {
  const tenant = {
    holds: () => words.length > 0 && holds(),
    endWaits: () => {},
    abandon(): void {
      if (tenant.holds()) release();
    },
  };
  return tenant;
}
