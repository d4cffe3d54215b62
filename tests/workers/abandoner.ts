import {
  type Arena,
  type Barrier,
  type Epoch,
  type Lock,
  NumaError,
  type Once,
  type SharedMutex,
  worker,
} from "../../mod.ts";

/** What a thread is to do with something in an arena. */
export interface AbandonTask {
  /**
   * "leave": hold it, and destroy the arena when told; "return": hold it, and end when told; "get": wait for it, and tell how
   * that ended; "write": hold it, and write for as long as there is a thread.
   */
  readonly task: "leave" | "return" | "get" | "write";
  readonly arena: Arena;
  readonly held:
    | { readonly lock: Lock | SharedMutex }
    | { readonly barrier: Barrier }
    | { readonly once: Once }
    | { readonly epoch: Epoch };
  /** Whether it does so without blocking. */
  readonly isAsync?: boolean;
  /** What else it holds without blocking, all the time. */
  readonly elsewhere?: Lock;
  /** 1 when it is ready, 2 when it has let go; what it is told; what it writes. */
  readonly words: Int32Array;
}

type Held = AbandonTask["held"];

async function hold(held: Held, isAsync: boolean, words: Int32Array): Promise<void> {
  if ("lock" in held) {
    if (isAsync) await held.lock.acquireAsync();
    else held.lock.acquire();
  } else if ("barrier" in held) {
    held.barrier.join();
    if (isAsync) held.barrier.waitAsync().catch(() => {});
  } else if ("epoch" in held) held.epoch.enter();
  else if (isAsync) held.once.runAsync(() => new Promise(() => {})).catch(() => {});
  else held.once.run(() => undefined);
  Atomics.store(words, 0, 1);
}

async function told(words: Int32Array, value: number): Promise<void> {
  while (Atomics.load(words, 1) < value) await new Promise((resolve) => setTimeout(resolve, 1));
}

/** How a wait for a lock ended, in a word. What a dead owner left is said to be right. */
export async function outcome(lock: Lock | SharedMutex, isAsync: boolean): Promise<string> {
  try {
    const limit = { timeoutMs: 60_000 };
    const guard = isAsync ? await lock.acquireAsync(limit) : lock.acquire(limit);
    const { ownerDied } = guard;
    if (ownerDied) lock.markConsistent();
    guard.release();
    return ownerDied ? "ownerDied" : "got";
  } catch (error) {
    return error instanceof NumaError ? error.code : String(error);
  }
}

export default worker(
  async (
    { task, arena, held, isAsync = false, elsewhere, words }: AbandonTask,
  ): Promise<string> => {
    if (task === "get" && "lock" in held) {
      Atomics.store(words, 2, 1);
      return await outcome(held.lock, isAsync);
    }
    await elsewhere?.acquireAsync();
    await hold(held, isAsync, words);
    if (task === "write") {
      setInterval(() => Atomics.add(words, 2, 1), 0);
      await new Promise(() => {});
    }
    await told(words, 1);
    if (task === "return") return "returned";
    arena.destroy();
    Atomics.store(words, 0, 2);
    await told(words, 2);
    return "left";
  },
);
