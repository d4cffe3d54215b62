import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Shape } from "../../lib/shared/shape.ts";
import { BUSY } from "../../lib/structs/outcomes.ts";
import { ENDED, MpmcCore } from "../../lib/structs/rings/mpmc_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { counting, withLoads } from "../support/counting.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

const SHAPE: Shape = { threads: 4, domains: 1 };
/** Words of the picture in mpmc_core.ts. */
const AT = {
  producer: 0,
  tail: 1,
  headSeen: 2,
  consumer: LINE_WORDS,
  head: LINE_WORDS + 1,
  tailSeen: LINE_WORDS + 2,
};

/** An empty ring whose indices begin somewhere, and its words. */
function coreAt(start: number, capacity: number, size: number): [MpmcCore, Int32Array] {
  const words = sharedWords(MpmcCore.words(SHAPE, capacity, size));
  for (const at of [AT.tail, AT.headSeen, AT.head, AT.tailSeen]) words[at] = start;
  return [new MpmcCore(words, SHAPE, capacity, size), words];
}

/** A record of several words as one number, which tells all of them. */
function fold(words: Int32Array, size: number, count: number): number[] {
  return Array.from(
    { length: count },
    (_, record) =>
      words.slice(record * size, (record + 1) * size).reduce((sum, word) => sum * 31 + word, 7),
  );
}

