/**
 * The thread that has a pool: submits tasks, takes their results, and sees to it that each task ends once, whatever becomes
 * of its worker.
 *
 * A task takes a place. If its arguments fit into the place's words it goes to a worker's queue at once; if not, it is held
 * until a worker has no other task of that kind, gets its arguments by a message, and is bound to that worker. Results that
 * do not fit come by a message as well; message and word of it may come in any order.
 *
 * Results are taken in batches: by `runSync`, or by one asynchronous wait, which is there while a task is.
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import { monotonicMs } from "../../runtime/clock.ts";
import { cannotSend } from "../../sched/message.ts";
import { currentWaiter, pause, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { HeldTasks } from "./held_tasks.ts";
import { PoolCounts } from "../pool/pool_counts.ts";
import { PoolCrew, workerEndedError } from "./pool_crew.ts";
import { PoolPlaces, type Settle, type TaskRequest } from "./pool_places.ts";
import type { PoolSettings } from "../pool/pool_settings.ts";
import { TaskCore } from "../core/task_core.ts";
import {
  BOUND,
  freeQueue,
  LEAVE,
  LEVELS,
  nearQueue,
  NO_TASK,
  placeOf,
  type TaskShape,
  WAIT,
} from "../core/task_names.ts";
import { ResultLoop } from "./result_loop.ts";
import { ResultMail } from "./result_mail.ts";
import { NORMAL } from "../pool/task_checks.ts";
import { WorkerChoice } from "../places/worker_choice.ts";
import { BY_MESSAGE, TaskRecords } from "../core/task_records.ts";

const NORMAL_QUEUE = /* @__PURE__ */ freeQueue(NORMAL);
const IN_IT = "in the middle of it";
const BEFORE_IT = "before it began";
/** A thread that blocks looks for dead workers this often. */
const SLICE_MS = 40;

/** The pool's thread. */
export class PoolHost {
  readonly settings: PoolSettings;
  readonly core: TaskCore;
  readonly counts: PoolCounts;
  readonly crew: PoolCrew;
  readonly places: PoolPlaces;
  /** How many results have come from each worker. */
  readonly done: Float64Array;
  /** The functions' names, in the order of their indices, once a worker is there. */
  names: readonly string[] = [];
  /** Their indices. */
  readonly indices: Map<string, number> = new Map();
  /** Called when a place is free again. */
  onFree: () => void = () => {};
  /** Called when one more worker is there. */
  onReady: () => void = () => {};
  /** Why there are no workers any more. */
  failure: unknown;
  readonly #records: TaskRecords;
  readonly #held: HeldTasks;
  readonly #choice: WorkerChoice;
  /** Of each worker the task that it has got by a message, or will. */
  readonly #assigned: Int32Array;
  readonly #mail: ResultMail;
  readonly #me: ThreadWaiter;
  readonly #loop: ResultLoop;

