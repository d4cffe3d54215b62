/**
 * Runs suites on the runtime this is started with, and prints a table: bench/run.ts SUITE... [--quick] [--json FILE]
 */
import { writeFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { section } from "../lib/cli/topo.ts";
import { compare, describeRun, FULL, QUICK, type Row } from "./harness.ts";
import { measureFairness } from "./fairness.ts";
import { comparisons as memory } from "./memory.ts";
import { comparisons as readers, summary as readersSummary } from "./readers.ts";
import { comparisons as slab } from "./slab.ts";
import { comparisons as start } from "./start.ts";
import { comparisons as sync, summary as syncSummary } from "./sync.ts";

/** What each suite compares. */
const COMPARISONS = { memory, readers, slab, start, sync };
/** What some of them say in the end. */
const SUMMARIES: Partial<Record<keyof typeof COMPARISONS, (rows: readonly Row[]) => string[]>> = {
  readers: readersSummary,
  sync: syncSummary,
};
const SUITES = [...Object.keys(COMPARISONS), "fairness"];

function table(name: string, rows: readonly Row[]): string {
  const ratios = new Map(rows.map(({ opponent, ratio }) => [opponent, ratio]));
  const ours = rows.find(({ opponent }) => opponent !== undefined) as Row;
  const shown = [ours, ...rows.filter(({ opponent }) => opponent === undefined)];
  return section(
    name,
    ["", "median", "p10 to p90", "of numakit's", "valid"],
    shown.map((row) => [
      row.subject,
      `${row.median.toFixed(2)} ${row.unit}`,
      `${row.p10.toFixed(2)} to ${row.p90.toFixed(2)}`,
      row === ours ? "" : `${ratios.get(row.subject)?.toFixed(2)} times`,
      row.valid ? "yes" : "NO",
    ]),
  );
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { quick: { type: "boolean", default: false }, json: { type: "string" } },
});
const unknown = positionals.filter((name) => !SUITES.includes(name));
if (unknown.length > 0 || positionals.length === 0) {
  process.stderr.write(
    `bench: give suites of ${SUITES.join(", ")}, not "${unknown}"\n`,
  );
  process.exit(2);
}
const results: Row[] = [];
for (const suite of positionals) {
  if (suite === "fairness") {
    results.push(...await measureFairness(values.quick ? 1000 : 10_000));
    continue;
  }
  const known = suite as keyof typeof COMPARISONS;
  for (const comparison of COMPARISONS[known]()) {
    const rows = await compare(suite, comparison, values.quick ? QUICK : FULL);
    process.stdout.write(`${table(`${suite}: ${comparison.name}`, rows)}\n`);
    results.push(...rows);
  }
  const lines = SUMMARIES[known]?.(results) ?? [];
  for (const line of lines) process.stdout.write(`${line}\n`);
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ ...describeRun(), results }, null, 2)}\n`);
}
