import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Arena, HashMap, type HashMapOptions, type MapType, type MapTypeValue } from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import { repeats } from "../support/extent.ts";
import { runMap } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";

function mapOf<const Key extends MapType, const Value extends MapType>(
  options: HashMapOptions<Key, Value>,
): HashMap<MapTypeValue<Key>, MapTypeValue<Value>> {
  return HashMap.create(new SharedArrayBuffer(HashMap.bytes(options)), options);
}

/** A value for a JavaScript Map: bytes by what is in them. */
const plain = (value: unknown): unknown => value instanceof Uint8Array ? value.join() : value;

const text = (most: number): fc.Arbitrary<string> =>
  fc.string({ unit: "binary", maxLength: most }).filter((some) =>
    some.isWellFormed() && new TextEncoder().encode(some).length <= most
  );
const doubles = fc.oneof(
  fc.double(),
  fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 2 ** 53, 5e-324),
);

/** Types, and what is of them: few, so that the same ones come again. */
const TYPES: readonly {
  readonly key: MapType;
  readonly value: MapType;
  readonly keys: fc.Arbitrary<unknown>;
  readonly values: fc.Arbitrary<unknown>;
}[] = [
  {
    key: "u32",
    value: "i32",
    keys: fc.constantFrom(0, 1, 7, 2 ** 31, 2 ** 32 - 1),
    values: fc.integer(),
  },
  { key: "i32", value: "u32", keys: fc.integer({ min: -9, max: 9 }), values: fc.nat() },
  {
    key: "f64",
    value: "f64",
    keys: fc.constantFrom(0, -0, NaN, 0.1, -1, 2 ** 60, Infinity),
    values: doubles,
  },
  {
    key: { bytes: 5 },
    value: { bytes: 7 },
    keys: fc.uint8Array({ minLength: 5, maxLength: 5, max: 1 }),
    values: fc.uint8Array({ minLength: 7, maxLength: 7 }),
  },
  {
    key: { text: 9 },
    value: { text: 30 },
    keys: fc.oneof(
      fc.constantFrom("", "\0", "a", "a\0", "\ufeff", "é", "💥", "123456789"),
      text(9),
    ),
    values: text(30),
  },
];

