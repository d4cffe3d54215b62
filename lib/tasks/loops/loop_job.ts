/**
 * A worker's share of a parallel loop.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import type { NodeArray, NodeArrayPart } from "../../memory/spread/node_array.ts";
import { currentWaiter } from "../../wait/thread_waiter.ts";
import type { ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { WorkerContext } from "../builtins.ts";
import { FAILED } from "../crew/muster.ts";
import { isThenable } from "../crew/thenable.ts";
import { LoopCore, MAX_TAKE } from "./loop_core.ts";
import { type Cut, Split } from "./split.ts";

/** Chunks that take less are made longer, in milliseconds: a take costs less than a hundredth of it. */
const SHORT_MS = 0.02;
/** Chunks that take more are made shorter. */
const LONG_MS = 0.2;

/** What a chunk gave: a number, which is in shared memory; or anything else, which travels with the worker's result. */
export const NUMBER = 1;
/** See {@linkcode NUMBER}. */
export const BOXED = 2;

/** What all workers of a loop are told. Plain data. */
export interface LoopPlan {
  /** How the range is cut. */
  readonly cut: Cut;
  /** Of each home: its part, and its first grain there. */
  readonly homes: readonly { readonly part: number; readonly from: number }[];
  /** Of each home: its grains. */
  readonly grains: readonly number[];
  /** Of each worker: the homes that it goes through. */
  readonly orders: readonly (readonly number[])[];
  /** Whether a worker takes one grain at a time, whatever time that takes. */
  readonly isFixed: boolean;
  /** Whether each grain is a call of its own, however many were taken. */
  readonly isApart: boolean;
  /** Whether the values of the calls are wanted. */
  readonly hasValues: boolean;
}

/** What a worker returns: values that are no numbers, each with its slot. */
export type Boxed = readonly (readonly [slot: number, value: unknown])[];

/** What a loop's memory is divided into. */
export interface LoopMemory {
  /** The words of `LoopCore`. */
  readonly words: Int32Array;
  /** Of each slot, where values are wanted: whether there is one, and where it is. */
  readonly kinds: Uint8Array;
  /** Of each slot, where values are wanted: the number; the worker that has the value, if it is no number. */
  readonly numbers: Float64Array;
}

/**
 * Views of a loop's memory, or its size.
 *
 * @param plan The loop.
 * @param slots How many values it has.
 * @returns Bytes, and what makes the views.
 */
export function layoutOf(
  { grains, orders, hasValues }: Pick<LoopPlan, "grains" | "orders" | "hasValues">,
  slots: number,
): { bytes: number; views(buffer: SharedArrayBuffer): LoopMemory } {
  const words = LoopCore.words({ grains, workers: orders.length });
  const values = hasValues ? slots : 0;
  const numbersAt = words * 4;
  const kindsAt = numbersAt + values * 8;
  return {
    bytes: kindsAt + values,
    views: (buffer) => ({
      words: new Int32Array(buffer, 0, words),
      numbers: new Float64Array(buffer, numbersAt, values),
      kinds: new Uint8Array(buffer, kindsAt, values),
    }),
  };
}

type Task = (begin: number | NodeArrayPart, ...rest: unknown[]) => unknown;

/** Does chunks until there are none. */
class LoopJob {
  readonly #core: LoopCore;
  readonly #memory: LoopMemory;
  readonly #split: Split;
  readonly #plan: LoopPlan;
  readonly #order: readonly number[];
  readonly #share: number;
  readonly #worker: number;
  readonly #me: ThreadWaiter;
  readonly #call: (split: Split, part: number) => unknown;
  readonly #boxed: [slot: number, value: unknown][] = [];
  #want = 1;
  #since = 0;
  // Of what has been taken: what is left.
  #part = 0;
  #grain = 0;
  #left = 0;

  constructor(
    buffer: SharedArrayBuffer,
    plan: LoopPlan,
    worker: number,
    call: (split: Split, part: number) => unknown,
  ) {
    const workers = plan.orders.length;
    this.#plan = plan;
    this.#split = new Split(plan.cut);
    this.#memory = layoutOf(plan, this.#split.slots).views(buffer);
    this.#core = new LoopCore(this.#memory.words, { grains: plan.grains, workers });
    this.#order = plan.orders[worker] as readonly number[];
    this.#share = 2 * workers;
    this.#worker = worker;
    this.#me = currentWaiter();
    this.#call = call;
  }

