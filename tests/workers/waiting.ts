import {
  type Barrier,
  type Condition,
  type EventCount,
  type Latch,
  type Lock,
  type Once,
  type Replicated,
  type Semaphore,
  setWaitStrategy,
  type SharedMutex,
  type WaitStrategy,
  worker,
} from "../../mod.ts";

/** What a thread waits for, and does not get. Without it: does nothing. */
export type WaitFor =
  | { readonly lock: Lock | SharedMutex }
  | { readonly semaphore: Semaphore }
  | { readonly barrier: Barrier }
  | { readonly latch: Latch }
  | { readonly once: Once }
  | { readonly replicated: Replicated }
  | { readonly events: EventCount }
  | { readonly condition: Condition; readonly mutex: Lock };

export interface WaitingTask {
  readonly wait: WaitFor | undefined;
  /** What it does before it sleeps. */
  readonly strategy?: WaitStrategy | undefined;
  /** A word that becomes 1 when it is about to wait. */
  readonly words: Int32Array;
}

/** How much longer a thread sleeps here: one that looks by itself after 40 ms would need nobody to wake it. */
const LONGER = 100;
type Sleep = (words: Int32Array, index: number, value: number, ms?: number) => string;
const sleep: Sleep = Atomics.wait;
(Atomics as { wait: Sleep }).wait = (words, index, value, ms = Infinity) =>
  sleep(words, index, value, ms * LONGER);

export default worker(async ({ wait, words, strategy }: WaitingTask): Promise<void> => {
  setWaitStrategy(strategy);
  if (wait !== undefined && "condition" in wait) wait.mutex.acquire();
  Atomics.store(words, 0, 1);
  if (wait === undefined) await new Promise((resolve) => setTimeout(resolve, 1e6));
  else if ("lock" in wait) wait.lock.acquire();
  else if ("semaphore" in wait) wait.semaphore.acquire();
  else if ("barrier" in wait) wait.barrier.wait();
  else if ("latch" in wait) wait.latch.wait();
  else if ("once" in wait) wait.once.run(() => {});
  else if ("replicated" in wait) wait.replicated.update(new Uint8Array(wait.replicated.size));
  else if ("events" in wait) wait.events.waitUntil(() => false);
  else wait.condition.wait(wait.mutex);
});
