import { TaskCore } from "../../../lib/tasks/core/task_core.ts";
import {
  BOUND,
  freeQueue,
  LEAVE,
  nameOf,
  nearQueue,
  NO_TASK,
  placeOf,
  REMOTE,
  type TaskShape,
} from "../../../lib/tasks/core/task_names.ts";
import { FOREVER, LINE_WORDS, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const FILE = "lib/tasks/core/task_core.ts";
const NAMES = "lib/tasks/core/task_names.ts";
const DEQUE = "lib/structs/deques/deque_core.ts";

/** What the host does: submits a task to a worker's queue, calls one off, or waits until one has begun or ended. */
interface Step {
  readonly what: "submit" | "callOff" | "begins" | "settle";
  readonly place: number;
  readonly worker?: number;
  readonly queue?: number;
}

interface TaskCase extends Omit<Case, "words" | "setup" | "threads"> {
  readonly does: readonly Step[];
  readonly workers: number;
  /** Which worker each thread behind the host is: that one of its number, when left out. */
  readonly are?: readonly number[];
  /** Tasks that last until another one has begun. */
  readonly awaits?: Readonly<Record<number, number>>;
  readonly distance?: number;
  readonly budget?: number;
  readonly tasks?: number;
}

const submit = (place: number, worker: number, queue: number = freeQueue(0)): Step => ({
  ...{ what: "submit", place, worker, queue },
});
const callOff = (place: number): Step => ({ what: "callOff", place });
const begins = (place: number): Step => ({ what: "begins", place });
const settle = (place: number): Step => ({ what: "settle", place });

type End = "done" | "died" | "off";

function taskCase(subject: TaskCase): Case {
  const { does, workers, are = [...Array(workers).keys()], awaits = {}, ...rest } = subject;
  const { distance = 1, budget = 0, tasks = 2, ...options } = rest;
  const shape: TaskShape = {
    workers,
    tasks,
    budget,
    victims: Array.from(
      { length: workers },
      (_, me) =>
        [...Array(workers).keys()].filter((worker) => worker !== me)
          .map((worker) => ({ worker, distance })),
    ),
  };
  const size = Math.ceil(TaskCore.words(shape) / LINE_WORDS) * LINE_WORDS;
  /** Of each task whether it has begun; of each worker how often its thread was buried. */
  const begun = size;
  const buried = begun + tasks;
  /** Whether the host has nothing to do any more. */
  const over = buried + workers;
  return {
    ...options,
    threads: 1 + are.length,
    words: size + LINE_WORDS,
    setup(world: World): Program {
      const { words } = world;
      /** By name. */
      const ran = new Map<number, number>();
      const ended = new Map<number, End>();
      const generations = new Array<number>(tasks).fill(0);
      /** What each thread has in hand, for who dies. */
      const hands = new Array<number>(1 + are.length).fill(NO_TASK);

      const host = function* (): Wait<void> {
        const me = world.waiter(0);
        const core = new TaskCore(words.subarray(0, size), shape);
        const queues = new Map<number, Step>();
        const dead = new Set<number>();
        const end = (name: number, how: End): void => {
          world.check(queues.has(name) && !ended.has(name), `task ${name} ends once`);
          ended.set(name, how);
          world.note(name * 3 + how.length % 3);
          if (how !== "off") core.release(name);
        };
        const take = (): void => {
          for (let worker = 0; worker < workers; worker++) {
            for (;;) {
              const name = core.result(worker);
              if (name === NO_TASK) break;
              end(name, "done");
            }
          }
        };
        const push = (name: number, worker: number): void => {
          const { queue = 0 } = queues.get(name) as Step;
          core.push(me, name, worker, queue);
        };
        const buryDead = (): void => {
          for (let thread = 1; thread <= are.length; thread++) {
            if (dead.has(thread) || me.alive(thread + 1)) continue;
            const worker = are[thread - 1] as number;
            // One that is to begin when another one has died.
            if (thread > workers && Atomics.load(words, buried + worker) === 0) continue;
            dead.add(thread);
            take();
            const name = core.bury(worker);
            const isReplaced = are.indexOf(worker, thread) >= 0;
            const heir = isReplaced ? worker : (worker + 1) % workers;
            if (core.isQueued(name)) push(name, heir);
            else if (core.runner(name) === worker && !ended.has(name)) end(name, "died");
            for (let queue = 0; !isReplaced && queue < 4; queue++) {
              for (;;) {
                const left = core.evacuate(worker, queue);
                if (left === NO_TASK) break;
                push(left, heir);
              }
            }
            core.wakeAll(me);
            Atomics.store(words, buried + worker, 1);
          }
        };
        const until = function* (isOver: () => boolean): Wait<void> {
          for (;;) {
            take();
            buryDead();
            if (isOver()) return;
            core.prepare(me);
            take();
            buryDead();
            if (!isOver()) yield FOREVER;
            core.cancel();
          }
        };
        for (const { what, place, worker = 0, queue = 0 } of does) {
          if (what === "submit") {
            const generation = (generations[place] as number) + 1;
            generations[place] = generation;
            const name = nameOf(place, generation);
            queues.set(name, { what, place, worker, queue });
            world.note(name);
            core.submit(me, name, worker, queue);
            continue;
          }
          if (what === "begins") {
            for (let round = 0; Atomics.load(words, begun + place) === 0; round++) me.spin(round);
            continue;
          }
          const name = nameOf(place, generations[place] as number);
          if (what === "settle") yield* until(() => ended.has(name));
          else if (core.callOff(name)) end(name, "off");
        }
        yield* until(() => ended.size === queues.size);
        for (let worker = 0; worker < workers; worker++) core.order(me, worker, LEAVE);
        Atomics.store(words, over, 1);
      };

      const work = function* (thread: number): Wait<void> {
        const me: Waiter = world.waiter(thread);
        const worker = are[thread - 1] as number;
        if (thread > workers) {
          for (let round = 0; Atomics.load(words, buried + worker) === 0; round++) {
            if (Atomics.load(words, over) !== 0) return;
            me.spin(round);
          }
        }
        const core = new TaskCore(words.subarray(0, size), shape);
        for (;;) {
          let name = core.find(me, worker);
          if (name === NO_TASK) name = yield* core.sleep(me, worker, FOREVER);
          if (name === NO_TASK) {
            if (core.orderOf(worker) === LEAVE) return;
            continue;
          }
          hands[thread] = name;
          ran.set(name, 1 + (ran.get(name) ?? 0));
          world.note(name);
          world.check(ran.get(name) === 1, `task ${name} runs once`);
          Atomics.store(words, begun + placeOf(name), 1);
          const other = awaits[placeOf(name)];
          for (let round = 0; other !== undefined; round++) {
            if (Atomics.load(words, begun + other) !== 0) break;
            me.spin(round);
          }
          core.finish(me, worker, name);
          hands[thread] = NO_TASK;
        }
      };

      const end = (): void => {
        for (const [name, how] of ended) {
          const times = ran.get(name) ?? 0;
          world.check(
            how === "off" ? times === 0 : how === "died" || times === 1,
            `${name} ${how}`,
          );
          if (how !== "died") continue;
          const isKilled = are.some((_, index) =>
            world.killed(index + 1) && [NO_TASK, name].includes(hands[index + 1] as number)
          );
          world.check(isKilled, `task ${name} died with its worker`);
        }
        const submitted = does.filter(({ what }) => what === "submit").length;
        world.check(ended.size === submitted, `${ended.size} of ${submitted} tasks have ended`);
      };
      const threads: Thread[] = [host, ...are.map((_, index) => () => work(index + 1))];
      return { threads, end };
    },
  };
}

const cases: readonly TaskCase[] = [
  {
    name: "a worker",
    workers: 1,
    preemptions: 2,
    fullPreemptions: 3,
    does: [submit(0, 0), settle(0), submit(0, 0)],
  },
  {
    name: "two workers",
    workers: 2,
    preemptions: 1,
    fullPreemptions: 2,
    does: [submit(0, 0), submit(1, 1)],
  },
  {
    name: "a surplus",
    ...{ workers: 2, preemptions: 2, awaits: { 0: 1, 1: 0 } },
    does: [submit(0, 0), submit(1, 0)],
  },
  {
    name: "a surplus for another worker",
    ...{ workers: 3, preemptions: 0, fullPreemptions: 1, tasks: 4, awaits: { 0: 1, 2: 1 } },
    does: [submit(0, 0), begins(0), submit(1, 0), submit(2, 1)],
  },
  {
    name: "called off",
    ...{ workers: 1, preemptions: 2, fullPreemptions: 3 },
    does: [submit(0, 0), callOff(0), submit(1, 0), settle(0), submit(0, 0)],
  },
  {
    name: "old names in the way",
    ...{ workers: 1, preemptions: 2 },
    does: [submit(1, 0), submit(0, 0), callOff(0), settle(0), submit(0, 0)],
  },
  {
    name: "levels, and a bound task",
    ...{ workers: 2, preemptions: 1, fullPreemptions: 2, tasks: 4, awaits: { 2: 0 } },
    does: [submit(0, 0, freeQueue(1)), submit(1, 1, freeQueue(0)), submit(2, 1, BOUND)],
  },
  {
    name: "near something",
    ...{ workers: 2, preemptions: 1, fullPreemptions: 2, tasks: 4, distance: REMOTE },
    ...{ budget: 1, awaits: { 0: 1 } },
    does: [0, 1, 2].map((place) => submit(place, 0, nearQueue(0))),
  },
  {
    name: "death",
    ...{ workers: 2, preemptions: 1, fullPreemptions: 2, kills: 1, victim: 1 },
    does: [submit(0, 0), submit(1, 0)],
  },
  {
    name: "death, and another one in its place",
    ...{ workers: 1, are: [0, 0], preemptions: 2, kills: 1, victim: 1, slots: [0, 1, 1] },
    does: [submit(0, 0), submit(1, 0)],
  },
  {
    name: "death of a thief",
    ...{ workers: 2, preemptions: 1, fullPreemptions: 2, kills: 1, victim: 2 },
    does: [submit(0, 0), submit(1, 0)],
  },
];

const mutants: readonly (Omit<Mutant, "file"> & Partial<Mutant>)[] = [
  {
    name: "the host looks whether a worker sleeps before it pushes",
    find: `    if (this.#queue(worker, queue).push(me, this.#record) !== DONE) return false;
    const mayWake = loadFollowing(words, SLEEPS + worker) !== 0;`,
    replace: `    const mayWake = Atomics.load(words, SLEEPS + worker) !== 0;
    if (this.#queue(worker, queue).push(me, this.#record) !== DONE) return false;`,
  },
  {
    name: "a worker sleeps without a last look",
    find: "const found = this.#find(me, worker, Atomics.load(words, KINDS));",
    replace: "const found = NO_TASK;",
  },
  {
    name: "a worker looks, and says then that it sleeps",
    find: `    Atomics.store(words, SLEEPS + worker, me.id);
    const found = this.#find(me, worker, Atomics.load(words, KINDS));`,
    replace: `    const found = this.#find(me, worker, Atomics.load(words, KINDS));
    Atomics.store(words, SLEEPS + worker, me.id);`,
  },
  {
    name: "a full queue is not cleared",
    find: "for (const each of names.add(name)) this.#put(me, each, worker, queue);",
    replace: "this.#put(me, name, worker, queue);",
  },
  {
    name: "a surplus wakes nobody",
    find: "    if (loadFollowing(words, this.#workerAt(worker) + RUNS) !== 0) {",
    replace: "    if (loadFollowing(words, this.#workerAt(worker) + RUNS) < 0) {",
  },
  {
    name: "a worker with a task looks for no more",
    find: `        this.#passOn(me, worker);
        return name;`,
    replace: "        return name;",
  },
  {
    name: "a worker says that it has a task after it has looked for more",
    find: "      storeLeading(words, runsAt, 1);\n",
    replace: "",
  },
  {
    name: "a worker looks for more in its own queues alone",
    find: "      if (this.#passFrom(me, (victims[index] as Victim).worker, kinds)) return;",
    replace: "      void index;",
  },
  {
    name: "a task is a worker's without a compare-exchange",
    find: "Atomics.compareExchange(words, stateAt, queued, runningState(name, worker)) === queued",
    replace: "Atomics.exchange(words, stateAt, runningState(name, worker)) !== 0",
  },
  {
    name: "old names are taken for the task",
    file: NAMES,
    find: `  return ((name >>> PLACE_BITS) << GENERATION_SHIFT) | QUEUED;`,
    replace: `  return ((name & PLACE_MASK) << GENERATION_SHIFT) | QUEUED;`,
  },
  {
    name: "a task is called off that a worker has",
    find:
      "return Atomics.compareExchange(this.#words, this.taskAt(placeOf(name)), queued, 0) === queued;",
    replace:
      "return Atomics.exchange(this.#words, this.taskAt(placeOf(name)), 0) === queued || true;",
  },
  {
    name: "a name is in hand after it was taken",
    find: `    for (let left = this.#mask; left >= 0 && this.#takes(deque, hand); left--) {
      const name = hand[0] as number;`,
    replace:
      `    for (let left = this.#mask; left >= 0 && this.#takes(deque, this.#record); left--) {
      const name = this.#record[0] as number;
      Atomics.store(hand, 0, name);`,
  },
  {
    name: "a result is announced before it is there",
    find: `    words[this.#resultAt(worker, tail)] = name;
    words[at + RUNS] = 0;
    Atomics.store(words, at + TAIL, (tail + 1) | 0);`,
    replace: `    words[at + RUNS] = 0;
    Atomics.store(words, at + TAIL, (tail + 1) | 0);
    words[this.#resultAt(worker, tail)] = name;`,
  },
  {
    name: "a worker looks whether the host sleeps before it hands in",
    find: `    Atomics.store(words, at + TAIL, (tail + 1) | 0);
    const host = loadFollowing(words, HOST);`,
    replace: `    const host = Atomics.load(words, HOST);
    Atomics.store(words, at + TAIL, (tail + 1) | 0);`,
  },
  {
    name: "an order wakes nobody",
    find: `    Atomics.store(this.#words, this.#workerAt(worker) + ORDER, order);
    this.#wake(me, worker);`,
    replace: `    Atomics.store(this.#words, this.#workerAt(worker) + ORDER, order);`,
  },
  {
    name: "a worker does not look for orders before it sleeps",
    find: "if (found === NO_TASK && this.orderOf(worker) === WAIT) yield ms;",
    replace: "if (found === NO_TASK) yield ms;",
  },
  {
    name: "an overloaded node gets no help",
    find: "this.#queue(victim, queue).length() > this.#shape.budget;",
    replace: "this.#queue(victim, queue).length() < 0;",
  },
];

/** The host is thread 0, and the workers the others. */
export const specs: readonly Spec[] = [{
  name: "TaskCore",
  cases: cases.map(taskCase),
  mutants: mutants.map((mutant) => ({ file: FILE, ...mutant })),
  plainSteps: [FILE, DEQUE],
}];
