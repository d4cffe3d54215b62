import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Arena,
  type Handle,
  HashMap,
  type MapType,
  type MapTypeValue,
  type PlacedMapOptions,
  ShardedMap,
} from "../../mod.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";

function memoriesFor(options: PlacedMapOptions, parts: number): SharedArrayBuffer[] {
  const bytes = ShardedMap.bytes(options, parts);
  return Array.from({ length: parts }, () => new SharedArrayBuffer(bytes));
}

function mapOf<const Key extends MapType, const Value extends MapType>(
  options: PlacedMapOptions<Key, Value>,
  parts: number,
): ShardedMap<MapTypeValue<Key>, MapTypeValue<Value>> {
  return ShardedMap.create(memoriesFor(options, parts), options);
}

/** A value for a JavaScript Map: bytes by what is in them. */
const plain = (value: unknown): unknown => value instanceof Uint8Array ? value.join() : value;

const sorted = (map: Iterable<[unknown, unknown]>): unknown[] =>
  [...map].map(([key, value]) => JSON.stringify([plain(key), plain(value)])).sort();

const bytesOf = async (stream: ReadableStream<Uint8Array>): Promise<Uint8Array> =>
  new Uint8Array(await new Response(stream).arrayBuffer());

/** Types, and what is of them: few keys, so that the same ones come again. */
const TYPES: readonly {
  readonly key: MapType;
  readonly value: MapType;
  readonly keys: fc.Arbitrary<unknown>;
  readonly values: fc.Arbitrary<unknown>;
}[] = [
  { key: "u32", value: "i32", keys: fc.nat(20), values: fc.integer() },
  {
    key: "f64",
    value: "u32",
    keys: fc.constantFrom(0, -0, NaN, 0.1, -1, 2 ** 60, Infinity),
    values: fc.nat(),
  },
  {
    key: { bytes: 5 },
    value: "f64",
    keys: fc.uint8Array({ minLength: 5, maxLength: 5, max: 1 }),
    values: fc.double(),
  },
  {
    key: { text: 9 },
    value: { bytes: 7 },
    keys: fc.constantFrom("", "\0", "a", "a\0", "\ufeff", "é", "💥", "123456789"),
    values: fc.uint8Array({ minLength: 7, maxLength: 7 }),
  },
];

/** Has a map do a step beside a Map of JavaScript. */
function follow(
  map: ShardedMap<unknown, unknown>,
  model: Map<unknown, readonly [key: unknown, value: unknown]>,
  { what, key, value, other }: Record<string, unknown>,
): void {
  const name = plain(key);
  const before = model.get(name)?.[1];
  if (what === "set") {
    assert.equal(map.set(key, value), map);
    model.set(name, [key, value]);
  } else if (what === "delete") {
    assert.equal(map.delete(key), model.delete(name));
  } else if (what === "update") {
    const result = map.update(key, (found) => {
      assert.deepEqual(found, before);
      return found === undefined ? value : undefined;
    });
    assert.deepEqual(result, before === undefined ? value : undefined);
    if (before === undefined) model.set(name, [key, value]);
    else model.delete(name);
  } else if (what === "exchange") {
    assert.deepEqual(map.compareExchange(key, before, other), before);
    model.set(name, [key, other]);
  } else if (what === "insert") {
    assert.deepEqual(map.getOrInsert(key, value), before ?? value);
    if (before === undefined) model.set(name, [key, value]);
  } else {
    map.clear();
    model.clear();
  }
  assert.equal(map.size, model.size);
  assert.equal(map.has(key), model.has(name));
  assert.deepEqual(map.get(key), model.get(name)?.[1]);
}

