import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { NodeArray, topology } from "../../mod.ts";
import type { Crew } from "../../lib/tasks/crew/crew.ts";
import {
  forEachPartition,
  type LoopOptions,
  type LoopRange,
  parallelFor,
  reduce,
} from "../../lib/tasks/mod.ts";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { rejectsCode } from "../support/errors.ts";
import { LoopCrew } from "../support/loop_crew.ts";
import { noPolicies } from "../support/policies.ts";
import { reaches, sharedWords } from "../support/words.ts";

const add = (a: number, b: number): number => a + b;

describe("parallelFor", () => {
  let crew: LoopCrew;
  before(async () => {
    crew = await LoopCrew.start(3);
  });
  after(() => crew[Symbol.asyncDispose]());

  it("calls the function for every index once", async () => {
    const nodes = topology().nodes.map(({ id }) => id);
    const cases: readonly (readonly [number, LoopOptions])[] = [
      [1, {}],
      [2, {}],
      [3, { chunk: 1 }],
      [1000, {}],
      [100_003, {}],
      [100_003, { chunk: 7 }],
      [1000, { chunk: 2 ** 52 }],
      [1000, { near: nodes }],
      [1000, { near: [...nodes, ...nodes, ...nodes], chunk: 13 }],
      [1000, { near: nodes[0]! }],
    ];
    for (const [length, options] of cases) {
      const counts = sharedWords(length);
      await parallelFor(crew, length, "tally", { ...options, args: [counts] });
      assert.ok(counts.every((times) => times === 1), `${length} ${JSON.stringify(options)}`);
    }
  });

  it("takes ranges that begin anywhere, with steps", async () => {
    const ranges: readonly LoopRange[] = [
      { begin: -10, end: 11 },
      { begin: 5, end: 1000, step: 7 },
      { begin: -2, end: 1, step: 100 },
      { begin: Number.MAX_SAFE_INTEGER - 100, end: Number.MAX_SAFE_INTEGER, step: 3 },
      { begin: -Number.MAX_SAFE_INTEGER, end: -Number.MAX_SAFE_INTEGER + 50 },
    ];
    for (const range of ranges) {
      for (const chunk of [undefined, 5]) {
        const { begin, end, step = 1 } = range;
        const counts = sharedWords(Math.ceil((end - begin) / step));
        const args = [counts, begin, step];
        await parallelFor(crew, range, "tally", {
          args,
          ...(chunk === undefined ? {} : { chunk }),
        });
        assert.ok(counts.every((times) => times === 1), `${begin} ${end} ${step} ${chunk}`);
      }
    }
  });

  it("gives chunks that are no longer than asked for", async () => {
    for (const [range, chunk, count] of [[100, 9, 12], [10, 100, 1]] as const) {
      const list = new Float64Array(new SharedArrayBuffer(8 * 2 * count));
      const counter = sharedWords(1);
      await parallelFor(crew, range, "chunks", { chunk, args: [list, counter] });
      assert.equal(counter[0], count);
      const begins = [...list].filter((_, at) => at % 2 === 0).toSorted((a, b) => a - b);
      assert.deepEqual(begins, Array.from({ length: count }, (_, index) => index * chunk));
    }
  });

  it("calls nobody for an empty range", async () => {
    const crew: Crew = {
      placements: [],
      runOnAll: () => assert.fail("it asked the workers"),
    };
    await parallelFor(crew, 0, "tally");
    await parallelFor(crew, { begin: 5, end: 5 }, "tally");
    assert.equal(await reduce(crew, 0, "sum", { combine: add, initial: 7 }), 7);
  });

  it("gives back what its caller waited with", async () => {
    const nextSlot = (): number => {
      const { lot, id, slot } = claimWaiter();
      lot.release(id);
      return slot;
    };
    const before = nextSlot();
    for (let times = 0; times < 3; times++) await parallelFor(crew, 5, "sum");
    assert.equal(nextSlot(), before);
  });

  it("waits for promises of the function", async () => {
    const counts = sharedWords(40);
    await parallelFor(crew, 40, "tallyLater", { chunk: 3, args: [counts] });
    assert.ok(counts.every((times) => times === 1));
  });

  it("runs several loops at the same time", async () => {
    const counts = Array.from({ length: 8 }, () => sharedWords(500));
    const inner: Promise<number>[] = [];
    await Promise.all(
      counts.map((list, index) =>
        parallelFor(crew, 500, index % 2 === 0 ? "tally" : "tallyLater", {
          ...{ args: [list], chunk: 100 },
          // A loop in the middle of a loop.
          onProgress: () => inner.push(reduce(crew, 100, "sum", { combine: add, initial: 0 })),
        })
      ),
    );
    assert.ok(counts.every((list) => list.every((times) => times === 1)));
    assert.ok(inner.length >= 8);
    assert.ok((await Promise.all(inner)).every((sum) => sum === 4950));
  });

  it("does not block the thread that calls", async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await parallelFor(crew, 6, "busy", { chunk: 1, args: [] });
    await parallelFor(crew, { begin: 60, end: 61 }, "busy");
    clearInterval(timer);
    assert.ok(turns > 0, `${turns} turns`);
  });

  it("tells how far it is", async () => {
    const told: number[] = [];
    const flags = sharedWords(2);
    const loop = parallelFor(crew, 40, "waits", {
      ...{ chunk: 10, args: [flags] },
      onProgress({ done, total }) {
        assert.equal(total, 40);
        told.push(done);
      },
    });
    await reaches(flags, 0, 30);
    await sleep(50);
    assert.deepEqual(told, []);
    Atomics.store(flags, 1, 1);
    await loop;
    assert.equal(told.at(-1), 40);
    assert.deepEqual(told, [...new Set(told)].toSorted((a, b) => a - b));
  });

  it("ends when the function that is told throws", async () => {
    // Without an end, more than six seconds.
    const counts = sharedWords(20_000);
    const error = new Error("enough");
    const loop = parallelFor(crew, counts.length, "tallyLater", {
      ...{ chunk: 1, args: [counts] },
      onProgress: () => {
        throw error;
      },
    });
    await assert.rejects(loop, (thrown) => thrown === error);
    assert.ok(counts.includes(0));
  });

  it("rejects with what the function threw first, with its stack, and ends", async () => {
    for (const [task, args] of [["throws", [500]], ["rejects", [500]]] as const) {
      const loop = parallelFor(crew, 100_000, task, { chunk: 100, args });
      await assert.rejects(loop, (error) => {
        assert.ok(error instanceof Error && error.name === "RangeError", String(error));
        assert.equal(error.message, "no 500");
        assert.match(error.stack ?? "", /loop_tasks/);
        return true;
      });
    }
    const again = sharedWords(10);
    await parallelFor(crew, 10, "tally", { args: [again] });
    assert.ok(again.every((times) => times === 1));
  });

  it("takes no chunk after one that threw", async () => {
    await using one = await LoopCrew.start(1);
    const counts = sharedWords(1);
    const loop = parallelFor(one, 100_000, "throws", { chunk: 100, args: [500, counts] });
    await assert.rejects(loop, /no 500/);
    assert.equal(counts[0], 6);
  });

  it("is aborted: what has begun is done, and nothing runs afterwards", async () => {
    const controller = new AbortController();
    const flags = sharedWords(2);
    const loop = parallelFor(crew, 100, "waits", {
      ...{ chunk: 1, args: [flags], signal: controller.signal },
    });
    await reaches(flags, 0, 3);
    controller.abort(new Error("no more"));
    const isOver = loop.then(() => "done", (error) => error.message);
    assert.equal(await Promise.race([isOver, sleep(30, "waits")]), "waits");
    Atomics.store(flags, 1, 1);
    assert.equal(await isOver, "no more");
    assert.equal(flags[0], 3);
    const before = AbortSignal.abort("before");
    await assert.rejects(
      parallelFor(crew, 9, "waits", { signal: before }),
      (thrown) => thrown === "before",
    );
    assert.equal(flags[0], 3);
  });

  it("does not know functions that are not there", async () => {
    await rejectsCode(parallelFor(crew, 9, "nothing"), "EINVAL", /nothing/);
  });

  it("refuses wrong arguments", async () => {
    const wrong: readonly (readonly [unknown, unknown, unknown])[] = [
      ...[NaN, -1, 1.5, 2 ** 53, -0, Infinity, "9", null, undefined, 9n].map((range) =>
        [range, "tally", {}] as const
      ),
      ...[
        { begin: 0 },
        { begin: 5, end: 4 },
        { begin: 0, end: 9, step: 0 },
        { begin: 0, end: 9, step: -1 },
        { begin: -0, end: 9 },
        { begin: NaN, end: 9 },
        { begin: 0, end: 2 ** 53 },
        { begin: -(2 ** 53) + 1, end: 2 ** 53 - 1 },
        { begin: 0, end: 9, stride: 2 },
      ].map((range) => [range, "tally", {}] as const),
      ...["", 7, null, undefined, () => {}].map((task) => [9, task, {}] as const),
      ...[
        { chunk: 0 },
        { chunk: -0 },
        { chunk: 1.5 },
        { chunk: 2 ** 53 },
        { args: 7 },
        { args: null },
        { args: [Symbol("none")] },
        { near: -1 },
        { near: [] },
        { near: [0, 1.5] },
        { near: "node" },
        { near: {} },
        { near: Object.create(NodeArray.prototype) },
        { signal: {} },
        { onProgress: 7 },
        { chunks: 7 },
      ].map((options) => [9, "tally", options] as const),
      [9, "tally", null],
      [2 ** 52, "tally", { chunk: 1 }],
    ];
    for (const [range, task, options] of wrong) {
      await rejectsCode(
        parallelFor(crew, range as number, task as string, options as LoopOptions),
        "EINVAL",
      );
    }
    for (const pool of [null, undefined, 7, {}, { placements: [] }]) {
      await rejectsCode(parallelFor(pool as unknown as Crew, 9, "tally"), "EINVAL");
    }
    await rejectsCode(parallelFor(crew, 9, "tally", { near: 60_000 }), "ENODEV");
    const nobody = { placements: [], runOnAll: () => [] };
    await rejectsCode(parallelFor(nobody, 9, "tally"), "EINVAL");
  });
});

