import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import {
  Arena,
  CpuSet,
  joinAll,
  launch,
  type LaunchOptions,
  Policy,
  type Thread,
  topology,
} from "../../mod.ts";
import { cannotSend } from "../../lib/sched/message.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { onDeno, onNode20, sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";
import { mappingStats } from "../support/mappings.ts";
import { reaches, sharedWords } from "../support/words.ts";
import type { Task } from "../workers/basic.ts";

const basic = sibling(import.meta.url, "../workers/basic");

function run<Result>(args: Task, options: LaunchOptions = {}): Thread<Result> {
  return launch<Result>(basic, { ...options, args });
}

describe("launch", () => {
  afterEach(async () => {
    await joinAll();
  });

  it("gives a thread that says what it is, wherever it is shown", async () => {
    const thread = run({ task: "where" }, { name: "shown", policy: "0" });
    assert.equal(inspect(thread), 'Thread("shown", starting, 0)');
    await thread.join();
    assert.equal(`${thread}`, 'Thread("shown", ended, 0)');
  });

  it("pins the thread before its module runs, and tells it the launcher's machine", async () => {
    const before = threadAffinity().toString();
    const cpus = topology().allowedCpus;
    for (const cpu of [cpus.first, cpus.last] as number[]) {
      const policy = Policy.bindCpus(CpuSet.of(cpu));
      const thread = run<{ affinity: string; cpu: number; node: number; machine: unknown }>(
        { task: "where" },
        { policy },
      );
      const where = await thread.join();
      assert.equal(where.affinity, String(cpu));
      assert.equal(where.cpu, cpu);
      assert.equal(where.node, topology().nodeOfCpu(cpu));
      assert.deepEqual(where.machine, topology().toJSON());
    }
    assert.equal(threadAffinity().toString(), before, "the launcher's own affinity is as it was");
  });

  it("places threads of one policy side by side", async () => {
    const places = [0, 1].map(() => run({ task: "where" }, { policy: Policy.compact() }));
    const cpus = places.map(({ placement }) => placement.cpus.toString());
    const { allowedCpus } = topology();
    assert.equal(new Set(cpus).size, Math.min(2, allowedCpus.size));
    await joinAll();
    const again = run({ task: "where" }, { policy: Policy.compact() });
    assert.equal(again.placement.cpus.toString(), cpus[0], "a place is free again after the end");
    await again.join();
    const policy = Policy.compact();
    throwsCode(() => launch(basic, { policy, args: () => {} }), "EINVAL");
    const next = run({ task: "where" }, { policy });
    assert.equal(next.placement.cpus.toString(), cpus[0], "also where no thread was started");
    await next.join();
  });

  it(
    "brings arenas to life in arguments, at any depth, as the same object",
    { skip: noPolicies },
    async () => {
      using arena = Arena.create({ node: 0, size: "64 KiB" });
      const byteOffset = await run<number>({ task: "fill", arena }).join();
      const data = new Int32Array(arena.bytes.buffer, byteOffset, 1024);
      assert.equal(data.every((value) => value === 42), true);
      assert.equal(arena.used, 4096);
      const nested = { arenas: [arena, arena], map: new Map([["same", arena]]) };
      assert.equal(await run({ task: "identity", nested }).join(), true);
      assert.equal(arena.alloc(1), 4096, "the arena is free to allocate from again");
    },
  );

  it("brings arenas to life in results", { skip: noPolicies }, async () => {
    const { live } = mappingStats();
    const { made } = await run<{ made: Arena[] }>({ task: "makeArena" }).join();
    using arena = made[0] as Arena;
    assert.deepEqual([...arena.bytes.subarray(0, 4)], [1, 2, 3, 4]);
    assert.equal(mappingStats().live, live + 1);
  });

  it("rejects join with what the thread threw", async () => {
    await assert.rejects(run({ task: "throwError" }).join(), (error: Error) => {
      assert.equal(error.name, "RangeError");
      assert.equal(error.message, "out of the worker");
      assert.match(error.stack ?? "", /basic/);
      return true;
    });
    await assert.rejects(run({ task: "throwNuma" }).join(), {
      name: "NumaError",
      code: "EBUSY",
      message: "Cannot do it: no. Wait.",
      node: 3,
      syscall: "futex",
    });
    await assert.rejects(run({ task: "throwText" }).join(), (thrown) => thrown === "just text");
    await assert.rejects(run({ task: "throwNothing" }).join(), (thrown) => thrown === undefined);
    // No text can be made of it.
    await assert.rejects(run({ task: "throwObject" }).join(), (thrown) => {
      assert.deepEqual(thrown, { toString: 5 });
      return true;
    });
    for (const value of ["undefined", "null", "5"]) {
      const thread = launch(`data:text/javascript,throw ${value}`);
      await assert.rejects(thread.join(), (thrown) => String(thrown) === value);
    }
    await assert.rejects(
      launch(sibling(import.meta.url, "../workers/broken")).join(),
      { name: "TypeError", message: "broken while loading" },
    );
  });

  it("tells what is wrong with a module, a result, an early exit", async () => {
    await rejectsCode(
      launch(sibling(import.meta.url, "../workers/missing")).join(),
      "EMODULE",
      /missing/,
    );
    await rejectsCode(
      launch(sibling(import.meta.url, "../workers/no_default")).join(),
      "EMODULE",
      /default export/,
    );
    await rejectsCode(run({ task: "returnFunction" }).join(), "EINVAL", /result/);
    await rejectsCode(run({ task: "leaveEarly" }).join(), "ETERMINATED", /before its function/);
  });

  it("ends a thread whose function has returned, whatever timers it left", async () => {
    const thread = run({ task: "timers" });
    assert.equal(await thread.join(), "done");
    assert.equal(thread.state, "ended");
  });

  it("tells when there are too many threads", () => {
    const cause = Object.assign(new Error("no more"), { code: "EAGAIN" });
    const { code, message } = cannotSend("launch a thread", "its arguments", cause);
    assert.deepEqual([code, /ulimit -u/.test(message)], ["EAGAIN", true]);
  });

  it("refuses what cannot be, before anything is started", () => {
    throwsCode(() => launch("worker.ts"), "EINVAL", /new URL/);
    throwsCode(() => launch(undefined as never), "EINVAL");
    for (const options of [null, 5, "x", true]) {
      throwsCode(() => launch(basic, options as never), "EINVAL", /Give \{ policy, args, /);
    }
    throwsCode(() => launch(basic, { policy: "compactly" }), "EINVAL");
    throwsCode(() => launch(basic, { heap: "prefer" } as never), "EINVAL", /no option "heap"/);
    throwsCode(() => launch(basic, { place: -1 }), "EINVAL");
    throwsCode(() => launch(basic, { args: () => {} }), "EINVAL", /cannot be sent/);
    let deep: unknown = 0;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    throwsCode(() => launch(basic, { args: deep }), "EINVAL", /too deeply/);
    throwsCode(() => Policy.bindNode(-0), "EINVAL", /-0/);
    throwsCode(() => launch(basic, { policy: Policy.bindNode(63) }), "ENODEV");
    throwsCode(() => launch(basic, { policy: Policy.bindCpus("60000") }), "ENODEV");
  });

  it("refuses arguments that are gone", { skip: noPolicies }, () => {
    const arena = Arena.create({ node: 0, size: 4096 });
    arena.destroy();
    throwsCode(() => launch(basic, { args: { arena } }), "EDESTROYED");
  });
});

describe("arenas between threads", () => {
  it("are allocated from by one thread at a time", { skip: noPolicies }, async () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    arena.alloc(16);
    await rejectsCode(run({ task: "fill", arena }).join(), "EBUSY", /unclaim/);
    arena.unclaim();
    const started = sharedWords(1);
    const thread = run({ task: "hang", arena, started });
    await reaches(started, 0, 1);
    throwsCode(() => arena.alloc(16), "EBUSY");
    assert.equal(await thread.terminate(), true);
    assert.equal(arena.alloc(16), 32);
    await rejectsCode(thread.join(), "ETERMINATED");
  });

  it(
    "outlive the thread that made them, and die with the last one",
    { skip: noPolicies },
    async () => {
      const { live } = mappingStats();
      const arena = Arena.create({ node: 0, size: 4096 });
      const started = sharedWords(1);
      const thread = run<number[]>({ task: "useAfter", arena, started });
      await reaches(started, 0, 1);
      arena.destroy();
      assert.equal(mappingStats().live, live + 1);
      Atomics.store(started, 0, 2);
      assert.deepEqual(await thread.join(), [80, 0]);
      assert.equal(mappingStats().live, live);
    },
  );

  it("are refused to a thread that comes too late", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: 4096 });
    const started = sharedWords(1);
    const thread = run({ task: "attachLate", handle: arena.toHandle(), started });
    arena.destroy();
    Atomics.store(started, 0, 1);
    await rejectsCode(thread.join(), "ESTALE");
  });

  const transfers = { skip: noPolicies || onNode20 && "Node 20 transfers no external buffer" };
  it("survive a thread that transferred the buffer", transfers, async () => {
    const arena = Arena.create({ node: 0, size: 4096 });
    assert.equal(await run({ task: "transferAway", arena }).join(), 8192);
    const { retired } = mappingStats();
    arena.bytes.fill(1);
    arena.destroy();
    assert.equal(mappingStats().retired, retired + 1);
  });
});

