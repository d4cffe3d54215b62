/**
 * What a call waits for, stated once: `blockFor` sleeps until it is there, `blockAsync` and `Turns` await it.
 *
 * @module
 */
import type { ThreadWaiter } from "./thread_waiter.ts";
import type { Wait } from "./waiter.ts";

/**
 * What a call wants of an object: a lock, permits, that a latch is open.
 *
 * @typeParam Result What the call gets.
 */
export interface Request<Result> {
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
  /**
   * Gets it at once, or begins to wait.
   *
   * @param me The waiter.
   * @returns The result; undefined when {@linkcode wait} has to follow.
   */
  begin(me: ThreadWaiter): Result | undefined;
  /**
   * Waits, after {@linkcode begin} returned undefined.
   *
   * @param me The waiter.
   * @returns The wait, which has not begun.
   */
  wait(me: ThreadWaiter): Wait<Result>;
  /** Tells whether a result means "gave up". */
  failed(result: Result): boolean;
}

/**
 * What an asynchronous call wants of an object: its thread goes on meanwhile, and may destroy the object's memory.
 *
 * @typeParam Result What the call gets.
 */
export interface AsyncRequest<Result> extends Request<Result> {
  /**
   * Checks that one more waiter may use the object, before it begins. Absent where any number may.
   *
   * @param me The waiter.
   * @throws {NumaError} `EAGAIN`.
   */
  admit?(me: ThreadWaiter): void;
  /**
   * Checks, each time the wait goes on, that the memory is still there. Absent where the wait does so itself.
   *
   * @throws {NumaError} `EDESTROYED`.
   */
  check?(): void;
  /**
   * Gives back what it has just been given, before anybody knows of it. Absent where that cannot be.
   *
   * @param me The waiter.
   * @returns False, and nothing is changed, when that cannot be.
   */
  undo?(me: ThreadWaiter): boolean;
  /**
   * Whether it may have its turn together with those that have it now, who said the same of themselves. Absent where it
   * has to be alone.
   *
   * @param me The waiter that has it.
   */
  joins?(me: ThreadWaiter): boolean;
}

/**
 * Begins an asynchronous request.
 *
 * @param request The request.
 * @param me The waiter.
 * @returns The result; undefined when {@linkcode waitAsync} has to follow.
 * @throws {NumaError} `EAGAIN`.
 */
export function beginAsync<Result>(
  request: AsyncRequest<Result>,
  me: ThreadWaiter,
): Result | undefined {
  request.admit?.(me);
  return request.begin(me);
}

/**
 * Waits, after {@linkcode beginAsync} returned undefined.
 *
 * @param request The request.
 * @param me The waiter.
 * @returns The wait, which fails when the memory is gone.
 */
export function* waitAsync<Result>(
  request: AsyncRequest<Result>,
  me: ThreadWaiter,
): Wait<Result> {
  const wait = request.wait(me);
  let step = wait.next(false);
  while (step.done !== true) {
    const over = yield step.value;
    request.check?.();
    step = wait.next(over);
  }
  return step.value;
}
