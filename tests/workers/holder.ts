import { type Lock, type SharedMutex, worker } from "../../mod.ts";

/** What a thread holds until it is told. */
export interface HolderTask {
  readonly locks: readonly (Lock | SharedMutex)[];
  /** A word that becomes 1 when it holds them, and one that becomes 1 when it is to let go. */
  readonly words: Int32Array;
}

export default worker(({ locks, words }: HolderTask): void => {
  for (const lock of locks) lock.acquire();
  Atomics.store(words, 0, 1);
  while (Atomics.load(words, 1) === 0) Atomics.wait(words, 1, 0, 1000);
  for (const lock of locks) lock.release();
});
