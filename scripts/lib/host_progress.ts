/**
 * Whether a command on this machine still does anything. A busy machine makes everything slow, so nothing here is limited
 * by the clock: a command is stopped when none of its processes has used a CPU for a long time.
 *
 * @module
 */
import { cpuMsOf } from "./proc.ts";

/** How often it is looked. */
const LOOK_MS = 5000;
/** How long processes, and threads of tests, may be without a sign of life. The longest sleep of a test is a tenth of it. */
export const STILL_MS = 300_000;
/** CPU time that counts as a sign of life. What sleepers use that wake up for a moment is less. */
const MIN_MS = 100;

/** A command's progress: it is stuck when it has used hardly any CPU time for a time. */
export class HostProgress {
  readonly #stillMs: number;
  #lastMs = 0;
  #since: number;

  /**
   * @param now The clock, in milliseconds.
   * @param stillMs For how long.
   */
  constructor(now: number, stillMs: number) {
    this.#since = now;
    this.#stillMs = stillMs;
  }

  /**
   * Takes a look.
   *
   * @param now The clock, in milliseconds.
   * @param cpuMs CPU time of the command so far.
   * @returns Whether the command is stuck.
   */
  isStuckAt(now: number, cpuMs: number): boolean {
    // A process that ended takes its time along until its parent has waited for it, so it may be less, too.
    if (Math.abs(cpuMs - this.#lastMs) < MIN_MS) return now - this.#since > this.#stillMs;
    this.#lastMs = cpuMs;
    this.#since = now;
    return false;
  }
}

/**
 * Calls back when a process and all below it have been still for too long.
 *
 * @param root The process.
 * @param onStuck Called once, with the seconds.
 * @param stillMs For how long they may be still, in milliseconds. Default: five minutes.
 * @returns Ends the watch.
 */
export function watchLife(
  root: number,
  onStuck: (seconds: number) => void,
  stillMs: number = STILL_MS,
): () => void {
  const progress = new HostProgress(performance.now(), stillMs);
  const timer = setInterval(() => {
    if (!progress.isStuckAt(performance.now(), cpuMsOf(root))) return;
    clearInterval(timer);
    onStuck(Math.round(stillMs / 1000));
  }, Math.min(LOOK_MS, stillMs));
  return () => clearInterval(timer);
}
