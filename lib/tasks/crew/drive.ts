/**
 * Awaiting the end of a parallel computation, and saying why it ended.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import { claimWaiter } from "../../wait/thread_waiter.ts";
import { beginVigil, endVigil } from "../../wait/vigil.ts";
import type { Wait, Waiter } from "../../wait/waiter.ts";
import type { Crew } from "./crew.ts";
import { ABANDONED, ABORTED, DIED, FAILED, GOING } from "./muster.ts";

/** What is driven: a core of `loops/` or `forks/`. */
export interface Driven {
  /** See `muster.ts`. */
  open(me: Waiter): void;
  /** See `muster.ts`. */
  stop(reason: number): number;
  /** See `muster.ts`. */
  stopped(): number;
  /** Waits until it is over, and tells whether it has a result. Aborts it when told to give up. */
  wait(me: Waiter): Wait<boolean>;
}

/** What a computation is asked for with. */
export interface DriveRequest {
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
  /** The builtin. */
  readonly builtin: string;
  /** Its arguments. */
  readonly args: readonly unknown[];
  /** The caller's signal. */
  readonly signal: AbortSignal | undefined;
  /**
   * Called after each look.
   *
   * @returns Whether to abort.
   */
  look?(): boolean;
  /** The error of a worker that died. */
  died(worker: number): NumaError;
}

/**
 * Runs a computation in all workers, and awaits its end. Keeps the process alive meanwhile, and does not block.
 *
 * @param crew The workers.
 * @param core The computation.
 * @param request What is asked for.
 * @returns What the workers return, by index. Once this resolves or rejects, nothing of the computation runs any more.
 * @throws What a function threw. The signal's reason. {@linkcode NumaError}.
 */
export async function drive(
  crew: Crew,
  core: Driven,
  request: DriveRequest,
): Promise<readonly Promise<unknown>[]> {
  const { signal } = request;
  const me = claimWaiter();
  const { lot, id } = me;
  const abort = (): void => lot.unpark(id);
  signal?.addEventListener("abort", abort);
  beginVigil();
  try {
    const shares = begin(crew, core, request, me);
    let settled = 0;
    const settle = (): void => {
      if (++settled === shares.length) lot.unpark(id);
    };
    for (const share of shares) share.then(settle, settle);
    const wait = core.wait(me);
    for (let aborts = false;;) {
      aborts ||= signal?.aborted === true;
      // Before it looks who has died: of those it says more than that nobody is left.
      const isAlone = settled === shares.length;
      const step = wait.next(aborts);
      if (step.done === true) {
        if (!step.value) await explain(core.stopped(), shares, request);
        return shares;
      }
      // Where there is a reason to stop from now on, it is told before the thread sleeps.
      if (isAlone && core.stopped() === GOING) core.stop(ABANDONED);
      else if (!aborts && request.look?.() === true) aborts = true;
      else await lot.parkAsync(id, step.value);
    }
  } finally {
    endVigil();
    signal?.removeEventListener("abort", abort);
    lot.release(id);
  }
}

function begin(
  crew: Crew,
  core: Driven,
  { builtin, args }: DriveRequest,
  me: ThreadWaiter,
): readonly Promise<unknown>[] {
  core.open(me);
  try {
    return crew.runOnAll(builtin, args);
  } catch (error) {
    // Where some of them have begun.
    core.stop(ABORTED);
    throw error;
  }
}

/** Throws what ended it early. */
async function explain(
  reason: number,
  shares: readonly Promise<unknown>[],
  { action, signal, died }: DriveRequest,
): Promise<never> {
  if (reason === ABORTED) throw signal?.reason;
  if (reason >= FAILED) {
    await shares[reason - FAILED];
    throw died(reason - FAILED);
  }
  if (reason <= DIED) throw died(DIED - reason);
  // A worker's error says why: no such function, or a pool that was destroyed. That some worker is not there says less.
  const errors = (await Promise.allSettled(shares)).flatMap((share) =>
    share.status === "rejected" ? [share.reason as unknown] : []
  );
  const isMissing = (error: unknown): boolean =>
    error instanceof NumaError && error.code === "ETERMINATED";
  const error = errors.find((one) => !isMissing(one)) ?? errors[0];
  if (error !== undefined) throw error;
  throw new NumaError("ETERMINATED", action, {
    why: "a worker ended in the middle of it, and with it what it had taken",
    fix: "Find out what ended the worker, and run it again.",
  });
}
