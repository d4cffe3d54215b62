import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { PiscinaPool } from "../../mod.ts";
import { checkout, checkoutFile } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";

/** A task for a file that was written for piscina. */
interface Case {
  readonly file: string;
  readonly name?: string;
  readonly task?: unknown;
  readonly workerData?: unknown;
  /** Bytes that are transferred in place of the task. */
  readonly moved?: readonly number[];
}

/** What came of it: a value by its type, or an error. */
type Told = Readonly<Record<string, unknown>>;

const workerData = { table: [1, 2, 3], text: "given" };
const CASES: readonly Case[] = [
  { file: "function.cjs", task: { a: 1, b: 2 } },
  { file: "promise.cjs", task: "two" },
  { file: "promise.cjs", task: "three" },
  { file: "named.cjs", name: "add", task: { a: 3, b: 4 } },
  { file: "named.cjs", name: "multiply", task: { a: 3, b: 4 } },
  { file: "compiled.cjs", task: { a: 3, b: 4 } },
  { file: "compiled.cjs", name: "negate", task: 5 },
  { file: "module.mjs", task: { a: 3, b: 4 } },
  { file: "module.mjs", name: "length", task: "text" },
  { file: "module.mjs", name: "fail", task: "out of range" },
  { file: "inside.cjs", task: 16 },
  { file: "inside.cjs", name: "view", task: 4 },
  { file: "inside.cjs", name: "port" },
  { file: "inside.cjs", name: "state", workerData },
  { file: "inside.mjs", workerData },
  { file: "inside.mjs" },
  { file: "inside.mjs", name: "double", task: [1, 2.5] },
  { file: "module.mjs", name: "length", moved: [1, 2, 3] },
];

const fileOf = (file: string): string => checkoutFile(`tests/fixtures/piscina/${file}`);

/** What piscina makes of the cases, on Node. */
function reference(): Told[] {
  const node = checkoutFile(".tools/bin/node");
  const { stdout, stderr, status } = spawnSync(
    existsSync(node) ? node : process.execPath,
    [fileOf("reference.mjs")],
    { input: JSON.stringify(CASES), encoding: "utf8" },
  );
  assert.equal(status, 0, stderr);
  return stdout.trim().split("\n").map((line) => JSON.parse(line) as Told);
}

function told(value: unknown): Told {
  if (value === undefined) return { value: "undefined" };
  if (value instanceof MessagePort) return { type: "a port" };
  const type = Object.prototype.toString.call(value);
  if (value instanceof ArrayBuffer) return { type, value: [...new Uint8Array(value)] };
  if (ArrayBuffer.isView(value)) return { type, value: [...value as Uint8Array] };
  return JSON.parse(JSON.stringify({ value })) as Told;
}

async function runCase(pool: PiscinaPool, { name, task, moved }: Case): Promise<Told> {
  try {
    const input = moved === undefined ? task : Uint8Array.from(moved);
    const value = await pool.run(input, {
      ...(name !== undefined && { name }),
      ...(moved !== undefined && { transferList: [(input as Uint8Array).buffer] }),
    });
    if (moved !== undefined) assert.equal((input as Uint8Array).length, 0);
    if (value instanceof MessagePort) value.close();
    return told(value);
  } catch (error) {
    if (!(error instanceof Error) || error instanceof assert.AssertionError) throw error;
    return { error: error.message, name: error.name };
  }
}

/** What comes of the cases here. */
async function runCases(): Promise<Told[]> {
  const size = { minThreads: 1, maxThreads: 1 };
  const pools = new Map<string, PiscinaPool>();
  const results: Told[] = [];
  for (const one of CASES) {
    const { file, workerData } = one;
    const key = JSON.stringify([file, workerData]);
    const pool = pools.get(key) ?? new PiscinaPool({ filename: fileOf(file), ...size, workerData });
    pools.set(key, pool);
    results.push(await runCase(pool, one));
  }
  await Promise.all([...pools.values()].map((pool) => pool.destroy()));
  return results;
}

describe("files that were written for piscina", () => {
  it("do with PiscinaPool what they do with piscina", async () => {
    const expected = reference();
    const results = await runCases();
    const named = (all: readonly Told[]): unknown[] =>
      all.map((one, index) => ({ ...CASES[index], ...one }));
    assert.equal(expected.length, CASES.length);
    assert.deepEqual(named(results), named(expected));
  });

  it("keep what they moved no longer", async () => {
    await using pool = new PiscinaPool({ filename: fileOf("inside.cjs"), maxThreads: 1 });
    const buffer = await pool.run(16) as ArrayBuffer;
    assert.deepEqual([...new Uint8Array(buffer)], new Array(16).fill(7));
    assert.equal(await pool.run(undefined, { name: "left" }), 0);
  });

  it("may be several, in one pool", async () => {
    await using pool = new PiscinaPool({ maxThreads: 2 });
    const sum = pool.run({ a: 1, b: 2 }, { filename: fileOf("function.cjs") });
    const product = pool.run({ a: 5, b: 2 }, { filename: fileOf("module.mjs") });
    const url = new URL("tests/fixtures/piscina/module.mjs", checkout);
    const length = pool.run("four", { filename: url.href, name: "length" });
    assert.deepEqual(await Promise.all([sum, product, length]), [3, 10, 4]);
    await rejectsCode(pool.run(1), "EINVAL", /filename/);
  });
});

