import assert from "node:assert/strict";
import { arch } from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import fc from "fast-check";
import {
  CounterCore,
  type PartitionedCounterShards,
} from "../../lib/sync/counters/counter_core.ts";
import {
  bucketCount,
  bucketOf,
  type Buckets,
  bucketStart,
  HistogramCore,
} from "../../lib/sync/counters/histogram_core.ts";
import { LimitCore } from "../../lib/sync/counters/limit_core.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, Histogram, launch, LimitedCounter, PartitionedCounter } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { counting, withLoads } from "../support/counting.ts";
import { throwsCode } from "../support/errors.ts";
import { FakeProcess, type FakeWaiter } from "../support/waiters.ts";
import { runPrimitives } from "../support/launches.ts";
import { sharedWords } from "../support/words.ts";
import { WORD } from "../workers/primitives.ts";
import type { QuotaTask } from "../workers/quota.ts";

const quotaModule = sibling(import.meta.url, "../workers/quota");
const SHAPE: Shape = { threads: 4, domains: 2 };

/** Lines that a body changes, by number. */
function changedLines(words: Int32Array, body: () => void): number[] {
  const before = words.slice();
  body();
  const changed = [...words.keys()].filter((word) => words[word] !== before[word]);
  return [...new Set(changed.map((word) => Math.floor(word / LINE_WORDS)))];
}

describe("CounterCore", () => {
  const slot = fc.nat(3);
  for (const shards of ["thread", "domain"] as const) {
    it(`sums like a number, with carries and below zero, shards of ${shards}s`, () => {
      const most = CounterCore.most(SHAPE, shards);
      const n = fc.oneof(
        fc.integer({ min: -most, max: most }),
        fc.constantFrom(most, -most, most - 1, 1, -1),
      );
      // Often the same way, so that sums get large.
      const runs = fc.array(fc.tuple(slot, n, fc.integer({ min: 1, max: 40 })), { maxLength: 40 });
      fc.assert(fc.property(runs, (runs) => {
        const words = sharedWords(CounterCore.words(SHAPE, shards));
        const process = new FakeProcess();
        const threads = [0, 1, 2, 3].map((slot) => process.thread(slot, slot & 1));
        const cores = threads.map(() => new CounterCore(words, SHAPE, shards));
        let sum = 0;
        for (const [slot, n, times] of runs) {
          for (let turn = 0; turn < times; turn++) {
            cores[slot]?.add(threads[slot] as FakeWaiter, n);
            sum += n;
          }
          assert.equal(new CounterCore(words, SHAPE, shards).value(), sum);
        }
      }));
    });
  }

  it("goes far beyond 2^32 both ways", () => {
    const words = sharedWords(CounterCore.words(SHAPE));
    const core = new CounterCore(words, SHAPE);
    const me = new FakeProcess().thread(2);
    for (const [n, times] of [[2 ** 30, 20_000], [-(2 ** 30), 45_000], [1, 3]] as const) {
      for (let turn = 0; turn < times; turn++) core.add(me, n);
    }
    assert.equal(core.value(), -25_000 * 2 ** 30 + 3);
  });

  it("writes a line of its own, and its anchor seldom", () => {
    for (const shards of ["thread", "domain"] as const satisfies PartitionedCounterShards[]) {
      const words = sharedWords(CounterCore.words(SHAPE, shards));
      const core = new CounterCore(words, SHAPE, shards);
      const me = new FakeProcess().thread(3, 1);
      assert.deepEqual(changedLines(words, () => core.add(me, 1)), [
        0,
        shards === "thread" ? 4 : 2,
      ]);
      const own = [shards === "thread" ? 4 : 2];
      assert.deepEqual(changedLines(words, () => core.add(me, -5)), own);
      const { atomics } = counting(() => core.add(me, 4));
      assert.deepEqual(
        atomics,
        withLoads({ following: shards === "domain" ? 1 : 0 }, { add: 1 }),
      );
      const looked = counting(() => core.value()).atomics;
      const fences: Record<string, number> = arch === "x64" ? { store: 2 } : {};
      const [used = 0] = own;
      assert.deepEqual(looked, withLoads({ shared: 1, following: 3 * used }, fences));
      // To and fro across zero, and across the place where the anchor moves.
      for (const place of [1, 3 * 2 ** 28]) {
        core.add(me, place - core.value());
        core.add(me, -2);
        core.add(me, 2);
        const { atomics } = counting(() => {
          for (let turn = 0; turn < 50; turn++) core.add(me, turn % 2 === 0 ? -2 : 2);
        });
        assert.equal(atomics.compareExchange, undefined);
      }
    }
  });

  it("keeps what threads of a slot have added", () => {
    const words = sharedWords(CounterCore.words(SHAPE));
    const process = new FakeProcess();
    for (let turn = 1; turn <= 3; turn++) {
      const me = process.thread(1);
      new CounterCore(words, SHAPE).add(me, turn);
      process.kill(me);
    }
    assert.equal(new CounterCore(words, SHAPE).value(), 6);
  });
});

