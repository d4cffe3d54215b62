import assert from "node:assert/strict";
import process from "node:process";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, NumaError, type Thread } from "../../mod.ts";
import { slotOf } from "../../lib/wait/slots_core.ts";
import { parkingLot } from "../../lib/wait/thread_waiter.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode } from "../support/errors.ts";
import type { Task } from "../workers/basic.ts";

const worker = (name: string): URL => sibling(import.meta.url, `../workers/${name}`);

/** The lowest slot that no thread has: one that is lost makes it higher. */
function lowestSlot(): number {
  const lot = parkingLot();
  const id = lot.claim();
  lot.release(id);
  return slotOf(id);
}

describe("the end of a thread", () => {
  it("gives back its slot, however it came", async () => {
    const ends: Record<string, (thread: Thread) => Promise<unknown>> = {
      basic: (thread) => thread.join(),
      broken: (thread) => assert.rejects(thread.join()),
      no_default: (thread) => rejectsCode(thread.join(), "EMODULE"),
      no_such_module: (thread) => rejectsCode(thread.join(), "EMODULE"),
      loads_slowly: async (thread) => assert.equal(await thread.terminate(), true),
    };
    const args: Task = { task: "where" };
    const before = lowestSlot();
    for (const [name, end] of Object.entries(ends)) {
      const thread = launch(worker(name), { args });
      assert.ok(lowestSlot() > before, `${name}: a thread takes one`);
      await end(thread);
      assert.equal(lowestSlot(), before, name);
    }
    assert.throws(() => launch(worker("basic"), { args: () => {} }));
    assert.equal(lowestSlot(), before, "what was never launched takes none");
  });

  it("may come while its module is loaded", async () => {
    const thread = launch(worker("loads_slowly"));
    const ended = rejectsCode(thread.join(), "ETERMINATED", /it was terminated/);
    const ready = rejectsCode(thread.ready, "ETERMINATED");
    while (thread.tid === undefined) await sleep(1);
    await sleep(20);
    assert.equal(thread.state, "running");
    assert.equal(await thread.terminate(), true);
    await ended;
    await ready;
    assert.equal(thread.state, "ended");
  });

  it("comes at the end of the block that uses it", async () => {
    let kept: Thread | undefined;
    {
      await using thread = launch(worker("loads_slowly"));
      kept = thread;
      assert.notEqual(thread.state, "ended");
    }
    await rejectsCode(kept.join(), "ETERMINATED");
    {
      await using done = launch<{ cpu: number }>(worker("basic"), { args: { task: "where" } });
      kept = done;
      await done.join();
    }
    assert.ok(await kept.join(), "what had ended keeps its result");
  });

  it("may come before its first line", async () => {
    const thread = launch(worker("basic"), { args: { task: "where" } satisfies Task });
    const ended = rejectsCode(thread.join(), "ETERMINATED");
    assert.equal(await thread.terminate(), true);
    await ended;
  });
});

describe("a thread that fails", () => {
  const warnings: string[] = [];
  const hear = ({ message }: Error): void => {
    if (message.includes("has not been joined")) warnings.push(message);
  };

  beforeEach(() => {
    warnings.length = 0;
    process.on("warning", hear);
  });

  afterEach(() => {
    process.off("warning", hear);
  });

  /** Launches a thread that fails, and has the process heard of it when this resolves. */
  async function fail(name: string): Promise<Thread> {
    const thread = launch(worker("broken"), { name });
    while (thread.state !== "ended") await sleep(1);
    await sleep(20);
    return thread;
  }

  it("is told of once when nobody has joined it", async () => {
    const thread = await fail("lonely");
    assert.deepEqual(warnings, [
      'thread "lonely" failed and has not been joined: TypeError: broken while loading',
    ]);
    await assert.rejects(thread.join(), { name: "TypeError" });
    assert.equal(warnings.length, 1);
  });

  it("is left to whoever has joined or terminated it", async () => {
    const joined = launch(worker("broken"));
    await assert.rejects(joined.join(), { name: "TypeError" });
    const terminated = launch(worker("basic"), { args: { task: "where" } satisfies Task });
    await terminated.terminate();
    while (terminated.state !== "ended") await sleep(1);
    await sleep(20);
    assert.deepEqual(warnings, []);
    await assert.rejects(terminated.join(), NumaError);
  });
});