describe("reduce", () => {
  let crew: LoopCrew;
  before(async () => {
    crew = await LoopCrew.start(2);
  });
  after(() => crew[Symbol.asyncDispose]());

  it("combines the values of chunks", async () => {
    for (const length of [1, 2, 1023, 1025, 1_000_000]) {
      for (const options of [{}, { ordered: false }, { chunk: 1000 }]) {
        const sum = await reduce(crew, length, "sum", { combine: add, initial: 0, ...options });
        assert.equal(sum, length * (length - 1) / 2, JSON.stringify(options));
      }
    }
  });

  it("gives longer chunks where the order does not matter, and they are short", async () => {
    const chunks = (ordered: boolean): Promise<number> =>
      reduce(crew, 1024, "valued", { combine: (count) => count + 1, initial: 0, ordered });
    assert.equal(await chunks(true), 1024);
    const fewer = await chunks(false);
    assert.ok(fewer < 1024, `${fewer} chunks`);
  });

  it("gives the same last bit each time, with any number of workers", async () => {
    const run = (crew: Crew): Promise<number> =>
      reduce(crew, 1_000_000, "inverses", { combine: add, initial: 0 });
    const first = await run(crew);
    for (let times = 0; times < 5; times++) assert.equal(await run(crew), first);
    await using one = await LoopCrew.start(1);
    assert.equal(await run(one), first);
  });

  it("has numbers exactly, and everything else cloned, in the order of indices", async () => {
    const values = (kind: string, length: number): Promise<unknown[]> =>
      reduce<unknown, unknown[]>(crew, length, "valued", {
        ...{ chunk: 1, args: [kind], initial: [] },
        combine: (before, value) => [...before, value],
      });
    const odd = await values("odd", 8);
    assert.ok(Object.is(odd[1], -0) && odd[3] === 5e-324 && Number.isNaN(odd[4]));
    assert.deepEqual(await values("text", 3), ["0-1", "1-2", "2-3"]);
    assert.deepEqual(await values("mixed", 5), [0, [1], 2, [3], 4]);
    assert.deepEqual(await values("nothing", 2), [undefined, undefined]);
  });

  it("rejects with what combine throws, and refuses wrong options", async () => {
    const error = new Error("no");
    const throws = (): number => {
      throw error;
    };
    await assert.rejects(
      reduce(crew, 9, "sum", { combine: throws, initial: 0 }),
      (thrown) => thrown === error,
    );
    const wrong = [
      undefined,
      {},
      { combine: 7, initial: 0 },
      { combine: add, initial: 0, ordered: 1 },
      { combine: add, initial: 0, order: true },
    ];
    for (const options of wrong) {
      await rejectsCode(reduce(crew, 9, "sum", options as never), "EINVAL");
    }
    const many = { combine: add, initial: 0, chunk: 1 };
    await rejectsCode(reduce(crew, 2 ** 20 + 1, "sum", many), "EINVAL", /chunk/);
  });

  it("looks at options once", async () => {
    let looks = 0;
    const options = {
      ...{ combine: add, initial: 0 },
      get chunk(): number {
        return ++looks;
      },
    };
    await reduce(crew, 9, "sum", options);
    assert.equal(looks, 1);
  });
});

