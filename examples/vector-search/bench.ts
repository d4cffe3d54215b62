/**
 * Measures the search and what it is compared with, on each runtime, one after the other; prints medians.
 *
 * Usage: bench.ts [--runs 5] [--vectors 200000] [--queries 100] [--threads 2]
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type Command, machine, median, RUNTIMES, table } from "../figures.ts";
import type { Run } from "./report.ts";

const SEARCHES = {
  "one thread": ["before/one_thread.ts"],
  "worker_threads with copies": ["before/threads.ts"],
  "`TaskPool`, JavaScript": ["main.ts", "--kernel", "js"],
  "`TaskPool`, WebAssembly": ["main.ts"],
} as const;
/** Bytes of output that are read: answers are in it. */
const MAX_OUTPUT = 2 ** 26;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    vectors: { type: "string", default: "200000" },
    queries: { type: "string", default: "100" },
    threads: { type: "string", default: "2" },
  },
});

async function measure([program, ...flags]: Command, search: readonly string[]): Promise<Run> {
  const [file = "", ...more] = search;
  const path = fileURLToPath(new URL(file, import.meta.url));
  const options = ["--json", "--vectors", values.vectors, "--queries", values.queries];
  options.push("--threads", values.threads, ...more);
  const command = [...flags, path, ...options];
  const { stdout } = await promisify(execFile)(program, command, { maxBuffer: MAX_OUTPUT });
  return JSON.parse(stdout) as Run;
}

console.log(machine());
const runs: Map<string, Run[]> = new Map();
for (let run = 0; run < Number(values.runs); run++) {
  for (const [runtime, command] of Object.entries(RUNTIMES)) {
    for (const [name, search] of Object.entries(SEARCHES)) {
      const row = `${runtime}|${name}`;
      runs.set(row, [...runs.get(row) ?? [], await measure(command, search)]);
    }
  }
}
const rows = Array.from(runs, ([row, figures]) => {
  const of = (name: "queriesPerSecond" | "medianMs" | "memoryMiB"): number =>
    median(figures.map((one) => one[name]));
  return [
    ...row.split("|"),
    of("queriesPerSecond").toFixed(0),
    of("medianMs").toFixed(2),
    of("memoryMiB").toFixed(0),
  ];
});
console.log(`\n${table(["runtime", "search", "queries/s", "ms", "MiB"], rows)}`);
