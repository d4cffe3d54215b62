import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { NumaError } from "../../lib/base/error.ts";
import { CpuSet } from "../../lib/topology/cpu_set.ts";

function isInvalid(error: unknown): boolean {
  return error instanceof NumaError && error.code === "EINVAL";
}

function ascending(ids: Iterable<number>): number[] {
  return [...new Set(ids)].sort((a, b) => a - b);
}

// Runs and single ids, low and high: random ids alone would hardly ever touch each other.
const someIds = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 200 }).map((id) => [id]),
    fc.integer({ min: 0, max: 65_535 }).map((id) => [id]),
    fc.tuple(fc.integer({ min: 0, max: 400 }), fc.integer({ min: 1, max: 130 }))
      .map(([start, length]) => Array.from({ length }, (_, i) => start + i)),
  ),
  { maxLength: 12 },
).map((parts) => parts.flat());

describe("CpuSet.parse", () => {
  const cases: [string, string][] = [
    ["", ""],
    ["\n", ""],
    ["0", "0"],
    ["0-3,8", "0-3,8"],
    ["0-3,8\n", "0-3,8"],
    [" 1 , 3-4 ", "1,3-4"],
    ["8,0-3", "0-3,8"],
    ["0-3,4-7", "0-7"],
    ["0-5,2-3", "0-5"],
    ["3,3,3", "3"],
    ["007", "7"],
    ["0-31:2/8", "0-1,8-9,16-17,24-25"],
    ["0-31:2/4", "0-1,4-5,8-9,12-13,16-17,20-21,24-25,28-29"],
    ["0-1023:2/256", "0-1,256-257,512-513,768-769"],
    ["0-4:3/4", "0-2,4"],
    ["0-7:4/4", "0-7"],
    ["0-65535", "0-65535"],
    ["65535", "65535"],
  ];
  for (const [text, canonical] of cases) {
    it(`reads ${JSON.stringify(text)}`, () => {
      const set = CpuSet.parse(text);
      assert.equal(set.toString(), canonical);
      assert.equal(JSON.stringify({ set }), JSON.stringify({ set: canonical }));
      assert.deepEqual(set, CpuSet.from([...set]));
    });
  }

  const refused = [
    "-",
    "-1",
    "0-",
    "3-1",
    "a",
    "1,,2",
    ",",
    "1,",
    "1 2",
    "0x3",
    "1.5",
    "1e3",
    "65536",
    "0-65536",
    "9".repeat(400),
    "0-3:2",
    "0-3:2/",
    "0:1/2",
    "0-3:0/2",
    "0-3:3/2",
    "0-3:1/0",
    "all",
    "N",
    "0-N",
  ];
  for (const text of refused) {
    it(`refuses ${JSON.stringify(text.slice(0, 20))}`, () => {
      assert.throws(() => CpuSet.parse(text), isInvalid);
    });
  }

  it("refuses what is not a string", () => {
    for (const value of [undefined, null, 3, [0, 1], {}, CpuSet.of(1), Symbol("x")]) {
      assert.throws(() => CpuSet.parse(value as string), isInvalid);
    }
  });

  it("reads every set's own text", () => {
    fc.assert(fc.property(someIds, (ids) => {
      const set = CpuSet.from(ids);
      assert.deepEqual([...CpuSet.parse(set.toString())], ascending(ids));
    }));
  });

  it("never fails with anything but EINVAL", () => {
    const noise = fc.string({
      unit: fc.constantFrom(..."0123456789,-:/ \n"),
      maxLength: 12,
    });
    fc.assert(fc.property(noise, (text) => {
      try {
        CpuSet.parse(text);
      } catch (error) {
        assert.ok(isInvalid(error), String(error));
      }
    }));
  });
});

