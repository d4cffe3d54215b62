import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import { CELL, COUNT, ForkCore, RECORD_WORDS } from "../../lib/tasks/forks/fork_core.ts";
import { fork, forkJoin, join, TaskPool } from "../../lib/tasks/mod.ts";
import { ABORTED, DIED, FINISHED, GOING } from "../../lib/tasks/crew/muster.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { LoopCrew } from "../support/loop_crew.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";

const SHAPE = { workers: 2, capacity: 4, cells: 8 };

function setUp(): { process: FakeProcess; workers: [FakeWorker, FakeWorker]; words: Int32Array } {
  const process = new FakeProcess();
  const words = sharedWords(ForkCore.words(SHAPE));
  const caller = process.thread(0);
  new ForkCore(words, SHAPE).open(caller);
  const worker = (index: number): FakeWorker => {
    const me = process.thread(index + 1);
    const core = new ForkCore(words, SHAPE);
    assert.ok(core.enter(me, index));
    return { me, core };
  };
  return { process, words, workers: [worker(0), worker(1)] };
}

interface FakeWorker {
  readonly me: ReturnType<FakeProcess["thread"]>;
  readonly core: ForkCore;
}

function recordOf(cell: number, value: number): Int32Array {
  const record = new Int32Array(RECORD_WORDS);
  record[CELL] = cell;
  record[COUNT] = value;
  return record;
}

describe("ForkCore", () => {
  it("gives a fork back, or to a thief, whose result comes back", () => {
    const { workers: [one, two] } = setUp();
    const record = new Int32Array(RECORD_WORDS);
    assert.ok(one.core.takeRoot());
    assert.equal(two.core.takeRoot(), false);
    assert.ok(one.core.fork(one.me, recordOf(0, 5)));
    assert.ok(one.core.fork(one.me, recordOf(1, 6)));
    assert.ok(one.core.pop(one.me, record));
    assert.equal(record[COUNT], 6);
    assert.ok(two.core.steal(two.me, 0, record));
    assert.equal(record[COUNT], 5);
    assert.equal(two.core.steal(two.me, 0, record), false);
    assert.equal(one.core.pop(one.me, record), false);
    assert.equal(one.core.thiefOf(0), 1);
    assert.equal(one.core.isReady(0), false);
    assert.equal(one.core.lostTo(one.me, 0), -1);
    two.core.complete(two.me, 0, 0, 7, -7);
    assert.ok(one.core.isReady(0));
    assert.deepEqual([one.core.low(0), one.core.high(0)], [7, -7]);
    one.core.finishRoot(one.me, 1, 2);
    assert.equal(two.core.stopped(), FINISHED);
    assert.deepEqual([two.core.rootLow(), two.core.rootHigh()], [1, 2]);
  });

  it("has no room for more than its deque holds", () => {
    const { workers: [one] } = setUp();
    for (let cell = 0; cell < 4; cell++) assert.ok(one.core.fork(one.me, recordOf(cell, 0)));
    assert.equal(one.core.fork(one.me, recordOf(4, 0)), false);
  });

  it("tells whose thief has died", () => {
    const { process, workers: [one, two] } = setUp();
    const record = new Int32Array(RECORD_WORDS);
    one.core.fork(one.me, recordOf(0, 5));
    two.core.steal(two.me, 0, record);
    process.kill(two.me);
    assert.equal(one.core.pop(one.me, record), false);
    assert.equal(one.core.lostTo(one.me, 0), 1);
    one.core.end(one.me, DIED - 1);
    assert.equal(one.core.stopped(), DIED - 1);
  });

  it("tells the caller when the worker has died that runs the first task", () => {
    const { process, words, workers: [one, two] } = setUp();
    const core = new ForkCore(words, SHAPE);
    const caller = process.thread(9);
    assert.ok(two.core.takeRoot());
    assert.equal(core.isOver(caller), false);
    process.kill(two.me);
    assert.equal(core.isOver(caller), false);
    assert.equal(core.stopped(), DIED - 1);
    one.core.leave(one.me);
    assert.equal(core.isOver(caller), true);
  });

  it("wakes one idle worker for a fork", () => {
    const { workers: [one, two] } = setUp();
    const idle = two.core.idle();
    assert.equal(idle.next(false).done, false);
    one.core.fork(one.me, recordOf(0, 5));
    assert.equal(two.me.wakes, 1);
    one.core.fork(one.me, recordOf(1, 5));
    assert.equal(two.me.wakes, 1);
    assert.deepEqual(idle.next(false), { done: true, value: true });
    // There is something: it does not sleep.
    assert.deepEqual(two.core.idle().next(false), { done: true, value: true });
    assert.equal(one.core.stopped(), GOING);
  });
});

