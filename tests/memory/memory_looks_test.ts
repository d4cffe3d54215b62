import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, launch, memoryReport, placement } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import type { ChangingTask } from "../workers/changing.ts";

const LOOKS_MS = 1500;
const module = sibling(import.meta.url, "../workers/changing");

describe("what other threads change while one looks", () => {
  it("makes the answer smaller, and is no error", async () => {
    using arena = Arena.create({ node: 0, size: 4096, reserve: "8 MiB", label: "changing" });
    const control = new Int32Array(new SharedArrayBuffer(8));
    const begin = (args: ChangingTask) => launch<number>(module, { args });
    const threads = [
      begin({ task: "trim", control, arena }),
      begin({ task: "destroy", control }),
      begin({ task: "destroy", control }),
    ];
    while (Atomics.load(control, 0) < threads.length) await sleep(1);
    const view = arena.view(0, arena.capacity);
    let looks = 0;
    for (const end = performance.now() + LOOKS_MS; performance.now() < end || looks < 10; looks++) {
      const { nodes, pages, absent, pageBytes } = arena.residency();
      assert.equal(pageBytes, 4096);
      assert.deepEqual([...nodes.keys()].filter((node) => node !== 0), []);
      assert.equal((nodes.get(0) ?? 0) + absent, pages);
      assert.equal(placement(view).pageNodes.length, 2048);
      const report = memoryReport();
      const labels = new Set(report.arenas.map(({ label }) => label));
      assert.ok(labels.has("changing"));
      assert.equal(typeof String(report), "string");
      assert.equal(typeof String(arena), "string");
      assert.ok(arena.committed <= arena.capacity && arena.bytes.length <= arena.capacity);
      if (looks % 8 === 0) await sleep(0);
    }
    Atomics.store(control, 1, 1);
    const rounds = await Promise.all(threads.map((thread) => thread.join()));
    assert.ok(rounds.every((count) => count > 1), `${rounds} rounds, ${looks} looks`);
    const { nodes, pages, absent } = arena.residency();
    assert.deepEqual([nodes.get(0) ?? 0, absent], [pages, 0]);
  });
});
