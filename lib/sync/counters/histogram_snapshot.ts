import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { bucketCount, type Buckets, bucketStart } from "./histogram_core.ts";

/**
 * What a histogram has counted, up to some moment or between two moments.
 *
 * All values come from buckets, so they are inexact by up to half a bucket: 0.8 % with a precision of 6. Values below
 * 2^precision are exact.
 *
 * @example
 * ```ts
 * import { Histogram } from "@numakit/numakit";
 *
 * const latency = Histogram.create(new SharedArrayBuffer(Histogram.bytes()));
 * for (let ns = 1; ns <= 60; ns++) latency.record(ns);
 * const { count, mean, max } = latency.snapshot();
 * console.log(count, mean, max, latency.snapshot().percentile(50)); // 60 30.5 60 30
 * ```
 */
export class HistogramSnapshot {
  /** The number of values. */
  readonly count: number;
  readonly #buckets: Buckets;
  readonly #counts: Float64Array;

  /**
   * For internal use: `Histogram.snapshot` returns one.
   *
   * @param buckets The buckets.
   * @param counts The number of values in each bucket.
   */
  constructor(buckets: Buckets, counts: Float64Array) {
    this.#buckets = buckets;
    this.#counts = counts;
    let count = 0;
    for (const number of counts) count += number;
    this.count = count;
  }

  /** The lowest value; 0 if there is none. */
  get min(): number {
    const first = this.#counts.findIndex((count) => count > 0);
    return first < 0 ? 0 : this.#start(first);
  }

  /** The highest value that may have been recorded; 0 if there is none. */
  get max(): number {
    const last = this.#counts.findLastIndex((count) => count > 0);
    return last < 0 ? 0 : this.#start(last + 1) - 1;
  }

  /** The mean; 0 if there is no value. */
  get mean(): number {
    let sum = 0;
    for (const [bucket, count] of this.#counts.entries()) sum += count * this.#middle(bucket);
    return this.count === 0 ? 0 : sum / this.count;
  }

  /**
   * Returns the value that the given percentage of all values does not exceed.
   *
   * @param p A percentage: 50 for the median, 99.9.
   * @returns The middle of its bucket; 0 if there is no value.
   * @throws {NumaError} `EINVAL` a number below 0 or above 100.
   */
  percentile(p: number): number {
    if (typeof p !== "number" || !(p >= 0 && p <= 100)) {
      throw new NumaError("EINVAL", "take a percentile", {
        why: `it is ${show(p)}`,
        fix: "Give a number from 0 to 100.",
      });
    }
    const rank = Math.max(1, Math.ceil(p / 100 * this.count));
    let seen = 0;
    for (const [bucket, count] of this.#counts.entries()) {
      seen += count;
      if (seen >= rank) return this.#middle(bucket);
    }
    return 0;
  }

  /**
   * Returns the sum of two snapshots.
   *
   * @param other A snapshot of another histogram, or of this one at another time.
   * @returns A new snapshot.
   * @throws {NumaError} `EINVAL` when its buckets are different.
   */
  merge(other: HistogramSnapshot): HistogramSnapshot {
    const { precision, bits } = this.#buckets;
    const action = "merge histograms";
    if (typeof other !== "object" || other === null || !(#buckets in other)) {
      throw new NumaError("EINVAL", action, {
        why: `the other is ${show(other)}`,
        fix: "Give a snapshot.",
      });
    }
    checkInteger(other.#buckets.precision, "the other's precision", precision, precision, action);
    checkInteger(other.#buckets.bits, "the other's range in bits", bits, bits, action);
    const counts = this.#counts.map((count, bucket) => count + (other.#counts[bucket] as number));
    return new HistogramSnapshot(this.#buckets, counts);
  }

  /**
   * Returns the buckets that are not empty.
   *
   * @returns Their lowest values, the ends of their ranges (the lowest value above), and how many values they hold.
   */
  *buckets(): Generator<{ readonly from: number; readonly to: number; readonly count: number }> {
    for (let bucket = 0; bucket < bucketCount(this.#buckets); bucket++) {
      const count = this.#counts[bucket] as number;
      if (count > 0) yield { from: this.#start(bucket), to: this.#start(bucket + 1), count };
    }
  }

  #start(bucket: number): number {
    return bucketStart(bucket, this.#buckets.precision);
  }

  #middle(bucket: number): number {
    return Math.floor((this.#start(bucket) + this.#start(bucket + 1) - 1) / 2);
  }
}
