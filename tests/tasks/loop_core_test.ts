import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LoopCore, type LoopShape, MAX_TAKE } from "../../lib/tasks/loops/loop_core.ts";
import { ABORTED, DIED, FAILED, GOING } from "../../lib/tasks/crew/muster.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { counting } from "../support/counting.ts";
import { FakeProcess, type FakeWaiter } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

interface Setup {
  readonly process: FakeProcess;
  readonly words: Int32Array;
  readonly caller: FakeWaiter;
  readonly core: LoopCore;
  /** A core for each worker, inside. */
  readonly workers: readonly { readonly me: FakeWaiter; readonly core: LoopCore }[];
}

function setUp(shape: LoopShape): Setup {
  const words = sharedWords(LoopCore.words(shape));
  const process = new FakeProcess();
  const caller = process.thread(0);
  const core = new LoopCore(words, shape);
  core.open(caller);
  const workers = Array.from({ length: shape.workers }, (_, index) => {
    const me = process.thread(index + 1);
    const core = new LoopCore(words, shape);
    assert.ok(core.enter(me, index));
    return { me, core };
  });
  return { process, words, caller, core, workers };
}

describe("LoopCore", () => {
  it("gives every grain once, whatever is asked for", () => {
    const shapes = fc.record({
      grains: fc.array(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 4 }),
      workers: fc.integer({ min: 1, max: 4 }),
      share: fc.integer({ min: 1, max: 9 }),
      turns: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: MAX_TAKE })), {
        maxLength: 60,
      }),
    });
    fc.assert(
      fc.property(shapes, ({ grains, workers: count, share, turns }) => {
        const { caller, core, workers } = setUp({ grains, workers: count });
        const seen = grains.map((length) => new Array<number>(length).fill(0));
        const orders = workers.map((_, worker) =>
          grains.map((_, home) => (home + worker) % grains.length)
        );
        const turn = (worker: number, want: number): number => {
          const { core } = workers[worker]!;
          const got = core.take(orders[worker]!, want, share);
          for (let at = core.first; got > 0 && at < core.first + got; at++) {
            seen[core.home]![at]!++;
          }
          if (got > 0) core.finish();
          return got;
        };
        for (const [pick, want] of turns) turn(pick % count, want);
        for (let worker = 0; worker < count; worker++) while (turn(worker, 3) > 0);
        assert.ok(seen.every((home) => home.every((times) => times === 1)));
        assert.equal(core.isOver(caller), true);
        assert.equal(core.stopped(), GOING);
      }),
    );
  });

  it("gives less and less towards the end", () => {
    const { workers: [one] } = setUp({ grains: [1000], workers: 1 });
    const sizes: number[] = [];
    for (let got: number; (got = one!.core.take([0], MAX_TAKE, 4)) > 0;) {
      one!.core.finish();
      sizes.push(got);
    }
    assert.equal(sizes[0], 250);
    assert.equal(sizes.at(-1), 1);
    assert.deepEqual(sizes, sizes.toSorted((a, b) => b - a));
  });

  it("costs one operation that others wait for, and one store, a take", () => {
    const { workers: [one] } = setUp({ grains: [1000], workers: 2 });
    one!.core.take([0], 1, 4);
    one!.core.finish();
    const { atomics } = counting(() => {
      one!.core.take([0], 1, 4);
      one!.core.finish();
    });
    const { load: _, ...others } = atomics;
    assert.deepEqual(others, { add: 1, store: 1 });
  });

  it("is over when the last one is done, and not before", () => {
    const { caller, core, workers: [one, two] } = setUp({ grains: [2], workers: 2 });
    assert.equal(one!.core.take([0], 1, 1), 1);
    assert.equal(two!.core.take([0], 1, 1), 1);
    one!.core.finish();
    one!.core.leave(one!.me);
    assert.equal(core.isOver(caller), false);
    assert.equal(caller.permit, false);
    two!.core.finish();
    two!.core.leave(two!.me);
    assert.equal(caller.permit, true);
    assert.equal(core.isOver(caller), true);
  });

  it("is stopped once, and over when all are out", () => {
    const { caller, core, words, workers: [one, two] } = setUp({ grains: [9], workers: 2 });
    assert.equal(one!.core.take([0], 1, 1), 1);
    assert.equal(core.stop(FAILED + 1), FAILED + 1);
    assert.equal(core.stop(ABORTED), FAILED + 1);
    assert.equal(two!.core.take([0], 1, 1), 0);
    two!.core.leave(two!.me);
    assert.equal(core.isOver(caller), false);
    one!.core.finish();
    one!.core.leave(one!.me);
    assert.equal(core.isOver(caller), true);
    const late = new LoopCore(words, { grains: [9], workers: 2 });
    assert.equal(late.enter(one!.me, 0), false);
    assert.equal(core.isOver(caller), true);
  });

  it("learns what a dead worker took with it, and only that", () => {
    const { process, caller, core, workers: [one, two] } = setUp({ grains: [3, 5], workers: 2 });
    assert.equal(two!.core.take([1, 0], 1, 1), 1);
    two!.core.finish();
    process.kill(two!.me);
    assert.equal(core.isOver(caller), false);
    assert.equal(core.stopped(), GOING);
    assert.equal(one!.core.take([1, 0], 2, 2), 2);
    process.kill(one!.me);
    assert.equal(core.isOver(caller), true);
    assert.equal(core.stopped(), DIED - 0);
    assert.deepEqual(core.lost(0), { home: 1, first: 1, count: 2 });
  });

  it("does not let the dead one's place to another", () => {
    const { process, words, workers: [one] } = setUp({ grains: [3], workers: 1 });
    process.kill(one!.me);
    const other = new LoopCore(words, { grains: [3], workers: 1 });
    assert.equal(other.enter(process.thread(1), 0), false);
  });

  it("ends for a worker whatever is in the words", () => {
    const shape = { grains: [7, 3], workers: 2 };
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.integer()), { maxLength: 200 }), (writes) => {
        const { words, core, workers: [one], caller } = setUp(shape);
        let turn = 0;
        for (; turn < 1000; turn++) {
          const [at, value] = writes[turn] ?? [0, 0];
          if (turn < writes.length) words[at % words.length] = value;
          // A counter that goes back all the time.
          words[(1 + shape.workers) * LINE_WORDS] = 0;
          const got = one!.core.take([0, 1], 2, 1);
          if (got === 0) break;
          assert.ok(one!.core.first >= 0 && one!.core.first + got <= shape.grains[one!.core.home]!);
          one!.core.finish();
        }
        assert.ok(turn < 1000);
        core.isOver(caller);
        core.lost(1);
      }),
    );
  });
});
