/**
 * Tasks whose arguments have to be posted, and which wait in the pool's thread until a worker can take them: a worker gets
 * one at a time, so that none waits behind a long one while another worker has nothing to do.
 *
 * @module
 */
import { Line } from "./line.ts";
import { LEVELS } from "../core/task_names.ts";

/** The tasks that are held, by level and node. */
export class HeldTasks {
  readonly #lines: Map<number, Line<number>>[] = Array.from({ length: LEVELS }, () => new Map());
  readonly #isHeld: (name: number) => boolean;

  /**
   * @param isHeld Whether a task waits still.
   */
  constructor(isHeld: (name: number) => boolean) {
    this.#isHeld = isHeld;
  }

  /** How many there are, with some that were called off. */
  size = 0;

  /** Adds a task, to be done near a node, or anywhere: -1. */
  push(name: number, level: number, node: number): void {
    const lines = this.#lines[level] as Map<number, Line<number>>;
    const line = lines.get(node) ?? new Line<number>();
    lines.set(node, line);
    line.push(name);
    this.size++;
  }

  /**
   * Takes the next task for a worker.
   *
   * @param node The worker's node.
   * @param budget More than so many that wait near another node are done elsewhere.
   * @returns Its name; 0 if there is none.
   */
  next(node: number, budget: number): number {
    for (const lines of this.#lines) {
      if (lines.size === 0) continue;
      const name = this.#from(lines.get(node)) || this.#from(lines.get(-1));
      if (name !== 0) return name;
      for (const line of lines.values()) {
        const far = line.length > budget ? this.#from(line) : 0;
        if (far !== 0) return far;
      }
    }
    return 0;
  }

  /** Lets tasks that wait near a node be done anywhere. */
  spread(node: number, level: number): void {
    const lines = this.#lines[level] as Map<number, Line<number>>;
    const line = lines.get(node);
    lines.delete(node);
    for (let name = line?.shift(); name !== undefined; name = line?.shift()) {
      this.size--;
      this.push(name, level, -1);
    }
  }

  /** The nodes that tasks wait near, some of which may have been called off. */
  *nodes(): Generator<number> {
    for (const lines of this.#lines) {
      for (const [node, line] of lines) if (node >= 0 && line.length > 0) yield node;
    }
  }

  #from(line: Line<number> | undefined): number {
    for (;;) {
      const name = line?.shift();
      if (name === undefined) return 0;
      this.size--;
      if (this.#isHeld(name)) return name;
    }
  }
}
