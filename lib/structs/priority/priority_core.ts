/**
 * A priority queue that threads share: several heaps, each under a lock of its own.
 *
 * ```
 *   a heap      | owner | hole | size | hand size | hand | … | entries |      lines for each heap
 *
 *   owner       bits 0-28 the id of the thread that changes the heap, 0 for nobody
 *   hole        1 + the place of the entry that is on its way, 0: none is
 *   size        how many entries there are, while none is on its way
 *   hand size   how many there are, while one is
 *   hand        the entry on its way
 *   entries     | key: two words | record |: each not before the one in place (n - 1) / 4
 * ```
 *
 * **Push** puts the entry into the hand with the place behind the last one as the hole, and moves the hole towards the
 * start: what is in the way goes down into it. **Pop** copies the first entry, takes the last one into the hand, and moves
 * the hole from the start towards the end. Then the hand goes into the hole, and the hole is closed.
 *
 * **Which heap.** With one heap the order is strict. With more a push goes to any, and a pop takes the better of the first
 * entries of two (the MultiQueue of Rihani, Sanders and Dementiev, 2015), so threads seldom want the same lock. How far off
 * the result is depends on the number of heaps and not on how much is in them: about half as many smaller entries are
 * left behind on average as there are heaps. A thread that finds a heap locked goes to another one. A pop that has found
 * nothing in its two looks at all.
 *
 * Death. An entry is on its way from the one store on that says where the hole is, and there is one hand. Until then nothing
 * has changed; from then on the operation happens. Entries are copied into the hole, and the hole moves after that to the
 * place that they were copied from: so wherever a thread dies, each entry but the hand is in a place that is not the hole,
 * once. The next owner goes on with the hand: it is the same for a push and a pop. A thread that dies after its pop has
 * begun takes the entry with it. Engines keep plain stores on their side of atomic operations, and a thread that is
 * terminated has done all up to some place: no order between processors is needed for this, as others read the heap only
 * after a death that they have seen, or under the lock.
 *
 * With one heap linearizable. With several, a pop that finds nothing says that each heap was empty at some moment of the
 * call. Costs: a push or a pop takes the owner's word, one store with order for each level of the heap that it moves through,
 * of four entries to one, and gives the word back.
 *
 * @module
 */
import { glance, loadFollowing, loadShared } from "../../wait/loads.ts";
import { LINE_WORDS, type Waiter } from "../../wait/waiter.ts";
import { BUSY } from "../outcomes.ts";

const OWNER = 0;
const HOLE = 1;
const SIZE = 2;
const HAND_SIZE = 3;
const HAND = 4;
/** Words of a key: integers with a sign, of which the first one counts more. */
export const KEY_WORDS = 2;
/** Entries below each. */
const CHILDREN = 4;
/** Spreads ids over all bits: 2^32 divided by the golden ratio. */
const GOLDEN = 0x9e3779b1;
/** Two heaps that a pop compares, this often if others have locked them. */
const TRIES = 4;

/** The entry was put in, or taken out. */
export const DONE = 1;
/** There is no room, or no entry. */
export const NONE = 0;

const lines = (words: number): number => Math.ceil(words / LINE_WORDS) * LINE_WORDS;

/** What a queue has room for. */
export interface PriorityShape {
  /** How many heaps. */
  readonly heaps: number;
  /** How many entries in all: a multiple of the number of heaps. */
  readonly capacity: number;
  /** 32-bit words of an entry: a key, and a record behind it. */
  readonly entryWords: number;
}

/** The algorithm of `PriorityQueue`. */
export class PriorityCore {
  readonly #words: Int32Array;
  readonly #heaps: number;
  readonly #capacity: number;
  readonly #entryWords: number;
  readonly #entriesAt: number;
  readonly #heapWords: number;
  /** The heap that this thread has locked: the index of its first word; -1: none. */
  #base = -1;
  #random = 0;

  /**
   * @param words Its memory: zero at first.
   * @param shape What it has room for.
   */
  constructor(words: Int32Array, shape: PriorityShape) {
    this.#words = words;
    this.#heaps = shape.heaps;
    this.#capacity = shape.capacity / shape.heaps;
    this.#entryWords = shape.entryWords;
    this.#entriesAt = lines(HAND + shape.entryWords);
    this.#heapWords = PriorityCore.words(shape) / shape.heaps;
  }

  /**
   * The words that one takes.
   *
   * @param shape What it has room for.
   * @returns 32-bit words.
   */
  static words({ heaps, capacity, entryWords }: PriorityShape): number {
    return heaps * (lines(HAND + entryWords) + lines(capacity / heaps * entryWords));
  }

