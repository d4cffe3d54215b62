/**
 * What stepwise code calls: tells a {@linkcode Strategy} what each thread does next, and does what that picks.
 *
 * All threads but the one that runs rest just before their next step. When the running one gets to its next step, the
 * strategy picks who goes on; only when that is another one are generators left and entered again.
 *
 * Besides steps of threads there are events: somebody is killed, a sleep ends for no reason or because it is time, a wait
 * is told to give up. Time passes only when nobody else can do anything, or where the case has events to spare; and, in
 * walks through a case with traffic, with every step.
 *
 * @module
 */

import { MAX_THREADS } from "./bits.ts";
import { Memory } from "./memory.ts";
import {
  ALIVE,
  CHOOSE,
  KINDS,
  LOAD,
  Misuse,
  NOW,
  type Observer,
  PARK,
  PAUSE,
  SPIN,
  STORE,
  UNPARK,
  Violation,
  type Words,
  XOR,
} from "./ops.ts";
import type { Site } from "./rewrite_accesses.ts";
import { GIVE_UP, KILL, RUN, Schedule, type Strategy, WAKE } from "./schedule.ts";
import type { Case } from "./spec.ts";
import { type Code, type Host, NOBODY, PLACES, type Stepping } from "./support.ts";

/** One step, as it was done. */
export interface Done {
  readonly thread: number;
  readonly site: number;
  readonly what: string;
}

/** So many pauses in a row are no hang yet. */
const MAX_PAUSES = 100;

/** One world at a time. */
export class Runtime extends Schedule {
  strategy: Strategy | undefined;
  /** Steps are collected here, for a trace. */
  log: Done[] | undefined;
  observer: Observer | undefined;
  /** How often only the passing of time helped, in this run. */
  rescues = 0;
  #code: (Code | undefined)[] = [];
  #stopped = false;
  // What each thread does next
  readonly #array: (Words | undefined)[] = new Array(PLACES).fill(undefined);
  readonly #index = new Int32Array(PLACES);
  readonly #a: unknown[] = new Array(PLACES).fill(0);
  readonly #b: unknown[] = new Array(PLACES).fill(0);
  /** Whether it is a plain access. */
  readonly #isPlain = new Uint8Array(PLACES);
  /** What each thread has loaded since its last atomic operation; undefined when something else came after that. */
  readonly #followed: (Set<number> | undefined)[] = new Array(PLACES).fill(undefined);
  /** Whether it is a load of that kind. */
  readonly #isFollowing = new Uint8Array(PLACES);
  /** Where each thread has stored a word that waits for the order of an atomic write behind it, plus one; else 0. */
  readonly #leads = new Int32Array(PLACES);
  /** Bits of the threads that asked for the time since they last spun. */
  #timed = 0;
  /** What is done with the next step: RUN, GIVE_UP or WAKE. */
  #how = RUN;
  /** An answer that needs no step. */
  #answer: unknown = undefined;
  #answered = false;
  #pauses = 0;

  /** Takes a case on, each step of which takes a time. */
  begin(subject: Case, sites: readonly Site[], stepMs = 0): void {
    if (subject.threads > MAX_THREADS) throw new Misuse(`at most ${MAX_THREADS} threads`);
    this.subject = subject;
    this.stepMs = stepMs;
    this.threads = subject.threads;
    this.memory = new Memory(subject.words, subject.threads);
    if (subject.describe !== undefined) {
      this.memory.describe = (word) => subject.describe?.(word) ?? `words[${word}]`;
    }
    this.sites = sites;
  }

  /** Before `setup`. */
  reset(observer: Observer | undefined): void {
    this.restart();
    this.rescues = this.#timed = this.#pauses = 0;
    this.exploring = this.#stopped = this.#answered = false;
    this.#followed.fill(undefined);
    this.#leads.fill(0);
    this.current = -1;
    this.observer = observer;
    this.memory.observer = observer;
    this.memory.reset();
  }

