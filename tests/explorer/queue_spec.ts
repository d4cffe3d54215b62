/**
 * What queue locks have in common: they hand on in order, they are not robust, and they tell.
 *
 * @module
 */

import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../lib/wait/waiter.ts";
import { abandonCase } from "./abandon_spec.ts";
import { lockSpec, type LockSpecOptions } from "./lock_spec.ts";
import type { Case, Program, Spec, Thread, World } from "./spec.ts";

/** Why sleeps of those may end that wait for a thread which died before, and so woke them in vain. */
export const LOOKS = "who waits looks for dead threads each 20 ms";

/** A lock that says when a dead thread is in its way. */
interface Telling extends LockCore {
  abandon(me: Waiter, dead: number): boolean;
  broken(): boolean;
}

/** How to explore a lock whose threads may die. */
export interface KillCase extends Omit<Case, "words" | "setup"> {
  make(words: Int32Array, shape: Shape): Telling;
  words(shape: Shape): number;
  /** How often each thread takes the lock. Default: once. */
  readonly acquisitions?: number;
}

/**
 * Makes names of words: those of line 0, then those of each thread's line.
 *
 * @param first Names in line 0.
 * @param node Names in other lines.
 * @returns Names them.
 */
export function describeQueue(
  first: readonly string[],
  node: readonly string[],
): (word: number) => string {
  return (word) => {
    const line = Math.floor(word / LINE_WORDS);
    const name = (line === 0 ? first : node)[word % LINE_WORDS] ?? `words[${word}]`;
    return line === 0 ? name : `${name} of slot ${line - 1}`;
  };
}

/**
 * Makes a case in which threads die: the others end all the same, one at a time in the lock, and have had it, or are told.
 *
 * @param options The lock and the case.
 * @returns The case.
 */
export function killCase(options: KillCase): Case {
  const { make, threads, acquisitions = 1 } = options;
  const domains = new Set(options.domains ?? [0, 1]).size;
  const shape: Shape = {
    threads: options.slots === undefined ? threads : 1 + Math.max(...options.slots),
    domains,
  };
  const size = options.words(shape);
  return {
    kills: 1,
    ...options,
    words: size,
    setup(world: World): Program {
      const thread = (index: number): Thread => {
        const core = make(world.words, shape);
        const me = world.waiter(index);
        return function* (): Wait<void> {
          for (let round = 0; round < acquisitions; round++) {
            world.lock("wanted");
            const got = core.begin(me) || (yield* core.wait(me));
            world.lock(got ? "taken" : "gave up");
            if (!got) {
              const told = (options.timeouts ?? 0) > 0 || core.broken();
              world.check(told, "who gets nothing is told why");
              world.check(!core.holds(me), "who gets nothing holds nothing");
              continue;
            }
            world.pause();
            world.lock("free");
            world.check(core.release(me), "the owner can release");
          }
        };
      };
      return {
        threads: Array.from({ length: threads }, (_, index) => thread(index)),
        end(): void {
          const core = make(world.words, shape);
          let killed = false;
          for (let index = 0; index < threads; index++) killed ||= world.killed(index);
          if (!killed) world.check(!core.broken(), "nobody died, and it is not broken");
          const me = world.waiter(0);
          if (world.killed(0)) return;
          const free = core.tryAcquire(me);
          world.check(killed || free, "it is free in the end");
          world.check(!free || !core.broken(), "nobody gets a broken lock");
        },
      };
    },
  };
}

/**
 * Makes a case in which nobody dies, and who has had the lock is gone: nobody takes that for a death.
 *
 * @param options The lock.
 * @returns The case.
 */
export function leavingCase(
  options: Pick<KillCase, "make" | "words" | "describe" | "domains" | "slices">,
): Case {
  return killCase({
    ...options,
    ...{ name: "leaving", threads: 3, preemptions: 2, spins: 0 },
    ...{ kills: 0, spurious: 1, gone: true },
  });
}

/** How to explore that a thread comes back after it gave up. */
interface ReturnCase extends Omit<KillCase, "threads" | "kills"> {
  /** Writes that a waiter has given up. */
  giveUp(words: Int32Array, slot: number): void;
}

/**
 * Makes a case that begins with a holder, behind which one waiter has given up: it comes back, the holder releases, and a
 * third one comes.
 *
 * @param options The lock and the case.
 * @returns The case.
 */
