/**
 * Blocks for what lies outside of a map's buckets: keys and values of any length.
 *
 * ```
 *   states      a word for each block: 0 free | the id of the thread that has taken it | -1 kept: its thread has ended
 *   blocks      of the same size, and as many
 *
 *   content     | words of it        | next |   a block that is followed by another ends with that one's number
 *               | the rest of it          |     the last one is all content
 * ```
 *
 * Nothing in a block says how long a content is: whoever refers to it knows that, and how many blocks it takes.
 *
 * **Taking.** A thread finds a free block by its state, from where it has found or given back one last, and takes it with one
 * compare-exchange. It writes the blocks, and then makes an entry of the map refer to the first one. No list of free blocks
 * is shared, so there is none that a thread could leave half linked, and no word whose old value comes back.
 *
 * **Giving back.** A thread that has locked the chain of the entry first puts its own id into the states of the entry's
 * blocks, then takes the entry out or lets it refer to others, and then sets the states free. Readers may still copy such
 * blocks: they look at the chain's version afterwards, which has changed by then.
 *
 * **Death.** The blocks that a thread was about to refer to, or to give back, have its id: at each step of the two. An entry
 * may refer to them or not. So when no block is free, those of threads that have ended are looked for ({@linkcode
 * FarHeap.dead}), those to which an entry refers are kept ({@linkcode FarHeap.keep}, under the lock of the entry's chain),
 * and the others become free ({@linkcode FarHeap.reclaim}). A thread that has ended takes nothing any more, so a block with
 * its id to which no entry has referred since then is nobody's; and if others do the same at the same time, each
 * compare-exchange succeeds once.
 *
 * Costs: a compare-exchange for each block that is taken, and plain loads and stores.
 *
 * @module
 */
import { fence, glance } from "../../../wait/loads.ts";
import { storeBetween } from "../../../wait/stores.ts";
import type { Waiter } from "../../../wait/waiter.ts";

const FREE = 0;
/** Of a block to which an entry refers, and whose thread has ended. */
const KEPT = -1;
/** There are not enough free blocks. */
export const NO_BLOCK = -1;
/** States are in whole lines. */
const STATE_UNIT = 16;

/** How much a heap has. */
export interface HeapShape {
  /** 32-bit words of a block, at least two. */
  readonly blockWords: number;
  /** How many blocks. */
  readonly blocks: number;
}

/**
 * Words of a heap's states.
 *
 * @param shape Its shape.
 * @returns How many.
 */
export function stateWords({ blocks }: HeapShape): number {
  return Math.ceil(blocks / STATE_UNIT) * STATE_UNIT;
}

/**
 * Words of a heap.
 *
 * @param shape Its shape.
 * @returns How many.
 */
export function heapWords(shape: HeapShape): number {
  return stateWords(shape) + shape.blocks * shape.blockWords;
}

/**
 * How many blocks a content takes.
 *
 * @param count Its words.
 * @param blockWords Words of a block.
 * @returns Blocks.
 */
export function blocksOf(count: number, blockWords: number): number {
  if (count <= blockWords) return count > 0 ? 1 : 0;
  return 1 + Math.ceil((count - blockWords) / (blockWords - 1));
}

/** Blocks in shared words. */
export class FarHeap {
  readonly #words: Int32Array;
  readonly #blocks: number;
  readonly #blockWords: number;
  readonly #first: number;
  /** Where to look for a free block. */
  #cursor: number;

  /**
   * @param words Its words: zero at first.
   * @param shape How much it has.
   * @param start Where this thread looks first.
   */
  constructor(words: Int32Array, shape: HeapShape, start: number) {
    this.#words = words;
    this.#blocks = shape.blocks;
    this.#blockWords = shape.blockWords;
    this.#first = stateWords(shape);
    this.#cursor = start % shape.blocks;
  }

