import { RwSpinCore } from "../../../lib/sync/readers/rw_spin_core.ts";
import { abandonCase, GIVES_BACK } from "../abandon_spec.ts";
import { rwSpec } from "../rw_spec.ts";
import type { Spec } from "../spec.ts";

/** Why all that do not await take time. */
const slices = "who naps is never woken";

export const specs: readonly Spec[] = [
  rwSpec({
    name: "RwSpinCore",
    source: "lib/sync/readers/rw_spin_core.ts",
    make: (words, shape) => new RwSpinCore(words, shape),
    words: (shape) => RwSpinCore.words(shape),
    describe: () => "state",
    cases: [
      { name: "spinning", roles: ["rw", "wr", "rw"], preemptions: 3 },
      { name: "napping", roles: ["rw", "wr", "w"], preemptions: 3, spins: 0, slices },
      { name: "trying", roles: ["WR", "RW", "wr"], preemptions: 3, spins: 1, slices },
      { name: "more of them", roles: ["r", "w", "r", "w"], preemptions: 2, spins: 1, slices },
      { name: "giving up", roles: ["w", "r", "w"], preemptions: 3, spins: 1, timeouts: 2, slices },
      // Not a reader: a dead one keeps writers out.
      {
        name: "death, repaired",
        roles: ["k", "rr", "k"],
        preemptions: 3,
        spins: 0,
        slices,
        kills: 1,
        victim: 0,
      },
      {
        name: "death, poisoned",
        roles: ["w", "r", "w"],
        preemptions: 3,
        spins: 0,
        slices,
        kills: 1,
        victim: 0,
      },
      {
        name: "poisoned while others wait",
        roles: ["", "w", "w", "r"],
        abandoned: true,
        preemptions: 2,
        spins: 1,
        slices,
      },
    ],
    more: [
      abandonCase({
        make: (words, shape) => new RwSpinCore(words, shape).write,
        words: (shape) => RwSpinCore.words(shape),
        preemptions: 2,
        slices,
      }),
    ],
    mutants: [
      GIVES_BACK,
      {
        name: "a writer waits for a poisoned lock as long as another one waits, too",
        find: "return (state & ~WAITING) === (DIED | POISONED);",
        replace: "return state === (DIED | POISONED);",
      },
      {
        name: "a poisoned lock that is put right counts a reader that is none",
        find: "const next = state & ~(held ? DIED : DIED | POISONED);",
        replace: "const next = state & ~DIED;",
      },
      {
        name: "readers enter while one writes",
        find: "if (state < 0 || state >= MAX_READERS) return false;",
        replace: "if (state >= MAX_READERS) return false;",
      },
      {
        name: "a writer enters while some read",
        find: "} else if ((state & ~(WAITING | DIED)) === 0) next |= state & DIED;",
        replace: "} else if (state > 0) next |= state & DIED;",
      },
      {
        name: "a writer that gives up keeps readers out",
        find: "        Atomics.and(words, STATE, ~WAITING);\n",
        replace: "",
      },
      {
        name: "a dead writer that waited keeps readers out",
        find: "      Atomics.compareExchange(this.words, STATE, WAITING, 0);\n",
        replace: "",
      },
      {
        name: "a dead writer is not reported",
        find: "        next |= DIED;\n",
        replace: "",
      },
      {
        name: "readers get in before the heir",
        find: "Atomics.compareExchange(this.words, STATE, state, DIED);",
        replace: "Atomics.compareExchange(this.words, STATE, state, 0);",
      },
      {
        name: "no lock is ever poisoned",
        find: "const next = (state & DIED) === 0 ? WAITING : DIED | POISONED;",
        replace: "const next = WAITING;",
      },
    ],
  }),
];
