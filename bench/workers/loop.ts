import { summarizeSamples, timeBatch } from "../../lib/cli/measure.ts";
import { currentCpu } from "../../mod.ts";

const WARM_UP_MS = 40;
const MEASURE_MS = 60;

/** Something to keep results in, so that no engine leaves the work out. */
export const sink: { value: unknown } = { value: undefined };

/** What came of a loop in a thread. */
export interface LoopResult {
  /** Nanoseconds an operation. */
  readonly cost: number;
  /** The CPU it ran on at the end. */
  readonly cpu: number;
}

/**
 * Measures a loop, after others have run for a while.
 *
 * @param loop The loop.
 * @param operations How many operations it does.
 * @param before What runs before, as often as it takes to be compiled. Default: nothing.
 * @returns What it costs.
 */
export async function measureLoop(
  loop: () => void,
  operations: number,
  before: readonly (() => void)[] = [],
): Promise<LoopResult> {
  for (const other of [...before, loop]) await timeBatch(other, operations, WARM_UP_MS);
  const { median } = summarizeSamples(await timeBatch(loop, operations, MEASURE_MS));
  return { cost: median, cpu: currentCpu() };
}
