import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { Arena, type Thread } from "../../mod.ts";
import { Slab, type SlabOptions } from "../../lib/memory/objects/slab.ts";
import { type Churned, type Exchange, makeExchange } from "../support/churn.ts";
import { onDeno } from "../support/checkout.ts";
import { counting } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runObjects } from "../support/launches.ts";

function make(count: number, options: Partial<SlabOptions> = {}): Slab {
  return Slab.create({ node: 0, objectSize: 64, count, ...options });
}

/** All that this thread can allocate. */
function drain(slab: Slab): number[] {
  const ids: number[] = [];
  for (let id = slab.tryAlloc(); id >= 0; id = slab.tryAlloc()) ids.push(id);
  assert.equal(new Set(ids).size, ids.length, "an object was given out twice");
  return ids;
}

/** Waits for what a thread left behind: its death is known a moment after join. */
async function drainUntil(slab: Slab, count: number): Promise<number[]> {
  const ids = drain(slab);
  for (let round = 0; round < 500 && ids.length < count; round++) {
    await sleep(2);
    ids.push(...drain(slab));
  }
  assert.equal(new Set(ids).size, ids.length, "an object was given out twice");
  return ids;
}

const WRONG_IDS = [-1, 0.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 31)];
const NO_NUMBERS = ["1", "", null, undefined, {}, [], [1], 1n, true, Symbol("1"), () => 1];

describe("Slab.create", () => {
  it("rounds objects up to cache lines and puts them on the node", () => {
    for (const [objectSize, stride] of [[1, 64], [64, 64], [65, 128], [200, 256]]) {
      using slab = make(100, { objectSize: objectSize as number });
      assert.equal(slab.stride, stride);
      assert.equal(slab.bytes.length, 100 * (stride as number));
      assert.equal(slab.bytes.byteOffset % 64, 0);
      assert.equal(slab.int32.length, 25 * (stride as number));
      assert.equal(slab.capacity, 100);
      assert.equal(slab.node, 0);
      assert.equal(slab.used, 0);
    }
  });

  it("refuses what cannot be", () => {
    for (const wrong of [0, 2 ** 30 + 1, ...WRONG_IDS, ...NO_NUMBERS]) {
      throwsCode(() => make(wrong as number), "EINVAL");
      if (wrong === undefined) continue;
      throwsCode(() => make(10, { threads: wrong as number }), "EINVAL");
      throwsCode(() => make(10, { objectSize: wrong as number }), "EINVAL");
    }
    for (const node of [...WRONG_IDS, ...NO_NUMBERS]) {
      throwsCode(() => make(10, { node: node as number }), "EINVAL");
    }
    throwsCode(() => make(10, { node: 1023 }), "ENODEV");
    throwsCode(() => make(10, { pages: "3m" as "4k" }), "EINVAL");
    throwsCode(() => make(2 ** 30, { objectSize: 2 ** 30 }), "EINVAL", /ArrayBuffer/);
    for (const options of [null, undefined, 1, "x"]) {
      throwsCode(() => Slab.create(options as unknown as SlabOptions), "EINVAL");
    }
  });
});