describe("PiscinaPool", () => {
  it("ends a task that is aborted, with piscina's error", async () => {
    await using pool = new PiscinaPool({ filename: fileOf("slow.cjs"), maxThreads: 1 });
    const controller = new AbortController();
    const never = pool.run(undefined, { name: "never", signal: controller.signal });
    setTimeout(() => controller.abort("enough"), 100);
    await assert.rejects(never, (error: Error) => {
      assert.equal(error.name, "AbortError");
      assert.equal(error.message, "The task has been aborted");
      assert.equal(error.cause, "enough");
      return true;
    });
    await assert.rejects(pool.run(1, { signal: controller.signal }), { name: "AbortError" });
    assert.equal(await pool.run(1), 1);
  });

  it("counts", async () => {
    await using pool = new PiscinaPool({ filename: fileOf("function.cjs"), maxThreads: 2 });
    assert.equal(pool.maxThreads, 2);
    assert.equal(pool.minThreads, 2);
    const sums = [1, 2, 3].map((a) => pool.run({ a, b: 1 }));
    assert.deepEqual(await Promise.all(sums), [2, 3, 4]);
    assert.equal(pool.completed, 3);
    assert.equal(pool.queueSize, 0);
    assert.ok(pool.duration > 0);
  });

  it("ends idle workers as soon as it can when it is to", async () => {
    await using pool = new PiscinaPool({
      ...{ filename: fileOf("function.cjs"), minThreads: 1, maxThreads: 2, idleTimeout: 0 },
    });
    assert.equal(await pool.run({ a: 1, b: 2 }), 3);
  });

  it("moves what is in the list beside what the task itself moves", async () => {
    await using pool = new PiscinaPool({ filename: fileOf("module.mjs"), maxThreads: 1 });
    const [value, other] = [new Uint8Array(8), new ArrayBuffer(8)];
    // As move() of piscina makes it.
    const task = {
      [Symbol.for("Piscina.transferable")]: value.buffer,
      [Symbol.for("Piscina.valueOf")]: value,
      [Symbol("Piscina.kMovable")]: true,
    };
    assert.equal(await pool.run(task, { name: "length", transferList: [other] }), 8);
    assert.deepEqual([value.length, other.byteLength], [0, 0]);
  });

  it("does what has been asked for, and closes", async () => {
    const pool = new PiscinaPool({ filename: fileOf("slow.cjs"), maxThreads: 1 });
    const tasks = [pool.run(20), pool.run(10)];
    await pool.close();
    assert.deepEqual(await Promise.all(tasks), [20, 10]);
    await rejectsCode(pool.run(1), "ECLOSED", /run/);
    await pool.close();
    await pool.destroy();
  });

  it("refuses options that it does not have", async () => {
    const filename = fileOf("function.cjs");
    for (
      const [options, said] of [
        [{ filename, concurrentTasksPerWorker: 4 }, /concurrentTasksPerWorker/],
        [{ filename, resourceLimits: {} }, /resourceLimits/],
        [{ filename, noSuchOption: 1 }, /noSuchOption/],
        [{ filename, minThreads: 3, maxThreads: 2 }, /minThreads/],
        [{ filename, minThreads: -0 }, /minThreads/],
        [{ filename: 5 }, /filename/],
        [{ filename: "relative.cjs" }, /relative/],
        [{ filename, name: 5 }, /name/],
        [{ filename, maxQueue: "all" }, /maxQueue/],
        [{ filename, idleTimeout: NaN }, /idleTimeout/],
        [{ filename, policy: 5 }, /policy is 5/],
        [{ filename, policy: "nowhere" }, /nowhere/],
        [{ filename, workerData: () => 1 }, /workerData/],
        [{ filename, policy: 5 }, /policy/],
        [{ filename, policy: "nowhere" }, /nowhere/],
        [null, /options/],
      ] as const
    ) {
      throwsCode(() => new PiscinaPool(options as never), "EINVAL", said);
    }
    await using pool = new PiscinaPool({ filename, maxThreads: 1 });
    for (
      const options of [{ priority: 1 }, { name: 1 }, { signal: 1 }, { transferList: 1 }, null]
    ) {
      await rejectsCode(pool.run(1, options as never), "EINVAL");
    }
  });

  it("says what is wrong with a file", async () => {
    await using pool = new PiscinaPool({ filename: fileOf("module.mjs"), maxThreads: 1 });
    await rejectsCode(pool.run(1, { name: "nothing" }), "EMODULE", /"nothing"/);
    const filename = fileOf("no_such_file.cjs");
    await assert.rejects(pool.run(1, { filename }), /no_such_file/);
  });
});
