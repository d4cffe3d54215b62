/**
 * Where the words of a replicated map are. All parts are alike; of the log's words only those of the first part are used.
 *
 * ```
 *   line 0      which part it is (parts.ts)
 *   line 1      | tail |
 *   line 2      | owner of the log | safe |
 *   line 3      | applied | lost | size |
 *   line 4      | owner of the copy |
 *   then        records | the copy: a hash map
 * ```
 *
 * @module
 */
import { LINE_WORDS } from "../../wait/waiter.ts";
import { layoutOf, type MapLayout, type MapShape } from "../maps/map_table.ts";

export const TAIL: number = LINE_WORDS;
export const LOG_OWNER: number = 2 * LINE_WORDS;
export const SAFE: number = 2 * LINE_WORDS + 1;
export const APPLIED: number = 3 * LINE_WORDS;
export const LOST: number = 3 * LINE_WORDS + 1;
export const SIZE: number = 3 * LINE_WORDS + 2;
export const COPY_OWNER: number = 4 * LINE_WORDS;
export const RECORDS: number = 5 * LINE_WORDS;

/** Words of a record. */
export const KIND = 0;
export const SIZE_AFTER = 1;
export const RECORD_HEAD = 2;

/** What an operation does. */
export const SET = 0;
export const REMOVE = 1;
export const CLEAR = 2;

/** Words of the log, if its records are not so long that they are too few then. */
const LOG_WORDS = 2 ** 13;
const MIN_RECORDS = 64;
const MAX_RECORDS = 1024;
/**
 * A copy must never be full before the map is. A hash map of its capacity nearly never is; with a quarter more, and some
 * for small ones, the spare buckets that all keys need are half of those that there are, or fewer.
 */
const SLACK = 1.25;
const MIN_SLACK = 64;

/** The layout of a part, in numbers. */
export interface ReplicatedLayout {
  /** How many records the log has: a power of two. */
  readonly records: number;
  /** Words of a record. */
  readonly recordWords: number;
  /** Where the copy begins. */
  readonly mapAt: number;
  /** Its layout. */
  readonly map: MapLayout;
  /** All words. */
  readonly words: number;
}

/**
 * Lays a part out.
 *
 * @param shape What the map holds.
 * @returns The layout.
 */
export function replicatedLayoutOf(shape: MapShape): ReplicatedLayout {
  const recordWords = RECORD_HEAD + shape.keyWords + shape.valueWords;
  const fitting = 2 ** Math.floor(Math.log2(LOG_WORDS / recordWords));
  const records = Math.min(Math.max(fitting, MIN_RECORDS), MAX_RECORDS);
  const map = layoutOf({ ...shape, capacity: Math.ceil(shape.capacity * SLACK) + MIN_SLACK });
  const mapAt = Math.ceil((RECORDS + records * recordWords) / LINE_WORDS) * LINE_WORDS;
  return { records, recordWords, mapAt, map, words: mapAt + map.words };
}
