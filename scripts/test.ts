/**
 * The gate: every check and every suite, one line each at the end.
 *
 * scripts/test [--quick | --full | --arm64] [--only NAME]...
 */
import { globSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import process from "node:process";
import { parseArgs } from "node:util";
import { arm64Guest, type Extent } from "./lib/arm64.ts";
import { containerCommands } from "./lib/container.ts";
import { judgeExits, watchExits } from "./lib/exits.ts";
import { type GuestSuite, numaGuests, runInGuest } from "./lib/guests.ts";
import type { TestCase } from "./lib/junit.ts";
import { buildNode20, COMPILED_ENV } from "./lib/node20.ts";
import { isWanted, unknownParts } from "./lib/only.ts";
import { type Command, commandsFor, nodeCommand } from "./lib/runtimes.ts";
import { runChecks, runJunit, type SuiteResult } from "./lib/suite.ts";
import { suiteLine, summarize } from "./lib/summary.ts";
import { unitTests } from "./lib/unit_tests.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    arm64: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", short: "h", default: false },
  },
});

const DENO = ".tools/bin/deno";
const ENTRIES = Object.values(
  (JSON.parse(readFileSync("deno.json", "utf8")) as { exports: Record<string, string> }).exports,
);
const EXPLORER = "interleavings";
const EXPLORE = [
  ...[".tools/bin/bun", "tests/explorer/run.ts", "--workers", "1"],
  ...(options.full ? ["--full"] : []),
];
/** Suites that run side by side: each keeps nearly one CPU busy, and one more fills the gaps. */
const LANES = availableParallelism() + 1;
/** What tests read with tests/support/extent.ts. */
if (options.full) process.env["NUMAKIT_FULL"] = "1";
/** Saves Node half of its time in tests: it strips the types of every module for every thread. */
const NODE_CACHE = { NODE_COMPILE_CACHE: `${process.cwd()}/build/node-cache` };

/** A guest for each shape: with those of its suites that are wanted. */
function guestSteps(): Step[] {
  return Array.from(
    numaGuests(options.full),
    ([name, { shape, suites }]) => guestStep(name, shape, suites, buildNode20),
  );
}

function arm64Step(extent: Extent): Step {
  const { name, shape, suites } = arm64Guest(extent);
  return guestStep(name, shape, suites);
}

function guestStep(
  name: string,
  shape: readonly string[],
  suites: readonly GuestSuite[],
  prepare?: () => Promise<unknown>,
): Step {
  const wanted = suites.filter((suite) => isWanted(suite.name, options.only));
  const covers = suites.map((suite) => suite.name);
  const run = async (): Promise<SuiteResult[]> => {
    await prepare?.();
    return await runInGuest(name, shape, wanted);
  };
  return { name, covers, run };
}

/** The same tests have to have run on every runtime: a suite that never ran is the classic false green. */
function compareCounts(results: readonly SuiteResult[]): SuiteResult {
  const counts = results.map(({ name, tests }) => ({ name, count: tests.length }));
  const same = new Set(counts.map(({ count }) => count)).size === 1;
  const text = counts.map(({ name, count }) => `${name} ${count}`).join(", ");
  const test: TestCase = {
    name: `equal counts of tests: ${text}`,
    outcome: same ? "passed" : "failed",
    reason: undefined,
  };
  return { name: "same tests on every runtime", tests: [test], seconds: 0 };
}

/** A suite that may be left out by its name. */
interface Step {
  readonly name: string;
  readonly run: () => Promise<SuiteResult | readonly SuiteResult[]>;
  /** The names of its suites, where it has several. Default: its own. */
  readonly covers?: readonly string[];
  /** Suites of the same group have to have run the same tests. */
  readonly group?: string;
}

function namesOf({ name, covers = [name] }: Step): readonly string[] {
  return covers;
}

/** Runs suites side by side, in their order as far as there are lanes. */
async function runSteps(steps: readonly Step[], lanes = LANES): Promise<SuiteResult[]> {
  const queue = steps.filter((step) => namesOf(step).some((name) => isWanted(name, options.only)));
  const results: SuiteResult[] = [];
  const groups = Map.groupBy(queue, ({ group }) => group);
  await Promise.all(Array.from({ length: lanes }, async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const result = [await next.run()].flat();
      for (const suite of result) process.stdout.write(`${suiteLine(suite)}\n`);
      results.push(...result);
    }
  }));
  for (const [group, members] of groups) {
    if (group === undefined || members.length < 2) continue;
    const names = members.map(({ name }) => name);
    results.push(compareCounts(results.filter(({ name }) => names.includes(name))));
  }
  return results;
}

function junit(
  name: string,
  command: Command,
  { group, env, isTable }: Pick<Step, "group"> & {
    readonly env?: Readonly<Record<string, string>>;
    readonly isTable?: boolean;
  } = {},
): Step {
  const run = (): Promise<SuiteResult> => runJunit(name, command, env, isTable);
  return { name, run, ...(group !== undefined && { group }) };
}

