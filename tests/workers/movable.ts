// Threads that are moved, grouped and started again: for tests/sched/.
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort } from "node:worker_threads";
import { currentCpu, topology, unpinned, worker } from "../../mod.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { onDeno } from "../support/checkout.ts";

/** Words that a movable thread shares with its launcher. */
export const WORD = { started: 0, stop: 1, cpu: 2, runs: 3 } as const;

export interface MovableTask {
  readonly task: "spin" | "idle" | "inside" | "value" | "fail" | "once" | "leave" | "short";
  readonly words?: Int32Array<SharedArrayBuffer>;
  readonly value?: number;
}

/** What a thread says of itself at its end. */
export interface Where {
  readonly affinity: string;
  readonly nested: string;
  readonly allowed: string;
}

function where(): Where {
  return {
    affinity: threadAffinity().toString(),
    nested: unpinned(() => threadAffinity().toString()),
    allowed: topology().allowedCpus.toString(),
  };
}

function begin(words: Int32Array | undefined): Int32Array {
  const mine = words ?? new Int32Array(4);
  Atomics.add(mine, WORD.runs, 1);
  Atomics.store(mine, WORD.started, 1);
  return mine;
}

/** Never comes to its event loop, until it is told to stop. */
function spin(words: Int32Array): void {
  while (Atomics.load(words, WORD.stop) === 0) Atomics.store(words, WORD.cpu, currentCpu() + 1);
}

async function idle(words: Int32Array): Promise<void> {
  while (Atomics.load(words, WORD.stop) === 0) await sleep(1);
}

export default worker(async (given: MovableTask | undefined): Promise<unknown> => {
  const { task, words: shared, value } = given ?? { task: "value", value: 5 };
  if (onDeno && task === "value") await sleep(0);
  const words = begin(shared);
  switch (task) {
    case "spin":
      spin(words);
      return where();
    case "idle":
      await idle(words);
      return where();
    case "inside":
      unpinned(() => spin(words));
      await sleep(20);
      return where();
    case "value":
      parentPort?.postMessage(value);
      return value;
    case "short":
      await sleep(value);
      return value;
    case "fail":
      // Not before it is let.
      while (shared !== undefined && Atomics.load(words, WORD.cpu) === 0) await sleep(1);
      parentPort?.postMessage(value);
      throw new RangeError(`failed ${value}`);
    case "once":
      // The first run fails, those after it do not.
      if (Atomics.load(words, WORD.runs) === 1) throw new RangeError("the first one");
      return Atomics.load(words, WORD.runs);
    case "leave":
      process.exit(3);
  }
});
