import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Arena,
  currentNode,
  interleave,
  launch,
  NodeArray,
  NodePool,
  type PageKind,
  placement,
  Policy,
  Slab,
  topology,
} from "../../mod.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { ArrayModel, arrayShape, arrayStep } from "../support/array_model.ts";
import { sibling } from "../support/checkout.ts";
import { arenasOf, nodesInMaps } from "../support/copies.ts";
import { throwsCode } from "../support/errors.ts";
import { bytesByNode, readNumaMaps } from "../support/numa_maps.ts";
import { PoolModel, poolStep } from "../support/object_models.ts";
import { liveMappings } from "../support/mappings.ts";
import { oomKills } from "../support/memory_limit.ts";
import type { UnevenReport, UnevenTask } from "../workers/uneven.ts";

const MIB = 2 ** 20;
/**
 * The guest: a middling node with small hugepages, a large one with a gigantic one, a small one. And a bare one, whose
 * socket has a CPU and no memory.
 */
const NODES = [0, 1, 2];
const [MIDDLE, LARGE, SMALL, BARE] = [0, 1, 2, 3];
const POOLS: readonly Partial<Record<PageKind, number>>[] = [{ "2m": 16 }, { "1g": 1 }, {
  "2m": 4,
}];
const PAGE_BYTES: Record<PageKind, number> = {
  ...{ "4k": 4096, thp: 2 * MIB, "2m": 2 * MIB, "1g": 1024 * MIB },
};
const SEED = 20_260;

/** Bytes by node of the mappings that are bound to a node, in pages of that size. */
function boundBytes(node: number, pageBytes: number): [number, number][] {
  const maps = readNumaMaps().filter((map) =>
    map.policy.replace("=static", "") === `bind:${node}` && map.pageBytes === pageBytes
  );
  return [...bytesByNode(maps)];
}

/** Free hugepages by node and size. */
function freePages(): Record<string, number>[] {
  return topology({ refresh: true }).nodes.slice(0, NODES.length).map(({ hugepages }) =>
    Object.fromEntries(hugepages.map(({ pageBytes, free }) => [pageBytes, free]))
  );
}

/** Runs a body on a node, and puts the thread back. */
function onNode<Result>(node: number, body: () => Result): Result {
  const before = threadAffinity();
  pinThread(topology().cpusOfNode(node));
  try {
    return body();
  } finally {
    pinThread(before);
  }
}

function runOn(node: number, args: UnevenTask): Promise<UnevenReport> {
  const module = sibling(import.meta.url, "../workers/uneven");
  return launch<UnevenReport>(module, { policy: Policy.bindNode(node), args }).join();
}

/** The node of the pages under a view, by the kernel's word. */
function nodesUnder(view: Uint8Array<ArrayBuffer>): number[] {
  const { byteOffset, byteLength, buffer } = view;
  const begin = Math.floor(byteOffset / 4096) * 4096;
  const end = Math.ceil((byteOffset + byteLength) / 4096) * 4096;
  return [...placement(new Uint8Array(buffer, begin, end - begin)).nodes.keys()];
}

describe("a machine with uneven nodes", () => {
  it("is seen as such", () => {
    const { nodes, cpus, snapshot } = topology();
    assert.deepEqual(nodes.map(({ id }) => id), [...NODES, BARE]);
    assert.deepEqual(nodes.map(({ cpus }) => cpus.toString()), ["0-1", "2", "3", "4"]);
    assert.equal(cpus.size, 5);
    assert.deepEqual([nodes[BARE]?.totalBytes, nodes[BARE]?.availableBytes], [0, 0]);
    const mebibytes = nodes.map(({ totalBytes }) => totalBytes / MIB);
    for (const [node, most] of [512, 2048, 320].entries()) {
      const size = mebibytes[node] as number;
      assert.ok(size <= most && size > most * 0.85, `node ${node} has ${size} of ${most} MiB`);
    }
    assert.deepEqual(snapshot.distances?.matrix, [
      ...[[10, 21, 31, 31], [21, 10, 15, 20], [31, 15, 10, 17], [31, 20, 17, 10]],
    ]);
    assert.deepEqual([...NODES, BARE].map((node) => topology().nearestNodes(node)), [
      ...[[0, 1, 2, 3], [1, 2, 3, 0], [2, 1, 3, 0], [3, 2, 1, 0]],
    ]);
    assert.deepEqual(
      freePages(),
      POOLS.map((pool) => ({
        ...{ [2 * MIB]: pool["2m"] ?? 0, [1024 * MIB]: pool["1g"] ?? 0 },
      })),
    );
  });
});

