import { CnaCore, PASSES as USUAL_PASSES } from "../../../lib/sync/locks/cna_core.ts";
import type { Wait } from "../../../lib/wait/waiter.ts";
import { trafficCase } from "../lock_spec.ts";
import { QUEUE_MUTANTS } from "../queue_mutants.ts";
import {
  describeQueue,
  giveUpNode,
  queueCases,
  type QueueLock,
  queueSpec,
  returnCase,
} from "../queue_spec.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const TAIL = 0;
/** Few, so that the explorer gets beyond it; the usual count in walks through four domains. */
const PASSES = 1;

const lock = {
  make: (words, shape) => new CnaCore(words, shape, shape.domains < 4 ? PASSES : undefined),
  words: CnaCore.words,
  describe: describeQueue(
    ["tail", "broken"],
    ["state", "next", "sleeper", "domain", "head", "last", "passes"],
  ),
  giveUp: giveUpNode,
} satisfies QueueLock;

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
  describe: lock.describe,
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
    giveUpNode(words, 1);
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
export const specs: readonly Spec[] = [queueSpec({
  name: "CnaCore",
  source: "lib/sync/locks/cna_core.ts",
  ...lock,
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
  more: [
    ...queueCases({ ...lock, domains: [0, 1, 0, 1] }),
    returnCase({
      ...lock,
      name: "coming back, near",
      preemptions: 2,
      spins: 0,
      domains: [0, 1, 0],
    }),
    OWN_NODE,
  ],
  mutants: [
    ...QUEUE_MUTANTS,
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
      find: "      words[node + HEAD] = 0;\n      return words[BROKEN] === 0",
      replace: "      return words[BROKEN] === 0",
    },
    {
      name: "leaves its own node in no queue, as one that was given up",
      find: "      Atomics.store(words, first + STATE, me.id | LEAVING);\n      stays = 0;\n",
      replace: "      Atomics.store(words, first + STATE, me.id | LEAVING);\n",
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
      if (grant(words, me, node) !== 0) break;`,
      replace: `      const heirs = grant(words, me, node);
      words[node + HEAD] = head;
      words[node + LAST] = last;
      words[node + COUNT] = passes + 1;
      if (heirs !== 0) break;`,
    },
    {
      name: "loses the second queue to somebody who has not linked yet",
      find: "          Atomics.store(words, last * LINE_WORDS + NEXT, place);\n",
      replace: "",
    },
    {
      name: "takes its own node for free while it stays in the queue",
      find: "    if (stays !== 0) {",
      replace: "    if (stays === PASSED) {",
    },
  ],
})];
