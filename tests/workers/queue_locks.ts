// What tests/queue_locks_test.ts runs in threads. Imports the locks for their handles.
import { worker } from "../../mod.ts";
import type { CnaLock } from "../../lib/sync/cna_lock.ts";
import type { CohortLock } from "../../lib/sync/cohort_lock.ts";
import type { McsLock } from "../../lib/sync/mcs_lock.ts";
import type { TicketLock } from "../../lib/sync/ticket_lock.ts";
import "../../lib/sync/cna_lock.ts";
import "../../lib/sync/cohort_lock.ts";
import "../../lib/sync/mcs_lock.ts";
import "../../lib/sync/ticket_lock.ts";

export type QueueLock = CnaLock | CohortLock | McsLock | TicketLock;

/** What a thread is to do with a lock. */
export interface QueueTask {
  readonly task: "count" | "hold" | "die" | "short";
  readonly lock: QueueLock;
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
        using _guard = lock.acquire(task === "short" ? { timeoutMs: turn & 1 } : undefined);
        words[0] = (words[0] as number) + 1;
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
