import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { Arena, type ArenaOptions, currentNode, launch, NumaError, topology } from "../../mod.ts";
import { native } from "../../lib/runtime/native.ts";
import { memoryNodes, nearestNode } from "../../lib/memory/arena/memory_nodes.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { machine as machineOf, machines, type Shape } from "../support/machines.ts";
import { smapsBytes } from "../support/smaps.ts";

const MIB = 2 ** 20;
const GIB = 2 ** 30;
/** Whether an arena of some GiB is more than one ArrayBuffer here. */
const several = native().maxBufferBytes < 2 ** 33;

describe("an arena that starts small", () => {
  it("takes only what it was given, and grows as it is used", () => {
    using arena = Arena.create({ node: 0, size: "64 KiB", reserve: "64 MiB" });
    assert.equal(arena.committed, 65536);
    assert.equal(arena.capacity, 64 * MIB);
    assert.equal(arena.bytes.length, 65536);
    assert.equal(arena.residency().pages, 16);
    const first = arena.allocInt32(16384);
    first.fill(1);
    const second = arena.allocInt32(16384).fill(2);
    assert.equal(arena.committed, 65536 + MIB);
    arena.allocUint8(8 * MIB).fill(3);
    assert.equal(arena.committed % 4096, 0);
    assert.ok(arena.committed >= arena.used && arena.committed < 32 * MIB);
    assert.ok(first.every((word) => word === 1) && second.every((word) => word === 2));
    const { nodes, pages } = arena.residency();
    assert.deepEqual([...nodes], [[0, pages]]);
    assert.equal(pages * 4096, arena.committed);
  });

  it("gives all that it reserved and not a byte more", () => {
    using arena = Arena.create({ node: 0, size: 1, reserve: "4 MiB" });
    for (let count = 0; count < 4096; count++) arena.alloc(1024);
    throwsCode(() => arena.alloc(1), "ENOMEM", /0 of 4194304 bytes remain/);
    assert.equal(arena.committed, 4 * MIB);
    assert.equal(arena.remaining, 0);
  });

  it("grows ahead on request, or stays as it was", () => {
    using arena = Arena.create({ node: 0, size: 4096, reserve: 2 ** 36 });
    assert.equal(arena.grow("1 MiB"), MIB + 4096);
    throwsCode(() => arena.grow(2 ** 36), "ENOMEM", /reserved/);
    throwsCode(() => arena.grow(2 ** 36 - 2 * MIB), "ENOMEM", /available: some|limit/);
    assert.equal(arena.committed, MIB + 4096);
    arena.allocUint8(MIB).fill(1);
    for (const size of [0, -1, NaN, 0.5, "x", null, {}]) {
      throwsCode(() => arena.grow(size as number), "EINVAL");
    }
  });

  it("is the same for a thread that came before it grew", async () => {
    using arena = Arena.create({ node: 0, size: 4096, reserve: "8 MiB" });
    const thread = launch<number>(
      sibling(import.meta.url, "../workers/grow"),
      { args: { arena } },
    );
    const offset = await thread.join();
    assert.equal(arena.bytes[offset + 2 * MIB - 1], 9);
    assert.ok(arena.committed >= 2 * MIB);
    arena.allocUint8(2 * MIB).fill(1);
    assert.equal(arena.bytes[offset], 8);
  });

  it("refuses options that are none", () => {
    for (const reserve of [1, -1, NaN, 2 ** 36 + 1, "x", null, {}]) {
      throwsCode(
        () => Arena.create({ node: 0, size: 8192, reserve: reserve as number }),
        "EINVAL",
      );
    }
    for (const lock of [1, "true", null, {}]) {
      const options = { node: 0, size: 1, lock } as ArenaOptions;
      throwsCode(() => Arena.create(options), "EINVAL", /lock is/);
    }
  });
});

describe("arena.trim", () => {
  it("gives back what is not allocated, as smaps tells, and takes it again", () => {
    using arena = Arena.create({ node: 0, size: "64 MiB", pages: ["2m", "thp", "4k"] });
    const kept = arena.allocUint8(MIB).fill(5);
    const before = smapsBytes(["Rss", "Private_Hugetlb"]);
    const given = arena.trim();
    const after = smapsBytes(["Rss", "Private_Hugetlb"]);
    assert.ok(given >= 62 * MIB, String(given));
    // The runtime's own heap moves a little meanwhile.
    assert.ok(Math.abs(before - after - given) < 8 * MIB, `${before - after} of ${given}`);
    assert.equal(arena.committed, 64 * MIB - given);
    assert.equal(arena.trim(), 0);
    assert.ok(kept.every((byte) => byte === 5));
    arena.allocUint8(32 * MIB).fill(6);
    assert.ok(kept.every((byte) => byte === 5));
    const { nodes, pages } = arena.residency();
    assert.deepEqual([...nodes], [[0, pages]]);
  });

  it("leaves no way to crash through a view of what it gave back", () => {
    using arena = Arena.create({ node: 0, size: "8 MiB", pages: ["2m", "thp", "4k"] });
    const all = arena.bytes;
    arena.trim();
    all.fill(7);
    assert.equal(all[0], 7);
    arena.grow("4 MiB");
    assert.equal(all[0], 0, "what comes back is new");
  });

  it("keeps the pages of one allocated byte", () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    arena.alloc(1);
    assert.equal(arena.trim(), MIB - 4096);
    arena.reset();
    assert.equal(arena.trim(), 4096);
    assert.equal(arena.residency().pages, 0);
    assert.equal(arena.alloc(16), 0);
  });
});

