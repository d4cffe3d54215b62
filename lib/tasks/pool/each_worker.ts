import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { encode } from "../../base/handle.ts";
import { cannotSend } from "../../sched/message.ts";
import type { ThreadPlacement } from "../../sched/policies/plan.ts";
import { BUILTIN_NAMES } from "../builtins.ts";
import { turn } from "../host/event_loop.ts";
import type { PoolHost } from "../host/pool_host.ts";
import type { Settle } from "../host/pool_places.ts";
import { NORMAL, NOTHING } from "./task_checks.ts";
import { BUILTIN, fits } from "../core/task_records.ts";

/** More cannot be given to a function everywhere. */
const MAX_ARGS = 65_535;

/** No arguments. */
export const NO_ARGS: readonly unknown[] = [];

/**
 * Copies arguments, so that those with a getter are looked at once.
 *
 * @param args What the caller gave.
 * @returns The copy. What is no array, or too long, comes back as it is, for {@linkcode lookUp} to refuse.
 */
export function copyOf(args: readonly unknown[] | undefined): readonly unknown[] {
  if (args === undefined) return NO_ARGS;
  return Array.isArray(args) && args.length <= MAX_ARGS ? [...args] : args;
}

/**
 * Finds a task, and makes what is posted of its arguments if they do not fit into words.
 *
 * @param host The pool's thread.
 * @param task The task's name.
 * @param args Its arguments.
 * @param action What was asked, as it follows "Cannot".
 * @returns The index of the function, and the arguments, encoded, or undefined.
 * @throws {NumaError} `EINVAL` there is no such task, or the arguments are no array, or too many; the errors of objects in
 * them.
 */
export function lookUp(
  host: PoolHost,
  task: unknown,
  args: unknown,
  action: string,
): { index: number; message: readonly unknown[] | undefined } {
  const index = host.indices.get(task as string);
  if (index === undefined || !Array.isArray(args)) {
    throw new NumaError("EINVAL", action, {
      why: index === undefined
        ? `the module exports ${host.names.join(", ") || "no functions"}`
        : `the arguments are ${show(args)}`,
      fix: index === undefined ? "Choose one of them." : "Give an array.",
    });
  }
  if (args.length > MAX_ARGS) {
    throw new NumaError("EINVAL", action, {
      why: `there are ${args.length} arguments`,
      fix: `Give up to ${MAX_ARGS}, or an array as one of them.`,
    });
  }
  return { index, message: fits(args) ? undefined : encode(args) as readonly unknown[] };
}

/**
 * Copies arguments that are posted later.
 *
 * @param message The arguments, encoded.
 * @param action What was asked, as it follows "Cannot".
 * @returns The copy.
 * @throws {NumaError} `EINVAL` they cannot be copied.
 */
export function copyToSend(message: readonly unknown[], action: string): readonly unknown[] {
  try {
    return structuredClone(message);
  } catch (cause) {
    throw cannotSend(action, "its arguments", cause);
  }
}

function noWorker(what: string, worker: number): NumaError {
  return new NumaError("ETERMINATED", `run ${what} on worker ${worker}`, {
    why: "there is no such worker now",
  });
}

/**
 * Runs a task once on each of some workers.
 *
 * @param host The pool's thread.
 * @param index The task's function.
 * @param args Its arguments.
 * @param workers The workers.
 * @returns The results in their order.
 * @throws What the first of them threw, once all have ended.
 */
export async function runOnEach(
  host: PoolHost,
  index: number,
  args: readonly unknown[],
  workers: readonly number[],
): Promise<unknown[]> {
  let message = fits(args) ? undefined : encode(args) as readonly unknown[];
  if (message !== undefined && host.places.left < workers.length) {
    // What waits is not to change meanwhile.
    message = copyToSend(message, "run a task on each worker");
  }
  while (host.places.left < workers.length && host.failure === undefined) await turn();
  if (host.failure !== undefined) throw host.failure;
  const outcomes = await Promise.allSettled(
    workers.map((worker) =>
      new Promise<unknown>((resolve, reject) => {
        // It may have ended while this has waited for places.
        if (!host.crew.live.includes(worker)) return reject(noWorker("a task", worker));
        host.startOn({
          ...{ index, args, message, transfer: NOTHING, level: NORMAL, node: -1 },
          ...{ resolve: resolve as Settle, reject: reject as Settle },
        }, worker);
      })
    ),
  );
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}

/**
 * Where workers run.
 *
 * @param host The pool's thread.
 * @returns The place of each, by index; undefined for one that is not there.
 */
export function placementsOf({ crew, settings }: PoolHost): (ThreadPlacement | undefined)[] {
  return settings.placements.map((placement, worker) =>
    crew.live.includes(worker) ? placement : undefined
  );
}

/**
 * Runs one of numakit's own functions once on each worker.
 *
 * @param host The pool's thread.
 * @param builtin The function's name in `builtins.ts`.
 * @param args Its arguments.
 * @returns A promise for each of {@linkcode placementsOf}; it rejects when there is no such worker.
 * @throws {NumaError} `EINVAL` there is no such function, or the arguments are no array.
 */
export function runOnAll(
  host: PoolHost,
  builtin: string,
  args: readonly unknown[],
): Promise<unknown>[] {
  const which = BUILTIN_NAMES.indexOf(builtin);
  if (which < 0 || !Array.isArray(args)) {
    throw new NumaError("EINVAL", `run a function on the workers of "${host.settings.name}"`, {
      why: which < 0 ? `there is no function ${show(builtin)}` : `its arguments are ${show(args)}`,
      fix: `Give one of ${BUILTIN_NAMES.join(", ")}, and an array.`,
    });
  }
  const index = BUILTIN + which;
  return placementsOf(host).map(async (placement, worker) => {
    if (placement === undefined) throw noWorker(builtin, worker);
    const [result] = await runOnEach(host, index, args, [worker]);
    return result;
  });
}
