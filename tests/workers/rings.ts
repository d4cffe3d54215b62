import { type SpscRing, worker } from "../../mod.ts";

/** What a thread is to do with a ring. */
export interface RingTask {
  readonly task: "produce" | "consume" | "produce for ever";
  readonly ring: SpscRing;
  /** Records that it puts in or takes out at a time. */
  readonly batch: number;
  /** The last number: the first one is 1. */
  readonly last: number;
}

/** Puts the numbers in, each in all words of a record. */
function produce({ ring, batch, last }: RingTask): number {
  const size = ring.recordWords;
  for (let next = 1; next <= last;) {
    const count = Math.min(batch, last + 1 - next);
    const records = new Int32Array(count * size).map((_, word) => next + Math.floor(word / size));
    ring.push(records);
    next += count;
  }
  return last;
}

/** Takes the numbers out. The result is the first one that is not as it should be, or the last one. */
function consume({ ring, batch }: RingTask): number {
  const size = ring.recordWords;
  const records = new Int32Array(batch * size);
  for (let next = 1;;) {
    const count = ring.pop(records);
    if (count === 0) return next - 1;
    for (let word = 0; word < count * size; word++) {
      if (records[word] !== next + Math.floor(word / size)) return -next;
    }
    next += count;
  }
}

export default worker((args: RingTask): number => {
  if (args.task === "consume") return consume(args);
  if (args.task === "produce for ever") return produce({ ...args, last: 2 ** 31 - 1 });
  const last = produce(args);
  args.ring.close();
  return last;
});
