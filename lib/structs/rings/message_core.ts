/**
 * A ring of messages of any length between one thread that puts them in and one that takes them out.
 *
 * ```
 *   line 0   | tail | head as the producer saw it last |      the producer's
 *   line 1   | head | tail as the consumer saw it last |      the consumer's
 *   line 2   | closed |
 *   then     the messages | event count "not empty" | event count "not full"
 *
 *   message:  | its length in bytes | its bytes, up to the end of a word |      in one piece
 *             | SKIP | anything up to the end of the memory |                   the next one is at the start
 *
 *   head, tail:  words taken out and put in so far, with those that were skipped; they wrap. The place of a word is its
 *                number modulo the number of words, a power of two. head = tail: empty.
 * ```
 *
 * It is {@linkcode SpscCore} with words for records, and with the same two indices that each side keeps of the other's: a
 * batch costs one atomic operation, and a look without order is enough where it finds enough.
 *
 * A message is in one piece, so that it can be written and read where it is. One that does not fit before the end of the
 * memory goes to its start, and {@linkcode SKIP} fills what is left, for which there has to be room as well. A message
 * takes half of the words at the most: then either it fits before the end, or the words to skip and the message are no
 * more than all words, and an empty ring has room for it wherever it begins.
 *
 * The producer adds messages behind what is there, which nobody sees, and then publishes them all. The consumer finds one
 * after the other, and then gives back the words of all that it has passed. Both keep where they are in their object, not
 * in the words: another thread that goes on for one of them begins at the index in the words.
 *
 * Lengths are in memory that any thread can write to. The consumer reads one once, and takes it for a length only if the
 * message ends before what was published does, and before the memory does. Otherwise all that was published is thrown
 * away. So whatever the words say, a message is inside the memory, and a consumer ends.
 *
 * Death. A message is there once `tail` says so: a producer that dies before that has put in nothing. A consumer that dies
 * before it stores `head` leaves what it was reading to the next one. Nobody waits for a thread inside an operation, and
 * whoever sleeps looks again when a thread dies, which may have been about to wake it. Why no wake-up is lost otherwise:
 * as in {@linkcode SpscCore}.
 *
 * Costs. Put and take: one atomic operation a batch, and a plain load of a word that changes when somebody goes to sleep;
 * when the index seen last is not enough, a look at the other one's: without order first, and with it if that is too little.
 *
 * Lamport's ring (1983) with the indices of MCRingBuffer (Lee, Bu and Chandranmenon, 2010). Length before the bytes, and
 * padding at the end: as in the ring buffers of Aeron's Agrona.
 *
 * @module
 */
import type { Shape } from "../../shared/shape.ts";
import type { EventCountCore } from "../../sync/conditions/event_count_core.ts";
import { glance, loadFollowing, loadShared } from "../../wait/loads.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";
import { RECORDS, type RingEvents, ringEvents, ringWords } from "./ring_words.ts";

const TAIL = 0;
const HEAD_SEEN = 1;
const HEAD = LINE_WORDS;
const TAIL_SEEN = LINE_WORDS + 1;
const CLOSED = 2 * LINE_WORDS;

/** In the place of a length. */
const SKIP = -1;
/** There is no message, or no room for one. */
export const NONE = -1;

/** `set` costs about as much as a loop over so many bytes, without and with a view of a part; `slice` as the first. */
const SHORT = 24;
const SHORT_PART = 64;

/** The words of a message of so many bytes. */
function wordsOf(length: number): number {
  return 1 + ((length + 3) >>> 2);
}

/** The algorithm of `MessageRing`, and of a lane of `Channel`. */
export class MessageCore {
  readonly #words: Int32Array;
  readonly #capacity: number;
  readonly #mask: number;
  /** The producer's: behind what it has added, and where there is room for the next message. */
  #end = 0;
  #room = 0;
  /** The consumer's: behind what it has passed, behind the message that it has found, and its first byte. */
  #passed = 0;
  #after = 0;
  #found = 0;
  /** The words of all messages, as bytes. */
  readonly bytes: Uint8Array;
  /** Bytes of the longest message. */
  readonly maxBytes: number;
  /** What consumers sleep on. */
  readonly notEmpty: EventCountCore;
  /** What producers sleep on. */
  readonly notFull: EventCountCore;

