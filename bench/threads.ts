/**
 * How several threads are measured: started, pinned one after the other on the CPUs, let go together, stopped together.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CpuSet, launch, plan, Policy, topology } from "../mod.ts";
import type { Row, Subject } from "./harness.ts";
import { benchLibrary } from "./native.ts";
import type { LoopResult } from "./workers/loop.ts";
import { PHASE, type ThreadResult, type ThreadTask, WORDS, type Work } from "./workers/threads.ts";

/** CPUs for so many threads: the allowed ones in turn. */
export function cpusFor(threads: number): number[] {
  const cpus = [...topology().allowedCpus];
  return Array.from({ length: threads }, (_, index) => cpus[index % cpus.length] as number);
}

/** Where the workers of a pool go. One has the first CPU: the benchmark's own thread is on the last. */
export function workersPolicy(workers: number): Policy {
  return workers === 1
    ? Policy.bindCpus(CpuSet.of(topology().allowedCpus.first as number))
    : Policy.compact();
}

/** The CPUs that these are. */
export function workerCpus(workers: number): number[] {
  return plan(topology(), workersPolicy(workers), workers).map(({ cpus }) => cpus.first as number);
}

/** What is done under a lock, in steps of arithmetic. */
export const STEPS = 40;
/** How long threads are measured each time. */
const RUN_MS = 250;
/** Several threads' code takes its time to be compiled on few CPUs. */
const WARM_UP_MS = 400;

/** What came of a run. */
export interface ThreadsRun {
  readonly elapsedMs: number;
  /** One a thread. */
  readonly results: readonly ThreadResult[];
  /** Whether each thread ran where it was pinned. */
  readonly valid: boolean;
}

/**
 * Runs threads for so long.
 *
 * @param work What each of them does.
 * @param threads How many.
 * @param ms How long.
 * @returns What came of it.
 */
export async function runThreads(work: Work, threads: number, ms: number): Promise<ThreadsRun> {
  const words = new Int32Array(new SharedArrayBuffer(WORDS.words * 4));
  const cpus = cpusFor(threads);
  const running = cpus.map((cpu, index) =>
    launch<ThreadResult>(new URL("./workers/threads.ts", import.meta.url), {
      policy: Policy.bindCpus(CpuSet.of(cpu)),
      args: { work, index, words } satisfies ThreadTask,
    })
  );
  while (Atomics.load(words, WORDS.ready) < threads) await sleep(1);
  Atomics.store(words, WORDS.phase, PHASE.warmUp);
  Atomics.notify(words, WORDS.phase);
  await sleep(WARM_UP_MS);
  const start = performance.now();
  Atomics.store(words, WORDS.phase, PHASE.measure);
  await sleep(ms);
  Atomics.store(words, WORDS.phase, PHASE.stop);
  const elapsedMs = performance.now() - start;
  const results = await Promise.all(running.map((thread) => thread.join()));
  return { elapsedMs, results, valid: results.every(({ cpu }, index) => cpu === cpus[index]) };
}

/** Nanoseconds that an operation took, all threads together. */
export function costOf({ elapsedMs, results }: ThreadsRun): number {
  return elapsedMs * 1e6 / results.reduce((sum, { count }) => sum + count, 0);
}

function inThreads(name: string, count: number): string {
  return `${name}, ${count} thread${count === 1 ? "" : "s"}`;
}

/** Threads that do the same. */
export function threads(name: string, count: number, makeWork: () => Work): Subject {
  return {
    name: inThreads(name, count),
    repeats: 1,
    async self(): Promise<number> {
      const run = await runThreads(makeWork(), count, RUN_MS);
      return run.valid ? costOf(run) : NaN;
    },
  };
}

/** The same in C, with a lock of `C_KIND`. */
export function threadsInC(name: string, kind: number, count: number): Subject {
  const c = benchLibrary();
  const cpus = Int32Array.from(cpusFor(count));
  const counts = new BigUint64Array(count);
  return {
    name: `C ${inThreads(name, count)}`,
    repeats: 1,
    self(): number {
      const result = c.bench_lock_threads(kind, count, cpus, RUN_MS, STEPS, counts);
      if (result < 0) throw new Error(`${name} failed with errno ${-result}`);
      return RUN_MS * 1e6 / counts.reduce((sum, one) => sum + Number(one), 0);
    },
  };
}

/** Of one subject: its cost with so many threads over its cost with so many. */
export function scaling(rows: readonly Row[], subject: string, of: number, over: number): string {
  const median = (count: number): number =>
    rows.find((row) => row.subject === inThreads(subject, count))?.median ?? NaN;
  return `${subject}: ${of} threads do ${
    (median(over) / median(of)).toFixed(2)
  } times what ${over} does`;
}

/** Jain's fairness index of the threads' counts: 1 when all are equal, 1 / n when one had everything. */
export function jainIndex(counts: readonly number[]): number {
  const sum = counts.reduce((total, count) => total + count, 0);
  const squares = counts.reduce((total, count) => total + count * count, 0);
  return sum * sum / (counts.length * squares);
}

/**
 * What a loop costs in a thread of its own, on the CPU of the benchmarks.
 *
 * @param name What it is called in the table.
 * @param file The thread's module in `workers`, whose result is of `measureLoop`.
 * @param args What the thread is given.
 * @returns The subject.
 */
export function inOwnThread(name: string, file: string, args: object): Subject {
  return {
    name,
    repeats: 1,
    async self(): Promise<number> {
      const wanted = topology().allowedCpus.last as number;
      const module = new URL(`./workers/${file}`, import.meta.url);
      const policy = Policy.bindCpus(CpuSet.of(wanted));
      const { cost, cpu } = await launch<LoopResult>(module, { args, policy }).join();
      return cpu === wanted ? cost : NaN;
    },
  };
}
