/** Runs what was built for a target with the target's own C library. */
import * as fs from "node:fs";
import { join } from "node:path";
import { run, type RunOptions } from "./run.ts";
import type { Runner, Toolchain } from "./toolchain.ts";

const SKIPPED = 77;
/** How a C test says that it got -ENOSYS. */
const ENOSYS = / is -38, not /;
const OPENED_TIMES = 5;

/** How a program went. */
export interface TryResult {
  readonly test: string;
  readonly passed: boolean;
  readonly text: string;
}

/** What to run, and how. */
export interface TryOptions {
  readonly tools: Toolchain;
  readonly runner: Runner;
  /** The helper as it is delivered. */
  readonly library: string;
  /** The helper for the same processor and the other C library. */
  readonly other: string;
  /** The checkout's `native`. */
  readonly native: string;
  /** Where the C tests were built. */
  readonly folder: string;
}

function attempt(test: string, body: () => string): TryResult {
  try {
    return { test, passed: true, text: body() };
  } catch (error) {
    return { test, passed: false, text: error instanceof Error ? error.message : String(error) };
  }
}

/** Builds the program that opens a helper; it is linked with nothing but the C library. */
function buildOpener({ tools, native, folder }: TryOptions): string {
  const program = join(folder, "open_prebuilt");
  const flags = ["-O2", "-Wall", "-Werror", "-D_GNU_SOURCE", `-I${native}/include`];
  run(tools.cc, [...flags, join(native, "tests/open_prebuilt.c"), "-o", program, "-ldl"]);
  return program;
}

function openHelper({ runner, library, native }: TryOptions, program: string): string {
  const args = [library, join(native, "tests/fixtures/two_packages_hbm.xml")];
  const said = Array.from({ length: OPENED_TIMES }, () => runner(program, args).stdout.trim());
  // The quickest: the first one waits for the disk. The milliseconds come first and are padded.
  return said.sort()[0] ?? "";
}

/** The library is looked for by trying: the one for the other C library must not open, or it would crash later. */
function openOther({ runner, other }: TryOptions, program: string): string {
  const { status, stderr } = runner(program, [other, ""], { accept: [1] });
  if (status === 0 || !stderr.includes(": CHECK(library != NULL) failed")) {
    throw new Error(`was opened\n${stderr}`);
  }
  return `refused: ${stderr.split("\n", 1)[0]}`;
}

function runTest({ tools, runner, native, folder }: TryOptions, test: string): string {
  const options: RunOptions = { accept: [SKIPPED, 1] };
  const { status, stdout, stderr } = runner(join(folder, test), [join(native, "tests")], options);
  const passed = `${stdout.match(/^ok - /gm)?.length ?? 0} passed`;
  if (status === 0) return passed;
  if (status === SKIPPED) return "skipped";
  if (tools.target.emulated && ENOSYS.test(stderr)) {
    return `${passed}, the rest skipped: the emulator has no memory policy`;
  }
  throw new Error(`${passed}, then:\n${stderr}`);
}

/** Runs a target's C tests, then its helper. */
export function tryOut(options: TryOptions): TryResult[] {
  const tests = fs.globSync("*_test", { cwd: options.folder }).sort();
  if (tests.length === 0) return [{ test: "C tests", passed: false, text: "there are none" }];
  const program = buildOpener(options);
  return [
    ...tests.map((test) => attempt(test, () => runTest(options, test))),
    attempt("the helper", () => openHelper(options, program)),
    attempt("the helper for the other C library", () => openOther(options, program)),
  ];
}
