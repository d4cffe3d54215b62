/**
 * What operations cost: atomics by kind, and cache lines that move, in a model with a cache for every thread.
 *
 * MESI by line: a read makes a thread a sharer; a write makes it the only one. Where a line comes from tells the cost: own
 * cache, the cache of a thread of the same domain (L3), one of another domain, or memory (first use). A write to a line
 * that others share counts as coming from the farthest of them. A compareExchange that fails takes the line as a write
 * does, as on x86.
 *
 * @module
 */

import { sizeOf } from "./bits.ts";
import { COMPARE_EXCHANGE, KINDS, LOAD, type Observer } from "./ops.ts";
import type { Traffic } from "./spec.ts";

/** Counts of all operations of a name. */
export interface OperationCounts {
  /** How many operations. */
  times: number;
  /** Atomics, by kind. */
  readonly atomics: Record<string, number>;
  /** Plain accesses to shared memory. */
  plain: number;
  /** Calls of the waiter, by kind. */
  readonly calls: Record<string, number>;
  /** Accesses to a line that the thread had. */
  hits: number;
  /** Lines that came from memory. */
  fills: number;
  /** Lines that came from a thread of the same domain. */
  local: number;
  /** Lines that came from a thread of another domain. */
  remote: number;
  /** Copies of lines that were made invalid. */
  invalidations: number;
}

/** How to count. */
export interface LineOptions {
  /** Bytes of a line: 64, or 128 where lines are fetched in pairs. */
  readonly lineBytes?: number;
  /** Each thread's domain. */
  readonly domains: readonly number[];
}

/** What became of a lock. */
export interface LockStatistics {
  /** How often it was taken. */
  readonly taken: number;
  /** How often by a thread of the domain of the one before, but another thread. */
  readonly local: number;
  /** How often by a thread of another domain than the one before. */
  readonly remote: number;
  /** The most times that others took it who came later than a thread that wanted it. */
  readonly bypass: number;
  /** Jain's index of the threads' acquisitions, in the first half of them: 1 when all took it as often, 1/n at worst. */
  readonly fairness: number;
}

/** Outside of operations. */
const ELSEWHERE = "(elsewhere)";

function none(): OperationCounts {
  return {
    times: 0,
    atomics: {},
    plain: 0,
    calls: {},
    hits: 0,
    fills: 0,
    local: 0,
    remote: 0,
    invalidations: 0,
  };
}

/**
 * Jain's fairness index.
 *
 * @param counts What each got.
 * @returns 1 when all got the same; 1/n when one got all.
 */
export function jain(counts: readonly number[]): number {
  const sum = counts.reduce((total, count) => total + count, 0);
  const squares = counts.reduce((total, count) => total + count * count, 0);
  return squares === 0 ? 1 : (sum * sum) / (counts.length * squares);
}

/** Counts, as an observer of runs. */
export class Lines implements Observer {
  /** By the names of operations. */
  readonly operations: Map<string, OperationCounts> = new Map();
  readonly #domains: readonly number[];
  /** By thread, bits of those in its domain. */
  readonly #near: readonly number[];
  readonly #lineWords: number;
  /** Bits of the threads that have each line. */
  readonly #sharers = new Map<number, number>();
  readonly #current: (string | undefined)[] = [];
  /** Who took the lock, in order. */
  readonly #owners: number[] = [];
  /** When each thread came that wants the lock, in the order in which they came. */
  readonly #arrivals: (number | undefined)[] = [];
  /** How often others took it since who had come later. */
  readonly #overtaken: number[] = [];
  #arrived = 0;
  #bypass = 0;

