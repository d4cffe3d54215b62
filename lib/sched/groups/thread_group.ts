import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { showAs } from "../../base/inspect.ts";
import { checkStrengths } from "../binding/binding.ts";
import { checkPolicy, placementsOf } from "../policies/chosen.ts";
import { launch, type LaunchOptions } from "../launch.ts";
import { checkBoolean, checkFunction, readOptions } from "../../base/options.ts";
import type { ThreadPlacement } from "../policies/plan.ts";
import { Policy } from "../policies/policy.ts";
import type { TerminateOptions, Thread } from "../thread.ts";
import type { MigrateOptions, MigrationReport } from "../move/migrate_types.ts";
import { topologyNow } from "../../topology/load.ts";

/** How {@linkcode launchAll} starts threads. */
export interface LaunchAllOptions
  extends Omit<LaunchOptions, "args" | "transfer" | "place" | "name"> {
  /** How many threads, from 0 to 65,535. Default: one for each place of the policy, whatever the CPU quota. */
  readonly count?: number;
  /** Where they run: the thread of index `i` has place `i`. Default: `Policy.unbound()`, which has one place. */
  readonly policy?: Policy | string;
  /**
   * Makes the arguments of each thread, before any of them is started. Default: none.
   *
   * @param index The thread's index.
   * @param placement Where it will run.
   */
  readonly args?: (index: number, placement: ThreadPlacement) => unknown;
  /**
   * Tells what of its arguments is moved to a thread instead of copied.
   *
   * @param index The thread's index.
   * @param args What `args` made for it.
   */
  readonly transfer?: (index: number, args: unknown) => readonly object[];
  /** The names: this, a `-` and the index. Default: as `launch` names threads. */
  readonly name?: string;
  /** Whether the first thread that fails ends the others. Default: false. */
  readonly stopOnFailure?: boolean;
}

const OPTIONS = [
  ...["count", "policy", "args", "transfer", "name", "bind", "nice", "stopOnFailure"] as const,
];

/** What a group is made of. */
interface Order {
  readonly options: LaunchAllOptions;
  readonly policy: Policy;
  /** The arguments of each thread. */
  readonly args: readonly unknown[];
  readonly transfers: readonly (readonly object[])[];
}

/**
 * Threads that were launched together, by index.
 *
 * @typeParam Result What their function returns.
 *
 * @example
 * ```ts
 * import { launchAll, Policy } from "@numakit/numakit";
 *
 * const module = "data:text/javascript,export default (n) => n * n";
 * await using group = launchAll<number>(module, {
 *   policy: Policy.compact(),
 *   args: (index) => index,
 * });
 * console.log(group.length, await group.join()); // 2 [ 0, 1 ] on two CPUs
 * ```
 */
export class ThreadGroup<Result = unknown> implements AsyncDisposable, Iterable<Thread<Result>> {
  static readonly #shown = /* @__PURE__ */ showAs(
    ThreadGroup,
    (group) => `ThreadGroup(${group.length} ${group.length === 1 ? "thread" : "threads"})`,
  );
  /** The threads. */
  readonly threads: readonly Thread<Result>[];
  readonly #stopsOnFailure: boolean;
  /** Whether all have begun: until then, a failure ends the others. */
  #isRunning = false;
  /** The error that came before all others. */
  #first: { readonly error: unknown } | undefined;
  readonly #ready: Promise<void>;
  readonly #ended: Promise<Result[]>;

  /** For internal use: call `launchAll` instead. */
  constructor(
    threads: readonly Thread<Result>[],
    stopsOnFailure: boolean,
    refused?: { readonly error: unknown },
  ) {
    void ThreadGroup.#shown;
    this.threads = Object.freeze([...threads]);
    this.#stopsOnFailure = stopsOnFailure;
    if (refused !== undefined) this.#fail(refused.error);
    this.#ended = this.#follow();
    this.#ready = this.#begin();
    // Whoever asks gets the error, too.
    this.#ended.catch(() => {});
    this.#ready.catch(() => {});
  }

  /** How many threads there are. */
  get length(): number {
    return this.threads.length;
  }

  /**
   * The thread of an index.
   *
   * @param index The index; a negative one counts from the end.
   * @returns The thread; undefined where there is none.
   * @throws {NumaError} `EINVAL`.
   */
  at(index: number): Thread<Result> | undefined {
    checkInteger(index, "index", -65_535, 65_535, "find a thread of a group");
    return this.threads.at(index);
  }

  /** The threads by index. */
  [Symbol.iterator](): IterableIterator<Thread<Result>> {
    return this.threads.values();
  }

  /**
   * Resolves when all threads run: each has its place, has loaded its module, and is about to begin or further.
   *
   * When one of them cannot be started, or ends with an error before, all others are terminated, and this rejects with that
   * error once their OS threads are gone: nothing of the group is left then.
   */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /**
   * Waits for the end of all threads.
   *
   * @returns What their functions returned, by index; all OS threads are gone by then.
   * @throws What the first thread to fail threw, in the order of time, when all have ended; with `stopOnFailure`, and for
   * a failure before all of them ran, the others were terminated for that.
   */
  join(): Promise<Result[]> {
    for (const thread of this.threads) void thread.join().catch(() => {});
    return this.#ended;
  }

  /**
   * Terminates all threads at once. {@linkcode ThreadGroup.join} then rejects with `ETERMINATED`, unless they had all
   * ended.
   *
   * @param options The timeout, of each.
   * @returns True once all OS threads are gone; false when one still runs after the timeout, which happens on Deno only, as
   * `Thread.terminate` says.
   * @throws {NumaError} `EINVAL`.
   */
  async terminate(options: TerminateOptions = {}): Promise<boolean> {
    const gone = await Promise.all(this.threads.map((thread) => thread.terminate(options)));
    if (gone.includes(false)) return false;
    await this.#ended.catch(() => {});
    return true;
  }

  /**
   * Moves all threads: the one of index `i` to place `i` of a policy.
   *
   * @param policy The policy.
   * @param options As of `Thread.migrate`.
   * @returns The reports, by index.
   * @throws {NumaError} As `Thread.migrate`: the error of the least index. All others have been moved, or could not be.
   */
  async migrate(
    policy: Policy | string,
    options: Pick<MigrateOptions, "bind" | "timeoutMs" | "signal"> = {},
  ): Promise<MigrationReport[]> {
    const read = readOptions(
      options,
      ["bind", "timeoutMs", "signal"],
      "migrate a group of threads",
    );
    const moves = this.threads.map((thread, place) => thread.migrate(policy, { ...read, place }));
    const outcomes = await Promise.allSettled(moves);
    return outcomes.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
  }

  /** Terminates what still runs, at the end of an `await using` block, and waits until it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.terminate();
  }

  /** The first error of all is told, and ends the others if it has to. */
  #fail(error: unknown): void {
    if (this.#first !== undefined) return;
    this.#first = { error };
    if (this.#isRunning && !this.#stopsOnFailure) return;
    for (const thread of this.threads) void thread.terminate();
  }

  async #begin(): Promise<void> {
    await Promise.all(this.threads.map(async (thread) => {
      try {
        await thread.ready;
      } catch (error) {
        this.#fail(error);
      }
    }));
    this.#isRunning = this.#first === undefined;
    if (!this.#isRunning) await this.#ended;
  }

  async #follow(): Promise<Result[]> {
    const outcomes = await Promise.all(this.threads.map(async (thread) => {
      try {
        // Not join: a failure that nobody asks for is told with a warning.
        return { value: await thread.outcome };
      } catch (error) {
        this.#fail(error);
        return undefined;
      }
    }));
    if (this.#first !== undefined) throw this.#first.error;
    return outcomes.map((outcome) => outcome!.value);
  }
}

