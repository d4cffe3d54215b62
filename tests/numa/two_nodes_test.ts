import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import {
  Arena,
  bind,
  currentNode,
  interleave,
  launch,
  launchAll,
  migrate,
  pin,
  placement,
  Policy,
  sharedBuffer,
  topology,
  watchMachine,
} from "../../mod.ts";
import { runModule, sibling } from "../support/checkout.ts";
import { cpusNow, policyNow } from "../support/pins.ts";
import { inExtent, notInGate } from "../support/extent.ts";
import { throwsCode } from "../support/errors.ts";
import { MemoryLimit, oomKills } from "../support/memory_limit.ts";
import { bytesByNode, readNumaMaps } from "../support/numa_maps.ts";
import { liveMappings } from "../support/mappings.ts";
import { sharedWords } from "../support/words.ts";
import type { HeapGrowth } from "../workers/heap.ts";
import { WORD } from "../workers/movable.ts";

const bound = (node: number) =>
  readNumaMaps().filter(({ policy }) => new RegExp(`^bind(=static)?:${node}$`).test(policy));

/** Free pages in node 0's pool of 2 MiB pages, which on arm64 is one of several. */
const free2m = (): number =>
  topology({ refresh: true }).nodes[0]?.hugepages.find(({ pageBytes }) => pageBytes === 2 ** 21)
    ?.free ?? 0;

/** Has the kernel look every 100 ms which node uses which pages; only once a second where debugfs is missing. */
function scanFast(): void {
  const folder = "/sys/kernel/debug/sched/numa_balancing";
  if (!existsSync(folder)) spawnSync("mount", ["-t", "debugfs", "none", "/sys/kernel/debug"]);
  if (!existsSync(folder)) return;
  for (const name of ["scan_delay_ms", "scan_period_min_ms", "scan_period_max_ms"]) {
    writeFileSync(`${folder}/${name}`, "100");
  }
}

/** Keeps the kernel from moving pages without a policy to whoever looks at them, until the end of a block. */
function withoutBalancing(): Disposable {
  const file = "/proc/sys/kernel/numa_balancing";
  const before = readFileSync(file, "utf8");
  writeFileSync(file, "0");
  return { [Symbol.dispose]: () => writeFileSync(file, before) };
}

function busyFor(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end;);
}

