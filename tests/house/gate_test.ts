import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import type { SuiteResult } from "../../scripts/lib/suite.ts";
import { onNode20 } from "../support/checkout.ts";

const here = process.cwd();
const options = { skip: onNode20 && "Node 20 runs no TypeScript" };
let folder = "";

/** Writes a file of a checkout that is there for one test. */
function put(path: string, text: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text);
}

/** A report of one test. */
function reportOf(suite: string, test = ""): string {
  return `<testsuites><testsuite name="${suite}"><testcase name="a">${test}</testcase>` +
    "</testsuite></testsuites>";
}

/** The names of the tests that failed: what makes the gate red. */
function failures({ tests }: SuiteResult): string[] {
  return tests.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
}

before(async () => {
  // Looks for the files of all suites when it is loaded.
  if (!onNode20) await import("../../scripts/lib/arm64.ts");
});

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "numakit-gate-"));
  process.chdir(folder);
});

afterEach(() => {
  process.chdir(here);
  rmSync(folder, { recursive: true });
});

describe("a suite of the gate", () => {
  it("passes when its command does, and all of its tests", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s"));
    const run = { name: "some suite", status: 0, output: "", seconds: 1 };
    assert.deepEqual(failures(judge(run)), []);
    assert.equal(judge(run).tests.length, 1);
  });

  it("fails when its command does, whatever its report says", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s"));
    const run = { name: "some suite", status: 139, output: "", seconds: 1 };
    assert.deepEqual(failures(judge(run)), ["the whole suite: exit status 139"]);
  });

  it("fails when there is no report, or nothing in it", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    const run = { name: "some suite", status: 0, output: "", seconds: 1 };
    assert.deepEqual(failures(judge(run)), ["the whole suite: no test ran"]);
    put("build/reports/some_suite.xml", "<testsuites></testsuites>");
    assert.deepEqual(failures(judge(run)), ["the whole suite: no test ran"]);
  });

  it("does not pass for the report of an earlier run", options, async () => {
    const { runJunit } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s"));
    const result = await runJunit("some suite", () => ["true"]);
    assert.deepEqual(failures(result), ["the whole suite: no test ran"]);
  });
});

describe("a report", () => {
  it("tells of failures, of errors and of what was skipped", options, async () => {
    const { readJunit } = await import("../../scripts/lib/junit.ts");
    const outcomeOf = (test: string) =>
      readJunit(reportOf("s", test)).map(({ outcome }) => outcome);
    assert.deepEqual(outcomeOf(""), ["passed"]);
    assert.deepEqual(outcomeOf('<failure message="no"/>'), ["failed"]);
    assert.deepEqual(outcomeOf("<error>no</error>"), ["failed"]);
    assert.deepEqual(outcomeOf("<skipped/>"), ["skipped"]);
  });
});

describe("suites in a guest", () => {
  /** Runs two suites whose guest leaves these rows and reports. */
  async function run(rows: string): Promise<string[][]> {
    const { runInGuest } = await import("../../scripts/lib/guests.ts");
    put("rows.json", rows);
    put("report.xml", reportOf("s"));
    put(
      "scripts/numa_vm",
      '#!/bin/sh\nfor last; do :; done\ncp rows.json "$last"\n' +
        "for suite in first second; do cp report.xml build/reports/$suite.xml; done\n",
    );
    chmodSync("scripts/numa_vm", 0o755);
    const suites = ["first", "second"].map((name) => ({ name, command: () => ["true"] }));
    return (await runInGuest("a guest", [], suites)).map(failures);
  }

  const row = (status: number | null, oomKills: readonly string[] = []) => ({
    ...{ status, oomKills, seconds: 1, reason: null, output: "" },
  });

  it("pass when each ends well", options, async () => {
    assert.deepEqual(await run(JSON.stringify([row(0), row(0)])), [[], []]);
  });

  it("fail when they were stopped, whatever they have reported", options, async () => {
    const rows = JSON.stringify([row(null), row(null, ["out of memory"])]);
    assert.deepEqual(await run(rows), [
      ["the whole suite: exit status 124"],
      ["the whole suite: exit status 137"],
    ]);
  });

  it("fail when the guest tells nothing of them", options, async () => {
    const missing = ["the whole suite: exit status 1"];
    assert.deepEqual(await run(JSON.stringify([row(0)])), [[], missing]);
    assert.deepEqual(await run("[{"), [missing, missing]);
  });
});

describe("the C tests of the arm64 guest", () => {
  it("fail when a program is missing, does not end or ends badly", options, async () => {
    const { arm64Guest } = await import("../../scripts/lib/arm64.ts");
    const read = arm64Guest("gate").suites[0]?.read;
    put("native/tests/first_test.c", "");
    put("native/tests/second_test.c", "");
    const failed = (output: string): string[] => {
      const run = { name: "C", status: 0, output, seconds: 1 };
      return failures(read?.(run) as SuiteResult);
    };
    const first = "begin first_test\nok - works\nend 0\n";
    assert.deepEqual(failed(`${first}begin second_test\nok - works\nend 77\n`), []);
    const missing = ["the whole suite: 1 of 2 programs ended, exit status 0"];
    assert.deepEqual(failed(first), missing);
    assert.deepEqual(failed(`${first}begin second_test\nok - works\n`), missing);
    assert.deepEqual(failed(`${first}begin second_test\nend 134\n`), [
      "second_test > exit status 134",
    ]);
  });
});
