import type { MessagePort, Worker } from "node:worker_threads";
import { builtin } from "../runtime/builtin.ts";
import { checkInteger } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { decode } from "../base/handle.ts";
import { showAs } from "../base/inspect.ts";
import { readOptions } from "../base/options.ts";
import { reniceThread, threadAlive, threadCpuMs, threadNice } from "../runtime/thread.ts";
import { parkingLot } from "../wait/thread_waiter.ts";
import type { BindStrengths, ThreadBinding } from "./binding/binding.ts";
import type { HeapSample } from "./binding/heap_sample.ts";
import { liveThreads } from "./live_threads.ts";
import { Mailbox } from "./mailbox.ts";
import { type FromWorker, textOf, type ToWorker, unflatten, unflattenBinding } from "./message.ts";
import type { MigrateOptions, MigrationReport } from "./move/migrate_types.ts";
import { Mover } from "./move/mover.ts";
import type { Seat } from "./move/seats.ts";
import type { ThreadPlacement } from "./policies/plan.ts";
import type { Policy } from "./policies/policy.ts";
import { unjoined } from "./unjoined.ts";
import type { ThreadEvent, ThreadMessageListener } from "./thread_events.ts";

/** How {@linkcode Thread.terminate} waits. */
export interface TerminateOptions {
  /** How long to wait for the OS thread's end, in milliseconds. Default: 5,000. */
  readonly timeoutMs?: number;
}

/** What a thread is doing. */
export type ThreadState = "starting" | "running" | "ended";

/** How long a worker may take to end by itself before it is made to. */
const GRACE_MS = 100;
const POLL_MS = 1;

/** Somebody who waits for a sample. */
interface Sampling {
  readonly resolve: (sample: HeapSample) => void;
  readonly reject: (error: unknown) => void;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/**
 * A thread that `launch` started.
 *
 * @typeParam Result What its function returns.
 *
 * @example
 * ```ts
 * import { launch } from "@numakit/numakit";
 *
 * const module = "data:text/javascript,export default (name) => `hello ${name}`";
 * const thread = launch<string>(module, { args: "world", policy: "node:0", name: "greeter" });
 * await thread.ready;
 * console.log(`${thread}`, await thread.join()); // Thread("greeter", running, node:0) hello world
 * ```
 */
export class Thread<Result = unknown> implements AsyncDisposable {
  /** Bun would show every getter and method, and no value. */
  static readonly #shown = /* @__PURE__ */ showAs(Thread, String);
  /** Its name. */
  readonly name: string;
  readonly #mover: Mover;
  readonly #worker: Worker;
  readonly #channel: MessagePort;
  readonly #mailbox: Mailbox;
  readonly #id: number;
  readonly #ended: Promise<Result>;
  readonly #ready: Promise<void>;
  #loaded: () => void = () => {};
  #state: ThreadState = "starting";
  #tid: number | undefined;
  #identity = 0;
  #binding: ThreadBinding | undefined;
  #cpuMs: number | undefined;
  readonly #samples: Map<number, Sampling> = new Map();
  #requests = 0;
  #joined = false;
  #exited = false;
  #stopped = false;
  /** Settles its outcome with what has arrived of it by now. */
  #close: (error: NumaError) => void = () => {};

