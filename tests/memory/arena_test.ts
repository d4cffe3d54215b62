import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import process from "node:process";
import { describe, it } from "node:test";
import { markAsUntransferable } from "node:worker_threads";
import { Arena, type ArenaMark, type ArenaOptions, type PageKind, topology } from "../../mod.ts";
import { HEADER_WORDS, OWNER, TOP } from "../../lib/memory/mapping/layout.ts";
import { native } from "../../lib/runtime/native.ts";
import { onNode20 } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { inExtent, repeats } from "../support/extent.ts";
import { readNumaMaps } from "../support/numa_maps.ts";
import { liveMappings } from "../support/mappings.ts";

const free2m = (): number =>
  topology({ refresh: true }).nodes[0]?.hugepages.find(({ pageBytes }) => pageBytes === 2 ** 21)
    ?.free ?? 0;

const notOnNode20 = { skip: onNode20 && "Node 20 transfers no external buffer" };

describe("Arena.create", () => {
  it("has every page on its node, by the kernel's own word", () => {
    const before = new Set(readNumaMaps().map(({ address }) => address));
    using arena = Arena.create({ node: 0, size: "4 MiB" });
    const { nodes, pages, absent, pageBytes } = arena.residency();
    assert.equal(pageBytes, 4096);
    assert.deepEqual([...nodes], [[0, pages]]);
    assert.equal(pages, 1024);
    assert.equal(absent, 0);
    const ours = readNumaMaps().filter(({ address, policy }) =>
      !before.has(address) && /^bind=static:0$|^bind:0$/.test(policy)
    );
    const bound = ours.reduce((sum, { pages }) => sum + (pages.get(0) ?? 0), 0);
    assert.equal(bound, 1025, "4 MiB and a header page, bound to node 0 and resident there");
  });

  it("rounds up to whole pages and takes sizes as texts", () => {
    for (
      const [size, capacity] of [[1, 4096], [4097, 8192], ["64 KiB", 65536], ["1.5MiB", 1572864]]
    ) {
      using arena = Arena.create({ node: 0, size: size as number });
      assert.equal(arena.capacity, capacity);
    }
  });

  it("tells which pages it got", () => {
    using arena = Arena.create({ node: 0, size: "2 MiB", pages: ["1g", "4k"] });
    assert.equal(arena.pages, "4k");
    using small = Arena.create({ node: 0, size: 1 });
    assert.equal(small.pages, "4k");
  });

  it("gives transparent hugepages whole or refuses", () => {
    using arena = Arena.create({ node: 0, size: "3 MiB", pages: ["thp", "4k"] });
    if (arena.pages === "thp") assert.equal(arena.capacity, 2 ** 22);
    const out = new BigUint64Array(1);
    const { identity } = arena.toHandle().data as { identity: number };
    native().calls.nk_mapping_huge_bytes(identity, 0, out);
    assert.equal(Number(out[0]), arena.pages === "thp" ? arena.capacity : 0);
  });

  it("refuses hugepages the node's pool does not have, and names the file that mends it", () => {
    const pages = free2m() + 1;
    throwsCode(
      () => Arena.create({ node: 0, size: pages * 2 ** 21, pages: "2m" }),
      "ENOMEM",
      /echo \d+ > \/sys\/devices\/system\/node\/node0\/hugepages\/hugepages-2048kB\/nr_hugepages/,
    );
  });

  it("refuses nodes that do not exist", () => {
    for (const node of [64, 1023]) {
      throwsCode(() => Arena.create({ node, size: 1 }), "ENODEV", /nodes with memory: 0/);
    }
    for (const node of [-1, 1e6, 1.5, NaN, 2 ** 53, "0", null, undefined, {}, 0n]) {
      throwsCode(() => Arena.create({ node: node as number, size: 1 }), "EINVAL");
    }
  });

  it("refuses sizes that are none", () => {
    for (
      const size of [0, -1, 1.5, NaN, Infinity, 2 ** 53, "", "1 mb", "MiB", null, undefined, 1n]
    ) {
      throwsCode(() => Arena.create({ node: 0, size: size as number }), "EINVAL");
    }
    throwsCode(() => Arena.create({ node: 0, size: 2 ** 50 }), "EINVAL", /more than the 64 GiB/);
  });

  it("refuses pages and options that are none", () => {
    for (const pages of ["3m", "", [], ["4k", "x"], null, 4096, "constructor"]) {
      throwsCode(() => Arena.create({ node: 0, size: 1, pages: pages as PageKind }), "EINVAL");
    }
    for (const options of [null, undefined, 1, "x"]) {
      throwsCode(() => Arena.create(options as unknown as ArenaOptions), "EINVAL");
    }
  });

  it("refuses more than the node has, without touching it and without a trace", () => {
    const live = liveMappings();
    // Asked anew: a virtual machine's memory may come and go. It can be more than totalBytes.
    const { availableBytes = 0 } = topology({ refresh: true }).nodes[0] ?? {};
    throwsCode(
      () => Arena.create({ node: 0, size: availableBytes + 2 ** 30 }),
      "ENOMEM",
      /available: some|limit/,
    );
    assert.equal(liveMappings(), live);
  });
});

