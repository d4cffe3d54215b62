/**
 * Reads a map, in a thread of its own: what `bench/maps.ts` measures with two threads.
 */
import { currentCpu, type HashMap, worker, type WorkerFunction } from "../../mod.ts";
import { mixed } from "../mixed.ts";

/** What a thread does. */
export interface MapsTask {
  readonly map: HashMap<number, number>;
  /** Keys from 0 on. */
  readonly keys: number;
  readonly reads: number;
  /** Two words: how many are ready, and how many there are. */
  readonly gate: Int32Array;
}

/** What came of it. */
export interface MapsResult {
  /** Nanoseconds a read. */
  readonly cost: number;
  readonly cpu: number;
}

function read({ map, keys }: MapsTask, count: number): number {
  let sum = 0;
  for (let index = 0; index < count; index++) sum += map.get(mixed(index, keys)) ?? 0;
  return sum;
}

const body: WorkerFunction<MapsTask, MapsResult> = worker((task: MapsTask): MapsResult => {
  read(task, task.reads / 2);
  Atomics.add(task.gate, 0, 1);
  while (Atomics.load(task.gate, 0) < (task.gate[1] as number));
  const start = performance.now();
  const sum = read(task, task.reads);
  const cost = (performance.now() - start) * 1e6 / task.reads;
  if (sum < 0) throw new Error("not all keys were there");
  return { cost, cpu: currentCpu() };
});
export default body;
