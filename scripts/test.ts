/**
 * The gate: every check and every suite, one line each at the end.
 *
 * scripts/test [--quick] [--arm64] [--only NAME]
 */
import { globSync, readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { arm64Suites, type Extent } from "./lib/arm64.ts";
import { containerCommands } from "./lib/container.ts";
import type { TestCase } from "./lib/junit.ts";
import { buildNode20 } from "./lib/node20.ts";
import { type Command, commandsFor, NODE_FLAGS } from "./lib/runtimes.ts";
import { runChecks, runJunit, type SuiteResult } from "./lib/suite.ts";
import { unitTests } from "./lib/unit_tests.ts";

const { values: options } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
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
const EXPLORE = [".tools/bin/bun", "tests/explorer/run.ts"];
const numaTests = globSync("tests/numa/*_test.ts").sort();

/** A guest's shape, the tests that fit it, and the runtimes that run them: all, unless given. */
interface Guest {
  readonly shape: readonly string[];
  readonly tests: RegExp;
  readonly runtimes?: readonly string[];
}

const GUESTS: Record<string, Guest> = {
  "2 nodes": { shape: ["--nodes", "2", "--hugepages", "0:2m=16"], tests: /two_nodes|any/ },
  "4 nodes and one without CPUs": {
    shape: ["--nodes", "5", "--cpus", "2,2,2,2,0", "--memory", "640M,640M,640M,640M,256M"],
    tests: /four_nodes|any/,
    // Deno takes longest in a guest, and runs the same in the one with two nodes.
    runtimes: ["Bun", "Node 26"],
  },
  "uneven nodes": {
    shape: [
      ...["--nodes", "4", "--cpus", "2,1,1,1", "--memory", "512M,2G,320M,64M"],
      ...["--distances", "10,21,31,31;21,10,15,20;31,15,10,17;31,20,17,10"],
      // The last socket's memory is kept from the kernel, so that it is a node with a CPU and no memory.
      ...["--hugepages", "0:2m=16,1:1g=1,2:2m=4", "--kernel-args", "memmap=64M$2880M"],
    ],
    tests: /uneven_nodes/,
    // What depends on the runtime is in the other guests; this one clears a page of 1 GiB, which takes its time.
    runtimes: ["Bun"],
  },
};

async function runGuests(): Promise<SuiteResult[]> {
  const results: SuiteResult[] = [];
  const { env } = await buildNode20();
  for (const [guest, { shape, tests, runtimes }] of Object.entries(GUESTS)) {
    // Those for any shape last: one of the others tells a heap's growth from all mappings of its process.
    const isAny = (file: string): number => Number(file.includes("any_"));
    const files = numaTests.filter((file) => tests.test(file))
      .sort((a, b) => isAny(a) - isAny(b));
    // Under emulation Node crashes now and then when several workers strip types at once (docs/runtimes.md), so it gets
    // the compiled copies.
    const compiled = files.map((file) => `build/node20/${file.replace(/\.ts$/, ".js")}`);
    // The engines' own threads touch heap pages before the thread they are for (docs/runtimes.md).
    const nodeFlags = ["--single-threaded", "--test-isolation=none"];
    const commands = {
      ...commandsFor(files),
      "Node 26": commandsFor(compiled, { node: nodeFlags })["Node 26"],
    };
    for (const [runtime, command] of Object.entries(commands)) {
      if (runtimes?.includes(runtime) === false) continue;
      const inGuest: Command = (report) => [
        "scripts/numa_vm",
        ...shape,
        "--timeout=900",
        "--env=BUN_JSC_useWarmUpMarkedBlocks=0",
        "--env=DENO_V8_FLAGS=--single-threaded-gc",
        ...Object.entries(env).map(([name, value]) => `--env=${name}=${value}`),
        "--out=build/reports",
        "--",
        ...command(report),
      ];
      const name = `guest with ${guest}, ${runtime}`;
      if (wants(name)) results.push(await step(() => runJunit(name, inGuest)));
    }
  }
  return results;
}

async function runArm64(extent: Extent): Promise<SuiteResult[]> {
  const results: SuiteResult[] = [];
  for (const [name, run] of arm64Suites(extent)) {
    if (wants(name)) results.push(await step(run));
  }
  return results;
}

function tally(tests: readonly TestCase[], outcome: TestCase["outcome"]): number {
  return tests.filter((test) => test.outcome === outcome).length;
}

function line({ name, tests, seconds }: SuiteResult): string {
  const counts = (["passed", "failed", "skipped"] as const)
    .map((outcome) => `${tally(tests, outcome)} ${outcome}`).join(", ");
  return `${name}: ${counts} (${seconds.toFixed(0)} s)`;
}

/** Says how a suite went as soon as it is known. */
async function step(run: () => Promise<SuiteResult>): Promise<SuiteResult> {
  const result = await run();
  process.stdout.write(`${line(result)}\n`);
  return result;
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

function wants(name: string): boolean {
  return options.only.length === 0 ||
    options.only.some((part) => name.toLowerCase().includes(part.toLowerCase()));
}

/** Guests take minutes, so the name of a runtime alone does not start them. */
function wantsGuests(): boolean {
  return !options.quick &&
    (options.only.length === 0 || options.only.some((part) => /guest|arm64/i.test(part)));
}

/** A suite that may be left out by its name. */
type Step = readonly [name: string, run: () => Promise<SuiteResult>];

/** Runs suites one after the other, and the lanes side by side. */
async function runLanes(...lanes: readonly (readonly Step[])[]): Promise<SuiteResult[]> {
  const runLane = async (steps: readonly Step[]): Promise<SuiteResult[]> => {
    const results: SuiteResult[] = [];
    for (const [name, run] of steps) if (wants(name)) results.push(await step(run));
    return results;
  };
  return (await Promise.all(lanes.map(runLane))).flat();
}

const junit = (name: string, command: Command): Step => [name, () => runJunit(name, command)];

const nodeTests = (files: readonly string[]): Command => (report) => [
  ".tools/bin/node",
  ...NODE_FLAGS,
  `--test-reporter-destination=${report}`,
  ...files,
];

function staticChecks(): Step {
  const checked = globSync("{lib,tests,bench,scripts,docs}/**/*.ts");
  const checks = {
    formatting: [DENO, "fmt", "--check"],
    lint: [DENO, "lint", "--quiet"],
    "types (Deno)": [DENO, "check", ...checked, "mod.ts", "worker_entry.ts"],
    "types (Node)": ["node_modules/.bin/tsc", "-p", "tsconfig.json"],
    "types (Bun)": ["node_modules/.bin/tsc", "-p", "tsconfig.bun.json"],
    "documentation lint": [DENO, "doc", "--lint", ...ENTRIES, "lib/cli/main.ts"],
    "examples in the documentation": [
      ...[DENO, "test", "--doc", "--allow-all", "--quiet"],
      "mod.ts",
      ...globSync("lib/**/*.ts"),
    ],
  };
  return ["static checks", () => runChecks("static checks", checks)];
}

/** What is measured has the machine to itself. */
function costs(): Step {
  const checks = { "sizes and import times": [".tools/bin/bun", "scripts/check_costs.ts"] };
  return ["costs", () => runChecks("costs", checks, Object.keys(checks))];
}

function unitSteps(): Record<"bun" | "deno" | "node26" | "node20", Step> {
  const { Bun, Deno, "Node 26": node26 } = commandsFor(unitTests);
  const node20: Step = ["Node 20 with koffi", async () => {
    const { files, env } = await buildNode20();
    const command: Command = (report) => [
      ".tools/bin/node20",
      "--test",
      "--test-reporter=junit",
      `--test-reporter-destination=${report}`,
      ...files,
    ];
    return await runJunit("Node 20 with koffi", command, env);
  }];
  return {
    bun: junit("Bun", Bun),
    deno: junit("Deno", Deno),
    node26: junit("Node 26", node26),
    node20,
  };
}

/** On each runtime what a default container can run; on Node 20 that is what tests/runtime/container_test.ts says of it. */
function containerSteps(): Step[] {
  return Object.entries(containerCommands()).map(([runtime, command]) =>
    junit(`default container, ${runtime}`, command)
  );
}

async function runAll(): Promise<SuiteResult[]> {
  const results = await runLanes([staticChecks()], [
    junit("C helper with ASan and UBSan", (report) => [
      "ctest",
      ...["--test-dir", "build/sanitize", "--output-on-failure"],
      ...["--output-junit", `${process.cwd()}/${report}`],
    ]),
    // One file for the packages' contract, one each for types, bundles and packers.
    junit("npm package contract", nodeTests(globSync("tests/packages/*_test.ts").sort())),
    junit("package from JSR", commandsFor(["tests/jsr/jsr_test.ts"]).Deno),
  ]);
  results.push(
    ...await runLanes([
      costs(),
      [
        EXPLORER,
        () => runJunit(EXPLORER, (report) => [...EXPLORE, "--junit", report], {}, true),
      ],
      junit("the explorer itself", nodeTests(["tests/explorer/self_test.ts"])),
    ]),
  );
  const { bun, deno, node26, node20 } = unitSteps();
  const runtimes = await runLanes([bun, node26], [deno, node20]);
  results.push(...runtimes);
  if (runtimes.length > 1) results.push(compareCounts(runtimes));
  const contained = await runLanes(containerSteps());
  results.push(...contained);
  if (contained.length > 1) results.push(compareCounts(contained));
  if (wantsGuests()) results.push(...await runGuests(), ...await runArm64("gate"));
  return results;
}

/** Only Node's reports carry the reasons that the tests declare; a test's name finds them for the others. */
function reasons(results: readonly SuiteResult[]): Map<string, string> {
  const known = new Map<string, string>();
  for (const { name, reason } of results.flatMap(({ tests }) => tests)) {
    if (reason !== undefined) known.set(name, reason);
  }
  return known;
}

function summarize(results: readonly SuiteResult[]): number {
  const known = reasons(results);
  process.stdout.write("\n");
  for (const result of results) {
    process.stdout.write(`${line(result)}\n`);
    for (const { name, outcome, reason } of result.tests) {
      if (outcome === "failed") process.stdout.write(`    failed: ${name}\n`);
      if (outcome === "skipped") {
        const why = reason ?? known.get(name) ?? "see the test's declaration";
        process.stdout.write(`    skipped: ${name}: ${why}\n`);
      }
    }
  }
  const all = results.flatMap(({ tests }) => tests);
  const failed = tally(all, "failed");
  process.stdout.write(
    `\n${tally(all, "passed")} passed, ${failed} failed, ${tally(all, "skipped")} skipped\n`,
  );
  return all.length === 0 || failed > 0 ? 1 : 0;
}

if (options.help) {
  process.stdout.write(
    "scripts/test [--quick | --arm64] [--only NAME]...\n\n" +
      "  --quick      leave out the multi-node guests\n" +
      "  --arm64      only the arm64 guest, with all that can run there (scripts/test_arm64)\n" +
      "  --only NAME  only the suites whose name has NAME in it (Bun, Deno, Node 26, guest, C helper …);\n" +
      "               of the guests only where NAME has guest or arm64 in it\n",
  );
} else {
  process.exitCode = summarize(await (options.arm64 ? runArm64("full") : runAll()));
}
