import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { McsLock, Mutex, topology } from "../../mod.ts";
import { terminateHolders } from "../stress/terminations.ts";
import { tortureLock } from "../stress/torture.ts";
import { runModule, sibling } from "../support/checkout.ts";
import { EXCLUSIVE, sideFor } from "../support/locks.ts";
import { Quota } from "../support/quota.ts";

/** `tests/stress/run.ts` does the same for longer. */
const MS = 400;
const TERMINATIONS = 8;
/** Of a CPU: half of the time all threads stand still together, wherever they are. */
const QUOTA = 0.5;

function whyNoQuota(): string | undefined {
  const quota = Quota.set(QUOTA);
  if (typeof quota === "string") return quota;
  quota[Symbol.dispose]();
  return undefined;
}

describe("torture", () => {
  for (const { name, lock: make, robust } of EXCLUSIVE) {
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

  const skip = whyNoQuota() ?? false;
  // One that whoever finds it free takes, and one that is handed on.
  for (const { name, lock: make, robust } of [Mutex, McsLock].map(sideFor)) {
    it(`of ${name} by 4 threads with half a CPU's quota`, { skip }, async () => {
      using quota = Quota.set(QUOTA) as Quota;
      const lock = make();
      const done = await tortureLock({ lock, threads: 4, ms: 2 * MS, seed: 1, kills: robust });
      assert.equal(done.violations, 0);
      assert.ok(done.fewest > 0, "a thread never had it");
      assert.ok(quota.throttled > 0, "the quota was never used up");
      lock.markConsistent();
      lock.acquire({ block: true, timeoutMs: 5000 }).release();
    });
  }

  it("of those that wait for a holder that is terminated", async () => {
    const { heirs, waitsMs } = await terminateHolders(TERMINATIONS);
    assert.equal(heirs, TERMINATIONS);
    assert.ok((waitsMs.at(-1) as number) < 1000, `waited ${waitsMs.at(-1)} ms`);
  });

  it("of all of them in four domains", () => {
    const ran = runModule(sibling(import.meta.url, "../stress/run"), {
      args: ["--seconds", "0.2", "--threads", "6", "--terminations", `${TERMINATIONS}`],
      env: { NUMAKIT_FAKE_DOMAINS: "4" },
      denoFlags: ["--allow-all", "--no-check"],
    });
    assert.equal(ran.status, 0, ran.stderr);
    assert.match(ran.stdout, new RegExp(`${TERMINATIONS} heirs were told`));
  });
});
