/**
 * Waiting for a thread that is in the middle of the same kind of operation.
 *
 * It needs as long as it takes to copy a batch, or as long as it is interrupted there. Nobody is woken when it is done: that
 * would cost it a look each time. Whoever has spun for long enough sleeps for a millisecond at a time, which also tells when
 * the thread has died.
 *
 * @module
 */
import { NumaError } from "../base/error.ts";
import { block, giveUp, wouldBlockError } from "../wait/block.ts";
import type { BlockOptions } from "../wait/options.ts";
import { isMainThread, type ThreadWaiter } from "../wait/thread_waiter.ts";
import type { Wait } from "../wait/waiter.ts";
import { BUSY } from "./outcomes.ts";

/** Between two looks, in milliseconds. */
export const NAP_MS = 1;
/**
 * After so many naps a call gives up that should return soon. They are counted because the time would not tell: the
 * process may have been stopped as a whole. On a busy machine a nap is longer, and so is an interruption.
 */
export const SOON = 50;
/** After so many naps the other thread stands still, or has ended and nobody has noticed yet. */
export const LONG = 1000;

/** Does something until nobody is in the way. */
function* napping(step: () => number, most: number): Wait<number> {
  let over = false;
  for (let naps = 0; naps < most && !over; naps++) {
    const result = step();
    if (result !== BUSY) return result;
    over = yield NAP_MS;
  }
  return step();
}

/**
 * Does something that should not have to wait, between a number of naps.
 *
 * @param step Does it, or returns {@linkcode BUSY}.
 * @param me The calling thread.
 * @param action What was asked, as it follows "Cannot".
 * @param most How many naps.
 * @returns What `step` returned, which is something else.
 * @throws {NumaError} `EBUSY` the other thread is still there; `ETERMINATED` this one is being terminated. What `step`
 * throws.
 */
export function nap(step: () => number, me: ThreadWaiter, action: string, most: number): number {
  const isBusy = (result: number): boolean => result === BUSY;
  const result = block(napping(step, most), me, action, { block: true }, isBusy);
  if (!isBusy(result)) return result;
  throw busyError(action, most);
}

function busyError(action: string, most: number): NumaError {
  return new NumaError("EBUSY", action, {
    why: `another thread has been in the middle of that for ${most} looks, ${NAP_MS} ms apart`,
    fix: "Try again. If it stays so, find out which thread stands still, and return to the event " +
      "loop if it may have ended.",
  });
}

/**
 * Does something that found another thread in the way, for as long as the thread spins, and then between {@linkcode LONG}
 * naps.
 *
 * @param step Does it, or returns {@linkcode BUSY}.
 * @param me The calling thread, which naps even if it is the main thread.
 * @param action What was asked, as it follows "Cannot".
 * @returns What `step` returned, which is something else.
 * @throws {NumaError} As {@linkcode nap}.
 */
export function persist(step: () => number, me: ThreadWaiter, action: string): number {
  for (let round = 0; me.spin(round); round++) {
    const done = step();
    if (done !== BUSY) return done;
  }
  return nap(step, me, action, LONG);
}

/** A wait that ends after a number of naps. */
function* bounded<Result>(wait: Wait<Result>, most: number): Wait<Result> {
  let step = wait.next(false);
  for (let naps = 0; step.done !== true && naps < most; naps++) {
    step = wait.next(yield step.value);
  }
  return step.done === true ? step.value : giveUp(wait);
}

/**
 * Takes a lock that is held for microseconds only. A thread that was interrupted there, or runs a caller's function, needs
 * longer; one that still has it after {@linkcode LONG} naps stands still, or nobody has it and its word was overwritten.
 *
 * @param wait Takes it between naps.
 * @param me The calling thread, which naps even if it is the main thread.
 * @param action What was asked, as it follows "Cannot".
 * @param failed Whether a result means that it was told to give up. Default: false does.
 * @returns What the wait ended with.
 * @throws {NumaError} `EBUSY` the other thread still has it; `ETERMINATED` this one is being terminated.
 */
export function outlast<Result>(
  wait: Wait<Result>,
  me: ThreadWaiter,
  action: string,
  failed: (result: Result) => boolean = (result) => result === false,
): Result {
  const result = block(bounded(wait, LONG), me, action, { block: true }, failed);
  if (failed(result)) throw busyError(action, LONG);
  return result;
}

/**
 * Does something that may wait, between naps.
 *
 * @param step Does it, or returns {@linkcode BUSY}.
 * @param me The calling thread.
 * @param action What was asked, as it follows "Cannot".
 * @param options The time that is left, and whether the call may block. One that may not naps for as often as a call that
 * should return soon.
 * @returns What `step` returned, which is something else.
 * @throws {NumaError} `ETIMEDOUT`; `EWOULDBLOCK`; `ETERMINATED`. What `step` throws.
 */
export function sitOut(
  step: () => number,
  me: ThreadWaiter,
  action: string,
  options: BlockOptions | undefined,
): number {
  const isBusy = (result: number): boolean => result === BUSY;
  const most = options?.block ?? !isMainThread() ? Infinity : SOON;
  const result = block(napping(step, most), me, action, { ...options, block: true }, isBusy);
  if (isBusy(result)) throw wouldBlockError(action);
  return result;
}
