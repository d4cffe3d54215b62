/**
 * A ring of records between any number of threads that put them in and any number that take them out.
 *
 * ```
 *   line 0   | producer | tail | head as producers saw it last | closed |      the producers' side
 *   line 1   | consumer | head | tail as consumers saw it last |               the consumers' side
 *   line 2   | need |
 *   then     the records | event count "not empty" | event count "not full"
 *
 *   producer, consumer:  the id of the thread that is inside that side, 0 for none
 *   head, tail:          records taken out and put in so far; they wrap. Of a record the place is its number modulo the
 *                        capacity, a power of two. head = tail: empty. head + capacity = tail: full.
 *   need:                the room that each producer needs that sleeps; 0 none does, MIXED they need different ones
 * ```
 *
 * A thread takes its side by one compare-exchange of the owner word, from 0 to its id. Then it is alone there: it reads its
 * index, writes or reads records, and stores the index, all without atomics. One atomic store of 0 leaves the side, and
 * makes the index visible before the thread looks whether somebody sleeps. Each side keeps what it saw of the other one's
 * index, as in {@linkcode SpscCore}; whoever needs to know more looks once, right behind its compare-exchange, so what it
 * finds is no older than that.
 *
 * Why that and not HTS. DPDK's mode "head/tail sync" admits one thread at a time to a side as well: by a compare-exchange
 * of the side's head, which a store of the tail ends. In 32 bits that takes five atomic operations a batch, as head and
 * tail are two words, and a head that was moved does not tell who moved it: a thread that dies there closes the side for
 * good. With an owner word it takes two and the dead one is known by its name. Modes that admit several threads
 * at a time (`rte_ring`'s default, RTS, Vyukov's queue) pay for each record or for each thread inside, and all wait for the
 * one that was interrupted (`docs/design/sync.md` has what that costs when threads outnumber CPUs).
 *
 * First in, first out: a record's place is given while its producer is alone, and so is the order in which they are taken
 * out. Linearizable: an operation takes place when its index is stored; one that finds too little, when it looks at the
 * other side's index, having looked at its own before, so there was too little at that moment.
 *
 * A thread whose last operation found too little looks at both indices before it takes the side again: those that ask for
 * what is not there yet do not take the line from those that will bring it.
 *
 * Waiting. Only for a thread that is inside the same side, which takes as long as to copy a batch, or as long as it is
 * interrupted there. Whoever has spun for as long as its thread does gets {@linkcode BUSY}, and naps.
 *
 * Closing takes the producers' side: no record is put in after that, so whoever finds the ring closed, and then
 * empty, has seen all that will ever come.
 *
 * Why no wake-up is lost. A sleeper announces itself, and a producer what room it needs, before it looks a last time;
 * whoever changes an index looks for sleepers after that. One is woken; after it has taken its part it looks, too, and
 * wakes the next one if there is more, as everybody does who has changed an index. So as long as there is something
 * for a sleeper, somebody is on the way who will look. It is enough to wake one because it can do what any other one
 * could: all consumers need one record, and all producers the same room. If they do not, all producers are woken: by
 * whoever changes an index, and once by the producer that is the first to need other room, because it may have been woken
 * in place of another one after it prepared and before it said so.
 *
 * Death. A record is there once `tail` says so: a producer that dies before that has put in nothing, and one that dies
 * after it all of the batch. A consumer that dies before it stores `head` leaves all of its batch to the next one; one
 * that dies after it has taken it along. A side whose owner is dead is taken over by a compare-exchange from its id, which
 * one of several can do; the two indices are right at any moment. When a thread dies all sleepers look: what it
 * changed, or was woken for, may still be theirs. A thread that finds its own id as the owner was thrown out of an
 * operation, by an overflow of its stack, and takes the side as the heir of a dead one would.
 *
 * Costs. Two atomic operations a batch, put or taken, on the side's own line: a compare-exchange and a store (on arm64 three:
 * the index is stored with order). Plain loads of two words that change when somebody goes to sleep, and of the other
 * side's index if what was seen last is not enough. As much when there is too little; from the second time on two ordered
 * loads and no write to shared memory.
 *
 * | fair | NUMA-aware | robust | atomics a batch |
 * | ---- | ---------- | ------ | --------------- |
 * | no   | no         | yes    | 2               |
 *
 * Memory in one place for threads of several nodes: all of them take both lines. After DPDK's `rte_ring` with
 * `RING_F_MP_HTS_ENQ` (2020), and the ring of {@linkcode SpscCore}.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import type { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { loadFollowing, loadShared, storeLeading } from "../../wait/loads.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";
import { RECORDS, ringEvents, ringWords } from "./ring_words.ts";
import { BUSY } from "../outcomes.ts";

const PRODUCER = 0;
const TAIL = 1;
const HEAD_SEEN = 2;
const CLOSED = 3;
const CONSUMER = LINE_WORDS;
const HEAD = LINE_WORDS + 1;
const TAIL_SEEN = LINE_WORDS + 2;
const NEED = 2 * LINE_WORDS;

/** Producers that sleep need different room. */
const MIXED = -1;

