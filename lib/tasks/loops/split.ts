/**
 * How a range is cut: into blocks, which are dealt out to parts in turn, and those into grains.
 *
 * ```
 *   range 2 to 17, blocks of 6 from 0 on, 2 parts, grains of 4
 *   index   2 3 4 5 | 6 7 8 9 10 11 | 12 13 14 15 16
 *   block      0    |       1       |       2
 *   part       0    |       1       |       0
 *   slot       0    |   2    |  3   |     4     |  5          block * 2 + its grain; slot 1 is empty
 *   grain of its part
 *              0    |   0    |  1   |     2     |  3          2 for each block of the part
 * ```
 *
 * One block and one part: a range that nobody has cut before. A block a part: the blocked distribution of `NodeArray`.
 * Smaller ones: its cyclic one. A block has as many grains as the fullest one needs, so that some of the last and, at the
 * ends of the range, of any others have no indices in them: those are passed over. Where a step leaves indices out, grains
 * count those that are left, called turns here.
 *
 * Arithmetic of numbers up to 2^52, of which a quotient is exact to the unit. Nothing is allocated.
 *
 * @module
 */

/** What is cut, and how. Plain data. */
export interface Cut {
  /** The first index. */
  readonly begin: number;
  /** The index behind the last one. */
  readonly end: number;
  /** From one index to the next. */
  readonly step: number;
  /** Where block 0 begins: at or before the first index. */
  readonly origin: number;
  /** Indices of a block. */
  readonly block: number;
  /** Parts to which blocks go in turn. */
  readonly parts: number;
  /** Turns of a grain. */
  readonly grain: number;
}

/** A range that is cut. */
export class Split {
  /** What it was made of. */
  readonly cut: Cut;
  /** Turns in all. */
  readonly turns: number;
  /** Grains of a block. */
  readonly perBlock: number;
  /** The block of the first index. */
  readonly #firstBlock: number;
  /** Blocks in all. */
  readonly #blocks: number;
  /** The first turn that {@linkcode Split.locate} found. */
  from = 0;
  /** The turn behind the last one. */
  to = 0;
  /** The slot of the first grain. */
  slot = 0;

  /** @param cut What is cut, and how. */
  constructor(cut: Cut) {
    const { begin, end, step, origin, block, grain } = cut;
    this.cut = cut;
    this.turns = Math.ceil((end - begin) / step);
    this.perBlock = Math.ceil(Math.min(this.turns, Math.ceil(block / step)) / grain);
    this.#firstBlock = Math.floor((begin - origin) / block);
    const last = begin + (this.turns - 1) * step;
    this.#blocks = this.turns === 0
      ? 0
      : Math.floor((last - origin) / block) - this.#firstBlock + 1;
  }

  /** Slots in all: grains, in the order of their indices. */
  get slots(): number {
    return this.#blocks * this.perBlock;
  }

  /**
   * The grains of a part.
   *
   * @param part The part.
   * @returns Their number.
   */
  grainsOf(part: number): number {
    const first = this.#firstOf(part);
    if (first >= this.#blocks) return 0;
    return (Math.floor((this.#blocks - 1 - first) / this.cut.parts) + 1) * this.perBlock;
  }

  /**
   * Finds the turns of the next grains of a part, as many as follow each other: {@linkcode Split.from},
   * {@linkcode Split.to} and {@linkcode Split.slot}.
   *
   * @param part The part.
   * @param grain The first grain.
   * @param count How many grains, at least 1.
   * @returns How many of them that are. They may be empty.
   */
  locate(part: number, grain: number, count: number): number {
    const { perBlock } = this;
    const { begin, step, origin, block, parts, grain: size } = this.cut;
    const inBlock = grain % perBlock;
    const index = this.#firstOf(part) + (grain - inBlock) / perBlock * parts;
    const found = Math.min(count, perBlock - inBlock);
    const low = origin + (this.#firstBlock + index) * block;
    const first = this.#turnOf(Math.ceil((low - begin) / step));
    const end = this.#turnOf(Math.ceil((low + block - begin) / step));
    this.slot = index * perBlock + inBlock;
    this.from = Math.min(end, first + inBlock * size);
    this.to = Math.min(end, this.from + found * size);
    return found;
  }

  /** The first block of a part, counted from that of the first index. */
  #firstOf(part: number): number {
    const { parts } = this.cut;
    const before = this.#firstBlock % parts;
    return part >= before ? part - before : part - before + parts;
  }

  #turnOf(turn: number): number {
    return Math.max(0, Math.min(this.turns, turn));
  }
}
