import { type Lock, worker } from "../../mod.ts";

/** What a thread is to do with a lock. */
export interface LockTask {
  readonly task: "count" | "hold" | "die" | "short" | "until told";
  readonly lock: Lock;
  /** Words that the lock guards: a count that is not atomic, how many are there, when to go on, when to begin. */
  readonly words: Int32Array;
  readonly times?: number;
}

/** Takes the lock so many times, those that come to nothing included. */
function count({ task, lock, words, times = 1 }: LockTask): number {
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

function countUntilTold({ lock, words }: LockTask): number {
  Atomics.add(words, 1, 1);
  Atomics.wait(words, 3, 0);
  let turns = 0;
  for (; Atomics.load(words, 2) === 0; turns++) {
    lock.acquire();
    words[0] = (words[0] as number) + 1;
    lock.release();
  }
  return turns;
}

export default worker((args: LockTask): number => {
  const { task, lock, words } = args;
  if (task === "count" || task === "short") return count(args);
  if (task === "until told") return countUntilTold(args);
  lock.acquire();
  Atomics.add(words, 1, 1);
  Atomics.notify(words, 1);
  if (task === "die") throw new Error("died holding a lock");
  Atomics.wait(words, 2, 0);
  lock.release();
  return 0;
});