  constructor({ lineBytes = 128, domains }: LineOptions) {
    this.#lineWords = lineBytes / 4;
    this.#domains = domains;
    this.#near = domains.map((domain) =>
      domains.reduce((near, other, thread) => other === domain ? near | (1 << thread) : near, 0)
    );
  }

  #counts(thread: number): OperationCounts {
    const name = this.#current[thread] ?? ELSEWHERE;
    let counts = this.operations.get(name);
    if (counts === undefined) this.operations.set(name, counts = none());
    return counts;
  }

  access(thread: number, kind: number, word: number, _wrote: boolean, plain: boolean): void {
    const counts = this.#counts(thread);
    const name = KINDS[kind] as string;
    if (plain) counts.plain++;
    else counts.atomics[name] = (counts.atomics[name] ?? 0) + 1;
    const takes = kind !== LOAD;
    const line = Math.floor(word / this.#lineWords);
    const sharers = this.#sharers.get(line) ?? 0;
    const own = 1 << thread;
    const others = sharers & ~own;
    if ((sharers & own) !== 0 && (!takes || others === 0)) counts.hits++;
    else if (others === 0) counts.fills++;
    else if (this.#isRemote(thread, others, takes)) counts.remote++;
    else counts.local++;
    if (takes) counts.invalidations += sizeOf(others);
    this.#sharers.set(line, takes ? own : sharers | own);
  }

  /** Whether a line comes from another domain: all must be asked by a write, the nearest is enough for a read. */
  #isRemote(thread: number, others: number, takes: boolean): boolean {
    const near = this.#near[thread] as number;
    return takes ? (others & ~near) !== 0 : (others & near) === 0;
  }

  other(thread: number, kind: number): void {
    const { calls } = this.#counts(thread);
    const name = KINDS[kind] as string;
    calls[name] = (calls[name] ?? 0) + 1;
  }

  operation(thread: number, name: string | undefined): void {
    this.#current[thread] = name;
    if (name !== undefined) this.#counts(thread).times++;
  }

  lock(thread: number, state: "wanted" | "taken" | "free" | "gave up"): void {
    if (state === "wanted") {
      this.#arrivals[thread] = this.#arrived++;
      this.#overtaken[thread] = 0;
    } else if (state === "gave up") this.#arrivals[thread] = undefined;
    else if (state === "taken") {
      const arrival = this.#arrivals[thread] ?? this.#arrived;
      this.#arrivals[thread] = undefined;
      this.#owners.push(thread);
      for (const [other, before] of this.#arrivals.entries()) {
        if (before === undefined || before > arrival) continue;
        const overtaken = (this.#overtaken[other] as number) + 1;
        this.#overtaken[other] = overtaken;
        this.#bypass = Math.max(this.#bypass, overtaken);
      }
    }
  }

  /** What became of the lock. */
  get lockStatistics(): LockStatistics {
    let [local, remote] = [0, 0];
    for (const [index, owner] of this.#owners.entries()) {
      const before = this.#owners[index - 1];
      if (before === undefined || before === owner) continue;
      if (this.#domains[before] === this.#domains[owner]) local++;
      else remote++;
    }
    // In the end all have taken it as often as they were told to.
    const half = this.#owners.slice(0, Math.ceil(this.#owners.length / 2));
    const counts = this.#domains.map((_, thread) => half.filter((o) => o === thread).length);
    const fairness = jain(counts);
    return { taken: this.#owners.length, local, remote, bypass: this.#bypass, fairness };
  }
}

/**
 * The share of a lock's hand-offs that go to another domain.
 *
 * @param statistics What became of the lock.
 * @returns From 0 to 1.
 */
export function shareAcross({ local, remote }: LockStatistics): number {
  return remote / Math.max(1, local + remote);
}

/**
 * Compares a lock with what it has to show.
 *
 * @param statistics What became of the lock.
 * @param traffic What it has to show.
 * @returns What is wrong, if anything is.
 */
export function missed(statistics: LockStatistics, traffic: Traffic): string | undefined {
  const { across: [least, most], bypass } = traffic;
  const across = shareAcross(statistics);
  if (across < least || across > most) {
    const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
    return `${percent(across)} of the hand-offs cross domains, not ${percent(least)} to ${
      percent(most)
    }`;
  }
  if (statistics.bypass > bypass) {
    return `a thread is overtaken ${statistics.bypass} times, more than ${bypass}`;
  }
  return undefined;
}

/**
 * Atomics of one operation, on average.
 *
 * @param counts Of an operation.
 * @returns For example "2 (1 load, 1 compareExchange)".
 */
export function atomicsText({ times, atomics }: OperationCounts): string {
  const each = (count: number): string => `${Math.round(count / times * 100) / 100}`;
  const parts = Object.entries(atomics).map(([kind, count]) =>
    `${each(count)} ${kind === KINDS[COMPARE_EXCHANGE] ? "cas" : kind}`
  );
  const all = Object.values(atomics).reduce((sum, count) => sum + count, 0);
  return parts.length === 0 ? "0" : `${each(all)} (${parts.join(", ")})`;
}
