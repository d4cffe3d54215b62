import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Arena,
  type MapType,
  type MapTypeValue,
  ReplicatedMap,
  type ReplicatedMapOptions,
} from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import { repeats } from "../support/extent.ts";
import { runPlaced } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";

const COPIES = 3;

/** Its memories, and the map in them. */
function wordsAndMap<const Key extends MapType, const Value extends MapType>(
  options: ReplicatedMapOptions<Key, Value>,
  copies = COPIES,
): {
  readonly parts: readonly Int32Array[];
  readonly map: ReplicatedMap<MapTypeValue<Key>, MapTypeValue<Value>>;
} {
  const bytes = ReplicatedMap.bytes(options);
  const parts = Array.from(
    { length: copies },
    () => new Int32Array(new SharedArrayBuffer(bytes)),
  );
  return { parts, map: ReplicatedMap.create(parts, options) };
}

function mapOf<const Key extends MapType, const Value extends MapType>(
  options: ReplicatedMapOptions<Key, Value>,
): ReplicatedMap<MapTypeValue<Key>, MapTypeValue<Value>> {
  return wordsAndMap(options).map;
}

/** Words of a part, behind the region's own line. */
const LOST = 32 + 3 * 32 + 1;
const COPY_OWNER = 32 + 4 * 32;

/** A value for a JavaScript Map: bytes by what is in them. */
const plain = (value: unknown): unknown => value instanceof Uint8Array ? value.join() : value;

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
  {
    key: "f64",
    value: "f64",
    keys: fc.constantFrom(0, -0, NaN, 0.1, -1, 2 ** 60, Infinity),
    values: fc.double(),
  },
  {
    key: { bytes: 5 },
    value: { text: 30 },
    keys: fc.uint8Array({ minLength: 5, maxLength: 5, max: 1 }),
    values: fc.string({ maxLength: 10 }),
  },
];

