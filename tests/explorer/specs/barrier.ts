import {
  BARRIER_DIED,
  BARRIER_GAVE_UP,
  BARRIER_LEADER,
  BARRIER_PASSED,
  BARRIER_RESET,
  BARRIER_WAITING,
  BarrierCore,
} from "../../../lib/sync/barriers/barrier_core.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const FILE = "lib/sync/barriers/barrier_core.ts";
/** Why sleeps end. */
const RESETS = "a reset looks each millisecond whether all are out";

/** A case. */
interface Parties extends Partial<Case> {
  readonly domains: readonly number[];
  /** How often they meet. */
  readonly phases: number;
  /** How many the domains expect in the first phase. */
  readonly expected?: readonly number[];
  /** Whether the first thread resets it instead of taking part. */
  readonly reset?: boolean;
}

function barrier(name: string, wants: Parties): Case {
  const { phases, expected = [], reset = false, ...more } = wants;
  const { domains, kills = 0, timeouts = 0 } = more;
  const threads = domains.length;
  const parties = threads - Number(reset);
  const shape: Shape = { threads, domains: 1 + Math.max(...domains) };
  const describe = (word: number): string => {
    const line = Math.floor(word / LINE_WORDS);
    const at = word % LINE_WORDS;
    if (line === 0) return "phase";
    if (line === 1) return ["counted 0", "counted 1", "parties", "used", "resetter"][at] as string;
    if (line < 2 + shape.domains) {
      return `${["arrived 0", "arrived 1", "asleep"][at]} of domain ${line - 2}`;
    }
    return `${["party", "phase"][at]} of slot ${line - 2 - shape.domains}`;
  };
  return {
    name,
    threads,
    words: BarrierCore.words(shape),
    preemptions: 2,
    spins: 0,
    describe,
    ...more,
    setup(world: World): Program {
      const { words } = world;
      BarrierCore.init(words, parties);
      for (const [domain, count] of expected.entries()) {
        words[(2 + domain) * LINE_WORDS] = count << 16;
      }
      // Otherwise nobody misses who dies before it comes for the first time.
      if (kills > 0) {
        for (let index = 0; index < threads; index++) {
          new BarrierCore(words, shape).join(world.waiter(index));
        }
      }
      const arrivals = Array.from({ length: phases }, () => 0);
      const leaders = Array.from({ length: phases }, () => 0);
      let sureness = 0;
      const party = (index: number) =>
        function* (): Wait<void> {
          const core = new BarrierCore(words, shape);
          const me = world.waiter(index);
          for (let phase = 0; phase < phases; phase++) {
            (arrivals[phase] as number)++;
            let answer = core.begin(me);
            if (answer === BARRIER_WAITING) answer = yield* core.wait(me);
            if (answer === BARRIER_RESET && reset) {
              // It comes once more when the reset is over.
              (arrivals[phase--] as number)--;
              while (core.broken() !== 0) yield 1;
              continue;
            }
            if (answer === BARRIER_LEADER) (leaders[phase] as number)++;
            world.note(answer);
            if (answer !== BARRIER_LEADER && answer !== BARRIER_PASSED) {
              world.check(kills + timeouts > 0, "it does not break");
              world.check(answer !== BARRIER_DIED || kills > 0, "nobody has died");
              world.check(answer !== BARRIER_GAVE_UP || timeouts > 0, "nobody has given up");
              world.check(answer !== BARRIER_RESET, "nobody resets it");
              break;
            }
            world.check(arrivals[phase] === parties, `${arrivals[phase]} have come`);
            world.check((leaders[phase] as number) <= 1, "there is one leader");
          }
          sureness++;
        };
      const resetter = function* (): Wait<void> {
        const core = new BarrierCore(words, shape);
        const done = yield* core.reset(world.waiter(0));
        world.check(done || timeouts > 0, "it can be reset");
      };
      return {
        threads: Array.from(
          { length: threads },
          (_, index) => reset && index === 0 ? resetter : party(index),
        ),
        end: () => {
          const core = new BarrierCore(words, shape);
          if (kills + timeouts === 0) {
            world.check(leaders.every((count) => count === 1), "each phase has a leader");
            world.check(sureness === parties && core.broken() === 0, "all have passed");
          }
        },
      };
    },
  };
}

