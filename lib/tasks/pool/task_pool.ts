import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkUrl } from "../../sched/launch.ts";
import type { ThreadPlacement } from "../../sched/policies/plan.ts";
import type { Crew } from "../crew/crew.ts";
import { encode } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { topologyNow } from "../../topology/load.ts";
import { giveUpError } from "../../wait/block.ts";
import {
  copyOf,
  copyToSend,
  lookUp,
  NO_ARGS,
  placementsOf,
  runOnAll,
  runOnEach,
} from "./each_worker.ts";
import { watchIdle } from "../host/idle_watch.ts";
import { Line } from "../host/line.ts";
import { PoolHost } from "../host/pool_host.ts";
import { mapItems } from "./pool_map.ts";
import type { Settle, TaskRequest } from "../host/pool_places.ts";
import type { TaskPoolOptions } from "./pool_options.ts";
import { poolSettings } from "./pool_settings.ts";
import { SyncResult } from "./sync_result.ts";
import { poolStatistics } from "./pool_statistics.ts";
import type { PoolStatistics } from "./statistics_types.ts";
import { checkTaskOptions, NORMAL, NOTHING, RUN_OPTIONS, RUN_SYNC_OPTIONS } from "./task_checks.ts";
import { NO_TASK } from "../core/task_names.ts";
import { TaskLimit, type Waiting } from "./task_limit.ts";
import { fits } from "../core/task_records.ts";
import type {
  MapOptions,
  RunOptions,
  RunSyncOptions,
  TaskArgs,
  TaskModule,
  TaskName,
  TaskResult,
} from "./task_types.ts";

/** Results are taken once for so many tasks that wait. */
const DRAIN_MASK = 255;

/**
 * A group of workers that do tasks: functions that a module exports.
 *
 * Workers are bound to nodes, L3 domains, cores or CPUs. Each has queues of its own; a worker that finds nothing there takes
 * tasks from the nearest other worker that has some. Tasks near a node stay there unless it is overloaded.
 *
 * Up to five arguments that are numbers, booleans, null or undefined, and such results, go through shared memory. Everything
 * else is copied as structuredClone does it, with numakit's objects in it alive on the other side.
 *
 * A task that throws rejects its promise with its own error: name, message, stack and code. A worker that ends in the middle
 * of a task (`process.exit`, an uncaught exception) rejects that task with `ETERMINATED`, and no others but those that it
 * alone can do: its part of a {@linkcode TaskPool.broadcast}, and a task whose arguments were moved to it. Another worker
 * takes its place.
 *
 * A pool belongs to the thread that has created it, and keeps the process alive until it is closed.
 *
 * @typeParam Module The type of the module: `typeof import("./tasks.ts")`.
 *
 * @example
 * ```ts
 * import { TaskPool } from "@numakit/numakit";
 *
 * // Usually new URL("./tasks.ts", import.meta.url), and typeof import("./tasks.ts").
 * const tasks = "data:text/javascript,export const add = (a, b) => a + b";
 * await using pool = await TaskPool.create<{ add(a: number, b: number): number }>(tasks, {
 *   threads: 2,
 * });
 * console.log(await pool.run("add", [1, 2])); // 3
 * console.log(await pool.map("add", [])); // []
 * ```
 */