describe("an arena of several windows", () => {
  it("is used like any other", () => {
    using arena = Arena.create({ node: 0, size: 4096, reserve: 5 * GIB });
    assert.equal(arena.capacity, 5 * GIB);
    // Only addresses: nothing of this is touched before it has pages.
    if (several) {
      throwsCode(() => arena.view(2 * GIB, 2 * GIB), "EINVAL", /at most 3 GiB/);
      throwsCode(() => arena.alloc(4 * GIB), "ENOMEM");
    }
    assert.equal(arena.view(4 * GIB, 16).length, 16);
    assert.equal(arena.view(5 * GIB, 0).length, 0);
    for (
      const [offset, size] of [[-1, 1], [0, 6 * GIB], [5 * GIB, 1], [0.5, 1], [NaN, 1], [0, -1]]
    ) {
      throwsCode(() => arena.view(offset as number, size as number), "EINVAL");
    }
    assert.equal(arena.view(0, 4096).length, 4096);
  });

  it(
    "allocates across windows",
    { skip: several && !roomFor(4.2) && "the node has no 4.2 GiB to spare" },
    () => {
      const end = several ? 3 * GIB : 64 * MIB;
      // It grows into the next window, or has it from the beginning.
      for (const size of [end - 65536, end + MIB]) {
        using arena = Arena.create({ node: 0, size, reserve: end + 64 * MIB });
        arena.alloc(end - 65536);
        const offset = arena.alloc(131072);
        assert.equal(offset, several ? end : end - 65536);
        arena.view(offset, 131072).fill(1);
        const doubles = arena.allocFloat64(1000).fill(2);
        assert.equal(doubles.byteOffset % 16, 0);
        assert.equal(arena.view(offset, 131072).at(-1), 1);
        const { nodes, pages } = arena.residency();
        assert.deepEqual([...nodes], [[0, pages]]);
        arena.destroy();
        assert.equal(doubles.length, 0, "views of later windows die with the arena, too");
      }
    },
  );
});

describe("a locked arena", () => {
  it("has its pages locked, or says what to do", () => {
    const before = smapsBytes(["Locked"]);
    try {
      using arena = Arena.create({ node: 0, size: "1 MiB", reserve: "2 MiB", lock: true });
      assert.ok(arena.locked);
      assert.equal(smapsBytes(["Locked"]) - before, MIB + 4096);
      arena.grow("1 MiB");
      assert.equal(smapsBytes(["Locked"]) - before, 2 * MIB + 4096);
      arena.trim();
      assert.equal(smapsBytes(["Locked"]) - before, 4096);
    } catch (error) {
      if (!(error instanceof NumaError)) throw error;
      assert.equal(error.code, "EPERM");
      assert.match(error.message, /RLIMIT_MEMLOCK.*ulimit -l/);
    }
    assert.equal(smapsBytes(["Locked"]), before);
  });
});

describe("Arena.local", () => {
  it("is on the node of the thread or the nearest one with memory", () => {
    const homes = (name: string): (number | undefined)[] => {
      const machine = machineOf(machines[name] as Shape);
      return machine.nodes.map(({ id }) => nearestNode(machine, id, memoryNodes(machine)));
    };
    assert.deepEqual(homes("a node without memory"), [0, 0]);
    assert.deepEqual(homes("first node without memory"), [1, 1]);
    const whole = machineOf(machines["CXL expander"] as Shape);
    const [first, second, extra] = [0, 1, 2];
    assert.deepEqual([first, second, extra].map((id) => nearestNode(whole, id, [1, 2])), [1, 1, 2]);
    assert.equal(nearestNode(whole, 1000, [0, 1]), undefined);
    assert.equal(nearestNode(whole, 0, []), undefined);
  });

  it("is the same arena for a thread, and freed with it", async () => {
    const before = threadAffinity();
    // Where there are several nodes, the thread must not wander between them.
    pinThread(topology().cpusOfNode(currentNode()));
    try {
      const arena = Arena.local();
      assert.equal(Arena.local(), arena);
      assert.equal(arena.node, currentNode());
      assert.equal(arena.committed, MIB);
      arena.allocUint8(4 * MIB).fill(1);
      const thread = launch<{ handle: number; used: number }>(
        sibling(import.meta.url, "../workers/local"),
        { args: null },
      );
      const { handle, used } = await thread.join();
      assert.equal(used, 1024);
      throwsCode(
        () => Arena.fromHandle({ numakitHandle: "arena", data: { identity: handle } }),
        "ESTALE",
      );
      arena.destroy();
      const next = Arena.local({ size: 4096, reserve: 8192 });
      assert.notEqual(next, arena);
      assert.equal(next.capacity, 8192);
      next.destroy();
    } finally {
      pinThread(before);
    }
  });
});

/** Whether the node has so many GiB, with something to spare. */
function roomFor(gib: number): boolean {
  const text = readFileSync("/sys/devices/system/node/node0/meminfo", "utf8");
  return Number(/MemFree:\s+(\d+)/.exec(text)?.[1] ?? 0) > (gib + 1) * 2 ** 20;
}