  /** All of it: nothing when the loop had been stopped before this worker came; a promise where the function is slow. */
  run(): Boxed | Promise<Boxed> {
    if (!this.#core.enter(this.#me, this.#worker)) return [];
    let pending: PromiseLike<unknown> | undefined;
    try {
      pending = this.#pump();
    } catch (error) {
      this.#fail(error);
    }
    if (pending === undefined) return this.#leave();
    return this.#awaitAll(pending).then(() => this.#leave(), (error) => this.#fail(error));
  }

  /** Goes on when a promise is settled that a chunk has returned. A loop, as promises that wait for others would add up. */
  async #awaitAll(first: PromiseLike<unknown>): Promise<void> {
    let pending: PromiseLike<unknown> | undefined = first;
    for (; pending !== undefined; pending = this.#pump()) {
      this.#settle(this.#split.slot, await pending);
    }
  }

  /** Does chunks until there are none, or until one returns a promise, which it returns. */
  #pump(): PromiseLike<unknown> | undefined {
    const split = this.#split;
    const { isApart } = this.#plan;
    while (this.#left > 0 || this.#take()) {
      const found = split.locate(this.#part, this.#grain, isApart ? 1 : this.#left);
      this.#grain += found;
      this.#left -= found;
      if (split.from < split.to) {
        const value = this.#call(split, this.#part);
        if (isThenable(value)) return value;
        this.#settle(split.slot, value);
      } else if (this.#left === 0) this.#core.finish();
    }
    return undefined;
  }

  #settle(slot: number, value: unknown): void {
    if (this.#plan.hasValues) {
      const { numbers, kinds } = this.#memory;
      if (typeof value === "number") {
        numbers[slot] = value;
        kinds[slot] = NUMBER;
      } else {
        this.#boxed.push([slot, value]);
        numbers[slot] = this.#worker;
        kinds[slot] = BOXED;
      }
    }
    if (this.#left === 0) this.#core.finish();
  }

  /** Takes the next grains: as many as take long enough, but few at the end. */
  #take(): boolean {
    const { isFixed, homes } = this.#plan;
    const me = this.#me;
    // A thread that is being terminated has nothing to lose here.
    if (me.lot.stopped(me.id)) return false;
    if (!isFixed) {
      const now = me.now();
      const took = now - this.#since;
      if (this.#since === 0) this.#want = 1;
      else if (took < SHORT_MS) this.#want = Math.min(MAX_TAKE, this.#want * 2) | 0;
      else if (took > LONG_MS && this.#want > 1) this.#want >>= 1;
      this.#since = now;
    }
    const got = this.#core.take(this.#order, this.#want, this.#share);
    if (got === 0) return false;
    const { part, from } = homes[this.#core.home] as { part: number; from: number };
    this.#part = part;
    this.#grain = from + this.#core.first;
    this.#left = got;
    return true;
  }

  #leave(): Boxed {
    this.#core.leave(this.#me);
    return this.#boxed;
  }

  #fail(error: unknown): never {
    this.#core.stop(FAILED + this.#worker);
    this.#core.leave(this.#me);
    throw error;
  }
}

/** A builtin: the chunks of `parallelFor` and `reduce`. */
export function loopBuiltin(
  context: WorkerContext,
  buffer: unknown,
  plan: unknown,
  name: unknown,
  args: unknown,
): unknown {
  const task = context.functionOf(name as string) as Task;
  const rest = args as readonly unknown[];
  const { begin, end, step } = (plan as LoopPlan).cut;
  const call = ({ from, to }: Split): unknown => {
    const first = begin + from * step;
    return task(first, Math.min(end, begin + to * step), ...rest);
  };
  return new LoopJob(buffer as SharedArrayBuffer, plan as LoopPlan, context.index, call).run();
}

/** A builtin: the calls of `forEachPartition`. */
export function partsBuiltin(
  context: WorkerContext,
  buffer: unknown,
  plan: unknown,
  name: unknown,
  args: unknown,
  array: unknown,
): unknown {
  const task = context.functionOf(name as string) as Task;
  const rest = args as readonly unknown[];
  const call = (_: Split, part: number): unknown => {
    const found = (array as NodeArray).partitions()[part];
    if (found !== undefined) return task(found, ...rest);
    throw new NumaError("EINVAL", `call ${name} for part ${part}`, {
      why: "the array has no such part",
    });
  };
  return new LoopJob(buffer as SharedArrayBuffer, plan as LoopPlan, context.index, call).run();
}
