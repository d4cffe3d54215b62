import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  CpuSet,
  launch,
  type LaunchOptions,
  NumaError,
  Policy,
  type Thread,
  topology,
} from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import type { PinTask } from "../workers/pins.ts";

const module = sibling(import.meta.url, "../workers/pins");

async function start(
  options: LaunchOptions = {},
  args: PinTask = { task: "work" },
): Promise<Thread> {
  const thread = launch(module, { ...options, args });
  while (thread.state === "starting") await sleep(1);
  return thread;
}

function comm({ tid }: Thread): string {
  return readFileSync(`/proc/self/task/${tid}/comm`, "utf8");
}

describe("a thread's name", () => {
  it("is what tools show, cut to 15 bytes at a character", async () => {
    const names = [
      ["short", "short"],
      ["exactly fifteen", "exactly fifteen"],
      ["one byte too many", "one byte too ma"],
      // The ninth of these would end in the middle of its two bytes; the fourth of those in the middle of three.
      ["ääääääääää", "äääääää"],
      ["€€€€€€", "€€€€€"],
      ["a€€€€€", "a€€€€"],
      ["numa 🧠🧠🧠🧠", "numa 🧠🧠"],
      ["a\0b", "a b"],
    ] as const;
    for (const [name, shown] of names) {
      const thread = await start({ name });
      assert.equal(comm(thread), `${shown}\n`);
      assert.equal(thread.name, name);
      await thread.terminate();
      await rejectsCode(thread.join(), "ETERMINATED");
    }
    const thread = await start();
    assert.match(comm(thread), /^numakit-\d+\n$/);
    await thread.terminate();
  });

  it("does not make it one of the runtime's own threads, which get all CPUs", async () => {
    const cpu = topology().allowedCpus.last as number;
    const policy = Policy.bindCpus(CpuSet.of(cpu));
    const names = ["HeapHelper", "JITWorker", "Bun Pool 1"];
    const threads = await Promise.all(names.map((name) => start({ name, policy })));
    // As long as the launcher of a pinned thread takes to look twice.
    await sleep(600);
    for (const { tid } of threads) {
      const status = readFileSync(`/proc/self/task/${tid}/status`, "utf8");
      assert.match(status, new RegExp(`^Cpus_allowed_list:\t${cpu}$`, "m"));
    }
    await Promise.all(threads.map((thread) => thread.terminate()));
  });
});

describe("thread.cpuTimeMs", () => {
  it("is what the thread has used, and stays after its end", async () => {
    const begin = performance.now();
    const thread = launch(module, { args: { task: "work" } });
    assert.equal(typeof thread.cpuTimeMs, "undefined");
    while ((thread.cpuTimeMs ?? 0) < 100) {
      assert.notEqual(thread.state, "ended");
      await sleep(5);
    }
    const used = thread.cpuTimeMs as number;
    assert.ok(used <= performance.now() - begin, `${used} ms`);
    await thread.terminate();
    await rejectsCode(thread.join(), "ETERMINATED");
    const all = thread.cpuTimeMs as number;
    assert.ok(all >= used, `${all} ms after ${used}`);
    const next = await start();
    await next.terminate();
    assert.equal(thread.cpuTimeMs, all, "also when another thread has its place");
  });

  it("is known of a thread that has ended by itself", async () => {
    for (const args of [{ task: "where" }, { task: "leaveEarly" }] as const) {
      const thread = launch(module, { args });
      await thread.join().catch(() => {});
      assert.ok((thread.cpuTimeMs ?? 0) > 0);
    }
  });
});

describe("thread.nice", () => {
  it("is the thread's own, from its start or later", async () => {
    const plain = await start();
    const own = plain.nice as number;
    const nicer = Math.min(19, own + 5);
    const thread = await start({ nice: nicer });
    assert.equal(thread.nice, nicer);
    assert.equal(plain.nice, own);
    thread.setNice(19);
    assert.equal(thread.nice, 19);
    // Not everybody may take that back.
    try {
      thread.setNice(own);
      assert.equal(thread.nice, own);
    } catch (error) {
      assert.ok(error instanceof NumaError);
      assert.equal(error.code, "EPERM");
      assert.match(error.message, /CAP_SYS_NICE/);
      assert.equal(thread.nice, 19);
    }
    await Promise.all([plain.terminate(), thread.terminate()]);
    assert.equal(thread.nice, undefined);
    throwsCode(() => thread.setNice(5), "ESTALE");
  });

  it("is set to whole numbers, of threads that run", async () => {
    const thread = launch(module, { args: { task: "work" } });
    throwsCode(() => thread.setNice(5), "ESTALE", /not started/);
    for (const nice of [-21, 20, 1.5, NaN, -0, "1", undefined, 2 ** 53]) {
      throwsCode(() => thread.setNice(nice as never), "EINVAL");
    }
    assert.equal(thread.nice, undefined);
    await thread.terminate();
  });
});
