import { claimWaiter, type ThreadWaiter } from "../../wait/thread_waiter.ts";
import { turn } from "./event_loop.ts";
import type { PoolPlaces } from "./pool_places.ts";
import type { TaskCore } from "../core/task_core.ts";

/** How often the event loop turns without a result before the thread waits for one. */
const TURNS = 3;
/** The wait looks this often even if nobody wakes it. */
const SLICE_MS = 1000;

/** Takes results as they come, without blocking the pool's thread, for as long as there are tasks. */
export class ResultLoop {
  readonly #core: TaskCore;
  readonly #places: PoolPlaces;
  readonly #drain: () => number;
  readonly #me: ThreadWaiter = claimWaiter();
  #isDriving = false;
  #isParked = false;
  /** Whether the thread has blocked since the loop said that it is about to sleep: it is not told of results then. */
  #isRoused = false;
  #driven: Promise<void> = Promise.resolve();

  /**
   * @param core Where the results come from.
   * @param places Tells whether there are tasks.
   * @param drain Takes what results there are, and says how many.
   */
  constructor(core: TaskCore, places: PoolPlaces, drain: () => number) {
    this.#core = core;
    this.#places = places;
    this.#drain = drain;
  }

  /** There are tasks. */
  drive(): void {
    if (this.#isDriving) return;
    this.#isDriving = true;
    this.#driven = this.#run();
  }

  /** Results may have come of which it was not told, as its thread was told instead. */
  rouse(): void {
    this.#isRoused = true;
    if (this.#isParked) this.#me.lot.unpark(this.#me.id);
  }

  /** Gives its waiter back, when there are no tasks any more. */
  async dispose(): Promise<void> {
    this.rouse();
    await this.#driven;
    this.#me.lot.release(this.#me.id);
  }

  async #run(): Promise<void> {
    const { lot, id } = this.#me;
    for (let turns = 0;;) {
      await turn();
      if (this.#drain() > 0) turns = 0;
      if (this.#places.taken === 0) break;
      if (turns++ < TURNS) continue;
      this.#isRoused = false;
      this.#core.prepare(this.#me);
      if (this.#drain() === 0 && this.#places.taken > 0 && !this.#isRoused) {
        this.#isParked = true;
        await lot.parkAsync(id, SLICE_MS);
        this.#isParked = false;
      }
      this.#core.cancel();
      this.#drain();
      turns = 0;
    }
    this.#isDriving = false;
  }
}
