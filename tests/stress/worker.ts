/**
 * A thread of the torture: takes a lock for short and long, somewhere else all the time, until it is told to stop or is
 * terminated.
 */
import { type Lock, Mutex, NumaError, worker } from "../../mod.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { CpuSet } from "../../mod.ts";

/** Words that all threads share; `progress` has one a thread. */
export const WORDS = { phase: 0, inside: 1, violations: 2, heirs: 3, progress: 32 } as const;

/** What a thread of the torture is given. */
export interface TortureTask {
  readonly lock: Lock;
  /** {@linkcode WORDS}. */
  readonly words: Int32Array;
  /** Which of the threads it is, from 0. */
  readonly index: number;
  readonly seed: number;
  /** CPUs to move between; empty: stays where it is. */
  readonly cpus: readonly number[];
}

/** xorshift32: the same run for the same seed, as far as the threads' own choices go. */
export function random(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function busy(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

/** One turn: whoever finds somebody inside, who is not dead, has found a violation. */
function turn({ lock, words, index }: TortureTask, pick: (below: number) => number): void {
  const guard = lock.acquire();
  const before = Atomics.exchange(words, WORDS.inside, index + 1);
  if (guard.ownerDied) {
    Atomics.add(words, WORDS.heirs, 1);
    lock.markConsistent();
  } else if (before !== 0) Atomics.add(words, WORDS.violations, 1);
  if (pick(2000) === 0) busy(pick(3));
  else if (pick(4000) === 0) Atomics.wait(words, WORDS.phase, 1, pick(5));
  if (Atomics.exchange(words, WORDS.inside, 0) !== index + 1) {
    Atomics.add(words, WORDS.violations, 1);
  }
  lock.release();
}

export default worker((task: TortureTask): number => {
  const { lock, words, index, seed, cpus } = task;
  const pick = random(seed);
  let turns = 0;
  try {
    while (Atomics.load(words, WORDS.phase) === 1) {
      turn(task, pick);
      turns++;
      Atomics.add(words, WORDS.progress + index, 1);
      if (cpus.length > 0 && pick(500) === 0) {
        pinThread(CpuSet.of(cpus[pick(cpus.length)] as number));
      }
    }
  } catch (error) {
    // Being stopped is part of it.
    if (!(error instanceof NumaError) || error.code !== "ETERMINATED") throw error;
  }
  if (lock.held && !(lock instanceof Mutex)) lock.release();
  return turns;
});
