import { measure } from "mitata";

/** The cost of one operation, in nanoseconds. */
export interface Cost {
  /** Median. */
  readonly median: number;
  /** 10th percentile. */
  readonly p10: number;
  /** 90th percentile. */
  readonly p90: number;
  /** The number of batches that were timed. */
  readonly samples: number;
}

/**
 * Summarises samples.
 *
 * @param samples Nanoseconds for each operation; at least one sample.
 * @returns Median and spread.
 */
export function summarizeSamples(samples: readonly number[]): Cost {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.round((sorted.length - 1) * share)] as number;
  return { median: at(0.5), p10: at(0.1), p90: at(0.9), samples: sorted.length };
}

/**
 * Times an operation after a warm-up.
 *
 * @param batch Does the operation `operations` times.
 * @param operations The number of operations in a batch.
 * @param minMs The least time to spend, in milliseconds.
 * @returns Nanoseconds for each operation, one sample for each batch.
 */
export async function timeBatch(
  batch: () => void,
  operations: number,
  minMs: number,
): Promise<number[]> {
  // Every sample is one call: a batch is long enough for the clock.
  const { samples } = await measure(batch, {
    // Bun's throws compiled code away: what takes long to compile would be timed before it is.
    gc: false,
    batch_threshold: 0,
    min_cpu_time: minMs * 1e6,
    min_samples: 20,
    max_samples: 1e5,
    warmup_samples: 10,
  });
  return samples.map((nanoseconds) => nanoseconds / operations);
}
