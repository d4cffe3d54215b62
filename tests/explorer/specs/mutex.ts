import { MutexCore, PATIENCE_MS } from "../../../lib/sync/locks/mutex_core.ts";
import { abandonCase, GIVES_BACK } from "../abandon_spec.ts";
import { lockSpec, TRAFFIC_HOLD_MS, trafficCase } from "../lock_spec.ts";
import type { Case, Program, Spec, World } from "../spec.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import type { Wait } from "../../../lib/wait/waiter.ts";

/** Thread 0 has ended with the lock. Of three that come one is its heir, and says nothing: all are told. */
const POISONED: Case = {
  name: "poisoned while others sleep",
  threads: 4,
  words: MutexCore.words({ threads: 4, domains: 1 }),
  preemptions: 1,
  spins: 0,
  domains: [0, 0, 0, 0],
  gone: true,
  setup(world: World): Program {
    const core = (): MutexCore => new MutexCore(world.words, { threads: 4, domains: 1 });
    core().begin(world.waiter(0));
    let heirs = 0;
    const acquire = (index: number) =>
      function* (): Wait<void> {
        const own = core();
        const me = world.waiter(index);
        const got = own.begin(me) || (yield* own.wait(me));
        world.check(got ? own.ownerDied() : own.broken(), "it is told why");
        if (!got) return;
        heirs++;
        world.note(heirs);
        world.pause();
        world.check(own.release(me), "the owner can release");
      };
    return {
      threads: [() => {}, acquire(1), acquire(2), acquire(3)],
      end: () => world.check(heirs === 1, `${heirs} heirs`),
    };
  },
};

/**
 * A dead owner's heir gives the lock back as it was, one who is refused or gave it back says that all is right again, and
 * others come meanwhile.
 */
function repairedCase(name: string, options: Pick<Case, "spurious" | "preemptions">): Case {
  const shape: Shape = { threads: 4, domains: 1 };
  return {
    name,
    threads: shape.threads,
    words: MutexCore.words(shape),
    spins: 0,
    domains: [0, 0, 0, 0],
    gone: true,
    ...options,
    setup(world: World): Program {
      const core = (): MutexCore => new MutexCore(world.words, shape);
      core().begin(world.waiter(0));
      /** As a lock does it: once more when nothing says why not. */
      function* take(own: MutexCore, index: number): Wait<boolean> {
        const me = world.waiter(index);
        while (!own.begin(me)) {
          if (yield* own.wait(me)) return true;
          world.check(!own.holds(me), "who was refused holds nothing");
          if (own.broken()) return false;
        }
        return true;
      }
      const user = (index: number, again: boolean) =>
        function* (): Wait<void> {
          const own = core();
          const me = world.waiter(index);
          if (!(yield* take(own, index))) {
            if (again) own.markConsistent(me);
            return;
          }
          if (!again) own.markConsistent(me);
          world.pause();
          own.release(me);
          if (!again) return;
          own.markConsistent(me);
          if (yield* take(own, index)) own.release(me);
        };
      return { threads: [() => {}, user(1, true), user(2, false), user(3, false)] };
    },
  };
}

const lock = {
  make: (words: Int32Array, shape: Shape): MutexCore => new MutexCore(words, shape),
  words: MutexCore.words,
};

