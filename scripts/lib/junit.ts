import { resolve } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { XMLParser, XMLValidator } from "fast-xml-parser";

/** One test as a runtime reported it. */
export interface TestCase {
  /** Names of its suites and its own, joined with " > ". */
  readonly name: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** Why it was skipped, where the runtime says so (Node does), or the beginning of what it failed with. */
  readonly reason: string | undefined;
  /** All that the report says of a failure. */
  readonly details?: string;
}

/** What a report says. */
export interface Report {
  /** The tests without the suites around them (which Deno reports as tests, too). */
  readonly tests: readonly TestCase[];
  /** The files that they are in, as absolute paths. None when the runtime does not tell (Node 20 does not). */
  readonly files: ReadonlySet<string>;
}

/** What a file of tests is called; so is the only test that Node reports of a file without any. */
export const TEST_FILE: RegExp = /_test\.[tj]s$/;

/** Without attributes it is its text. */
type FailureElement = string | { readonly "@message"?: string; readonly "#text"?: string };

interface CaseElement {
  readonly "@name": string;
  /** Where it is, on Bun and Node 26. */
  readonly "@file"?: string;
  /** Where it is, on Deno. */
  readonly "@classname"?: string;
  readonly failure?: FailureElement;
  readonly error?: FailureElement;
  readonly skipped?: { readonly "@message"?: string } | string;
}

interface SuiteElement {
  readonly "@name"?: string;
  /** How many tests are in it, those of its suites included. */
  readonly "@tests"?: string;
  readonly testsuite?: readonly SuiteElement[];
  readonly testcase?: readonly CaseElement[];
}

const parser = new XMLParser({
  ignoreAttributes: false,
  // Line breaks in attributes are numbers.
  htmlEntities: true,
  attributeNamePrefix: "@",
  isArray: (name) => name === "testsuite" || name === "testcase",
});

/** How much of a failure's message is kept. */
const REASON_LINES = 4;
const REASON_CHARS = 400;

/** All that is said of a failure, and the beginning of its message. */
function describe(failure: FailureElement): { details: string; reason: string | undefined } {
  const { "@message": message = "", "#text": text = "" } = typeof failure === "string"
    ? { "#text": failure }
    : failure;
  // What did not come from an assertion has a text alone on Bun.
  const lines = stripVTControlCharacters(message || text).split("\n").map((line) => line.trim());
  const said = lines.filter(Boolean).slice(0, REASON_LINES).join(" | ");
  return { details: text || message, reason: said.slice(0, REASON_CHARS) || undefined };
}

function casesOf(suite: SuiteElement, path: readonly string[]): TestCase[] {
  const own = (suite.testcase ?? []).map((test): TestCase => {
    const failed = test.failure ?? test.error;
    const skipped = test.skipped;
    const name = [...path, test["@name"]].join(" > ");
    if (failed !== undefined) return { name, outcome: "failed", ...describe(failed) };
    return {
      name,
      outcome: skipped !== undefined ? "skipped" : "passed",
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

/** The test elements of a suite and of all suites in it. */
function elementsOf(suite: SuiteElement): CaseElement[] {
  return [...(suite.testcase ?? []), ...(suite.testsuite ?? []).flatMap(elementsOf)];
}

function fileOf(test: CaseElement): string[] {
  const file = test["@file"] ?? test["@classname"];
  return file !== undefined && TEST_FILE.test(file) ? [resolve(file)] : [];
}

/**
 * Reads a JUnit report of Bun, Deno, Node, ctest or the explorer into the same list of tests.
 *
 * @param xml The report.
 * @throws {Error} When it is not whole.
 */
export function readJunit(xml: string): Report {
  // The parser takes what is there: a report that was cut is one with fewer tests.
  const valid = XMLValidator.validate(xml);
  if (valid !== true) throw new Error(`the report is not whole: ${valid.err.msg}`);
  const root = parser.parse(xml) as { testsuites?: SuiteElement; testsuite?: SuiteElement[] };
  // ctest writes one suite and nothing around it.
  const top = root.testsuites ?? root.testsuite?.[0] ?? {};
  const elements = elementsOf(top);
  const said = Number(top["@tests"] ?? elements.length);
  if (said !== elements.length) {
    throw new Error(`the report is not whole: it has ${elements.length} of ${said} tests`);
  }
  const cases = casesOf(root.testsuites ?? { testsuite: root.testsuite ?? [] }, []);
  const parents = new Set(cases.map(({ name }) => name.split(" > ").slice(0, -1).join(" > ")));
  return {
    tests: cases.filter(({ name, outcome }) => !parents.has(name) || outcome === "failed"),
    files: new Set(elements.flatMap(fileOf)),
  };
}