describe("arena.alloc", () => {
  it("gives offsets that do not overlap, aligned to 16", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    assert.deepEqual([arena.alloc(1), arena.alloc(16), arena.alloc(17), arena.alloc(1)], [
      0,
      16,
      32,
      64,
    ]);
    assert.equal(arena.used, 80);
    assert.equal(arena.remaining, 4016);
  });

  it("gives everything and not a byte more", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    assert.equal(arena.alloc(4096), 0);
    throwsCode(() => arena.alloc(1), "ENOMEM", /0 of 4096 bytes remain/);
    assert.equal(arena.used, 4096);
    arena.reset();
    throwsCode(() => arena.alloc(4097), "ENOMEM");
    assert.equal(arena.alloc(4081), 0);
    assert.equal(arena.remaining, 0);
  });

  it("refuses sizes that are none, whatever they are made of", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    const wrong = [
      0,
      -1,
      0.5,
      NaN,
      Infinity,
      2 ** 36 + 1,
      2 ** 53,
      2 ** 64,
      "8",
      "",
      null,
      undefined,
      {},
    ];
    for (const size of [...wrong, [8], 8n, true, Symbol("8"), { valueOf: () => 8 }]) {
      throwsCode(() => arena.alloc(size as number), "EINVAL");
    }
    for (const size of [2 ** 36, 2 ** 32, 2 ** 32 - 1, 2 ** 32 - 15, 2 ** 31]) {
      throwsCode(() => arena.alloc(size), "ENOMEM");
    }
    assert.equal(arena.used, 0);
  });

  it("aligns on request", () => {
    using arena = Arena.create({ node: 0, size: "64 KiB" });
    arena.alloc(1);
    assert.equal(arena.allocAligned(100, 64), 64);
    assert.equal(arena.allocAligned(1, 4096), 4096);
    for (const alignment of [0, 8, 24, 8192, NaN, "64"]) {
      throwsCode(() => arena.allocAligned(1, alignment as number), "EINVAL");
    }
    throwsCode(() => arena.allocAligned(65536, 4096), "ENOMEM", /aligned to 4096/);
  });

  it("makes every kind of typed array, zeroed, in the arena", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    const views = [
      arena.allocInt8(3),
      arena.allocUint8(3),
      arena.allocInt16(3),
      arena.allocUint16(3),
      arena.allocInt32(3),
      arena.allocUint32(3),
      arena.allocFloat32(3),
      arena.allocFloat64(3),
      arena.allocBigInt64(3),
      arena.allocBigUint64(3),
    ];
    for (const view of views) {
      assert.equal(view.length, 3);
      assert.equal(view.buffer, arena.bytes.buffer);
      assert.equal(Number(view[2]), 0);
      view.fill((typeof view[0] === "bigint" ? 7n : 7) as never);
    }
    assert.equal(new Set(views.map(({ byteOffset }) => byteOffset)).size, views.length);
    assert.equal(views.every((view) => Number(view[0]) === 7), true);
    for (const length of [0, -1, 1.5, NaN, "3", null, 2 ** 53]) {
      throwsCode(() => arena.allocFloat64(length as number), "EINVAL");
    }
    throwsCode(() => arena.allocFloat64(1024), "ENOMEM");
  });

  it("goes back to a mark", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    arena.alloc(100);
    const mark = arena.mark();
    const offset = arena.alloc(500);
    arena.rewind(mark);
    assert.equal(arena.alloc(10), offset);
    arena.reset();
    assert.equal(arena.used, 0);
    for (const wrong of [-1, 1.5, 4096, NaN, "0"]) {
      throwsCode(() => arena.rewind(wrong as ArenaMark), "EINVAL");
    }
  });

  it("survives a scribbled header: limits are kept outside", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    arena.alloc(16);
    const header = new Uint32Array(arena.bytes.buffer, 0, HEADER_WORDS);
    for (const top of [2 ** 32 - 1, 257, 2 ** 31]) {
      arena.unclaim();
      header[TOP] = top;
      throwsCode(() => arena.alloc(16), "ENOMEM");
      throwsCode(() => arena.allocAligned(16, 4096), "ENOMEM");
      throwsCode(() => arena.allocInt32(4), "ENOMEM");
    }
    arena.unclaim();
    header[OWNER] = 12345;
    throwsCode(() => arena.alloc(16), "EBUSY");
  });
});

