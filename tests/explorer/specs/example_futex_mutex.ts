import { FutexMutex } from "../examples/futex_mutex.ts";
import { lockSpec } from "../lock_spec.ts";
import type { Spec } from "../spec.ts";

/** The explorer's own test: a simple mutex. */
export const specs: readonly Spec[] = [
  lockSpec({
    name: "example: futex mutex",
    source: "tests/explorer/examples/futex_mutex.ts",
    make: (words) => new FutexMutex(words),
    words: () => 2,
    describe: (word) => ["state", "sleepers"][word] as string,
    cases: [
      { threads: 2, acquisitions: 2, preemptions: 3, spins: 0 },
      { threads: 3, acquisitions: 2, preemptions: 2, spins: 0 },
      { threads: 3, acquisitions: 1, preemptions: 2, spins: 1, timeouts: 1, tries: 1 },
    ],
    mutants: [
      {
        name: "the waiters bit gets lost",
        find: "Atomics.compareExchange(words, STATE, 0, me.id | WAITERS) === 0",
        replace: "Atomics.compareExchange(words, STATE, 0, me.id) === 0",
      },
      {
        name: "a waiter does not say that it sleeps",
        find: "Atomics.compareExchange(words, STATE, state, state | WAITERS) === state\n",
        replace: "Atomics.load(words, STATE) === state\n",
      },
      {
        name: "a waiter sleeps without a place in the list",
        find: "Atomics.or(words, SLEEPERS, bit);",
        replace: "",
      },
      {
        name: "who gives up takes a wake-up along",
        find: "if (state === 0) return this.#wake(me);",
        replace: "if (state === 0) return;",
      },
      {
        name: "anybody can release",
        find: "if (!this.holds(me)) return false;",
        replace: "",
      },
      {
        name: "two take a free lock",
        find: "return Atomics.compareExchange(this.#words, STATE, 0, me.id) === 0;",
        replace: "if (Atomics.load(this.#words, STATE) !== 0) return false;\n" +
          "    Atomics.store(this.#words, STATE, me.id);\n    return true;",
      },
    ],
  }),
];
