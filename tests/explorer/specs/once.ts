import { ONCE_BUSY, ONCE_DONE, ONCE_RUN, OnceCore } from "../../../lib/sync/barriers/once_core.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const FILE = "lib/sync/barriers/once_core.ts";

function describe(word: number): string {
  return ["state", "used"][word] ?? `sleeper of slot ${word - LINE_WORDS}`;
}

/**
 * Threads that all want it done; the first runs fail.
 *
 * @param name Of the case.
 * @param threads How many.
 * @param failures Runs that fail.
 * @param more How far.
 */
function once(name: string, threads: number, failures: number, more: Partial<Case>): Case {
  const shape: Shape = { threads: 1 + Math.max(...more.slots ?? [threads - 1]), domains: 1 };
  const { kills = 0, timeouts = 0 } = more;
  return {
    name,
    threads,
    words: OnceCore.words(shape),
    preemptions: 2,
    spins: 0,
    describe,
    ...more,
    setup(world: World): Program {
      const { words } = world;
      let runs = 0;
      let finished = 0;
      let runner = -1;
      let last = -1;
      const thread = (index: number) =>
        function* (): Wait<void> {
          const core = new OnceCore(words, shape);
          const me = world.waiter(index);
          let answer = core.begin(me);
          if (answer === ONCE_BUSY) answer = yield* core.wait(me);
          world.check(answer !== ONCE_BUSY || timeouts > 0, "an answer");
          if (answer === ONCE_DONE) {
            world.check(finished === 1 || kills > 0, "it was done before anybody is told so");
          }
          if (answer !== ONCE_RUN) {
            return world.check(!core.runs(me), "who does not run it does not");
          }
          world.check(runner < 0 || world.killed(runner), `thread ${runner} runs, too`);
          // Killed before it could say so, a runner has not done it.
          if (last >= 0 && world.killed(last)) finished = 0;
          world.check(finished === 0, "it is done once");
          world.check(core.runs(me), "who runs it does");
          runner = last = index;
          runs++;
          world.note(runs);
          world.pause();
          const done = runs > failures;
          if (done) finished++;
          runner = -1;
          world.note(finished);
          world.check(core.end(me, done), "the runner ends it");
          world.check(!core.end(me, done), "it ends once");
        };
      return {
        threads: Array.from({ length: threads }, (_, index) => thread(index)),
        end: () => {
          const core = new OnceCore(words, shape);
          if (kills + timeouts === 0) {
            world.check(core.done() === (runs > failures), "it is done in the end");
            world.check(runs === Math.min(threads, failures + 1), `${runs} runs`);
          }
          const sleepers = words.subarray(LINE_WORDS).filter((id) =>
            id !== 0 && !world.killed(id - 1)
          );
          world.check(sleepers.length === 0, "nobody is taken for a sleeper");
        },
      };
    },
  };
}

/** Things done once: by one at a time, until it is done. */
export const specs: readonly Spec[] = [{
  name: "Once",
  cases: [
    once("two", 2, 0, { preemptions: 3 }),
    once("three", 3, 0, {}),
    once("failures", 3, 2, {}),
    once("spinning", 3, 1, { spins: 1 }),
    once("giving up", 3, 1, { timeouts: 1, spurious: 1 }),
    once("death", 2, 0, { kills: 1, preemptions: 3 }),
    once("a slot's next thread", 3, 0, { slots: [0, 1, 0], kills: 1, victim: 0 }),
    once("death of three", 3, 1, { kills: 1 }),
  ],
  mutants: [
    {
      file: FILE,
      name: "sleeps without a word",
      find: "const answer = this.#look(me, SLEEPERS);",
      replace: "const answer = this.#look(me, 0);",
    },
    {
      file: FILE,
      name: "runs without looking",
      find:
        "if (next !== state && Atomics.compareExchange(words, STATE, state, next) !== state) continue;",
      replace: "if (next !== state) Atomics.store(words, STATE, next);",
    },
    {
      file: FILE,
      name: "a dead runner counts as alive",
      find: "const free = runner === 0 || !me.alive(runner);",
      replace: "const free = runner === 0;",
    },
    {
      file: "lib/wait/slot_words.ts",
      name: "a failure wakes one who may give up",
      find: "if (id !== 0) me.unpark(id);",
      replace: "if (id !== 0) return me.unpark(id);",
    },
    {
      file: FILE,
      name: "says who sleeps after looking",
      find: "    Atomics.store(words, at, me.id);\n    raise",
      replace: "    if (this.#look(me, SLEEPERS) === ONCE_DONE) return ONCE_DONE;\n    raise",
    },
  ],
}];
