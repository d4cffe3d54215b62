/**
 * What a pool's thread remembers of its tasks, by their places: whom to tell, and where they may run. Flat arrays, as most
 * tasks need no more than a promise.
 *
 * @module
 */
import { type PoolChannel, poolChannel, type PoolEvent } from "../pool/pool_events.ts";
import { LAST_GENERATION, nameOf, placeOf } from "../core/task_names.ts";

/** Settles a promise. */
export type Settle = (value: never) => void;

/** A task that does not take the short way. */
export interface TaskRequest {
  readonly index: number;
  /** As the caller gave them. */
  readonly args: readonly unknown[];
  /** Encoded; undefined where they fit into words. */
  readonly message: readonly unknown[] | undefined;
  readonly transfer: readonly object[];
  readonly level: number;
  /** The node; -1 for none. */
  readonly node: number;
  readonly resolve: Settle;
  readonly reject: Settle;
}

/** What more there is to know of some tasks. */
export interface TaskDetail {
  /** Its arguments, encoded, until they have been posted for good; undefined where they are in the task's words. */
  args: readonly unknown[] | undefined;
  readonly transfer: readonly object[];
  /** Its priority. */
  readonly level: number;
  /** The only worker that may do it; -1 if any may. */
  readonly bound: number;
  /** Whether it waits in this thread for a worker that takes its arguments. */
  isHeld: boolean;
  /** Ends what can abort it. */
  disarm: (() => void) | undefined;
}

/** The places. */
export class PoolPlaces {
  readonly #mask: number;
  readonly #generations: Int32Array;
  readonly #free: Int32Array;
  readonly #resolvers: (Settle | undefined)[];
  readonly #rejecters: (Settle | undefined)[];
  readonly #details: (TaskDetail | undefined)[];
  /** The queue that each is in. */
  readonly queues: Uint8Array;
  /** The node that each has to be near; -1 for none. */
  readonly nodes: Int16Array;
  /** The function of each. */
  readonly functions: Int32Array;
  readonly #pool: string;
  readonly #taskOf: (index: number) => string | undefined;
  readonly #run: PoolChannel = poolChannel("run");
  readonly #end: PoolChannel = poolChannel("end");
  readonly #worker: PoolChannel = poolChannel("worker");
  /** How many are free. */
  left: number;

  /**
   * @param tasks How many there are: a power of two.
   * @param pool The name of the pool.
   * @param taskOf The name of a function.
   */
  constructor(tasks: number, pool: string, taskOf: (index: number) => string | undefined) {
    this.#pool = pool;
    this.#taskOf = taskOf;
    this.#mask = tasks - 1;
    this.#generations = new Int32Array(tasks);
    this.#free = Int32Array.from({ length: tasks }, (_, index) => tasks - 1 - index);
    this.#resolvers = new Array(tasks).fill(undefined);
    this.#rejecters = new Array(tasks).fill(undefined);
    this.#details = new Array(tasks).fill(undefined);
    this.queues = new Uint8Array(tasks);
    this.nodes = new Int16Array(tasks).fill(-1);
    this.functions = new Int32Array(tasks);
    this.left = tasks;
  }

  /** How many are taken. */
  get taken(): number {
    return this.#mask + 1 - this.left;
  }

  /** The place that is taken next; there has to be one. */
  get next(): number {
    return this.#free[this.left - 1] as number;
  }

  /**
   * Takes {@linkcode PoolPlaces.next}.
   *
   * @returns The name of the task there.
   */
  take(resolve: Settle, reject: Settle, index: number, queue: number, node: number): number {
    const place = this.#free[--this.left] as number;
    const before = this.#generations[place] as number;
    const generation = before === LAST_GENERATION ? 1 : before + 1;
    this.#generations[place] = generation;
    this.#resolvers[place] = resolve;
    this.#rejecters[place] = reject;
    this.queues[place] = queue;
    this.nodes[place] = node;
    this.functions[place] = index;
    const name = nameOf(place, generation);
    if (this.#run.hasSubscribers) this.#publish(this.#run, name, -1, "submitted", undefined);
    return name;
  }

  /** Whether a name is that of a task that has its place still. */
  has(name: number): boolean {
    const place = placeOf(name) & this.#mask;
    return this.#resolvers[place] !== undefined &&
      nameOf(place, this.#generations[place] as number) === name;
  }

  /** The details of a task, if there are any. */
  detail(name: number): TaskDetail | undefined {
    return this.#details[placeOf(name)];
  }

  /** Adds details to a task. */
  describe(name: number, detail: TaskDetail): void {
    this.#details[placeOf(name)] = detail;
  }

  /** Rejects a task that keeps its place, as a worker has it: nobody is told how it really ends. */
  silence(name: number, error: unknown): void {
    const place = placeOf(name);
    const reject = this.#rejecters[place] as Settle;
    this.#resolvers[place] = this.#rejecters[place] = nobody;
    this.#tell(name, error, -1, reject, this.#details[place]);
  }

  /** Rejects a task, and frees its place. */
  reject(name: number, error: unknown, worker: number): void {
    const place = placeOf(name);
    const reject = this.#rejecters[place] as Settle;
    const detail = this.#details[place];
    // Before anybody is told: whoever listens to events may end all tasks in the middle of this.
    this.#forget(place);
    if (reject !== nobody) this.#tell(name, error, worker, reject, detail);
  }

  #tell(
    name: number,
    error: unknown,
    worker: number,
    reject: Settle,
    detail: TaskDetail | undefined,
  ): void {
    detail?.disarm?.();
    if (this.#end.hasSubscribers) this.#publish(this.#end, name, worker, "rejected", error);
    reject(error as never);
  }

  /** Resolves a task, and frees its place. */
  resolve(name: number, value: unknown, worker: number): void {
    const place = placeOf(name);
    const resolve = this.#resolvers[place] as Settle;
    const detail = this.#details[place];
    if (detail !== undefined) detail.disarm?.();
    this.#forget(place);
    if (this.#end.hasSubscribers && resolve !== nobody) {
      this.#publish(this.#end, name, worker, "fulfilled", undefined);
    }
    resolve(value as never);
  }

  /** Tells whoever listens of a worker. */
  publishWorker(worker: number, outcome: "started" | "ended", error: unknown): void {
    if (!this.#worker.hasSubscribers) return;
    const none = { task: undefined, id: undefined };
    this.#worker.publish({ pool: this.#pool, ...none, worker, outcome, error });
  }

  #publish(
    channel: PoolChannel,
    id: number,
    worker: number,
    outcome: PoolEvent["outcome"],
    error: unknown,
  ): void {
    const task = this.#taskOf(this.functions[placeOf(id)] as number);
    const by = worker < 0 ? undefined : worker;
    channel.publish({ pool: this.#pool, task, id, worker: by, outcome, error });
  }

  #forget(place: number): void {
    this.#resolvers[place] = this.#rejecters[place] = this.#details[place] = undefined;
    this.#free[this.left++] = place;
  }

  /** The names of all tasks. */
  *names(): Generator<number> {
    for (const [place, resolve] of this.#resolvers.entries()) {
      if (resolve !== undefined) yield nameOf(place, this.#generations[place] as number);
    }
  }
}

function nobody(): void {}
