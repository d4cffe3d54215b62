/**
 * Reads a map, in a thread of its own: what `bench/maps.ts` measures with two threads, beside what the machine gives two
 * threads at most.
 */
import { currentCpu, type HashMap, worker, type WorkerFunction } from "../../mod.ts";
import { mixed } from "../mixed.ts";

/** What a thread does. */
export interface MapsTask {
  /** Reads the map, or an array as large as the map, or computes without any memory. */
  readonly what: "map" | "array" | "steps";
  readonly map: HashMap<number, number>;
  /** Keys from 0 on. */
  readonly keys: number;
  /** How many reads or steps. */
  readonly count: number;
  /** Two words: how many are ready, and how many there are. */
  readonly gate: Int32Array;
}

/** What came of it. */
export interface MapsResult {
  /** Nanoseconds a read, or a step. */
  readonly cost: number;
  readonly cpu: number;
}

/** Bytes of a map for each of its keys. */
const KEY_BYTES = 24;
const LINE_WORDS = 16;

/** Functions that do so many. */
const DOING = {
  map({ map, keys }: MapsTask): (count: number) => number {
    return (count) => {
      let sum = 0;
      for (let index = 0; index < count; index++) sum += map.get(mixed(index, keys)) ?? 0;
      return sum;
    };
  },
  /** A word of each cache line, in no order. */
  array({ keys }: MapsTask): (count: number) => number {
    const lines = Math.ceil(keys * KEY_BYTES / (4 * LINE_WORDS));
    const words = new Int32Array(lines * LINE_WORDS).fill(1);
    return (count) => {
      let sum = 0;
      for (let index = 0; index < count; index++) {
        sum += words[mixed(index, lines) * LINE_WORDS] as number;
      }
      return sum;
    };
  },
  /** Each needs the one before. */
  steps(): (count: number) => number {
    return (count) => {
      let value = 1;
      for (let index = 0; index < count; index++) {
        value = Math.imul(value, 1664525) + 1013904223 | 0;
      }
      return value >>> 31;
    };
  },
} as const;

/** For compiling, in calls that are short: what is compiled in the middle of a long one is worse. */
const WARM_UPS = 200;

const body: WorkerFunction<MapsTask, MapsResult> = worker((task: MapsTask): MapsResult => {
  const { what, count, gate } = task;
  const run = DOING[what](task);
  for (let round = 0; round < WARM_UPS; round++) run(count / WARM_UPS);
  Atomics.add(gate, 0, 1);
  while (Atomics.load(gate, 0) < (gate[1] as number));
  const start = performance.now();
  let sum = 0;
  for (let round = 0; round < WARM_UPS; round++) sum += run(count / WARM_UPS);
  const cost = (performance.now() - start) * 1e6 / count;
  if (sum < 0) throw new Error("not all keys were there");
  return { cost, cpu: currentCpu() };
});
export default body;
