/**
 * Explores the interleavings of a case, or walks through some at random.
 *
 * Exploring is a depth-first search that keeps no states of threads: every run starts anew and repeats the choices before
 * the one that it varies (stateless model checking, as in CHESS: Musuvathi and Qadeer, PLDI 2007). Runs in which a thread
 * that could have gone on is interrupted more often than the bound are left out; switching away from one that waits, has
 * ended or was killed costs nothing. The bound is raised from 0, so that what is reported has the fewest interruptions.
 *
 * A run is cut short where it gets to a state that was explored before with at least as many interruptions left. The
 * state is what memory contains and what every thread has been told (`state.ts`), so two runs that differ only in the
 * order of independent steps meet as soon as both have done them. Sleep sets would save most of the same runs; but with a
 * bound they lose some: the order that they keep may be the one that needs an interruption more.
 *
 * **Covered**, up to the bound and but for collisions of a 60-bit hash: all sequentially consistent interleavings of
 * steps for the number of threads and operations in the case; wherever the case has events to spare, every place for
 * them. JavaScript's atomics are sequentially consistent, so that is all there is for code that synchronises through them.
 * **Not covered**: more interruptions, threads or operations; fairness, other than that a thread that spins waits for a
 * change; an order of plain accesses other than the steps around them, but such races are reported (in a state that was
 * reached in two ways, for the first of them); values of `now()` other than the ends of sleeps; and sleeps that end late
 * because of a clock.
 *
 * **Walking** through a case at random shows what few interruptions cannot: how threads go on for long that are all as
 * fast. It keeps no states, so that there may be as many threads as a word has bits, and, where the case has traffic,
 * steps may take time.
 *
 * @module
 */

import process from "node:process";
import { firstOf, sizeOf } from "./bits.ts";
import { Misuse, type Observer, Violation } from "./ops.ts";
import type { Site } from "./rewrite_accesses.ts";
import { type Done, runtime } from "./runtime.ts";
import { KILL, MAX_EXPLORED, RUN, type Strategy } from "./schedule.ts";
import type { Case } from "./spec.ts";
import { Seen } from "./state.ts";
import { ModelWorld } from "./world.ts";

/** What exploring a case came to. */
export interface Outcome {
  /** Runs, cut short or not. */
  readonly schedules: number;
  /** Steps of all of them. */
  readonly steps: number;
  /** Different states. */
  readonly states: number;
  readonly seconds: number;
  /** Interruptions allowed in the last runs. */
  readonly preemptions: number;
  /** Sleeps that ended only because their time was up, when nobody could do anything. */
  readonly rescues: number;
  /** What went wrong, with its trace. */
  readonly violation: string | undefined;
  /** The run that went wrong, for {@linkcode recall}. */
  readonly choices?: string;
}

/** How far to go. */
export interface Limits {
  /** In place of the case's. */
  readonly preemptions?: number;
  /** The bound to begin with, in place of 0. */
  readonly from?: number;
  /** Runs; no more are begun. */
  readonly schedules?: number;
  /** Seconds of the process's CPU time; no more runs are begun then, and that is a failure. */
  readonly seconds?: number;
  /** No run is cut short: to check what cutting leaves out, which is nothing. */
  readonly uncut?: boolean;
  readonly observer?: Observer;
}

const MAX_CHOICES = 20_000;

/** Kinds of alternatives. */
const KINDS = 4;
/** By sets of threads that can be explored: the bits whose numbers are those of their alternatives of the first kind. */
const SPREAD: Int32Array = Int32Array.from({ length: 1 << MAX_EXPLORED }, (_, set) => {
  let spread = 0;
  for (let bits = set; bits !== 0; bits &= bits - 1) spread |= 1 << (firstOf(bits) * KINDS);
  return spread;
});

/** All alternatives as one set of bits. */
function setOf(alternatives: Int32Array): number {
  let mask = 0;
  for (let kind = 0; kind < KINDS; kind++) {
    mask |= (SPREAD[alternatives[kind] as number] as number) << kind;
  }
  return mask;
}

