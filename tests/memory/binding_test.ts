import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import {
  Arena,
  bind,
  type Binding,
  type BindOptions,
  interleave,
  type InterleaveOptions,
  launch,
  migrate,
  NumaError,
  type OwnedMemory,
  placement,
  sharedBuffer,
  type SharedBufferOptions,
} from "../../mod.ts";
import { runModule, sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { readNumaMaps } from "../support/numa_maps.ts";

const MIB = 2 ** 20;
/** The part of WebAssembly.Memory that is used here: the types of Node do not have it. */
interface WasmMemory {
  readonly buffer: ArrayBufferLike;
  grow(pages: number): number;
}
const { WebAssembly: { Memory } } = globalThis as unknown as {
  WebAssembly: {
    Memory: new (options: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  };
};
const wasm = (shared: boolean): WasmMemory => new Memory({ initial: 32, maximum: 64, shared });

/** Bytes of memory with a policy of its own that is not an arena's, as the kernel tells. */
function boundPages(policy: RegExp): number {
  return readNumaMaps().filter((entry) => policy.test(entry.policy)).length;
}

const kinds: Record<string, () => OwnedMemory> = {
  "a SharedArrayBuffer": () => new SharedArrayBuffer(2 * MIB),
  "an ArrayBuffer": () => new ArrayBuffer(2 * MIB),
  "a resizable ArrayBuffer": () => new ArrayBuffer(2 * MIB, { maxByteLength: 4 * MIB }),
  "a typed array": () => new Float64Array(MIB / 4),
  "a part of a buffer": () => new Uint8Array(new SharedArrayBuffer(4 * MIB), 12345, 2 * MIB),
  "a DataView": () => new DataView(new ArrayBuffer(2 * MIB)),
  "a WebAssembly.Memory": () => wasm(false),
  "a shared WebAssembly.Memory": () => wasm(true),
};

describe("bind", () => {
  for (const [kind, make] of Object.entries(kinds)) {
    it(`puts ${kind} on a node, and undoes its policy`, () => {
      const memory = make();
      const before = boundPages(/^bind/);
      const binding = bind(memory, { node: 0 });
      assert.equal(boundPages(/^bind/) > before, true, "the kernel knows the policy");
      const { nodes, absent, bytes, edgeBytes, pageBytes, offset, pageNodes } = binding.placement();
      assert.equal(bytes + edgeBytes, 2 * MIB);
      assert.ok(edgeBytes < 2 * pageBytes && offset <= edgeBytes && bytes % pageBytes === 0);
      assert.deepEqual([...nodes], [[0, bytes / pageBytes]]);
      assert.equal(absent, 0);
      assert.equal(pageNodes.length, bytes / pageBytes);
      assert.deepEqual([binding.boundBytes, binding.edgeBytes], [bytes, edgeBytes]);
      assert.match(String(binding), /^Binding\(.* on nodes 0; .* not bound\)$/);
      binding.release();
      binding.release();
      assert.ok(binding.released);
      assert.match(String(binding), /undone/);
      assert.equal(boundPages(/^bind/), before);
      assert.equal(placement(memory).absent, 0, "the pages stay");
    });
  }

  it("keeps what was in it", () => {
    const words = new Int32Array(MIB).map((_, index) => index);
    using _binding = bind(words, { node: 0 });
    migrate(words, { node: 0 });
    assert.ok(words.every((word, index) => word === index));
  });

  it("holds on to a WebAssembly.Memory that grows", () => {
    const memory = wasm(false);
    const binding = bind(memory, { node: 0 });
    memory.grow(1);
    assert.equal(binding.placement().bytes + binding.placement().edgeBytes, 2 * MIB + 65536);
    binding.release();
  });

  it("is undone where a buffer was transferred to, and where memory was that has grown", () => {
    const before = boundPages(/^bind/);
    const buffer = new ArrayBuffer(MIB);
    const binding = bind(buffer, { node: 0 });
    const clone = structuredClone(buffer, { transfer: [buffer] });
    throwsCode(() => binding.placement(), "EINVAL");
    binding.release();
    assert.equal(boundPages(/^bind/), before);
    assert.equal(clone.byteLength, MIB);
    const memory = wasm(true);
    const grown = bind(memory, { node: 0 });
    memory.grow(8);
    grown.release();
    assert.equal(boundPages(/^bind/), before);
    const resizable = new ArrayBuffer(2 * MIB, { maxByteLength: 4 * MIB });
    const resized = bind(resizable, { node: 0 });
    (resizable as ArrayBuffer & { resize(bytes: number): void }).resize(MIB);
    resized.release();
    assert.equal(boundPages(/^bind/), before);
  });

  it("leaves the policy alone that stands when it cannot be had", () => {
    const buffer = new SharedArrayBuffer(MIB);
    using _binding = bind(buffer, { node: 0 });
    const before = boundPages(/^bind/);
    assert.throws(() => bind(buffer, { node: 64 }), NumaError);
    assert.throws(() => interleave(buffer, { nodes: [0, 64] }), NumaError);
    assert.throws(() => bind(buffer, { node: 1023 }), NumaError);
    assert.equal(boundPages(/^bind/), before);
  });

  it("refuses what is no memory, and what has no whole page", () => {
    // Its prototype says that it is a buffer.
    const ALIEN = new Proxy(new ArrayBuffer(MIB), {});
    for (
      const wrong of [null, undefined, 1, "x", {}, [], new Map(), { buffer: 1 }, 2n ** 64n, ALIEN]
    ) {
      throwsCode(
        () => bind(wrong as unknown as OwnedMemory, { node: 0 }),
        "EINVAL",
        /is no memory/,
      );
    }
    const gone = new ArrayBuffer(MIB);
    structuredClone(gone, { transfer: [gone] });
    throwsCode(() => bind(gone, { node: 0 }), "EINVAL");
    for (const bytes of [1, 100, 4095]) {
      throwsCode(() => bind(new ArrayBuffer(bytes), { node: 0 }), "EINVAL", /no whole page/);
    }
    throwsCode(() => bind(new ArrayBuffer(0), { node: 0 }), "EINVAL");
  });

  it("refuses nodes and options that are none, and leaves no policy behind", () => {
    const buffer = new SharedArrayBuffer(MIB);
    const before = boundPages(/^bind/);
    for (const node of [-1, 0.5, NaN, 1024, 2 ** 53, "0", null, undefined, {}, 0n]) {
      throwsCode(() => bind(buffer, { node: node as number }), "EINVAL");
      throwsCode(() => migrate(buffer, { node: node as number }), "EINVAL");
    }
    for (const node of [64, 1023]) {
      assert.throws(() => bind(buffer, { node }), NumaError);
      assert.throws(() => migrate(buffer, { node }), NumaError);
    }
    for (const options of [null, undefined, 1, "x"]) {
      throwsCode(() => bind(buffer, options as unknown as BindOptions), "EINVAL");
    }
    throwsCode(() => bind(buffer, { node: 0, huge: 1 } as unknown as BindOptions), "EINVAL");
    // Fewer when what an earlier test gave away is collected meanwhile.
    assert.ok(boundPages(/^bind/) <= before);
  });
});

describe("interleave", () => {
  it("gives the kernel the policy, and undoes it", () => {
    const buffer = new SharedArrayBuffer(MIB);
    const before = boundPages(/^interleave/);
    {
      using binding: Binding<SharedArrayBuffer> = interleave(buffer, { nodes: [0], weights: [3] });
      assert.equal(binding.buffer, buffer);
      assert.ok(boundPages(/^interleave/) > before);
      assert.equal(binding.placement().absent, 0);
    }
    assert.equal(boundPages(/^interleave/), before);
  });

  it("refuses nodes and weights that are none", () => {
    const buffer = new SharedArrayBuffer(MIB);
    const wrong = [
      ...[null, undefined, 1, {}, { nodes: [] }, { nodes: 0 }, { nodes: [0, 0] }],
      ...[{ nodes: ["0"] }, { nodes: [-1] }, { nodes: [0], weights: [] }],
      ...[{ nodes: [0], weights: [0] }, { nodes: [0], weights: [1001] }],
      ...[{ nodes: [0], weights: [NaN] }, { nodes: [0], weights: 1 }, {
        nodes: [0],
        weights: [1, 1],
      }],
    ];
    for (const options of wrong) {
      throwsCode(() => interleave(buffer, options as InterleaveOptions), "EINVAL");
    }
  });
});

describe("bindings that overlap", () => {
  const policies = () => [boundPages(/^bind/), boundPages(/^interleave/)];

  it("stand until they end, the newest first", () => {
    const buffer = new SharedArrayBuffer(MIB);
    const [bound = 0, spread = 0] = policies();
    {
      using _outer = bind(buffer, { node: 0 });
      const [outer = 0] = policies();
      assert.ok(outer > bound);
      {
        using _inner = interleave(buffer, { nodes: [0] });
        assert.deepEqual(policies(), [bound, spread + 1]);
      }
      assert.deepEqual(policies(), [outer, spread], "the outer one stands again");
    }
    assert.deepEqual(policies(), [bound, spread]);
  });

  it("end in any order, and an older one changes nothing that it does not stand for", () => {
    const buffer = new SharedArrayBuffer(MIB);
    const before = policies();
    const older = bind(buffer, { node: 0 });
    const newer = interleave(new Uint8Array(buffer, 0, MIB / 2), { nodes: [0] });
    older.release();
    assert.deepEqual(policies(), [before[0], (before[1] ?? 0) + 1]);
    newer.release();
    assert.deepEqual(policies(), before);
  });

  it("of several threads leave nothing behind", async () => {
    const before = policies();
    const buffer = new SharedArrayBuffer(MIB);
    const control = new Int32Array(new SharedArrayBuffer(8));
    const module = sibling(import.meta.url, "../workers/changing");
    const threads = [1, 2].map(() =>
      launch<number>(module, { args: { task: "bind", control, buffer } })
    );
    while (Atomics.load(control, 0) < threads.length) await sleep(1);
    await sleep(300);
    Atomics.store(control, 1, 1);
    const rounds = await Promise.all(threads.map((thread) => thread.join()));
    assert.ok(rounds.every((count) => count > 0), `${rounds} rounds`);
    assert.deepEqual(policies(), before);
  });

  it("keep their policy when they are collected, and debug mode tells", () => {
    const module = sibling(import.meta.url, "../modules/leak_binding");
    const { status, stdout, stderr } = runModule(module, { env: { NUMAKIT_DEBUG: "1" } });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, "true 1n\n0n true 1048576\n");
    assert.match(
      stderr,
      /numakit: a binding of .* to nodes 0 was collected and never released: .*; it was created\n.*forget/,
    );
  });
});

describe("memory of an arena", () => {
  it("keeps the arena's own policy", () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const before = boundPages(/^bind/);
    const views = [
      arena.bytes,
      arena.allocFloat64(2 ** 14),
      arena.bytes.buffer,
      new DataView(arena.bytes.buffer, 4096),
    ];
    for (const view of views) {
      throwsCode(() => bind(view, { node: 0 }), "ENOTSUP", /belongs to an arena.*Make an arena/);
      throwsCode(() => bind(view, { node: 0, huge: true }), "ENOTSUP", /belongs to an arena/);
      throwsCode(() => interleave(view, { nodes: [0] }), "ENOTSUP", /belongs to an arena/);
      // A machine with one node has no other one to move it to; tests/numa has.
      assert.throws(
        () => migrate(view, { node: 1 }),
        ({ code }: NumaError) => code === "ENOTSUP" || code === "ENODEV",
      );
    }
    assert.equal(boundPages(/^bind/), before);
    const { nodes, pageNodes } = migrate(arena.bytes, { node: 0 });
    assert.deepEqual([...nodes], [[0, pageNodes.length]], "back to its own node it may be moved");
  });
});

