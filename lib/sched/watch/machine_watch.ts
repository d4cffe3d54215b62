/**
 * Machines that change while a program runs.
 *
 * A look every second costs the reading of about ten small files. When two looks differ, hwloc is asked again, and this
 * thread's `topology()` is what it says, so that all plans that are made from then on fit the machine as it is. Threads that
 * this one has launched are told, and see it when they come to their event loops.
 *
 * @module
 */
import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { showAs } from "../../base/inspect.ts";
import { builtin } from "../../runtime/builtin.ts";
import { threadSelf } from "../../runtime/thread.ts";
import { topology } from "../../topology/load.ts";
import { differences, type Look, lookAtMachine, type MachineAspect } from "../../topology/look.ts";
import type { Topology } from "../../topology/topology.ts";
import { Listeners } from "../../base/listeners.ts";
import type { MigrationReport } from "../move/migrate_types.ts";
import { checkBoolean, checkSignal, readOptions } from "../../base/options.ts";
import { homeAffinity, isPinned } from "../binding/pin.ts";
import { type LiveThread, liveThreads } from "../live_threads.ts";
import type { Thread } from "../thread.ts";

/** How {@linkcode watchMachine} watches. */
export interface WatchOptions {
  /** How often it looks, in milliseconds: 1 to 2^31 - 1. Default: 1,000. */
  readonly intervalMs?: number;
  /**
   * Whether threads of this one that were launched with a policy, other than `Policy.unbound()`, are put in their places of
   * the new plan. Default: false.
   */
  readonly replan?: boolean;
  /** Ends the watching. */
  readonly signal?: AbortSignal;
}

/** What became of a thread when plans were made anew. */
export interface ReplannedThread {
  /** The thread. */
  readonly thread: Thread<unknown>;
  /** What was done; undefined when that failed. */
  readonly report: MigrationReport | undefined;
  /** Why it stayed where it was: its policy has no such place any more, or it has ended; undefined when it did not. */
  readonly error: NumaError | undefined;
}

/** A change of the machine. */
export interface MachineChange {
  /** What has changed. */
  readonly what: readonly MachineAspect[];
  /** The machine before. */
  readonly before: Topology;
  /** The machine now: what `topology()` gives. */
  readonly after: Topology;
  /** The threads that were put in their places anew; empty without `replan`. */
  readonly threads: readonly ReplannedThread[];
}

interface Events {
  readonly change: MachineChange;
  readonly error: unknown;
}

const ACTION = "watch the machine";
/** How long a thread may take to change its memory policy, before the others get their turn. */
const MEMORY_MS = 100;

/** Where a watch has its machine from. */
const LIVE = {
  look(): Look {
    const look = lookAtMachine();
    // What numakit has pinned this thread to is no change of the machine.
    const isOwn = isPinned() && threadSelf().tid === builtin("node:process").pid;
    return isOwn ? look.replace(/^affinity .*/, () => `affinity ${homeAffinity()}`) : look;
  },
  known: (): Topology => topology(),
  load: (): Topology => topology({ refresh: true }),
};

async function replanOne({ thread, mover }: LiveThread): Promise<ReplannedThread> {
  try {
    const report = await mover.replan(MEMORY_MS);
    return { thread, report, error: undefined };
  } catch (error) {
    if (error instanceof NumaError) return { thread, report: undefined, error };
    throw error;
  }
}

/** Puts every pinned thread of this one in its place, also where the plan is as before: the kernel may have moved it. */
async function replan(): Promise<ReplannedThread[]> {
  const pinned = [...liveThreads].filter(({ thread }) => thread.policy.kind !== "unbound");
  return await Promise.all(pinned.map(replanOne));
}

/**
 * Watches the machine until it is stopped. It does not keep the process alive.
 *
 * @example
 * ```ts
 * import { watchMachine } from "@numakit/numakit";
 *
 * const watch = watchMachine({ intervalMs: 500 });
 * console.log(await watch.check()); // undefined: nothing has changed
 * watch.stop();
 * ```
 */
