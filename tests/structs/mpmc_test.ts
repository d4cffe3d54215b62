import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, MpmcRing, type MpmcRingOptions, type Thread } from "../../mod.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runMpmc } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { type Taken, Tally } from "../workers/mpmc.ts";

/** Words of the picture in mpmc_core.ts. */
const AT = { producer: 0, consumer: LINE_WORDS };

const memoryOf = (options: MpmcRingOptions): SharedArrayBuffer =>
  new SharedArrayBuffer(MpmcRing.bytes(options));
const ringOf = (options: MpmcRingOptions): MpmcRing => MpmcRing.create(memoryOf(options), options);

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

  it("waits no longer than it may when a thread stands still in the middle, and goes on after that", async () => {
    const memory = memoryOf({ capacity: 4 });
    const ring = MpmcRing.create(memory, { capacity: 4 });
    const words = new Int32Array(memory, LINE_WORDS * 4);
    const [one, two] = [Int32Array.of(1), Int32Array.of(2)];
    const { lot, id } = claimWaiter();
    words[AT.producer] = words[AT.consumer] = id;
    const stands = /in the middle of that for 50 looks/;
    throwsCode(() => ring.tryPush(one), "EBUSY", stands);
    throwsCode(() => ring.tryPushSome(one), "EBUSY", /^Cannot put records into a ring/);
    throwsCode(() => ring.tryPop(one), "EBUSY", stands);
    throwsCode(() => ring.tryPopAll(one), "EBUSY", /^Cannot take records out of a ring/);
    throwsCode(() => ring.close(), "EBUSY", /^Cannot close a ring: .* for 1000 looks/);
    assert.deepEqual([ring.closed, ring.length], [false, 0]);
    for (const timeoutMs of [0, 1, 20]) {
      const before = performance.now();
      throwsCode(() => ring.push(one, { timeoutMs, block: true }), "ETIMEDOUT", /put records into/);
      throwsCode(() => ring.pop(one, { timeoutMs, block: true }), "ETIMEDOUT", /take records out/);
      assert.ok(performance.now() - before >= 2 * timeoutMs);
    }
    throwsCode(() => ring.push(one, { block: false }), "EWOULDBLOCK");
    throwsCode(() => ring.pop(one, { block: false }), "EWOULDBLOCK");
    await rejectsCode(ring.pushAsync(one, { timeoutMs: 5 }), "ETIMEDOUT");
    await rejectsCode(ring.popAsync(one, { timeoutMs: 5 }), "ETIMEDOUT");
    const controller = new AbortController();
    const waits = [ring.pushAsync(one, controller), ring.popAsync(one, controller)];
    const ends = waits.map((wait) => assert.rejects(wait, /enough/));
    await sleep(5);
    controller.abort(new Error("enough"));
    await Promise.all(ends);
    const many = Array.from({ length: 100 }, () => ring.popAsync(one, { timeoutMs: 20 }));
    await Promise.all(many.map((wait) => rejectsCode(wait, "ETIMEDOUT")));
    // Nobody is told when such a thread goes on.
    const pushed = ring.pushAsync(two);
    await sleep(5);
    words[AT.producer] = 0;
    await pushed;
    const target = new Int32Array(1);
    const popped = ring.popAsync(target);
    await sleep(5);
    assert.equal(words[AT.consumer], id);
    lot.release(id);
    assert.deepEqual([await popped, target[0], words[AT.consumer]], [1, 2, 0]);
    words[AT.consumer] = claimWaiter().id;
    ring.close();
    const last = ring.popAsync(target);
    await sleep(5);
    lot.release(words[AT.consumer] as number);
    assert.equal(await last, 0);
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