describe("MpmcCore", () => {
  it("does what an array does, whoever uses it and wherever its indices are", () => {
    const process = new FakeProcess();
    const threads = [process.thread(0), process.thread(1)];
    const step = fc.record({
      what: fc.constantFrom("push", "push", "pop", "pop", "close"),
      by: fc.nat({ max: 1 }),
      count: fc.integer({ min: 1, max: 6 }),
      all: fc.boolean(),
      rare: fc.integer({ min: 0, max: 9 }),
    });
    const settings = fc.record({
      start: fc.constantFrom(0, 1, 5, 2 ** 31 - 3, -2, -(2 ** 31)),
      bits: fc.integer({ min: 1, max: 3 }),
      size: fc.integer({ min: 1, max: 3 }),
      steps: fc.array(step, { maxLength: 60 }),
    });
    fc.assert(
      fc.property(settings, ({ start, bits, size, steps }) => {
        const capacity = 2 ** bits;
        const [first, words] = coreAt(start | 0, capacity, size);
        const cores = [first, new MpmcCore(words, SHAPE, capacity, size)];
        const model: number[] = [];
        let isClosed = false;
        let next = 1;
        for (const { what, by, count, all, rare } of steps) {
          const [core, me] = [cores[by] as MpmcCore, threads[by] as (typeof threads)[number]];
          const least = all ? count : 1;
          if (what === "push") {
            const numbers = new Int32Array(count * size).map((_, word) => next * 100 + word);
            const done = core.push(me, numbers, count, least);
            const room = Math.min(capacity - model.length, count);
            // What is full says so first, or that it is closed.
            if (isClosed) assert.ok(done === ENDED);
            else {
              assert.equal(done, room < least ? 0 : room);
              model.push(...fold(numbers, size, done));
            }
            next += count;
          } else if (what === "pop") {
            const target = new Int32Array(count * size).fill(-1);
            const done = core.pop(me, target, count, least);
            const there = Math.min(model.length, count);
            assert.equal(done, there < least ? 0 : there);
            assert.deepEqual(fold(target, size, done), model.splice(0, done));
            assert.ok(target.subarray(done * size).every((word) => word === -1));
          } else if (rare === 0) {
            assert.equal(core.close(me), true);
            isClosed = true;
          }
          assert.equal(core.length(), model.length);
          assert.equal(core.closed(), isClosed);
          assert.deepEqual([words[AT.producer], words[AT.consumer]], [0, 0]);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is as full as it can be, and empty again, many times", () => {
    const me = new FakeProcess().thread(0);
    const [core] = coreAt(-1000, 8, 2);
    const numbers = new Int32Array(2 * 9);
    for (let round = 0; round < 500; round++) {
      assert.equal(core.push(me, numbers.fill(round), 9, 1), 8);
      assert.equal(core.push(me, numbers, 1, 1), 0);
      assert.equal(core.length(), 8);
      assert.equal(core.pop(me, numbers.fill(-1), 9, 1), 8);
      assert.ok(numbers.subarray(0, 16).every((word) => word === round));
      assert.equal(core.pop(me, numbers, 1, 1), 0);
    }
  });

  it("takes two atomic operations a batch, and looks on when there is too little", () => {
    const process = new FakeProcess();
    const me = process.thread(0);
    const [core] = coreAt(0, 8, 1);
    const numbers = new Int32Array(4);
    const push = () => void core.push(me, numbers, 4, 4);
    const pop = () => void core.pop(me, numbers, 4, 4);
    const two = { compareExchange: 1, store: 1 };
    const batch = withLoads({ following: 2, leading: 1 }, two);
    const looks = withLoads({ following: 3, leading: 1 }, two);
    const fails = withLoads({ following: 1 }, two);
    assert.deepEqual(counting(push).atomics, batch);
    assert.deepEqual(counting(push).atomics, batch);
    assert.deepEqual(counting(push).atomics, fails);
    assert.deepEqual(counting(push).atomics, withLoads({ shared: 2, following: 1 }));
    assert.deepEqual(counting(pop).atomics, looks);
    assert.deepEqual(counting(pop).atomics, batch);
    assert.deepEqual(counting(pop).atomics, fails);
    assert.deepEqual(counting(pop).atomics, withLoads({ shared: 2 }));
    // The look finds room, and then it goes on as ever.
    assert.deepEqual(
      counting(push).atomics,
      withLoads({ shared: 2, following: 3, leading: 1 }, two),
    );
    assert.equal(process.wakes, 0);
  });

  for (const side of ["producer", "consumer"] as const) {
    it(`waits for a ${side} that lives, and not for one that is dead`, () => {
      const process = new FakeProcess();
      const [owner, me] = [process.thread(0), process.thread(1)];
      const [core, words] = coreAt(0, 4, 1);
      const numbers = new Int32Array(2);
      const call = () =>
        side === "producer" ? core.push(me, numbers, 2, 2) : core.pop(me, numbers, 2, 1);
      assert.equal(core.push(owner, Int32Array.of(7, 8), 2, 2), 2);
      words[AT[side]] = owner.id;
      me.spins = 5;
      assert.equal(call(), BUSY);
      assert.equal(me.pauses, 6);
      if (side === "producer") assert.equal(core.close(me), false);
      process.kill(owner);
      assert.equal(call(), 2);
      assert.equal(words[AT[side]], 0);
      words[AT[side]] = owner.id;
      if (side === "producer") assert.equal(core.close(me), true);
      // As an exception leaves it that comes from the middle.
      words[AT[side]] = me.id;
      assert.equal(call(), side === "producer" ? ENDED : 0);
      assert.equal(words[AT[side]], 0);
    });
  }

  it("stays within its memory, and returns, whatever anybody writes into its words", () => {
    const process = new FakeProcess();
    const [me, other] = [process.thread(0), process.thread(1)];
    me.spins = 3;
    const integer = fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.constantFrom(0, -1, 1, 2, other.id, me.id, 2 ** 31 - 1, -(2 ** 31)),
    );
    const write = fc.tuple(fc.nat({ max: 3 * LINE_WORDS - 1 }), integer);
    const known = fc.tuple(fc.constantFrom(...Object.values(AT), 3, 2 * LINE_WORDS), integer);
    const rounds = fc.array(fc.array(fc.oneof(write, known), { maxLength: 5 }), { maxLength: 20 });
    fc.assert(
      fc.property(rounds, (all) => {
        const count = MpmcCore.words(SHAPE, 4, 3);
        const whole = sharedWords(count + 2 * LINE_WORDS).fill(77);
        const words = whole.subarray(LINE_WORDS, LINE_WORDS + count).fill(0);
        const core = new MpmcCore(words, SHAPE, 4, 3);
        const numbers = new Int32Array(3 * 6);
        for (const writes of all) {
          for (const [at, value] of writes) words[at] = value;
          for (const least of [1, 6]) {
            const put = core.push(me, numbers, 6, least);
            assert.ok(put === BUSY || put === ENDED || put === 0 || (put >= least && put <= 6));
            const got = core.pop(me, numbers, 6, least);
            assert.ok(got === BUSY || got === 0 || (got >= least && got <= 6));
          }
          core.announce(me, 3);
          const length = core.length();
          assert.ok(length >= 0 && length <= 4);
          core.close(me);
        }
        for (const edge of [whole.subarray(0, LINE_WORDS), whole.subarray(LINE_WORDS + count)]) {
          assert.ok(edge.every((word) => word === 77));
        }
      }),
      { numRuns: 300 },
    );
  });
});
