import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, BroadcastRing, type BroadcastRingOptions } from "../../mod.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runBroadcast } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import type { Heard } from "../workers/broadcasts.ts";

const memoryOf = (options: BroadcastRingOptions): SharedArrayBuffer =>
  new SharedArrayBuffer(BroadcastRing.bytes(options));
const ringOf = (options: BroadcastRingOptions): BroadcastRing =>
  BroadcastRing.create(memoryOf(options), options);

describe("BroadcastRing", () => {
  it("has a capacity, a size, and a number of records", () => {
    const ring = ringOf({ capacity: 4, recordWords: 3 });
    assert.deepEqual([ring.capacity, ring.recordWords, ring.published], [4, 3, 0]);
    ring.publish(new Int32Array(6));
    ring.publish(new Int32Array(0));
    assert.deepEqual([ring.published, ring.owned, ring.closed], [2, true, false]);
    assert.deepEqual([ringOf({}).capacity, ringOf({}).recordWords], [1024, 1]);
  });

  it("shows each consumer all that is published after it began", () => {
    const ring = ringOf({ capacity: 4, recordWords: 2 });
    ring.publish(Int32Array.of(1, 10));
    const consumers = [ring.subscribe(), ring.subscribe({ from: "oldest" }), ring.subscribe({})];
    ring.publish(Int32Array.of(2, 20, 3, 30));
    const all = consumers.map((consumer) => {
      assert.equal(consumer.lag, ring.published - consumer.position);
      const target = new Int32Array(2 * 8);
      const count = consumer.tryRead(target);
      assert.equal(consumer.tryRead(target.subarray(2 * count)), 0);
      assert.deepEqual([consumer.missed, consumer.position, consumer.lag], [0, 3, 0]);
      return [...target.subarray(0, 2 * count)];
    });
    assert.deepEqual(all, [[2, 20, 3, 30], [1, 10, 2, 20, 3, 30], [2, 20, 3, 30]]);
  });

  it("tells a slow consumer what it has missed, and never waits for it", () => {
    const ring = ringOf({ capacity: 4 });
    const slow = ring.subscribe();
    for (let number = 1; number <= 10; number++) ring.publish(Int32Array.of(number));
    assert.deepEqual([slow.lag, slow.missed], [10, 0]);
    const target = new Int32Array(3);
    assert.equal(slow.tryRead(target), 3);
    assert.deepEqual([[...target], slow.missed, slow.lag], [[7, 8, 9], 6, 1]);
    ring.publish(Int32Array.of(11, 12, 13, 14));
    assert.equal(slow.tryRead(target), 3);
    assert.deepEqual([[...target], slow.missed, slow.position], [[11, 12, 13], 7, 13]);
  });

  it("lets a consumer go on where another one was", () => {
    const ring = ringOf({ capacity: 4 });
    const first = ring.subscribe();
    const target = new Int32Array(8);
    ring.publish(Int32Array.of(1, 2, 3));
    first.tryRead(target.subarray(0, 2));
    const second = ring.subscribe({ from: first.position });
    assert.deepEqual([second.tryRead(target), target[0], second.missed], [1, 3, 0]);
    for (let number = 4; number <= 8; number++) ring.publish(Int32Array.of(number));
    const third = ring.subscribe({ from: first.position });
    assert.deepEqual([third.tryRead(target), target[0], third.missed], [4, 5, 2]);
    throwsCode(() => ring.subscribe({ from: 9 }), "EINVAL", /from is 9/);
  });

  it("begins with the oldest record that nobody has begun to write over", () => {
    const memory = memoryOf({ capacity: 4 });
    const ring = BroadcastRing.create(memory, { capacity: 4 });
    ring.publish(Int32Array.of(1, 2, 3, 4));
    // As a producer leaves it that dies once it has reserved the places of two records.
    new Int32Array(memory, LINE_WORDS * 4)[2] = 6;
    const consumer = ring.subscribe({ from: "oldest" });
    const target = new Int32Array(4);
    assert.deepEqual([consumer.position, consumer.tryRead(target), target[0]], [2, 2, 3]);
    assert.equal(consumer.missed, 0);
  });

  it("refuses what cannot be", async () => {
    for (const capacity of [0, 1, 3, 2 ** 25, 1.5, NaN, -0, 2 ** 53, "4", null]) {
      throwsCode(() => BroadcastRing.bytes({ capacity: capacity as number }), "EINVAL");
    }
    const ring = ringOf({ capacity: 4, recordWords: 2 });
    const consumer = ring.subscribe();
    const wrong: unknown[] = [new Int32Array(3), new Uint32Array(2), [1, 2], undefined, null, NaN];
    for (const records of wrong as Int32Array[]) {
      throwsCode(() => ring.publish(records), "EINVAL", /a record has 2 words/);
      throwsCode(() => consumer.tryRead(records), "EINVAL", /a record has 2 words/);
      throwsCode(() => consumer.read(records), "EINVAL", /a record has 2 words/);
      await rejectsCode(consumer.readAsync(records), "EINVAL", /a record has 2 words/);
    }
    throwsCode(() => ring.publish(new Int32Array(10)), "EINVAL", /5 records are more than .* 4/);
    throwsCode(() => consumer.read(new Int32Array(0)), "EINVAL", /the array is empty/);
    throwsCode(() => consumer.read(new Int32Array(2), { timeoutMs: NaN }), "EINVAL");
    assert.equal(consumer.tryRead(new Int32Array(0)), 0);
    for (const from of ["never", 7, null, -1, 0.5, NaN, 2 ** 53]) {
      throwsCode(() => ring.subscribe({ from: from as "now" }), "EINVAL", /^Cannot subscribe to/);
    }
    throwsCode(() => ring.subscribe(7 as never), "EINVAL");
    throwsCode(() => BroadcastRing.fromHandle({} as never), "EINVAL");
    assert.deepEqual([ring.published, ring.owned], [0, false]);
  });

  it("waits for records, no longer than it is told", async () => {
    const ring = ringOf({ capacity: 4 });
    const consumer = ring.subscribe();
    const target = new Int32Array(4);
    const read = /read records of a broadcast ring/;
    throwsCode(() => consumer.read(target, { timeoutMs: 1, block: true }), "ETIMEDOUT", read);
    throwsCode(() => consumer.read(target, { timeoutMs: 0, block: true }), "ETIMEDOUT", read);
    throwsCode(() => consumer.read(target, { block: false }), "EWOULDBLOCK");
    await rejectsCode(consumer.readAsync(target, { timeoutMs: 1 }), "ETIMEDOUT", read);
    const controller = new AbortController();
    const aborted = consumer.readAsync(target, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    const others = [ring.subscribe(), ring.subscribe()];
    const targets = others.map(() => new Int32Array(2));
    const waits = others.map((other, at) => other.readAsync(targets[at] as Int32Array));
    const last = consumer.readAsync(target);
    ring.publish(Int32Array.of(5, 6));
    assert.deepEqual(await Promise.all([...waits, last]), [2, 2, 2]);
    assert.deepEqual([...targets.map((found) => [...found]), [...target]], [
      [5, 6],
      [5, 6],
      [5, 6, 0, 0],
    ]);
    ring.publish(Int32Array.of(7));
    await assert.rejects(consumer.readAsync(target, controller), /enough/);
    assert.deepEqual([consumer.position, consumer.lag], [2, 1]);
  });

  it("gives what there is once it is closed, and says when that was all", async () => {
    const ring = ringOf({ capacity: 4 });
    const consumers = [ring.subscribe(), ring.subscribe()] as const;
    const target = new Int32Array(4);
    const waiting = consumers[0].readAsync(target);
    ring.publish(Int32Array.of(1, 2));
    assert.equal(await waiting, 2);
    const ended = consumers[0].readAsync(target);
    ring.close();
    ring.close();
    assert.deepEqual([await ended, ring.closed], [0, true]);
    throwsCode(() => ring.publish(Int32Array.of(3)), "ECLOSED", /it was closed/);
    assert.deepEqual([consumers[1].read(target), target[1]], [2, 2]);
    assert.deepEqual([consumers[1].read(target), await consumers[1].readAsync(target)], [0, 0]);
    const late = ring.subscribe({ from: "oldest" });
    assert.deepEqual([late.read(target), late.read(target)], [2, 0]);
  });

  it("has one producer, whom another thread can succeed", () => {
    const memory = memoryOf({ capacity: 4 });
    const ring = BroadcastRing.create(memory, { capacity: 4 });
    const words = new Int32Array(memory, LINE_WORDS * 4);
    const [one, two] = [Int32Array.of(1), Int32Array.of(2)];
    const consumer = ring.subscribe();
    throwsCode(() => ring.disown(), "EOWNER", /^Cannot disown/);
    ring.publish(one);
    ring.disown();
    const { lot, id } = claimWaiter();
    words[0] = id;
    assert.deepEqual([ring.owned, ring.adopt()], [false, false]);
    throwsCode(() => ring.publish(two), "EOWNER", /another thread is its producer/);
    throwsCode(() => ring.close(), "EOWNER", /^Cannot close/);
    lot.release(id);
    throwsCode(() => ring.publish(two), "EOWNERDEAD", /Call adopt/);
    assert.deepEqual([ring.adopt(), ring.owned], [true, true]);
    ring.publish(two);
    const target = new Int32Array(4);
    assert.deepEqual([consumer.tryRead(target), target[0], target[1]], [2, 1, 2]);
    const other = claimWaiter();
    words[0] = other.id;
    other.lot.release(other.id);
    // Whoever it was cannot say so any more.
    ring.close();
    assert.equal(ring.closed, true);
  });

  it("lives in an arena, and ends with it", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const ring = BroadcastRing.create(arena, { capacity: 8 });
    const consumer = ring.subscribe();
    const target = new Int32Array(8);
    ring.publish(Int32Array.of(1));
    const handled = rejectsCode(
      consumer.readAsync(target).then(() => consumer.readAsync(target)),
      "EDESTROYED",
    );
    await sleep(10);
    assert.equal(consumer.tryRead(target), 0);
    arena.destroy();
    await handled;
    assert.deepEqual([consumer.missed, consumer.position], [0, 1]);
    for (
      const call of [
        () => ring.publish(Int32Array.of(1)),
        () => ring.subscribe(),
        () => ring.adopt(),
        () => ring.disown(),
        () => ring.published,
        () => ring.closed,
        () => ring.owned,
        () => ring.close(),
        () => ring.toHandle(),
        () => consumer.tryRead(target),
        () => consumer.read(target),
        () => consumer.lag,
      ]
    ) throwsCode(call, "EDESTROYED");
    await rejectsCode(consumer.readAsync(target), "EDESTROYED");
  });
});

