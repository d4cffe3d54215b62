import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, launch, NodePool, NumaError, Replicated, Slab } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { inExtent } from "../support/extent.ts";
import { random, runProgram } from "../support/fuzz.ts";
import { liveMappings } from "../support/mappings.ts";
import type { FuzzTask } from "../workers/fuzz.ts";

/** Programs on the main thread, and in workers of which every other one is terminated. */
const ALONE = inExtent(150, 1000);
const WORKERS = 12;
const EACH = inExtent(25, 100);

/**
 * Threads let go of their mappings a moment after they end; and what other files of the same process have left may be
 * collected meanwhile.
 */
async function assertSettled(before: number): Promise<void> {
  for (let tries = 0; tries < 200 && liveMappings() > before; tries++) await sleep(25);
  const after = liveMappings();
  assert.ok(after <= before, `${before} mappings before, ${after} after`);
}

describe("random programs of public calls", () => {
  it(`fail with nothing but NumaError and leave nothing behind: ${ALONE} alone`, async () => {
    const before = liveMappings();
    for (let seed = 0; seed < ALONE; seed++) await runProgram(seed);
    await assertSettled(before);
  });

  it(`do so in threads that share and are terminated, too: ${WORKERS} threads`, async () => {
    const before = liveMappings();
    const next = random(42);
    for (let round = 0; round < WORKERS / 4; round++) {
      using arena = Arena.create({ node: 0, size: "64 KiB", reserve: "1 MiB" });
      using slab = Slab.create({ node: 0, objectSize: 64, count: 1000 });
      using pool = NodePool.create({ nodes: [0], bytesPerNode: "1 MiB" });
      using replicated = Replicated.create({ size: 4096, nodes: [0] });
      const given = [arena, slab, pool, replicated];
      const threads = Array.from({ length: 4 }, (_, index) => {
        const done = new Int32Array(new SharedArrayBuffer(4));
        const from = 10_000 + (round * 4 + index) * EACH;
        const args: FuzzTask = { from, to: from + EACH, given, done };
        return {
          done,
          thread: launch<void>(sibling(import.meta.url, "../workers/fuzz"), { args }),
        };
      });
      await Promise.all(threads.map(async ({ done, thread }, index) => {
        if (index % 2 === 0) {
          await thread.join();
          assert.equal(done[0], EACH);
          return;
        }
        const least = Math.floor(next() * EACH / 2);
        const joined = thread.join().catch((error) => error);
        while (Atomics.load(done, 0) < least) await sleep(1);
        await thread.terminate();
        const error: unknown = await joined;
        assert.ok(error === undefined || error instanceof NumaError, String(error));
      }));
    }
    await assertSettled(before);
  });
});
