/**
 * How evenly locks serve threads: Jain's index of the acquisitions, and the longest wait of all threads.
 */
import process from "node:process";
import { section } from "../lib/cli/topo.ts";
import { McsLock, Mutex, TicketLock, topology } from "../mod.ts";
import type { Row } from "./harness.ts";
import { jainIndex, runThreads } from "./threads.ts";
import type { Work } from "./workers/threads.ts";

const STEPS = 40;

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
const LOCKS = {
  Mutex: () => Mutex.create(shared(Mutex.bytes())),
  McsLock: () => McsLock.create(shared(McsLock.bytes())),
  TicketLock: () => TicketLock.create(shared(TicketLock.bytes())),
  "SharedArrayBuffer and Atomics.wait": () => "naive" as const,
};

/** A lock for so many threads: queue locks are for a CPU each. */
function subjects(): { name: keyof typeof LOCKS; threads: number }[] {
  const cpus = topology().effectiveCpus;
  return [
    { name: "Mutex", threads: 8 },
    { name: "SharedArrayBuffer and Atomics.wait", threads: 8 },
    { name: "Mutex", threads: cpus },
    { name: "McsLock", threads: cpus },
    { name: "TicketLock", threads: cpus },
  ];
}

/**
 * Measures each lock, and prints a table.
 *
 * @param ms How long.
 * @returns Rows of Jain's index and of the longest wait.
 */
export async function measureFairness(ms: number): Promise<Row[]> {
  const rows: Row[] = [];
  const cells: string[][] = [];
  for (const { name, threads } of subjects()) {
    const work: Work = { lock: LOCKS[name](), steps: STEPS, waits: true };
    const { results, valid } = await runThreads(work, threads, ms);
    const jain = jainIndex(results.map(({ count }) => count));
    const longest = Math.max(...results.map(({ longestWaitMs }) => longestWaitMs));
    const subject = `${name}, ${threads} threads`;
    const row = (what: string, unit: Row["unit"], value: number): Row => ({
      ...{ suite: "fairness", name: what, subject, unit, valid },
      ...{ median: value, p10: value, p90: value, samples: 1, raw: [value] },
    });
    rows.push(row("Jain index", "share", jain), row("longest wait", "ms", longest));
    cells.push([subject, jain.toFixed(4), `${longest.toFixed(1)} ms`, valid ? "yes" : "NO"]);
  }
  const head = ["", "Jain index", "longest wait", "valid"];
  process.stdout.write(`${section(`fairness over ${ms / 1000} s`, head, cells)}\n`);
  return rows;
}
