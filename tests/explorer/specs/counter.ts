import {
  CounterCore,
  type PartitionedCounterShards,
} from "../../../lib/sync/counters/counter_core.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import { LINE_WORDS, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Thread, World } from "../spec.ts";
import type { Spec } from "../spec.ts";

const FILE = "lib/sync/counters/counter_core.ts";
/** Where the anchor moves. */
const FAR = 3 * 2 ** 28;
const SHAPE: Shape = { threads: 4, domains: 1 };
const NAMES = ["low", "high"];

function describe(word: number): string {
  const line = Math.floor(word / LINE_WORDS);
  const name = NAMES[word % LINE_WORDS] ?? `${word % LINE_WORDS}`;
  return line === 0 ? "used" : `${name} of shard ${line - 1}`;
}

/** All sums that there can be when each thread has done some of its adds, in its order. */
function possible(start: number, adds: readonly (readonly number[])[]): readonly number[] {
  let sums = [start];
  for (const own of adds) {
    let done = 0;
    const prefixes = [0, ...own.map((n) => done += n)];
    sums = sums.flatMap((sum) => prefixes.map((prefix) => sum + prefix));
  }
  return sums;
}

/** The case with a second shard, which nobody adds to: a shard alone is read in another way. */
const BESIDE = "far and back";

/** Writers, and a thread that reads the sum twice. */
function reading(
  name: string,
  shards: PartitionedCounterShards,
  adds: readonly (readonly number[])[],
  more: Partial<Case>,
): Case {
  const most = more.kills ?? 0;
  const usedBefore = name === BESIDE ? 2 : 0;
  return {
    name,
    threads: adds.length + 1,
    domains: [...adds, []].map(() => 0),
    words: CounterCore.words(SHAPE, shards),
    preemptions: 2,
    describe,
    ...more,
    setup(world: World): Program {
      const { words } = world;
      words[LINE_WORDS] = FAR - 1;
      words[0] = usedBefore;
      const sums = possible(FAR - 1, adds);
      const writer = (own: readonly number[], index: number): Thread => () => {
        const counter = new CounterCore(words, SHAPE, shards);
        for (const n of own) counter.add(world.waiter(index), n);
      };
      const reader = (): void => {
        const counter = new CounterCore(words, SHAPE, shards);
        for (let round = 0; round < 2; round++) {
          const value = counter.value();
          world.check(value === 0 || sums.includes(value), `${value} was never the sum`);
        }
      };
      return {
        threads: [...adds.map(writer), reader],
        end: () => {
          const value = new CounterCore(words, SHAPE, shards).value();
          const total = sums.at(-1) as number;
          world.check(value === total || (most > 0 && sums.includes(value)), `the sum is ${value}`);
        },
      };
    },
  };
}

/** Thread 0 may be killed; thread 1 then has its slot, and goes on. */
const SUCCESSOR: Case = {
  name: "a slot's next thread",
  threads: 2,
  words: CounterCore.words(SHAPE),
  preemptions: 2,
  kills: 1,
  victim: 0,
  describe,
  setup(world: World): Program {
    const { words } = world;
    words[LINE_WORDS] = FAR - 1;
    const first = [2, 2 ** 30, -7];
    const next = [2 ** 30, 2 ** 30, -(2 ** 30)];
    let took = false;
    return {
      threads: [
        () => {
          const counter = new CounterCore(words, SHAPE);
          for (const n of first) counter.add(world.waiter(0), n);
        },
        () => {
          if (world.waiter(1).alive(1)) return;
          took = true;
          const counter = new CounterCore(words, SHAPE);
          for (const n of next) counter.add({ slot: 0 } as Waiter, n);
        },
      ],
      end: () => {
        const sums = possible(FAR - 1, [first]).map((sum) => took ? sum + 2 ** 30 : sum);
        // Killed before it told that it has a shard, it has not added either.
        const { value } = { value: new CounterCore(words, SHAPE).value() };
        world.check(value === 0 || sums.includes(value), `the sum is ${value}`);
      },
    };
  },
};

/** Partitioned counters: values that are never torn, and nothing that is lost. */
export const specs: readonly Spec[] = [{
  name: "PartitionedCounter",
  cases: [
    reading("one writer", "thread", [[2, 2 ** 30, -5, -(2 ** 30), -(2 ** 30), -(2 ** 30)]], {
      preemptions: 4,
    }),
    reading(BESIDE, "thread", [[...Array(2).fill(2 ** 30), ...Array(3).fill(-(2 ** 30))]], {
      preemptions: 4,
    }),
    reading("far, by two", "domain", [[2], Array(48).fill(2 ** 26)], { preemptions: 2 }),
    reading("two shards", "thread", [[2, 2 ** 30], [1, -7]], { preemptions: 3 }),
    reading("one shard for two", "domain", [[2, 2 ** 26], [2 ** 26, -7]], { preemptions: 3 }),
    reading("down and up", "domain", [[2, -(2 ** 26)], [2 ** 26, 3]], { preemptions: 3 }),
    reading("death", "domain", [[2, 5], [2 ** 26]], { preemptions: 2, kills: 1 }),
    SUCCESSOR,
  ],
  mutants: [
    {
      file: FILE,
      name: "an anchor that comes back is the same one",
      find: "const version = (high & ~ANCHOR_MASK) + ANCHOR_MASK + 1;",
      replace: "const version = high & ~ANCHOR_MASK;",
    },
    {
      file: FILE,
      name: "an anchor that is late is put in place of a newer one",
      find: "Atomics.compareExchange(line, HIGH, high, version | ((high + steps) & ANCHOR_MASK));",
      replace: "Atomics.store(line, HIGH, version | ((high + steps) & ANCHOR_MASK));",
    },
    {
      file: FILE,
      name: "does not look at high again",
      find: "if (again === high) return",
      replace: "if (again === again) return",
    },
    {
      file: FILE,
      name: "does not look at high of all shards again",
      find: "sum += high === highs[shard - first]",
      replace: "sum += high === high",
    },
    {
      file: FILE,
      name: "looks at high again without order",
      find: `    fence();
    for (let shard = first; shard < end; shard++) {
      lows[shard - first] = loadFollowing(words, (1 + shard) * LINE_WORDS + LOW);
    }
    fence();
`,
      replace: `    for (let shard = first; shard < end; shard++) {
      lows[shard - first] = loadFollowing(words, (1 + shard) * LINE_WORDS + LOW);
    }
`,
    },
    {
      file: FILE,
      name: "adds in two steps",
      find: "(Atomics.add(line, LOW, n) + n) | 0",
      replace: "Atomics.store(line, LOW, (Atomics.load(line, LOW) + n) | 0)",
    },
    {
      file: FILE,
      name: "the anchor does not move",
      find: "if (distance >= FAR || distance < -FAR) this.#moveAnchor();",
      replace: "",
    },
    {
      file: FILE,
      name: "the anchor moves up only",
      find: "const steps = ((distance >> (ANCHOR_SHIFT - 1)) + 1) >> 1;",
      replace: "const steps = 1;",
    },
    {
      file: "lib/wait/slot_words.ts",
      name: "used is set back",
      find: "const seen = Atomics.compareExchange(words, at, found, least);",
      replace: "const seen = found;\n    Atomics.store(words, at, least);",
    },
  ],
}];
