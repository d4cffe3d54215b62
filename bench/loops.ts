/**
 * What a parallel loop gains: against one thread, and against two threads with a half each.
 */
import { CpuSet, launch, parallelFor, Policy, TaskPool } from "../mod.ts";
import type { Comparison, Subject } from "./harness.ts";
import { workerCpus, workersPolicy } from "./threads.ts";
import { AT, type HalfTask } from "./workers/loop_halves.ts";
import { mapRange } from "./workers/loop_functions.ts";

type Functions = typeof import("./workers/loop_functions.ts");

/** Numbers that are changed in place: 800 MB. */
const LENGTH = 1e8;
const THREADS = 2;

let shared: Float64Array<SharedArrayBuffer> | undefined;

/** The numbers, the same ones for all. */
function numbers(): Float64Array<SharedArrayBuffer> {
  return shared ??= new Float64Array(new SharedArrayBuffer(LENGTH * 8)).fill(2);
}

function timed_ms(run: () => void): number {
  const start = performance.now();
  run();
  return performance.now() - start;
}

async function inPool(): Promise<number> {
  const values = numbers();
  const policy = workersPolicy(THREADS);
  const module = new URL("./workers/loop_functions.ts", import.meta.url);
  const pool = await TaskPool.create<Functions>(module, { threads: THREADS, policy });
  try {
    const all = { begin: 0, end: LENGTH };
    await parallelFor(pool, all, "map", { args: [values] });
    const start = performance.now();
    await parallelFor(pool, all, "map", { args: [values] });
    return performance.now() - start;
  } finally {
    await pool.close();
  }
}

/** In the benchmark's own thread, on the last CPU. */
function inOneThread(): number {
  const values = numbers();
  // As in the others: what runs once is compiled in the middle of it.
  for (let at = 0; at < LENGTH / 10; at += LENGTH / 1000) mapRange(values, at, at + LENGTH / 1000);
  return timed_ms(() => mapRange(values, 0, LENGTH));
}

/** A half for each of two threads, and no more: what one would write by hand. */
async function inHalves(): Promise<number> {
  const words = new Int32Array(new SharedArrayBuffer(AT.words * 4));
  const cpus = workerCpus(THREADS);
  const threads = cpus.map((cpu, index) =>
    launch<number>(new URL("./workers/loop_halves.ts", import.meta.url), {
      policy: Policy.bindCpus(CpuSet.of(cpu)),
      args: {
        ...{ values: numbers(), words, threads: THREADS },
        ...{ begin: index * LENGTH / THREADS, end: (index + 1) * LENGTH / THREADS },
      } satisfies HalfTask,
    })
  );
  const times = await Promise.all(threads.map((thread) => thread.join()));
  return Math.max(...times);
}

/** Of one subject, in milliseconds. */
function subject(name: string, self: () => number | Promise<number>): Subject {
  return { name, repeats: 1, self };
}

/** The comparison. */
export function loopComparison(): Comparison {
  return {
    name: `${LENGTH.toExponential(0)} float64 changed in place, ${THREADS} CPUs`,
    unit: "ms",
    subjects: [
      subject("parallelFor", inPool),
      subject("one thread", inOneThread),
      subject("a half for each of two threads", inHalves),
    ],
  };
}
