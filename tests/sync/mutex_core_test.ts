import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MutexCore, PATIENCE_MS } from "../../lib/sync/locks/mutex_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { traffic } from "../support/traffic.ts";
import { FakeProcess } from "../support/waiters.ts";

describe("MutexCore under 32 threads in 4 domains", () => {
  const shape = { threads: 32, domains: 4 };
  const cases: readonly (readonly [holdMs: number, patienceMs: number])[] = [
    [0.001, PATIENCE_MS],
    [0.01, PATIENCE_MS],
    [1, 1000],
  ];

  for (const [holdMs, patienceMs] of cases) {
    it(`stays in a domain, and lets nobody wait for much longer than ${patienceMs} ms, with holds of ${holdMs} ms`, () => {
      const core = new MutexCore(new Int32Array(MutexCore.words(shape)), shape, patienceMs);
      const { across, longestBypass } = traffic(core, { ...shape, turns: 40_000, holdMs });
      assert.ok(across < 0.05, `${across} across`);
      const bound = patienceMs / holdMs + 2 * shape.threads;
      assert.ok(longestBypass <= bound, `${longestBypass} passed, ${bound} at most`);
      assert.ok(longestBypass > bound / 4, `${longestBypass} passed: what does patience do?`);
    });
  }
});

describe("MutexCore's spinner", () => {
  it("is followed by another one when it died in its place", () => {
    const shape = { threads: 3, domains: 1 };
    const words = new Int32Array(MutexCore.words(shape));
    const core = new MutexCore(words, shape);
    const process = new FakeProcess();
    const [owner, dead, next] = [process.thread(0), process.thread(1), process.thread(2)];
    assert.ok(core.begin(owner));
    words[LINE_WORDS] = dead.id;
    process.kill(dead);
    next.spins = 5;
    assert.equal(core.begin(next), false);
    assert.equal(next.pauses, 0, "the place is taken");
    assert.equal(core.begin(next), false);
    assert.ok(next.pauses > 0, "it spins");
  });
});