describe("slab.alloc and slab.free", () => {
  it("give every object once, aligned, zeroed, apart from all others", () => {
    using slab = make(1000, { objectSize: 48 });
    const ids = Array.from({ length: 1000 }, () => slab.alloc());
    assert.equal(new Set(ids).size, 1000);
    const offsets = ids.map((id) => slab.offset(id));
    assert.equal(new Set(offsets).size, 1000);
    assert.ok(offsets.every((offset) => offset % 64 === 0 && offset + 64 <= slab.bytes.length));
    assert.ok(ids.every((id) => slab.view(id).length === 48));
    for (const [index, id] of ids.entries()) {
      assert.ok(slab.view(id).every((byte) => byte === 0));
      slab.view(id).fill(index & 255);
    }
    assert.ok(ids.every((id, index) => slab.view(id).every((byte) => byte === (index & 255))));
    assert.equal(slab.used, 1000);
    throwsCode(() => slab.alloc(), "ENOMEM", /1000 of 1000 objects are in use/);
    assert.equal(slab.tryAlloc(), -1);
    slab.free(ids[500] as number);
    assert.equal(slab.used, 999);
    assert.equal(slab.alloc(), ids[500]);
  });

  it("refuse every id that is none, and change nothing", () => {
    using slab = make(100);
    using other = make(100);
    const id = slab.alloc();
    const foreign = Array.from({ length: 100 }, () => other.alloc());
    const never = [0, 1, 99, 100, 2 ** 30].filter((number) => number !== id);
    for (const wrong of [...WRONG_IDS, ...NO_NUMBERS, ...foreign, ...never, id + 1, id + 0.5]) {
      for (const use of ["free", "offset", "view"] as const) {
        throwsCode(() => slab[use](wrong as number), "EINVAL");
      }
    }
    assert.equal(slab.used, 1);
    slab.free(id);
    for (const use of ["free", "offset", "view"] as const) {
      throwsCode(() => slab[use](id), "EINVAL", /freed before, or never allocated/);
    }
    for (const id of foreign) other.free(id);
  });

  it("take any number and only ever throw NumaError", () => {
    using slab = make(64);
    const ids = new Set(Array.from({ length: 32 }, () => slab.alloc()));
    fc.assert(
      fc.property(fc.oneof(fc.anything(), fc.double(), fc.integer()), (anything) => {
        if (ids.has(anything as number)) return;
        for (const use of ["free", "offset", "view"] as const) {
          throwsCode(() => slab[use](anything as number), "EINVAL");
        }
      }),
      { numRuns: 500 },
    );
    assert.equal(slab.used, 32);
  });

  it("use no atomic and no foreign call on the owner's thread", () => {
    using slab = make(10_000);
    const ids = new Int32Array(5000);
    const work = (): void => {
      for (let pair = 0; pair < 10_000; pair++) slab.free(slab.alloc());
      for (let at = 0; at < ids.length; at++) ids[at] = slab.alloc();
      for (const id of ids) slab.free(id);
    };
    // The first time takes the chunks.
    assert.ok((counting(work).atomics.compareExchange ?? 0) >= 5000 / 64, "it counts");
    assert.deepEqual(counting(work), { atomics: {}, helper: {} });
  });

  it("survive a scribbled bookkeeping with errors only", () => {
    for (const value of [0, -1, 1, 2 ** 31 - 1, -(2 ** 31), 77]) {
      using slab = make(256);
      const held = Array.from({ length: 50 }, () => slab.alloc());
      const words = new Int32Array(slab.bytes.buffer, 4096, (slab.bytes.byteOffset - 4096) / 4);
      words.fill(value);
      const quiet = (call: () => unknown): void => {
        try {
          call();
        } catch (error) {
          assert.equal((error as Error).name, "NumaError");
        }
      };
      for (let round = 0; round < 300; round++) quiet(() => slab.alloc());
      for (const id of held) quiet(() => slab.free(id));
      quiet(() => slab.flush());
      quiet(() => slab.used);
      quiet(() => slab.toHandle());
    }
  });
});

describe("slab.destroy", () => {
  it("empties every view and ends every use", () => {
    const slab = make(100);
    const id = slab.alloc();
    const { bytes, int32 } = slab;
    const view = slab.view(id);
    slab.destroy();
    slab.destroy();
    slab[Symbol.dispose]();
    assert.deepEqual([bytes.length, int32.length, view.length], [0, 0, 0]);
    assert.equal(slab.destroyed, true);
    const uses = [
      () => slab.alloc(),
      () => slab.tryAlloc(),
      () => slab.free(id),
      () => slab.free(-1),
      () => slab.offset(id),
      () => slab.view(id),
      () => slab.bytes,
      () => slab.int32,
      () => slab.used,
      () => slab.flush(),
      () => slab.toHandle(),
    ];
    for (const use of uses) throwsCode(use, "EDESTROYED");
    assert.match(String(slab), /destroyed/);
  });
});

describe("slab handles", () => {
  it("give the same object in one thread, and cross into others at any depth", async () => {
    using slab = make(100);
    assert.equal(Slab.fromHandle(structuredClone(slab.toHandle())), slab);
    const ids = await runObjects<number[]>({ task: "allocMany", slab, count: 3 }).join();
    assert.ok(ids.every((id) => slab.offset(id) >= 0), "ids mean the same everywhere");
  });

  it("are refused when stale or forged", async () => {
    const slab = make(10);
    const handle = slab.toHandle();
    using arena = Arena.create({ node: 0, size: 4096 });
    const forged = { numakitHandle: "slab", data: { arena: arena.toHandle() } };
    throwsCode(() => Slab.fromHandle(forged), "EINVAL", /does not hold a slab/);
    const words = new Int32Array(arena.bytes.buffer, arena.bytes.byteOffset, 4);
    words.set([0x51ab_0001, 64, 1e6, 64]);
    throwsCode(() => Slab.fromHandle(forged), "EINVAL", /does not hold a slab/);
    for (const config of [[0, 0, 0], [-1, 10, 1], [64, 10, 2 ** 30]]) {
      words.set([0x51ab_0001, ...config]);
      throwsCode(() => Slab.fromHandle(forged), "EINVAL");
    }
    for (const wrong of [null, 1, {}, arena.toHandle(), { numakitHandle: "slab", data: {} }]) {
      throwsCode(() => Slab.fromHandle(wrong as never), "EINVAL");
    }
    const exchange = makeExchange(1);
    const late = runObjects({ task: "attach", handle, exchange });
    slab.destroy();
    Atomics.store(exchange.stop, 0, 1);
    await rejectsCode(late.join(), "ESTALE");
    throwsCode(() => Slab.fromHandle(handle), "ESTALE");
  });
});