function staticChecks(): Step {
  const checked = globSync("{lib,tests,bench,scripts,docs,examples}/**/*.ts");
  const checks = {
    formatting: [DENO, "fmt", "--check"],
    lint: [DENO, "lint", "--quiet"],
    "types (Deno)": [DENO, "check", ...checked, "mod.ts", "worker_entry.ts"],
    "types (Node)": ["node_modules/.bin/tsc", "-p", "tsconfig.json"],
    "types (Bun)": ["node_modules/.bin/tsc", "-p", "tsconfig.bun.json"],
    "guest scripts": [
      "shellcheck",
      "scripts/lib/guest_init.sh",
      "scripts/numa_vm",
      "scripts/numa_vm_fetch",
    ],
    "documentation lint": [DENO, "doc", "--lint", ...ENTRIES, "lib/cli/main.ts"],
    "examples in the documentation": [
      ...[DENO, "test", "--doc", "--allow-all", "--quiet"],
      ...["mod.ts", "docs/structs.md"],
      ...globSync("lib/**/*.ts"),
    ],
  };
  return { name: "static checks", run: () => runChecks("static checks", checks) };
}

/** What is measured has the machine to itself. */
function costs(): Step {
  const checks = { "sizes and import times": [".tools/bin/bun", "scripts/check_costs.ts"] };
  return { name: "costs", run: () => runChecks("costs", checks, Object.keys(checks)) };
}

function unitSteps(): Record<"bun" | "deno" | "node26" | "node20", Step> {
  const group = "unit";
  const { Bun, Deno, "Node 26": node26 } = commandsFor(unitTests);
  const name = "Node 20 with koffi";
  const run = async (): Promise<SuiteResult> => {
    const command = nodeCommand(await buildNode20(), [], ".tools/bin/node20");
    return await runJunit(name, command, COMPILED_ENV);
  };
  return {
    bun: junit("Bun", Bun, { group }),
    deno: junit("Deno", Deno, { group }),
    node26: junit("Node 26", node26, { group, env: NODE_CACHE }),
    node20: { name, run, group },
  };
}

/** On each runtime what a default container can run; on Node 20 that is what tests/runtime/container_test.ts says of it. */
function containerSteps(): Step[] {
  return Object.entries(containerCommands()).map(([runtime, command]) =>
    junit(`default container, ${runtime}`, command, { group: "container", env: NODE_CACHE })
  );
}

function packageSteps(): Step[] {
  return [
    // One file for the packages' contract, one each for types, bundles and packers.
    junit("npm package contract", nodeCommand(globSync("tests/packages/*_test.ts").sort())),
    junit("package from JSR", commandsFor(["tests/jsr/jsr_test.ts"]).Deno),
  ];
}

/** Everything, in the order in which it runs. */
function allSteps(): { readonly alone: Step[]; readonly beside: Step[] } {
  if (options.arm64) return { alone: [], beside: [arm64Step("full")] };
  const { bun, deno, node26, node20 } = unitSteps();
  const guests = options.quick ? [] : [arm64Step(options.full ? "full" : "gate"), ...guestSteps()];
  const explorer = junit(EXPLORER, (report) => [...EXPLORE, "--junit", report], { isTable: true });
  const long = [node26, node20, deno, explorer];
  // What is measured has the machine to itself. Of the rest what takes longest comes first, so that no lane ends long
  // before the others; guests alternate with what has one process.
  const beside = [
    ...long.flatMap((step, index) => [...guests.slice(index, index + 1), step]),
    ...guests.slice(long.length),
    ...[bun, staticChecks()],
    ...packageSteps(),
    ...containerSteps(),
    junit("C helper with ASan and UBSan", (report) => [
      "ctest",
      ...["--test-dir", "build/sanitize", "--output-on-failure"],
      ...["--output-junit", `${process.cwd()}/${report}`],
    ]),
    junit("the explorer itself", nodeCommand(["tests/explorer/self_test.ts"])),
    junit("a new lock as CONTRIBUTING has it", nodeCommand(["tests/walk/new_lock_test.ts"])),
    ...(options.quick ? [] : [
      junit("cache-line counter", nodeCommand(["tests/counter/counter_test.ts"])),
      junit("lines between nodes", nodeCommand(["tests/counter/bounds_test.ts"])),
    ]),
  ];
  return { alone: [costs()], beside };
}

/** Runs what is wanted. Returns this program's status. */
async function main(): Promise<number> {
  const { alone, beside } = allSteps();
  const names = [...alone, ...beside].flatMap(namesOf);
  const unknown = unknownParts(options.only, names);
  if (unknown.length > 0) {
    const asked = unknown.map((part) => `"${part}"`).join(", ");
    process.stderr.write(`test: no suite has ${asked} in its name; there are\n`);
    for (const name of names) process.stderr.write(`  ${name}\n`);
    return 2;
  }
  const exits = watchExits();
  const results = [...await runSteps(alone, 1), ...await runSteps(beside)];
  const { text, status } = summarize([...results, ...judgeExits(exits)]);
  process.stdout.write(text);
  return status;
}

if (options.help) {
  process.stdout.write(
    "scripts/test [--quick | --full | --arm64] [--only NAME]...\n\n" +
      "  --quick      leave out the multi-node guests\n" +
      "  --full       all of what is long by nature, of which the gate runs a part: fuzz, torture, cycles,\n" +
      "               deep searches of the explorer, all guests on all runtimes, most tests on arm64\n" +
      "  --arm64      only the arm64 guest, with all that can run there (scripts/test_arm64)\n" +
      "  --only NAME  only the suites whose name has NAME in it (Bun, Deno, Node 26, guest, C helper …);\n" +
      "               of the guests only where NAME has guest or arm64 in it\n",
  );
} else {
  process.exitCode = await main();
}
