import type { TestCase } from "./junit.ts";
import type { SuiteResult } from "./suite.ts";

function tally(tests: readonly TestCase[], outcome: TestCase["outcome"]): number {
  return tests.filter((test) => test.outcome === outcome).length;
}

/** How many tests of a suite passed, failed and were skipped. */
export function suiteLine({ name, tests, seconds }: SuiteResult): string {
  const counts = (["passed", "failed", "skipped"] as const)
    .map((outcome) => `${tally(tests, outcome)} ${outcome}`).join(", ");
  return `${name}: ${counts} (${seconds.toFixed(0)} s)`;
}

/** Only Node's reports carry the reasons that the tests declare; a test's name finds them for the others. */
function skipReasons(results: readonly SuiteResult[]): Map<string, string> {
  const known = new Map<string, string>();
  for (const { name, outcome, reason } of results.flatMap(({ tests }) => tests)) {
    if (outcome === "skipped" && reason !== undefined) known.set(name, reason);
  }
  return known;
}

function skippedLines({ tests }: SuiteResult, known: ReadonlyMap<string, string>): string[] {
  return tests.filter(({ outcome }) => outcome === "skipped").map(({ name, reason }) =>
    `    skipped: ${name}: ${reason ?? known.get(name) ?? "see the test's declaration"}`
  );
}

function failedLines({ name: suite, tests }: SuiteResult): string[] {
  return tests.filter(({ outcome }) => outcome === "failed").map(({ name, reason }) =>
    `failed: ${suite}: ${name}${reason === undefined ? "" : `: ${reason}`}`
  );
}

/**
 * What the gate says at its end: what each suite came to, what was skipped and why, and last, where it is seen even if
 * only the end of the output is kept, what failed.
 *
 * @returns The text, and the gate's exit status.
 */
export function summarize(results: readonly SuiteResult[]): { text: string; status: 0 | 1 } {
  const known = skipReasons(results);
  const all = results.flatMap(({ tests }) => tests);
  const failed = tally(all, "failed");
  const lines = [
    "",
    ...results.flatMap((result) => [suiteLine(result), ...skippedLines(result, known)]),
    "",
    ...results.flatMap(failedLines),
    `${tally(all, "passed")} passed, ${failed} failed, ${tally(all, "skipped")} skipped`,
  ];
  return { text: `${lines.join("\n")}\n`, status: all.length === 0 || failed > 0 ? 1 : 0 };
}