describe("LimitCore", () => {
  const LIMIT = 50;

  it("refuses exactly what would exceed the limit, when nobody else is at it", () => {
    const op = fc.record({
      slot: fc.nat(3),
      n: fc.integer({ min: 1, max: 20 }),
      what: fc.constantFrom("add", "add", "sub", "die"),
    });
    fc.assert(fc.property(fc.array(op, { maxLength: 60 }), (ops) => {
      const words = sharedWords(LimitCore.words(SHAPE));
      LimitCore.init(words, LIMIT, 4);
      const process = new FakeProcess();
      const threads = [0, 1, 2, 3].map((slot) => process.thread(slot));
      const cores = threads.map(() => new LimitCore(words, SHAPE));
      let total = 0;
      for (const { slot, n, what } of ops) {
        const me = threads[slot] as FakeWaiter;
        const core = cores[slot] as LimitCore;
        if (what === "die") {
          process.kill(me);
          threads[slot] = process.thread(slot);
          cores[slot] = new LimitCore(words, SHAPE);
        } else if (what === "add") {
          const fits = total + n <= LIMIT;
          assert.equal(core.tryAdd(me, n), fits);
          if (fits) total += n;
        } else if (total >= n) {
          assert.equal(core.sub(me, n), true);
          total -= n;
        }
        assert.equal(core.value(), total);
      }
    }));
  });

  it("touches its own line alone, but for once a batch", () => {
    const words = sharedWords(LimitCore.words(SHAPE));
    LimitCore.init(words, 1_000_000, 100);
    const core = new LimitCore(words, SHAPE);
    const me = new FakeProcess().thread(2);
    core.tryAdd(me, 1);
    let global = 0;
    for (let turn = 0; turn < 1010; turn++) {
      const lines = changedLines(words, () => assert.ok(core.tryAdd(me, 1)));
      if (lines.some((line) => line < 2)) global++;
      else assert.deepEqual(lines, [4]);
    }
    assert.equal(global, 10);
    assert.deepEqual(counting(() => core.tryAdd(me, 1)).atomics, { compareExchange: 1 });
    assert.equal(core.value(), 1012);
    for (let turn = 0; turn < 1012; turn++) assert.ok(core.sub(me, 1));
    assert.equal(core.value(), 0);
    assert.equal(core.sub(me, 1000), false, "more than was ever added");
  });
});

describe("histogram buckets", () => {
  it("hold what they say, one after the other", () => {
    for (let precision = 1; precision <= 9; precision++) {
      const count = bucketCount({ precision, bits: 53 });
      assert.equal(bucketOf(Number.MAX_SAFE_INTEGER, precision), count - 1);
      let before = -1;
      for (let bucket = 0; bucket < count; bucket++) {
        const start = bucketStart(bucket, precision);
        const end = bucketStart(bucket + 1, precision);
        assert.ok(start > before && end > start, `bucket ${bucket}`);
        assert.equal(bucketOf(start, precision), bucket);
        assert.equal(bucketOf(end - 1, precision), bucket);
        if (start >= 2 ** precision) assert.ok((end - start) / start <= 2 ** -precision);
        else assert.equal(end - start, 1);
        before = start;
      }
    }
  });
});

