/**
 * How far tests go that are long by nature: the gate runs a part of them, `scripts/test --full` all.
 *
 * @module
 */
import process from "node:process";
import { onBun } from "./checkout.ts";

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

/**
 * Why a test is skipped that takes long and hardly depends on the runtime, as it is the algorithms' or the kernel's work
 * that it looks at: the gate runs it on Bun, which starts threads fastest.
 */
export const notInGate: string | false = !onBun &&
  inExtent<string | false>("the gate does this on Bun, scripts/test --full on each runtime", false);
