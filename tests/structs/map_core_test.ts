import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import fc from "fast-check";
import { type Hasher, hasherOf } from "../../lib/structs/maps/hashers.ts";
import { ADDED, FULL, REPLACED } from "../../lib/structs/maps/map_chains.ts";
import { BATCH, MapCore } from "../../lib/structs/maps/map_core.ts";
import { mapOptionOf, mapSettingsOf } from "../../lib/structs/maps/map_settings.ts";
import { bucketAt, ENTRIES, layoutOf, OWNER, placeOf } from "../../lib/structs/maps/map_table.ts";
import type { MapType } from "../../lib/structs/maps/map_types.ts";
import type { Waiter } from "../../lib/wait/waiter.ts";
import { counting, withLoads } from "../support/counting.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

/** Hashes that collide a lot. */
const crowded: Hasher = { hash: (words, at) => (words[at] as number) % 5 };

function coreOf(
  shape: { readonly keyWords: number; readonly valueWords: number; readonly capacity: number },
  hasher: Hasher,
): { readonly core: MapCore; readonly words: Int32Array; readonly me: Waiter } {
  const layout = layoutOf(shape, 2);
  const words = sharedWords(layout.words);
  const core = new MapCore(words, { layout, keyWords: shape.keyWords, hasher });
  return { core, words, me: new FakeProcess().thread(0) };
}

/** Puts a value in, as `HashMap` does. */
function put(core: MapCore, me: Waiter, key: Int32Array, value: Int32Array): number {
  assert.ok(core.lock(me, key));
  const outcome = core.assign(key, value);
  const isCrowded = core.isCrowded();
  core.unlock();
  if (isCrowded) core.grow(me);
  return outcome;
}

function take(core: MapCore, me: Waiter, key: Int32Array): boolean {
  assert.ok(core.lock(me, key));
  const had = core.remove(key);
  core.unlock();
  return had;
}

/** All entries, as text. */
function entriesOf(core: MapCore, size: number, before = core.buckets()): string[] {
  const all: string[] = [];
  for (let place = 0; place < before; place++) {
    const words = core.copy(place, before);
    for (let at = 0; at < words.length; at += size) all.push(String(words.slice(at, at + size)));
  }
  return all.sort();
}

describe("the layout of a map", () => {
  it("has room for what it is laid out for, in whole lines", () => {
    const shapes = fc.record({
      keyWords: fc.integer({ min: 1, max: 17 }),
      valueWords: fc.integer({ min: 1, max: 257 }),
      capacity: fc.integer({ min: 8, max: 100_000 }),
    });
    fc.assert(fc.property(shapes, (shape) => {
      const layout = layoutOf(shape);
      const { entries, entryWords, bucketWords, first, most, all, words } = layout;
      assert.equal(bucketWords % 16, 0);
      assert.ok(entries >= 4 && entries <= 8, `${entries} entries`);
      assert.ok(ENTRIES + entries * entryWords <= bucketWords);
      assert.ok(entries * most * 0.7 >= shape.capacity - 1);
      assert.equal(Math.log2(first) % 1, 0);
      assert.ok(first >= 1 && first <= most && first <= 64 && all > most);
      assert.equal(bucketAt(all, bucketWords), words);
    }));
    assert.equal(layoutOf({ keyWords: 1, valueWords: 1, capacity: 1000 }).entries, 6);
    assert.equal(layoutOf({ keyWords: 1, valueWords: 1, capacity: 1000 }).bucketWords, 16);
  });

  it("has a place for each hash, and a new bucket takes from one other", () => {
    const hashes = fc.record({ hash: fc.integer(), buckets: fc.integer({ min: 1, max: 70_000 }) });
    fc.assert(fc.property(hashes, ({ hash, buckets }) => {
      const before = placeOf(hash, buckets);
      const after = placeOf(hash, buckets + 1);
      assert.ok(before >= 0 && before < buckets);
      if (after !== before) assert.deepEqual([after, before], [buckets, placeOf(buckets, buckets)]);
    }));
    // With a power of two it is the lowest bits.
    assert.deepEqual([0, 5, 8, -1].map((hash) => placeOf(hash, 8)), [0, 5, 0, 7]);
  });

  it("is in one number", () => {
    const types = (most: number): fc.Arbitrary<MapType> =>
      fc.oneof(
        fc.constantFrom<MapType>("u32", "i32", "f64"),
        fc.integer({ min: 1, max: most }).map((bytes) => ({ bytes })),
        fc.integer({ min: 1, max: most }).map((text) => ({ text })),
      );
    const wordsOf = (type: MapType): number => {
      if (typeof type === "string") return type === "f64" ? 2 : 1;
      return "bytes" in type ? Math.ceil(type.bytes / 4) : 1 + Math.ceil(type.text / 4);
    };
    const options = fc.record({
      key: types(64),
      value: types(1024),
      capacity: fc.integer({ min: 8, max: 2 ** 20 }),
    });
    fc.assert(fc.property(options, (given) => {
      const option = mapOptionOf(given, "test");
      assert.equal(option | 0, option);
      const { shape } = mapSettingsOf(option);
      assert.equal(shape.keyWords, wordsOf(given.key));
      assert.equal(shape.valueWords, wordsOf(given.value));
      assert.ok(shape.capacity >= given.capacity && shape.capacity <= given.capacity * 1.125);
    }));
    fc.assert(fc.property(fc.integer(), (option) => {
      const { shape } = mapSettingsOf(option);
      assert.ok(shape.keyWords <= 17 && shape.valueWords <= 257);
      assert.ok(shape.capacity >= 8 && shape.capacity <= 2 ** 26);
    }));
  });
});

