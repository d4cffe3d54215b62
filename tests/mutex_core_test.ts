import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MutexCore, PATIENCE_MS } from "../lib/sync/mutex_core.ts";
import { traffic } from "./support/traffic.ts";

describe("MutexCore under 32 threads in 4 domains", () => {
  const shape = { threads: 32, domains: 4 };
  const make = (): MutexCore => new MutexCore(new Int32Array(MutexCore.words(shape)), shape);

  for (const holdMs of [0.001, 0.01]) {
    it(`stays in a domain, and lets nobody wait for much longer than its patience, ${holdMs} ms`, () => {
      const options = { ...shape, turns: 40_000, holdMs };
      const { across, longestBypass } = traffic(make(), options);
      assert.ok(across < 0.05, `${across} across`);
      const bound = PATIENCE_MS / holdMs + 2 * shape.threads;
      assert.ok(longestBypass <= bound, `${longestBypass} passed, ${bound} at most`);
    });
  }
});
