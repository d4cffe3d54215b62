import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { TaskPool, type TaskPoolOptions } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode } from "../support/errors.ts";

type Tasks = typeof import("../workers/tasks.ts");

const tasks = sibling(import.meta.url, "../workers/tasks");
const open = (options: TaskPoolOptions): Promise<TaskPool<Tasks>> =>
  TaskPool.create<Tasks>(tasks, options);

async function begun(words: Int32Array, count: number): Promise<void> {
  while (Atomics.load(words, 1) < count) await sleep(1);
}

const gate = (): Int32Array => new Int32Array(new SharedArrayBuffer(8));

async function haveLive(pool: TaskPool<Tasks>, count: number): Promise<void> {
  while (pool.statistics().workers.filter(({ isLive }) => isLive).length !== count) await sleep(1);
}

/** A module of which each second load fails. */
function loadedInTurns(): URL {
  const folder = mkdtempSync(join(tmpdir(), "numakit-tasks-"));
  const file = join(folder, "tasks.mjs");
  const loads = JSON.stringify(join(folder, "loads"));
  writeFileSync(
    file,
    `import { appendFileSync, readFileSync } from "node:fs";
import process from "node:process";
appendFileSync(${loads}, ".");
if (readFileSync(${loads}).length % 2 === 0) throw new Error("not this time");
export const die = () => new Promise(() => process.exit(1));
export const one = () => 1;
`,
  );
  return pathToFileURL(file);
}

describe("a worker of a pool", () => {
  it("is not busy when it has taken the place of one that ended in the middle of a task", async () => {
    await using pool = await open({ threads: 1 });
    await rejectsCode(pool.run("crash", [1]), "ETERMINATED");
    await haveLive(pool, 1);
    assert.equal(pool.statistics().workers[0]?.isBusy, false);
  });

  it("gets arguments again when a task was called off that it had not begun", async () => {
    await using pool = await open({ threads: 1 });
    const waits = pool.run("wait", [50]);
    while (pool.statistics().workers[0]?.isBusy === false) await sleep(1);
    const controller = new AbortController();
    const aborted = pool.run("echo", [{ a: 1 }], { signal: controller.signal });
    controller.abort("enough");
    await assert.rejects(aborted, (why) => why === "enough");
    assert.deepEqual(await pool.run("echo", [{ a: 2 }], { timeoutMs: 10_000 }), { a: 2 });
    await waits;
  });

  it("stays when it has a place that another one has left", async () => {
    await using pool = await open({ threads: { min: 1, max: 2 }, idleMs: 60_000 });
    pool.resize(2);
    await haveLive(pool, 2);
    pool.resize(1);
    await haveLive(pool, 1);
    pool.resize(2);
    await haveLive(pool, 2);
    const before = await pool.broadcast("count");
    await sleep(50);
    assert.deepEqual(await pool.broadcast("count"), before.map((count) => count + 1));
  });

  it("stays though it is idle if there are no more than the least", async () => {
    await using pool = await open({ threads: { min: 1, max: 2 }, idleMs: 5 });
    const before = await pool.run("count");
    await sleep(100);
    assert.equal(await pool.run("count"), before + 1);
  });

  it("may fail to start now and then, not in a row", async () => {
    await using pool = await TaskPool.create<{ die(): Promise<void>; one(): number }>(
      loadedInTurns(),
      { threads: 1 },
    );
    for (let round = 0; round < 4; round++) {
      await rejectsCode(pool.run("die"), "ETERMINATED");
      assert.equal(await pool.run("one"), 1);
    }
  });
});

describe("a result", () => {
  it("is noticed at once after a call that has blocked meanwhile", async () => {
    await using pool = await open({ threads: 2 });
    const words = gate();
    const held = pool.run("hold", [words]);
    await begun(words, 1);
    // The pool's thread waits for results, and then blocks: workers tell the latter.
    await sleep(30);
    assert.equal(pool.runSync("add", [1, 2]), 3);
    const from = performance.now();
    Atomics.store(words, 0, 1);
    await held;
    const ms = performance.now() - from;
    assert.ok(ms < 600, `${ms} ms`);
  });
});

describe("what aborts a task or a map", () => {
  it("is let go when that has ended", async () => {
    await using pool = await open({ threads: 1 });
    const { signal } = new AbortController();
    let listeners = 0;
    for (const [name, more] of [["addEventListener", 1], ["removeEventListener", -1]] as const) {
      const call = signal[name].bind(signal) as (...args: unknown[]) => void;
      const value = (...args: unknown[]): void => {
        listeners += more;
        call(...args);
      };
      Object.defineProperty(signal, name, { value });
    }
    const { setTimeout: set, clearTimeout: clear } = globalThis;
    const timers = new Set<unknown>();
    globalThis.setTimeout = ((call: () => void, ms: number) => {
      const timer = set(call, ms);
      if (ms === 54_321) timers.add(timer);
      return timer;
    }) as typeof set;
    globalThis.clearTimeout = ((timer: never) => {
      timers.delete(timer);
      clear(timer);
    }) as typeof clear;
    try {
      const run = pool.run("square", [2], { signal, timeoutMs: 54_321 });
      assert.deepEqual([listeners, timers.size], [1, 1]);
      assert.equal(await run, 4);
      assert.deepEqual([listeners, timers.size], [0, 0]);
    } finally {
      globalThis.setTimeout = set;
      globalThis.clearTimeout = clear;
    }
    assert.deepEqual(await pool.map("square", [1, 2, 3], { signal }), [1, 4, 9]);
    assert.equal(listeners, 0);
  });
});
