import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { afterEach, before, beforeEach, describe, it } from "node:test";
import type { SuiteResult } from "../../scripts/lib/suite.ts";
import { onNode20 } from "../support/checkout.ts";
import { notInGate } from "../support/extent.ts";

const here = process.cwd();
/** Bun runs the gate. Three runtimes start in some of these tests, which takes long on a busy machine. */
const skip = onNode20 ? "Node 20 runs no TypeScript" : notInGate;
const options = { skip, timeout: 900_000 };
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

/** How a suite ended that ended well. */
const ran = {
  ...{ name: "some suite", command: ["some", "program"], status: 0, output: "", seconds: 1 },
  leftovers: [],
};

/** The names of the tests that failed: what makes the gate red. */
function failures({ tests }: SuiteResult): string[] {
  return tests.filter(({ outcome }) => outcome === "failed").map(({ name }) => name);
}

before(async () => {
  // Looks for the files of all suites when it is loaded.
  if (skip === false) await import("../../scripts/lib/arm64.ts");
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
    assert.deepEqual(failures(judge(ran)), []);
    assert.equal(judge(ran).tests.length, 1);
  });

  it("fails when its command does, whatever its report says", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s"));
    assert.deepEqual(failures(judge({ ...ran, status: 139 })), [
      "the whole suite: exit status 139",
    ]);
  });

  it("fails when there is no report, or nothing in it", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    assert.deepEqual(failures(judge(ran)), ["the whole suite: no test ran"]);
    put("build/reports/some_suite.xml", "<testsuites></testsuites>");
    assert.deepEqual(failures(judge(ran)), ["the whole suite: no test ran"]);
  });

  it("does not pass for the report of an earlier run", options, async () => {
    const { runJunit } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s"));
    const result = await runJunit("some suite", () => ["true"]);
    assert.deepEqual(failures(result), ["the whole suite: no test ran"]);
  });

  it("fails when no test passed", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s", "<skipped/>"));
    assert.deepEqual(failures(judge(ran)), ["the whole suite: no test passed"]);
  });

  it("fails when Bun could not write the report", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s"));
    const said = "JUnitReportFailed: Failed to write JUnit report to /dev/full";
    const output = ` 2 pass\n${said}\nENOSPC: No space left on device (write())\n`;
    assert.deepEqual(failures(judge({ ...ran, output })), [`the whole suite: ${said}`]);
    const printed =
      `${said}\nENOSPC: No space left on device (write())\n\n 2 pass\n 0 fail\nRan 2 tests\n`;
    assert.deepEqual(failures(judge({ ...ran, output: printed })), []);
  });

  it("fails when it left a process running, whatever its report says", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s"));
    assert.deepEqual(failures(judge({ ...ran, leftovers: ["sleep 9"] })), [
      "the whole suite: left running: sleep 9",
    ]);
  });
});

describe("a suite that fails", () => {
  /** What is printed while something runs. */
  function printed(body: () => void): string {
    const { write } = process.stdout;
    let text = "";
    process.stdout.write = (chunk: Uint8Array | string) => {
      text += chunk;
      return true;
    };
    try {
      body();
    } finally {
      process.stdout.write = write;
    }
    return text;
  }

  it("shows what its report says of each failure, once", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put("build/reports/some_suite.xml", reportOf("s", "<failure message='m'>at x.ts:3</failure>"));
    assert.match(printed(() => judge(ran)), /^--- some suite: s > a\nat x\.ts:3$/m);
    const told = printed(() => judge({ ...ran, output: "a: m at x.ts:3" }));
    assert.equal(told.match(/at x\.ts:3/g)?.length, 1);
    put("build/reports/some_suite.xml", reportOf("s"));
    assert.equal(printed(() => judge(ran)), "");
  });
});

describe("processes on Deno", () => {
  it("may crash at their exit now and then, and not often", options, async () => {
    const { judgeExits } = await import("../../scripts/lib/exits.ts");
    const told = (crashed: number, ended: number): readonly string[] => {
      put("exits.log", "crashed file:///a/b.ts\n".repeat(crashed) + "ended c.ts\n".repeat(ended));
      return judgeExits("exits.log").flatMap(failures);
    };
    assert.deepEqual(judgeExits("no such file"), []);
    assert.deepEqual([told(0, 1), told(1, 0), told(1, 9), told(4, 36)].flat(), []);
    assert.deepEqual(told(2, 8), ["crashed at their exit and were run again: 2 of 10"]);
    const [{ tests = [] } = {}] = judgeExits("exits.log");
    assert.equal(tests[0]?.reason, "more than 10 %: b.ts");
  });
});

describe("the gate's last words", () => {
  it("end with what failed, and with what", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    const { summarize } = await import("../../scripts/lib/summary.ts");
    const suites = Object.entries({
      good: "",
      left: '<skipped message="too hot"/>',
      bad: '<failure message="1&#10;&#10;  \u001b[31mis not 2\u001b[0m">all of it</failure>',
      ended: "<failure>exit 3</failure>",
      dead: "<failure/>",
    }).map(([name, test]) => {
      put(`build/reports/${name}.xml`, reportOf(name, test));
      return judge({ ...ran, name });
    });
    const { text, status } = summarize(suites);
    assert.equal(status, 1);
    assert.match(text, /^ {4}skipped: left > a: too hot$/m);
    assert.deepEqual(text.trimEnd().split("\n").slice(-5), [
      "failed: left: the whole suite: no test passed",
      "failed: bad: bad > a: 1 | is not 2",
      "failed: ended: ended > a: exit 3",
      "failed: dead: dead > a",
      "1 passed, 4 failed, 1 skipped",
    ]);
    assert.equal(summarize(suites.slice(0, 1)).status, 0);
    assert.equal(summarize([]).status, 1);
  });
});

