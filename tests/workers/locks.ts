import { type Lock, worker } from "../../mod.ts";

/** What a thread is to do with a lock. */
export interface LockTask {
  readonly task: "count" | "hold" | "die" | "until told";
  readonly lock: Lock;
  /** Words that the lock guards: a count that is not atomic, how many are there, when to let go, when to begin. */
  readonly words: Int32Array;
  readonly times?: number;
}

export default worker(({ task, lock, words, times = 1 }: LockTask): number => {
  if (task === "count") {
    for (let turn = 0; turn < times; turn++) {
      using _guard = lock.acquire();
      words[0] = (words[0] as number) + 1;
    }
    return words[0] as number;
  }
  if (task === "until told") {
    Atomics.add(words, 1, 1);
    Atomics.wait(words, 3, 0);
    let count = 0;
    for (; Atomics.load(words, 2) === 0; count++) {
      lock.acquire();
      words[0] = (words[0] as number) + 1;
      lock.release();
    }
    return count;
  }
  lock.acquire();
  Atomics.add(words, 1, 1);
  Atomics.notify(words, 1);
  if (task === "die") throw new Error("died holding a lock");
  Atomics.wait(words, 2, 0);
  lock.release();
  return 0;
});