  /**
   * @param words Its memory: zero at first.
   * @param shape The number of threads and domains.
   * @param capacity How many words of messages it has room for: a power of two, at least 4.
   * @param events What those sleep on that wait for it. Default: its own, in `words`.
   */
  constructor(
    words: Int32Array,
    shape: Shape,
    capacity: number,
    events: RingEvents = ringEvents(words, shape, capacity, 1),
  ) {
    this.#words = words;
    this.#capacity = capacity;
    this.#mask = capacity - 1;
    this.bytes = new Uint8Array(words.buffer, words.byteOffset + RECORDS * 4, capacity * 4);
    this.maxBytes = MessageCore.maxBytes(capacity);
    this.notEmpty = events.notEmpty;
    this.notFull = events.notFull;
  }

  /**
   * The words that one takes.
   *
   * @param shape The number of threads and domains.
   * @param capacity How many words of messages it has room for: a power of two, at least 4.
   * @returns 32-bit words.
   */
  static words(shape: Shape, capacity: number): number {
    return ringWords(shape, capacity, 1);
  }

  /**
   * The words that one takes whose event counts are somewhere else.
   *
   * @param capacity How many words of messages it has room for: a power of two, at least 4.
   * @returns 32-bit words: whole lines.
   */
  static laneWords(capacity: number): number {
    return RECORDS + Math.ceil(capacity / LINE_WORDS) * LINE_WORDS;
  }

  /**
   * The length of the longest message.
   *
   * @param capacity How many words of messages there is room for.
   * @returns Bytes.
   */
  static maxBytes(capacity: number): number {
    return ((capacity >> 1) - 1) * 4;
  }

  // The producer

  /** Forgets what was added and not published. */
  begin(): void {
    this.#end = this.#words[TAIL] as number;
  }

