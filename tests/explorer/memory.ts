/**
 * The shared memory of a run: does accesses, keeps its hash, and remembers what each thread has read since it last spun.
 *
 * @module
 */

import {
  ADD,
  AND,
  COMPARE_EXCHANGE,
  EXCHANGE,
  LOAD,
  Misuse,
  type Observer,
  OR,
  STORE,
  SUB,
  type Words,
  XOR,
} from "./ops.ts";
import { Clocks } from "./races.ts";
import { mix } from "./state.ts";

/** `Atomics` with the types of any array: engines check them. */
const atomics = Atomics as unknown as Record<
  "load" | "store" | "exchange" | "compareExchange" | "add" | "sub" | "and" | "or" | "xor",
  (array: unknown, index: number, a?: unknown, b?: unknown) => number | bigint
>;

/** Arrays whose places are remembered; asking an array for its buffer is slow. */
const KNOWN = 16;

/** Shared memory. */
export class Memory {
  readonly buffer: SharedArrayBuffer;
  readonly words: Int32Array;
  /** Hash of all words. */
  low = 0;
  high = 0;
  /** Whether threads are running: what comes before the first step races with nothing. */
  running = false;
  /** The word that was accessed last, and whether it was written. */
  word = 0;
  wrote = false;
  /** Whether clocks are needed: some thread did a plain access. */
  plain = false;
  observer: Observer | undefined;
  describe: (word: number) => string = (word) => `words[${word}]`;
  readonly #threads: number;
  readonly #known: (Words | undefined)[] = new Array(KNOWN).fill(undefined);
  readonly #places = new Int32Array(KNOWN);
  #next = 0;
  #clocks: Clocks | undefined;
  /** What each thread has read of each word, and in which of its spells between two spins. */
  readonly #values: Int32Array;
  readonly #spells: Int32Array;
  readonly #spell: Int32Array;
  readonly #read: Int32Array[];
  readonly #reads: Int32Array;

  constructor(words: number, threads: number) {
    this.buffer = new SharedArrayBuffer(words * 4);
    this.words = new Int32Array(this.buffer);
    this.#threads = threads;
    this.#values = new Int32Array(words * threads);
    this.#spells = new Int32Array(words * threads);
    this.#spell = new Int32Array(threads);
    this.#read = Array.from({ length: threads }, () => new Int32Array(words));
    this.#reads = new Int32Array(threads);
  }

  /** Before a run. */
  reset(): void {
    this.words.fill(0);
    this.low = 0;
    this.high = 0;
    this.running = false;
    if (this.plain) this.#clocks ??= new Clocks(this.#threads, this.words.length);
    this.#clocks?.reset();
    for (let thread = 0; thread < this.#threads; thread++) this.forget(thread);
  }

  /** Offset of an array in shared memory; -1 for any other. */
  #place(array: Words): number {
    if (array === this.words) return 0;
    for (let index = 0; index < KNOWN; index++) {
      if (this.#known[index] === array) return this.#places[index] as number;
    }
    const at = array.buffer as unknown === this.buffer ? array.byteOffset : -1;
    const next = this.#next++ % KNOWN;
    this.#known[next] = array;
    this.#places[next] = at;
    return at;
  }

  /** One access: an atomic, or a plain one that is a step. */
  access(
    thread: number,
    kind: number,
    array: Words,
    index: number,
    a: unknown,
    b: unknown,
    plain = false,
  ): number | bigint {
    const at = this.#place(array);
    if (at < 0) throw new Misuse("an atomic access to memory that is not the world's");
    const bytes = array.BYTES_PER_ELEMENT;
    const word = (at + index * bytes) >> 2;
    const before = this.words[word] as number;
    const before2 = bytes === 8 ? this.words[word + 1] as number : 0;
    const result = this.#do(kind, array, index, a, b);
    this.word = word;
    this.wrote = kind !== LOAD && (kind !== COMPARE_EXCHANGE || this.#matched(array, result, a));
    if (this.wrote) {
      this.#hash(word, before);
      if (bytes === 8) this.#hash(word + 1, before2);
    }
    if (this.running) {
      this.#remember(thread, word, kind === STORE);
      if (bytes === 8) this.#remember(thread, word + 1, kind === STORE);
      if (!plain) this.#clocks?.atomic(thread, word, kind !== STORE, this.wrote);
      this.observer?.access(thread, kind, word, this.wrote, plain);
    }
    return result;
  }

  #do(kind: number, array: Words, index: number, a: unknown, b: unknown): number | bigint {
    switch (kind) {
      case LOAD:
        return atomics.load(array, index);
      case STORE:
        return atomics.store(array, index, a);
      case EXCHANGE:
        return atomics.exchange(array, index, a);
      case COMPARE_EXCHANGE:
        return atomics.compareExchange(array, index, a, b);
      case ADD:
        return atomics.add(array, index, a);
      case SUB:
        return atomics.sub(array, index, a);
      case AND:
        return atomics.and(array, index, a);
      case OR:
        return atomics.or(array, index, a);
      case XOR:
        return atomics.xor(array, index, a);
    }
    throw new Misuse(`no access of kind ${kind}`);
  }

  /** Whether a compareExchange found what it expected. */
  #matched(array: Words, found: number | bigint, expected: unknown): boolean {
    if (found === expected) return true;
    if (typeof found === "bigint") {
      return BigInt.asUintN(64, found) === BigInt.asUintN(64, expected as bigint);
    }
    return array.BYTES_PER_ELEMENT === 4 && (found | 0) === ((expected as number) | 0);
  }