describe("HistogramCore", () => {
  const BUCKETS: Buckets = { precision: 3, bits: 10 };

  it("counts beyond 2^32, on a line of its own", () => {
    const words = sharedWords(HistogramCore.words(SHAPE, BUCKETS));
    const core = new HistogramCore(words, SHAPE, BUCKETS);
    const me = new FakeProcess().thread(1);
    core.record(me, 5);
    const low = words.indexOf(1);
    const counts = (): number => {
      const into = new Float64Array(bucketCount(BUCKETS));
      new HistogramCore(words, SHAPE, BUCKETS).read(into);
      assert.equal(into.reduce((sum, count) => sum + count), into[5]);
      return into[5] as number;
    };
    let expected = 1;
    for (let half = 1; half <= 4; half++) {
      // So many times 2^31 less 2 were recorded.
      words[low] = half % 2 === 1 ? 2 ** 31 - 2 : -2;
      expected = half * 2 ** 31 - 2;
      for (let turn = 0; turn < 4; turn++) {
        assert.equal(counts(), expected + turn);
        core.record(me, 5);
      }
    }
    assert.equal(counts(), 4 * 2 ** 31 + 2);
    const { atomics } = counting(() => core.record(me, 700));
    assert.deepEqual(atomics, { store: 1 });
  });
});

describe("PartitionedCounter", () => {
  const make = (): PartitionedCounter =>
    PartitionedCounter.create(new SharedArrayBuffer(PartitionedCounter.bytes()));

  it("adds and sums", () => {
    const counter = make();
    counter.add();
    counter.add(-3);
    counter.add(2 ** 30);
    assert.equal(counter.value(), 2 ** 30 - 2);
    assert.equal(PartitionedCounter.fromHandle(counter.toHandle()), counter);
    const { atomics, helper } = counting(() => counter.add());
    assert.deepEqual({ atomics, helper }, { atomics: { add: 1 }, helper: {} });
  });

  it("refuses what cannot be added, and options that are none", () => {
    const counter = make();
    for (const wrong of [0.5, NaN, Infinity, 2 ** 30 + 1, -(2 ** 30) - 1, "1", null, {}]) {
      throwsCode(() => counter.add(wrong as number), "EINVAL");
    }
    assert.equal(counter.value(), 0);
    throwsCode(() => PartitionedCounter.bytes({ shards: "node" as "domain" }), "EINVAL");
    throwsCode(() => PartitionedCounter.bytes(null as never), "EINVAL");
    throwsCode(() => PartitionedCounter.create(new SharedArrayBuffer(128)), "EINVAL");
    const options = { shards: "domain", threads: 64 } as const;
    const some = PartitionedCounter.create(
      new SharedArrayBuffer(PartitionedCounter.bytes(options)),
      options,
    );
    some.add(2 ** 22);
    throwsCode(() => some.add(2 ** 22 + 1), "EINVAL");
    assert.equal(some.value(), 2 ** 22);
  });

  it("says so when its arena is gone", () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const counter = PartitionedCounter.create(arena);
    counter.add();
    arena.destroy();
    throwsCode(() => counter.add(), "EDESTROYED");
    throwsCode(() => counter.value(), "EDESTROYED");
    throwsCode(() => counter.toHandle(), "EDESTROYED");
  });

  for (const shards of ["thread", "domain"] as const) {
    it(`loses nothing that four threads add, shards of ${shards}s`, async () => {
      using arena = Arena.create({ node: 0, size: "256 KiB" });
      const counter = PartitionedCounter.create(arena, { shards });
      const words = sharedWords(8);
      const [n, times] = [2 ** 17 + 1, 50_000];
      const threads = Array.from({ length: 4 }, (_, index) => {
        const sign = index % 4 === 3 ? -1 : 1;
        return runPrimitives({ task: "add", counter, n: sign * n, times, words });
      });
      // What is read meanwhile is something that was added up to then.
      for (let turn = 0; turn < 5; turn++) {
        const value = counter.value();
        assert.equal(value % n, 0);
        assert.ok(Math.abs(value) <= 4 * n * times);
        await sleep(2);
      }
      for (const thread of threads) await thread.join();
      assert.equal(counter.value(), 2 * n * times);
    });
  }

  it("keeps what terminated threads have added", async () => {
    const counter = make();
    for (let round = 0; round < 2; round++) {
      const before = counter.value();
      const words = sharedWords(8);
      const thread = runPrimitives({ task: "add", counter, n: 3, times: 2 ** 24, words });
      while (counter.value() === before) await sleep(1);
      // On Deno a busy loop cannot be terminated: it goes on to its end.
      void thread.terminate();
      await sleep(5);
      const value = counter.value();
      assert.equal(value % 3, 0);
      assert.ok(value > before);
    }
  });
});

