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
 * How often something is repeated: where everything is slow, a part of it.
 *
 * @param all How often elsewhere.
 * @returns At least once.
 */
export function repeats(all: number): number {
  return Math.ceil(all / Number(process.env["NUMAKIT_REPEAT_PART"] ?? 1));
}

/**
 * Why a test is skipped that takes long and hardly depends on the runtime, as it is the algorithms' or the kernel's work
 * that it looks at: the gate runs it on Bun, which starts threads fastest.
 */
export const notInGate: string | false = !onBun &&
  inExtent<string | false>("the gate does this on Bun, scripts/test --full on each runtime", false);
