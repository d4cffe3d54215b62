import { CnaCore, PASSES as USUAL_PASSES } from "../../../lib/sync/locks/cna_core.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import { abandonCase } from "../abandon_spec.ts";
import { lockSpec, trafficCase } from "../lock_spec.ts";
import { describeQueue, killCase, leavingCase, LOOKS, prompt, returnCase } from "../queue_spec.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const TAIL = 0;
const LEFT = 1 << 31;
/** Few, so that the explorer gets beyond it; the usual count in walks through four domains. */
const PASSES = 1;
const source = "lib/sync/locks/cna_core.ts";

interface Shape {
  readonly threads: number;
  readonly domains: number;
}

const options = {
  make: (words: Int32Array, shape: Shape): CnaCore =>
    new CnaCore(words, shape, shape.domains < 4 ? PASSES : undefined),
  words: CnaCore.words,
  describe: describeQueue(
    ["tail", "broken"],
    ["state", "next", "sleeper", "domain", "head", "last", "passes"],
  ),
};

const giveUp = (words: Int32Array, slot: number): void => {
  Atomics.or(words, (1 + slot) * LINE_WORDS, LEFT);
};

const base = prompt(lockSpec({
  name: "CnaCore",
  source,
  ...options,
  doorway: [TAIL],
  cases: [
    { name: "awaiting", threads: 3, acquisitions: 2, preemptions: 2, domains: [0, 1, 0] },
    {
      name: "sleeping",
      threads: 3,
      acquisitions: 2,
      preemptions: 2,
      fullPreemptions: 3,
      spins: 0,
      domains: [0, 1, 0],
    },
    { name: "four", threads: 4, acquisitions: 1, preemptions: 2, spins: 0, domains: [0, 1, 0, 1] },
    {
      name: "four, twice",
      threads: 4,
      acquisitions: 2,
      preemptions: 1,
      spins: 0,
      domains: [0, 1, 0, 0],
    },
    {
      name: "overtaking",
      threads: 3,
      acquisitions: 3,
      preemptions: 1,
      spins: 0,
      domains: [0, 1, 0],
      bypass: PASSES,
    },
    {
      name: "trying afterwards",
      threads: 3,
      acquisitions: 1,
      preemptions: 2,
      spins: 0,
      lastTries: 3,
      domains: [0, 1, 0],
    },
    { name: "waking up", threads: 3, acquisitions: 1, preemptions: 3, spins: 1, spurious: 1 },
    {
      name: "giving up",
      threads: 3,
      acquisitions: 2,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      timeouts: 1,
      domains: [0, 1, 0],
    },
    {
      name: "four giving up",
      threads: 4,
      acquisitions: 1,
      preemptions: 1,
      spins: 0,
      timeouts: 2,
      domains: [0, 1, 1, 0],
    },
    {
      name: "trying",
      threads: 3,
      acquisitions: 1,
      preemptions: 2,
      spins: 0,
      timeouts: 1,
      tries: 2,
    },
    {
      name: "four domains",
      threads: 7,
      acquisitions: 1,
      preemptions: 0,
      spins: 0,
      domains: [0, 0, 1, 1, 2, 2, 3],
    },
    // So often for each of the 31 that may be before it, and once more.
    trafficCase({ across: [0, 0.05], bypass: 32 * USUAL_PASSES }),
  ],
  mutants: [
    {
      name: "abandons as somebody who has left",
      find: "Atomics.store(this.#words, (1 + me.slot) * LINE_WORDS + STATE, dead | HELD);",
      replace: "Atomics.store(this.#words, (1 + me.slot) * LINE_WORDS + STATE, 0);",
    },
    {
      name: "abandons what it does not hold",
      find:
        "    if (!this.holds(me)) return false;\n    // Whoever waits finds a dead holder there.\n",
      replace: "    // Whoever waits finds a dead holder there.\n",
    },
    {
      name: "does not count whom it let go before",
      find: "words[node + COUNT] = passes + 1;",
      replace: "words[node + COUNT] = passes;",
    },
    {
      name: "lets one more go before",
      find: "if (passes < this.#passes)",
      replace: "if (passes <= this.#passes)",
    },
    {
      name: "a try keeps the second queue of an earlier acquisition",
      find: "      words[node + HEAD] = 0;\n      return this.#unlessBroken(me);",
      replace: "      return this.#unlessBroken(me);",
    },
    {
      name: "leaves its own node in no queue, as one that was given up",
      find: "      Atomics.store(words, first + STATE, me.id | LEAVING);\n      stays = 0;\n",
      replace: "      Atomics.store(words, first + STATE, me.id | LEAVING);\n",
    },
    {
      name: "takes who has left for dead",
      find: " && Atomics.load(words, at) === state) return true;",
      replace: ") return true;",
    },
    {
      name: "forgets the second queue when the main one ends",
      find: "Atomics.compareExchange(words, TAIL, place, head === 0 ? 0 : last) === place",
      replace: "Atomics.compareExchange(words, TAIL, place, 0) === place",
    },
    {
      name: "the second queue's last still leads to the main one",
      find:
        "          last = before;\n          Atomics.store(words, last * LINE_WORDS + NEXT, 0);",
      replace: "          last = before;",
    },
    {
      name: "keeps the second queue of an earlier acquisition",
      find: "    words[node + HEAD] = 0;\n    words[node + STATE] = me.id | HELD;",
      replace: "    words[node + STATE] = me.id | HELD;",
    },
    {
      name: "lets the second queue in, and drops the main one",
      find: "if (head !== 0) Atomics.store(words, last * LINE_WORDS + NEXT, next);\n          heir",
      replace: "heir",
    },
    {
      name: "tells the successor of the second queue after the grant",
      find: `      words[node + HEAD] = head;
      words[node + LAST] = last;
      words[node + COUNT] = passes + 1;
      const state = Atomics.or(words, node + STATE, GRANTED);`,
      replace: `      const state = Atomics.or(words, node + STATE, GRANTED);
      words[node + HEAD] = head;
      words[node + LAST] = last;
      words[node + COUNT] = passes + 1;`,
    },
    {
      name: "loses the second queue to somebody who has not linked yet",
      find: "          Atomics.store(words, last * LINE_WORDS + NEXT, place);\n",
      replace: "",
    },
    {
      name: "sleeps without a last look",
      find: `Atomics.compareExchange(words, node + STATE, state, me.id | PARKED) !== state) {
        continue;
      }`,
      replace: `Atomics.store(words, node + STATE, me.id | PARKED) === 0) {
        continue;
      }`,
    },
    {
      name: "takes its own node for free while it stays in the queue",
      find: "    if (stays !== 0) {",
      replace: "    if (stays === PASSED) {",
    },
    {
      name: "does not look for dead threads",
      find: "if (!me.alive(state & ID_MASK) && Atomics.load(words, at) === state) return true;",
      replace: "",
    },
  ],
}));

