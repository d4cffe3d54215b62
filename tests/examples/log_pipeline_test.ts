import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { checkout, onNode20, runModule } from "../support/checkout.ts";
import { noPolicies } from "../support/policies.ts";

const skip = onNode20 && "Node 20 runs no TypeScript";
/** The last chunk is not a whole one. */
const LINES = 20_011;
/** Half a bucket of a histogram. */
const PRECISION = 1 / 128;

interface Report {
  readonly lines: number;
  readonly bytes: number;
  readonly statuses: readonly number[];
  readonly countries: readonly number[];
  readonly routes: readonly Readonly<Record<"count" | "p50Us" | "p99Us", number>>[];
}

/** The example's own modules: imported here, as Node 20 cannot. */
const moduleOf = (file: string): string => new URL(`examples/log-pipeline/${file}`, checkout).href;

/** One thread, one line after the other. */
async function plainRun(): Promise<Report> {
  const log = await import(moduleOf("log.ts"));
  const { newTally, count, reportOf } = await import(moduleOf("before/tally.ts"));
  const countries = new Map<number, number>(log.networks());
  const tally = newTally();
  for (const chunk of log.logOf(LINES)) {
    for (const line of log.linesOf(chunk)) {
      const hit = log.parseLine(line);
      count(tally, { ...hit, country: countries.get(hit.address >>> 16) ?? 0 });
    }
  }
  return reportOf(tally);
}

function run(file: string, ...more: readonly string[]): Report {
  const { status, stdout, stderr } = runModule(new URL(`examples/log-pipeline/${file}`, checkout), {
    args: ["--json", "--lines", String(LINES), ...more],
  });
  assert.equal(status, 0, stderr);
  const { linesPerSecond, memoryMiB, ...report } = JSON.parse(stdout);
  assert.ok(linesPerSecond > 0 && memoryMiB > 0, stdout);
  return report;
}

function assertSame(report: Report, expected: Report): void {
  const counts = ({ routes, ...totals }: Report) => ({
    ...totals,
    routes: routes.map((r) => r.count),
  });
  assert.deepEqual(counts(report), counts(expected));
  for (const [index, { p50Us, p99Us }] of expected.routes.entries()) {
    const route = report.routes[index]!;
    assert.ok(Math.abs(route.p50Us - p50Us) <= p50Us * PRECISION, `${route.p50Us}, ${p50Us}`);
    assert.ok(Math.abs(route.p99Us - p99Us) <= p99Us * PRECISION, `${route.p99Us}, ${p99Us}`);
  }
}

describe("the example of a log pipeline", () => {
  it("has a log that is what it should be", { skip }, async () => {
    const { lines, bytes, statuses, countries, routes } = await plainRun();
    assert.equal(lines, LINES);
    assert.ok(bytes > LINES * 1000);
    const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0);
    assert.equal(sum(statuses), LINES);
    assert.equal(sum(countries), LINES);
    assert.ok(countries.every((count) => count > LINES / 16), countries.join());
    assert.ok(routes.every(({ p50Us, p99Us }) => p50Us >= 200 && p99Us > 2 * p50Us));
  });

  const where = noPolicies === false ? [] : ["--unplaced"];
  for (
    const [name, ...args] of [
      ["one thread a stage", "main.ts", ...where],
      ["five threads a stage", "main.ts", "--threads", "5", ...where],
      ["plain shared memory", "main.ts", "--unplaced"],
      ["messages of objects", "before/main.ts", "--threads", "2"],
      ["messages of buffers", "before/main.ts", "--buffers"],
    ] as const
  ) {
    it(`finds what a plain run finds: ${name}`, { skip }, async () => {
      const [file, ...more] = args as [string, ...string[]];
      assertSame(run(file, ...more), await plainRun());
    });
  }

  it("draws a report", { skip }, () => {
    const { stdout, status } = runModule(new URL("examples/log-pipeline/main.ts", checkout), {
      args: ["--lines", "1000", ...where],
    });
    assert.equal(status, 0);
    assert.match(stdout, /^1000 requests, \d+ bytes\n/);
    assert.match(stdout, /^\| \/cart \| \d+ \| \d+ \| \d+ \|$/m);
    assert.match(stdout, /\d+ lines a second\n$/);
  });
});
