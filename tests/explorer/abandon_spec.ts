/**
 * What locks have in common that a thread can leave as one that dies does, because its memory goes away.
 *
 * @module
 */
import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { FOREVER, LINE_WORDS, type Wait, type Waiter } from "../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, World } from "./spec.ts";

/** What can be wrong with a lock of which one word names the owner. */
export const GIVES_BACK: Omit<Mutant, "file"> = {
  name: "gives back what it abandons",
  find: "const next = (state & ~ID_MASK) | dead;",
  replace: "const next = state & ~ID_MASK;",
};

/** A lock whose holder can abandon it, and which says so. */
interface Abandonable extends LockCore {
  abandon(me: Waiter, dead: number): boolean;
  broken(): boolean;
}

/** How to explore it. */
export interface AbandonCase extends Pick<Case, "describe" | "preemptions" | "slices"> {
  make(words: Int32Array, shape: Shape): Abandonable;
  words(shape: Shape): number;
}

/**
 * Makes a case in which thread 0 has the lock from the start and abandons it to the id of thread 1, which has ended, while
 * two others come: in a robust lock one of them is its heir and is told, in another one nobody gets it, and all are told.
 *
 * @param options The lock.
 * @returns The case.
 */
export function abandonCase(options: AbandonCase): Case {
  const { make } = options;
  const shape: Shape = { threads: 4, domains: 2 };
  const others = [2, 3];
  return {
    ...options,
    name: "abandoned",
    threads: 4,
    words: Math.ceil(options.words(shape) / LINE_WORDS) * LINE_WORDS,
    spins: 0,
    domains: [0, 0, 0, 1],
    gone: true,
    setup(world: World): Program {
      make(world.words, shape).begin(world.waiter(0));
      let heirs = 0;
      let told = 0;
      const abandon = function* (): Wait<void> {
        const core = make(world.words, shape);
        const me = world.waiter(0);
        world.check(core.abandon(me, world.waiter(1).id), "its holder can abandon it");
        world.check(!core.holds(me) && !core.release(me), "its holder has it no longer");
        // As after a death.
        for (const index of others) me.unpark(world.waiter(index).id);
        // It lives on: nobody may take it for dead.
        while (told < others.length) yield FOREVER;
      };
      const acquire = (index: number) =>
        function* (): Wait<void> {
          const core = make(world.words, shape);
          const me = world.waiter(index);
          world.check(!core.abandon(me, world.waiter(1).id), "nobody else can abandon it");
          const got = core.begin(me) || (yield* core.wait(me));
          if (got) {
            heirs++;
            world.check(core.ownerDied !== undefined && core.ownerDied(), "the heir is told");
            world.check(core.release(me), "the heir can release");
          } else world.check(core.broken(), "it is told why");
          told++;
          world.note(2 * told + heirs);
          me.unpark(world.waiter(0).id);
        };
      return {
        threads: [abandon, () => {}, ...others.map(acquire)],
        end(): void {
          const core = make(world.words, shape);
          const most = core.markConsistent === undefined ? 0 : 1;
          world.check(heirs === most, `${heirs} heirs`);
          world.check(core.broken(), "it is broken in the end");
        },
      };
    },
  };
}
