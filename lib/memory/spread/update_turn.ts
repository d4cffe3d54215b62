/**
 * How an update waits for its turn, and what it says when that does not come.
 *
 * @module
 */
import { NumaError, partsOf } from "../../base/error.ts";
import { block } from "../../wait/block.ts";
import type { AsyncWaitOptions, BlockOptions } from "../../wait/options.ts";
import { lockWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { AsyncRequest } from "../../wait/request.ts";
import type { Turns } from "../../wait/turns.ts";
import type { Wait } from "../../wait/waiter.ts";

/** What keeps an update from beginning. */
export interface Busy {
  /** Whether it is the very thread that wants to update. */
  readonly self: boolean;
  /** Where a version is still read; undefined when it is another update that is in the way. */
  readonly reader: { readonly slot: number; readonly node: number } | undefined;
}

/** One try at an update: the new version's number, or who is in the way. */
export type Attempt = () => number | Busy;

/**
 * Readers tell nobody that they are through: that would be a look at one more word, of other nodes, at the end of each
 * read. So an update looks again and again, and sleeps for about as long as it has waited, within these bounds.
 */
const MIN_NAP_MS = 1;
const MAX_NAP_MS = 4;

const isBusy = (outcome: number | Busy): outcome is Busy => typeof outcome !== "number";

/**
 * Tries until it succeeds or the wait is over.
 *
 * @param attempt The try.
 * @param me The id of the thread that waits.
 * @param aloneEnds Whether to give up at once when this thread itself is in the way: what blocks cannot get out of it.
 * @param busy What was in the way last; this function updates it.
 */
function* turn(
  attempt: Attempt,
  me: ThreadWaiter,
  aloneEnds: boolean,
  busy: { last?: Busy },
): Wait<number | Busy> {
  let over = false;
  let napMs = MIN_NAP_MS;
  for (let round = 0;;) {
    if (!over && me.spin(round)) round++;
    else if (!over) {
      over = yield napMs;
      napMs = Math.min(2 * napMs, MAX_NAP_MS);
    }
    const outcome = attempt();
    if (!isBusy(outcome)) return outcome;
    busy.last = outcome;
    if (over || (outcome.self && aloneEnds)) return outcome;
  }
}

/** Says who was in the way when a wait is given up. */
function explain(error: unknown, whoIs: string): unknown {
  const isOurs = error instanceof NumaError &&
    (error.code === "ETIMEDOUT" || error.code === "EWOULDBLOCK");
  if (!isOurs) return error;
  const parts = partsOf(error);
  return new NumaError(error.code, error.action, { ...parts, why: `${whoIs}, and ${error.why}` });
}

function who({ self, reader }: Busy): string {
  if (reader === undefined) return `${self ? "this thread" : "another thread"} is updating it`;
  const { slot, node } = reader;
  const thread = self ? "this thread" : `the thread in slot ${slot}`;
  return `${thread} still reads the version before the current one on node ${node}`;
}

function deadlock(busy: Busy, action: string): NumaError {
  return new NumaError("EDEADLK", action, {
    why: who(busy),
    fix: busy.reader === undefined
      ? "Update it after the function has returned."
      : "Release snapshots soon, and update outside of reads; or use updateAsync.",
    ...(busy.reader !== undefined && { node: busy.reader.node }),
  });
}

let waiter: ThreadWaiter | undefined;

/**
 * Tries, and blocks the thread until it succeeds.
 *
 * @param attempt The try.
 * @param action What was asked, as it follows "Cannot".
 * @param options How long to wait, checked.
 * @returns The new version's number.
 * @throws {NumaError} `EDEADLK` this thread waits for itself; `ETIMEDOUT`; `EWOULDBLOCK`; `ETERMINATED`.
 */
export function waitTurn(
  attempt: Attempt,
  action: string,
  options: BlockOptions | undefined,
): number {
  const first = attempt();
  if (!isBusy(first)) return first;
  if (first.self) throw deadlock(first, action);
  const busy = { last: first };
  const me = waiter ??= lockWaiter();
  let outcome: number | Busy;
  try {
    const failed = (result: number | Busy): boolean => isBusy(result) && !result.self;
    outcome = block(turn(attempt, me, true, busy), me, action, options, failed);
  } catch (error) {
    throw explain(error, who(busy.last));
  }
  if (isBusy(outcome)) throw deadlock(outcome, action);
  return outcome;
}

/**
 * Tries, and awaits until it succeeds: after what this thread awaits already, and with one slot for all of that.
 *
 * @param turns What this thread awaits of the same object.
 * @param attempt The try.
 * @param action What was asked, as it follows "Cannot".
 * @param options The timeout, and a signal that aborts the wait.
 * @returns The new version's number.
 * @throws {NumaError} `ETIMEDOUT`; `EINVAL`. The signal's reason.
 */
export async function awaitTurn(
  turns: Turns,
  attempt: Attempt,
  action: string,
  options: AsyncWaitOptions | undefined,
): Promise<number> {
  const busy: { last?: Busy } = {};
  const request: AsyncRequest<number | Busy> = {
    action,
    begin() {
      const outcome = attempt();
      if (!isBusy(outcome)) return outcome;
      busy.last = outcome;
      return undefined;
    },
    wait: (me) => turn(attempt, me, false, busy),
    failed: isBusy,
  };
  try {
    // The try refers to the object.
    return await turns.pass(attempt, request, options) as number;
  } catch (error) {
    const { last } = busy;
    throw explain(error, last === undefined ? "this thread's updates before it wait" : who(last));
  }
}
