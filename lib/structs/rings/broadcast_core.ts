/**
 * A ring of records that one thread publishes, and that any number of threads read: each of them all of them.
 *
 * ```
 *   line 0   | owner | tail | reserved | halves | closed |     the producer's; consumers look on
 *   then     the records | event count "published"
 *
 *   owner      bits 0-28 the producer's id, 0 for nobody
 *   tail       records published so far; it wraps. Record n is in place n modulo the capacity, a power of two.
 *   reserved   the places of records up to reserved - 1 may be written at this moment. Record n < tail is whole as long as
 *              reserved - n <= capacity. tail <= reserved <= tail + capacity, and it never goes back.
 *   halves     how often reserved has passed a multiple of 2^31. Its lowest bit is the highest one of reserved, but for
 *              the moment between the two stores, when it is one ahead
 *   closed     1: nothing more comes
 * ```
 *
 * The producer stores `reserved`, writes records, stores `tail`, and never looks at what consumers do. A consumer keeps the
 * number of the next record that it wants in its own object, a {@linkcode BroadcastCursor}: nothing in shared memory
 * knows how many there are. It looks at `tail`, copies records, and looks at `reserved`.
 *
 * Why no record is torn. Record n is overwritten by record n + capacity, or by a later one, and `reserved` is greater
 * than n + capacity before the first word of that is written. So if a consumer finds `reserved` - n <= capacity after its
 * copy, nobody had begun to. Of a copy of several records the first ones may be torn, and the others are kept. This is a
 * sequence lock (Lamport 1977) in which the number of the record is the version.
 *
 * The copy races with the producer, so its words are in need of order: with `Atomics` on arm64, where a load may be moved
 * behind the look at `reserved`, and a store before that of `reserved`. On x64 they are plain (`loads.ts`): the processor
 * keeps both orders, and the compiler moves no plain access over an atomic operation.
 *
 * A consumer that was overtaken counts what it has missed and goes on at the oldest record that is whole. The producer may
 * overtake it there again, so each further attempt begins halfway nearer to the newest; after {@linkcode TRIES} it says that
 * there is nothing. It does not sleep on that: whoever was overtaken after it prepared was so by a publication that looks
 * for sleepers when it is done.
 *
 * Numbers of 32 bits come round in less than a minute, and a thread can stand still for that long. `halves` tells: it is
 * stored before `reserved`, and looked at after it. If it is at most one more than that of the consumer's number, the
 * consumer is less than 2^32 behind, and the difference of the words is right. If it is more, it is at least 2^31 behind,
 * which is more than any capacity.
 *
 * Why no wake-up is lost. A consumer prepares before it looks a last time; the producer looks for sleepers after it has stored
 * `tail`, and tells all of them.
 *
 * Death. A producer that dies before it stores `tail` has published nothing, though the oldest records may be gone. The
 * next one finds `reserved` ahead of `tail`, and leaves it there: what has been overwritten is not whole again. Nothing has
 * to be repaired. One that dies after that has published all, and whoever sleeps looks when a thread dies. A consumer
 * leaves nothing behind.
 *
 * Costs. Publish: two atomic operations a batch, and a plain load of a word that changes when somebody goes to sleep. Read:
 * one look with order a batch on top of the copy, and another one when there seems to be nothing. Consumers do not
 * write to shared memory, so any number of them can copy a line at the same time.
 *
 * After Aeron's broadcast buffer (Thompson and Montgomery, 2014) with one reader's loss counted.
 *
 * @module
 */
