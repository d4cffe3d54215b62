import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { readOrdered, writeOrdered } from "../../lib/structs/ordered_doubles.ts";
import { BUSY } from "../../lib/structs/outcomes.ts";
import { DONE, NONE, PriorityCore } from "../../lib/structs/priority/priority_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, PriorityQueue, type PriorityQueueOptions } from "../../mod.ts";
import { counting, withLoads } from "../support/counting.ts";
import { throwsCode } from "../support/errors.ts";
import { repeats } from "../support/extent.ts";
import { runPriorities } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";
import { put, take } from "../workers/priorities.ts";

const queueOf = (options: PriorityQueueOptions): PriorityQueue =>
  PriorityQueue.create(new SharedArrayBuffer(PriorityQueue.bytes(options)), options);

const doubles = fc.oneof(
  fc.double({ noNaN: true }),
  fc.integer({ min: -4, max: 4 }),
  fc.constantFrom(0, -0, Infinity, -Infinity, 5e-324, -5e-324, 2 ** 53, 1.5e308, 2 ** 32),
);

describe("numbers as words in their order", () => {
  it("are in the same order, and come back", () => {
    const [one, other] = [new Int32Array(3), new Int32Array(3)];
    fc.assert(
      fc.property(doubles, doubles, (a, b) => {
        writeOrdered(a, one, 1);
        writeOrdered(b, other, 1);
        assert.equal(readOrdered(one, 1), a + 0);
        const [first, second] = [1, 2].map((word) => one[word]! - other[word]!);
        const order = first !== 0 ? first! : second!;
        assert.equal(Math.sign(order), a < b ? -1 : a > b ? 1 : 0);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("PriorityCore", () => {
  const shape = { heaps: 1, capacity: 8, entryWords: 3 };

  it("takes a lock, a store a level, and a look when it is empty", () => {
    const me = new FakeProcess().thread(0);
    const core = new PriorityCore(sharedWords(PriorityCore.words(shape)), shape);
    const atomics = (call: () => number, wanted: number): Record<string, number> => {
      let done = BUSY;
      const { atomics } = counting(() => void (done = call()));
      assert.equal(done, wanted);
      return atomics;
    };
    const entry = Int32Array.of(1, 1, 7);
    assert.deepEqual(atomics(() => core.push(me, entry), DONE), { compareExchange: 1, store: 3 });
    assert.deepEqual(
      atomics(() => core.pop(me, entry), DONE),
      withLoads({ following: 1 }, { compareExchange: 1, store: 2 }),
    );
    assert.deepEqual(
      atomics(() => core.pop(me, entry), NONE),
      withLoads({ following: 2, shared: 1 }),
    );
    for (let key = 7; key >= 0; key--) core.push(me, Int32Array.of(key, 0, key));
    assert.deepEqual(atomics(() => core.push(me, entry), NONE), { compareExchange: 1, store: 1 });
    assert.deepEqual(
      atomics(() => core.pop(me, entry), DONE),
      withLoads({ following: 1 }, { compareExchange: 1, store: 4 }),
    );
  });

  it("finds living threads in the way, goes to another heap, and takes over from dead ones", () => {
    const process = new FakeProcess();
    const [one, two] = [process.thread(0), process.thread(1)];
    const words = sharedWords(PriorityCore.words(shape));
    const core = new PriorityCore(words, shape);
    const entry = Int32Array.of(1, 2, 3);
    words[0] = one.id;
    assert.deepEqual([core.push(two, entry), core.pop(two, entry)], [BUSY, BUSY]);
    words[2] = 1;
    assert.equal(core.pop(two, entry), BUSY);
    words[2] = 0;
    process.kill(one);
    assert.equal(core.push(two, entry), DONE);
    assert.deepEqual([core.pop(two, entry), core.pop(two, entry)], [DONE, NONE]);

    const both = { ...shape, heaps: 2 };
    const more = sharedWords(PriorityCore.words(both));
    const other = new PriorityCore(more, both);
    const three = process.thread(2);
    more[0] = three.id;
    for (let turn = 0; turn < 4; turn++) assert.equal(other.push(two, entry), DONE);
    assert.equal(other.push(two, entry), BUSY, "one is full, the other one locked");
    for (let turn = 0; turn < 4; turn++) assert.equal(other.pop(two, entry), DONE);
    assert.equal(other.pop(two, entry), BUSY);
  });

  it("counts what a dead thread has begun to put in, and gives it", () => {
    const process = new FakeProcess();
    const [me, dead] = [process.thread(0), process.thread(1)];
    const words = sharedWords(PriorityCore.words(shape));
    const core = new PriorityCore(words, shape);
    const entry = Int32Array.of(5, 0, 1);
    core.push(me, entry);
    assert.equal(core.length(), 1);
    // Its id, the hole behind the last entry, the sizes without and with it, and the entry.
    words.set([dead.id, 2, 1, 2, 3, 0, 2]);
    process.kill(dead);
    assert.equal(core.length(), 2);
    assert.deepEqual([core.pop(me, entry), entry[2], core.length()], [DONE, 2, 1]);
  });

  it("never hangs, throws or reaches further, whatever is scribbled over its words", () => {
    const me = new FakeProcess().thread(0);
    const scribble = fc.record({
      at: fc.nat({ max: 3 * LINE_WORDS }),
      value: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer()),
      what: fc.constantFrom("push", "pop", "length"),
    });
    const settings = { ...shape, heaps: 2 };
    const room = PriorityCore.words(settings);
    fc.assert(
      fc.property(fc.array(scribble, { maxLength: 60 }), (steps) => {
        const all = sharedWords(room + 2 * LINE_WORDS).fill(99);
        const words = all.subarray(LINE_WORDS, LINE_WORDS + room).fill(0);
        const core = new PriorityCore(words, settings);
        const entry = new Int32Array(3);
        for (const { at, value, what } of steps) {
          words[at] = value;
          if (what === "length") assert.ok(core.length() >= 0 && core.length() <= 8);
          else assert.ok([DONE, NONE, BUSY].includes(core[what](me, entry)));
        }
        const around = [...all.subarray(0, LINE_WORDS), ...all.subarray(LINE_WORDS + room)];
        assert.ok(around.every((word) => word === 99));
      }),
      { numRuns: 300 },
    );
  });
});

describe("PriorityQueue", () => {
  for (const heaps of [1, 2, 8]) {
    it(`gives what is in it, of ${heaps} heaps${heaps === 1 ? " the smallest first" : ""}`, () => {
      const steps = fc.array(fc.option(doubles, { freq: 2 }), { maxLength: 120 });
      fc.assert(
        fc.property(steps, fc.integer({ min: 1, max: 16 }), (priorities, recordWords) => {
          const queue = queueOf({ capacity: 32, recordWords, heaps });
          const record = new Int32Array(recordWords);
          const model: { readonly priority: number; readonly number: number }[] = [];
          for (const [number, priority] of priorities.entries()) {
            if (priority !== null) {
              assert.equal(queue.push(priority, record.fill(number)), model.length < 32);
              if (model.length < 32) model.push({ priority: priority + 0, number });
            } else {
              const found = queue.pop(record);
              if (model.length === 0) assert.equal(found, undefined);
              else {
                assert.ok(record.every((word) => word === record[0]));
                const at = model.findIndex(({ number }) => number === record[0]);
                assert.equal(model[at]?.priority, found);
                model.splice(at, 1);
                const smaller = model.filter(({ priority }) => priority < (found as number));
                assert.ok(heaps > 1 || smaller.length === 0);
              }
            }
            assert.equal(queue.length, model.length);
          }
        }),
        { numRuns: 100 },
      );
    });
  }

  it("leaves about as many smaller ones behind as it has heaps, however many there are", () => {
    for (const many of [500, 8000]) {
      const queue = queueOf({ capacity: 8192, heaps: 8 });
      for (let number = 0; number < many; number++) {
        queue.pushWord((number * 7919) % many, (number * 7919) % many);
      }
      const left = new Set(Array.from({ length: many }, (_, number) => number));
      let smallest = 0;
      let behind = 0;
      for (let turn = 0; turn < many / 2; turn++) {
        const word = queue.popWord() as number;
        for (let other = smallest; other < word; other++) behind += Number(left.has(other));
        left.delete(word);
        while (!left.has(smallest)) smallest++;
      }
      const average = behind / (many / 2);
      assert.ok(average > 0.5 && average < 16, `${average} of ${many}`);
    }
  });

  for (const heaps of [1, 4]) {
    it(`says which priority is the smallest in ${heaps} heaps, and takes nothing out`, () => {
      const priority = fc.double({ noNaN: true });
      fc.assert(
        fc.property(fc.array(fc.option(priority), { maxLength: 60 }), (steps) => {
          const queue = queueOf({ capacity: 64, heaps });
          const there: number[] = [];
          for (const step of steps) {
            // −0 comes back as 0.
            if (step !== null && queue.pushWord(step, 7)) there.push(step + 0);
            const found = step === null ? queue.pop(new Int32Array(1)) : undefined;
            if (found !== undefined) {
              there.splice(there.findIndex((other) => Object.is(other, found)), 1);
            }
            const least = there.length === 0 ? undefined : Math.min(...there);
            assert.equal(queue.peekPriority(), least);
            assert.equal(queue.length, there.length);
          }
        }),
        { numRuns: 100 },
      );
    });
  }

  it("takes the better one of two heaps, however little better it is", () => {
    const queue = queueOf({ capacity: 256, heaps: 2 });
    for (let turn = 0; turn < 100; turn++) {
      const word = (turn * 37) % 100;
      queue.pushWord(1 + word * 2 ** -52, word);
    }
    for (let word = 0; word < 100; word++) assert.equal(queue.popWord(), word);
  });

  it("has properties, and words", () => {
    const queue = queueOf({});
    assert.deepEqual([queue.capacity, queue.recordWords, queue.heaps, queue.length], [
      ...[1024, 1, 1],
      0,
    ]);
    const words = [3, -1, -(2 ** 31), 2 ** 31 - 1];
    for (const word of words) assert.equal(queue.pushWord(-word, word), true);
    assert.deepEqual(words.map(() => queue.popWord()), words.toSorted((a, b) => b - a));
    const target = Int32Array.of(5);
    assert.deepEqual([queue.popWord(), queue.pop(target), target[0]], [undefined, undefined, 5]);
  });

  it("refuses what cannot be", () => {
    for (const capacity of [0, 1, 3, 2 ** 25, 1.5, NaN, -2, 2 ** 53, "4", null]) {
      throwsCode(() => PriorityQueue.bytes({ capacity: capacity as number }), "EINVAL");
    }
    for (const recordWords of [0, 17, NaN, 2 ** 53, "1"]) {
      throwsCode(() => PriorityQueue.bytes({ recordWords: recordWords as number }), "EINVAL");
    }
    for (const heaps of [0, 3, 128, NaN, 2 ** 53, "1", null]) {
      throwsCode(() => PriorityQueue.bytes({ heaps: heaps as number }), "EINVAL", /heaps is/);
    }
    throwsCode(() => PriorityQueue.bytes({ capacity: 4, heaps: 4 }), "EINVAL", /heaps is 4/);
    assert.ok(PriorityQueue.bytes({ capacity: 2 ** 24, recordWords: 16, heaps: 64 }) > 2 ** 30);
    const queue = queueOf({ capacity: 4, recordWords: 2 });
    const wrong: unknown[] = [
      ...[new Int32Array(1), new Int32Array(4), new Uint32Array(2), [1, 2], undefined, null, {}],
      ...[Object.create(Int32Array.prototype), new Proxy(new Int32Array(2), {})],
    ];
    for (const record of wrong as Int32Array[]) {
      throwsCode(() => queue.push(1, record), "EINVAL", /a record has 2 words/);
      throwsCode(() => queue.pop(record), "EINVAL", /a record has 2 words/);
    }
    throwsCode(() => queue.pushWord(1, 1), "EINVAL", /its records have 2 words/);
    throwsCode(() => queue.popWord(), "EINVAL", /its records have 2 words/);
    for (const priority of [NaN, "1", 1n, null, undefined, {}, Symbol("x")]) {
      throwsCode(
        () => queue.push(priority as number, new Int32Array(2)),
        "EINVAL",
        /priority is .*Give a number/,
      );
    }
    const words = queueOf({ capacity: 4 });
    for (const word of [NaN, 0.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, "1", 1n, null, Symbol("x")]) {
      throwsCode(() => words.pushWord(1, word as number), "EINVAL", /word is/);
    }
    throwsCode(() => words.pushWord(NaN, 1), "EINVAL", /priority is NaN/);
    assert.equal(words.length + queue.length, 0);
  });

  for (const heaps of [1, 8]) {
    it(`gives each record once to threads that put and take: ${heaps} heaps`, async () => {
      const threads = 3;
      const count = 4000;
      const queue = queueOf({ capacity: 64, recordWords: 3, heaps });
      const tally = sharedWords(1 + threads * count);
      const taken = await Promise.all(
        Array.from({ length: threads }, (_, index) =>
          runPriorities({
            ...{ task: "put and take", queue, tally, count },
            first: 1 + index * count,
          }).join()),
      );
      let left = 0;
      while (take({ queue, tally })) left++;
      assert.equal(taken.reduce((sum, some) => sum + some, left), threads * count);
      assert.deepEqual(
        [...tally.entries()].filter(([number, times]) => times !== Number(number > 0)),
        [],
      );
    });

    it(`loses no more than a record to a thread that is terminated: ${heaps} heaps`, async () => {
      const queue = queueOf({ capacity: 64, recordWords: 3, heaps });
      const rounds = repeats(4);
      const each = 1_000_000;
      const tally = sharedWords(1 + (rounds + 1) * each);
      for (let number = 1; number <= 40; number++) put(queue, number);
      for (let round = 1; round <= rounds; round++) {
        const thread = runPriorities({
          ...{ task: "for ever", queue, tally, count: each },
          first: round * each,
        });
        while (Atomics.load(tally, round * each + 2000) === 0) {
          take({ queue, tally });
          put(queue, round * 40 + 1);
          await new Promise((resolve) => setTimeout(resolve, 1));
        }
        assert.equal(await thread.terminate(), true);
        // Nothing is locked, whatever it was doing.
        put(queue, 7);
        take({ queue, tally });
      }
      let left = 0;
      while (take({ queue, tally })) left++;
      assert.ok(left <= 64);
      assert.equal(tally[0], 0, "torn records");
      assert.equal(queue.length, 0);
    });
  }

  it("lives in an arena, and ends with it", { skip: noPolicies }, () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const queue = PriorityQueue.create(arena, { capacity: 8 });
    queue.pushWord(1, 5);
    assert.equal(PriorityQueue.fromHandle(queue.toHandle()), queue);
    arena.destroy();
    const record = new Int32Array(1);
    for (
      const call of [
        () => queue.push(1, record),
        () => queue.pop(record),
        () => queue.pushWord(1, 1),
        () => queue.popWord(),
        () => queue.length,
        () => queue.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
  });
});
