/**
 * What the memory of rings of fixed-size records has in common.
 *
 * ```
 *   three lines of the algorithm | the records | event count "not empty" | event count "not full"
 * ```
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { LINE_WORDS } from "../../wait/waiter.ts";

/** Where the records begin. */
export const RECORDS: number = 3 * LINE_WORDS;

/** Behind the records, at the start of a line. */
function eventsAt(capacity: number, size: number): number {
  return RECORDS + Math.ceil(capacity * size / LINE_WORDS) * LINE_WORDS;
}

/**
 * The words of a ring.
 *
 * @param shape The number of threads and domains.
 * @param capacity How many records it has room for.
 * @param size 32-bit words of a record.
 * @returns 32-bit words.
 */
export function ringWords(shape: Shape, capacity: number, size: number): number {
  return eventsAt(capacity, size) + 2 * EventCountCore.words(shape);
}

/** What those sleep on that wait for a ring. */
export interface RingEvents {
  /** What consumers sleep on. */
  readonly notEmpty: EventCountCore;
  /** What producers sleep on. */
  readonly notFull: EventCountCore;
}

/**
 * The event counts of a ring. Sleepers look at the ring whenever a thread dies: it may have been the one that had changed
 * something and was about to tell them.
 *
 * @param words The ring's words.
 * @param shape The number of threads and domains.
 * @param capacity How many records it has room for.
 * @param size 32-bit words of a record.
 * @returns Both.
 */
export function ringEvents(
  words: Int32Array,
  shape: Shape,
  capacity: number,
  size: number,
): RingEvents {
  const first = eventsAt(capacity, size);
  const second = first + EventCountCore.words(shape);
  const end = second + EventCountCore.words(shape);
  return {
    notEmpty: new EventCountCore(words.subarray(first, second), shape, true),
    notFull: new EventCountCore(words.subarray(second, end), shape, true),
  };
}
