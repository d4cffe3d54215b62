/**
 * Counts the cache lines that cross nodes, in emulated machines with several: bench/lines.ts [--quick] [--json FILE]
 *
 * The figures are counts and no times: the same on every host.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { text } from "node:stream/consumers";
import { parseArgs } from "node:util";
import { section } from "../lib/cli/topo.ts";
import { Counted, type Counts, far } from "../scripts/lib/counts.ts";
import type { SectionLine } from "./lines/guest.ts";

/** A machine, the runtimes that count in it, and which scenes: with words of their names, or those for every runtime. */
interface Guest {
  readonly name: string;
  readonly shape: readonly string[];
  readonly scenes: Readonly<Record<string, readonly string[]>>;
}

const GUESTS: readonly Guest[] = [
  {
    name: "2 nodes",
    shape: ["--nodes", "2", "--memory", "1G"],
    scenes: {
      bun: ["reading", "array", "table", "objects"],
      deno: ["--everywhere"],
      node: ["--everywhere"],
    },
  },
  {
    name: "4 nodes",
    shape: ["--nodes", "4", "--memory", "640M"],
    scenes: { bun: ["table", "a lock over", "record", "counter"] },
  },
];
/** What `--quick` counts. */
const QUICK: readonly Guest[] = [
  {
    name: "2 nodes",
    shape: ["--nodes", "2", "--memory", "1G"],
    scenes: { bun: ["reading", "table"] },
  },
];

const COMMANDS: Readonly<Record<string, readonly string[]>> = {
  bun: ["bun"],
  deno: ["deno", "run", "--allow-all"],
  node: ["node", "--disable-warning=ExperimentalWarning"],
};

/** What one way of a scene came to. */
interface LinesRow extends SectionLine {
  readonly guest: string;
  readonly runtime: string;
  /** What accesses to the named memory came to. */
  readonly counts: Counts;
  /** What all accesses came to, the engine's own and those of other processes with them. */
  readonly all: Counts;
}

const near = ({ memory, node, domain, l3 }: Counts): number => memory + node + domain + l3;

/** Counts some scenes in a guest. */
async function countIn(
  guest: Guest,
  runtime: string,
  words: readonly string[],
  folder: string,
): Promise<LinesRow[]> {
  const file = join(folder, `${guest.name}-${runtime}.json`);
  const command = [...COMMANDS[runtime] as readonly string[], "bench/lines/guest.ts", ...words];
  const child = spawn("scripts/numa_vm", [...guest.shape, "--count-to", file, "--", ...command], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await text(child.stdout);
  const status = child.exitCode ??
    await new Promise<number | null>((done) => child.on("exit", done));
  if (status !== 0) throw new Error(`${guest.name}, ${runtime}: exit status ${status}\n${output}`);
  const counted = new Counted(file);
  return output.trim().split("\n").map((line): LinesRow => {
    const told = JSON.parse(line) as SectionLine;
    return {
      ...told,
      guest: guest.name,
      runtime,
      counts: counted.sum(told.section, (range) => range.startsWith(`${told.section}: `)),
      all: counted.sum(told.section, () => true),
    };
  });
}

function table(rows: readonly LinesRow[]): string {
  const [{ scene, operation, guest }] = rows as [LinesRow];
  const perOperation = (lines: number, { operations }: LinesRow): string =>
    (lines / operations).toFixed(3);
  return section(
    `${scene}, ${guest}: lines for ${operation}`,
    [
      "",
      "runtime",
      "from other nodes",
      "from this node",
      "told others to drop",
      "all of the process's, from other nodes",
    ],
    rows.map((row) => [
      row.ours ? row.variant : `(${row.variant})`,
      row.runtime,
      perOperation(far(row.counts), row),
      perOperation(near(row.counts), row),
      perOperation(row.counts.farInvalidations, row),
      perOperation(far(row.all), row),
    ]),
  );
}

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, json: { type: "string" } },
});
const folder = mkdtempSync(join(tmpdir(), "numakit-lines-"));
const rows: LinesRow[] = [];
try {
  for (const guest of values.quick ? QUICK : GUESTS) {
    for (const [runtime, words] of Object.entries(guest.scenes)) {
      rows.push(...await countIn(guest, runtime, words, folder));
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const group of Map.groupBy(rows, ({ scene, guest }) => `${scene}, ${guest}`).values()) {
  process.stdout.write(`${table(group)}\n`);
}
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, null, 2)}\n`);
