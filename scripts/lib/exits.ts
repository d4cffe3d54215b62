/** How often Deno crashed at the exit of a process that a test ran, and was run again for that. */
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { REPORTS, type SuiteResult } from "./suite.ts";

/** So many of a hundred runs may crash: Deno by itself did in 1 to 3 of them (docs/runtimes.md), and there is some room. */
const MAX_PERCENT = 10;
/** Of fewer runs nothing is said. */
const FEW = 10;

/**
 * Has tests write down how the processes that they run end (tests/support/checkout.ts).
 *
 * @returns What to read it from.
 */
export function watchExits(): string {
  const file = `${process.cwd()}/${REPORTS}/exits.log`;
  mkdirSync(dirname(file), { recursive: true });
  rmSync(file, { force: true });
  process.env["NUMAKIT_EXITS"] = file;
  return file;
}

/**
 * Judges what was written down.
 *
 * @param file What {@linkcode watchExits} returned.
 * @returns One test, or none where no test ran a process on Deno.
 */
export function judgeExits(file: string): SuiteResult[] {
  let lines: string[];
  try {
    lines = readFileSync(file, "utf8").trimEnd().split("\n");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const crashes = lines.filter((line) => line.startsWith("crashed "));
  const isMuch = lines.length >= FEW && crashes.length * 100 > lines.length * MAX_PERCENT;
  const modules = [...new Set(crashes.map((line) => line.replace(/^.*\//, "")))].join(", ");
  return [{
    name: "processes on Deno",
    tests: [{
      name: `crashed at their exit and were run again: ${crashes.length} of ${lines.length}`,
      outcome: isMuch ? "failed" : "passed",
      reason: isMuch ? `more than ${MAX_PERCENT} %: ${modules}` : undefined,
    }],
    seconds: 0,
  }];
}
