/**
 * What a deque and a priority queue cost: against an array, and a heap in one.
 */
import { Deque, PriorityQueue } from "../mod.ts";
import { type Comparison, sink, type Subject } from "./harness.ts";
import { mixed } from "./mixed.ts";

const PAIRS = 500;
/** Entries that a priority queue has meanwhile. */
const ENTRIES = 10_000;
const PRIORITIES = 1 << 20;

const newDeque = (): Deque => Deque.create(new SharedArrayBuffer(Deque.bytes()));

/** The loops are written out, as a user's would be. */
function deques(): Comparison[] {
  const own = newDeque();
  const stolen = newDeque();
  const array: number[] = [];
  const pop: Subject = {
    name: "Deque",
    operations: PAIRS,
    batch(): void {
      let sum = 0;
      for (let index = 0; index < PAIRS; index++) {
        own.pushWord(index);
        sum += own.popWord() as number;
      }
      sink.value = sum;
    },
  };
  const steal: Subject = {
    name: "Deque",
    operations: PAIRS,
    batch(): void {
      let sum = 0;
      for (let index = 0; index < PAIRS; index++) {
        stolen.pushWord(index);
        sum += stolen.stealWord() as number;
      }
      sink.value = sum;
    },
  };
  const arrays: Subject = {
    name: "an array",
    operations: PAIRS,
    batch(): void {
      let sum = 0;
      for (let index = 0; index < PAIRS; index++) {
        array.push(index);
        sum += array.pop() as number;
      }
      sink.value = sum;
    },
  };
  return [
    { name: "a record pushed and popped", subjects: [pop, arrays] },
    { name: "a record pushed and stolen, in one thread", subjects: [steal, arrays] },
  ];
}

/** A binary heap in typed arrays, which no other thread can use. */
class ArrayHeap {
  readonly #priorities = new Float64Array(2 * ENTRIES);
  readonly #words = new Int32Array(2 * ENTRIES);
  #length = 0;

  push(priority: number, word: number): void {
    let at = this.#length++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#priorities[parent] as number) <= priority) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#priorities[at] = priority;
    this.#words[at] = word;
  }

  pop(): number {
    const first = this.#words[0] as number;
    const last = --this.#length;
    const priority = this.#priorities[last] as number;
    let at = 0;
    for (let child = 1; child < last; child = 2 * at + 1) {
      const right = child + 1;
      if (
        right < last && (this.#priorities[right] as number) < (this.#priorities[child] as number)
      ) {
        child = right;
      }
      if ((this.#priorities[child] as number) >= priority) break;
      this.#move(child, at);
      at = child;
    }
    this.#priorities[at] = priority;
    this.#words[at] = this.#words[last] as number;
    return first;
  }

  #move(from: number, to: number): void {
    this.#priorities[to] = this.#priorities[from] as number;
    this.#words[to] = this.#words[from] as number;
  }
}

function queueOf(heaps: number): PriorityQueue {
  const options = { capacity: 2 ** 16, heaps };
  const queue = PriorityQueue.create(new SharedArrayBuffer(PriorityQueue.bytes(options)), options);
  for (let index = 0; index < ENTRIES; index++) queue.pushWord(mixed(index, PRIORITIES), index);
  return queue;
}

function priorities(): Comparison {
  const strict = queueOf(1);
  const relaxed = queueOf(8);
  const heap = new ArrayHeap();
  for (let index = 0; index < ENTRIES; index++) heap.push(mixed(index, PRIORITIES), index);
  let from = ENTRIES;
  return {
    name: `an entry pushed and the first one popped, of ${ENTRIES}`,
    subjects: [
      {
        name: "PriorityQueue",
        operations: PAIRS,
        batch(): void {
          let sum = 0;
          for (let index = 0; index < PAIRS; index++) {
            strict.pushWord(mixed(from++, PRIORITIES), index);
            sum += strict.popWord() as number;
          }
          sink.value = sum;
        },
      },
      {
        name: "PriorityQueue, 8 heaps",
        operations: PAIRS,
        batch(): void {
          let sum = 0;
          for (let index = 0; index < PAIRS; index++) {
            relaxed.pushWord(mixed(from++, PRIORITIES), index);
            sum += relaxed.popWord() as number;
          }
          sink.value = sum;
        },
      },
      {
        name: "a heap in typed arrays of one thread",
        operations: PAIRS,
        batch(): void {
          let sum = 0;
          for (let index = 0; index < PAIRS; index++) {
            heap.push(mixed(from++, PRIORITIES), index);
            sum += heap.pop();
          }
          sink.value = sum;
        },
      },
    ],
  };
}

/** What is compared. */
export function comparisons(): Comparison[] {
  return [...deques(), priorities()];
}