  #hash(word: number, before: number): void {
    const after = this.words[word] as number;
    if (after === before) return;
    // A word that is 0 counts nothing: all are at first.
    if (before !== 0) {
      this.low ^= mix(word, before);
      this.high ^= mix(before, ~word);
    }
    if (after !== 0) {
      this.low ^= mix(word, after);
      this.high ^= mix(after, ~word);
    }
  }

  #remember(thread: number, word: number, onlyKnown: boolean): void {
    const at = thread * this.words.length + word;
    const spell = this.#spell[thread] as number;
    if (this.#spells[at] !== spell) {
      if (onlyKnown) return;
      this.#spells[at] = spell;
      const count = this.#reads[thread] as number;
      (this.#read[thread] as Int32Array)[count] = word;
      this.#reads[thread] = count + 1;
    }
    this.#values[at] = this.words[word] as number;
  }

  /** Begins a thread's next spell. */
  forget(thread: number): void {
    (this.#spell[thread] as number)++;
    this.#reads[thread] = 0;
  }

  /** How many words a thread has read in this spell. */
  hasRead(thread: number): number {
    return this.#reads[thread] as number;
  }

  /** Whether a word that a thread has read in this spell is not what it was then. */
  changed(thread: number): boolean {
    const words = this.#read[thread] as Int32Array;
    const count = this.#reads[thread] as number;
    for (let index = 0; index < count; index++) {
      const word = words[index] as number;
      if (this.words[word] !== this.#values[thread * this.words.length + word]) return true;
    }
    return false;
  }

  /** A permit is given, for races. */
  unpark(thread: number, other: number): void {
    this.#clocks?.unpark(thread, other);
  }

  /** A thread is found dead, for races. */
  dead(thread: number, other: number): void {
    this.#clocks?.dead(thread, other);
  }

  /** A permit is taken, for races. */
  park(thread: number): void {
    this.#clocks?.park(thread);
  }

  /** Index of the first word of an element, if it is shared. */
  wordOf(array: unknown, index: number): number {
    if (!ArrayBuffer.isView(array)) return -1;
    const words = array as Words;
    const at = this.#place(words);
    return at < 0 ? -1 : (at + index * words.BYTES_PER_ELEMENT) >> 2;
  }

  /** A plain read of a shared word: tells races. */
  plainRead(thread: number, word: number): void {
    if (!this.running) return;
    this.plain = true;
    this.#clocks?.plain(thread, word, false, this.describe);
    this.observer?.access(thread, LOAD, word, false, true);
  }

  /** A plain write: does it. */
  plainWrite(thread: number, word: number, array: Words, index: number, value: unknown): void {
    const before = this.words[word] as number;
    const wide = array.BYTES_PER_ELEMENT === 8;
    const before2 = wide ? this.words[word + 1] as number : 0;
    (array as unknown as unknown[])[index] = value;
    this.#hash(word, before);
    if (wide) this.#hash(word + 1, before2);
    if (!this.running) return;
    this.plain = true;
    this.#clocks?.plain(thread, word, true, this.describe);
    this.observer?.access(thread, STORE, word, true, true);
  }
}
