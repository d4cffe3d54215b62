import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  ABOVE,
  AT_LEAST,
  AT_MOST,
  BELOW,
  FIRST,
  LAST,
  OrderedCore,
  type Relation,
} from "../../lib/structs/ordered/ordered_core.ts";
import {
  lagOf,
  layoutOf,
  nodesAt,
  type OrderedLayout,
  type OrderedSizes,
  OWNER,
  VERSION,
} from "../../lib/structs/ordered/ordered_table.ts";
import { ADDED, FULL, REPLACED } from "../../lib/structs/ordered/ordered_tree.ts";
import type { Waiter } from "../../lib/wait/waiter.ts";
import { counting, withLoads } from "../support/counting.ts";
import { treeOf } from "../support/ordered_tree.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

interface Fixture {
  readonly core: OrderedCore;
  readonly words: Int32Array;
  readonly layout: OrderedLayout;
}

function coreOf(
  shape: { readonly keyWords: number; readonly valueWords: number; readonly capacity: number },
  sizes: OrderedSizes = {},
): Fixture {
  const layout = layoutOf(shape, sizes);
  const words = sharedWords(layout.words);
  return { core: new OrderedCore(words, layout), words, layout };
}

/** Fails unless a map is a tree with each node once, in use or free. Returns its keys' first words. */
function checkTree({ words, layout }: Fixture): readonly number[] {
  const { keys, faults } = treeOf(words, layout);
  assert.deepEqual(faults, []);
  return keys;
}

const SIZES: readonly OrderedSizes[] = [
  { leafEntries: 4, innerEntries: 4, records: 4 },
  { leafEntries: 5, innerEntries: 4 },
  {},
];

describe("the layout of an ordered map", () => {
  it("has room for all entries, whatever order they came in", () => {
    for (
      const { capacity, ...shape } of [
        { keyWords: 1, valueWords: 1, capacity: 8 },
        { keyWords: 1, valueWords: 1, capacity: 2000 },
        { keyWords: 2, valueWords: 9, capacity: 500 },
        { keyWords: 16, valueWords: 257, capacity: 300 },
      ]
    ) {
      const orders: ((index: number) => number)[] = [
        (index) => index,
        (index) => capacity - index,
        (index) => (index * 7919) % 2003,
        (index) => index % 2 === 0 ? index : -index,
      ];
      for (const order of orders) {
        const fixture = coreOf({ ...shape, capacity });
        const { core } = fixture;
        const [key, value] = [new Int32Array(shape.keyWords), new Int32Array(shape.valueWords)];
        for (let index = 0; index < capacity; index++) {
          key[shape.keyWords - 1] = order(index);
          assert.equal(core.assign(key, value.fill(index)), ADDED);
        }
        checkTree(fixture);
        assert.equal(core.assign(key.fill(1_000_000), value), FULL);
        // It is full, and changes all the same.
        for (let round = 0; round < 3; round++) {
          for (let index = 0; index < capacity; index++) {
            key.fill(0)[shape.keyWords - 1] = order(index);
            assert.equal(core.assign(key, value.fill(-index)), REPLACED);
          }
        }
        for (let index = 0; index < capacity; index++) {
          key[shape.keyWords - 1] = order(index);
          assert.ok(core.get(key, value) && value.every((word) => word === -index || word === 0));
          assert.equal(core.remove(key), true);
          if (index % 100 === 0) checkTree(fixture);
        }
        assert.deepEqual(checkTree(fixture), []);
      }
    }
  });
});

