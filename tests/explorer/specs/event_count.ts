import { EventCountCore } from "../../../lib/sync/conditions/event_count_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, World } from "../spec.ts";

/**
 * Items in a word: c takes one, and sleeps while there is none; p makes one and tells one consumer, a makes as many
 * as there are consumers and tells all; d makes one when there is none, and tells one; e does so unless nobody is left
 * who wants one. n is a consumer that announces itself before its first look.
 */
function items(options: Omit<Case, "words" | "setup" | "threads">, roles: readonly string[]): Case {
  const threads = roles.length;
  const { slots = roles.map((_, index) => index) } = options;
  const shape = { threads: 1 + Math.max(...slots), domains: 1 };
  const count = EventCountCore.words(shape);
  /** Of each consumer: whether it has had enough. */
  const enough = count + 1;
  return {
    ...options,
    threads,
    words: count + LINE_WORDS,
    describe: (word) => {
      if (word >= count) return word === count ? "items" : `thread ${word - enough} has enough`;
      return word < LINE_WORDS
        ? ["armed", "top", "cursor"][word] as string
        : `entry ${word - LINE_WORDS}`;
    },
    setup(world: World): Program {
      const { words } = world;
      const all = roles.join("");
      const consumers = all.replaceAll(/[^c]/g, "").length;
      const take = (): boolean => {
        for (;;) {
          const found = Atomics.load(words, count);
          if (found === 0) return false;
          if (Atomics.compareExchange(words, count, found, found - 1) === found) return true;
        }
      };
      /** Whether there is an item left that somebody wants. */
      const isWanted = (me: Waiter): boolean => {
        if (Atomics.load(words, count) === 0) return false;
        for (let index = 0; index < threads; index++) {
          if (!/[cn]/.test(roles[index] as string) || !me.alive(index + 1)) continue;
          if (Atomics.load(words, enough + index) === 0 && !world.killed(index)) return true;
        }
        return false;
      };
      const thread = (index: number): Thread => {
        const me = world.waiter(index);
        const core = new EventCountCore(words, shape);
        const finishes = all.includes("e") && /[cn]/.test(roles[index] as string);
        return function* (): Wait<void> {
          for (const role of roles[index] as string) {
            if (role === "c" || role === "n") {
              for (let got = role === "c" && take(); !got;) {
                world.operation("wait");
                core.prepare(me);
                got = take();
                if (got) core.cancel(me);
                else if (!(yield* core.wait(me))) {
                  world.check((options.timeouts ?? 0) > 0, "gave up, but nobody said so");
                  got = true;
                } else got = take();
                world.done();
              }
            } else {
              for (let round = 0; role === "d" && Atomics.load(words, count) > 0; round++) {
                me.spin(round);
              }
              for (let round = 0; role === "e" && isWanted(me); round++) me.spin(round);
              if (role === "e" && Atomics.load(words, count) > 0) continue;
              Atomics.add(words, count, role === "a" ? consumers : 1);
              world.operation("notify");
              if (role === "a") core.notifyAll(me);
              else core.notify(me);
              world.done();
            }
          }
          if (finishes) Atomics.store(words, enough + index, 1);
        };
      };
      return { threads: roles.map((_, index) => thread(index)) };
    },
  };
}

