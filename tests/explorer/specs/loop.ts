import { LoopCore, type LoopShape } from "../../../lib/tasks/loops/loop_core.ts";
import { ABANDONED, ABORTED, DIED, FAILED, GOING } from "../../../lib/tasks/crew/muster.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

const FILE = "lib/tasks/loops/loop_core.ts";
const MUSTER = "lib/tasks/crew/muster.ts";

interface LoopCase extends Omit<Case, "words" | "setup" | "threads"> {
  /** Grains of each home. */
  readonly grains: readonly number[];
  /** Of each worker: the homes that it goes through. */
  readonly orders: readonly (readonly number[])[];
  /** How many grains each worker asks for. */
  readonly wants: readonly number[];
  /** The grain, counted over all homes, at which the function throws. */
  readonly throwsAt?: number;
  /** Whether the caller is told that no worker comes any more, as a pool tells it. */
  readonly abandons?: boolean;
}

function loopCase(subject: LoopCase): Case {
  const { grains, orders, wants, throwsAt = -1, abandons = false, ...rest } = subject;
  const shape: LoopShape = { grains, workers: orders.length };
  const total = grains.reduce((sum, count) => sum + count, 0);
  const size = LoopCore.words(shape);
  /** Behind its words: workers that have been there, and come no more. */
  const gone = size;
  /** Behind those: a word of each grain, which is written without order when it is done. */
  const data = gone + LINE_WORDS;
  return {
    ...rest,
    threads: orders.length + 1,
    words: size + LINE_WORDS + total,
    describe(word) {
      const line = Math.floor(word / LINE_WORDS);
      if (word >= data) return `data of grain ${word - data}`;
      if (word >= gone) return `worker ${word - gone} is gone`;
      if (line === 0) return ["caller", "stop"][word] ?? `words[${word}]`;
      if (line > orders.length) return `next of home ${line - 1 - orders.length}`;
      const name = ["id", "done", "taken", "home", "first"][word % LINE_WORDS];
      return `${name} of worker ${line - 1}`;
    },
    setup(world: World): Program {
      /** Of each grain: how often it was begun, and done. */
      const begun = new Array<number>(total).fill(0);
      const done = new Array<number>(total).fill(0);
      let isOver = false;
      let running = 0;
      /** The first reason to stop that a worker gave. */
      let said = GOING;
      const isGone = (): boolean => {
        for (let worker = 0; worker < orders.length; worker++) {
          if (world.killed(worker + 1)) continue;
          if (Atomics.load(world.words, gone + worker) === 0) return false;
        }
        return true;
      };
      const firstOf = (home: number): number =>
        grains.slice(0, home).reduce((sum, count) => sum + count, 0);
      new LoopCore(world.words, shape).open(world.waiter(0));
      const caller = function* (): Wait<void> {
        const core = new LoopCore(world.words, shape);
        const me = world.waiter(0);
        let isDone = false;
        if (abandons) {
          for (;;) {
            // What a pool does when all of its promises have settled.
            const isAlone = isGone();
            if (core.isOver(me)) break;
            if (isAlone && core.stopped() === GOING) core.stop(ABANDONED);
            else yield 20;
          }
          isDone = core.done() === total;
        } else isDone = yield* core.wait(me);
        isOver = true;
        world.note(1);
        // Whatever was written can be read now.
        for (let grain = 0; grain < total; grain++) {
          const isThere = world.words[data + grain] === 1;
          world.check(isThere || done[grain] === 0, "what a grain has written is not there");
        }
        const killed = orders.map((_, worker) => world.killed(worker + 1));
        for (const [worker, isKilled] of killed.entries()) if (isKilled) running &= ~(1 << worker);
        world.check(running === 0, "a worker is in the middle of a grain when the loop is over");
        const reason = core.stopped();
        world.check(isDone || reason !== GOING, "it ends for no reason");
        world.check(said === GOING || reason === said, "the first reason counts");
        const missing = begun.filter((_, grain) => done[grain] === 0);
        const isRight = isDone ? missing.length === 0 : missing.length > 0 || killed.includes(true);
        world.check(isRight, `${missing.length} grains are not done`);
        const mayFail = throwsAt >= 0 || (rest.timeouts ?? 0) > 0 || (rest.kills ?? 0) > 0;
        world.check(isDone || mayFail, "it fails for no reason");
        if (reason <= DIED) world.check(world.killed(DIED - reason + 1), "the dead one lives");
        if (isDone || reason >= FAILED || reason === ABORTED) return;
        if (reason === ABANDONED) {
          world.check(missing.every((times) => times === 0), "nobody says who had these grains");
        } else {
          const { home, first, count } = core.lost(DIED - reason);
          const at = firstOf(home) + first;
          world.check(count > 0 && at >= 0 && at + count <= total, "it lost nothing");
          const isTold = begun.every((times, grain) =>
            times === 0 || done[grain] === 1 || (grain >= at && grain < at + count)
          );
          world.check(isTold, "it lost something else");
        }
      };
      const worker = (index: number): Thread => () => {
        const me = world.waiter(index + 1);
        const core = new LoopCore(world.words, shape);
        if (core.enter(me, index)) {
          for (;;) {
            const isGoing = core.stopped() === GOING;
            const got = core.take(orders[index] as readonly number[], wants[index] as number, 2);
            if (got === 0) break;
            world.check(isGoing, "it takes grains of a loop that was stopped");
            world.check(got <= (wants[index] as number), "more than it asked for");
            const first = firstOf(core.home) + core.first;
            world.check(core.first + got <= (grains[core.home] as number), "no such grain");
            let failed = false;
            for (let grain = first; grain < first + got; grain++) {
              world.check(!isOver, "it is over, and a grain begins");
              world.check(++(begun[grain] as number) === 1, `grain ${grain} twice`);
              world.note((index << 8) | grain);
              running |= 1 << index;
              world.pause();
              running &= ~(1 << index);
              world.words[data + grain] = 1;
              failed ||= grain === throwsAt;
              if (failed) break;
              done[grain] = 1;
              world.note((index << 8) | grain | 128);
            }
            if (failed) {
              if (core.stop(FAILED + index) === FAILED + index) said = FAILED + index;
              world.note(said);
              break;
            }
            core.finish();
          }
          core.leave(me);
        }
        if (!abandons) return;
        Atomics.store(world.words, gone + index, 1);
        me.unpark(1);
      };
      return { threads: [caller, ...orders.map((_, index) => worker(index))] };
    },
  };
}

