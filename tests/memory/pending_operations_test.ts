import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { runModule, sibling } from "../support/checkout.ts";

/** Rounds of each consumer. NUMAKIT_PENDING_ROUNDS=1000 for the long run: 3 to 10 minutes a runtime. */
const LONG = process.env["NUMAKIT_PENDING_ROUNDS"];
const ROUNDS = LONG ?? "10";

interface Report {
  readonly ended: number;
  readonly failed: number;
  readonly silent: number;
  readonly readOther: number;
  readonly wroteOther: number;
}

/** Consumers that run in the engine's or the system's code, and that every runtime has. */
const MIN_CONSUMERS = 12;

describe("an arena that is destroyed while native code works on its views", () => {
  const { status, signal, stdout, stderr } = runModule(
    sibling(import.meta.url, "../modules/pending"),
    { env: { ROUNDS }, again: false },
  );

  it("does not crash the process", () => {
    assert.equal(signal, null, `${signal} in ${stderr}`);
    assert.equal(status, 0, stderr);
  });

  const reports = Object.entries(JSON.parse(stdout || "{}") as Record<string, Report>);

  it("has its bytes taken to their end by most consumers", (t) => {
    const busy = reports.filter(([, { ended }]) => ended > 0);
    if (LONG !== undefined) t.diagnostic(JSON.stringify(Object.fromEntries(reports)));
    assert.ok(busy.length >= MIN_CONSUMERS, `only ${busy.map(([name]) => name)}`);
  });

  it("leaves the bytes of the next arena unread and unwritten", () => {
    for (const [name, report] of reports) {
      const { ended, failed, silent, readOther, wroteOther } = report;
      assert.equal(ended + failed + silent, Number(ROUNDS), name);
      assert.equal(readOther, 0, `${name} read another arena`);
      assert.equal(wroteOther, 0, `${name} wrote into another arena`);
    }
  });
});
