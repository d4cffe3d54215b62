import { checkInteger } from "../../base/check.ts";
import { MAX_NODES } from "../../topology/nodes.ts";

/**
 * Which part an index belongs to, and where in it: blocks of elements dealt out to parts in turn.
 *
 * With blocks of `ceil(length / parts)` every part gets one: the blocked distribution. These are BLOCK and CYCLIC(k) of
 * High Performance Fortran (1993). Arithmetic only: nothing is allocated, nothing is looked up.
 *
 * ```
 *   length 10, 2 parts, block 3        index   0 1 2 | 3 4 5 | 6 7 8 | 9
 *                                      part      0   |   1   |   0   | 1
 *                                      offset  0 1 2 | 0 1 2 | 3 4 5 | 3
 * ```
 */
export class Partition {
  /** Elements in all. */
  readonly length: number;
  /** Parts. */
  readonly parts: number;
  /** Elements a block. */
  readonly block: number;
  /** log2 of the block, or -1 when it is no power of two: a shift costs less than a division. */
  readonly #shift: number;

  /**
   * Prepares.
   *
   * @param length Elements, from 1 to 2^52: up to there a quotient of two numbers is exact to the unit.
   * @param parts Parts, from 1 to {@linkcode MAX_NODES}.
   * @param block Elements a block, from 1.
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  constructor(length: number, parts: number, block: number, action: string) {
    this.length = checkInteger(length, "length", 1, 2 ** 52, action);
    this.parts = checkInteger(parts, "the number of nodes", 1, MAX_NODES, action);
    this.block = checkInteger(block, "block", 1, 2 ** 52, action);
    const log = Math.log2(block);
    this.#shift = Number.isInteger(log) && log < 31 ? log : -1;
  }

  /**
   * Whether something is an index.
   *
   * @param index Anything.
   * @returns Whether it is a whole number from 0 to length - 1.
   */
  has(index: unknown): boolean {
    return typeof index === "number" && index >= 0 && index < this.length &&
      Math.floor(index) === index;
  }

  /**
   * The block of an index. Any whole number from 0 is taken, also one beyond the length.
   *
   * @param index The index.
   * @returns Blocks before it.
   */
  blockOf(index: number): number {
    return this.#shift >= 0 && index <= 0xffff_ffff
      ? index >>> this.#shift
      : Math.floor(index / this.block);
  }

  /**
   * Where an index is in its part.
   *
   * @param index The index.
   * @param block Its {@linkcode blockOf}.
   * @returns Elements of its part before it; the part's length or more for an index beyond the length.
   */
  offsetIn(index: number, block: number): number {
    const { parts } = this;
    const round = (block - block % parts) / parts;
    return index - (block - round) * this.block;
  }

  /**
   * The index of an element of a part.
   *
   * @param part The part.
   * @param offset The element in it.
   * @returns The index.
   */
  indexOf(part: number, offset: number): number {
    const round = Math.floor(offset / this.block);
    return offset + (round * (this.parts - 1) + part) * this.block;
  }

  /**
   * Elements of a part.
   *
   * @param part The part.
   * @returns From 0 to the length.
   */
  lengthOf(part: number): number {
    const blocks = Math.ceil(this.length / this.block);
    if (part >= blocks) return 0;
    const count = Math.floor((blocks - 1 - part) / this.parts) + 1;
    const isLast = (blocks - 1) % this.parts === part;
    return count * this.block - (isLast ? blocks * this.block - this.length : 0);
  }
}