/**
 * Thread 3 holds the lock, with a second queue of one that has given up; thread 2 comes while it releases, so that its
 * own node is put behind that one, and reached. Then it comes back.
 */
const OWN_NODE: Case = {
  name: "coming to its own node",
  threads: 4,
  words: CnaCore.words({ threads: 4, domains: 2 }),
  preemptions: 2,
  spins: 0,
  domains: [0, 1, 0, 0],
  describe: options.describe,
  setup(world: World): Program {
    const { words } = world;
    const shape = { threads: 4, domains: 2 };
    const core = new CnaCore(words, shape, PASSES);
    const acquire = function* (index: number): Wait<void> {
      const own = new CnaCore(words, shape, PASSES);
      const me = world.waiter(index);
      world.check(own.begin(me) || (yield* own.wait(me)), "nobody gives up");
      world.lock("taken");
      world.pause();
      world.lock("free");
      world.check(own.release(me), "the owner can release");
    };
    core.begin(world.waiter(0));
    core.begin(world.waiter(1));
    core.begin(world.waiter(3));
    giveUp(words, 1);
    core.release(world.waiter(0));
    return {
      threads: [() => {}, () => {}, function* (): Wait<void> {
        yield* acquire(2);
      }, function* (): Wait<void> {
        for (let round = 0; round < 2; round++) yield* acquire(3);
      }],
      end(): void {
        for (const index of [0, 2, 3]) {
          const me = world.waiter(index);
          world.check(core.tryAcquire(me) && core.release(me), "it is free in the end");
        }
      },
    };
  },
};

/** CNA, also with threads that die. */
export const specs: readonly Spec[] = [{
  ...base,
  cases: [
    ...base.cases,
    abandonCase({ ...options, preemptions: 2 }),
    returnCase({ ...options, name: "coming back", preemptions: 3, spins: 0, giveUp }),
    returnCase({
      ...options,
      name: "coming back, near",
      preemptions: 2,
      spins: 0,
      domains: [0, 1, 0],
      giveUp,
    }),
    killCase({
      ...options,
      name: "dying",
      threads: 3,
      preemptions: 1,
      spins: 0,
      domains: [0, 1, 0],
    }),
    killCase({
      ...options,
      name: "dying and giving up",
      threads: 3,
      preemptions: 1,
      spins: 0,
      timeouts: 1,
    }),
    killCase({
      ...options,
      name: "dying at any moment",
      slices: LOOKS,
      threads: 2,
      acquisitions: 2,
      preemptions: 3,
      spins: 0,
      domains: [0, 1],
    }),
    killCase({
      ...options,
      name: "a slot's next thread",
      slices: LOOKS,
      threads: 3,
      slots: [0, 1, 0],
      acquisitions: 2,
      preemptions: 2,
      spins: 0,
      victim: 0,
      domains: [0, 1, 0],
    }),
    killCase({
      ...options,
      name: "a slot's next thread, giving up",
      threads: 4,
      slots: [0, 1, 2, 0],
      preemptions: 1,
      spins: 0,
      victim: 0,
      timeouts: 1,
      domains: [0, 1, 0, 1],
    }),
    OWN_NODE,
    leavingCase({ ...options, domains: [0, 1, 0] }),
  ],
}];