describe("HashMap", () => {
  for (const { key, value, keys, values } of TYPES) {
    it(`does what a Map does, from ${JSON.stringify(key)} to ${JSON.stringify(value)}`, () => {
      const step = fc.record({
        what: fc.constantFrom("set", "set", "delete", "update", "exchange", "insert", "clear"),
        key: keys,
        value: values,
        other: values,
      });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
          const map = mapOf({ key, value, capacity: 64, threads: 2 }) as HashMap<unknown, unknown>;
          const model = new Map<unknown, { readonly key: unknown; readonly value: unknown }>();
          for (const { what, key, value, other } of steps) {
            const name = plain(key);
            const before = model.get(name)?.value;
            if (what === "set") {
              assert.equal(map.set(key, value), map);
              model.set(name, { key, value });
            } else if (what === "delete") {
              assert.equal(map.delete(key), model.delete(name));
            } else if (what === "update") {
              const result = map.update(key, (found) => {
                assert.deepEqual(found, before);
                return found === undefined ? value : undefined;
              });
              assert.deepEqual(result, before === undefined ? value : undefined);
              if (before === undefined) model.set(name, { key, value });
              else model.delete(name);
            } else if (what === "exchange") {
              assert.deepEqual(map.compareExchange(key, other, value), before);
              if (before !== undefined && Object.is(plain(before), plain(other))) {
                model.set(name, { key, value });
              }
              assert.deepEqual(
                map.compareExchange(key, model.get(name)?.value, value),
                model.get(name)?.value,
              );
              model.set(name, { key, value });
            } else if (what === "insert") {
              assert.deepEqual(map.getOrInsert(key, value), before ?? value);
              if (before === undefined) model.set(name, { key, value });
            } else {
              map.clear();
              model.clear();
            }
            assert.equal(map.size, model.size);
            assert.equal(map.has(key), model.has(name));
            assert.deepEqual(map.get(key), model.get(name)?.value);
          }
          const found = new Map([...map].map(([key, value]) => [plain(key), value]));
          const wanted = new Map([...model].map(([key, { value }]) => [key, value]));
          // As -0 is 0 for a Map, too.
          assert.deepEqual(found, new Map([...wanted]));
          assert.equal([...map.keys()].length, model.size);
          assert.equal([...map.values()].length, model.size);
          let calls = 0;
          map.forEach((value, key, which) => {
            assert.ok(which === map && calls++ < model.size);
            assert.deepEqual(value, wanted.get(plain(key)));
          });
          assert.equal(calls, model.size);
        }),
        { numRuns: 100 },
      );
    });
  }

  it("reads and writes many at once", () => {
    const numbers = mapOf({ key: "u32", value: "f64", capacity: 1000 });
    const keys = Uint32Array.from({ length: 500 }, (_, index) => index * 3);
    numbers.setMany(keys, Float64Array.from(keys, (key) => key / 2));
    const values = new Float64Array(500).fill(-1);
    const found = new Uint8Array(500).fill(7);
    assert.equal(numbers.getMany(keys, values, found), 500);
    assert.ok(values.every((value, index) => value === index * 1.5));
    assert.ok(found.every((has) => has === 1));
    const some = Uint32Array.from({ length: 40 }, (_, index) => index);
    values.fill(-1);
    assert.equal(numbers.getMany(some, values.subarray(0, 40), found.subarray(0, 40)), 14);
    for (let key = 0; key < 40; key++) {
      assert.equal(values[key], key % 3 === 0 ? key / 2 : -1);
      assert.equal(found[key], key % 3 === 0 ? 1 : 0);
    }
    assert.equal(numbers.getMany(new Uint32Array(0), new Float64Array(0)), 0);

    const words = mapOf({ key: { text: 8 }, value: { bytes: 3 }, capacity: 100 });
    words.setMany(["one", "two"], Uint8Array.of(1, 1, 1, 2, 2, 2));
    const bytes = new Uint8Array(9);
    assert.equal(words.getMany(["two", "three", "one"], bytes), 2);
    assert.deepEqual([...bytes], [2, 2, 2, 0, 0, 0, 1, 1, 1]);
    const texts = mapOf({ key: { bytes: 2 }, value: { text: 5 }, capacity: 100 });
    texts.setMany(Uint8Array.of(0, 1, 0, 2), ["a", "b"]);
    const list = ["", "", ""];
    assert.equal(texts.getMany(Uint8Array.of(0, 2, 0, 3, 0, 1), list), 2);
    assert.deepEqual(list, ["b", "", "a"]);
  });

  it("hashes its keys as no other map does", () => {
    for (const key of ["u32", { bytes: 12 }] as const) {
      const orders = [0, 1, 2].map(() => {
        const map = mapOf({ key, value: "u32" }) as HashMap<unknown, number>;
        for (let at = 0; at < 100; at++) {
          map.set(key === "u32" ? at : new Uint8Array(12).fill(at), at);
        }
        return [...map.values()].join();
      });
      assert.equal(new Set(orders).size, 3);
    }
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
      for (const value of ["u32", { bytes: 20 }, { text: 100 }] as const) {
        const map = mapOf({ key: "i32", value, capacity }) as HashMap<number, unknown>;
        const make = (key: number): unknown =>
          typeof value === "string" ? key : "bytes" in value ? new Uint8Array(20) : `${key}`;
        for (let key = 0; key < capacity; key++) map.set(key * 64, make(key));
        assert.equal(map.size, capacity);
        for (let key = 0; key < capacity; key++) assert.deepEqual(map.get(key * 64), make(key));
        throwsCode(
          () => {
            for (let key = -1;; key--) map.set(key, make(0));
          },
          "ENOMEM",
          /no room for another key/,
        );
        assert.ok(map.size < 3 * capacity + 200, `${map.size} of ${capacity}`);
        map.set(0, make(0));
      }
    }
  });

  it("gives all that stays while others come and go", () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 4000 });
    for (let key = 0; key < 300; key++) map.set(key, key);
    const seen = new Set<number>();
    let next = 1000;
    for (const [key, value] of map) {
      assert.equal(key, value);
      assert.ok(!seen.has(key), `${key} again`);
      seen.add(key);
      // It grows meanwhile.
      for (let turn = 0; turn < 10 && next < 4000; turn++, next++) map.set(next, next);
      if (key < 300 && key % 2 === 0) map.delete(key);
    }
    for (let key = 0; key < 300; key++) assert.ok(seen.has(key), String(key));
  });

  it("refuses what cannot be", () => {
    const bad: Record<string, unknown>[] = [
      {},
      { key: "u32" },
      { key: "u64", value: "u32" },
      { key: "u32", value: { bytes: 0 } },
      { key: { bytes: 65 }, value: "u32" },
      { key: { text: 1.5 }, value: "u32" },
      { key: { bytes: 4, text: 4 }, value: "u32" },
      { key: "u32", value: { text: 1025 } },
      { key: null, value: 7 },
      { key: "u32", value: "u32", capacity: 7 },
      { key: "u32", value: "u32", capacity: 2 ** 26 + 1 },
      { key: "u32", value: "u32", capacity: NaN },
      { key: "u32", value: { bytes: 1024 }, capacity: 2 ** 26 },
    ];
    for (const options of bad) {
      throwsCode(() => HashMap.bytes(options as unknown as HashMapOptions), "EINVAL");
    }
    const map = mapOf({ key: "u32", value: { text: 4 }, capacity: 8 });
    for (const key of [-1, -0, 0.5, NaN, 2 ** 32, 2 ** 53, "1", 1n, null, undefined, {}]) {
      throwsCode(() => map.get(key as number), "EINVAL", /the key is/);
      throwsCode(() => map.set(key as number, "a"), "EINVAL", /the key is/);
      throwsCode(() => map.delete(key as number), "EINVAL", /the key is/);
    }
    for (const value of [1, null, undefined, "12345", "\ud800", "\udc00a", "ééé", {}]) {
      throwsCode(() => map.set(1, value as string), "EINVAL", /the value/);
      throwsCode(() => map.compareExchange(1, undefined, (value ?? 7) as string), "EINVAL");
      throwsCode(() => map.update(1, () => (value ?? 7) as string), "EINVAL", /the value/);
    }
    assert.equal(map.size, 0);
    throwsCode(() => map.update(1, "f" as never), "EINVAL", /the function is/);
    throwsCode(
      () => map.update(1, (() => Promise.resolve("a")) as never),
      "EINVAL",
      /asynchronous/,
    );
    throwsCode(() => map.getMany([1] as never, [""]), "EINVAL", /keys are an array of 1/);
    throwsCode(() => map.getMany(new Uint32Array(2), [""]), "EINVAL", /not as long/);
    throwsCode(() => map.getMany(new Uint32Array(1), [""], new Uint8Array(0)), "EINVAL");
    throwsCode(() => map.setMany(new Uint32Array(2), ["a"]), "EINVAL", /not as long/);
    const bytes = mapOf({ key: { bytes: 2 }, value: "u32", capacity: 8 });
    throwsCode(() => bytes.get(new Uint8Array(3)), "EINVAL", /3 bytes long/);
    throwsCode(() => bytes.get(Object.create(Uint8Array.prototype)), "EINVAL");
    throwsCode(() => bytes.getMany(new Uint8Array(3), new Uint32Array(2)), "EINVAL");
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
      () => map.setMany(Uint32Array.of(1), Uint32Array.of(1)),
    ];
    for (const write of writes) {
      throwsCode(() => map.update(1, () => void write()), "EDEADLK", /the function of an update/);
    }
    assert.throws(() => map.update(1, () => assert.fail("enough")), /enough/);
    // Reads are no harm, though they use the same words.
    assert.equal(map.update(1, (value = 0) => value + (map.get(1) ?? 0) + Number(map.has(9))), 20);
    assert.deepEqual([...map], [[1, 20]]);
  });

  it("updates the key that it was given, whatever becomes of that", () => {
    const map = mapOf({ key: { bytes: 4 }, value: "u32", capacity: 1000 });
    for (let first = 0; first < 50; first++) {
      const key = Uint8Array.of(first, 0, 0, 0);
      map.update(key, () => key.fill(255).length);
      assert.equal(map.get(Uint8Array.of(first, 0, 0, 0)), 4);
    }
    assert.deepEqual([map.size, [...map].length, map.get(new Uint8Array(4).fill(255))], [
      50,
      50,
      undefined,
    ]);
  });

  it("is written to and read by threads while it grows", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 20_000, threads: 16 });
    const each = 4000;
    const done = 4_000_000_000;
    const writers = [0, 1, 2].map((index) =>
      runMap({ task: "fill", map, first: 1_000_000 + index * each, count: each })
    );
    const adders = [0, 1].map(() => runMap({ task: "count", map, first: 5, count: 20_000 }));
    const watcher = runMap({ task: "watch", map, first: 5, count: done });
    const threads = [...writers, ...adders];
    assert.deepEqual(await Promise.all(threads.map((thread) => thread.join())), [
      ...[each, each, each],
      ...[20_000, 20_000],
    ]);
    map.set(done, 1);
    assert.ok(await watcher.join() >= 0);
    map.delete(done);
    let sum = 0;
    for (let key = 5; key < 55; key++) sum += map.get(key) ?? 0;
    assert.equal(sum, 40_000);
    for (let key = 1_000_000; key < 1_000_000 + 3 * each; key++) {
      assert.equal(map.get(key), key % 3 === 0 ? undefined : key * 3);
    }
    assert.equal(map.size, 50 + 2 * each);
    assert.equal([...map].length, map.size);
  });

  it("goes on when threads are terminated that write to it", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 100, threads: 64 });
    const bytes = mapOf({ key: "u32", value: { bytes: 8 }, capacity: 100, threads: 64 });
    for (let round = 0; round < repeats(6); round++) {
      const task = { task: "write for ever", map, bytes, first: 0, count: 100 } as const;
      const threads = [runMap(task), runMap(task)];
      await new Promise((resolve) => setTimeout(resolve, 30));
      const ends = await Promise.all(threads.map((thread) => thread.terminate()));
      assert.deepEqual(ends, [true, true]);
      for (const [, value] of bytes) {
        assert.ok(value.every((byte) => byte === value[0]), `half a value: ${value}`);
      }
      // All buckets can be written to.
      for (let key = 0; key < 100; key++) bytes.set(key, new Uint8Array(8).fill(key));
      for (let key = 0; key < 100; key++) assert.equal(bytes.get(key)?.[0], key);
      assert.equal([...bytes.keys()].length, 100);
      for (let key = 0; key < 100; key++) assert.equal(bytes.delete(key), true);
      assert.deepEqual([...bytes], []);
    }
  });

  it("is read whatever is in its memory", () => {
    const options = { key: "u32", value: { text: 20 }, capacity: 50 } as const;
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer()), fc.nat(200), (numbers, from) => {
        const words = new Int32Array(new SharedArrayBuffer(HashMap.bytes(options)));
        const map = HashMap.create(words, options);
        map.set(1, "one");
        for (let at = 32 + from; at < words.length; at++) {
          if (words[at] !== 0 || at % 3 === 0) words[at] = numbers.next().value as number;
        }
        for (let key = 0; key < 50; key++) {
          assert.ok(["string", "undefined"].includes(typeof map.get(key)));
        }
        map.getMany(
          Uint32Array.from({ length: 40 }, (_, key) => key),
          new Array<string>(40).fill(""),
        );
        for (const [key, value] of map) assert.equal(typeof key + typeof value, "numberstring");
        assert.ok(map.size >= 0);
      }),
      { numRuns: 60 },
    );
  });

  it("lives in an arena, and ends with it", { skip: noPolicies }, () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const map = HashMap.create(arena, { key: "u32", value: "u32", capacity: 100 });
    for (let key = 0; key < 90; key++) map.set(key, 2);
    assert.equal(HashMap.fromHandle<number, number>(map.toHandle()), map);
    const entries = map.entries();
    entries.next();
    arena.destroy();
    for (
      const call of [
        () => map.get(1),
        () => map.has(1),
        () => map.set(1, 2),
        () => map.delete(1),
        () => map.add(1, 2),
        () => map.size,
        () => [...map],
        () => map.clear(),
        () => [...entries],
        () => map.getMany(Uint32Array.of(1), Uint32Array.of(1)),
        () => map.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
  });

  it("leaves its bucket to others when the function of an update destroys the arena", {
    skip: noPolicies,
  }, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const map = HashMap.create(arena, { key: "u32", value: "u32", capacity: 100 });
    const control = mapOf({ key: "u32", value: "u32", capacity: 8 });
    map.set(7, 10);
    const task = { map, arena, control, first: 7, count: 1 } as const;
    const first = runMap({ ...task, task: "destroy in an update" });
    let ended = false;
    const end = first.join().finally(() => ended = true);
    while (!control.has(1) && !ended) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(map.get(7), 10);
    const second = runMap({ task: "count", map, first: 7, count: 1 });
    const late = new Promise((resolve) => setTimeout(resolve, 60_000, "waits").unref());
    assert.equal(await Promise.race([second.join(), late]), 1);
    assert.equal(map.get(7), 11);
    control.set(2, 1);
    assert.equal(await end, 1);
  });

  it("writes nothing where a value stays as it is", () => {
    const options = { key: "u32", value: { text: 20 }, capacity: 8 } as const;
    const words = new Int32Array(new SharedArrayBuffer(HashMap.bytes(options)));
    const map = HashMap.create(words, options);
    map.set(1, "one");
    const before = words.slice();
    assert.equal(map.getOrInsert(1, "uno"), "one");
    assert.equal(map.compareExchange(1, "two", "three"), "one");
    assert.equal(map.compareExchange(1, undefined, "three"), "one");
    assert.equal(map.compareExchange(2, "one", undefined), undefined);
    assert.deepEqual(words, before);
    throwsCode(() => map.getOrInsert(9, undefined as unknown as string), "EINVAL");
    throwsCode(() => map.getOrInsert(1, 7 as unknown as string), "EINVAL");
    throwsCode(() => map.compareExchange(1, "two", 7 as unknown as string), "EINVAL");
  });
});
