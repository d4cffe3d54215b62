import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { DequeCore, DONE, FOREIGN, NONE } from "../../lib/structs/deques/deque_core.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, Deque, type DequeOptions } from "../../mod.ts";
import { counting, withLoads } from "../support/counting.ts";
import { throwsCode } from "../support/errors.ts";
import { runDeque } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { FakeProcess } from "../support/waiters.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { pop, push, PUSHED, READY, STOP } from "../workers/deques.ts";

const BOTTOM = 0;
const END = 1;
const TOP_SEEN = 2;
const TOP = LINE_WORDS;

/** An empty deque whose numbers begin somewhere, and its words. */
function coreAt(
  start: number,
  capacity: number,
  size: number,
): { readonly core: DequeCore; readonly words: Int32Array } {
  const words = sharedWords(DequeCore.words(capacity, size));
  for (const at of [BOTTOM, END, TOP_SEEN, TOP]) words[at] = start;
  return { core: new DequeCore(words, capacity, size), words };
}

const dequeOf = (options: DequeOptions): Deque =>
  Deque.create(new SharedArrayBuffer(Deque.bytes(options)), options);

const STARTS = fc.constantFrom(0, 1, 5, 2 ** 31 - 3, -2, -(2 ** 31));

describe("DequeCore", () => {
  it("does what an array does, wherever its numbers are", () => {
    const me = new FakeProcess().thread(0);
    const settings = fc.record({
      start: STARTS,
      bits: fc.integer({ min: 1, max: 3 }),
      size: fc.integer({ min: 1, max: 3 }),
      steps: fc.array(fc.constantFrom("push", "push", "pop", "steal"), { maxLength: 60 }),
    });
    fc.assert(
      fc.property(settings, ({ start, bits, size, steps }) => {
        const capacity = 2 ** bits;
        const { core } = coreAt(start | 0, capacity, size);
        assert.equal(core.claim(me), 0);
        const model: number[] = [];
        for (const [next, what] of steps.entries()) {
          const record = new Int32Array(size).map((_, word) => next * 100 + word);
          if (what === "push") {
            assert.equal(core.push(me, record), model.length < capacity ? DONE : NONE);
            if (model.length < capacity) model.push(next);
          } else {
            const wanted = what === "pop" ? model.pop() : model.shift();
            const done = what === "pop" ? core.pop(me, record) : core.steal(record);
            assert.equal(done, wanted === undefined ? NONE : DONE);
            if (wanted === undefined) continue;
            assert.deepEqual([...record], [...record.keys()].map((word) => wanted * 100 + word));
          }
          assert.equal(core.length(), model.length);
        }
      }),
      { numRuns: 300 },
    );
  });

  it("is as full as it can be, and empty again, many times, from either end", () => {
    const me = new FakeProcess().thread(0);
    const { core } = coreAt(-1000, 8, 2);
    core.claim(me);
    const record = new Int32Array(2);
    for (let round = 0; round < 500; round++) {
      for (let turn = 0; turn < 8; turn++) assert.equal(core.push(me, record.fill(turn)), DONE);
      assert.equal(core.push(me, record), NONE);
      assert.equal(core.length(), 8);
      for (let turn = 0; turn < 8; turn++) {
        const isSteal = ((round >> (turn & 7)) & 1) === 1;
        assert.equal(isSteal ? core.steal(record) : core.pop(me, record), DONE);
      }
      assert.equal(round & 1 ? core.steal(record) : core.pop(me, record), NONE);
      assert.equal(core.length(), 0);
    }
  });

  it("takes an atomic operation to push or pop, and a look and another one to steal", () => {
    const me = new FakeProcess().thread(0);
    const { core } = coreAt(0, 2, 1);
    core.claim(me);
    const record = new Int32Array(1);
    const atomics = (call: () => number, wanted: number): Record<string, number> => {
      let done = FOREIGN;
      const { atomics } = counting(() => void (done = call()));
      assert.equal(done, wanted);
      return atomics;
    };
    const push = (): number => core.push(me, record);
    const pop = (): number => core.pop(me, record);
    const steal = (): number => core.steal(record);
    assert.deepEqual(atomics(push, DONE), { store: 1 });
    assert.deepEqual(atomics(push, DONE), { store: 1 });
    // A look without order is a plain load, as one that follows is.
    assert.deepEqual(atomics(push, NONE), withLoads({ following: 1, shared: 1 }));
    assert.deepEqual(
      atomics(steal, DONE),
      withLoads({ following: 1, shared: 1 }, { compareExchange: 1 }),
    );
    assert.deepEqual(atomics(push, DONE), withLoads({ following: 1 }, { store: 1 }));
    assert.deepEqual(atomics(pop, DONE), withLoads({ following: 1 }, { store: 1 }));
    const last = { store: 1, compareExchange: 1 };
    assert.deepEqual(atomics(pop, DONE), withLoads({ following: 1 }, last));
    assert.deepEqual(atomics(pop, NONE), {});
    assert.deepEqual(atomics(steal, NONE), withLoads({ following: 1, shared: 1 }));
    push();
    steal();
    assert.deepEqual(atomics(pop, NONE), withLoads({ following: 1 }, { store: 1 }));
    assert.deepEqual(atomics(pop, NONE), {});
  });

  it("is one thread's at a time, and the next one's when that has died", () => {
    const process = new FakeProcess();
    const [one, two, three] = [0, 1, 2].map((slot) => process.thread(slot));
    assert.ok(one && two && three);
    const { core } = coreAt(0, 4, 1);
    const record = Int32Array.of(7);
    assert.equal(core.push(one, record), FOREIGN);
    assert.equal(core.adopt(one), true);
    assert.equal(core.adopt(one), true);
    assert.equal(core.push(one, record), DONE);
    assert.deepEqual([core.adopt(two), core.claim(two), core.disown(two)], [false, one.id, false]);
    assert.deepEqual([core.push(two, record), core.pop(two, record)], [FOREIGN, FOREIGN]);
    process.kill(one);
    assert.deepEqual([core.claim(two), core.adopt(two), core.adopt(three)], [one.id, true, false]);
    assert.deepEqual([core.pop(two, record), record[0]], [DONE, 7]);
    assert.equal(core.disown(two), true);
    assert.equal(core.owner(), 0);
    assert.equal(core.claim(three), 0);
  });

  for (const start of [0, 2 ** 31 - 1, -1]) {
    it(`is whole when its owner has died in the middle of it, at number ${start}`, () => {
      const process = new FakeProcess();
      const left = (bottom: number, end: number, top: number): number[] => {
        const { core, words } = coreAt(start, 4, 1);
        const dead = process.thread(0);
        core.claim(dead);
        for (const number of [1, 2]) core.push(dead, Int32Array.of(number));
        words[BOTTOM] = start + bottom;
        words[END] = start + end;
        words[TOP] = start + top;
        process.kill(dead);
        const heir = process.thread(1);
        assert.equal(core.adopt(heir), true);
        const numbers: number[] = [];
        const record = new Int32Array(1);
        while (core.pop(heir, record) === DONE) numbers.push(record[0] as number);
        for (let turn = 0; turn < 4; turn++) assert.equal(core.push(heir, record), DONE);
        assert.equal(core.push(heir, record), NONE);
        return numbers;
      };
      assert.deepEqual(left(2, 2, 0), [2, 1]);
      assert.deepEqual(left(2, 1, 0), [2, 1], "it was pushing 2");
      assert.deepEqual(left(1, 2, 0), [2, 1], "it was popping 2");
      assert.deepEqual(left(1, 2, 1), [2], "it was popping 2, the last one");
      assert.deepEqual(left(1, 2, 2), [], "and somebody has it");
      assert.deepEqual(left(1, 1, 0), [1], "it has popped 2");
    });
  }

  it("never hangs, throws or reaches further, whatever is scribbled over its words", () => {
    const me = new FakeProcess().thread(0);
    const scribble = fc.record({
      at: fc.nat({ max: LINE_WORDS + 1 }),
      value: fc.oneof(fc.integer({ min: -9, max: 9 }), fc.integer()),
      what: fc.constantFrom("push", "pop", "steal", "length", "adopt", "disown"),
    });
    fc.assert(
      fc.property(fc.array(scribble, { maxLength: 60 }), (steps) => {
        const room = DequeCore.words(4, 3);
        const all = sharedWords(room + 2 * LINE_WORDS).fill(99);
        const words = all.subarray(LINE_WORDS, LINE_WORDS + room).fill(0);
        const core = new DequeCore(words, 4, 3);
        const record = new Int32Array(3);
        for (const { at, value, what } of steps) {
          words[at] = value;
          if (what === "length") assert.ok(core.length() >= 0 && core.length() <= 4);
          else if (what === "adopt" || what === "disown") core[what](me);
          else {
            const done = what === "steal" ? core.steal(record) : core[what](me, record);
            assert.ok(Number.isInteger(done) && done >= FOREIGN && done <= DONE);
          }
        }
        const around = [...all.subarray(0, LINE_WORDS), ...all.subarray(LINE_WORDS + room)];
        assert.ok(around.every((word) => word === 99));
      }),
      { numRuns: 300 },
    );
  });
});

