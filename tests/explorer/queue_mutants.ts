/**
 * What can be wrong in `queue_core.ts`, which several locks are made of: each of them has to find it.
 *
 * @module
 */
import type { OwnMutant } from "./lock_spec.ts";
import type { Mutant } from "./spec.ts";

const file = "lib/sync/locks/queue_core.ts";

/** In the search for dead threads. */
export const DEATH_MUTANTS: readonly Mutant[] = [
  {
    file,
    name: "takes who has left for dead",
    find: " && Atomics.load(words, at) === state) return true;",
    replace: ") return true;",
  },
  {
    file,
    name: "does not look for dead threads",
    find: "if (!me.alive(state & ID_MASK) && Atomics.load(words, at) === state) return true;",
    replace: "",
  },
];

/** In the queue. Where no file is named, in that of the lock itself. */
export const QUEUE_MUTANTS: readonly OwnMutant[] = [
  {
    name: "links before it says that it waits",
    find:
      "    words[node + STATE] = me.id;\n    const before = Atomics.exchange(words, TAIL, me.slot + 1);\n",
    replace:
      "    const before = Atomics.exchange(words, TAIL, me.slot + 1);\n    if (before !== 0) Atomics.exchange(words, before * LINE_WORDS + NEXT, me.slot + 1);\n    words[node + STATE] = me.id;\n",
  },
  ...DEATH_MUTANTS,
  {
    file,
    name: "abandons as somebody who has left",
    find: "Atomics.store(this.words, nodeOf(me) + STATE, dead | HELD);",
    replace: "Atomics.store(this.words, nodeOf(me) + STATE, 0);",
  },
  {
    file,
    name: "abandons what it does not hold",
    find:
      "    if (!this.holds(me)) return false;\n    // Whoever waits finds a dead holder there.\n",
    replace: "    // Whoever waits finds a dead holder there.\n",
  },
  {
    file,
    name: "a thread that dies while it gives the lock back is overlooked",
    find: "((flags & LEFT) !== 0 && flags !== LEAVING)",
    replace: "(flags & LEFT) !== 0",
  },
  {
    file,
    name: "who finds it broken keeps it",
    find: "    this.release(me);\n    return false;\n",
    replace: "    return false;\n",
  },
  {
    file,
    name: "a slot's next thread goes on with the place of the last one",
    find: "const queued = state === me.id || state === (me.id | PARKED);",
    replace: "const queued = flags === 0 || flags === PARKED;",
  },
  {
    file,
    name: "a store in place of the or that grants",
    find: "  const state = Atomics.or(words, node + STATE, GRANTED);\n",
    replace:
      "  const state = Atomics.load(words, node + STATE);\n  Atomics.store(words, node + STATE, state | GRANTED);\n",
  },
  {
    file,
    name: "wakes before it grants",
    find: `  const state = Atomics.or(words, node + STATE, GRANTED);
  if ((state & LEFT) !== 0) return 0;
  const heir = state & ID_MASK;
  if ((state & PARKED) !== 0) me.unpark(heir);
`,
    replace:
      `  if ((Atomics.load(words, node + STATE) & PARKED) !== 0) me.unpark(Atomics.load(words, node + STATE) & ID_MASK);
  const state = Atomics.or(words, node + STATE, GRANTED);
  if ((state & LEFT) !== 0) return 0;
  const heir = state & ID_MASK;
`,
  },
  {
    file,
    name: "sleeps without a last look",
    find: `Atomics.compareExchange(words, node + STATE, state, me.id | PARKED) !== state) {
        continue;
      }`,
    replace: `Atomics.store(words, node + STATE, me.id | PARKED) === 0) {
        continue;
      }`,
  },
  {
    file,
    name: "gives up by a store",
    find: `Atomics.compareExchange(words, node + STATE, state, me.id | LEFT) === state
        ) return GAVE_UP;`,
    replace: `Atomics.store(words, node + STATE, me.id | LEFT) !== 0
        ) return GAVE_UP;`,
  },
  {
    file,
    name: "frees a node before its next is reset",
    find: `  Atomics.store(words, node + NEXT, 0);
  Atomics.store(words, node + STATE, 0);
`,
    replace: `  Atomics.store(words, node + STATE, 0);
  Atomics.store(words, node + NEXT, 0);
`,
  },
  {
    file,
    name: "forgets to reset its own next",
    find: "  Atomics.store(words, own + NEXT, 0);\n",
    replace: "",
  },
  {
    file,
    name: "links by a store, and misses that the lock was left",
    find: "if (Atomics.exchange(words, before * LINE_WORDS + NEXT, me.slot + 1) !== ABANDONED)",
    replace: "if (Atomics.store(words, before * LINE_WORDS + NEXT, me.slot + 1) !== ABANDONED)",
  },
];