  /**
   * @param settings What the pool is.
   * @param url The module of its tasks.
   */
  constructor(settings: PoolSettings, url: string) {
    const { max, tasks, budget, victims } = settings;
    const shape: TaskShape = { workers: max, tasks, budget, victims };
    const words = TaskCore.words(shape);
    const all = new Int32Array(new SharedArrayBuffer((words + PoolCounts.words(max)) * 4));
    this.settings = settings;
    this.core = new TaskCore(all.subarray(0, words), shape);
    this.counts = new PoolCounts(all.subarray(words));
    this.places = new PoolPlaces(tasks, settings.name, (index) => this.names[index]);
    this.done = new Float64Array(max);
    this.#records = new TaskRecords(this.core, all.subarray(0, words));
    this.#held = new HeldTasks((name) =>
      this.places.has(name) && this.places.detail(name)?.isHeld === true
    );
    this.#assigned = new Int32Array(max);
    this.#mail = new ResultMail(max, {
      has: (name) => this.places.has(name),
      actionOf: (name) => this.actionOf(name),
      settle: (worker, name, value) => this.#settle(worker, name, value),
      reject: (worker, name, error) => this.#reject(worker, name, error),
    });
    this.#me = currentWaiter();
    this.#loop = new ResultLoop(this.core, this.places, () => this.drain());
    this.crew = new PoolCrew(settings, { url, buffer: all.buffer, shape }, {
      ready: (worker, names) => this.#ready(worker, names),
      heard: (worker, message) => this.#mail.hear(worker, message),
      garbled: (worker, error) => this.#mail.miss(worker, error),
      refused: (worker) => this.#spread(worker),
      ended: (worker, error, isAsked) => this.#bury(worker, error, isAsked),
      failed: (error) => this.fail(error),
    });
    this.#choice = new WorkerChoice(this.core, this.crew, this.places, settings.nodes);
  }

  /** Gives back what it has of the thread, when there are no tasks any more. */
  async dispose(): Promise<void> {
    await this.#loop.dispose();
  }

  /**
   * Submits a task the short way.
   *
   * @returns Its name; {@linkcode NO_TASK}, and nothing is changed, when its arguments do not fit into words; there has to be
   * a free place.
   */
  begin(index: number, args: readonly unknown[], resolve: Settle, reject: Settle): number {
    const places = this.places;
    // To look at them may have ended the pool.
    if (!this.#records.write(places.next, index, args) || this.crew.isOver) return NO_TASK;
    const name = places.take(resolve, reject, index, NORMAL_QUEUE, -1);
    this.#submit(name, this.#choice.any());
    return name;
  }

  /**
   * Submits a task, or holds it; there has to be a free place.
   *
   * @param request The task.
   * @param disarm Ends what can abort it.
   * @returns Its name; {@linkcode NO_TASK} when it could not be sent, and has been rejected.
   */
  start(request: TaskRequest, disarm: (() => void) | undefined): number {
    const { index, args, message, transfer, level, node, resolve, reject } = request;
    const places = this.places;
    const queue = message !== undefined ? BOUND : node < 0 ? freeQueue(level) : nearQueue(level);
    if (message === undefined) this.#records.write(places.next, index, args);
    else this.#records.writeMessage(places.next, index);
    const name = places.take(resolve, reject, index, queue, node);
    if (message !== undefined || disarm !== undefined) {
      const isHeld = message !== undefined;
      places.describe(name, { args: message, transfer, level, bound: -1, isHeld, disarm });
    }
    if (message === undefined) {
      this.#submit(name, node < 0 ? this.#choice.any() : this.#choice.near(node));
      return name;
    }
    this.#held.push(name, level, node);
    if (node >= 0) this.#choice.staff(node);
    this.#serveAll();
    this.#loop.drive();
    return places.has(name) ? name : NO_TASK;
  }

  /**
   * Submits a task to one worker; there has to be a free place.
   *
   * @param request The task.
   * @param worker The worker.
   */
  startOn(request: TaskRequest, worker: number): void {
    const { index, args, message, transfer, level, node, resolve, reject } = request;
    const places = this.places;
    if (message === undefined) this.#records.write(places.next, index, args);
    else this.#records.writeMessage(places.next, index);
    const name = places.take(resolve, reject, index, BOUND, node);
    const only = { bound: worker, isHeld: false, disarm: undefined };
    places.describe(name, { args: message, transfer, level, ...only });
    if (message !== undefined && !this.#post(name, worker)) return;
    this.#submit(name, worker);
  }

  #submit(name: number, worker: number): void {
    const queue = this.places.queues[placeOf(name)] as number;
    if (this.settings.times) {
      this.#records.stamp(placeOf(name), monotonicMs());
    }
    this.core.submit(this.#me, name, worker, queue);
    this.#loop.drive();
  }

  /** Gives held tasks to workers that have none. */
  #serveAll(): void {
    const { live } = this.crew;
    for (const isIdle of [true, false]) {
      for (const worker of [...live]) {
        if (isIdle === this.core.runs(worker)) continue;
        this.#serve(worker);
      }
    }
  }

  #serve(worker: number): void {
    while (this.#assigned[worker] === NO_TASK && this.crew.live.includes(worker)) {
      const { nodes, budget } = this.settings;
      const name = this.#held.next(nodes[worker] as number, budget);
      if (name === NO_TASK) return;
      const detail = this.places.detail(name);
      if (detail === undefined) continue;
      detail.isHeld = false;
      if (!this.#post(name, worker)) continue;
      this.#assigned[worker] = name;
      this.#submit(name, worker);
    }
  }

  /** Posts a task's arguments; false when they cannot be sent, and the task has been rejected. */
  #post(name: number, worker: number): boolean {
    const { args = [], transfer = [] } = this.places.detail(name) ?? {};
    try {
      this.crew.post(worker, { name, args }, transfer);
      return true;
    } catch (cause) {
      const action = this.actionOf(name);
      this.places.reject(name, cannotSend(action, "its arguments", cause), -1);
      this.onFree();
      return false;
    }
  }

  /** What a task is, as it follows "Cannot". */
  actionOf(name: number): string {
    const index = this.places.functions[placeOf(name)] as number;
    return `run task "${this.names[index] ?? index}" of "${this.settings.name}"`;
  }

  /** Takes what results there are, and says how many. */
  drain(): number {
    const { core, places, done } = this;
    let count = 0;
    for (let worker = 0; worker < done.length; worker++) {
      for (let left = this.settings.tasks; left > 0; left--) {
        const name = core.result(worker);
        if (name === NO_TASK) break;
        count++;
        done[worker] = (done[worker] as number) + 1;
        if (!places.has(name)) continue;
        const value = this.#records.result(placeOf(name));
        if (value === BY_MESSAGE) this.#mail.look(worker, name);
        else this.#settle(worker, name, value);
      }
    }
    if (this.#mail.size > 0) { for (const worker of this.#mail.senders) this.crew.pump(worker); }
    return count;
  }

  #settle(worker: number, name: number, value: unknown): void {
    this.core.release(name);
    this.places.resolve(name, value, worker);
    if (this.#assigned[worker] === name) this.#unassign(worker);
    this.onFree();
  }

  #unassign(worker: number): void {
    this.#assigned[worker] = NO_TASK;
    this.#serve(worker);
  }

  /** A task that a worker had has failed. */
  #reject(worker: number, name: number, error: unknown): void {
    this.core.release(name);
    this.places.reject(name, error, worker);
    if (this.#assigned[worker] === name) this.#unassign(worker);
    this.onFree();
  }

  /**
   * Aborts a task. One that nobody has begun is taken out; of another one nobody is told how it ends, and its worker is ended
   * after the grace time.
   *
   * @param name The task. One that has ended is left alone.
   * @param reason What it is rejected with.
   */
  abort(name: number, reason: unknown): void {
    const { places, core, settings: { graceMs } } = this;
    if (!places.has(name)) return;
    const isHeld = places.detail(name)?.isHeld === true;
    if (isHeld || core.callOff(name)) {
      this.places.reject(name, reason, -1);
      const worker = isHeld ? -1 : this.#assigned.indexOf(name);
      if (worker >= 0) this.#unassign(worker);
      this.onFree();
      return;
    }
    places.silence(name, reason);
    if (graceMs === undefined) return;
    const timer = setTimeout(() => {
      this.drain();
      const worker = places.has(name) ? core.runner(name) : -1;
      if (worker >= 0) this.crew.kill(worker);
    }, graceMs);
    (timer as { unref?: () => void }).unref?.();
  }

  #ready(worker: number, names: readonly string[]): void {
    this.places.publishWorker(worker, "started", undefined);
    if (this.names.length === 0) {
      this.names = names;
      for (const [index, name] of names.entries()) this.indices.set(name, index);
    } else if (this.names.join() !== names.join()) {
      throw new NumaError("EMODULE", `start worker ${worker} of "${this.settings.name}"`, {
        why: `its module exports ${names.join(", ")}, and in other threads ${
          this.names.join(", ")
        }`,
        fix: "Let it export the same functions in each thread.",
      });
    }
    this.#serve(worker);
    this.onReady();
  }

  /** A worker's thread is gone. */
  #bury(worker: number, error: unknown, isAsked: boolean): void {
    const { core, places, crew } = this;
    places.publishWorker(worker, "ended", error);
    this.drain();
    crew.pump(worker);
    const inHand = core.bury(worker);
    const lost = (name: number): void => {
      this.#mail.forget(name);
      this.#reject(worker, name, workerEndedError(this.actionOf(name), error, IN_IT));
    };
    // Handed in, but what it has said of it has not arrived.
    for (const name of this.#mail.bury(worker)) lost(name);
    this.#assigned[worker] = NO_TASK;
    if (places.has(inHand)) {
      if (core.isQueued(inHand)) this.#again(inHand, error);
      else if (core.runner(inHand) === worker) {
        // Said, but not handed in.
        if (this.#mail.isHeard(inHand)) this.#mail.look(worker, inHand);
        else lost(inHand);
      }
    }
    const isLeft = isAsked || crew.live.length > 0;
    const left: number[] = [];
    for (let queue = BOUND; queue <= (isLeft ? NORMAL_QUEUE + 2 : BOUND); queue++) {
      for (let name = core.evacuate(worker, queue); name !== NO_TASK;) {
        left.push(name);
        name = core.evacuate(worker, queue);
      }
    }
    for (const name of left) if (places.has(name)) this.#again(name, error);
    for (const node of [...this.#held.nodes()]) this.#choice.staff(node);
    core.order(this.#me, worker, WAIT);
    core.wakeAll(this.#me);
    this.onFree();
  }

  /** Lets tasks that wait near a worker that cannot be there be done anywhere. */
  #spread(worker: number): void {
    const { core, places, crew, settings: { nodes } } = this;
    const node = nodes[worker] as number;
    if (crew.live.some((other) => nodes[other] === node)) return;
    const left: number[] = [];
    for (let level = 0; level < LEVELS; level++) {
      const queue = nearQueue(level);
      this.#held.spread(node, level);
      for (let name = core.evacuate(worker, queue); name !== NO_TASK;) {
        left.push(name);
        name = core.evacuate(worker, queue);
      }
    }
    for (const name of left) {
      if (!places.has(name) || !core.callOff(name)) continue;
      const place = placeOf(name);
      // A free queue follows that of tasks near something.
      const queue = (places.queues[place] as number) + 1;
      places.queues[place] = queue;
      places.nodes[place] = -1;
      core.submit(this.#me, name, this.#choice.any(), queue);
    }
    this.#serveAll();
  }

  /** Hands a task on whose worker has ended before it began. */
  #again(name: number, error: unknown): void {
    const { core, places } = this;
    const detail = places.detail(name);
    const queue = places.queues[placeOf(name)] as number;
    const node = places.nodes[placeOf(name)] as number;
    if (queue !== BOUND) {
      const heir = node < 0 ? this.#choice.any() : this.#choice.near(node);
      core.push(this.#me, name, heir, queue);
      return;
    }
    const isLost = detail === undefined || detail.bound >= 0 || detail.transfer.length > 0;
    if (!core.callOff(name)) return;
    if (isLost) {
      this.places.reject(name, workerEndedError(this.actionOf(name), error, BEFORE_IT), -1);
      return;
    }
    detail.isHeld = true;
    this.#held.push(name, detail.level, node);
    this.#serveAll();
  }

  /**
   * Rejects all tasks: there will be no workers any more.
   *
   * @param error With what.
   */
  fail(error: unknown): void {
    this.failure ??= error;
    this.crew.stop();
    for (const name of [...this.places.names()]) {
      if (!this.places.has(name)) continue;
      this.core.callOff(name);
      this.places.reject(name, error, -1);
    }
    this.onFree();
  }

  /** Tells a worker to leave once it finds nothing to do. */
  dismiss(worker: number): void {
    this.crew.dismiss(worker);
    this.core.order(this.#me, worker, LEAVE);
  }

  /** Tells all workers to leave, and resolves when they have left. */
  async dismissAll(): Promise<void> {
    this.crew.stop();
    for (let worker = 0; worker < this.settings.max; worker++) this.dismiss(worker);
    this.crew.killStarting();
    await this.crew.allGone();
  }

  /**
   * Blocks until a task has ended.
   *
   * @param name The task.
   * @param timeoutMs How long at the most.
   * @returns False when the time has passed.
   * @throws {NumaError} `ETERMINATED` this thread is to end.
   */
  block(name: number, timeoutMs: number): boolean {
    const { core, places } = this;
    const { lot, id } = this.#me;
    const { spins } = this.settings;
    for (let round = 0; round < spins; round++) {
      this.drain();
      if (!places.has(name)) return true;
      pause();
    }
    const deadline = timeoutMs === Infinity ? Infinity : performance.now() + timeoutMs;
    try {
      for (;;) {
        core.prepare(this.#me);
        this.drain();
        if (!places.has(name)) return true;
        const leftMs = deadline - performance.now();
        if (leftMs <= 0) return false;
        if (lot.stopped(id)) {
          throw new NumaError("ETERMINATED", this.actionOf(name), {
            why: "this thread is being terminated",
          });
        }
        if (!lot.park(id, Math.min(SLICE_MS, leftMs))) this.#lookForDead(name);
      }
    } finally {
      core.cancel();
      this.#loop.rouse();
    }
  }

  /** Rejects a task that this thread waits for and that nobody will end, as events of ended threads cannot come. */
  #lookForDead(name: number): void {
    const { core, places } = this;
    const runner = core.runner(name);
    const only = runner >= 0 ? runner : this.#assigned.indexOf(name);
    const isLost = only >= 0 ? !this.crew.isAlive(only) : !this.crew.hopes();
    this.drain();
    if (!isLost || !places.has(name)) return;
    if (runner >= 0) core.release(name);
    // A worker that is new may have it by now.
    else if (places.detail(name)?.isHeld !== true && !core.callOff(name)) return;
    const when = runner >= 0 ? IN_IT : BEFORE_IT;
    this.places.reject(name, workerEndedError(this.actionOf(name), undefined, when), -1);
    this.onFree();
  }
}
