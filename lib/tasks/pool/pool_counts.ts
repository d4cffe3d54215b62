/**
 * What workers count, each in words of its own, so that to count is to add to a plain word.
 *
 * ```
 *   of a worker:  | failed | stolen from: core, domain, node, remote | busy ms: low, high as a number of 64 bits |
 *                 | histogram of run times: 64 words | histogram of waits: 64 words |
 * ```
 *
 * A time falls into the class of its number of bits in quarters of microseconds, with one more bit: two classes an octave.
 *
 * @module
 */
import { LINE_WORDS } from "../../wait/waiter.ts";

const FAILED = 0;
const STOLEN = 1;
/** In numbers of 64 bits. */
const BUSY = 4;
const RUN = LINE_WORDS;
const CLASSES = 64;
const WAIT = RUN + CLASSES;
const WORDS = WAIT + CLASSES;
const QUARTERS_PER_MS = 4000;
/** What is longer counts as this: 9 minutes in quarters of microseconds. */
const LONGEST = 2 ** 31 - 1;

/** How far away tasks were when they were taken from another worker. */
export const DISTANCES = ["core", "domain", "node", "remote"] as const;

function classOf(ms: number): number {
  const quarters = Math.max(1, Math.min(LONGEST, Math.floor(ms * QUARTERS_PER_MS)));
  const bits = 31 - Math.clz32(quarters);
  return bits === 0 ? 0 : 2 * bits + ((quarters >> (bits - 1)) & 1);
}

/** The least time of a class, in milliseconds. */
function leastOf(which: number): number {
  const bits = which >> 1;
  return which === 0 ? 0 : 2 ** bits * (1 + (which & 1) / 2) / QUARTERS_PER_MS;
}

/** Times, by size. */
export interface TimeClass {
  /** The least time of the class, in milliseconds; it ends where the next class begins, which is less than twice that. */
  readonly leastMs: number;
  /** How many there were. */
  readonly count: number;
}

/** What the workers of a pool have counted. */
export class PoolCounts {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  /**
   * @param words Their memory, zero at first, from an address that is a multiple of 8.
   */
  constructor(words: Int32Array) {
    this.#words = words;
    this.#numbers = new Float64Array(words.buffer, words.byteOffset, Math.floor(words.length / 2));
  }

  /**
   * The words that they take.
   *
   * @param workers How many workers there are.
   * @returns 32-bit words.
   */
  static words(workers: number): number {
    return workers * WORDS;
  }

  #add(worker: number, word: number): void {
    const at = worker * WORDS + word;
    this.#words[at] = (this.#words[at] as number) + 1;
  }

  /** A task has thrown. */
  fail(worker: number): void {
    this.#add(worker, FAILED);
  }

  /** A task was taken from another worker, at a distance. */
  steal(worker: number, distance: number): void {
    this.#add(worker, STOLEN + distance);
  }

  /** A task has waited and run for so many milliseconds. */
  time(worker: number, waitMs: number, runMs: number): void {
    this.#add(worker, WAIT + classOf(waitMs));
    this.#add(worker, RUN + classOf(runMs));
    const at = (worker * WORDS >> 1) + BUSY;
    this.#numbers[at] = (this.#numbers[at] as number) + runMs;
  }

  /** How many tasks have thrown. */
  failed(worker: number): number {
    return (this.#words[worker * WORDS + FAILED] as number) >>> 0;
  }

  /** How many were taken from others at a distance. */
  stolen(worker: number, distance: number): number {
    return (this.#words[worker * WORDS + STOLEN + distance] as number) >>> 0;
  }

  /** How long a worker has done tasks that have ended, in milliseconds. */
  busyMs(worker: number): number {
    return this.#numbers[(worker * WORDS >> 1) + BUSY] as number;
  }

  /** Times of tasks by their classes: counts. */
  classes(worker: number, which: "run" | "wait"): number[] {
    const at = worker * WORDS + (which === "run" ? RUN : WAIT);
    return Array.from(this.#words.subarray(at, at + CLASSES), (count) => count >>> 0);
  }
}

/**
 * Names classes of times.
 *
 * @param counts A count for each class.
 * @returns Those that are not empty.
 */
export function namedClasses(counts: readonly number[]): TimeClass[] {
  return counts.map((count, which) => ({ leastMs: leastOf(which), count }))
    .filter(({ count }) => count > 0);
}
