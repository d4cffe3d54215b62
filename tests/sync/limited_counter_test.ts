import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, launch, LimitedCounter } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import type { QuotaTask } from "../workers/quota.ts";

const module = sibling(import.meta.url, "../workers/quota");

function make(limit: number, options: { threads?: number; batch?: number } = {}): LimitedCounter {
  return LimitedCounter.create(
    new SharedArrayBuffer(LimitedCounter.bytes(options)),
    limit,
    options,
  );
}

describe("LimitedCounter", () => {
  it("adds up to the limit, and no further", () => {
    const counter = make(10, { batch: 4 });
    for (let turn = 0; turn < 10; turn++) assert.equal(counter.tryAdd(), true);
    assert.equal(counter.tryAdd(), false);
    assert.equal(counter.value(), 10);
    counter.subtract(3);
    assert.equal(counter.tryAdd(4), false);
    assert.equal(counter.tryAdd(3), true);
    counter.subtract(10);
    assert.equal(counter.value(), 0);
    throwsCode(() => counter.subtract(10), "EOWNER");
    assert.equal(LimitedCounter.fromHandle(counter.toHandle()), counter);
  });

  it("refuses what cannot be", () => {
    for (const wrong of [0, -1, 0.5, NaN, 2 ** 30, 2 ** 53, "1", null, {}]) {
      throwsCode(() => make(wrong as number), "EINVAL");
      throwsCode(() => make(10).tryAdd(wrong as number), "EINVAL");
      throwsCode(() => make(10).subtract(wrong as number), "EINVAL");
      throwsCode(() => make(10, { batch: wrong as number }), "EINVAL");
    }
    throwsCode(() => make(10).tryAdd(11), "EINVAL");
    throwsCode(() => LimitedCounter.fromHandle(null as never), "EINVAL");
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const counter = LimitedCounter.create(arena, 10);
    arena.destroy();
    throwsCode(() => counter.tryAdd(), "EDESTROYED");
    throwsCode(() => counter.subtract(), "EDESTROYED");
    throwsCode(() => counter.value(), "EDESTROYED");
  });

  it("is never exceeded by four threads, which use all of it", async () => {
    const limit = 100_000;
    const counter = make(limit);
    const args: QuotaTask = { counter, most: 7 };
    const threads = Array.from({ length: 4 }, () => launch<number>(module, { args }));
    let sum = 0;
    for (const thread of threads) sum += await thread.join();
    assert.equal(sum, limit);
    assert.equal(counter.value(), limit);
  });
});
