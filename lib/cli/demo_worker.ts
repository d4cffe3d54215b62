/**
 * The worker of `numakit demo`.
 *
 * @module
 */
import type { Arena } from "../memory/arena/arena.ts";
import { worker } from "../sched/worker.ts";
import { currentCpu, currentNode } from "../topology/current.ts";
import { threadAffinity } from "../topology/load.ts";

/** The report of the demo's worker. */
export interface DemoReport {
  /** The CPUs it may run on. */
  readonly affinity: string;
  /** The CPU it ran on. */
  readonly cpu: number;
  /** The node of that CPU. */
  readonly node: number;
  /** The sum of what it wrote. */
  readonly sum: number;
}

/** Allocates in the given arena, if any, and reports where it ran. */
const body: (args: { arena: Arena | undefined; count: number }) => DemoReport = (
  { arena, count },
) => {
  const data = arena?.allocFloat64(count) ?? new Float64Array(count);
  for (let index = 0; index < count; index++) data[index] = index;
  return {
    affinity: threadAffinity().toString(),
    cpu: currentCpu(),
    node: currentNode(),
    sum: data.reduce((sum, value) => sum + value, 0),
  };
};

export default worker(body) as typeof body;
