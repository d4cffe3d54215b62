/**
 * What a task costs in a pool: against messages, and against the pools of others.
 */
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { TaskPool } from "../mod.ts";
import type { Comparison, Subject } from "./harness.ts";
import { loopComparison } from "./loops.ts";
import { twoWords } from "./rings.ts";
import { type BenchPool, POOLS, whyNot } from "./pools/pools.ts";
import { summarizeSamples } from "../lib/cli/measure.ts";
import { workerCpus, workersPolicy } from "./threads.ts";
import { CPUS } from "./pools/pin.ts";

type Functions = typeof import("./pools/functions.ts");

/** Tasks one after the other. */
const ROUND_TRIPS = 4000;
const SPINNING_ROUND_TRIPS = 100_000;
/** A part of them is for compiling. */
const WARM_UP = 4;
/** Tasks to workers that sleep, and how long they are left alone before each. */
const SLEEPERS = 60;
const IDLE_MS = 5;
/** Tasks at once. */
const MANY = 100_000;

const FUNCTIONS = new URL("./pools/functions.ts", import.meta.url);

function openOurs(threads: number): Promise<TaskPool<Functions>> {
  return TaskPool.create<Functions>(FUNCTIONS, { threads, policy: workersPolicy(threads) });
}

async function ours(threads: number): Promise<BenchPool> {
  const pool = await openOurs(threads);
  return {
    add: (a, b) => pool.run("add", [a, b]),
    empty: () => pool.run("empty", []),
    where: () => pool.run("where", []),
    close: () => pool.close(),
  };
}

/** Measures a pool that is opened for it; NaN when a worker was not where it should be. */
async function inPool<Pool extends { close(): Promise<unknown> }>(
  threads: number,
  open: (threads: number) => Promise<Pool>,
  measure: (pool: Pool) => Promise<number>,
  where: (pool: Pool) => Promise<unknown>,
): Promise<number> {
  process.env[CPUS] = workerCpus(threads).join();
  const pool = await open(threads);
  try {
    const cost = await measure(pool);
    return workerCpus(threads).includes(await where(pool) as number) ? cost : NaN;
  } finally {
    await pool.close();
  }
}

/** Each pool in turn, numakit's first; the others with the reason where one does not run. */
function subjects(
  threads: number,
  measure: (pool: BenchPool) => Promise<number>,
  names: readonly string[] = Object.keys(POOLS),
): Subject[] {
  const where = (pool: BenchPool): Promise<unknown> => pool.where();
  const subject = (name: string, open: (threads: number) => Promise<BenchPool>): Subject => ({
    name,
    repeats: 1,
    self: () => inPool(threads, open, measure, where),
  });
  return [
    subject("TaskPool.run", ours),
    ...names.map((name): Subject => ({
      ...subject(name, POOLS[name] as NonNullable<typeof POOLS[string]>),
      whyNot: () => whyNot(name),
    })),
  ];
}

/** Nanoseconds of a task, one after the other. */
async function oneByOne({ add }: BenchPool): Promise<number> {
  for (let task = 0; task < ROUND_TRIPS / WARM_UP; task++) await add(task, 1);
  const start = performance.now();
  for (let task = 0; task < ROUND_TRIPS; task++) await add(task, 1);
  return (performance.now() - start) * 1e6 / ROUND_TRIPS;
}

/** The same while the worker has been asleep. */
async function asleep({ add }: { add(a: number, b: number): unknown }): Promise<number> {
  const times: number[] = [];
  for (let task = 0; task < 2 * SLEEPERS; task++) {
    await sleep(IDLE_MS);
    const start = performance.now();
    await add(task, 1);
    times.push((performance.now() - start) * 1e6);
  }
  return summarizeSamples(times.slice(SLEEPERS)).median;
}

/** Nanoseconds of a task when many are given at once. */
async function manyAtOnce({ empty }: BenchPool): Promise<number> {
  const run = async (count: number): Promise<void> => {
    await Promise.all(Array.from({ length: count }, empty));
  };
  await run(MANY / WARM_UP);
  const start = performance.now();
  await run(MANY);
  return (performance.now() - start) * 1e6 / MANY;
}

/** The caller blocks: no pool of others has this. */
function blocking(measure: (pool: TaskPool<Functions>) => Promise<number>): Subject {
  return {
    name: "TaskPool.runSync",
    repeats: 1,
    self: () => inPool(1, openOurs, measure, (pool) => pool.run("where", [])),
  };
}

/** Both threads spin. */
function spinning(pool: TaskPool<Functions>): Promise<number> {
  // A short loop in a function of its own, so that it is compiled before it is timed.
  const turn = (): void => {
    for (let task = 0; task < 1000; task++) pool.runSync("add", [task, 1]);
  };
  const turns = SPINNING_ROUND_TRIPS / 1000;
  for (let warm = 0; warm < turns / WARM_UP; warm++) turn();
  const start = performance.now();
  for (let timed = 0; timed < turns; timed++) turn();
  return Promise.resolve((performance.now() - start) * 1e6 / SPINNING_ROUND_TRIPS);
}

/** What is compared. */
export function comparisons(): Comparison[] {
  const pools = Object.keys(POOLS).filter((name) => name !== "postMessage");
  return [
    {
      name: "a task with two numbers to a waiting worker, one after the other",
      subjects: [blocking(spinning), twoWords(), ...subjects(1, oneByOne)],
    },
    {
      name: "a task with two numbers to a worker that sleeps",
      subjects: [
        blocking((pool) => asleep({ add: (a, b) => pool.runSync("add", [a, b]) })),
        ...subjects(1, asleep),
      ],
    },
    {
      name: `an empty task, ${MANY} at once, 2 workers`,
      subjects: subjects(2, manyAtOnce, pools),
    },
    loopComparison(),
  ];
}
