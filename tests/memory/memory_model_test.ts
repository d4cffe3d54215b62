import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Arena, currentNode, NodeArray, NodePool, Slab, topology } from "../../mod.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { ArenaModel, arenaStep } from "../support/arena_model.ts";
import { ArrayModel, arrayShape, arrayStep } from "../support/array_model.ts";
import { PoolModel, poolStep, SlabModel, slabStep } from "../support/object_models.ts";

/** Always the same, so that a failure is there the next time, too. */
const SEED = 20_260;
const NODE = topology().nodes.find(({ totalBytes }) => totalBytes > 0)?.id ?? 0;

describe("an arena agrees with plain memory and two numbers", () => {
  const steps = fc.array(arenaStep, { maxLength: 80, size: "max" });
  const bytes = fc.integer({ min: 1, max: 2 ** 20 });

  for (const pages of ["4k", "thp"] as const) {
    it(`whatever is asked of it, in order: ${pages} pages`, () => {
      fc.assert(
        fc.property(bytes, bytes, steps, (size, more, steps) => {
          using arena = Arena.create({
            ...{ node: NODE, size, reserve: size + more * 4, pages: [pages, "4k"] },
          });
          const model = new ArenaModel(arena);
          for (const step of steps) model.step(step);
          model.finish();
        }),
        { seed: SEED, numRuns: 60 },
      );
    });
  }

  it("with a name, too, which keeps it from growing, and opened anew", () => {
    fc.assert(
      fc.property(bytes, steps, (size, steps) => {
        const name = `model-${process.pid}`;
        using arena = Arena.create({ node: NODE, size, name });
        const model = new ArenaModel(arena, { fixed: true });
        for (const step of steps) {
          assert.equal(Arena.open(name), arena);
          model.step(step);
        }
        model.finish();
      }),
      { seed: SEED, numRuns: 40 },
    );
  });

  it("and is called what it was called, as far as 63 bytes go", () => {
    const character = fc.constantFrom("a", "0", " ", "\0", "é", "節", "節", "点", "🦆");
    const label = fc.string({ unit: character, minLength: 1, maxLength: 40, size: "max" })
      .filter(({ length }) => length <= 40);
    fc.assert(
      fc.property(label, (label) => {
        using arena = Arena.create({ node: NODE, size: 1, label });
        let whole = "";
        for (const character of label.split("\0")[0] ?? "") {
          if (new TextEncoder().encode(whole + character).length > 63) break;
          whole += character;
        }
        assert.equal(arena.label, whole);
      }),
      { seed: SEED, numRuns: 200 },
    );
  });
});

describe("a slab agrees with a set and plain memory", () => {
  it("whatever is asked of it, in order", () => {
    const count = fc.integer({ min: 1, max: 300 });
    const size = fc.integer({ min: 1, max: 300 });
    const steps = fc.array(slabStep, { maxLength: 400, size: "max" });
    fc.assert(
      fc.property(count, size, steps, (count, objectSize, steps) => {
        using slab = Slab.create({ node: NODE, objectSize, count });
        using other = Slab.create({ node: NODE, objectSize, count });
        const foreign = Array.from({ length: count }, () => other.alloc());
        const model = new SlabModel(slab, foreign);
        for (const step of steps) model.step(step);
        model.finish();
        assert.equal(other.used, count);
      }),
      { seed: SEED, numRuns: 80 },
    );
  });
});

describe("a node pool agrees with counts by class and plain memory", () => {
  it("whatever is asked of it, in order", () => {
    // Where there are several nodes, alloc() has to be of one.
    const before = threadAffinity();
    pinThread(topology().cpusOfNode(currentNode()));
    try {
      const bytes = fc.integer({ min: 2 ** 17, max: 2 ** 20 });
      const steps = fc.array(poolStep, { maxLength: 300, size: "max" });
      fc.assert(
        fc.property(bytes, steps, (bytesPerNode, steps) => {
          using pool = NodePool.create({ bytesPerNode });
          using other = NodePool.create({ bytesPerNode });
          const foreign = Array.from({ length: 50 }, () => other.alloc(100));
          const model = new PoolModel(pool, bytesPerNode, currentNode(), foreign);
          for (const step of steps) model.step(step);
          model.finish();
        }),
        { seed: SEED, numRuns: 60 },
      );
    } finally {
      pinThread(before);
    }
  });
});

describe("a node pool of the smallest objects", () => {
  it("has one for every 32 bytes", () => {
    using pool = NodePool.create({ nodes: [NODE], bytesPerNode: "128 KiB" });
    const ids = new Set<number>();
    for (let id = pool.tryAlloc(1); id >= 0; id = pool.tryAlloc(1)) ids.add(id);
    assert.equal(ids.size, 4096);
    assert.equal(pool.usage()[0]?.allocatedBytes, 65536);
  });
});

describe("an array over nodes agrees with an ordinary one", () => {
  it("whatever is asked of it, in order", () => {
    const steps = fc.array(arrayStep, { maxLength: 40, size: "max" });
    fc.assert(
      fc.property(arrayShape, steps, (shape, steps) => {
        const { layout, block, ...rest } = shape;
        using array = NodeArray.create(
          layout === "cyclic" ? { ...rest, layout, block } : { ...rest, layout },
        );
        const model = new ArrayModel(array, shape);
        for (const step of steps) model.step(step);
        model.finish();
      }),
      { seed: SEED, numRuns: 100 },
    );
  });
});
