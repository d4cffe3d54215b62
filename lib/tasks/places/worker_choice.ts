import type { PoolCrew } from "../host/pool_crew.ts";
import type { PoolPlaces } from "../host/pool_places.ts";
import type { TaskCore } from "../core/task_core.ts";
import { QUEUES } from "../core/task_names.ts";

/** How many workers are looked at for one that has nothing to do. */
const LOOKS = 4;
/** With more tasks than this for each worker none is looked at: all have something to do, and write to what says so. */
const LOADED = 4;

/** Chooses the workers whose queues tasks go to. */
export class WorkerChoice {
  readonly #core: TaskCore;
  readonly #crew: PoolCrew;
  readonly #places: PoolPlaces;
  readonly #nodes: readonly number[];
  #last = 0;
  #cursor = 0;

  /**
   * @param core Tells who has what to do.
   * @param crew Tells who is there.
   * @param places Tells how many tasks there are.
   * @param nodes The node of each worker.
   */
  constructor(core: TaskCore, crew: PoolCrew, places: PoolPlaces, nodes: readonly number[]) {
    this.#core = core;
    this.#crew = crew;
    this.#places = places;
    this.#nodes = nodes;
  }

  /**
   * A worker for a task that any may do.
   *
   * @returns With little to do the last one again, which is awake; otherwise each in its turn, but rather one with nothing to
   * do. Others take from it.
   */
  any(): number {
    const { live } = this.#crew;
    const count = live.length;
    if (count < 2) return live[0] ?? 0;
    const core = this.#core;
    if (this.#places.taken <= count && !core.runs(this.#last) && live.includes(this.#last)) {
      return this.#last;
    }
    const isLoaded = this.#places.taken > LOADED * count;
    for (let looks = 0; looks < LOOKS; looks++) {
      if (++this.#cursor >= count) this.#cursor = 0;
      this.#last = live[this.#cursor] as number;
      if (isLoaded || !core.runs(this.#last)) break;
    }
    return this.#last;
  }

  /**
   * A worker on a node.
   *
   * @param node The node, which some worker of the pool is on.
   * @returns The one with the least to do.
   */
  near(node: number): number {
    const core = this.#core;
    let best = -1;
    let least = Infinity;
    for (const worker of this.#crew.live) {
      if (this.#nodes[worker] !== node) continue;
      let load = core.runs(worker) ? 1 : 0;
      for (let queue = 1; queue < QUEUES; queue++) load += core.length(worker, queue);
      if (load >= least) continue;
      best = worker;
      least = load;
    }
    return best >= 0 ? best : this.staff(node);
  }

  /**
   * Sees to it that there is a worker on a node, now or soon.
   *
   * @param node The node, which some worker of the pool is on.
   * @returns One of its workers. Until it is there, its queue is.
   */
  staff(node: number): number {
    const there = this.#crew.live.find((worker) => this.#nodes[worker] === node);
    if (there !== undefined) return there;
    const next = Math.max(0, this.#nodes.indexOf(node));
    this.#crew.ensure(next);
    return next;
  }
}