describe("hashes", () => {
  it("are the same for the same seed, and others for another", () => {
    for (const size of [1, 2, 3, 16]) {
      const key = new Int32Array(size + 1).map((_, index) => index * 77);
      const [one, same, other] = [[1, 2], [1, 2], [1, 3]].map(([low, high]) =>
        hasherOf(size, low as number, high as number)
      ) as [Hasher, Hasher, Hasher];
      assert.equal(one.hash(key, 1), same.hash(key, 1));
      assert.notEqual(one.hash(key, 1), other.hash(key, 1));
      // Each word counts, and nothing behind the key.
      for (let word = 0; word < size; word++) {
        const changed = key.slice();
        (changed[1 + word] as number) ^= 1 << 31;
        assert.notEqual(one.hash(key, 1), one.hash(changed, 1));
        assert.equal(one.hash(changed, 1), same.hash(changed.slice(1), 0));
      }
    }
  });

  it("are spread in their lowest bits, whatever keys have in common", () => {
    const count = 8192;
    const places = 1024;
    for (const size of [1, 2, 3]) {
      for (const step of [1, 2, 64, 4096, 2 ** 19]) {
        for (let word = 0; word < size; word++) {
          const hasher = hasherOf(size, 12_345, 6789);
          const key = new Int32Array(size);
          const hits = new Int32Array(places);
          for (let index = 0; index < count; index++) {
            key[word] = Math.imul(index, step);
            const place = hasher.hash(key, 0) & (places - 1);
            (hits[place] as number)++;
          }
          // The mean is 8; among so many random ones more than 26 would be a surprise of one in a million.
          const most = Math.max(...hits);
          assert.ok(most <= 26, `${most} keys of ${size} words, word ${word} by ${step}`);
        }
      }
    }
  });
});

