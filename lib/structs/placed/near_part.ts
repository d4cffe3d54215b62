/**
 * Which of several parts is the nearest to the calling thread.
 *
 * @module
 */
import { currentNode } from "../../topology/current.ts";
import { topology } from "../../topology/load.ts";
import { nearestNode } from "../../memory/arena/memory_nodes.ts";
import { domainCount } from "../../wait/thread_waiter.ts";
import type { Waiter } from "../../wait/waiter.ts";

/** A thread that is not pinned may be moved: it asks where it is once in so many times. */
const ASK_MASK = 63;

/** The nearest part, for one thread. */
export class NearPart {
  readonly #nodes: readonly number[];
  readonly #placed: readonly number[];
  /** Tells threads apart that have the same nearest node. */
  readonly #spread: number;
  #turn = 0;
  #node = -1;
  #index: number;

  /**
   * @param nodes The node of each part; -1 where nobody knows.
   * @param me The calling thread.
   */
  constructor(nodes: readonly number[], me: Waiter) {
    this.#nodes = nodes;
    this.#placed = nodes.filter((node) => node >= 0);
    this.#spread = domainCount() > 1 ? me.domain : me.slot;
    this.#index = this.#spread % nodes.length;
  }

  /**
   * The nearest part; of several on the same node one for each L3 domain, or for some of the threads.
   *
   * @returns Its number.
   */
  index(): number {
    if ((this.#turn++ & ASK_MASK) === 0) this.#ask();
    return this.#index;
  }

  #ask(): void {
    this.#turn = 1;
    if (this.#placed.length === 0) return;
    const node = currentNode();
    if (node === this.#node) return;
    this.#node = node;
    const nearest = nearestNode(topology(), node, this.#placed);
    const near = [...this.#nodes.keys()].filter((part) => this.#nodes[part] === nearest);
    // A node that came after the topology was read is not in it; any part is right, if not near.
    if (near.length > 0) this.#index = near[this.#spread % near.length] as number;
  }
}
