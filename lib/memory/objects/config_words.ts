/**
 * What the first words of a slab's or pool's arena say of it, so that no other arena is taken for one.
 *
 * ```
 *   | magic | a number for each name |
 * ```
 *
 * @module
 */
import { NumaError } from "../../base/error.ts";
import type { Arena } from "../arena/arena.ts";
import { CONFIG_WORDS } from "./object_layout.ts";

/** Bytes of a word. */
export const WORD_BYTES = 4;

function wordsOf(arena: Arena): Int32Array<ArrayBuffer> {
  const { buffer, byteOffset } = arena.view(0, CONFIG_WORDS * WORD_BYTES);
  return new Int32Array(buffer, byteOffset, CONFIG_WORDS);
}

/**
 * The configuration of a kind of objects' memory.
 *
 * @typeParam Name The names of its numbers.
 */
export class ConfigWords<Name extends string> {
  readonly #what: string;
  readonly #magic: number;
  readonly #names: readonly Name[];

  /**
   * @param what What it is called.
   * @param magic The first word: a kind and a version.
   * @param names The names of the words after it.
   */
  constructor(what: string, magic: number, names: readonly Name[]) {
    this.#what = what;
    this.#magic = magic;
    this.#names = names;
  }

  /**
   * Says what an arena holds. Once, before any other thread sees it.
   *
   * @param arena The arena.
   * @param values Its numbers.
   */
  write(arena: Arena, values: Readonly<Record<Name, number>>): void {
    const words = wordsOf(arena);
    for (const [index, name] of this.#names.entries()) words[1 + index] = values[name];
    words[0] = this.#magic;
  }

  /**
   * Reads what an arena holds.
   *
   * @param arena The arena of a handle, which anybody may have written.
   * @param action What was asked, as it follows "Cannot".
   * @returns Its numbers, still to be checked.
   * @throws {NumaError} `EINVAL` when it holds something else.
   */
  read(arena: Arena, action: string): Readonly<Record<Name, number>> {
    const words = wordsOf(arena);
    if (words[0] !== this.#magic) this.refuse(action);
    const values = this.#names.map((name, index) => [name, words[1 + index]] as const);
    return Object.fromEntries(values) as Record<Name, number>;
  }

  /**
   * Refuses an arena whose numbers make no sense.
   *
   * @param action What was asked, as it follows "Cannot".
   * @throws {NumaError} `EINVAL`.
   */
  refuse(action: string): never {
    throw new NumaError("EINVAL", action, {
      why: `the arena of the handle does not hold a ${this.#what}`,
      fix: "Give what toHandle() returned.",
    });
  }
}