function order(options: LaunchAllOptions): Order {
  const action = "launch a group of threads";
  const read = readOptions(options, OPTIONS, action);
  const { args, transfer } = read;
  checkFunction(args, "args", action);
  checkFunction(transfer, "transfer", action);
  checkBoolean(read.stopOnFailure, "stopOnFailure", action);
  if (read.name !== undefined && typeof read.name !== "string") {
    throw new NumaError("EINVAL", action, {
      why: `name is ${show(read.name)}`,
      fix: "Give a text.",
    });
  }
  const policy = read.policy === undefined ? Policy.unbound() : checkPolicy(read.policy, action);
  const { bind = {}, count } = read;
  const strengths = checkStrengths(bind, action);
  if (count !== undefined) checkInteger(count, "count", 0, 65_535, action);
  const placements = placementsOf(topologyNow(), policy, strengths, count, action);
  const made = placements.map((placement, index) => args?.(index, placement));
  const transfers = made.map((value, index) => transfer?.(index, value) ?? []);
  return { options: read, policy, args: made, transfers };
}

/**
 * Starts several threads of one module, each in its place of a policy.
 *
 * Where they go is decided, and their arguments are made, before the first of them is started; what goes wrong by then is
 * thrown. What goes wrong later, such as a thread that the system does not start, rejects `ready` and `join`.
 *
 * @typeParam Result What the worker's function returns.
 * @param url The worker's module, as of `launch`.
 * @param options How many, where, and their arguments.
 * @returns The threads. Add listeners for their messages in this turn.
 * @throws {NumaError} `EINVAL` a bad option; what `plan` throws; what `args` and `transfer` throw.
 *
 * @example One thread for each node, until the first one fails
 * ```ts
 * import { launchAll, Policy, topology } from "@numakit/numakit";
 *
 * const nodes = topology().nodes.filter(({ cpus }) => cpus.size > 0);
 * const group = launchAll<number>("data:text/javascript,export default (node) => node", {
 *   count: nodes.length,
 *   policy: Policy.scatter(),
 *   args: (_, { node }) => node,
 *   stopOnFailure: true,
 * });
 * await group.ready;
 * console.log(await group.join()); // the nodes
 * ```
 */
export function launchAll<Result = unknown>(
  url: URL | string,
  options: LaunchAllOptions = {},
): ThreadGroup<Result> {
  const { policy, args, transfers, options: read } = order(options);
  const { name, bind, nice } = read;
  const threads: Thread<Result>[] = [];
  let refused: { readonly error: unknown } | undefined;
  for (const [place, value] of args.entries()) {
    try {
      threads.push(launch<Result>(url, {
        ...{ policy, place, args: value, transfer: transfers[place]! },
        ...(name !== undefined && { name: `${name}-${place}` }),
        ...(bind !== undefined && { bind }),
        ...(nice !== undefined && { nice }),
      }));
    } catch (error) {
      // The first one is thrown: nothing has been started.
      if (place === 0) throw error;
      refused = { error };
      break;
    }
  }
  return new ThreadGroup(threads, read.stopOnFailure === true, refused);
}