  /**
   * Finds room for a message behind those that were added.
   *
   * @param length Its bytes: no more than {@linkcode MessageCore.maxBytes}.
   * @returns The index of its first byte in {@linkcode MessageCore.bytes}; {@linkcode NONE}.
   */
  place(length: number): number {
    const words = this.#words;
    const end = this.#end;
    const start = end & this.#mask;
    const toEnd = this.#capacity - start;
    const size = wordsOf(length);
    const skipped = size > toEnd ? toEnd : 0;
    const needed = skipped + size;
    let room = this.#capacity - ((end - (words[HEAD_SEEN] as number)) | 0);
    if (room < needed) {
      room = this.#roomAt(glance(words, HEAD));
      if (room < needed) room = this.#roomAt(loadShared(words, HEAD));
      if (room < needed) return NONE;
    }
    if (skipped > 0) words[RECORDS + start] = SKIP;
    this.#room = skipped > 0 ? 0 : start;
    return (this.#room + 1) * 4;
  }

  /**
   * Adds the message that was written where {@linkcode place} said.
   *
   * @param length Its bytes: no more than there is room for.
   */
  add(length: number): void {
    const at = this.#room;
    this.#words[RECORDS + at] = length;
    // From where it is to where the next one can be: over what was skipped, too.
    const skipped = (at - this.#end) & this.#mask;
    this.#end = (this.#end + skipped + wordsOf(length)) | 0;
  }

  /**
   * Writes and adds a message.
   *
   * @param source Its bytes.
   * @param length How many there are: no more than {@linkcode MessageCore.maxBytes}.
   * @returns False if there is no room.
   */
  write(source: Uint8Array, length: number): boolean {
    const at = this.place(length);
    if (at < 0) return false;
    const { bytes } = this;
    if (length <= SHORT) {
      for (let byte = 0; byte < length; byte++) bytes[at + byte] = source[byte] as number;
    } else bytes.set(source, at);
    this.add(length);
    return true;
  }

  /**
   * Puts in what was added.
   *
   * @param me The calling thread.
   */
  publish(me: Waiter): void {
    Atomics.store(this.#words, TAIL, this.#end);
    if (this.notEmpty.mayWait()) this.notEmpty.notifyAll(me);
  }

  /**
   * Puts in a message.
   *
   * @param me The calling thread.
   * @param source Its bytes.
   * @param length How many there are: no more than {@linkcode MessageCore.maxBytes}.
   * @returns False if there is no room.
   */
  push(me: Waiter, source: Uint8Array, length: number): boolean {
    this.begin();
    if (!this.write(source, length)) return false;
    this.publish(me);
    return true;
  }

  // The consumer

  /** Forgets what was passed and not given back. */
  rewind(): void {
    this.#passed = this.#words[HEAD] as number;
  }

  /**
   * Whether there is a message, as far as a look without order tells. Then {@linkcode find} finds it.
   *
   * @returns Whether there are words behind those that were taken out.
   */
  glances(): boolean {
    this.rewind();
    const there = ((this.#words[TAIL_SEEN] as number) - this.#passed) | 0;
    return there > 0 || this.#isThere(glance(this.#words, TAIL));
  }

  /**
   * Whether there is a message, right after an atomic operation of this thread. Then {@linkcode find} finds it.
   *
   * @returns Whether there are words behind those that were taken out.
   */
  follows(): boolean {
    this.rewind();
    return this.#isThere(loadFollowing(this.#words, TAIL));
  }

  /**
   * Finds the message behind those that were passed.
   *
   * @param me The calling thread.
   * @returns Its length in bytes; {@linkcode NONE} if there is none.
   */
  find(me: Waiter): number {
    const words = this.#words;
    let there = ((words[TAIL_SEEN] as number) - this.#passed) | 0;
    if (there < 1) {
      there = this.#wordsAt(glance(words, TAIL));
      if (there < 1) there = this.#wordsAt(loadShared(words, TAIL));
      if (there < 1) return NONE;
    }
    const capacity = this.#capacity;
    let at = this.#passed & this.#mask;
    let skipped = 0;
    let length = words[RECORDS + at] as number;
    if (length === SKIP) {
      skipped = capacity - at;
      at = 0;
      length = words[RECORDS] as number;
    }
    const size = wordsOf(length);
    const fits = length >= 0 && length <= this.maxBytes && skipped + size <= there &&
      there <= capacity && at + size <= capacity;
    if (!fits) return this.#discard(me);
    this.#found = (at + 1) * 4;
    this.#after = (this.#passed + skipped + size) | 0;
    return length;
  }

  /** The index of the first byte of the message that was found in {@linkcode MessageCore.bytes}. */
  foundAt(): number {
    return this.#found;
  }

  /**
   * Copies the message that was found.
   *
   * @param target Where to, from its start.
   * @param length Its bytes.
   */
  read(target: Uint8Array, length: number): void {
    const { bytes } = this;
    const at = this.#found;
    if (length <= SHORT_PART) {
      for (let byte = 0; byte < length; byte++) target[byte] = bytes[at + byte] as number;
    } else target.set(bytes.subarray(at, at + length));
  }

  /**
   * Makes a copy of the message that was found.
   *
   * @param length Its bytes.
   * @returns The copy.
   */
  copy(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#found;
    if (length > SHORT) return this.bytes.slice(at, at + length) as Uint8Array<ArrayBuffer>;
    const target = new Uint8Array(length);
    this.read(target, length);
    return target;
  }

  /** Passes the message that was found. */
  pass(): void {
    this.#passed = this.#after;
  }

  /**
   * Takes out what was passed.
   *
   * @param me The calling thread.
   */
  release(me: Waiter): void {
    Atomics.store(this.#words, HEAD, this.#passed);
    if (this.notFull.mayWait()) this.notFull.notifyAll(me);
  }

  // Any thread

  /**
   * How many words are in use. For any thread.
   *
   * @returns The number at some moment.
   */
  used(): number {
    const head = Atomics.load(this.#words, HEAD);
    const there = (Atomics.load(this.#words, TAIL) - head) | 0;
    // Some of those that `head` knows of have been taken out since, and others put in.
    return Math.max(0, Math.min(there, this.#capacity));
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
   * Whether no more messages will come.
   *
   * @returns Whether somebody has closed it. Then what is there can still be taken out.
   */
  closed(): boolean {
    return loadShared(this.#words, CLOSED) !== 0;
  }

  /**
   * Says that no more messages will come, or be taken out.
   *
   * @param me The calling thread.
   */
  close(me: Waiter): void {
    Atomics.store(this.#words, CLOSED, 1);
    this.notEmpty.notifyAll(me);
    this.notFull.notifyAll(me);
  }

  /** What is there are no messages: throws it away. */
  #discard(me: Waiter): number {
    this.#passed = this.#words[TAIL_SEEN] as number;
    this.release(me);
    return NONE;
  }

  /** The room behind what was added when the consumer is at `head`, which is kept. */
  #roomAt(head: number): number {
    this.#words[HEAD_SEEN] = head;
    return this.#capacity - ((this.#end - head) | 0);
  }

  /** Whether there are words behind what was passed when the producer is at `tail`, which is kept then. */
  #isThere(tail: number): boolean {
    const isThere = ((tail - this.#passed) | 0) > 0;
    // Otherwise the line stays as the producer has it, which looks at the other index in it.
    if (isThere) this.#words[TAIL_SEEN] = tail;
    return isThere;
  }

  /** The words behind what was passed when the producer is at `tail`, which is kept. */
  #wordsAt(tail: number): number {
    this.#words[TAIL_SEEN] = tail;
    return (tail - this.#passed) | 0;
  }
}