describe("ForkCore's words", () => {
  it("may hold anything: nothing is thrown, and nothing goes on without end", () => {
    const steps = fc.array(fc.tuple(fc.nat(), fc.integer()), { minLength: 1, maxLength: 60 });
    fc.assert(
      fc.property(steps, (writes) => {
        const { process, words, workers: [one, two] } = setUp();
        const caller = process.thread(9);
        const record = new Int32Array(RECORD_WORDS);
        for (const [at, value] of writes) {
          words[at % words.length] = value;
          one.core.takeRoot();
          one.core.fork(one.me, recordOf(value, at));
          if (two.core.steal(two.me, 0, record)) {
            two.core.complete(two.me, 0, record[CELL] as number, 1, 2);
          }
          one.core.pop(one.me, record);
          one.core.isReady(value);
          assert.ok(one.core.thiefOf(value) < SHAPE.workers);
          assert.ok(one.core.lostTo(one.me, value) < SHAPE.workers);
          one.core.sleep(value).next(true);
          two.core.idle().next(true);
          one.core.isOver(caller);
        }
        one.core.end(one.me, ABORTED);
        one.core.leave(one.me);
      }),
    );
  });
});

/** What `graph` of workers/loop_tasks.ts computes, one call after the other. */
function oracle(seed: number, depth: number): number {
  let state = seed >>> 0;
  const next = (most: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * most);
  };
  const forks: number[] = [];
  let sum = seed % 1000;
  const count = depth === 0 ? 0 : next(4);
  for (let child = 0; child < count; child++) {
    forks.push(oracle(Math.floor(seed / 3) + child + 1, depth - 1));
    if (next(3) === 0) sum += oracle(seed + child + 7, depth - 1) / 2;
  }
  while (forks.length > 0 && next(8) > 0) {
    const [value] = forks.splice(next(forks.length), 1);
    sum += (value as number) / 2;
  }
  return sum;
}