describe("LimitedCounter", () => {
  const make = (
    limit: number,
    options: { threads?: number; batch?: number } = {},
  ): LimitedCounter =>
    LimitedCounter.create(
      new SharedArrayBuffer(LimitedCounter.bytes(options)),
      limit,
      options,
    );

  it("adds up to the limit, and no further", () => {
    const counter = make(10, { batch: 4 });
    for (let turn = 0; turn < 10; turn++) assert.equal(counter.tryAdd(), true);
    assert.equal(counter.tryAdd(), false);
    assert.equal(counter.value(), 10);
    counter.subtract(3);
    assert.equal(counter.tryAdd(4), false);
    assert.equal(counter.tryAdd(3), true);
    counter.subtract(10);
    assert.equal(counter.value(), 0);
    throwsCode(() => counter.subtract(10), "EOWNER");
    assert.equal(LimitedCounter.fromHandle(counter.toHandle()), counter);
  });

  it("refuses what cannot be", () => {
    for (const wrong of [0, -1, 0.5, NaN, 2 ** 30, 2 ** 53, "1", null, {}]) {
      throwsCode(() => make(wrong as number), "EINVAL");
      throwsCode(() => make(10).tryAdd(wrong as number), "EINVAL");
      throwsCode(() => make(10).subtract(wrong as number), "EINVAL");
      throwsCode(() => make(10, { batch: wrong as number }), "EINVAL");
    }
    throwsCode(() => make(10).tryAdd(11), "EINVAL");
    throwsCode(() => LimitedCounter.fromHandle(null as never), "EINVAL");
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const counter = LimitedCounter.create(arena, 10);
    arena.destroy();
    throwsCode(() => counter.tryAdd(), "EDESTROYED");
    throwsCode(() => counter.subtract(), "EDESTROYED");
    throwsCode(() => counter.value(), "EDESTROYED");
  });

  it("is never exceeded by four threads, which use all of it", async () => {
    const limit = 100_000;
    const counter = make(limit);
    const args: QuotaTask = { counter, most: 7 };
    const threads = Array.from({ length: 4 }, () => launch<number>(quotaModule, { args }));
    let sum = 0;
    for (const thread of threads) sum += await thread.join();
    assert.equal(sum, limit);
    assert.equal(counter.value(), limit);
  });
});

