/**
 * The tests that run on arm64: in an emulated machine with two nodes, with the arm64 builds of Bun and Deno and the
 * helper for arm64 that packages carry. The C tests are compiled for it from `native` (scripts/bootstrap).
 *
 * Emulated, all of it takes ten times as long as on hardware. The gate runs what depends on the processor.
 */
import { globSync, readFileSync } from "node:fs";
import process from "node:process";
import type { TestCase } from "./junit.ts";
import type { GuestSuite } from "./guests.ts";
import { commandsFor, type RuntimeFlags } from "./runtimes.ts";
import { failure, judge, type SuiteResult, type SuiteRun } from "./suite.ts";
import { unitTests, unitTestsNamed } from "./unit_tests.ts";

/**
 * `gate`: the C tests, and the tests of what goes through the helper. `full`: all that can run there, on Deno those without
 * threads; for as long as the gate runs them elsewhere, as an emulated processor tells nothing of what hours on a real one
 * would.
 */
export type Extent = "gate" | "full";

/** What is left out, with the reasons: files or folders that say nothing about a processor, or what takes too long. */
const LEFT_OUT: Readonly<Record<Extent, Readonly<Record<string, string>>>> = {
  gate: { "the other tests": "take minutes in emulation: scripts/test_arm64 runs them" },
  full: {
    "tests/runtime/container_test.ts":
      "runs in a container made by a program that is built for the host only",
    "tests/examples/": "start several threads in each of many processes, which takes minutes there",
    "tests/house/": "read the sources, the same on every processor; some need git",
    "tests/sync/torture_test.ts":
      "counts what threads do in a second or so, in which an emulated machine does next to nothing",
  },
};

/** The files in the gate, by runtime: Deno takes two seconds to start a worker there. */
const GATE_FILES = {
  Bun: ["abi", "arena", "current", "engine", "handle", "machine", "thread"],
  Deno: ["abi", "arena", "current", "engine", "handle", "machine"],
} as const;
/** The tests in these files that are not in the gate: they start many threads, or wait for their end. */
const GATE_FLAGS: RuntimeFlags = {
  bun: [
    "--test-name-pattern=^(?!thread\\.terminate|joinAll|arenas between|launch (?!pins|refuses what))",
  ],
};
const NOT_IN_GATE = /^(thread\.terminate|joinAll|arenas between|launch)/;

const SHAPE = [
  ...["--arch=arm64", "--nodes=2", "--memory=1G", "--hugepages=0:2m=16"],
  // What is only repeated is repeated less: tests/support/extent.ts, native/tests/check.h.
  "--env=NUMAKIT_REPEAT_PART=20",
];

const SKIPPED = 77;
/** Runs the C tests one after the other, and says where each begins and how it ends. */
const C_TESTS = `exec 2>&1
max_maps=/proc/sys/vm/max_map_count
all=$(cat $max_maps)
for test in build/arm64/*_test; do
  echo "begin \${test##*/}"
  # It makes mappings until the kernel refuses more, and 65,530 take minutes here.
  if [ "\${test##*/}" = mapping_test ] && [ -n "$NUMAKIT_REPEAT_PART" ]; then echo 16384 > $max_maps; fi
  "$test" native/tests
  echo "end $?"
  echo "$all" > $max_maps
done`;

/** What the C tests printed, as tests: each `RUN` of check.h that came back, and the one that did not. */
function readCTests(output: string): TestCase[] {
  const tests: TestCase[] = [];
  let program = "";
  let passed = 0;
  for (const line of output.split("\n")) {
    const [, word, rest = ""] = /^(begin|end|ok -) (.*)$/.exec(line) ?? [];
    const add = (name: string, outcome: TestCase["outcome"]) =>
      tests.push({ name: `${program} > ${name}`, outcome, reason: undefined });
    if (word === "begin") [program, passed] = [rest, 0];
    if (word === "ok -") passed++, add(rest, "passed");
    if (word !== "end") continue;
    if (Number(rest) === SKIPPED) add("the rest", "skipped");
    else if (rest === "0" && passed === 0) add("no test ran", "failed");
    else if (rest !== "0") add(`exit status ${rest}`, "failed");
  }
  return tests;
}

