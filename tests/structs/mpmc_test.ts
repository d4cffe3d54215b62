import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import type { Shape } from "../../lib/shared/shape.ts";
import { BUSY, ENDED, MpmcCore } from "../../lib/structs/rings/mpmc_core.ts";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, MpmcRing, type MpmcRingOptions, type Thread } from "../../mod.ts";
import { counting, withLoads } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runMpmc } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";
import { type Taken, Tally } from "../workers/mpmc.ts";

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

const memoryOf = (options: MpmcRingOptions): SharedArrayBuffer =>
  new SharedArrayBuffer(MpmcRing.bytes(options));
const ringOf = (options: MpmcRingOptions): MpmcRing => MpmcRing.create(memoryOf(options), options);

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

describe("MpmcRing", () => {
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
    const none = new Int32Array(0);
    assert.deepEqual([ring.tryPush(none), ring.tryPushSome(none)], [true, 0]);
    assert.deepEqual([ring.tryPop(none), ring.tryPopAll(none)], [0, true]);
  });

  it("refuses what cannot be", () => {
    for (const capacity of [0, 1, 3, 2 ** 25, 1.5, NaN, -2, 2 ** 53, "4", null]) {
      throwsCode(() => MpmcRing.bytes({ capacity: capacity as number }), "EINVAL");
    }
    for (const recordWords of [0, 1025, NaN, 2 ** 53]) {
      throwsCode(() => MpmcRing.bytes({ recordWords }), "EINVAL");
    }
    throwsCode(() => MpmcRing.bytes({ capacity: 2 ** 24, recordWords: 1024 }), "EINVAL", /1 GiB/);
    const ring = ringOf({ capacity: 4, recordWords: 2 });
    const wrong: unknown[] = [
      ...[new Int32Array(3), new Uint32Array(2), [1, 2], undefined, null, {}, NaN, 2 ** 53],
    ];
    for (const records of wrong as Int32Array[]) {
      for (
        const method of ["tryPush", "tryPushSome", "tryPop", "tryPopAll", "push", "pop"] as const
      ) {
        throwsCode(() => ring[method](records), "EINVAL", /a record has 2 words/);
      }
    }
    throwsCode(() => ring.push(new Int32Array(10)), "EINVAL", /5 records are more than .* 4/);
    throwsCode(() => ring.pop(new Int32Array(0)), "EINVAL", /the array is empty/);
    throwsCode(() => ring.pop(new Int32Array(2), { timeoutMs: NaN }), "EINVAL");
    throwsCode(() => MpmcRing.fromHandle({} as never), "EINVAL");
    assert.equal(ring.length, 0);
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
  });

  it("serves all that wait, for as many records or as much room as there is", async () => {
    const ring = ringOf({ capacity: 4 });
    const targets = Array.from({ length: 4 }, () => new Int32Array(1));
    const popped = targets.map((target) => ring.popAsync(target));
    ring.push(Int32Array.of(1, 2, 3, 4));
    assert.deepEqual(await Promise.all(popped), [1, 1, 1, 1]);
    assert.deepEqual(targets.map(([number]) => number).sort(), [1, 2, 3, 4]);
    ring.push(Int32Array.of(1, 2, 3, 4));
    const big = ring.pushAsync(Int32Array.of(5, 6, 7));
    const small = ring.pushAsync(Int32Array.of(8));
    const [target] = targets as [Int32Array];
    assert.equal(ring.tryPop(target), 1);
    await small;
    for (let round = 0; round < 3; round++) assert.equal(ring.tryPop(target), 1);
    await big;
    assert.equal(ring.length, 4);
  });

  it("takes nothing more once it is closed, and gives what is in it", async () => {
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
    throwsCode(() => ring.tryPush(Int32Array.of(4)), "ECLOSED");
    throwsCode(() => ring.tryPushSome(Int32Array.of(4)), "ECLOSED");
    assert.deepEqual([await ring.popAsync(target), target[0]], [1, 2]);
    assert.equal(ring.pop(target), 0);
    assert.equal(await ring.popAsync(target), 0);
    const other = ringOf({ capacity: 2 });
    const popping = other.popAsync(target);
    other.close();
    assert.equal(await popping, 0);
  });

  it("says so when a thread stands still in the middle, and goes on after that", () => {
    const memory = memoryOf({ capacity: 4 });
    const ring = MpmcRing.create(memory, { capacity: 4 });
    const words = new Int32Array(memory, LINE_WORDS * 4);
    const { lot, id } = claimWaiter();
    words[AT.producer] = id;
    throwsCode(
      () => ring.tryPush(Int32Array.of(1)),
      "EBUSY",
      /in the middle of that for 1000 looks/,
    );
    throwsCode(() => ring.close(), "EBUSY", /^Cannot close a ring/);
    words[AT.consumer] = id;
    throwsCode(() => ring.pop(new Int32Array(1)), "EBUSY", /^Cannot take records out of a ring/);
    lot.release(id);
    assert.equal(ring.tryPush(Int32Array.of(1)), true);
    assert.equal(ring.tryPop(new Int32Array(1)), 1);
    ring.close();
  });

  it("lives in an arena, and ends with it", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const ring = MpmcRing.create(arena, { capacity: 8 });
    const target = new Int32Array(8);
    ring.tryPush(Int32Array.of(1));
    const handled = rejectsCode(
      ring.popAsync(target).then(() => ring.popAsync(target)),
      "EDESTROYED",
    );
    await sleep(10);
    assert.equal(ring.tryPop(target), 0);
    arena.destroy();
    await handled;
    for (
      const call of [
        () => ring.tryPush(Int32Array.of(1)),
        () => ring.tryPushSome(Int32Array.of(1)),
        () => ring.tryPop(target),
        () => ring.tryPopAll(target),
        () => ring.push(Int32Array.of(1)),
        () => ring.pop(target),
        () => ring.length,
        () => ring.closed,
        () => ring.close(),
        () => ring.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
    await rejectsCode(ring.pushAsync(Int32Array.of(1)), "EDESTROYED");
    await rejectsCode(ring.popAsync(target), "EDESTROYED");
  });
});