describe("arena.destroy", () => {
  it("empties every view, also in compiled code, and throws for every use", () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const view = arena.allocInt32(1024);
    const { bytes } = arena;
    const sum = (numbers: Int32Array): number => {
      let total = 0;
      for (let index = 0; index < 1024; index++) total += numbers[index] ?? 0;
      return total;
    };
    view.fill(1);
    for (let round = 0; round < 20_000; round++) sum(view);
    assert.equal(sum(view), 1024);
    arena.destroy();
    arena.destroy();
    arena[Symbol.dispose]();
    assert.equal(arena.destroyed, true);
    assert.equal(sum(view), 0);
    assert.equal(view.length, 0);
    assert.equal(bytes.length, 0);
    view[0] = 1;
    assert.equal(view[0], undefined);
    assert.throws(() => Atomics.add(view, 0, 1), Error);
    const uses = [
      () => arena.alloc(1),
      () => arena.alloc(0),
      () => arena.allocAligned(1, 16),
      () => arena.allocInt8(1),
      () => arena.bytes,
      () => arena.used,
      () => arena.remaining,
      () => arena.mark(),
      () => arena.rewind(0 as ArenaMark),
      () => arena.reset(),
      () => arena.claim(),
      () => arena.unclaim(),
      () => arena.residency(),
      () => arena.toHandle(),
    ];
    for (const use of uses) throwsCode(use, "EDESTROYED");
    assert.match(String(arena), /destroyed/);
  });

  it("keeps the addresses of a buffer that somebody carried off", notOnNode20, () => {
    const stats = new BigUint64Array(4);
    const arena = Arena.create({ node: 0, size: 8192 });
    arena.bytes.fill(9);
    // From now on the arena is this thread's, and alloc takes the short way.
    arena.alloc(1);
    const buffer = arena.bytes.buffer;
    const stolen = buffer.transfer();
    throwsCode(() => arena.alloc(1), "EDESTROYED");
    const before = Number(native().calls.nk_mapping_stats(stats) && stats[2]);
    arena.destroy();
    native().calls.nk_mapping_stats(stats);
    assert.equal(Number(stats[2]), before + 1);
    // Zeros, not a fault and not somebody else's bytes.
    assert.equal(new Uint8Array(stolen).every((byte) => byte === 0), true);
  });

  const cycles = repeats(inExtent(100, 1000));
  it(`leaves memory and mappings where they were after ${cycles} cycles of 64 MiB`, () => {
    const rss = (): number => process.memoryUsage.rss();
    const maps = (): number => readNumaMaps().length;
    const cycle = (): void => {
      using arena = Arena.create({ node: 0, size: "64 MiB", pages: ["thp", "4k"] });
      arena.allocUint8(1)[0] = 1;
    };
    for (let round = 0; round < repeats(20); round++) cycle();
    const before = { rss: rss(), maps: maps(), live: liveMappings() };
    for (let round = 0; round < cycles; round++) cycle();
    const after = { rss: rss(), maps: maps(), live: liveMappings() };
    assert.equal(after.live, before.live);
    assert.ok(after.rss - before.rss < 32 * 2 ** 20, `RSS went from ${before.rss} to ${after.rss}`);
    // An engine's heap may take some meanwhile: Node 20's up to 80.
    assert.ok(after.maps - before.maps < 200, `mappings went from ${before.maps} to ${after.maps}`);
  });

  it("is final also where somebody keeps the buffer from being detached", () => {
    const arena = Arena.create({ node: 0, size: 4096 });
    arena.alloc(16);
    markAsUntransferable(arena.bytes.buffer);
    arena.destroy();
    assert.equal(arena.destroyed, true);
    throwsCode(() => arena.alloc(16), "EDESTROYED");
    throwsCode(() => arena.bytes, "EDESTROYED");
  });

  it("leaves no file open", () => {
    const open = (): number => readdirSync("/proc/self/fd").length;
    const before = open();
    for (let round = 0; round < 50; round++) Arena.create({ node: 0, size: 4096 }).destroy();
    assert.ok(open() <= before + 1);
  });
});

describe("arena handles", () => {
  it("give the same object in one thread", () => {
    using arena = Arena.create({ node: 0, size: 4096 });
    assert.equal(Arena.fromHandle(structuredClone(arena.toHandle())), arena);
  });

  it("are refused when stale or forged", () => {
    const arena = Arena.create({ node: 0, size: 4096 });
    const handle = arena.toHandle();
    arena.destroy();
    throwsCode(() => Arena.fromHandle(handle), "ESTALE");
    const data = { identity: 65536, node: 0, pages: "4k" };
    for (const identity of [0, -1, 1.5, NaN, 2 ** 53, "1", null, undefined]) {
      const forged = { numakitHandle: "arena", data: { ...data, identity } };
      throwsCode(() => Arena.fromHandle(forged), "EINVAL");
    }
    for (const identity of [1, 65535, 2 ** 52, 0x7f0000000000]) {
      const forged = { numakitHandle: "arena", data: { ...data, identity } };
      throwsCode(() => Arena.fromHandle(forged), "ESTALE");
    }
    for (const forged of [null, 1, "arena", {}, { numakitHandle: "lock", data }]) {
      throwsCode(() => Arena.fromHandle(forged as never), "EINVAL");
    }
  });
});
