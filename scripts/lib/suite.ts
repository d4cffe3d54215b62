import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import process from "node:process";
import { readJunit, type TestCase } from "./junit.ts";
import { watchLife } from "./host_progress.ts";

/** What a suite came to. */
export interface SuiteResult {
  readonly name: string;
  readonly tests: readonly TestCase[];
  readonly seconds: number;
}

/** What a command said, and its exit status. */
export interface CommandResult {
  readonly status: number;
  readonly output: string;
}

/** Folder of reports and logs. */
export const REPORTS = "build/reports";

const running = new Set<ChildProcess>();

function stop({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL");
  } catch {
    // All of it has ended.
  }
}

process.on("exit", () => running.forEach(stop));
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => process.exit(128));
}

/**
 * Runs a command of the checkout and collects what it prints. It is stopped when nothing of it moves any more.
 *
 * @param command The program and its arguments.
 * @param env Added to the environment.
 * @returns Its exit status (128 when a signal ended it) and its output, standard error included.
 */
export function runCommand(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const [program, ...args] = command as [string, ...string[]];
    // A group of its own, so that all of it can be stopped.
    const child = spawn(program, args, {
      env: { ...process.env, NO_COLOR: "1", ...env },
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
    });
    running.add(child);
    const chunks: string[] = [];
    const endWatch = watchLife(child.pid ?? 0, (seconds) => {
      chunks.push(`\nstopped: none of its processes used a CPU for ${seconds} s\n`);
      stop(child);
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (chunk: string) => chunks.push(chunk));
    }
    child.on("error", reject);
    child.on("close", (status, signal) => {
      endWatch();
      running.delete(child);
      if (signal !== null) chunks.push(`\nended by ${signal}\n`);
      resolve({ status: status ?? 128, output: chunks.join("") });
    });
  });
}

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
    const { status, output } = await runCommand(command);
    tests.push({ name: check, outcome: status === 0 ? "passed" : "failed", reason: undefined });
    if (status !== 0) process.stdout.write(`--- ${name}: ${check} failed\n${output}\n`);
    else if (tables.includes(check)) process.stdout.write(`${check}:\n${output}\n`);
  }
  return { name, tests, seconds: (performance.now() - start) / 1000 };
}

/** What is known of a suite that has run. */
export interface SuiteRun extends CommandResult {
  readonly name: string;
  readonly seconds: number;
}

/** The file that a suite's report is written to. */
export function reportOf(name: string): string {
  return `${REPORTS}/${name.replaceAll(/\W+/g, "_")}.xml`;
}

/**
 * Reads a suite's report, and shows what it printed if it failed.
 *
 * @param run How it ended.
 * @returns Its tests; a command that fails without a failed test counts as a failed test of its own.
 */
export function judge({ name, status, output, seconds }: SuiteRun): SuiteResult {
  let tests: TestCase[] = [];
  try {
    tests = readJunit(readFileSync(reportOf(name), "utf8"));
  } catch (error) {
    process.stdout.write(`--- ${name}: no report (${error})\n`);
  }
  const failed = tests.some(({ outcome }) => outcome === "failed");
  if (tests.length === 0 || (status !== 0 && !failed)) {
    const why = tests.length === 0 ? "no test ran" : `exit status ${status}`;
    tests.push({ name: `the whole suite: ${why}`, outcome: "failed", reason: undefined });
  }
  if (status !== 0 || failed) process.stdout.write(`--- ${name} failed\n${output}\n`);
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
  const { status, output } = await runCommand(command(reportOf(name)), env);
  const seconds = (performance.now() - start) / 1000;
  if (status === 0 && isTable) process.stdout.write(`${name}:\n${output}\n`);
  return judge({ name, status, output, seconds });
}
