import { setTimeout as sleep } from "node:timers/promises";
import { type Deque, worker } from "../../mod.ts";

/** What a thread is to do with a deque. */
export interface DequeTask {
  readonly task: "own" | "steal" | "push once" | "adopt";
  readonly deque: Deque;
  /** Of each number how often it was taken. The first one is 1. */
  readonly tally: Int32Array;
  /** Words that tell how far they are: {@linkcode PUSHED}, {@linkcode STOP}. */
  readonly flags: Int32Array;
}

/** The number that was pushed last. */
export const PUSHED = 0;
/** Whether those who steal may end once the deque is empty. */
export const STOP = 1;
/** How many threads are at it. */
export const READY = 2;

/** So many numbers before others may end the thread, where only an idle one can be ended. */
const TURN = 256;

/** Pushes a number, as all words of a record. */
export function push(deque: Deque, number: number): boolean {
  const size = deque.recordWords;
  return size === 1 ? deque.pushWord(number) : deque.push(new Int32Array(size).fill(number));
}

/** Counts a number that was taken; a torn record as number 0. */
function count(tally: Int32Array, record: Int32Array): number {
  const [number = 0] = record;
  const isWhole = record.every((word) => word === number);
  Atomics.add(tally, isWhole ? number : 0, 1);
  return number;
}

/** Pops a number and counts it. Says whether there was one. */
export function pop({ deque, tally }: Pick<DequeTask, "deque" | "tally">): boolean {
  const record = new Int32Array(deque.recordWords);
  if (deque.recordWords === 1) {
    const word = deque.popWord();
    if (word === undefined) return false;
    record[0] = word;
  } else if (!deque.pop(record)) return false;
  count(tally, record);
  return true;
}

/** Pushes all numbers, and pops some of them. */
async function own(task: DequeTask): Promise<number> {
  const { deque, tally, flags } = task;
  let popped = 0;
  for (let number = 1; number < tally.length; number++) {
    while (!push(deque, number)) popped += Number(pop(task));
    Atomics.store(flags, PUSHED, number);
    // Often down to the last record.
    for (let times = number % 7 === 0 ? 5 : number % 2; times > 0; times--) {
      popped += Number(pop(task));
    }
    if (number % TURN === 0) await sleep(0);
  }
  while (pop(task)) popped++;
  Atomics.store(flags, STOP, 1);
  return popped;
}

/** Steals until it is told to stop, and there is nothing left. The result is how many it has got, or what is wrong. */
async function steal({ deque, tally, flags }: DequeTask): Promise<number> {
  const record = new Int32Array(deque.recordWords);
  let stolen = 0;
  let last = 0;
  Atomics.add(flags, READY, 1);
  for (let turn = 1;; turn++) {
    const isLast = Atomics.load(flags, STOP) !== 0;
    let result = "taken";
    if (deque.recordWords === 1) {
      const word = deque.stealWord();
      if (word === undefined) result = "empty";
      else record[0] = word;
    } else result = deque.steal(record);
    if (result === "taken") {
      stolen++;
      const number = count(tally, record);
      // What is older goes first.
      if (number <= last) return -number;
      last = number;
    } else if (result === "empty" && isLast) return stolen;
    if (turn % TURN === 0) await sleep(0);
  }
}

/** Becomes the owner as soon as there is none, and pops. */
async function adopt({ deque, flags }: DequeTask): Promise<number> {
  Atomics.add(flags, READY, 1);
  while (!deque.adopt()) await sleep(1);
  return deque.popWord() ?? 0;
}

export default worker((task: DequeTask): Promise<number> | number => {
  if (task.task === "own") return own(task);
  if (task.task === "steal") return steal(task);
  if (task.task === "adopt") return adopt(task);
  return Number(push(task.deque, 7));
});