/** Those of a set that interrupt a thread that could have gone on. */
function costlyOf(mask: number, alternatives: Int32Array, interrupted: number): number {
  // A dead thread's killer goes on for free; so does one that is told something itself.
  const kills = (SPREAD[alternatives[KILL] as number] as number) << KILL;
  return interrupted < 0 ? 0 : mask & ~(0xf << (interrupted * KINDS)) & ~kills;
}

/** Goes through all choices. */
class Search implements Strategy {
  bound = 0;
  uncut = false;
  readonly seen: Seen = new Seen();
  #depth = 0;
  /** How many choices are to be repeated. */
  #known = 0;
  readonly #chosen: Uint8Array = new Uint8Array(MAX_CHOICES);
  /** What was tried first, at each choice. */
  readonly #first: Uint8Array = new Uint8Array(MAX_CHOICES);
  /** What is still to be tried, at each choice; and which of it costs an interruption. */
  readonly #todo: Int32Array = new Int32Array(MAX_CHOICES);
  readonly #costly: Int32Array = new Int32Array(MAX_CHOICES);
  readonly #left: Int8Array = new Int8Array(MAX_CHOICES);

  /** Back to the start of a run, whose first choices are known. */
  rewind(): void {
    this.#depth = 0;
  }

  /** Forgets all choices: a search with another bound. */
  restart(bound: number): void {
    this.bound = bound;
    this.#known = 0;
  }

  /** Back to the start of the run that just was. */
  repeat(): void {
    this.#known = this.#depth;
    this.#depth = 0;
  }

