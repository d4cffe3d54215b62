/**
 * Counts the cache lines that cross nodes, in emulated machines with several:
 * bench/lines.ts [--quick] [--json FILE] [--docs]
 *
 * The figures are counts and no times. How often contended lines move depends on the host.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { Counted, far } from "../scripts/lib/counts.ts";
import type { SectionLine } from "./lines/guest.ts";
import { writeDocuments, writeRows } from "./lines/documents.ts";
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
      bun: ["reading", "an array", "a table", "objects"],
      deno: ["--everywhere"],
      node: ["--everywhere"],
    },
  },
  {
    name: "4 nodes, 8 CPUs",
    shape: ["--nodes", "4", "--cpus", "2", "--memory", "1G"],
    scenes: { bun: ["a table", "8 threads", "a record", "a counter"] },
  },
];
/** How often each is counted. */
const REPEATS = 3;
/** What `--quick` counts. */
const QUICK: readonly Guest[] = [
  { ...TWO_NODES, scenes: { bun: ["reading", "a table"] } },
];

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bun: ["bun"],
  deno: ["deno", "run", "--allow-all"],
  node: ["node", "--disable-warning=ExperimentalWarning"],
};

/** Counts some scenes in a guest: one row for each way, of its repeats the median. */
async function countIn(
  guest: Guest,
  runtime: string,
  words: readonly string[],
  repeats: number,
  folder: string,
): Promise<LinesRow[]> {
  const file = join(folder, "counts.json");
  const command = [...COMMANDS[runtime] as readonly string[], "bench/lines/guest.ts"];
  command.push("--repeats", `${repeats}`, ...words);
  const child = spawn("scripts/numa_vm", [...guest.shape, "--count-to", file, "--", ...command], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await text(child.stdout);
  const status = child.exitCode ??
    await new Promise<number | null>((done) => child.on("exit", done));
  if (status !== 0) throw new Error(`${guest.name}, ${runtime}: exit status ${status}\n${output}`);
  const counted = new Counted(file);
  const lines = output.trim().split("\n").map((line) => JSON.parse(line) as SectionLine);
  const ways = Map.groupBy(lines, ({ scene, variant }) => `${scene}: ${variant}`);
  return [...ways.values()].map((times): LinesRow => {
    const [{ scene, operation, variant, ours, cpus, operations }] = times as [SectionLine];
    const all = times.map(({ section }) =>
      perOperation(
        cpus.length > 0
          ? counted.sum(section, () => true, cpus)
          : counted.sum(section, (range) => range.startsWith(`${section}: `)),
        operations,
      )
    ).sort((a, b) => far(a) - far(b));
    return {
      ...{ guest: guest.name, runtime, scene, operation, variant, ours },
      counts: all[all.length >> 1] as LinesRow["counts"],
      fewest: far(all[0] as LinesRow["counts"]),
      most: far(all.at(-1) as LinesRow["counts"]),
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
const folder = mkdtempSync(join(tmpdir(), "numakit-lines-"));
const rows: LinesRow[] = [];
try {
  for (const guest of values.quick ? QUICK : GUESTS) {
    for (const [runtime, words] of Object.entries(guest.scenes)) {
      const start_ms = performance.now();
      const some = await countIn(guest, runtime, words, values.quick ? 1 : REPEATS, folder);
      rows.push(...some);
      // What has been counted is kept if a later guest fails.
      if (values.json !== undefined) writeRows(values.json, rows);
      const taken_s = (performance.now() - start_ms) / 1000;
      process.stderr.write(
        `${guest.name}, ${runtime}: ${some.length} rows in ${taken_s.toFixed(0)} s\n`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.stdout.write(printed(rows));
if (values.docs) await writeDocuments(rows);