export class MachineWatch implements Disposable {
  static readonly #shown = /* @__PURE__ */ showAs(
    MachineWatch,
    (watch) => `MachineWatch(${watch.stopped ? "stopped" : "watching"})`,
  );
  readonly #source: typeof LIVE;
  readonly #replans: boolean;
  readonly #listeners: Listeners<Events>;
  readonly #signal: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #stop = (): void => this.stop();
  #look: Look;
  #stopped = false;
  /** The check that goes on: there is one at a time. */
  #checking: Promise<MachineChange | undefined> | undefined;

  /** For internal use: call `watchMachine` instead. */
  constructor(
    options: WatchOptions,
    source: { look(): string; known(): Topology; load(): Topology } = LIVE,
  ) {
    void MachineWatch.#shown;
    const read = readOptions(options, ["intervalMs", "replan", "signal"], ACTION);
    const { intervalMs = 1000, signal } = read;
    checkInteger(intervalMs, "intervalMs", 1, 2 ** 31 - 1, ACTION);
    checkBoolean(read.replan, "replan", ACTION);
    checkSignal(signal, ACTION);
    this.#source = source;
    this.#replans = read.replan === true;
    this.#signal = signal;
    this.#listeners = new Listeners(["change", "error"], "listen to changes of the machine");
    // In this order: what changes between the two is found at the next look.
    this.#look = source.look();
    source.load();
    // Not the global one: it has no unref everywhere.
    this.#timer = builtin("node:timers").setInterval(() => this.#tick(), intervalMs);
    this.#timer.unref();
    signal?.addEventListener("abort", this.#stop);
    if (signal?.aborted === true) this.stop();
  }

  /** Whether it was stopped. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /**
   * Adds a listener.
   *
   * @param event `"change"`: the machine has changed, and with `replan` the threads are in their places. `"error"`: a look
   * failed, and will be tried again; without a listener for it, the process emits a warning.
   * @param listener Called for each of them.
   * @returns The watch.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   */
  on(event: "change", listener: (change: MachineChange) => void): this;
  /** The same for looks that fail. */
  on(event: "error", listener: (error: unknown) => void): this;
  on(event: string, listener: (value: never) => void): this {
    this.#listeners.add(event, listener);
    return this;
  }

  /**
   * Removes a listener.
   *
   * @param event What was listened to.
   * @param listener What was given to {@linkcode MachineWatch.on}.
   * @returns The watch.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   */
  off(event: "change", listener: (change: MachineChange) => void): this;
  /** The same for looks that fail. */
  off(event: "error", listener: (error: unknown) => void): this;
  off(event: string, listener: (value: never) => void): this {
    this.#listeners.remove(event, listener);
    return this;
  }

  /**
   * Looks now, and does all that follows from a change.
   *
   * @returns The change; undefined when there is none, or after {@linkcode MachineWatch.stop}. While an earlier check goes
   * on, its result.
   * @throws {NumaError} What looking gave.
   */
  check(): Promise<MachineChange | undefined> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  /** Stops watching. Once is enough. */
  stop(): void {
    this.#stopped = true;
    builtin("node:timers").clearInterval(this.#timer);
    this.#signal?.removeEventListener("abort", this.#stop);
  }

  /** Stops watching at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.stop();
  }

  #tick(): void {
    if (this.#checking !== undefined) return;
    this.check().catch((error) => {
      if (this.#listeners.has("error")) this.#listeners.tell("error", error);
      else builtin("node:process").emitWarning(`the machine could not be watched: ${error}`);
    });
  }

  async #check(): Promise<MachineChange | undefined> {
    if (this.#stopped) return undefined;
    const look = this.#source.look();
    if (look === this.#look) return undefined;
    const before = this.#source.known();
    const after = this.#source.load();
    const what = differences(this.#look, look);
    // Not before: what could not be loaded is looked at again.
    this.#look = look;
    const home = homeAffinity().toString();
    for (const live of liveThreads) live.send({ type: "machine", topology: after.snapshot, home });
    const threads = this.#replans ? await replan() : [];
    const change: MachineChange = { what, before, after, threads };
    if (!this.#stopped) this.#listeners.tell("change", change);
    return change;
  }
}

/**
 * Watches what may change of the machine while the program runs: cpusets that are narrowed or widened (the static policy of
 * Kubernetes), CPUs and nodes that go offline or come online, CPU quotas that are resized, an affinity that somebody sets
 * from outside (`taskset`).
 *
 * At the start and after a change, `topology()` is the machine as it is then: in this thread at once, and in those that
 * it has launched when they come to their event loops. With `replan`, those that it has launched with a policy go to
 * their places in the new plan: each keeps its policy and the index of its place. Where the kernel has taken all CPUs of
 * a thread away, it has let it run anywhere; this puts it where it belongs.
 *
 * The affinity is that of the process's first thread: watch in that one. What `pin` does there is no change of the machine.
 *
 * @param options How often, and what is done.
 * @returns The watch.
 * @throws {NumaError} `EINVAL`; what loading the C helper throws.
 *
 * @example
 * ```ts
 * import { watchMachine } from "@numakit/numakit";
 *
 * using watch = watchMachine({ replan: true });
 * watch.on("change", ({ what, before, after, threads }) => {
 *   console.log(what, before.effectiveCpus, after.effectiveCpus, threads.length);
 * });
 * ```
 */
export function watchMachine(options: WatchOptions = {}): MachineWatch {
  return new MachineWatch(options);
}