const mutants: readonly Omit<Mutant, "file">[] = [
  {
    name: "armed is set before the entry is written",
    find: `    Atomics.store(words, entry, me.id);
    raise`,
    replace: `    if (Atomics.load(words, ARMED) === 0) Atomics.store(words, ARMED, 1);
    Atomics.store(words, entry, me.id);
    if (Atomics.load(words, TOP) > me.slot) return;
    raise`,
  },
  {
    name: "disarms last",
    find: `    Atomics.store(words, ARMED, 0);
    const top = Math.min(Atomics.load(words, TOP), this.#threads);
    let any = false;
    for (let slot = 0; slot < top; slot++) {
      if (this.#give(me, slot)) any = true;
    }`,
    replace: `    const top = Math.min(Atomics.load(words, TOP), this.#threads);
    let any = false;
    for (let slot = 0; slot < top; slot++) {
      if (this.#give(me, slot)) any = true;
    }
    Atomics.store(words, ARMED, 0);`,
  },
  {
    name: "having found nobody, notifies one of those that came since",
    find: "return this.notifyAll(me);",
    replace: "Atomics.store(words, ARMED, 0); return top > 0 && this.#give(me, 0);",
  },
  {
    name: "a wait that is told to give up forgets that it was notified",
    find: "      if (Atomics.load(words, entry) !== me.id) break;\n",
    replace: "      if (over) { Atomics.store(words, entry, awake); return false; }\n" +
      "      if (Atomics.load(words, entry) !== me.id) break;\n",
  },
  {
    name: "the dead are notified",
    find: "if (me.alive(found)) {",
    replace: "if (found !== 0) {",
  },
  {
    name: "looks whether they live before it notifies them",
    find: `    if (Atomics.compareExchange(words, entry, found, given) !== found) return false;
`,
    replace: `    if (!me.alive(found)) {
      Atomics.compareExchange(words, entry, found, 0);
      return false;
    }
    if (Atomics.compareExchange(words, entry, found, given) !== found) return false;
    me.unpark(found);
    if (found !== 0) return true;
`,
  },
  {
    name: "nobody inherits a notification",
    find: "if ((found & ~ID_MASK) === 0 || me.alive(found & ID_MASK)) continue;",
    replace: "if (found !== -1) continue;",
  },
  {
    name: "an heir has what it inherits in no hand for a moment",
    find: "this.#inherit(me, false);",
    replace: "this.#inherit(me, true);",
  },
  {
    name: "an heir that was notified as well keeps both",
    find: "      if (Atomics.compareExchange(words, entry, me.id, awake) !== me.id) break;\n",
    replace: "      if (left) this.#inherit(me, true);\n" +
      "      if (Atomics.compareExchange(words, entry, me.id, awake) !== me.id) break;\n",
  },
  {
    name: "a slot's next thread overwrites what the last one died with",
    find: "if (before !== 0 && before !== (me.id | AWAKE)) this.#succeed(me, before);",
    replace: "",
  },
  {
    name: "a slot's next thread takes what the last one died with before it passes it on",
    find: "      this.notify(me);\n      // Another",
    replace:
      "      Atomics.store(this.#words, entry, 0);\n      this.notify(me);\n      // Another",
  },
  {
    name: "sleeps on when the one that disarmed has died",
    find: " && Atomics.load(words, ARMED) !== 0) continue;",
    replace: ") continue;",
  },
];

export const specs: readonly Spec[] = [{
  name: "EventCountCore",
  cases: [
    items({ name: "one item after the other", preemptions: 3 }, ["cc", "pp"]),
    items({ name: "two consumers", preemptions: 3 }, ["c", "c", "pp"]),
    items({ name: "again and again", preemptions: 2 }, ["cc", "ppc", "p"]),
    items({ name: "two of each", preemptions: 2 }, ["c", "c", "p", "p"]),
    items({ name: "all", preemptions: 3 }, ["cc", "c", "a"]),
    items({ name: "one and all", preemptions: 2 }, ["c", "c", "p", "a"]),
    items({ name: "for no reason", preemptions: 2, spurious: 2 }, ["c", "c", "pp"]),
    items({ name: "giving up", preemptions: 2, timeouts: 1 }, ["c", "c", "pd"]),
    items(
      { name: "death of a consumer", preemptions: 1, fullPreemptions: 2, kills: 1, victim: 0 },
      ["cc", "c", "pdp"],
    ),
    items({ name: "death while disarmed", preemptions: 2, kills: 1, victim: 1 }, ["c", "a", "p"]),
    items({ name: "death of a notifier", preemptions: 2, kills: 1, victim: 1 }, ["cc", "p", "pp"]),
    items(
      { name: "two deaths", preemptions: 0, kills: 2, victims: [0, 1] },
      ["c", "c", "c", "pee"],
    ),
    items(
      { name: "a slot's next thread", preemptions: 0, kills: 1, victim: 0, slots: [0, 1, 0, 2] },
      ["c", "c", "c", "pee"],
    ),
    items(
      {
        name: "a slot's next thread dies, too",
        preemptions: 0,
        kills: 2,
        victims: [0, 2],
        slots: [0, 1, 0, 2],
      },
      ["c", "c", "n", "pee"],
    ),
    items(
      { name: "death among many", preemptions: 2, kills: 1, victim: 0, full: true },
      ["c", "c", "c", "pdp"],
    ),
  ],
  mutants: mutants.map((mutant) => ({
    file: "lib/sync/conditions/event_count_core.ts",
    ...mutant,
  })),
}];
