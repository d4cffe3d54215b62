import { EpochCore } from "../../../lib/sync/epoch/epoch_core.ts";
import { LINE_WORDS } from "../../../lib/wait/waiter.ts";
import type { Case, Program, Spec, Thread, World } from "../spec.ts";

/**
 * A shared word names one of some blocks. Readers follow it and look at the block, which must not be reused
 * meanwhile; a writer puts another block in place, notes the epoch, and reuses the old one when that is safe.
 */
function blocks(options: Omit<Case, "words" | "setup" | "threads">, roles: string): Case {
  const threads = roles.length;
  const shape = { threads: 1 + Math.max(...options.slots ?? [threads - 1]), domains: 1 };
  const link = EpochCore.words(shape);
  const first = link + 1;
  return {
    ...options,
    threads,
    words: link + LINE_WORDS,
    describe: (word) => {
      if (word >= link) return word === link ? "link" : `block ${word - first}`;
      const line = Math.floor(word / LINE_WORDS);
      return line === 0
        ? ["epoch", "top"][word] as string
        : `${["seen", "id", "depth"][word % LINE_WORDS]} ${line - 1}`;
    },
    setup(world: World): Program {
      const { words } = world;
      const read = (): void => {
        const block = Atomics.load(words, link);
        world.check(
          Atomics.load(words, first + block) === 0,
          "a block was reused while it is read",
        );
        world.check(
          Atomics.load(words, first + block) === 0,
          "a block was reused while it is read",
        );
      };
      const guarded = (core: EpochCore, index: number): Thread => () => {
        const me = world.waiter(index);
        for (let round = 0; round < 2; round++) {
          core.enter(me);
          core.enter(me);
          core.exit(me);
          read();
          core.exit(me);
        }
      };
      const quiet = (core: EpochCore, index: number): Thread => () => {
        const me = world.waiter(index);
        world.check(!core.exit(me), "it is offline");
        core.enter(me);
        read();
        core.quiescent(me);
        read();
        core.exit(me);
      };
      const writer = (core: EpochCore, index: number): Thread => () => {
        const me = world.waiter(index);
        const block = 1 + index;
        const old = Atomics.exchange(words, link, block);
        const epoch = core.epoch();
        let last = epoch;
        for (let round = 0; round < 3; round++) {
          core.advance(me);
          const since = (core.epoch() - last) | 0;
          world.check(since >= 0, "the epoch goes back");
          last = (last + since) | 0;
        }
        if (core.safe(epoch)) Atomics.store(words, first + old, -1);
      };
      const kinds: Record<string, typeof guarded> = { g: guarded, q: quiet, w: writer };
      return {
        threads: [...roles].map((role, index) =>
          (kinds[role] as typeof guarded)(new EpochCore(words, shape), index)
        ),
        end(): void {
          // All that are left are offline or dead, so that nothing holds the epoch up.
          const core = new EpochCore(words, shape);
          const alive = roles.length - 1 -
            [...roles].findLastIndex((_, i) => !world.killed(roles.length - 1 - i));
          if (alive < 0 || alive >= roles.length) return;
          const me = world.waiter(alive);
          const epoch = core.epoch();
          for (let round = 0; round < 2; round++) {
            world.check(core.advance(me) === 0, "the epoch is held up");
          }
          world.check(core.safe(epoch), "it has moved twice");
        },
      };
    },
  };
}

export const specs: readonly Spec[] = [{
  name: "EpochCore",
  cases: [
    blocks({ name: "guards", preemptions: 3 }, "gw"),
    blocks({ name: "quiescent states", preemptions: 3 }, "qw"),
    blocks({ name: "two writers", preemptions: 2 }, "gww"),
    blocks({ name: "all kinds", preemptions: 2 }, "gqw"),
    blocks({ name: "three writers", preemptions: 1, fullPreemptions: 3 }, "qwww"),
    blocks({ name: "death of a reader", preemptions: 2, kills: 1, victim: 0 }, "gw"),
    blocks(
      { name: "a slot's next thread", preemptions: 2, kills: 1, victim: 0, slots: [0, 1, 0] },
      "gwg",
    ),
    blocks({ name: "death", preemptions: 1, fullPreemptions: 2, kills: 1 }, "qgw"),
  ],
  mutants: [
    {
      file: "lib/sync/epoch/epoch_core.ts",
      name: "a slow advance takes the epoch back",
      find: "Atomics.compareExchange(words, EPOCH, epoch, (epoch + STEP) | 0);",
      replace: "Atomics.store(words, EPOCH, (epoch + STEP) | 0);",
    },
    {
      name: "once is enough",
      file: "lib/sync/epoch/epoch_core.ts",
      find: ">= 2 * STEP",
      replace: ">= STEP",
    },
    {
      name: "the epoch waits for nobody",
      file: "lib/sync/epoch/epoch_core.ts",
      find: "if (me.alive(id)) return id;",
      replace: "",
    },
    {
      name: "the epoch waits for the dead",
      file: "lib/sync/epoch/epoch_core.ts",
      find: "if (me.alive(id)) return id;",
      replace: "return id;",
    },
    {
      name: "an inner guard ends the outer one",
      file: "lib/sync/epoch/epoch_core.ts",
      find: "if (depth === 0) Atomics.store",
      replace: "if (depth >= 0) Atomics.store",
    },
    {
      name: "a new thread is overlooked",
      file: "lib/sync/epoch/epoch_core.ts",
      find: "    raise(words, TOP, slot + 1);\n",
      replace: "",
    },
    {
      name: "a slot's next thread is taken to be inside already",
      file: "lib/sync/epoch/epoch_core.ts",
      find: "    words[line + DEPTH] = 0;\n",
      replace: "",
    },
  ],
}];
