/**
 * The workers of a pool, as the thread sees them that has it: started, replaced when they end, and let go.
 *
 * @module
 */
import type { MessagePort } from "node:worker_threads";
import { NumaError } from "../../base/error.ts";
import { builtin } from "../../runtime/builtin.ts";
import type { ThreadBinding } from "../../sched/binding/binding.ts";
import { threadAlive } from "../../runtime/thread.ts";
import { launch } from "../../sched/launch.ts";
import { textOf } from "../../sched/message.ts";
import type { Thread } from "../../sched/thread.ts";
import { workerDataOf } from "../piscina/worker_data.ts";
import { type FromPoolWorker, POOL_WORKER, type PoolBirth } from "../pool/pool_messages.ts";
import type { PoolSettings } from "../pool/pool_settings.ts";
import type { TaskShape } from "../core/task_names.ts";

/** So many threads in a row may end before they have loaded the tasks. */
const MOST_STRIKES = 3;
/** A thread that has said nothing for so long will not start, in milliseconds. */
const START_MS = 30_000;

/** What happens to workers. */
export interface CrewEvents {
  /** One has loaded the tasks. */
  ready(worker: number, names: readonly string[]): void;
  /** One has posted something else. */
  heard(worker: number, message: FromPoolWorker): void;
  /** One has posted something that cannot be received in this thread. */
  garbled(worker: number, error: unknown): void;
  /** The system does not let one be started now, while there are or will be others. */
  refused(worker: number): void;
  /** One's thread is gone. What it has left has to be looked at. */
  ended(worker: number, error: unknown, isAsked: boolean): void;
  /** No thread can be started any more. */
  failed(error: unknown): void;
}

type State = "none" | "starting" | "ready" | "leaving";

interface Slot {
  state: State;
  thread: Thread<void> | undefined;
  port: MessagePort | undefined;
  /** Resolves when its thread is gone. */
  gone: Promise<void>;
  strikes: number;
  /** How the C helper names its thread; 0 before it has said. */
  identity: number;
  /** When it was started, as `performance.now()` has it. */
  startedAt: number;
  /** Takes what its thread posts. */
  hear: (message: FromPoolWorker) => void;
  /** Whether one is to be there again, as there are tasks that only it will do. */
  isWanted: boolean;
}

/** The workers. */
export class PoolCrew {
  readonly #settings: PoolSettings;
  readonly #url: string;
  readonly #buffer: SharedArrayBuffer;
  readonly #shape: TaskShape;
  readonly #events: CrewEvents;
  readonly #slots: readonly Slot[];
  /** Those that have loaded the tasks, and are not about to leave. */
  readonly live: number[] = [];
  /** How many workers are there in any case. */
  least: number;
  /** The functions of the module, once a worker has loaded it. */
  #names: readonly string[] = [];
  #starting = 0;
  #isOver = false;
  #wasReady = false;

