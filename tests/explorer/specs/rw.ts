import { RwCore } from "../../../lib/sync/readers/rw_core.ts";
import { LINE_WORDS } from "../../../lib/wait/waiter.ts";
import { abandonCase, GIVES_BACK } from "../abandon_spec.ts";
import { rwSpec } from "../rw_spec.ts";
import type { Spec } from "../spec.ts";

const describe = (word: number): string => {
  const line = Math.floor(word / LINE_WORDS);
  if (line === 0) return "owner";
  return line === 1
    ? ["top", "passed", "cursor"][word - LINE_WORDS] as string
    : `entry ${line - 2}`;
};

export const specs: readonly Spec[] = [
  rwSpec({
    name: "RwCore",
    source: "lib/sync/readers/rw_core.ts",
    make: (words, shape) => new RwCore(words, shape, 1),
    words: (shape) => RwCore.words(shape),
    describe,
    cases: [
      { name: "spinning", roles: ["rw", "wr", "r"], preemptions: 2 },
      {
        name: "sleeping",
        roles: ["ww", "rr", "wr"],
        preemptions: 2,
        fullPreemptions: 3,
        spins: 0,
      },
      { name: "a newcomer", roles: ["w", "r", "w"], preemptions: 3, spins: 0 },
      { name: "trying", roles: ["WR", "RW", "wr"], preemptions: 2, spins: 0 },
      { name: "more writers", roles: ["ww", "ww", "r", "w"], preemptions: 1, spins: 0 },
      { name: "more readers", roles: ["rr", "r", "ww", "r"], preemptions: 1, spins: 1 },
      { name: "giving up", roles: ["w", "r", "w"], preemptions: 2, spins: 0, timeouts: 2 },
      {
        name: "for no reason",
        roles: ["w", "r", "w"],
        preemptions: 1,
        fullPreemptions: 2,
        spins: 0,
        spurious: 2,
        timeouts: 1,
      },
      {
        name: "death, repaired",
        roles: ["k", "r", "k"],
        preemptions: 1,
        fullPreemptions: 2,
        spins: 0,
        kills: 1,
      },
      {
        name: "death, poisoned",
        roles: ["w", "r", "w"],
        preemptions: 1,
        fullPreemptions: 2,
        spins: 0,
        kills: 1,
      },
      {
        name: "poisoned while others sleep",
        roles: ["", "w", "w", "r"],
        abandoned: true,
        preemptions: 1,
        spins: 0,
      },
      {
        name: "an heir that gives up",
        roles: ["", "w", "r", "w"],
        abandoned: true,
        preemptions: 1,
        fullPreemptions: 2,
        spins: 0,
        timeouts: 1,
      },
      {
        name: "a writer's slot's next thread",
        roles: ["w", "r", "k", "r"],
        slots: [0, 1, 2, 0],
        preemptions: 1,
        spins: 0,
        kills: 1,
        victim: 0,
      },
      {
        name: "a reader's slot's next thread",
        roles: ["r", "w", "w", "w"],
        slots: [0, 1, 2, 0],
        preemptions: 1,
        spins: 0,
        kills: 1,
        victim: 0,
      },
      {
        name: "death among sleepers",
        roles: ["k", "k", "r", "k"],
        preemptions: 1,
        spins: 0,
        kills: 1,
        full: true,
      },
      {
        name: "deaths and time",
        roles: ["k", "r", "k"],
        preemptions: 1,
        spins: 0,
        kills: 2,
        timeouts: 1,
        full: true,
      },
    ],
    more: [
      abandonCase({
        make: (words, shape) => new RwCore(words, shape, 1).write,
        words: (shape) => RwCore.words(shape),
        preemptions: 2,
      }),
    ],
    mutants: [
      GIVES_BACK,
      {
        name: "poisoning wakes one writer",
        find: "Atomics.store(words, OWNER, DIED | POISONED);\n      this.#wakeAll(me);",
        replace: "Atomics.store(words, OWNER, DIED | POISONED);\n      this.#wakeOne(me);",
      },
      {
        name: "an heir that gives up wakes nobody",
        find: "      Atomics.store(words, OWNER, DIED);\n      this.#wakeAll(me);\n      return;",
        replace: "      Atomics.store(words, OWNER, DIED);\n      return;",
      },
      {
        name: "a reader looks before it announces itself",
        find: `      Atomics.store(words, entry, me.id);
      if ((loadFollowing(words, OWNER) & CLOSED) === 0) return true;
      if ((Atomics.exchange(words, entry, 0) & WAKE) !== 0) this.wakeOwner(me);`,
        replace: `      if ((Atomics.load(words, OWNER) & CLOSED) === 0) {
        Atomics.store(words, entry, me.id);
        return true;
      }`,
      },
      {
        name: "a reader's look at the owner follows nothing",
        find: `      Atomics.store(words, entry, me.id);
      if ((loadFollowing(words, OWNER) & CLOSED) === 0) return true;`,
        replace: `      if ((loadFollowing(words, OWNER) & CLOSED) === 0) {
        Atomics.store(words, entry, me.id);
        if ((Atomics.load(words, OWNER) & CLOSED) === 0) return true;
      }`,
      },
      {
        name: "a reader that spins looks once",
        find: "while ((loadShared(words, OWNER) & CLOSED) !== 0);",
        replace: "while ((loadFollowing(words, OWNER) & CLOSED) !== 0);",
      },
      {
        name: "readers are let in when the word is free already",
        find: `      this.#letReadersIn(me);
      Atomics.store(words, PASSED, 0);
    }`,
        replace: `      Atomics.store(words, OWNER, 0);
      this.#letReadersIn(me);
      Atomics.store(words, PASSED, 0);
      this.#wakeOne(me);
      return;
    }`,
      },
      {
        name: "a reader that backs off wakes nobody",
        find: "if ((Atomics.exchange(words, entry, 0) & WAKE) !== 0) this.wakeOwner(me);",
        replace: "Atomics.exchange(words, entry, 0);",
      },
      {
        name: "a reader that leaves wakes nobody",
        find: `    Atomics.store(words, entry, 0);
    this.wakeOwner(me);`,
        replace: "    Atomics.store(words, entry, 0);",
      },
      {
        name: "a writer that gives up keeps the wake-up to itself",
        find: "!== waiting) this.#passOn(me);",
        replace: "!== waiting) {}",
      },
      {
        name: "who was woken does not care for the others",
        find: "const flags = waits ? WAITERS : 0;",
        replace: "const flags = 0;",
      },
      {
        name: "a dead writer is not reported",
        find: "next |= (state & DRAINING) === 0 ? DIED | WAITERS : WAITERS;",
        replace: "next |= WAITERS;",
      },
      {
        name: "a dead reader keeps writers out",
        find: "if (me.alive(found & ID_MASK)) return true;",
        replace: "if (me.alive(found & ID_MASK) || found !== 0) return true;",
      },
      {
        name: "nobody is woken when the lock is poisoned",
        find: `      Atomics.store(words, OWNER, DIED | POISONED);
      this.#wakeAll(me);`,
        replace: "      Atomics.store(words, OWNER, DIED | POISONED);",
      },
    ],
  }),
];
