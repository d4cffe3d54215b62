/**
 * A thread that reads in one way, what nobody writes meanwhile.
 */
import { NodeArray, Replicated, worker, type WorkerFunction } from "../../mod.ts";
import { CounterCore } from "../../lib/sync/counters/counter_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Crew } from "../../tests/support/crew.ts";
import { type LoopResult, measureLoop, sink } from "./loop.ts";

const BATCH = 4096;
const SHARDS = 64;

function numbers(): NodeArray<"float64"> {
  return NodeArray.create({ type: "float64", length: BATCH });
}

function sumOf(numbers: Float64Array): number {
  let sum = 0;
  for (let index = 0; index < numbers.length; index++) sum += numbers[index] as number;
  return sum;
}

/** Ways to read: each a loop, written out as a user's would be. */
const WAYS = {
  get(): () => void {
    const array = numbers();
    return () => {
      let sum = 0;
      for (let index = 0; index < BATCH; index++) sum += array.get(index);
      sink.value = sum;
    };
  },
  partitions(): () => void {
    const array = numbers();
    return () => {
      let sum = 0;
      for (const { view } of array.partitions()) sum += sumOf(view);
      sink.value = sum;
    };
  },
  values(): () => void {
    const array = numbers();
    return () => {
      let sum = 0;
      for (const { view } of array.partitions()) for (const value of view) sum += value;
      sink.value = sum;
    };
  },
  array(): () => void {
    const array = new Float64Array(BATCH);
    return () => {
      sink.value = sumOf(array);
    };
  },
  arrayValues(): () => void {
    const array = new Float64Array(BATCH);
    return () => {
      let sum = 0;
      for (const value of array) sum += value;
      sink.value = sum;
    };
  },
  read(): () => void {
    const replicated = Replicated.create({ size: BATCH });
    return () => {
      let sum = 0;
      for (let index = 0; index < BATCH; index++) {
        sum += replicated.read((bytes) => bytes[index] as number);
      }
      sink.value = sum;
    };
  },
  local(): () => void {
    const { bytes } = Replicated.create({ size: BATCH }).local();
    return () => {
      let sum = 0;
      for (let index = 0; index < BATCH; index++) sum += bytes[index] as number;
      sink.value = sum;
    };
  },
  bytes(): () => void {
    const bytes = new Uint8Array(BATCH);
    return () => {
      let sum = 0;
      for (let index = 0; index < BATCH; index++) sum += bytes[index] as number;
      sink.value = sum;
    };
  },
  counter(): () => void {
    const shape = { threads: SHARDS, domains: 1 };
    const words = new Int32Array(new SharedArrayBuffer(CounterCore.words(shape) * 4));
    const crew = new Crew();
    for (let slot = 0; slot < SHARDS; slot++) {
      new CounterCore(words, shape).add(crew.member(slot), 1);
    }
    const counter = new CounterCore(words, shape);
    return () => {
      let sum = 0;
      for (let index = 0; index < BATCH; index++) sum += counter.value();
      sink.value = sum;
    };
  },
  words(): () => void {
    const words = new Int32Array(new SharedArrayBuffer(SHARDS * LINE_WORDS * 4));
    return () => {
      let sum = 0;
      for (let index = 0; index < BATCH; index++) {
        for (let word = 0; word < words.length; word += LINE_WORDS) {
          sum += Atomics.load(words, word);
        }
      }
      sink.value = sum;
    };
  },
} as const;

/** What a thread is given. */
export interface ReadsTask {
  readonly what: keyof typeof WAYS;
}

const body: WorkerFunction<ReadsTask, LoopResult> = worker(({ what }) =>
  measureLoop(WAYS[what](), BATCH)
);
export default body;
