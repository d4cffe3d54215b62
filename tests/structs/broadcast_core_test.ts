import assert from "node:assert/strict";
import { arch } from "node:process";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Shape } from "../../lib/shared/shape.ts";
import {
  BroadcastCore,
  BroadcastCursor,
  DONE,
  ENDED,
  FOREIGN,
} from "../../lib/structs/rings/broadcast_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { counting, withLoads } from "../support/counting.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

const SHAPE: Shape = { threads: 4, domains: 1 };
/** Words of the picture in broadcast_core.ts. */
const AT = { owner: 0, tail: 1, reserved: 2, halves: 3, closed: 4 };
const STARTS = [0, 1, 5, 2 ** 31 - 3, 2 ** 31, 2 ** 32 - 2, 2 ** 33 - 1, 2 ** 45 - 3];

/** Says that so many records were published. */
function setCount(words: Int32Array, tail: number, reserved = tail): void {
  words[AT.tail] = tail | 0;
  words[AT.reserved] = reserved | 0;
  words[AT.halves] = Math.floor(reserved / 2 ** 31) | 0;
}

function coreAt(start: number, capacity: number, size: number): [BroadcastCore, Int32Array] {
  const words = sharedWords(BroadcastCore.words(SHAPE, capacity, size));
  setCount(words, start);
  return [new BroadcastCore(words, SHAPE, capacity, size), words];
}

/** The words of record n, which tell n. */
const wordsOf = (n: number, size: number): number[] =>
  Array.from({ length: size }, (_, word) => (n * 31 + word) | 0);

function recordsOf(first: number, count: number, size: number): Int32Array {
  return Int32Array.from(
    Array.from({ length: count }, (_, at) => wordsOf(first + at, size)).flat(),
  );
}

