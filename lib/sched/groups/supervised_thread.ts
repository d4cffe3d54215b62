/**
 * A thread that is started again when it ends.
 *
 *     launch ──▶ running ──end──▶ Restarts.next ──▶ waiting, delayMs ──▶ launch …
 *                                      │
 *                                      └── no more: over, and join() has what the last run gave
 *
 * Each run is a new thread, with a new heap; what carries over is the place, the name, the listeners, and what the
 * arguments refer to.
 *
 * @module
 */
import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { showAs } from "../../base/inspect.ts";
import { builtin } from "../../runtime/builtin.ts";
import type { BindStrengths } from "../binding/binding.ts";
import { checkPolicy, keepPlace } from "../policies/chosen.ts";
import { launch, type LaunchOptions } from "../launch.ts";
import { Listeners } from "../../base/listeners.ts";
import type { ThreadEvent, ThreadMessageListener } from "../thread_events.ts";
import { readOptions } from "../../base/options.ts";
import type { ThreadPlacement } from "../policies/plan.ts";
import { Policy } from "../policies/policy.ts";
import type { TerminateOptions, Thread } from "../thread.ts";
import { type RestartOptions, Restarts } from "./restarts.ts";

/** How {@linkcode supervise} starts a thread, and starts it again. */
export interface SuperviseOptions extends Omit<LaunchOptions, "args" | "transfer"> {
  /**
   * The arguments: a value, which is copied anew for each run; or a function that makes them for each run, whose number
   * (0 for the first) it gets.
   */
  readonly args?: unknown;
  /** When and how often it is started again. Default: as {@linkcode RestartOptions} says. */
  readonly restart?: RestartOptions;
}

/** A restart, told when it has been decided on and before it is waited for. */
export interface RestartEvent {
  /** The number of the run that comes: 1 for the first restart. */
  readonly run: number;
  /** How long it waits, in milliseconds. */
  readonly delayMs: number;
  /** What the run before threw; undefined when it returned. */
  readonly error: unknown;
  /** The thread that has ended, and is not started again: a new one is. */
  readonly thread: Thread<unknown> | undefined;
}

interface Events extends Record<ThreadEvent, unknown> {
  readonly restart: RestartEvent;
}

const OPTIONS = ["policy", "args", "name", "place", "bind", "nice", "restart"] as const;
const FORWARDED = ["messageerror", "message"] as const;

/** What a run came to. */
type Outcome<Result> = { readonly value: Result } | { readonly error: unknown };

let count = 0;

/**
 * A thread that is started again when it ends, until it has ended for good.
 *
 * @typeParam Result What its function returns.
 *
 * @example
 * ```ts
 * import { supervise } from "@numakit/numakit";
 *
 * const module = `data:text/javascript,
 *   import { workerData } from "node:worker_threads";
 *   export default (n) => n + 1`;
 * await using thread = supervise<number>(module, { args: 41 });
 * thread.on("restart", (event) => console.log("again", event));
 * console.log(await thread.join()); // 42
 * ```
 */