  /**
   * How many blocks a content takes.
   *
   * @param count Its words.
   * @returns Blocks; of what no heap holds more than there are.
   */
  blocksOf(count: number): number {
    return Math.min(blocksOf(count, this.#blockWords), this.#blocks + 1);
  }

  /**
   * The words of the longest content.
   *
   * @returns How many.
   */
  mostWords(): number {
    return this.#blocks * (this.#blockWords - 1) + 1;
  }

  /**
   * Takes blocks, and writes a content into them.
   *
   * @param id The calling thread's id.
   * @param source The content, from its start.
   * @param count How many words of it.
   * @returns The first block; {@linkcode NO_BLOCK}: there are not enough, and none was taken.
   */
  take(id: number, source: Int32Array, count: number): number {
    const words = this.#words;
    const all = this.blocksOf(count);
    const size = this.#blockWords - 1;
    let first = 0;
    let last = 0;
    for (let taken = 0, from = 0; taken < all; taken++) {
      const block = this.#takeOne(id);
      if (block < 0) {
        this.release(first, taken);
        return NO_BLOCK;
      }
      if (taken === 0) first = block;
      else storeBetween(words, this.#linkOf(last), block);
      const at = this.#first + block * this.#blockWords;
      const isLast = taken === all - 1;
      const some = isLast ? count - from : size;
      for (let word = 0; word < some; word++) {
        storeBetween(words, at + word, source[from + word] as number);
      }
      from += some;
      last = block;
    }
    return first;
  }

  /**
   * Copies a content, for a reader that finds out afterwards whether it was whole.
   *
   * @param first Its first block: any number.
   * @param target Where it goes, from its start.
   * @param count How many words of it: at most {@linkcode FarHeap.mostWords}.
   */
  copy(first: number, target: Int32Array, count: number): void {
    const words = this.#words;
    const size = this.#blockWords;
    let block = this.#check(first);
    for (let from = 0; from < count;) {
      const at = this.#first + block * size;
      const left = count - from;
      const some = left <= size ? left : size - 1;
      for (let word = 0; word < some; word++) target[from + word] = glance(words, at + word);
      from += some;
      if (from < count) block = this.#check(glance(words, at + size - 1));
    }
  }

  /**
   * Whether a content is the same as another one, for a reader that finds out afterwards whether it was whole.
   *
   * @param first Its first block: any number.
   * @param other The other one, from its start.
   * @param count How many words both have: at most {@linkcode FarHeap.mostWords}.
   * @returns Whether it is.
   */
  equals(first: number, other: Int32Array, count: number): boolean {
    const words = this.#words;
    const size = this.#blockWords;
    let block = this.#check(first);
    for (let from = 0; from < count;) {
      const at = this.#first + block * size;
      const left = count - from;
      const some = left <= size ? left : size - 1;
      for (let word = 0; word < some; word++) {
        if (glance(words, at + word) !== other[from + word]) return false;
      }
      from += some;
      if (from < count) block = this.#check(glance(words, at + size - 1));
    }
    return true;
  }

  /**
   * Says that a thread is about to give blocks back: for who has locked the chain of the entry that refers to them.
   *
   * @param id The calling thread's id.
   * @param first The first block.
   * @param count How many.
   */
  claim(id: number, first: number, count: number): void {
    const words = this.#words;
    let block = this.#check(first);
    for (let left = count; left > 0; left--) {
      if (glance(words, block) !== id) storeBetween(words, block, id);
      if (left > 1) block = this.#check(words[this.#linkOf(block)] as number);
    }
  }

  /**
   * Gives blocks back that this thread has taken or claimed, and to which nothing refers any more.
   *
   * @param first The first block.
   * @param count How many.
   */
  release(first: number, count: number): void {
    const words = this.#words;
    let block = this.#check(first);
    // They are what this thread takes next: its cache has them.
    if (count > 0) this.#cursor = block;
    for (let left = count; left > 0; left--) {
      // From then on others write to it.
      const next = left > 1 ? this.#check(words[this.#linkOf(block)] as number) : 0;
      storeBetween(words, block, FREE);
      block = next;
    }
  }

  /**
   * Finds threads that have ended and whose id blocks have.
   *
   * @param me The calling thread.
   * @returns Their ids.
   */
  dead(me: Waiter): ReadonlySet<number> {
    const words = this.#words;
    const known = new Set<number>();
    const dead = new Set<number>();
    fence();
    for (let block = 0; block < this.#blocks; block++) {
      const id = glance(words, block);
      if (id <= FREE || known.has(id)) continue;
      known.add(id);
      if (!me.alive(id)) dead.add(id);
    }
    return dead;
  }

  /**
   * Keeps blocks to which an entry refers whose chain this thread has locked.
   *
   * @param dead Threads that had ended before.
   * @param first The first block.
   * @param count How many.
   */
  keep(dead: ReadonlySet<number>, first: number, count: number): void {
    const words = this.#words;
    let block = this.#check(first);
    for (let left = count; left > 0; left--) {
      if (dead.has(glance(words, block))) storeBetween(words, block, KEPT);
      if (left > 1) block = this.#check(words[this.#linkOf(block)] as number);
    }
  }

  /**
   * Sets free what threads had that have ended, after all to which an entry refers was kept.
   *
   * @param dead Threads that had ended before.
   * @returns How many blocks.
   */
  reclaim(dead: ReadonlySet<number>): number {
    const words = this.#words;
    let freed = 0;
    for (let block = 0; block < this.#blocks; block++) {
      const id = glance(words, block);
      if (dead.has(id) && Atomics.compareExchange(words, block, id, FREE) === id) freed++;
    }
    return freed;
  }

  /**
   * How many blocks are not free.
   *
   * @returns The number at some moment.
   */
  used(): number {
    let used = 0;
    fence();
    for (let block = 0; block < this.#blocks; block++) {
      if (glance(this.#words, block) !== FREE) used++;
    }
    return used;
  }

  /** Returns {@linkcode NO_BLOCK} where there is none. */
  #takeOne(id: number): number {
    const words = this.#words;
    let block = this.#cursor;
    for (let left = this.#blocks; left > 0; left--) {
      const isTaken = glance(words, block) !== FREE ||
        Atomics.compareExchange(words, block, FREE, id) !== FREE;
      const next = block + 1 === this.#blocks ? 0 : block + 1;
      if (!isTaken) {
        this.#cursor = next;
        return block;
      }
      block = next;
    }
    return NO_BLOCK;
  }

  #linkOf(block: number): number {
    return this.#first + (block + 1) * this.#blockWords - 1;
  }

  /** A block's number, whatever stands where one should be: any thread can write there. */
  #check(block: number): number {
    return block >>> 0 < this.#blocks ? block : 0;
  }
}
