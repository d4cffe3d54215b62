import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { TaskPool } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { inExtent } from "../support/extent.ts";
import { collectGarbage } from "../support/garbage.ts";
import { liveMappings } from "../support/mappings.ts";

type Tasks = typeof import("../workers/tasks.ts");

const tasks = sibling(import.meta.url, "../workers/tasks");
const WORKERS = 8;
/** One task in so many ends its worker. */
const EVERY = 100;
/** Tasks that are submitted at once. */
const ROUND = inExtent(500, 10_000);
const ROUNDS = inExtent(3, 100);
/** A worker that is replaced takes a third of a second of CPU time: 10,000 of them more than half an hour. */
const TIMEOUT = inExtent(900_000, 6 * 3_600_000);
/** What the heap may grow for each worker that ended, in bytes. */
const HEAP_BYTES = 2048;

interface Kept {
  readonly files: number;
  readonly threads: number;
  readonly mappings: number;
}

const kept = (): Kept => ({
  files: readdirSync("/proc/self/fd").length,
  threads: readdirSync("/proc/self/task").length,
  mappings: liveMappings(),
});

/** Does a round of tasks, and looks at what became of each. */
async function round(pool: TaskPool<Tasks>): Promise<void> {
  const runs = Array.from(
    { length: ROUND },
    (_, index) => pool.run("crashSometimes", [index, EVERY]),
  );
  for (const [index, outcome] of (await Promise.allSettled(runs)).entries()) {
    if (index % EVERY !== 0) {
      assert.deepEqual(outcome, { status: "fulfilled", value: index });
      continue;
    }
    assert.equal(outcome.status, "rejected", `task ${index}`);
    const { reason } = outcome as PromiseRejectedResult;
    assert.equal((reason as { code?: string }).code, "ETERMINATED", `task ${index}: ${reason}`);
  }
  assert.equal(pool.pending, 0);
}

describe("tasks of which one in a hundred ends its worker", () => {
  it("reject those, and nothing is left of the workers", { timeout: TIMEOUT }, async () => {
    const pool = await TaskPool.create<Tasks>(tasks, { threads: WORKERS });
    await round(pool);
    while (pool.size < WORKERS) await sleep(1);
    const before = kept();
    await collectGarbage();
    const heap = process.memoryUsage().heapUsed;
    for (let count = 1; count < ROUNDS; count++) await round(pool);
    while (pool.size < WORKERS) await sleep(1);
    const ended = (ROUNDS - 1) * ROUND / EVERY;
    // Less than one for each worker that ended. Their threads are gone a moment later.
    const least = ended / 2;
    let after = kept();
    const isMore = (): boolean =>
      after.files >= before.files + least || after.threads >= before.threads + least;
    for (let look = 0; look < 1000 && isMore(); look++) {
      await sleep(10);
      after = kept();
    }
    const told = `${JSON.stringify(before)}, and after ${ended} workers ${JSON.stringify(after)}`;
    assert.ok(!isMore() && after.mappings <= before.mappings, told);
    await collectGarbage();
    const grown = process.memoryUsage().heapUsed - heap;
    // Few workers tell nothing: a heap grows and shrinks.
    if (ended >= 1000) assert.ok(grown <= ended * HEAP_BYTES, `${grown} bytes more in the heap`);
    await pool.close();
  });
});
