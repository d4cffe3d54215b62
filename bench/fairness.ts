/**
 * How evenly locks serve threads: Jain's index of the acquisitions, and the longest wait of all threads.
 */
import process from "node:process";
import { section } from "../lib/cli/topo.ts";
import { type Lock, Mutex, topology } from "../mod.ts";
import { EXCLUSIVE, sideFor } from "../tests/support/locks.ts";
import type { Row } from "./harness.ts";
import { jainIndex, runThreads, STEPS } from "./threads.ts";
import type { Work } from "./workers/threads.ts";

interface Subject {
  readonly name: string;
  readonly make: () => Lock | "naive";
  readonly threads: number;
}

/** Locks that are first come, first served are for threads with a CPU each; the lock to use is for more, too. */
function subjects(): Subject[] {
  const threads = topology().effectiveCpus;
  const { name, lock } = sideFor(Mutex);
  return [
    { name, make: lock, threads: 8 },
    { name: "SharedArrayBuffer and Atomics.wait", make: () => "naive", threads: 8 },
    { name, make: lock, threads },
    ...EXCLUSIVE.filter(({ row }) => row.overtaken === 0)
      .map(({ name, lock }) => ({ name, make: lock, threads })),
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
  for (const { name, make, threads } of subjects()) {
    const work: Work = { lock: make(), steps: STEPS, waits: true };
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
