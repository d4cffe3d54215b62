import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Shape } from "../../lib/shared/shape.ts";
import { MessageCore, NONE } from "../../lib/structs/rings/message_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, MessageRing, type MessageRingOptions } from "../../mod.ts";
import { counting, withLoads } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { runMessages } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";
import { isMessage } from "../workers/message_rings.ts";

const SHAPE: Shape = { threads: 4, domains: 1 };
const INDICES = [0, 1, LINE_WORDS, LINE_WORDS + 1];

/** An empty ring whose indices begin somewhere. */
function coreAt(start: number, capacity: number): MessageCore {
  const words = sharedWords(MessageCore.words(SHAPE, capacity));
  for (const at of INDICES) words[at] = start;
  return new MessageCore(words, SHAPE, capacity);
}

const ringOf = (options: MessageRingOptions): MessageRing =>
  MessageRing.create(new SharedArrayBuffer(MessageRing.bytes(options)), options);

/** What there is room for: how an array of messages would do it. */
class Model {
  readonly messages: { readonly bytes: Uint8Array; readonly words: number }[] = [];
  readonly #capacity: number;
  #at: number;

  constructor(start: number, capacity: number) {
    this.#capacity = capacity;
    this.#at = start & (capacity - 1);
  }

  get used(): number {
    return this.messages.reduce((sum, { words }) => sum + words, 0);
  }