export function returnCase(options: ReturnCase): Case {
  const { make } = options;
  const shape: Shape = { threads: 3, domains: new Set(options.domains ?? [0, 1]).size };
  return {
    ...options,
    threads: 3,
    words: options.words(shape),
    setup(world: World): Program {
      const cores = [0, 1, 2].map(() => make(world.words, shape));
      const acquire = (index: number): Thread => {
        const core = cores[index] as Telling;
        const me = world.waiter(index);
        return function* (): Wait<void> {
          world.lock("wanted");
          world.check(core.begin(me) || (yield* core.wait(me)), "nobody gives up");
          world.lock("taken");
          world.pause();
          world.lock("free");
          core.release(me);
        };
      };
      const first = cores[0] as Telling;
      const owner = world.waiter(0);
      first.begin(owner);
      world.check(!(cores[1] as Telling).begin(world.waiter(1)), "it has to wait");
      options.giveUp(world.words, 1);
      return {
        threads: [
          (): void => world.check(first.release(owner), "the owner can release"),
          acquire(1),
          acquire(2),
        ],
        end(): void {
          world.check(first.tryAcquire(owner), "it is free in the end");
          world.check(owner.now() === 0, "nobody sleeps until its time is up");
        },
      };
    },
  };
}

/** A lock that cases are made for. */
export interface QueueLock extends Pick<KillCase, "make" | "words" | "describe" | "domains"> {
  /** Writes that a waiter has given up. */
  giveUp(words: Int32Array, slot: number): void;
}

/**
 * Writes that a waiter has given up, in a queue of nodes.
 *
 * @param words All shared words.
 * @param slot The waiter's.
 */
export function giveUpNode(words: Int32Array, slot: number): void {
  Atomics.or(words, (1 + slot) * LINE_WORDS, 1 << 31);
}

/**
 * Makes the cases that every queue lock has beside those of a lock: of threads that give up, leave, abandon it and die.
 *
 * @param lock The lock; the domains of its threads, when others count than by default.
 * @returns The cases.
 */
export function queueCases(lock: QueueLock): Case[] {
  const { domains, ...rest } = lock;
  const base = { ...rest, spins: 0 };
  const threads = (count: number, slots?: readonly number[]) => ({
    threads: count,
    ...(slots && { slots }),
    ...(domains && { domains: domains.slice(0, count) }),
  });
  return [
    returnCase({ ...base, name: "coming back", preemptions: 3 }),
    killCase({ ...base, ...threads(3), name: "dying", preemptions: 1 }),
    killCase({ ...base, name: "dying and giving up", threads: 3, preemptions: 1, timeouts: 1 }),
    killCase({
      ...base,
      ...threads(2),
      name: "dying at any moment",
      slices: LOOKS,
      acquisitions: 2,
      preemptions: 3,
    }),
    killCase({
      ...base,
      ...threads(3, [0, 1, 0]),
      name: "a slot's next thread",
      slices: LOOKS,
      acquisitions: 2,
      preemptions: 2,
      victim: 0,
    }),
    killCase({
      ...base,
      ...threads(4, [0, 1, 2, 0]),
      name: "a slot's next thread, giving up",
      preemptions: 1,
      victim: 0,
      timeouts: 1,
    }),
    leavingCase({ ...rest, ...threads(3) }),
    abandonCase({ ...rest, preemptions: 2 }),
  ];
}

/** Makes a case stricter: nobody sleeps until its time is up, because whoever has to wake it does. */
function prompt(subject: Case): Case {
  // Not where sleeps end for no reason, or those die that should wake others.
  if ((subject.spurious ?? 0) > 0 || (subject.kills ?? 0) > 0) return subject;
  return {
    ...subject,
    setup(world: World): Program {
      const program = subject.setup(world);
      return {
        ...program,
        end(): void {
          if (program.end !== undefined) program.end();
          if (world.walking || (subject.timeouts ?? 0) > 0) return;
          world.check(world.waiter(0).now() === 0, "nobody sleeps until its time is up");
        },
      };
    },
  };
}

/**
 * Makes a spec of a lock in which nobody sleeps until its time is up.
 *
 * @param options The lock. The cases in `more` are left as they are.
 * @returns The spec.
 */
export function queueSpec(options: LockSpecOptions): Spec {
  const { more = [], ...rest } = options;
  const spec = lockSpec(rest);
  return { ...spec, cases: [...spec.cases.map(prompt), ...more] };
}