describe("a machine with two nodes", () => {
  it("is seen as one", () => {
    const machine = topology();
    assert.deepEqual(machine.nodes.map(({ id }) => id), [0, 1]);
    assert.equal(machine.isNuma, true);
    assert.deepEqual(machine.snapshot.distances, { nodes: [0, 1], matrix: [[10, 21], [21, 10]] });
    assert.deepEqual(machine.nearestNodes(1), [1, 0]);
    // The emulated arm64 machine describes no caches.
    const told = existsSync("/sys/devices/system/cpu/cpu0/cache/index3");
    assert.equal(machine.l3Domains.length, told ? 2 : 0, "an L3 a node");
  });

  it("has an arena's every page on node 1", () => {
    using arena = Arena.create({ node: 1, size: "32 MiB" });
    assert.deepEqual([...arena.residency().nodes], [[1, 8192]]);
    assert.deepEqual([...bytesByNode(bound(1))], [[1, 32 * 2 ** 20 + 4096]]);
    arena.allocUint8(2 ** 20).fill(1);
    assert.deepEqual([...bytesByNode(bound(1))], [[1, 32 * 2 ** 20 + 4096]]);
  });

  it("runs a thread bound to node 1 there, and grows its heap there", async () => {
    const megabytes = 96;
    const thread = launch<HeapGrowth>(sibling(import.meta.url, "../workers/heap"), {
      policy: Policy.bindNode(1),
      args: { bytes: megabytes * 2 ** 20 },
    });
    const report = await thread.join();
    assert.equal(report.affinity, topology().cpusOfNode(1).toString());
    assert.equal(report.node, 1);
    assert.deepEqual(report.bufferNodes, [1]);
    // What grew elsewhere says nothing: the engine's compiler and collector have threads and memory of their own, tens of
    // megabytes at times, wherever they run. As much of what the thread had before may have been collected meanwhile.
    const here = new Map(report.grown).get(1) ?? 0;
    assert.ok(here > megabytes * 2 ** 20 / 2, `its heap grew by ${here} bytes on node 1`);
    const { cpus, memory } = thread.binding ?? {};
    assert.equal(`${cpus?.got}`, topology().cpusOfNode(1).toString());
    assert.deepEqual([memory?.asked, memory?.got, memory?.refused], [1, 1, undefined]);
  });

  it("has new memory of a thread on its node, as a sample says", () => {
    for (const node of inExtent([1], [0, 1])) {
      // In a process of its own: here the runtime has memory to reuse, from wherever that was used first.
      const ran = runModule(sibling(import.meta.url, "../modules/sample"), { args: [`${node}`] });
      assert.equal(ran.status, 0, ran.stderr);
      const { share, ...told } = JSON.parse(ran.stdout);
      assert.deepEqual(told, { node, got: node, refused: null });
      assert.ok(share >= 0.5, `${share} of new buffers are local to node ${node}`);
    }
  });

  it("moves the main thread there and back with pin()", () => {
    const home = cpusNow();
    const policy = policyNow();
    for (const node of [1, 0]) {
      using pinned = pin(Policy.bindNode(node), { bind: { memory: "require" } });
      assert.equal(currentNode(), node);
      assert.equal(policyNow(), `mode 2 of nodes ${node}`);
      const { nodes, bytes, share, node: local } = pinned.sampleHeap();
      assert.equal(local, node);
      assert.equal(share, (nodes.get(node) ?? 0) / bytes);
    }
    assert.deepEqual([cpusNow(), policyNow()], [home, policy]);
  });

  it("moves a thread to the other node, with its memory policy and its buffers", async () => {
    using _still = withoutBalancing();
    const words = sharedWords(4);
    // Whatever fails, it has to end: it would keep the whole suite from ending.
    await using thread = launch(sibling(import.meta.url, "../workers/movable"), {
      policy: Policy.bindNode(0),
      args: { task: "idle", words },
    });
    const buffer = new Uint8Array(new SharedArrayBuffer(2 ** 20)).fill(1);
    const pages = migrate(buffer, { node: 0 }).pageNodes.length;
    for (const node of [1, 0]) {
      // An emulated thread on a busy machine takes its time to come to its event loop.
      const options = { buffers: [buffer], timeoutMs: 60_000 };
      const report = await thread.migrate(Policy.bindNode(node), options);
      assert.deepEqual([report.cpus, report.memory, report.movedPages], ["moved", "moved", pages]);
      assert.deepEqual([...placement(buffer).nodes], [[node, pages]]);
      assert.equal(thread.binding?.memory.got, node);
      const sample = await thread.sampleHeap();
      assert.equal(sample.node, node);
    }
    Atomics.store(words, WORD.stop, 1);
    await thread.join();
  });

  // A thread for each CPU, which take seconds each to start here.
  it("notices a CPU that goes offline, and puts threads in their places", {
    skip: notInGate,
  }, async () => {
    const last = topology().allowedCpus.last as number;
    const file = `/sys/devices/system/cpu/cpu${last}/online`;
    const words = sharedWords(4);
    using watch = watchMachine({ intervalMs: 2 ** 31 - 1, replan: true });
    await using group = launchAll(sibling(import.meta.url, "../workers/movable"), {
      policy: Policy.compact(),
      args: () => ({ task: "idle", words }),
    });
    await group.ready;
    const cpus = (): string[] => [...group].map(({ placement }) => `${placement.cpus}`);
    const before = cpus();
    writeFileSync(file, "0");
    try {
      const change = await watch.check();
      assert.ok(change !== undefined && change.what.includes("cpus"), `${change?.what}`);
      assert.equal(change.after.allowedCpus.has(last), false);
      assert.deepEqual(change.threads.map(({ error }) => error), before.map(() => undefined));
      assert.deepEqual(cpus(), before.map((text) => text === `${last}` ? before[0] : text));
    } finally {
      writeFileSync(file, "1");
    }
    assert.ok((await watch.check())?.what.includes("cpus"));
    assert.deepEqual(cpus(), before);
  });

  it("has hugepages where its pool is, and tells where it is not", () => {
    const live = liveMappings();
    const maps = readNumaMaps().length;
    for (let round = 0; round < 20; round++) {
      throwsCode(
        () => Arena.create({ node: 1, size: "4 MiB", pages: "2m" }),
        "ENOMEM",
        /node 1 has 0 free of 0.*echo 2 > \/sys\/devices\/system\/node\/node1\/hugepages\/hugepages-2048kB\/nr_hugepages/,
      );
    }
    assert.equal(liveMappings(), live);
    assert.ok(readNumaMaps().length <= maps + 4, "nothing leaks");
    using fallback = Arena.create({ node: 1, size: "4 MiB", pages: ["2m", "4k"] });
    assert.equal(fallback.pages, "4k");
    assert.deepEqual([...fallback.residency().nodes], [[1, 1024]]);
    using huge = Arena.create({ node: 0, size: "4 MiB", pages: "2m" });
    assert.deepEqual(huge.residency(), {
      pageBytes: 2 ** 21,
      pages: 2,
      nodes: new Map([[0, 2]]),
      absent: 0,
    });
    const maps0 = bound(0).filter(({ pageBytes }) => pageBytes === 2 ** 21);
    assert.deepEqual([...bytesByNode(maps0)], [[0, 4 * 2 ** 20]]);
  });

  it("takes hugepages from the pool and gives them back", () => {
    const before = free2m();
    for (let round = 0; round < 50; round++) {
      using arena = Arena.create({ node: 0, size: before * 2 ** 21, pages: "2m" });
      arena.allocInt32(1).fill(1);
      if (round === 0) assert.equal(free2m(), 0);
    }
    assert.equal(free2m(), before);
  });

  it("gives a pool its hugepages back on trim, and takes them again", () => {
    const before = free2m();
    using arena = Arena.create({ node: 0, size: "2 MiB", reserve: "16 MiB", pages: "2m" });
    const kept = arena.allocUint8(2 ** 20).fill(1);
    arena.grow("8 MiB");
    assert.equal(free2m(), before - 5);
    assert.equal(arena.trim(), 8 * 2 ** 20);
    assert.equal(free2m(), before - 1);
    const all = arena.view(0, arena.capacity);
    all.fill(2, 2 ** 21);
    {
      using _rest = Arena.create({ node: 0, size: free2m() * 2 ** 21, pages: "2m" });
      throwsCode(() => arena.grow("2 MiB"), "ENOMEM", /0 free of/);
      all.fill(3, 2 ** 21);
    }
    arena.allocUint8(4 * 2 ** 20).fill(4);
    assert.deepEqual([...arena.residency().nodes], [[0, arena.committed / 2 ** 21]]);
    assert.ok(kept.every((byte) => byte === 1));
  });

  it("has a growing arena's every page on node 1, and a thread's own on its node", async () => {
    using arena = Arena.create({ node: 1, size: 4096, reserve: "64 MiB" });
    for (let count = 0; count < 20; count++) arena.allocUint8(2 ** 20).fill(count);
    const { nodes, pages } = arena.residency();
    assert.deepEqual([...nodes], [[1, pages]]);
    assert.equal(pages * 4096, arena.committed);
    const thread = launch<{ node: number }>(sibling(import.meta.url, "../workers/local"), {
      policy: Policy.bindNode(1),
    });
    assert.equal((await thread.join()).node, 1);
  });

  it("has memory of the runtime's own where it was bound, moved and spread", () => {
    const words = new Int32Array(new SharedArrayBuffer(4 * 2 ** 20)).map((_, index) => index);
    const total = placement(words).pageNodes.length;
    {
      using binding = bind(words, { node: 1 });
      assert.deepEqual([...binding.placement().nodes], [[1, total]]);
      assert.ok((bytesByNode(bound(1)).get(1) ?? 0) >= total * 4096);
      // Moving is an act, a policy is for pages to come: the last word counts.
      assert.deepEqual([...migrate(words, { node: 0 }).nodes], [[0, total]]);
      assert.deepEqual([...binding.placement().nodes], [[0, total]]);
      migrate(words, { node: 1 });
      {
        using _inner = bind(words, { node: 0 });
        assert.equal(bound(1).length, 0);
        assert.throws(() => bind(words, { node: 7 }));
        assert.ok((bytesByNode(bound(0)).get(0) ?? 0) >= total * 4096, "the newest still stands");
      }
      assert.ok((bytesByNode(bound(1)).get(0) ?? 0) >= total * 4096, "the outer one again");
    }
    assert.equal(bound(1).length, 0, "no policy stays behind");
    assert.deepEqual([...migrate(words, { node: 0 }).nodes], [[0, total]]);
    {
      using binding = interleave(words, { nodes: [0, 1], weights: [1, 3] });
      const { nodes, pageNodes } = binding.placement();
      assert.ok(pageNodes.every((node, page) => node === (page % 4 === 1 ? 0 : 1)));
      assert.equal((nodes.get(0) ?? 0) + (nodes.get(1) ?? 0), total);
    }
    assert.ok(words.every((word, index) => word === index));
    {
      // More than is moved in one step, which rounds of three pages do not fill.
      const long = new Int32Array(20 * 2 ** 20);
      using binding = interleave(long, { nodes: [0, 1], weights: [2, 1] });
      const { pageNodes } = binding.placement();
      assert.ok(pageNodes.every((node, page) => node === (page % 3 === 1 ? 1 : 0)));
    }
    using shared = sharedBuffer({ node: 1, size: "4 MiB", huge: true });
    assert.deepEqual([...shared.placement().nodes.keys()], [1]);
    assert.equal(shared.placement().absent, 0);
  });

  it("does not let an arena's memory be taken to the other node", () => {
    using arena = Arena.create({ node: 1, size: "1 MiB" });
    const bytes = arena.allocUint8(2 ** 19);
    throwsCode(() => bind(bytes, { node: 0 }), "ENOTSUP", /Make an arena on that node/);
    throwsCode(() => migrate(bytes, { node: 0 }), "ENOTSUP", /moved back to it/);
    assert.deepEqual([...arena.residency().nodes], [[1, 256]]);
    assert.deepEqual([...migrate(bytes, { node: 1 }).nodes], [[1, 128]]);
  });

  it("finds the pages that automatic NUMA balancing has taken the access rights from", () => {
    scanFast();
    const words = new Int32Array(2 ** 20).fill(1);
    const total = placement(words).pageNodes.length;
    const untouched = new SharedArrayBuffer(64 * 2 ** 20);
    let node = 0;
    let looks = 0;
    for (const end = performance.now() + 2000; looks < 20 || performance.now() < end; looks++) {
      busyFor(3);
      assert.equal(placement(words).absent, 0, `look ${looks}`);
      const { absent, nodes } = migrate(words, { node: node = 1 - node });
      assert.deepEqual([absent, (nodes.get(0) ?? 0) + (nodes.get(1) ?? 0)], [0, total]);
    }
    assert.ok(words.every((word) => word === 1));
    const { absent, pageNodes } = placement(untouched);
    // The engine itself may have written into some of it.
    assert.ok(absent > pageNodes.length / 2, "what was never touched is still absent");
  });

  it("refuses to bind more than a node has free, and nobody is killed for it", () => {
    const kills = oomKills();
    const buffer = new SharedArrayBuffer(topology().nodes[1]?.totalBytes ?? 0);
    throwsCode(() => bind(buffer, { node: 1 }), "ENOMEM", /node 1/);
    assert.equal(bound(1).length, 0);
    assert.equal(oomKills(), kills);
  });

  it("fills a node with small arenas, and nobody is killed for it", { skip: notInGate }, () => {
    const kills = oomKills();
    const { status, signal, stdout, stderr } = runModule(
      sibling(import.meta.url, "../modules/room"),
      { args: ["arenas", "1", "0", "30"] },
    );
    assert.deepEqual([status, signal, oomKills() - kills], [0, null, 0], stderr);
    assert.ok(Number.parseInt(stdout) > 8, stdout);
  });

  for (const way of ["race", "growth"]) {
    it(`fills what a limit of cgroup v2 leaves, and nobody is killed for it: ${way}`, {
      skip: notInGate,
    }, () => {
      const limit = MemoryLimit.set(320 * 2 ** 20);
      assert.ok(typeof limit !== "string", `${limit}`);
      using _limit = limit;
      const { status, signal, stderr } = runModule(
        sibling(import.meta.url, "../modules/room"),
        { args: [way, "1", "1", "30"], within: limit.prefix },
      );
      assert.deepEqual([status, signal, limit.kills], [0, null, 0], stderr);
    });
  }

  it("refuses more than a node has free, and nobody is killed for it", () => {
    const kills = oomKills();
    const live = liveMappings();
    const { totalBytes = 0 } = topology().nodes[1] ?? {};
    throwsCode(() => Arena.create({ node: 1, size: totalBytes }), "ENOMEM", /node 1/);
    // Piece by piece, until it is full: the last piece fails like the others would have.
    const pieces: Arena[] = [];
    throwsCode(
      () => {
        for (;;) pieces.push(Arena.create({ node: 1, size: "64 MiB" }));
      },
      "ENOMEM",
      /OOM killer/,
    );
    // What is full takes nothing that was elsewhere before, either.
    const words = new Int32Array(new SharedArrayBuffer(64 * 2 ** 20)).fill(1);
    const { pageNodes } = bind(words, { node: 0 }).placement();
    throwsCode(() => migrate(words, { node: 1 }), "ENOMEM", /node 1/);
    throwsCode(() => interleave(words, { nodes: [0, 1], weights: [0, 1] }), "ENOMEM", /node 1/);
    assert.deepEqual(placement(words).pageNodes, pageNodes);
    for (const piece of pieces) {
      assert.deepEqual([...piece.residency().nodes.keys()], [1]);
      piece.destroy();
    }
    assert.ok(pieces.length > 2, `${pieces.length} pieces`);
    assert.equal(oomKills(), kills);
    assert.equal(liveMappings(), live);
    assert.ok(process.memoryUsage.rss() > 0, "still here");
  });
});