describe("Deque", () => {
  it("has capacity, size and length", () => {
    const deque = dequeOf({ capacity: 4, recordWords: 3 });
    assert.deepEqual([deque.capacity, deque.recordWords, deque.length], [4, 3, 0]);
    assert.equal(deque.push(new Int32Array(3)), true);
    assert.equal(deque.length, 1);
    assert.deepEqual([dequeOf({}).capacity, dequeOf({}).recordWords], [1024, 1]);
  });

  it("gives words at both ends", () => {
    const deque = dequeOf({ capacity: 4 });
    const words = [3, -1, -(2 ** 31), 2 ** 31 - 1];
    for (const word of words) assert.equal(deque.pushWord(word), true);
    assert.equal(deque.pushWord(5), false);
    assert.deepEqual([deque.popWord(), deque.stealWord()], [2 ** 31 - 1, 3]);
    assert.deepEqual([deque.stealWord(), deque.popWord()], [-1, -(2 ** 31)]);
    assert.deepEqual([deque.popWord(), deque.stealWord()], [undefined, undefined]);
    deque.pushWord(-0);
    assert.equal(deque.popWord(), 0);
  });

  it("gives records at both ends", () => {
    const deque = dequeOf({ capacity: 4, recordWords: 2 });
    for (const number of [1, 2, 3, 4]) deque.push(Int32Array.of(number, -number));
    const record = new Int32Array(2);
    assert.equal(deque.push(record), false);
    assert.equal(deque.steal(record), "taken");
    assert.deepEqual([...record], [1, -1]);
    assert.equal(deque.pop(record), true);
    assert.deepEqual([...record], [4, -4]);
    assert.deepEqual([deque.steal(record), deque.steal(record)], ["taken", "taken"]);
    assert.deepEqual([deque.steal(record), deque.pop(record)], ["empty", false]);
  });

  it("refuses what cannot be", () => {
    for (const capacity of [0, 1, 3, 2 ** 25, 1.5, NaN, -2, 2 ** 53, "4", null]) {
      throwsCode(() => Deque.bytes({ capacity: capacity as number }), "EINVAL");
    }
    for (const recordWords of [0, 17, NaN, 2 ** 53, "1"]) {
      throwsCode(() => Deque.bytes({ recordWords: recordWords as number }), "EINVAL");
    }
    assert.ok(Deque.bytes({ capacity: 2 ** 24, recordWords: 16 }) > 2 ** 30);
    const deque = dequeOf({ capacity: 4, recordWords: 2 });
    const wrong: unknown[] = [
      ...[new Int32Array(1), new Int32Array(4), new Uint32Array(2), [1, 2], undefined, null, {}],
      ...[Object.create(Int32Array.prototype), new Proxy(new Int32Array(2), {})],
    ];
    for (const record of wrong as Int32Array[]) {
      for (const method of ["push", "pop", "steal"] as const) {
        throwsCode(() => deque[method](record), "EINVAL", /a record has 2 words/);
      }
    }
    throwsCode(() => deque.pushWord(1), "EINVAL", /its records have 2 words/);
    throwsCode(() => deque.popWord(), "EINVAL", /its records have 2 words/);
    throwsCode(() => deque.stealWord(), "EINVAL", /its records have 2 words/);
    assert.equal(deque.owned, false);
    const words = dequeOf({ capacity: 4 });
    for (const word of [NaN, 0.5, 2 ** 31, -(2 ** 31) - 1, 2 ** 53, "1", 1n, null, Symbol("x")]) {
      throwsCode(() => words.pushWord(word as number), "EINVAL", /word is/);
    }
    assert.equal(words.length, 0);
  });

  it("belongs to the first thread that pushes or pops", async () => {
    const deque = dequeOf({ capacity: 4 });
    const task = { deque, tally: sharedWords(1), flags: sharedWords(3) };
    assert.equal(deque.owned, false);
    throwsCode(() => deque.disown(), "EOWNER", /this thread does not own it/);
    assert.equal(deque.popWord(), undefined);
    assert.equal(deque.owned, true);
    await assert.rejects(runDeque({ ...task, task: "push once" }).join(), (error) => {
      throwsCode(
        () => {
          throw error;
        },
        "EOWNER",
        /push to a deque: another thread owns it/,
      );
      return true;
    });
    deque.disown();
    throwsCode(() => deque.disown(), "EOWNER");
    // It has ended after that.
    assert.equal(await runDeque({ ...task, task: "push once" }).join(), 1);
    throwsCode(() => deque.pushWord(1), "EOWNERDEAD", /the thread that owned it has ended/);
    throwsCode(() => deque.popWord(), "EOWNERDEAD", /adopt/);
    assert.equal(deque.length, 1);
    assert.equal(deque.adopt(), true);
    assert.deepEqual([deque.owned, deque.adopt(), deque.popWord()], [true, true, 7]);
  });

  for (
    const { size, thieves, capacity } of [
      { size: 1, thieves: 2, capacity: 16 },
      { size: 3, thieves: 1, capacity: 2 },
      { size: 16, thieves: 2, capacity: 64 },
    ]
  ) {
    it(`gives each record of ${size} words to one of an owner and ${thieves} thieves`, async () => {
      const deque = dequeOf({ capacity, recordWords: size });
      const tally = sharedWords(40_000);
      const flags = sharedWords(3);
      const stealing = Array.from(
        { length: thieves },
        () => runDeque({ task: "steal", deque, tally, flags }),
      );
      await reaches(flags, READY, thieves);
      const owner = runDeque({ task: "own", deque, tally, flags });
      const counts = await Promise.all([owner, ...stealing].map((thread) => thread.join()));
      assert.ok(counts.every((count) => count >= 0), `older than the one before: ${counts}`);
      assert.equal(counts.reduce((sum, count) => sum + count), tally.length - 1);
      assert.deepEqual(
        [...tally.entries()].filter(([number, times]) => times !== Number(number > 0)),
        [],
      );
    });
  }

  it("goes on with another owner when the first one was terminated", async () => {
    for (let round = 0; round < 5; round++) {
      const deque = dequeOf({ capacity: 16, recordWords: 2 });
      const tally = sharedWords(2 ** 20);
      const flags = sharedWords(3);
      const thief = runDeque({ task: "steal", deque, tally, flags });
      const owner = runDeque({ task: "own", deque, tally, flags });
      await reaches(flags, PUSHED, 1000 * (round + 1));
      assert.equal(deque.adopt(), false);
      await owner.terminate();
      assert.equal(deque.adopt(), true);
      const pushed = Atomics.load(flags, PUSHED);
      assert.ok(pushed < tally.length - 1, "it was not done");
      for (let more = 0; more < 20; more++) {
        const number = pushed + 2 + more;
        while (!push(deque, number)) pop({ deque, tally });
      }
      while (pop({ deque, tally }));
      Atomics.store(flags, STOP, 1);
      assert.ok(await thief.join() >= 0);
      assert.equal(deque.length, 0);
      const wrong = [...tally.subarray(0, pushed + 22).entries()].filter(([number, times]) =>
        times !== Number(number > 0)
      );
      // One that it may have pushed when it was terminated, and one that it had popped.
      const lost = wrong.filter(([number]) => number !== pushed + 1);
      assert.ok(lost.length <= 1 && wrong.every(([, times]) => times === 0), `${wrong}`);
    }
  });

  it("loses no more than a record to each thief that is terminated", async () => {
    const deque = dequeOf({ capacity: 16 });
    const tally = sharedWords(2 ** 20);
    const flags = sharedWords(3);
    const rounds = 5;
    let number = 1;
    for (let round = 1; round <= rounds; round++) {
      const thief = runDeque({ task: "steal", deque, tally, flags });
      await reaches(flags, READY, round);
      for (const until = number + 2000; number < until; number++) {
        while (!push(deque, number)) pop({ deque, tally });
      }
      await thief.terminate();
    }
    while (pop({ deque, tally }));
    const wrong = [...tally.subarray(0, number).entries()].filter(([number, times]) =>
      times !== Number(number > 0)
    );
    assert.ok(wrong.length <= rounds && wrong.every(([, times]) => times === 0), `${wrong}`);
  });

  it("lives in an arena, and ends with it: for its owner alone", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const deque = Deque.create(arena, { capacity: 8 });
    const flags = sharedWords(3);
    deque.pushWord(5);
    const heir = runDeque({ task: "adopt", deque, tally: sharedWords(1), flags });
    await reaches(flags, READY, 1);
    arena.destroy();
    assert.equal(await heir.join(), 5);
    const record = new Int32Array(1);
    for (
      const call of [
        () => deque.push(record),
        () => deque.pop(record),
        () => deque.steal(record),
        () => deque.pushWord(1),
        () => deque.popWord(),
        () => deque.stealWord(),
        () => deque.length,
        () => deque.owned,
        () => deque.adopt(),
        () => deque.disown(),
        () => deque.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
  });
});
