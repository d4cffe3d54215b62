import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  bool,
  f64,
  HashMap,
  type HashMapKeyType,
  type HashMapOptions,
  type HashMapValueType,
  type MapTypeValue,
  struct,
  text,
  u32,
} from "../../mod.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { repeats } from "../support/extent.ts";
import { runFarMap } from "../support/launches.ts";
import { isValueOf, keyOf, valueOf } from "../workers/far_maps.ts";

const memoryOf = (options: HashMapOptions): SharedArrayBuffer =>
  new SharedArrayBuffer(HashMap.bytes(options));

function mapOf<const Key extends HashMapKeyType, const Value extends HashMapValueType>(
  options: HashMapOptions<Key, Value>,
): HashMap<MapTypeValue<Key>, MapTypeValue<Value>> {
  return HashMap.create(memoryOf(options), options);
}

/** A value for a JavaScript Map: bytes by what is in them. */
const plain = (value: unknown): unknown => value instanceof Uint8Array ? value.join() : value;
const bytesOf = async (stream: ReadableStream<Uint8Array>): Promise<Uint8Array> =>
  new Uint8Array(await new Response(stream).arrayBuffer());

const Point = struct({ id: u32, on: bool, x: f64, name: text(5) });
const records = fc.record({
  id: fc.nat(3),
  on: fc.boolean(),
  x: fc.constantFrom(0, -1.5, Infinity),
  name: fc.constantFrom("", "é", "12345"),
}, { noNullPrototype: true });
const lengths = fc.constantFrom(0, 1, 3, 4, 63, 64, 65, 124, 125, 1000);
const anyBytes = fc.tuple(lengths, fc.nat(255)).map(([length, byte]) =>
  new Uint8Array(length).fill(byte)
);
const anyText = fc.oneof(
  lengths.map((length) => "a".repeat(length)),
  fc.constantFrom("\0", "a\0", "\ufeff", "é".repeat(40), "💥", "💥".repeat(50)),
  fc.string({ unit: "grapheme", maxLength: 100 }),
);
const fewKeys = fc.constantFrom(
  "",
  "\0",
  "a",
  "a\0",
  "\ufeff",
  "💥".repeat(30),
  "b".repeat(64),
  "b".repeat(65),
);

/** Types, and what is of them: few keys, so that the same ones come again. */
const TYPES: readonly {
  readonly key: HashMapKeyType;
  readonly value: HashMapValueType;
  readonly keys: fc.Arbitrary<unknown>;
  readonly values: fc.Arbitrary<unknown>;
}[] = [
  { key: "u32", value: "bytes", keys: fc.constantFrom(0, 1, 2 ** 32 - 1), values: anyBytes },
  { key: "f64", value: "text", keys: fc.constantFrom(0, -0, NaN, 0.5), values: anyText },
  { key: "text", value: "f64", keys: fewKeys, values: fc.constantFrom(0, -0, NaN, 1.5) },
  { key: "text", value: "bytes", keys: fewKeys, values: anyBytes },
  {
    key: "bytes",
    value: "text",
    keys: fc.constantFrom(0, 1, 2, 64, 65, 300).map((length) => new Uint8Array(length)),
    values: anyText,
  },
  { key: { text: 9 }, value: "text", keys: fc.constantFrom("", "a", "é"), values: anyText },
  { key: "text", value: Point, keys: fewKeys, values: records },
  { key: "u32", value: Point, keys: fc.nat(4), values: records },
];
const nameOf = (type: unknown): string =>
  typeof type === "string" ? type : type === Point ? "a struct" : JSON.stringify(type);