describe("a file of tests", () => {
  const works = (name: string) =>
    `import { it } from "node:test";\nit("works ${name}", () => {});\n`;
  const EXIT = 'import process from "node:process";\nprocess.exit(0);\n';
  const files = ["first_test.ts", "second_test.ts", "third_test.ts"];

  /** What fails on each runtime when a second file is between two that work. */
  async function run(second: string): Promise<Record<string, string[]>> {
    const { commandsFor } = await import("../../scripts/lib/runtimes.ts");
    const { runJunit } = await import("../../scripts/lib/suite.ts");
    symlinkSync(join(here, ".tools"), ".tools");
    for (const file of files) put(file, works(file));
    put("second_test.ts", second);
    // With it Node thinks that its own run is meant, and runs nothing.
    const { NODE_TEST_CONTEXT: context } = process.env;
    delete process.env["NODE_TEST_CONTEXT"];
    const failed: Record<string, string[]> = {};
    try {
      for (const [runtime, command] of Object.entries(commandsFor(files))) {
        failed[runtime] = failures(await runJunit(runtime, command));
      }
    } finally {
      if (context !== undefined) process.env["NODE_TEST_CONTEXT"] = context;
    }
    return failed;
  }

  it("passes with a test in it", options, async () => {
    assert.deepEqual(await run(works("too")), { Bun: [], Deno: [], "Node 26": [] });
  });

  it("fails without a test in it", options, async () => {
    const empty = ["second_test.ts: no test ran"];
    assert.deepEqual(await run("export {};\n"), { Bun: empty, Deno: empty, "Node 26": empty });
  });

  it("fails when it exits before its tests", options, async () => {
    for (const [runtime, failed] of Object.entries(await run(EXIT + works("never")))) {
      assert.notDeepEqual(failed, [], runtime);
    }
  });

  it("fails when one of its tests exits", options, async () => {
    const exits = `${works("before")}it("exits", async () => {\n` +
      '  (await import("node:process")).default.exit(0);\n});\nit("is lost", () => {});\n';
    for (const [runtime, failed] of Object.entries(await run(exits))) {
      assert.notDeepEqual(failed, [], runtime);
    }
  });

  it("is missed when Node 20 has a test of its name", options, async () => {
    const { judge } = await import("../../scripts/lib/suite.ts");
    put(
      "build/reports/some_suite.xml",
      '<testsuites><testcase name="a"/><testcase name="a_test.js"/></testsuites>',
    );
    const command = ["node", "./a_test.js", "./b_test.js"];
    assert.deepEqual(failures(judge({ ...ran, command })), ["a_test.js: no test ran"]);
  });
});

describe("a report", () => {
  it("tells of failures, of errors and of what was skipped", options, async () => {
    const { readJunit } = await import("../../scripts/lib/junit.ts");
    const outcomeOf = (test: string) =>
      readJunit(reportOf("s", test)).tests.map(({ outcome }) => outcome);
    assert.deepEqual(outcomeOf(""), ["passed"]);
    assert.deepEqual(outcomeOf('<failure message="no"/>'), ["failed"]);
    assert.deepEqual(outcomeOf("<error>no</error>"), ["failed"]);
    assert.deepEqual(outcomeOf("<skipped/>"), ["skipped"]);
  });

  it("is refused when a part of it is missing", options, async () => {
    const { readJunit } = await import("../../scripts/lib/junit.ts");
    const whole = '<testsuites tests="2"><testsuite name="s"><testcase name="a"/>' +
      '<testcase name="b"/></testsuite></testsuites>';
    assert.equal(readJunit(whole).tests.length, 2);
    for (let end = 0; end < whole.length; end++) {
      assert.throws(() => readJunit(whole.slice(0, end)), /the report is not whole/);
    }
    assert.throws(
      () => readJunit(whole.replace('<testcase name="b"/>', "")),
      /the report is not whole: it has 1 of 2 tests/,
    );
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

  it("fail when the kernel killed for memory meanwhile", options, async () => {
    const rows = JSON.stringify([row(0, ["out of memory"]), row(1, ["out of memory"])]);
    assert.deepEqual(await run(rows), [
      ["the whole suite: exit status 137"],
      ["the whole suite: exit status 1"],
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
      return failures(read?.({ ...ran, output }) as SuiteResult);
    };
    const first = "begin first_test\nok - works\nend 0\n";
    assert.deepEqual(failed(`${first}begin second_test\nok - works\nend 77\n`), []);
    const missing = ["the whole suite: 1 of 2 programs ended, exit status 0"];
    assert.deepEqual(failed(first), missing);
    assert.deepEqual(failed(`${first}begin second_test\nok - works\n`), missing);
    assert.deepEqual(failed(`${first}begin second_test\nend 134\n`), [
      "second_test > exit status 134",
    ]);
    assert.deepEqual(failed(`${first}begin second_test\nend 0\n`), ["second_test > no test ran"]);
    assert.deepEqual(failed("begin first_test\nend 77\nbegin second_test\nend 77\n"), [
      "the whole suite: no test passed",
    ]);
  });
});
