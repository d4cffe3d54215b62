/**
 * How a {@linkcode Wait} is driven: by sleeping, or by awaiting.
 *
 * @module
 */
import { checkInteger, checkOptionNames, checkOptions, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { checkSignal } from "../base/options.ts";
import type { AsyncWaitOptions, BlockOptions } from "./options.ts";
import { type AsyncRequest, beginAsync, type Request, waitAsync } from "./request.ts";
import { claimWaiter, isMainThread, reap, type ThreadWaiter } from "./thread_waiter.ts";
import { beginVigil, endVigil, SLICE_MS } from "./vigil.ts";
import type { Wait } from "./waiter.ts";

const MAX_MS = 2 ** 31 - 1;
const BLOCK_OPTIONS = ["timeoutMs", "block"];
const WAIT_OPTIONS = ["timeoutMs", "signal"];
/** A wait that does not block looks this often even if nobody wakes it; for dead threads looks the thread's vigil. */
const ASYNC_SLICE_MS = 1000;

function checkTimeout(timeoutMs: unknown, action: string): void {
  if (timeoutMs !== undefined) checkInteger(timeoutMs, "timeoutMs", 0, MAX_MS, action);
}

/**
 * Checks what a caller gave, before anything is done.
 *
 * @param options The options, if there are any.
 * @param action What was asked, as it follows "Cannot".
 * @returns A copy: a second look might find something else, when a wait has begun.
 * @throws {NumaError} `EINVAL`.
 */
export function checkBlockOptions(
  options: BlockOptions | undefined,
  action: string,
): BlockOptions | undefined {
  if (options === undefined) return undefined;
  checkOptions(options, "{ timeoutMs, block }", action);
  checkOptionNames(options, BLOCK_OPTIONS, action);
  const { timeoutMs, block } = options;
  checkTimeout(timeoutMs, action);
  if (block !== undefined && typeof block !== "boolean") {
    throw new NumaError("EINVAL", action, {
      why: `block is ${show(block)}`,
      fix: "Give true or false.",
    });
  }
  return { ...(timeoutMs !== undefined && { timeoutMs }), ...(block !== undefined && { block }) };
}

/**
 * The error of a wait that was over before it had what it waited for.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param stopped Whether this thread is to end.
 * @param timeoutMs The time that it had.
 * @returns `ETERMINATED` or `ETIMEDOUT`.
 */
export function giveUpError(action: string, stopped: boolean, timeoutMs: number): NumaError {
  if (stopped) {
    return new NumaError("ETERMINATED", action, {
      why: "this thread is being terminated",
    });
  }
  return new NumaError("ETIMEDOUT", action, {
    why: `${timeoutMs} ms have passed`,
    fix: "Wait longer (timeoutMs), or find out what the thread does that it waits for.",
  });
}

/**
 * The error of a wait in a thread that may not sleep.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns `EWOULDBLOCK`.
 */
export function wouldBlockError(action: string): NumaError {
  return new NumaError("EWOULDBLOCK", action, {
    why: "it would block the main thread, and with it the event loop",
    fix: "Use the call that ends in Async, or give { block: true }.",
  });
}

/**
 * Sleeps until a wait ends.
 *
 * @typeParam Result What it ends with.
 * @param wait The wait.
 * @param me The calling thread.
 * @param action What was asked, as it follows "Cannot".
 * @param options How long, checked.
 * @param failed Tells whether a result means "gave up". Default: whether it is false.
 * @returns Any other result.
 * @throws {NumaError} `ETIMEDOUT`; `ETERMINATED` when the thread is to end; `EWOULDBLOCK` on the main thread.
 */
export function block<Result>(
  wait: Wait<Result>,
  me: ThreadWaiter,
  action: string,
  options: BlockOptions | undefined,
  failed: (result: Result) => boolean = (result) => result === false,
): Result {
  const { lot, id } = me;
  const { timeoutMs = Infinity } = options ?? {};
  const mayBlock = options?.block ?? !isMainThread();
  const deadline = timeoutMs === Infinity ? Infinity : me.now() + timeoutMs;
  let over = false;
  let stopped = false;
  let step = wait.next(false);
  while (step.done !== true) {
    // One that sleeps although it is over has been promised something that comes at once.
    const left = over || deadline === Infinity ? Infinity : deadline - me.now();
    const sleeps = (mayBlock || over) && left > 0;
    if (sleeps && !lot.park(id, Math.min(step.value, left, SLICE_MS))) reap();
    stopped = lot.stopped(id);
    over ||= !mayBlock || stopped || (deadline !== Infinity && me.now() >= deadline);
    step = wait.next(over);
  }
  if (!over || !failed(step.value)) return step.value;
  if (mayBlock || stopped) throw giveUpError(action, stopped, timeoutMs);
  throw wouldBlockError(action);
}

/**
 * Ends a wait without sleeping, but for what it was promised and will have at once.
 *
 * @typeParam Result What it ends with.
 * @param wait The wait.
 * @returns What it ended with.
 */
export function giveUp<Result>(wait: Wait<Result>): Result {
  let step = wait.next(true);
  while (step.done !== true) step = wait.next(true);
  return step.value;
}

/**
 * Gets what a call wants, and sleeps until that is there.
 *
 * @typeParam Result What the call gets.
 * @param request The request.
 * @param me The calling thread.
 * @param options The timeout, and whether it may block, checked.
 * @returns The result.
 * @throws {NumaError} As {@linkcode block}.
 */
export function blockFor<Result>(
  request: Request<Result>,
  me: ThreadWaiter,
  options: BlockOptions | undefined,
): Result {
  return request.begin(me) ??
    block(request.wait(me), me, request.action, options, request.failed);
}

/**
 * Awaits what a call wants under an id of its own, because the wait takes part in something as a thread does. Other waits
 * queue in `Turns`, under one id a thread.
 *
 * @typeParam Result What the call gets.
 * @param request The request.
 * @param options The timeout, and a signal that aborts the wait.
 * @returns The result, and the waiter, which the caller has to release in its lot once it holds nothing any more under its
 * id.
 * @throws {NumaError} `ETIMEDOUT`, `EAGAIN`, `EINVAL`, `EDESTROYED`. The signal's reason.
 */
export async function blockAsync<Result>(
  request: AsyncRequest<Result>,
  options: AsyncWaitOptions | undefined,
): Promise<{ me: ThreadWaiter; result: Result }> {
  const { action } = request;
  const { timeoutMs = Infinity, signal } = checkWaitOptions(options, action) ?? {};
  signal?.throwIfAborted();
  const me = claimWaiter();
  const { lot, id } = me;
  const abort = (): void => lot.unpark(id);
  signal?.addEventListener("abort", abort);
  beginVigil();
  try {
    const result = beginAsync(request, me);
    if (result !== undefined) return { me, result };
    const wait = waitAsync(request, me);
    const deadline = timeoutMs === Infinity ? Infinity : me.now() + timeoutMs;
    let over = false;
    let step = wait.next(false);
    while (step.done !== true) {
      const left = over || deadline === Infinity ? Infinity : deadline - me.now();
      if (left > 0) await lot.parkAsync(id, Math.min(step.value, left, ASYNC_SLICE_MS));
      over ||= signal?.aborted === true || (deadline !== Infinity && me.now() >= deadline);
      step = wait.next(over);
    }
    if (over && request.failed(step.value)) {
      signal?.throwIfAborted();
      throw giveUpError(action, false, timeoutMs);
    }
    return { me, result: step.value };
  } catch (error) {
    lot.release(id);
    throw error;
  } finally {
    endVigil();
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Checks what a caller gave for a wait that does not block, before anything is done.
 *
 * @param options The options, if there are any.
 * @param action What was asked, as it follows "Cannot".
 * @returns A copy, as of {@linkcode checkBlockOptions}.
 * @throws {NumaError} `EINVAL`.
 */
export function checkWaitOptions(
  options: AsyncWaitOptions | undefined,
  action: string,
): AsyncWaitOptions | undefined {
  if (options === undefined) return undefined;
  checkOptions(options, "{ timeoutMs, signal }", action);
  checkOptionNames(options, WAIT_OPTIONS, action);
  const { timeoutMs, signal } = options;
  checkSignal(signal, action);
  checkTimeout(timeoutMs, action);
  return { ...(timeoutMs !== undefined && { timeoutMs }), ...(signal !== undefined && { signal }) };
}
