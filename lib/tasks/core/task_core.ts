/**
 * Tasks on their way from one thread, the host, to workers and back.
 *
 * ```
 *   line 0       | host |                 the host's id while it sleeps, or is about to
 *   line 1       | kinds |                a bit for each queue that has ever been used; the host's
 *   then         | sleep of worker 0 | sleep of worker 1 | …    the worker's id while it sleeps, or is about to
 *   a worker w   | in hand | runs | tail |     the worker's: the task it took last, whether it has one, results so far
 *                | order |                     the host's: what the worker is to do when it finds nothing
 *   the tasks    | state | 15 words for what the task is | …
 *   a worker's   queues (`DequeCore`): 0 bound; near and free of the highest level, of the next, …
 *                results: a ring of tasks
 *
 *   state:   generation << 12 | worker << 2 | FREE, QUEUED or RUNNING
 *   a task's name, in queues and results:  generation << 14 | place
 *
 *   FREE --- host ---> QUEUED --- a worker, by a compare-exchange ---> RUNNING --- host, when it has the result ---> FREE
 *                        '-------- host, by a compare-exchange (it was called off) ---------------------------------^
 * ```
 *
 * **A queue holds names, the state is the truth.** The host owns all queues and only pushes; workers, also the one whose
 * queue it is, take from the top, so a queue is first in, first out. A worker has a task when it has changed the state, and
 * only one can. So a name may be in several queues, or be old: whoever finds it lets it be. That is what makes it simple
 * to call a task off (one compare-exchange, the name stays) and to hand a dead worker's tasks on (push the name again).
 *
 * **Where workers look**, level by level: in their own queues, then in those of others, the nearest first. A task that is
 * near something (it is in a queue "near") is left to its node unless so many wait there that the node is overloaded
 * (`budget`); a bound one is left to its worker in any case.
 *
 * **A result** is written into the task's words, then its name into the worker's ring, then the ring's tail is stored. The
 * ring has a place for each task, and a task is in it once, so it is never full and the host's index is nobody else's
 * business.
 *
 * Why no wake-up is lost. A worker says that it sleeps, then looks into all queues a last time. The host pushes, then looks
 * whether the queue's worker sleeps. One of the two sees the other. If that worker has a task in hand, the new one is a
 * surplus, for which the host wakes one sleeper that may take it. A worker says that it has a task, and if it then sees a
 * sleeper it looks whether more waits anywhere, and if so wakes one. A push that did not see that the worker has a task comes
 * before that look. A worker that was woken while it found a task by itself looks once more, as it was woken for another one.
 * So whenever a task waits there is a worker that has yet to look, or all that may take it have tasks in hand. A waker takes
 * the id out of the sleeper's word first: one wake a surplus. The host's sleep is the same, with tails in place of queues.
 *
 * Death of a worker. The name is written to `in hand` before the queue's top is counted up. So the host, which knows when a
 * worker's thread is gone, takes what is in its ring, and then finds in `in hand` a task that is RUNNING there, which has
 * died with it, or one that is still QUEUED: nobody else may have its name, so it is pushed again. What it says else is old.
 * A worker that was woken and dies has not looked: the host wakes all, who look. Only one task can be RUNNING there,
 * because a worker takes the next one when it has put the last one's name into its ring.
 *
 * What is in the words decides about answers only: places are masked, and the host believes no name whose generation is not
 * the one that it remembers.
 *
 * Costs. To submit: two atomic operations, and a plain load or two; to take and finish: three, and a plain load for each
 * worker. A worker that finds nothing looks at each queue in use of each worker.
 *
 * @module
 */
import { glance, loadFollowing, loadShared, storeLeading } from "../../wait/loads.ts";
import { slotWords } from "../../wait/slot_words.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../wait/waiter.ts";
import { DequeCore, DONE, LOST } from "../../structs/deques/deque_core.ts";
import {
  BOUND,
  LEVELS,
  NO_TASK,
  placeOf,
  queuedState,
  QUEUES,
  REMOTE,
  runningState,
  TASK_WORDS,
  type TaskShape,
  type Victim,
  WAIT,
  workerOf,
} from "./task_names.ts";