describe("an arena on each of uneven nodes", () => {
  for (const node of NODES) {
    for (const pages of ["4k", "thp", "2m", "1g"] as const) {
      const isPool = pages === "2m" || pages === "1g";
      const has = !isPool || POOLS[node]?.[pages] !== undefined;
      it(`${has ? "has every byte there" : "says how to get pages"}: ${pages}, node ${node}`, () => {
        const live = liveMappings();
        const free = freePages();
        const size = pages === "1g" ? 1024 * MIB : 8 * MIB;
        const pageBytes = PAGE_BYTES[pages];
        if (has) {
          const before = new Map(boundBytes(node, pages === "thp" ? 4096 : pageBytes));
          const arena = Arena.create({ node, size, pages });
          assert.deepEqual([arena.pages, arena.capacity], [pages, size]);
          const { nodes, pages: count, absent, pageBytes: told } = arena.residency();
          assert.deepEqual([[...nodes], absent], [[[node, count]], 0]);
          assert.equal(count * told, size);
          assert.deepEqual(nodesInMaps(arena), [node]);
          const after = new Map(boundBytes(node, pages === "thp" ? 4096 : pageBytes));
          const bytes = (after.get(node) ?? 0) - (before.get(node) ?? 0);
          assert.ok(bytes === size || bytes === size + 4096, `${bytes} bytes in numa_maps`);
          assert.deepEqual([...after.keys()], [node]);
          arena.view(size - 16, 16).fill(1);
          if (isPool) {
            assert.equal(
              freePages()[node]?.[pageBytes],
              (free[node]?.[pageBytes] ?? 0) - size / pageBytes,
            );
          }
          arena.destroy();
        }
        if (isPool) {
          const wanted = (free[node]?.[pageBytes] ?? 0) + 1;
          const file = `node${node}/hugepages/hugepages-${pageBytes / 1024}kB/nr_hugepages`;
          throwsCode(
            () => Arena.create({ node, size: wanted * pageBytes, pages }),
            "ENOMEM",
            new RegExp(
              `node ${node} has ${wanted - 1} free of ${wanted - 1}.*echo ${wanted} > .*/${file}`,
            ),
          );
        }
        assert.deepEqual(freePages(), free);
        assert.equal(liveMappings(), live);
      });
    }
  }

  it("is refused what only the large node has room for, and nobody is killed", () => {
    const kills = oomKills();
    const live = liveMappings();
    // All that the small node has, which is never free.
    const size = topology().nodes[SMALL]?.totalBytes ?? 0;
    throwsCode(() => Arena.create({ node: SMALL, size }), "ENOMEM", /node 2/);
    assert.equal(liveMappings(), live);
    using arena = Arena.create({ node: LARGE, size });
    assert.deepEqual([...arena.residency().nodes], [[LARGE, size / 4096]]);
    assert.equal(oomKills(), kills);
  });
});

describe("a node with a CPU and no memory", () => {
  it("has the arena of a thread on the nearest node with memory", () => {
    throwsCode(() => Arena.create({ node: BARE, size: 4096 }), "ENODEV", /nodes with memory: 0, 1/);
    const near = onNode(SMALL, () => Arena.local());
    onNode(BARE, () => {
      assert.equal(currentNode(), BARE);
      const arena = Arena.local();
      assert.deepEqual([arena.node, arena], [SMALL, near]);
      arena.allocUint8(4 * MIB).fill(1);
      assert.deepEqual([...arena.residency().nodes.keys()], [SMALL]);
      arena.destroy();
      assert.equal(Arena.local().node, SMALL);
      Arena.local().destroy();
    });
    assert.equal(onNode(LARGE, () => Arena.local().node), LARGE);
  });

  it("reads and allocates on the nearest node with memory", () => {
    using array = NodeArray.create({ type: "int32", length: 1000 });
    using pool = NodePool.create({ bytesPerNode: MIB });
    assert.deepEqual([array.nodes, pool.nodes], [NODES, NODES]);
    onNode(BARE, () => {
      assert.equal(array.local().node, SMALL);
      assert.equal(pool.nodeOf(pool.alloc(100)), SMALL);
    });
  });
});

