import { NEXT, TicketLock } from "../examples/ticket_lock.ts";
import { lockSpec } from "../lock_spec.ts";
import type { Spec } from "../spec.ts";

/** The explorer's own test: a fair lock. */
export const specs: readonly Spec[] = [
  lockSpec({
    name: "example: ticket lock",
    source: "tests/explorer/examples/ticket_lock.ts",
    make: (words) => new TicketLock(words),
    words: () => 3,
    describe: (word) => ["next", "served", "owner"][word] ?? "",
    fifo: [NEXT],
    cases: [
      { threads: 2, acquisitions: 2, preemptions: 4, tries: 1 },
      { threads: 3, acquisitions: 1, preemptions: 3, spins: 1 },
    ],
    mutants: [
      {
        name: "two threads draw the same ticket",
        find: "this.#ticket = Atomics.add(words, NEXT, 1);",
        replace: "this.#ticket = Atomics.load(words, NEXT);\n" +
          "    Atomics.store(words, NEXT, this.#ticket + 1);",
      },
      {
        name: "whoever comes is next",
        find: "Atomics.load(words, SERVED) !== this.#ticket; round++",
        replace: "Atomics.compareExchange(words, 3, 0, 1) !== 0; round++",
      },
      {
        name: "everybody is the owner",
        find: "return Atomics.load(this.#words, OWNER) === me.id;",
        replace: "return Atomics.load(this.#words, OWNER) !== me.id - 1;",
      },
      {
        name: "the turn ends before it began",
        find: "if (Atomics.compareExchange(words, NEXT, served, (served + 1) | 0) !== served)",
        replace: "if (Atomics.compareExchange(words, NEXT, served, served) !== served)",
      },
      {
        name: "nobody is next",
        find: "Atomics.store(words, SERVED, (this.#ticket + 1) | 0);",
        replace: "Atomics.store(words, SERVED, (this.#ticket + 2) | 0);",
      },
    ],
  }),
];
