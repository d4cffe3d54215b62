/**
 * Runs suites on the runtime this is started with, and prints tables:
 * bench/run.ts SUITE... [--quick] [--only TEXT] [--json FILE]
 */
import { writeFileSync } from "node:fs";
import { loadavg } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { section } from "../lib/cli/topo.ts";
import { ALONE, measureAlone } from "./alone.ts";
import { ancestorRows, ancestorTable, comparisons as ancestor } from "./ancestor.ts";
import { compare, type Comparison, describeRun, FULL, QUICK, type Row } from "./harness.ts";
import { comparisons as channels } from "./channels.ts";
import { measureFairness } from "./fairness.ts";
import { comparisons as caches } from "./caches.ts";
import { measureGrowth } from "./growth.ts";
import { comparisons as maps } from "./maps.ts";
import { comparisons as memory } from "./memory.ts";
import { comparisons as ordered } from "./ordered.ts";
import { comparisons as queues } from "./queues.ts";
import { comparisons as readers, summary as readersSummary } from "./readers.ts";
import { comparisons as rings } from "./rings.ts";
import { comparisons as slab } from "./slab.ts";
import { comparisons as start } from "./start.ts";
import { comparisons as sync, summary as syncSummary } from "./sync.ts";
import { comparisons as tasks } from "./tasks.ts";

/** What each suite compares. */
const COMPARISONS = {
  ...{
    ancestor,
    caches,
    channels,
    maps,
    memory,
    ordered,
    queues,
    readers,
    rings,
    slab,
    start,
    sync,
    tasks,
  },
};
/** What some of them say in the end. */
const SUMMARIES: Partial<Record<keyof typeof COMPARISONS, (rows: readonly Row[]) => string[]>> = {
  ancestor: ancestorTable,
  readers: readersSummary,
  sync: syncSummary,
};
/** A row whose 90th percentile is so many times its 10th says little. */
const MAX_SPREAD = 2;
/** Rows that follow from others. */
const DERIVED: Partial<Record<keyof typeof COMPARISONS, (rows: readonly Row[]) => Row[]>> = {
  ancestor: ancestorRows,
};
/** What is not made of comparisons; they print their tables themselves. */
const OTHERS: Readonly<Record<string, (quick: boolean) => Promise<Row[]>>> = {
  fairness: (quick) => measureFairness(quick ? 1000 : 10_000),
  growth: measureGrowth,
};
const SUITES = [...Object.keys(COMPARISONS), ...Object.keys(OTHERS)];

/** A figure with a unit that suits it. */
function shown(value: number, unit: Row["unit"]): string {
  return unit === "ns" && value >= 1e6
    ? `${(value / 1e6).toFixed(1)} ms`
    : `${value.toFixed(2)} ${unit}`;
}

/** Why a row's figure is not to be relied on; "" when it is. */
function doubt({ valid, p10, p90, missing }: Row): string {
  if (missing !== undefined) return missing;
  if (!valid) return "a thread was not where it was pinned";
  return p90 > MAX_SPREAD * p10 ? "noisy" : "";
}

function table(name: string, rows: readonly Row[]): string {
  const ratios = new Map(rows.map(({ opponent, ratio }) => [opponent, ratio]));
  const ours = rows.find(({ opponent }) => opponent !== undefined) as Row;
  const all = [ours, ...rows.filter(({ opponent }) => opponent === undefined)];
  const isNoisy = (row: Row): boolean => doubt(ours) !== "" || doubt(row) !== "";
  return section(
    name,
    [
      "",
      "median",
      "p10 to p90",
      ours.subject.startsWith("C ") ? "of the first" : "of numakit's",
      "",
    ],
    all.map((row) => [
      row.subject,
      row.missing === undefined ? shown(row.median, row.unit) : "",
      row.missing === undefined ? `${shown(row.p10, row.unit)} to ${shown(row.p90, row.unit)}` : "",
      row === ours || isNoisy(row) ? "" : `${ratios.get(row.subject)?.toFixed(2)} times`,
      doubt(row),
    ]),
  );
}

/** What was measured, and where. */
function header(): string {
  const { machine, versions } = describeRun();
  const runtime = Object.entries(versions).map(([name, version]) => `${name} ${version}`).join(
    ", ",
  );
  const { cpu, effectiveCpus, nodes } = machine;
  const count = (of: number, what: string) => `${of} ${what}${of === 1 ? "" : "s"}`;
  return `${runtime}; ${cpu}, ${count(effectiveCpus, "CPU")}, ${count(nodes, "node")}; ` +
    `load ${(loadavg()[0] as number).toFixed(1)}; ${new Date().toISOString().slice(0, 10)}`;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", default: "" },
    json: { type: "string" },
    /** The number of a comparison of the suite: it is measured in this process, and nothing is printed. */
    [ALONE.slice(2)]: { type: "string" },
  },
});
const unknown = positionals.filter((name) => !SUITES.includes(name));
if (unknown.length > 0 || positionals.length === 0) {
  const given = positionals.length === 0
    ? "none was given"
    : `there is no "${unknown.join('", "')}"`;
  process.stderr.write(`bench: ${given}; the suites are ${SUITES.join(", ")}\n`);
  process.exit(2);
}
/** Runs a suite, and prints what came of it. */
async function run(suite: string): Promise<Row[]> {
  const other = OTHERS[suite];
  if (other !== undefined) return await other(values.quick);
  const known = suite as keyof typeof COMPARISONS;
  const all: Row[] = [];
  for (const [index, { name }] of COMPARISONS[known]().entries()) {
    if (!name.includes(values.only)) continue;
    const rows = measureAlone(suite, index, values.quick ? ["--quick"] : []);
    process.stdout.write(`${table(`${suite}: ${name}`, rows)}\n`);
    all.push(...rows);
  }
  for (const line of SUMMARIES[known]?.(all) ?? []) process.stdout.write(`${line}\n`);
  return [...all, ...DERIVED[known]?.(all) ?? []];
}

const effort = values.quick ? QUICK : FULL;
const results: Row[] = [];
if (typeof values["alone"] === "string") {
  const suite = positionals[0] as keyof typeof COMPARISONS;
  const comparison = COMPARISONS[suite]()[Number(values["alone"])] as Comparison;
  results.push(...await compare(suite, comparison, effort));
} else {
  process.stdout.write(`${header()}\n\n`);
  for (const suite of positionals) results.push(...await run(suite));
}
if (values.quick && values["alone"] === undefined) {
  process.stdout.write(
    "These figures are from short runs, for a look: they are not to be quoted.\n",
  );
}
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ ...describeRun(), results }, null, 2)}\n`);
}