export class TaskPool<Module extends TaskModule = Record<string, (...args: unknown[]) => unknown>>
  implements Crew, AsyncDisposable {
  static readonly #shown = /* @__PURE__ */ showAs(TaskPool, (pool) => String(pool));
  readonly #host: PoolHost;
  readonly #createdAt = Date.now();
  readonly #waiting = new Line<Waiting>();
  #isClosed = false;
  #closing: Promise<void> | undefined;
  #idle: (() => void)[] = [];
  #timer: ReturnType<typeof setInterval> | undefined;
  #resolve!: Settle;
  #reject!: Settle;
  readonly #executor = (resolve: (value: never) => void, reject: Settle): void => {
    this.#resolve = resolve as Settle;
    this.#reject = reject;
  };
  /** For the next {@linkcode TaskPool.runSync}; undefined in the middle of one. */
  #spare: SyncResult | undefined = new SyncResult();

  private constructor(host: PoolHost) {
    void TaskPool.#shown;
    this.#host = host;
    host.onFree = () => this.#onFree();
    host.onReady = () => {
      if (this.pending > host.crew.live.length) this.#grow();
    };
  }

  /**
   * Starts a pool. All its least workers have loaded the module when it is there.
   *
   * @typeParam Module The type of the module.
   * @param url The module of the tasks: `new URL("./tasks.ts", import.meta.url)`.
   * @param options The number of workers, where they run, and how they wait.
   * @returns The pool.
   * @throws {NumaError} `EINVAL`; `EMODULE` when the module cannot be loaded; the errors of `launch`.
   */
  static async create<
    Module extends TaskModule = Record<string, (...args: unknown[]) => unknown>,
  >(url: URL | string, options: TaskPoolOptions = {}): Promise<TaskPool<Module>> {
    const href = checkUrl(url, "tasks", "create a task pool");
    const host = new PoolHost(poolSettings(options, topologyNow(true)), href);
    const { crew, settings } = host;
    const pool = new TaskPool<Module>(host);
    try {
      await Promise.all(
        Array.from({ length: settings.min }, (_, worker) => crew.start(worker)),
      );
    } catch (error) {
      await pool.terminate();
      throw error;
    }
    pool.#timer = watchIdle(host);
    return pool;
  }

  /** Its name. */
  get name(): string {
    return this.#host.settings.name;
  }

  /** How many workers it has now. */
  get size(): number {
    return this.#host.crew.size;
  }

  /** How many tasks have not ended. */
  get pending(): number {
    return this.#host.places.taken + this.#waiting.length;
  }

  /** The names of the tasks: the functions that the module exports. */
  get tasks(): readonly string[] {
    return this.#host.names;
  }

  /**
   * Runs a task.
   *
   * @param task Its name.
   * @param args Its arguments, copied now; where something is moved (`transfer`), when a worker takes them. Default: none.
   * @param options Where, how soon and how long.
   * @returns What it returns; it rejects with what it throws. {@linkcode NumaError} `ETERMINATED` its worker ended in the
   * middle of it; `ETIMEDOUT`; `EAGAIN` too many tasks wait; `ECLOSED` the pool is closed; `ENODEV` there is no
   * such node; `EINVAL` a bad argument, or one that cannot be copied. The signal's reason.
   */
  run<Name extends TaskName<Module>>(
    task: Name,
    args?: TaskArgs<Module, Name>,
    options?: RunOptions,
  ): Promise<TaskResult<Module, Name>> {
    const host = this.#host;
    const index = options === undefined ? host.indices.get(task) : undefined;
    const list = args === undefined ? NO_ARGS : args;
    try {
      if (index !== undefined && Array.isArray(list)) {
        const promise = new Promise<TaskResult<Module, Name>>(this.#executor as never);
        // Whoever listens to events may run others in the middle of this.
        const resolve = this.#resolve;
        const reject = this.#reject;
        const isBegun = this.#hasRoom()
          ? host.begin(index, list, resolve, reject) !== NO_TASK
          : this.#postpone(index, list, resolve, reject);
        if (isBegun) {
          if (host.places.taken > host.crew.live.length) this.#grow();
          return promise;
        }
      }
      return this.#run(task, list, options === undefined ? {} : options) as Promise<
        TaskResult<Module, Name>
      >;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * Runs a task and blocks the thread until that has ended: it first looks for the result many times, and then sleeps. On
   * the main thread, too, whose event loop then stands still.
   *
   * @param task Its name.
   * @param args Its arguments.
   * @param options Where, how soon and how long.
   * @returns What it returns.
   * @throws What it throws. {@linkcode NumaError} As {@linkcode TaskPool.run}.
   */
  runSync<Name extends TaskName<Module>>(
    task: Name,
    args?: TaskArgs<Module, Name>,
    options?: RunSyncOptions,
  ): TaskResult<Module, Name> {
    // Whoever listens to events may run others in the middle of this.
    const result = this.#spare ?? new SyncResult();
    this.#spare = undefined;
    try {
      this.#block(task, args, options, result);
    } catch (error) {
      // A task may have it still.
      this.#spare = new SyncResult();
      throw error;
    }
    this.#spare = result;
    return result.take() as TaskResult<Module, Name>;
  }

  /** Runs a task, and blocks until it has ended. */
  #block(
    task: string,
    args: readonly unknown[] | undefined,
    options: RunSyncOptions | undefined,
    { resolve, reject }: SyncResult,
  ): void {
    const host = this.#host;
    const short = options === undefined ? host.indices.get(task) : undefined;
    if (short !== undefined && Array.isArray(args) && this.#hasRoom()) {
      const name = host.begin(short, args, resolve, reject);
      if (name !== NO_TASK) return void host.block(name, Infinity);
    }
    const action = `run task ${show(task)}`;
    const { level, node, timeoutMs = Infinity } = checkTaskOptions(
      options === undefined ? {} : options,
      RUN_SYNC_OPTIONS,
      host.settings.nodes,
      action,
    );
    const list = copyOf(args);
    const { index, message } = this.#look(task, list, action);
    // A look may have closed it.
    this.#checkOpen(action);
    if (!this.#hasRoom()) {
      throw new NumaError("EAGAIN", action, {
        why: `tasks that have not ended: ${this.pending}`,
        fix: "Await some of them first.",
      });
    }
    const request: TaskRequest = {
      ...{ index, args: list, message, transfer: NOTHING, level, node },
      ...{ resolve, reject },
    };
    const name = host.start(request, undefined);
    if (name !== NO_TASK && !host.block(name, timeoutMs)) {
      host.abort(name, giveUpError(action, false, timeoutMs));
    }
  }

  /**
   * Runs a task for each item.
   *
   * @param task Its name. It gets an item as its only argument.
   * @param items The items. They are taken one by one, as there is room for them.
   * @param options How many at a time, and who is told of progress.
   * @returns The results, in the order of the items. It rejects with the error of the first that failed, once all that were
   * begun have ended; no more are begun.
   * @throws {NumaError} As {@linkcode TaskPool.run}.
   */
  async map<Name extends TaskName<Module>>(
    task: Name,
    items:
      | Iterable<
        TaskArgs<Module, Name> extends readonly [infer Item, ...unknown[]] ? Item : unknown
      >
      | AsyncIterable<unknown>,
    options: MapOptions = {},
  ): Promise<TaskResult<Module, Name>[]> {
    const action = `map items with task ${show(task)}`;
    this.#look(task, NO_ARGS, action);
    const run = (item: unknown, one: RunOptions | undefined): Promise<unknown> =>
      this.run(task, [item] as never, one);
    const workers = this.#host.settings.max;
    const results = await mapItems(run, items as Iterable<unknown>, options, { workers, action });
    return results as TaskResult<Module, Name>[];
  }

  /**
   * Runs a task once on each worker that is there.
   *
   * @param task Its name.
   * @param args Its arguments, copied for each.
   * @returns The results, one for each worker. It rejects with the error of the first that failed, once all have ended.
   * @throws {NumaError} As {@linkcode TaskPool.run}.
   */
  async broadcast<Name extends TaskName<Module>>(
    task: Name,
    args?: TaskArgs<Module, Name>,
  ): Promise<TaskResult<Module, Name>[]> {
    const action = `broadcast task ${show(task)}`;
    const list = copyOf(args);
    const { index } = this.#look(task, list, action);
    const results = await runOnEach(this.#host, index, list, [...this.#host.crew.live]);
    return results as TaskResult<Module, Name>[];
  }

  /** For internal use, by parallel loops: where each of its workers runs, by index; undefined for one that is not there. */
  get placements(): readonly (ThreadPlacement | undefined)[] {
    return placementsOf(this.#host);
  }

  /**
   * For internal use, by parallel loops: runs one of numakit's own functions once on each worker.
   *
   * @param builtin Its name in `builtins.ts`.
   * @param args Its arguments.
   * @returns A promise for each of {@linkcode TaskPool.placements}; it rejects when there is no such worker.
   * @throws {NumaError} `ECLOSED`, `EINVAL`.
   */
  runOnAll(builtin: string, args: readonly unknown[]): readonly Promise<unknown>[] {
    this.#checkOpen(`run a function on the workers of "${this.name}"`);
    return runOnAll(this.#host, builtin, args);
  }

  /**
   * Changes the number of workers, when the machine or the load has changed. Workers that are too many end when they have
   * done their tasks.
   *
   * @param threads The number: 1 to the greatest number that the pool was created with.
   * @throws {NumaError} `EINVAL`, `ECLOSED`.
   */
  resize(threads: number): void {
    const action = `resize task pool "${this.name}"`;
    const { crew, settings } = this.#host;
    checkInteger(threads, "threads", 1, settings.max, action);
    this.#checkOpen(action);
    crew.least = threads;
    while (crew.size > threads && crew.live.length > 1) {
      this.#host.dismiss(crew.live.at(-1) as number);
    }
    for (let missing = threads - crew.size; missing > 0; missing--) crew.grow();
  }

  /**
   * What the pool's workers have done, and do.
   *
   * @param before Earlier statistics of this pool: what is counted then is what has happened since. Default: all.
   * @returns Numbers for each worker, for each node, and in all.
   * @throws {NumaError} `EINVAL`.
   */
  statistics(before?: PoolStatistics): PoolStatistics {
    return poolStatistics(this.#host, this.#createdAt, before);
  }

  /**
   * Ends the pool: it takes no more tasks, does those that it has, and ends its workers.
   *
   * @returns Resolves when all threads are gone; the same promise each time.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#isClosed = true;
    if (this.pending > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    clearInterval(this.#timer);
    await this.#host.dismissAll();
    await this.#host.dispose();
  }

  /**
   * Ends the pool at once: tasks that have not ended are rejected with `ETERMINATED`, and their threads are ended.
   *
   * @returns Resolves when the threads are gone, or as far as the runtime can end them.
   */
  async terminate(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    const error = new NumaError("ETERMINATED", `run tasks of "${this.name}"`, {
      why: "the pool was terminated",
    });
    this.#host.fail(error);
    await this.#host.crew.terminate();
    await (this.#closing ??= this.#host.dispose());
  }

  /** As {@linkcode TaskPool.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Its name, and how many workers and tasks it has. */
  toString(): string {
    return `TaskPool(${this.name}, ${this.size} workers, ${this.pending} tasks)`;
  }

  /** Whether a task can be submitted at once. */
  #hasRoom(): boolean {
    const { places, settings, failure } = this.#host;
    if (this.#isClosed || failure !== undefined || this.#waiting.length > 0) return false;
    if (places.left > 0 && places.taken < settings.most) return true;
    this.#host.drain();
    return places.left > 0 && places.taken < settings.most;
  }

  /** Lets a task wait that needs nothing else; false when that has to be done the long way. */
  #postpone(index: number, args: readonly unknown[], resolve: Settle, reject: Settle): boolean {
    const { settings: { whenFull }, failure } = this.#host;
    const own = copyOf(args);
    if (this.#isClosed || failure !== undefined || whenFull !== "wait" || !fits(own)) return false;
    this.#waiting.push({
      request: {
        ...{ index, args: own, message: undefined, transfer: NOTHING, level: NORMAL },
        ...{ node: -1, resolve, reject },
      },
      limit: undefined,
    });
    // Workers are to go on while there are more and more.
    if ((this.#waiting.length & DRAIN_MASK) === 0) this.#host.drain();
    return true;
  }

  #grow(): void {
    const { crew, settings } = this.#host;
    const { min, max } = settings;
    if (min < max && crew.size < max && !crew.isStarting) crew.grow();
  }

  #checkOpen(action: string): void {
    const { failure } = this.#host;
    if (!this.#isClosed && failure === undefined) return;
    throw new NumaError("ECLOSED", action, {
      why: this.#isClosed ? "the pool was closed" : "its workers cannot be started any more",
      fix: "Create another one.",
      cause: failure,
    });
  }

  #look(
    task: string,
    args: readonly unknown[],
    action: string,
  ): { index: number; message: readonly unknown[] | undefined } {
    this.#checkOpen(action);
    return lookUp(this.#host, task, args, action);
  }

  /** The long way. */
  #run(task: string, args: readonly unknown[], options: RunOptions): Promise<unknown> {
    const action = `run task ${show(task)}`;
    const { level, node, signal, timeoutMs, transfer } = checkTaskOptions(
      options,
      RUN_OPTIONS,
      this.#host.settings.nodes,
      action,
    );
    const list = copyOf(args);
    const { index, message: encoded } = this.#look(task, list, action);
    let message = transfer.length > 0 ? encoded ?? encode(list) as readonly unknown[] : encoded;
    signal?.throwIfAborted();
    const { settings, crew } = this.#host;
    if (!this.#hasRoom() && settings.whenFull === "reject" && this.pending >= settings.most) {
      throw new NumaError("EAGAIN", action, {
        why: `tasks that have not ended: ${this.pending}, as many as may wait`,
        fix: 'Await some of them first, or create the pool with whenFull: "wait".',
      });
    }
    // What waits, or is posted again, is not to change; what is moved is the caller's until then. A look may have closed it.
    if (message !== undefined && transfer.length === 0) message = copyToSend(message, action);
    this.#checkOpen(action);
    signal?.throwIfAborted();
    const promise = new Promise<unknown>(this.#executor as never);
    const [resolve, reject] = [this.#resolve, this.#reject];
    const request = { index, args: list, message, transfer, level, node, resolve, reject };
    const isLimited = signal !== undefined || timeoutMs !== undefined;
    const limit = isLimited
      ? new TaskLimit(this.#abort, reject, { signal, timeoutMs }, action)
      : undefined;
    if (this.#hasRoom()) this.#begin({ request, limit });
    else this.#waiting.push({ request, limit });
    if (this.pending > crew.live.length) this.#grow();
    return promise;
  }

  readonly #abort = (name: number, reason: unknown): void => {
    this.#host.drain();
    this.#host.abort(name, reason);
  };

  #begin({ request, limit }: Waiting): void {
    const name = this.#host.start(request, limit?.disarm);
    if (limit === undefined) return;
    limit.name = name;
    if (name === NO_TASK) limit.disarm();
    // Whoever was told of its start has aborted it, and it was rejected.
    else if (limit.isOver) this.#abort(name, undefined);
  }

  /** A place is free, or no task will have one any more. */
  #onFree(): void {
    const { failure, places, settings } = this.#host;
    while (this.#waiting.length > 0) {
      if (failure === undefined && (places.left === 0 || places.taken >= settings.most)) return;
      const waiting = this.#waiting.shift() as Waiting;
      if (waiting.limit?.isOver === true) continue;
      if (failure === undefined) this.#begin(waiting);
      else {
        waiting.limit?.disarm();
        waiting.request.reject(failure as never);
      }
    }
    if (this.#idle.length === 0 || places.taken > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
