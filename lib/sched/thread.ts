import type { Worker } from "node:worker_threads";
import { builtin } from "../runtime/builtin.ts";
import { checkInteger, show } from "../runtime/check.ts";
import { NumaError } from "../runtime/error.ts";
import { decode, encode } from "../runtime/handle.ts";
import { isPermissionError, permissionError } from "../runtime/permission.ts";
import { threadAlive } from "../runtime/thread.ts";
import { parkingLot } from "../wait/thread_waiter.ts";
import { topology } from "../topology/load.ts";
import { type Birth, type FromWorker, type Leave, unflatten } from "./message.ts";
import type { HeapPolicy } from "./pin.ts";
import { type Placement, plan, Policy } from "./policy.ts";

/** How {@linkcode launch} starts a thread. */
export interface LaunchOptions {
  /** Where it runs. Not pinned unless given. */
  readonly policy?: Policy;
  /** What the worker's function gets: anything that can be cloned, with numakit's objects in it at any depth. */
  readonly args?: unknown;
  /** A name for messages. */
  readonly name?: string;
  /**
   * Which of the policy's places it takes, from 0. The lowest one that no live thread of this policy object's kind
   * has taken, unless given.
   */
  readonly place?: number;
  /** Where its own heap lives. `"prefer"` unless given. */
  readonly heap?: HeapPolicy;
}

/** How {@linkcode Thread.terminate} waits. */
export interface TerminateOptions {
  /** How long to wait for the OS thread's end, in milliseconds. 5,000 unless given. */
  readonly timeoutMs?: number;
}

/** What a thread is doing. */
export type ThreadState = "starting" | "running" | "ended";

/** How long a worker may take to end by itself before it is made to. */
const GRACE_MS = 100;
const POLL_MS = 1;

/** Threads that have not been joined yet. */
const unjoined = new Set<Thread<unknown>>();
/** Places in use, by policy. */
const places = new Map<string, Set<number>>();

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function takePlace(policy: Policy, asked: number | undefined): { place: number; free(): void } {
  const key = JSON.stringify(policy);
  const taken = places.get(key) ?? new Set();
  places.set(key, taken);
  let place = asked ?? 0;
  while (asked === undefined && taken.has(place)) place++;
  taken.add(place);
  return {
    place,
    free(): void {
      taken.delete(place);
    },
  };
}

/**
 * A thread that {@linkcode launch} started.
 *
 * @typeParam Result What its function returns.
 */
export class Thread<Result = unknown> {
  /** Its name. */
  readonly name: string;
  /** Where it runs. */
  readonly placement: Placement;
  readonly #worker: Worker;
  readonly #id: number;
  readonly #ended: Promise<Result>;
  #state: ThreadState = "starting";
  #tid: number | undefined;
  #joined = false;
  #exited = false;
  #stopped = false;

