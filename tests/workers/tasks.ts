import process from "node:process";
import { setTimeout as later } from "node:timers/promises";
import { threadId } from "node:worker_threads";
import { type Arena, currentNode, NumaError, transfer } from "../../mod.ts";

let calls = 0;

export const add = (a: number, b: number): number => a + b;
export const square = (x: number): number => x * x;
export const nothing = (): void => {};
export const echo = (...args: unknown[]): unknown => args.length === 1 ? args[0] : args;
export const thread = (): number => threadId;
export const count = (): number => ++calls;

/** Keeps the thread busy, and comes to no event loop meanwhile. */
export function busy(ms: number): number {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return threadId;
}

export async function wait(ms: number): Promise<number> {
  await later(ms);
  return ms;
}

/** Awaits for as long as somebody lets it: a word in shared memory is not 0. */
export async function hold(gate: Int32Array): Promise<number> {
  Atomics.add(gate, 1, 1);
  while (Atomics.load(gate, 0) === 0) await later(1);
  return threadId;
}

export function fail(message: string, code?: string): never {
  throw Object.assign(new RangeError(message), { code });
}

export const failTyped = (): never => {
  throw new NumaError("EBUSY", "do it", { why: "no", fix: "Wait.", node: 3 });
};

export const throwValue = (value: unknown): never => {
  throw value;
};

export const unclonable = (): unknown => () => 1;

/** Ends the thread in the middle of a task. */
export async function crash(status: number): Promise<void> {
  process.exit(status);
  await later(60_000);
}

export const crashSometimes = (index: number, every: number): number | Promise<void> =>
  index % every === 0 ? crash(1) : index;

export const fill = (arena: Arena, value: number): number => {
  const data = arena.allocInt32(16);
  data.fill(value);
  return data.byteOffset;
};

export const moved = (buffer: ArrayBuffer): unknown => {
  const bytes = new Uint8Array(buffer);
  bytes[0] = 7;
  return transfer({ buffer }, [buffer]);
};

/** A number from others, in some steps. */
export function mix(seed: number, rounds: number): number {
  let x = seed | 0;
  for (let round = 0; round < rounds; round++) x = (Math.imul(x, 1664525) + 1013904223) | 0;
  return x;
}

export const order: number[] = [];
export const note = (value: number): void => {
  order.push(value);
};
export const noted = (): number[] => order.splice(0);

/** Where it runs: the node. Busy for a while, so that others could take from it. */
export function nodeAfter(ms: number): number {
  const end = performance.now() + ms;
  while (performance.now() < end);
  return currentNode();
}

/** Counts up a word in shared memory. */
export const tick = (words: Int32Array, index: number): number => Atomics.add(words, index, 1);