/** What a thread that is terminated has to let go of its memory. */
const GRACE_MS = 100;

describe("thread.terminate", () => {
  it("ends a waiting thread and accounts for what it held", { skip: noPolicies }, async () => {
    const { live } = mappingStats();
    for (let round = 0; round < 5; round++) {
      const { retired } = mappingStats();
      const arena = Arena.create({ node: 0, size: 4096 });
      const started = sharedWords(1);
      const thread = run({ task: "hang", arena, started });
      await reaches(started, 0, 1);
      const begin = performance.now();
      assert.equal(await thread.terminate(), true);
      const ms = performance.now() - begin;
      arena.destroy();
      await rejectsCode(thread.join(), "ETERMINATED", /was terminated/);
      assert.equal(await thread.terminate(), true, "twice is no fault");
      // One that had no time to let go of it itself leaves the addresses in use.
      const left = mappingStats().retired - retired;
      assert.ok(left === 0 || (left === 1 && ms >= GRACE_MS), `${left} left after ${ms} ms`);
    }
    assert.equal(mappingStats().live, live);
  });

  it("ends a busy thread, or says that it could not", { skip: noPolicies }, async () => {
    const { live } = mappingStats();
    const arena = Arena.create({ node: 0, size: 4096 });
    const started = sharedWords(1);
    const thread = run({ task: "spin", arena, started });
    await reaches(started, 0, 1);
    // Deno cannot stop a loop that never comes back (docs/runtimes.md).
    assert.equal(await thread.terminate({ timeoutMs: 500 }), !onDeno);
    arena.destroy();
    if (onDeno) {
      assert.equal(mappingStats().live, live + 1, "its memory stays mapped until it ends");
    }
    assert.equal(await thread.terminate({ timeoutMs: 120_000 }), true);
    await rejectsCode(thread.join(), "ETERMINATED");
    assert.equal(mappingStats().live, live);
  });

  it("keeps what its function makes of it from join", { skip: noPolicies }, async () => {
    for (const end of ["return 'whole'", "throw new Error('lost')"]) {
      using arena = Arena.create({ node: 0, size: "64 KiB" });
      const module = `data:text/javascript,export default async ({ arena }) => {
        while (!arena["destroyed"]) await new Promise((resolve) => setTimeout(resolve, 1));
        ${end};
      }`;
      const thread = launch(module, { args: { arena } });
      while (thread.state === "starting") await sleep(1);
      await sleep(20);
      const outcome = rejectsCode(thread.join(), "ETERMINATED");
      assert.equal(await thread.terminate(), true);
      await outcome;
    }
    // What it has returned before that stays.
    const thread = launch<number>("data:text/javascript,export default () => 7");
    const result = thread.join();
    while (thread.state !== "ended") await sleep(1);
    assert.equal(await thread.terminate(), true);
    assert.equal(await result, 7);
  });

  it("ends a thread that has hardly begun", async () => {
    for (let round = 0; round < 10; round++) {
      const thread = run({ task: "hang" });
      await sleep(round * 2);
      assert.equal(await thread.terminate(), true);
      await rejectsCode(thread.join(), "ETERMINATED");
    }
  });

  it("refuses options that are none, by their names", async () => {
    const thread = run({ task: "hang" });
    for (const options of [null, 5, "x", true]) {
      await rejectsCode(thread.terminate(options as never), "EINVAL", /Give \{ timeoutMs \}/);
    }
    const { signal } = new AbortController();
    await rejectsCode(thread.terminate({ signal } as never), "EINVAL", /no option "signal"/);
    assert.notEqual(thread.state, "ended");
    assert.equal(await thread.terminate({}), true);
  });

  it("refuses timeouts that are none", async () => {
    const thread = run({ task: "where" });
    for (const timeoutMs of [-1, NaN, 1.5, "1", 2 ** 31]) {
      await rejectsCode(thread.terminate({ timeoutMs: timeoutMs as number }), "EINVAL");
    }
    await thread.join();
  });
});

describe("joinAll", () => {
  it("waits for all and gives their results in order", { skip: noPolicies }, async () => {
    using arena = Arena.create({ node: 0, size: "16 KiB" });
    run({ task: "fill", arena });
    await joinAll();
    assert.deepEqual((await joinAll()).length, 0);
    run({ task: "timers" });
    run({ task: "throwError" });
    await assert.rejects(joinAll(), { name: "RangeError" });
  });

  it("leaves out who was terminated", { skip: noPolicies }, async () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    const started = sharedWords(1);
    const thread = run({ task: "hang", arena, started });
    await reaches(started, 0, 1);
    assert.equal(await thread.terminate(), true);
    assert.deepEqual(await joinAll(), []);
  });
});
