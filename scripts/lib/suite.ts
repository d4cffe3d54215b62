import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { relative, resolve } from "node:path";
import process from "node:process";
import { type CommandResult, runCommand } from "./command.ts";
import { readJunit, type Report, TEST_FILE, type TestCase } from "./junit.ts";

/** What a suite came to. */
export interface SuiteResult {
  readonly name: string;
  readonly tests: readonly TestCase[];
  readonly seconds: number;
}

/** Folder of reports and logs. */
export const REPORTS = "build/reports";

/**
 * Runs commands that pass or fail as a whole: each is one test.
 *
 * @param name The suite's name.
 * @param commands The commands, by the tests' names.
 * @param tables Those whose output is of interest when they pass, too.
 */
export async function runChecks(
  name: string,
  commands: Readonly<Record<string, readonly string[]>>,
  tables: readonly string[] = [],
): Promise<SuiteResult> {
  const start = performance.now();
  const tests: TestCase[] = [];
  for (const [check, command] of Object.entries(commands)) {
    const { status, output, leftovers } = await runCommand(command);
    tests.push({ name: check, outcome: status === 0 ? "passed" : "failed", reason: undefined });
    tests.push(...leftovers.map((left) => failure(`${check}: left running: ${left}`)));
    if (status !== 0) process.stdout.write(`--- ${name}: ${check} failed\n${output}\n`);
    else if (tables.includes(check)) process.stdout.write(`${check}:\n${output}\n`);
  }
  return { name, tests, seconds: (performance.now() - start) / 1000 };
}

/** What is known of a suite that has run. */
export interface SuiteRun extends CommandResult {
  readonly name: string;
  /** The command; the files of tests among its words have to be in the report. */
  readonly command: readonly string[];
  readonly seconds: number;
}

/** The file that a suite's report is written to. */
export function reportOf(name: string): string {
  return `${REPORTS}/${name.replaceAll(/\W+/g, "_")}.xml`;
}

/** A failed test that stands for something that went wrong outside the tests. */
export function failure(name: string): TestCase {
  return { name, outcome: "failed", reason: undefined };
}

/** The files of tests of which the report has none. */
function emptyFiles({ command }: SuiteRun, { tests, files }: Report): string[] {
  const named = new Set(
    tests.flatMap(({ name }) => TEST_FILE.test(name) ? [resolve(name)] : []),
  );
  return command.filter((word) => TEST_FILE.test(word)).filter((file) =>
    named.has(resolve(file)) || (files.size > 0 && !files.has(resolve(file)))
  );
}

/** What makes a suite fail in which no test failed. */
function problemsOf(run: SuiteRun, report: Report): string[] {
  const { status, output } = run;
  if (report.tests.length === 0) return ["the whole suite: no test ran"];
  if (status !== 0) return [`the whole suite: exit status ${status}`];
  // Bun says so at its end and exits with 0. Tests may have printed the same before.
  const last = output.trimEnd().split("\n").slice(-3);
  const unwritten = last.find((line) => /^(error: )?JUnitReportFailed/.test(line));
  if (unwritten !== undefined) return [`the whole suite: ${unwritten}`];
  if (!report.tests.some(({ outcome }) => outcome === "passed")) {
    return ["the whole suite: no test passed"];
  }
  return emptyFiles(run, report).map((file) => `${relative(".", file)}: no test ran`);
}

/**
 * Reads a suite's report, and shows what it printed if it failed.
 *
 * @param run How it ended.
 * @returns Its tests; what went wrong without a failed test counts as a failed test of its own.
 */
export function judge(run: SuiteRun): SuiteResult {
  const { name, output, seconds } = run;
  let report: Report = { tests: [], files: new Set() };
  const tests: TestCase[] = [];
  try {
    report = readJunit(readFileSync(reportOf(name), "utf8"));
    tests.push(...report.tests);
  } catch (error) {
    process.stdout.write(`--- ${name}: no report (${error})\n`);
  }
  const isFailed = ({ outcome }: TestCase): boolean => outcome === "failed";
  if (!tests.some(isFailed)) tests.push(...problemsOf(run, report).map(failure));
  tests.push(...run.leftovers.map((left) => failure(`the whole suite: left running: ${left}`)));
  if (run.status !== 0 || tests.some(isFailed)) {
    process.stdout.write(`--- ${name} failed\n${output}\n`);
    // Node says nothing but what it writes to its report.
    for (const test of tests.filter(isFailed)) {
      if (test.details === undefined || output.includes(test.details.trim())) continue;
      process.stdout.write(`--- ${name}: ${test.name}\n${test.details}\n`);
    }
  }
  return { name, tests, seconds };
}

/**
 * Runs a command that writes a JUnit report.
 *
 * @param name The suite's name.
 * @param command Makes the command, given the report's file.
 * @param env Added to the environment.
 * @param isTable Whether its output is of interest when it passes, too.
 * @returns Its tests, as {@linkcode judge} has them.
 */
export async function runJunit(
  name: string,
  command: (report: string) => readonly string[],
  env: Readonly<Record<string, string>> = {},
  isTable = false,
): Promise<SuiteResult> {
  const start = performance.now();
  mkdirSync(REPORTS, { recursive: true });
  rmSync(reportOf(name), { force: true });
  const words = command(reportOf(name));
  const ran = await runCommand(words, env);
  const seconds = (performance.now() - start) / 1000;
  if (ran.status === 0 && isTable) process.stdout.write(`${name}:\n${ran.output}\n`);
  return judge({ ...ran, name, command: words, seconds });
}
