/**
 * Sleeping on an event count until a function succeeds.
 *
 * @module
 */
import type { Region } from "../../shared/region.ts";
import { checkAlive } from "../../shared/tenancy.ts";
import { block } from "../../wait/block.ts";
import type { BlockOptions } from "../../wait/options.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { EventCountCore } from "./event_count_core.ts";

/** An event count, and what its errors say. */
export interface Awaited {
  readonly core: EventCountCore;
  /** Its memory. */
  readonly region: Region;
  /** The calling thread. */
  readonly me: ThreadWaiter;
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
}

/**
 * Sleeps until a function succeeds.
 *
 * @param awaited The event count.
 * @param take Tries to take what is waited for: called now, before each sleep and after each notification.
 * @param options The timeout, and whether it may block, checked.
 * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK`; `ETERMINATED`; `EDESTROYED`. What `take` throws.
 */
export function waitUntil(
  { core, region, me, action }: Awaited,
  take: () => boolean,
  options: BlockOptions | undefined,
): void {
  const start = options?.timeoutMs === undefined ? 0 : me.now();
  while (!take()) {
    checkAlive(region, action);
    core.prepare(me);
    let ready = true;
    try {
      ready = take();
    } finally {
      if (ready && region.words.length > 0) core.cancel(me);
    }
    checkAlive(region, action);
    if (ready) return;
    block(core.wait(me), me, action, timeLeft(options, start, me));
  }
}

/**
 * The same options with the time that is left of them.
 *
 * @param options The options, checked.
 * @param start When the call began to wait.
 * @param me The calling thread.
 * @returns Options whose timeout begins now.
 */
export function timeLeft(
  options: BlockOptions | undefined,
  start: number,
  me: ThreadWaiter,
): BlockOptions | undefined {
  if (options?.timeoutMs === undefined) return options;
  return { ...options, timeoutMs: Math.max(0, Math.ceil(options.timeoutMs - (me.now() - start))) };
}
