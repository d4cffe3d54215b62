/**
 * Measures the pipeline and what it is compared with, on each runtime, one after the other; prints medians.
 *
 * Usage: bench.ts [--runs 5] [--lines 1000000] [--threads 1]
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type Command, machine, median, RUNTIMES, table } from "../figures.ts";
import type { Run } from "./report.ts";

const PIPELINES = {
  "messages of objects": ["before/main.ts"],
  "messages that transfer buffers": ["before/main.ts", "--buffers"],
  "a channel and rings": ["main.ts"],
} as const;

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "5" },
    lines: { type: "string", default: "1000000" },
    threads: { type: "string", default: "1" },
  },
});

async function measure([program, ...flags]: Command, pipeline: readonly string[]): Promise<Run> {
  const [file = "", ...more] = pipeline;
  const path = fileURLToPath(new URL(file, import.meta.url));
  const options = ["--json", "--lines", values.lines, "--threads", values.threads, ...more];
  const { stdout } = await promisify(execFile)(program, [...flags, path, ...options]);
  return JSON.parse(stdout) as Run;
}

console.log(machine());
const runs: Map<string, Run[]> = new Map();
for (let run = 0; run < Number(values.runs); run++) {
  for (const [runtime, command] of Object.entries(RUNTIMES)) {
    for (const [name, pipeline] of Object.entries(PIPELINES)) {
      const row = `${runtime}|${name}`;
      runs.set(row, [...runs.get(row) ?? [], await measure(command, pipeline)]);
    }
  }
}
const rows = Array.from(runs, ([row, figures]) => [
  ...row.split("|"),
  ...(["linesPerSecond", "memoryMiB"] as const).map((name) =>
    median(figures.map((one) => one[name])).toFixed(0)
  ),
]);
console.log(`\n${table(["runtime", "stages joined by", "lines/s", "MiB"], rows)}`);