describe("a loop over an array over nodes", () => {
  let crew: LoopCrew;
  let array: NodeArray<"float64">;
  const nodes = topology().nodes.map(({ id }) => id).slice(0, 1);
  before(async () => {
    if (noPolicies !== false) return;
    crew = await LoopCrew.start(2);
    array = NodeArray.create({
      type: "float64",
      length: 10_000,
      nodes,
      layout: "cyclic",
      block: 64,
    });
  });
  after(async () => {
    if (noPolicies !== false) return;
    array.destroy();
    await crew[Symbol.asyncDispose]();
  });

  it("has every element once", { skip: noPolicies }, async () => {
    for (let index = 0; index < array.length; index++) array.set(index, index);
    for (const range of [array.length, { begin: 70, end: 9_990 }]) {
      const [begin, end] = typeof range === "number" ? [0, range] : [range.begin, range.end];
      const sum = await reduce(crew, range, "sumOf", {
        ...{ near: array, args: [array] },
        ...{ combine: add, initial: 0 },
      });
      assert.equal(sum, (end * (end - 1) - begin * (begin - 1)) / 2);
    }
    await rejectsCode(
      parallelFor(crew, array.length + 1, "sumOf", { near: array }),
      "EINVAL",
    );
    await rejectsCode(
      parallelFor(crew, { begin: -1, end: 1 }, "sumOf", { near: array }),
      "EINVAL",
    );
  });

  it("calls the function once for each part", { skip: noPolicies }, async () => {
    const results = await forEachPartition(crew, array, "fillPart", {
      args: [7],
    });
    assert.deepEqual(results, nodes.map((node, part) => ({ part, node, length: 10_000 })));
    assert.equal(array.get(9_999), 7);
    const told: unknown[] = [];
    await forEachPartition(crew, array, "fillPart", {
      onProgress: (progress) => told.push(progress),
    });
    assert.deepEqual(told, [{ done: 1, total: 1 }]);
  });

  it("tells what is wrong with an array", { skip: noPolicies }, async () => {
    const other = NodeArray.create({ type: "float64", length: 10, nodes });
    const task = reduce(crew, 10, "destroys", { combine: add, initial: 0, args: [other] });
    await rejectsCode(task, "EDESTROYED");
    other.destroy();
    await rejectsCode(parallelFor(crew, 9, "tally", { near: other }), "EDESTROYED");
    await rejectsCode(forEachPartition(crew, other, "fillPart"), "EDESTROYED");
    for (const wrong of [null, 7, {}, Object.create(NodeArray.prototype)]) {
      await rejectsCode(forEachPartition(crew, wrong, "fillPart"), "EINVAL");
    }
    for (const options of [null, { near: 0 }, { args: 7 }, { signal: 1 }, { onProgress: 1 }]) {
      const call = forEachPartition(crew, array, "fillPart", options as never);
      await rejectsCode(call, "EINVAL");
    }
  });
});

describe("a worker that ends", () => {
  it("in the middle of a chunk ends the loop with an error that names it", async () => {
    await using crew = await LoopCrew.start(2);
    const flags = sharedWords(2);
    const loop = parallelFor(crew, 100, "hangs", { chunk: 10, args: [42, flags] });
    await reaches(flags, 0, 1);
    const worker = flags[1]!;
    const ended = rejectsCode(loop, "ETERMINATED", RegExp(`worker ${worker} .*40 to 50`));
    assert.equal(await crew.threads[worker]!.terminate(), true);
    await ended;
    // The others go on.
    const counts = sharedWords(50);
    await parallelFor(crew, 50, "tally", { args: [counts] });
    assert.ok(counts.every((times) => times === 1));
  });

  it("before a loop is not missed, and without any there is an error", async () => {
    await using crew = await LoopCrew.start(2);
    await crew.threads[0]!.terminate();
    const counts = sharedWords(5000);
    await parallelFor(crew, 5000, "tally", { args: [counts] });
    assert.ok(counts.every((times) => times === 1));
    await crew.threads[1]!.terminate();
    await assert.rejects(parallelFor(crew, 5000, "tally", { args: [counts] }));
  });
});
