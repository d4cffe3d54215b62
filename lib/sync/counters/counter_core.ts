/**
 * A counter that every thread adds to on a line of its own, and that whoever wants to know sums.
 *
 * ```
 *   line 0       | used |          shards from here on were never added to
 *   line 1 + s   | low | high |    shard s: of slot s, or of L3 domain s
 *
 *   low:   the shard's value, modulo 2^32
 *   high:  bits 0-23 anchor | bits 24-31 version, another one with every anchor
 *
 *   value = anchor * 2^30 + signed 32-bit distance of low from there
 * ```
 *
 * A shard's 54 bits need no carry: the anchor only has to be closer than 2^31 to the value. An add changes `low`; the
 * anchor follows once the value is {@linkcode FAR} from it, which happens once in hundreds of millions of increments and
 * not at every crossing of some boundary, such as zero, again. So one word tells the whole value at any moment, also
 * when the thread is killed before the anchor followed; the next add to the shard then moves it.
 *
 * Why a value is not torn. At any moment low and high decode to a value that the shard had: |distance| < FAR when no add
 * is under way, and what is under way adds less than 2^30 to that (one shard a thread), or 2^28 (one a domain, where an
 * anchor that another thread moves late may be off by 2^30 more: 3/4 + 1 + 1/4 of 2^30). A reader takes high, low, high,
 * each of {@linkcode BLOCK} shards, and repeats it for a shard whose high has changed. The same high with another anchor in
 * between needs 256 moves of the anchor between two looks at one shard, which are at least 256 adds of about 2^30, of both
 * signs. A look at so many shards takes some hundred nanoseconds. Only a reader that is interrupted just then, by a program
 * that adds like that, could be wrong.
 *
 * Shards of threads have one writer. It reads its own high with a plain load: nobody else writes it, and a slot goes to
 * another thread through atomics of the parking lot. Dead threads' counts stay; the next thread of a slot goes on from
 * there. There is no reset: zeroing words that others add to would lose counts. Keep a value and subtract it.
 *
 * Costs. Add: one atomic on a line that no other thread writes, and no transfer of it between caches unless somebody
 * has read the sum since; with shards of domains also a load, and transfers inside the domain. Value: three loads
 * a shard. It is exact for all adds that happened before it (after a barrier, or a join); one under way is in it or not.
 * There is no second level of sums: it would cost a shared write every few adds to save a reader some microseconds.
 *
 * After scalable statistics counters (Dice, Lev and Moir, SPAA 2013).
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import { fence, loadFollowing, loadShared } from "../../wait/loads.ts";
import { raise } from "../../wait/slot_words.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const USED = 0;
const LOW = 0;
const HIGH = 1;

const ANCHOR_SHIFT = 30;
const ANCHOR_BITS = 24;
const ANCHOR_MASK = (1 << ANCHOR_BITS) - 1;
const ANCHOR_UNIT = 1 << ANCHOR_SHIFT;
/** The anchor moves when the value is so far from it. */
const FAR = 3 * 2 ** 28;

/** How many shards a reader looks at together: few, so that no anchor comes back meanwhile. */
const BLOCK = 16;

/** What has a shard of its own: each thread, or each L3 domain. */
export type PartitionedCounterShards = "thread" | "domain";

function decode(high: number, low: number): number {
  const anchor = (high << (32 - ANCHOR_BITS)) >> (32 - ANCHOR_BITS);
  return anchor * ANCHOR_UNIT + ((low - (high << ANCHOR_SHIFT)) | 0);
}

