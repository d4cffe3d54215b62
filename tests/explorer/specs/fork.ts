import {
  CELL,
  COUNT,
  ForkCore,
  type ForkShape,
  FUNCTION,
  RECORD_WORDS,
} from "../../../lib/tasks/forks/fork_core.ts";
import { DIED, FINISHED, GOING } from "../../../lib/tasks/crew/muster.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, World } from "../spec.ts";

const FILE = "lib/tasks/forks/fork_core.ts";
const VALUE = COUNT;

interface ForkCase extends Omit<Case, "words" | "setup" | "threads"> {
  /** What the first task forks: how many tasks, each of which has a number, and how many each of them forks. */
  readonly tree: readonly number[];
  readonly workers: number;
  /** Whether the first task goes on only when another worker has stolen its first fork. */
  readonly needsHelp?: boolean;
  /** Where the numbers of the deques begin. */
  readonly start?: number;
}

function forkCase(subject: ForkCase): Case {
  const { tree, workers, start = 0, needsHelp = false, ...rest } = subject;
  const shape: ForkShape = { workers, capacity: 4, cells: 8 };
  const size = ForkCore.words(shape);
  const stride = (size - 2 * LINE_WORDS) / workers;
  const total = tree.length + tree.reduce((sum, count) => sum + count, 0) + 1;
  return {
    ...rest,
    threads: workers + 1,
    words: size,
    describe(word) {
      const line = Math.floor(word / LINE_WORDS);
      if (line === 0) return ["caller", "stop"][word] ?? `words[${word}]`;
      if (line === 1) return ["root", "low", "high", "idle"][word - LINE_WORDS] ?? `words[${word}]`;
      const worker = Math.floor((word - 2 * LINE_WORDS) / stride);
      const at = (word - 2 * LINE_WORDS) % stride;
      if (at < LINE_WORDS) return `${["id", "victim", "asleep"][at] ?? at} of worker ${worker}`;
      const cell = at - (stride - LINE_WORDS);
      if (cell < 0) return `deque of worker ${worker} + ${at - LINE_WORDS}`;
      const name = ["state", "thief", "low", "high"][cell % 4];
      return `${name} of cell ${Math.floor(cell / 4)} of worker ${worker}`;
    },
    setup(world: World): Program {
      for (let worker = 0; worker < workers; worker++) {
        const deque = 2 * LINE_WORDS + worker * stride + LINE_WORDS;
        for (const at of [0, 1, 2, LINE_WORDS]) world.words[deque + at] = start;
      }
      /** Of each task: how often it has run. The first one has number 0. */
      const ran = new Array<number>(total).fill(0);
      let running = 0;
      let isOver = false;
      new ForkCore(world.words, shape).open(world.waiter(0));
      const caller = function* (): Wait<void> {
        const core = new ForkCore(world.words, shape);
        const hasResult = yield* core.wait(world.waiter(0));
        isOver = true;
        world.note(1);
        for (let worker = 0; worker < workers; worker++) {
          if (world.killed(worker + 1)) running &= ~(1 << worker);
        }
        world.check(running === 0, "a task runs when all is over");
        const reason = core.stopped();
        world.check(hasResult === (reason === FINISHED), "no result, and no reason");
        if (hasResult) {
          world.check(ran.every((times) => times === 1), `tasks ran ${ran.join()} times`);
          world.check(core.rootLow() === total && core.rootHigh() === -total, "a wrong result");
        } else {
          world.check((rest.kills ?? 0) > 0, "it fails, and nobody died");
          world.check(reason <= DIED && world.killed(DIED - reason + 1), "the dead one lives");
        }
      };
      const worker = (index: number) =>
        function* (): Wait<void> {
          const me = world.waiter(index + 1);
          const core = new ForkCore(world.words, shape);
          if (!core.enter(me, index)) return;
          const record = new Int32Array(RECORD_WORDS);
          let open = 0;
          /** Of its cells: the values of tasks that are done. */
          const values: (number | undefined)[] = [];
          // A task is a number; its value is how many tasks it and its forks are.
          const forksOf = (task: number): readonly number[] => {
            if (task === 0) return tree.map((_, fork) => fork + 1);
            if (task > tree.length) return [];
            const before = tree.slice(0, task - 1).reduce((sum, count) => sum + count, 0);
            return Array.from(
              { length: tree[task - 1] as number },
              (_, fork) => tree.length + 1 + before + fork,
            );
          };
          const begin = (task: number): void => {
            world.check(!isOver, "a task begins when all is over");
            world.check(++(ran[task] as number) === 1, `task ${task} runs twice`);
            world.note((index << 8) | task);
            running |= 1 << index;
          };
          interface Frame {
            readonly task: number;
            /** Its cell, and whose. */
            readonly cell: number;
            readonly victim: number;
            sum: number;
            /** How many of its forks have not been joined. */
            left: number;
            readonly base: number;
          }
          const frames: Frame[] = [];
          const call = (task: number, cell: number, victim: number): void => {
            begin(task);
            const base = open;
            for (const fork of forksOf(task)) {
              record[FUNCTION] = 1;
              record[VALUE] = fork;
              record[CELL] = open;
              world.check(core.fork(me, record), "there is room");
              open++;
            }
            frames.push({ task, cell, victim, sum: 1, left: open - base, base });
            if (!needsHelp || task !== 0) return;
            // The other one of two workers.
            const other = 3 - index;
            for (let round = 0; core.thiefOf(0) < 0 && me.alive(other); round++) me.spin(round);
          };
          if (core.takeRoot()) call(0, -1, index);
          for (;;) {
            const frame = frames.at(-1);
            if (frame === undefined) {
              if (!core.goesOn()) break;
              let found = false;
              for (let victim = 0; victim < workers && !found; victim++) {
                if (victim === index || !core.steal(me, victim, record)) continue;
                found = true;
                call(record[VALUE] as number, record[CELL] as number, victim);
              }
              if (!found && !(yield* core.idle())) break;
              continue;
            }
            if (frame.left === 0) {
              frames.pop();
              open = frame.base;
              if (frames.length === 0) running &= ~(1 << index);
              if (frame.cell < 0) core.finishRoot(me, frame.sum, -frame.sum);
              else if (frame.victim !== index) {
                core.complete(me, frame.victim, frame.cell, frame.sum, -frame.sum);
              } else values[frame.cell] = frame.sum;
              continue;
            }
            // Joins its last fork.
            const cell = frame.base + frame.left - 1;
            if (values[cell] !== undefined) {
              frame.sum += values[cell] as number;
              values[cell] = undefined;
              frame.left--;
              continue;
            }
            if (core.pop(me, record)) {
              call(record[VALUE] as number, record[CELL] as number, index);
              continue;
            }
            if (core.isReady(cell)) {
              world.check(core.high(cell) === -core.low(cell), "half a result");
              values[cell] = core.low(cell);
              continue;
            }
            if (!core.goesOn()) break;
            const thief = core.thiefOf(cell);
            if (thief >= 0 && core.steal(me, thief, record)) {
              call(record[VALUE] as number, record[CELL] as number, thief);
              continue;
            }
            const lost = core.lostTo(me, cell);
            if (lost >= 0) {
              world.check(world.killed(lost + 1), "the thief lives");
              world.check(!core.isReady(cell), "the task is done");
              core.end(me, DIED - lost);
              break;
            }
            yield* core.sleep(cell);
          }
          running &= ~(1 << index);
          world.check(core.stopped() !== GOING, "leaves, and it goes on");
          core.leave(me);
        };
      return {
        threads: [caller, ...Array.from({ length: workers }, (_, index) => worker(index))],
      };
    },
  };
}