describe("BroadcastCore", () => {
  it("does what a list of all records does, wherever its numbers are", () => {
    const process = new FakeProcess();
    const step = fc.record({
      what: fc.constantFrom("publish", "publish", "read", "read", "read", "join", "die", "close"),
      who: fc.nat({ max: 2 }),
      count: fc.integer({ min: 1, max: 9 }),
      rare: fc.nat({ max: 9 }),
    });
    const settings = fc.record({
      start: fc.constantFrom(...STARTS),
      bits: fc.integer({ min: 1, max: 3 }),
      size: fc.integer({ min: 1, max: 3 }),
      steps: fc.array(step, { maxLength: 80 }),
    });
    fc.assert(
      fc.property(settings, ({ start, bits, size, steps }) => {
        const capacity = 2 ** bits;
        const [core, words] = coreAt(start, capacity, size);
        for (let n = Math.max(0, start - capacity); n < start; n++) {
          words.set(wordsOf(n, size), LINE_WORDS + (n % capacity) * size);
        }
        let me = process.thread(0);
        assert.equal(core.adopt(me), true);
        let [published, reserved, isClosed] = [start, start, false];
        const consumers = [0, 1, 2].map(() => ({
          cursor: new BroadcastCursor(core, start),
          next: start,
          missed: 0,
        }));
        for (const { what, who, count, rare } of steps) {
          const consumer = consumers[who] as (typeof consumers)[number];
          const few = Math.min(count, capacity);
          if (what === "publish") {
            const done = core.publish(me, recordsOf(published, few, size), few);
            assert.equal(done, isClosed ? ENDED : DONE);
            if (isClosed) continue;
            published += few;
            reserved = Math.max(reserved, published);
          } else if (what === "read") {
            const target = new Int32Array(count * size).fill(-7);
            const got = consumer.cursor.read(target, count);
            const oldest = Math.max(0, reserved - capacity);
            if (consumer.next < oldest) {
              // A look first, or only when the first ones of the copy turn out to be gone.
              consumer.missed += oldest - consumer.next;
              consumer.next = oldest;
            }
            const there = Math.min(published - consumer.next, count);
            // When some of a copy are gone, fewer than there is room for may be left.
            assert.ok(got <= there && (got > 0 || there === 0), `${got} of ${there}`);
            assert.deepEqual([...target.subarray(0, got * size)], [
              ...recordsOf(consumer.next, got, size),
            ]);
            consumer.next += got;
          } else if (what === "join") {
            const oldest = Math.max(0, core.reserved() - capacity);
            consumer.next = rare > 4 ? core.count() : oldest;
            consumer.missed = 0;
            assert.equal(consumer.next, rare > 4 ? published : Math.max(0, reserved - capacity));
            consumer.cursor = new BroadcastCursor(core, consumer.next);
          } else if (what === "die" && !isClosed) {
            if (rare > 6) {
              // Right before it says that it will write so many.
              const ahead = Math.max(reserved, published + few);
              words[AT.halves] = Math.floor(ahead / 2 ** 31) | 0;
            } else {
              // In the middle of writing them.
              reserved = Math.max(reserved, published + few);
              setCount(words, published, reserved);
              for (let n = published; n < published + few; n++) {
                const at = LINE_WORDS + (n % capacity) * size;
                words.fill(-9, at, at + size);
              }
            }
            process.kill(me);
            me = process.thread(0);
            assert.equal(core.publish(me, new Int32Array(size), 1), FOREIGN);
            assert.equal(core.adopt(me), true);
          } else if (what === "close" && rare === 0) {
            assert.equal(core.close(me), DONE);
            isClosed = true;
          }
          assert.equal(core.count(), published);
          assert.equal(core.reserved(), reserved);
          assert.equal(core.closed(), isClosed);
          const { cursor, next, missed } = consumer;
          assert.deepEqual([cursor.position(), cursor.missed()], [next, missed]);
        }
      }),
      { numRuns: 400 },
    );
  });

  it("counts what a consumer has missed that stood still for billions of records", () => {
    const capacity = 4;
    for (const start of STARTS) {
      for (
        const more of [1, 4, 5, 2 ** 31 - 1, 2 ** 31 + 3, 2 ** 32, 2 ** 32 + 2, 3 * 2 ** 32 - 1]
      ) {
        const [core, words] = coreAt(start, capacity, 1);
        const cursor = new BroadcastCursor(core, start);
        setCount(words, start + more);
        for (let n = start + more - capacity; n < start + more; n++) {
          words[LINE_WORDS + (n % capacity + capacity) % capacity] = n | 0;
        }
        const target = new Int32Array(8);
        const kept = Math.min(more, capacity);
        assert.equal(cursor.read(target, 8), kept, `${more} from ${start}`);
        assert.deepEqual([cursor.missed(), cursor.position()], [more - kept, start + more]);
        assert.equal(target[kept - 1], (start + more - 1) | 0);
        assert.equal(cursor.read(target, 8), 0);
      }
    }
  });

  it("takes two atomic operations to publish a batch, and one to read it", () => {
    const process = new FakeProcess();
    const me = process.thread(0);
    const [core] = coreAt(0, 8, 2);
    core.adopt(me);
    const cursor = new BroadcastCursor(core, 0);
    const numbers = new Int32Array(2 * 4);
    const copies = arch === "x64" ? 0 : 8;
    const publish = () => void core.publish(me, numbers, 4);
    const read = () => void cursor.read(numbers, 4);
    assert.deepEqual(
      counting(publish).atomics,
      withLoads({ following: 1 }, { store: 2 + copies }),
    );
    assert.deepEqual(counting(read).atomics, withLoads({ shared: 1, following: 2 + 8 }));
    assert.deepEqual(counting(read).atomics, withLoads({ shared: 1, following: 2 }));
    assert.equal(process.wakes, 0);
  });

  it("has one producer, and another one only when that is dead or lets go", () => {
    const process = new FakeProcess();
    const [first, second] = [process.thread(0), process.thread(1)];
    const [core] = coreAt(0, 4, 1);
    const one = Int32Array.of(1);
    assert.equal(core.publish(first, one, 1), FOREIGN);
    assert.deepEqual([core.owner(), core.claim(first), core.owner()], [0, 0, first.id]);
    assert.equal(core.publish(first, one, 1), DONE);
    assert.deepEqual([core.adopt(first), core.adopt(second)], [true, false]);
    assert.deepEqual([core.publish(second, one, 1), core.close(second)], [FOREIGN, FOREIGN]);
    assert.equal(core.claim(second), first.id);
    process.kill(first);
    assert.deepEqual([core.claim(second), core.adopt(second)], [first.id, true]);
    assert.equal(core.publish(second, one, 1), DONE);
    assert.deepEqual([core.disown(first), core.disown(second), core.owner()], [false, true, 0]);
    assert.equal(core.count(), 2);
  });

  it("stays within its memory, and returns, whatever anybody writes into its words", () => {
    const process = new FakeProcess();
    const [me, other] = [process.thread(0), process.thread(1)];
    const integer = fc.oneof(
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      fc.constantFrom(0, -1, 1, 2, other.id, me.id, 2 ** 31 - 1, -(2 ** 31)),
    );
    const write = fc.tuple(fc.constantFrom(...Object.values(AT), 5, 9), integer);
    const rounds = fc.array(fc.array(write, { maxLength: 5 }), { maxLength: 20 });
    fc.assert(
      fc.property(rounds, (all) => {
        const count = BroadcastCore.words(SHAPE, 4, 3);
        const whole = sharedWords(count + 2 * LINE_WORDS).fill(77);
        const words = whole.subarray(LINE_WORDS, LINE_WORDS + count).fill(0);
        const core = new BroadcastCore(words, SHAPE, 4, 3);
        core.adopt(me);
        const cursors = [new BroadcastCursor(core, 0), new BroadcastCursor(core, 2 ** 40)];
        const numbers = new Int32Array(3 * 6);
        for (const writes of all) {
          for (const [at, value] of writes) words[at] = value;
          cursors.push(new BroadcastCursor(core, core.count()));
          cursors.push(new BroadcastCursor(core, Math.max(0, core.reserved() - 4)));
          assert.ok([DONE, FOREIGN, ENDED].includes(core.publish(me, numbers, 4)));
          for (const cursor of cursors.slice(-6)) {
            const missed = cursor.missed();
            const got = cursor.read(numbers, 6);
            assert.ok(got >= 0 && got <= 4, `${got}`);
            assert.ok(cursor.missed() >= missed && Number.isFinite(cursor.position()));
          }
          assert.ok(Number.isFinite(core.count()));
          core.close(me);
          core.adopt(me);
        }
        for (const edge of [whole.subarray(0, LINE_WORDS), whole.subarray(LINE_WORDS + count)]) {
          assert.ok(edge.every((word) => word === 77));
        }
      }),
      { numRuns: 300 },
    );
  });
});
