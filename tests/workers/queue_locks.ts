import { type Lock, worker } from "../../mod.ts";

/** What a thread is to do with a lock. */
export interface QueueTask {
  readonly task: "count" | "hold" | "die" | "short";
  readonly lock: Lock;
  /** Words that the lock guards: a count that is not atomic, how many are there, when to go on. */
  readonly words: Int32Array;
  readonly times?: number;
}

export default worker(({ task, lock, words, times = 1 }: QueueTask): number => {
  if (task === "count" || task === "short") {
    let missed = 0;
    Atomics.add(words, 1, 1);
    Atomics.wait(words, 2, 0);
    for (let turn = 0; turn < times; turn++) {
      try {
        lock.acquire(task === "short" ? { timeoutMs: turn & 1 } : undefined);
        words[0] = (words[0] as number) + 1;
        lock.release();
      } catch (error) {
        if (task === "count" || (error as { code?: string }).code !== "ETIMEDOUT") throw error;
        missed++;
      }
    }
    return missed;
  }
  lock.acquire();
  Atomics.add(words, 1, 1);
  Atomics.notify(words, 1);
  if (task === "die") throw new Error("died holding a lock");
  Atomics.wait(words, 2, 0);
  lock.release();
  return 0;
});