describe("a slab between threads", () => {
  it("takes frees from anywhere, and hands them back to the owner", async () => {
    using slab = make(1000);
    const ids = drain(slab);
    assert.equal(ids.length, 1000);
    await runObjects({ task: "freeMany", slab, ids: ids.slice(0, 500) }).join();
    assert.equal(slab.used, 500);
    assert.equal(drain(slab).length, 500);
    const twice = runObjects({ task: "freeMany", slab, ids: [ids[0] as number, ids[0] as number] });
    await rejectsCode(twice.join(), "EINVAL", /freed before/);
  });

  it("finds what a thread did not flush after its end", async () => {
    using slab = make(1000);
    const ids = drain(slab);
    await runObjects({ task: "freeAndLeave", slab, ids: ids.slice(0, 45) }).join();
    assert.equal((await drainUntil(slab, 45)).length, 45);
  });

  it("takes over what a thread had that ended or destroyed it; its objects stay", async () => {
    using slab = make(1000);
    for (const task of ["allocMany", "allocAndDestroy"]) {
      const theirs = await runObjects<number[]>({ task, slab, count: 500 }).join();
      assert.equal(slab.used, 500);
      const mine = await drainUntil(slab, 500);
      assert.equal(mine.length, 500);
      assert.ok(!theirs.some((id) => mine.includes(id)));
      for (const id of [...theirs, ...mine]) slab.free(id);
      slab.release();
      assert.equal(slab.used, 0);
    }
    assert.equal((await drainUntil(slab, 1000)).length, 1000);
  });

  it("refuses a thread too many, until one is gone", async () => {
    using slab = make(1000, { threads: 1 });
    const id = slab.alloc();
    await rejectsCode(
      runObjects({ task: "allocMany", slab, count: 1 }).join(),
      "EAGAIN",
      /1 live threads/,
    );
    await rejectsCode(runObjects({ task: "freeMany", slab, ids: [id] }).join(), "EAGAIN");
    assert.equal(slab.used, 1);
  });
});

describe("a slab under fire", () => {
  const THREADS = 8;
  const COUNT = 2000;

  async function settle(slab: Slab, exchange: Exchange): Promise<void> {
    for (let cell = 0; cell < exchange.cells.length; cell++) {
      const id = Atomics.exchange(exchange.cells, cell, 0) - 1;
      if (id < 0) continue;
      slab.int32[slab.offset(id) / 4] = 0;
      slab.free(id);
    }
    slab.flush();
    await sleep(0);
  }

  it("gives no object to two of 8 threads, and loses none", async () => {
    using slab = make(COUNT);
    const exchange = makeExchange(700);
    const threads = Array.from(
      { length: THREADS },
      (_, seed) => runObjects<Churned>({ task: "churnSlab", slab, exchange, seed }),
    );
    while (Atomics.load(exchange.running, 0) < THREADS) await sleep(5);
    await sleep(500);
    Atomics.store(exchange.stop, 0, 1);
    const results = await Promise.all(threads.map((thread) => thread.join()));
    // Not all of them: a thread may find everything taken for as long as the others are quicker.
    assert.ok(
      results.filter(({ allocated }) => allocated > 0).length >= 2,
      JSON.stringify(results),
    );
    await settle(slab, exchange);
    assert.equal(slab.used, 0);
    assert.equal((await drainUntil(slab, COUNT)).length, COUNT);
  });

  it("recovers the heaps of threads that are terminated in the middle", async () => {
    using slab = make(COUNT);
    const exchange = makeExchange(700);
    const start = (seed: number, busy = false): Thread<Churned> =>
      runObjects<Churned>({ task: "churnSlab", slab, exchange, seed, busy });
    // Deno cannot end a thread that never comes back to its event loop.
    const victims = Array.from({ length: 4 }, (_, seed) => start(seed, !onDeno));
    const threads = Array.from({ length: 2 }, (_, seed) => start(seed + 50));
    while (Atomics.load(exchange.running, 0) < 6) await sleep(5);
    await sleep(50);
    await Promise.all(victims.map(async (thread) => {
      assert.equal(await thread.terminate({ timeoutMs: 120_000 }), true);
      // On Deno a worker lets go of its memory first, and may notice.
      await assert.rejects(thread.join(), { name: "NumaError" });
    }));
    threads.push(start(100), start(101));
    await sleep(onDeno ? 300 : 200);
    Atomics.store(exchange.stop, 0, 1);
    await Promise.all(threads.map((thread) => thread.join()));
    await settle(slab, exchange);
    // In a victim's hands: what it had just allocated, and what it had just taken from the exchange.
    const inHand = slab.used;
    assert.ok(inHand <= 2 * victims.length, `${inHand} objects in dead hands`);
    const back = await drainUntil(slab, COUNT - inHand);
    assert.ok(back.length >= COUNT - inHand - 33 * victims.length, `only ${back.length} came back`);
  });
});
