/**
 * A deque of records: one thread, the owner, pushes and pops at the bottom; any thread steals at the top.
 *
 * ```
 *   line 0   | bottom | end | top seen | owner |      the owner's; thieves look at bottom
 *   line 1   | top |                                  counted up by a thread that takes the oldest record
 *   then     the records
 *
 *   bottom, end, top:  numbers of records; they wrap. Record n is in place n modulo the capacity, a power of two.
 *                      The records from top to end - 1 are there.
 *   end        is for the owner alone
 *   bottom     what thieves see of end: one less while the owner pops, and perhaps while the deque is empty
 *   top seen   top as the owner saw it last
 *   owner      bits 0-28 the owner's id, 0 for nobody
 * ```
 *
 * **Push** writes a record, then stores `bottom`, then `end`. **Steal** looks at `top`, then at `bottom`, copies record
 * `top`, and has taken it if it can count `top` up. **Pop** stores `bottom` one less, then looks at `top`. If there is a
 * record below the last one, no thief can take the last one any more. Otherwise the owner has to count `top` up as thieves
 * do.
 *
 * Why no record is taken twice. `top` only grows, and only one thread counts it up from n. An owner pops record n without
 * that only if it has stored `bottom` = n and has seen a `top` less than n after that. A thief that takes this record sees
 * `top` = n, which is later still, and looks at `bottom` last: it finds n or less, which means empty, until another record n
 * has been pushed. That is why a thief looks at `top` first. A `top` that is old does no harm: what is empty from there is
 * empty, and otherwise the count fails.
 *
 * Why no record is torn. The place of record n is written again by the push of record n + capacity, or of a later one. The
 * owner pushes that only if the `top` that it has seen is greater than n. So `top` has passed n, for good, before the first
 * word changes, and a thief that copies that word cannot count `top` up from n. A thief that can has copied before its
 * count, and so before whatever an owner does that has seen the count; and after the owner's store of `bottom`, which comes
 * after all words of record n. Plain accesses of these words are therefore in order wherever the copy is used, and where
 * they race, the copy is thrown away. Numbers wrap: a thief that stands still between its look and its count for exactly
 * 2^32 records, or a multiple of that, would take what it has copied.
 *
 * Death. A thread that dies after its count has taken the record with it; a thief that dies before has done nothing. An
 * owner may die anywhere. The next one finds
 *
 * - `bottom` = `end`: it was in no operation, or in one that had not begun or was done;
 * - `bottom` = `end` + 1: a push had only to store `end`. The record is there;
 * - `bottom` = `end` - 1: the deque is empty, or a pop was not done. Then the last record is there unless `top` has been
 *   counted past it; but thieves do not see it until the next owner stores `bottom`. A pop that does not count is done when
 *   it has stored `end`, which it does after its copy.
 *
 * In each case the end is the greater of the two. `top seen` is written before the owner counts, as it will be after that,
 * so that the count is the last step of a pop; the next owner looks at `top` again. If it dies while it does all this, it
 * leaves one of these cases. Engines keep plain stores on their side of atomic operations.
 *
 * Costs. Push: one atomic operation, and a look at `top` if the deque may be full. Pop: one, and a plain load on x64;
 * another one for the last record; none if the owner knows that the deque is empty. Steal: a look, and one atomic operation
 * if there is a record. Nobody waits: of the threads that compete for a record one gets it, and the others are told.
 *
 * It does not grow. Its memory is given at creation, and written then in an arena, so that smaller arrays to begin with
 * would save nothing; and a thief would have to look at one more word, after `bottom`, that says which array it is.
 *
 * Chase and Lev, "Dynamic circular work-stealing deque" (2005), with a fixed array. Lê, Pop, Cohen and Zappa Nardelli have
 * proved which fences it needs (2013); atomic operations of JavaScript are sequentially consistent and need none.
 *
 * @module
 */
import { glance, loadFollowing, loadShared } from "../../wait/loads.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const BOTTOM = 0;
const END = 1;
const TOP_SEEN = 2;
const OWNER = 3;
const TOP = LINE_WORDS;
const RECORDS = 2 * LINE_WORDS;

/** The record was put in, or taken out. */
export const DONE = 1;
/** There is no room, or no record. */
export const NONE = 0;
/** Another thread has taken the record meanwhile. */
export const LOST = -1;
/** The calling thread is not the owner. */
export const FOREIGN = -2;

/** The algorithm of `Deque`. */
export class DequeCore {
  readonly #words: Int32Array;
  readonly #mask: number;
  /** How many records it has room for. */
  readonly capacity: number;
  /** 32-bit words of a record. */
  readonly size: number;

  /**
   * @param words Its memory: zero at first.
   * @param capacity How many records it has room for: a power of two.
   * @param size 32-bit words of a record.
   */
  constructor(words: Int32Array, capacity: number, size: number) {
    this.#words = words;
    this.#mask = capacity - 1;
    this.capacity = capacity;
    this.size = size;
  }

  /**
   * The words that one takes.
   *
   * @param capacity How many records it has room for: a power of two.
   * @param size 32-bit words of a record.
   * @returns 32-bit words.
   */
  static words(capacity: number, size: number): number {
    return RECORDS + Math.ceil(capacity * size / LINE_WORDS) * LINE_WORDS;
  }

