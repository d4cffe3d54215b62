/**
 * Adding to the numbers of a map.
 *
 * @module
 */
import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { F64, U32 } from "./map_settings.ts";

/**
 * Checks what is to be added.
 *
 * @param kind What the map's values are.
 * @param n What a caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The number.
 * @throws {NumaError} `EINVAL` it is none of the map's, or values are no numbers.
 */
export function checkAddend(kind: number, n: unknown, action: string): number {
  if (kind > F64) {
    throw new NumaError("EINVAL", action, {
      why: "its values are no numbers",
      fix: "Use update() or compareExchange().",
    });
  }
  if (kind !== F64) {
    return checkInteger(n, "n", -(2 ** 31), kind === U32 ? 2 ** 32 - 1 : 2 ** 31 - 1, action);
  }
  if (typeof n === "number") return n;
  throw new NumaError("EINVAL", action, { why: `n is ${show(n)}`, fix: "Give a number." });
}

/**
 * Adds to a value.
 *
 * @param kind What the map's values are: numbers.
 * @param before The value.
 * @param n What {@linkcode checkAddend} returned.
 * @returns The sum: integers wrap.
 */
export function sumOf(kind: number, before: number, n: number): number {
  const sum = before + n;
  return kind === F64 ? sum : kind === U32 ? sum >>> 0 : sum | 0;
}
