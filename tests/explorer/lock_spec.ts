/**
 * The harness that a lock joins.
 *
 * ```
 *   // specs/example_ticket_lock.ts
 *   import { NEXT, TicketLock } from "../examples/ticket_lock.ts";
 *   import { lockSpec } from "../lock_spec.ts";
 *   import type { Spec } from "../spec.ts";
 *
 *   export const specs: readonly Spec[] = [
 *     lockSpec({
 *       name: "example: ticket lock",
 *       source: "tests/explorer/examples/ticket_lock.ts",
 *       make: (words) => new TicketLock(words),
 *       words: () => 3,
 *       fifo: [NEXT],
 *       cases: [
 *         { threads: 2, acquisitions: 2, preemptions: 4, tries: 1 },
 *         { threads: 3, acquisitions: 1, preemptions: 3, spins: 1 },
 *       ],
 *       mutants: [
 *         { name: "nobody is next", find: "(this.#ticket + 1) | 0", replace: "(this.#ticket + 2) | 0" },
 *         …
 *       ],
 *     }),
 *   ];
 * ```
 *
 * Checked in every run: one holder at a time; nobody is left asleep; all threads end; `tryAcquire`, `begin` and `wait`
 * say what `holds` says; `release` returns false to all but the owner; nobody gives up without a reason; where promised,
 * first come first served, or overtaken so often at the most. Where a holder is killed: its heir is told; nobody has the
 * lock after an heir that said nothing, until somebody says that all is right again. How often the lock goes to another
 * domain, and how often a thread is overtaken in the long run, is checked in walks with {@linkcode trafficCase}.
 *
 * @module
 */

import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { LINE_WORDS, type Wait, type Waiter } from "../../lib/wait/waiter.ts";
import type { Case, Mutant, Program, Spec, Thread, Traffic, World } from "./spec.ts";

/** How often a thread takes the lock in a random walk. */
const WALK_ROUNDS = 300;

/** So many threads, dealt to so many domains, make traffic. */
const TRAFFIC_THREADS = 32;
const TRAFFIC_DOMAINS = 4;
/** How long a step takes in traffic: so long that patience of 10 ms ends some times in a walk, and bounds the bypass there. */
const STEP_MS = 0.002;
/** In traffic a thread pauses so often while it has the lock, and less often than that before it comes back. */
const PAUSES_INSIDE = 4;
const PAUSES_OUTSIDE = 30;

/** The shortest time from one acquisition to the next in traffic: the pauses, a step to release, a step to acquire. */
export const TRAFFIC_HOLD_MS: number = (PAUSES_INSIDE + 2) * STEP_MS;

/** A seeded bug of a lock: in its own file when it does not say. */
export type OwnMutant = Omit<Mutant, "file"> & { readonly file?: string };

/** One way to explore a lock. */
export interface LockCase extends Omit<Case, "words" | "setup"> {
  /** How often each thread takes the lock. */
  readonly acquisitions: number;
  /** Whether its first thread has the lock from the start: that saves an interruption. */
  readonly held?: boolean;
  /** How many of its threads try first, and take the lock after that. None when left out. */
  readonly tries?: number;
  /** How many of its threads try once more when they have had the lock. None when left out. */
  readonly lastTries?: number;
  /** Threads that say that all is right again when they find that a holder died. The others give the lock back as it is. */
  readonly repairs?: readonly number[];
  /** How often those that came later may take it, for each that waits before a thread, and for itself. */
  readonly bypass?: number;
}

/** A lock and how to explore it. */
export interface LockSpecOptions {
  readonly name: string;
  /** Its file: where mutants are when they do not say. */
  readonly source: string;
  /**
   * A handle of one thread.
   *
   * @param words All shared words; all handles of a run get the same.
   * @param shape For whom the lock is made.
   */
  make(words: Int32Array, shape: Shape): LockCore;
  /** How many words it needs. */
  words(shape: Shape): number;
  /**
   * Prepares the words, once for every run, where zeros are not a free lock.
   *
   * @param words All shared words.
   * @param shape For whom the lock is made.
   */
  init?(words: Int32Array, shape: Shape): void;
  /** Names a word in traces. */
  describe?(word: number): string;
  /**
   * Where it is first come first served: indices of the words of which the first write (or successful compareExchange)
   * in `begin` is a thread's place in the order, such as that of the tail or of the next ticket.
   */
  readonly fifo?: readonly number[];
  /** The same where some are overtaken, for cases with {@linkcode LockCase.bypass}. */
  readonly doorway?: readonly number[];
  readonly cases: readonly LockCase[];
  /** Cases that are made otherwise. */
  readonly more?: readonly Case[];
  readonly mutants: readonly OwnMutant[];
}

