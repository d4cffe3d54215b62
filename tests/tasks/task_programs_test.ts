import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { TaskPool, type TaskPoolOptions, topology } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { numbers } from "../support/churn.ts";
import { inExtent, repeats } from "../support/extent.ts";
import { mix } from "../workers/tasks.ts";

type Tasks = typeof import("../workers/tasks.ts");

const tasks = sibling(import.meta.url, "../workers/tasks");
const PRIORITIES = ["high", "normal", "low"] as const;

/** What a task is to end with, by what one thread alone would make of it. */
type Expected = { readonly value: unknown } | { readonly error: string } | {
  /** Or it was aborted before. */
  readonly either: unknown;
};

/** A program of tasks, some of which make others of their results, and what they have to end with. */
async function runProgram(
  pool: TaskPool<Tasks>,
  seed: number,
  { steps, isFull }: { steps: number; isFull: boolean },
): Promise<void> {
  const random = numbers(seed);
  const node = topology().nodes.find(({ cpus }) => cpus.size > 0)?.id ?? 0;
  const all: { expected: Expected; run: Promise<unknown> }[] = [];
  const begin = (): void => {
    const [a, rounds] = [random(1000), random(200)];
    const priority = PRIORITIES[random(3)] as typeof PRIORITIES[number];
    const near = random(2) === 0 ? { near: node } : {};
    const kind = random(10);
    if (kind < 3) {
      all.push({ expected: { value: mix(a, rounds) }, run: pool.run("mix", [a, rounds]) });
    } else if (kind === 3) {
      const run = pool.run("mix", [a, rounds], { priority, ...near });
      all.push({ expected: { value: mix(a, rounds) }, run });
    } else if (kind === 4) {
      const value = { a, list: [rounds, { text: `${a}` }] };
      all.push({ expected: { value }, run: pool.run("echo", [value], { priority, ...near }) });
    } else if (kind === 5) {
      const run = pool.run("fail", [`${a}`]);
      all.push({ expected: { error: `RangeError: ${a}` }, run });
    } else if (kind === 6) {
      const controller = new AbortController();
      const { signal } = controller;
      const value = mix(a, rounds);
      const run = random(2) === 0
        ? pool.run("mix", [a, rounds], { signal })
        : pool.run("echo", [[value]], { signal }).then((list) => (list as number[])[0]);
      all.push({ expected: { either: value }, run });
      if (random(2) === 0) controller.abort("aborted");
      else queueMicrotask(() => controller.abort("aborted"));
    } else if (kind === 7) {
      const run = pool.run("mix", [a, 3]).then((x) => pool.run("mix", [x, rounds]));
      all.push({ expected: { value: mix(a, rounds + 3) }, run });
    } else if (kind === 8) {
      const items = [a, a + 1, a + 2];
      const run = pool.map("square", items, { concurrency: 1 + random(3) });
      all.push({ expected: { value: items.map((x) => x * x) }, run });
    } else {
      try {
        assert.equal(pool.runSync("mix", [a, rounds]), mix(a, rounds));
      } catch (error) {
        // It does not wait for a place.
        assert.equal((error as { code?: string }).code, "EAGAIN");
        assert.ok(isFull);
      }
    }
  };
  for (let step = 0; step < steps; step++) begin();
  const outcomes = await Promise.allSettled(all.map(({ run }) => run));
  for (const [index, outcome] of outcomes.entries()) {
    const { expected } = all[index] as typeof all[number];
    if ("value" in expected) {
      assert.deepEqual(outcome, { status: "fulfilled", value: expected.value });
    } else if ("error" in expected) {
      assert.equal(outcome.status, "rejected");
      assert.equal(String((outcome as PromiseRejectedResult).reason), expected.error);
    } else if (outcome.status === "fulfilled") assert.equal(outcome.value, expected.either);
    else assert.equal(outcome.reason, "aborted");
  }
}

const kinds: readonly TaskPoolOptions[] = [
  { threads: 1 },
  { threads: 3, spins: 0 },
  { threads: 2, maxQueued: 5, per: "cpu" },
  { threads: { min: 1, max: 3 }, wait: "await", idleMs: 5 },
];

describe("random programs of tasks end as one thread alone would end them", () => {
  for (const options of kinds) {
    it(`with ${JSON.stringify(options)}`, async () => {
      await using pool = await TaskPool.create<Tasks>(tasks, options);
      for (let seed = 1; seed <= repeats(inExtent(6, 200)); seed++) {
        await runProgram(pool, seed, { steps: 120, isFull: options.maxQueued !== undefined });
        assert.equal(pool.pending, 0);
      }
    });
  }
});
