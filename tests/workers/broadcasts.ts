import { setTimeout as sleep } from "node:timers/promises";
import { type BroadcastRing, worker } from "../../mod.ts";

/** What a thread is to do with a ring. */
export interface BroadcastTask {
  readonly task: "publish" | "consume" | "consume, awaiting";
  readonly ring: BroadcastRing;
  /** Records that it publishes or reads at a time. */
  readonly batch: number;
  /** The last number that it publishes, after which it closes the ring. Default: none. */
  readonly last?: number;
}

/** What a consumer has found. */
export interface Heard {
  /** What was wrong with it, if anything. */
  readonly wrong: string | undefined;
  readonly seen: number;
  readonly missed: number;
  /** Where it began, and where it is. */
  readonly from: number;
  readonly to: number;
}

const NOTHING: Heard = { wrong: undefined, seen: 0, missed: 0, from: 0, to: 0 };
/** After so many batches others have their turn: Deno ends threads at the event loop only. */
const TURN = 500;

/** Publishes numbers: record n is n + 1, in all its words. */
async function publish({ ring, batch, last = Infinity }: BroadcastTask): Promise<Heard> {
  const size = ring.recordWords;
  const records = new Int32Array(batch * size);
  if (!ring.adopt()) return { ...NOTHING, wrong: "there is a producer" };
  for (let [next, round] = [ring.published + 1, 1]; next <= last; round++) {
    const count = Math.min(batch, last + 1 - next);
    for (let word = 0; word < count * size; word++) records[word] = next + Math.floor(word / size);
    ring.publish(records.subarray(0, count * size));
    next += count;
    if (round % TURN === 0) await sleep(1);
  }
  ring.close();
  return NOTHING;
}

/** Reads until the ring is closed. */
async function consume(
  { ring, batch }: BroadcastTask,
  read: (consumer: ReturnType<BroadcastRing["subscribe"]>, target: Int32Array) => unknown,
): Promise<Heard> {
  const consumer = ring.subscribe({ from: "oldest" });
  const size = ring.recordWords;
  const target = new Int32Array(batch * size);
  const from = consumer.position;
  let [wrong, seen]: [string | undefined, number] = [undefined, 0];
  for (let round = 1;; round++) {
    const count = await read(consumer, target) as number;
    if (count === 0) break;
    seen += count;
    const first = consumer.position - count + 1;
    for (let word = 0; word < count * size; word++) {
      const wanted = first + Math.floor(word / size);
      if (target[word] !== wanted) wrong ??= `${target[word]} in place of ${wanted}`;
    }
    if (round % TURN === 0) await sleep(0);
  }
  return { wrong, seen, missed: consumer.missed, from, to: consumer.position };
}

export default worker((args: BroadcastTask): Promise<Heard> => {
  if (args.task === "publish") return publish(args);
  if (args.task === "consume") return consume(args, (consumer, target) => consumer.read(target));
  return consume(args, (consumer, target) => consumer.readAsync(target));
});
