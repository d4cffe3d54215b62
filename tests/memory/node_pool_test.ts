import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { Arena, currentNode, topology } from "../../mod.ts";
import { NodePool, type NodePoolOptions } from "../../lib/memory/objects/node_pool.ts";
import { CLASS_BYTES, classOf, MAX_CLASS_BYTES } from "../../lib/memory/objects/size_classes.ts";
import { Slab } from "../../lib/memory/objects/slab.ts";
import { type Churned, makeExchange } from "../support/churn.ts";
import { counting } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runObjects } from "../support/launches.ts";
import type { ObjectTask } from "../workers/objects.ts";

function make(options: Partial<NodePoolOptions> = {}): NodePool {
  return NodePool.create({ bytesPerNode: "1 MiB", ...options });
}

const WRONG = [-1, 0.5, NaN, Infinity, 2 ** 32, 2 ** 53, -(2 ** 31)];
const NO_NUMBERS = ["1", "", null, undefined, {}, [], [1], 1n, true, Symbol("1"), () => 1];

describe("size classes", () => {
  it("hold every size, and waste less than 16 bytes or a quarter", () => {
    assert.deepEqual(CLASS_BYTES.slice(0, 13), [
      ...[16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    ]);
    assert.equal(CLASS_BYTES.at(-1), 65536);
    assert.equal(CLASS_BYTES.length, 44);
    for (let size = 1; size <= MAX_CLASS_BYTES; size++) {
      const kind = classOf(size);
      const bytes = CLASS_BYTES[kind] as number;
      assert.ok(bytes >= size && (bytes - size < 16 || bytes < size * 1.25), `${size}: ${bytes}`);
      assert.ok(kind === 0 || CLASS_BYTES[kind - 1] as number < size, `${size} fits a smaller one`);
    }
  });
});

describe("NodePool.create", () => {
  it("is on every node whose memory may be used, unless told", () => {
    using pool = make();
    const nodes = topology().nodes.filter(({ totalBytes }) => totalBytes > 0).map(({ id }) => id);
    assert.deepEqual(pool.nodes, nodes.filter((node) => topology().allowedNodes.has(node)));
    assert.deepEqual(pool.usage().map(({ node, classes }) => [node, classes.length]), [
      ...pool.nodes.map((node) => [node, 0]),
    ]);
    assert.ok(pool.usage().every(({ capacityBytes }) => capacityBytes > 2 ** 20 * 0.84));
  });

  it("refuses what cannot be", () => {
    for (const wrong of [...WRONG, ...NO_NUMBERS, 4097, 0]) {
      if (wrong !== undefined) {
        throwsCode(() => make({ threads: wrong as number }), "EINVAL");
        if (wrong !== 0) throwsCode(() => make({ nodes: [wrong as number] }), "EINVAL");
        if (!Array.isArray(wrong)) {
          throwsCode(() => make({ nodes: wrong as unknown as number[] }), "EINVAL");
        }
      }
      // These are sizes.
      if (wrong === 4097 || wrong === 2 ** 32) continue;
      throwsCode(() => make({ bytesPerNode: wrong as number }), "EINVAL");
    }
    throwsCode(() => make({ bytesPerNode: 4096 }), "EINVAL", /less than 64 KiB for objects/);
    throwsCode(() => make({ bytesPerNode: "2 TiB" }), "EINVAL");
    throwsCode(() => make({ nodes: [0, 0] }), "EINVAL");
    throwsCode(() => make({ nodes: [] }), "EINVAL");
    throwsCode(() => make({ nodes: [0, 1023] }), "ENODEV");
    throwsCode(() => make({ pages: "3m" as "4k" }), "EINVAL");
    for (const options of [null, undefined, 1, "x"]) {
      throwsCode(() => NodePool.create(options as unknown as NodePoolOptions), "EINVAL");
    }
  });
});

describe("pool.alloc and pool.free", () => {
  it("refuse sizes, nodes and ids that are none", () => {
    using pool = make();
    using other = make();
    const id = pool.alloc(100);
    const foreign = Array.from({ length: 64 }, () => other.alloc(100));
    for (const wrong of [...WRONG, ...NO_NUMBERS]) {
      throwsCode(() => pool.alloc(wrong as number), "EINVAL");
      throwsCode(() => pool.tryAlloc(wrong as number), "EINVAL");
      throwsCode(() => pool.allocOn(0, wrong as number), "EINVAL");
      throwsCode(() => pool.allocOn(wrong as number, 1), "EINVAL");
      throwsCode(() => pool.bytes(wrong as number), "EINVAL");
    }
    for (const size of [0, 65537]) throwsCode(() => pool.alloc(size), "EINVAL", /1 to 65536/);
    throwsCode(() => pool.allocOn(1023, 1), "ENODEV", /the pool is on nodes/);
    const never = [id + 1, id + 0.5, 0, 1, 2 ** 30, 2 ** 31];
    for (const wrong of [...WRONG, ...NO_NUMBERS, ...foreign, ...never]) {
      for (const use of ["free", "sizeOf", "nodeOf", "offset", "view"] as const) {
        throwsCode(() => pool[use](wrong as number), "EINVAL");
      }
    }
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.double(), fc.integer()), (anything) => {
        if (anything === id) return;
        for (const use of ["free", "sizeOf", "nodeOf", "offset", "view"] as const) {
          throwsCode(() => pool[use](anything as number), "EINVAL");
        }
      }),
      { numRuns: 300 },
    );
    assert.equal(
      pool.usage().find(({ allocatedBytes }) => allocatedBytes > 0)?.allocatedBytes,
      112,
    );
  });

  it("say what is left when there is none", () => {
    using pool = make();
    let count = 0;
    while (pool.tryAlloc(65536) >= 0) count++;
    const [{ capacityBytes = 0 } = {}] = pool.usage();
    assert.equal(count, Math.floor(capacityBytes / 65536));
    throwsCode(() => pool.alloc(65536), "ENOMEM", /832 KiB of 8\d\d(\.\d)? KiB are in use/);
    assert.ok(pool.alloc(16) >= 0, "what is left takes small ones");
  });

  it("use one atomic load in 64 allocations, and no foreign call, on the owner's thread", () => {
    using pool = make();
    const ids = new Int32Array(1000);
    const work = (take: () => number): void => {
      for (let pair = 0; pair < 5400; pair++) pool.free(take());
      for (let at = 0; at < ids.length; at++) ids[at] = take();
      for (const id of ids) pool.free(id);
    };
    const here = (): number => pool.alloc(64);
    for (let node = -1; node !== currentNode();) {
      // Once more when the kernel has moved the thread to another node meanwhile.
      node = currentNode();
      const there = (): number => pool.allocOn(node, 64);
      counting(() => work(here));
      const onNode = counting(() => work(there));
      const nearest = counting(() => work(here));
      if (node !== currentNode()) continue;
      assert.deepEqual(onNode, { atomics: {}, helper: {} });
      assert.deepEqual(nearest, { atomics: { load: 100 }, helper: {} });
    }
  });
});