export class SupervisedThread<Result = unknown> implements AsyncDisposable {
  static readonly #shown = /* @__PURE__ */ showAs(
    SupervisedThread,
    (thread) => `SupervisedThread("${thread.name}", ${thread.state}, run ${thread.run})`,
  );
  /** Its name. */
  readonly name: string;
  readonly #url: URL | string;
  readonly #options: LaunchOptions;
  readonly #args: unknown;
  readonly #restarts: Restarts;
  readonly #listeners: Listeners<Events>;
  readonly #ended: Promise<Result>;
  #thread: Thread<Result> | undefined;
  #run = 0;
  #place: number | undefined;
  #policy: Policy;
  #bind: BindStrengths | undefined;
  /** Gives the place free that is kept for the next run. */
  #leave: () => void = () => {};
  #isStopped = false;
  #isOver = false;
  #isJoined = false;
  /** Ends the waiting for a restart. */
  #wake: () => void = () => {};

  /** For internal use: call `supervise` instead. */
  constructor(url: URL | string, options: SuperviseOptions) {
    void SupervisedThread.#shown;
    const action = "supervise a thread";
    const read = readOptions(options, OPTIONS, action);
    const { args, restart, name, policy, place, ...rest } = read;
    this.#restarts = new Restarts(restart === undefined ? {} : restart, action);
    this.#url = url;
    this.name = name ?? `numakit-supervised-${++count}`;
    this.#args = args;
    this.#policy = policy === undefined ? Policy.unbound() : checkPolicy(policy, action);
    this.#place = place;
    this.#options = { ...rest, name: this.name };
    this.#listeners = new Listeners(
      ["message", "messageerror", "restart"],
      `listen to thread "${this.name}"`,
    );
    // The first run is the caller's: what is wrong with it is thrown.
    this.#launch();
    this.#ended = this.#follow().finally(() => {
      this.#give();
      this.#isOver = true;
    });
    this.#ended.catch(() => {});
  }

  /** The thread of the run that goes on; undefined while it waits to be started again, and when it is over. */
  get thread(): Thread<Result> | undefined {
    return this.#thread;
  }

  /** The number of the run: 0 for the first. Restarts so far. */
  get run(): number {
    return this.#run;
  }

  /** What it is doing. */
  get state(): "running" | "waiting" | "ended" {
    if (this.#isOver) return "ended";
    return this.#thread === undefined ? "waiting" : "running";
  }

  /** Where its runs are. */
  get placement(): ThreadPlacement | undefined {
    return this.#thread?.placement;
  }

  /**
   * Sends a message to the run that goes on, as `Thread.postMessage`. A run that ends before it has taken a message takes
   * it with it: whoever needs an answer has to ask again, at the `"restart"` event for example.
   *
   * @param value Anything that can be cloned.
   * @param transfer What of it is moved and not copied. Default: nothing.
   * @returns False, and nothing is sent, where there is no run.
   * @throws {NumaError} As `Thread.postMessage`.
   */
  postMessage(value: unknown, transfer: readonly object[] = []): boolean {
    if (this.#thread === undefined) return false;
    this.#thread.postMessage(value, transfer);
    return true;
  }

  /**
   * Adds a listener, for all runs.
   *
   * @param event `"message"` and `"messageerror"`: as of `Thread.on`. `"restart"`: a run has ended, and another one
   * follows.
   * @param listener Called for each of them.
   * @returns The thread.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   */
  on(event: ThreadEvent, listener: ThreadMessageListener): this;
  /** The same for restarts. */
  on(event: "restart", listener: (event: RestartEvent) => void): this;
  on(event: string, listener: (value: never) => void): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /**
   * Removes a listener.
   *
   * @param event What was listened to.
   * @param listener What was given to {@linkcode SupervisedThread.on}.
   * @returns The thread.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   */
  off(event: ThreadEvent, listener: ThreadMessageListener): this;
  /** The same for restarts. */
  off(event: "restart", listener: (event: RestartEvent) => void): this;
  off(event: string, listener: (value: never) => void): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  /**
   * Waits until it has ended for good: a run has returned, where only failures restart it, or no more restarts are left.
   *
   * @returns What its last run returned.
   * @throws What its last run threw, or why it could not be started; {@linkcode NumaError} `ETERMINATED` when it was
   * terminated.
   */
  join(): Promise<Result> {
    this.#isJoined = true;
    return this.#ended;
  }

  /**
   * Terminates the run that goes on, if there is one, and starts no other. `join` then rejects with `ETERMINATED`, unless
   * it had ended before.
   *
   * @param options The timeout.
   * @returns As `Thread.terminate`.
   * @throws {NumaError} `EINVAL`.
   */
  async terminate(options: TerminateOptions = {}): Promise<boolean> {
    const action = `terminate thread "${this.name}"`;
    // Wrong options stop nothing.
    const read = readOptions(options, ["timeoutMs"], action);
    if (read.timeoutMs !== undefined) {
      checkInteger(read.timeoutMs, "timeoutMs", 0, 2 ** 31 - 1, action);
    }
    const gone = this.#thread?.terminate(read) ?? true;
    this.#isJoined = true;
    this.#isStopped = true;
    this.#wake();
    if (!await gone) return false;
    await this.#ended.catch(() => {});
    return true;
  }

  /** Terminates it at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
  }

  #launch(): void {
    const args = typeof this.#args === "function" ? this.#args(this.#run) : this.#args;
    if (this.#isStopped) throw this.#terminated();
    const thread = launch<Result>(this.#url, {
      ...{ ...this.#options, policy: this.#policy, args },
      ...(this.#place !== undefined && { place: this.#place }),
      ...(this.#bind !== undefined && { bind: this.#bind }),
    });
    this.#give();
    for (const event of FORWARDED) {
      // Without listeners of ours a message error is the thread's own affair, which warns of it.
      thread.on(event, (value) => {
        if (this.#listeners.has(event) || event === "message") this.#listeners.tell(event, value);
        else this.#warn(`a message of thread "${this.name}" could not be received: ${value}`);
      });
    }
    this.#place = thread.place;
    this.#thread = thread;
  }

  /** Nobody else gets the place while the next run is waited for. */
  #keep(): void {
    this.#give();
    if (this.#place !== undefined) this.#leave = keepPlace(this.#policy, this.#place);
  }

  #give(): void {
    this.#leave();
    this.#leave = () => {};
  }

  #warn(text: string): void {
    builtin("node:process").emitWarning(text);
  }

  /** A run, from its launch to its end. */
  async #goOn(): Promise<Outcome<Result>> {
    try {
      if (this.#thread === undefined) this.#launch();
      return { value: await this.#thread!.join() };
    } catch (error) {
      return { error };
    } finally {
      const ended = this.#thread;
      // Where it was moved to is where the next one goes.
      if (ended !== undefined) {
        [this.#policy, this.#place, this.#bind] = [ended.policy, ended.place, ended.strengths];
      }
    }
  }

  async #follow(): Promise<Result> {
    for (;;) {
      const outcome = await this.#goOn();
      const thread = this.#thread;
      this.#thread = undefined;
      const failed = "error" in outcome;
      const delayMs = this.#isStopped ? undefined : this.#restarts.next(failed, performance.now());
      if (delayMs === undefined) return this.#end(outcome);
      this.#keep();
      this.#run++;
      const error = failed ? outcome.error : undefined;
      this.#listeners.tell("restart", { run: this.#run, delayMs, error, thread });
      await this.#pause(delayMs);
      if (this.#isStopped) throw this.#terminated();
    }
  }

  #end(outcome: Outcome<Result>): Result {
    if ("value" in outcome) return outcome.value;
    if (!this.#isJoined) {
      this.#warn(`thread "${this.name}" failed for good and has not been joined`);
    }
    throw outcome.error;
  }

  async #pause(delayMs: number): Promise<void> {
    // Terminated by a listener of the restart.
    if (this.#isStopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, delayMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = () => {};
  }

  #terminated(): NumaError {
    return new NumaError("ETERMINATED", `join thread "${this.name}"`, {
      why: "it was terminated while it waited to be started again",
    });
  }
}

