/**
 * Sets as hwloc writes them: words of 32 bits in hexadecimal, the highest first, `"0xff000000,,0x0000000f"`. An empty
 * word is 0. `"0xf...f"` in front stands for all higher bits.
 *
 * Here a set is a bigint; one without an end is negative, as in two's complement.
 *
 * @module
 */
import { MAX_ID } from "./limits.ts";

const WORD = /^(?:0x)?0*([\da-f]{0,8})$/i;
const ALL_ABOVE = "0xf...f";
const WORD_BITS = 32;

/** Why a text is not a set. */
export class NotASet {
  readonly why: string;
  /** Whether the reason is a limit of numakit's. */
  readonly limit: boolean;

  constructor(why: string, limit = false) {
    this.why = why;
    this.limit = limit;
  }
}

/**
 * Reads a set.
 *
 * @param text The text.
 * @returns The set, or why it is none.
 */
export function parseBits(text: string): bigint | NotASet {
  const words = text.split(",");
  const endless = words[0] === ALL_ABOVE;
  if (endless) words.shift();
  const digits: string[] = [];
  for (const word of words) {
    const found = WORD.exec(word);
    if (found === null) return new NotASet(`the word ${JSON.stringify(word.slice(0, 40))}`);
    digits.push(found[1]!.padStart(WORD_BITS / 4, "0"));
  }
  const bits = BigInt(`0x0${digits.join("")}`);
  if (bits >> BigInt(MAX_ID + 1) > 0n) return new NotASet(`an id over ${MAX_ID}`, true);
  return endless ? bits | (-1n << BigInt(WORD_BITS * digits.length)) : bits;
}

/**
 * Writes a set as the kernel does.
 *
 * @param bits A set that has an end.
 * @returns For example `"0-3,8"`.
 */
export function listOf(bits: bigint): string {
  const digits = bits === 0n ? "" : bits.toString(2);
  const runs: string[] = [];
  let end = digits.length;
  while (end > 0) {
    const last = digits.lastIndexOf("1", end - 1);
    if (last < 0) break;
    const before = digits.lastIndexOf("0", last);
    const [from, to] = [digits.length - 1 - last, digits.length - 2 - before];
    runs.push(from === to ? `${from}` : `${from}-${to}`);
    end = before + 1;
  }
  return runs.join(",");
}

/**
 * The set of one id.
 *
 * @param id The id.
 * @returns The set.
 */
export function bit(id: number): bigint {
  return 1n << BigInt(id);
}