const one = [[0], [0]];
const two = [[0, 1], [1, 0]];

const cases: readonly LoopCase[] = [
  { name: "one home", preemptions: 2, fullPreemptions: 3, grains: [2], orders: one, wants: [1, 1] },
  {
    name: "takes of two",
    preemptions: 2,
    fullPreemptions: 3,
    grains: [4],
    orders: one,
    wants: [2, 3],
  },
  { name: "two homes", preemptions: 2, grains: [2, 2], orders: two, wants: [1, 1] },
  {
    name: "three workers",
    preemptions: 1,
    fullPreemptions: 2,
    grains: [3],
    orders: [[0], [0], [0]],
    wants: [1, 1, 1],
  },
  { name: "an empty home", preemptions: 3, grains: [0, 2], orders: two, wants: [2, 2] },
  {
    name: "the other home",
    preemptions: 2,
    grains: [1, 2],
    orders: [[0, 1], [0, 1]],
    wants: [1, 1],
  },
  {
    name: "aborted",
    ...{ preemptions: 2, timeouts: 1, grains: [3], orders: one, wants: [1, 1] },
  },
  {
    name: "a function that throws",
    ...{ preemptions: 3, throwsAt: 1, grains: [4], orders: one, wants: [1, 1] },
  },
  {
    name: "aborted when a function throws",
    ...{ preemptions: 2, timeouts: 1, throwsAt: 0, grains: [2], orders: one, wants: [1, 1] },
  },
  {
    name: "death",
    ...{ preemptions: 2, kills: 1, victim: 1, abandons: true },
    ...{ grains: [3], orders: one, wants: [1, 1] },
  },
  {
    name: "death with two grains",
    ...{ preemptions: 2, kills: 1, victim: 1, abandons: true },
    ...{ grains: [4], orders: one, wants: [2, 1] },
  },
];

