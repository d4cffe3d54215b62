import { TicketCore } from "../../../lib/sync/locks/ticket_core.ts";
import { LINE_WORDS } from "../../../lib/wait/waiter.ts";
import { trafficCase } from "../lock_spec.ts";
import { DEATH_MUTANTS } from "../queue_mutants.ts";
import { queueCases, type QueueLock, queueSpec } from "../queue_spec.ts";
import type { Spec } from "../spec.ts";

const PAIR = 0;
const LEFT = 1 << 31;

const names = [["next | serving", "broken"], ["seat", "ticket"]];

/** Both numbers wrap after the first acquisition but one. */
const init = (words: Int32Array): void => {
  words[PAIR] = (0xfffe << 16) | 0xfffe;
};

const lock: QueueLock = {
  make: (words, shape) => new TicketCore(words, shape),
  words: TicketCore.words,
  giveUp: (words, slot) => {
    Atomics.store(words, 4 * LINE_WORDS + 1, (slot + 1) | LEFT);
    Atomics.store(words, (1 + slot) * LINE_WORDS, (slot + 1) | LEFT);
  },
};

/** The ticket lock, where its numbers wrap, and with threads that die. */
export const specs: readonly Spec[] = [queueSpec({
  name: "TicketCore",
  source: "lib/sync/locks/ticket_core.ts",
  ...lock,
  init,
  fifo: [PAIR],
  describe: (word) => {
    const line = Math.floor(word / LINE_WORDS);
    return `${names[Math.min(line, 1)]?.[word % LINE_WORDS] ?? `words[${word}]`} in line ${line}`;
  },
  cases: [
    { name: "spinning", threads: 2, acquisitions: 3, preemptions: 3 },
    { name: "sleeping", threads: 3, acquisitions: 2, preemptions: 2, fullPreemptions: 3, spins: 0 },
    { name: "spinning first", threads: 3, acquisitions: 2, preemptions: 2, spins: 2 },
    { name: "two, sleeping", threads: 2, acquisitions: 3, preemptions: 4, spins: 0 },
    { name: "waking up", threads: 3, acquisitions: 1, preemptions: 3, spins: 1, spurious: 1 },
    { name: "giving up", threads: 3, acquisitions: 2, preemptions: 2, spins: 0, timeouts: 1 },
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
    trafficCase({ across: [0.65, 0.85], bypass: 0 }),
  ],
  more: queueCases(lock),
  mutants: [
    ...DEATH_MUTANTS,
    {
      name: "abandons as somebody who has left",
      find: "Atomics.store(this.#words, (1 + seat) * LINE_WORDS + SEAT, dead | HELD);",
      replace: "Atomics.store(this.#words, (1 + seat) * LINE_WORDS + SEAT, 0);",
    },
    {
      name: "abandons what it does not hold",
      find:
        "    if (!this.holds(me, seat)) return false;\n    // Whoever waits finds a dead holder there.\n",
      replace: "    // Whoever waits finds a dead holder there.\n",
    },
    {
      name: "draws by load and store",
      find: "const pair = Atomics.add(words, PAIR, DRAW);",
      replace:
        "const pair = Atomics.load(words, PAIR); Atomics.store(words, PAIR, (pair + DRAW) | 0);",
    },
    {
      name: "serves by a store, and loses who draws meanwhile",
      find: "const pair = Atomics.add(words, PAIR, ticket === TICKET_MASK ? -TICKET_MASK : 1);",
      replace:
        "const pair = Atomics.load(words, PAIR); Atomics.store(words, PAIR, (pair & ~TICKET_MASK) | ((ticket + 1) & TICKET_MASK));",
    },
    {
      name: "carries into the other number where it wraps",
      find: "ticket === TICKET_MASK ? -TICKET_MASK : 1",
      replace: "1",
    },
    {
      name: "sleeps without a last look",
      find: "Atomics.compareExchange(words, at, 0, me.id | PARKED) !== 0",
      replace: "Atomics.store(words, at, me.id | PARKED) === 0",
    },
    {
      name: "gives up by a store",
      find: "if (Atomics.compareExchange(words, at, entry, me.id | LEFT) !== entry) continue;",
      replace: "Atomics.store(words, at, me.id | LEFT);",
    },
    {
      name: "wakes before it serves",
      find: "const entry = Atomics.or(words, at, GRANTED);",
      replace:
        "if ((Atomics.load(words, at) & PARKED) !== 0) me.unpark(Atomics.load(words, at) & ID_MASK);\n      const entry = Atomics.or(words, at, GRANTED) & ~PARKED;",
    },
    {
      name: "leaves the entry as it was for the next ticket",
      find: "Atomics.store(words, at, 0);\n    words[line + SEAT] = me.id | HELD;",
      replace: "words[line + SEAT] = me.id | HELD;",
    },
    {
      name: "does not pass over who gave up",
      find: "if ((entry & LEFT) === 0) {",
      replace: "if ((entry & LEFT) === 0 || true) {",
    },
    {
      name: "goes on with a ticket that was passed over",
      find: "if (Atomics.compareExchange(words, at, left, 0) === left) continue;",
      replace: "if (Atomics.compareExchange(words, at, left, 0) !== 7) continue;",
    },
    {
      name: "fewer entries than seats",
      find: "Math.log2(threads + 1)",
      replace: "Math.log2(threads - 1)",
    },
  ],
})];
