import { setTimeout as sleep } from "node:timers/promises";
import { type DelegatedMap, worker } from "../../mod.ts";

/** What a thread is to do with a delegated map. */
export interface DelegatedTask {
  readonly task: "serve" | "ask" | "die while it serves";
  readonly map: DelegatedMap<number, number>;
  /** Words: how many threads serve, how many requests they have done, and whether they are to stop. */
  readonly state: Int32Array;
  readonly first: number;
  readonly count: number;
  readonly partition?: number;
}

/** Serves until it is told to stop. Returns 1. */
async function serve({ map, state, partition }: DelegatedTask): Promise<number> {
  const controller = new AbortController();
  const { signal } = controller;
  const served = map.serve(partition === undefined ? { signal } : { signal, partition });
  Atomics.add(state, 0, 1);
  while (Atomics.load(state, 2) === 0) await sleep(2);
  controller.abort();
  await served;
  return 1;
}

/** Adds to keys that all threads have in common, one by one and in batches; and sets keys of its own. */
async function ask({ map, first, count }: DelegatedTask): Promise<number> {
  for (let round = 0; round < count; round++) {
    await map.add(round % 10, 1);
    if (round % 4 > 0) continue;
    const keys = Array.from({ length: 20 }, (_, index) => first + index);
    await map.setMany(keys.map((key) => [key, key + round]));
    const found = await map.getMany(keys);
    if (found.some((value, index) => value !== first + index + round)) return -1;
    const all = await Promise.all(keys.map((key) => map.get(key)));
    if (all.some((value, index) => value !== first + index + round)) return -2;
  }
  map.leave();
  return count;
}

/** Serves for ever, and comes to its event loop now and then. */
async function dieWhileServing({ map, state, partition }: DelegatedTask): Promise<number> {
  const served = map.serve(partition === undefined ? {} : { partition });
  Atomics.add(state, 0, 1);
  await served;
  return 0;
}

const tasks = { serve, ask, "die while it serves": dieWhileServing };

export default worker((args: DelegatedTask): Promise<number> => tasks[args.task](args));
