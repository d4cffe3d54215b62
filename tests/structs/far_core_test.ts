import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { FarBytes } from "../../lib/structs/maps/far/far_bytes.ts";
import { markerOf } from "../../lib/structs/maps/far/far_codecs.ts";
import { FarCore, NO_BLOCKS } from "../../lib/structs/maps/far/far_core.ts";
import { FarHeap, heapWords, NO_BLOCK } from "../../lib/structs/maps/far/far_heap.ts";
import { hashOptionOf, hashSettingsOf } from "../../lib/structs/maps/far/far_settings.ts";
import { ADDED, REPLACED } from "../../lib/structs/maps/map_chains.ts";
import { MapCore } from "../../lib/structs/maps/map_core.ts";
import { layoutOf } from "../../lib/structs/maps/map_table.ts";
import type { HashMapKeyType, HashMapValueType } from "../../lib/structs/maps/map_types.ts";
import type { Waiter } from "../../lib/wait/waiter.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

/** A chain to which others seem to write all the time. */
class Restless extends MapCore {
  override isWhole(): boolean {
    return false;
  }
}

interface Parts {
  readonly core: FarCore;
  readonly heap: FarHeap;
  readonly locked: () => number;
  readonly me: Waiter;
}

/** A map from any keys to any values, in which all keys of the same length have the same marks. */
function partsOf(blocks: number, Type: typeof MapCore = MapCore): Parts {
  const layout = layoutOf({ keyWords: 3, valueWords: 4, capacity: 100 }, 2);
  const shape = { blocks, blockWords: 4 };
  const words = sharedWords(layout.words + heapWords(shape));
  const hasher = { hash: (words: Int32Array, at: number): number => words[at] as number };
  const buckets = new Type(words.subarray(0, layout.words), { layout, keyWords: 3, hasher });
  const heap = new FarHeap(words.subarray(layout.words), shape, 0);
  const me = new FakeProcess().thread(0);
  let locks = 0;
  const core: FarCore = new FarCore(buckets, heap, {
    ...{ isKey: true, isValue: true, keyWords: 3, valueWords: 4 },
    lock: (key) => {
      locks++;
      assert.ok(core.lock(me, key));
    },
  });
  return { core, heap, locked: () => locks, me };
}

const NO_WORDS = new Int32Array(1);

function write(bytes: FarBytes, text: string): void {
  bytes.reserve(text.length);
  for (let at = 0; at < text.length; at++) bytes.bytes[at] = text.charCodeAt(at);
  bytes.end(text.length);
}

function keyOf(core: FarCore, key: string): Int32Array {
  write(core.key, key);
  return Int32Array.of(key.length, 7, 0);
}

const textOf = ({ bytes, length }: FarBytes): string =>
  String.fromCharCode(...bytes.subarray(0, length));

function get({ core }: Parts, key: string): string | undefined {
  return core.get(keyOf(core, key), 0, NO_WORDS, 0) ? textOf(core.foundValue) : undefined;
}

function put({ core, me }: Parts, key: string, value: string): number {
  const words = keyOf(core, key);
  write(core.value, value);
  assert.ok(core.lock(me, words));
  const outcome = core.assign(words, NO_WORDS);
  const isCrowded = core.isCrowded();
  core.unlock();
  if (isCrowded) core.grow(me);
  return outcome;
}

function take({ core, me }: Parts, key: string): boolean {
  const words = keyOf(core, key);
  assert.ok(core.lock(me, words));
  const had = core.remove(words);
  core.unlock();
  return had;
}

describe("keys with the same hashes", () => {
  const key = fc.constantFrom("", "a", "b", "c", "d", "aaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaab");
  const value = fc.string({ unit: "binary-ascii", maxLength: 60 });

  it("are told apart, also when some of them go", () => {
    const step = fc.record({ what: fc.constantFrom("set", "set", "remove"), key, value });
    fc.assert(fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const parts = partsOf(100);
      const model = new Map<string, string>();
      for (const { what, key, value } of steps) {
        if (what === "set") {
          assert.equal(put(parts, key, value), model.has(key) ? REPLACED : ADDED);
          model.set(key, value);
        } else assert.equal(take(parts, key), model.delete(key));
        for (const [key, value] of model) assert.equal(get(parts, key), value);
        assert.equal(parts.core.has(keyOf(parts.core, key)), model.has(key));
      }
      const { core, heap } = parts;
      const found = new Map<string, string>();
      const buckets = core.buckets();
      for (let place = 0; place < buckets; place++) {
        const words = core.copy(place, buckets);
        for (let at = 0; at < words.length; at += 7) {
          if (!core.load(words, at, NO_WORDS, true)) continue;
          found.set(textOf(core.foundKey), textOf(core.foundValue));
        }
      }
      assert.deepEqual(found, model);
      for (const key of model.keys()) assert.ok(take(parts, key));
      assert.equal(heap.used(), 0);
      // Nothing is left of them, gaps neither.
      for (let place = 0; place < buckets; place++) {
        assert.deepEqual(core.copy(place, buckets), []);
      }
    }));
  });

  it("are read under the lock where others write all the time", () => {
    const parts = partsOf(100, Restless);
    put(parts, "a", "one");
    put(parts, "b", "two");
    assert.deepEqual(["a", "b", "c"].map((key) => get(parts, key)), ["one", "two", undefined]);
    assert.ok(parts.locked() >= 3);
    assert.equal(parts.core.holds(), false);
  });

  it("are not made by chance, and differ from map to map", () => {
    const bytes = new FarBytes();
    const marks = new Set<string>();
    const words = new Int32Array(4);
    const marker = markerOf(1, 2);
    for (let length = 0; length < 3000; length++) {
      write(bytes, "\0".repeat(length));
      marker.mark(bytes, words, 1);
      assert.equal(words[3], 0);
      marks.add(`${words[1]} ${words[2]}`);
    }
    assert.equal(marks.size, 3000);
    markerOf(1, 3).mark(bytes, words, 1);
    assert.ok(!marks.has(`${words[1]} ${words[2]}`));
  });
});

