import { encode } from "../../base/handle.ts";
import { showAs } from "../../base/inspect.ts";
import { NumaError } from "../../base/error.ts";
import { cannotSend } from "../../sched/message.ts";
import { TaskPool } from "../pool/task_pool.ts";
import { movedBy } from "./movable.ts";
import type { PiscinaTasks } from "./piscina_file.ts";
import {
  type CheckedOptions,
  checkPoolOptions,
  checkRunOptions,
  type PiscinaOptions,
  type PiscinaRunOptions,
} from "./piscina_options.ts";
import { dropModule, piscinaModule } from "./worker_data.ts";

/** An abort ends a task that runs, with its worker, as soon as it is noticed. */
const GRACE_MS = 0;

/** What piscina rejects an aborted task with. */
function abortError(reason: unknown): Error {
  const error = new Error("The task has been aborted", { cause: reason });
  error.name = "AbortError";
  return error;
}

/**
 * Runs files that were written for piscina, unchanged, in the workers of a {@linkcode TaskPool}: pinned, on Bun, Deno and
 * Node. `docs/piscina.md` lists what of piscina is there.
 *
 * @typeParam Task The argument of the file's function.
 * @typeParam Result What it returns.
 *
 * @example
 * ```ts
 * import { PiscinaPool } from "@numakit/numakit";
 * import { writeFileSync } from "node:fs";
 *
 * writeFileSync("/tmp/numakit-sum.cjs", "module.exports = ({ a, b }) => a + b;");
 * await using pool = new PiscinaPool({ filename: "/tmp/numakit-sum.cjs", maxThreads: 1 });
 * console.log(await pool.run({ a: 4, b: 6 })); // 10
 * ```
 */
// deno-lint-ignore no-explicit-any
export class PiscinaPool<Task = any, Result = any> implements AsyncDisposable {
  static readonly #shown = /* @__PURE__ */ showAs(PiscinaPool, String);
  readonly #options: CheckedOptions;
  readonly #module: string;
  readonly #pool: Promise<TaskPool<PiscinaTasks>>;
  readonly #startMs: number = performance.now();
  #completed = 0;
  #pending = 0;
  #closing: Promise<void> | undefined;

  /**
   * Starts a pool. Its first tasks wait for its workers.
   *
   * @param options The file, how many workers, and where they run.
   * @throws {NumaError} `EINVAL` a bad option, or one that is not there. What goes wrong when workers are started rejects
   * the tasks.
   */
  constructor(options: PiscinaOptions = {}) {
    void PiscinaPool.#shown;
    const action = "create a pool for files of piscina";
    const checked = checkPoolOptions(options, action);
    const { min, max, idleMs, maxQueued, workerData, policy } = checked;
    this.#options = checked;
    const data = encode(workerData);
    try {
      // A copy: what is given to workers that start later is the same.
      this.#module = piscinaModule(structuredClone(data));
    } catch (cause) {
      throw cannotSend(action, "workerData", cause);
    }
    this.#pool = TaskPool.create<PiscinaTasks>(this.#module, {
      ...{ threads: { min, max }, idleMs, graceMs: GRACE_MS, whenFull: "reject" },
      ...(maxQueued !== undefined && { maxQueued }),
      ...(policy !== undefined && { policy }),
    });
    // It is told to each task.
    this.#pool.catch(() => dropModule(this.#module));
  }

  /**
   * Runs a task.
   *
   * @param task The argument of the file's function: anything that can be cloned, with numakit's objects in it at any
   * depth.
   * @param options File, export, signal, and what is transferred.
   * @returns What the function returned. It rejects with what that threw; with an `AbortError` when the signal aborted it;
   * {@linkcode NumaError} `EAGAIN` too many tasks wait; `ECLOSED` the pool is closed; `EMODULE` no such function;
   * `ETERMINATED` its worker ended; `EINVAL` a bad argument.
   */
  async run(task?: Task, options: PiscinaRunOptions = {}): Promise<Result> {
    const { filename, name, signal, transferList } = checkRunOptions(options, this.#options);
    if (this.#closing !== undefined) {
      throw new NumaError("ECLOSED", "run a task", {
        why: "the pool was closed",
        fix: "Create another one.",
      });
    }
    if (signal?.aborted === true) throw abortError(signal.reason);
    const moved = movedBy(task);
    const transfer = moved === undefined ? transferList : [...transferList, ...moved.list];
    this.#pending++;
    try {
      const pool = await this.#pool;
      return await pool.run("run", [filename, name, moved?.value ?? task], {
        transfer,
        ...(signal !== undefined && { signal }),
      }) as Result;
    } catch (error) {
      throw signal !== undefined && error === signal.reason ? abortError(error) : error;
    } finally {
      this.#pending--;
      this.#completed++;
    }
  }

  /** Workers that are there in any case. */
  get minThreads(): number {
    return this.#options.min;
  }

  /** The most workers. */
  get maxThreads(): number {
    return this.#options.max;
  }

  /** Tasks that wait: those beyond one for each worker. */
  get queueSize(): number {
    return Math.max(0, this.#pending - this.#options.max);
  }

  /** Tasks that have ended. */
  get completed(): number {
    return this.#completed;
  }

  /** Milliseconds since the pool was made. */
  get duration(): number {
    return performance.now() - this.#startMs;
  }

  /**
   * Ends the pool when all its tasks have ended.
   *
   * @returns Resolves when its threads are gone.
   */
  close(): Promise<void> {
    return this.#closing ??= this.#end((pool) => pool.close());
  }

  /**
   * Ends the pool now. Tasks that have not ended reject with `ETERMINATED`.
   *
   * @returns Resolves when its threads are gone.
   */
  destroy(): Promise<void> {
    const ended = this.#end((pool) => pool.terminate());
    this.#closing ??= ended;
    return ended;
  }

  async #end(end: (pool: TaskPool<PiscinaTasks>) => Promise<void>): Promise<void> {
    try {
      await end(await this.#pool);
    } catch {
      // It never began.
    } finally {
      dropModule(this.#module);
    }
  }

  /** {@linkcode close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Returns a short text for logs. */
  toString(): string {
    return `PiscinaPool(${this.minThreads} to ${this.maxThreads} threads)`;
  }
}