describe("pool.destroy", () => {
  it("empties every view and ends every use", () => {
    const pool = make();
    const id = pool.alloc(64);
    const [view, bytes] = [pool.view(id), pool.bytes(pool.nodeOf(id))];
    pool.destroy();
    pool.destroy();
    pool[Symbol.dispose]();
    assert.deepEqual([view.length, bytes.length, pool.destroyed], [0, 0, true]);
    const uses = [
      () => pool.alloc(1),
      () => pool.alloc(0),
      () => pool.tryAlloc(1),
      () => pool.allocOn(0, 1),
      () => pool.free(id),
      () => pool.sizeOf(id),
      () => pool.nodeOf(id),
      () => pool.offset(id),
      () => pool.view(id),
      () => pool.bytes(0),
      () => pool.usage(),
      () => pool.flush(),
      () => pool.release(),
      () => pool.toHandle(),
    ];
    for (const use of uses) throwsCode(use, "EDESTROYED");
    assert.match(String(pool), /destroyed/);
  });
});

describe("a node pool between threads", () => {
  it("crosses with a slab, at any depth, as the same object", async () => {
    using pool = make();
    using slab = Slab.create({ node: 0, objectSize: 64, count: 10 });
    const task: ObjectTask = { task: "identity", slab, pool, nested: { deep: [slab, pool] } };
    assert.equal(await runObjects({ ...task }).join(), true);
    assert.equal(NodePool.fromHandle(structuredClone(pool.toHandle())), pool);
    const handle = pool.toHandle();
    using arena = Arena.create({ node: 0, size: 4096 });
    const handleOf = (arenas: unknown[]) => ({ numakitHandle: "node-pool", data: { arenas } });
    const forged = handleOf([arena.toHandle()]);
    throwsCode(() => NodePool.fromHandle(forged), "EINVAL", /does not hold a node pool/);
    for (const wrong of [null, {}, slab.toHandle(), handleOf([]), handleOf(new Array(1))]) {
      throwsCode(() => NodePool.fromHandle(wrong as never), "EINVAL");
    }
    pool.destroy();
    throwsCode(() => NodePool.fromHandle(handle), "ESTALE");
  });

  it("frees from any thread what any other allocated", async () => {
    using pool = make();
    const ids = await runObjects<number[]>({ task: "poolAlloc", pool, count: 60 }).join();
    for (const [index, id] of ids.entries()) {
      assert.ok(pool.view(id).every((byte) => byte === (index & 255)));
    }
    await runObjects({ task: "freeMany", pool, ids: ids.slice(0, 30) }).join();
    for (const id of ids.slice(30)) pool.free(id);
    assert.ok(pool.usage().every(({ allocatedBytes }) => allocatedBytes === 0));
    const twice = runObjects({ task: "freeMany", pool, ids: [ids[0] as number] });
    await rejectsCode(twice.join(), "EINVAL", /freed before/);
  });

  it("gives no object to two of 8 threads", async () => {
    using pool = make({ bytesPerNode: "4 MiB" });
    const exchange = makeExchange(500);
    const threads = Array.from(
      { length: 8 },
      (_, seed) => runObjects<Churned>({ task: "churnPool", pool, exchange, seed }),
    );
    while (Atomics.load(exchange.running, 0) < 8) await sleep(5);
    await sleep(400);
    Atomics.store(exchange.stop, 0, 1);
    const results = await Promise.all(threads.map((thread) => thread.join()));
    // Not all of them: a thread may find everything taken for as long as the others are quicker.
    assert.ok(
      results.filter(({ allocated }) => allocated > 0).length >= 2,
      JSON.stringify(results),
    );
    for (const cell of exchange.cells) if (cell > 0) pool.free(cell - 1);
    assert.ok(pool.usage().every(({ allocatedBytes }) => allocatedBytes === 0));
  });
});
