import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  launch,
  Policy,
  type RestartEvent,
  type RestartOptions,
  supervise,
  type SupervisedThread,
  type SuperviseOptions,
} from "../../mod.ts";
import { Restarts } from "../../lib/sched/groups/restarts.ts";
import { liveThreads } from "../../lib/sched/live_threads.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { type MovableTask, WORD } from "../workers/movable.ts";

const module = sibling(import.meta.url, "../workers/movable");

function start<Result>(
  args: MovableTask | ((run: number) => MovableTask),
  options: SuperviseOptions = {},
): SupervisedThread<Result> {
  return supervise<Result>(module, { ...options, args });
}

/** What a decider says of ends at these times. */
function decide(options: RestartOptions, ends: readonly (readonly [boolean, number])[]): unknown[] {
  const restarts = new Restarts(options, "test");
  return ends.map(([failed, at]) => restarts.next(failed, at));
}

describe("Restarts", () => {
  it("restarts failures, each time later, and not too often", () => {
    const options = { times: 3, delayMs: 10, maxDelayMs: 30, withinMs: 1000 };
    const ends = [0, 1, 2, 3].map((at) => [true, at] as const);
    assert.deepEqual(decide(options, ends), [10, 20, 30, undefined]);
  });

  it("forgets what is long ago", () => {
    const options = { times: 1, delayMs: 10, withinMs: 1000 };
    const ends = [[true, 0], [true, 1000], [true, 1999], [true, 2000]] as const;
    assert.deepEqual(decide(options, ends), [10, 10, undefined, 10]);
  });

  it("restarts what returned only when told to", () => {
    assert.deepEqual(decide({}, [[false, 0], [true, 0]]), [undefined, 100]);
    assert.deepEqual(decide({ on: "always", times: 2 }, [[false, 0], [true, 0], [false, 0]]), [
      ...[100, 200, undefined],
    ]);
    assert.deepEqual(decide({ times: 0 }, [[true, 0]]), [undefined]);
    assert.deepEqual(decide({ delayMs: 0 }, [[true, 0], [true, 0]]), [0, 0]);
  });

  it("does not grow with what it remembers", () => {
    const restarts = new Restarts({ times: 2 ** 31 - 1, withinMs: 10, delayMs: 1 }, "test");
    for (let at = 0; at < 10_000; at++) assert.ok((restarts.next(true, at) as number) <= 10_000);
  });
});