describe("HashMap with keys and values of any length, and records", () => {
  for (const { key, value, keys, values } of TYPES) {
    it(`does what a Map does, from ${nameOf(key)} to ${nameOf(value)}`, async () => {
      const options = { key, value, capacity: 16, threads: 2 };
      const step = fc.record({
        what: fc.constantFrom("set", "set", "delete", "update", "exchange", "insert", "clear"),
        key: keys,
        value: values,
        other: values,
      });
      const property = fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const isFar = typeof key === "string" && ["text", "bytes"].includes(key) ||
          value === "text" || value === "bytes";
        const all = isFar ? { ...options, storage: "64 KiB" } : options;
        const map = mapOf(all) as HashMap<unknown, unknown>;
        const model = new Map<unknown, unknown>();
        for (const { what, key, value, other } of steps) {
          const name = plain(key);
          const before = model.get(name);
          if (what === "set") {
            assert.equal(map.set(key, value), map);
            model.set(name, value);
          } else if (what === "delete") {
            assert.equal(map.delete(key), model.delete(name));
          } else if (what === "update") {
            map.update(key, (found) => {
              assert.deepEqual(found, before);
              // It reads, too.
              map.get(steps[0]?.key);
              return found === undefined ? value : undefined;
            });
            if (before === undefined) model.set(name, value);
            else model.delete(name);
          } else if (what === "exchange") {
            assert.deepEqual(map.compareExchange(key, other, value), before);
            const now = map.get(key);
            assert.deepEqual(map.compareExchange(key, now, value), now);
            model.set(name, value);
          } else if (what === "insert") {
            assert.deepEqual(map.getOrInsert(key, value), before ?? value);
            if (before === undefined) model.set(name, value);
          } else {
            map.clear();
            model.clear();
          }
          assert.equal(map.size, model.size);
          assert.equal(map.has(key), model.has(name));
          assert.deepEqual(map.get(key), model.get(name));
        }
        const entriesOf = (of: HashMap<unknown, unknown>): Map<unknown, unknown> =>
          new Map([...of].map(([key, value]) => [plain(key), value]));
        assert.deepEqual(entriesOf(map), model);
        assert.deepEqual(new Set([...map.keys()].map(plain)), new Set(model.keys()));
        const file = await bytesOf(map.snapshot());
        const again = await HashMap.restore(memoryOf(all), file, all);
        assert.deepEqual(entriesOf(again as HashMap<unknown, unknown>), model);
        assert.equal(again.size, model.size);
      });
      await fc.assert(property, { numRuns: 25 });
    });
  }

  it("reads and writes many at once, and into an array", () => {
    const map = mapOf({ key: "text", value: "bytes", capacity: 100 });
    map.setMany(["one", "", "three".repeat(30)], [
      Uint8Array.of(1),
      new Uint8Array(0),
      new Uint8Array(300).fill(3),
    ]);
    const values = [Uint8Array.of(9), Uint8Array.of(9), Uint8Array.of(9)];
    const found = new Uint8Array(3);
    assert.equal(map.getMany(["three".repeat(30), "two", ""], values, found), 2);
    assert.deepEqual([...found], [1, 0, 1]);
    assert.deepEqual(values, [new Uint8Array(300).fill(3), Uint8Array.of(9), new Uint8Array(0)]);
    const target = new Uint8Array(300);
    assert.equal(map.getInto("one", target), 1);
    assert.equal(target[0], 1);
    assert.equal(map.getInto("three".repeat(30), target.subarray(0, 299)), 300);
    assert.equal(target[0], 1);
    assert.equal(map.getInto("three".repeat(30), target), 300);
    assert.ok(target.every((byte) => byte === 3));
    assert.equal(map.getInto("two", target), undefined);
    throwsCode(() => map.getInto("two", "two" as never), "EINVAL", /target is/);
    throwsCode(() => map.getMany("two" as never, values), "EINVAL", /Give an array of texts/);
    const short = mapOf({ key: "u32", value: { text: 8 } });
    short.set(1, "é");
    assert.equal(short.getInto(1, target), 2);
    const fixed = mapOf({ key: "u32", value: { bytes: 3 } });
    fixed.set(1, Uint8Array.of(1, 2, 3));
    assert.equal(fixed.getInto(1, target), 3);
    assert.deepEqual([...target.subarray(0, 3)], [1, 2, 3]);
    const numbers = mapOf({ key: "u32", value: "u32" });
    throwsCode(() => numbers.getInto(1, target), "EINVAL", /neither bytes nor text/);
  });

  it("takes keys up to 64 KiB and values up to 16 MiB, and refuses what is none", () => {
    const map = mapOf({ key: "text", value: "bytes", storage: "40 MiB", blockBytes: 4096 });
    const long = "k".repeat(65_536);
    const large = new Uint8Array(2 ** 24).map((_, at) => at * 7);
    map.set(long, large);
    assert.deepEqual(map.get(long), large);
    map.set(long, large.subarray(1));
    assert.equal(map.get(long)?.length, 2 ** 24 - 1);
    throwsCode(() => map.set(`${long}k`, large), "EINVAL", /keys have at most 65536/);
    throwsCode(() => map.get("é".repeat(40_000)), "EINVAL", /at most 65536/);
    throwsCode(() => map.set("", new Uint8Array(2 ** 24 + 1)), "EINVAL", /at most 16777216/);
    throwsCode(() => map.set("\ud800", new Uint8Array(1)), "EINVAL", /half a surrogate pair/);
    throwsCode(() => map.get("a".repeat(100) + "\udc00"), "EINVAL", /half a surrogate pair/);
    throwsCode(() => map.get(7 as never), "EINVAL", /the key is 7/);
    throwsCode(() => map.set("", "text" as never), "EINVAL", /the value is "text"/);
    throwsCode(() => map.add("", 1), "EINVAL", /no numbers/);
    assert.equal(map.size, 1);
  });

  it("refuses options that mean nothing", () => {
    const refuses = (options: unknown, why: RegExp): void =>
      throwsCode(() => HashMap.bytes(options as HashMapOptions), "EINVAL", why);
    refuses({ key: "u32", value: "u32", storage: 4096 }, /storage is 4096, and neither/);
    refuses({ key: "text", value: "u32", blockBytes: 64 }, /blockBytes is 64, and no values/);
    refuses({ key: "text", value: "text", storage: 100 }, /storage/);
    refuses({ key: "text", value: "text", storage: "4 GiB" }, /storage/);
    refuses({ key: "text", value: "text", blockBytes: 100 }, /blockBytes is 100/);
    refuses({ key: "text", value: "text", blockBytes: 32 }, /blockBytes/);
    refuses({ key: Point, value: "text" }, /key/);
    refuses({ key: "u32", value: "json" }, /"bytes" or "text"/);
    refuses({ key: "u32", value: struct({ name: text(2000) }) }, /at most 1024/);
  });

  it("says that its storage is full, and goes on with what there is", () => {
    const map = mapOf({ key: "u32", value: "bytes", capacity: 100, storage: 4096 });
    for (let key = 0; key < 60; key++) map.set(key, new Uint8Array(64).fill(key));
    throwsCode(() => map.set(1, new Uint8Array(300)), "ENOMEM", /no room for 300 bytes more/);
    throwsCode(() => map.set(99, new Uint8Array(300)), "ENOMEM", /no room for 300 bytes more/);
    throwsCode(() => map.update(1, () => new Uint8Array(300)), "ENOMEM", /300 bytes/);
    assert.equal(map.get(1)?.[0], 1);
    assert.equal(map.has(99), false);
    for (let key = 60; key < 64; key++) map.set(key, new Uint8Array(64).fill(key));
    throwsCode(() => map.set(64, new Uint8Array(1)), "ENOMEM", /no room for 1 bytes more/);
    map.set(64, new Uint8Array(0));
    for (let key = 0; key < 64; key++) assert.deepEqual(map.get(key), new Uint8Array(64).fill(key));
    map.clear();
    map.set(1, new Uint8Array(3000));
    assert.equal(map.size, 1);
  });

  it("stays within its memory however often lengths change", () => {
    const map = mapOf({ key: "text", value: "bytes", capacity: 64, storage: "32 KiB" });
    const model = new Map<string, number>();
    let seed = 7;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    for (let step = 0; step < repeats(100_000); step++) {
      const number = random(40);
      const key = keyOf(number);
      if (random(5) === 0) assert.equal(map.delete(key), model.delete(key));
      else {
        const length = random(400);
        map.set(key, new Uint8Array(length).fill(number));
        model.set(key, length);
      }
      const wanted = model.get(key);
      if (step % 7 === 0) assert.equal(map.get(key)?.length, wanted);
    }
    assert.equal(map.size, model.size);
    map.clear();
    // All of it is free.
    map.set("", new Uint8Array(30_000));
  });

  it("is read while others write, and nothing is half of anything", async () => {
    const map = mapOf({ key: "text", value: "bytes", capacity: 64, storage: "128 KiB" });
    const count = repeats(10_000);
    const threads = [0, 1, 2].map((number) =>
      runFarMap({ task: "read and write", map, count, number })
    );
    assert.deepEqual(await Promise.all(threads.map((thread) => thread.join())), [0, 0, 0]);
    const keys = new Set(map.keys());
    assert.equal(keys.size, map.size);
    for (let key = 0; key < 60; key++) assert.equal(map.has(keyOf(key)), keys.has(keyOf(key)));
    map.clear();
    map.set("", new Uint8Array(120_000));
  });

  it("finds again what terminated threads had taken", async () => {
    const options = { key: "text", value: "bytes", capacity: 64, threads: 64 } as const;
    const map = mapOf({ ...options, storage: "96 KiB" });
    for (let round = 0; round < repeats(5); round++) {
      const threads = [0, 1].map((number) =>
        runFarMap({ task: "write for ever", map, count: 0, number })
      );
      await new Promise((resolve) => setTimeout(resolve, 50));
      await Promise.all(threads.map((thread) => thread.terminate()));
      for (const [text, value] of map) assert.ok(isValueOf(parseInt(text), value));
      for (let key = 0; key < 60; key++) map.set(keyOf(key), valueOf(key, round));
      for (let key = 0; key < 60; key++) {
        assert.deepEqual(map.get(keyOf(key)), valueOf(key, round));
        assert.equal(map.delete(keyOf(key)), true);
      }
      assert.deepEqual([...map], []);
      // All of it is free, or is found.
      map.set("", new Uint8Array(92_000));
      map.delete("");
    }
  });

  it("is read whatever is in its memory", () => {
    const options = { key: "text", value: "bytes", capacity: 20, storage: 4096 } as const;
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer()), fc.nat(200), (numbers, from) => {
        const words = new Int32Array(new SharedArrayBuffer(HashMap.bytes(options)));
        const map = HashMap.create(words, options);
        for (let key = 0; key < 10; key++) map.set(keyOf(key), new Uint8Array(200));
        for (let at = 64 + from; at < words.length; at++) {
          if (words[at] !== 0 || at % 5 === 0) words[at] = numbers.next().value as number;
        }
        for (let key = 0; key < 10; key++) map.get(keyOf(key));
        for (const [key, value] of map) assert.equal(typeof key + typeof value, "stringobject");
        assert.ok(map.size >= 0);
      }),
      { numRuns: 40 },
    );
  });

  it("writes to the key that it was given, whatever getters of a value do", () => {
    const map = mapOf({ key: "u32", value: Point });
    map.set(2, { id: 2, on: false, x: 2, name: "b" });
    const greedy = {
      get id(): number {
        map.get(2);
        return 7;
      },
      ...{ on: true, x: 0.5, name: "a" },
    };
    const expected = { id: 7, on: true, x: 0.5, name: "a" };
    const values = [greedy] as typeof greedy[];
    const writes: readonly ((key: number) => unknown)[] = [
      (key) => map.set(key, greedy),
      (key) => map.update(key, () => greedy),
      (key) => map.getOrInsert(key, greedy),
      (key) => map.compareExchange(key, undefined, greedy),
      (key) => map.setMany(Uint32Array.of(key), values),
    ];
    for (const [index, write] of writes.entries()) {
      write(10 + index);
      assert.deepEqual(map.get(10 + index), expected, `${index}`);
    }
    assert.equal(map.get(2)?.id, 2);
    assert.equal(map.size, writes.length + 1);
    // The key's bucket is locked while the getter runs.
    const nested = {
      get id(): number {
        map.set(2, expected);
        return 7;
      },
      ...{ on: true, x: 0.5, name: "a" },
    };
    throwsCode(() => map.update(1, () => nested), "EDEADLK");
    assert.equal(map.has(1), false);
    map.set(1, expected);
  });

  it("takes a list's elements before it uses any", () => {
    const map = mapOf({ key: "text", value: "f64" });
    for (const name of ["a", "b", "c"]) map.set(name, name.charCodeAt(0));
    const keys = ["a", "b", "c"];
    const other = new Float64Array(1);
    Object.defineProperty(keys, 1, { get: () => (map.getMany(["c"], other), "b") });
    const values = new Float64Array(3);
    assert.equal(map.getMany(keys, values), 3);
    assert.deepEqual([...values], [97, 98, 99]);
    map.setMany(keys, Float64Array.of(1, 2, 3));
    assert.deepEqual(["a", "b", "c"].map((name) => map.get(name)), [1, 2, 3]);
  });

  it("goes by how long arrays are, and not by what they say", () => {
    const map = mapOf({ key: "bytes", value: "bytes" });
    for (const length of [-1, 1_000_000]) {
      const lying = Object.defineProperty(Uint8Array.of(1, 2, 3), "length", { value: length });
      map.set(lying, lying);
      assert.deepEqual(map.get(Uint8Array.of(1, 2, 3)), Uint8Array.of(1, 2, 3));
      assert.equal(map.size, 1);
      const target = Object.defineProperty(new Uint8Array(2), "length", { value: length });
      assert.equal(map.getInto(lying, target), 3);
      assert.deepEqual([target[0], target[1]], [0, 0]);
    }
  });

  it("takes arrays that were transferred away for empty ones", () => {
    const map = mapOf({ key: "bytes", value: "bytes" });
    const gone = Uint8Array.of(1, 2);
    structuredClone(gone, { transfer: [gone.buffer] });
    map.set(gone, gone);
    assert.deepEqual(map.get(new Uint8Array(0)), new Uint8Array(0));
    assert.equal(map.update(gone, () => undefined), undefined);
    assert.equal(map.has(gone), false);
  });

  it("is restored as what it was, and not as bytes", async () => {
    const map = mapOf({ key: "u32", value: Point });
    map.set(1, { id: 1, on: true, x: 1, name: "a" });
    const file = await bytesOf(map.snapshot());
    const options = { key: "u32", value: { bytes: Point.size } } as const;
    await rejectsCode(HashMap.restore(memoryOf(options), file, options), "EINVAL");
  });

  it("asks for the struct in each thread, and for the same one", async () => {
    const options = { key: "u32", value: Point } as const;
    const map = mapOf(options);
    map.set(1, { id: 1, on: true, x: 2, name: "é" });
    const other = struct({ id: u32 });
    throwsCode(() => map.use(other), "EINVAL", /records have 4 bytes, and the map's/);
    throwsCode(() => map.use(7 as never), "EINVAL", /it is 7/);
    assert.equal(map.use(Point), map);
    throwsCode(() => map.set(1, { id: 1, on: true, x: 2, name: "123456" }), "EINVAL");
    throwsCode(() => map.set(1, 7 as never), "EINVAL", /record is 7/);
    throwsCode(() => mapOf({ key: "u32", value: "u32" }).use(Point), "EINVAL", /no records/);
    assert.deepEqual(map.get(1), { id: 1, on: true, x: 2, name: "é" });
    const file = await bytesOf(map.snapshot());
    const same = struct({ id: u32, on: bool, x: f64, nick: text(5) });
    const types = { key: "u32", value: same } as const;
    await rejectsCode(HashMap.restore(memoryOf(types), file, types), "EINVAL", /types/);
  });

  it("restores into more storage, and not into too little", async () => {
    const options = { key: "u32", value: "text", capacity: 20, storage: 16_384 } as const;
    const map = mapOf(options);
    for (let key = 0; key < 20; key++) map.set(key, "é".repeat(key * 16));
    const file = await bytesOf(map.snapshot());
    const types = { key: "u32", value: "text" } as const;
    const large = { ...types, capacity: 20, storage: "1 MiB" } as const;
    assert.equal((await HashMap.restore(memoryOf(large), file, large)).get(19), "é".repeat(304));
    assert.equal((await HashMap.restore(memoryOf(large), file, types)).size, 20);
    const small = { ...types, storage: 4096 } as const;
    await rejectsCode(
      HashMap.restore(memoryOf(large), file, small),
      "ENOMEM",
      /bytes, and the map/,
    );
    const others = { key: "u32", value: "bytes" } as const;
    await rejectsCode(HashMap.restore(memoryOf(large), file, others), "EINVAL", /types/);
    const damaged = file.slice();
    (damaged[file.length - 100] as number) ^= 1;
    await rejectsCode(HashMap.restore(memoryOf(large), damaged, types), "EBADMSG");
  });
});