  /** Not for callers: use {@linkcode launch}. */
  constructor(worker: Worker, birth: Birth, placement: Placement, name: string, free: () => void) {
    this.name = name;
    this.placement = placement;
    this.#worker = worker;
    this.#id = birth.id;
    this.#ended = this.#run().finally(() => {
      free();
      this.#state = "ended";
    });
    this.#ended.catch((error) => {
      if (!this.#joined) {
        builtin("node:process").emitWarning(
          `thread "${name}" failed and has not been joined: ${error}`,
        );
      }
    });
    unjoined.add(this);
  }

  /** What it is doing, as far as this thread has heard. */
  get state(): ThreadState {
    return this.#state;
  }

  /** Its OS thread id; undefined before it has started. */
  get tid(): number | undefined {
    return this.#tid;
  }

  /**
   * Waits for the thread's end.
   *
   * @returns What its function returned, with live objects; its OS thread is gone by then.
   * @throws What its function threw, with the original stack. {@linkcode NumaError} `EMODULE` when its module cannot
   * be loaded, `EACCES` when it cannot be pinned, `ETERMINATED` when it was terminated or left early.
   */
  join(): Promise<Result> {
    this.#joined = true;
    unjoined.delete(this);
    return this.#ended;
  }

  /**
   * Ends the thread, whatever it is doing. `join` then rejects with `ETERMINATED`, unless it had already ended.
   *
   * @param options How long to wait.
   * @returns True once the OS thread is gone: no code of it runs any more and all its memory is released. False when
   * it still runs after the timeout, which happens on Deno only: Deno cannot stop a thread that never comes back to its
   * event loop. Its memory then stays mapped until it does.
   * @throws {NumaError} `EINVAL`.
   */
  async terminate(options: TerminateOptions = {}): Promise<boolean> {
    const { timeoutMs = 5000 } = options;
    checkInteger(timeoutMs, "timeoutMs", 0, 2 ** 31 - 1, `terminate thread "${this.name}"`);
    this.#joined = true;
    unjoined.delete(this);
    this.#stopped = true;
    parkingLot().stop(this.#id);
    // A worker at its event loop lets go of its memory in order; that is worth a moment.
    if (!await this.#leave()) await this.#worker.terminate();
    return await this.#gone(timeoutMs);
  }

  /** Asks the worker to let go and end. Resolves to whether it did in time. */
  async #leave(): Promise<boolean> {
    try {
      this.#worker.postMessage({ type: "leave" } satisfies Leave);
    } catch {
      // A worker that has ended takes no messages, which is what we want of it.
    }
    return await this.#gone(GRACE_MS);
  }

  /** Whether its OS thread is past its last line of code; says so to all that wait for it. */
  #isGone(): boolean {
    const lot = parkingLot();
    // A sleeper may have found it dead before.
    if (!lot.alive(this.#id)) return true;
    const identity = lot.identityOf(this.#id);
    // Without an identity it never reached our first line, and the stop word keeps it from going beyond that.
    const gone = identity === 0 ? this.#exited : !threadAlive(identity);
    if (gone) lot.bury(this.#id);
    return gone;
  }

  async #gone(timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs;
    while (!this.#isGone()) {
      if (performance.now() >= deadline) return false;
      await sleep(POLL_MS);
    }
    return true;
  }

  /** Follows the worker from its start to its end. */
  async #run(): Promise<Result> {
    let outcome: () => Result;
    try {
      const value = decode(await this.#outcome()) as Result;
      outcome = () => value;
    } catch (error) {
      outcome = () => {
        throw error;
      };
    }
    if (!await this.#leave()) {
      await this.#worker.terminate();
      while (!await this.#gone(60_000));
    }
    return outcome();
  }

  #outcome(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#worker.on("message", (message: FromWorker) => {
        if (message.type === "done") resolve(message.value);
        else if (message.type === "failed") reject(unflatten(message.error));
        else {
          this.#tid = message.tid;
          if (this.#state === "starting") this.#state = "running";
        }
      });
      this.#worker.on("error", reject);
      this.#worker.on("exit", (status) => {
        this.#exited = true;
        const stopped = this.#stopped;
        reject(
          new NumaError("ETERMINATED", `join thread "${this.name}"`, {
            why: stopped
              ? "it was terminated"
              : `it ended with exit status ${status} before its function returned`,
            fix: stopped ? undefined : "Do not call process.exit in it.",
          }),
        );
      });
    });
  }
}

function checkUrl(url: URL | string, action: string): string {
  const text = String(url);
  if ((url instanceof URL || typeof url === "string") && URL.canParse(text)) return text;
  throw new NumaError("EINVAL", action, {
    why: `the module is ${show(url)}`,
    fix: 'Give a URL: new URL("./worker.ts", import.meta.url).',
  });
}

let count = 0;

/**
 * Starts a worker thread that is pinned, and takes its memory from its node, before a line of the given module runs.
 *
 * The module's default export has to be what `worker(fn)` returned. The process stays alive until the thread has
 * ended.
 *
 * @typeParam Result What the worker's function returns.
 * @param url The worker's module: `new URL("./worker.ts", import.meta.url)`.
 * @param options Where it runs and what it gets.
 * @returns The thread.
 * @throws {NumaError} `ENODEV` no such node or CPU, or a node without CPUs; `EACCES` CPUs this process may not use;
 * `EINVAL` a bad argument or one that cannot be cloned; `EPERM` on Node without `--allow-worker`;
 * `EMODULE` in a bundle without `worker_entry`. What goes wrong in the worker rejects `join()`.
 *
 * @example
 * ```ts
 * import { launch, Policy } from "@numakit/numakit";
 *
 * const module = "data:text/javascript,export default (args) => args.a + args.b";
 * const thread = launch<number>(module, { policy: Policy.bindNode(0), args: { a: 1, b: 2 } });
 * console.log(await thread.join()); // 3
 * ```
 */