describe("CpuSet", () => {
  it("is made of ids, of an iterable, of a range", () => {
    assert.equal(CpuSet.of(9, 1, 2, 1).text, "1-2,9");
    assert.equal(CpuSet.from(new Set([5, 4])).text, "4-5");
    assert.equal(CpuSet.range(4, 7).text, "4-7");
    assert.equal(CpuSet.range(65_535, 65_535).text, "65535");
    assert.equal(CpuSet.of().text, "");
    const set = CpuSet.of(1);
    assert.equal(CpuSet.from(set), set);
  });

  it("refuses ids that cannot be", () => {
    for (const id of [-1, 0.5, NaN, Infinity, 65_536, "1", 1n, null, undefined]) {
      assert.throws(() => CpuSet.of(id as number), isInvalid);
    }
    for (const ids of [undefined, null, 5, "0-3", {}]) {
      assert.throws(() => CpuSet.from(ids as Iterable<number>), isInvalid);
    }
    for (const [first, last] of [[-1, 2], [3, 2], [0, 65_536], [0.5, 2]] as const) {
      assert.throws(() => CpuSet.range(first, last), isInvalid);
    }
  });

  it("agrees with a set of numbers", () => {
    fc.assert(fc.property(someIds, (ids) => {
      const set = CpuSet.from(ids);
      const model = ascending(ids);
      assert.deepEqual([...set], model);
      assert.equal(set.size, model.length);
      assert.equal(set.first, model[0]);
      assert.equal(set.last, model.at(-1));
      for (const id of [0, ...ids, ...ids.map((one) => one + 1), 65_535]) {
        assert.equal(set.has(id), model.includes(id));
      }
    }));
  });

  it("has the algebra of sets", () => {
    fc.assert(fc.property(someIds, someIds, (left, right) => {
      const [a, b] = [CpuSet.from(left), CpuSet.from(right)];
      const [here, there] = [new Set(left), new Set(right)];
      assert.deepEqual([...a.union(b)], ascending([...here, ...there]));
      assert.deepEqual([...a.intersection(b)], ascending(left.filter((id) => there.has(id))));
      assert.deepEqual([...a.difference(b)], ascending(left.filter((id) => !there.has(id))));
      assert.equal(a.isSubsetOf(b), left.every((id) => there.has(id)));
      assert.equal(a.equals(b), a.isSubsetOf(b) && b.isSubsetOf(a));
      assert.ok(a.intersection(b).isSubsetOf(a) && a.isSubsetOf(a.union(b)));
      assert.ok(a.difference(b).union(a.intersection(b)).equals(a));
    }));
  });

  it("refuses others that are not sets", () => {
    const set = CpuSet.of(1);
    for (const other of [undefined, null, "1", [1], new Set([1]), { size: 1, text: "1" }]) {
      assert.throws(() => set.union(other as CpuSet), isInvalid);
      assert.throws(() => set.intersection(other as CpuSet), isInvalid);
      assert.throws(() => set.difference(other as CpuSet), isInvalid);
      assert.throws(() => set.isSubsetOf(other as CpuSet), isInvalid);
      assert.equal(set.equals(other as CpuSet), false);
    }
  });

  it("has only ids", () => {
    const set = CpuSet.range(0, 7);
    for (const id of [-1, 0.5, NaN, Infinity, "1", null, undefined, 1n]) {
      assert.equal(set.has(id as number), false);
    }
  });

  it("cannot be changed", () => {
    const set = CpuSet.of(1, 2);
    assert.throws(() => ((set as { size: number }).size = 9), TypeError);
    assert.equal(CpuSet.empty.size, 0);
    assert.equal(CpuSet.empty.first, undefined);
    assert.equal(CpuSet.empty.last, undefined);
    assert.deepEqual([...CpuSet.empty], []);
  });

  it("is told apart by deep comparison", () => {
    assert.deepEqual(CpuSet.parse("0-1"), CpuSet.of(1, 0));
    assert.notDeepEqual(CpuSet.of(1, 2), CpuSet.of(3, 4));
  });

  it("shows what is in it", () => {
    assert.equal(inspect(CpuSet.parse("0-3,8")), "CpuSet(5) { 0-3,8 }");
    assert.equal(inspect(CpuSet.empty), "CpuSet(0) {}");
    assert.equal(`${CpuSet.parse("0-3,8")}`, "0-3,8");
  });

  it("takes thousands of ids", () => {
    const even = CpuSet.parse("0-65535:1/2");
    const odd = CpuSet.range(0, 65_535).difference(even);
    assert.equal(even.size, 32_768);
    assert.equal(even.intersection(odd).size, 0);
    assert.equal(even.union(odd).text, "0-65535");
    assert.ok(CpuSet.fromMask(even.toMask()).equals(even));
  });
});

describe("CpuSet masks", () => {
  it("have bit i of word w for id 64 * w + i", () => {
    assert.deepEqual(CpuSet.parse("0-1,3,64").toMask(), BigUint64Array.of(0b1011n, 1n));
    assert.deepEqual(CpuSet.parse("63").toMask(), BigUint64Array.of(1n << 63n));
    assert.deepEqual(CpuSet.parse("0-127").toMask(), new BigUint64Array(2).fill(2n ** 64n - 1n));
    assert.deepEqual(CpuSet.parse("60-67").toMask(), BigUint64Array.of(0xfn << 60n, 0xfn));
    assert.deepEqual(CpuSet.empty.toMask(), BigUint64Array.of(0n));
    assert.equal(CpuSet.of(65_535).toMask().length, 1024);
  });

  it("have the words asked for", () => {
    assert.deepEqual(CpuSet.of(1).toMask(3), BigUint64Array.of(2n, 0n, 0n));
    assert.throws(() => CpuSet.of(64).toMask(1), isInvalid);
    for (const words of [0, -1, 1.5, 1025, "2"]) {
      assert.throws(() => CpuSet.of(1).toMask(words as number), isInvalid);
    }
  });

  it("are read", () => {
    assert.equal(CpuSet.fromMask(BigUint64Array.of(0b1011n, 1n)).text, "0-1,3,64");
    assert.equal(CpuSet.fromMask(new BigUint64Array(0)).text, "");
    assert.equal(CpuSet.fromMask(new BigUint64Array(1024)).text, "");
    assert.equal(CpuSet.fromMask(new BigUint64Array(1024).fill(2n ** 64n - 1n)).text, "0-65535");
    for (const mask of [undefined, null, [1n], new Uint8Array(8), new BigUint64Array(1025)]) {
      assert.throws(() => CpuSet.fromMask(mask as BigUint64Array), isInvalid);
    }
  });

  it("give the set back", () => {
    fc.assert(fc.property(someIds, fc.nat(3), (ids, more) => {
      const set = CpuSet.from(ids);
      assert.ok(CpuSet.fromMask(set.toMask()).equals(set));
      const words = Math.min(1024, set.toMask().length + more);
      assert.ok(CpuSet.fromMask(set.toMask(words)).equals(set));
    }));
  });
});
