import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Arena,
  CpuSet,
  launch,
  type LaunchOptions,
  NumaError,
  Policy,
  type Thread,
  topology,
} from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { type MovableTask, type Where, WORD } from "../workers/movable.ts";

const { allowedCpus } = topology();
const first = Policy.bindCpus(CpuSet.of(allowedCpus.first as number));
const last = Policy.bindCpus(CpuSet.of(allowedCpus.last as number));
const oneCpu = allowedCpus.size < 2 && "there is one CPU only";

function run(args: MovableTask, options: LaunchOptions = {}): Thread<Where> {
  return launch<Where>(sibling(import.meta.url, "../workers/movable"), { ...options, args });
}

/** The CPUs that the kernel lets a thread run on. */
function cpusOf(thread: Thread<unknown>): string {
  const status = readFileSync(`/proc/self/task/${thread.tid}/status`, "utf8");
  return /Cpus_allowed_list:\t(.*)/.exec(status)?.[1] ?? status;
}

describe("Thread.migrate", () => {
  it("moves a thread at once that never comes to its event loop", { skip: oneCpu }, async () => {
    const words = sharedWords(4);
    const thread = run({ task: "spin", words }, { policy: first });
    await reaches(words, WORD.started, 1);
    const report = await thread.migrate(last, { timeoutMs: 20 });
    assert.equal(cpusOf(thread), last.cpus?.toString());
    const now = (allowedCpus.last as number) + 1;
    while (Atomics.load(words, WORD.cpu) !== now) await sleep(1);
    assert.deepEqual(
      [report.from.cpus.toString(), report.to.cpus.toString(), report.cpus, report.memory],
      [first.cpus?.toString(), last.cpus?.toString(), "moved", "pending"],
    );
    assert.deepEqual([report.bufferBytes, report.movedPages, report.absentPages], [0, 0, 0]);
    assert.equal(thread.placement, report.to);
    assert.equal(thread.policy, last);
    Atomics.store(words, WORD.stop, 1);
    const { affinity, nested } = await thread.join();
    // It has not heard of the move, and yet knows that it is not home there.
    assert.deepEqual([affinity, nested], [last.cpus?.toString(), allowedCpus.toString()]);
  });

  it("knows a move of which it has not heard, also where it was not pinned", {
    skip: oneCpu,
  }, async () => {
    const words = sharedWords(4);
    const thread = run({ task: "spin", words });
    await reaches(words, WORD.started, 1);
    await thread.migrate(last, { timeoutMs: 20 });
    Atomics.store(words, WORD.stop, 1);
    const { affinity, nested } = await thread.join();
    assert.deepEqual([affinity, nested], [last.cpus?.toString(), allowedCpus.toString()]);
  });

  it("never widens what taskset gave a thread", { skip: oneCpu }, async () => {
    const words = sharedWords(4);
    for (const options of [{}, { policy: last }]) {
      const thread = run({ task: "idle", words }, options);
      await thread.ready;
      const own = first.cpus?.toString() as string;
      const { status, stderr } = spawnSync("taskset", ["-cp", own, `${thread.tid}`]);
      assert.equal(status, 0, `${stderr}`);
      await rejectsCode(thread.migrate(last), "EACCES", /somebody has given it an affinity/);
      const both = Policy.bindCpus(allowedCpus);
      const report = await thread.migrate(both, { bind: { cpus: "prefer" } });
      assert.deepEqual([report.cpus, report.refused?.code, cpusOf(thread)], [
        ...["same", "EACCES", own],
      ]);
      await thread.migrate(first, { bind: { cpus: "require" } });
      await rejectsCode(thread.migrate(last), "EACCES");
      await thread.migrate(Policy.unbound());
      assert.equal(cpusOf(thread), own);
      await rejectsCode(thread.migrate(last), "EACCES");
      // What somebody widens is wide.
      spawnSync("taskset", ["-cp", allowedCpus.toString(), `${thread.tid}`]);
      assert.equal((await thread.migrate(last)).cpus, "moved");
      await thread.terminate();
    }
  });

  it("lets a thread at its event loop move its memory policy", { skip: noPolicies }, async () => {
    const words = sharedWords(4);
    const thread = run({ task: "idle", words }, { policy: first });
    await reaches(words, WORD.started, 1);
    const report = await thread.migrate(last);
    assert.equal(report.memory, report.to.node === undefined ? "none" : "moved");
    assert.equal(report.refused, undefined);
    assert.equal(thread.binding?.memory.got, report.to.node);
    assert.equal(`${thread.binding?.cpus.got}`, last.cpus?.toString());
    const back = await thread.migrate(Policy.unbound());
    assert.equal(back.memory, "none");
    assert.equal(thread.binding?.memory.got, undefined);
    assert.equal(cpusOf(thread), allowedCpus.toString());
    assert.equal((await thread.migrate(Policy.unbound())).cpus, "same");
    Atomics.store(words, WORD.stop, 1);
    const { affinity, nested } = await thread.join();
    assert.deepEqual([affinity, nested], [allowedCpus.toString(), allowedCpus.toString()]);
  });

  it("moves a thread that was not pinned, which then knows that it is", async () => {
    const words = sharedWords(4);
    const thread = run({ task: "idle", words });
    const { cpus, to } = await thread.migrate(last);
    assert.equal(cpus, oneCpu ? "same" : "moved");
    assert.equal(cpusOf(thread), to.cpus.toString());
    Atomics.store(words, WORD.stop, 1);
    const { affinity, nested } = await thread.join();
    assert.deepEqual([affinity, nested], [last.cpus?.toString(), allowedCpus.toString()]);
  });

  it("is not undone by unpinned(), in which the thread was moved", { skip: oneCpu }, async () => {
    const words = sharedWords(4);
    const thread = run({ task: "inside", words }, { policy: first });
    await reaches(words, WORD.started, 1);
    await reaches(words, WORD.cpu, 1);
    const { memory } = await thread.migrate(last, { timeoutMs: 10 });
    assert.equal(memory, "pending");
    Atomics.store(words, WORD.stop, 1);
    assert.equal((await thread.join()).affinity, last.cpus?.toString());
  });

  it("waits for a thread that has not started, and moves in the order of the calls", async () => {
    const words = sharedWords(4);
    const thread = run({ task: "idle", words }, { policy: first });
    const moves = [last, first, last].map((policy) => thread.migrate(policy));
    const reports = await Promise.all(moves);
    assert.deepEqual(
      reports.map(({ to }) => to.cpus.toString()),
      [last, first, last].map(({ cpus }) => cpus?.toString()),
    );
    assert.equal(cpusOf(thread), last.cpus?.toString());
    await thread.terminate();
  });

  it("binds as hard as the thread was launched, or as it is told", async () => {
    const words = sharedWords(4);
    const off = run({ task: "idle", words }, { policy: first, bind: { cpus: "off" } });
    const report = await off.migrate(last);
    assert.deepEqual([report.cpus, report.refused], ["off", undefined]);
    assert.equal(cpusOf(off), allowedCpus.toString());
    const bound = await off.migrate(last, { bind: { cpus: "require", memory: "off" } });
    assert.deepEqual([bound.memory, cpusOf(off)], ["none", last.cpus?.toString()]);
    assert.equal(off.binding?.memory.strength, "off");
    await off.migrate(first);
    assert.equal(cpusOf(off), first.cpus?.toString(), "and from then on");
    await rejectsCode(off.migrate(last, { bind: { cpus: "bind" } } as never), "EINVAL");
    Atomics.store(words, WORD.stop, 1);
    await off.join();
  });

  it("gives places free and takes others", { skip: oneCpu }, async () => {
    const words = sharedWords(4);
    const policy = Policy.compact();
    const one = run({ task: "idle", words }, { policy });
    const other = run({ task: "idle", words }, { policy });
    assert.deepEqual([one.place, other.place], [0, 1]);
    await one.migrate(policy);
    assert.equal(one.place, 0, "it has that policy already");
    await one.migrate(Policy.scatter());
    const third = run({ task: "idle", words }, { policy });
    assert.equal(third.place, 0, "it was free");
    await other.migrate(policy, { place: 0 });
    assert.equal(other.placement.cpus.toString(), third.placement.cpus.toString());
    await third.terminate();
    const fourth = run({ task: "idle", words }, { policy });
    assert.equal(fourth.place, 1, "place 0 has somebody still");
    for (const thread of [one, other, fourth]) await thread.terminate();
  });

  it("tells when the thread has ended, and never moves another one", async () => {
    const thread = run({ task: "value", value: 1 });
    await thread.join();
    await rejectsCode(thread.migrate(last), "ETERMINATED", /has ended/);
    const stopped = run({ task: "idle" });
    const move = stopped.migrate(last).catch((error) => error);
    await stopped.terminate();
    const outcome = await move;
    if (outcome instanceof Error) await rejectsCode(Promise.reject(outcome), "ETERMINATED");
    await rejectsCode(stopped.migrate(last), "ETERMINATED");
    assert.equal(stopped.state, "ended");
  });

  it("tells when the thread ends before it has done its part", async () => {
    const busy = sibling(import.meta.url, "../workers/pins");
    const thread = launch(busy, { args: { task: "leaveBusy" } });
    await new Promise((resolve) => thread.on("message", resolve));
    const moved = thread.migrate(first, { timeoutMs: 2 ** 31 - 1 });
    await Promise.all([
      rejectsCode(moved, "ETERMINATED", /has ended/),
      rejectsCode(thread.join(), "ETERMINATED"),
    ]);
  });

  it("does not wait for the buffers of an earlier move", async () => {
    const words = sharedWords(4);
    const thread = run({ task: "idle", words }, { policy: first });
    // As many steps as no move of a thread takes, however slow the machine is.
    const bytes = new Uint8Array(2 ** 16).fill(1);
    const buffers = Array.from({ length: 10_000 }, () => bytes);
    const controller = new AbortController();
    let steps = 0;
    const long = thread.migrate(last, {
      buffers,
      signal: controller.signal,
      onProgress: () => steps++,
    }).catch((error) => error === "enough" ? error : error.code);
    await thread.migrate(first);
    assert.ok(steps < buffers.length);
    controller.abort("enough");
    // Containers forbid move_pages.
    assert.match(String(await long), /^(enough|EPERM)$/);
    assert.equal(thread.policy, first);
    await thread.terminate();
  });

  it("moves threads that end all the time, or tells", async () => {
    let moved = 0;
    for (let round = 0; round < 3; round++) {
      const threads = Array.from({ length: 3 }, (_, value) => run({ task: "short", value }));
      const moves = threads.flatMap((thread) =>
        [first, last, first, last].map(async (policy, turn) => {
          await sleep(turn * 2);
          try {
            await thread.migrate(policy, { timeoutMs: 5 });
            moved++;
          } catch (error) {
            assert.ok(error instanceof NumaError && error.code === "ETERMINATED", `${error}`);
          }
        })
      );
      await Promise.all([...moves, ...threads.map((thread) => thread.join())]);
    }
    assert.ok(moved > 0);
  });

  it("takes memory with it, in steps, until it is told to stop", async () => {
    const words = sharedWords(4);
    const thread = run({ task: "idle", words });
    const buffer = new Uint8Array(new SharedArrayBuffer(2 ** 20)).fill(1);
    const steps: number[] = [];
    const report = await thread.migrate(last, {
      buffers: [buffer, buffer.subarray(0, 2 ** 19)],
      onProgress: ({ doneBytes, totalBytes }) => steps.push(doneBytes / totalBytes),
    }).catch((error) => error);
    // Containers forbid move_pages.
    if (report instanceof NumaError) assert.equal(report.code, "EPERM");
    else {
      assert.ok(report.bufferBytes > 2 ** 20 && report.bufferBytes <= 2 ** 20 + 2 ** 19);
      assert.equal(steps.length, 2);
      assert.equal(steps[1], 1);
      assert.equal(report.absentPages, 0);
    }
    const signal = AbortSignal.abort(new Error("enough"));
    await assert.rejects(thread.migrate(first, { buffers: [buffer], signal }), {
      message: "enough",
    });
    assert.equal(thread.policy, last, "nothing was begun");
    const nowhere = thread.migrate(Policy.unbound(), { buffers: [buffer] });
    await rejectsCode(nowhere, "EINVAL", /no one node/);
    assert.equal(thread.policy, last, "it stays where it is");
    await thread.terminate();
  });

  it("leaves arenas where they are", { skip: noPolicies }, async () => {
    using arena = Arena.create({ node: 0, size: "64 KiB" });
    const thread = run({ task: "idle" });
    await rejectsCode(thread.migrate(last, { buffers: [arena as never] }), "EINVAL");
    await thread.terminate();
  });

  it("refuses what cannot be, and leaves the thread where it is", async () => {
    const words = sharedWords(4);
    const thread = run({ task: "idle", words }, { policy: first });
    for (const policy of [undefined, null, 5, {}, "nonsense:0"]) {
      await rejectsCode(thread.migrate(policy as never), "EINVAL");
    }
    for (const options of [null, 5, "x", { what: 1 }, { place: -1 }, { place: NaN }]) {
      await rejectsCode(thread.migrate(last, options as never), "EINVAL");
    }
    for (
      const options of [
        ...[{ place: 2 ** 53 }, { place: -0 }, { timeoutMs: "1" }, { timeoutMs: -1 }],
        ...[{ buffers: 5 }, { buffers: [5] }, { buffers: [new Uint8Array(0)] }, { signal: 5 }],
        ...[{ onProgress: 5 }],
      ]
    ) await rejectsCode(thread.migrate(last, options as never), "EINVAL");
    await rejectsCode(thread.migrate(Policy.bindNode(63)), "ENODEV");
    await rejectsCode(thread.migrate(Policy.bindCpus("60000")), "ENODEV");
    assert.equal(thread.policy, first);
    await thread.ready;
    assert.equal(cpusOf(thread), first.cpus?.toString());
    Atomics.store(words, WORD.stop, 1);
    await thread.join();
  });
});