  push(bytes: Uint8Array): boolean {
    const size = 1 + Math.ceil(bytes.length / 4);
    const left = this.#capacity - this.#at;
    const words = size > left ? left + size : size;
    if (this.used + words > this.#capacity) return false;
    this.messages.push({ bytes, words });
    this.#at = (this.#at + words) % this.#capacity;
    return true;
  }
}

describe("MessageCore", () => {
  it("does what an array does, wherever its indices are", () => {
    const me = new FakeProcess().thread(0);
    const step = fc.record({
      what: fc.constantFrom("push", "push", "place", "pop", "pop", "forget"),
      lengths: fc.array(fc.nat({ max: 100 }), { minLength: 1, maxLength: 4 }),
    });
    const settings = fc.record({
      start: fc.constantFrom(0, 1, 5, 2 ** 31 - 3, -2, -(2 ** 31)),
      bits: fc.integer({ min: 3, max: 6 }),
      steps: fc.array(step, { maxLength: 60 }),
    });
    fc.assert(
      fc.property(settings, ({ start, bits, steps }) => {
        const capacity = 2 ** bits;
        const core = coreAt(start | 0, capacity);
        const model = new Model(start, capacity);
        let next = 0;
        for (const { what, lengths } of steps) {
          if (what === "pop") {
            core.rewind();
            for (const _ of lengths) {
              const wanted = model.messages.shift()?.bytes;
              const length = core.find(me);
              assert.equal(length, wanted?.length ?? NONE);
              if (wanted === undefined) break;
              const found = new Uint8Array(length);
              core.read(found, length);
              assert.deepEqual(found, wanted);
              core.pass();
            }
            core.release(me);
          } else if (what === "forget") {
            // What is added, or passed, and no more than that.
            core.begin();
            core.write(new Uint8Array(3), 3);
            core.rewind();
            if (core.find(me) !== NONE) core.pass();
          } else {
            core.begin();
            for (const most of lengths) {
              const length = most % (core.maxBytes + 1);
              const bytes = new Uint8Array(length).fill(++next);
              const isThere = model.push(bytes);
              if (what === "push") assert.equal(core.write(bytes, length), isThere);
              else {
                const at = core.place(length);
                assert.equal(at !== NONE, isThere);
                if (!isThere) continue;
                core.bytes.set(bytes, at);
                core.add(length);
              }
            }
            core.publish(me);
          }
          assert.equal(core.used(), model.used);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("has room for the longest message whenever it is empty", () => {
    const me = new FakeProcess().thread(0);
    for (const capacity of [4, 8, 16, 64]) {
      for (let start = -capacity; start <= capacity; start++) {
        const core = coreAt(start, capacity);
        for (let length = 0; length <= core.maxBytes; length++) {
          assert.equal(core.push(me, new Uint8Array(length).fill(length), length), true);
          core.rewind();
          assert.equal(core.find(me), length);
          core.pass();
          core.release(me);
        }
        assert.equal(core.used(), 0);
      }
    }
  });

  it("takes an atomic operation a batch, and another one only where there is too little", () => {
    const process = new FakeProcess();
    const me = process.thread(0);
    const core = coreAt(0, 32);
    const bytes = new Uint8Array(28);
    const push = (): void => {
      core.begin();
      core.write(bytes, 28);
      core.write(bytes, 28);
      core.publish(me);
    };
    const pop = (): void => {
      core.rewind();
      for (let turn = 0; turn < 2; turn++) {
        core.find(me);
        core.pass();
      }
      core.release(me);
    };
    const batch = withLoads({ following: 1 }, { store: 1 });
    // A look without order is a plain load, as one that follows is.
    const looks = withLoads({ following: 2 }, { store: 1 });
    assert.deepEqual(counting(push).atomics, batch);
    assert.deepEqual(counting(push).atomics, batch);
    const fails = counting(() => assert.equal(core.push(me, bytes, 28), false));
    assert.deepEqual(fails.atomics, withLoads({ following: 1, shared: 1 }));
    assert.deepEqual(counting(pop).atomics, looks);
    assert.deepEqual(counting(pop).atomics, batch);
    core.rewind();
    const finds = counting(() => assert.equal(core.find(me), NONE));
    assert.deepEqual(finds.atomics, withLoads({ following: 1, shared: 1 }));
    assert.deepEqual(counting(push).atomics, looks);
    assert.equal(process.wakes, 0);
  });

  it("never hangs, throws or reaches further, whatever is scribbled over its words", () => {
    const me = new FakeProcess().thread(0);
    const capacity = 16;
    const room = MessageCore.words(SHAPE, capacity);
    const place = fc.oneof(
      fc.constantFrom(...INDICES),
      fc.integer({ min: 3 * LINE_WORDS, max: 3 * LINE_WORDS + capacity - 1 }),
    );
    const scribble = fc.record({
      at: place,
      value: fc.oneof(fc.integer({ min: -20, max: 40 }), fc.integer()),
      length: fc.nat({ max: 28 }),
    });
    fc.assert(
      fc.property(fc.array(scribble, { maxLength: 60 }), (steps) => {
        const all = sharedWords(room + 2 * LINE_WORDS).fill(99);
        const words = all.subarray(LINE_WORDS, LINE_WORDS + room).fill(0);
        const core = new MessageCore(words, SHAPE, capacity);
        const target = new Uint8Array(core.maxBytes);
        for (const { at, value, length } of steps) {
          words[at] = value;
          core.push(me, target.subarray(0, length), length);
          core.rewind();
          for (let turn = 0; turn < capacity; turn++) {
            const found = core.find(me);
            if (found === NONE) break;
            assert.ok(found >= 0 && core.foundAt() + found <= capacity * 4);
            core.read(target, found);
            core.pass();
          }
          core.release(me);
          assert.ok(core.used() >= 0 && core.used() <= capacity);
          assert.equal(typeof core.glances(), "boolean");
        }
        const around = [...all.subarray(0, LINE_WORDS), ...all.subarray(LINE_WORDS + room)];
        assert.ok(around.every((word) => word === 99));
      }),
      { numRuns: 500 },
    );
  });
});

describe("MessageRing", () => {
  const bytes = (...numbers: number[]): Uint8Array => Uint8Array.of(...numbers);

  it("has capacity, the longest message, and what is in use", () => {
    const ring = ringOf({ capacity: 64 });
    assert.deepEqual([ring.capacity, ring.maxBytes, ring.usedBytes], [64, 28, 0]);
    assert.equal(ring.tryPush(new Uint8Array(5)), true);
    assert.equal(ring.usedBytes, 12);
    assert.deepEqual([ringOf({}).capacity, ringOf({}).maxBytes], [65_536, 32_764]);
  });

  it("gives messages one by one, or many at once", () => {
    const ring = ringOf({ capacity: 64 });
    const messages = [bytes(1), bytes(), bytes(2, 3, 4, 5), new Uint8Array(28), bytes(6)];
    assert.equal(ring.tryPushMany(messages), 5);
    assert.equal(ring.tryPushMany([new Uint8Array(20), bytes(9)]), 0);
    assert.deepEqual(ring.tryPop(), bytes(1));
    const target = new Uint8Array(4);
    assert.equal(ring.tryPopInto(target), 0);
    throwsCode(() => ring.tryPopInto(target.subarray(1)), "EINVAL", /4 bytes and the array 3/);
    assert.equal(ring.tryPopInto(target), 4);
    assert.deepEqual(target, bytes(2, 3, 4, 5));
    assert.deepEqual(ring.tryPopMany(1), [new Uint8Array(28)]);
    assert.deepEqual(ring.tryPopMany(), [bytes(6)]);
    assert.deepEqual([ring.tryPop(), ring.tryPopInto(target), ring.tryPopMany()], [
      undefined,
      -1,
      [],
    ]);
    assert.equal(ring.tryPushMany([]), 0);
    assert.equal(ring.usedBytes, 0);
  });

  it("is written and read in place", () => {
    const ring = ringOf({ capacity: 64 });
    const { memory } = ring;
    throwsCode(() => ring.commit(), "EINVAL", /no room was reserved/);
    throwsCode(() => ring.consume(), "EINVAL", /no message was found/);
    const at = ring.reserve(10);
    memory.set([1, 2, 3], at);
    throwsCode(() => ring.commit(11), "EINVAL", /11 bytes are more than the 10/);
    ring.commit(3);
    throwsCode(() => ring.commit(), "EINVAL", /no room was reserved/);
    ring.reserve(5);
    // Takes the room back.
    ring.tryPush(bytes(4));
    throwsCode(() => ring.commit(), "EINVAL", /put in after that/);
    assert.equal(ring.readable(), 3);
    // As often as you like; and room for another one does not matter.
    assert.notEqual(ring.reserve(28), -1);
    assert.equal(ring.readable(), 3);
    assert.deepEqual(memory.slice(ring.readAt, ring.readAt + 3), bytes(1, 2, 3));
    ring.commit();
    ring.consume();
    throwsCode(() => ring.consume(), "EINVAL", /taken out after that/);
    assert.equal(ring.readable(), 1);
    assert.deepEqual(ring.tryPop(), bytes(4));
    throwsCode(() => ring.consume(), "EINVAL", /no message was found/);
    assert.equal(ring.tryPop()?.length, 28);
    assert.deepEqual([ring.readable(), ring.usedBytes], [-1, 0]);
    ring.reserve(1);
    ring.tryPushMany([bytes(5), bytes(6)]);
    throwsCode(() => ring.commit(), "EINVAL", /put in after that/);
    assert.equal(ring.readable(), 1);
    assert.deepEqual(ring.tryPopMany(1), [bytes(5)]);
    throwsCode(() => ring.consume(), "EINVAL", /taken out after that/);
    assert.deepEqual(ring.tryPopMany(), [bytes(6)]);
    while (ring.reserve(28) >= 0) ring.commit();
    assert.equal(ring.reserve(28), -1);
    throwsCode(() => ring.commit(), "EINVAL", /no room was reserved/);
  });

  it("refuses what cannot be", () => {
    for (const capacity of [0, 32, 96, 2 ** 31, 64.5, NaN, -64, 2 ** 53, "96 KiB", "much", null]) {
      throwsCode(
        () => MessageRing.bytes({ capacity: capacity as number }),
        "EINVAL",
        /capacity is|the size is/,
      );
    }
    assert.ok(MessageRing.bytes({ capacity: 2 ** 30 }) > 2 ** 30);
    assert.equal(ringOf({ capacity: "1 MiB" }).capacity, 2 ** 20);
    const ring = ringOf({ capacity: 64 });
    const fake = Object.create(Uint8Array.prototype) as Uint8Array;
    const wrong: unknown[] = [
      ...[new Int32Array(1), [1], "text", undefined, null, {}, 5],
      ...[fake, new Proxy(bytes(1), {}), new ArrayBuffer(4)],
    ];
    for (const message of wrong as Uint8Array[]) {
      throwsCode(() => ring.tryPush(message), "EINVAL", /Give a Uint8Array/);
      throwsCode(() => ring.tryPushMany([bytes(1), message]), "EINVAL", /Give a Uint8Array/);
      throwsCode(() => ring.tryPushMany(message as never), "EINVAL");
      throwsCode(() => ring.tryPopInto(message), "EINVAL", /Give a Uint8Array/);
      throwsCode(() => ring.push(message), "EINVAL", /Give a Uint8Array/);
    }
    throwsCode(
      () => ring.tryPush(new Uint8Array(29)),
      "EINVAL",
      /29 bytes, and the longest one 28/,
    );
    for (const length of [-1, 29, NaN, 2 ** 53, -0, 1.5, "1"]) {
      throwsCode(() => ring.reserve(length as number), "EINVAL", /from 0 to 28/);
      throwsCode(() => ring.commit(length as number), "EINVAL", /from 0 to 28/);
    }
    for (const limit of [0, NaN, 2 ** 53, "1", null]) {
      throwsCode(() => ring.tryPopMany(limit as number), "EINVAL", /limit is/);
    }
    assert.equal(ring.usedBytes, 0);
  });

  it("takes an array for what it is, and not for what its class says", () => {
    class Odd extends Uint8Array {
      override get length(): number {
        throw new Error("nobody asks for it");
      }
      override set(): void {
        throw new Error("nobody calls it");
      }
    }
    const ring = ringOf({ capacity: 256 });
    for (const length of [3, 100]) {
      const odd = new Odd(length);
      assert.equal(ring.tryPush(odd), true);
      assert.equal(ring.tryPushMany([odd]), 1);
      assert.equal(ring.tryPopInto(new Uint8Array(100)), length);
      assert.deepEqual(ring.tryPop(), new Uint8Array(length));
    }
    throwsCode(() => ring.tryPush(new Odd(125)), "EINVAL", /125 bytes/);
  });

  it("waits for room and for messages, and no longer than it is told", async () => {
    const ring = ringOf({ capacity: 64 });
    const now = { timeoutMs: 1, block: true };
    const long = new Uint8Array(28).fill(7);
    throwsCode(() => ring.pop(now), "ETIMEDOUT", /take messages out of a ring/);
    throwsCode(() => ring.pop({ block: false }), "EWOULDBLOCK");
    await rejectsCode(ring.popAsync({ timeoutMs: 1 }), "ETIMEDOUT");
    const popped = ring.popAsync();
    ring.push(bytes(1, 2));
    assert.deepEqual(await popped, bytes(1, 2));
    ring.push(bytes());
    ring.push(long);
    throwsCode(() => ring.push(long, now), "ETIMEDOUT", /put messages into a ring/);
    const pushed = ring.pushAsync(long);
    assert.deepEqual([ring.tryPop(), ring.tryPop()], [bytes(), long]);
    await pushed;
    assert.deepEqual(ring.pop(), long);
    const controller = new AbortController();
    const aborted = ring.popAsync({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    await assert.rejects(ring.pushAsync(bytes(1), { signal: controller.signal }), /enough/);
    assert.equal(ring.usedBytes, 0);
    ring.push(bytes(3));
    await assert.rejects(ring.popAsync({ signal: controller.signal }), /enough/);
    assert.deepEqual(ring.tryPop(), bytes(3));
  });

  it("gives what is in it after it was closed, and tells those who wait", async () => {
    const ring = ringOf({ capacity: 64 });
    ring.push(new Uint8Array(28));
    ring.push(new Uint8Array(25));
    const waiting = ring.pushAsync(bytes(3));
    assert.equal(ring.closed, false);
    ring.close();
    ring.close();
    await rejectsCode(waiting, "ECLOSED");
    assert.equal(ring.closed, true);
    throwsCode(() => ring.push(bytes(4)), "ECLOSED", /it was closed/);
    assert.equal(ring.pop()?.length, 28);
    assert.equal((await ring.popAsync())?.length, 25);
    assert.deepEqual([ring.pop(), await ring.popAsync()], [undefined, undefined]);
    const other = ringOf({ capacity: 64 });
    const popping = other.popAsync();
    other.close();
    assert.equal(await popping, undefined);
    // There is room, and nobody who will take it out.
    assert.equal(other.reserve(4), 4);
    const puts = [
      () => other.commit(4),
      () => other.tryPush(bytes(1)),
      () => other.tryPushMany([bytes(1)]),
    ];
    for (const put of puts) throwsCode(put, "ECLOSED");
    assert.equal(other.tryPop(), undefined);
  });

  for (const [batch, takes, capacity] of [[1, 7, 256], [5, 2, 1024], [0, 0, 64]] as const) {
    it(`carries messages between threads, ${batch} and ${takes} at a time`, async () => {
      const ring = ringOf({ capacity });
      const last = 30_000;
      const consumer = runMessages({ task: "consume", ring, batch: takes, last });
      const producer = runMessages({ task: "produce", ring, batch, last });
      assert.deepEqual([await producer.join(), await consumer.join()], [last, last]);
    });
  }

  it("brings messages to a main thread that does not block", async () => {
    const ring = ringOf({ capacity: 256 });
    const producer = runMessages({ task: "produce", ring, batch: 3, last: 5000 });
    let next = 1;
    for (;;) {
      const message = await ring.popAsync();
      if (message === undefined) break;
      assert.ok(isMessage(message, next, ring.maxBytes), `message ${next}`);
      next++;
    }
    assert.equal(next, 5001);
    assert.equal(await producer.join(), 5000);
  });

  it("goes on with another producer when the first one was terminated", async () => {
    const ring = ringOf({ capacity: 256 });
    for (let round = 0; round < 5; round++) {
      const batch = round % 3;
      const producer = runMessages({ task: "produce for ever", ring, batch, last: 0 });
      let next = 1;
      while (next < 1000) {
        const message = await ring.popAsync() as Uint8Array;
        assert.ok(isMessage(message, next, ring.maxBytes), `message ${next}`);
        next++;
      }
      assert.equal(await producer.terminate(), true);
      for (const message of ring.tryPopMany()) {
        assert.ok(isMessage(message, next, ring.maxBytes), `message ${next}`);
        next++;
      }
      assert.equal(ring.usedBytes, 0);
    }
    ring.close();
    assert.equal(await ring.popAsync(), undefined);
  });

  it("lives in an arena, and ends with it", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const ring = MessageRing.create(arena, { capacity: 1024 });
    ring.tryPush(bytes(1));
    const { memory } = ring;
    const waiting = ring.popAsync().then(() => ring.popAsync());
    const handled = rejectsCode(waiting, "EDESTROYED");
    await new Promise((resolve) => setTimeout(resolve, 10));
    ring.reserve(5);
    arena.destroy();
    await handled;
    assert.equal(memory.length, 0);
    for (
      const call of [
        () => ring.tryPush(bytes(1)),
        () => ring.tryPush(new Uint8Array(400)),
        () => ring.tryPushMany([bytes(1)]),
        () => ring.tryPop(),
        () => ring.tryPopInto(bytes(1)),
        () => ring.tryPopMany(),
        () => ring.push(bytes(1)),
        () => ring.pop(),
        () => ring.usedBytes,
        () => ring.closed,
        () => ring.memory,
        () => ring.reserve(1),
        () => ring.commit(),
        () => ring.readable(),
        () => ring.consume(),
        () => ring.close(),
        () => ring.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
    await rejectsCode(ring.pushAsync(bytes(1)), "EDESTROYED");
    await rejectsCode(ring.popAsync(), "EDESTROYED");
  });
});