  /** To the next run; false when there is none. */
  advance(): boolean {
    while (this.#depth > 0 && this.#todo[this.#depth - 1] === 0) this.#depth--;
    if (this.#depth === 0) return false;
    this.#take(this.#depth - 1);
    this.#known = this.#depth;
    return true;
  }

  #take(at: number): number {
    const todo = this.#todo[at] as number;
    // What is for free first: the fewest interruptions.
    const free = todo & ~(this.#costly[at] as number);
    const bit = firstOf(free === 0 ? todo : free);
    this.#todo[at] = todo & ~(1 << bit);
    this.#chosen[at] = bit;
    return bit;
  }

  replay(): number {
    return this.#depth < this.#known ? this.#chosen[this.#depth++] as number : -1;
  }

  /** Interruptions left after the choices so far. */
  #now(): number {
    const at = this.#depth - 1;
    if (at < 0) return this.bound;
    const cost = ((this.#costly[at] as number) >>> (this.#chosen[at] as number)) & 1;
    return (this.#left[at] as number) - cost;
  }

  cut(low: number, high: number): boolean {
    return this.seen.visit(low, high, this.#now()) && !this.uncut;
  }

  pick(alternatives: Int32Array, interrupted: number): number {
    const mask = setOf(alternatives);
    const costly = costlyOf(mask, alternatives, interrupted);
    const left = this.#now();
    return this.#push(left === 0 ? mask & ~costly : mask, costly, left);
  }

  choose(ways: number): number {
    const known = this.replay();
    return known >= 0 ? known : this.#push((2 ** ways - 1) | 0, 0, this.#now());
  }

  #push(mask: number, costly: number, left: number): number {
    const at = this.#depth++;
    if (at >= MAX_CHOICES) throw new Misuse("too many choices in a run");
    this.#todo[at] = mask;
    this.#costly[at] = costly;
    this.#left[at] = left;
    this.#known = this.#depth;
    return this.#first[at] = this.#take(at);
  }

  /** The run so far: where it chose something else than what is tried first. */
  get choices(): string {
    const others: string[] = [];
    for (let at = 0; at < this.#depth; at++) {
      if (this.#chosen[at] !== this.#first[at]) others.push(`${at}:${this.#chosen[at]}`);
    }
    return others.join(" ");
  }
}

/** A run that does not fit the program that it is tried on. */
class Stale extends Error {}

/** Makes the choices of an earlier search again. */
class Recall implements Strategy {
  #at = 0;
  readonly #others: ReadonlyMap<number, number>;

  constructor(choices: string) {
    const pairs = choices.split(" ").filter((text) => text !== "");
    this.#others = new Map(pairs.map((text) => text.split(":").map(Number) as [number, number]));
  }

  replay(): number {
    return -1;
  }

  pick(alternatives: Int32Array, interrupted: number): number {
    const mask = setOf(alternatives);
    return this.#next(mask, mask & ~costlyOf(mask, alternatives, interrupted));
  }

  choose(ways: number): number {
    const mask = (2 ** ways - 1) | 0;
    return this.#next(mask, mask);
  }

  #next(mask: number, free: number): number {
    const choice = this.#others.get(this.#at++) ?? firstOf(free);
    if ((mask & (1 << choice)) === 0) throw new Stale();
    return choice;
  }
}

/** Chooses at random; the same seed chooses the same. */
class Walk implements Strategy {
  #state: number;

  constructor(seed: number) {
    this.#state = Math.imul(seed, 0x9e3779b1) | 1;
  }

  #below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return (this.#state >>> 0) % limit;
  }

  replay(): number {
    return -1;
  }

  pick(alternatives: Int32Array): number {
    const steps = sizeOf(alternatives[RUN] as number);
    let all = 0;
    for (let kind = 0; kind < KINDS; kind++) all += sizeOf(alternatives[kind] as number);
    // Events are rare: sixteen times as rare as steps.
    let skip = this.#below(steps > 0 && (steps === all || this.#below(16) > 0) ? steps : all);
    for (let kind = RUN;; kind++) {
      let bits = alternatives[kind] as number;
      const size = sizeOf(bits);
      if (skip < size) {
        for (; skip > 0; skip--) bits &= bits - 1;
        return firstOf(bits) * KINDS + kind;
      }
      skip -= size;
    }
  }

  choose(ways: number): number {
    return this.#below(ways);
  }
}

/** One run. */
function runOnce(subject: Case, walking: boolean, observer: Observer | undefined): void {
  runtime.reset(observer);
  const program = subject.setup(new ModelWorld(subject, walking));
  if (program.threads.length !== subject.threads) {
    throw new Misuse(`${program.threads.length} threads where the case has ${subject.threads}`);
  }
  if (runtime.run(program.threads)) program.end?.();
}

/** A first run that shows whether there are plain accesses, so that the others look for races. */
function findPlain(subject: Case): void {
  runtime.strategy = new Search();
  try {
    runOnce(subject, false, undefined);
  } catch (error) {
    whyOf(error);
  }
}

/** What a failed run is reported as; what is not its own fault is thrown on. */
function whyOf(error: unknown): string {
  if (error instanceof Misuse) throw error;
  if (error instanceof Violation) return error.message;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

/** Lines of a long trace that are shown, of its start and of its end. */
const TRACE_LINES = 60;

/** The steps of a run, one a line. */
function trace(log: readonly Done[], sites: readonly Site[]): string {
  const lines = log.map(({ thread, site, what }, index) => {
    const { file, line, text } = sites[site] ?? { file: "", line: 0, text: "" };
    const place = file === "" ? "" : `  ${file}:${line}  ${text.slice(0, 70)}`;
    const steps = `${index + 1}`.padStart(4);
    return `${steps}  thread ${thread}  ${what.padEnd(44)}${place}`.trimEnd();
  });
  if (lines.length <= 2 * TRACE_LINES) return lines.join("\n");
  return [...lines.slice(0, TRACE_LINES), "   …", ...lines.slice(-TRACE_LINES)].join("\n");
}

/** Repeats the run that failed and writes down what it does. */
function explain(subject: Case, walking: boolean, repeat: () => void): string {
  const log: Done[] = [];
  repeat();
  runtime.log = log;
  try {
    runOnce(subject, walking, undefined);
  } catch (error) {
    return `${whyOf(error)}\n${trace(log, runtime.sites)}`;
  } finally {
    runtime.log = undefined;
  }
  return `a run that failed did not fail again\n${trace(log, runtime.sites)}`;
}

/** What this process has used of CPUs, all its threads together: no clock, which a busy machine would not stop. */
export function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/**
 * Explores a case.
 *
 * @param subject The case, of a stepwise module.
 * @param sites That module's steps.
 * @param limits How far.
 * @returns What came of it; it ends at the first violation.
 */
export function explore(subject: Case, sites: readonly Site[], limits: Limits = {}): Outcome {
  const start = performance.now();
  const startCpu = cpuSeconds();
  const most = limits.preemptions ?? subject.preemptions;
  const { seconds = Infinity } = limits;
  if (subject.threads > MAX_EXPLORED) {
    throw new Misuse(
      `${subject.threads} threads are too many to explore: at most ${MAX_EXPLORED}`,
    );
  }
  const search = new Search();
  search.uncut = limits.uncut ?? false;
  runtime.begin(subject, sites);
  findPlain(subject);
  runtime.strategy = search;
  let [schedules, steps, rescues] = [0, 0, 0];
  let violation: string | undefined;
  let choices: string | undefined;
  for (
    search.bound = limits.from ?? 0;
    search.bound <= most && violation === undefined;
    search.bound++
  ) {
    search.restart(search.bound);
    do {
      search.rewind();
      schedules++;
      try {
        runOnce(subject, false, limits.observer);
      } catch (error) {
        whyOf(error);
        ({ choices } = search);
        violation = explain(subject, false, () => search.repeat());
      }
      steps += runtime.steps;
      rescues += runtime.rescues;
      if ((schedules & 1023) === 0 && cpuSeconds() - startCpu > seconds) {
        throw new Misuse(
          `too much to explore in ${seconds} s: ${schedules} runs at bound ${search.bound}`,
        );
      }
    } while (
      violation === undefined && schedules < (limits.schedules ?? Infinity) && search.advance()
    );
  }
  return {
    schedules,
    steps,
    states: search.seen.size,
    seconds: (performance.now() - start) / 1000,
    preemptions: Math.min(search.bound, most),
    rescues,
    violation,
    ...(choices !== undefined && { choices }),
  };
}

/**
 * Does again what an exploration found to go wrong, as far as the program is the same.
 *
 * @param subject The case, of a stepwise module.
 * @param sites That module's steps.
 * @param choices The run: {@linkcode Outcome.choices}.
 * @returns What goes wrong; undefined when nothing does, or when the program has no such run any more.
 */
export function recall(
  subject: Case,
  sites: readonly Site[],
  choices: string,
): string | undefined {
  runtime.begin(subject, sites);
  findPlain(subject);
  runtime.strategy = new Recall(choices);
  try {
    runOnce(subject, false, undefined);
    return undefined;
  } catch (error) {
    return error instanceof Stale ? undefined : whyOf(error);
  }
}

/**
 * Walks at random.
 *
 * @param subject The case.
 * @param sites Its module's steps.
 * @param seed Which walk.
 * @param observer Told of every step.
 * @returns What came of one run.
 */
export function walk(
  subject: Case,
  sites: readonly Site[],
  seed: number,
  observer?: Observer,
): Outcome {
  const start = performance.now();
  runtime.begin({ ...subject, steps: 10_000_000 }, sites, subject.traffic?.stepMs);
  runtime.strategy = new Walk(seed);
  let violation: string | undefined;
  try {
    runOnce(subject, true, observer);
  } catch (error) {
    violation = `${whyOf(error)} (in the random walk with seed ${seed})`;
  }
  const { steps, rescues } = runtime;
  const seconds = (performance.now() - start) / 1000;
  return { schedules: 1, steps, states: 0, seconds, preemptions: Infinity, rescues, violation };
}
