/**
 * A worker of a pool, from the inside. `TaskPool` launches it.
 *
 * It looks for tasks and does them, one after the other. A task that returns a promise lets the event loop turn until that
 * is settled; so does a worker that has found nothing for a while, and one that has not turned it for {@linkcode TURN_MS}.
 *
 * @module
 */
import { builtin } from "../../runtime/builtin.ts";
import { decode, encode } from "../../base/handle.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { importModule } from "../../sched/import_module.ts";
import { monotonicMs } from "../../runtime/clock.ts";
import { threadSelf } from "../../runtime/thread.ts";
import { cannotSend, textOf } from "../../sched/message.ts";
import { transferOf } from "../../sched/transfer.ts";
import { worker, type WorkerFunction } from "../../sched/worker.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { claimWaiter, currentWaiter, pause, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { BUILTIN_NAMES, BUILTINS, type WorkerContext } from "../builtins.ts";
import { isThenable } from "../crew/thenable.ts";
import { turn } from "../host/event_loop.ts";
import { piscinaTasks } from "../piscina/piscina_file.ts";
import { isPiscinaModule } from "../piscina/worker_data.ts";
import {
  flattenTaskError,
  type FromPoolWorker,
  type PoolBirth,
  type TaskArguments,
  taskErrorTexts,
} from "./pool_messages.ts";
import { PoolCounts } from "./pool_counts.ts";
import { TaskCore } from "../core/task_core.ts";
import { LEAVE, NO_TASK, placeOf } from "../core/task_names.ts";
import { BUILTIN, TaskRecords } from "../core/task_records.ts";

type TaskFunction = (...args: unknown[]) => unknown;

/** The event loop turns at least this often while there are tasks, in milliseconds. */
const TURN_MS = 10;
/** A worker that sleeps looks this often at its event loop, in milliseconds. */
const SLICE_MS = 40;
/** So many tasks are done between two looks at the clock. */
const BURST = 64;
/** A thread that spins looks this often whether it is to end. */
const STOP_MASK = 15;
/** What a failed task has for a result: an object, so that its error comes by a message. */
const FAILURE = {};

/** The names of a module's functions. */
function namesOf(module: Record<string, unknown>): string[] {
  return Object.keys(module).filter((name) => typeof module[name] === "function").sort();
}

/** A module that has functions: of CommonJS whose names no runtime finds, all exports are in the default one. */
function withFunctions(module: Record<string, unknown>): Record<string, unknown> {
  return namesOf(module).length > 0 ? module : Object(module["default"] ?? module);
}

class PoolWorker {
  readonly #birth: PoolBirth;
  readonly #index: number;
  readonly #core: TaskCore;
  readonly #records: TaskRecords;
  readonly #counts: PoolCounts;
  readonly #me: ThreadWaiter;
  readonly #functions: TaskFunction[] = [];
  readonly #builtins: TaskFunction[];
  #names: readonly string[] = [];
  #started = 0;