/**
 * Starts a thread, and starts it again when it ends: a new thread in the same place, with the same name and a new heap.
 *
 * Arguments are copied for each run, and live objects in them are the same in each. A run that was killed may have left
 * them in any state: locks tell of that (`EOWNERDEAD`), other structures as their pages say. A run that cannot be started,
 * for want of threads for example, counts as one that failed. The process stays alive while it waits to be started again.
 *
 * @typeParam Result What the worker's function returns.
 * @param url The worker's module, as of `launch`.
 * @param options As of `launch`, and when it is started again.
 * @returns The thread.
 * @throws {NumaError} As `launch`, about the first run; `EINVAL` bad limits.
 *
 * @example
 * ```ts
 * import { supervise } from "@numakit/numakit";
 *
 * const module = "data:text/javascript,export default (run) => { if (run < 2) throw Error('no'); return run }";
 * const thread = supervise<number>(module, {
 *   args: (run: number) => run,
 *   restart: { on: "failure", times: 3, delayMs: 1 },
 * });
 * thread.on("restart", ({ run, error }) => console.log(run, `${error}`)); // 1 Error: no; 2 Error: no
 * console.log(await thread.join()); // 2
 * ```
 */
export function supervise<Result = unknown>(
  url: URL | string,
  options: SuperviseOptions = {},
): SupervisedThread<Result> {
  return new SupervisedThread<Result>(url, options);
}