  /**
   * Puts a record in, at the bottom. For the owner.
   *
   * @param me The calling thread.
   * @param record Its words.
   * @returns {@linkcode DONE}; {@linkcode NONE} if there is no room; {@linkcode FOREIGN}.
   */
  push(me: Waiter, record: Int32Array): number {
    const words = this.#words;
    // Plain: it is this thread's id only if this thread wrote it.
    if (words[OWNER] !== me.id) return FOREIGN;
    const end = words[END] as number;
    if (((end - (words[TOP_SEEN] as number)) | 0) >= this.capacity && this.#isFull(end)) {
      return NONE;
    }
    const size = this.size;
    const at = RECORDS + (end & this.#mask) * size;
    for (let word = 0; word < size; word++) words[at + word] = record[word] as number;
    const next = (end + 1) | 0;
    Atomics.store(words, BOTTOM, next);
    words[END] = next;
    return DONE;
  }

  /**
   * Takes the newest record out, at the bottom. For the owner.
   *
   * @param me The calling thread.
   * @param target Where its words go. Holds anything if there was none.
   * @returns {@linkcode DONE}; {@linkcode NONE} if there is no record; {@linkcode FOREIGN}.
   */
  pop(me: Waiter, target: Int32Array): number {
    const words = this.#words;
    if (words[OWNER] !== me.id) return FOREIGN;
    const end = words[END] as number;
    if (end === words[TOP_SEEN]) return NONE;
    const last = (end - 1) | 0;
    Atomics.store(words, BOTTOM, last);
    const below = (last - loadFollowing(words, TOP)) | 0;
    if (below < 0) {
      words[TOP_SEEN] = end;
      return NONE;
    }
    const size = this.size;
    const at = RECORDS + (last & this.#mask) * size;
    for (let word = 0; word < size; word++) target[word] = words[at + word] as number;
    if (below > 0) {
      words[END] = last;
      return DONE;
    }
    // Right, whoever takes it. It comes before the count: an owner that has the record has nothing left to do.
    words[TOP_SEEN] = end;
    return Atomics.compareExchange(words, TOP, last, end) === last ? DONE : NONE;
  }

  /**
   * Takes the oldest record out, at the top. For any thread.
   *
   * @param target Where its words go. Holds anything if none was taken.
   * @returns {@linkcode DONE}; {@linkcode NONE} if there is no record; {@linkcode LOST}.
   */
  steal(target: Int32Array): number {
    const words = this.#words;
    // As old as it likes, but not newer than the look at the bottom.
    const top = glance(words, TOP);
    if (((loadShared(words, BOTTOM) - top) | 0) <= 0) return NONE;
    const size = this.size;
    const at = RECORDS + (top & this.#mask) * size;
    for (let word = 0; word < size; word++) target[word] = words[at + word] as number;
    return Atomics.compareExchange(words, TOP, top, (top + 1) | 0) === top ? DONE : LOST;
  }

  /**
   * How many records there are. For any thread.
   *
   * @returns The number at some moment.
   */
  length(): number {
    const top = Atomics.load(this.#words, TOP);
    const there = (Atomics.load(this.#words, BOTTOM) - top) | 0;
    // Of those from there on some may have been taken, and others put in, before the look at the bottom.
    return Math.max(0, Math.min(there, this.capacity));
  }

  /**
   * The owner.
   *
   * @returns Its id, 0 for nobody.
   */
  owner(): number {
    return Atomics.load(this.#words, OWNER);
  }

  /**
   * Becomes the owner if there is none.
   *
   * @param me The calling thread.
   * @returns The owner before: 0 if that is `me` now.
   */
  claim(me: Waiter): number {
    return Atomics.compareExchange(this.#words, OWNER, 0, me.id);
  }

  /**
   * Becomes the owner if there is none that lives.
   *
   * @param me The calling thread.
   * @returns Whether it is the owner, now or already.
   */
  adopt(me: Waiter): boolean {
    const words = this.#words;
    const owner = this.claim(me);
    if (owner === 0 || owner === me.id) return true;
    if (me.alive(owner)) return false;
    if (Atomics.compareExchange(words, OWNER, owner, me.id) !== owner) return false;
    const bottom = Atomics.load(words, BOTTOM);
    const end = words[END] as number;
    const found = ((bottom - end) | 0) > 0 ? bottom : end;
    words[TOP_SEEN] = Atomics.load(words, TOP);
    words[END] = found;
    Atomics.store(words, BOTTOM, found);
    return true;
  }

  /**
   * Ends being the owner. For one that is in neither push nor pop.
   *
   * @param me The calling thread.
   * @returns False, and nothing is changed, when it is not the owner.
   */
  disown(me: Waiter): boolean {
    return Atomics.compareExchange(this.#words, OWNER, me.id, 0) === me.id;
  }

  /** Whether there is no room with `end`, as thieves have left it now. */
  #isFull(end: number): boolean {
    const words = this.#words;
    let top = glance(words, TOP);
    if (((end - top) | 0) >= this.capacity) top = loadShared(words, TOP);
    words[TOP_SEEN] = top;
    return ((end - top) | 0) >= this.capacity;
  }
}
