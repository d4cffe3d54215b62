/**
 * A worker's share of a computation by fork and join: it runs tasks, its own and stolen ones.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { block, giveUpError } from "../../wait/block.ts";
import { lockWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import type { WorkerContext } from "../builtins.ts";
import { DIED, FAILED } from "../crew/muster.ts";
import {
  ARGS,
  CELL,
  COUNT,
  ForkCore,
  type ForkShape,
  FUNCTION,
  RECORD_WORDS,
} from "./fork_core.ts";

/** The most arguments of a task. */
const MAX_ARGS = 6;

/** The most forks of a worker that have not been joined. */
const MAX_OPEN: number = 1 << 20;
/** Serial numbers of forks: what is left of a whole number beside the index. */
const MAX_SERIAL = 4_294_967_295;

/** A worker looks this often, in forks, whether its thread is to end. */
const LOOK_MASK = 63;

const RUN = "run a task";
const FORK = "fork a task";
const JOIN = "join a task";

type Task = (...args: number[]) => unknown;

/** What all workers of a computation are told. Plain data. */
export interface ForkPlan {
  /** The words that there are. */
  readonly shape: ForkShape;
  /** Of each worker: the others, the nearest first. */
  readonly orders: readonly (readonly number[])[];
  /** The functions that can be forked, the first one first. */
  readonly names: readonly string[];
  /** The arguments of the first one. */
  readonly args: readonly number[];
}

/** The computation that this thread takes part in now. */
let current: ForkJob | undefined;

function checkResult(name: string, value: unknown): number {
  if (typeof value === "number") return value;
  if (value === undefined) return NaN;
  // Nobody awaits it, and where it rejects that would end the thread.
  if (value instanceof Promise) value.catch(() => {});
  throw new NumaError("EINVAL", `run the task ${show(name)}`, {
    why: `it returned ${show(value)}`,
    fix: "Return a number, or nothing; put everything else into shared memory.",
  });
}

/** Runs tasks of a computation, and keeps track of what they have forked. */
export class ForkJob {
  readonly #core: ForkCore;
  readonly #plan: ForkPlan;
  readonly #worker: number;
  readonly #order: readonly number[];
  readonly #tasks: readonly Task[];
  readonly #me: ThreadWaiter = lockWaiter();
  /** The record that is being pushed, popped or stolen. */
  readonly #record: Int32Array = new Int32Array(RECORD_WORDS);
  readonly #args: Float64Array = new Float64Array(this.#record.buffer, ARGS * 4, MAX_ARGS);
  /** A result in two words. */
  readonly #result: Float64Array = new Float64Array(1);
  readonly #halves: Int32Array = new Int32Array(this.#result.buffer);
  // Forks that have not been joined, by cell: a stack.
  readonly #serials: number[] = [];
  readonly #values: (number | undefined)[] = [];
  #open = 0;
  /** Where those of the task begin that runs. */
  #base = 0;
  #serial = 0;
  /** What the first task that failed here has thrown. */
  #thrown: { readonly error: unknown } | undefined;

  /** Joins what was begun elsewhere. Call {@linkcode ForkJob.run}. */
  constructor(context: WorkerContext, buffer: SharedArrayBuffer, plan: ForkPlan) {
    this.#core = new ForkCore(new Int32Array(buffer), plan.shape);
    this.#plan = plan;
    this.#worker = context.index;
    this.#order = plan.orders[context.index] as readonly number[];
    this.#tasks = plan.names.map((name) => context.functionOf(name) as Task);
  }