/** What all consumers got of a producer: how many numbers, and the highest. */
function ofProducer(all: readonly Taken[], producer: number): { count: number; highest: number } {
  return {
    count: all.reduce((sum, { counts }) => sum + (counts[producer] as number), 0),
    highest: Math.max(...all.map(({ highest }) => highest[producer] as number)),
  };
}

/** Lets producers put all in, closes the ring, and returns what consumers took out. Whatever fails ends all of them. */
async function finish(
  ring: MpmcRing,
  producers: readonly Thread<Taken>[],
  consumers: readonly Promise<Taken>[],
  threads: readonly Thread<Taken>[],
): Promise<Taken[]> {
  const taken = Promise.all(consumers);
  try {
    await Promise.race([Promise.all(producers.map((producer) => producer.join())), taken]);
    ring.close();
    return await taken;
  } finally {
    await Promise.all([...producers, ...threads].map((thread) => thread.terminate()));
  }
}

describe("MpmcRing between threads", () => {
  for (
    const { size, batches, rooms } of [
      { size: 1, batches: [1, 1], rooms: [1, 7] },
      { size: 3, batches: [5, 2, 1], rooms: [4, 1] },
    ]
  ) {
    it(`carries records of ${size} words, ${batches} at a time to ${rooms}`, async () => {
      const ring = ringOf({ capacity: 16, recordWords: size });
      const last = 20_000;
      const consumers = rooms.map((batch) => runMpmc({ task: "consume", ring, batch }));
      const producers = batches.map((batch, producer) =>
        runMpmc({ task: "produce", ring, batch, producer, last })
      );
      const joined = consumers.map((consumer) => consumer.join());
      const taken = await finish(ring, producers, joined, consumers);
      assert.deepEqual(taken.map(({ wrong }) => wrong), rooms.map(() => undefined));
      for (const producer of batches.keys()) {
        assert.deepEqual(ofProducer(taken, producer), { count: last, highest: last });
      }
    });
  }

  it("loses nothing of producers that are terminated but what they had not put in", async () => {
    const ring = ringOf({ capacity: 16, recordWords: 2 });
    const batch = 3;
    const consumer = runMpmc({ task: "consume", ring, batch: 2 });
    const tally = new Tally();
    const target = new Int32Array(2 * 5);
    const here = (async (): Promise<Taken> => {
      for (let count = 1; count > 0;) {
        count = await ring.popAsync(target);
        tally.add(target, count, 2);
        // Others have their turn.
        await sleep(0);
      }
      return tally;
    })();
    let isOver = false;
    here.catch(() => {}).finally(() => isOver = true);
    const kept = runMpmc({ task: "produce", ring, batch: 1, producer: 9, last: 2000 });
    for (let round = 0; round < 4; round++) {
      const producers = [0, 1].map((which) =>
        runMpmc({ task: "produce", ring, batch, producer: 2 * round + which })
      );
      while (ofProducer([tally], 2 * round).count < 20 && !isOver) await sleep(1);
      await Promise.all(producers.map((producer) => producer.terminate()));
    }
    const taken = await finish(ring, [kept], [consumer.join(), here], [consumer]);
    assert.deepEqual(taken.map(({ wrong }) => wrong), [undefined, undefined]);
    assert.deepEqual(ofProducer(taken, 9), { count: 2000, highest: 2000 });
    for (let producer = 0; producer < 8; producer++) {
      const { count, highest } = ofProducer(taken, producer);
      assert.equal(count, highest, `of producer ${producer}`);
      assert.equal(count % batch, 0, "whole batches");
    }
  });

  it("goes on when consumers are terminated, which take along what they had taken out", async () => {
    const ring = ringOf({ capacity: 16 });
    const producers = [0, 1].map((producer) =>
      runMpmc({ task: "produce", ring, batch: 4, producer })
    );
    const tally = new Tally();
    const target = new Int32Array(8);
    /** Takes so many more of each producer. */
    const take = async (more: number): Promise<void> => {
      const before = [...tally.counts];
      const isEnough = (producer: number): boolean =>
        (tally.counts[producer] as number) >= (before[producer] as number) + more;
      while (!isEnough(0) || !isEnough(1)) tally.add(target, await ring.popAsync(target), 1);
    };
    for (let round = 0; round < 4; round++) {
      const consumers = [1, 3].map((batch) => runMpmc({ task: "consume", ring, batch }));
      await take(100);
      await Promise.all(consumers.map((consumer) => consumer.terminate()));
    }
    await take(1000);
    await Promise.all(producers.map((producer) => producer.terminate()));
    assert.equal(tally.wrong, undefined);
    assert.ok(ring.length <= 16);
  });
});