describe("forkJoin", () => {
  let crew: LoopCrew;
  before(async () => {
    crew = await LoopCrew.start(3);
  });
  after(() => crew[Symbol.asyncDispose]());

  it("computes what the function computes", async () => {
    assert.equal(await forkJoin(crew, "fib", [20]), 6765);
    assert.equal(await forkJoin(crew, "fib", [1]), 1);
    assert.equal(await forkJoin(crew, "one", [0.1]), 0.1);
    assert.ok(Object.is(await forkJoin(crew, "one", [-0]), -0));
    assert.equal(await forkJoin(crew, "one"), NaN);
    assert.equal(await forkJoin(crew, "six", [1, 2, 3, 4, 5, 6]), 654321);
    const sum = 0 + 1 + 21 + 321 + 4321 + 54321 + 654321;
    assert.equal(await forkJoin(crew, "arities", [], { tasks: ["six"] }), sum);
  });

  it("computes random graphs of tasks as one thread does", async () => {
    for (let seed = 1; seed < 60; seed++) {
      assert.equal(
        await forkJoin(crew, "graph", [seed * 977, 7]),
        oracle(seed * 977, 7),
        `${seed}`,
      );
    }
  });

  it("runs several at the same time", async () => {
    const results = await Promise.all([18, 10, 15, 12].map((n) => forkJoin(crew, "fib", [n])));
    assert.deepEqual(results, [2584, 55, 610, 144]);
  });

  it("runs more forks than there is room for", async () => {
    const tasks = ["one"];
    assert.equal(await forkJoin(crew, "wide", [5000], { tasks }), 5000 * 4999 / 2);
  });

  it("joins what a task has not joined", async () => {
    assert.equal(await forkJoin(crew, "leaves", [1], { tasks: ["count"] }), NaN);
  });

  it("rejects with what a task threw, also if that was caught", async () => {
    const tasks = ["fib", "failing"];
    for (let times = 0; times < 5; times++) {
      for (const [task, args] of [["failing", [6]], ["catching", []]] as const) {
        await assert.rejects(forkJoin(crew, task, args, { tasks }), (error) => {
          assert.ok(error instanceof Error && error.name === "TypeError", String(error));
          assert.equal(error.message, "too deep");
          return true;
        });
      }
    }
    assert.equal(await forkJoin(crew, "fib", [10]), 55);
  });

  it("refuses wrong uses in tasks", async () => {
    const tasks = ["fib", "joins"];
    for (let kind = 0; kind <= 8; kind++) {
      await rejectsCode(forkJoin(crew, "misuse", [kind], { tasks }), "EINVAL");
    }
    throwsCode(() => fork("fib", [1]), "EINVAL", /forkJoin/);
    throwsCode(() => join(1), "EINVAL", /forkJoin/);
  });

  it("looks at arguments once", async () => {
    const tasks = ["fib", "plus"];
    assert.equal(await forkJoin(crew, "forkWithGetter", [], { tasks }), 105);
    let looks = 0;
    const args = Object.defineProperty([0], 0, { get: () => looks++ === 0 ? 10 : "ten" });
    assert.equal(await forkJoin(crew, "fib", args as number[]), 55);
  });

  it("refuses promises, and lives on when one is rejected", async () => {
    await using one = await LoopCrew.start(1);
    await rejectsCode(forkJoin(one, "rejecting"), "EINVAL", /returned/);
    await sleep(20);
    assert.equal(await forkJoin(one, "fib", [15]), 610);
  });

  it("refuses wrong arguments", async () => {
    const wrong: readonly (readonly [unknown, unknown, unknown])[] = [
      ["", [], {}],
      [7, [], {}],
      ["fib", 7, {}],
      ["fib", ["7"], {}],
      ["fib", [1, 2, 3, 4, 5, 6, 7], {}],
      ["fib", [1], null],
      ["fib", [1], { tasks: "fib" }],
      ["fib", [1], { tasks: [7] }],
      ["fib", [1], { signal: 7 }],
      ["fib", [1], { task: [] }],
    ];
    for (const [task, args, options] of wrong) {
      const call = forkJoin(crew, task as string, args as number[], options as never);
      await rejectsCode(call, "EINVAL");
    }
    await rejectsCode(forkJoin(crew, "nothing"), "EINVAL", /nothing/);
    await rejectsCode(forkJoin(crew, "fib", [5], { tasks: ["nothing"] }), "EINVAL", /nothing/);
    await rejectsCode(forkJoin(null as never, "fib"), "EINVAL");
  });

  it("says what is wrong before it says which worker is not there", async () => {
    const module = sibling(import.meta.url, "../workers/tasks");
    await using pool = await TaskPool.create(module, { threads: { min: 1, max: 2 } });
    const reversed = {
      placements: pool.placements.toReversed(),
      runOnAll: (name: string, args: readonly unknown[]) => pool.runOnAll(name, args).toReversed(),
    };
    assert.equal(reversed.placements[0], undefined);
    await rejectsCode(forkJoin(reversed, "absent"), "EINVAL", /absent/);
  });

  it("is aborted at the next fork or join", async () => {
    const controller = new AbortController();
    const call = forkJoin(crew, "endless", [0], { tasks: ["one"], signal: controller.signal });
    await sleep(30);
    controller.abort(new Error("no more"));
    await assert.rejects(call, /no more/);
    await assert.rejects(
      forkJoin(crew, "fib", [3], { signal: AbortSignal.abort("x") }),
      (thrown) => thrown === "x",
    );
    assert.equal(await forkJoin(crew, "fib", [10]), 55);
  });
});

describe("a worker that ends", () => {
  it("while it takes part in forkJoin ends that, or is not missed", async () => {
    for (const victim of [0, 1]) {
      const crew = await LoopCrew.start(2);
      const call = forkJoin(crew, "endless", [0], { tasks: ["one"] });
      const isOver = call.then(() => "done", (error) => error.code);
      await sleep(30);
      await crew.threads[victim]!.terminate();
      const first = await Promise.race([isOver, sleep(200, "goes on")]);
      assert.ok(first === "goes on" || first === "ETERMINATED", String(first));
      await crew.threads[1 - victim]!.terminate();
      assert.equal(await isOver, "ETERMINATED");
      await crew[Symbol.asyncDispose]();
    }
  });
});
