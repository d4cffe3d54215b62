/**
 * The number and size of the records of a ring or a deque, as one number that its memory keeps.
 *
 * @module
 */
import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { SyncOptions } from "../../shared/region.ts";

/** Options of a ring of fixed-size records. */
export interface RingOptions extends SyncOptions {
  /** The number of records that it has room for: a power of two from 2 to 2^24. Default: 1,024. */
  readonly capacity?: number;
  /** The number of 32-bit words of a record: 1 to 1,024. Default: 1. */
  readonly recordWords?: number;
}

const MAX_CAPACITY_BITS = 24;
const MAX_RECORD_WORDS = 1024;
/** 1 GiB. */
const MAX_WORDS = 2 ** 28;
/** Of the number that its memory keeps: bits of the capacity's logarithm. */
const CAPACITY_BITS = 5;

/**
 * What {@linkcode optionOf} made a number of. It is in memory that any thread can write to: also what it never made.
 *
 * @param option The number.
 * @param mostWords The most words of a record. Default: those of a ring.
 * @returns Settings within the limits.
 */
export function settingsOf(
  option: number,
  mostWords: number = MAX_RECORD_WORDS,
): { readonly capacity: number; readonly recordWords: number } {
  const bits = Math.min(option & ((1 << CAPACITY_BITS) - 1), MAX_CAPACITY_BITS);
  const recordWords = Math.min(Math.max(1, option >>> CAPACITY_BITS), mostWords);
  return { capacity: 2 ** bits, recordWords };
}

/**
 * The number that {@linkcode settingsOf} takes.
 *
 * @param options The options.
 * @param action What was asked, as it follows "Cannot".
 * @param mostWords The most words of a record. Default: those of a ring.
 * @returns The number.
 * @throws {NumaError} `EINVAL`.
 */
export function optionOf(
  { capacity = 1024, recordWords = 1 }: RingOptions,
  action: string,
  mostWords: number = MAX_RECORD_WORDS,
): number {
  checkInteger(capacity, "capacity", 2, 2 ** MAX_CAPACITY_BITS, action);
  checkInteger(recordWords, "recordWords", 1, mostWords, action);
  if ((capacity & (capacity - 1)) !== 0) {
    throw new NumaError("EINVAL", action, {
      why: `capacity is ${capacity}`,
      fix: "Give a power of two.",
    });
  }
  if (capacity * recordWords > MAX_WORDS) {
    throw new NumaError("EINVAL", action, {
      why: `${capacity} records of ${recordWords} words are more than 1 GiB`,
      fix: "Give a smaller capacity.",
    });
  }
  return (recordWords << CAPACITY_BITS) | Math.log2(capacity);
}
