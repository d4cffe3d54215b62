import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { Handle, Shareable } from "../../base/handle.ts";
import { bucketCount, type Buckets, HistogramCore } from "./histogram_core.ts";
import { Attachment } from "../../shared/attachment.ts";
import { HistogramSnapshot } from "./histogram_snapshot.ts";
import { defineKind } from "../../shared/kind.ts";
import type { Region, SyncMemory, SyncOptions } from "../../shared/region.ts";

export { HistogramSnapshot } from "./histogram_snapshot.ts";

/** Options of a {@linkcode Histogram}. */
export interface HistogramOptions extends SyncOptions {
  /**
   * The precision: buckets have a relative width of one part in 2^precision, 1 to 9. Default: 6, which is 1.6 %. One
   * more doubles the memory.
   */
  readonly precision?: number;
  /**
   * The highest value that is distinguished from higher ones, less than 2^53. Default: 2^40 - 1, which is 18 minutes in
   * ns.
   */
  readonly highest?: number;
}

/** Options of {@linkcode Histogram.snapshot}. */
export interface HistogramSnapshotOptions {
  /** Whether to return only what was counted since this object's last such snapshot. Default: false. */
  readonly reset?: boolean;
}

const KIND = /* @__PURE__ */ defineKind<Histogram, HistogramOptions>({
  name: "Histogram",
  code: 21,
  title: "a histogram",
  accepts: ["threads", "precision", "highest"],
  option: optionOf,
  words: (shape, option) => HistogramCore.words(shape, bucketsOf(option)),
});
const BITS_SHIFT = 4;
const MAX_BITS = 53;
const UNKNOWN: Buckets = { precision: 1, bits: 2 };

function bucketsOf(option: number): Buckets {
  const precision = option & ((1 << BITS_SHIFT) - 1);
  const bits = option >>> BITS_SHIFT;
  const valid = precision >= 1 && precision <= 9 && bits > precision && bits <= MAX_BITS;
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
 * Each thread counts in buckets of its own. The width of a bucket is proportional to its values, so all values have the
 * same relative error. Recording a value moves no cache line between cores.
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
  static readonly #kind = /* @__PURE__ */ KIND.register(
    Histogram,
    (region) => new Histogram(region),
  );
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
   * Creates an empty histogram.
   *
   * @param memory The memory for its words: an arena, or a `SharedArrayBuffer` of {@linkcode Histogram.bytes} bytes.
   * @param options Options of the histogram.
   * @returns The histogram.
   * @throws {NumaError} `EINVAL` if the memory is of the wrong kind or too small; `EBUSY` if it is in use, or another
   * thread allocates from the arena; `ENOMEM` if the arena is full; `EAGAIN` if this thread exceeds `threads`.
   */
  static create(memory: SyncMemory, options: HistogramOptions = {}): Histogram {
    return Histogram.#kind.create(memory, options);
  }

  /**
   * Returns how much memory a histogram needs: 18 KiB for each thread with the default options.
   *
   * @param options The options that `create` will get.
   * @returns The size in bytes.
   * @throws {NumaError} `EINVAL`.
   */
  static bytes(options: HistogramOptions = {}): number {
    return Histogram.#kind.bytes(options);
  }

  /**
   * Returns the live histogram of a handle. In one thread, the same handle always gives the same object.
   *
   * @param handle A handle from {@linkcode Histogram.toHandle}, made in any thread of this process.
   * @returns The histogram.
   * @throws {NumaError} `EINVAL` if it is not such a handle; `ESTALE` if its memory no longer exists; `EAGAIN` if this
   * thread exceeds `threads`.
   */
  static fromHandle(handle: Handle): Histogram {
    return Histogram.#kind.attach(handle);
  }

  /**
   * Counts a value.
   *
   * Cost: one atomic store on a line that no other thread writes.
   *
   * @param value From 0 to 2^53 - 1. Fractions are cut off, and a value above `highest` counts as `highest`.
   * @throws {NumaError} `EDESTROYED` its arena is destroyed; `EINVAL`.
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
   * Returns what all threads have recorded, or what they have recorded since the last snapshot.
   *
   * Nothing is reset in shared memory: with `reset`, this object remembers what it has returned, and returns what was
   * recorded later. Each value is therefore in exactly one of an object's snapshots, and several observers do not
   * affect each other.
   *
   * Cost: one load for each bucket and thread.
   *
   * @param options Whether to return everything, or only what is new.
   * @returns The snapshot, which does not change.
   * @throws {NumaError} `EDESTROYED` its arena is destroyed; `EINVAL`.
   */
  snapshot(options: HistogramSnapshotOptions = {}): HistogramSnapshot {
    this.#attached.check("read");
    checkOptions(options, "{ reset }", "take a snapshot");
    checkOptionNames(options, ["reset"], "take a snapshot");
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
   * Returns a handle with which another thread finds the histogram. Arguments and results of threads are converted
   * automatically.
   *
   * @returns The handle.
   * @throws {NumaError} `EINVAL` if its memory belongs to this thread alone; `EDESTROYED` if its arena is destroyed.
   */
  toHandle(): Handle {
    return this.#attached.region.toHandle();
  }
}
