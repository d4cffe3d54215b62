/**
 * What tells the states of runs apart, in 60 bits.
 *
 * A thread does the same again when it gets the same answers, so its state is the list of the answers to its steps: the
 * hash of that list, with the shared memory's and a few numbers, is the state of a run.
 *
 * @module
 */

/** Spreads bits. */
export function mix(a: number, b: number): number {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x165667b1, 0xc2b2ae35);
  h ^= h >>> 15;
  h = Math.imul(h, 0x2c1b3c6d);
  h ^= h >>> 13;
  return h;
}

/** Bits for preemptions left, plus 1. */
const LEFT_BITS = 4;
const LEFT_MASK = 2 ** LEFT_BITS - 1;

/** Most preemptions that can be told apart. */
export const MAX_PREEMPTIONS: number = LEFT_MASK - 1;

/** States that were explored already, and how many preemptions were left there. */
export class Seen {
  #mask = (1 << 16) - 1;
  /** Pairs: half of the hash; the rest of it and the preemptions left plus 1, or 0 where nothing is. */
  #table: Int32Array = new Int32Array(2 * (this.#mask + 1));
  /** How many there are. */
  size = 0;

  /** Where a state is, or belongs. */
  #find(low: number, high: number): number {
    let at = (low ^ (high >>> 9)) & this.#mask;
    for (;;) {
      const other = this.#table[2 * at + 1] as number;
      if (other === 0) return 2 * at;
      if (this.#table[2 * at] === low && (other & ~LEFT_MASK) === high) return 2 * at;
      at = (at + 1) & this.#mask;
    }
  }

  /**
   * Looks whether a state was explored with as many preemptions left, and notes that it is now.
   *
   * @param low Half of its hash.
   * @param high The other half, of which 28 bits count.
   * @param left Preemptions left.
   * @returns Whether it was.
   */
  visit(low: number, high: number, left: number): boolean {
    const rest = high & ~LEFT_MASK;
    const at = this.#find(low, rest);
    const known = (this.#table[at + 1] as number) & LEFT_MASK;
    if (known > left) return true;
    this.#table[at] = low;
    this.#table[at + 1] = rest | (left + 1);
    if (known === 0 && ++this.size * 2 > this.#mask) this.#grow();
    return false;
  }

  #grow(): void {
    const before = this.#table;
    this.#mask = this.#mask * 2 + 1;
    this.#table = new Int32Array(2 * (this.#mask + 1));
    for (let from = 0; from < before.length; from += 2) {
      const [low, other] = [before[from] as number, before[from + 1] as number];
      if (other === 0) continue;
      const at = this.#find(low, other & ~LEFT_MASK);
      this.#table[at] = low;
      this.#table[at + 1] = other;
    }
  }
}
