import { checkInteger, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { bucketCount, type Buckets, HistogramCore } from "./histogram_core.ts";
import { Attachment } from "../../shared/attachment.ts";
import { HistogramSnapshot } from "./histogram_snapshot.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";

export { HistogramSnapshot } from "./histogram_snapshot.ts";

/** For whom and for which values a histogram is made. */
export interface HistogramOptions extends SyncOptions {
  /**
   * How finely it tells values: to one part in 2^precision, 1 to 9. Default: 6, which is 1.6 %. One more doubles its
   * memory.
   */
  readonly precision?: number;
  /** The highest value that it tells from higher ones, less than 2^53. Default: 2^40 - 1, which is 18 minutes in ns. */
  readonly highest?: number;
}

/** What {@linkcode Histogram.snapshot} is to give. */
export interface SnapshotOptions {
  /** Only what was counted since this object gave the last such snapshot. Default: false. */
  readonly reset?: boolean;
}

const KIND = defineKind<Histogram, HistogramOptions>({
  name: "Histogram",
  code: 21,
  title: "a histogram",
  accepts: ["threads", "precision", "highest"],
  option: optionOf,
  words: (shape, option) => HistogramCore.words(shape, bucketsOf(option)),
});
const BITS_SHIFT = 4;
const MOST_BITS = 53;
const UNKNOWN: Buckets = { precision: 1, bits: 2 };

function bucketsOf(option: number): Buckets {
  const precision = option & (2 ** BITS_SHIFT - 1);
  const bits = option >>> BITS_SHIFT;
  const valid = precision >= 1 && precision <= 9 && bits > precision && bits <= MOST_BITS;
  return valid ? { precision, bits } : UNKNOWN;
}

/** The number that {@linkcode bucketsOf} takes. */
function optionOf(options: HistogramOptions, action: string): number {
  const precision = checkInteger(options.precision ?? 6, "precision", 1, 9, action);
  const highest = checkInteger(
    options.highest ?? 2 ** 40 - 1,
    "highest",
    1,
    Number.MAX_SAFE_INTEGER,
    action,
  );
  let bits = precision + 1;
  while (2 ** bits <= highest) bits++;
  return precision | (bits << BITS_SHIFT);
}

/**
 * Counts which values occur how often, such as latencies, in many threads at once.
 *
 * Each thread counts in buckets of its own, which are as wide as the values are high: every value is known to the same
 * relative error. To record a value moves nothing between cores.
 *
 * @example
 * ```ts
 * import { Histogram } from "@numakit/numakit";
 *
 * const options = { threads: 8 };
 * const latency = Histogram.create(new SharedArrayBuffer(Histogram.bytes(options)), options);
 * for (let ns = 1; ns <= 1000; ns++) latency.record(ns); // in any thread
 * const { count, max } = latency.snapshot();
 * console.log(count, max); // 1000 1007
 * console.log(latency.snapshot().percentile(50)); // 501
 * ```
 */
export class Histogram implements Shareable {
  readonly #core: HistogramCore;
  readonly #attached: Attachment;
  readonly #buckets: Buckets;
  /** What was there when this object gave the last window. */
  #before: Float64Array | undefined;

  private constructor(region: Region) {
    this.#buckets = bucketsOf(region.option);
    this.#core = new HistogramCore(region.words, region.shape, this.#buckets);
    this.#attached = new Attachment(region);
  }

  /**
   * Makes a histogram. It is empty at first.
   *
   * @param memory Where its words live: an arena, or a SharedArrayBuffer of {@linkcode Histogram.bytes} bytes.
   * @param options For whom and for which values.
   * @returns The histogram.
   * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` memory that is in use, or an arena that
   * another thread allocates from; `ENOMEM` a full arena; `EAGAIN` this thread is one more than `threads`.
   */
  static create(memory: SyncMemory, options: HistogramOptions = {}): Histogram {
    return KIND.create(memory, options);
  }

  /**
   * How much memory a histogram takes: 18 KiB a thread with the default options.
   *
   * @param options As it will be made.
   * @returns Bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: HistogramOptions = {}): number {
    return KIND.bytes(options);
  }

  /**
   * The live histogram of a handle. Giving the same handle twice in one thread gives the same object.
   *
   * @param handle What {@linkcode Histogram.toHandle} gave in any thread of this process.
   * @returns The histogram.
   * @throws {NumaError} `EINVAL` for anything else than a handle; `ESTALE` when its memory is gone; `EAGAIN` when this
   * thread is one too many.
   */
  static fromHandle(handle: Handle): Histogram {
    return KIND.attach(handle);
  }

  /**
   * Counts a value.
   *
   * Cost: one atomic store on a line that no other thread writes.
   *
   * @param value From 0 to 2^53 - 1; what is behind the point does not count, and one above `highest` counts as that.
   * @throws {NumaError} `EDESTROYED` its arena is; `EINVAL`.
   */
  record(value: number): void {
    this.#attached.check("record in");
    if (typeof value !== "number" || !(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) {
      throw new NumaError("EINVAL", "record a value", {
        why: `it is ${show(value)}`,
        fix: "Give a number from 0 to 2^53 - 1.",
      });
    }
    this.#core.record(this.#attached.me, value);
  }

  /**
   * What all threads have recorded, or what they have since the last time.
   *
   * Nothing is set back: with `reset` this object remembers what it has given, and gives what came later. So each value
   * is in exactly one of the windows that one object gives, and several observers do not disturb each other.
   *
   * Cost: one load for each bucket and thread.
   *
   * @param options What to give.
   * @returns The snapshot, which does not change any more.
   * @throws {NumaError} `EDESTROYED` its arena is; `EINVAL`.
   */
  snapshot(options: SnapshotOptions = {}): HistogramSnapshot {
    this.#attached.check("read");
    checkOptions(options, "{ reset }", "take a snapshot");
    const counts = new Float64Array(bucketCount(this.#buckets));
    this.#core.read(counts);
    if (options.reset !== true) return new HistogramSnapshot(this.#buckets, counts);
    const before = this.#before;
    this.#before = counts;
    const window = before === undefined
      ? counts
      : counts.map((count, bucket) => count - (before[bucket] as number));
    return new HistogramSnapshot(this.#buckets, window);
  }

  /**
   * How another thread finds the histogram. Arguments and results of threads turn it into a live histogram there.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` memory that belongs to this thread alone; `EDESTROYED` its arena.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }

  static {
    KIND.register(Histogram, (region) => new Histogram(region));
  }
}
