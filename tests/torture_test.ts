import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { topology } from "../mod.ts";
import { LOCKS } from "./stress/locks.ts";
import { terminateHolders } from "./stress/terminations.ts";
import { tortureLock } from "./stress/torture.ts";

/** `tests/stress/run.ts` does the same for longer. */
const MS = 400;
const TERMINATIONS = 8;

describe("torture", () => {
  for (const { name, make, robust } of LOCKS) {
    for (const times of [2, 4]) {
      it(`of ${name} by ${times} threads a CPU`, async () => {
        const lock = make();
        const threads = times * topology().effectiveCpus;
        const done = await tortureLock({ lock, threads, ms: MS, seed: times, kills: robust });
        assert.equal(done.violations, 0);
        assert.ok(done.turns > threads, `${done.turns} turns`);
        assert.ok(done.fewest > 0, "a thread never had it");
        lock.markConsistent();
        lock.acquire({ block: true, timeoutMs: 5000 }).release();
      });
    }
  }

  it("of those that wait for a holder that is terminated", async () => {
    const { heirs, waitsMs } = await terminateHolders(TERMINATIONS);
    assert.equal(heirs, TERMINATIONS);
    assert.ok((waitsMs.at(-1) as number) < 1000, `waited ${waitsMs.at(-1)} ms`);
  });
});