  /**
   * Puts an entry in.
   *
   * @param me The calling thread.
   * @param entry Its words: the key, and the record.
   * @returns {@linkcode DONE}; {@linkcode NONE} if all heaps are full; {@linkcode BUSY}.
   */
  push(me: Waiter, entry: Int32Array): number {
    const heaps = this.#heaps;
    const start = heaps === 1 ? 0 : this.#any(me, heaps);
    let result = NONE;
    for (let step = 0; step < heaps; step++) {
      const base = ((start + step) % heaps) * this.#heapWords;
      if (!this.#tryLock(me, base)) {
        result = BUSY;
        continue;
      }
      const size = this.#size();
      const fits = size < this.#capacity;
      if (fits) this.#insert(entry, size);
      this.unlock();
      if (fits) return DONE;
    }
    return result;
  }

  /**
   * Takes an entry out: the first one, or with several heaps one of the first.
   *
   * @param me The calling thread.
   * @param target Where its words go; holds anything if there is none.
   * @returns {@linkcode DONE}; {@linkcode NONE} if there is none; {@linkcode BUSY}.
   */
  pop(me: Waiter, target: Int32Array): number {
    const heaps = this.#heaps;
    if (heaps > 1) {
      for (let turn = 0; turn < TRIES; turn++) {
        const base = this.#better(me);
        if (base < 0) break;
        if (this.#popFrom(me, base, target) === DONE) return DONE;
      }
    }
    const start = heaps === 1 ? 0 : this.#any(me, heaps);
    let result = NONE;
    for (let step = 0; step < heaps; step++) {
      const base = ((start + step) % heaps) * this.#heapWords;
      const done = this.#popFrom(me, base, target);
      if (done === DONE) return DONE;
      if (done === BUSY) result = BUSY;
    }
    return result;
  }

  /**
   * Looks for the first key, and leaves its entry where it is.
   *
   * @param me The calling thread.
   * @param target Where the key's words go; holds anything if there is none.
   * @returns {@linkcode DONE}; {@linkcode NONE} if there is no entry; {@linkcode BUSY}.
   */
  peek(me: Waiter, target: Int32Array): number {
    const words = this.#words;
    let result = NONE;
    for (let heap = 0; heap < this.#heaps; heap++) {
      const base = heap * this.#heapWords;
      if (glance(words, base + SIZE) === 0 && this.#isEmpty(base)) continue;
      if (!this.#tryLock(me, base)) return BUSY;
      if (this.#size() > 0) {
        const first = this.#at(0);
        const [high, low] = [words[first] as number, words[first + 1] as number];
        const isFirst = high < (target[0] as number) ||
          (high === target[0] && low < (target[1] as number));
        if (result === NONE || isFirst) {
          target[0] = high;
          target[1] = low;
        }
        result = DONE;
      }
      this.unlock();
    }
    return result;
  }

  /**
   * How many entries there are.
   *
   * @returns The number: of each heap at some moment of the call.
   */
  length(): number {
    let length = 0;
    for (let heap = 0; heap < this.#heaps; heap++) {
      const base = heap * this.#heapWords;
      const hole = loadShared(this.#words, base + HOLE);
      length += this.#clamped(loadShared(this.#words, base + (hole === 0 ? SIZE : HAND_SIZE)));
    }
    return length;
  }

  /**
   * Whether this thread has locked a heap.
   *
   * @returns Whether it has.
   */
  holds(): boolean {
    return this.#base >= 0;
  }

  /** Unlocks the heap that this thread has locked. */
  unlock(): void {
    Atomics.store(this.#words, this.#base + OWNER, 0);
    this.#base = -1;
  }

  /** Takes the first entry of a heap. */
  #popFrom(me: Waiter, base: number, target: Int32Array): number {
    if (glance(this.#words, base + SIZE) === 0 && this.#isEmpty(base)) return NONE;
    if (!this.#tryLock(me, base)) return BUSY;
    const size = this.#size();
    if (size > 0) this.#removeFirst(target, size);
    this.unlock();
    return size > 0 ? DONE : NONE;
  }

  /** Whether a heap is empty, and no thread has died that was putting something in. */
  #isEmpty(base: number): boolean {
    const words = this.#words;
    return loadShared(words, base + OWNER) === 0 && loadFollowing(words, base + SIZE) === 0;
  }

  /** The heap with the better first entry, of two; -1: both seem to be empty. */
  #better(me: Waiter): number {
    const words = this.#words;
    const one = this.#any(me, this.#heaps);
    const other = (one + 1 + this.#any(me, this.#heaps - 1)) % this.#heaps;
    const first = one * this.#heapWords;
    const second = other * this.#heapWords;
    if (glance(words, first + SIZE) === 0) return glance(words, second + SIZE) === 0 ? -1 : second;
    if (glance(words, second + SIZE) === 0) return first;
    // Of what somebody changes meanwhile either is right.
    for (let word = 0; word < KEY_WORDS; word++) {
      const [a, b] = [
        glance(words, first + this.#entriesAt + word),
        glance(words, second + this.#entriesAt + word),
      ];
      if (a !== b) return a < b ? first : second;
    }
    return first;
  }

  /** Any number below another one (Marsaglia's xorshift, 2003). */
  #any(me: Waiter, below: number): number {
    let random = this.#random === 0 ? Math.imul(me.id, GOLDEN) : this.#random;
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    this.#random = random;
    return (random >>> 0) % below;
  }

  #tryLock(me: Waiter, base: number): boolean {
    const words = this.#words;
    const at = base + OWNER;
    let owner = Atomics.compareExchange(words, at, 0, me.id);
    let isDead = false;
    while (owner !== 0 && !isDead) {
      if (me.alive(owner)) return false;
      const found = Atomics.compareExchange(words, at, owner, me.id);
      isDead = found === owner;
      if (!isDead) owner = found === 0 ? Atomics.compareExchange(words, at, 0, me.id) : found;
    }
    this.#base = base;
    if (isDead) this.#repair();
    return true;
  }

  /** The size of the heap that this thread has locked. */
  #size(): number {
    return this.#clamped(this.#words[this.#base + SIZE] as number);
  }

  /** In memory that any thread can write to. */
  #clamped(size: number): number {
    return size < 0 || size > this.#capacity ? this.#capacity : size;
  }

  #at(place: number): number {
    return this.#base + this.#entriesAt + place * this.#entryWords;
  }

  #insert(entry: Int32Array, size: number): void {
    this.#take(entry, 0, size + 1, size);
    this.#settle(this.#rise(size));
  }

  #removeFirst(target: Int32Array, size: number): void {
    const words = this.#words;
    const first = this.#at(0);
    for (let word = 0; word < this.#entryWords; word++) {
      target[word] = words[first + word] as number;
    }
    const last = size - 1;
    if (last === 0) {
      Atomics.store(words, this.#base + SIZE, 0);
      return;
    }
    this.#take(words, this.#at(last), last, 0);
    this.#settle(this.#sink(0, last));
  }

  /** Goes on where a thread has died. */
  #repair(): void {
    const words = this.#words;
    const hole = (words[this.#base + HOLE] as number) - 1;
    const size = this.#clamped(words[this.#base + HAND_SIZE] as number);
    if (hole < 0 || hole >= size) {
      Atomics.store(words, this.#base + HOLE, 0);
      return;
    }
    const risen = this.#rise(hole);
    this.#settle(risen === hole ? this.#sink(hole, size) : risen);
  }

  /** Takes an entry into the hand, which has a place in the heap from then on. */
  #take(source: Int32Array, from: number, size: number, hole: number): void {
    const words = this.#words;
    const hand = this.#base + HAND;
    for (let word = 0; word < this.#entryWords; word++) {
      words[hand + word] = source[from + word] as number;
    }
    words[this.#base + HAND_SIZE] = size;
    Atomics.store(words, this.#base + HOLE, hole + 1);
  }

  /** Moves the hole to where what is in the hand is not before what is above it. Returns its place. */
  #rise(hole: number): number {
    let place = hole;
    while (place > 0) {
      const above = ((place - 1) / CHILDREN) | 0;
      if (!this.#isBefore(this.#base + HAND, this.#at(above))) break;
      this.#fill(place, above);
      place = above;
    }
    return place;
  }

  /** Moves the hole to where nothing below it is before what is in the hand. Returns its place. */
  #sink(hole: number, size: number): number {
    let place = hole;
    for (;;) {
      const first = place * CHILDREN + 1;
      const end = Math.min(first + CHILDREN, size);
      let best = first;
      for (let child = first + 1; child < end; child++) {
        if (this.#isBefore(this.#at(child), this.#at(best))) best = child;
      }
      if (first >= size || !this.#isBefore(this.#at(best), this.#base + HAND)) return place;
      this.#fill(place, best);
      place = best;
    }
  }

  /** Fills the hole with an entry, where the hole is then. */
  #fill(hole: number, place: number): void {
    const words = this.#words;
    const to = this.#at(hole);
    const from = this.#at(place);
    for (let word = 0; word < this.#entryWords; word++) {
      words[to + word] = words[from + word] as number;
    }
    Atomics.store(words, this.#base + HOLE, place + 1);
  }

  /** Puts what is in the hand into the hole. */
  #settle(hole: number): void {
    const words = this.#words;
    const hand = this.#base + HAND;
    const to = this.#at(hole);
    for (let word = 0; word < this.#entryWords; word++) {
      words[to + word] = words[hand + word] as number;
    }
    words[this.#base + SIZE] = words[this.#base + HAND_SIZE] as number;
    Atomics.store(words, this.#base + HOLE, 0);
  }

  /** Compares the keys of two entries. */
  #isBefore(one: number, other: number): boolean {
    const words = this.#words;
    const first = words[one] as number;
    const second = words[other] as number;
    if (first !== second) return first < second;
    return (words[one + 1] as number) < (words[other + 1] as number);
  }
}
