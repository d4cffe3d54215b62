import { checkSlot, type Region } from "./region.ts";
import { memberOf } from "./members.ts";
import { destroyedError } from "./tenancy.ts";
import type { AsyncRequest } from "../wait/request.ts";
import { lockWaiter, type ThreadWaiter } from "../wait/thread_waiter.ts";
import type { Waiter } from "../wait/waiter.ts";
import type { WaitStrategy } from "../wait/wait_strategy.ts";

/** Where a counter or barrier lives, as the calling thread sees it: its memory may go away. */
export class Attachment {
  /** Its memory. */
  readonly region: Region;
  /** The calling thread. */
  readonly me: ThreadWaiter;
  /** The same, as the region's words name it: another one where processes share it. */
  readonly peer: Waiter;
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
    this.peer = region.members === undefined ? this.me : memberOf(region, this.me);
    this.words = region.words;
    this.#noun = title.replace(/^an? /, "");
  }

  /**
   * Checks that the memory is there.
   *
   * @param verb What was asked, as it follows "Cannot".
   * @param rest What follows the object. Default: nothing.
   * @throws {NumaError} `EDESTROYED`.
   */
  check(verb: string, rest: string = ""): void {
    if (this.words.length > 0) return;
    throw destroyedError(`${verb} this ${this.#noun}${rest}`);
  }

  /**
   * What has to hold of an asynchronous wait: that there is room for it when it begins, and that the memory is there
   * whenever it goes on.
   *
   * @param verb What was asked, as it follows "Cannot".
   * @param action The same, with its object.
   * @returns The checks of a request.
   */
  guards(verb: string, action: string): Required<Pick<AsyncRequest<unknown>, "admit" | "check">> {
    return {
      admit: (me) => checkSlot(me.slot, this.region.shape, action),
      check: () => this.check(verb),
    };
  }
}
