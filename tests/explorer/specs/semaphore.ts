import { SemaphoreCore } from "../../../lib/sync/conditions/semaphore_core.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const FILE = "lib/sync/conditions/semaphore_core.ts";

function describe(word: number): string {
  const line = Math.floor(word / LINE_WORDS);
  const at = word % LINE_WORDS;
  if (line === 0) return "state";
  if (line === 1) return ["max", "bypass", "used", "tickets", "bypassed"][at] as string;
  return `${["id", "need", "ticket"][at]} of slot ${line - 2}`;
}

/** A case. */
interface Wants extends Partial<Case> {
  /** How many there can be. */
  readonly permits: number;
  /** How many there are at first, where that is less. */
  readonly initial?: number;
  /** How many each thread takes, one time after the other; or adds, when it is below 0. */
  readonly needs: readonly (readonly number[])[];
  /** How often sleepers are overtaken. */
  readonly bypass?: number;
  /** How many of the threads try first. */
  readonly tries?: number;
  /** How many of the last threads keep what they have taken. */
  readonly keeps?: number;
  /** The next ticket, where all slots were in use before, with tickets from long ago. */
  readonly ticket?: number;
}

function semaphore(name: string, wants: Wants): Case {
  const { permits, needs, bypass = 1, tries = 0, keeps = 0, initial = permits, ...more } = wants;
  const { ticket } = wants;
  const shape: Shape = { threads: 1 + Math.max(...more.slots ?? [needs.length - 1]), domains: 1 };
  const { kills = 0, timeouts = 0 } = more;
  return {
    name,
    threads: needs.length,
    words: SemaphoreCore.words(shape),
    preemptions: 2,
    spins: 0,
    describe,
    ...more,
    setup(world: World): Program {
      const { words } = world;
      SemaphoreCore.init(words, initial, permits, bypass);
      if (ticket !== undefined) {
        words[LINE_WORDS + 2] = shape.threads;
        words[LINE_WORDS + 3] = ticket;
        for (let slot = 0; slot < shape.threads; slot++) {
          words[(2 + slot) * LINE_WORDS + 2] = ticket - 100 + slot;
        }
      }
      let free = initial;
      const thread = (index: number) =>
        function* (): Wait<void> {
          const core = new SemaphoreCore(words, shape);
          const me = world.waiter(index);
          for (const n of needs[index] as readonly number[]) {
            if (n < 0) {
              free -= n;
              world.note(free);
              world.check(core.release(me, -n), "permits can be added");
              continue;
            }
            world.operation("acquire");
            const got = (index < tries && core.tryAcquire(me, n)) || core.begin(me, n) ||
              (yield* core.wait(me, n));
            world.done();
            world.check(got || timeouts > 0, "it gets its permits");
            if (!got) continue;
            free -= n;
            world.note(free);
            world.check(free >= 0, "no permit is taken twice");
            if (index >= needs.length - keeps) continue;
            world.pause();
            free += n;
            world.note(free);
            world.check(core.release(me, n), "what was taken can be given back");
          }
        };
      return {
        threads: needs.map((_, index) => thread(index)),
        end: () => {
          const core = new SemaphoreCore(words, shape);
          const left = core.available();
          world.check(left <= permits, "no more than there were");
          const alive = needs.findIndex((_, index) => !world.killed(index));
          const me = world.waiter(alive);
          if (kills === 0) {
            world.check(left === free, `${left} are left`);
            world.check(!core.release(me, permits - left + 1), "there cannot be more");
          }
          if (left > 0) world.check(core.tryAcquire(me, left), "nobody is waited for in the end");
        },
      };
    },
  };
}

/** Semaphores: no permit twice, nobody left asleep. */
export const specs: readonly Spec[] = [{
  name: "Semaphore",
  cases: [
    semaphore("two", { permits: 1, needs: [[1, 1], [1, 1]], preemptions: 3 }),
    semaphore("three", { permits: 1, needs: [[1], [1], [1]] }),
    semaphore("one wants all", { permits: 2, needs: [[2], [1, 1], [1]] }),
    semaphore("overtaking", { permits: 2, needs: [[2], [1, 1, 1]], bypass: 2, preemptions: 3 }),
    semaphore("for keeps", { permits: 2, initial: 0, needs: [[-2], [1], [1]], keeps: 2 }),
    semaphore("spinning", { permits: 1, needs: [[1], [1], [1]], spins: 1 }),
    semaphore("trying", { permits: 2, needs: [[1], [2], [1]], tries: 2 }),
    semaphore("giving up", {
      permits: 2,
      needs: [[2], [1], [2]],
      preemptions: 1,
      timeouts: 1,
      spurious: 1,
    }),
    semaphore("death", { permits: 2, needs: [[1], [1], [1]], kills: 1, preemptions: 2 }),
    semaphore("slots used before", { permits: 1, needs: [[1], [1], [1]], ticket: 100 }),
    semaphore("a slot's next thread", {
      permits: 4,
      initial: 0,
      // As many for those that die with a thread as it may take.
      needs: [[2], [-1, -1, -2], [2]],
      slots: [0, 1, 0],
      kills: 1,
      victim: 0,
    }),
    semaphore("death of a sleeper", {
      permits: 3,
      needs: [[1], [2], [1, 1]],
      kills: 1,
      victim: 0,
      preemptions: 2,
    }),
  ],
  mutants: [
    {
      file: FILE,
      name: "says that it waits before it says for how many, and when it came",
      find:
        "    Atomics.store(words, at + NEED, n);\n    Atomics.store(words, at + TICKET, Atomics.add(words, TICKETS, 1));\n    Atomics.store(words, at + ID, me.id);\n",
      replace:
        "    Atomics.store(words, at + ID, me.id);\n    Atomics.store(words, at + NEED, n);\n    Atomics.store(words, at + TICKET, Atomics.add(words, TICKETS, 1));\n",
    },
    {
      file: FILE,
      name: "takes out a slot's next thread in place of the dead one",
      find: "      Atomics.compareExchange(words, first + ID, id, 0);",
      replace: "      Atomics.store(words, first + ID, 0);",
    },
    {
      file: FILE,
      name: "takes without looking",
      find:
        "if (Atomics.compareExchange(words, STATE, state, next) !== state) continue;\n      if ((state & WAITERS) !== 0) this.#countBypass();",
      replace: "Atomics.store(words, STATE, next);",
    },
    {
      file: FILE,
      name: "sleeps without a word",
      find: "Atomics.compareExchange(words, STATE, state, state | WAITERS);",
      replace: "return false;",
    },
    {
      file: FILE,
      name: "does not search once more",
      find: "if (this.#first(me) === 0) return true;",
      replace: "return true;",
    },
    {
      file: FILE,
      name: "who leaves forgets the next",
      find: "        this.#passOn(me);\n        return got;",
      replace: "        return got;",
    },
    {
      file: FILE,
      name: "says that it waits after looking",
      find: "    Atomics.store(words, at + ID, me.id);\n    raise",
      replace: "    raise",
    },
    {
      file: FILE,
      name: "a dead sleeper stays the first",
      find: "if (id === me.id || me.alive(id)) return first;",
      replace: "return first;",
    },
    {
      file: FILE,
      name: "is kept closed for nobody",
      find: "if (!this.#passOn(me)) return false;",
      replace: "return false;",
    },
    {
      file: FILE,
      name: "a release wakes nobody",
      find: "if ((state & WAITERS) !== 0) this.#passOn(me);",
      replace: "",
    },
  ],
}];