import { isX64 } from "../../runtime/engine.ts";
import type { Shape } from "../../shared/shape.ts";
import { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { glance, loadFollowing, loadShared } from "../../wait/loads.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";

const OWNER = 0;
const TAIL = 1;
const RESERVED = 2;
const HALVES = 3;
const CLOSED = 4;
const RECORDS = LINE_WORDS;

const HALF = 2 ** 31;
/** How often a consumer begins again that is overtaken while it copies. */
export const TRIES = 6;
/** How often it begins again to look at the two words of `reserved`, of which one changes every 2^31 records. */
const LOOKS = 3;

/** The records are published, or it is closed. */
export const DONE = 1;
/** The calling thread is not the producer. */
export const FOREIGN = -1;
/** Nothing was done: the ring is closed. */
export const ENDED = -2;

/** Behind the records, at the start of a line. */
function eventsAt(capacity: number, size: number): number {
  return RECORDS + Math.ceil(capacity * size / LINE_WORDS) * LINE_WORDS;
}

/** The algorithm of `BroadcastRing`: the producer's side. */
export class BroadcastCore {
  /** Its memory. */
  readonly words: Int32Array;
  /** How many records it keeps. */
  readonly capacity: number;
  /** 32-bit words of a record. */
  readonly size: number;
  /** What consumers sleep on. */
  readonly published: EventCountCore;
  readonly #mask: number;
  /** Behind the last record. */
  readonly #end: number;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param capacity How many records it keeps: a power of two.
   * @param size 32-bit words of a record.
   */
  constructor(words: Int32Array, shape: Shape, capacity: number, size: number) {
    this.words = words;
    this.capacity = capacity;
    this.size = size;
    this.#mask = capacity - 1;
    this.#end = RECORDS + capacity * size;
    const events = eventsAt(capacity, size);
    const end = events + EventCountCore.words(shape);
    this.published = new EventCountCore(words.subarray(events, end), shape, true);
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @param capacity How many records it keeps: a power of two.
   * @param size 32-bit words of a record.
   * @returns 32-bit words.
   */
  static words(shape: Shape, capacity: number, size: number): number {
    return eventsAt(capacity, size) + EventCountCore.words(shape);
  }

  /**
   * Publishes records. For the producer.
   *
   * @param me The calling thread.
   * @param source Their words, from its start.
   * @param count How many: 1 to the capacity.
   * @returns {@linkcode DONE}, {@linkcode FOREIGN} or {@linkcode ENDED}.
   */
  publish(me: Waiter, source: Int32Array, count: number): number {
    const words = this.words;
    // Plain: it is this thread's id only if this thread wrote it.
    if (words[OWNER] !== me.id) return FOREIGN;
    if (words[CLOSED] !== 0) return ENDED;
    const tail = words[TAIL] as number;
    const next = (tail + count) | 0;
    const reserved = words[RESERVED] as number;
    // Not where a producer has died that had reserved more.
    if (((next - reserved) | 0) > 0) {
      if ((next ^ reserved) < 0) this.#countHalf(next);
      Atomics.store(words, RESERVED, next);
    }
    const size = this.size;
    const end = this.#end;
    let at = RECORDS + (tail & this.#mask) * size;
    for (let word = 0; word < count * size; word++) {
      if (isX64) words[at] = source[word] as number;
      else Atomics.store(words, at, source[word] as number);
      if (++at === end) at = RECORDS;
    }
    Atomics.store(words, TAIL, next);
    if (this.published.mayWait()) this.published.notifyAll(me);
    return DONE;
  }

  /**
   * The producer.
   *
   * @returns Its id, 0 for nobody.
   */
  owner(): number {
    return Atomics.load(this.words, OWNER);
  }

  /**
   * Becomes the producer if there is none.
   *
   * @param me The calling thread.
   * @returns The producer before: 0 if that is `me` now.
   */
  claim(me: Waiter): number {
    return Atomics.compareExchange(this.words, OWNER, 0, me.id);
  }

  /**
   * Becomes the producer if there is none that lives.
   *
   * @param me The calling thread.
   * @returns Whether it is the producer, now or already.
   */
  adopt(me: Waiter): boolean {
    const owner = this.claim(me);
    if (owner === 0 || owner === me.id) return true;
    if (me.alive(owner)) return false;
    return Atomics.compareExchange(this.words, OWNER, owner, me.id) === owner;
  }

  /**
   * Ends being the producer.
   *
   * @param me The calling thread.
   * @returns False, and nothing is changed, when it is not the producer.
   */
  disown(me: Waiter): boolean {
    return Atomics.compareExchange(this.words, OWNER, me.id, 0) === me.id;
  }

  /**
   * Says that nothing more will come. For the producer.
   *
   * @param me The calling thread.
   * @returns {@linkcode DONE} or {@linkcode FOREIGN}.
   */
  close(me: Waiter): number {
    const words = this.words;
    if (words[OWNER] !== me.id) return FOREIGN;
    Atomics.store(words, CLOSED, 1);
    this.published.notifyAll(me);
    return DONE;
  }

  /**
   * Whether nothing more will come.
   *
   * @returns Whether it was closed. Consumers still get what they have not read.
   */
  closed(): boolean {
    return loadShared(this.words, CLOSED) !== 0;
  }

  /**
   * How many records were published.
   *
   * @returns The number: exact up to 2^53.
   */
  count(): number {
    // In this order: of `tail` it is known only how far it is behind a later `reserved`.
    const tail = Atomics.load(this.words, TAIL);
    const reserved = this.reserved();
    return reserved - ((reserved - tail) >>> 0);
  }

  /**
   * The number behind the last record that may be in memory, whole or not.
   *
   * @returns The number: exact up to 2^53.
   */
  reserved(): number {
    const words = this.words;
    let halves = Atomics.load(words, HALVES);
    let reserved = Atomics.load(words, RESERVED);
    for (let look = 0; look < LOOKS; look++) {
      const now = Atomics.load(words, HALVES);
      if (now === halves) break;
      halves = now;
      reserved = Atomics.load(words, RESERVED);
    }
    // It is one ahead between the two stores.
    if (((halves << 31) ^ reserved) < 0) halves = (halves - 1) | 0;
    return (halves >>> 0) * HALF + (reserved & (HALF - 1));
  }

  /** Before `reserved` becomes a number on the other side of a multiple of 2^31. A producer may have died right after it. */
  #countHalf(next: number): void {
    const halves = this.words[HALVES] as number;
    if (((halves << 31) ^ next) < 0) Atomics.store(this.words, HALVES, (halves + 1) | 0);
  }
}

/** The algorithm of `BroadcastConsumer`: where one consumer is. */
export class BroadcastCursor {
  readonly #core: BroadcastCore;
  readonly #words: Int32Array;
  readonly #capacity: number;
  readonly #size: number;
  readonly #mask: number;
  readonly #end: number;
  /** The lower 32 bits of the number of the next record, and how many times 2^31 it is. */
  #at: number;
  #half: number;
  #missed = 0;

  /**
   * @param core The ring.
   * @param start The number of the first record that it wants.
   */
  constructor(core: BroadcastCore, start: number) {
    this.#core = core;
    this.#words = core.words;
    this.#capacity = core.capacity;
    this.#size = core.size;
    this.#mask = core.capacity - 1;
    this.#end = RECORDS + core.capacity * core.size;
    this.#at = start | 0;
    this.#half = Math.floor(start / HALF) | 0;
  }

  /**
   * Copies the next records.
   *
   * @param target Where their words go, from its start. Behind those of the result it may hold anything.
   * @param count How many, at most: at least 1.
   * @returns How many.
   */
  read(target: Int32Array, count: number): number {
    const words = this.#words;
    const size = this.#size;
    const end = this.#end;
    const capacity = this.#capacity;
    for (let round = 0; round < TRIES; round++) {
      const at = this.#at;
      let there = (glance(words, TAIL) - at) >>> 0;
      if (there === 0) {
        there = (loadShared(words, TAIL) - at) >>> 0;
        if (there === 0 && !this.#isFar(loadFollowing(words, HALVES))) return 0;
      }
      if (there <= capacity) {
        const n = there < count ? there : count;
        let from = RECORDS + (at & this.#mask) * size;
        for (let word = 0; word < n * size; word++) {
          target[word] = glance(words, from);
          if (++from === end) from = RECORDS;
        }
        const lost = ((loadShared(words, RESERVED) - at) >>> 0) - capacity;
        if (lost < n && !this.#isFar(loadFollowing(words, HALVES))) {
          this.#advance(n);
          if (lost <= 0) return n;
          const skip = lost * size;
          for (let word = skip; word < n * size; word++) {
            target[word - skip] = target[word] as number;
          }
          this.#missed += lost;
          return n - lost;
        }
      }
      this.#catchUp(round);
    }
    return 0;
  }

  /**
   * The number of the next record.
   *
   * @returns How many were published before it: exact up to 2^53.
   */
  position(): number {
    return (this.#half >>> 0) * HALF + (this.#at & (HALF - 1));
  }

  /**
   * How many records were overwritten before this consumer had read them.
   *
   * @returns The number: exact up to 2^53.
   */
  missed(): number {
    return this.#missed;
  }

  /** Whether this consumer's number is more than 2^31 behind. */
  #isFar(halves: number): boolean {
    return ((halves - this.#half) >>> 0) > 1;
  }

  #advance(count: number): void {
    const at = this.#at;
    const next = (at + count) | 0;
    if ((at ^ next) < 0) this.#half = (this.#half + 1) | 0;
    this.#at = next;
  }

  /** Goes on at the oldest whole record; after the first round further on, the further the more rounds there were. */
  #catchUp(round: number): void {
    // In this order, as in `count`.
    const tail = Atomics.load(this.#words, TAIL);
    const reserved = this.#core.reserved();
    const oldest = Math.max(0, reserved - this.#capacity);
    const whole = Math.max(0, this.#capacity - ((reserved - tail) >>> 0));
    const next = oldest + (round === 0 ? 0 : whole - (whole >> round));
    const before = this.position();
    // Less only if somebody has written what is not so.
    this.#missed += Math.max(0, next - before);
    this.#at = next | 0;
    this.#half = Math.floor(next / HALF) | 0;
  }
}
