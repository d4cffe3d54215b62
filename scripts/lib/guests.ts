/**
 * The tests that need several nodes, in emulated machines: one boot a shape, in which the runtimes' suites run one after the
 * other.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { COMPILED_ENV } from "./node20.ts";
import { type Command, commandsFor, COMPILED } from "./runtimes.ts";
import { EXIT } from "./guest_run.ts";
import { runCommand } from "./command.ts";
import { judge, reportOf, REPORTS, type SuiteResult, type SuiteRun } from "./suite.ts";

const RUNTIMES = ["Bun", "Deno", "Node 26"] as const;
type Runtime = (typeof RUNTIMES)[number];

/** A guest's shape, and the tests that fit it. */
interface Guest {
  readonly shape: readonly string[];
  readonly tests: RegExp;
  /** What the gate runs of them, as starting a thread there takes seconds. */
  readonly gate: Readonly<Partial<Record<Runtime, RegExp>>>;
}

const GUESTS: Record<string, Guest> = {
  "2 nodes": {
    shape: ["--nodes", "2", "--hugepages", "0:2m=16", "--nics", "0,1"],
    tests: /two_nodes|any/,
    // What depends on the runtime is here. On Bun the tests for any shape run in the guest with four nodes.
    gate: { Bun: /two_nodes/, Deno: /two_nodes|any/, "Node 26": /two_nodes|any/ },
  },
  "4 nodes and one without CPUs": {
    shape: ["--nodes", "5", "--cpus", "2,2,2,2,0", "--memory", "640M,640M,640M,640M,256M"],
    tests: /four_nodes|any/,
    gate: { Bun: /four_nodes|any/ },
  },
  "uneven nodes": {
    shape: [
      ...["--nodes", "4", "--cpus", "2,1,1,1", "--memory", "512M,2G,320M,64M"],
      ...["--distances", "10,21,31,31;21,10,15,20;31,15,10,17;31,20,17,10"],
      // The last socket's memory is kept from the kernel, so that it is a node with a CPU and no memory.
      ...["--hugepages", "0:2m=16,1:1g=1,2:2m=4", "--kernel-args", "memmap=64M$2880M"],
    ],
    tests: /uneven_nodes/,
    // It clears a page of 1 GiB, which takes its time.
    gate: { Bun: /uneven_nodes/ },
  },
};

/** One suite in a guest. */
export interface GuestSuite {
  readonly name: string;
  readonly command: Command;
  /** Reads what it wrote; its report by default. */
  readonly read?: (run: SuiteRun) => SuiteResult;
}

/** A row of the results of scripts/numa_vm. */
interface Row {
  readonly status: number | null;
  readonly seconds: number;
  readonly reason: string | null;
  readonly oomKills: readonly string[];
  readonly output: string;
}

/** The engines' own threads touch heap pages before the thread they are for (docs/runtimes.md). */
const ENGINES = [
  "--env=BUN_JSC_useWarmUpMarkedBlocks=0",
  "--env=DENO_V8_FLAGS=--single-threaded-gc",
];
/** The same of Node. */
const NODE_FLAGS = ["--single-threaded", "--test-isolation=none"];

/**
 * Runs suites in one guest, one after the other.
 *
 * @param guest What the guest is called.
 * @param shape Its options for scripts/numa_vm.
 * @param suites The suites.
 * @returns What each came to.
 */
export async function runInGuest(
  guest: string,
  shape: readonly string[],
  suites: readonly GuestSuite[],
): Promise<SuiteResult[]> {
  mkdirSync(REPORTS, { recursive: true });
  const file = `${REPORTS}/${guest.replaceAll(/\W+/g, "_")}`;
  const commands = suites.map(({ name, command }) => {
    const report = reportOf(name);
    rmSync(report, { force: true });
    return { name, command: command(report) };
  });
  writeFileSync(`${file}.commands.json`, JSON.stringify(commands));
  rmSync(`${file}.results.json`, { force: true });
  const { status, output, leftovers } = await runCommand([
    ...["scripts/numa_vm", ...shape, ...ENGINES, `--out=${REPORTS}`],
    ...["--commands", `${file}.commands.json`, "--results", `${file}.results.json`],
  ]);
  const rows = readRows(`${file}.results.json`);
  return suites.map(({ name, read = judge }, index) => {
    const row = rows[index];
    const known = { name, command: commands[index]?.command ?? [], leftovers };
    if (row === undefined) return judge({ ...known, status: status || 1, seconds: 0, output });
    const { reason, oomKills, seconds } = row;
    const said = [row.output, ...oomKills, ...(reason === null ? [] : [reason])].join("\n");
    return read({ ...known, status: statusOf(row), seconds, output: said });
  });
}

/** As scripts/numa_vm has it: a suite during which the kernel had to kill something did not go well. */
function statusOf({ status, oomKills }: Row): number {
  if (oomKills.length > 0 && (status ?? 0) === 0) return EXIT.killed;
  return status ?? EXIT.stopped;
}

function readRows(file: string): readonly Row[] {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as readonly Row[];
  } catch {
    // No guest came so far; what it said is shown with each suite.
    return [];
  }
}

function commandIn(runtime: Runtime, files: readonly string[]): Command {
  // Those for any shape last: one of the others tells a heap's growth from all mappings of its process.
  const isAny = (file: string): number => Number(file.includes("any_"));
  const sorted = files.toSorted((a, b) => isAny(a) - isAny(b));
  // Under emulation Node crashes now and then when several workers strip types at once (docs/runtimes.md), so it gets
  // the compiled copies.
  const compiled = sorted.map((file) => `${COMPILED}/${file.replace(/\.ts$/, ".js")}`);
  const { Bun, Deno } = commandsFor(sorted);
  const { "Node 26": node } = commandsFor(compiled, { node: NODE_FLAGS });
  return { Bun, Deno, "Node 26": node }[runtime];
}

/**
 * The suites of each shape. On Node they need what `buildNode20` makes.
 *
 * @param all On all runtimes, and not only on those that the gate has time for.
 * @returns By the guests' names: their shapes and suites.
 */
export function numaGuests(
  all: boolean,
): Map<string, { readonly shape: readonly string[]; readonly suites: GuestSuite[] }> {
  const numaTests = globSync("tests/numa/*_test.ts").sort();
  const guests = new Map<string, { shape: readonly string[]; suites: GuestSuite[] }>();
  for (const [guest, { shape, tests, gate }] of Object.entries(GUESTS)) {
    const suites = RUNTIMES.flatMap((runtime): GuestSuite[] => {
      const wanted = all ? tests : gate[runtime];
      const files = wanted === undefined ? [] : numaTests.filter((file) => wanted.test(file));
      return files.length === 0
        ? []
        : [{ name: `guest with ${guest}, ${runtime}`, command: commandIn(runtime, files) }];
    });
    const variables = Object.entries({ ...COMPILED_ENV, ...(all && { NUMAKIT_FULL: "1" }) })
      .map(([name, value]) => `--env=${name}=${value}`);
    guests.set(`guest with ${guest}`, { shape: [...shape, ...variables], suites });
  }
  return guests;
}
