import {
  type Barrier,
  type Histogram,
  type Latch,
  type Once,
  type PartitionedCounter,
  type Semaphore,
  worker,
} from "../../mod.ts";

/** What a thread is to do, how often. */
export type PrimitiveTask =
  & { readonly words: Int32Array; readonly times: number }
  & (
    | { readonly task: "add"; readonly counter: PartitionedCounter; readonly n: number }
    | { readonly task: "record"; readonly histogram: Histogram }
    | { readonly task: "permits"; readonly semaphore: Semaphore; readonly n: number }
    | { readonly task: "steps"; readonly barrier: Barrier; readonly parties: number }
    | { readonly task: "meet"; readonly barrier: Barrier; readonly dies?: boolean }
    | { readonly task: "once"; readonly latch: Latch; readonly once: Once }
    | { readonly task: "die in the middle"; readonly once: Once }
  );

/** Words that all tasks of a test share. */
export const WORD = { inside: 0, most: 1, leaders: 2, late: 3, runs: 4, there: 5 } as const;

function signal(words: Int32Array, word: number): void {
  Atomics.add(words, word, 1);
  Atomics.notify(words, word);
}

function takePermits(semaphore: Semaphore, n: number, words: Int32Array): void {
  semaphore.acquire(n);
  const inside = Atomics.add(words, WORD.inside, n) + n;
  if (inside > Atomics.load(words, WORD.most)) Atomics.store(words, WORD.most, inside);
  Atomics.sub(words, WORD.inside, n);
  semaphore.release(n);
}

/** Steps that all threads take together: who is still at an older one is late. */
function step(barrier: Barrier, parties: number, words: Int32Array, turn: number): void {
  Atomics.add(words, WORD.inside, 1);
  if (barrier.wait()) Atomics.add(words, WORD.leaders, 1);
  if (Atomics.load(words, WORD.inside) < (turn + 1) * parties) Atomics.add(words, WORD.late, 1);
}

export default worker((args: PrimitiveTask): number => {
  const { task, words, times } = args;
  if (task === "meet") args.barrier.join();
  signal(words, WORD.there);
  if (task === "once") {
    args.latch.countDown();
    args.latch.wait();
    return Number(args.once.run(() => void Atomics.add(words, WORD.runs, 1)));
  }
  if (task === "die in the middle") {
    args.once.run(() => {
      signal(words, WORD.runs);
      throw new Error("died in the middle");
    });
  }
  for (let turn = 0; turn < times; turn++) {
    if (task === "add") args.counter.add(args.n);
    else if (task === "record") args.histogram.record(turn);
    else if (task === "permits") takePermits(args.semaphore, args.n, words);
    else if (task === "steps") step(args.barrier, args.parties, words, turn);
    else if (task === "meet") args.barrier.wait();
  }
  if (task === "meet" && args.dies === true) throw new Error("died on its way");
  if (task === "steps" || task === "meet") args.barrier.leave();
  return times;
});
