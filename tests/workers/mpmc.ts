import { type MpmcRing, worker } from "../../mod.ts";

/** What a thread is to do with a ring. */
export interface MpmcTask {
  readonly task: "produce" | "consume";
  readonly ring: MpmcRing;
  /** Records that it puts in or takes out at a time. */
  readonly batch: number;
  /** Names a producer: 0 to 99. */
  readonly producer?: number;
  /** The producer's last number: the first one is 1. Default: none. */
  readonly last?: number;
}

/** What a consumer took out of each producer: how many numbers, and the highest. What it did wrong comes first. */
export interface Taken {
  readonly wrong: string | undefined;
  readonly counts: readonly number[];
  readonly highest: readonly number[];
}

/** Numbers of a producer, and producers. */
const NUMBERS = 10_000_000;
const PRODUCERS = 100;

/** Puts its numbers in, each in all words of a record. */
function produce({ ring, batch, producer = 0, last = NUMBERS - 1 }: MpmcTask): void {
  const size = ring.recordWords;
  const records = new Int32Array(batch * size);
  for (let next = 1; next <= last;) {
    const count = Math.min(batch, last + 1 - next);
    for (let word = 0; word < count * size; word++) {
      records[word] = producer * NUMBERS + next + Math.floor(word / size);
    }
    ring.push(records.subarray(0, count * size));
    next += count;
  }
}

/** Checks what a consumer takes out. */
export class Tally implements Taken {
  wrong: string | undefined;
  readonly counts: number[] = new Array(PRODUCERS).fill(0);
  readonly highest: number[] = new Array(PRODUCERS).fill(0);

  /** Takes note of records. Those of a producer have to come in the order in which it put them in. */
  add(records: Int32Array, count: number, size: number): void {
    for (let record = 0; record < count; record++) {
      const found = records[record * size] as number;
      const producer = Math.floor(found / NUMBERS);
      const number = found % NUMBERS;
      for (let word = 1; word < size; word++) {
        if (records[record * size + word] !== found) this.wrong ??= `half of ${found}`;
      }
      const before = this.highest[producer] as number;
      if (number <= before) this.wrong ??= `${number} of ${producer} after ${before}`;
      this.highest[producer] = number;
      (this.counts[producer] as number)++;
    }
  }

  /** What is sent to another thread. */
  get taken(): Taken {
    const { wrong, counts, highest } = this;
    return { wrong, counts, highest };
  }
}

/** Takes numbers out until there are no more. */
function consume({ ring, batch }: MpmcTask): Taken {
  const records = new Int32Array(batch * ring.recordWords);
  const tally = new Tally();
  for (;;) {
    const count = ring.pop(records);
    if (count === 0) return tally.taken;
    tally.add(records, count, ring.recordWords);
  }
}

export default worker((args: MpmcTask): Taken => {
  if (args.task === "consume") return consume(args);
  produce(args);
  return new Tally().taken;
});
