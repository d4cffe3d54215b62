import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, topology } from "../../mod.ts";
import { type Ran, runModule, sibling } from "../support/checkout.ts";
import { MemoryLimit } from "../support/memory_limit.ts";

const MIB = 2 ** 20;

function whyNoLimit(): string | undefined {
  const limit = MemoryLimit.set(512 * MIB);
  if (typeof limit === "string") return limit;
  limit[Symbol.dispose]();
  return undefined;
}

/** Runs a way of tests/modules/room.ts under a limit, and sees to it that nobody is killed. */
function runUnder(limitMib: number, way: string): string {
  using limit = MemoryLimit.set(limitMib * MIB) as MemoryLimit;
  const { status, signal, stdout, stderr }: Ran = runModule(
    sibling(import.meta.url, "../modules/room"),
    // JavaScriptCore counts an arena as its heap, and lets garbage grow with that (docs/runtimes.md).
    { args: [way], within: limit.prefix, env: { BUN_JSC_forceRAMSize: `${limitMib * MIB}` } },
  );
  assert.deepEqual([limit.kills, status, signal], [0, 0, null], stderr);
  return stdout;
}

describe("memory under a cgroup's limit", () => {
  const skip = whyNoLimit() ?? false;

  for (const way of ["race", "race of growth", "race of buffers"]) {
    it(`is had by one of two threads that ask at the same moment: ${way}`, { skip }, () => {
      const outcomes = JSON.parse(runUnder(768, way).replace(/ \d+\n$/, "")) as string[];
      assert.equal(outcomes.length, way === "race of buffers" ? 2 : 10);
      assert.ok(outcomes.every((outcome) => outcome === "made" || outcome === "ENOMEM"));
    });
  }

  for (const way of ["growth", "arenas"]) {
    it(`leaves enough for the runtime's garbage: ${way}`, { skip }, () => {
      const [count] = /^\d+/.exec(runUnder(512, way)) ?? [];
      assert.ok(Number(count) >= (way === "growth" ? 128 : 16), `${count} were had`);
    });
  }
});

describe("memory that a node is said to have", () => {
  it("can be had", () => {
    const { id = 0, availableBytes = 0 } = topology({ refresh: true }).nodes
      .find(({ totalBytes }) => totalBytes > 0) ?? {};
    assert.ok(availableBytes > 0);
    // A part: other processes want some, too.
    const size = Math.min(Math.floor(availableBytes / 16 / MIB), 64) * MIB;
    using arena = Arena.create({ node: id, size });
    assert.deepEqual([...arena.residency().nodes.keys()], [id]);
  });
});
