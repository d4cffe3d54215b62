/**
 * Threads that use an `MpmcCore` and never sleep: what they find has to be linearizable. And what other cases of it need.
 *
 * @module
 */
import { BUSY } from "../../lib/structs/outcomes.ts";
import { ENDED, MpmcCore } from "../../lib/structs/rings/mpmc_core.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../lib/wait/waiter.ts";
import { type Operation, whatIsWrong } from "./histories.ts";
import type { Case, Program, Thread, World } from "./spec.ts";

/** Records that a ring has room for here. */
export const CAPACITY = 2;
const RECORDS = 3 * LINE_WORDS;

/** Names the words of a ring, of records of a size. */
export const describeWord = (size: number): (word: number) => string => (word) =>
  ({
    0: "producer",
    1: "tail",
    2: "head seen",
    3: "closed",
    [LINE_WORDS]: "consumer",
    [LINE_WORDS + 1]: "head",
    [LINE_WORDS + 2]: "tail seen",
    [2 * LINE_WORDS]: "need",
  })[word] ?? (word >= RECORDS && word < RECORDS + CAPACITY * size ? "record" : `words[${word}]`);

/** Somebody who looks when all is over: spinning would not help. */
export function inspector(world: World): Waiter {
  return {
    ...{ id: world.threads + 1, slot: 0, domain: 0 },
    spin: () => false,
    unpark() {},
    alive: (id) => !world.killed(id - 1),
    now: () => 0,
  };
}

/** Does something between naps, while somebody is in the way. */
export function* napping(step: () => number): Wait<number> {
  for (;;) {
    const result = step();
    if (result !== BUSY) return result;
    yield 1;
  }
}

/** The number of a record that a thread puts in: its first one is 1. */
export const numberOf = (thread: number, record: number): number => 100 * (thread + 1) + record;

/** What a thread does: all or none of so many records, or as many as there is room for; or closes the ring. */
type Call = readonly ["push" | "push some" | "pop" | "pop all", number] | readonly ["close"];

/** Threads that never sleep. What they find has to be what they would have found in some order, one after the other. */
export function history(
  options: Omit<Case, "words" | "setup" | "threads"> & {
    readonly calls: readonly (readonly Call[])[];
    /** How many records are there at the start. */
    readonly filled?: number;
  },
): Case {
  const { calls, filled = 0, ...rest } = options;
  const threads = calls.length;
  const shape = { threads, domains: 1 };
  const words = MpmcCore.words(shape, CAPACITY, 1);
  return {
    ...rest,
    threads,
    words,
    describe: describeWord(1),
    setup(world: World): Program {
      const before = Array.from({ length: filled }, (_, at) => 1 + at);
      world.words.set(before, RECORDS);
      world.words[1] = filled;
      const operations: Operation[] = [];
      let moment = 0;
      const thread = (index: number): Thread => {
        const me = world.waiter(index);
        return function* (): Wait<void> {
          const core = new MpmcCore(world.words, shape, CAPACITY, 1);
          for (const [at, [what, count = 0]] of (calls[index] as readonly Call[]).entries()) {
            // It begins when others have done what they do before it.
            world.pause();
            const numbers = new Int32Array(count).map((_, record) =>
              numberOf(index, 10 * at + record)
            );
            const operation: Operation = {
              ...{ what, count, begun: moment++, ended: Infinity, result: 0 },
              moved: [...numbers],
            };
            operations.push(operation);
            world.note(index);
            const result = yield* napping(() => {
              if (what === "close") return core.close(me) ? 0 : BUSY;
              const least = what === "push" || what === "pop all" ? count : 1;
              return what === "push" || what === "push some"
                ? core.push(me, numbers, count, least)
                : core.pop(me, numbers, count, least);
            });
            operation.ended = moment++;
            operation.result = result;
            operation.moved = [...numbers].slice(0, Math.max(0, result));
            world.note(~index);
          }
        };
      };
      return {
        threads: calls.map((_, index) => thread(index)),
        end: () => {
          // Two more: what is there, and that this is all.
          const core = new MpmcCore(world.words, shape, CAPACITY, 1);
          for (let round = 0; round < 2; round++) {
            const target = new Int32Array(CAPACITY);
            const result = core.pop(inspector(world), target, CAPACITY, 1);
            operations.push({
              ...{ what: "pop", count: CAPACITY, begun: moment++, ended: moment++, result },
              moved: [...target].slice(0, result),
            });
          }
          const wrong = whatIsWrong(operations, before, CAPACITY, ENDED);
          world.check(wrong === undefined, `in no order: ${wrong}`);
        },
      };
    },
  };
}