/** The algorithm of `PartitionedCounter`. */
export class CounterCore {
  readonly #words: Int32Array;
  readonly #shared: boolean;
  /** How many shards there can be. */
  readonly #shards: number;
  /** Where this thread added last: a view, as its words then have constant indices, which engines check once. */
  #shard = -1;
  #line: Int32Array;
  /** What a look at some shards found. */
  readonly #highs = new Int32Array(BLOCK);
  readonly #lows = new Int32Array(BLOCK);

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param shards What has a shard of its own.
   */
  constructor(words: Int32Array, shape: Shape, shards: PartitionedCounterShards = "thread") {
    this.#words = words;
    this.#shards = shards === "domain" ? shape.domains : shape.threads;
    this.#line = words;
    this.#shared = shards === "domain";
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @param shards What has a shard of its own.
   * @returns 32-bit words.
   */
  static words({ threads, domains }: Shape, shards: PartitionedCounterShards = "thread"): number {
    return (1 + (shards === "domain" ? domains : threads)) * LINE_WORDS;
  }

  /**
   * The most that one add may add or take away.
   *
   * @param shape The number of threads and domains.
   * @param shards What has a shard of its own.
   * @returns 2^30; with shards of domains 2^28 divided by the threads, so that all can be adding at once.
   */
  static most({ threads }: Shape, shards: PartitionedCounterShards = "thread"): number {
    return shards === "domain" ? Math.floor(2 ** 28 / threads) : 2 ** 30;
  }

  /**
   * Adds.
   *
   * @param me The calling thread.
   * @param n An integer, {@linkcode CounterCore.most} at the most either way.
   */
  add(me: Waiter, n: number): void {
    const shard = this.#shared ? me.domain : me.slot;
    if (shard !== this.#shard) this.#use(shard);
    const line = this.#line;
    const low = (Atomics.add(line, LOW, n) + n) | 0;
    const high = this.#shared ? loadFollowing(line, HIGH) : line[HIGH] as number;
    const distance = (low - (high << ANCHOR_SHIFT)) | 0;
    if (distance >= FAR || distance < -FAR) this.#moveAnchor();
  }

  /**
   * The sum.
   *
   * @returns Exact up to 2^53. It holds all adds that happened before, and some of those under way.
   */
  value(): number {
    // In memory that any thread can write to.
    const used = Math.min(loadShared(this.#words, USED), this.#shards);
    // A single one takes V8 longer with fences than without.
    if (used === 1) return this.#read(LINE_WORDS);
    let sum = 0;
    for (let first = 0; first < used; first += BLOCK) {
      sum += this.#sumOf(first, Math.min(first + BLOCK, used));
    }
    return sum;
  }

  /** The sum of some shards. */
  #sumOf(first: number, end: number): number {
    const words = this.#words;
    const highs = this.#highs;
    const lows = this.#lows;
    for (let shard = first; shard < end; shard++) {
      highs[shard - first] = loadFollowing(words, (1 + shard) * LINE_WORDS + HIGH);
    }
    fence();
    for (let shard = first; shard < end; shard++) {
      lows[shard - first] = loadFollowing(words, (1 + shard) * LINE_WORDS + LOW);
    }
    fence();
    let sum = 0;
    for (let shard = first; shard < end; shard++) {
      const at = (1 + shard) * LINE_WORDS;
      const high = loadFollowing(words, at + HIGH);
      sum += high === highs[shard - first]
        ? decode(high, lows[shard - first] as number)
        : this.#read(at);
    }
    return sum;
  }

  /** The value of one shard, however its anchor moves. */
  #read(at: number): number {
    const words = this.#words;
    for (let high = Atomics.load(words, at + HIGH);;) {
      const low = Atomics.load(words, at + LOW);
      const again = Atomics.load(words, at + HIGH);
      if (again === high) return decode(high, low);
      high = again;
    }
  }

  /** Makes the anchor follow. Looks again afterwards: with several writers low may have gone far meanwhile. */
  #moveAnchor(): void {
    const line = this.#line;
    for (;;) {
      const high = Atomics.load(line, HIGH);
      const distance = (Atomics.load(line, LOW) - (high << ANCHOR_SHIFT)) | 0;
      if (distance < FAR && distance >= -FAR) return;
      // The nearest multiple of 2^30.
      const steps = ((distance >> (ANCHOR_SHIFT - 1)) + 1) >> 1;
      const version = (high & ~ANCHOR_MASK) + ANCHOR_MASK + 1;
      Atomics.compareExchange(line, HIGH, high, version | ((high + steps) & ANCHOR_MASK));
    }
  }

  #use(shard: number): void {
    const words = this.#words;
    raise(words, USED, shard + 1);
    const at = (1 + shard) * LINE_WORDS;
    this.#line = words.subarray(at, at + LINE_WORDS);
    this.#shard = shard;
  }
}