describe("MapCore", () => {
  for (
    const { valueWords, hasher, name } of [
      { valueWords: 1, hasher: crowded, name: "hashes that collide" },
      { valueWords: 3, hasher: crowded, name: "hashes that collide, and long values" },
      { valueWords: 1, hasher: hasherOf(1, 5, 6), name: "short values" },
      { valueWords: 2, hasher: hasherOf(1, 7, 8), name: "long values" },
    ]
  ) {
    it(`does what a Map does: ${name}`, () => {
      const step = fc.record({
        what: fc.constantFrom("set", "set", "set", "delete", "grow"),
        key: fc.integer({ min: 0, max: 40 }),
        value: fc.integer({ min: 1, max: 1000 }),
      });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
          const { core, me } = coreOf({ keyWords: 1, valueWords, capacity: 40 }, hasher);
          const model = new Map<number, number>();
          const before = core.buckets();
          const value = new Int32Array(valueWords);
          for (const { what, key: number, value: first } of steps) {
            const key = Int32Array.of(number);
            if (what === "grow") core.grow(me);
            else if (what === "delete") assert.equal(take(core, me, key), model.delete(number));
            else {
              const outcome = put(core, me, key, value.fill(first));
              assert.equal(outcome, model.has(number) ? REPLACED : ADDED);
              model.set(number, first);
            }
          }
          const size = 1 + valueWords;
          const wanted = [...model].map(([key, first]) =>
            String([key, ...new Array<number>(valueWords).fill(first)])
          ).sort();
          assert.deepEqual(entriesOf(core, size), wanted);
          assert.deepEqual(entriesOf(core, size, before), wanted);
          const keys = Int32Array.from({ length: BATCH }, (_, index) => index * 2);
          const values = new Int32Array(BATCH * valueWords);
          const found = core.getBatch(keys, BATCH, values);
          for (let index = 0; index < BATCH; index++) {
            const first = model.get(index * 2);
            assert.equal((found >>> index) & 1, first === undefined ? 0 : 1);
            assert.equal(core.get(keys, index, value, 0), first !== undefined);
            if (first === undefined) continue;
            assert.ok(value.every((word) => word === first));
            assert.equal(values[index * valueWords], first);
          }
        }),
        { numRuns: 200 },
      );
    });
  }

  it("is full at some time, changes nothing then, and has all room again", () => {
    const { core, me } = coreOf({ keyWords: 1, valueWords: 2, capacity: 30 }, crowded);
    const value = new Int32Array(2);
    const counts: number[] = [];
    for (let round = 0; round < 3; round++) {
      let count = 0;
      while (put(core, me, Int32Array.of(count), value.fill(count)) !== FULL) count++;
      counts.push(count);
      assert.equal(core.get(Int32Array.of(count), 0, value, 0), false);
      for (let key = 0; key < count; key++) {
        assert.equal(core.get(Int32Array.of(key), 0, value, 0), true);
        assert.deepEqual([...value], [key, key]);
      }
      for (let key = 0; key < count; key++) assert.equal(take(core, me, Int32Array.of(key)), true);
      assert.deepEqual(entriesOf(core, 3), []);
    }
    assert.ok((counts[0] as number) >= 30, String(counts));
    assert.deepEqual([counts[1], counts[2]], [counts[0], counts[0]]);
  });

  it("takes over what a dead thread has locked, and not what a living one has", () => {
    const { core, me } = coreOf({ keyWords: 1, valueWords: 1, capacity: 30 }, crowded);
    const key = Int32Array.of(3);
    const other: Waiter = { ...me, id: me.id + 1, alive: (id) => id !== me.id, spin: () => false };
    assert.ok(core.lock(me, key));
    const waiting: Waiter = { ...other, alive: () => true };
    assert.equal(core.lock(waiting, key), false);
    const wait = core.wait(waiting, key);
    assert.deepEqual(wait.next(false), { done: false, value: 1 });
    assert.deepEqual(wait.next(true), { done: true, value: false });
    assert.ok(core.lock(other, key));
    core.unlock();
    assert.ok(core.lock(waiting, key));
    core.unlock();
  });

  it("gives a spare bucket back when its last entry goes", () => {
    const shape = { keyWords: 1, valueWords: 1, capacity: 50 };
    const { core, words, me } = coreOf(shape, crowded);
    const { most, all, bucketWords } = layoutOf(shape, 2);
    const taken = (): number => {
      let count = 0;
      for (let spare = most; spare < all; spare++) {
        count += Number(words[bucketAt(spare, bucketWords) + OWNER] !== 0);
      }
      return count;
    };
    for (let key = 0; key < 60; key++) {
      assert.equal(put(core, me, Int32Array.of(key), Int32Array.of(1)), ADDED);
    }
    assert.ok(taken() > 4, `${taken()}`);
    for (let key = 0; key < 60; key++) assert.ok(take(core, me, Int32Array.of(key)));
    assert.equal(taken(), 0);
  });

  it("takes over from owners that there never were, also with a negative id", () => {
    const { core, words, me } = coreOf({ keyWords: 1, valueWords: 1, capacity: 30 }, crowded);
    const other: Waiter = { ...me, alive: (id) => id === me.id, spin: () => false };
    for (const owner of [-1, -(2 ** 31), 2 ** 31 - 1]) {
      words[bucketAt(0, 0)] = owner;
      assert.ok(core.lock(other, Int32Array.of(0)), `${owner}`);
      core.unlock();
    }
  });

  it("takes so many atomic operations", () => {
    const { core, me } = coreOf({ keyWords: 1, valueWords: 1, capacity: 1000 }, hasherOf(1, 1, 2));
    const key = Int32Array.of(7);
    const value = Int32Array.of(8);
    // A glance is a plain load, as one that follows is.
    const added = withLoads({ following: 1, shared: 0 }, { compareExchange: 1, load: 1, store: 4 });
    assert.deepEqual(counting(() => void put(core, me, key, value)).atomics, added);
    const replaced = withLoads({ following: 1 }, { compareExchange: 1, load: 1, store: 2 });
    assert.deepEqual(counting(() => void put(core, me, key, value)).atomics, replaced);
    // Its state, six keys, and a value, or the next bucket and whether the map has grown.
    const hit = withLoads({ shared: 2, following: 8 });
    assert.deepEqual(counting(() => void core.get(key, 0, value, 0)).atomics, hit);
    const miss = withLoads({ shared: 2, following: 9 });
    assert.deepEqual(counting(() => void core.get(Int32Array.of(9), 0, value, 0)).atomics, miss);
    const keys = new Int32Array(BATCH).map((_, index) => 1000 + index);
    const values = new Int32Array(BATCH);
    const { atomics } = counting(() => void core.getBatch(keys, BATCH, values));
    if (process.arch === "x64") assert.ok((atomics["store"] ?? 0) + (atomics["load"] ?? 0) <= 3);
  });
});
