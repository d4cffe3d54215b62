import { LatchCore } from "../../../lib/sync/barriers/latch_core.ts";
import type { Shape } from "../../../lib/shared/shape.ts";
import { LINE_WORDS, type Wait } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, World } from "../spec.ts";

const FILE = "lib/sync/barriers/latch_core.ts";

function describe(word: number): string {
  return ["state", "used"][word] ?? `sleeper of slot ${word - LINE_WORDS}`;
}

/**
 * Threads that count down, and threads that wait.
 *
 * @param name Of the case.
 * @param count At first.
 * @param downs What each of the first threads counts down.
 * @param waiters How many more threads there are.
 * @param more How far.
 */
function latch(
  name: string,
  count: number,
  downs: readonly (readonly number[])[],
  waiters: number,
  more: Partial<Case>,
): Case {
  const threads = downs.length + waiters;
  const shape: Shape = { threads: 1 + Math.max(...more.slots ?? [threads - 1]), domains: 1 };
  return {
    name,
    threads,
    words: LatchCore.words(shape),
    preemptions: 3,
    spins: 0,
    describe,
    ...more,
    setup(world: World): Program {
      const { words } = world;
      LatchCore.init(words, count);
      const core = (): LatchCore => new LatchCore(words, shape);
      const counter = (index: number) => (): void => {
        for (const n of downs[index] as readonly number[]) {
          const left = core().countDown(world.waiter(index), n);
          world.check(left >= 0 && left < count, `${left} left`);
        }
      };
      const waiter = (index: number) =>
        function* (): Wait<void> {
          const own = core();
          const me = world.waiter(index);
          const open = own.begin(me) || (yield* own.wait(me));
          world.check(open ? own.left() === 0 : more.timeouts !== undefined, "it is open");
        };
      return {
        threads: Array.from(
          { length: threads },
          (_, index) => index < downs.length ? counter(index) : waiter(index),
        ),
        end: () => {
          world.check(core().left() === 0, "it stays open");
          const sleepers = words.subarray(LINE_WORDS).filter((id) =>
            id !== 0 && !world.killed(id - 1)
          );
          world.check(sleepers.length === 0, "nobody is taken for a sleeper");
        },
      };
    },
  };
}

/** Latches: who waits gets through, and not too early. */
export const specs: readonly Spec[] = [{
  name: "Latch",
  cases: [
    latch("one waits", 2, [[1], [1]], 1, {}),
    latch("two wait", 2, [[1, 1]], 2, {}),
    latch("spinning", 2, [[1], [1]], 1, { spins: 1 }),
    latch("more than there is", 1, [[5, 1], [1]], 1, {}),
    latch("giving up", 1, [[1]], 2, { timeouts: 1, spurious: 1 }),
    latch("death", 1, [[1], [1]], 1, { kills: 1, victim: 0 }),
    latch("a slot's next thread", 1, [[1]], 2, { slots: [0, 1, 1], kills: 1, victim: 1 }),
    latch("death of a sleeper", 1, [[1]], 2, { kills: 1, victim: 1 }),
  ],
  mutants: [
    {
      file: FILE,
      name: "sleeps without a word",
      find: "Atomics.compareExchange(words, STATE, state, state | SLEEPERS);",
      replace: "return false;",
    },
    {
      file: FILE,
      name: "does not say that it sleeps",
      find: "    Atomics.store(words, at, me.id);\n    raise",
      replace: "    raise",
    },
    {
      file: FILE,
      name: "counts without looking",
      find: "if (Atomics.compareExchange(words, STATE, state, next) !== state) continue;",
      replace: "Atomics.store(words, STATE, next);",
    },
    {
      file: "lib/wait/slot_words.ts",
      name: "wakes one",
      find: "if (id !== 0) me.unpark(id);",
      replace: "if (id !== 0) return me.unpark(id);",
    },
  ],
}];
