import { ConditionCore } from "../../../lib/sync/conditions/condition_core.ts";
import { EventCountCore } from "../../../lib/sync/conditions/event_count_core.ts";
import { MutexCore } from "../../../lib/sync/locks/mutex_core.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, Thread, World } from "../spec.ts";

/**
 * Items that a mutex guards: c takes one and waits while there is none; s makes one and signals, S does so after it
 * has released the lock; b makes as many as there are consumers and broadcasts.
 */
function items(options: Omit<Case, "words" | "setup" | "threads">, roles: readonly string[]): Case {
  const threads = roles.length;
  const shape = { threads, domains: 1 };
  const eventsAt = MutexCore.words(shape);
  const count = eventsAt + EventCountCore.words(shape);
  return {
    ...options,
    threads,
    domains: roles.map(() => 0),
    words: count + LINE_WORDS,
    describe: (word) => {
      if (word === count) return "items";
      if (word < eventsAt) return `mutex ${word}`;
      const at = word - eventsAt;
      return at < LINE_WORDS
        ? ["armed", "top", "cursor"][at] as string
        : `entry ${at - LINE_WORDS}`;
    },
    setup(world: World): Program {
      const { words } = world;
      const consumers = roles.join("").replaceAll(/[^c]/g, "").length;
      const thread = (index: number): Thread => {
        const me = world.waiter(index);
        const lock = new MutexCore(words.subarray(0, eventsAt), shape);
        const condition = new ConditionCore(
          new EventCountCore(words.subarray(eventsAt, count), shape),
        );
        const acquire = function* (): Wait<void> {
          for (let got = false; !got;) {
            world.operation("acquire");
            got = lock.begin(me) || (yield* lock.wait(me));
            world.done();
          }
        };
        const add = (items: number): void => {
          words[count] = (words[count] as number) + items;
        };
        return function* (): Wait<void> {
          for (const role of roles[index] as string) {
            world.check(!condition.begin(lock, me), "waits without the lock");
            yield* acquire();
            if (role === "c") {
              let over = false;
              while (words[count] === 0 && !over) {
                world.operation("wait");
                world.check(condition.begin(lock, me), "its owner can wait");
                over = !(yield* condition.wait(me));
                world.check(!over || (options.timeouts ?? 0) > 0, "gave up, but nobody said so");
                world.done();
                yield* acquire();
              }
              if (!over) add(-1);
            } else add(role === "b" ? consumers : 1);
            if (role === "s") condition.signal(me);
            if (role === "b") condition.broadcast(me);
            world.check(lock.release(me), "the owner can release");
            if (role === "S") condition.signal(me);
          }
        };
      };
      return {
        threads: roles.map((_, index) => thread(index)),
        end: () => world.check((words[count] as number) >= 0, "more were taken than made"),
      };
    },
  };
}

export const specs: readonly Spec[] = [{
  name: "ConditionCore",
  cases: [
    items({ name: "signals under the lock", preemptions: 2 }, ["c", "c", "ss"]),
    items({ name: "signals after the lock", preemptions: 2 }, ["c", "c", "SS"]),
    items({ name: "sleeping at once", preemptions: 2, spins: 0 }, ["cc", "s", "S"]),
    items({ name: "broadcast", preemptions: 2, spins: 0 }, ["c", "c", "b"]),
    items({ name: "giving up", preemptions: 1, fullPreemptions: 2, spins: 0, timeouts: 1 }, [
      "c",
      "c",
      "sS",
    ]),
  ],
  mutants: [
    {
      name: "prepares after it has released the lock",
      file: "lib/sync/conditions/condition_core.ts",
      find: `    this.#events.prepare(me);
    if (lock.release(me)) return true;
    this.#events.cancel(me);
    return false;`,
      replace: `    if (!lock.release(me)) return false;
    this.#events.prepare(me);
    return true;`,
    },
    {
      name: "keeps the lock",
      file: "lib/sync/conditions/condition_core.ts",
      find: "if (lock.release(me)) return true;",
      replace: "if (lock.holds(me)) return true;",
    },
    {
      name: "a broadcast wakes one",
      file: "lib/sync/conditions/condition_core.ts",
      find: "return this.#events.notifyAll(me);",
      replace: "return this.#events.notify(me);",
    },
    {
      name: "a wait without the lock stays announced",
      file: "lib/sync/conditions/condition_core.ts",
      find: "    this.#events.cancel(me);\n",
      replace: "",
    },
  ],
}];
