/**
 * Numbers as two signed integers whose order, one after the other, is the order of the numbers.
 *
 * The high half of a double, and its low half with the highest bit inverted, because that one has no sign. Of a negative
 * number all bits but the highest one are inverted in both: the greater it is without its sign, the earlier it comes.
 *
 * @module
 */
const SIGN = 1 << 31;
const ALL_BUT_SIGN = ~SIGN;

const doubles = /* @__PURE__ */ new Float64Array(1);
const halves = /* @__PURE__ */ new Int32Array(doubles.buffer);

/**
 * Writes a number.
 *
 * @param value The number, but NaN; -0 is 0.
 * @param words Where it goes.
 * @param at The index of the first word.
 */
export function writeOrdered(value: number, words: Int32Array, at: number): void {
  doubles[0] = value + 0;
  const high = halves[1] as number;
  words[at] = high < 0 ? high ^ ALL_BUT_SIGN : high;
  words[at + 1] = (halves[0] as number) ^ (high < 0 ? ALL_BUT_SIGN : SIGN);
}

/**
 * Reads a number.
 *
 * @param words Where it is.
 * @param at The index of the first word.
 * @returns The number.
 */
export function readOrdered(words: Int32Array, at: number): number {
  const first = words[at] as number;
  halves[0] = (words[at + 1] as number) ^ (first < 0 ? ALL_BUT_SIGN : SIGN);
  halves[1] = first < 0 ? first ^ ALL_BUT_SIGN : first;
  return doubles[0] as number;
}