/** Two threads; the second begins anew after a reset that tells the first to leave. */
const AGAIN: Case = {
  name: "passing after a reset",
  threads: 2,
  words: BarrierCore.words({ threads: 2, domains: 1 }),
  preemptions: 2,
  domains: [0, 0],
  spins: 0,
  slices: RESETS,
  setup(world: World): Program {
    const { words } = world;
    const shape: Shape = { threads: 2, domains: 1 };
    BarrierCore.init(words, 2);
    const cross = function* (index: number): Wait<number> {
      const core = new BarrierCore(words, shape);
      const answer = core.begin(world.waiter(index));
      return answer === BARRIER_WAITING ? yield* core.wait(world.waiter(index)) : answer;
    };
    let leaders = 0;
    return {
      threads: [
        function* (): Wait<void> {
          let answer = yield* cross(0);
          // Broken by the other thread's reset: it may take some tries until that is over.
          for (let round = 0; answer === BARRIER_RESET; round++) {
            if (new BarrierCore(words, shape).broken() !== 0 && !world.waiter(0).spin(round)) {
              yield 1;
            }
            answer = yield* cross(0);
          }
          world.note(answer);
          leaders += Number(answer === BARRIER_LEADER);
        },
        function* (): Wait<void> {
          const core = new BarrierCore(words, shape);
          world.check(yield* core.reset(world.waiter(1)), "it can be reset");
          const answer = yield* cross(1);
          world.note(answer);
          world.check(answer === BARRIER_LEADER || answer === BARRIER_PASSED, "it is whole again");
          leaders += Number(answer === BARRIER_LEADER);
        },
      ],
      end: () => world.check(leaders === 1, `${leaders} leaders`),
    };
  },
};

/** Two parties: one stays for two phases, and two that do not block come for one each, leave and are gone. */
const LEAVING: Case = {
  name: "leaving",
  threads: 3,
  words: BarrierCore.words({ threads: 3, domains: 2 }),
  preemptions: 2,
  domains: [0, 1, 0],
  spins: 0,
  spurious: 1,
  slices: "the last to come looks each millisecond whether it is its turn",
  gone: true,
  setup(world: World): Program {
    const { words } = world;
    const shape: Shape = { threads: 3, domains: 2 };
    BarrierCore.init(words, 2);
    const party = (index: number, first: number, phases: number) =>
      function* (): Wait<void> {
        const core = new BarrierCore(words, shape);
        const me = world.waiter(index);
        while (first > 0 && Atomics.load(words, 0) === 0) yield 1;
        for (let phase = 0; phase < phases; phase++) {
          let answer = core.begin(me);
          if (answer === BARRIER_WAITING) answer = yield* core.wait(me);
          world.note(answer);
          const passed = answer === BARRIER_LEADER || answer === BARRIER_PASSED;
          world.check(passed, `nobody dies, and it says ${answer}`);
        }
        core.leave(me);
      };
    return { threads: [party(0, 0, 1), party(1, 0, 2), party(2, 1, 1)] };
  },
};

/** One of two parties may be killed; the next thread of its slot is told so, and whoever waits. */
const NEXT: Case = {
  name: "a slot's next thread",
  threads: 3,
  words: BarrierCore.words({ threads: 2, domains: 1 }),
  preemptions: 2,
  domains: [0, 0, 0],
  slots: [0, 1, 0],
  spins: 0,
  kills: 1,
  victim: 0,
  setup(world: World): Program {
    const { words } = world;
    const shape: Shape = { threads: 2, domains: 1 };
    BarrierCore.init(words, 2);
    for (const index of [0, 1]) new BarrierCore(words, shape).join(world.waiter(index));
    const party = (index: number) =>
      function* (): Wait<void> {
        const core = new BarrierCore(words, shape);
        for (let phase = 0; phase < 2; phase++) {
          let answer = core.begin(world.waiter(index));
          if (answer === BARRIER_WAITING) answer = yield* core.wait(world.waiter(index));
          const passed = answer === BARRIER_LEADER || answer === BARRIER_PASSED;
          world.check(passed ? index < 2 : answer === BARRIER_DIED, `it says ${answer}`);
          if (!passed) return world.check(world.killed(0), "nobody has died");
        }
      };
    return { threads: [party(0), party(1), party(2)] };
  },
};

/** A party that is in may be killed; another one resets: it waits for nobody that is dead. */
const RESET_AFTER_DEATH: Case = {
  name: "reset after a death",
  threads: 3,
  words: BarrierCore.words({ threads: 3, domains: 1 }),
  preemptions: 1,
  domains: [0, 0, 0],
  spins: 0,
  kills: 1,
  victims: [0, 1],
  slices: RESETS,
  setup(world: World): Program {
    const { words } = world;
    const shape: Shape = { threads: 3, domains: 1 };
    BarrierCore.init(words, 3);
    new BarrierCore(words, shape).begin(world.waiter(0));
    const party = function* (): Wait<void> {
      const answer = yield* new BarrierCore(words, shape).wait(world.waiter(0));
      world.check(answer === BARRIER_RESET || answer === BARRIER_DIED, `it says ${answer}`);
    };
    const resetter = (index: number) =>
      function* (): Wait<void> {
        const core = new BarrierCore(words, shape);
        world.check(yield* core.reset(world.waiter(index)), "it can be reset");
      };
    return { threads: [party, resetter(1), resetter(2)] };
  },
};