describe("sharedBuffer", () => {
  it("is on its node from the first byte", () => {
    using shared = sharedBuffer({ node: 0, size: "2 MiB", huge: true });
    assert.ok(shared.buffer instanceof SharedArrayBuffer);
    assert.equal(shared.buffer.byteLength, 2 * MIB);
    const { absent, nodes, pageNodes } = shared.placement();
    assert.equal(absent, 0);
    assert.deepEqual([...nodes], [[0, pageNodes.length]]);
    assert.ok(new Uint8Array(shared.buffer).every((byte) => byte === 0));
  });

  it("refuses sizes that cannot be had", () => {
    for (const size of [0, -1, NaN, "x", null]) {
      throwsCode(() => sharedBuffer({ node: 0, size: size as number }), "EINVAL");
    }
    throwsCode(() => sharedBuffer({ node: 0, size: 2 ** 52 }), "ENOMEM", /refused/);
    throwsCode(() => sharedBuffer(null as unknown as SharedBufferOptions), "EINVAL");
  });
});

describe("placement", () => {
  it("tells of any part of any buffer", () => {
    const buffer = new SharedArrayBuffer(MIB);
    fc.assert(fc.property(
      fc.integer({ min: 0, max: MIB }),
      fc.integer({ min: 0, max: MIB }),
      (start, length) => {
        const view = new Uint8Array(buffer, start, Math.min(length, MIB - start));
        let told;
        try {
          told = placement(view);
        } catch (error) {
          assert.ok(error instanceof NumaError && error.code === "EINVAL");
          assert.ok(view.length < 2 * 4096);
          return;
        }
        const { offset, bytes, edgeBytes, pageBytes, pageNodes } = told;
        assert.equal(bytes + edgeBytes, view.length);
        assert.ok(offset < pageBytes && edgeBytes < 2 * pageBytes);
        assert.equal(pageNodes.length, bytes / pageBytes);
      },
    ));
  });
});
