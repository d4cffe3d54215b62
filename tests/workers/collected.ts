import { type Barrier, type Epoch, NumaError, worker } from "../../mod.ts";

/** What a thread looks at once another one, which took part, has destroyed the arena. */
export interface CollectedTask {
  readonly barriers: readonly Barrier[];
  readonly epochs: readonly Epoch[];
  /** 1 when this thread has them; 1 when the other one has destroyed the arena. */
  readonly words: Int32Array;
}

function pass(barrier: Barrier): string {
  try {
    barrier.wait({ timeoutMs: 5000 });
    return "passed";
  } catch (error) {
    return error instanceof NumaError ? error.code : String(error);
  }
}

function reuse(epoch: Epoch): string {
  const { current } = epoch;
  while (!epoch.safe(current) && epoch.advance());
  return epoch.safe(current) ? "safe" : "held up";
}

export default worker(async ({ barriers, epochs, words }: CollectedTask): Promise<string[]> => {
  Atomics.store(words, 0, 1);
  while (Atomics.load(words, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  return [...barriers.map(pass), ...epochs.map(reuse)];
});
