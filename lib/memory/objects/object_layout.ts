/**
 * The bookkeeping of an {@linkcode ObjectHeap}: the one place with its layout numbers.
 *
 * ```
 *   int32 words, each part on cache lines of its own
 *   +---------+--------+--------------------+---------------+--------------+---------------------------+
 *   | config  | shared | records            | chunks: owner | chunks: base | states, one an object     |
 *   +---------+--------+--------------------+---------------+--------------+---------------------------+
 *   0         16       32                   owners          bases          states
 *
 *   record, one a thread that uses the heap, and a last one that is never a thread's: the commons
 *   +------------------------+-------------------------------------+
 *   | 0-1 thread | 2 remote  | 16 pending | 17-24 outgoing batches |
 *   +------------------------+-------------------------------------+
 *   others write here          only the record's thread writes here
 *
 *   state of an object
 *   free, on its owner's list     link to the next (id + 1), 0 at the end        0 .. 2^30
 *   freed by another thread       ~link: on its way to the owner                 -1 .. ~2^30
 *   allocated                     ALLOCATED                                      -2^31
 * ```
 *
 * - `config`: what the class above the heap wants to find again; the heap does not look at it.
 * - `shared`: how many chunks are claimed, which never goes back; and whether some thread has run out.
 * - `owner` of a chunk: class << 16 | record + 1, in one word so that it changes all at once; 0 for unclaimed.
 * - `base` of a chunk: where its first object is, in units that the class above chooses.
 * - `thread`: the identity of the thread whose record it is, 64 bits; 0 for nobody.
 * - `remote`: the stack of objects of this record's chunks that other threads have freed.
 * - `pending`: what the owner took off that stack and has not sorted yet; ~link while it is being taken.
 *
 * Untouched memory is all zeros: chunks unclaimed, records nobody's, objects free.
 *
 * @module
 */

/** Words a cache line. */
const CACHE_LINE_WORDS = 16;

/** Words in the config part. */
export const CONFIG_WORDS: number = CACHE_LINE_WORDS;
/** Where the count of claimed chunks is. */
export const CLAIMED: number = CACHE_LINE_WORDS;
/** Where it says that some thread has run out: 1, else 0. */
export const WANTED: number = CACHE_LINE_WORDS + 1;
/** Where the records begin. */
const RECORDS = 2 * CACHE_LINE_WORDS;
/** log2 of the words a record takes: two lines. */
const RECORD_SHIFT = 5;
/** The remote stack, in a record. */
const REMOTE = 2;
/** The pending list, in a record. */
const PENDING = CACHE_LINE_WORDS;
/** The outgoing batches, in a record. */
const OUTGOING = PENDING + 1;
/** Outgoing batches a record: one for each destination, as far as they do not collide. A power of two. */
export const OUTGOING_COUNT = 8;

/** The state of an object that is in somebody's hands. */
export const ALLOCATED: number = -(2 ** 31);
/** Bits of a chunk's owner word that say which record owns it; the class is above them. */
export const OWNER_MASK = 0xffff;
/** log2 of what the class is multiplied with in a chunk's owner word. */
export const CLASS_SHIFT = 16;
/** The most records. */
export const MAX_RECORDS = 4096;

/** What decides how long the parts are. */
export interface ObjectShape {
  /** Records: threads that can use the heap at a time. */
  readonly records: number;
  /** Chunks. */
  readonly chunks: number;
  /** log2 of the ids a chunk has. */
  readonly shift: number;
}

/** Where the parts are, as indices of words. */
export interface ObjectLayout extends ObjectShape {
  /** The owners of the chunks. */
  readonly owners: number;
  /** The bases of the chunks, one more than there are chunks. */
  readonly bases: number;
  /** The states of the objects. */
  readonly states: number;
  /** Words in all, a multiple of a cache line. */
  readonly words: number;
}

function wholeLines(words: number): number {
  return Math.ceil(words / CACHE_LINE_WORDS) * CACHE_LINE_WORDS;
}

/**
 * Lays the parts out.
 *
 * @param shape How many of what.
 * @returns Where they are.
 */
export function objectLayout(shape: ObjectShape): ObjectLayout {
  const { records, chunks, shift } = shape;
  const owners = RECORDS + (records + 1) * 2 ** RECORD_SHIFT;
  const bases = owners + wholeLines(chunks);
  const states = bases + wholeLines(chunks + 1);
  const words = states + wholeLines(chunks * 2 ** shift);
  return { records, chunks, shift, owners, bases, states, words };
}

/** The remote stack of a record. */
export function remoteAt(record: number): number {
  return RECORDS + (record << RECORD_SHIFT) + REMOTE;
}

/** The pending list of a record. */
export function pendingAt(record: number): number {
  return RECORDS + (record << RECORD_SHIFT) + PENDING;
}

/** The first outgoing batch of a record. */
export function outgoingAt(record: number): number {
  return RECORDS + (record << RECORD_SHIFT) + OUTGOING;
}

/** The thread of a record, as an index of 64-bit words. */
export function threadAt(record: number): number {
  return (RECORDS + (record << RECORD_SHIFT)) >> 1;
}