describe("a node pool over uneven nodes", () => {
  const BYTES = 256 * 1024;

  it("gives what the node has that is named or that the thread is on", () => {
    using pool = NodePool.create({ bytesPerNode: BYTES });
    assert.deepEqual(pool.nodes, NODES);
    for (const arena of arenasOf(pool, "arenas")) {
      assert.deepEqual(nodesInMaps(arena), [arena.node]);
    }
    for (const here of NODES) {
      onNode(here, () => {
        using fresh = NodePool.create({ bytesPerNode: BYTES });
        for (const size of [16, 100, 5000, 65536]) {
          const id = fresh.alloc(size);
          assert.equal(fresh.nodeOf(id), here);
          assert.deepEqual(nodesUnder(fresh.view(id)), [here]);
        }
        for (const node of NODES) {
          const id = pool.allocOn(node, 5000);
          assert.equal(pool.nodeOf(id), node);
          assert.deepEqual(nodesUnder(pool.view(id)), [node]);
        }
      });
    }
    assert.deepEqual(pool.usage().map(({ classes }) => classes[0]?.allocated), [3, 3, 3]);
  });

  it("agrees with counts by node and class, and plain memory", () => {
    for (const home of NODES) {
      onNode(home, () =>
        fc.assert(
          fc.property(fc.array(poolStep, { maxLength: 40, size: "max" }), (steps) => {
            using pool = NodePool.create({ bytesPerNode: BYTES });
            using other = NodePool.create({ bytesPerNode: BYTES });
            const model = new PoolModel(pool, BYTES, home, [other.alloc(1), other.alloc(1)]);
            for (const step of steps) model.step(step);
            model.finish();
          }),
          { seed: SEED + home, numRuns: 2 },
        ));
    }
  });

  it("takes objects of all nodes back from any of them", async () => {
    using pool = NodePool.create({ bytesPerNode: BYTES });
    const allocated = (): number[] => pool.usage().map(({ allocatedBytes }) => allocatedBytes);
    const mine = NODES.flatMap((node) =>
      Array.from({ length: 120 }, (_, index) => pool.allocOn(node, 16 + index % 7 * 16))
    ).sort((a, b) => (a * 2654435761 >>> 0) - (b * 2654435761 >>> 0));
    const full = allocated();
    assert.ok(full.every((bytes) => bytes === full[0] && bytes > 0));
    // Every third here, every other one of the rest on another node.
    for (const [index, id] of mine.entries()) if (index % 3 === 0) pool.free(id);
    const rest = mine.filter((_, index) => index % 3 !== 0);
    const left = allocated();
    const expected = NODES.map((node) =>
      rest.filter((id) => pool.nodeOf(id) === node).reduce((sum, id) => sum + pool.sizeOf(id), 0)
    );
    assert.deepEqual(left, expected);
    const { node, ids } = await runOn(SMALL, { pool, ids: rest, count: 50, size: 1000 });
    assert.equal(node, SMALL);
    assert.deepEqual(allocated(), [0, 0, 50 * 1024]);
    assert.deepEqual([...new Set(ids.flatMap((id) => nodesUnder(pool.view(id))))], [SMALL]);
    assert.ok(ids.every((id) => pool.view(id).every((byte) => byte === SMALL + 1)));
    for (const id of ids) pool.free(id);
    assert.deepEqual(allocated(), [0, 0, 0]);
    // All of it can be had again, on each node, by this thread.
    for (const at of NODES) {
      const again = Array.from(
        { length: 120 },
        (_, index) => pool.allocOn(at, 16 + index % 7 * 16),
      );
      assert.ok(again.every((id) => pool.nodeOf(id) === at));
    }
    assert.deepEqual(allocated(), full);
  });
});

