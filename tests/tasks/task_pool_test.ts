import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, type PoolEvent, TaskPool, type TaskPoolOptions, topology } from "../../mod.ts";
import { checkoutFile, sibling } from "../support/checkout.ts";
import { noPolicies } from "../support/policies.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";

type Tasks = typeof import("../workers/tasks.ts");

const tasks = sibling(import.meta.url, "../workers/tasks");
const open = (options: TaskPoolOptions = {}): Promise<TaskPool<Tasks>> =>
  TaskPool.create<Tasks>(tasks, { threads: 2, ...options });

/** What {@linkcode Tasks.hold} waits for. */
function gate(): { words: Int32Array; begun(count: number): Promise<void>; open(): void } {
  const words = new Int32Array(new SharedArrayBuffer(8));
  return {
    words,
    async begun(count) {
      while (Atomics.load(words, 1) < count) await sleep(1);
    },
    open() {
      Atomics.store(words, 0, 1);
    },
  };
}

describe("a task", () => {
  it("gets numbers and the like, and gives them back", async () => {
    await using pool = await open();
    assert.equal(await pool.run("add", [1, 2]), 3);
    assert.ok(Object.is(await pool.run("echo", [-0]), -0));
    assert.ok(Number.isNaN(await pool.run("echo", [NaN])));
    for (const value of [undefined, null, true, false, 0, 0.1, -1e300, Infinity, 2 ** 53]) {
      assert.equal(await pool.run("echo", [value]), value);
    }
    const five = [1, undefined, null, true, 0.5];
    assert.deepEqual(await pool.run("echo", five), five);
    const six = [...five, 6];
    assert.deepEqual(await pool.run("echo", six), six);
    assert.equal(await pool.run("nothing"), undefined);
    assert.equal(pool.pending, 0);
    assert.equal(String(pool), `TaskPool(${pool.name}, 2 workers, 0 tasks)`);
    assert.ok(pool.tasks.includes("add") && !pool.tasks.includes("order"));
  });

  it("gets anything else that can be cloned, and gives it back", async () => {
    await using pool = await open();
    const value = { text: "é", list: [1, [2]], map: new Map([[1, new Date(5)]]), big: 5n };
    assert.deepEqual(await pool.run("echo", [value]), value);
    const many = Array.from({ length: 50 }, (_, index) => ({ index }));
    assert.deepEqual(await Promise.all(many.map((one) => pool.run("echo", [one]))), many);
    const changed = { a: 1 };
    const runs = Array.from({ length: 5 }, () => pool.run("echo", [changed]));
    changed.a = 2;
    for (const run of runs) assert.deepEqual(await run, { a: 1 }, "they were copied by the call");
    await rejectsCode(pool.run("echo", [() => 1]), "EINVAL", /cannot be sent/);
    await rejectsCode(pool.run("unclonable"), "EINVAL", /result/);
    assert.equal(pool.pending, 0);
    const buffer = new ArrayBuffer(8);
    const back = await pool.run("moved", [buffer], { transfer: [buffer] }) as {
      buffer: ArrayBuffer;
    };
    assert.equal(buffer.byteLength, 0);
    assert.equal(new Uint8Array(back.buffer)[0], 7);
  });

  it("gets live objects", { skip: noPolicies }, async () => {
    await using pool = await open();
    using arena = Arena.create({ node: 0, size: "64 KiB" });
    const byteOffset = await pool.run("fill", [arena, 42], { near: arena });
    assert.ok(new Int32Array(arena.bytes.buffer, byteOffset, 16).every((value) => value === 42));
    assert.equal(await pool.run("add", [1, 2], { near: arena.bytes }), 3);
  });

  it("rejects with its own error", async () => {
    await using pool = await open();
    await assert.rejects(pool.run("fail", ["oh", "EOH"]), (error: Error & { code?: string }) => {
      assert.equal(error.name, "RangeError");
      assert.equal(error.message, "oh");
      assert.equal(error.code, "EOH");
      assert.match(error.stack ?? "", /tasks\.[jt]s/);
      return true;
    });
    await assert.rejects(pool.run("failTyped"), { name: "NumaError", code: "EBUSY", node: 3 });
    for (const value of [undefined, 5, "text", { a: 1 }]) {
      await assert.rejects(pool.run("throwValue", [value]), (thrown) => {
        assert.deepEqual(thrown, value);
        return true;
      });
    }
    assert.throws(() => pool.runSync("fail", ["sync"]), { name: "RangeError", message: "sync" });
    assert.equal(await pool.run("add", [1, 2]), 3);
  });

  it("rejects with texts of an error that cannot be cloned, and its worker goes on", async () => {
    // No dots: Bun takes what is behind the last one for the ending of a file.
    const module = `data:text/javascript,
      let calls = 0;
      export const fail = () => {
        calls++;
        throw Object["defineProperty"](new RangeError("strange"), "stack", { value: () => 1 });
      };
      export const count = () => calls;`;
    await using pool = await TaskPool.create<{ fail(): void; count(): number }>(module, {
      threads: 1,
    });
    await assert.rejects(pool.run("fail"), { name: "RangeError", message: "strange" });
    assert.equal(await pool.run("count"), 1);
  });

  it("looks at arguments with getters, which may run tasks and throw", async () => {
    await using pool = await open({ threads: 1 });
    const inner: Promise<number>[] = [];
    const argsWith = (get: () => number): [number, number] =>
      Object.defineProperty([1, 0], 1, { get }) as [number, number];
    const args = argsWith(() => {
      inner.push(pool.run("square", [5]));
      return 2;
    });
    assert.equal(await pool.run("add", args), 3);
    assert.ok(inner.length > 0);
    for (const square of inner) assert.equal(await square, 25);
    const throws = argsWith(() => {
      throw new RangeError("no");
    });
    await assert.rejects(pool.run("add", throws), RangeError);
    assert.equal(pool.pending, 0);
  });

  it("has no more arguments than a function can have", async () => {
    await using pool = await open({ threads: 1 });
    for (const length of [65_536, 2 ** 32 - 1]) {
      const args: unknown[] = [];
      args.length = length;
      for (const run of ["run", "runSync", "broadcast"] as const) {
        const call = (async () => await pool[run]("add", args as never))();
        await rejectsCode(call, "EINVAL", new RegExp(`${length} arguments`));
      }
    }
    assert.equal(await pool.run("add", new Array(65_535).fill(1) as never), 2);
  });

  it("may be asynchronous", async () => {
    await using pool = await open();
    assert.equal(await pool.run("wait", [5]), 5);
    assert.deepEqual(await Promise.all([10, 5, 1].map((ms) => pool.run("wait", [ms]))), [10, 5, 1]);
  });

  it("may come from a module that was compiled to CommonJS, whose names no runtime finds", async () => {
    const module = `file://${checkoutFile("tests/fixtures/compiled_tasks.cjs")}`;
    type Compiled = { add(a: number, b: number): number };
    await using pool = await TaskPool.create<Compiled>(module, { threads: 2 });
    assert.equal(await pool.run("add", [1, 2]), 3);
  });

  it("can be waited for by blocking", async () => {
    await using pool = await open({ spins: 0 });
    for (let index = 0; index < 50; index++) {
      assert.equal(pool.runSync("add", [index, 1]), index + 1);
    }
    assert.deepEqual(pool.runSync("echo", [{ a: [1] }]), { a: [1] });
    const pending = pool.run("add", [3, 4]);
    assert.equal(pool.runSync("wait", [2]), 2);
    assert.equal(await pending, 7);
    throwsCode(() => pool.runSync("wait", [1000], { timeoutMs: 1 }), "ETIMEDOUT");
    assert.equal(pool.runSync("add", [1, 1]), 2, "with the other worker");
  });
});

