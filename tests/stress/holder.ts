/**
 * Holds a lock until it is terminated, in one of several ways; or inherits it, over and over.
 */
import { type Lock, type Mutex, worker } from "../../mod.ts";
import { monotonicMs } from "../../lib/runtime/clock.ts";

/** What a holder does when it is terminated. */
export const STATES = ["in our wait", "at the event loop", "busy", "asleep"] as const;
export type Holding = typeof STATES[number];

/** Words that all threads share; `time` is where a 64-bit float is. */
export const HOLD = {
  held: 0,
  turn: 1,
  wanted: 2,
  inherited: 3,
  never: 4,
  time: 6,
  words: 8,
} as const;

/** What a holder, or the heir, is given. */
export interface HolderTask {
  readonly holding: Holding | "heir";
  /** A robust one. */
  readonly lock: Lock;
  /** Another lock, which somebody else holds. */
  readonly other: Mutex;
  readonly words: Int32Array;
}

function inherit(lock: Lock, words: Int32Array): number {
  const times = new Float64Array(words.buffer, HOLD.time * 4, 1);
  let heirs = 0;
  for (let turn = 1;; turn++) {
    for (;;) {
      const now = Atomics.load(words, HOLD.turn);
      if (now === -1) return heirs;
      if (now === turn) break;
      Atomics.wait(words, HOLD.turn, now, 100);
    }
    Atomics.store(words, HOLD.wanted, turn);
    const guard = lock.acquire();
    times[0] = monotonicMs();
    if (guard.ownerDied) heirs++;
    lock.markConsistent();
    lock.release();
    Atomics.store(words, HOLD.inherited, turn);
  }
}

export default worker(async ({ holding, lock, other, words }: HolderTask): Promise<number> => {
  if (holding === "heir") return inherit(lock, words);
  lock.acquire();
  Atomics.add(words, HOLD.held, 1);
  if (holding === "in our wait") other.acquire();
  else if (holding === "at the event loop") {
    await new Promise((resolve) => setTimeout(resolve, 1e6));
  } else if (holding === "busy") { while (Atomics.load(words, HOLD.never) === 0); }
  else Atomics.wait(words, HOLD.never, 0);
  return 0;
});