describe("a slab on one of uneven nodes", () => {
  it("is there, whoever allocates and frees", async () => {
    using slab = Slab.create({ node: SMALL, objectSize: 200, count: 500 });
    assert.deepEqual(nodesUnder(slab.bytes), [SMALL]);
    const mine = Array.from({ length: 150 }, () => slab.alloc());
    const { node, ids } = await runOn(LARGE, { slab, count: 200, ids: mine });
    assert.deepEqual([node, slab.used], [LARGE, 200]);
    assert.ok(ids.every((id) => slab.view(id).every((byte) => byte === LARGE + 1)));
    for (const id of ids) slab.free(id);
    slab.flush();
    assert.equal(slab.used, 0);
    assert.deepEqual(nodesUnder(slab.bytes), [SMALL]);
  });
});

describe("an array over uneven nodes", () => {
  it("agrees with an ordinary one, whatever the order of its nodes", () => {
    const orders = [[0, 1, 2], [2, 0, 1], [1, 2], [2]];
    fc.assert(
      fc.property(
        fc.constantFrom(...orders),
        arrayShape,
        fc.array(arrayStep, { maxLength: 10, size: "max" }),
        (nodes, shape, steps) => {
          const { layout, block, ...rest } = { ...shape, nodes };
          using array = NodeArray.create(
            layout === "cyclic" ? { ...rest, layout, block } : { ...rest, layout },
          );
          for (const arena of arenasOf(array, "parts")) {
            assert.deepEqual([...arena.residency().nodes.keys()], [arena.node]);
          }
          const model = new ArrayModel(array, shape);
          for (const step of steps) model.step(step);
          model.finish();
        },
      ),
      { seed: SEED, numRuns: 15 },
    );
  });

  it("is whole or not at all, in the pages that each node has", () => {
    const options = { type: "int32", nodes: [MIDDLE, SMALL] } as const;
    const [live, free] = [liveMappings(), freePages()];
    // 16 MiB a node, which one of them has.
    const large = { ...options, length: 8 * MIB, pages: "2m" } as const;
    throwsCode(() => NodeArray.create(large), "ENOMEM", /node 2 has 4 free of 4/);
    assert.deepEqual([liveMappings(), freePages()], [live, free]);
    using array = NodeArray.create({ ...options, nodes: NODES, length: MIB, pages: ["2m", "4k"] });
    assert.deepEqual(
      arenasOf(array, "parts").map(({ node, pages }) => [node, pages]),
      [[MIDDLE, "2m"], [LARGE, "4k"], [SMALL, "2m"]],
    );
    for (const [node, { nodes, pages, absent }] of array.residency()) {
      assert.deepEqual([[...nodes], absent], [[[node, pages]], 0]);
    }
    for (const node of NODES) assert.equal(onNode(node, () => array.local().node), node);
  });
});

describe("memory of the runtime's own over uneven nodes", () => {
  it("is interleaved in exactly the proportions asked for", () => {
    const words = new Int32Array(new SharedArrayBuffer(4 * MIB)).map((_, index) => index);
    for (const weights of [[1, 1, 1], [1, 4, 2], [5, 0, 3], [0, 7, 1]]) {
      using binding = interleave(words, { nodes: NODES, weights });
      const { pageNodes, absent } = binding.placement();
      assert.equal(absent, 0);
      const round = weights.reduce((sum, weight) => sum + weight, 0);
      // Each round is as asked, so the whole is, too.
      for (let page = 0; page + round <= pageNodes.length; page += round) {
        const counts = NODES.map((node) =>
          pageNodes.subarray(page, page + round).filter((at) => at === node).length
        );
        assert.deepEqual(counts, weights, `pages from ${page}`);
      }
    }
    assert.ok(words.every((word, index) => word === index));
  });
});