describe("a pool", () => {
  it("binds its workers as hard as is asked for, and tells what came of it", async () => {
    const bind = { cpus: "prefer", memory: "off" } as const;
    await using pool = await open({ threads: 1, bind });
    const binding = pool.statistics().workers[0]?.binding;
    assert.equal(binding?.cpus.strength, "prefer");
    assert.ok((binding?.cpus.got.size ?? 0) > 0);
    assert.deepEqual([binding?.memory.strength, binding?.memory.asked], ["off", undefined]);
    await using usual = await open({ threads: 1 });
    const { cpus, memory } = usual.statistics().workers[0]?.binding ?? {};
    assert.deepEqual([cpus?.strength, cpus?.refused], ["require", undefined]);
    assert.equal(memory?.strength, "prefer");
    // In a container as they are by default.
    if (noPolicies !== false) assert.match(memory?.refused?.message ?? "", /SYS_NICE/);
    else assert.equal(memory?.refused, undefined);
  });

  it("does more tasks than it has places for", async () => {
    await using pool = await open();
    const count = 40_000;
    const runs = Array.from({ length: count }, (_, index) => pool.run("square", [index]));
    assert.ok(pool.pending > 0 && pool.pending <= count);
    const results = await Promise.all(runs);
    assert.ok(results.every((result, index) => result === index * index));
    assert.equal(pool.pending, 0);
  });

  it("uses all its workers", async () => {
    await using pool = await open({ threads: 3 });
    const { words, begun, open: let_ } = gate();
    const runs = [1, 2, 3].map(() => pool.run("hold", [words]));
    await begun(3);
    let_();
    assert.equal(new Set(await Promise.all(runs)).size, 3);
  });

  it("lets workers take from one that is busy", async () => {
    await using pool = await open({ spins: 0 });
    const { words, begun, open: let_ } = gate();
    const held = pool.run("hold", [words]);
    await begun(1);
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, x) => pool.run("square", [x])),
    );
    assert.deepEqual(results, results.map((_, x) => x * x), "none waits for the busy one");
    let_();
    await held;
    const { stolen, done } = pool.statistics();
    assert.equal(done, 21);
    assert.ok(stolen.core + stolen.domain + stolen.node + stolen.remote <= done);
  });

  it("maps items in their order, a few at a time", async () => {
    await using pool = await open();
    const progress: number[] = [];
    const results = await pool.map("square", [1, 2, 3, 4, 5], {
      concurrency: 2,
      onProgress: ({ done, total }) => {
        assert.equal(total, 5);
        progress.push(done);
      },
    });
    assert.deepEqual(results, [1, 4, 9, 16, 25]);
    assert.deepEqual(progress, [1, 2, 3, 4, 5]);
    let taken = 0;
    const items = function* (): Generator<number> {
      for (; taken < 1000; taken++) yield taken;
    };
    await assert.rejects(pool.map("fail", items() as never, { concurrency: 3 }));
    assert.ok(taken <= 6, `${taken} items were taken`);
    const aborted = AbortSignal.abort("enough");
    await assert.rejects(pool.map("square", [1], { signal: aborted }), (why) => why === "enough");
    const later = async function* (): AsyncGenerator<number> {
      for (let index = 0; index < 3; index++) {
        await sleep(1);
        yield index;
      }
    };
    assert.deepEqual(await pool.map("square", later()), [0, 1, 4]);
    const controller = new AbortController();
    const never = async function* (): AsyncGenerator<number> {
      yield 1;
      await new Promise<void>(() => {});
    };
    const waits = pool.map("square", never(), { signal: controller.signal });
    await sleep(5);
    controller.abort("enough");
    await assert.rejects(waits, (why) => why === "enough");
    const strange = Object.assign(new Set([2, 3]), { length: 0 });
    assert.deepEqual(await pool.map("square", strange), [4, 9]);
    await rejectsCode(pool.map("square", 5 as never), "EINVAL");
    for (const iterator of [5, {}, { next: () => 5 }]) {
      const items = { [Symbol.iterator]: () => iterator };
      await rejectsCode(pool.map("square", items as never), "EINVAL");
    }
    for (const key of [Symbol.iterator, Symbol.asyncIterator]) {
      await rejectsCode(pool.map("square", { [key]: 5 } as never), "EINVAL");
    }
    await rejectsCode(pool.map("square", [], { signal: 5 as never }), "EINVAL");
    await rejectsCode(pool.map("square", [], { concurrency: 0 }), "EINVAL");
  });

  it("broadcasts to each worker once", async () => {
    await using pool = await open({ threads: 3 });
    assert.equal(new Set(await pool.broadcast("thread")).size, 3);
    assert.deepEqual(await pool.broadcast("count"), [1, 1, 1]);
    assert.deepEqual(await pool.broadcast("echo", [{ a: 1 }]), [{ a: 1 }, { a: 1 }, { a: 1 }]);
    assert.deepEqual(await Promise.all(pool.runOnAll("whoami", [])), [0, 1, 2]);
    await assert.rejects(pool.broadcast("fail", ["all"]), { message: "all" });
  });

  it("lets what is more urgent come first", async () => {
    await using pool = await open({ threads: 1 });
    const { words, begun, open: let_ } = gate();
    const held = pool.run("hold", [words]);
    await begun(1);
    const runs = (["low", "normal", "high", "low", "high"] as const).map((priority, index) =>
      pool.run("note", [index], { priority })
    );
    let_();
    await Promise.all([held, ...runs]);
    assert.deepEqual(await pool.run("noted"), [2, 4, 1, 0, 3]);
  });

  it("counts", async () => {
    await using pool = await open({ times: true });
    await Promise.all([1, 2, 3].map((index) => pool.run("add", [index, 1])));
    await sleep(5);
    const before = pool.statistics();
    assert.equal(before.done, 3);
    await Promise.allSettled([pool.run("busy", [5]), pool.run("fail", ["x"])]);
    await rejectsCode(pool.run("unclonable"), "EINVAL");
    const { at, windowMs, done, failed, busyMs, run, wait, workers, nodes } = pool.statistics(
      before,
    );
    assert.equal(windowMs, at - before.at);
    assert.deepEqual({ done, failed }, { done: 3, failed: 2 });
    assert.ok(busyMs >= 5 && busyMs < 5000, `${busyMs} ms`);
    for (const classes of [run, wait]) {
      assert.equal(classes.reduce((sum, { count }) => sum + count, 0), 3);
    }
    assert.ok((run.at(-1)?.leastMs ?? 0) > 2.5);
    assert.equal(workers.reduce((sum, worker) => sum + worker.done, 0), 3);
    assert.equal(nodes.reduce((sum, node) => sum + node.done, 0), 3);
    throwsCode(() => pool.statistics({ ...before }), "EINVAL");
    await using other = await open();
    throwsCode(() => other.statistics(before), "EINVAL", /this pool/);
  });

  it("tells whoever listens", async () => {
    const heard: string[] = [];
    const listener = (message: unknown): void => {
      const { pool, task, worker, outcome } = message as PoolEvent;
      if (pool === "told") heard.push([task ?? worker, outcome].join(" "));
    };
    const channels = ["run", "end", "worker"].map((name) => `numakit:tasks:${name}`);
    for (const name of channels) subscribe(name, listener);
    const pool = await open({ threads: 1, name: "told" });
    await pool.run("add", [1, 2]);
    await assert.rejects(pool.run("fail", ["x"]));
    await pool.close();
    for (const name of channels) unsubscribe(name, listener);
    assert.deepEqual(heard, [
      ...["0 started", "add submitted", "add fulfilled", "fail submitted", "fail rejected"],
      "0 ended",
    ]);
  });

  it("may be asked to block by whoever listens, in the middle of a call that blocks", async () => {
    await using pool = await open({ threads: 1, name: "nested" });
    const inner: unknown[] = [];
    const listener = (message: unknown): void => {
      const { pool: name, task } = message as PoolEvent;
      if (name !== "nested" || task !== "square") return;
      inner.push(pool.runSync("add", [10, 20]));
      try {
        pool.runSync("fail", ["inner"]);
      } catch (error) {
        inner.push((error as Error).message);
      }
    };
    const channels = ["run", "end"].map((name) => `numakit:tasks:${name}`);
    for (const name of channels) subscribe(name, listener);
    try {
      assert.equal(pool.runSync("square", [3]), 9);
      const other = pool.run("square", [4]);
      assert.equal(pool.runSync("mix", [5, 0]), 5);
      assert.equal(await other, 16);
    } finally {
      for (const name of channels) unsubscribe(name, listener);
    }
    assert.deepEqual(inner, Array.from({ length: 4 }, () => [30, "inner"]).flat());
  });

  it("does not run what was aborted by whoever is told of its start", async () => {
    await using pool = await open({ threads: 1, name: "aborted" });
    const aborter = new AbortController();
    const listener = (message: unknown): void => {
      if ((message as PoolEvent).pool === "aborted") aborter.abort("unwanted");
    };
    const blocks = pool.run("wait", [50]);
    subscribe("numakit:tasks:run", listener);
    const aborted = pool.run("note", [3], { signal: aborter.signal });
    unsubscribe("numakit:tasks:run", listener);
    await assert.rejects(aborted, (reason) => reason === "unwanted");
    assert.equal(pool.pending, 1);
    await blocks;
    assert.deepEqual(await pool.run("noted"), []);
  });

  it("awaits tasks where it is asked to", async () => {
    await using pool = await open({ wait: "await" });
    for (let index = 0; index < 20; index++) {
      assert.equal(await pool.run("square", [index]), index * index);
    }
    await sleep(5);
    assert.equal(pool.runSync("add", [1, 2]), 3);
  });

  it("takes only what is right", async () => {
    const wrong: unknown[] = [
      ...[{ threads: 0 }, { threads: 257 }, { threads: -0 }, { threads: 1.5 }, { threads: "2" }],
      ...[{ threads: { min: 2, max: 1 } }, { threads: { min: 0, max: 1 } }, { threads: null }],
      ...[{ per: "package" }, { policy: {} }, { maxQueued: -1 }, { whenFull: "drop" }],
      ...[{ idleMs: 0 }, { wait: true }, { spins: NaN }, { remoteSteals: 2 ** 53 }],
      ...[{ graceMs: -1 }, { times: 1 }, { name: 5 }, { size: 2 }, null, 5],
    ];
    for (const options of wrong) {
      await rejectsCode(TaskPool.create(tasks, options as never), "EINVAL");
    }
    for (const url of ["tasks", 5, null]) {
      await rejectsCode(TaskPool.create(url as never), "EINVAL");
    }
    await rejectsCode(TaskPool.create(new URL("./no_tasks.ts", import.meta.url)), "EMODULE");
    await rejectsCode(TaskPool.create("data:text/javascript,throw 5"), "EMODULE", /5/);
    await using pool = await open();
    const run = pool.run.bind(pool) as (...args: unknown[]) => Promise<unknown>;
    await rejectsCode(run("no_task", []), "EINVAL", /exports add/);
    await rejectsCode(run(5, []), "EINVAL");
    await rejectsCode(run("add", 5), "EINVAL");
    for (
      const options of [
        ...[null, 5, { priority: "urgent" }, { priority: "toString" }, { signal: {} }],
        ...[{ timeoutMs: -1 }, { timeoutMs: 0.5 }, { near: {} }, { near: -1 }, { near: null }],
        ...[{ transfer: 5 }, { soon: true }],
      ]
    ) {
      await rejectsCode(run("add", [1, 2], options), "EINVAL");
    }
    const none = 1 + Math.max(...topology().nodes.map(({ id }) => id));
    await rejectsCode(run("add", [1, 2], { near: none }), "ENODEV");
    throwsCode(() => pool.runSync("add", [1, 2], { signal: 5 } as never), "EINVAL");
    throwsCode(() => pool.resize(3), "EINVAL");
    assert.equal(pool.pending, 0);
  });
});
