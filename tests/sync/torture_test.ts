import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { McsLock, Mutex, topology } from "../../mod.ts";
import { terminateHolders } from "../stress/terminations.ts";
import { tortureLock } from "../stress/torture.ts";
import { runModule, sibling } from "../support/checkout.ts";
import { inExtent, notInGate } from "../support/extent.ts";
import { EXCLUSIVE, sideFor } from "../support/locks.ts";
import { Quota } from "../support/quota.ts";

/** `tests/stress/run.ts` does the same for longer. */
const MS = inExtent(300, 2000);
const TERMINATIONS = inExtent(8, 100);
/** Of a CPU: half of the time all threads stand still together, wherever they are. */
const QUOTA = 0.5;

function whyNoQuota(): string | undefined {
  const quota = Quota.set(QUOTA);
  if (typeof quota === "string") return quota;
  quota[Symbol.dispose]();
  return undefined;
}

/** One that whoever finds it free takes, and one that is handed on. */
const KINDS = [Mutex, McsLock].map(sideFor);

describe("torture", () => {
  for (const row of EXCLUSIVE) {
    const { name, lock: make, robust } = row;
    const skip = KINDS.includes(row) ? false : notInGate;
    for (const times of [2, 4]) {
      it(`of ${name} by ${times} threads a CPU`, { skip }, async () => {
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
  for (const { name, lock: make, robust } of KINDS) {
    it(`of ${name} by 4 threads with half a CPU's quota`, { skip }, async () => {
      using quota = Quota.set(QUOTA) as Quota;
      const lock = make();
      const before = process.cpuUsage();
      const start = performance.now();
      const done = await tortureLock({ lock, threads: 4, ms: 800, seed: 1, kills: robust });
      const { user, system } = process.cpuUsage(before);
      const cpus = (user + system) / 1000 / (performance.now() - start);
      assert.equal(done.violations, 0);
      assert.ok(done.fewest > 0, "a thread never had it");
      // A busy machine may give it no more than that.
      assert.ok(quota.throttled > 0 || cpus < 1.1 * QUOTA, `${cpus} CPUs without a stop`);
      lock.markConsistent();
      lock.acquire({ block: true, timeoutMs: 5000 }).release();
    });
  }

  for (const row of EXCLUSIVE.filter(({ robust }) => robust)) {
    const skip = KINDS.includes(row) ? false : notInGate;
    it(`of those that wait for a holder of ${row.name} that is terminated`, { skip }, async () => {
      const { heirs, waitsMs } = await terminateHolders(row.lock(), TERMINATIONS);
      assert.equal(heirs, TERMINATIONS);
      assert.ok((waitsMs.at(-1) as number) < 1000, `waited ${waitsMs.at(-1)} ms`);
    });
  }

  it("of all of them in four domains", { skip: notInGate }, () => {
    const ran = runModule(sibling(import.meta.url, "../stress/run"), {
      args: ["--seconds", "0.2", "--threads", "6", "--terminations", `${TERMINATIONS}`],
      env: { NUMAKIT_FAKE_DOMAINS: "4" },
      denoFlags: ["--allow-all", "--no-check"],
    });
    assert.equal(ran.status, 0, ran.stderr);
    const told = ran.stdout.matchAll(new RegExp(`${TERMINATIONS} heirs were told`, "g"));
    assert.equal([...told].length, EXCLUSIVE.filter(({ robust }) => robust).length, ran.stdout);
  });
});
