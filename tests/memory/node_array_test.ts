import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Arena, currentNode, type Handle, launch } from "../../mod.ts";
import { type NodeArrayElementType } from "../../lib/memory/spread/elements.ts";
import { NodeArray, type NodeArrayOptions } from "../../lib/memory/spread/node_array.ts";
import { Partition } from "../../lib/memory/spread/partition.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { liveMappings } from "../support/mappings.ts";
import type { Report } from "../workers/node_array.ts";

const TYPES: Record<NodeArrayElementType, number> = {
  int8: 1,
  uint8: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  float32: 4,
  float64: 8,
  bigint64: 8,
  biguint64: 8,
};

const place = (partition: Partition, index: number): [number, number] => {
  const block = partition.blockOf(index);
  return [block % partition.parts, partition.offsetIn(index, block)];
};

describe("a partition", () => {
  it("deals blocks out in turn, as its picture has it", () => {
    const partition = new Partition(10, 2, 3, "test");
    const places = Array.from({ length: 10 }, (_, index) => place(partition, index));
    assert.deepEqual(places.map(([part]) => part).join(""), "0001110001");
    assert.deepEqual(places.map(([, offset]) => offset).join(""), "0120123453");
    assert.deepEqual([partition.lengthOf(0), partition.lengthOf(1)], [6, 4]);
  });

  it("gives each index a place of its own, and finds it again from there", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 70 }),
        (length, parts, block) => {
          const partition = new Partition(length, parts, block, "test");
          const counts = new Array<number>(parts).fill(0);
          for (let index = 0; index < length; index++) {
            const [part, offset] = place(partition, index);
            // In the order of the indices, without a gap.
            assert.equal(offset, counts[part]);
            (counts[part] as number)++;
            assert.equal(partition.indexOf(part, offset), index);
          }
          assert.deepEqual(counts, counts.map((_, part) => partition.lengthOf(part)));
          for (let index = length; index < length + 2 * block * parts; index++) {
            const [part, offset] = place(partition, index);
            assert.ok(offset >= partition.lengthOf(part), "beyond the length is beyond the part");
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it("is exact for the largest lengths", () => {
    for (const block of [1, 3, 512, 2 ** 31, 2 ** 40 + 1, 999_999_999_989]) {
      for (const parts of [1, 3, 8, 1024]) {
        const length = 2 ** 52;
        const partition = new Partition(length, parts, block, "test");
        for (
          const index of [0, block - 1, block, 2 ** 32 - 1, 2 ** 32, length - block, length - 1]
        ) {
          const [part, offset] = place(partition, index);
          assert.equal(partition.indexOf(part, offset), index);
          assert.ok(offset < partition.lengthOf(part));
        }
        let sum = 0n;
        for (let part = 0; part < parts; part++) sum += BigInt(partition.lengthOf(part));
        assert.equal(sum, BigInt(length));
      }
    }
  });
});

describe("NodeArray.create", () => {
  it("makes every type of array, zeroed, on its node", () => {
    for (const [type, bytes] of Object.entries(TYPES) as [NodeArrayElementType, number][]) {
      using array = NodeArray.create({ type, length: 5000 });
      assert.deepEqual([array.type, array.length], [type, 5000]);
      const parts = array.partitions();
      assert.equal(parts.reduce((sum, { view }) => sum + view.length, 0), 5000);
      for (const { part, node, view } of parts) {
        assert.equal(node, array.nodes[part]);
        assert.equal(view.BYTES_PER_ELEMENT, bytes);
        assert.equal(view.constructor.name.toLowerCase(), `${type}array`);
      }
      const one = (type.startsWith("big") ? 1n : 1) as never;
      assert.equal(Number(array.get(4999)), 0);
      array.set(4999, one);
      assert.equal(array.get(4999), one);
      for (const [node, { nodes, pages, absent }] of array.residency()) {
        assert.deepEqual([[...nodes], absent], [[[node, pages]], 0]);
      }
    }
  });

  it("deals out 4 KiB at a time when cyclic, or what is asked for", () => {
    using pages = NodeArray.create({ type: "int16", length: 10_000, layout: "cyclic" });
    assert.equal(pages.block, 2048);
    using blocks = NodeArray.create({ type: "int16", length: 10, layout: "cyclic", block: 3 });
    assert.equal(blocks.block, 3);
    using blocked = NodeArray.create({ type: "int16", length: 10, nodes: [0] });
    assert.equal(blocked.block, 10);
  });

  it("refuses what cannot be", () => {
    const live = liveMappings();
    const good = { type: "float64", length: 10 };
    const wrong: unknown[] = [
      null,
      undefined,
      1,
      {},
      { ...good, type: "float16" },
      { ...good, type: "constructor" },
      { ...good, type: null },
      ...[0, -1, 1.5, NaN, 2 ** 53, "10", null, 10n].map((length) => ({ ...good, length })),
      ...[[], [0, 0], [-1], [1024], ["0"], [0.5], 0, "0", null].map((nodes) => ({
        ...good,
        nodes,
      })),
      ...["", "block", null, 1].map((layout) => ({ ...good, layout })),
      ...[0, -1, 1.5, NaN, "4", null].map((block) => ({ ...good, layout: "cyclic", block })),
      { ...good, block: 4 },
      { ...good, pages: "8k" },
    ];
    for (const options of wrong) {
      throwsCode(() => NodeArray.create(options as NodeArrayOptions), "EINVAL");
    }
    throwsCode(() => NodeArray.create({ type: "int8", length: 8, nodes: [0, 900] }), "ENODEV");
    assert.equal(liveMappings(), live, "all or nothing");
  });
});

describe("an array over nodes", () => {
  it("reads and writes by index, and tells where each element is", () => {
    for (const layout of ["blocked", "cyclic"] as const) {
      using array = NodeArray.create({ type: "float64", length: 3000, layout });
      for (let index = 0; index < array.length; index++) array.set(index, index / 2);
      for (let index = 0; index < array.length; index += 7) {
        const { part, node, offset } = array.partitionOf(index);
        assert.deepEqual(
          [array.partOf(index), array.nodeOf(index), array.offsetOf(index)],
          [part, node, offset],
        );
        assert.equal(array.partitions()[part]?.view[offset], index / 2);
        assert.equal(array.globalIndexOf(part, offset), index);
        assert.equal(array.get(index), index / 2);
      }
    }
  });

  it("refuses indices and values that are none", () => {
    using array = NodeArray.create({ type: "int32", length: 10 });
    using big = NodeArray.create({ type: "bigint64", length: 10 });
    const indices = [-1, 10, 11, 1e6, 0.5, NaN, Infinity, -Infinity, 2 ** 32, 2 ** 53, "1", null];
    for (const index of [...indices, undefined, {}, 1n, [1], true] as number[]) {
      throwsCode(() => array.get(index), "EINVAL", /from 0 to 9/);
      throwsCode(() => array.set(index, 1), "EINVAL", /from 0 to 9/);
      throwsCode(() => array.partitionOf(index), "EINVAL");
      throwsCode(() => array.partOf(index), "EINVAL");
      throwsCode(() => array.nodeOf(index), "EINVAL");
      throwsCode(() => array.offsetOf(index), "EINVAL");
      throwsCode(() => array.globalIndexOf(0, index), "EINVAL");
      throwsCode(() => array.globalIndexOf(index === 0 ? -1 : index, 0), "EINVAL");
    }
    for (const value of [1n, "1", null, undefined, {}, true] as never[]) {
      throwsCode(() => array.set(0, value), "EINVAL", /Give a number/);
      throwsCode(() => array.fill(value), "EINVAL");
    }
    for (const value of [1, "1", null, undefined] as never[]) {
      throwsCode(() => big.set(0, value), "EINVAL", /Give a bigint/);
      throwsCode(() => big.fill(value), "EINVAL");
    }
    assert.equal(array.toTypedArray().every((value) => value === 0), true);
  });

  it("is filled, copied into and copied out", () => {
    for (const block of [undefined, 1, 7, 64]) {
      const layout = block === undefined ? "blocked" : "cyclic";
      using array = NodeArray.create({ type: "uint16", length: 1000, layout, block });
      const numbers = Uint16Array.from({ length: 1000 }, (_, index) => index);
      array.copyFrom(numbers);
      assert.deepEqual(array.toTypedArray(), numbers);
      assert.equal(array.get(999), 999);
      array.copyFrom(Float64Array.of(7, 8, 9), 500);
      numbers.set([7, 8, 9], 500);
      assert.deepEqual(array.toTypedArray(), numbers);
      array.copyFrom(new Uint16Array(0), 1000);
      array.fill(3);
      assert.equal(array.toTypedArray().every((value) => value === 3), true);
      for (const source of [null, [1], new DataView(new ArrayBuffer(2)), BigInt64Array.of(1n)]) {
        throwsCode(() => array.copyFrom(source as never), "EINVAL");
      }
      throwsCode(() => array.copyFrom(new Uint8Array(1001)), "EINVAL");
      for (const start of [-1, 999.5, 1000, NaN, "0"]) {
        throwsCode(() => array.copyFrom(new Uint8Array(1), start as number), "EINVAL");
      }
    }
  });

  it("has a nearest part", () => {
    using array = NodeArray.create({ type: "int8", length: 100 });
    const { node, part, view } = array.local();
    if (array.nodes.includes(currentNode())) assert.equal(node, currentNode());
    assert.equal(array.partitions()[part]?.view, view);
  });

  it("is gone after destroy", () => {
    const live = liveMappings();
    const array = NodeArray.create({ type: "int8", length: 100 });
    const { view } = array.local();
    array.destroy();
    array.destroy();
    array[Symbol.dispose]();
    assert.equal(view.length, 0);
    assert.equal(array.destroyed, true);
    const uses = [
      () => array.get(0),
      () => array.set(0, 1),
      () => array.partitions(),
      () => array.local(),
      () => array.fill(1),
      () => array.copyFrom(new Int8Array(1)),
      () => array.toTypedArray(),
      () => array.residency(),
      () => array.toHandle(),
    ];
    for (const use of uses) throwsCode(use, "EDESTROYED");
    throwsCode(() => array.get(100), "EINVAL");
    assert.equal(array.nodeOf(99), array.nodes.at(-1), "arithmetic needs no memory");
    assert.match(String(array), /^NodeArray\(100 int8 on nodes 0.*, destroyed\)$/);
    assert.equal(liveMappings(), live);
  });
});

describe("handles of arrays over nodes", () => {
  it("give the same object in one thread, and arrive alive in others", async () => {
    using array = NodeArray.create({ type: "float64", length: 1000, layout: "cyclic", block: 100 });
    const handle = array.toHandle();
    assert.equal(NodeArray.fromHandle(structuredClone(handle)), array);
    array.fill(-1);
    const thread = launch<Report>(sibling(import.meta.url, "../workers/node_array"), {
      args: { array, handle: JSON.stringify(handle) },
    });
    const { node, part, same } = await thread.join();
    assert.equal(same, true);
    assert.equal(array.partitions()[part]?.view.every((value) => value === node), true);
  });

  it("are refused when stale or forged", () => {
    using array = NodeArray.create({ type: "float64", length: 1000, nodes: [0] });
    using small = Arena.create({ node: 0, size: 4096 });
    using same = NodeArray.create({ type: "float64", length: 1001, nodes: [0] });
    const handle = array.toHandle();
    const data = handle.data as Record<string, unknown> & { parts: Handle[] };
    const wrong: unknown[] = [
      null,
      { ...data, type: "float128" },
      { ...data, type: undefined },
      ...[0, -1, 1.5, "1000", 1025, 2 ** 50, 2 ** 60].map((length) => ({ ...data, length })),
      ...[0, -1, 1.5, "1", null].map((block) => ({ ...data, block })),
      { ...data, parts: [] },
      { ...data, parts: null },
      { ...data, parts: [null] },
      { ...data, parts: [handle] },
      { ...data, parts: [...data.parts, ...data.parts] },
      { ...data, parts: [small.toHandle()] },
      { ...data, parts: new Array(1) },
      { ...data, length: 999, block: 999 },
      ...[1, 999, 1001].map((length) => ({ ...data, length })),
      ...[1, 999, 1001, 2 ** 32].map((block) => ({ ...data, block })),
      ...["int32", "bigint64"].map((type) => ({ ...data, type })),
      // Another view of the same bytes.
      { ...data, type: "uint8", length: 8000, block: 8000 },
      { ...data, parts: [same.toHandle().data].map((other) => (other as typeof data).parts[0]) },
      { ...data, parts: new Array(1025).fill(data.parts[0]) },
    ];
    for (const forged of wrong) {
      throwsCode(
        () => NodeArray.fromHandle({ numakitHandle: "nodeArray", data: forged }),
        "EINVAL",
      );
    }
    for (const forged of [null, 1, {}, data.parts[0], { numakitHandle: "nodeArray" }]) {
      throwsCode(() => NodeArray.fromHandle(forged as Handle), "EINVAL");
    }
    assert.equal(NodeArray.fromHandle(handle), array, "nothing came into its place");
    array.destroy();
    throwsCode(() => NodeArray.fromHandle(handle), "ESTALE");
  });

  it("are refused when forged also by threads that have not seen the array", async () => {
    using array = NodeArray.create({ type: "float64", length: 1000, nodes: [0] });
    const { data } = array.toHandle() as { data: Record<string, unknown> };
    const forge = (parts: object): Handle => ({
      numakitHandle: "nodeArray",
      data: { ...data, ...parts },
    });
    const module = "data:text/javascript,export default ({ array: { length } }) => length";
    for (
      const parts of [{ length: 999 }, { block: 1 }, { type: "int8" }, { parts: new Array(1) }]
    ) {
      const thread = launch<number>(module, { args: { array: forge(parts) } });
      await rejectsCode(thread.join(), "EINVAL");
    }
    assert.equal(await launch(module, { args: { array: forge({}) } }).join(), 1000);
  });
});
