/**
 * Counts the cache lines that cross nodes, in emulated machines with several:
 * bench/lines.ts [--quick] [--json FILE] [--docs]
 *
 * The figures are counts and no times. How often contended lines move depends on the host.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { type CountedCommand, countLines } from "../scripts/lib/count_lines.ts";
import { type Counted, type Counts, far } from "../scripts/lib/counts.ts";
import type { SectionLine } from "./lines/guest.ts";
import { writeDocuments, writeEvidence } from "./lines/documents.ts";
import { origin } from "./lines/origin.ts";
import { type LinesRow, perOperation, printed } from "./lines/report.ts";

/** A machine, the runtimes that count in it, and which scenes: with words of their names, or those for every runtime. */
interface Guest {
  readonly name: string;
  readonly shape: readonly string[];
  readonly scenes: Readonly<Record<string, readonly string[]>>;
}

const TWO_NODES = {
  name: "2 nodes, 4 CPUs",
  shape: ["--nodes", "2", "--memory", "1G"],
} as const;

/** As many CPUs as threads: one that spins on a CPU of others' keeps them from what it waits for. */
const GUESTS: readonly Guest[] = [
  {
    ...TWO_NODES,
    scenes: {
      bun: ["reading", "an array", "a table", "objects", "messages of"],
      deno: ["--everywhere"],
      node: ["--everywhere"],
    },
  },
  {
    name: "4 nodes, 8 CPUs",
    shape: ["--nodes", "4", "--cpus", "2", "--memory", "1G"],
    scenes: { bun: ["a table", "8 threads", "a map of", "a cache of", "tasks of"] },
  },
  {
    name: "4 nodes, 16 CPUs",
    shape: ["--nodes", "4", "--cpus", "4", "--memory", "1G"],
    scenes: { bun: ["16 threads"] },
  },
];
/** How often each is counted. */
const REPEATS = 3;
/** Node 26 aborts now and then when it starts in an emulation ("Check failed: it->second.Size() > offset"). */
const MAX_RUNS = 3;
/** What `--quick` counts. */
const QUICK: readonly Guest[] = [
  { ...TWO_NODES, scenes: { bun: ["reading", "a table"] } },
];

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bun: ["bun"],
  deno: ["deno", "run", "--allow-all"],
  node: ["node", "--disable-warning=ExperimentalWarning"],
};

/** What a section came to: all accesses of its CPUs, or those to the memory that it named. */
function countsOf(counted: Counted, { section, cpus }: SectionLine): Counts {
  return cpus.length > 0
    ? counted.sum(section, () => true, cpus)
    : counted.sum(section, (range) => range.startsWith(`${section}: `));
}

/** Lines from other nodes for an operation, by what of a section's memory they were of. */
function partsOf(counted: Counted, { section, operations }: SectionLine): LinesRow["parts"] {
  const prefix = `${section}: `;
  const ranges = [...counted.ranges.keys()].filter((range) => range.startsWith(prefix));
  return Object.fromEntries(ranges.map((range) => [
    range.slice(prefix.length),
    far(perOperation(counted.counts(section, range), operations)),
  ]));
}

/** Runs a command in a guest that counts; says so, and runs it once more, when it fails. */
function countAgain(shape: readonly string[], command: readonly string[]): CountedCommand {
  for (let run = 1;; run++) {
    try {
      return countLines(shape, command);
    } catch (error) {
      if (run === MAX_RUNS) throw error;
      process.stderr.write(`${(error as Error).message}\nOnce more:\n`);
    }
  }
}

/** Counts some scenes in a guest: one row for each way, of its repeats the median. */
function countIn(
  guest: Guest,
  runtime: string,
  words: readonly string[],
  repeats: number,
): LinesRow[] {
  const command = [...COMMANDS[runtime] as readonly string[], "bench/lines/guest.ts"];
  command.push("--repeats", `${repeats}`, ...words);
  const { counted, stdout } = countAgain(guest.shape, command);
  const lines = stdout.trim().split("\n").map((line) => JSON.parse(line) as SectionLine);
  const ways = Map.groupBy(lines, ({ scene, variant }) => `${scene}: ${variant}`);
  return [...ways.values()].map((times): LinesRow => {
    const all = times.map((line) => ({
      line,
      counts: perOperation(countsOf(counted, line), line.operations),
    })).sort((a, b) => far(a.counts) - far(b.counts));
    const at = (index: number) => all[index] as typeof all[number];
    const middle = at(all.length >> 1);
    const { scene, operation, variant, ours } = middle.line;
    return {
      ...{ guest: guest.name, runtime, scene, operation, variant, ours },
      counts: middle.counts,
      parts: partsOf(counted, middle.line),
      fewest: far(at(0).counts),
      most: far(at(all.length - 1).counts),
    };
  });
}

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    docs: { type: "boolean", default: false },
  },
});
const rows: LinesRow[] = [];
for (const guest of values.quick ? QUICK : GUESTS) {
  for (const [runtime, words] of Object.entries(guest.scenes)) {
    const start_ms = performance.now();
    const some = countIn(guest, runtime, words, values.quick ? 1 : REPEATS);
    rows.push(...some);
    // What has been counted is kept if a later guest fails.
    if (values.json !== undefined) writeEvidence(values.json, { origin: origin(), rows });
    const taken_s = (performance.now() - start_ms) / 1000;
    process.stderr.write(
      `${guest.name}, ${runtime}: ${some.length} rows in ${taken_s.toFixed(0)} s\n`,
    );
  }
}
process.stdout.write(printed(rows));
if (values.docs) await writeDocuments({ origin: origin(), rows });