  constructor(
    settings: PoolSettings,
    { url, buffer, shape }: { url: string; buffer: SharedArrayBuffer; shape: TaskShape },
    events: CrewEvents,
  ) {
    this.#settings = settings;
    this.least = settings.min;
    this.#url = url;
    this.#buffer = buffer;
    this.#shape = shape;
    this.#events = events;
    this.#slots = Array.from({ length: settings.max }, (): Slot => ({
      ...{ state: "none", thread: undefined, port: undefined, strikes: 0, identity: 0 },
      ...{ startedAt: 0, gone: Promise.resolve(), hear: () => {}, isWanted: false },
    }));
  }

  /** How many workers there are or will be. */
  get size(): number {
    return this.live.length + this.#starting;
  }

  /** Whether no workers are started or replaced any more. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether a worker is about to be there. */
  get isStarting(): boolean {
    return this.#starting > 0;
  }

  /** How a worker's thread is bound; undefined while it has none. */
  bindingOf(worker: number): ThreadBinding | undefined {
    return this.#slots[worker]?.thread?.binding;
  }

  /**
   * Whether the thread of a worker can still do anything; also where this thread does not come to its event loop.
   *
   * @param worker The worker.
   */
  isAlive(worker: number): boolean {
    const slot = this.#slots[worker];
    // It says who it is before it takes a task, and this thread may not have heard that yet.
    if (slot?.identity === 0) this.pump(worker);
    return slot !== undefined && slot.identity !== 0 && threadAlive(slot.identity);
  }

  /**
   * Whether some worker can do tasks, or will be able to; also where this thread does not come to its event loop.
   *
   * @returns False when no thread is there, or only such that were started long ago and have not come to their first line.
   */
  hopes(): boolean {
    const now = performance.now();
    return this.#slots.some(({ state, startedAt }, worker) => {
      if (state !== "ready" && state !== "starting") return false;
      // What it has said may make it ready.
      this.pump(worker);
      const { identity } = this.#slots[worker] as Slot;
      return identity === 0 ? now - startedAt < START_MS : threadAlive(identity);
    });
  }

  /**
   * Starts a worker that is not there, or, if it is about to leave, when it has left.
   *
   * @param worker Which one.
   */
  ensure(worker: number): void {
    const slot = this.#slots[worker];
    if (this.#isOver || slot === undefined) return;
    if (slot.state === "leaving") slot.isWanted = true;
    else if (slot.state === "none") {
      void this.start(worker).catch((cause) => this.#refuse(worker, cause));
    }
  }

  /** Tells of a worker that could not be started, where launch itself refuses that: of a thread its end tells. */
  #refuse(worker: number, cause: unknown): void {
    if (this.#isOver || (this.#slots[worker] as Slot).thread !== undefined) return;
    if (this.size > 0) this.#events.refused(worker);
    else this.#events.failed(cause);
  }

  /** Starts one more. */
  grow(): void {
    this.ensure(this.#slots.findIndex(({ state }) => state === "none"));
  }

  /**
   * Starts a worker.
   *
   * @param worker Which one.
   * @returns Resolves when it has loaded the tasks.
   * @throws {NumaError} The errors of `launch`, and what its module throws.
   */
  async start(worker: number): Promise<void> {
    const slot = this.#slots[worker] as Slot;
    const { port1, port2 } = new (builtin("node:worker_threads").MessageChannel)();
    const thread = this.#launch(worker, port2);
    slot.state = "starting";
    this.#starting++;
    slot.identity = 0;
    slot.startedAt = performance.now();
    slot.thread = thread;
    slot.port = port1;
    let isOver = false;
    const ready = new Promise<void>((resolve, reject) => {
      slot.hear = (message) => {
        if (message.type === "begun") {
          slot.identity = message.identity;
          return;
        }
        if (message.type !== "ready") return this.#events.heard(worker, message);
        if (slot.state !== "starting") return;
        slot.state = "ready";
        this.#starting--;
        this.#wasReady = true;
        if (this.#names.length === 0) this.#names = message.names;
        slot.strikes = 0;
        this.live.push(worker);
        try {
          this.#events.ready(worker, message.names);
          resolve();
        } catch (error) {
          reject(error);
          this.kill(worker);
        }
      };
      port1.on("message", slot.hear);
      port1.on("messageerror", (error) => this.#events.garbled(worker, error));
      port1.unref();
      const end = (error: unknown): void => {
        if (isOver) return;
        isOver = true;
        reject(error);
        this.#end(worker, error);
      };
      slot.gone = thread.join().then(() => end(undefined), end);
    });
    await ready;
  }

  #launch(worker: number, port: MessagePort): Thread<void> {
    const { name, wait, spins, times, placements, policies, bind } = this.#settings;
    const { policy, place } = policies[worker] as PoolSettings["policies"][number];
    const { cpus, node } = placements[worker] as PoolSettings["placements"][number];
    const birth: PoolBirth = {
      ...{ index: worker, url: this.#url, buffer: this.#buffer, shape: this.#shape, port },
      ...{ cpus: cpus.toString(), node: node ?? null, wait, spins, times },
      ...{ names: this.#names, data: workerDataOf(this.#url) },
    };
    return launch<void>(POOL_WORKER, {
      ...{ policy, bind, args: birth, transfer: [port], name: `${name}/${worker}` },
      ...(place !== undefined && { place }),
    });
  }

  /** A worker's thread is gone. */
  #end(worker: number, error: unknown): void {
    const slot = this.#slots[worker] as Slot;
    const { state } = slot;
    if (state === "starting") this.#starting--;
    const at = this.live.indexOf(worker);
    if (at >= 0) this.live.splice(at, 1);
    // Nothing that it has posted makes it live again.
    slot.state = "leaving";
    this.#events.ended(worker, error, state === "leaving");
    const { isWanted } = slot;
    slot.port?.close();
    slot.port = undefined;
    slot.thread = undefined;
    slot.state = "none";
    slot.isWanted = false;
    if (this.#isOver || (state === "leaving" && !isWanted && this.size >= this.least)) return;
    if (state === "starting" && (++slot.strikes >= MOST_STRIKES || !this.#wasReady)) {
      return this.#events.failed(error);
    }
    void this.start(worker).catch((cause) => this.#refuse(worker, cause));
  }

  /**
   * Posts to a worker.
   *
   * @param worker The worker.
   * @param message The message.
   * @param transfer What of it is moved.
   */
  post(worker: number, message: unknown, transfer: readonly object[]): void {
    this.#slots[worker]?.port?.postMessage(message, transfer as never);
  }

  /**
   * Hears at once what a worker has posted, as far as it is here.
   *
   * @param worker The worker.
   */
  pump(worker: number): void {
    const slot = this.#slots[worker];
    const port = slot?.port;
    if (slot === undefined || port === undefined) return;
    const { receiveMessageOnPort } = builtin("node:worker_threads");
    for (;;) {
      let next: { message: FromPoolWorker } | undefined;
      try {
        next = receiveMessageOnPort(port);
      } catch (error) {
        return this.#events.garbled(worker, error);
      }
      if (next === undefined) return;
      slot.hear(next.message);
    }
  }

  /**
   * Ends a worker, whatever it does. Another one takes its place.
   *
   * @param worker The worker.
   */
  kill(worker: number): void {
    void this.#slots[worker]?.thread?.terminate().catch(() => {});
  }

  /**
   * Gives a worker no more tasks; it has been told to leave.
   *
   * @param worker The worker.
   */
  dismiss(worker: number): void {
    const slot = this.#slots[worker] as Slot;
    if (slot.state !== "ready") return;
    slot.state = "leaving";
    this.live.splice(this.live.indexOf(worker), 1);
  }

  /** Starts and replaces no more workers. */
  stop(): void {
    this.#isOver = true;
  }

  /** Ends workers that have not loaded the tasks, which they may never do. */
  killStarting(): void {
    for (const [worker, { state }] of this.#slots.entries()) {
      if (state === "starting") this.kill(worker);
    }
  }

  /** Resolves when all threads are gone. */
  async allGone(): Promise<void> {
    await Promise.all(this.#slots.map(({ gone }) => gone));
  }

  /** Ends all workers, whatever they do. */
  async terminate(): Promise<void> {
    this.stop();
    await Promise.all(this.#slots.map(({ thread }) => thread?.terminate()));
  }
}

/**
 * The error of a task whose worker has ended.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param cause What ended it.
 * @param when Whether the task had begun.
 * @returns `ETERMINATED`.
 */
export function workerEndedError(
  action: string,
  cause: unknown,
  when: "in the middle of it" | "before it began",
): NumaError {
  const why = cause === undefined
    ? ""
    : ` (${cause instanceof Error ? cause.message : textOf(cause)})`;
  return new NumaError("ETERMINATED", action, {
    why: `its worker ended ${when}${why}`,
    fix: "Find out what ends the thread; another worker has taken its place.",
    cause,
  });
}
