/**
 * A ring of records between one thread that puts them in and one that takes them out.
 *
 * ```
 *   line 0   | tail | head as the producer saw it last |      the producer's
 *   line 1   | head | tail as the consumer saw it last |      the consumer's
 *   line 2   | closed |
 *   then     the records | event count "not empty" | event count "not full"
 *
 *   head, tail:  records taken out and put in so far; they wrap. Of a record the place is its number modulo the
 *                capacity, a power of two. head = tail: empty. head + capacity = tail: full.
 * ```
 *
 * The producer writes records, then stores `tail`; the consumer loads `tail`, reads the records, then stores `head`. Each
 * side keeps what it saw of the other one's index, and looks again only when that is not enough: so a batch costs one
 * atomic operation, and the line of an index moves once a batch at the most. What was seen may be old, which makes the
 * ring look fuller to the producer and emptier to the consumer than it is, and never the other way round. It is kept in
 * the words and not in the object, so that another thread can go on as the producer, or as the consumer, if the two have
 * synchronized with each other. A look without order is enough where it finds enough.
 *
 * Why no wake-up is lost. Whoever finds the ring empty or full prepares an event count before it looks a last time. The
 * other side stores its index before it looks whether somebody may wait; {@linkcode EventCountCore} has the proof.
 *
 * Death. A record is there once `tail` says so: a producer that dies before that has put in nothing. A consumer that dies
 * before it stores `head` leaves what it was reading to the next one. Nobody waits for a thread inside an operation, and
 * whoever sleeps looks again when a thread dies, which may have been about to wake it.
 *
 * Costs. Put and take: one atomic operation a batch, and a plain load of a word that changes when somebody goes to sleep;
 * when the index seen last is not enough, a look at the other one's: without order first, and with it if that is too little.
 *
 * Lamport's ring (1983) with the indices that each side keeps of the other's from MCRingBuffer (Lee, Bu and Chandranmenon,
 * 2010).
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import type { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { glance, loadShared } from "../../wait/loads.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";
import { RECORDS, ringEvents, ringWords } from "./ring_words.ts";

const TAIL = 0;
const HEAD_SEEN = 1;
const HEAD = LINE_WORDS;
const TAIL_SEEN = LINE_WORDS + 1;
const CLOSED = 2 * LINE_WORDS;

/** The algorithm of `SpscRing`. */
export class SpscCore {
  readonly #words: Int32Array;
  readonly #mask: number;
  /** Behind the last record. */
  readonly #end: number;
  /** How many records it has room for. */
  readonly capacity: number;
  /** 32-bit words of a record. */
  readonly size: number;
  /** What consumers sleep on. */
  readonly notEmpty: EventCountCore;
  /** What producers sleep on. */
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
   * Puts records in. For the producer.
   *
   * @param me The calling thread.
   * @param source Their words, from its start.
   * @param count How many.
   * @param least When there is not room for so many, none is put in. At least 1.
   * @returns How many were put in.
   */
  push(me: Waiter, source: Int32Array, count: number, least: number): number {
    const words = this.#words;
    const tail = words[TAIL] as number;
    let room = this.capacity - ((tail - (words[HEAD_SEEN] as number)) | 0);
    if (room < count) {
      room = this.#roomAt(glance(words, HEAD), tail);
      if (room < least) room = this.#roomAt(loadShared(words, HEAD), tail);
    }
    const n = room < count ? room : count;
    if (n < least) return 0;
    const size = this.size;
    const end = this.#end;
    let at = RECORDS + (tail & this.#mask) * size;
    for (let word = 0; word < n * size; word++) {
      words[at] = source[word] as number;
      if (++at === end) at = RECORDS;
    }
    Atomics.store(words, TAIL, (tail + n) | 0);
    if (this.notEmpty.mayWait()) this.notEmpty.notify(me);
    return n;
  }

  /**
   * Takes records out. For the consumer.
   *
   * @param me The calling thread.
   * @param target Where their words go, from its start.
   * @param count How many, at most.
   * @param least When there are not so many, none is taken out. At least 1.
   * @returns How many were taken out.
   */
  pop(me: Waiter, target: Int32Array, count: number, least: number): number {
    const words = this.#words;
    const head = words[HEAD] as number;
    let there = ((words[TAIL_SEEN] as number) - head) | 0;
    if (there < count) {
      there = this.#recordsAt(glance(words, TAIL), head);
      if (there < least) there = this.#recordsAt(loadShared(words, TAIL), head);
    }
    const n = there < count ? there : count;
    if (n < least) return 0;
    const size = this.size;
    const end = this.#end;
    let at = RECORDS + (head & this.#mask) * size;
    for (let word = 0; word < n * size; word++) {
      target[word] = words[at] as number;
      if (++at === end) at = RECORDS;
    }
    Atomics.store(words, HEAD, (head + n) | 0);
    if (this.notFull.mayWait()) this.notFull.notify(me);
    return n;
  }

  /**
   * How many records can be written where the next one goes. For the producer.
   *
   * @param least Looks at the consumer's index if fewer are known of.
   * @returns How many there is room for up to the end of the memory.
   */
  writable(least: number): number {
    const tail = this.#words[TAIL] as number;
    let room = this.capacity - ((tail - (this.#words[HEAD_SEEN] as number)) | 0);
    if (room < least) room = this.#roomAt(loadShared(this.#words, HEAD), tail);
    return Math.min(room, this.capacity - (tail & this.#mask));
  }

  /** Where the next record goes: the index of its first word in the records. For the producer. */
  writeAt(): number {
    return ((this.#words[TAIL] as number) & this.#mask) * this.size;
  }

  /**
   * Puts in records that were written at {@linkcode SpscCore.writeAt}.
   *
   * @param me The calling thread.
   * @param count How many.
   * @returns False, and nothing is changed, when there is no room known of for so many.
   */
  commit(me: Waiter, count: number): boolean {
    const words = this.#words;
    const tail = words[TAIL] as number;
    if (count > this.capacity - ((tail - (words[HEAD_SEEN] as number)) | 0)) return false;
    Atomics.store(words, TAIL, (tail + count) | 0);
    if (this.notEmpty.mayWait()) this.notEmpty.notify(me);
    return true;
  }

  /**
   * How many records can be read where the next one is. For the consumer.
   *
   * @param least Looks at the producer's index if fewer are known of.
   * @returns How many there are up to the end of the memory.
   */
  readable(least: number): number {
    const head = this.#words[HEAD] as number;
    let there = ((this.#words[TAIL_SEEN] as number) - head) | 0;
    if (there < least) there = this.#recordsAt(loadShared(this.#words, TAIL), head);
    return Math.min(there, this.capacity - (head & this.#mask));
  }

  /** Where the next record is: the index of its first word in the records. For the consumer. */
  readAt(): number {
    return ((this.#words[HEAD] as number) & this.#mask) * this.size;
  }

  /**
   * Takes out records that were read at {@linkcode SpscCore.readAt}.
   *
   * @param me The calling thread.
   * @param count How many.
   * @returns False, and nothing is changed, when so many are not known of.
   */
  consume(me: Waiter, count: number): boolean {
    const words = this.#words;
    const head = words[HEAD] as number;
    if (count > (((words[TAIL_SEEN] as number) - head) | 0)) return false;
    Atomics.store(words, HEAD, (head + count) | 0);
    if (this.notFull.mayWait()) this.notFull.notify(me);
    return true;
  }

  /** The words of all records. */
  records(): Int32Array {
    return this.#words.subarray(RECORDS, this.#end);
  }

  /**
   * How many records there are. For any thread.
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
   * Whether it was closed, as far as a look without order tells.
   *
   * @returns Whether somebody has closed it.
   */
  glancesClosed(): boolean {
    return glance(this.#words, CLOSED) !== 0;
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
   * Says that no more records will come, or be taken out.
   *
   * @param me The calling thread.
   */
  close(me: Waiter): void {
    Atomics.store(this.#words, CLOSED, 1);
    this.notEmpty.notifyAll(me);
    this.notFull.notifyAll(me);
  }

  /** The room when the consumer is at `head`, which is kept. */
  #roomAt(head: number, tail: number): number {
    this.#words[HEAD_SEEN] = head;
    return this.capacity - ((tail - head) | 0);
  }

  /** The records when the producer is at `tail`, which is kept. */
  #recordsAt(tail: number, head: number): number {
    this.#words[TAIL_SEEN] = tail;
    return (tail - head) | 0;
  }
}
