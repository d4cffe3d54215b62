/**
 * What is explored: types of specs, and of the world that their threads live in.
 *
 * A spec is a plain TypeScript module in `specs/` that exports `specs: readonly Spec[]`. It imports the real sources, and
 * its threads call them as anybody would. It is loaded twice: as it is, for names and numbers, and once more with all
 * that it imports in stepwise form (`transform.ts`), in which every `Atomics` call is a step of the explorer.
 *
 * A lock joins with `lock_spec.ts` (CONTRIBUTING.md has an example); for anything else write a {@linkcode Case} with a
 * `setup` function (`specs/left_right.ts` is an example).
 *
 * ```
 *   export const specs: readonly Spec[] = [{
 *     name: "counter",
 *     mutants: [{ file: "lib/sync/counters/my_core.ts", find: "Atomics.add(", replace: "Atomics.store(" }, …],
 *     cases: [{
 *       threads: 3, words: 64, preemptions: 2,
 *       setup(world) {
 *         const add = (): void => {
 *           const counter = new Counter(world.words); // one handle a thread, as in real life
 *           counter.add(1);
 *         };
 *         return {
 *           threads: [add, add, add],
 *           end: () => world.check(new Counter(world.words).sum() === 3, "an increment is lost"),
 *         };
 *       },
 *     }],
 *   }];
 * ```
 *
 * Threads share nothing but `world.words` (and views of `world.buffer`): what else they share, such as an array that a
 * check collects results in, has to be told to {@linkcode World.note}, because runs that differ only in what the explorer
 * does not see count as one.
 *
 * A thread that waits calls {@linkcode Waiter.spin} in its loop, or is a generator that yields milliseconds (a `Wait`);
 * a bare loop around a load looks like a livelock.
 *
 * @module
 */

import type { Wait, Waiter } from "../../lib/wait/waiter.ts";

/** A patch that makes a source wrong; the explorer has to notice. */
export interface Mutant {
  /** What is wrong with it; the patch itself, when left out. */
  readonly name?: string;
  /** The file, from the root of the checkout. */
  readonly file: string;
  /** Text that occurs exactly once in it. */
  readonly find: string;
  /** What to put there. */
  readonly replace: string;
}

/** What one thread does: a function, or a generator function when it sleeps. */
export type Thread = () => void | Wait<void>;

/** Threads about to start. */
export interface Program {
  /** One for each thread of the case. */
  readonly threads: readonly Thread[];
  /** Checks when all threads that were not killed have ended. */
  end?(): void;
}

/** What threads run on. */
export interface World {
  /** All shared memory. */
  readonly buffer: SharedArrayBuffer;
  /** The same as words; all 0 at the start of a run. */
  readonly words: Int32Array;
  /** How many threads there are. */
  readonly threads: number;
  /** Whether this run is a random walk, for statistics: programs may do more in it. */
  readonly walking: boolean;
  /**
   * What an algorithm needs of a thread.
   *
   * @param thread Its index. Its id is `thread + 1`, its slot `thread` unless the case says otherwise.
   */
  waiter(thread: number): Waiter;
  /** A step that touches nothing: others may run here. */
  pause(): void;
  /**
   * Picks a number; every one is explored.
   *
   * @param ways From 0 up to this, at most 30.
   */
  choose(ways: number): number;
  /**
   * Fails the run.
   *
   * @param condition When this is false.
   * @param message What was expected.
   */
  check(condition: boolean, message: string): void;
  /**
   * Makes two runs differ that would count as the same: for what a check remembers and shared memory does not tell.
   *
   * @param value Anything; the order of notes counts.
   */
  note(value: number): void;
  /**
   * Whether a thread was killed, or has not begun because it waits for another one's slot. Not a step.
   *
   * @param thread Its index.
   */
  killed(thread: number): boolean;
  /**
   * Begins an operation of the thread that runs: steps until {@linkcode done} are counted for it, and a wait in it may
   * last, although one before was told to give up.
   *
   * @param name What it is counted as.
   */
  operation(name: string): void;
  /** Ends the operation of the thread that runs. */
  done(): void;
  /**
   * Tells what the thread that runs has to do with the lock: only one may have it, a killed one does not count, and the
   * rest is for statistics.
   *
   * @param state Wants it from now on, has it, has it no more, does not want it any more.
   * @param doorway When it wants it: words of which the first write by this thread is its place in the order in which
   * the lock is taken.
   * @param bypass How often threads that came later may take it before, for each that waits before this one, and for
   * itself. Default: 0.
   */
  lock(
    state: "wanted" | "taken" | "free" | "gave up",
    doorway?: readonly number[],
    bypass?: number,
  ): void;
}