/** The default mutex: barging, one spinner a domain, impatience, death. */
export const specs: readonly Spec[] = [lockSpec({
  name: "Mutex",
  source: "lib/sync/locks/mutex_core.ts",
  ...lock,
  cases: [
    { name: "two", threads: 2, acquisitions: 2, preemptions: 3, spins: 0 },
    {
      name: "spinning",
      threads: 2,
      acquisitions: 2,
      preemptions: 3,
      spins: 1,
      domains: [0, 0],
    },
    {
      name: "three",
      threads: 3,
      acquisitions: 1,
      preemptions: 2,
      fullPreemptions: 3,
      spins: 0,
    },
    {
      name: "one domain",
      threads: 3,
      acquisitions: 1,
      preemptions: 3,
      spins: 1,
      domains: [0, 0, 0],
    },
    {
      // Between a release's look at who comes and what it does then, that one takes the lock and gives it back.
      name: "a late release",
      threads: 3,
      acquisitions: 1,
      held: true,
      preemptions: 3,
      fullPreemptions: 4,
      spins: 1,
      domains: [0, 0, 0],
    },
    {
      name: "giving up",
      threads: 3,
      acquisitions: 1,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      timeouts: 1,
    },
    {
      name: "giving up in one domain",
      threads: 3,
      acquisitions: 1,
      preemptions: 2,
      spins: 1,
      domains: [0, 0, 0],
      timeouts: 1,
    },
    {
      name: "impatient",
      threads: 3,
      acquisitions: 1,
      preemptions: 1,
      spins: 0,
      spurious: 1,
      timeouts: 1,
    },
    {
      name: "waking by itself",
      threads: 3,
      acquisitions: 1,
      preemptions: 3,
      spins: 0,
      spurious: 1,
      domains: [0, 0, 0],
    },
    {
      name: "death",
      threads: 2,
      acquisitions: 2,
      preemptions: 2,
      spins: 0,
      kills: 1,
    },
    {
      name: "death elsewhere",
      threads: 2,
      acquisitions: 2,
      preemptions: 2,
      spins: 1,
      domains: [0, 1],
      kills: 1,
    },
    {
      name: "death of three",
      threads: 3,
      acquisitions: 1,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      kills: 1,
    },
    {
      name: "death of the impatient",
      threads: 3,
      acquisitions: 1,
      held: true,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      spurious: 1,
      kills: 1,
      victim: 1,
    },
    {
      name: "death of who calls",
      threads: 3,
      acquisitions: 1,
      held: true,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      spurious: 1,
      kills: 1,
      victim: 0,
      repairs: [1, 2],
    },
    {
      name: "death, repaired",
      threads: 3,
      acquisitions: 1,
      preemptions: 1,
      spins: 0,
      kills: 1,
      repairs: [0, 1, 2],
    },
    {
      name: "a slot's next thread",
      threads: 3,
      slots: [0, 1, 0],
      acquisitions: 1,
      preemptions: 2,
      spins: 0,
      kills: 1,
      victim: 0,
    },
    {
      name: "an impatient one's slot's next thread",
      threads: 4,
      slots: [0, 1, 2, 1],
      acquisitions: 1,
      held: true,
      preemptions: 0,
      fullPreemptions: 1,
      spins: 0,
      spurious: 1,
      kills: 1,
      victim: 1,
      repairs: [0, 2, 3],
    },
    {
      name: "four",
      threads: 4,
      acquisitions: 1,
      held: true,
      preemptions: 1,
      fullPreemptions: 2,
      spins: 0,
      spurious: 1,
      domains: [0, 0, 0, 0],
    },
    { name: "trying", threads: 3, acquisitions: 1, tries: 1, preemptions: 1, spins: 0 },
    {
      name: "four domains",
      threads: 7,
      acquisitions: 1,
      preemptions: 0,
      spins: 20,
      domains: [0, 0, 1, 1, 2, 2, 3],
    },
    // Whoever has lost its patience waits for others that have.
    trafficCase({ across: [0, 0.05], bypass: Math.ceil(PATIENCE_MS / TRAFFIC_HOLD_MS) + 32 }),
  ],
  more: [
    POISONED,
    repairedCase("repaired while others come", { preemptions: 3 }),
    repairedCase("repaired while others come and wake by themselves", {
      preemptions: 2,
      spurious: 2,
    }),
    abandonCase({ ...lock, preemptions: 2 }),
  ],
  mutants: [
    GIVES_BACK,
    {
      name: "poisoning wakes one",
      find: "while (this.#wakeOne(me));",
      replace: "this.#wakeOne(me);",
    },
    {
      name: "who is refused keeps a wake-up",
      find: "if (look === BROKEN && seen === mark) return false;",
      replace: "if (look === BROKEN) { Atomics.store(words, entry, 0); return false; }",
    },
    {
      name: "who finds the lock poisoned looks once more why",
      find: "if (look === MARKED) {",
      replace: "if (look === MARKED || !this.broken()) {",
    },
    {
      name: "who comes to sleep takes a poisoned lock",
      find: "      if (owner === 0 && (state & DIED) !== 0) return BROKEN;\n      // One that",
      replace: "      // One that",
    },
    {
      name: "a grant to a thread that died meanwhile wakes nobody",
      find: "      if (!me.alive(id)) this.#wakeOne(me);\n",
      replace: "",
    },
    {
      name: "searches for sleepers before the lock is free",
      find: "const free = Atomics.and(words, STATE, WAITERS | IMPATIENT) & (WAITERS | IMPATIENT);",
      replace:
        "const found = this.#wakeOne(me); const free = Atomics.and(words, STATE, WAITERS | IMPATIENT) & (WAITERS | IMPATIENT); if (!found) Atomics.compareExchange(words, STATE, free, free & IMPATIENT); if (true) return true;",
    },
    {
      name: "relies on who was called last, come or not",
      find: "return entry < 0 && me.alive(entry & ID_MASK);",
      replace: "return at !== 0 && (entry === 0 || me.alive(entry & ID_MASK));",
    },
    {
      name: "who was called does not say that it has come",
      find: "if (seen === (me.id | CALLED)) Atomics.store(words, entry, 0);",
      replace: "",
    },
    {
      name: "who was woken forgets the others",
      find: "if (this.#spin(me)) return this.#keepWaiters();",
      replace: "if (this.#spin(me)) return true;",
    },
    {
      name: "takes WAITERS that an earlier release dropped for care",
      find: "if (!dropped) this.#passOn(me);\n    else if (",
      replace: "if (!dropped) return true;\n    if (",
    },
    {
      name: "who spun forgets the others",
      find: "=== 0 && this.#take(me, WAITERS);",
      replace: "=== 0 && this.#take(me);",
    },
    {
      name: "a last look that does not ask whether the owner lives",
      find: "if (owner !== 0 && !me.alive(owner)) {",
      replace: "if (owner < 0) {",
    },
    {
      name: "who gives up keeps the wake-up",
      find: "        this.#passOn(me);\n        return false;",
      replace: "        return false;",
    },
    {
      name: "a release looks for its spinner first",
      find: "const free = Atomics.and(words, STATE, WAITERS | IMPATIENT) & (WAITERS | IMPATIENT);",
      replace:
        "const early = Atomics.load(words, (1 + me.domain) * LINE_WORDS); if (early !== 0 && me.alive(early)) { Atomics.and(words, STATE, WAITERS | IMPATIENT); return true; } const free = Atomics.and(words, STATE, WAITERS | IMPATIENT) & (WAITERS | IMPATIENT);",
    },
    {
      name: "does not say that it sleeps before the last look",
      find: "      Atomics.store(words, entry, mark);\n      raise",
      replace: "      raise",
    },
    {
      name: "takes it without looking",
      find:
        "if (Atomics.compareExchange(words, STATE, state, next) === state) return true;\n    }\n  }\n\n  /** Takes it, finds",
      replace:
        "Atomics.store(words, STATE, next); return true;\n    }\n  }\n\n  /** Takes it, finds",
    },
    {
      name: "a dead owner counts as alive",
      find: "if (owner === me.id || me.alive(owner)) return false;",
      replace: "return false;",
    },
    {
      name: "does not wait for what it was promised",
      find: "for (let promise = seen & GRANTED ? seen : 0; promise !== 0;) {",
      replace: "for (let promise = 0; promise !== 0;) {",
    },
  ],
})];