  constructor(birth: PoolBirth) {
    const { index, buffer, shape } = birth;
    const words = TaskCore.words(shape);
    const all = new Int32Array(buffer);
    this.#birth = birth;
    this.#index = index;
    this.#core = new TaskCore(all.subarray(0, words), shape);
    this.#records = new TaskRecords(this.#core, all.subarray(0, words));
    this.#counts = new PoolCounts(all.subarray(all.length - PoolCounts.words(shape.workers)));
    this.#me = currentWaiter();
    const context: WorkerContext = {
      index,
      count: shape.workers,
      placement: { cpus: CpuSet.parse(birth.cpus), node: birth.node ?? undefined },
      functionOf: (name) => this.#functionOf(name),
    };
    this.#builtins = BUILTIN_NAMES.map((name) => {
      const builtin = BUILTINS[name] as (context: WorkerContext, ...args: unknown[]) => unknown;
      return (...args: unknown[]) => builtin(context, ...args);
    });
  }

  async #import(): Promise<Record<string, unknown>> {
    const { url, data } = this.#birth;
    if (isPiscinaModule(url)) return { ...piscinaTasks(data) };
    return await importModule(url).catch((cause) => {
      throw new NumaError("EMODULE", `load the tasks ${url}`, {
        why: cause instanceof Error ? `${cause.name}: ${cause.message}` : textOf(cause),
        fix: 'Check the path: new URL("./tasks.ts", import.meta.url) is relative to the caller.',
        cause,
      });
    }) as Record<string, unknown>;
  }

  async load(): Promise<void> {
    this.#post({ type: "begun", identity: threadSelf().identity });
    const module = withFunctions(await this.#import());
    this.#names = namesOf(module);
    // Tasks name functions by their indices, and this worker takes some as soon as it can.
    const [now, before] = [this.#names.join(", "), this.#birth.names.join(", ")];
    if (before !== "" && now !== before) {
      throw new NumaError("EMODULE", `load the tasks ${this.#birth.url}`, {
        why: `the module exports ${now || "no functions"}, and in workers before ${before}`,
        fix: "Create another pool when the module has changed.",
      });
    }
    for (const name of this.#names) this.#functions.push(module[name] as TaskFunction);
    this.#post({ type: "ready", names: this.#names });
  }

  /** Does tasks until it is to leave, or its thread is to end. */
  async run(): Promise<void> {
    const { lot, id } = this.#me;
    const blocks = this.#birth.wait === "block";
    const waiter = blocks ? this.#me : claimWaiter();
    let turnedAt = performance.now();
    while (!lot.stopped(id)) {
      let later = this.#burst();
      if (later === undefined && this.#found === NO_TASK) {
        const found = blocks ? this.#sleep() : await this.#sleepAsync(waiter);
        if (found === NO_TASK) {
          if (this.#core.orderOf(this.#index) === LEAVE) return;
          await turn();
          turnedAt = performance.now();
          continue;
        }
        later = this.#perform(found);
      }
      if (later !== undefined) await later;
      const now = performance.now();
      if (now - turnedAt < TURN_MS) continue;
      await turn();
      turnedAt = now;
    }
  }

  /** What the last look found. */
  #found: number = NO_TASK;

  /** Does tasks as long as there are some; a promise when one of them is not done yet. */
  #burst(): Promise<void> | undefined {
    const core = this.#core;
    for (let left = BURST; left > 0; left--) {
      let name = core.find(this.#me, this.#index);
      if (name === NO_TASK) name = this.#spin();
      this.#found = name;
      if (name === NO_TASK) return undefined;
      const later = this.#perform(name);
      if (later !== undefined) return later;
    }
    return undefined;
  }

  #spin(): number {
    const core = this.#core;
    const { lot, id } = this.#me;
    const { spins } = this.#birth;
    for (let round = 0; round < spins; round++) {
      pause();
      const name = core.find(this.#me, this.#index);
      if (name !== NO_TASK) return name;
      if ((round & STOP_MASK) === STOP_MASK && lot.stopped(id)) break;
    }
    return NO_TASK;
  }

  #sleep(): number {
    const { lot, id } = this.#me;
    const wait = this.#core.sleep(this.#me, this.#index, SLICE_MS);
    let step = wait.next(false);
    while (step.done !== true) {
      lot.park(id, step.value);
      step = wait.next(false);
    }
    return step.value;
  }

  async #sleepAsync(me: ThreadWaiter): Promise<number> {
    const wait = this.#core.sleep(me, this.#index, 1000);
    let step = wait.next(false);
    while (step.done !== true) {
      await me.lot.parkAsync(me.id, step.value);
      step = wait.next(false);
    }
    return step.value;
  }

  /** Does a task; a promise when it is not done yet. */
  #perform(name: number): Promise<void> | undefined {
    const records = this.#records;
    const place = placeOf(name);
    const { distance } = this.#core;
    if (distance >= 0) this.#counts.steal(this.#index, distance);
    if (this.#birth.times) this.#started = monotonicMs();
    const count = records.count(place);
    if (count < 0) {
      let args: readonly unknown[] | undefined;
      try {
        args = this.#argumentsOf(name);
      } catch (error) {
        this.#fail(name, error);
        return undefined;
      }
      return args === undefined ? this.#performLater(name) : this.#apply(name, args);
    }
    let result: unknown;
    try {
      const task = this.#function(records.functionOf(place));
      if (count === 0) result = task();
      else if (count === 1) result = task(records.argument(place, 0));
      else if (count === 2) result = task(records.argument(place, 0), records.argument(place, 1));
      else {
        const args: unknown[] = [];
        for (let which = 0; which < count; which++) args.push(records.argument(place, which));
        result = task(...args);
      }
    } catch (error) {
      this.#fail(name, error);
      return undefined;
    }
    if (typeof result === "number") {
      this.#finish(name, result);
      return undefined;
    }
    return this.#end(name, result);
  }

  async #performLater(name: number): Promise<void> {
    // Posted before the task was submitted, but perhaps not here yet.
    let args: readonly unknown[] | undefined;
    try {
      for (; args === undefined; args = this.#argumentsOf(name)) {
        await turn();
        if (this.#me.lot.stopped(this.#me.id)) return;
      }
    } catch (error) {
      this.#fail(name, error);
      return;
    }
    await this.#apply(name, args);
  }

  #apply(name: number, args: readonly unknown[]): Promise<void> | undefined {
    let result: unknown;
    try {
      const task = this.#function(this.#records.functionOf(placeOf(name)));
      result = task(...decode(args) as unknown[]);
    } catch (error) {
      this.#fail(name, error);
      return undefined;
    }
    return this.#end(name, result);
  }

  /** Arguments that came by a message; undefined if they are not here yet. It throws where they cannot be received. */
  #argumentsOf(name: number): readonly unknown[] | undefined {
    const { receiveMessageOnPort } = builtin("node:worker_threads");
    for (;;) {
      let next: { message: TaskArguments } | undefined;
      try {
        next = receiveMessageOnPort(this.#birth.port);
      } catch (cause) {
        throw new NumaError("EINVAL", "receive the arguments of a task", {
          why: cause instanceof Error ? cause.message : textOf(cause),
          fix: "Give what a worker can make a copy of.",
          cause,
        });
      }
      if (next === undefined) return undefined;
      // Those of other tasks came before, and were called off.
      if (next.message.name === name) return next.message.args;
    }
  }

  #end(name: number, result: unknown): Promise<void> | undefined {
    let isLater: boolean;
    try {
      isLater = isThenable(result);
    } catch (error) {
      this.#fail(name, error);
      return undefined;
    }
    if (isLater) return this.#endLater(name, result as PromiseLike<unknown>);
    this.#finish(name, result);
    return undefined;
  }

  async #endLater(name: number, result: PromiseLike<unknown>): Promise<void> {
    const started = this.#started;
    let value: unknown;
    try {
      value = await result;
    } catch (error) {
      this.#started = started;
      this.#fail(name, error);
      return;
    }
    this.#started = started;
    this.#finish(name, value);
  }

  #finish(name: number, value: unknown): void {
    const place = placeOf(name);
    if (this.#birth.times) this.#time(place);
    if (!this.#records.finish(place, value) && !this.#send(name, value)) return;
    this.#core.finish(this.#me, this.#index, name);
  }

  /** Sends a result; false when it cannot be sent, and the task has failed. */
  #send(name: number, value: unknown): boolean {
    try {
      this.#post({ type: "done", name, value: encode(value) }, transferOf(value));
      return true;
    } catch (cause) {
      const isOurs = cause instanceof NumaError;
      this.#fail(name, isOurs ? cause : cannotSend("return a task's result", "it", cause), true);
      return false;
    }
  }

  #fail(name: number, thrown: unknown, isTimed = false): void {
    const place = placeOf(name);
    if (this.#birth.times && !isTimed) this.#time(place);
    this.#counts.fail(this.#index);
    try {
      this.#post({ type: "failed", name, error: flattenTaskError(thrown) });
    } catch {
      // A function; an error whose stack is no text; a getter that throws.
      this.#post({ type: "failed", name, error: taskErrorTexts(thrown) });
    }
    this.#records.finish(place, FAILURE);
    this.#core.finish(this.#me, this.#index, name);
  }

  #time(place: number): void {
    const now = monotonicMs();
    const waitMs = this.#started - this.#records.stampOf(place);
    this.#counts.time(this.#index, waitMs, now - this.#started);
  }

  #function(index: number): TaskFunction {
    const task = index >= BUILTIN ? this.#builtins[index - BUILTIN] : this.#functions[index];
    if (task !== undefined) return task;
    throw new NumaError("EINVAL", "run a task", {
      why: `the module has no function ${index}`,
      fix: "Let the module export the same functions in each thread.",
    });
  }

  #functionOf(name: string): TaskFunction {
    const task = this.#functions[this.#names.indexOf(name)];
    if (task !== undefined) return task;
    throw new NumaError("EINVAL", `find the task ${show(name)}`, {
      why: `the module exports ${this.#names.join(", ") || "no functions"}`,
      fix: "Export it.",
    });
  }

  #post(message: FromPoolWorker, transfer: readonly object[] = []): void {
    this.#birth.port.postMessage(message, transfer as never);
  }
}

/** A worker of a pool. */
export const poolWorker: WorkerFunction<PoolBirth, void> = /* @__PURE__ */ worker(
  async (birth: PoolBirth) => {
    const self = new PoolWorker(birth);
    await self.load();
    await self.run();
    birth.port.close();
  },
);
