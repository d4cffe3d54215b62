import { worker } from "../../mod.ts";
import type { SharedMutex } from "../../lib/sync/locks/shared_mutex.ts";
import "../../lib/sync/locks/shared_mutex.ts";

/** What a thread is to do with a mutex between processes. */
export interface SharedMutexTask {
  readonly task: "count" | "hold" | "die";
  readonly lock: SharedMutex;
  /** What "hold" waits for without end, holding the other. */
  readonly next?: SharedMutex;
  /** Words that the mutex guards: a count that is not atomic, how many hold it. */
  readonly words: Int32Array;
  readonly times?: number;
}

export default worker(({ task, lock, next, words, times = 1 }: SharedMutexTask): number => {
  if (task === "count") {
    for (let turn = 0; turn < times; turn++) {
      using _guard = lock.acquire();
      words[0] = (words[0] as number) + 1;
    }
    return words[0] as number;
  }
  lock.acquire();
  Atomics.add(words, 1, 1);
  if (task === "die") throw new Error("died holding a lock");
  next?.acquire();
  return 0;
});
