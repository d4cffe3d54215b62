import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Crowd } from "../../lib/sync/conditions/crowd.ts";
import { EventCountCore } from "../../lib/sync/conditions/event_count_core.ts";
import { createRegion } from "../../lib/shared/region.ts";
import { claimWaiter, lockWaiter, type ThreadWaiter } from "../../lib/wait/thread_waiter.ts";

/** An event count that does something at a moment at which another thread might. */
class Interrupted extends EventCountCore {
  beforePrepare: () => void = () => {};

  override prepare(me: ThreadWaiter): void {
    this.beforePrepare();
    super.prepare(me);
  }
}

function make(): { core: Interrupted; crowd: Crowd; me: ThreadWaiter } {
  const region = createRegion(
    {
      name: "crowd_test",
      title: "a crowd",
      code: 99,
      words: (shape) => EventCountCore.words(shape),
    },
    new SharedArrayBuffer(65_536),
    {},
    "test a crowd",
  );
  const core = new Interrupted(region.words, region.shape);
  const me = lockWaiter();
  return { core, me, crowd: new Crowd(core, region, me, "test a crowd") };
}

describe("Crowd", () => {
  it("tells as many as are notified until its entry is there again", async () => {
    const { core, crowd, me } = make();
    const waits = [1, 2].map(() => crowd.join({}, { timeoutMs: 2000 }));
    core.beforePrepare = (): void => {
      core.beforePrepare = () => {};
      core.notify(me);
    };
    assert.equal(core.notify(me), true);
    await Promise.all(waits);
  });

  it("passes on what comes when nobody of it waits any more", async () => {
    const { core, crowd, me } = make();
    const aborter = new AbortController();
    const why = new Error("enough");
    const wait = assert.rejects(crowd.join({}, { signal: aborter.signal }), why);
    assert.equal(core.notify(me), true);
    const other = claimWaiter();
    core.prepare(other);
    aborter.abort(why);
    assert.deepEqual(core.wait(other).next(false), { done: true, value: true });
    core.leave(other);
    other.lot.release(other.id);
    await wait;
  });

  it("looks again after a time when it is told to, and ends when nobody is left", async () => {
    const { core, crowd } = make();
    let looks = 0;
    const take = (): boolean => {
      if (++looks === 3) return true;
      crowd.lookAgain(1);
      crowd.lookAgain(1);
      return false;
    };
    await crowd.join({}, { timeoutMs: 2000 }, take);
    assert.equal(looks, 3);
    const never = crowd.join({}, { timeoutMs: 5 }, () => {
      crowd.lookAgain(1);
      return false;
    });
    await assert.rejects(never, { code: "ETIMEDOUT" });
    assert.equal(core.notify(claimWaiter()), false);
  });
});
