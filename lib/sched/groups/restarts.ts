import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { readOptions } from "../../base/options.ts";

/** When and how often something that ended is started again. */
export interface RestartOptions {
  /** After which ends: only when it failed, or whichever way it ended. Default: `"failure"`. */
  readonly on?: "failure" | "always";
  /** How many restarts there may be within `withinMs`: 0 to 2^31 - 1. One more end is the last one. Default: 5. */
  readonly times?: number;
  /** The window of `times` in milliseconds, 1 to 2^31 - 1. Default: 60,000. */
  readonly withinMs?: number;
  /** How long to wait before the first restart of a window, in milliseconds: 0 to 2^31 - 1. Default: 100. */
  readonly delayMs?: number;
  /**
   * Each further restart of a window waits twice as long as the one before it, but no longer than this, in milliseconds:
   * 0 to 2^31 - 1. Default: 10,000.
   */
  readonly maxDelayMs?: number;
}

const MAX_MS = 2 ** 31 - 1;

/**
 * Decides about restarts by what it was told: it starts nothing itself, and knows no clock.
 *
 * It remembers the times of the restarts of the last `withinMs`, at most `times` of them.
 */
export class Restarts {
  readonly #always: boolean;
  readonly #times: number;
  readonly #withinMs: number;
  readonly #delayMs: number;
  readonly #maxDelayMs: number;
  /** When there was a restart, the latest last. */
  #recent: readonly number[] = [];

  /**
   * @param options The limits.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  constructor(options: RestartOptions, action: string) {
    const names = ["on", "times", "withinMs", "delayMs", "maxDelayMs"] as const;
    const read = readOptions(options, names, action);
    const { on = "failure", times = 5, withinMs = 60_000, delayMs = 100, maxDelayMs = 10_000 } =
      read;
    if (on !== "failure" && on !== "always") {
      throw new NumaError("EINVAL", action, {
        why: `on is ${show(on)}`,
        fix: 'Give "failure" or "always".',
      });
    }
    this.#always = on === "always";
    this.#times = checkInteger(times, "times", 0, MAX_MS, action);
    this.#withinMs = checkInteger(withinMs, "withinMs", 1, MAX_MS, action);
    this.#delayMs = checkInteger(delayMs, "delayMs", 0, MAX_MS, action);
    this.#maxDelayMs = checkInteger(maxDelayMs, "maxDelayMs", 0, MAX_MS, action);
  }

  /**
   * Decides what to do after an end.
   *
   * @param failed Whether it failed.
   * @param nowMs The time, in milliseconds of a clock that never goes back.
   * @returns How long to wait before the restart, in milliseconds, which counts as one then; undefined for no restart.
   */
  next(failed: boolean, nowMs: number): number | undefined {
    if (!failed && !this.#always) return undefined;
    this.#recent = this.#recent.filter((time) => nowMs - time < this.#withinMs);
    const count = this.#recent.length;
    if (count >= this.#times) return undefined;
    this.#recent = [...this.#recent, nowMs];
    return Math.min(this.#delayMs * 2 ** Math.min(count, 31), this.#maxDelayMs);
  }
}