describe("blocks", () => {
  it("are as many as contents take, and free afterwards", () => {
    const contents = fc.array(fc.nat(30), { minLength: 1, maxLength: 20 });
    fc.assert(fc.property(contents, fc.integer({ min: 2, max: 7 }), (counts, blockWords) => {
      const shape = { blocks: 60, blockWords };
      const heap = new FarHeap(sharedWords(heapWords(shape)), shape, 17);
      const held: { first: number; content: Int32Array }[] = [];
      let used = 0;
      for (const count of counts) {
        const content = Int32Array.from({ length: count }, (_, at) => count * 100 + at);
        const first = heap.take(5, content, count);
        if (first === NO_BLOCK) {
          assert.ok(used + heap.blocksOf(count) > 60, `${used} are used`);
          const gone = held.shift();
          if (gone !== undefined) {
            heap.release(gone.first, heap.blocksOf(gone.content.length));
            used -= heap.blocksOf(gone.content.length);
          }
        } else {
          held.push({ first, content });
          used += heap.blocksOf(count);
        }
        assert.equal(heap.used(), used);
        for (const { first, content } of held) {
          const copy = new Int32Array(content.length);
          heap.copy(first, copy, copy.length);
          assert.deepEqual(copy, content);
          assert.ok(heap.equals(first, content, content.length));
          if (copy.length > 0) {
            (copy[copy.length - 1] as number)++;
            assert.ok(!heap.equals(first, copy, copy.length));
          }
        }
      }
    }));
  });

  it("are enough, or nothing changes", () => {
    const parts = partsOf(5);
    assert.equal(put(parts, "a", "0123456789012345"), ADDED);
    assert.equal(put(parts, "a", "x".repeat(60)), NO_BLOCKS);
    assert.equal(parts.core.wanted, 60);
    assert.equal(put(parts, "b".repeat(60), "x"), NO_BLOCKS);
    assert.equal(get(parts, "a"), "0123456789012345");
    assert.equal(parts.heap.used(), 2);
  });
});

describe("the settings of a map with keys and values of any length", () => {
  const near = fc.constantFrom<HashMapKeyType>("u32", "f64", { bytes: 9 }, { text: 64 });
  const keys = fc.oneof(near, fc.constantFrom<HashMapKeyType>("bytes", "text"));
  const values = fc.oneof(near, fc.constantFrom<HashMapValueType>("bytes", "text"));

  it("are in one number", () => {
    const options = fc.record({
      ...{ key: keys, value: values },
      capacity: fc.integer({ min: 8, max: 2 ** 20 }),
      storage: fc.integer({ min: 4096, max: 3 * 2 ** 30 }),
      blockBits: fc.integer({ min: 6, max: 16 }),
    });
    const isFar = (type: unknown): boolean => type === "bytes" || type === "text";
    fc.assert(fc.property(options, ({ key, value, capacity, storage, blockBits }) => {
      const isAny = isFar(key) || isFar(value);
      const blockBytes = isFar(value) ? 2 ** blockBits : 64;
      const option = hashOptionOf({
        ...{ key, value, capacity },
        ...(isAny ? { storage } : {}),
        ...(isFar(value) ? { blockBytes } : {}),
      }, "test");
      assert.equal(option | 0, option);
      const { heap, shape } = hashSettingsOf(option);
      assert.equal(heap !== undefined, isAny);
      assert.ok(shape.capacity >= capacity && shape.capacity <= capacity * 1.125);
      if (heap === undefined) return;
      const bytes = heap.blocks * heap.blockWords * 4;
      assert.equal(heap.blockWords * 4, blockBytes);
      assert.ok(bytes >= storage && bytes <= storage * 1.125 + blockBytes, `${bytes}`);
    }));
  });

  it("are within their limits whatever the number is", () => {
    fc.assert(
      fc.property(fc.integer(), (option) => {
        const { heap, shape } = hashSettingsOf(option);
        assert.ok(shape.keyWords <= 17 && shape.valueWords <= 259);
        if (heap === undefined) return;
        assert.ok(heap.blocks >= 1 && heap.blocks * heap.blockWords * 4 <= 3 * 2 ** 30 + 65_536);
        assert.ok(heap.blockWords >= 16 && heap.blockWords <= 16_384);
      }),
      { numRuns: 2000 },
    );
  });
});