function judgeCTests({ name, status, output, seconds, leftovers }: SuiteRun): SuiteResult {
  const tests = readCTests(output);
  const ended = output.match(/^end \d+$/gm)?.length ?? 0;
  const all = globSync("native/tests/*_test.c").length;
  if (status !== 0 || ended !== all) {
    const reason = `${ended} of ${all} programs ended, exit status ${status}`;
    tests.push(failure(`the whole suite: ${reason}`));
  }
  tests.push(...leftovers.map((left) => failure(`the whole suite: left running: ${left}`)));
  if (!tests.some(({ outcome }) => outcome !== "skipped")) {
    tests.push(failure("the whole suite: no test passed"));
  }
  if (tests.some(({ outcome }) => outcome === "failed")) {
    process.stdout.write(`--- ${name} failed\n${output}\n`);
  }
  return { name, tests, seconds };
}

/** Deno takes seconds to start a thread there, and ten and more to end one: Bun runs the tests that have some. */
const HAS_THREADS = /\blaunch\(|\bnew Worker\(|\/(workers|launches|churn|lock_checks|fuzz_sync)/;

function hasThreads(file: string): boolean {
  return HAS_THREADS.test(readFileSync(file, "utf8"));
}

/** The files of the suites by what their names end with. Placement is told from all mappings of a process. */
function filesFor(runtime: "Bun" | "Deno", extent: Extent): Record<string, string[]> {
  if (extent === "gate") return { "": unitTestsNamed(GATE_FILES[runtime]) };
  const tests = unitTests.filter((file) =>
    !Object.keys(LEFT_OUT.full).some((left) => file.startsWith(left))
  );
  const placement = globSync("tests/numa/{two_nodes,any_*}_test.ts").sort();
  const own = (files: string[]) => runtime === "Bun" ? files : files.filter((f) => !hasThreads(f));
  return Object.fromEntries(
    Object.entries({ "": tests, " placement": placement })
      .map(([suffix, files]) => [suffix, own(files)] as const)
      .filter(([, files]) => files.length > 0),
  );
}

/** The tests of a report and what was left out. */
function withLeftOut(
  reported: readonly TestCase[],
  runtime: "Bun" | "Deno",
  extent: Extent,
): TestCase[] {
  const slow = "takes too long in emulation for the gate: scripts/test_arm64 runs it";
  const tests = reported.map((test): TestCase =>
    extent === "gate" && test.outcome === "skipped" && NOT_IN_GATE.test(test.name)
      ? { ...test, reason: slow }
      : test
  );
  const others = Object.entries(LEFT_OUT[extent]);
  if (extent === "full" && runtime === "Deno") {
    others.push([
      "tests with threads",
      "Deno takes seconds to start or end one there: Bun runs them",
    ]);
  }
  return [
    ...tests,
    ...others.map(([name, reason]): TestCase => ({ name, outcome: "skipped", reason })),
  ];
}

/** The guest and its suites. */
export function arm64Guest(
  extent: Extent,
): { readonly name: string; readonly shape: readonly string[]; readonly suites: GuestSuite[] } {
  const cTests: GuestSuite = {
    name: "arm64 guest, C helper",
    command: () => ["sh", "-c", C_TESTS],
    read: judgeCTests,
  };
  const suites = (["Bun", "Deno"] as const).flatMap((runtime) => {
    const flags = extent === "gate" ? GATE_FLAGS : {};
    return Object.entries(filesFor(runtime, extent)).map(([suffix, files]): GuestSuite => ({
      name: `arm64 guest, ${runtime}${suffix}`,
      command: commandsFor(files, flags)[runtime],
      read(run) {
        const suite = judge(run);
        return suffix === ""
          ? { ...suite, tests: withLeftOut(suite.tests, runtime, extent) }
          : suite;
      },
    }));
  });
  return { name: "arm64 guest", shape: SHAPE, suites: [cTests, ...suites] };
}