  /** Runs tasks until all is over. */
  run(): void {
    const core = this.#core;
    const me = this.#me;
    if (!core.enter(me, this.#worker)) return;
    try {
      if (core.takeRoot()) {
        const [first = 0, ...rest] = this.#plan.args;
        this.#args[0] = first;
        for (const [index, arg] of rest.entries()) this.#args[index + 1] = arg;
        this.#result[0] = this.#call(0, this.#plan.args.length);
        core.finishRoot(me, this.#halves[0] as number, this.#halves[1] as number);
      }
      for (let round = 0; core.goesOn();) {
        if (this.#stealAny()) round = 0;
        else if (me.spin(round)) round++;
        else {
          block(core.idle(), me, RUN, undefined);
          round = 0;
        }
      }
    } catch (error) {
      // A thread that is told to end while it looks for tasks takes none with it.
      if (this.#thrown === undefined && !me.lot.stopped(me.id)) this.#fail(error);
    } finally {
      core.leave(me);
    }
    if (this.#thrown !== undefined && core.stopped() === FAILED + this.#worker) {
      throw this.#thrown.error;
    }
  }

  /**
   * Forks a task.
   *
   * @param name The name of its function.
   * @param args Its arguments.
   * @returns What {@linkcode ForkJob.join} takes.
   */
  fork(name: string, args: readonly number[]): number {
    const id = this.#plan.names.indexOf(name);
    if (id < 0) this.#refuseName(name);
    const count = checkList(args, FORK);
    // Each once, and before anything else: to look at one may be to fork, too.
    const a = count > 0 ? numberIn(args, 0, FORK) : 0;
    const b = count > 1 ? numberIn(args, 1, FORK) : 0;
    const c = count > 2 ? numberIn(args, 2, FORK) : 0;
    const d = count > 3 ? numberIn(args, 3, FORK) : 0;
    const e = count > 4 ? numberIn(args, 4, FORK) : 0;
    const f = count > 5 ? numberIn(args, 5, FORK) : 0;
    if (!this.#core.goesOn()) this.#refuseStopped(FORK);
    // Where a thread can only be asked to end.
    if ((this.#serial & LOOK_MASK) === 0 && this.#me.lot.stopped(this.#me.id)) {
      throw giveUpError(FORK, true, 0);
    }
    const cell = this.#open;
    if (cell >= MAX_OPEN) {
      throw new NumaError("ENOMEM", FORK, {
        why: `${MAX_OPEN} forks have not been joined`,
        fix: "Join some of them first, or let a task fork half of the work at a time.",
      });
    }
    const record = this.#record;
    record[FUNCTION] = id;
    record[COUNT] = count;
    record[CELL] = cell;
    const kept = this.#args;
    kept[0] = a;
    kept[1] = b;
    kept[2] = c;
    kept[3] = d;
    kept[4] = e;
    kept[5] = f;
    this.#open++;
    this.#serial = this.#serial % MAX_SERIAL + 1;
    const serial = this.#serial;
    this.#serials[cell] = serial;
    this.#values[cell] = undefined;
    if (cell >= this.#plan.shape.cells || !this.#core.fork(this.#me, record)) {
      this.#values[cell] = this.#call(id, count);
    }
    return serial * MAX_OPEN + cell;
  }

  /**
   * The result of a fork of the task that runs.
   *
   * @param fork What {@linkcode ForkJob.fork} returned.
   * @returns The result.
   */
  join(fork: number): number {
    const cell = Number.isSafeInteger(fork) ? fork % MAX_OPEN : -1;
    const serial = Math.floor(fork / MAX_OPEN);
    if (!(cell >= this.#base && cell < this.#open && this.#serials[cell] === serial)) {
      throw new NumaError("EINVAL", JOIN, {
        why: `${show(fork)} is no fork of this task that has not been joined`,
        fix: "Join each fork once, in the task that forked it.",
      });
    }
    const value = this.#valueOf(cell);
    this.#serials[cell] = 0;
    while (this.#open > this.#base && this.#serials[this.#open - 1] === 0) this.#open--;
    return value;
  }

  /** Waits for the task of a cell, and runs others until it is done. */
  #valueOf(cell: number): number {
    const core = this.#core;
    const me = this.#me;
    const record = this.#record;
    const known = this.#values[cell];
    if (known !== undefined) return known;
    // It is here, below what was forked later; or all that is here was stolen.
    while (core.pop(me, record)) {
      const found = record[CELL] as number;
      const value = this.#call(record[FUNCTION] as number, record[COUNT] as number);
      if (found === cell) return value;
      this.#values[found] = value;
    }
    for (let round = 0; !core.isReady(cell);) {
      if (!core.goesOn()) this.#refuseStopped(JOIN);
      const thief = core.thiefOf(cell);
      if (thief >= 0 && this.#steal(thief)) round = 0;
      else if (me.spin(round)) round++;
      else {
        round = 0;
        const lost = core.lostTo(me, cell);
        if (lost >= 0) {
          core.end(me, DIED - lost);
          this.#refuseStopped(JOIN);
        }
        block(core.sleep(cell), me, JOIN, undefined);
      }
    }
    this.#halves[0] = core.low(cell);
    this.#halves[1] = core.high(cell);
    return this.#result[0] as number;
  }

  /** Steals a task of the nearest worker that has one, and runs it. */
  #stealAny(): boolean {
    for (const victim of this.#order) if (this.#steal(victim)) return true;
    return false;
  }

  #steal(victim: number): boolean {
    const record = this.#record;
    if (!this.#core.steal(this.#me, victim, record)) return false;
    const cell = record[CELL] as number;
    this.#result[0] = this.#call(record[FUNCTION] as number, record[COUNT] as number);
    const halves = this.#halves;
    this.#core.complete(this.#me, victim, cell, halves[0] as number, halves[1] as number);
    return true;
  }

  /** Calls a function with the arguments of the record. What it has not joined is joined then. */
  #call(id: number, count: number): number {
    const task = this.#tasks[id];
    if (task === undefined || count < 0 || count > MAX_ARGS) this.#refuseRecord();
    const args = this.#args as unknown as readonly number[];
    const base = this.#base;
    this.#base = this.#open;
    try {
      const value = checkResult(
        this.#plan.names[id] as string,
        count === 1
          ? task(args[0]!)
          : count === 2
          ? task(args[0]!, args[1]!)
          : count === 3
          ? task(args[0]!, args[1]!, args[2]!)
          : task(...Array.from(args).slice(0, count)),
      );
      while (this.#open > this.#base) {
        const cell = this.#open - 1;
        if (this.#serials[cell] !== 0) this.#valueOf(cell);
        this.#open--;
      }
      return value;
    } catch (error) {
      this.#fail(error);
      throw error;
    } finally {
      this.#open = this.#base;
      this.#base = base;
    }
  }

  /** A task that throws ends it all. */
  #fail(error: unknown): void {
    this.#thrown ??= { error };
    this.#core.end(this.#me, FAILED + this.#worker);
  }

  #refuseStopped(action: string): never {
    throw new NumaError("ETERMINATED", action, {
      why: "the computation that it is a part of has been stopped",
      fix: "Let this error through: the caller of forkJoin is told why.",
    });
  }

  #refuseRecord(): never {
    throw new NumaError("EBADMSG", RUN, {
      why: "its record was overwritten",
      fix: "Find out what writes to memory that is not its own.",
    });
  }

  #refuseName(name: unknown): never {
    throw new NumaError("EINVAL", FORK, {
      why: `${show(name)} is not among the tasks ${this.#plan.names.join(", ")}`,
      fix: 'Name it in the call: forkJoin(pool, "first", args, { tasks: ["other"] }).',
    });
  }
}

/**
 * Checks the arguments of a task.
 *
 * @param args What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns A copy of them; each is looked at once.
 * @throws {NumaError} `EINVAL`.
 */
export function checkNumbers(args: unknown, action: string): readonly number[] {
  const count = checkList(args, action);
  return Array.from(
    { length: count },
    (_, index) => numberIn(args as readonly unknown[], index, action),
  );
}

/** Checks a list of arguments, and says how many there are. */
function checkList(args: unknown, action: string): number {
  const count = Array.isArray(args) ? args.length : Infinity;
  if (count <= MAX_ARGS) return count;
  throw new NumaError("EINVAL", action, {
    why: `its arguments are ${show(args)}`,
    fix: `Give an array of at most ${MAX_ARGS} numbers.`,
  });
}

/** Looks at an argument once. */
function numberIn(args: readonly unknown[], index: number, action: string): number {
  const value = args[index];
  if (typeof value === "number") return value;
  throw new NumaError("EINVAL", action, {
    why: `argument ${index} is ${show(value)}`,
    fix: "Give numbers; pass everything else to the workers through shared memory.",
  });
}

/** A builtin: the tasks of `forkJoin`. */
export function forkBuiltin(context: WorkerContext, buffer: unknown, plan: unknown): unknown {
  const job = new ForkJob(context, buffer as SharedArrayBuffer, plan as ForkPlan);
  const before = current;
  current = job;
  try {
    return job.run();
  } finally {
    current = before;
  }
}

/**
 * The computation that this thread takes part in.
 *
 * @param action What was asked, as it follows "Cannot".
 * @returns It.
 * @throws {NumaError} `EINVAL` when there is none.
 */
export function currentJob(action: string): ForkJob {
  if (current !== undefined) return current;
  throw new NumaError("EINVAL", action, {
    why: "this thread runs no task of forkJoin",
    fix: "Call it in functions that forkJoin runs in the workers of a pool.",
  });
}
