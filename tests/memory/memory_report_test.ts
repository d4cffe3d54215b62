import assert from "node:assert/strict";
import { channel } from "node:diagnostics_channel";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, bind, launch, type MemoryEvent, memoryReport, migrate } from "../../mod.ts";
import { runModule, sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";

/** Collects what a channel tells while `during` runs. */
function eventsOf(name: string, during: () => void): MemoryEvent[] {
  const events: MemoryEvent[] = [];
  const listen = (event: unknown): void => void events.push(event as MemoryEvent);
  const source = channel(`numakit:memory:${name}`);
  source.subscribe(listen);
  try {
    during();
  } finally {
    source.unsubscribe(listen);
  }
  return events;
}

describe("memoryReport", () => {
  it("tells of every arena what it asked for and what it got", () => {
    const before = memoryReport().arenas.length;
    using arena = Arena.create({ node: 0, size: "1 MiB", reserve: "4 MiB", label: "prices" });
    arena.alloc(1000);
    const report = memoryReport();
    assert.equal(report.arenas.length, before + 1);
    const { identity } = arena.toHandle().data as { identity: number };
    assert.deepEqual(report.arenas.find((found) => found.identity === identity), {
      ...{ label: "prices", identity, node: 0, pages: "4k", pageBytes: 4096, locked: false },
      ...{ reservedBytes: 2 ** 22, committedBytes: 2 ** 20, usedBytes: 1008, hugeBytes: 0 },
      ...{ nodes: new Map([[0, 256]]), holders: 1, held: true, stack: undefined },
    });
    assert.ok((report.committedBytes.get(0) ?? 0) >= 2 ** 20);
    assert.match(
      String(report),
      /^prices: 1008 B used of 1 MiB \(4 MiB reserved\) in 4k pages for node 0; pages: 256 on node 0; threads: 1$/m,
    );
    arena.destroy();
    assert.equal(memoryReport().arenas.length, before);
  });

  it("tells of other threads' arenas, and lets go of them again", async () => {
    const gate = new Int32Array(new SharedArrayBuffer(8));
    const thread = launch<void>(sibling(import.meta.url, "../workers/hold"), { args: { gate } });
    while (Atomics.load(gate, 0) === 0) await sleep(5);
    for (let round = 0; round < 3; round++) {
      const found = memoryReport().arenas.find(({ label }) => label === "elsewhere");
      assert.ok(found !== undefined);
      assert.deepEqual([found.held, found.holders, found.usedBytes], [false, 1, 4096]);
    }
    Atomics.store(gate, 1, 1);
    Atomics.notify(gate, 1);
    await thread.join();
    assert.equal(memoryReport().arenas.some(({ label }) => label === "elsewhere"), false);
  });

  it("tells nobody that it has looked at other threads' arenas", async () => {
    const gate = new Int32Array(new SharedArrayBuffer(8));
    const thread = launch<void>(sibling(import.meta.url, "../workers/hold"), { args: { gate } });
    while (Atomics.load(gate, 0) === 0) await sleep(5);
    assert.deepEqual(eventsOf("destroy", () => void memoryReport()), []);
    Atomics.store(gate, 1, 1);
    Atomics.notify(gate, 1);
    await thread.join();
  });

  it("tells what addresses are in quarantine", () => {
    const before = memoryReport().quarantine;
    Arena.create({ node: 0, size: "1 MiB" }).destroy();
    const { bytes, maxBytes } = memoryReport().quarantine;
    assert.ok(bytes >= Math.min(before.bytes + 2 ** 20, maxBytes / 2), `${bytes} bytes`);
    assert.equal(maxBytes, before.maxBytes);
  });

  it("survives labels that were scribbled over", () => {
    using arena = Arena.create({ node: 0, size: 4096, label: "ä".repeat(40) });
    assert.equal(arena.label, "ä".repeat(31), "cut where a character ends");
    new Uint8Array(arena.bytes.buffer, 0, 4096).fill(255);
    assert.equal(typeof String(memoryReport()), "string");
  });

  it("refuses labels that are none", () => {
    for (const label of ["", "x".repeat(41), 1, null, {}, Symbol("x")]) {
      throwsCode(
        () => Arena.create({ node: 0, size: 1, label: label as string }),
        "EINVAL",
        /label/,
      );
    }
  });
});

describe("events of memory", () => {
  it("tell of what is made and let go", () => {
    const created = eventsOf("create", () => {
      const destroyed = eventsOf("destroy", () => {
        using _arena = Arena.create({ node: 0, size: 8192, label: "seen" });
      });
      assert.equal(destroyed.length, 1);
      assert.deepEqual([destroyed[0]?.label, destroyed[0]?.bytes, destroyed[0]?.node], [
        "seen",
        8192,
        0,
      ]);
    });
    assert.equal(created.length, 1);
    assert.ok(Number.isSafeInteger(created[0]?.identity));
  });

  it("tell nothing of what could not be made", () => {
    const name = `events-${process.pid}`;
    using _arena = Arena.create({ node: 0, size: 8192, name });
    const created = eventsOf("create", () => {
      throwsCode(() => Arena.create({ node: 0, size: 8192, name }), "EBUSY");
    });
    assert.deepEqual(created, []);
  });

  it("tell when memory runs out", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    const events = eventsOf("exhausted", () => throwsCode(() => arena.alloc(8192), "ENOMEM"));
    assert.deepEqual(events.map(({ label, bytes }) => [label, bytes]), [["arena", 8192]]);
  });

  it("tell what moved", () => {
    const buffer = new SharedArrayBuffer(2 ** 20);
    const events = eventsOf("migrated", () => {
      using binding = bind(buffer, { node: 0 });
      migrate(buffer, { node: 0 });
      assert.equal(binding.released, false);
    });
    assert.deepEqual(events.map(({ label, node }) => [label, node]), [["buffer", 0], [
      "buffer",
      0,
    ]]);
  });
});

describe("debug mode", () => {
  it("knows where arenas were made, and tells at exit which were never destroyed", () => {
    const module = sibling(import.meta.url, "../modules/leak");
    const { status, stdout, stderr } = runModule(module, { env: { NUMAKIT_DEBUG: "1" } });
    assert.equal(status, 0, stderr);
    assert.match(stdout, /^makeForgotten true\n$/, "the report has the stack");
    assert.match(
      stderr,
      /numakit: forgotten of 1 MiB on node 0 was never destroyed; it was created\n.*makeForgotten/,
    );
    assert.doesNotMatch(stderr, /remembered/);
  });

  it("is off unless asked for", () => {
    const module = sibling(import.meta.url, "../modules/leak");
    const { status, stdout, stderr } = runModule(module, { env: { NUMAKIT_DEBUG: "" } });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "none false\n");
    assert.doesNotMatch(stderr, /never destroyed/);
  });
});
