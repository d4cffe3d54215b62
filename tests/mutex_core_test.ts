import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MutexCore, PATIENCE_MS } from "../lib/sync/mutex_core.ts";
import { traffic } from "./support/traffic.ts";

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