/** Nothing was done: the ring is closed. */
export const ENDED = -2;

/** The algorithm of `MpmcRing`. */
export class MpmcCore {
  readonly #words: Int32Array;
  readonly #mask: number;
  /** Behind the last record. */
  readonly #end: number;
  /** Whether this thread found too little room, or too few records, the last time. */
  #wasFull = false;
  #wasEmpty = false;
  /** How many records it has room for. */
  readonly capacity: number;
  /** 32-bit words of a record. */
  readonly size: number;
  /** What consumers sleep on. */
  readonly notEmpty: EventCountCore;
  /** What producers sleep on, after {@linkcode MpmcCore.announce}. */
  readonly notFull: EventCountCore;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param capacity How many records it has room for: a power of two.
   * @param size 32-bit words of a record.
   */
  constructor(words: Int32Array, shape: Shape, capacity: number, size: number) {
    this.#words = words;
    this.#mask = capacity - 1;
    this.#end = RECORDS + capacity * size;
    this.capacity = capacity;
    this.size = size;
    const { notEmpty, notFull } = ringEvents(words, shape, capacity, size);
    this.notEmpty = notEmpty;
    this.notFull = notFull;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @param capacity How many records it has room for: a power of two.
   * @param size 32-bit words of a record.
   * @returns 32-bit words.
   */
  static words(shape: Shape, capacity: number, size: number): number {
    return ringWords(shape, capacity, size);
  }

  /**
   * Puts records in.
   *
   * @param me The calling thread.
   * @param source Their words, from its start.
   * @param count How many: at least 1.
   * @param least When there is not room for so many, none is put in. At least 1.
   * @returns How many were put in; {@linkcode BUSY} or {@linkcode ENDED}.
   */
  push(me: Waiter, source: Int32Array, count: number, least: number): number {
    const words = this.#words;
    if (this.#wasFull && this.#isFull(least)) return 0;
    if (
      Atomics.compareExchange(words, PRODUCER, 0, me.id) !== 0 && !this.#enter(me, PRODUCER)
    ) return BUSY;
    const tail = words[TAIL] as number;
    let room = this.capacity - ((tail - (words[HEAD_SEEN] as number)) | 0);
    if (room < count) {
      const head = loadFollowing(words, HEAD);
      words[HEAD_SEEN] = head;
      room = this.capacity - ((tail - head) | 0);
    }
    const n = room < count ? room : count;
    const isEnded = words[CLOSED] !== 0;
    if (n < least || isEnded) {
      Atomics.store(words, PRODUCER, 0);
      this.#wasFull = !isEnded;
      return isEnded ? ENDED : 0;
    }
    const size = this.size;
    const end = this.#end;
    let at = RECORDS + (tail & this.#mask) * size;
    for (let word = 0; word < n * size; word++) {
      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;
    }
    storeLeading(words, TAIL, (tail + n) | 0);
    Atomics.store(words, PRODUCER, 0);
    this.#wasFull = false;
    if (this.notEmpty.mayWait() || this.notFull.mayWait()) this.#tell(me);
    return n;
  }

  /**
   * Takes records out.
   *
   * @param me The calling thread.
   * @param target Where their words go, from its start.
   * @param count How many, at most: at least 1.
   * @param least When there are not so many, none is taken out. At least 1.
   * @returns How many were taken out; {@linkcode BUSY}.
   */
  pop(me: Waiter, target: Int32Array, count: number, least: number): number {
    const words = this.#words;
    if (this.#wasEmpty && this.#isEmpty(least)) return 0;
    if (
      Atomics.compareExchange(words, CONSUMER, 0, me.id) !== 0 && !this.#enter(me, CONSUMER)
    ) return BUSY;
    const head = words[HEAD] as number;
    let there = ((words[TAIL_SEEN] as number) - head) | 0;
    if (there < count) {
      const tail = loadFollowing(words, TAIL);
      words[TAIL_SEEN] = tail;
      there = (tail - head) | 0;
    }
    const n = there < count ? there : count;
    if (n < least) {
      Atomics.store(words, CONSUMER, 0);
      this.#wasEmpty = true;
      return 0;
    }
    const size = this.size;
    const end = this.#end;
    let at = RECORDS + (head & this.#mask) * size;
    for (let word = 0; word < n * size; word++) {
      target[word] = words[at] as number;
      if (++at === end) at = RECORDS;
    }
    storeLeading(words, HEAD, (head + n) | 0);
    Atomics.store(words, CONSUMER, 0);
    this.#wasEmpty = false;
    if (this.notEmpty.mayWait() || this.notFull.mayWait()) this.#tell(me);
    return n;
  }

  /**
   * Says how much room is needed by a producer that is about to sleep: after it has prepared, before it looks a last time.
   *
   * @param me The calling thread.
   * @param count So many records: at least 1.
   */
  announce(me: Waiter, count: number): void {
    const before = Atomics.compareExchange(this.#words, NEED, 0, count);
    if (before === 0 || before === count || before === MIXED) return;
    Atomics.store(this.#words, NEED, MIXED);
    this.notFull.notifyAll(me);
  }

  /**
   * How many records there are.
   *
   * @returns The number at some moment.
   */
  length(): number {
    const head = Atomics.load(this.#words, HEAD);
    const there = (Atomics.load(this.#words, TAIL) - head) | 0;
    // Some of those that `head` knows of have been taken out since, and others put in.
    return Math.max(0, Math.min(there, this.capacity));
  }

  /**
   * Whether no more records will come.
   *
   * @returns Whether somebody has closed it. Then what is there can still be taken out.
   */
  closed(): boolean {
    return loadShared(this.#words, CLOSED) !== 0;
  }

  /**
   * Says that no more records will come. Whoever puts some in meanwhile has done so before.
   *
   * @param me The calling thread.
   * @returns False, and nothing is done, when another thread is inside for longer than this one spins.
   */
  close(me: Waiter): boolean {
    const words = this.#words;
    const isFree = Atomics.compareExchange(words, PRODUCER, 0, me.id) === 0;
    if (!isFree && !this.#enter(me, PRODUCER)) return false;
    Atomics.store(words, CLOSED, 1);
    Atomics.store(words, PRODUCER, 0);
    this.notEmpty.notifyAll(me);
    this.notFull.notifyAll(me);
    return true;
  }

  /** Takes a side that somebody else has; false when that thread stays inside for longer than this one spins. */
  #enter(me: Waiter, side: number): boolean {
    const words = this.#words;
    for (let round = 0; me.spin(round); round++) {
      if (loadShared(words, side) !== 0) continue;
      if (Atomics.compareExchange(words, side, 0, me.id) === 0) return true;
    }
    const owner = Atomics.load(words, side);
    if (owner !== 0 && owner !== me.id && me.alive(owner)) return false;
    return Atomics.compareExchange(words, side, owner, me.id) === owner;
  }

  /** Whether there is too little room, and reason to come back later. */
  #isFull(least: number): boolean {
    const words = this.#words;
    // In this order: with the tail of a later moment it would seem full that never was.
    const tail = loadShared(words, TAIL);
    const room = this.capacity - ((tail - loadShared(words, HEAD)) | 0);
    return room < least && loadFollowing(words, CLOSED) === 0;
  }

  /** Whether there are too few records. */
  #isEmpty(least: number): boolean {
    const words = this.#words;
    // In this order, as in `isFull`.
    const head = loadShared(words, HEAD);
    return ((loadShared(words, TAIL) - head) | 0) < least;
  }

  /** Wakes somebody if there is something to take out, or room: after a change, or what others have left of one. */
  #tell(me: Waiter): void {
    const words = this.#words;
    if (!this.#isEmpty(1)) this.notEmpty.notify(me);
    const need = Atomics.load(words, NEED);
    if (need === MIXED) {
      // Before they are woken: those that sleep again say again what they need.
      Atomics.store(words, NEED, 0);
      this.notFull.notifyAll(me);
      return;
    }
    const tail = loadShared(words, TAIL);
    const room = this.capacity - ((tail - loadShared(words, HEAD)) | 0);
    if (room >= need) this.notFull.notify(me);
  }
}