/** Barriers: nobody passes before all have come, nobody stays when one will not come. */
export const specs: readonly Spec[] = [{
  name: "Barrier",
  cases: [
    barrier("two", { domains: [0, 0], phases: 3, preemptions: 2 }),
    barrier("two domains", { domains: [0, 1], phases: 3, preemptions: 2 }),
    barrier("three", { domains: [0, 0, 1], phases: 2, preemptions: 1, fullPreemptions: 2 }),
    barrier("spinning", {
      domains: [0, 0, 1],
      phases: 2,
      spins: "await",
      preemptions: 1,
      fullPreemptions: 2,
    }),
    barrier("moved", { domains: [0, 0, 1], phases: 1, expected: [1, 2], preemptions: 2 }),
    barrier("moved away", { domains: [0, 0], phases: 2, expected: [3], preemptions: 3 }),
    barrier("giving up", {
      domains: [0, 0, 1],
      phases: 1,
      timeouts: 1,
      preemptions: 1,
      fullPreemptions: 2,
    }),
    barrier("death", { domains: [0, 1], phases: 2, kills: 1, victim: 0, preemptions: 2 }),
    barrier("death of three", { domains: [0, 0, 1], phases: 1, kills: 1, preemptions: 1 }),
    LEAVING,
    barrier("reset", { domains: [0, 0, 1], phases: 1, reset: true, slices: RESETS }),
    barrier("reset after a phase", {
      domains: [0, 0, 1],
      phases: 2,
      preemptions: 1,
      reset: true,
      slices: RESETS,
    }),
    NEXT,
    RESET_AFTER_DEATH,
    AGAIN,
  ],
  mutants: [
    {
      file: FILE,
      name: "a slot's next thread hides that the last one is dead",
      find: "if (before === 0 || before === me.id) return;",
      replace: "if (before >= 0) return;",
    },
    {
      file: FILE,
      name: "a reset waits for the dead",
      find: "if ((party & INSIDE) !== 0 && me.alive(party & ID_MASK)) return true;",
      replace: "if ((party & INSIDE) !== 0) return true;",
    },
    {
      file: FILE,
      name: "nobody follows a dead resetter",
      find:
        "        if (Atomics.compareExchange(words, RESETTER, other, me.id) === other) break;\n        continue;",
      replace: "        return false;",
    },
    {
      file: FILE,
      name: "a reset forgets what was counted in the phase after",
      find: "      Atomics.store(words, COUNTED + parity, 0);\n      for (",
      replace: "      for (",
    },
    {
      file: FILE,
      name: "does not add up before it sleeps",
      find: "if (short > 0 && this.#sum(parity)",
      replace: "if (short > 99 && this.#sum(parity)",
    },
    {
      file: FILE,
      name: "counts itself and, once more, all of its domain",
      find: "if (arrived >= expected) {",
      replace: "if (arrived >= 1) {",
    },
    {
      file: FILE,
      name: "begins the phase before the next one is prepared",
      find: "Atomics.store(words, COUNTED + 1 - parity, 0);",
      replace: "",
    },
    {
      file: FILE,
      name: "wakes before the phase has changed",
      find:
        "if (Atomics.compareExchange(words, PHASE, phase, next) !== phase) return false;\n    this.#wakeAll(me);",
      replace:
        "this.#wakeAll(me);\n    if (Atomics.compareExchange(words, PHASE, phase, next) !== phase) return false;",
    },
    {
      file: FILE,
      name: "clears that there are sleepers after waking them",
      find:
        "      Atomics.store(words, at, 0);\n      any = true;\n    }\n    if (!any) return;\n    const used = Atomics.load(words, USED);\n    for (let slot = 0; slot < used; slot++) {\n      const party = Atomics.load(words, this.#slots + slot * LINE_WORDS);\n      const id = party & ID_MASK;\n      if ((party & ASLEEP) !== 0 && id !== me.id) me.unpark(id);\n    }",
      replace:
        "any = true;\n    }\n    if (!any) return;\n    const used = Atomics.load(words, USED);\n    for (let slot = 0; slot < used; slot++) {\n      const party = Atomics.load(words, this.#slots + slot * LINE_WORDS);\n      const id = party & ID_MASK;\n      if ((party & ASLEEP) !== 0 && id !== me.id) me.unpark(id);\n    }\n    for (let domain = 0; domain < this.#domains; domain++) {\n      Atomics.store(words, DOMAINS + domain * LINE_WORDS + SLEEPERS, 0);\n    }",
    },
    {
      file: FILE,
      name: "says that it sleeps after looking",
      find: "Atomics.store(words, at, me.id | INSIDE | ASLEEP);",
      replace: "",
    },
    {
      file: FILE,
      name: "does not look for the dead",
      find: "(over || this.#anyDead(me))",
      replace: "over",
    },
    {
      file: FILE,
      name: "takes who has left for dead",
      find: "if ((Atomics.load(words, at) & ID_MASK) === id) return true;",
      replace: "return true;",
    },
    {
      file: FILE,
      name: "breaks what has ended",
      find: "if (Atomics.compareExchange(this.#words, PHASE, phase, phase | reason) === phase) {",
      replace: "if (Atomics.store(this.#words, PHASE, phase | reason) !== 0) {",
    },
    {
      file: FILE,
      name: "resets while somebody is in",
      find: "this.#anyInside(me); round++) {",
      replace: "false; round++) {",
    },
  ],
}];