const HOST = 0;
const KINDS = LINE_WORDS;
const SLEEPS = 2 * LINE_WORDS;

const WORKER_WORDS = 2 * LINE_WORDS;
const IN_HAND = 0;
const RUNS = 1;
const TAIL = 2;
const ORDER = LINE_WORDS;

/** How often a thread tries to take from a queue where others are faster: each time another one has a task. */
const TRIES = 1 << 16;

/** The algorithm of `TaskPool`. */
export class TaskCore {
  readonly #words: Int32Array;
  readonly #shape: TaskShape;
  readonly #mask: number;
  /** Those that this thread has used. */
  readonly #queues: (DequeCore | undefined)[];
  readonly #heads: Int32Array;
  readonly #hands: readonly Int32Array[];
  readonly #record = new Int32Array(1);
  readonly #workers: number;
  readonly #tasks: number;
  readonly #results: number;
  readonly #queuesAt: number;
  readonly #queueWords: number;
  #kinds = 0;
  /** How far away the task was that {@linkcode TaskCore.find} found last; -1 in the worker's own queue. */
  distance = -1;

  /**
   * @param words Its memory: zero at first.
   * @param shape How many workers and tasks there are: the same in all threads.
   */
  constructor(words: Int32Array, shape: TaskShape) {
    const { workers, tasks } = shape;
    this.#words = words;
    this.#shape = shape;
    this.#mask = tasks - 1;
    this.#workers = SLEEPS + slotWords(workers);
    this.#tasks = this.#workers + workers * WORKER_WORDS;
    this.#queuesAt = this.#tasks + tasks * TASK_WORDS;
    this.#queueWords = DequeCore.words(tasks, 1);
    this.#queues = new Array(workers * QUEUES).fill(undefined);
    this.#results = this.#queuesAt + workers * QUEUES * this.#queueWords;
    this.#heads = new Int32Array(workers);
    this.#hands = Array.from({ length: workers }, (_, worker) => {
      const at = this.#workerAt(worker) + IN_HAND;
      return words.subarray(at, at + 1);
    });
  }

  /**
   * The words that one takes.
   *
   * @param shape How many workers and tasks there are.
   * @returns 32-bit words.
   */
  static words({ workers, tasks }: Pick<TaskShape, "workers" | "tasks">): number {
    const queues = workers * QUEUES * DequeCore.words(tasks, 1);
    return SLEEPS + slotWords(workers) + workers * WORKER_WORDS + tasks * TASK_WORDS + queues +
      workers * tasks;
  }

  /**
   * Where what a task is can be written: behind its state.
   *
   * @param place The task's place.
   * @returns The index of the first of {@linkcode TASK_WORDS} words, of which the first is the state.
   */
  taskAt(place: number): number {
    return this.#tasks + (place & this.#mask) * TASK_WORDS;
  }

  /**
   * Submits a task, whose words have been written. For the host: the first thread that submits one.
   *
   * @param me The calling thread.
   * @param name The task, which is in no queue under this name and not RUNNING.
   * @param worker In which worker's queue.
   * @param queue Which of its queues.
   */
  submit(me: Waiter, name: number, worker: number, queue: number): void {
    if ((this.#kinds & (1 << queue)) === 0) this.#open(me, queue);
    Atomics.store(this.#words, this.taskAt(placeOf(name)), queuedState(name));
    this.push(me, name, worker, queue);
  }

  /** Puts a task that is QUEUED into another queue of that kind, or again into one. For the host. */
  push(me: Waiter, name: number, worker: number, queue: number): void {
    if (this.#put(me, name, worker, queue)) return;
    // Full of names of tasks that were called off, or in it twice: those of tasks that wait have room.
    const deque = this.#queue(worker, queue);
    const names = new Set<number>();
    for (let left = deque.length(); left > 0 && this.#takes(deque, this.#record); left--) {
      const found = this.#record[0] as number;
      if (this.isQueued(found)) names.add(found);
    }
    for (const each of names.add(name)) this.#put(me, each, worker, queue);
  }

  #put(me: Waiter, name: number, worker: number, queue: number): boolean {
    this.#record[0] = name;
    const words = this.#words;
    if (this.#queue(worker, queue).push(me, this.#record) !== DONE) return false;
    const mayWake = loadFollowing(words, SLEEPS + worker) !== 0;
    if ((mayWake && this.#wake(me, worker)) || queue === BOUND) return true;
    // It comes back before it sleeps, unless it has something in hand.
    if (loadFollowing(words, this.#workerAt(worker) + RUNS) !== 0) {
      this.#wakeOther(me, worker, queue);
    }
    return true;
  }

  /** Begins to use queues of a kind. */
  #open(me: Waiter, queue: number): void {
    for (let worker = 0; worker < this.#shape.workers; worker++) {
      this.#queue(worker, queue).claim(me);
    }
    this.#kinds |= 1 << queue;
    Atomics.or(this.#words, KINDS, 1 << queue);
  }

  /**
   * Takes a task out of a queue of a worker that does nothing any more. For the host.
   *
   * @param worker Whose queue.
   * @param queue Which of its queues.
   * @returns The name of a task that is QUEUED, perhaps in other queues, too; {@linkcode NO_TASK} if there is none.
   */
  evacuate(worker: number, queue: number): number {
    const deque = this.#queue(worker, queue);
    for (let left = deque.length(); left > 0 && this.#takes(deque, this.#record); left--) {
      const name = this.#record[0] as number;
      if (this.isQueued(name)) return name;
    }
    return NO_TASK;
  }

  /**
   * Calls a task off that nobody has begun. For the host.
   *
   * @param name The task.
   * @returns False, and nothing is changed, when a worker has it or has had it.
   */
  callOff(name: number): boolean {
    const queued = queuedState(name);
    return Atomics.compareExchange(this.#words, this.taskAt(placeOf(name)), queued, 0) === queued;
  }

  /** Whether nobody has begun a task yet. */
  isQueued(name: number): boolean {
    return Atomics.load(this.#words, this.taskAt(placeOf(name))) === queuedState(name);
  }

  /** The worker that has a task; -1 if none has it. */
  runner(name: number): number {
    const state = Atomics.load(this.#words, this.taskAt(placeOf(name)));
    const worker = workerOf(state);
    return state === runningState(name, worker) && worker < this.#shape.workers ? worker : -1;
  }

  /** Says that the host has a RUNNING task's result: its words can be used again. For the host. */
  release(name: number): void {
    // Nobody else changes the state of a task that is RUNNING, and old names fit no state but a QUEUED one.
    this.#words[this.taskAt(placeOf(name))] = 0;
  }

  /**
   * Takes the name of a task that a worker has done. For the host.
   *
   * @param worker The worker.
   * @returns The name, or, where somebody has written into the words, any other number; {@linkcode NO_TASK} if there is none.
   */
  result(worker: number): number {
    const head = this.#heads[worker] as number;
    const tailAt = this.#workerAt(worker) + TAIL;
    const words = this.#words;
    // Plain first, as most are taken in a row.
    if (glance(words, tailAt) === head && loadShared(words, tailAt) === head) return NO_TASK;
    this.#heads[worker] = (head + 1) | 0;
    return words[this.#resultAt(worker, head)] as number;
  }

  /**
   * Looks at what a worker has left whose thread is gone, and whose results have been taken. For the host.
   *
   * @param worker The worker.
   * @returns The task that it took last: a task that is RUNNING there has died with it; one that is QUEUED has to be
   * submitted again; any other is old.
   */
  bury(worker: number): number {
    const words = this.#words;
    const at = this.#workerAt(worker);
    const name = Atomics.load(words, at + IN_HAND);
    Atomics.store(words, at + IN_HAND, NO_TASK);
    Atomics.store(words, at + RUNS, 0);
    Atomics.store(words, SLEEPS + worker, 0);
    return name;
  }

  /** Wakes all workers, so that they look again. */
  wakeAll(me: Waiter): void {
    for (let worker = 0; worker < this.#shape.workers; worker++) this.#wake(me, worker);
  }

  /** Tells a worker what to do once it finds no task: `WAIT` or `LEAVE`. For the host. */
  order(me: Waiter, worker: number, order: number): void {
    Atomics.store(this.#words, this.#workerAt(worker) + ORDER, order);
    this.#wake(me, worker);
  }

  /** What a worker is to do once it finds no task: `WAIT` or `LEAVE`. */
  orderOf(worker: number): number {
    return Atomics.load(this.#words, this.#workerAt(worker) + ORDER);
  }

  /** How many names there were in a queue at some moment. For any thread. */
  length(worker: number, queue: number): number {
    return this.#queue(worker, queue).length();
  }

  /** Whether a worker had a task in hand, as far as a look without order tells. */
  runs(worker: number): boolean {
    return glance(this.#words, this.#workerAt(worker) + RUNS) !== 0;
  }

  /** Announces that the host, as `me`, is about to sleep. It takes results once more, then sleeps or cancels. */
  prepare(me: Waiter): void {
    Atomics.store(this.#words, HOST, me.id);
  }

  /** Says that the host does not sleep. */
  cancel(): void {
    Atomics.store(this.#words, HOST, 0);
  }

  /**
   * Finds a task, which is the worker's from then on. For workers.
   *
   * @param me The calling thread.
   * @param worker The worker that it is.
   * @returns Its name; {@linkcode NO_TASK} if there was none at some moment, as far as a look without order tells.
   */
  find(me: Waiter, worker: number): number {
    return this.#find(me, worker, glance(this.#words, KINDS));
  }

  /**
   * Hands in a task, whose result has been written. For workers.
   *
   * @param me The calling thread.
   * @param worker The worker that it is.
   * @param name The task.
   */
  finish(me: Waiter, worker: number, name: number): void {
    const words = this.#words;
    const at = this.#workerAt(worker);
    const tail = words[at + TAIL] as number;
    words[this.#resultAt(worker, tail)] = name;
    words[at + RUNS] = 0;
    Atomics.store(words, at + TAIL, (tail + 1) | 0);
    const host = loadFollowing(words, HOST);
    if (host !== 0 && Atomics.compareExchange(words, HOST, host, 0) === host) me.unpark(host);
  }

  /**
   * Sleeps until there may be a task, or the order changes. For workers.
   *
   * @param me The calling thread.
   * @param worker The worker that it is.
   * @param ms How long at the most.
   * @returns A task, as of {@linkcode TaskCore.find}; {@linkcode NO_TASK}: look again.
   */
  *sleep(me: Waiter, worker: number, ms: number): Wait<number> {
    const words = this.#words;
    Atomics.store(words, SLEEPS + worker, me.id);
    const found = this.#find(me, worker, Atomics.load(words, KINDS));
    if (found === NO_TASK && this.orderOf(worker) === WAIT) yield ms;
    // Woken for a task that may be another one.
    if (Atomics.exchange(words, SLEEPS + worker, 0) === 0 && found !== NO_TASK) {
      this.#passOn(me, worker);
    }
    return found;
  }

  /** Looks where a worker looks. */
  #find(me: Waiter, worker: number, kinds: number): number {
    this.distance = -1;
    if ((kinds & 1) !== 0) {
      const name = this.#takeFrom(me, worker, worker, BOUND);
      if (name !== NO_TASK) return name;
    }
    const victims = this.#shape.victims[worker] as readonly Victim[];
    for (let level = 0; level < LEVELS; level++) {
      const near = 1 + 2 * level;
      const both = (kinds >> near) & 3;
      if (both === 0) continue;
      this.distance = -1;
      if ((both & 1) !== 0) {
        const name = this.#takeFrom(me, worker, worker, near);
        if (name !== NO_TASK) return name;
      }
      if ((both & 2) !== 0) {
        const name = this.#takeFrom(me, worker, worker, near + 1);
        if (name !== NO_TASK) return name;
      }
      for (let index = 0; index < victims.length; index++) {
        const { worker: victim, distance } = victims[index] as Victim;
        this.distance = distance;
        if ((both & 1) !== 0 && this.#mayTake(victim, near, distance)) {
          const name = this.#takeFrom(me, worker, victim, near);
          if (name !== NO_TASK) return name;
        }
        if ((both & 2) !== 0) {
          const name = this.#takeFrom(me, worker, victim, near + 1);
          if (name !== NO_TASK) return name;
        }
      }
    }
    return NO_TASK;
  }

  /** Whether a worker at a distance may take from a queue. */
  #mayTake(victim: number, queue: number, distance: number): boolean {
    return distance < REMOTE || (queue & 1) === 0 ||
      this.#queue(victim, queue).length() > this.#shape.budget;
  }

  #takeFrom(me: Waiter, worker: number, victim: number, queue: number): number {
    const words = this.#words;
    const hand = this.#hands[worker] as Int32Array;
    const deque = this.#queue(victim, queue);
    const runsAt = this.#workerAt(worker) + RUNS;
    for (let left = this.#mask; left >= 0 && this.#takes(deque, hand); left--) {
      const name = hand[0] as number;
      const queued = queuedState(name);
      const stateAt = this.taskAt(placeOf(name));
      storeLeading(words, runsAt, 1);
      if (
        Atomics.compareExchange(words, stateAt, queued, runningState(name, worker)) === queued
      ) {
        this.#passOn(me, worker);
        return name;
      }
      // It was called off, or another one has it.
      words[runsAt] = 0;
    }
    return NO_TASK;
  }

  /** Takes a name from a queue. */
  #takes(deque: DequeCore, target: Int32Array): boolean {
    let done = deque.steal(target);
    for (let tries = 1; done === LOST && tries < TRIES; tries++) done = deque.steal(target);
    return done === DONE;
  }

  /** Wakes a sleeper if there is more that it may take, right after a worker has taken a task. */
  #passOn(me: Waiter, worker: number): void {
    const words = this.#words;
    let asleep = 0;
    for (let other = 0; other < this.#shape.workers; other++) {
      asleep |= loadFollowing(words, SLEEPS + other);
    }
    if (asleep === 0) return;
    const kinds = Atomics.load(words, KINDS);
    if (this.#passFrom(me, worker, kinds)) return;
    const victims = this.#shape.victims[worker] as readonly Victim[];
    for (let index = 0; index < victims.length; index++) {
      if (this.#passFrom(me, (victims[index] as Victim).worker, kinds)) return;
    }
  }

  /** Wakes a sleeper if there is something for it in a worker's queues. */
  #passFrom(me: Waiter, worker: number, kinds: number): boolean {
    for (let queue = 1; queue < QUEUES; queue++) {
      if ((kinds & (1 << queue)) === 0 || this.length(worker, queue) === 0) continue;
      if (this.#wakeOther(me, worker, queue)) return true;
    }
    return false;
  }

  /** Wakes the nearest sleeper that may take from a worker's queue. */
  #wakeOther(me: Waiter, worker: number, queue: number): boolean {
    const victims = this.#shape.victims[worker] as readonly Victim[];
    for (let index = 0; index < victims.length; index++) {
      const { worker: other, distance } = victims[index] as Victim;
      if (Atomics.load(this.#words, SLEEPS + other) === 0) continue;
      if (this.#mayTake(worker, queue, distance) && this.#wake(me, other)) return true;
    }
    return false;
  }

  /** Wakes a worker if it sleeps, or is about to. */
  #wake(me: Waiter, worker: number): boolean {
    const words = this.#words;
    const id = Atomics.load(words, SLEEPS + worker);
    if (id === 0 || Atomics.compareExchange(words, SLEEPS + worker, id, 0) !== id) return false;
    me.unpark(id);
    return true;
  }

  #queue(worker: number, queue: number): DequeCore {
    const index = worker * QUEUES + queue;
    return this.#queues[index] ?? this.#makeQueue(index);
  }

  #makeQueue(index: number): DequeCore {
    const at = this.#queuesAt + index * this.#queueWords;
    const words = this.#words.subarray(at, at + this.#queueWords);
    return this.#queues[index] = new DequeCore(words, this.#mask + 1, 1);
  }

  #workerAt(worker: number): number {
    return this.#workers + worker * WORKER_WORDS;
  }

  #resultAt(worker: number, index: number): number {
    return this.#results + worker * (this.#mask + 1) + (index & this.#mask);
  }
}
