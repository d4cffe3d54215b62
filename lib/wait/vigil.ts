/**
 * Looking for dead threads while this one waits for others and goes on with its own work.
 *
 * A blocked thread looks whenever a slice of its sleep has passed. One that awaits has a single timer for that, however
 * many waits it has; the timer also keeps the process alive for as long as there is one.
 *
 * @module
 */
import { reap } from "./thread_waiter.ts";

/** A thread that waits looks for dead ones this often, in milliseconds. */
export const SLICE_MS = 40;

let waits = 0;
let timer: ReturnType<typeof setInterval> | undefined;

/** Begins an asynchronous wait of this thread. */
export function beginVigil(): void {
  if (waits++ === 0) timer = setInterval(reap, SLICE_MS);
}

/** Ends what {@linkcode beginVigil} began. */
export function endVigil(): void {
  if (--waits === 0) clearInterval(timer);
}
