import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Arena,
  type Handle,
  launch,
  Mutex,
  type MutexOptions,
  type NumaError,
  type Thread,
} from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { counting } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import type { LockTask } from "../workers/locks.ts";

const module = sibling(import.meta.url, "../workers/locks");

function run(args: LockTask): Thread<number> {
  return launch<number>(module, { args });
}

function make(options: MutexOptions = {}): Mutex {
  return Mutex.create(new SharedArrayBuffer(Mutex.bytes(options)), options);
}

/** Resolves when a word has got there. */
async function reaches(words: Int32Array, index: number, value: number): Promise<void> {
  while (Atomics.load(words, index) < value) await sleep(1);
}

describe("Mutex", () => {
  it("is held by one at a time, and given back once", () => {
    const lock = make();
    assert.equal(lock.held, false);
    {
      using guard = lock.acquire();
      assert.equal(guard.ownerDied, false);
      assert.equal(lock.held, true);
      throwsCode(() => lock.acquire(), "EDEADLK");
      throwsCode(() => lock.tryAcquire(), "EDEADLK");
    }
    assert.equal(lock.held, false);
    throwsCode(() => lock.release(), "EOWNER");
    const guard = lock.tryAcquire();
    assert.ok(guard);
    guard.release();
    guard.release();
    assert.equal(lock.held, false);
  });

  it("is one object in a thread, whatever way it came there", () => {
    const lock = make();
    assert.equal(Mutex.fromHandle(lock.toHandle()), lock);
    assert.equal(Mutex.fromHandle(structuredClone(lock.toHandle())), lock);
    using arena = Arena.create({ node: 0, size: "64 KiB" });
    const other = Mutex.create(arena);
    assert.notEqual(other, lock);
    assert.equal(Mutex.fromHandle(other.toHandle()), other);
  });

  it("takes two atomic operations and no foreign call uncontended", () => {
    const lock = make();
    lock.acquire();
    lock.release();
    const counted = counting(() => {
      lock.acquire();
      lock.release();
    });
    assert.deepEqual(counted, { atomics: { compareExchange: 2 }, helper: {} });
  });

  it("refuses what cannot be", () => {
    for (const wrong of [-1, 0.5, NaN, 2 ** 53, "1", null, {}]) {
      throwsCode(() => make({ threads: wrong as number }), "EINVAL");
      throwsCode(() => make().acquire({ timeoutMs: wrong as number }), "EINVAL");
    }
    for (const wrong of [0, 4097]) throwsCode(() => make({ threads: wrong }), "EINVAL");
    for (const wrong of [undefined, null, 7, "x", new ArrayBuffer(4096), new Uint8Array(4096)]) {
      throwsCode(() => Mutex.create(wrong as never), "EINVAL");
      throwsCode(() => Mutex.fromHandle(wrong as never), "EINVAL");
    }
    throwsCode(() => Mutex.create(new SharedArrayBuffer(Mutex.bytes() - 4)), "EINVAL");
    const used = new SharedArrayBuffer(Mutex.bytes());
    Mutex.create(used);
    throwsCode(() => Mutex.create(used), "EBUSY");
    const alone = Mutex.create(new Int32Array(Mutex.bytes() / 4));
    alone.acquire();
    alone.release();
    throwsCode(() => alone.toHandle(), "EINVAL");
  });

  it("is made by one of two threads that want the same memory at the same moment", () => {
    const memory = new SharedArrayBuffer(Mutex.bytes());
    const real = crypto.getRandomValues;
    let second: unknown;
    // In the midst of the first one, as another thread might.
    crypto.getRandomValues = ((array: Int32Array<ArrayBuffer>) => {
      crypto.getRandomValues = real;
      try {
        second = Mutex.create(memory);
      } catch (error) {
        second = error;
      }
      return real.call(crypto, array);
    }) as typeof real;
    try {
      const first = Mutex.create(memory);
      assert.equal((second as { code?: string }).code, "EBUSY");
      first.acquire();
      first.release();
    } finally {
      crypto.getRandomValues = real;
    }
  });

  it("does not take another thing's memory for its own", () => {
    const { data, numakitHandle } = make().toHandle() as Handle & { data: object };
    for (
      const changed of [
        { words: new Int32Array(new SharedArrayBuffer(65536)) },
        { lot: new SharedArrayBuffer(65536) },
        { words: undefined },
      ]
    ) {
      throwsCode(
        () => Mutex.fromHandle({ numakitHandle, data: { ...data, ...changed } }),
        "EINVAL",
      );
    }
  });

  it("does not block the main thread unasked, and times out", async () => {
    const lock = make();
    const words = new Int32Array(new SharedArrayBuffer(16));
    const thread = run({ task: "hold", lock, words });
    await reaches(words, 1, 1);
    throwsCode(() => lock.acquire(), "EWOULDBLOCK");
    throwsCode(() => lock.acquire({ block: true, timeoutMs: 20 }), "ETIMEDOUT");
    assert.equal(lock.tryAcquire(), undefined);
    await rejectsCode(lock.acquireAsync({ timeoutMs: 20 }), "ETIMEDOUT");
    const controller = new AbortController();
    const aborted = lock.acquireAsync({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    await assert.rejects(lock.acquireAsync({ signal: controller.signal }), /enough/);
    const waiting = lock.acquireAsync();
    Atomics.store(words, 2, 1);
    Atomics.notify(words, 2);
    await thread.join();
    (await waiting).release();
    using _guard = lock.acquire();
  });

  it("excludes asynchronous waits of one thread from each other", async () => {
    const lock = make();
    let inside = 0;
    let most = 0;
    await Promise.all(Array.from({ length: 10 }, async () => {
      using _guard = await lock.acquireAsync();
      most = Math.max(most, ++inside);
      await sleep(1);
      inside--;
    }));
    assert.equal(most, 1);
    assert.equal(lock.tryAcquire() !== undefined, true);
    lock.release();
  });

  it("is not given back by the thread for an asynchronous wait", async () => {
    const lock = make();
    const guard = await lock.acquireAsync();
    assert.equal(lock.held, false);
    throwsCode(() => lock.release(), "EOWNER");
    guard.release();
    guard.release();
    using _again = lock.acquire();
  });

  for (const place of ["a SharedArrayBuffer", "an arena"]) {
    it(`loses no count of eight threads, in ${place}`, async () => {
      using arena = Arena.create({ node: 0, size: "64 KiB" });
      const lock = place === "an arena" ? Mutex.create(arena) : make();
      const words = new Int32Array(new SharedArrayBuffer(16));
      const times = 20_000;
      const threads = Array.from({ length: 8 }, () => run({ task: "count", lock, words, times }));
      for (const thread of threads) await thread.join();
      assert.equal(words[0], 8 * times);
    });
  }

  it("says so when its arena is gone", async () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const lock = Mutex.create(arena);
    const guard = await lock.acquireAsync();
    const waiting = lock.acquireAsync();
    arena.destroy();
    await rejectsCode(waiting, "EDESTROYED");
    throwsCode(() => lock.acquire(), "EDESTROYED");
    throwsCode(() => lock.tryAcquire(), "EDESTROYED");
    throwsCode(() => lock.release(), "EDESTROYED");
    throwsCode(() => lock.toHandle(), "EDESTROYED");
    throwsCode(() => lock.markConsistent(), "EDESTROYED");
    throwsCode(() => guard.release(), "EDESTROYED");
    await rejectsCode(lock.acquireAsync(), "EDESTROYED");
  });

  it("goes to the next one when its owner dies, who is told", async () => {
    const lock = make();
    const words = new Int32Array(new SharedArrayBuffer(16));
    await assert.rejects(run({ task: "die", lock, words }).join(), /died holding/);
    {
      using guard = lock.acquire();
      assert.equal(guard.ownerDied, true);
      assert.equal(lock.markConsistent(), true);
      assert.equal(guard.ownerDied, false);
      assert.equal(lock.markConsistent(), false);
    }
    using guard = lock.acquire();
    assert.equal(guard.ownerDied, false);
  });

  it("is poisoned when the heir says nothing", async () => {
    const lock = make();
    const words = new Int32Array(new SharedArrayBuffer(16));
    await assert.rejects(run({ task: "die", lock, words }).join(), /died holding/);
    lock.acquire().release();
    throwsCode(() => lock.acquire(), "EOWNERDEAD");
    throwsCode(() => lock.tryAcquire(), "EOWNERDEAD");
    await rejectsCode(lock.acquireAsync(), "EOWNERDEAD");
    await assert.rejects(
      run({ task: "count", lock, words }).join(),
      (error: NumaError) => error.code === "EOWNERDEAD",
    );
    assert.equal(lock.markConsistent(), true);
    using _guard = lock.acquire();
  });

  it("can be marked consistent by an heir that does not block", async () => {
    const lock = make();
    const words = new Int32Array(new SharedArrayBuffer(16));
    await run({ task: "die", lock, words }).join().catch(() => undefined);
    const guard = await lock.acquireAsync();
    assert.equal(guard.ownerDied, true);
    assert.equal(lock.markConsistent(), true);
    assert.equal(guard.ownerDied, false);
    guard.release();
    assert.equal(lock.acquire().ownerDied, false);
    lock.release();
  });

  it("does not let a thread sleep for what it holds without blocking", async () => {
    const lock = make();
    const guard = await lock.acquireAsync();
    throwsCode(() => lock.acquire({ block: true }), "EDEADLK", /acquireAsync/);
    assert.equal(lock.tryAcquire(), undefined);
    const next = lock.acquireAsync();
    guard.release();
    (await next).release();
    lock.acquire({ block: true }).release();
  });

  it("takes patience for whole milliseconds up to a minute", () => {
    for (const patienceMs of [0, 0.5, 60_001, NaN, "10" as unknown as number]) {
      throwsCode(() => Mutex.bytes({ patienceMs }), "EINVAL");
      throwsCode(() => Mutex.create(new SharedArrayBuffer(65536), { patienceMs }), "EINVAL");
    }
    for (const patienceMs of [1, 60_000]) make({ patienceMs }).acquire().release();
  });

  it("counts what happens when asked to", async () => {
    assert.equal(make().statistics, undefined);
    const lock = make({ statistics: true });
    lock.acquire();
    lock.release();
    const words = new Int32Array(new SharedArrayBuffer(16));
    const first = run({ task: "count", lock, words, times: 1000 });
    const second = run({ task: "count", lock, words, times: 1000 });
    await first.join();
    await second.join();
    const report = lock.statistics;
    assert.equal(report?.acquisitions, 2001);
    const handoffs = report.handoffsWithin + report.handoffsAcross;
    assert.ok(handoffs >= 2 && handoffs < 2001, `${handoffs} hand-offs`);
    assert.ok(report.contended >= report.parked && report.longestHoldMs > 0);
  });
});