export function launch<Result = unknown>(
  url: URL | string,
  options: LaunchOptions = {},
): Thread<Result> {
  const { policy = Policy.unbound(), heap = "prefer" } = options;
  const name = options.name ?? `numakit-${++count}`;
  const action = `launch thread "${name}"`;
  const href = checkUrl(url, action);
  if (!(policy instanceof Policy) || !["prefer", "bind", "default"].includes(heap)) {
    throw new NumaError("EINVAL", action, {
      why: policy instanceof Policy ? `heap is ${show(heap)}` : `policy is ${show(policy)}`,
      fix: 'Give a Policy such as Policy.bindNode(0), and a heap of "prefer", "bind" or "default".',
    });
  }
  if (options.place !== undefined) checkInteger(options.place, "place", 0, 65535, action);
  const machine = topology();
  const { place, free } = takePlace(policy, options.place);
  try {
    const placement = plan(machine, policy, place + 1)[place] as Placement;
    const lot = parkingLot();
    const birth: Birth = {
      url: href,
      args: encode(options.args),
      cpus: policy.kind === "unbound" ? null : placement.cpus.toString(),
      node: placement.node ?? null,
      heap,
      topology: machine.snapshot,
      lot: lot.buffer,
      id: lot.claim(),
    };
    try {
      return new Thread<Result>(startWorker(birth, name, action), birth, placement, name, free);
    } catch (error) {
      lot.release(birth.id);
      throw error;
    }
  } catch (error) {
    free();
    throw error;
  }
}

function entryUrl(action: string): URL {
  // The entry has the ending of the module that asks: .ts in a checkout and on JSR, .js in the npm package.
  const ending = import.meta.url.endsWith(".ts") ? "ts" : "js";
  // A bundle has no lib/sched: there the entry is expected beside it, as docs/packages.md says.
  const bundled = !import.meta.url.endsWith(`/lib/sched/thread.${ending}`);
  const entry = new URL(`${bundled ? "." : "../.."}/worker_entry.${ending}`, import.meta.url);
  if (bundled && !builtin("node:fs").existsSync(entry)) {
    throw new NumaError("EMODULE", action, {
      why: `numakit is in a bundle, and ${entry.href} is not there`,
      fix:
        "Make a module worker_entry that imports numakit/worker_entry another entry point of the bundle.",
    });
  }
  // Workers start from file: and data: only; a module that came over https is imported from there.
  return entry.protocol === "file:"
    ? entry
    : new URL(`data:text/javascript,import ${encodeURIComponent(JSON.stringify(entry.href))}`);
}

function startWorker(birth: Birth, name: string, action: string): Worker {
  const entry = entryUrl(action);
  try {
    const { Worker } = builtin("node:worker_threads");
    return new Worker(entry, { workerData: { numakit: birth }, name });
  } catch (cause) {
    if (isPermissionError(cause)) throw permissionError(action, cause);
    throw new NumaError("EINVAL", action, {
      why: `its arguments cannot be sent (${cause instanceof Error ? cause.message : cause})`,
      fix: "Give values that structuredClone takes, and numakit's own objects.",
      cause,
    });
  }
}

/**
 * Waits for every thread of this one that has not been joined yet.
 *
 * @returns What they returned, in the order of their launch.
 * @throws What the first of them, in that order, threw; all have ended by then.
 */
export async function joinAll(): Promise<unknown[]> {
  const outcomes = await Promise.allSettled([...unjoined].map((thread) => thread.join()));
  return outcomes.map((outcome) => {
    if (outcome.status === "rejected") throw outcome.reason;
    return outcome.value;
  });
}
