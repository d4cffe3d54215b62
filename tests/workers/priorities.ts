import { setTimeout as sleep } from "node:timers/promises";
import { type PriorityQueue, worker } from "../../mod.ts";

/** What a thread is to do with a queue. */
export interface PriorityTask {
  readonly task: "put and take" | "for ever";
  readonly queue: PriorityQueue;
  /** Of each number how often it was taken; of number 0 how many torn records. */
  readonly tally: Int32Array;
  readonly first: number;
  readonly count: number;
}

/** So many numbers before others may end the thread, where only an idle one can be ended. */
const TURN = 256;

const priorityOf = (number: number): number => (Math.imul(number, 0x9e3779b1) >>> 8) / 1000;

/** Puts a number in, as all words of a record. */
export function put(queue: PriorityQueue, number: number): boolean {
  return queue.push(priorityOf(number), new Int32Array(queue.recordWords).fill(number));
}

/** Takes a number out, and counts it. Says whether there was one. */
export function take({ queue, tally }: Pick<PriorityTask, "queue" | "tally">): boolean {
  const record = new Int32Array(queue.recordWords);
  const priority = queue.pop(record);
  if (priority === undefined) return false;
  const [number = 0] = record;
  const isWhole = record.every((word) => word === number) && priority === priorityOf(number);
  Atomics.add(tally, isWhole ? number : 0, 1);
  return true;
}

/** Puts its own numbers in, and takes as many out as it likes. The result is how many it has taken. */
async function putAndTake(task: PriorityTask): Promise<number> {
  const { queue, first, count } = task;
  let taken = 0;
  for (let number = first; number < first + count; number++) {
    while (!put(queue, number)) taken += Number(take(task));
    if (number % 3 !== 0) taken += Number(take(task));
    if (number % TURN === 0) await sleep(0);
  }
  while (take(task)) taken++;
  return taken;
}

/** Until it is terminated. */
async function forEver(task: PriorityTask): Promise<number> {
  const { queue, first, count } = task;
  for (let number = first; number < first + count; number++) {
    put(queue, number);
    take(task);
    if (number % TURN === 0) await sleep(0);
  }
  return count;
}

export default worker((task: PriorityTask): Promise<number> =>
  task.task === "for ever" ? forEver(task) : putAndTake(task)
);
