import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { parallelFor, Policy, TaskPool, type TaskPoolOptions, topology } from "../../mod.ts";
import { PoolHost } from "../../lib/tasks/host/pool_host.ts";
import { poolSettings } from "../../lib/tasks/pool/pool_settings.ts";
import { onDeno, sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";

type Tasks = typeof import("../workers/tasks.ts");

const tasks = sibling(import.meta.url, "../workers/tasks");
const open = (options: TaskPoolOptions = {}): Promise<TaskPool<Tasks>> =>
  TaskPool.create<Tasks>(tasks, { threads: 2, ...options });

async function begun(words: Int32Array, count: number): Promise<void> {
  while (Atomics.load(words, 1) < count) await sleep(1);
}

const gate = (): Int32Array => new Int32Array(new SharedArrayBuffer(8));

describe("a task that is aborted", () => {
  it("is taken out of its queue", async () => {
    await using pool = await open({ threads: 1 });
    const words = gate();
    const held = pool.run("hold", [words]);
    await begun(words, 1);
    const controller = new AbortController();
    const { signal } = controller;
    const numbers = pool.run("count", [], { signal });
    const objects = pool.run("echo", [{}], { signal });
    const last = pool.run("count");
    controller.abort("enough");
    for (const run of [numbers, objects]) await assert.rejects(run, (why) => why === "enough");
    assert.equal(pool.pending, 2);
    Atomics.store(words, 0, 1);
    await held;
    assert.equal(await last, 1, "the other one has not run");
    await assert.rejects(pool.run("count", [], { signal }), (why) => why === "enough");
  });

  it("is not begun where to look at its arguments was to end the pool", async () => {
    for (const end of ["close", "terminate"] as const) {
      for (const task of ["add", "echo"] as const) {
        for (const run of ["run", "runSync"] as const) {
          const pool = await open({ threads: 1 });
          const getter = { get: () => (void pool[end](), 1), configurable: true, enumerable: true };
          const args = task === "add"
            ? Object.defineProperty([0, 2], 0, getter)
            : [Object.defineProperty({}, "x", getter)];
          await rejectsCode((async () => await pool[run](task, args as never))(), "ECLOSED");
          await pool.terminate();
        }
      }
    }
  });

  it("goes on if it has begun, and nobody is told how it ends", async () => {
    await using pool = await open({ threads: 1 });
    const words = gate();
    const controller = new AbortController();
    const held = pool.run("hold", [words], { signal: controller.signal });
    await begun(words, 1);
    controller.abort();
    await assert.rejects(held, { name: "AbortError" });
    assert.equal(pool.pending, 1);
    Atomics.store(words, 0, 1);
    assert.equal(await pool.run("count"), 1, "in the same thread");
    assert.equal(pool.pending, 0);
  });

  it("loses its worker after the grace time", async () => {
    await using pool = await open({ threads: 1, graceMs: 5 });
    const words = gate();
    await rejectsCode(pool.run("hold", [words], { timeoutMs: 20 }), "ETIMEDOUT");
    assert.equal(await pool.run("count"), 1);
    Atomics.store(words, 0, 1);
  });

  it("has had its time", async () => {
    await using pool = await open({ threads: 1 });
    const words = gate();
    const held = pool.run("hold", [words]);
    await begun(words, 1);
    await rejectsCode(pool.run("count", [], { timeoutMs: 2 }), "ETIMEDOUT");
    await rejectsCode(pool.run("echo", [{}], { timeoutMs: 0 }), "ETIMEDOUT");
    Atomics.store(words, 0, 1);
    await held;
    assert.equal(await pool.run("count", [], { timeoutMs: 60_000 }), 1);
  });

  it("does not fill a queue with its name", async () => {
    await using pool = await open({ threads: 1, maxQueued: 10 });
    const words = gate();
    const held = pool.run("hold", [words]);
    await begun(words, 1);
    for (let round = 0; round < 500; round++) {
      const controller = new AbortController();
      const run = pool.run("count", [], { signal: controller.signal });
      controller.abort(round);
      await assert.rejects(run, (why) => why === round);
    }
    const last = pool.run("count");
    Atomics.store(words, 0, 1);
    await held;
    assert.equal(await last, 1);
  });
});

describe("a pool that is full", () => {
  it("lets tasks wait", async () => {
    await using pool = await open({ threads: 1, maxQueued: 2 });
    const words = gate();
    const held = pool.run("hold", [words]);
    await begun(words, 1);
    const controller = new AbortController();
    const runs = Array.from({ length: 20 }, (_, index) => pool.run("square", [index]));
    const aborted = pool.run("count", [], { signal: controller.signal });
    const late = pool.run("count", [], { timeoutMs: 1 });
    controller.abort("enough");
    await assert.rejects(aborted, (why) => why === "enough");
    await rejectsCode(late, "ETIMEDOUT");
    throwsCode(() => pool.runSync("count"), "EAGAIN");
    Atomics.store(words, 0, 1);
    await held;
    assert.deepEqual(await Promise.all(runs), runs.map((_, index) => index * index));
    assert.equal(await pool.run("count"), 1);
  });

  it("lets no more than may wait into its queues when a task has ended", async () => {
    await using pool = await open({ threads: 1, maxQueued: 2 });
    const words = gate();
    const held = pool.run("hold", [words]);
    await begun(words, 1);
    const runs = Array.from({ length: 10 }, () => pool.run("wait", [10]));
    Atomics.store(words, 0, 1);
    await held;
    // The one that comes next may not have been taken yet.
    assert.ok(pool.statistics().queued <= 3);
    await Promise.all(runs);
  });

  it("rejects tasks if it is to", async () => {
    await using pool = await open({ threads: 1, maxQueued: 2, whenFull: "reject" });
    const words = gate();
    const held = pool.run("hold", [words]);
    await begun(words, 1);
    const runs = [1, 2].map((index) => pool.run("square", [index]));
    await rejectsCode(pool.run("square", [3]), "EAGAIN");
    Atomics.store(words, 0, 1);
    await held;
    assert.deepEqual(await Promise.all(runs), [1, 4]);
    assert.equal(await pool.run("square", [3]), 9);
  });
});

describe("a worker that ends in the middle of a task", () => {
  it("rejects that task, and no other", async () => {
    await using pool = await open();
    const count = 30;
    const runs = Array.from(
      { length: count },
      (_, index) => pool.run("crashSometimes", [index, 10]),
    );
    const clones = Array.from({ length: 10 }, (_, index) => pool.run("echo", [{ index }]));
    const outcomes = await Promise.allSettled(runs);
    for (const [index, outcome] of outcomes.entries()) {
      if (index % 10 === 0) {
        assert.equal(outcome.status, "rejected", `task ${index}`);
        await rejectsCode(Promise.reject((outcome as PromiseRejectedResult).reason), "ETERMINATED");
      } else assert.deepEqual(outcome, { status: "fulfilled", value: index });
    }
    for (const [index, run] of clones.entries()) assert.deepEqual(await run, { index });
    assert.equal(pool.pending, 0);
    while (pool.size < 2) await sleep(1);
    assert.equal(new Set(await pool.broadcast("thread")).size >= 1, true);
  });

  it("is noticed by a thread that blocks", async () => {
    await using pool = await open({ threads: 1 });
    throwsCode(() => pool.runSync("crash", [1]), "ETERMINATED");
    assert.equal(await pool.run("add", [1, 2]), 3);
  });

  it("does not end what a thread that blocks asks of the one that takes its place", async () => {
    await using pool = await open({ threads: 1 });
    await rejectsCode(pool.run("crash", [1]), "ETERMINATED", /in the middle of it/);
    assert.equal(pool.runSync("add", [1, 2]), 3);
    await rejectsCode(pool.run("crash", [1]), "ETERMINATED");
    assert.deepEqual(pool.runSync("echo", [{ a: 1 }]), { a: 1 });
  });

  it("does what was asked of it before it began, not of what the arguments have become", async () => {
    await using pool = await open({ threads: 1 });
    const crashed = pool.run("crash", [1]);
    const changed = { a: 1 };
    const moved = new ArrayBuffer(8);
    const echo = pool.run("echo", [changed]);
    const lost = pool.run("moved", [moved], { transfer: [moved] });
    changed.a = 2;
    await rejectsCode(crashed, "ETERMINATED");
    assert.deepEqual(await echo, { a: 1 });
    // It may have waited in this thread, and have been moved to the other worker.
    await lost.catch((error) => assert.match(String(error), /before it began/));
  });

  it("cannot be replaced if its module does not load any more", async () => {
    const folder = mkdtempSync(join(tmpdir(), "numakit-tasks-"));
    const file = join(folder, "tasks.mjs");
    const text = 'import process from "node:process";\n' +
      "export const die = () => new Promise(() => process.exit(1));\nexport const one = () => 1;\n";
    writeFileSync(file, text);
    const pool = await TaskPool.create<{ die(): Promise<void>; one(): number }>(
      pathToFileURL(file),
      { threads: 1 },
    );
    assert.equal(await pool.run("one"), 1);
    rmSync(folder, { recursive: true });
    const died = pool.run("die");
    const waits = pool.run("one");
    await rejectsCode(died, "ETERMINATED");
    await rejectsCode(waits, "EMODULE");
    await rejectsCode(pool.run("one"), "ECLOSED", /cannot be started/);
    await pool.close();
  });
});

describe("a pool that is closed", () => {
  it("does what it has, and takes no more", async () => {
    const pool = await open();
    const runs = Array.from({ length: 100 }, (_, index) => pool.run("square", [index]));
    const clone = pool.run("echo", [{ a: 1 }]);
    const closing = pool.close();
    assert.equal(pool.close(), closing);
    await rejectsCode(pool.run("square", [1]), "ECLOSED");
    throwsCode(() => pool.runSync("square", [1]), "ECLOSED");
    throwsCode(() => pool.resize(1), "ECLOSED");
    await rejectsCode(pool.broadcast("thread"), "ECLOSED");
    await rejectsCode(parallelFor(pool, 10, "square"), "ECLOSED");
    await closing;
    assert.deepEqual(await Promise.all(runs), runs.map((_, index) => index * index));
    assert.deepEqual(await clone, { a: 1 });
    assert.equal(pool.size, 0);
    await pool.terminate();
  });

  it("rejects what it has when it is terminated", async () => {
    const pool = await open({ threads: 1 });
    const words = gate();
    const runs = [pool.run("hold", [words]), pool.run("count"), pool.run("echo", [{}])];
    const outcomes = Promise.allSettled(runs);
    await begun(words, 1);
    await pool.terminate();
    for (const outcome of await outcomes) {
      assert.equal(outcome.status, "rejected");
      await rejectsCode(Promise.reject((outcome as PromiseRejectedResult).reason), "ETERMINATED");
    }
    Atomics.store(words, 0, 1);
    await rejectsCode(pool.run("count"), "ECLOSED");
    await pool.close();
  });
});

/** A module that is loaded at once the first time, and then never; the file that it leaves tells. */
function loadedOnce(): URL {
  const folder = mkdtempSync(join(tmpdir(), "numakit-tasks-"));
  const file = join(folder, "tasks.mjs");
  const mark = JSON.stringify(join(folder, "mark"));
  writeFileSync(
    file,
    `import { existsSync, writeFileSync } from "node:fs";
if (existsSync(${mark})) await new Promise(() => setInterval(() => {}, 1000));
writeFileSync(${mark}, "");
export const one = () => 1;
export const slow = (ms) => { const end = Date.now() + ms; while (Date.now() < end); return 2; };
`,
  );
  return pathToFileURL(file);
}

describe("a worker that never loads its module", () => {
  it("does not keep a pool from being closed", async () => {
    const pool = await TaskPool.create<{ one(): number; slow(ms: number): number }>(loadedOnce(), {
      threads: { min: 1, max: 2 },
    });
    assert.deepEqual(await Promise.all([pool.run("slow", [50]), pool.run("one")]), [2, 1]);
    assert.equal(pool.size, 2, "one is about to be there");
    await pool.close();
    assert.equal(pool.size, 0);
  });
});

describe("a worker that the system does not let start", () => {
  it("leaves tasks near it to others", async () => {
    const first = poolSettings({ threads: { min: 1, max: 2 } }, topology());
    const settings = {
      ...first,
      nodes: [0, 1],
      policies: [first.policies[0]!, { policy: Policy.bindCpus("4095"), place: undefined }],
    };
    const host = new PoolHost(settings, tasks.href);
    await host.crew.start(0);
    const run = (task: string, args: readonly unknown[], isPosted: boolean) =>
      new Promise((resolve, reject) => {
        const index = host.indices.get(task) as number;
        const message = isPosted ? args : undefined;
        host.start(
          { index, args, message, transfer: [], level: 1, node: 1, resolve, reject },
          undefined,
        );
      });
    const results = await Promise.all([
      run("add", [1, 2], false),
      run("echo", [{ a: 1 }], true),
      run("square", [3], false),
    ]);
    assert.deepEqual(results, [3, { a: 1 }, 9]);
    await host.dismissAll();
    await host.dispose();
  });
});

describe("the number of workers", () => {
  it("grows while there is more to do, and falls again", async () => {
    await using pool = await open({ threads: { min: 1, max: 3 }, idleMs: 20 });
    assert.equal(pool.size, 1);
    const words = gate();
    const runs = [1, 2, 3].map(() => pool.run("hold", [words]));
    await begun(words, 3);
    Atomics.store(words, 0, 1);
    assert.equal(new Set(await Promise.all(runs)).size, 3);
    while (pool.size > 1) await sleep(5);
    assert.equal(await pool.run("add", [1, 2]), 3);
  });

  it("can be changed", async () => {
    await using pool = await open({ threads: { min: 1, max: 3 }, idleMs: 60_000 });
    pool.resize(3);
    assert.equal(pool.size, 3);
    const words = gate();
    const runs = [1, 2, 3].map(() => pool.run("hold", [words]));
    await begun(words, 3);
    pool.resize(1);
    assert.equal(pool.size, 1);
    Atomics.store(words, 0, 1);
    await Promise.all(runs);
    assert.equal(await pool.run("add", [1, 2]), 3);
  });
});

// In each test: runtimes differ in whether a skipped group counts.
const notOnDeno = onDeno ? false : "elsewhere busy threads can be ended";

describe("on Deno", () => {
  it(
    "a busy task ends its thread once it comes to the event loop",
    { skip: notOnDeno },
    async () => {
      const pool = await open({ threads: 1 });
      const run = pool.run("busy", [50]);
      const outcome = Promise.allSettled([run]);
      await pool.terminate();
      assert.equal((await outcome)[0]?.status, "rejected");
    },
  );
});