  /** For internal use: call `launch` instead. */
  constructor(
    worker: Worker,
    channel: MessagePort,
    { id, moves }: { readonly id: number; readonly moves: Int32Array },
    { seat, name }: { readonly seat: Seat; readonly name: string },
  ) {
    void Thread.#shown;
    this.name = name;
    const send = (message: ToWorker): void => this.#send(message);
    this.#mover = new Mover({ name, id, moves, send }, seat);
    const live = { thread: this, mover: this.#mover, send };
    liveThreads.add(live);
    this.#worker = worker;
    this.#channel = channel;
    this.#mailbox = new Mailbox(worker, name);
    this.#id = id;
    const loaded = new Promise<void>((resolve) => {
      this.#loaded = resolve;
    });
    this.#ended = this.#run().finally(() => {
      liveThreads.delete(live);
      this.#mover.ended();
      this.#mailbox.close();
      this.#channel.close();
      this.#state = "ended";
      for (const { reject } of this.#samples.values()) reject(this.#noSample());
      this.#samples.clear();
    });
    this.#ready = Promise.race([loaded, this.#ended.then(() => {})]);
    // Whoever asks gets the error, too.
    this.#ready.catch(() => {});
    this.#ended.catch((error) => {
      if (!this.#joined) {
        builtin("node:process").emitWarning(
          `thread "${name}" failed and has not been joined: ${textOf(error)}`,
        );
      }
    });
    unjoined.add(this);
  }

  /**
   * The place that its policy gave it, when it was launched or last migrated; {@linkcode Thread.binding} says what came of
   * that.
   */
  get placement(): ThreadPlacement {
    return this.#mover.seat.placement;
  }

  /** The policy of that placement. */
  get policy(): Policy {
    return this.#mover.seat.policy;
  }

  /** @ignore How hard it was asked to be bound there. */
  get strengths(): Required<BindStrengths> {
    return this.#mover.seat.wish.strengths;
  }

  /** The index of its place in that policy, from 0. */
  get place(): number {
    return this.#mover.seat.place;
  }

  /**
   * Resolves when its module has been loaded and its function is about to begin. Rejects with the error of
   * {@linkcode Thread.join} when it ends before.
   */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** @ignore What {@linkcode Thread.join} gives, without asking for it: a failure still counts as one that nobody has seen. */
  get outcome(): Promise<Result> {
    return this.#ended;
  }

  /** What the thread is doing, as far as this thread has been told. */
  get state(): ThreadState {
    return this.#state;
  }

  /** Its OS thread id; undefined before it has started. */
  get tid(): number | undefined {
    return this.#tid;
  }

  /**
   * How it is bound to CPUs and to memory, and what was refused and why; undefined before it has started.
   */
  get binding(): ThreadBinding | undefined {
    return this.#binding;
  }

  /**
   * The CPU time that it has used, in user and in kernel mode, in milliseconds: the kernel's count, asked for now.
   *
   * @returns Undefined before it has started. After its end all that it used, or, where another thread has got its place in
   * numakit's table before the launcher saw its end, what it had used when it was last asked about.
   */
  get cpuTimeMs(): number | undefined {
    if (this.#identity !== 0) this.#cpuMs = threadCpuMs(this.#identity) ?? this.#cpuMs;
    return this.#cpuMs;
  }

  /** How nice it is now, -20 to 19; undefined before it has started and after its end. */
  get nice(): number | undefined {
    return this.#identity === 0 ? undefined : threadNice(this.#identity);
  }

  /**
   * Makes it more or less nice: how much CPU time it leaves to others.
   *
   * @param nice -20 to 19, the higher the more. It is a thread's own on Linux; with `sched_autogroup_enabled` the kernel
   * compares it within the terminal's session only.
   * @throws {NumaError} `EINVAL` no such number; `EPERM` less than it is needs CAP_SYS_NICE; `ESTALE` it has not started,
   * or has ended.
   */
  setNice(nice: number): void {
    const action = `set how nice thread "${this.name}" is`;
    checkInteger(nice, "nice", -20, 19, action);
    if (this.#identity !== 0) return reniceThread(this.#identity, nice, action);
    throw new NumaError("ESTALE", action, {
      why: "it has not started",
      fix: "Give launch() the option nice.",
    });
  }

  /**
   * Samples where the memory comes from that the runtime gives the thread: buffers of 16 KiB to 1 MiB, 2 MiB together, are
   * allocated in it as a program would, filled, located by the kernel (`move_pages`) and given up.
   *
   * The share is that of the whole pages of these buffers which are on the node that the thread runs on at that moment. Some
   * of them were in use before and were freed, as the runtime recycles memory; objects on the engine's own heap cannot be
   * asked about. It takes a few milliseconds of the thread, when it comes to its event loop: nothing is sampled unless
   * somebody asks.
   *
   * @returns Where they are.
   * @throws {NumaError} `EPERM` the system does not say (a default container); `ENOSYS`; `ENOMEM` there is no memory for it;
   * `ETERMINATED` the thread has ended before it came to it.
   */
  sampleHeap(): Promise<HeapSample> {
    if (this.#state === "ended") return Promise.reject(this.#noSample());
    const request = ++this.#requests;
    return new Promise((resolve, reject) => {
      this.#samples.set(request, { resolve, reject });
      this.#send({ type: "sample", request });
    });
  }

  #noSample(): NumaError {
    return new NumaError("ETERMINATED", `sample the heap of thread "${this.name}"`, {
      why: "it has ended",
      fix: "Ask while it runs: it answers at its event loop.",
    });
  }

  /**
   * Sends a message to the thread's module, which receives it on its `parentPort` (`node:worker_threads`).
   *
   * What is posted before the module has been loaded is kept until then; what is posted after the thread's end is
   * dropped.
   *
   * @param value Anything that can be cloned, copied now. numakit's objects in it, at any depth, arrive as handles:
   * `fromHandles` brings them to life there.
   * @param transfer What of it is moved and not copied. Default: nothing.
   * @throws {NumaError} `EINVAL` when it cannot be cloned; the error of an object in it that can no longer be shared.
   */
  postMessage(value: unknown, transfer: readonly object[] = []): void {
    this.#mailbox.post(value, transfer);
  }

  /**
   * Adds a listener for what the thread's module posts to its `parentPort`.
   *
   * As with a Worker, a message that arrives while there is no listener is lost: add listeners in the turn in which the
   * thread was launched. All messages of a thread have been delivered when {@linkcode Thread.join} resolves or rejects.
   *
   * @param event `"message"`: the listener gets what was posted; numakit's objects in it are live if the module posted
   * them through `toHandles`. `"messageerror"`: the listener gets the error of a message that could not be
   * received; without a listener for it, the process emits a warning.
   * @param listener Called for each message. One that was added before is not added again.
   * @returns The thread.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   *
   * @example
   * ```ts
   * import { launch } from "@numakit/numakit";
   *
   * const module = `data:text/javascript,
   *   import { parentPort } from "node:worker_threads";
   *   export default () => parentPort["postMessage"]("half way");`;
   * const thread = launch(module).on("message", (value) => console.log(value)); // half way
   * await thread.join();
   * ```
   */
  on(event: ThreadEvent, listener: ThreadMessageListener): this {
    this.#mailbox.listeners.add(event, listener);
    return this;
  }

  /**
   * Removes a listener.
   *
   * @param event What was listened to.
   * @param listener What was given to {@linkcode Thread.on}.
   * @returns The thread.
   * @throws {NumaError} `EINVAL` no such event, or no function.
   */
  off(event: ThreadEvent, listener: ThreadMessageListener): this {
    this.#mailbox.listeners.remove(event, listener);
    return this;
  }

  /**
   * Moves the thread to a place of a policy, while it runs.
   *
   * Its CPUs change at once, whatever it is doing; a thread that has not started yet is moved when it has. Its memory
   * policy is changed by the thread itself when it comes to its event loop, and concerns pages that it takes from then on.
   * Pages that are there already stay, but for those of `buffers`. Locks that group threads by L3 domain go on to count it
   * as part of the domain in which it first waited. Calls are carried out one after the other.
   *
   * Costs three system calls, some microseconds to get a thread off a CPU, and what {@linkcode migrate} costs for
   * `buffers`.
   *
   * @param policy The policy.
   * @param options Its place, how hard it is bound, and memory that moves with it.
   * @returns What has happened. {@linkcode Thread.placement} is the new one by then.
   * @throws {NumaError} What `plan` throws; `EACCES` when the process may not use those CPUs, or somebody else
   * (`taskset -p`) gave the thread others; `ETERMINATED` when the thread has ended, or ends before it has done its part: no
   * other thread is ever moved instead; `EINVAL`. The thread is where it was then. And, when it has been moved already, what
   * `migrate` throws of buffers; the signal's reason.
   *
   * @example
   * ```ts
   * import { launch, Policy } from "@numakit/numakit";
   *
   * const module = "data:text/javascript,export default () => new Promise((end) => setTimeout(end, 99))";
   * const thread = launch(module);
   * const { cpus, to, memory } = await thread.migrate(Policy.bindNode(0));
   * console.log(cpus, `${to.cpus}`, memory); // moved 0-7 moved
   * await thread.join();
   * ```
   */
  migrate(policy: Policy | string, options: MigrateOptions = {}): Promise<MigrationReport> {
    return this.#mover.migrate(policy, options);
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
   * Terminates the thread, whatever it is doing. `join` then rejects with `ETERMINATED`, unless it had already ended.
   *
   * @param options The timeout.
   * @returns True once the OS thread is gone: no code of it runs any more and all its memory is released. False when it
   * still runs after the timeout, which happens on Deno only: Deno cannot stop a thread that never comes back to its
   * event loop. Its memory then stays mapped until it does, and the process does not exit before that, unless
   * `process.exit` is called.
   * @throws {NumaError} `EINVAL`.
   */
  async terminate(options: TerminateOptions = {}): Promise<boolean> {
    const action = `terminate thread "${this.name}"`;
    const { timeoutMs = 5000 } = readOptions(options, ["timeoutMs"], action);
    checkInteger(timeoutMs, "timeoutMs", 0, 2 ** 31 - 1, action);
    this.#joined = true;
    unjoined.delete(this);
    this.#stopped = true;
    // What it makes of having lost its memory, and of being woken, is no result.
    this.#close(this.#leftEarly(0));
    parkingLot().stop(this.#id);
    // A worker at its event loop lets go of its memory in order; that is worth a moment.
    if (!await this.#leave()) await this.#worker.terminate();
    return await this.#gone(timeoutMs);
  }

  /**
   * Terminates it at the end of an `await using` block, unless it has ended. Its outcome is left to {@linkcode Thread.join}.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== "ended") await this.terminate();
  }

  /** Returns a short text for logs. */
  toString(): string {
    return `Thread("${this.name}", ${this.state}, ${this.policy})`;
  }

  #send(message: ToWorker): void {
    try {
      this.#channel.postMessage(message);
    } catch {
      // A worker that has ended takes no messages.
    }
  }

  /** Asks the worker to let go and end. Resolves to whether it did in time. */
  async #leave(): Promise<boolean> {
    this.#send({ type: "leave" });
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
    // Its slot in the helper's table will be another one's.
    void this.cpuTimeMs;
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
    // The worker's last messages come before its exit event.
    const exited = new Promise((resolve) => this.#worker.on("exit", resolve));
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
    await exited;
    return outcome();
  }

  #outcome(): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const hear = (message: FromWorker): void => {
        if (message.type === "done") resolve(message.value);
        else if (message.type === "failed") reject(unflatten(message.error));
        else this.#hear(message);
      };
      this.#channel.on("message", hear);
      this.#channel.on("messageerror", reject);
      // The worker itself keeps the process alive.
      this.#channel.unref();
      this.#worker.on("error", reject);
      this.#close = (error) => {
        // Two channels have no order: what it said last may still be on its way.
        const { receiveMessageOnPort } = builtin("node:worker_threads");
        for (;;) {
          const last = receiveMessageOnPort(this.#channel) as { message: FromWorker } | undefined;
          if (last === undefined) break;
          hear(last.message);
        }
        reject(error);
      };
      this.#worker.on("exit", (status) => {
        this.#exited = true;
        this.#close(this.#leftEarly(status));
      });
    });
  }

  /** What it says before its end. */
  #hear(message: Exclude<FromWorker, { readonly type: "done" | "failed" }>): void {
    if (message.type === "loaded") {
      this.#mailbox.open();
      return this.#loaded();
    }
    if (message.type === "moved") {
      if (message.binding !== undefined) this.#binding = unflattenBinding(message.binding);
      const error = message.error && unflatten(message.error) as NumaError;
      return this.#mover.moved(message.serial, { binding: this.#binding, error });
    }
    if (message.type === "started") {
      this.#tid = message.tid;
      this.#identity = message.identity;
      this.#binding = unflattenBinding(message.binding);
      if (this.#state === "starting") this.#state = "running";
      return this.#mover.started();
    }
    const waiting = this.#samples.get(message.request);
    this.#samples.delete(message.request);
    if (message.type === "sampled") waiting?.resolve(message.sample);
    else waiting?.reject(unflatten(message.error));
  }

  #leftEarly(status: number): NumaError {
    const stopped = this.#stopped;
    return new NumaError("ETERMINATED", `join thread "${this.name}"`, {
      why: stopped
        ? "it was terminated"
        : `it ended with exit status ${status} before its function returned`,
      fix: stopped ? undefined : "Do not call process.exit in it.",
    });
  }
}