/** What the thread of a lock case works with. */
interface UserOptions {
  readonly core: LockCore;
  readonly me: Waiter;
  /** A word that the lock guards. */
  readonly data: number;
  readonly doorway: readonly number[] | undefined;
  /** How the lock is explored. */
  readonly subject: LockCase;
  readonly history: History;
}

/** What nobody but the checks knows. */
class History {
  /** Threads that are inside, or died there. */
  readonly inside: boolean[] = [];
  /** An heir gave the lock back as it was. */
  poisoned = false;
}

/** What the thread of a lock case does. */
class User {
  readonly #world: World;
  readonly #core: LockCore;
  readonly #me: Waiter;
  readonly #data: number;
  readonly #doorway: readonly number[] | undefined;
  readonly #subject: LockCase;
  readonly #history: History;
  readonly #index: number;
  readonly #pauses: number;

  constructor(world: World, { core, me, data, doorway, subject, history }: UserOptions) {
    this.#world = world;
    this.#core = core;
    this.#me = me;
    this.#data = data;
    this.#doorway = doorway;
    this.#subject = subject;
    this.#history = history;
    this.#index = me.id - 1;
    this.#pauses = subject.traffic === undefined ? 1 : PAUSES_INSIDE;
  }

  /** It has the lock: looks whether it should have, and is told what there is to tell. */
  #enter(): void {
    const core = this.#core;
    const { inside, poisoned } = this.#history;
    const world = this.#world;
    world.lock("taken");
    world.check(!poisoned, "nobody gets a poisoned lock");
    const torn = inside.some((is, index) => is && index !== this.#index && world.killed(index));
    inside[this.#index] = true;
    if (this.#subject.kills === undefined || core.ownerDied === undefined) return;
    const told = core.ownerDied();
    world.check(told || !torn, "the heir is told that a holder died");
    if (!told || this.#subject.repairs?.includes(this.#index) !== true) return;
    if (core.markConsistent !== undefined) {
      world.check(core.markConsistent(this.#me), "the heir may repair");
    }
    world.note(-1);
    for (const index of inside.keys()) if (index !== this.#index) inside[index] = false;
  }

  /** What only one thread at a time may do: plain accesses with others' steps in between. */
  #inside(): void {
    const { words } = this.#world;
    const before = words[this.#data] as number;
    for (let pause = 0; pause < this.#pauses; pause++) this.#world.pause();
    words[this.#data] = before + 1;
  }

  #release(): void {
    // Not by all, because it is one more step.
    if (this.#me.slot === 0) {
      this.#world.check(this.#core.holds(this.#me), "who has the lock holds it");
    }
    if (this.#subject.kills !== undefined && this.#core.ownerDied !== undefined) {
      this.#history.poisoned = this.#core.ownerDied();
    }
    this.#world.operation("release");
    this.#history.inside[this.#index] = false;
    this.#world.lock("free");
    this.#world.check(this.#core.release(this.#me), "the owner can release");
    this.#world.done();
  }

  /** Others may have it just now, this thread has not. */
  releaseInVain(): void {
    this.#world.check(!this.#core.release(this.#me), "who does not hold it cannot release it");
  }

  /** Does something else for a while. */
  stayAway(): void {
    for (let left = this.#world.choose(PAUSES_OUTSIDE); left > 0; left--) this.#world.pause();
  }

  /** Has it from the start. */
  begin(): void {
    this.#enter();
    this.#inside();
    this.#release();
  }

  /** Takes it only when it is free. */
  try(): void {
    this.#world.operation("tryAcquire");
    const got = this.#core.tryAcquire(this.#me);
    if (got) this.#enter();
    this.#world.done();
    if (!got) return;
    this.#inside();
    this.#release();
  }

  /** Takes it, and waits for it as long as it is not told to give up. */
  *acquire(): Wait<void> {
    const world = this.#world;
    world.operation("acquire");
    world.lock("wanted", this.#doorway, this.#subject.bypass);
    const got = this.#core.begin(this.#me) || (yield* this.#core.wait(this.#me));
    if (got) this.#enter();
    else world.lock("gave up");
    world.done();
    if (got) {
      this.#inside();
      this.#release();
    } else {
      world.check(!this.#core.holds(this.#me), "who gave up holds nothing");
      if ((this.#subject.timeouts ?? 0) > 0) return;
      const { broken } = this.#history.poisoned
        ? { broken: true }
        : { broken: this.#core.broken !== undefined && this.#core.broken() };
      world.check(broken, "nobody gives up without a reason");
    }
  }
}

const domainCount = ({ domains }: LockCase): number => new Set(domains ?? [0, 1]).size;

/** Makes a lock's case one that can be explored. */
function lockCase(options: LockSpecOptions, subject: LockCase): Case {
  const { slots = [subject.threads - 1] } = subject;
  const shape: Shape = { threads: 1 + Math.max(...slots), domains: domainCount(subject) };
  const size = options.words(shape);
  // Guarded data, on a line of its own.
  const data = Math.ceil(size / LINE_WORDS) * LINE_WORDS;
  const { tries = 0, lastTries = 0, acquisitions, timeouts = 0, traffic } = subject;
  const doorway = subject.bypass === undefined ? options.fifo : options.doorway;
  const roundsIn = ({ walking }: World): number =>
    walking && traffic === undefined ? WALK_ROUNDS : acquisitions;
  return {
    ...subject,
    words: data + LINE_WORDS,
    describe: (word) =>
      word === data ? "the guarded word" : options.describe?.(word) ?? `words[${word}]`,
    setup(world: World): Program {
      options.init?.(world.words, shape);
      const history = new History();
      if (subject.held === true) options.make(world.words, shape).begin(world.waiter(0));
      const thread = (index: number): Thread => {
        const me = world.waiter(index);
        const core = options.make(world.words, shape);
        const user = new User(world, { core, me, data, doorway, subject, history });
        return function* (): Wait<void> {
          if (subject.held === true && index === 0) user.begin();
          if (index === subject.threads - 1) user.releaseInVain();
          if (index < tries) user.try();
          const rounds = roundsIn(world) - Number(subject.held === true && index === 0);
          for (let round = 0; round < rounds; round++) {
            if (traffic !== undefined) user.stayAway();
            yield* user.acquire();
          }
          if (index < lastTries) user.try();
        };
      };
      return {
        threads: Array.from({ length: subject.threads }, (_, index) => thread(index)),
        end: () => checkEnd(world, options.make(world.words, shape)),
      };
    },
  };

  /** The lock is free again, nothing was lost, and who does not have it cannot release it. */
  function checkEnd(world: World, core: LockCore): void {
    const alive = Array.from({ length: world.threads }, (_, index) => index)
      .filter((index) => !world.killed(index));
    if (alive[0] === undefined) return;
    const me = world.waiter(alive[0]);
    world.check(!core.holds(me), "nobody holds it in the end");
    world.check(!core.release(me), "who does not hold it cannot release it");
    if (core.markConsistent !== undefined && core.broken !== undefined && core.broken()) {
      world.check(!core.tryAcquire(me), "nobody gets a poisoned lock");
      world.check(core.markConsistent(me), "anybody may repair what nobody has");
    }
    for (const index of alive) {
      const other = world.waiter(index);
      const got = core.tryAcquire(other);
      if (alive.length < world.threads && got && core.markConsistent !== undefined) {
        core.markConsistent(other);
      }
      world.check(got && core.release(other), `it is free in the end, for thread ${index}`);
    }
    if (alive.length < world.threads) return;
    const expected = world.threads * roundsIn(world);
    const found = world.words[data] as number;
    if (timeouts === 0 && tries + lastTries === 0) {
      world.check(found === expected, `${expected} critical sections, of which ${found} counted`);
    }
  }
}

/**
 * Makes a case of many threads that want a lock all the time: how it hands on in a walk.
 *
 * @param bounds What it has to show.
 * @returns The case.
 */
export function trafficCase(bounds: Omit<Traffic, "stepMs">): LockCase {
  return {
    name: "traffic",
    threads: TRAFFIC_THREADS,
    domains: Array.from({ length: TRAFFIC_THREADS }, (_, thread) => thread % TRAFFIC_DOMAINS),
    acquisitions: 100,
    preemptions: 0,
    spins: 100,
    traffic: { ...bounds, stepMs: STEP_MS },
  };
}

/**
 * Makes a spec of a lock.
 *
 * @param options The lock.
 * @returns The spec.
 */
export function lockSpec(options: LockSpecOptions): Spec {
  return {
    name: options.name,
    mutants: options.mutants.map((mutant) => ({ file: options.source, ...mutant })),
    cases: [...options.cases.map((subject) => lockCase(options, subject)), ...options.more ?? []],
  };
}