const cases: readonly ForkCase[] = [
  { name: "help", preemptions: 2, fullPreemptions: 3, workers: 2, tree: [0], needsHelp: true },
  { name: "one task", preemptions: 1, fullPreemptions: 3, workers: 2, tree: [0] },
  { name: "two tasks", preemptions: 1, fullPreemptions: 2, workers: 2, tree: [0, 0] },
  { name: "a task forks", preemptions: 1, fullPreemptions: 2, workers: 2, tree: [1] },
  { name: "three workers", preemptions: 1, full: true, workers: 3, tree: [0, 0] },
  {
    name: "numbers wrap",
    ...{ preemptions: 1, fullPreemptions: 2, workers: 2, tree: [0, 0], start: 2 ** 31 - 1 },
  },
  {
    name: "death of a thief",
    ...{ preemptions: 1, fullPreemptions: 2, kills: 1, victim: 2, workers: 2, tree: [0, 0] },
  },
  {
    name: "help and death",
    ...{ preemptions: 2, kills: 1, victims: [1, 2], workers: 2, tree: [0], needsHelp: true },
  },
  {
    name: "death of any",
    ...{ preemptions: 1, fullPreemptions: 2, kills: 1, victims: [1, 2], workers: 2, tree: [0] },
  },
];

const mutants: readonly Mutant[] = [
  {
    file: FILE,
    name: "a task that was stolen is there again",
    find: "    return this.#dequeOf(this.#worker).pop(me, record) === DONE;",
    replace: "    return this.#dequeOf(this.#worker).pop(me, record) >= 0;",
  },
  {
    file: FILE,
    name: "two workers run the first task",
    find: "return Atomics.compareExchange(this.#words, ROOT, 0, this.#worker + 1) === 0;",
    replace: "return Atomics.exchange(this.#words, ROOT, this.#worker + 1) >= 0;",
  },
  {
    file: FILE,
    name: "looks who is idle before it pushes",
    find: `    if (this.#dequeOf(this.#worker).push(me, record) !== DONE) return false;
    if (loadShared(words, IDLE) !== 0) this.#wakeOne(me);`,
    replace: `    const idle = loadShared(words, IDLE);
    if (this.#dequeOf(this.#worker).push(me, record) !== DONE) return false;
    if (idle !== 0) this.#wakeOne(me);`,
  },
  {
    file: FILE,
    name: "an idle worker does not look again",
    find: "if (!this.#hasWork()) over = yield SLICE_MS;",
    replace: "over = yield SLICE_MS;",
  },
  {
    file: FILE,
    name: "the first task wakes nobody",
    find: "      if (id !== 0 && id !== me.id) me.unpark(id);",
    replace: "",
  },
  {
    file: FILE,
    name: "a task is done before its result is there",
    find: `    words[at + LOW] = low;
    words[at + HIGH] = high;
    if (Atomics.exchange(words, at + STATE, READY) !== SLEEPING) return;`,
    replace: `    const before = Atomics.exchange(words, at + STATE, READY);
    words[at + LOW] = low;
    words[at + HIGH] = high;
    if (before !== SLEEPING) return;`,
  },
  {
    file: FILE,
    name: "a worker that joins is not woken",
    find: "    me.unpark(idOf(this.#muster, victim));\n  }",
    replace: "  }",
  },
  {
    file: FILE,
    name: "a worker goes to sleep without looking whether the task is done",
    find:
      "    if (Atomics.compareExchange(words, at, PENDING, SLEEPING) !== PENDING) return true;\n",
    replace: "    Atomics.store(words, at, SLEEPING);\n",
  },
  {
    file: FILE,
    name: "a cell is cleared after its task can be stolen",
    find: `    words[at + STATE] = PENDING;
    words[at + THIEF] = 0;
    if (this.#dequeOf(this.#worker).push(me, record) !== DONE) return false;`,
    replace: `    if (this.#dequeOf(this.#worker).push(me, record) !== DONE) return false;
    words[at + STATE] = PENDING;
    words[at + THIEF] = 0;`,
  },
  {
    file: FILE,
    name: "a thief does not say from whom it steals",
    find: "    Atomics.store(words, this.#line + VICTIM, victim + 1);\n",
    replace: "",
  },
  {
    file: FILE,
    name: "a thief is done with stealing before its number is in the cell",
    find: `    if (done === DONE) {
      Atomics.store(words, this.#cellOf(victim, record[CELL] as number) + THIEF, this.#worker + 1);
    }
    Atomics.store(words, this.#line + VICTIM, 0);`,
    replace: `    Atomics.store(words, this.#line + VICTIM, 0);
    if (done === DONE) {
      Atomics.store(words, this.#cellOf(victim, record[CELL] as number) + THIEF, this.#worker + 1);
    }`,
  },
  {
    file: FILE,
    name: "a thief that lives is taken for dead",
    find:
      "    if (!this.#isDead(me, thief)) return -1;\n    return this.isReady(cell) ? -1 : thief;",
    replace: "    return this.isReady(cell) ? -1 : thief;",
  },
  {
    file: FILE,
    name: "what is done is lost with a thief that died later",
    find: "    return this.isReady(cell) ? -1 : thief;",
    replace: "    return thief;",
  },
  {
    file: FILE,
    name: "a death while the first task runs is not seen",
    find: "      if (this.#isDead(me, root)) this.end(me, DIED - root);",
    replace: "",
  },
  {
    file: FILE,
    name: "it is over as soon as there is a result",
    find: "    return this.stopped() !== GOING && !isInside(this.#muster, me);",
    replace: "    return this.stopped() !== GOING;",
  },
];

/** Every task runs once; who joins gets its result, and learns of deaths. */
export const specs: readonly Spec[] = [{
  name: "ForkCore",
  cases: cases.map(forkCase),
  mutants,
  plainSteps: ["lib/structs/deques/deque_core.ts"],
}];