describe("ShardedMap", () => {
  for (const { key, value, keys, values } of TYPES) {
    it(`does what a Map does, from ${JSON.stringify(key)} to ${JSON.stringify(value)}`, () => {
      const step = fc.record({
        what: fc.constantFrom("set", "set", "delete", "update", "exchange", "insert", "clear"),
        key: keys,
        value: values,
        other: values,
      });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (
          steps,
          parts,
        ) => {
          const options = { key, value, capacity: 64, threads: 2 };
          const map = mapOf(options, parts) as ShardedMap<unknown, unknown>;
          const model = new Map<unknown, readonly [unknown, unknown]>();
          for (const some of steps) follow(map, model, some);
          // As -0 is 0 for a Map, too.
          assert.deepEqual(
            new Map([...map].map(([key, value]) => [plain(key), value])),
            new Map([...model].map(([key, [, value]]) => [key, value])),
          );
          assert.equal([...map.keys()].length, model.size);
          assert.equal([...map.values()].length, model.size);
          assert.deepEqual(sorted(map.entriesOn(-1)), sorted(map));
          let calls = 0;
          map.forEach((value, key, which) => {
            assert.ok(which === map && calls++ < model.size);
            assert.deepEqual(value, model.get(plain(key))?.[1]);
          });
          assert.equal(calls, model.size);
        }),
        { numRuns: 40 },
      );
    });
  }

  it("reads and writes many at once, whichever parts they are in", () => {
    const types: readonly [MapType, (index: number) => unknown][] = [
      ["u32", (index) => index * 3],
      ["i32", (index) => -index],
      ["f64", (index) => index / 8],
      [{ bytes: 2 }, (index) => Uint8Array.of(index, index >> 8)],
      [{ bytes: 70 }, (index) => new Uint8Array(70).fill(index).fill(index >> 8, 1, 2)],
      [{ text: 8 }, (index) => `é${index}`],
    ];
    const listOf = (type: MapType, all: readonly unknown[]): unknown => {
      if (type === "u32") return Uint32Array.from(all as number[]);
      if (type === "i32") return Int32Array.from(all as number[]);
      if (type === "f64") return Float64Array.from(all as number[]);
      if (typeof type === "object" && "text" in type) return [...all];
      return Uint8Array.from((all as Uint8Array[]).flatMap((some) => [...some]));
    };
    for (const [key, makeKey] of types) {
      // Keys are shorter.
      if (typeof key === "object" && "bytes" in key && key.bytes > 64) continue;
      for (const [value, makeValue] of types) {
        const map = mapOf({ key, value, capacity: 1000 }, 3) as ShardedMap<never, never>;
        const count = 600;
        const all = Array.from({ length: count }, (_, index) => index);
        // The first keys twice: the later values count.
        const keys = listOf(key, all.map((index) => makeKey(index % 550))) as never;
        const values = listOf(value, all.map(makeValue)) as never;
        map.setMany(keys, values);
        assert.equal(map.size, 550);
        const wanted = all.map((index) => makeKey(index * 2));
        const target = listOf(value, all.map(() => makeValue(77))) as never;
        const found = new Uint8Array(count).fill(9);
        assert.equal(map.getMany(listOf(key, wanted) as never, target, found), 275);
        const is = (index: number): boolean => index * 2 < 550;
        assert.deepEqual([...found], all.map((index) => Number(is(index))));
        const now = (index: number): number => index * 2 < 50 ? 550 + index * 2 : index * 2;
        assert.deepEqual(
          target,
          listOf(value, all.map((index) => makeValue(is(index) ? now(index) : 77))),
        );
        assert.deepEqual(map.get(makeKey(549) as never), makeValue(549));
      }
    }
    const map = mapOf({ key: "u32", value: "u32" }, 2);
    assert.equal(map.getMany(new Uint32Array(0), new Uint32Array(0)), 0);
    map.setMany(new Uint32Array(0), new Uint32Array(0));
  });

  it("deals keys out evenly, whatever they are, and differently in each map", () => {
    const homes: string[] = [];
    for (const parts of [2, 3, 8]) {
      for (const step of [1, 64, 2 ** 12]) {
        const map = mapOf({ key: "u32", value: "u32", capacity: 20_000 }, parts);
        const keys = Uint32Array.from({ length: 20_000 }, (_, index) => index * step);
        map.setMany(keys, keys);
        const { data } = map.toHandle() as { data: { parts: Handle[] } };
        const share = keys.length / parts;
        const maps = data.parts.map((part) => HashMap.fromHandle<number, number>(part));
        for (const { size } of maps) {
          assert.ok(Math.abs(size - share) < 6 * Math.sqrt(share), `${size} of ${share}`);
        }
        homes.push(
          [...keys.subarray(0, 64)].map((key) => maps.findIndex((one) => one.has(key))).join(),
        );
      }
    }
    assert.equal(new Set(homes).size, homes.length);
  });

  it("holds as many entries as it was made for", () => {
    for (const capacity of [8, 9, 100, 1000, 5000]) {
      for (const parts of [1, 2, 4, 7, 40]) {
        const map = mapOf({ key: "u32", value: "u32", capacity, threads: 2 }, parts);
        for (let key = 0; key < capacity; key++) map.set(key * 64, key);
        assert.equal(map.size, capacity);
        assert.equal([...map].length, capacity);
      }
    }
    const map = mapOf({ key: "u32", value: "u32", capacity: 100 }, 2);
    throwsCode(() => {
      for (let key = 0;; key++) map.set(key, key);
    }, "ENOMEM");
    assert.ok(map.size < 800, `${map.size}`);
  });

  it("refuses what cannot be", async () => {
    const bad: Record<string, unknown>[] = [
      {},
      { key: "u64", value: "u32" },
      { key: "u32", value: { bytes: 0 } },
      { key: { bytes: 65 }, value: "u32" },
      { key: "u32", value: "u32", capacity: 7 },
      { key: "u32", value: "u32", capacity: 2 ** 26 + 1 },
      { key: "u32", value: "u32", capacity: -0 },
      { key: "u32", value: "u32", threads: 0 },
      { key: "u32", value: { bytes: 1024 }, capacity: 2 ** 26 },
    ];
    for (const options of bad) {
      throwsCode(() => ShardedMap.bytes(options as never, 2), "EINVAL");
      throwsCode(() => ShardedMap.create([new SharedArrayBuffer(8)], options as never), "EINVAL");
      await rejectsCode(
        ShardedMap.restore([new SharedArrayBuffer(8)], new Uint8Array(0), options as never),
        "EINVAL",
        /./,
      );
    }
    const options = { key: "u32", value: { text: 4 }, capacity: 64 } as const;
    for (const parts of [0, 1.5, NaN, -1, 1025, "2", undefined]) {
      throwsCode(() => ShardedMap.bytes(options, parts as number), "EINVAL", /parts/);
    }
    const memories = memoriesFor(options, 2);
    for (const wrong of [[], memories[0], null, { length: 1 }, "ab", new Array(1025)]) {
      throwsCode(() => ShardedMap.create(wrong as never, options), "EINVAL", /its memory/);
    }
    throwsCode(() => ShardedMap.create([memories[0], 7] as never, options), "EINVAL", /of a part/);
    throwsCode(
      () =>
        ShardedMap.create([memories[0] as SharedArrayBuffer, new SharedArrayBuffer(64)], options),
      "EINVAL",
      /has 64/,
    );
    throwsCode(
      () => ShardedMap.create(new Array(2).fill(new SharedArrayBuffer(1e6)), options),
      "EBUSY",
    );
    const used = new SharedArrayBuffer(1e6);
    new Int32Array(used)[1000] = 1;
    throwsCode(
      () => ShardedMap.create([memories[0] as SharedArrayBuffer, used], options),
      "EBUSY",
      /of a part is already in use/,
    );
    // Nothing of these was used.
    const map = ShardedMap.create(memories, options);
    for (const key of [-1, -0, 0.5, NaN, 2 ** 32, 2 ** 53, "1", 1n, null, undefined, {}]) {
      throwsCode(() => map.get(key as number), "EINVAL", /the key is/);
      throwsCode(() => map.homeOf(key as number), "EINVAL", /the key is/);
      throwsCode(() => map.set(key as number, "a"), "EINVAL", /the key is/);
      throwsCode(() => map.delete(key as number), "EINVAL", /the key is/);
    }
    for (const value of [1, null, undefined, "12345", "\ud800"]) {
      throwsCode(() => map.set(1, value as string), "EINVAL", /the value/);
    }
    throwsCode(() => map.add(1, 1), "EINVAL", /no numbers/);
    throwsCode(() => map.update(1, "f" as never), "EINVAL", /the function is/);
    throwsCode(() => map.getMany([1] as never, [""]), "EINVAL", /keys are an array of 1/);
    throwsCode(() => map.getMany(new Uint32Array(2), [""]), "EINVAL", /not as long/);
    throwsCode(() => map.getMany(new Uint32Array(1), [""], [0] as never), "EINVAL");
    throwsCode(() => map.setMany(new Uint32Array(1), ["12345"]), "EINVAL", /the value/);
    throwsCode(() => [...map.entriesOn(3)], "EINVAL", /no part is there/);
    assert.equal(map.size, 0);
  });

  it("has handles of all parts, and of no others", () => {
    const options = { key: "u32", value: "u32", capacity: 64 } as const;
    const [one, other] = [mapOf(options, 2), mapOf(options, 2)];
    type Data = { readonly head: Handle; readonly parts: readonly Handle[] };
    const { head, parts } = one.toHandle().data as Data;
    const { parts: others, head: otherHead } = other.toHandle().data as Data;
    assert.equal(ShardedMap.fromHandle(one.toHandle()), one);
    const wrong: unknown[] = [
      {},
      { parts },
      { head },
      { head, parts: [] },
      { head, parts: [parts[0]] },
      { head, parts: [parts[1], parts[0]] },
      { head, parts: [...parts, parts[0]] },
      { head, parts: [parts[0], null] },
      { head: parts[0], parts },
      { head, parts: [head, head] },
      { head, parts: [parts[0], { numakitHandle: "HashMap", data: { arena: 7 } }] },
      {
        head,
        parts: [parts[0], {
          numakitHandle: "HashMap",
          data: { arena: { data: { identity: Symbol() } }, offset: 1n },
        }],
      },
    ];
    for (const data of wrong) {
      throwsCode(() => ShardedMap.fromHandle({ numakitHandle: "ShardedMap", data }), "EINVAL");
    }
    throwsCode(() => ShardedMap.fromHandle(parts[0] as Handle), "EINVAL");
    assert.notDeepEqual([head, others], [otherHead, parts]);
    // All but the first parts begin where their memories do.
    const dataOf = (map: ShardedMap<number, number>): Data => map.toHandle().data as Data;
    const [three, same] = [dataOf(mapOf(options, 3)), dataOf(mapOf(options, 3))];
    const [a, b, c] = three.parts as [Handle, Handle, Handle];
    const holes = [a, b, c];
    delete holes[1];
    for (const parts of [[a, c, b], [a, same.parts[1], c], [same.parts[0], b, c], holes]) {
      const handle = { numakitHandle: "ShardedMap", data: { head: three.head, parts } };
      throwsCode(() => ShardedMap.fromHandle(handle), "EINVAL");
    }
    // Memory that is this thread's alone.
    const bytes = ShardedMap.bytes(options, 1);
    const alone = ShardedMap.create([new Int32Array(bytes / 4)], options);
    alone.set(1, 2);
    throwsCode(() => alone.toHandle(), "EINVAL", /alone/);
  });

  it("does not write to itself in an update, and goes on after one that throws", () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 64 }, 4);
    for (let key = 0; key < 8; key++) map.set(key, 10);
    const writes = [
      ...Array.from({ length: 8 }, (_, key) => () => map.set(key, 1)),
      () => map.delete(1),
      () => map.add(1, 1),
      () => map.update(1, () => 3),
      () => map.getOrInsert(50, 1),
      () => map.compareExchange(1, 10, 3),
      () => map.clear(),
      () => map.setMany(Uint32Array.of(1), Uint32Array.of(1)),
    ];
    for (const write of writes) {
      throwsCode(() => map.update(1, () => void write()), "EDEADLK", /the function of an update/);
    }
    assert.throws(() => map.update(1, () => assert.fail("enough")), /enough/);
    // Reads are no harm.
    assert.equal(map.update(1, (value = 0) => value + (map.get(2) ?? 0) + Number(map.has(9))), 20);
    assert.deepEqual([map.size, map.get(1), map.get(7)], [8, 20, 10]);
  });

  it("takes keys that are bytes once", () => {
    const map = mapOf({ key: { bytes: 4 }, value: "u32", capacity: 64 }, 4);
    for (let round = 0; round < 50; round++) {
      const key = Uint8Array.of(round, 0, 0, 0);
      map.update(key, () => {
        key[1] = 1;
        map.get(Uint8Array.of(9, 9, 9, 9));
        return round;
      });
      assert.equal(map.get(Uint8Array.of(round, 0, 0, 0)), round);
      assert.equal(map.has(key), false);
    }
    // A getter of a list calls the map again.
    const texts = mapOf({ key: { text: 4 }, value: "u32", capacity: 64 }, 4);
    const keys = ["a", "b", "c"];
    Object.defineProperty(keys, 1, {
      get() {
        texts.setMany(["x", "y", "z", "w"], Uint32Array.of(7, 7, 7, 7));
        texts.getMany(["x", "y"], new Uint32Array(2));
        return "b";
      },
    });
    texts.setMany(keys, Uint32Array.of(1, 2, 3));
    assert.deepEqual(["a", "b", "c", "x"].map((key) => texts.get(key)), [1, 2, 3, 7]);
    // And those of a list of values, which is read and written.
    const both = mapOf({ key: { text: 4 }, value: { text: 4 }, capacity: 64 }, 4);
    const values = ["1", "2", "3"];
    let second = "2";
    const call = (): void => {
      both.setMany(["x", "y", "z", "w"], ["7", "7", "7", "7"]);
      both.getMany(["x", "y"], ["", ""]);
    };
    Object.defineProperty(values, 1, {
      get: () => (call(), second),
      set: (value) => (call(), second = value),
    });
    both.setMany(["a", "b", "c"], values);
    assert.deepEqual(["a", "b", "c", "x"].map((key) => both.get(key)), ["1", "2", "3", "7"]);
    assert.equal(both.getMany(["c", "x", "a"], values), 3);
    assert.deepEqual([...values], ["3", "7", "1"]);
  });

  it("is kept in files that a HashMap reads, and reads those of one", async () => {
    const options = { key: { text: 9 }, value: { bytes: 3 }, capacity: 3000 } as const;
    const map = mapOf(options, 3);
    for (let key = 0; key < 2500; key++) map.set(`é${key}`, Uint8Array.of(key, key >> 8, 7));
    const file = await bytesOf(map.snapshot());
    const whole = await HashMap.restore(
      new SharedArrayBuffer(HashMap.bytes(options)),
      file,
      options,
    );
    assert.deepEqual(sorted(whole), sorted(map));
    const { capacity: _, ...types } = options;
    for (const source of [file, whole.snapshot()]) {
      const again = await ShardedMap.restore(memoriesFor({ ...options }, 5), source, types);
      assert.deepEqual(sorted(again), sorted(map));
    }
    const unused = memoriesFor(options, 2);
    file[100] = (file[100] as number) ^ 1;
    await rejectsCode(ShardedMap.restore(unused, file, options), "EBADMSG", /./);
    file[100] = (file[100] as number) ^ 1;
    const few = { ...options, capacity: 2000 };
    await rejectsCode(ShardedMap.restore(unused, file, few), "ENOMEM", /2500 entries/);
    await rejectsCode(
      ShardedMap.restore(unused, file, { ...options, key: "u32" }),
      "EINVAL",
      /taken of/,
    );
    assert.equal((await ShardedMap.restore(unused, file, options)).size, 2500);
    await rejectsCode(ShardedMap.restore(unused, file, options), "EBUSY", /./);
  });

  it("is read whatever is in its memory", () => {
    const options = { key: "u32", value: { text: 20 }, capacity: 50 } as const;
    fc.assert(
      fc.property(fc.infiniteStream(fc.integer()), fc.nat(200), (numbers, from) => {
        const memories = memoriesFor(options, 2);
        const map = ShardedMap.create(memories, options);
        const handle = map.toHandle();
        map.set(1, "one").set(2, "two");
        for (const memory of memories) {
          const words = new Int32Array(memory);
          for (let at = 32 + from; at < words.length; at++) {
            if (words[at] !== 0 || at % 3 === 0) words[at] = numbers.next().value as number;
          }
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
        assert.equal(map.nodes.length, 2);
        if (from > 160) assert.equal(ShardedMap.fromHandle(handle), map);
      }),
      { numRuns: 40 },
    );
  });

  it("lives in arenas, and ends with each of them", { skip: noPolicies }, () => {
    using first = Arena.create({ node: 0, size: "1 MiB" });
    const second = Arena.create({ node: 0, size: "1 MiB" });
    const options = { key: "u32", value: "u32", capacity: 100 } as const;
    const map = ShardedMap.create([first, second], options);
    assert.ok(first.used >= ShardedMap.bytes(options, 2) && second.used > 0);
    for (let key = 0; key < 90; key++) map.set(key, 2);
    assert.deepEqual([map.nodes, map.homeOf(7), [...map.entriesOn(0)].length], [[0, 0], 0, 90]);
    const handle = map.toHandle();
    assert.equal(ShardedMap.fromHandle<number, number>(handle), map);
    const { data } = handle as { readonly data: { readonly parts: readonly Handle[] } };
    const [one] = data.parts.map((part) => HashMap.fromHandle<number, number>(part));
    const inFirst = (key: number): boolean => one?.has(key) === true;
    const keys = Array.from({ length: 90 }, (_, key) => key);
    const [here, gone] = [
      keys.find(inFirst) as number,
      keys.find((key) => !inFirst(key)) as number,
    ];
    second.destroy();
    assert.equal(map.set(here, 3).get(here), 3);
    for (
      const call of [
        () => map.get(gone),
        () => map.has(gone),
        () => map.set(gone, 2),
        () => map.delete(gone),
        () => map.add(gone, 2),
        () => map.update(gone, () => 1),
        () => map.size,
        () => [...map],
        () => map.clear(),
        () => map.getMany(Uint32Array.from(keys), new Uint32Array(90)),
        () => map.snapshot(),
        () => map.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
    const full = Arena.create({ node: 0, size: "64 KiB" });
    const used = first.used;
    throwsCode(
      () => ShardedMap.create([first, full], { ...options, capacity: 10_000 }),
      "ENOMEM",
      /an arena has/,
    );
    assert.equal(first.used, used);
    full.destroy();
    // Room for one part, and not for two.
    const bytes = ShardedMap.bytes(options, 2);
    using small = Arena.create({ node: 0, size: first.remaining });
    small.alloc(small.remaining - Math.floor(1.5 * bytes));
    const before = small.used;
    throwsCode(() => ShardedMap.create([small, small], options), "ENOMEM", /all of its parts/);
    assert.equal(small.used, before);
    ShardedMap.create([small], { ...options, capacity: 50 });
  });
});