describe("ReplicatedMap", () => {
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
          const map = mapOf({ key, value, capacity: 64 }) as ReplicatedMap<unknown, unknown>;
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
              const result = map.update(key, (found) => {
                assert.deepEqual(found, before);
                return found === undefined ? value : undefined;
              });
              assert.deepEqual(result, before === undefined ? value : undefined);
              if (before === undefined) model.set(name, value);
              else model.delete(name);
            } else if (what === "exchange") {
              assert.deepEqual(map.compareExchange(key, other, value), before);
              if (before !== undefined && Object.is(before, other)) model.set(name, value);
              const now = model.get(name);
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
          assert.deepEqual(new Map([...map].map(([key, value]) => [plain(key), value])), model);
          assert.equal([...map.keys()].length, model.size);
          assert.equal([...map.values()].length, model.size);
          let calls = 0;
          map.forEach((value, key, which) => {
            assert.ok(which === map && calls++ < model.size);
            assert.deepEqual(value, model.get(plain(key)));
          });
          assert.equal(calls, model.size);
        }),
        { numRuns: 60 },
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
    numbers.delete(3);
    assert.equal(numbers.getMany(keys.subarray(0, 3), values.subarray(0, 3)), 2);
    assert.equal(numbers.getMany(new Uint32Array(0), new Float64Array(0)), 0);
    const words = mapOf({ key: { text: 8 }, value: { bytes: 3 }, capacity: 100 });
    words.setMany(["one", "two"], Uint8Array.of(1, 1, 1, 2, 2, 2));
    const bytes = new Uint8Array(9);
    assert.equal(words.getMany(["two", "three", "one"], bytes), 2);
    assert.deepEqual([...bytes], [2, 2, 2, 0, 0, 0, 1, 1, 1]);
  });

  it("takes lists whose elements call it again", () => {
    const map = mapOf({ key: { text: 4 }, value: { text: 4 }, capacity: 64 });
    const call = (): void => {
      map.set("x", "y");
      map.setMany(["x", "z"], ["x", "z"]);
      map.getMany(["x", "z"], ["", ""]);
      map.get("z");
    };
    /** A list that calls the map whenever an element is read or written. */
    const calling = (list: string[]): string[] => {
      const elements = [...list];
      for (const at of list.keys()) {
        Object.defineProperty(list, at, {
          get: () => (call(), elements[at]),
          set: (value) => (call(), elements[at] = value),
        });
      }
      return list;
    };
    map.setMany(calling(["a", "b", "c"]), calling(["1", "2", "3"]));
    assert.deepEqual(["a", "b", "c"].map((key) => map.get(key)), ["1", "2", "3"]);
    const values = calling(["", "", "", ""]);
    assert.equal(map.getMany(calling(["c", "b", "-", "a"]), values), 3);
    assert.deepEqual([...values], ["3", "2", "", "1"]);
    assert.equal(map.size, 5);
  });

  it("adds to numbers, which wrap", () => {
    const unsigned = mapOf({ key: "u32", value: "u32" });
    assert.deepEqual([unsigned.add(1, 5), unsigned.add(1, 2 ** 32 - 1)], [5, 4]);
    assert.deepEqual([unsigned.add(1, -1), unsigned.add(1, -(2 ** 31))], [3, 2 ** 31 + 3]);
    const signed = mapOf({ key: "u32", value: "i32" });
    assert.deepEqual([signed.add(1, 2 ** 31 - 1), signed.add(1, 1)], [2 ** 31 - 1, -(2 ** 31)]);
    const real = mapOf({ key: "u32", value: "f64" });
    assert.deepEqual([real.add(1, 0.5), real.add(1, 0.25)], [0.5, 0.75]);
    const bytes = mapOf({ key: "u32", value: { bytes: 4 } });
    throwsCode(() => bytes.add(1, 1), "EINVAL", /no numbers/);
  });

  it("holds as many entries as it was made for in all copies, and churns", () => {
    for (const capacity of [8, 100, 1000]) {
      for (const value of ["u32", { text: 40 }, { bytes: 1000 }] as const) {
        const { map, parts } = wordsAndMap({ key: "i32", value, capacity });
        const any = map as ReplicatedMap<number, unknown>;
        const make = (key: number): unknown =>
          typeof value === "string" ? key : "bytes" in value ? new Uint8Array(1000) : `${key}`;
        for (let key = 0; key < capacity; key++) any.set(key * 64, make(key));
        assert.equal(map.size, capacity);
        throwsCode(
          () => {
            for (let key = -1;; key--) any.set(key, make(0));
          },
          "ENOMEM",
          /no room for another key/,
        );
        assert.ok(map.size <= capacity * 1.125);
        any.set(0, make(0));
        for (let round = 0; round < 20 * capacity; round++) {
          any.delete((round % capacity) * 64);
          any.set((round % capacity) * 64, make(0));
        }
        for (let key = 0; key < capacity; key++) assert.ok(map.has(key * 64));
        // Also those that nobody has read: the log is shorter than what was written.
        assert.ok(parts.every((words) => words[LOST] === 0));
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
      { key: { bytes: 65 }, value: "u32" },
      { key: "u32", value: "u32", capacity: 7 },
      { key: "u32", value: "u32", capacity: NaN },
      { key: "u32", value: { bytes: 1024 }, capacity: 2 ** 26 },
    ];
    for (const options of bad) {
      throwsCode(() => ReplicatedMap.bytes(options as unknown as ReplicatedMapOptions), "EINVAL");
    }
    const options = { key: "u32", value: { text: 4 }, capacity: 8 } as const;
    const memory = (): SharedArrayBuffer => new SharedArrayBuffer(ReplicatedMap.bytes(options));
    for (const wrong of [[], undefined, null, 7, [memory(), 7], [new SharedArrayBuffer(64)]]) {
      throwsCode(() => ReplicatedMap.create(wrong as never, options), "EINVAL");
    }
    const same = memory();
    throwsCode(() => ReplicatedMap.create([same, same], options), "EBUSY", /the same memory/);
    const used = memory();
    new Int32Array(used)[9] = 1;
    throwsCode(() => ReplicatedMap.create([same, used], options), "EBUSY", /already in use/);
    throwsCode(() => ReplicatedMap.create([same, 7] as never, options), "EINVAL", /of a part is 7/);
    // Nothing of the first memory was used.
    const map = ReplicatedMap.create([same, memory()], options);
    for (const key of [-1, -0, 0.5, NaN, 2 ** 32, 2 ** 53, "1", 1n, null, undefined, {}]) {
      throwsCode(() => map.get(key as number), "EINVAL", /the key is/);
      throwsCode(() => map.set(key as number, "a"), "EINVAL", /the key is/);
      throwsCode(() => map.delete(key as number), "EINVAL", /the key is/);
      throwsCode(() => map.update(key as number, () => "a"), "EINVAL", /the key is/);
    }
    for (const value of [1, null, undefined, "12345", "\ud800", {}]) {
      throwsCode(() => map.set(1, value as string), "EINVAL", /the value/);
      throwsCode(() => map.getOrInsert(1, value as string), "EINVAL", /the value/);
      throwsCode(() => map.compareExchange(1, undefined, (value ?? 7) as string), "EINVAL");
      throwsCode(() => map.update(1, () => (value ?? 7) as string), "EINVAL", /the value/);
    }
    assert.equal(map.size, 0);
    throwsCode(() => map.update(1, "f" as never), "EINVAL", /the function is/);
    const later = (() => Promise.resolve("a")) as never;
    throwsCode(() => map.update(1, later), "EINVAL", /asynchronous/);
    throwsCode(() => map.getMany(new Uint32Array(2), [""]), "EINVAL", /not as long/);
    throwsCode(() => map.setMany(new Uint32Array(2), ["a"]), "EINVAL", /not as long/);
    // Nothing has stayed locked.
    map.set(1, "one");
    const handle = map.toHandle() as { data: { parts: unknown[] } };
    const other = ReplicatedMap.create([memory(), memory()], options).toHandle();
    const [first, second] = handle.data.parts;
    for (
      const parts of [
        [first],
        [second, first],
        [first, second, second],
        [first, (other as unknown as typeof handle).data.parts[1]],
        [],
        [first, null],
        new Array(2),
        7,
      ]
    ) {
      const wrong = { numakitHandle: "ReplicatedMap", data: { parts } };
      throwsCode(() => ReplicatedMap.fromHandle(wrong), "EINVAL");
    }
    assert.equal(ReplicatedMap.fromHandle<number, string>(map.toHandle()), map);
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

  it("reads another copy when one is lost", () => {
    const { map, parts } = wordsAndMap({ key: "u32", value: "u32", capacity: 100 });
    map.set(1, 1);
    for (let lost = 0; lost < COPIES - 1; lost++) {
      const words = parts[map.copy] as Int32Array;
      words[LOST] = 1;
      map.set(1, lost + 2);
      assert.equal(map.get(1), lost + 2);
      for (let key = 0; key < 50; key++) map.set(key, key);
      for (let round = 0; round < 5000; round++) map.add(60, 1);
      assert.equal(map.get(60), 5000 * (lost + 1));
      assert.equal(map.size, 51);
      assert.equal([...map].length, 51);
      map.set(1, 1);
    }
    (parts[map.copy] as Int32Array)[LOST] = 1;
    map.set(1, 9);
    for (const call of [() => map.get(1), () => map.set(1, 1), () => map.size, () => [...map]]) {
      throwsCode(call, "ENOMEM", /no other one is left/);
    }
  });

  it("says so when the copy whose entries are being read is lost, and gives all of another one", () => {
    const { map, parts } = wordsAndMap({ key: "u32", value: "u32", capacity: 100 });
    for (let key = 0; key < 50; key++) map.set(key, key);
    const entries = map.entries();
    entries.next();
    (parts[map.copy] as Int32Array)[LOST] = 1;
    map.set(50, 50);
    throwsCode(() => [...entries], "ENOMEM", /was written meanwhile.*other copies have all/s);
    assert.equal([...map].length, 51);
  });

  it("is written to and read by threads, each with a copy", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 20_000 });
    const each = 1000;
    const done = 4_000_000_000;
    for (let key = 5; key < 55; key++) map.set(key, 0);
    const watchers = [0, 1].map(() => runPlaced({ task: "watch", map, first: 5, count: done }));
    const writers = [0, 1].map((index) =>
      runPlaced({ task: "fill", map, first: 1_000_000 + index * each, count: each })
    );
    const adders = [0, 1].map(() => runPlaced({ task: "count", map, first: 5, count: 2000 }));
    const results = await Promise.all([...writers, ...adders].map((thread) => thread.join()));
    assert.deepEqual(results, [each, each, 2000, 2000]);
    map.set(done, 1);
    const copies = await Promise.all(watchers.map((thread) => thread.join()));
    assert.ok(copies.every((copy) => copy >= 0 && copy < COPIES), String(copies));
    map.delete(done);
    let sum = 0;
    for (let key = 5; key < 55; key++) sum += map.get(key) ?? 0;
    assert.equal(sum, 4000);
    for (let key = 1_000_000; key < 1_000_000 + 2 * each; key++) {
      assert.equal(map.get(key), key % 3 === 0 ? undefined : key * 3);
    }
    assert.equal([...map].length, map.size);
  });

  it("goes on when threads are terminated that write to it", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 100 });
    const bytes = mapOf({ key: "u32", value: { bytes: 8 }, capacity: 100 });
    for (let round = 0; round < repeats(6); round++) {
      const task = { task: "write for ever", map, bytes, first: 0, count: 100 } as const;
      const threads = [runPlaced(task), runPlaced(task)];
      await new Promise((resolve) => setTimeout(resolve, 30));
      const ends = await Promise.all(threads.map((thread) => thread.terminate()));
      assert.deepEqual(ends, [true, true]);
      for (const [, value] of bytes) {
        assert.ok(value.every((byte) => byte === value[0]), `half a value: ${value}`);
      }
      assert.equal([...bytes].length, bytes.size);
      for (let key = 0; key < 100; key++) bytes.set(key, new Uint8Array(8).fill(key));
      for (let key = 0; key < 100; key++) assert.equal(bytes.get(key)?.[0], key);
      assert.equal(bytes.size, 100);
      for (let key = 0; key < 100; key++) assert.equal(bytes.delete(key), true);
      assert.deepEqual([...bytes], []);
    }
  });

  it("takes the copy of a thread that is not alive", () => {
    const { map, parts } = wordsAndMap({ key: "u32", value: "u32", capacity: 8 });
    // An id that no thread has: of the last slot, and long ago.
    for (const words of parts) words[COPY_OWNER] = 0x1fffffff;
    (parts[0] as Int32Array)[32 + 2 * 32] = 0x1fffffff;
    map.set(1, 2);
    assert.equal(map.get(1), 2);
  });

  it("is read whatever is in its memory", () => {
    const options = { key: "u32", value: { text: 20 }, capacity: 50 } as const;
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer()), fc.nat(500), (numbers, from) => {
        const { map, parts } = wordsAndMap(options);
        for (let key = 0; key < 10; key++) map.set(key, "one");
        for (const words of parts) {
          // Also the words of the log and of the copy; owners are not alive then.
          for (let at = 64 + (from < 250 ? 0 : from); at < words.length; at++) {
            if (words[at] !== 0 || at % 3 === 0) {
              words[at] = (numbers.next().value as number) | 0x40000000;
            }
          }
        }
        const refused = (call: () => void): void => {
          try {
            call();
          } catch (error) {
            assert.equal((error as { code?: string }).code, "ENOMEM");
          }
        };
        refused(() => {
          for (let key = 0; key < 30; key++) {
            assert.ok(["string", "undefined"].includes(typeof map.get(key)));
          }
          map.getMany(
            Uint32Array.from({ length: 40 }, (_, key) => key),
            new Array<string>(40).fill(""),
          );
          for (const [key, value] of map) assert.equal(typeof key + typeof value, "numberstring");
          assert.ok(map.size >= 0);
        });
        refused(() => map.set(1, "two"));
        refused(() => map.delete(2));
        refused(() => map.clear());
      }),
      { numRuns: 40 },
    );
  });

  it("lives in arenas, and ends with them", { skip: noPolicies }, () => {
    for (const which of [0, 1]) {
      const arenas = [0, 1].map(() => Arena.create({ node: 0, size: "1 MiB" }));
      const map = ReplicatedMap.create(arenas, { key: "u32", value: "u32", capacity: 100 });
      assert.deepEqual(map.nodes, [0, 0]);
      for (let key = 0; key < 90; key++) map.set(key, 2);
      assert.equal(ReplicatedMap.fromHandle<number, number>(map.toHandle()), map);
      const entries = map.entries();
      entries.next();
      const calls = [
        () => map.set(1, 2),
        () => map.delete(1),
        () => map.add(1, 2),
        () => map.update(1, () => 2),
        () => map.compareExchange(1, 2, 3),
        () => map.size,
        () => [...map],
        () => map.clear(),
        () => [...entries],
        () => map.getMany(Uint32Array.of(1), Uint32Array.of(1)),
        () => map.toHandle(),
      ];
      // A function that ends the map's memory, while the map is read and before it is written.
      throwsCode(
        () =>
          map.update(1, () => {
            arenas[which]?.destroy();
            return 7;
          }),
        "EDESTROYED",
      );
      for (const call of calls) throwsCode(call, "EDESTROYED");
      arenas[0]?.destroy();
      arenas[1]?.destroy();
      throwsCode(() => map.get(1), "EDESTROYED");
      throwsCode(() => map.has(1), "EDESTROYED");
    }
  });

  it("writes nothing where a value stays as it is", () => {
    const { map, parts } = wordsAndMap({ key: "u32", value: { text: 20 }, capacity: 8 });
    map.set(1, "one");
    const before = parts.map((words) => words.slice());
    assert.equal(map.getOrInsert(1, "uno"), "one");
    assert.equal(map.compareExchange(1, "two", "three"), "one");
    assert.equal(map.compareExchange(1, undefined, "three"), "one");
    assert.equal(map.compareExchange(2, "one", undefined), undefined);
    assert.equal(map.delete(2), false);
    assert.deepEqual(parts, before);
  });
});
