/**
 * How often which values occurred: buckets of constant relative width, a set of them for each thread.
 *
 * ```
 *   line 0             | used |                        shards from here on were never written
 *   shard of slot s    | carried | … to a line's end   whether any high word is in use
 *                      | low of bucket 0, 1, 2, …      count modulo 2^32
 *                      | high of bucket 0, 1, 2, …     count / 2^31
 *
 *   buckets for 2^p values an octave:
 *   0 … 2^p - 1 one value each | 2^p of width 1 | 2^p of width 2 | 2^p of width 4 | …
 * ```
 *
 * A bucket is as wide as its octave / 2^p, so that a value is known to one part in 2^p: p = 6 is 1.6 %. Minimum, maximum,
 * mean and percentiles all come from the buckets; nothing else is written when a value is recorded.
 *
 * The two words of a count share a bit. Before low crosses a multiple of 2^31, high says so: count = high * 2^31 +
 * signed distance of low from there, which is -1 when the thread was killed between the two stores, and the next record
 * in the bucket repeats the first. A reader takes high, low, high; high only grows, so equal means unchanged. While
 * `carried` is not set a count is what low says, unsigned.
 *
 * One writer a shard: it reads its own words plainly, because nobody else writes them and a slot goes to another thread
 * through atomics of the parking lot. Counts of dead threads stay. Windows are differences of two readings: zeroing
 * words that others count in would lose counts.
 *
 * Costs. Record: arithmetic and one store on lines nobody else writes. Reading: one load a bucket and shard.
 *
 * After HdrHistogram (Tene); per-thread shards as in `counter_core.ts`.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { raise } from "../../wait/slot_words.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const USED = 0;
const CARRIED = 0;
const HALF = 2 ** 31;
/** Values from 2^31 on are looked at without their last bits. */
const WIDE_BITS = 22;

/** The buckets of a histogram. */
export interface Buckets {
  /** 2^precision buckets an octave: 1 to 9. */
  readonly precision: number;
  /** Values from 2^bits on count as the highest one below: more than `precision`, 53 at the most. */
  readonly bits: number;
}

/**
 * How many buckets there are.
 *
 * @param buckets Their kind.
 * @returns The number.
 */
export function bucketCount({ precision, bits }: Buckets): number {
  return (bits - precision + 1) << precision;
}

/**
 * Where a value is counted.
 *
 * @param value At least 0, less than 2^53. What is behind the point does not count.
 * @param precision Of the buckets.
 * @returns The bucket, as if there were enough.
 */
export function bucketOf(value: number, precision: number): number {
  if (value < HALF) {
    const exponent = 31 - Math.clz32(value) - precision;
    // The leading bit of the value is in `value >> exponent` too: it counts the octave once more.
    return exponent <= 0 ? value | 0 : (exponent << precision) + (value >> exponent);
  }
  const top = Math.floor(value / 2 ** WIDE_BITS);
  const exponent = 31 - Math.clz32(top) - precision;
  return ((exponent + WIDE_BITS) << precision) + (top >> exponent);
}

/**
 * The lowest value of a bucket.
 *
 * @param bucket Its index; that of the next one gives the end of this one.
 * @param precision Of the buckets.
 * @returns The value.
 */
export function bucketStart(bucket: number, precision: number): number {
  const octave = (bucket >> precision) - 1;
  return octave <= 0 ? bucket : (bucket - (octave << precision)) * 2 ** octave;
}

/** The algorithm of `Histogram`. */
export class HistogramCore {
  readonly #words: Int32Array;
  readonly #precision: number;
  readonly #count: number;
  readonly #shard: number;
  /** From a bucket's low word to its high word. */
  readonly #high: number;
  /** What `used` was when this thread last looked. */
  #used = 0;

  /**
   * @param words Its memory: zero at first.
   * @param _shape The number of threads and domains.
   * @param buckets Its buckets.
   */
  constructor(words: Int32Array, _shape: Shape, buckets: Buckets) {
    this.#words = words;
    this.#precision = buckets.precision;
    this.#count = bucketCount(buckets);
    this.#high = Math.ceil(this.#count / LINE_WORDS) * LINE_WORDS;
    this.#shard = LINE_WORDS + 2 * this.#high;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @param buckets Its buckets.
   * @returns 32-bit words.
   */
  static words({ threads }: Shape, buckets: Buckets): number {
    const lines = 1 + 2 * Math.ceil(bucketCount(buckets) / LINE_WORDS);
    return (1 + threads * lines) * LINE_WORDS;
  }

  /**
   * Counts a value.
   *
   * @param me The calling thread.
   * @param value At least 0, less than 2^53.
   */
  record(me: Waiter, value: number): void {
    const words = this.#words;
    const { slot } = me;
    if (slot >= this.#used) this.#use(slot);
    const bucket = Math.min(bucketOf(value, this.#precision), this.#count - 1);
    const shard = LINE_WORDS + slot * this.#shard;
    const at = shard + LINE_WORDS + bucket;
    const before = words[at] as number;
    const low = (before + 1) | 0;
    if ((low & (HALF - 1)) === 0) this.#carry(shard, at + this.#high, before);
    Atomics.store(words, at, low);
  }

  /**
   * Adds up all threads' counts.
   *
   * @param into One number a bucket; counts are added to what is there.
   */
  read(into: Float64Array): void {
    const used = Atomics.load(this.#words, USED);
    for (let slot = 0; slot < used; slot++) {
      const shard = LINE_WORDS + slot * this.#shard;
      const carried = Atomics.load(this.#words, shard + CARRIED) !== 0;
      for (let bucket = 0; bucket < this.#count; bucket++) {
        const at = shard + LINE_WORDS + bucket;
        const count = carried ? this.#readWide(at) : Atomics.load(this.#words, at) >>> 0;
        into[bucket] = (into[bucket] as number) + count;
      }
    }
  }

  #readWide(at: number): number {
    const words = this.#words;
    let high = Atomics.load(words, at + this.#high);
    for (;;) {
      const low = Atomics.load(words, at);
      const again = Atomics.load(words, at + this.#high);
      if (again === high) return (high >>> 0) * HALF + ((low - (high << 31)) | 0);
      high = again;
    }
  }

  /** Low is about to become a multiple of 2^31. */
  #carry(shard: number, high: number, low: number): void {
    const words = this.#words;
    const halves = words[high] as number;
    // Negative when a thread of this slot was killed after it had come so far.
    if (((low - (halves << 31)) | 0) < 0) return;
    Atomics.store(words, shard + CARRIED, 1);
    Atomics.store(words, high, (halves + 1) | 0);
  }

  #use(slot: number): void {
    this.#used = raise(this.#words, USED, slot + 1);
  }
}
