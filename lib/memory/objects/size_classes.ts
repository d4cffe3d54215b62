/**
 * The sizes that a NodePool's objects come in: steps of 16 bytes up to 128, then four to each doubling up to 64 KiB.
 *
 * Rounding a size up to its class adds less than 16 bytes, or less than a quarter.
 *
 * @module
 */

/** The step of the smallest classes, and what every class is a multiple of, in bytes. */
export const STEP_BYTES = 16;
/** log2 of {@linkcode STEP_BYTES}. */
const STEP_SHIFT = 4;
const EVEN_UP_TO_BYTES = 128;
/** The largest class, in bytes. */
export const MAX_CLASS_BYTES = 65536;

function sizes(): number[] {
  const all: number[] = [];
  for (let bytes = STEP_BYTES; bytes <= EVEN_UP_TO_BYTES; bytes += STEP_BYTES) all.push(bytes);
  for (let from = EVEN_UP_TO_BYTES; from < MAX_CLASS_BYTES; from *= 2) {
    for (let quarter = 5; quarter <= 8; quarter++) all.push(from * quarter / 4);
  }
  return all;
}

/** Bytes an object, by class, ascending. */
export const CLASS_BYTES: readonly number[] = /* @__PURE__ */ sizes();

/** The class of a size, by the size in steps, rounded up. */
const CLASS_OF_STEPS: Uint8Array = /* @__PURE__ */ (() => {
  const table = new Uint8Array(MAX_CLASS_BYTES / STEP_BYTES + 1);
  let size = 0;
  for (let steps = 1; steps < table.length; steps++) {
    if (steps * STEP_BYTES > (CLASS_BYTES[size] as number)) size++;
    table[steps] = size;
  }
  return table;
})();

/**
 * The smallest class that holds a size.
 *
 * @param bytes A whole number from 1 to {@linkcode MAX_CLASS_BYTES}, checked by the caller.
 * @returns Its index in {@linkcode CLASS_BYTES}.
 */
export function classOf(bytes: number): number {
  return CLASS_OF_STEPS[(bytes + (STEP_BYTES - 1)) >>> STEP_SHIFT] as number;
}