describe("OrderedCore", () => {
  for (const sizes of SIZES) {
    for (
      const { keyWords, valueWords } of [{ keyWords: 1, valueWords: 1 }, {
        keyWords: 3,
        valueWords: 2,
      }]
    ) {
      it(`does what a sorted array does: ${JSON.stringify({ ...sizes, keyWords, valueWords })}`, () => {
        const step = fc.record({
          what: fc.constantFrom("set", "set", "set", "delete", "delete run"),
          key: fc.integer({ min: -60, max: 60 }),
        });
        const capacity = 110;
        fc.assert(
          fc.property(fc.array(step, { maxLength: 250, size: "max" }), (steps) => {
            const fixture = coreOf({ keyWords, valueWords, capacity }, sizes);
            const { core } = fixture;
            const model = new Map<number, number>();
            const value = new Int32Array(valueWords);
            const keyOf = (number: number): Int32Array => {
              // What differs is in the last word, the sign in the first.
              const key = new Int32Array(keyWords);
              key[0] = keyWords > 1 ? Math.sign(number) : number;
              if (keyWords > 1) key[keyWords - 1] = number;
              return key;
            };
            for (const [index, { what, key: number }] of steps.entries()) {
              const key = keyOf(number);
              if (what === "set") {
                const wanted = model.has(number) ? REPLACED : model.size < capacity ? ADDED : FULL;
                assert.equal(core.assign(key, value.fill(index)), wanted);
                if (wanted !== FULL) model.set(number, index);
              } else if (what === "delete") {
                assert.equal(core.remove(key), model.delete(number));
              } else {
                for (let next = number; next < number + 20; next++) {
                  assert.equal(core.remove(keyOf(next)), model.delete(next));
                }
              }
              assert.equal(core.size(), model.size);
            }
            checkTree(fixture);
            const sorted = [...model.keys()].sort((one, other) => one - other);
            const size = keyWords + valueWords;
            const entry = new Int32Array(size);
            const numberAt = (entries: Int32Array, at: number): number =>
              entries[at * size + (keyWords > 1 ? keyWords - 1 : 0)] as number;
            const nearest = (relation: Relation, number: number): number | undefined =>
              core.collect(relation, keyOf(number), entry, 1) > 0 ? numberAt(entry, 0) : undefined;
            assert.equal(nearest(FIRST, 0), sorted[0]);
            assert.equal(nearest(LAST, 0), sorted.at(-1));
            for (let number = -62; number <= 62; number++) {
              const found = core.get(keyOf(number), value);
              assert.equal(found ? value[0] : undefined, model.get(number));
              assert.equal(nearest(AT_LEAST, number), sorted.find((key) => key >= number));
              assert.equal(nearest(ABOVE, number), sorted.find((key) => key > number));
              assert.equal(nearest(AT_MOST, number), sorted.findLast((key) => key <= number));
              assert.equal(nearest(BELOW, number), sorted.findLast((key) => key < number));
            }
            for (const isDown of [false, true]) {
              const entries = new Int32Array(16 * size);
              const all: number[] = [];
              let count = core.collect(isDown ? LAST : FIRST, entry, entries, 16);
              while (count > 0) {
                for (let at = 0; at < count; at++) {
                  all.push(numberAt(entries, at));
                  assert.equal(entries[at * size + keyWords], model.get(all.at(-1) as number));
                }
                const last = keyOf(all.at(-1) as number);
                count = core.collect(isDown ? BELOW : ABOVE, last, entries, 16);
              }
              assert.deepEqual(isDown ? all.reverse() : all, sorted);
            }
          }),
          { numRuns: 60 },
        );
      });
    }
  }

  it("keeps nodes for the reads of as many versions as it says", () => {
    for (const sizes of SIZES) {
      const { core, words, layout } = coreOf({ keyWords: 1, valueWords: 1, capacity: 200 }, sizes);
      const value = new Int32Array(1);
      for (let key = 0; key < 200; key++) core.assign(Int32Array.of(key), value);
      const lag = lagOf(layout.records);
      const nodes = nodesAt(layout.records, layout.ring);
      for (let round = 0; round < 50; round++) {
        const version = words[VERSION] as number;
        const before = words.slice();
        const used = treeOf(words, layout).nodes;
        for (let write = 0; write <= lag; write++) {
          // While this is under way, reads of the version may still be right.
          const key = Int32Array.of((round * 37 + write * 11) % 200);
          assert.ok((words[VERSION] as number) - version <= lag);
          if (core.get(key, value) && round % 3 === 0) core.remove(key);
          else core.assign(key, value);
          for (const node of used) {
            const at = nodes + node * layout.nodeWords;
            assert.deepEqual(
              words.slice(at, at + layout.nodeWords),
              before.slice(at, at + layout.nodeWords),
            );
          }
        }
      }
    }
  });

  it("fills nodes where keys come in ascending order", () => {
    const fixture = coreOf({ keyWords: 1, valueWords: 1, capacity: 1500 });
    const { core, words, layout } = fixture;
    for (let key = 0; key < 1500; key++) core.assign(Int32Array.of(key), Int32Array.of(key));
    const leaves = Math.ceil(1500 / layout.leafEntries);
    const { nodes } = treeOf(words, layout);
    assert.ok(
      nodes.length <= leaves + Math.ceil(leaves / layout.innerEntries) + 3,
      `${nodes.length}`,
    );
    checkTree(fixture);
  });

  it("takes over what a dead thread has locked, and not what a living one has", () => {
    const { core } = coreOf({ keyWords: 1, valueWords: 1, capacity: 30 });
    const me: Waiter = new FakeProcess().thread(0);
    const other: Waiter = { ...me, id: me.id + 1, alive: (id) => id !== me.id, spin: () => false };
    assert.ok(core.lock(me));
    const waiting: Waiter = { ...other, alive: () => true };
    assert.equal(core.lock(waiting), false);
    const wait = core.wait(waiting);
    assert.deepEqual(wait.next(false), { done: false, value: 1 });
    assert.deepEqual(wait.next(true), { done: true, value: false });
    assert.ok(core.lock(other));
    core.unlock();
    assert.ok(core.lock(waiting));
    core.unlock();
  });

  it("stays within its memory, whatever is in it", () => {
    const sizes = { leafEntries: 4, innerEntries: 4, records: 4 };
    const shape = { keyWords: 1, valueWords: 1, capacity: 40 };
    const layout = layoutOf(shape, sizes);
    const number = fc.oneof(fc.integer(), fc.integer({ min: 0, max: layout.nodes + 1 }));
    fc.assert(
      fc.property(fc.infiniteStream(number), fc.integer({ min: 1, max: 10 }), (numbers, rate) => {
        const guard = 64;
        const all = sharedWords(guard + layout.words + guard);
        const words = all.subarray(guard, guard + layout.words);
        const core = new OrderedCore(words, layout);
        for (let key = 0; key < 40; key++) core.assign(Int32Array.of(key), Int32Array.of(key));
        for (let at = 0; at < words.length; at++) {
          if (at !== OWNER && at % rate === 0) words[at] = numbers.next().value as number;
        }
        const entries = new Int32Array(20);
        for (let key = -5; key < 45; key++) {
          core.get(Int32Array.of(key), entries);
          for (let relation = FIRST; relation <= BELOW; relation++) {
            const count = core.collect(relation as Relation, Int32Array.of(key), entries, 10);
            assert.ok(count >= 0 && count <= 4);
          }
          core.assign(Int32Array.of(key), Int32Array.of(1));
          core.remove(Int32Array.of(key + 1));
        }
        core.size();
        assert.ok(
          all.every((word, at) => (at >= guard && at < guard + layout.words) || word === 0),
        );
      }),
      { numRuns: 300 },
    );
  });

  it("takes so many atomic operations", () => {
    const { core } = coreOf({ keyWords: 1, valueWords: 1, capacity: 1000 });
    const me = new FakeProcess().thread(0);
    const value = Int32Array.of(8);
    for (let key = 0; key < 8; key++) core.assign(Int32Array.of(key), value);
    const put = (): void => {
      core.lock(me);
      core.assign(Int32Array.of(7), value);
      core.unlock();
    };
    // The owner's word twice, and the version. Others are stored plainly on x64: a node of eight entries, a place in the
    // ring, and the record.
    const others = process.arch === "x64" ? 0 : 17 + 1 + 6;
    const write = { compareExchange: 1, load: 1, store: 2 + others };
    assert.deepEqual(counting(put).atomics, write);
    // The root and its height, how many entries there are, some keys, and the value.
    const read = counting(() => void core.get(Int32Array.of(7), value)).atomics;
    assert.deepEqual(read, withLoads({ shared: 2, following: 8 }));
  });
});
