import { XMLParser } from "fast-xml-parser";

/** One test as a runtime reported it. */
export interface TestCase {
  /** Names of its suites and its own, joined with " > ". */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it was skipped, where the runtime says so (Node does). */
  readonly reason: string | undefined;
}

interface CaseElement {
  readonly "@name": string;
  readonly failure?: unknown;
  readonly error?: unknown;
  readonly skipped?: { readonly "@message"?: string } | string;
}

interface SuiteElement {
  readonly "@name"?: string;
  readonly testsuite?: readonly SuiteElement[];
  readonly testcase?: readonly CaseElement[];
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  isArray: (name) => name === "testsuite" || name === "testcase",
});

function casesOf(suite: SuiteElement, path: readonly string[]): TestCase[] {
  const own = (suite.testcase ?? []).map((test): TestCase => {
    const failed = test.failure !== undefined || test.error !== undefined;
    const skipped = test.skipped;
    return {
      name: [...path, test["@name"]].join(" > "),
      outcome: failed ? "failed" : skipped !== undefined ? "skipped" : "passed",
      reason: typeof skipped === "object" ? skipped["@message"] : undefined,
    };
  });
  const inner = (suite.testsuite ?? []).flatMap((child) => {
    const name = child["@name"] ?? "";
    // Bun and Deno put a suite around each file; what a describe() is called has no such ending.
    return casesOf(child, /\.[tj]s$/.test(name) ? path : [...path, name]);
  });
  return [...own, ...inner];
}

/**
 * Reads a JUnit report of Bun, Deno or Node into the same list of tests.
 *
 * @param xml The report.
 * @returns The tests without the suites around them (which Deno reports as tests, too).
 */
export function readJunit(xml: string): TestCase[] {
  const root = parser.parse(xml) as { testsuites?: SuiteElement; testsuite?: SuiteElement[] };
  // ctest writes one suite and nothing around it.
  const cases = casesOf(root.testsuites ?? { testsuite: root.testsuite ?? [] }, []);
  const parents = new Set(cases.map(({ name }) => name.split(" > ").slice(0, -1).join(" > ")));
  return cases.filter(({ name, outcome }) => !parents.has(name) || outcome === "failed");
}
