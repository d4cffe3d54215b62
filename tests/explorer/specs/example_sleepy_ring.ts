import type { Wait } from "../../../lib/wait/waiter.ts";
import { ringWords, SleepyRing } from "../examples/sleepy_ring.ts";
import type { Mutant, Spec } from "../spec.ts";

const CAPACITY = 2;
const ITEMS = 4;

const mutants: readonly Omit<Mutant, "file">[] = [
  {
    name: "the consumer announces its sleep too late",
    find:
      "Atomics.store(words, SLEEPER, me.id);\n      if (Atomics.load(words, TAIL) === head) yield",
    replace: "Atomics.store(words, SLEEPER, me.id);\n      yield",
  },
  {
    name: "the producer announces its sleep too late",
    find: "if (tail - Atomics.load(words, HEAD) >= this.#capacity) yield",
    replace: "yield",
  },
  {
    name: "an item is there before it is",
    find:
      "    words[ITEMS + tail % this.#capacity] = value;\n    Atomics.store(words, TAIL, tail + 1);",
    replace:
      "    Atomics.store(words, TAIL, tail + 1);\n    words[ITEMS + tail % this.#capacity] = value;",
  },
  {
    name: "the room is there before it is",
    find: "Atomics.load(words, HEAD) >= this.#capacity) {",
    replace: "Atomics.load(words, HEAD) > this.#capacity) {",
  },
  {
    name: "the index is stored without order",
    find: "Atomics.store(words, HEAD, head + 1);",
    replace: "words[HEAD] = head + 1;",
  },
];

/** The explorer's own test: sleeping and waking up. */
export const specs: readonly Spec[] = [{
  name: "example: sleepy ring",
  mutants: mutants.map((mutant) => ({ file: "tests/explorer/examples/sleepy_ring.ts", ...mutant })),
  cases: [{
    threads: 2,
    words: ringWords(CAPACITY),
    preemptions: 3,
    fullPreemptions: 4,
    spurious: 1,
    describe: (word) => ["head", "tail", "sleeper", "blocked"][word] ?? `item ${word - 4}`,
    setup(world) {
      const ring = (): SleepyRing => new SleepyRing(world.words, CAPACITY);
      return {
        threads: [
          function* (): Wait<void> {
            const queue = ring();
            for (let item = 1; item <= ITEMS; item++) {
              world.operation("put");
              yield* queue.put(world.waiter(0), item);
              world.done();
            }
          },
          function* (): Wait<void> {
            const queue = ring();
            for (let item = 1; item <= ITEMS; item++) {
              world.operation("take");
              const found = yield* queue.take(world.waiter(1));
              world.done();
              world.check(found === item, `item ${found} in place of ${item}`);
            }
          },
        ],
      };
    },
  }],
}];