const mutants: readonly Mutant[] = [
  {
    file: FILE,
    name: "a take looks, and counts then",
    find: "const first = Atomics.add(words, this.#homes + home * LINE_WORDS, ask);",
    replace: "const first = Atomics.load(words, this.#homes + home * LINE_WORDS);\n" +
      "      Atomics.store(words, this.#homes + home * LINE_WORDS, first + ask);",
  },
  {
    file: FILE,
    name: "the last take gets what it asked for",
    find: "const got = ask < left ? ask : left;",
    replace: "const got = ask;",
  },
  {
    file: FILE,
    name: "stays at its first home",
    find: "      this.#at++;\n",
    replace: "      this.#at = order.length;\n",
  },
  {
    file: FILE,
    name: "what is taken counts as done",
    find: "        words[line + TAKEN] = this.#taken;\n",
    replace: "        Atomics.store(words, line + DONE, this.#taken);\n",
  },
  {
    file: FILE,
    name: "does not say what it has taken",
    find: "        words[line + TAKEN] = this.#taken;\n",
    replace: "        words[line + TAKEN] = 0;\n",
  },
  {
    file: FILE,
    name: "says too late where its grains are",
    find: `        words[line + HOME] = home;
        words[line + FIRST] = first;
        words[line + TAKEN] = this.#taken;
`,
    replace: `        words[line + TAKEN] = this.#taken;
        words[line + HOME] = home;
        words[line + FIRST] = first + got;
`,
  },
  {
    file: FILE,
    name: "takes what is there after a stop",
    find: "    if (!goesOn(this.#muster)) return 0;\n",
    replace: "",
  },
  {
    file: FILE,
    name: "adds up before it looks whether it is over",
    find: "      if (this.isOver(me)) return this.done() === this.#total;\n",
    replace: "      const isDone = this.done() === this.#total;\n" +
      "      if (this.isOver(me)) return isDone;\n",
  },
  {
    file: FILE,
    name: "is over as soon as it is stopped",
    find: "(isStopped && !isBusy)",
    replace: "isStopped",
  },
  {
    file: FILE,
    name: "waits for the dead",
    find: "      if (id === 0 || me.alive(id)) continue;\n",
    replace: "      if (id !== -1) continue;\n",
  },
  {
    file: FILE,
    name: "each death is a loss",
    find: "      if (this.lost(worker).count !== 0) this.stop(DIED - worker);",
    replace: "      this.stop(DIED - worker);",
  },
  {
    file: FILE,
    name: "the living are dead",
    find: "      if (id === 0 || me.alive(id)) continue;\n",
    replace: "      if (id === 0) continue;\n",
  },
  {
    file: MUSTER,
    name: "wakes nobody",
    find: "if (!isInside(muster, me)) me.unpark(Atomics.load(words, CALLER));",
    replace: "",
  },
  {
    file: MUSTER,
    name: "the dead are inside",
    find: "if (id !== 0 && me.alive(id)) return true;",
    replace: "if (id !== 0) return true;",
  },
  {
    file: MUSTER,
    name: "the last reason counts",
    find: `  const before = Atomics.compareExchange(words, STOP, GOING, reason);
  return before === GOING ? reason : before;`,
    replace: `  Atomics.store(words, STOP, reason);
  return reason;`,
  },
];

/** As right as the others, one step after the other, but nothing puts the plain accesses in order. */
const disorders: readonly Mutant[] = [
  {
    file: FILE,
    name: "what is done is said without order",
    find: "    Atomics.store(this.#words, this.#lineOf(this.#worker) + DONE, this.#taken);",
    replace: "    this.#words[this.#lineOf(this.#worker) + DONE] = this.#taken;",
  },
  {
    file: FILE,
    name: "grains are counted without order",
    find: "const first = Atomics.add(words, this.#homes + home * LINE_WORDS, ask);",
    replace: "const first = words[this.#homes + home * LINE_WORDS] as number;\n" +
      "      words[this.#homes + home * LINE_WORDS] = first + ask;",
  },
  {
    file: MUSTER,
    name: "a worker goes out without order",
    find: "  Atomics.store(words, muster.lines + worker * muster.stride + ID, 0);",
    replace: "  words[muster.lines + worker * muster.stride + ID] = 0;",
  },
];

/** In which nobody dies and nothing is looked at that a thread is writing. */
const ordered = cases.filter(({ name = "" }) => /^one home|^aborted/.test(name));

/** Every grain is done once; nobody waits too long, nor too short. */
export const specs: readonly Spec[] = [
  { name: "LoopCore", cases: cases.map(loopCase), mutants, plainSteps: [FILE] },
  { name: "LoopCore's order", cases: ordered.map(loopCase), mutants: disorders },
];
