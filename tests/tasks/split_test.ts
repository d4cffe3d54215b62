import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Partition } from "../../lib/memory/spread/partition.ts";
import { type Cut, Split } from "../../lib/tasks/loops/split.ts";

/** A grain, or several: its part, its slot, its indices. */
interface Found {
  readonly part: number;
  readonly slot: number;
  readonly indices: readonly number[];
}

/** All grains, so many at a time. */
function walk(cut: Cut, count = 1): Found[] {
  const split = new Split(cut);
  const all: Found[] = [];
  for (let part = 0; part < cut.parts; part++) {
    const grains = split.grainsOf(part);
    for (let grain = 0; grain < grains;) {
      const found = split.locate(part, grain, Math.min(count, grains - grain));
      assert.ok(found >= 1 && found <= count);
      const indices: number[] = [];
      for (let turn = split.from; turn < split.to; turn++) {
        indices.push(cut.begin + turn * cut.step);
      }
      all.push({ part, slot: split.slot, indices });
      grain += found;
    }
  }
  return all;
}

const CUTS = fc.record({
  begin: fc.integer({ min: -50, max: 50 }),
  length: fc.integer({ min: 1, max: 200 }),
  step: fc.integer({ min: 1, max: 9 }),
  before: fc.integer({ min: 0, max: 60 }),
  block: fc.integer({ min: 1, max: 70 }),
  parts: fc.integer({ min: 1, max: 5 }),
  grain: fc.integer({ min: 1, max: 20 }),
}).map(({ begin, length, step, before, ...rest }): Cut => ({
  ...rest,
  ...{ begin, end: begin + length, step, origin: begin - before },
}));

describe("a range that is cut", () => {
  it("is cut as its picture has it", () => {
    const cut = { begin: 2, end: 17, step: 1, origin: 0, block: 6, parts: 2, grain: 4 };
    assert.deepEqual(walk(cut), [
      { part: 0, slot: 0, indices: [2, 3, 4, 5] },
      { part: 0, slot: 1, indices: [] },
      { part: 0, slot: 4, indices: [12, 13, 14, 15] },
      { part: 0, slot: 5, indices: [16] },
      { part: 1, slot: 2, indices: [6, 7, 8, 9] },
      { part: 1, slot: 3, indices: [10, 11] },
    ]);
  });

  it("has every index in one grain, and grains in the order of their slots", () => {
    fc.assert(
      fc.property(CUTS, fc.integer({ min: 1, max: 7 }), (cut, count) => {
        const expected: number[] = [];
        for (let index = cut.begin; index < cut.end; index += cut.step) expected.push(index);
        const found = walk(cut, count).toSorted((a, b) => a.slot - b.slot);
        assert.deepEqual(found.flatMap(({ indices }) => indices), expected);
        for (const { indices } of found) assert.ok(indices.length <= cut.grain * count);
        const slots = walk(cut).map(({ slot }) => slot).toSorted((a, b) => a - b);
        assert.deepEqual(slots, Array.from({ length: new Split(cut).slots }, (_, slot) => slot));
      }),
      { numRuns: 500 },
    );
  });

  it("has each index in the part that an array over nodes has it in", () => {
    fc.assert(
      fc.property(CUTS, (cut) => {
        const { begin, end, origin, block, parts } = cut;
        const partition = new Partition(end - origin, parts, block, "test");
        assert.ok(begin >= origin);
        for (const { part, indices } of walk(cut)) {
          for (const index of indices) {
            assert.equal(partition.blockOf(index - origin) % parts, part);
          }
        }
      }),
    );
  });

  it("is exact where numbers are large", () => {
    const end = Number.MAX_SAFE_INTEGER;
    const begin = end - 2 ** 52;
    const cut = { begin, end, step: 3, origin: begin, block: 2 ** 52, parts: 1, grain: 2 ** 33 };
    const split = new Split(cut);
    const last = split.grainsOf(0) - 1;
    assert.equal(split.turns, Math.ceil(2 ** 52 / 3));
    split.locate(0, last, 1);
    assert.equal(split.to, split.turns);
    assert.equal(split.from, last * 2 ** 33);
    assert.ok(begin + (split.to - 1) * 3 < end && begin + split.to * 3 >= end);
  });
});
