import { checkInteger, checkOptions } from "../base/check.ts";

/** What a thread does while it waits, in this order, before it sleeps. */
export interface WaitStrategy {
  /** The number of pauses, with a check after each: 0 to 1,000,000. A pause takes 33 ns on x86. */
  readonly spins: number;
  /**
   * The number of times that it yields its CPU to other threads, with a check after each: 0 to 100,000. A yield takes
   * 0.3 µs or more.
   */
  readonly yields: number;
}

/**
 * For what can be had as soon as it is free, whoever freed it. Sleeping and waking costs a CPU 3 µs, so it spins for
 * that long at most.
 */
export const SPIN_THEN_PARK: WaitStrategy = { spins: 100, yields: 0 };

/**
 * For what one certain thread has to do first, which may need this CPU for that. A sleeper is awake again 20 to 30 µs
 * after it was woken, so it yields for that long.
 */
export const SPIN_YIELD_PARK: WaitStrategy = { spins: 100, yields: 32 };

const MAX_SPINS = 1_000_000;
const MAX_YIELDS = 100_000;
/** How much one wait changes what is expected of the next. */
const WEIGHT = 1 / 8;
/** Pauses in any case, as an estimate may be wrong. */
const FEWEST = 10;

let chosen: WaitStrategy | undefined;

/**
 * Sets how the calling thread waits from now on, for every object of this module. It always sleeps in the end. By
 * default, each lock chooses for itself: it pauses for up to twice as long as its recent waits took, at most 3 µs, and
 * not at all in a process with one CPU; locks that are handed over, such as `McsLock`, and `Barrier` then yield 32
 * times.
 *
 * A pinned thread with a CPU of its own can spin for longer: it then continues 0.1 µs after a release, instead of 20 µs
 * or more. A thread that shares its CPU should not spin at all.
 *
 * A thread that spins or yields does not look at the clock, so the timeout of a call (`timeoutMs`) begins to count after
 * that. This adds at most what all pauses and yields take: with the largest strategy about 0.3 s for the pauses with
 * their checks, and 0.03 s for the yields, or as long as other threads use the CPU meanwhile.
 *
 * @param strategy The strategy; undefined restores the default.
 * @returns The previous strategy.
 * @throws {NumaError} `EINVAL`.
 *
 * @example
 * ```ts
 * import { setWaitStrategy } from "@numakit/numakit";
 *
 * const before = setWaitStrategy({ spins: 30_000, yields: 0 }); // a millisecond
 * // … what has to be quick …
 * setWaitStrategy(before);
 * ```
 */
export function setWaitStrategy(strategy: WaitStrategy | undefined): WaitStrategy | undefined {
  const before = chosen;
  if (strategy === undefined) {
    chosen = undefined;
    return before;
  }
  const action = "set the wait strategy";
  checkOptions(strategy, "{ spins, yields }", action);
  const { spins, yields } = strategy;
  chosen = {
    spins: checkInteger(spins, "spins", 0, MAX_SPINS, action),
    yields: checkInteger(yields, "yields", 0, MAX_YIELDS, action),
  };
  return before;
}

/**
 * How long one lock has kept this thread waiting, and how long it should look the next time: an owner that takes longer
 * than usual is probably not running. As the adaptive mutex of glibc does it.
 */
export class SpinBudget {
  readonly #strategy: WaitStrategy;
  readonly #canYield: boolean;
  #mean: number;
  /** Pauses before it yields. */
  spins: number;
  /** Rounds before it sleeps. */
  rounds: number;

  /**
   * @param strategy What it does at most.
   * @param canYield Whether the C helper is there, which yields.
   */
  constructor(strategy: WaitStrategy, canYield = true) {
    this.#strategy = strategy;
    this.#canYield = canYield;
    this.#mean = strategy.spins;
    this.spins = strategy.spins;
    this.rounds = strategy.spins + (canYield ? strategy.yields : 0);
  }

  /**
   * Begins a wait.
   *
   * @param last Rounds of the wait before it.
   */
  begin(last: number): void {
    this.#mean += (Math.min(last, this.spins) - this.#mean) * WEIGHT;
    const { spins, yields } = this.#strategy;
    this.spins = chosen?.spins ?? Math.min(spins, FEWEST + 2 * Math.round(this.#mean));
    this.rounds = this.spins + (this.#canYield ? chosen?.yields ?? yields : 0);
  }
}