/** What random walks through a case have to show. */
export interface Traffic {
  /** Share of the hand-offs between threads that go to another domain: at least, and at most. */
  readonly across: readonly [least: number, most: number];
  /** How often others may take the lock who came later than a thread that waits for it. */
  readonly bypass: number;
  /** How long a step of a thread takes, each of which has a CPU of its own; sleeps end when it is time. */
  readonly stepMs: number;
}

/** One program and how far it is explored. */
export interface Case {
  /** Told apart from other cases of the spec by it. */
  readonly name?: string;
  /** At most 7; 32 where it has {@linkcode traffic}. */
  readonly threads: number;
  /** 32-bit words of shared memory. */
  readonly words: number;
  /** How often a thread may be interrupted that could go on. */
  readonly preemptions: number;
  /** Each thread's {@linkcode Waiter.domain}; half of them 0, half 1, when left out. */
  readonly domains?: readonly number[];
  /**
   * What `spin` does. A number: it returns true so many rounds. "await", the default: it returns true when a word has
   * changed that the thread has read since its last spin, and the thread does nothing until then.
   */
  readonly spins?: number | "await";
  /** How many waits of a run may be told to give up, at any moment. */
  readonly timeouts?: number;
  /** How many sleeps of a run may end for no reason, or because their time is up, at any moment. */
  readonly spurious?: number;
  /**
   * Why sleeps with an end may end by themselves. They then do when nobody can do anything else, as time passes until the
   * first of them ends: a sleep in slices hides a wake-up that was lost. Where it is left out, who sleeps is unparked, or
   * told to give up, or sleeps for ever. A case that gives a reason and never needs it fails.
   */
  readonly slices?: string;
  /** How many threads of a run may be killed, at any step. */
  readonly kills?: number;
  /** Index of the only thread that may be killed. */
  readonly victim?: number;
  /** Indices of the threads that may be killed; {@linkcode victim} or, without that, any when left out. */
  readonly victims?: readonly number[];
  /**
   * Each thread's {@linkcode Waiter.slot}; its index, when left out. A thread with the slot of one before it begins when
   * that one has been killed (or, where {@linkcode gone} is set, has ended), and never if that does not happen. Its id is
   * its own.
   */
  readonly slots?: readonly number[];
  /** Who has ended is not alive for the others, as a wait is not that does not block; else a thread stays alive. */
  readonly gone?: boolean;
  /** Steps after which a run counts as one that makes no progress. */
  readonly steps?: number;
  /** It is walked through at random, and not explored: no mutant is found by it. */
  readonly traffic?: Traffic;
  /** Explored with `--full` only. */
  readonly full?: boolean;
  /** More preemptions, with `--full`. */
  readonly fullPreemptions?: number;
  /**
   * Names a word in traces.
   *
   * @param word Its index.
   */
  describe?(word: number): string;
  /**
   * Makes the threads, once for every run. What it does to shared memory comes before the first step.
   *
   * @param world Memory and waiters.
   */
  setup(world: World): Program;
}

/** An algorithm, the ways in which it is explored, and the bugs that they find. */
export interface Spec {
  readonly name: string;
  readonly cases: readonly Case[];
  /** Each must be found by one of the cases. At least three. */
  readonly mutants: readonly Mutant[];
  /**
   * Sources whose plain accesses to shared memory are steps, too: others run between them, and a thread may be killed
   * there. They are then neither races nor what puts others in order. For algorithms that stand races of their own, such
   * as a look at a word that another thread is writing, of which one value is as good as the other. Paths from the root.
   */
  readonly plainSteps?: readonly string[];
}
