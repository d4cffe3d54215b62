/**
 * How far tests go that are long by nature: the gate runs a part of them, `scripts/test --full` all.
 *
 * @module
 */
import process from "node:process";

const isFull = process.env["NUMAKIT_FULL"] === "1";

/**
 * Chooses.
 *
 * @param gate What the gate does.
 * @param full What `scripts/test --full` does.
 * @returns One of the two.
 */
export function inExtent<Value>(gate: Value, full: Value): Value {
  return isFull ? full : gate;
}