describe("Histogram", () => {
  const make = (options: object = {}): Histogram =>
    Histogram.create(new SharedArrayBuffer(Histogram.bytes(options)), options);

  it("knows every value to one part in 2^precision", () => {
    const value = fc.tuple(fc.nat(39), fc.double({ min: 1, max: 2, noNaN: true })).map((
      [bits, part],
    ) => Math.floor(2 ** bits * part));
    const values = fc.array(value, { minLength: 1, maxLength: 200 });
    const histogram = make({ threads: 4 });
    fc.assert(fc.property(values, fc.integer({ min: 0, max: 100 }), (values, p) => {
      histogram.snapshot({ reset: true });
      for (const value of values) histogram.record(value);
      const window = histogram.snapshot({ reset: true });
      const sorted = values.toSorted((a, b) => a - b);
      const near = (found: number, exact: number): void =>
        assert.ok(Math.abs(found - exact) <= exact / 64, `${found} for ${exact}`);
      assert.equal(window.count, values.length);
      near(window.min, sorted[0] as number);
      near(window.max, sorted.at(-1) as number);
      near(window.mean, sorted.reduce((sum, value) => sum + value) / sorted.length);
      const rank = Math.max(1, Math.ceil(p / 100 * sorted.length));
      near(window.percentile(p), sorted[rank - 1] as number);
    }));
  });

  it("gives nothing for no values, and tells its buckets", () => {
    const histogram = make({ threads: 4, precision: 2 });
    const { count, min, max, mean } = histogram.snapshot();
    assert.deepEqual([count, min, max, mean, histogram.snapshot().percentile(50)], [0, 0, 0, 0, 0]);
    for (const value of [0, 3.9, 9, 9, 2 ** 53 - 1]) histogram.record(value);
    const highest = 7 * 2 ** 37;
    assert.deepEqual([...histogram.snapshot().buckets()], [
      { from: 0, to: 1, count: 1 },
      { from: 3, to: 4, count: 1 },
      { from: 8, to: 10, count: 2 },
      { from: highest, to: 2 ** 40, count: 1 },
    ]);
  });

  it("has windows in which each value is once, for each observer", () => {
    const histogram = make();
    const observer = Histogram.create(new SharedArrayBuffer(Histogram.bytes()));
    histogram.record(5);
    assert.equal(histogram.snapshot({ reset: true }).count, 1);
    assert.equal(histogram.snapshot({ reset: true }).count, 0);
    histogram.record(6);
    histogram.record(7);
    assert.equal(histogram.snapshot().count, 3);
    const window = histogram.snapshot({ reset: true });
    assert.deepEqual([window.count, window.min, window.max], [2, 6, 7]);
    observer.record(6);
    const both = window.merge(observer.snapshot());
    assert.deepEqual([both.count, both.mean], [3, 19 / 3]);
    throwsCode(() => window.merge(make({ precision: 5 }).snapshot()), "EINVAL");
  });

  it("refuses what it cannot count", () => {
    const histogram = make();
    for (const wrong of [-1, NaN, Infinity, 2 ** 53, "1", null, 1n]) {
      throwsCode(() => histogram.record(wrong as number), "EINVAL");
    }
    for (const wrong of [-1, 101, NaN, "1"]) {
      throwsCode(() => histogram.snapshot().percentile(wrong as number), "EINVAL");
    }
    for (const wrong of [0, 10, 1.5, "6"]) throwsCode(() => make({ precision: wrong }), "EINVAL");
    for (const wrong of [0, 2 ** 53, 1.5]) throwsCode(() => make({ highest: wrong }), "EINVAL");
    assert.equal(histogram.snapshot().count, 0);
  });

  it("loses nothing that threads record, while windows are taken", async () => {
    using arena = Arena.create({ node: 0, size: "2 MiB" });
    const histogram = Histogram.create(arena);
    const words = sharedWords(8);
    const times = 30_000;
    const threads = Array.from(
      { length: 4 },
      () => runPrimitives({ task: "record", histogram, times, words }),
    );
    let counted = 0;
    while (Atomics.load(words, WORD.there) < 4 || counted < 4 * times) {
      counted += histogram.snapshot({ reset: true }).count;
      await sleep(1);
    }
    for (const thread of threads) await thread.join();
    assert.equal(histogram.snapshot({ reset: true }).count, 0);
    assert.equal(counted, 4 * times);
    const all = histogram.snapshot();
    assert.ok(Math.abs(all.percentile(50) - times / 2) <= times / 64);
  });

  it("says so when its arena is gone", () => {
    const arena = Arena.create({ node: 0, size: "2 MiB" });
    const histogram = Histogram.create(arena);
    arena.destroy();
    throwsCode(() => histogram.record(1), "EDESTROYED");
    throwsCode(() => histogram.snapshot(), "EDESTROYED");
  });
});
