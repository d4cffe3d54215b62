import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Shape } from "../../lib/shared/shape.ts";
import { SpscCore } from "../../lib/structs/rings/spsc_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, SpscRing, type SpscRingOptions } from "../../mod.ts";
import { counting, withLoads } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runRing } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

const SHAPE: Shape = { threads: 4, domains: 1 };

/** An empty ring whose indices begin somewhere. */
function coreAt(start: number, capacity: number, size: number): SpscCore {
  const words = sharedWords(SpscCore.words(SHAPE, capacity, size));
  for (const at of [0, 1, LINE_WORDS, LINE_WORDS + 1]) words[at] = start;
  return new SpscCore(words, SHAPE, capacity, size);
}

const ringOf = (options: SpscRingOptions): SpscRing =>
  SpscRing.create(new SharedArrayBuffer(SpscRing.bytes(options)), options);

describe("SpscCore", () => {
  it("does what an array does, wherever its indices are", () => {
    const me = new FakeProcess().thread(0);
    const step = fc.record({
      what: fc.constantFrom("push", "pop", "write", "read"),
      count: fc.integer({ min: 1, max: 6 }),
      all: fc.boolean(),
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
        const core = coreAt(start | 0, capacity, size);
        const records = core.records();
        const model: number[] = [];
        let next = 1;
        for (const { what, count, all } of steps) {
          const numbers = new Int32Array(count * size).map((_, word) => next * 100 + word);
          const room = capacity - model.length;
          if (what === "push") {
            const done = core.push(me, numbers, count, all ? count : 1);
            assert.equal(done, all && room < count ? 0 : Math.min(room, count));
            model.push(...fold(numbers, size, done));
            next += count;
          } else if (what === "pop") {
            const target = new Int32Array(count * size).fill(-1);
            const done = core.pop(me, target, count, all ? count : 1);
            assert.equal(done, all && model.length < count ? 0 : Math.min(model.length, count));
            assert.deepEqual(fold(target, size, done), model.splice(0, done));
            assert.ok(target.subarray(done * size).every((word) => word === -1));
          } else if (what === "write") {
            const found = core.writable(count);
            assert.ok(found >= 0 && found <= room);
            const done = Math.min(found, count);
            records.set(numbers.subarray(0, done * size), core.writeAt());
            assert.equal(core.commit(me, room + 1), false);
            if (done > 0) assert.equal(core.commit(me, done), true);
            model.push(...fold(numbers, size, done));
            next += count;
          } else {
            const found = core.readable(count);
            assert.ok(found >= 0 && found <= model.length);
            const done = Math.min(found, count);
            const there = records.slice(core.readAt(), core.readAt() + done * size);
            assert.equal(core.consume(me, model.length + 1), false);
            if (done > 0) assert.equal(core.consume(me, done), true);
            assert.deepEqual(fold(there, size, done), model.splice(0, done));
          }
          assert.equal(core.length(), model.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is as full as it can be, and empty again, many times", () => {
    const me = new FakeProcess().thread(0);
    const core = coreAt(-1000, 8, 2);
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

  it("takes an atomic operation a batch, and another one only where there is too little", () => {
    const process = new FakeProcess();
    const me = process.thread(0);
    const core = coreAt(0, 8, 1);
    const numbers = new Int32Array(4);
    const push = () => void core.push(me, numbers, 4, 4);
    const pop = () => void core.pop(me, numbers, 4, 4);
    const batch = withLoads({ following: 1 }, { store: 1 });
    // A look without order is a plain load, as one that follows is.
    const looks = withLoads({ following: 2 }, { store: 1 });
    const fails = withLoads({ following: 1, shared: 1 });
    assert.deepEqual(counting(push).atomics, batch);
    assert.deepEqual(counting(push).atomics, batch);
    assert.deepEqual(counting(push).atomics, fails);
    assert.deepEqual(counting(pop).atomics, looks);
    assert.deepEqual(counting(pop).atomics, batch);
    assert.deepEqual(counting(pop).atomics, fails);
    assert.deepEqual(counting(push).atomics, looks);
    assert.equal(process.wakes, 0);
  });
});

/** A record of several words as one number, which tells all of them. */
function fold(words: Int32Array, size: number, count: number): number[] {
  return Array.from(
    { length: count },
    (_, record) =>
      words.slice(record * size, (record + 1) * size).reduce((sum, word) => sum * 31 + word, 7),
  );
}

describe("SpscRing", () => {
  it("has capacity, size and length", () => {
    const ring = ringOf({ capacity: 4, recordWords: 3 });
    assert.deepEqual([ring.capacity, ring.recordWords, ring.length], [4, 3, 0]);
    assert.equal(ring.tryPush(new Int32Array(6)), true);
    assert.equal(ring.length, 2);
    assert.deepEqual([ringOf({}).capacity, ringOf({}).recordWords], [1024, 1]);
  });

  it("puts in all or nothing, or what there is room for", () => {
    const ring = ringOf({ capacity: 4 });
    assert.equal(ring.tryPush(Int32Array.of(1, 2, 3)), true);
    assert.equal(ring.tryPush(Int32Array.of(4, 5)), false);
    assert.equal(ring.tryPushSome(Int32Array.of(4, 5)), 1);
    assert.equal(ring.tryPushSome(Int32Array.of(6)), 0);
    const target = new Int32Array(5);
    assert.equal(ring.tryPopAll(target), false);
    assert.equal(ring.tryPopAll(target.subarray(0, 3)), true);
    assert.equal(ring.tryPop(target.subarray(3)), 1);
    assert.deepEqual([...target], [1, 2, 3, 4, 0]);
    assert.equal(ring.tryPop(target), 0);
    assert.equal(ring.tryPush(new Int32Array(0)), true);
  });

  it("is written and read in place", () => {
    const ring = ringOf({ capacity: 4, recordWords: 2 });
    assert.equal(ring.writable(), 4);
    ring.records.set([1, 2, 3, 4, 5, 6], ring.writeAt);
    ring.commit(3);
    assert.equal(ring.readable(), 3);
    assert.deepEqual([...ring.records.subarray(ring.readAt, ring.readAt + 6)], [1, 2, 3, 4, 5, 6]);
    throwsCode(() => ring.consume(4), "EINVAL", /there are no 4 records/);
    ring.consume(3);
    // The end of the memory is near.
    assert.deepEqual([ring.writable(2), ring.writeAt], [1, 6]);
    ring.commit(1);
    assert.deepEqual([ring.writable(3), ring.writeAt], [3, 0]);
    throwsCode(() => ring.commit(4), "EINVAL", /no room for 4 records/);
    assert.equal(ring.length, 1);
    // What it knows of is enough, unless it is asked for more.
    const known = ringOf({ capacity: 4 });
    known.tryPush(Int32Array.of(1, 2, 3, 4));
    known.tryPop(new Int32Array(1));
    assert.equal(known.writable(), 1);
    known.tryPop(new Int32Array(3));
    assert.deepEqual([known.writable(), known.writable(2)], [1, 4]);
    known.tryPush(Int32Array.of(5));
    assert.equal(known.readable(), 1);
    known.tryPush(Int32Array.of(6, 7));
    assert.deepEqual([known.readable(), known.readable(2)], [1, 3]);
  });

  it("refuses what cannot be", () => {
    for (const capacity of [0, 1, 3, 2 ** 25, 1.5, NaN, -2, 2 ** 53, "4", null]) {
      throwsCode(() => SpscRing.bytes({ capacity: capacity as number }), "EINVAL");
    }
    for (const recordWords of [0, 1025, NaN]) {
      throwsCode(() => SpscRing.bytes({ recordWords }), "EINVAL");
    }
    throwsCode(() => SpscRing.bytes({ capacity: 2 ** 24, recordWords: 1024 }), "EINVAL", /1 GiB/);
    const ring = ringOf({ capacity: 4, recordWords: 2 });
    const wrong: unknown[] = [new Int32Array(3), new Uint32Array(2), [1, 2], undefined, null, {}];
    for (const records of wrong as Int32Array[]) {
      throwsCode(() => ring.tryPush(records), "EINVAL", /a record has 2 words/);
      throwsCode(() => ring.tryPop(records), "EINVAL", /a record has 2 words/);
      throwsCode(() => ring.push(records), "EINVAL", /a record has 2 words/);
    }
    throwsCode(() => ring.push(new Int32Array(10)), "EINVAL", /5 records are more than .* 4/);
    throwsCode(() => ring.pop(new Int32Array(0)), "EINVAL", /the array is empty/);
    for (const count of [0, 5, NaN, 2 ** 53]) {
      for (const method of ["writable", "readable", "commit", "consume"] as const) {
        throwsCode(() => ring[method](count), "EINVAL", /Give a whole number from 1 to 4/);
      }
    }
  });

  it("waits for room and for records, and no longer than it is told", async () => {
    const ring = ringOf({ capacity: 2 });
    const target = new Int32Array(2);
    const now = { timeoutMs: 1, block: true };
    throwsCode(() => ring.pop(target, now), "ETIMEDOUT", /take records out of a ring/);
    throwsCode(() => ring.pop(target, { block: false }), "EWOULDBLOCK");
    await rejectsCode(ring.popAsync(target, { timeoutMs: 1 }), "ETIMEDOUT");
    const popped = ring.popAsync(target);
    ring.push(Int32Array.of(1, 2));
    assert.equal(await popped, 2);
    assert.deepEqual([...target], [1, 2]);
    ring.push(Int32Array.of(3, 4));
    throwsCode(() => ring.push(Int32Array.of(5), now), "ETIMEDOUT", /put records into a ring/);
    const pushed = ring.pushAsync(Int32Array.of(5, 6));
    assert.equal(ring.tryPop(target.subarray(0, 1)), 1);
    assert.equal(ring.tryPop(target.subarray(0, 1)), 1);
    await pushed;
    assert.equal(ring.pop(target), 2);
    assert.deepEqual([...target], [5, 6]);
    const controller = new AbortController();
    const aborted = ring.popAsync(target, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    // One that was aborted before does nothing, though it could.
    ring.push(Int32Array.of(7));
    await assert.rejects(ring.pushAsync(Int32Array.of(8), controller), /enough/);
    await assert.rejects(ring.popAsync(target, controller), /enough/);
    assert.equal(ring.length, 1);
  });

  it("gives what is in it after it was closed, and tells those who wait", async () => {
    const ring = ringOf({ capacity: 2 });
    const target = new Int32Array(1);
    ring.push(Int32Array.of(1, 2));
    const waiting = ring.pushAsync(Int32Array.of(3));
    assert.equal(ring.closed, false);
    ring.close();
    ring.close();
    await rejectsCode(waiting, "ECLOSED");
    assert.equal(ring.closed, true);
    for (const records of [new Int32Array(0), Int32Array.of(4)]) {
      throwsCode(() => ring.push(records), "ECLOSED", /it was closed/);
    }
    assert.deepEqual([ring.pop(target), target[0]], [1, 1]);
    assert.deepEqual([await ring.popAsync(target), target[0]], [1, 2]);
    assert.equal(ring.pop(target), 0);
    assert.equal(await ring.popAsync(target), 0);
    const other = ringOf({ capacity: 2 });
    const popping = other.popAsync(target);
    other.close();
    assert.equal(await popping, 0);
    // There is room, and nobody who will take it out.
    assert.equal(other.writable(), 2);
    for (
      const put of [
        () => other.tryPush(Int32Array.of(1)),
        () => other.tryPushSome(Int32Array.of(1)),
        () => other.commit(1),
      ]
    ) throwsCode(put, "ECLOSED");
    assert.equal(other.length, 0);
  });

  for (
    const { size, batch, takes } of [
      { size: 1, batch: 1, takes: 7 },
      { size: 3, batch: 5, takes: 2 },
    ]
  ) {
    it(`carries records of ${size} words between threads, ${batch} at a time`, async () => {
      const ring = ringOf({ capacity: 16, recordWords: size });
      const last = 100_000;
      const consumer = runRing({ task: "consume", ring, batch: takes, last });
      const producer = runRing({ task: "produce", ring, batch, last });
      assert.deepEqual([await producer.join(), await consumer.join()], [last, last]);
    });
  }

  it("brings records to a main thread that does not block", async () => {
    const ring = ringOf({ capacity: 16 });
    const producer = runRing({ task: "produce", ring, batch: 3, last: 5000 });
    const target = new Int32Array(16);
    let next = 1;
    for (let count = 1; count > 0;) {
      count = await ring.popAsync(target);
      for (let at = 0; at < count; at++) assert.equal(target[at], next++);
    }
    assert.equal(next, 5001);
    assert.equal(await producer.join(), 5000);
  });

  it("goes on with another producer when the first one was terminated", async () => {
    const ring = ringOf({ capacity: 16, recordWords: 2 });
    const target = new Int32Array(32);
    let next = 1;
    for (let round = 0; round < 5; round++) {
      const producer = runRing({ task: "produce for ever", ring, batch: 3, last: 0 });
      for (let taken = 0; taken < 1000;) {
        const count = await ring.popAsync(target);
        for (let word = 0; word < 2 * count; word++) {
          assert.equal(target[word], next + Math.floor(word / 2));
        }
        next += count;
        taken += count;
      }
      assert.equal(await producer.terminate(), true);
      for (let count = ring.tryPop(target); count > 0; count = ring.tryPop(target)) next += count;
      next = 1;
    }
    ring.close();
    assert.equal(await ring.popAsync(target), 0);
  });

  it("lives in an arena, and ends with it", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const ring = SpscRing.create(arena, { capacity: 8 });
    const target = new Int32Array(8);
    ring.tryPush(Int32Array.of(1));
    const { records } = ring;
    const waiting = ring.popAsync(target).then(() => ring.popAsync(target));
    const handled = rejectsCode(waiting, "EDESTROYED");
    await Promise.resolve();
    await new Promise((resolve) => setTimeout(resolve, 10));
    arena.destroy();
    await handled;
    assert.equal(records.length, 0);
    for (
      const call of [
        () => ring.tryPush(Int32Array.of(1)),
        () => ring.tryPop(target),
        () => ring.push(Int32Array.of(1)),
        () => ring.pop(target),
        () => ring.length,
        () => ring.records,
        () => ring.writable(),
        () => ring.commit(1),
        () => ring.close(),
        () => ring.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
  });
});
