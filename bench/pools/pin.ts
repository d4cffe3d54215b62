/**
 * Pins a worker of others' pools: each takes the next of the CPUs that the benchmark names. Threads that are started one
 * after the other have numbers that follow each other.
 */
import process from "node:process";
import { threadId } from "node:worker_threads";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { CpuSet } from "../../mod.ts";

/** The variable with the CPUs, separated by commas. */
export const CPUS = "BENCH_CPUS";

/** Pins this thread. */
export function pinWorker(): void {
  const cpus = (process.env[CPUS] ?? "0").split(",").map(Number);
  pinThread(CpuSet.of(cpus[threadId % cpus.length] as number));
}
