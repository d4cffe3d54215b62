import { LimitCore } from "../../../lib/sync/counters/limit_core.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import { LINE_WORDS, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const FILE = "lib/sync/counters/limit_core.ts";
const LIMIT = 6;
const BATCH = 2;
const NAMES = ["limit", "batch", "used", "owner", "slot line", "moved", "drawing"];

function describe(word: number): string {
  const line = Math.floor(word / LINE_WORDS);
  if (line === 0) return "granted";
  return line === 1 ? NAMES[word - LINE_WORDS] as string : `credit of slot ${line - 2}`;
}

/** What threads do, one number after the other: add so many, or take so many back if they have added them. */
type Steps = readonly (readonly number[])[];

/**
 * The number of what is added is never above the limit, and in the end all that is left can be added.
 *
 * @param name Of the case.
 * @param steps A list for each thread.
 * @param more How far.
 */
function limited(name: string, steps: Steps, more: Partial<Case>): Case {
  const shape: Shape = { threads: 1 + Math.max(...more.slots ?? [steps.length - 1]), domains: 1 };
  return {
    name,
    threads: steps.length,
    words: LimitCore.words(shape),
    preemptions: 2,
    spins: 0,
    describe,
    ...more,
    setup(world: World): Program {
      const { words } = world;
      LimitCore.init(words, LIMIT, BATCH);
      let total = 0;
      /** What threads may have added or taken back without saying so yet. */
      const underWay = steps.map(() => 0);
      const change = (core: LimitCore, me: Waiter, n: number): void => {
        underWay[me.id - 1] = n;
        if (n < 0) {
          world.check(core.sub(me, -n), "what was added can be taken back");
          total += n;
        } else if (core.tryAdd(me, n)) {
          total += n;
          const back = underWay.reduce((sum, other) => sum + Math.min(0, other), 0);
          world.check(total + back <= LIMIT, `${total} is above the limit`);
        }
        underWay[me.id - 1] = 0;
        world.note(total);
      };
      return {
        threads: steps.map((own, index) => () => {
          const core = new LimitCore(words, shape);
          const me = world.waiter(index);
          let has = 0;
          for (const n of own) {
            if (has + n < 0) continue;
            const before = total;
            change(core, me, n);
            if (n < 0 || total !== before) has += n;
          }
        }),
        end: () => {
          const alive = [...steps.keys()].findLast((index) => !world.killed(index)) ?? 0;
          const core = new LimitCore(words, shape);
          const me = world.waiter(alive);
          const lost = underWay.reduce((sum, n) => sum + n, 0);
          // A transfer that a dead thread began counts as added until somebody ends it.
          const exact = more.kills === undefined;
          if (exact) world.check(core.value() === total, `${total} and not ${core.value()}`);
          let added = 0;
          while (core.tryAdd(me, 1)) added++;
          const room = [LIMIT - total, LIMIT - total - lost];
          world.check(room.includes(added), `${total} are added, and ${added} more`);
          world.check(core.value() === LIMIT, `${core.value()} when full`);
        },
      };
    },
  };
}

/** Counters with a limit: never exceeded, and no credit lost. */
export const specs: readonly Spec[] = [{
  name: "LimitCore",
  cases: [
    limited("two", [[1, 1, 2], [2, 1, 1]], { preemptions: 3 }),
    limited("spinning", [[1, 3], [2, 2]], { preemptions: 3, spins: "await" }),
    limited("taking back", [[2, -1, 3, -3], [1, 1, -2]], { preemptions: 3 }),
    limited("death", [[1, 1, 3], [1, 3]], { preemptions: 2, kills: 1 }),
    limited("death and back", [[4, -4, 1], [1, -1]], { preemptions: 2, kills: 1 }),
    limited("a slot's next thread", [[1, 1, 3], [1, 3], [2, -2, 1]], {
      preemptions: 1,
      fullPreemptions: 2,
      slots: [0, 1, 0],
      kills: 1,
      victim: 0,
    }),
    limited("much back", [[6, -1, -1, -1, -1, -1], [5]], { preemptions: 2 }),
    limited("three", [[1, 1], [4], [1, -1]], { preemptions: 2 }),
  ],
  mutants: [
    {
      file: FILE,
      name: "spends without looking",
      find:
        "const found = Atomics.compareExchange(words, at, credit, credit - n);\n      if (found === credit) {\n        this.#credit = credit - n;",
      replace:
        "const found = credit;\n      if (found === credit) {\n        Atomics.store(words, at, credit - n);\n        this.#credit = credit - n;",
    },
    {
      file: FILE,
      name: "grants without looking",
      find:
        "if (Atomics.compareExchange(words, GRANTED, granted, granted + n) !== granted) continue;",
      replace: "Atomics.add(words, GRANTED, n);",
    },
    {
      file: FILE,
      name: "a dead thread's transfer is not ended",
      find: "    this.#finish();\n    return true;\n  }",
      replace: "    return true;\n  }",
    },
    {
      file: FILE,
      name: "a dead thread's transfer is done twice",
      find: "(word & MOVING) === 0;) {",
      replace: "true;) {",
    },
    {
      file: FILE,
      name: "the second bit goes first",
      find: "    if ((Atomics.load(words, from) & MOVING) !== 0) {",
      replace:
        "    if ((Atomics.load(words, from) & MOVING) !== 0) {\n      Atomics.and(words, to, ~MOVING);",
    },
    {
      file: FILE,
      name: "a dead owner counts as alive",
      find: "me.alive(owner) || Atomics",
      replace: "owner !== 0 || Atomics",
    },
    {
      file: FILE,
      name: "who gives credit back moves credit for ever",
      find: "        this.#giveBack(at, this.#batch);\n        Atomics.store(words, OWNER, 0);",
      replace: "        this.#giveBack(at, this.#batch);",
    },
    {
      file: FILE,
      name: "draws what there is no room for",
      find: "if ((granted & AMOUNT) + extra > this.limit) break;",
      replace: "",
    },
  ],
}];
