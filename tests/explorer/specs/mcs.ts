import { McsCore } from "../../../lib/sync/locks/mcs_core.ts";
import { abandonCase } from "../abandon_spec.ts";
import { lockSpec, trafficCase } from "../lock_spec.ts";
import { describeQueue, killCase, leavingCase, LOOKS, prompt, returnCase } from "../queue_spec.ts";
import { LINE_WORDS } from "../../../lib/wait/waiter.ts";
import type { Spec } from "../spec.ts";

const TAIL = 0;
const source = "lib/sync/locks/mcs_core.ts";
const options = {
  make: (words: Int32Array, shape: { threads: number; domains: number }): McsCore =>
    new McsCore(words, shape),
  words: McsCore.words,
  describe: describeQueue(["tail", "broken"], ["state", "next", "sleeper"]),
};

const LEFT = 1 << 31;
const giveUp = (words: Int32Array, slot: number): void => {
  Atomics.or(words, (1 + slot) * LINE_WORDS, LEFT);
};

const base = prompt(lockSpec({
  name: "McsCore",
  source,
  ...options,
  fifo: [TAIL],
  cases: [
    { name: "awaiting", threads: 3, acquisitions: 2, preemptions: 2, fullPreemptions: 3 },
    { name: "sleeping", threads: 3, acquisitions: 2, preemptions: 2, spins: 0, fullPreemptions: 3 },
    {
      name: "two, sleeping",
      threads: 2,
      acquisitions: 3,
      preemptions: 3,
      fullPreemptions: 4,
      spins: 0,
    },
    { name: "spinning once", threads: 3, acquisitions: 1, preemptions: 3, spins: 1, spurious: 1 },
    {
      name: "giving up",
      threads: 3,
      acquisitions: 2,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      timeouts: 1,
    },
    { name: "two giving up", threads: 3, acquisitions: 2, preemptions: 1, spins: 0, timeouts: 2 },
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
    trafficCase({ across: [0.65, 0.85], bypass: 0 }),
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
      name: "a thread that dies while it gives the lock back is overlooked",
      find: "((flags & LEFT) !== 0 && flags !== LEAVING)",
      replace: "(flags & LEFT) !== 0",
    },
    {
      name: "who finds it broken keeps it",
      find: "    this.release(me);\n    return false;\n  }\n\n  /** Takes a place",
      replace: "    return false;\n  }\n\n  /** Takes a place",
    },
    {
      name: "a slot's next thread goes on with the place of the last one",
      find: "const queued = state === me.id || state === (me.id | PARKED);",
      replace: "const queued = flags === 0 || flags === PARKED;",
    },
    {
      name: "takes who has left for dead",
      find: " && Atomics.load(words, at) === state) return true;",
      replace: ") return true;",
    },
    {
      name: "a store in place of the or that grants",
      find: `      const state = Atomics.or(words, node + STATE, GRANTED);
      if ((state & LEFT) !== 0) continue;
      if ((state & PARKED) !== 0) me.unpark(state & ID_MASK);`,
      replace: `      const state = Atomics.load(words, node + STATE);
      Atomics.store(words, node + STATE, state | GRANTED);
      if ((state & LEFT) !== 0) continue;
      if ((state & PARKED) !== 0) me.unpark(state & ID_MASK);`,
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
      name: "links before it says that it waits",
      find:
        "    words[node + STATE] = me.id;\n    const before = Atomics.exchange(words, TAIL, me.slot + 1);",
      replace:
        "    const before = Atomics.exchange(words, TAIL, me.slot + 1);\n    if (before === 0) words[node + STATE] = me.id; else Atomics.exchange(words, before * LINE_WORDS + NEXT, me.slot + 1);",
    },
    {
      name: "gives up by a store",
      find: `Atomics.compareExchange(words, node + STATE, state, me.id | LEFT) === state
        ) return GAVE_UP;`,
      replace: `Atomics.store(words, node + STATE, me.id | LEFT) !== 0
        ) return GAVE_UP;`,
    },
    {
      name: "frees a node before its next is reset",
      find: `    Atomics.store(words, node + NEXT, 0);
    Atomics.store(words, node + STATE, 0);
    // Looked`,
      replace: `    Atomics.store(words, node + STATE, 0);
    Atomics.store(words, node + NEXT, 0);
    // Looked`,
    },
    {
      name: "forgets to reset its own next",
      find: `      break;
    }
    // Last: as long as it is in use, others find out if this thread dies.
    Atomics.store(words, first + NEXT, 0);`,
      replace: `      break;
    }
    // Last: as long as it is in use, others find out if this thread dies.`,
    },
    {
      name: "does not wait for who is about to link",
      find: "if (next === 0) {\n          if (node !== first) break;",
      replace:
        "if (next === 0) {\n          if (node !== first) break;\n          Atomics.store(words, TAIL, 0);",
    },
    {
      name: "links by a store, and misses that the lock was left",
      find: "if (Atomics.exchange(words, before * LINE_WORDS + NEXT, me.slot + 1) !== ABANDONED) {",
      replace: "if (Atomics.store(words, before * LINE_WORDS + NEXT, me.slot + 1) !== ABANDONED) {",
    },
    {
      name: "wakes before it grants",
      find: `      const state = Atomics.or(words, node + STATE, GRANTED);
      if ((state & LEFT) !== 0) continue;
      if ((state & PARKED) !== 0) me.unpark(state & ID_MASK);`,
      replace:
        `      if ((Atomics.load(words, node + STATE) & PARKED) !== 0) me.unpark(Atomics.load(words, node + STATE) & ID_MASK);
      const state = Atomics.or(words, node + STATE, GRANTED);
      if ((state & LEFT) !== 0) continue;`,
    },
    {
      name: "does not look for dead threads",
      find: "if (!me.alive(state & ID_MASK) && Atomics.load(words, at) === state) return true;",
      replace: "",
    },
  ],
}));

/** MCS, also with threads that die. */
export const specs: readonly Spec[] = [{
  ...base,
  cases: [
    ...base.cases,
    returnCase({ ...options, name: "coming back", preemptions: 3, spins: 0, giveUp }),
    killCase({ ...options, name: "dying", threads: 3, preemptions: 1, spins: 0 }),
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
    }),
    leavingCase(options),
    abandonCase({ ...options, preemptions: 2 }),
  ],
}];
