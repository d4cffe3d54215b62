import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { currentWaiter } from "../../lib/wait/thread_waiter.ts";
import { LoopCore } from "../../lib/tasks/loops/loop_core.ts";
import { layoutOf, loopBuiltin, type LoopPlan } from "../../lib/tasks/loops/loop_job.ts";
import { Split } from "../../lib/tasks/loops/split.ts";

const LENGTH = 4096;

/** Every grain is a call of its own, also those that were taken together. */
const plan: LoopPlan = {
  cut: { begin: 0, end: LENGTH, step: 1, origin: 0, block: LENGTH, parts: 1, grain: 1 },
  homes: [{ part: 0, from: 0 }],
  grains: [LENGTH],
  orders: [[0]],
  ...{ isFixed: false, isApart: true, hasValues: true },
};

describe("the chunks of a loop", () => {
  it("count as done when the last of those is that were taken together", () => {
    const { bytes, views } = layoutOf(plan, new Split(plan.cut).slots);
    const buffer = new SharedArrayBuffer(bytes);
    const { words, kinds } = views(buffer);
    const caller = new LoopCore(words, { grains: plan.grains, workers: 1 });
    caller.open(currentWaiter());
    let calls = 0;
    let early = 0;
    const task = (): number => {
      if (caller.done() > calls) early++;
      return calls++;
    };
    const context = { index: 0, count: 1, functionOf: () => task };
    loopBuiltin(context as never, buffer, plan, "task", []);
    assert.deepEqual([calls, caller.done(), early], [LENGTH, LENGTH, 0]);
    assert.ok(kinds.every((kind) => kind !== 0));
  });
});
