import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CpuSet, launch, Policy, topology } from "../../mod.ts";
import { NodeArray } from "../../lib/memory/spread/node_array.ts";
import { Replicated } from "../../lib/memory/spread/replicated.ts";
import { sibling } from "../support/checkout.ts";
import { arenasOf, nodesInMaps } from "../support/copies.ts";
import { notInGate } from "../support/extent.ts";
import { throwsCode } from "../support/errors.ts";
import type { Report } from "../workers/node_array.ts";
import type { ReaderReport } from "../workers/replicated.ts";

const replicatedModule = sibling(import.meta.url, "../workers/replicated");
const arrayModule = sibling(import.meta.url, "../workers/node_array");

const withMemory = (): number[] => topology().nodes.map(({ id }) => id);
const withCpus = (): number[] =>
  topology().nodes.filter(({ cpus }) => cpus.size > 0).map(({ id }) => id);

interface Located {
  readonly node: number;
  readonly touched: [number, number][];
}

function locate(replicated: Replicated, node: number, count: number): Promise<Located> {
  return launch<Located>(replicatedModule, {
    policy: Policy.bindNode(node),
    args: { task: "locate", replicated, count },
  }).join();
}

describe("Replicated on several nodes", () => {
  it("has a copy where threads can run, and all of it there", () => {
    using replicated = Replicated.create({ size: "1 MiB" });
    assert.deepEqual(replicated.nodes, withCpus());
    for (const [node, { nodes, pages, absent }] of replicated.residency()) {
      assert.deepEqual([[...nodes], absent], [[[node, pages]], 0]);
    }
    for (const arena of arenasOf(replicated, "copies")) {
      assert.deepEqual(nodesInMaps(arena), [arena.node]);
    }
    throwsCode(() => Replicated.create({ size: 1, nodes: [...withCpus(), 63] }), "ENODEV");
  });

  it("reads only pages of the reader's node, by numa_maps", async () => {
    using replicated = Replicated.create({ size: "64 KiB" });
    replicated.update((next, version) => void next.fill(version));
    const count = 2000;
    const located = await Promise.all(withCpus().map((node) => locate(replicated, node, count)));
    assert.deepEqual(
      located,
      withCpus().map((node) => ({ node, touched: [[node, 2 * count]] })),
    );
  });

  it("reads the nearest copy where the node has none", async () => {
    const [node = 0, ...nodes] = withMemory();
    using replicated = Replicated.create({ size: 4096, nodes });
    const nearest = topology().nearestNodes(node).find((other) => nodes.includes(other));
    assert.deepEqual(await locate(replicated, node, 10), { node, touched: [[nearest, 20]] });
  });

  it("is whole on every node and never goes back, for threads that wander, too", {
    skip: notInGate,
  }, async () => {
    using replicated = Replicated.create({ size: "1 KiB" });
    const control = new Int32Array(new SharedArrayBuffer(8));
    const args = { replicated, control };
    const threads = [
      ...withCpus().map((node) =>
        launch<ReaderReport>(replicatedModule, {
          policy: Policy.bindNode(node),
          args: { task: "read", ...args },
        })
      ),
      launch<ReaderReport>(replicatedModule, { args: { task: "wander", ...args } }),
    ];
    while (Atomics.load(control, 0) < threads.length) await sleep(5);
    // As many as it takes: an emulated machine's readers may need half a second for one.
    let version = 0;
    while (version < 6) {
      version = await replicated.updateAsync((next, number) => {
        new Int32Array(next.buffer, next.byteOffset, next.length / 4).fill(number);
      });
    }
    Atomics.store(control, 1, 1);
    for (const thread of threads) {
      const { torn, backwards, reads, last } = await thread.join();
      assert.deepEqual({ torn, backwards }, { torn: 0, backwards: 0 });
      assert.ok(reads > 0 && last <= version, `${reads} reads up to ${last} of ${version}`);
    }
  });
});

describe("NodeArray on several nodes", () => {
  for (const layout of ["blocked", "cyclic"] as const) {
    it(`has every part's pages on its node: ${layout}`, () => {
      using array = NodeArray.create({ type: "float64", length: 100_001, layout });
      assert.deepEqual(array.nodes, withMemory());
      for (const [node, { nodes, pages, absent }] of array.residency()) {
        assert.deepEqual([[...nodes], absent], [[[node, pages]], 0]);
      }
      for (const arena of arenasOf(array, "parts")) {
        assert.deepEqual(nodesInMaps(arena), [arena.node]);
      }
      const numbers = Float64Array.from({ length: 100_001 }, (_, index) => index);
      array.copyFrom(numbers);
      assert.deepEqual(array.toTypedArray(), numbers);
      const seen = new Set<number>();
      for (let index = 0; index < array.length; index += 97) {
        assert.equal(array.get(index), index);
        seen.add(array.nodeOf(index));
      }
      assert.deepEqual(CpuSet.from(seen).toString(), CpuSet.from(withMemory()).toString());
    });
  }

  it("gives each thread the part of its own node", { skip: notInGate }, async () => {
    using array = NodeArray.create({ type: "float64", length: 10_000, layout: "cyclic", block: 8 });
    array.fill(-1);
    const handle = JSON.stringify(array.toHandle());
    const reports = await Promise.all(
      withCpus().map((node) => {
        const policy = Policy.bindNode(node);
        return launch<Report>(arrayModule, { policy, args: { array, handle } }).join();
      }),
    );
    assert.deepEqual(
      reports,
      withCpus().map((node) => ({ node, part: array.nodes.indexOf(node), same: true })),
    );
    for (let index = 0; index < array.length; index++) {
      const node = array.nodeOf(index);
      assert.equal(array.get(index), withCpus().includes(node) ? node : -1);
    }
  });
});
