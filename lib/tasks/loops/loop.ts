/**
 * A parallel loop as its caller sees it: workers are told, and the caller awaits the end. It never blocks the event loop.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { topology } from "../../topology/load.ts";
import type { Crew } from "../crew/crew.ts";
import { drive } from "../crew/drive.ts";
import { homesOf, orderOf, type Part, placesOf } from "./homes.ts";
import { LoopCore, MAX_GRAINS, MAX_WORKERS } from "./loop_core.ts";
import { BOXED, type Boxed, layoutOf, type LoopMemory, type LoopPlan, NUMBER } from "./loop_job.ts";
import type { LoopProgress } from "./loop_types.ts";
import { type Cut, Split } from "./split.ts";

/** A loop, checked. */
export interface LoopRequest {
  /** What was asked, as it follows "Cannot". */
  readonly action: string;
  /** The builtin that does it. */
  readonly builtin: "loop" | "parts";
  /** How the range is cut. */
  readonly cut: Cut;
  /** The node of each part of the cut; undefined where its grains are divided among all workers. */
  readonly nodes: readonly (number | undefined)[];
  /** Whether a part is for the workers on its node alone, if there are any. */
  readonly isStrict: boolean;
  /** See {@linkcode LoopPlan}. */
  readonly isFixed: boolean;
  /** See {@linkcode LoopPlan}. */
  readonly isApart: boolean;
  /** Whether the values of the calls are wanted. */
  readonly hasValues: boolean;
  /** What the builtin gets behind buffer and plan. */
  readonly args: readonly unknown[];
  /** Ends it early. */
  readonly signal: AbortSignal | undefined;
  /** Told how far it is. */
  readonly onProgress: ((progress: LoopProgress) => unknown) | undefined;
}

/** The most values of a loop. */
const MAX_VALUES: number = 1 << 20;

/** Divides a loop among workers. */
function planOf(crew: Crew, request: LoopRequest, split: Split): LoopPlan {
  const { action, cut, nodes, isStrict, isFixed, isApart, hasValues } = request;
  const machine = topology();
  const known = machine.nodes.map(({ id }) => id);
  const stranger = nodes.find((node) => node !== undefined && !known.includes(node));
  if (stranger !== undefined) {
    throw new NumaError("ENODEV", action, {
      why: `it is to be near node ${stranger}, and this machine has nodes ${CpuSet.from(known)}`,
      fix: "Choose one of them.",
      node: stranger,
    });
  }
  const places = placesOf(machine, crew.placements);
  const parts = nodes.map((node, part): Part => ({ node, grains: split.grainsOf(part) }));
  const homes = homesOf(places, parts);
  return {
    ...{ cut, isFixed, isApart, hasValues },
    homes: homes.map(({ part, from }) => ({ part, from })),
    grains: homes.map(({ count }) => count),
    orders: places.map((place, worker) =>
      place === undefined ? [] : orderOf(machine, worker, place, homes, isStrict)
    ),
  };
}

function checkSizes(crew: Crew, { action, hasValues, cut }: LoopRequest, split: Split): void {
  const workers = crew.placements.length;
  if (workers < 1 || workers > MAX_WORKERS) {
    throw new NumaError("EINVAL", action, {
      why: `the pool has ${workers} workers`,
      fix: `Give one with 1 to ${MAX_WORKERS}.`,
    });
  }
  const most = hasValues ? MAX_VALUES : MAX_GRAINS;
  if (split.slots <= most) return;
  throw new NumaError("EINVAL", action, {
    why: `it has ${split.slots} chunks of at most ${cut.grain}, and ${most} are possible`,
    fix: "Give a larger chunk, or an array with larger blocks.",
  });
}

/** Tells the caller how far its loop is. */
class Reporter {
  readonly #call: LoopRequest["onProgress"];
  readonly #split: Split;
  readonly #core: LoopCore;
  #told = 0;
  /** What the caller's function threw. */
  thrown: { readonly error: unknown } | undefined;

  constructor(call: LoopRequest["onProgress"], split: Split, core: LoopCore) {
    this.#call = call;
    this.#split = split;
    this.#core = core;
  }

  /** Returns whether the caller's function has thrown. */
  tell(): boolean {
    const { turns: total, slots } = this.#split;
    if (this.#call === undefined || this.thrown !== undefined) return false;
    const share = this.#core.done() / slots;
    const done = share === 1 ? total : Math.min(total - 1, Math.floor(share * total));
    if (done <= this.#told) return false;
    this.#told = done;
    try {
      this.#call({ done, total });
    } catch (error) {
      this.thrown = { error };
    }
    return this.thrown !== undefined;
  }
}

/** Says which chunk a worker took with it. */
function deathOf(action: string, core: LoopCore, plan: LoopPlan, worker: number): NumaError {
  const { home, first, count } = core.lost(worker);
  const { part, from } = plan.homes[home] ?? { part: 0, from: 0 };
  const { begin, end, step } = plan.cut;
  const split = new Split(plan.cut);
  split.locate(part, from + first, Math.max(1, count));
  const last = Math.min(end, begin + split.to * step);
  return new NumaError("ETERMINATED", action, {
    why: `worker ${worker} ended in the middle of ${begin + split.from * step} to ${last}`,
    fix: "Find out what ended it, and run the loop again: its other chunks may be done.",
  });
}

/**
 * Runs a loop.
 *
 * @param crew The workers.
 * @param request The loop, checked.
 * @returns The values of its calls by slot, holes where there is none, if they are wanted. Once it resolves or rejects, no
 * call runs any more.
 * @throws What a call threw. The signal's reason. {@linkcode NumaError} `EINVAL`, `ETERMINATED`, `EAGAIN`.
 */
export async function runLoop(crew: Crew, request: LoopRequest): Promise<unknown[]> {
  const { action, builtin, args, signal, onProgress, cut } = request;
  signal?.throwIfAborted();
  const split = new Split(cut);
  if (split.turns === 0) return [];
  checkSizes(crew, request, split);
  const plan = planOf(crew, request, split);
  const { bytes, views } = layoutOf(plan, split.slots);
  const buffer = new SharedArrayBuffer(bytes);
  const memory = views(buffer);
  const core = new LoopCore(memory.words, { grains: plan.grains, workers: plan.orders.length });
  const reporter = new Reporter(onProgress, split, core);
  let shares: readonly Promise<unknown>[];
  try {
    shares = await drive(crew, core, {
      ...{ action, builtin, signal, args: [buffer, plan, ...args] },
      look: () => reporter.tell(),
      died: (worker) => deathOf(action, core, plan, worker),
    });
    reporter.tell();
  } catch (error) {
    throw reporter.thrown === undefined ? error : reporter.thrown.error;
  }
  if (reporter.thrown !== undefined) throw reporter.thrown.error;
  return await valuesOf(memory, shares);
}

/** The values: numbers, and what workers return that have others. Those have left, or are about to. */
async function valuesOf(
  { kinds, numbers }: LoopMemory,
  shares: readonly Promise<unknown>[],
): Promise<unknown[]> {
  const values: unknown[] = new Array(kinds.length);
  const workers = new Set<number>();
  for (const [slot, kind] of kinds.entries()) {
    if (kind === NUMBER) values[slot] = numbers[slot];
    else if (kind === BOXED) workers.add(numbers[slot] as number);
  }
  for (const boxed of await Promise.all([...workers].map((worker) => shares[worker]))) {
    for (const [slot, value] of boxed as Boxed) values[slot] = value;
  }
  return values;
}
