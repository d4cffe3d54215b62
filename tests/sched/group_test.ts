import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  joinAll,
  launchAll,
  type LaunchAllOptions,
  plan,
  Policy,
  ThreadGroup,
  type ThreadPlacement,
  topology,
} from "../../mod.ts";
import { liveThreads } from "../../lib/sched/live_threads.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { sharedWords } from "../support/words.ts";
import { type MovableTask, type Where, WORD } from "../workers/movable.ts";

const module = sibling(import.meta.url, "../workers/movable");

function start<Result>(
  args: (index: number, placement: ThreadPlacement) => MovableTask,
  options: LaunchAllOptions = {},
): ThreadGroup<Result> {
  return launchAll<Result>(module, { ...options, args });
}

describe("launchAll", () => {
  it("starts a thread for each place of the policy, in its place", async () => {
    const policy = Policy.compact();
    const words = sharedWords(4);
    const places: ThreadPlacement[] = [];
    const group = start<Where>((index, placement) => {
      places[index] = placement;
      return { task: "idle", words };
    }, { policy, name: "crew" });
    const expected = plan(topology(), policy, topology().allowedCpus.size);
    assert.equal(group.length, expected.length);
    assert.equal(group.threads.length, expected.length);
    assert.deepEqual(places.map(({ cpus }) => `${cpus}`), expected.map(({ cpus }) => `${cpus}`));
    assert.deepEqual([...group].map(({ place }) => place), [...expected.keys()]);
    assert.equal(group.at(0)?.name, "crew-0");
    assert.equal(group.at(-1), group.threads[expected.length - 1]);
    assert.equal(group.at(expected.length), undefined);
    await group.ready;
    for (const thread of group) assert.equal(thread.state, "running");
    Atomics.store(words, WORD.stop, 1);
    const told = await group.join();
    assert.deepEqual(told.map(({ affinity }) => affinity), expected.map(({ cpus }) => `${cpus}`));
  });

  it("has as many as asked for, with results by index", async () => {
    const args = (value: number): MovableTask => ({ task: "value", value });
    assert.deepEqual(await start<number>(args, { count: 3 }).join(), [0, 1, 2]);
    const none = start<number>(args, { count: 0 });
    await none.ready;
    assert.deepEqual([none.length, await none.join(), await none.terminate()], [0, [], true]);
    const plain = launchAll(module);
    assert.deepEqual([plain.length, await plain.join()], [1, [5]]);
    assert.equal(String(plain).length > 0, true);
    const moved = start<number>((value) => ({ task: "short", value: value * 10 }), { count: 2 });
    assert.deepEqual((await joinAll()).slice(-2), [0, 10], "they are threads like others");
    await moved.join();
  });

  it("transfers what each thread gets", async () => {
    const group = launchAll<number>(
      "data:text/javascript,export default ({ buffer }) => buffer['byteLength']",
      {
        count: 2,
        args: (index) => ({ buffer: new ArrayBuffer(8 + index) }),
        transfer: (_, args) => [(args as { buffer: ArrayBuffer }).buffer],
      },
    );
    assert.deepEqual(await group.join(), [8, 9]);
  });

  it("waits for the others when one fails, and tells what failed first", async () => {
    const words = sharedWords(4);
    const group = start<Where>((value) => ({ task: value === 0 ? "idle" : "fail", words, value }), {
      count: 2,
    });
    await group.ready;
    const joined = group.join().catch((error) => error);
    Atomics.store(words, WORD.cpu, 1);
    await group.at(1)?.join().catch(() => {});
    await sleep(20);
    assert.equal(group.at(0)?.state, "running");
    Atomics.store(words, WORD.stop, 1);
    assert.equal((await joined).message, "failed 1");
  });

  it("stops the others when one fails, if that was asked for", async () => {
    const words = sharedWords(4);
    const group = start<Where>((value) => ({ task: value === 1 ? "fail" : "idle", words, value }), {
      count: 3,
      stopOnFailure: true,
    });
    await group.ready;
    Atomics.store(words, WORD.cpu, 1);
    await group.at(1)?.join().catch(() => {});
    await assert.rejects(group.join(), { message: "failed 1" });
    for (const thread of group) assert.equal(thread.state, "ended");
    await rejectsCode(group.at(0)!.join(), "ETERMINATED");
  });

  it("leaves nothing when one cannot begin", async () => {
    const before = liveThreads.size;
    const group = launchAll("data:text/javascript,throw new RangeError('not loaded')", {
      count: 2,
    });
    await assert.rejects(group.ready, { message: "not loaded" });
    assert.equal(liveThreads.size, before);
    await assert.rejects(group.join(), { message: "not loaded" });
    // The second one cannot be sent its arguments.
    const half = launchAll(module, {
      count: 3,
      args: (index) => index === 1 ? () => {} : { task: "idle" },
    });
    assert.equal(half.length, 1);
    await rejectsCode(half.ready, "EINVAL", /cannot be sent/);
    assert.equal(half.at(0)?.state, "ended");
    assert.equal(liveThreads.size, before);
    await rejectsCode(half.join(), "EINVAL", /cannot be sent/);
  });

  it("ends with its block, and when it is terminated", async () => {
    let group: ThreadGroup<Where>;
    {
      await using inner = start<Where>(() => ({ task: "idle" }), { count: 2 });
      group = inner;
      await inner.ready;
    }
    for (const thread of group) assert.equal(thread.state, "ended");
    await rejectsCode(group.join(), "ETERMINATED");
    assert.equal(await group.terminate(), true);
    await rejectsCode(group.terminate({ timeoutMs: NaN }), "EINVAL");
  });

  it("moves as one", async () => {
    const words = sharedWords(4);
    const group = start<Where>(() => ({ task: "idle", words }), { count: 2 });
    const reports = await group.migrate(Policy.scatter());
    const expected = plan(topology(), Policy.scatter(), 2).map(({ cpus }) => `${cpus}`);
    assert.deepEqual(reports.map(({ to }) => `${to.cpus}`), expected);
    Atomics.store(words, WORD.stop, 1);
    const told = await group.join();
    assert.deepEqual(told.map(({ affinity }) => affinity), expected);
    await rejectsCode(group.migrate(Policy.scatter()), "ETERMINATED");
    await rejectsCode(group.migrate(Policy.scatter(), { place: 1 } as never), "EINVAL");
  });

  it("refuses what cannot be, before anything is started", () => {
    const before = liveThreads.size;
    for (
      const options of [
        ...[null, 5, "x", { count: -1 }, { count: NaN }, { count: 2 ** 53 }, { count: 1.5 }],
        ...[{ args: 5 }, { transfer: [] }, { stopOnFailure: 1 }, { name: 5 }, { place: 1 }],
        ...[{ policy: 5 }, { what: 1 }, { bind: "here" }],
      ]
    ) throwsCode(() => launchAll(module, options as never), "EINVAL");
    throwsCode(() => launchAll("worker.ts"), "EINVAL", /new URL/);
    throwsCode(() => launchAll(module, { policy: Policy.bindNode(63) }), "ENODEV");
    const thrown = new Error("mine");
    const args = (index: number): unknown => {
      if (index === 1) throw thrown;
      return 0;
    };
    assert.throws(() => launchAll(module, { count: 2, args }), thrown);
    throwsCode(() => launchAll(module, { count: 1, transfer: () => 5 as never }), "EINVAL");
    assert.equal(liveThreads.size, before);
  });
});