/** What was published from where a consumer began was seen, or counted as missed, and all of it was whole. */
function check({ wrong, seen, missed, from, to }: Heard, last: number): void {
  assert.equal(wrong, undefined);
  assert.deepEqual([seen + missed, to], [last - from, last]);
}

describe("BroadcastRing between threads", () => {
  it("shows all records to all that keep up", async () => {
    const ring = ringOf({ capacity: 2 ** 15, recordWords: 2 });
    const last = 30_000;
    const tasks = ["consume", "consume, awaiting", "consume"] as const;
    const consumers = tasks.map((task, at) => runBroadcast({ task, ring, batch: 1 + 7 * at }));
    const producer = runBroadcast({ task: "publish", ring, batch: 3, last });
    await producer.join();
    for (const heard of await Promise.all(consumers.map((consumer) => consumer.join()))) {
      check(heard, last);
      assert.equal(heard.missed, 0);
    }
  });

  it("never shows a part of a record to those that do not", async () => {
    const ring = ringOf({ capacity: 4, recordWords: 8 });
    const last = 200_000;
    const consumers = ([["consume", 1], ["consume", 4], ["consume, awaiting", 3]] as const)
      .map(([task, batch]) => runBroadcast({ task, ring, batch }));
    const producer = runBroadcast({ task: "publish", ring, batch: 2, last });
    await producer.join();
    for (const heard of await Promise.all(consumers.map((consumer) => consumer.join()))) {
      check(heard, last);
    }
  });

  it("goes on when producers are terminated, and consumers", async () => {
    const ring = ringOf({ capacity: 16, recordWords: 4 });
    const consumer = runBroadcast({ task: "consume", ring, batch: 5 });
    for (let round = 1; round <= 5; round++) {
      const before = ring.published;
      const producer = runBroadcast({ task: "publish", ring, batch: 1 + round });
      const passing = runBroadcast({ task: "consume", ring, batch: 2 });
      while (ring.published < before + 2000) await sleep(1);
      await Promise.all([producer.terminate(), passing.terminate()]);
    }
    assert.equal(ring.adopt(), true);
    const last = ring.published + 1;
    ring.publish(new Int32Array(4).fill(last));
    ring.close();
    check(await consumer.join(), last);
  });
});
