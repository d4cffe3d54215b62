/** Words that the threads of a test share. */
import { setTimeout as sleep } from "node:timers/promises";

/** So many words in memory of their own, all 0. */
export function sharedWords(count: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(count * 4));
}

/** Resolves when a word is at least that, without blocking the thread. */
export async function reaches(words: Int32Array, at: number, value: number): Promise<void> {
  while (Atomics.load(words, at) < value) await sleep(1);
}
