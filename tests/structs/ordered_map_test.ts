import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Arena,
  type MapType,
  type MapTypeValue,
  OrderedMap,
  type OrderedMapOptions,
} from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import { repeats } from "../support/extent.ts";
import { runOrdered } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { isEqual, order, ORDERED_TYPES, type Pair, SortedModel } from "../support/sorted_model.ts";

function mapOf<const Key extends MapType, const Value extends MapType>(
  options: OrderedMapOptions<Key, Value>,
): OrderedMap<MapTypeValue<Key>, MapTypeValue<Value>> {
  return OrderedMap.create(new SharedArrayBuffer(OrderedMap.bytes(options)), options);
}

describe("OrderedMap", () => {
  for (const { key, value, keys, values } of ORDERED_TYPES) {
    it(`does what a sorted array does, from ${JSON.stringify(key)} to ${JSON.stringify(value)}`, () => {
      const step = fc.record({
        what: fc.constantFrom(
          ...["set", "set", "set", "set", "delete", "update", "exchange", "insert", "pop", "clear"],
        ),
        key: keys,
        value: values,
        other: values,
      });
      const range = fc.record({
        from: fc.option(keys, { nil: undefined }),
        to: fc.option(keys, { nil: undefined }),
        reverse: fc.boolean(),
        limit: fc.option(fc.nat(30), { nil: undefined }),
      });
      const runs = fc.record({
        steps: fc.array(step, { maxLength: 60, size: "max" }),
        ranges: fc.array(range, { minLength: 4, maxLength: 8 }),
      });
      fc.assert(
        fc.property(runs, ({ steps, ranges }) => {
          const map = mapOf({ key, value, capacity: 64, threads: 2 }) as OrderedMap<
            unknown,
            unknown
          >;
          const model = new SortedModel();
          for (const { what, key, value, other } of steps) {
            const before = model.get(key);
            if (what === "set") {
              assert.equal(map.set(key, value), map);
              model.set(key, value);
            } else if (what === "delete") {
              assert.equal(map.delete(key), model.delete(key));
            } else if (what === "update") {
              const result = map.update(key, (found) => {
                assert.deepEqual(found, before);
                return found === undefined ? value : undefined;
              });
              assert.deepEqual(result, before === undefined ? value : undefined);
              if (before === undefined) model.set(key, value);
              else model.delete(key);
            } else if (what === "exchange") {
              assert.deepEqual(map.compareExchange(key, other, value), before);
              if (before !== undefined && isEqual(before, other)) model.set(key, value);
              const now = model.get(key);
              assert.deepEqual(map.compareExchange(key, now, value), now);
              model.set(key, value);
            } else if (what === "insert") {
              assert.deepEqual(map.getOrInsert(key, value), before ?? value);
              if (before === undefined) model.set(key, value);
            } else if (what === "pop") {
              assert.deepEqual(map.popFirst(), model.pairs.shift());
              assert.deepEqual(map.popLast(), model.pairs.pop());
            } else if (steps.length % 4 === 0) {
              map.clear();
              model.pairs.length = 0;
            }
            assert.equal(map.size, model.pairs.length);
            assert.equal(map.has(key), model.find(key) >= 0);
            assert.deepEqual(map.get(key), model.get(key));
            assert.deepEqual(map.floor(key), model.nearest((order) => order <= 0, true, key));
            assert.deepEqual(map.lower(key), model.nearest((order) => order < 0, true, key));
            assert.deepEqual(map.ceiling(key), model.nearest((order) => order >= 0, false, key));
            assert.deepEqual(map.higher(key), model.nearest((order) => order > 0, false, key));
          }
          assert.deepEqual(map.first(), model.pairs[0]);
          assert.deepEqual(map.last(), model.pairs.at(-1));
          assert.deepEqual([...map], model.pairs);
          for (const range of ranges) {
            const { from, to, reverse, limit } = range;
            let wanted = model.pairs.filter(([key]) =>
              (from === undefined || order(key, from) >= 0) &&
              (to === undefined || order(key, to) < 0)
            );
            if (reverse) wanted.reverse();
            wanted = wanted.slice(0, limit);
            assert.deepEqual([...map.entries(range)], wanted);
            assert.deepEqual([...map.keys(range)], wanted.map(([key]) => key));
            assert.deepEqual([...map.values(range)], wanted.map(([, value]) => value));
            const seen: Pair[] = [];
            map.forEach((value, key, which) => {
              assert.equal(which, map);
              seen.push([key, value]);
            }, range);
            assert.deepEqual(seen, wanted);
          }
        }),
        { numRuns: 100 },
      );
    });
  }

  it("is in the order of numbers, of bytes, and of code points", () => {
    const numbers = mapOf({ key: "f64", value: "u32" });
    const sorted = [-Infinity, -(2 ** 60), -1.5, -1, -5e-324, 0, 5e-324, 1, 1.5, 2 ** 60, Infinity];
    for (const key of [...sorted].sort(() => 0).reverse()) numbers.set(key, 1);
    numbers.set(-0, 2);
    assert.deepEqual([...numbers.keys()], sorted);
    assert.equal(numbers.get(0), 2);
    const texts = mapOf({ key: { text: 8 }, value: "u32" });
    // UTF-16 would have the last two the other way round.
    const words = ["", "\0", "A", "a", "a\0", "aa", "b", "é", "\uffff", "💥"];
    for (const word of [...words].reverse()) texts.set(word, 1);
    assert.deepEqual([...texts.keys()], words);
    assert.deepEqual([...texts.keys({ from: "a", to: "b" })], ["a", "a\0", "aa"]);
  });

  it("adds to numbers, which wrap", () => {
    const unsigned = mapOf({ key: "u32", value: "u32" });
    assert.deepEqual([unsigned.add(1, 5), unsigned.add(1, 2 ** 32 - 1)], [5, 4]);
    assert.deepEqual([unsigned.add(1, -1), unsigned.add(1, -(2 ** 31))], [3, 2 ** 31 + 3]);
    for (const n of [-(2 ** 31) - 1, 2 ** 32, 0.5, NaN, "1"]) {
      throwsCode(() => unsigned.add(1, n as number), "EINVAL", /n is/);
    }
    const signed = mapOf({ key: "u32", value: "i32" });
    assert.deepEqual([signed.add(1, 2 ** 31 - 1), signed.add(1, 1)], [2 ** 31 - 1, -(2 ** 31)]);
    const real = mapOf({ key: "u32", value: "f64" });
    assert.deepEqual([real.add(1, 0.5), real.add(1, 0.25)], [0.5, 0.75]);
    const bytes = mapOf({ key: "u32", value: { bytes: 4 } });
    throwsCode(() => bytes.add(1, 1), "EINVAL", /no numbers/);
  });

  it("holds as many entries as it was made for, whatever its types", () => {
    for (const capacity of [8, 9, 100, 1000, 5000]) {
      for (const value of ["u32", { bytes: 20 }, { text: 100 }, { bytes: 1024 }] as const) {
        if (typeof value === "object" && "bytes" in value && capacity > 1000) continue;
        const map = mapOf({ key: "i32", value, capacity }) as OrderedMap<number, unknown>;
        const make = (key: number): unknown => {
          if (typeof value === "string") return key;
          return "bytes" in value ? new Uint8Array(Number(value.bytes)) : `${key}`;
        };
        for (let key = 0; key < capacity; key++) map.set((key * 7919) % 10_007, make(key));
        assert.equal(map.size, capacity);
        throwsCode(
          () => {
            for (let key = -1;; key--) map.set(key, make(0));
          },
          "ENOMEM",
          /no room for another key/,
        );
        assert.ok(map.size <= capacity * 1.125, `${map.size} of ${capacity}`);
        for (let key = 0; key < capacity; key++) {
          assert.deepEqual(map.get((key * 7919) % 10_007), make(key));
        }
        for (let key = 0; key < 3 * capacity; key++) {
          const name = ((key % capacity) * 7919) % 10_007;
          map.set(name, make(0));
        }
        assert.ok(map.size >= capacity);
      }
    }
  });

  it("keeps its memory over many writes", () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 100 });
    const rounds = repeats(100_000);
    for (let round = 0; round < rounds; round++) {
      map.set((round * 37) % 1009, round);
      if (round >= 90) map.delete(((round - 90) * 37) % 1009);
    }
    assert.equal(map.size, 90);
  });

  it("gives all that stays while others come and go", () => {
    for (const reverse of [false, true]) {
      const map = mapOf({ key: "u32", value: "u32", capacity: 4000 });
      for (let key = 0; key < 300; key++) map.set(key * 10, key);
      const seen: number[] = [];
      let next = 1;
      for (const [key] of map.entries({ reverse })) {
        seen.push(key);
        for (let turn = 0; turn < 8 && next < 3000; turn++, next++) {
          if (next % 10 === 0) continue;
          map.set(next, 1);
        }
        if (key % 20 === 0) map.delete(key);
        if (key % 20 === 10) map.delete(key + (reverse ? 10 : -10));
      }
      if (reverse) seen.reverse();
      assert.ok(seen.every((key, at) => at === 0 || key > (seen[at - 1] as number)));
      for (let key = 10; key < 3000; key += 20) assert.ok(seen.includes(key), String(key));
    }
  });

  it("refuses what cannot be", () => {
    const bad: Record<string, unknown>[] = [
      {},
      { key: "u32" },
      { key: "u64", value: "u32" },
      { key: { bytes: 65 }, value: "u32" },
      { key: "u32", value: { text: 1025 } },
      { key: "u32", value: "u32", capacity: 7 },
      { key: "u32", value: "u32", capacity: 2 ** 26 + 1 },
      { key: "u32", value: { bytes: 1024 }, capacity: 2 ** 26 },
    ];
    for (const options of bad) {
      throwsCode(() => OrderedMap.bytes(options as unknown as OrderedMapOptions), "EINVAL");
    }
    const map = mapOf({ key: "u32", value: { text: 4 }, capacity: 8 });
    for (const key of [-1, -0, 0.5, NaN, 2 ** 32, 2 ** 53, "1", 1n, null, undefined, {}]) {
      const wrong = key as number;
      for (
        const call of [
          () => map.get(wrong),
          () => map.has(wrong),
          () => map.set(wrong, "a"),
          () => map.delete(wrong),
          () => map.floor(wrong),
          () => map.ceiling(wrong),
          () => map.lower(wrong),
          () => map.higher(wrong),
          () => map.update(wrong, () => "a"),
        ]
      ) throwsCode(call, "EINVAL", /the key is/);
      if (key === undefined) continue;
      throwsCode(() => map.entries({ from: wrong }), "EINVAL", /the key is/);
      throwsCode(() => map.keys({ to: wrong }), "EINVAL", /the key is/);
    }
    for (const value of [1, null, "12345", "\ud800", "ééé", {}]) {
      throwsCode(() => map.set(1, value as string), "EINVAL", /the value/);
      throwsCode(() => map.compareExchange(1, undefined, value as string), "EINVAL");
      throwsCode(() => map.compareExchange(1, value as string, "a"), "EINVAL");
      throwsCode(() => map.update(1, () => value as string), "EINVAL", /the value/);
      throwsCode(() => map.getOrInsert(1, value as string), "EINVAL", /the value/);
    }
    throwsCode(() => map.getOrInsert(1, undefined as never), "EINVAL", /the value/);
    assert.equal(map.size, 0);
    const numbers = mapOf({ key: "f64", value: "u32", capacity: 8 });
    throwsCode(() => numbers.get(NaN), "EINVAL", /NaN, which has no place/);
    throwsCode(() => numbers.set(NaN, 1), "EINVAL", /NaN/);
    throwsCode(() => numbers.entries({ from: NaN }), "EINVAL", /NaN/);
    for (const range of [null, 1, "a"]) {
      throwsCode(() => numbers.entries(range as never), "EINVAL", /the options are/);
    }
    for (const limit of [-1, 0.5, NaN, 2 ** 32, "1", null]) {
      throwsCode(() => numbers.values({ limit: limit as number }), "EINVAL", /limit is/);
    }
    throwsCode(() => numbers.entries({ reverse: 1 as never }), "EINVAL", /reverse is 1/);
    throwsCode(() => map.update(1, "f" as never), "EINVAL", /the function is/);
    const later = (() => Promise.resolve("a")) as never;
    throwsCode(() => map.update(1, later), "EINVAL", /asynchronous/);
  });

  it("does not write to itself in an update, and goes on after one that throws", () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 8 });
    map.set(1, 10);
    const writes = [
      () => map.set(2, 1),
      () => map.delete(1),
      () => map.add(1, 1),
      () => map.update(1, () => 3),
      () => map.getOrInsert(5, 1),
      () => map.compareExchange(1, 10, 3),
      () => map.clear(),
      () => map.popFirst(),
      () => map.popLast(),
    ];
    for (const write of writes) {
      throwsCode(() => map.update(1, () => void write()), "EDEADLK", /the function of an update/);
    }
    assert.throws(() => map.update(1, () => assert.fail("enough")), /enough/);
    // Reads are no harm, though they use the same words.
    const read = (value = 0): number =>
      value + (map.get(1) ?? 0) + Number(map.has(9)) + (map.first()?.[1] ?? 0);
    assert.equal(map.update(1, read), 30);
    assert.deepEqual([...map], [[1, 30]]);
  });

  it("updates the key that it was given, whatever its function reads and does to it", () => {
    const map = mapOf({ key: { bytes: 4 }, value: "u32", capacity: 8 });
    const key = Uint8Array.of(1, 2, 3, 4);
    const other = Uint8Array.of(0, 0, 0, 9);
    assert.equal(map.update(key, () => key.fill(255).length + Number(map.has(other))), 4);
    assert.deepEqual([...map], [[Uint8Array.of(1, 2, 3, 4), 4]]);
  });

  it("is scanned both ways by threads while others write", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 20_000, threads: 16 });
    const each = 2000;
    const done = 4_000_000_000;
    for (let key = 5000; key < 5050; key++) map.set(key, 0);
    const writers = [0, 1, 2].map((index) =>
      runOrdered({ task: "fill", map, first: 4000 + index * each, count: index === 0 ? 900 : each })
    );
    const adders = [0, 1].map(() => runOrdered({ task: "count", map, first: 5000, count: 4000 }));
    const scanner = runOrdered({ task: "scan", map, first: 5000, count: done });
    const results = await Promise.all([...writers, ...adders].map((thread) => thread.join()));
    assert.deepEqual(results, [900, each, each, 4000, 4000]);
    map.set(done, 1);
    assert.ok(await scanner.join() >= 0);
    map.delete(done);
    let sum = 0;
    for (let key = 5000; key < 5050; key++) sum += map.get(key) ?? 0;
    assert.equal(sum, 8000);
    for (let key = 6000; key < 6000 + 2 * each; key++) {
      assert.equal(map.get(key), key % 3 === 0 ? undefined : key * 3);
    }
    assert.equal([...map].length, map.size);
  });

  it("gives each entry to one of the threads that take the first one", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 5000 });
    const count = 5000;
    for (let key = 0; key < count; key++) map.set(key, 1);
    const takers = [0, 1, 2].map(() => runOrdered({ task: "pop", map, first: 0, count }));
    const sums = await Promise.all(takers.map((thread) => thread.join()));
    assert.ok(sums.every((sum) => sum >= 0), String(sums));
    assert.equal(sums.reduce((sum, one) => sum + one, 0), count * (count - 1) / 2);
    assert.equal(map.size, 0);
  });

  it("goes on when threads are terminated that write to it", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 100, threads: 64 });
    const bytes = mapOf({ key: "u32", value: { bytes: 8 }, capacity: 100, threads: 64 });
    for (let round = 0; round < repeats(6); round++) {
      const task = { task: "write for ever", map, bytes, first: 0, count: 100 } as const;
      const threads = [runOrdered(task), runOrdered(task)];
      await new Promise((resolve) => setTimeout(resolve, 30));
      const ends = await Promise.all(threads.map((thread) => thread.terminate()));
      assert.deepEqual(ends, [true, true]);
      let before = -1;
      for (const [key, value] of bytes) {
        assert.ok(value.every((byte) => byte === value[0]), `half a value: ${value}`);
        assert.ok(key > before && key < 100);
        before = key;
      }
      assert.equal([...bytes].length, bytes.size);
      for (let key = 0; key < 100; key++) bytes.set(key, new Uint8Array(8).fill(key));
      for (let key = 0; key < 100; key++) assert.equal(bytes.get(key)?.[0], key);
      assert.equal(bytes.size, 100);
      for (let key = 0; key < 100; key++) assert.equal(bytes.delete(key), true);
      assert.deepEqual([...bytes], []);
    }
  });

  it("is read whatever is in its memory", () => {
    const options = { key: "u32", value: { text: 20 }, capacity: 50 } as const;
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer()), fc.integer({ min: 1, max: 9 }), (numbers, n) => {
        const words = new Int32Array(new SharedArrayBuffer(OrderedMap.bytes(options)));
        const map = OrderedMap.create(words, options);
        for (let key = 0; key < 50; key++) map.set(key, "one");
        // Behind the region's own words and the owner's.
        for (let at = 128; at < words.length; at++) {
          if (words[at] !== 0 && at % n === 0) words[at] = numbers.next().value as number;
        }
        for (let key = 0; key < 50; key++) {
          assert.ok(["string", "undefined"].includes(typeof map.get(key)));
          map.floor(key);
          map.higher(key);
        }
        for (const reverse of [false, true]) {
          let count = 0;
          for (const [key, value] of map.entries({ reverse })) {
            assert.equal(typeof key + typeof value, "numberstring");
            count++;
          }
          assert.ok(count <= words.length);
        }
        for (let key = 0; key < 60; key++) {
          try {
            map.set(key, "two");
            map.delete(key - 1 >>> 0);
          } catch (error) {
            assert.equal((error as { code?: string }).code, "ENOMEM");
          }
        }
        assert.ok(map.size >= 0);
      }),
      { numRuns: 100 },
    );
  });

  it("lives in an arena, and ends with it", { skip: noPolicies }, () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const map = OrderedMap.create(arena, { key: "u32", value: "u32", capacity: 100 });
    for (let key = 0; key < 90; key++) map.set(key, 2);
    assert.equal(OrderedMap.fromHandle<number, number>(map.toHandle()), map);
    const entries = map.entries();
    entries.next();
    const calls = [
      () => map.get(1),
      () => map.has(1),
      () => map.first(),
      () => map.lower(2),
      () => map.set(1, 2),
      () => map.delete(1),
      () => map.popFirst(),
      () => map.add(1, 2),
      () => map.update(1, () => 2),
      () => map.compareExchange(1, 2, 3),
      () => map.size,
      () => [...map],
      () => map.keys(),
      () => map.clear(),
      () => [...entries],
      () => map.toHandle(),
    ];
    // A function that ends the map's memory, while the map is read and before it is written.
    throwsCode(
      () =>
        map.update(1, () => {
          arena.destroy();
          return 7;
        }),
      "EDESTROYED",
    );
    for (const call of calls) throwsCode(call, "EDESTROYED");
  });
});