  /**
   * Runs threads until all have ended or the strategy ends the run.
   *
   * @param threads Functions of stepwise code.
   * @returns Whether all have ended.
   */
  run(threads: readonly Stepping[]): boolean {
    this.exploring = this.memory.running = true;
    // Each up to its first step: what comes before concerns nobody.
    this.#code = threads.map((thread, index) =>
      this.isUnborn(index) ? this.#heir(index, thread) : (thread.step$ ?? thread)() as Code
    );
    for (let thread = 0; thread < threads.length; thread++) {
      if (typeof this.#code[thread]?.next !== "function") {
        // It had no step at all.
        this.ended |= 1 << thread;
        continue;
      }
      this.current = -2 - thread;
      this.#advance(thread);
    }
    this.current = -1;
    this.#decide();
    while (this.current >= 0) this.#advance(this.current);
    this.exploring = this.memory.running = false;
    return !this.#stopped;
  }

  /** A thread that begins when it gets another one's slot. */
  *#heir(index: number, thread: Stepping): Code {
    if (this.#arrive(-1, PAUSE, undefined, 0, 0, 0)) yield;
    this.take();
    // A slot changes hands through atomics of the parking lot.
    this.memory.dead(index, this.predecessorOf(index));
    const code = (thread.step$ ?? thread)() as Code | undefined;
    return typeof code?.next === "function" ? yield* code : undefined;
  }

  #advance(thread: number): void {
    const starting = this.current < -1;
    const { done } = (this.#code[thread] as Code).next();
    if (done !== true) return;
    this.#lead(thread, false);
    this.ended |= 1 << thread;
    this.current = -1;
    if (!starting) this.#decide();
  }

  // Steps, as stepwise code says them

  /** An access is next. */
  atomic(site: number, kind: number, array: Words, index: number, a: unknown, b: unknown): boolean {
    return this.#arrive(site, kind, array, index, a, b);
  }

  /** A load that takes its order from the atomic operation before it is next (`lib/wait/loads.ts`). */
  following(site: number, array: Words, index: number): boolean {
    const thread = this.#stepping();
    const followed = this.#followed[thread];
    const word = this.memory.wordOf(array, index);
    if (followed === undefined || followed.has(word)) {
      const why = followed === undefined ? "follows no atomic operation" : "comes a second time";
      throw new Violation(`${this.where(site)}: a load of ${this.memory.describe(word)} ${why}`);
    }
    followed.add(word);
    const rests = this.atomic(site, LOAD, array, index, undefined, undefined);
    this.#isFollowing[thread] = 1;
    return rests;
  }

  /** A store that takes its order from the atomic write behind it is next (`lib/wait/loads.ts`). */
  leading(site: number, array: Words, index: number, value: number): boolean {
    const thread = this.#stepping();
    const rests = this.atomic(site, STORE, array, index, value, undefined);
    this.#leads[thread] = site + 1;
    return rests;
  }

  /** Something comes behind the last step of a thread. */
  #lead(thread: number, isWrite: boolean): void {
    const site = (this.#leads[thread] as number) - 1;
    this.#leads[thread] = 0;
    if (site >= 0 && !isWrite) {
      throw new Violation(`${this.where(site)}: a store that no atomic write follows at once`);
    }
  }

  /** An atomic operation on a word that no other thread has. */
  fence(): void {
    this.#followed[this.#stepping()] = new Set();
    this.#leads[this.#stepping()] = 0;
  }

  /** Whose code runs. */
  #stepping(): number {
    return this.current < -1 ? -2 - this.current : this.current < 0 ? NOBODY : this.current;
  }

  /** A plain access is next, in a source in which they are steps. */
  plain(site: number, kind: number, array: Words, index: number, value?: unknown): boolean {
    // Beside its elements an array has nothing, which no atomic access would stand.
    if (index in array && this.memory.wordOf(array, index) >= 0) {
      return this.#arrive(site, kind, array, index, value, undefined, true);
    }
    return this.#reply(
      kind === LOAD ? this.get(site, array, index) : this.set(site, array, index, value),
    );
  }

  /** A sleep is next. */
  park(site: number, milliseconds: number): boolean {
    if (typeof milliseconds !== "number" || !(milliseconds >= 0)) {
      throw new Misuse(`${this.where(site)}: a Wait yields milliseconds, not ${milliseconds}`);
    }
    return this.#arrive(site, PARK, undefined, 0, milliseconds, 0);
  }

  /** A call of a waiter or of the world is next. */
  host(site: number, kind: number, host: Host, argument: number): boolean {
    const owner = (host as { readonly thread?: number }).thread;
    if (this.exploring && owner !== undefined && owner !== this.me) {
      throw new Misuse(`${this.where(site)}: thread ${this.me} uses the waiter of thread ${owner}`);
    }
    if (kind === CHOOSE) return this.#reply(this.#choose(argument));
    this.#lead(this.#stepping(), false);
    const { kills, gone } = this.subject as Case;
    if (kind === ALIVE && kills === undefined && gone !== true) return this.#reply(true);
    if (kind === SPIN) {
      const { spins = "await" } = this.subject as Case;
      if (spins !== "await" && argument <= spins) return this.#reply(argument < spins);
      if (spins === "await" && this.exploring && this.#pausesAgain()) return this.#reply(true);
    }
    return this.#arrive(site, kind, undefined, 0, argument, 0);
  }

  /** Whether the thread has looked at nothing since it paused: some pauses in a row count as one. */
  #pausesAgain(): boolean {
    const looked = this.memory.hasRead(this.me) > 0 || this.asked[this.me] !== 0;
    this.#pauses = looked ? 0 : this.#pauses + 1;
    return this.#pauses > 0 && this.#pauses < MAX_PAUSES;
  }

  #reply(answer: unknown): boolean {
    this.#answer = answer;
    this.#answered = true;
    return false;
  }

  #choose(ways: number): number {
    const picked = this.exploring ? (this.strategy as Strategy).choose(ways) : 0;
    this.log?.push({ thread: this.current, site: -1, what: `chooses ${picked} of ${ways}` });
    if (this.current >= 0) this.learn(this.current, picked);
    else this.note(picked);
    return picked;
  }

  #arrive(
    site: number,
    kind: number,
    array: Words | undefined,
    index: number,
    a: unknown,
    b: unknown,
    isPlain = false,
  ): boolean {
    if (this.plains > 0 && this.exploring) {
      throw new Misuse(`${this.where(site)}: a step in a callback that cannot become a generator`);
    }
    const starting = this.current < -1;
    const thread = this.#stepping();
    this.#lead(thread, !isPlain && kind > LOAD && kind <= XOR);
    this.#isFollowing[thread] = 0;
    this.kinds[thread] = kind;
    this.sitesNext[thread] = site;
    this.#array[thread] = array;
    this.#index[thread] = index;
    this.#a[thread] = a;
    this.#b[thread] = b;
    this.#isPlain[thread] = isPlain ? 1 : 0;
    if (kind === PARK) this.deadlines[thread] = this.clock + (a as number);
    else if (kind === SPIN) {
      this.deadlines[thread] = (this.#timed & (1 << thread)) === 0 ? Infinity : this.clock + 1;
    }
    if (starting) return true;
    if (!this.exploring) return false;
    this.#decide();
    return this.current !== thread;
  }

  /** Does the step that was picked. */
  take(): unknown {
    if (this.#answered) {
      this.#answered = false;
      return this.#answer;
    }
    const thread = this.current < 0 ? NOBODY : this.current;
    const kind = this.kinds[thread] as number;
    this.steps++;
    let result: unknown;
    if (kind <= XOR) {
      const array = this.#array[thread] as Words;
      const [a, b] = [this.#a[thread], this.#b[thread]];
      const index = this.#index[thread] as number;
      const isPlain = this.#isPlain[thread] === 1;
      result = this.memory.access(thread, kind, array, index, a, b, isPlain);
      if (this.#doorways !== undefined && this.memory.wrote) this.#atDoorway(thread);
      if (!isPlain && this.#isFollowing[thread] === 0) {
        // A load may be loadShared, which is a plain load of that word after an atomic operation.
        this.#followed[thread] = new Set(kind === LOAD ? [this.memory.wordOf(array, index)] : []);
      }
    } else {
      this.#followed[thread] = undefined;
      result = this.#other(thread, kind);
      this.observer?.other(thread, kind);
    }
    if (this.exploring) this.learn(thread, result);
    if (this.log !== undefined) this.#write(this.log, thread, kind, result);
    this.#how = RUN;
    return result;
  }

  #other(thread: number, kind: number): unknown {
    const argument = this.#a[thread] as number;
    switch (kind) {
      case PAUSE:
        return undefined;
      case SPIN:
        if (this.#how === WAKE) this.clock = this.deadlines[thread] as number;
        this.memory.forget(thread);
        this.asked[thread] = 0;
        this.#timed &= ~(1 << thread);
        return (this.subject?.spins ?? "await") === "await";
      case UNPARK:
        this.#permit(thread, argument - 1);
        return undefined;
      case ALIVE:
        if ((this.dead & (1 << (argument - 1))) === 0) {
          (this.asked[thread] as number) |= 1 << (argument - 1);
          return true;
        }
        this.memory.dead(thread, argument - 1);
        return false;
      case NOW:
        this.#timed |= 1 << thread;
        return this.clock;
    }
    // PARK
    if (!this.exploring) throw new Misuse("a sleep outside of threads");
    const bit = 1 << thread;
    if (this.#how === GIVE_UP) this.givenUp |= bit;
    if (this.#how === RUN && (this.permits & bit) !== 0) {
      this.permits &= ~bit;
      this.memory.park(thread);
    } else if (this.#how !== RUN && argument < Infinity) {
      this.clock = Math.max(this.clock, this.deadlines[thread] as number);
    }
    if ((this.givenUp & bit) !== 0) {
      this.memory.forget(thread);
      this.asked[thread] = 0;
    }
    return (this.givenUp & bit) !== 0;
  }

  #permit(by: number, thread: number): void {
    if (thread < 0 || thread >= this.threads || (this.killed & (1 << thread)) !== 0) return;
    this.permits |= 1 << thread;
    this.memory.unpark(by, thread);
  }

  // Who goes on

  /** Picks who goes on, and sets `current`. */
  #decide(): void {
    const strategy = this.strategy as Strategy;
    for (;;) {
      let picked = strategy.replay();
      if (picked < 0) {
        picked = this.pick(strategy);
        if (picked < 0) {
          if (picked === -1) this.#stopped = true;
          this.current = -1;
          return;
        }
      }
      const thread = picked >> 2;
      const how = picked & 3;
      if (how === KILL) {
        this.#kill(thread);
        continue;
      }
      if (how !== RUN) this.#count(thread, how);
      this.#how = how;
      this.inARow = thread === this.current ? this.inARow + 1 : 0;
      this.current = thread;
      return;
    }
  }

  /** Takes an event off what the case has to spare. */
  #count(thread: number, how: number): void {
    if (how === GIVE_UP) this.timeouts--;
    // Where nobody could run, time has passed: that is for free.
    else if (this.idle()) this.rescues++;
    else this.spurious--;
    this.log?.push({
      thread,
      site: -1,
      what: how === GIVE_UP ? "is told to give up" : "wakes up, not unparked",
    });
  }

  #kill(thread: number): void {
    this.log?.push({ thread, site: -1, what: "is killed" });
    // What our launcher does with all that are left.
    for (let other = 0; other < this.threads; other++) {
      if (other !== thread && !this.isUnborn(other)) this.#permit(thread, other);
    }
    this.killed |= 1 << thread;
    this.kills--;
    if (this.current === thread) this.current = -1;
  }

  // Locks

  #doorways: readonly number[] | undefined;
  #atDoorway: (thread: number) => void = () => {};

  /** Calls back after each write of some words. */
  watch(words: readonly number[] | undefined, call: (thread: number) => void): void {
    this.#doorways = words;
    this.#atDoorway = (thread) => {
      if (words?.includes(this.memory.word) === true) call(thread);
    };
  }

  /** A thread's next wait may last again. */
  freshWait(): void {
    if (this.me >= 0) this.givenUp &= ~(1 << this.me);
  }

  // Traces

  #write(log: Done[], thread: number, kind: number, result: unknown): void {
    const name = KINDS[kind];
    let what: string;
    if (kind <= XOR) {
      const operands = [this.#a[thread], this.#b[thread]].filter((value) => value !== undefined);
      what = `${name} ${this.memory.describe(this.memory.word)} ${
        operands.join(" → ")
      } = ${result}`;
    } else {
      const argument = kind === PAUSE || kind === NOW ? "" : ` ${this.#a[thread]}`;
      what = `${name}${argument}${result === undefined ? "" : ` = ${result}`}`;
    }
    log.push({ thread, site: this.sitesNext[thread] as number, what });
  }
}

/** The one that stepwise code of this thread talks to. */
export const runtime: Runtime = new Runtime();