describe("supervise", () => {
  it("starts a thread again that failed, in its place, and tells", async () => {
    const words = sharedWords(4);
    const events: RestartEvent[] = [];
    const thread = start<number>({ task: "once", words }, {
      policy: Policy.compact(),
      name: "kept",
      restart: { delayMs: 1 },
    });
    const first = thread.thread;
    assert.equal(thread.state, "running");
    thread.on("restart", (event) => events.push(event));
    const joined = thread.join();
    assert.equal(await joined, 2);
    assert.deepEqual(
      events.map(({ run, delayMs, error, thread }) => [run, delayMs, `${error}`, thread === first]),
      [[1, 1, "RangeError: the first one", true]],
    );
    assert.deepEqual([thread.run, thread.state, thread.thread], [1, "ended", undefined]);
    assert.equal(thread.name, "kept");
    assert.equal(await thread.terminate(), true, "it has ended");
    assert.equal(await thread.join(), 2);
  });

  it("gives up after so many times, with the last error", async () => {
    const runs: number[] = [];
    const heard: unknown[] = [];
    const thread = start((run) => {
      runs.push(run);
      return { task: "fail", value: run };
    }, { restart: { times: 2, delayMs: 1 } });
    thread.on("message", (value) => heard.push(value));
    await assert.rejects(thread.join(), { message: "failed 2" });
    assert.deepEqual([runs, heard], [[0, 1, 2], [0, 1, 2]], "listeners hear all runs");
  });

  it("restarts what returned or left, when told to", async () => {
    const words = sharedWords(4);
    const always = { on: "always", times: 2, delayMs: 1 } as const;
    assert.equal(await start({ task: "value", words, value: 7 }, { restart: always }).join(), 7);
    assert.equal(Atomics.load(words, WORD.runs), 3);
    const left = start({ task: "leave", words }, { restart: { times: 1, delayMs: 1 } });
    await rejectsCode(left.join(), "ETERMINATED", /exit/);
    assert.equal(Atomics.load(words, WORD.runs), 5);
  });

  it("ends when it is terminated, while it runs", async () => {
    const before = liveThreads.size;
    const words = sharedWords(4);
    const thread = start({ task: "idle", words }, { restart: { on: "always", delayMs: 0 } });
    const joined = thread.join().catch((error) => error);
    await reaches(words, WORD.started, 1);
    assert.equal(await thread.terminate(), true);
    await rejectsCode(Promise.reject(await joined), "ETERMINATED");
    await sleep(20);
    assert.equal(liveThreads.size, before);
    assert.equal(Atomics.load(words, WORD.runs), 1);
    assert.equal(thread.postMessage(1), false);
  });

  it("ends when it is terminated, while it waits, at once", async () => {
    const thread = start({ task: "fail", value: 0 }, { restart: { delayMs: 2 ** 31 - 1 } });
    await new Promise((resolve) => thread.on("restart", resolve));
    assert.deepEqual([thread.state, thread.placement], ["waiting", undefined]);
    assert.equal(thread.postMessage(1), false);
    const from = performance.now();
    assert.equal(await thread.terminate(), true);
    const ms = performance.now() - from;
    assert.ok(ms < 5000, `${ms} ms of the 10 s that it would have waited`);
    await rejectsCode(thread.join(), "ETERMINATED", /waited/);
    const stopped = start({ task: "fail", value: 0 }, { restart: { delayMs: 2 ** 31 - 1 } });
    stopped.on("restart", () => void stopped.terminate());
    await rejectsCode(stopped.join(), "ETERMINATED");
  });

  it("keeps the place that its thread was moved to", async () => {
    const thread = start<number>((run) => ({ task: run === 0 ? "idle" : "value", value: run }), {
      restart: { on: "always", times: 1, delayMs: 1 },
    });
    const kinds: unknown[] = [];
    thread.on("message", () => kinds.push(thread.thread?.policy.kind));
    await thread.thread?.migrate(Policy.scatter());
    await thread.thread?.terminate();
    assert.equal(await thread.join(), 1);
    assert.deepEqual(kinds, ["scatter"]);
  });

  it("keeps how hard its thread was bound when it was moved", async () => {
    const thread = start<number>((run) => ({ task: run === 0 ? "idle" : "value", value: run }), {
      restart: { on: "always", times: 1, delayMs: 1 },
    });
    const bound: unknown[] = [];
    thread.on("message", () => bound.push(thread.thread?.strengths));
    const bind = { cpus: "prefer", memory: "off" } as const;
    await thread.thread?.migrate(Policy.scatter(), { bind });
    await thread.thread?.terminate();
    assert.equal(await thread.join(), 1);
    assert.deepEqual(bound, [bind]);
  });

  it("keeps its place while it waits to be started again", async () => {
    const policy = Policy.compact();
    const thread = start({ task: "fail", value: 0 }, { policy, restart: { delayMs: 2 ** 31 - 1 } });
    await new Promise((resolve) => thread.on("restart", resolve));
    const other = launch(module, { policy, args: { task: "value", value: 1 } });
    assert.equal(other.place, 1);
    await Promise.all([other.join(), thread.terminate()]);
    const next = launch(module, { policy, args: { task: "value", value: 1 } });
    assert.equal(next.place, 0, "it is free when nobody comes back");
    await next.join();
  });

  it("ends with its block", async () => {
    let kept: SupervisedThread<unknown>;
    {
      await using thread = start({ task: "idle" });
      kept = thread;
      await thread.thread?.ready;
    }
    assert.equal(kept.thread?.state ?? "ended", "ended");
    await rejectsCode(kept.join(), "ETERMINATED");
  });

  it("throws what is wrong with the first run, and with its options", async () => {
    throwsCode(() => supervise("worker.ts"), "EINVAL");
    throwsCode(() => start({ task: "value", value: (() => {}) as never }), "EINVAL");
    throwsCode(() => start({ task: "idle" }, { policy: Policy.bindNode(63) }), "ENODEV");
    for (
      const restart of [
        ...[null, 5, { on: "never" }, { times: -1 }, { times: NaN }, { withinMs: 0 }, { what: 1 }],
        ...[{ delayMs: -0 }, { delayMs: 2 ** 31 }, { maxDelayMs: "1" }],
      ]
    ) throwsCode(() => start({ task: "idle" }, { restart: restart as never }), "EINVAL");
    for (const options of [null, 5, { transfer: [] }, { what: 1 }]) {
      throwsCode(() => supervise(module, options as never), "EINVAL");
    }
    const thread = start<number>({ task: "value", value: 3 });
    throwsCode(() => thread.on("exit" as never, () => {}), "EINVAL", /"restart"/);
    throwsCode(() => thread.on("restart", 5 as never), "EINVAL");
    throwsCode(() => thread.off("restart", null as never), "EINVAL");
    assert.equal(thread.off("restart", () => {}), thread);
    throwsCode(() => thread.postMessage(() => {}), "EINVAL");
    await rejectsCode(thread.terminate({ timeoutMs: -1 }), "EINVAL");
    await rejectsCode(thread.terminate({ what: 1 } as never), "EINVAL");
    assert.equal(await thread.join(), 3);
  });
});
