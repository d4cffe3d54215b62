import { checkSlot, type Region } from "./region.ts";
import { destroyedError } from "./tenancy.ts";
import { lockWaiter, type ThreadWaiter } from "../wait/thread_waiter.ts";
import type { WaitStrategy } from "../wait/wait_strategy.ts";
import type { Wait } from "../wait/waiter.ts";

/**
 * A wait during which this thread goes on, and may destroy the memory.
 *
 * @param wait The wait.
 * @param check Throws when the memory is gone.
 * @returns The same, which then fails.
 */
export function* watch<Result>(wait: Wait<Result>, check: () => void): Wait<Result> {
  let step = wait.next(false);
  while (step.done !== true) {
    const over = yield step.value;
    check();
    step = wait.next(over);
  }
  return step.value;
}

/** Where a counter or barrier lives, as the calling thread sees it: its memory may go away. */
export class Attachment {
  /** Its memory. */
  readonly region: Region;
  /** The calling thread. */
  readonly me: ThreadWaiter;
  /** The algorithm's words: none once the arena is destroyed in this thread. */
  readonly words: Int32Array;
  /** What it is called, as it follows "this". */
  readonly #noun: string;

  /**
   * @param region Its memory.
   * @param strategy What this thread does before it sleeps, unless it says otherwise.
   * @param title What it is called, with its article. Default: as what lives in the region.
   */
  constructor(region: Region, strategy?: WaitStrategy, title: string = region.title) {
    this.region = region;
    this.me = lockWaiter(strategy);
    this.words = region.words;
    this.#noun = title.replace(/^an? /, "");
  }

  /**
   * Checks that the memory is there.
   *
   * @param verb What was asked, as it follows "Cannot".
   * @throws {NumaError} `EDESTROYED`.
   */
  check(verb: string): void {
    if (this.words.length > 0) return;
    throw destroyedError(`${verb} this ${this.#noun}`);
  }

  /**
   * Checks that one more asynchronous wait may use it.
   *
   * @param me The wait.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EAGAIN`.
   */
  admit(me: ThreadWaiter, action: string): void {
    checkSlot(me.slot, this.region.shape, action);
  }

  /**
   * A wait during which this thread goes on, and may destroy the memory.
   *
   * @param wait The wait.
   * @param verb What was asked, as it follows "Cannot".
   * @returns The same, which fails with `EDESTROYED`.
   */
  watch<Result>(wait: Wait<Result>, verb: string): Wait<Result> {
    return watch(wait, () => this.check(verb));
  }
}
