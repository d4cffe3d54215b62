import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, type LockOptions, type NumaError } from "../../mod.ts";
import { decode } from "../../lib/base/handle.ts";
import { createRegion } from "../../lib/shared/region.ts";
import { Lock } from "../../lib/sync/locks/lock.ts";
import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import type { Wait, Waiter } from "../../lib/wait/waiter.ts";
import { counting } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { checkExcludesAsync, checkHeldByOne } from "../support/lock_checks.ts";
import { EXCLUSIVE, type LocalSide } from "../support/locks.ts";
import { runLocks } from "../support/launches.ts";
import { reaches, sharedWords } from "../support/words.ts";

// The locks as everybody uses them, in real threads; lock_cores_test.ts has their algorithms.

/** Lets so many threads go on at the same time. */
async function start(words: Int32Array, threads: number): Promise<void> {
  await reaches(words, 1, threads);
  Atomics.store(words, 2, 1);
  Atomics.notify(words, 2);
}

/** A thread's turns: a lock that is handed on takes a context switch each. */
const turnsOf = ({ row }: LocalSide, many: number): number => row.overtaken < Infinity ? 150 : many;

/** What all of them do. */
function testLock(side: LocalSide): void {
  const { atomics, row: { type } } = side;
  const make = (options: LockOptions = {}): Lock => side.lock(undefined, options);

  it("is held by one at a time, and given back once", () => {
    const lock = make();
    checkHeldByOne(lock);
    assert.equal(lock.markConsistent(), false);
  });

  it("is one object in a thread, whatever way it came there", () => {
    const lock = make();
    assert.equal(decode(lock.toHandle()), lock);
    assert.equal(decode(structuredClone(lock.toHandle())), lock);
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const other = side.lock(arena);
    assert.notEqual(other, lock);
    assert.equal(decode(other.toHandle()), other);
    const whole = type.create(new SharedArrayBuffer(type.bytes()));
    assert.equal(type.fromHandle(whole.toHandle()), whole);
  });

  it(`takes ${JSON.stringify(atomics)} and no foreign call uncontended`, () => {
    const lock = make();
    lock.acquire();
    lock.release();
    const counted = counting(() => {
      lock.acquire();
      lock.release();
    });
    assert.deepEqual(counted, { atomics, helper: {} });
  });

  it("refuses what cannot be", () => {
    assert.ok(type.bytes({ threads: 4096 }) > 0);
    for (const wrong of [-1, 0, 0.5, NaN, 4097, 2 ** 53, "1", null, {}]) {
      throwsCode(() => make({ threads: wrong as number }), "EINVAL");
    }
    for (const wrong of [-1, 0.5, NaN, 2 ** 53, "1", null, {}]) {
      throwsCode(() => make().acquire({ timeoutMs: wrong as number }), "EINVAL");
    }
    for (const wrong of [undefined, null, 7, "x", new ArrayBuffer(4096), new Uint8Array(4096)]) {
      throwsCode(() => type.create(wrong as never), "EINVAL");
      throwsCode(() => type.fromHandle(wrong as never), "EINVAL");
    }
    throwsCode(() => side.lock(new SharedArrayBuffer(side.bytes() - 4)), "EINVAL");
    const used = new SharedArrayBuffer(side.bytes());
    side.lock(used);
    throwsCode(() => side.lock(used), "EBUSY");
    const alone = side.lock(new Int32Array(side.bytes() / 4));
    alone.acquire();
    alone.release();
    throwsCode(() => alone.toHandle(), "EINVAL");
  });

  it("does not block the main thread unasked, and times out", async () => {
    const lock = make();
    const words = sharedWords(4);
    const thread = runLocks({ task: "hold", lock, words });
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
    await checkExcludesAsync(lock);
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

  it("loses no count of four threads, in an arena", async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const lock = side.lock(arena, { statistics: true });
    const words = sharedWords(4);
    const times = turnsOf(side, 2000);
    const threads = Array.from(
      { length: 4 },
      () => runLocks({ task: "count", lock, words, times }),
    );
    await start(words, 4);
    for (const thread of threads) await thread.join();
    assert.equal(words[0], 4 * times);
    assert.equal(lock.statistics?.acquisitions, 4 * times);
  });

  it("loses no count of threads that give up and come back", async () => {
    const lock = make();
    const words = sharedWords(4);
    const times = 150;
    const threads = Array.from(
      { length: 4 },
      () => runLocks({ task: "short", lock, words, times }),
    );
    await start(words, 4);
    let missed = 0;
    for (const thread of threads) missed += await thread.join();
    assert.equal((words[0] as number) + missed, 4 * times);
    using _guard = lock.acquire();
  });

  it("counts what happens when asked to", async () => {
    assert.equal(make().statistics, undefined);
    const lock = make({ statistics: true });
    lock.acquire();
    lock.release();
    const words = sharedWords(4);
    const times = turnsOf(side, 1000);
    const threads = Array.from(
      { length: 2 },
      () => runLocks({ task: "count", lock, words, times }),
    );
    await start(words, 2);
    for (const thread of threads) await thread.join();
    const report = lock.statistics;
    assert.equal(report?.acquisitions, 2 * times + 1);
    const handoffs = report.handoffsWithin + report.handoffsAcross;
    assert.ok(handoffs >= 2 && handoffs < 2 * times + 1, `${handoffs} hand-offs`);
    assert.ok(report.contended >= report.parked && report.longestHoldMs > 0);
  });

  it("counts how long an asynchronous call has held it", async () => {
    const lock = make({ statistics: true });
    const guard = await lock.acquireAsync();
    const start = performance.now();
    while (performance.now() < start + 2) await sleep(1);
    guard.release();
    assert.ok((lock.statistics?.longestHoldMs ?? 0) >= 2);
  });

  it("says so when its arena is gone", async () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const lock = side.lock(arena);
    const mine = side.lock(arena);
    mine.acquire();
    const guard = await lock.acquireAsync();
    const waiting = lock.acquireAsync();
    arena.destroy();
    await rejectsCode(waiting, "EDESTROYED");
    throwsCode(() => mine.release(), "EDESTROYED", /^Cannot release/);
    throwsCode(() => lock.acquire(), "EDESTROYED", /^Cannot acquire/);
    throwsCode(() => lock.tryAcquire(), "EDESTROYED");
    throwsCode(() => lock.release(), "EDESTROYED");
    throwsCode(() => lock.toHandle(), "EDESTROYED");
    throwsCode(() => lock.markConsistent(), "EDESTROYED");
    throwsCode(() => guard.release(), "EDESTROYED");
    await rejectsCode(lock.acquireAsync(), "EDESTROYED");
  });
}

/** What those do that go on when their holder dies. */
function testRobust(side: LocalSide): void {
  const afterDeath = async (): Promise<{ lock: Lock; words: Int32Array }> => {
    const lock = side.lock();
    const words = sharedWords(4);
    await assert.rejects(runLocks({ task: "die", lock, words }).join(), /died holding/);
    return { lock, words };
  };

  it("goes to the next one when its owner dies, who is told", async () => {
    const { lock } = await afterDeath();
    {
      using guard = lock.acquire({ block: true });
      assert.equal(guard.ownerDied, true);
      assert.equal(lock.markConsistent(), true);
      assert.equal(guard.ownerDied, false);
      assert.equal(lock.markConsistent(), false);
    }
    using guard = lock.acquire();
    assert.equal(guard.ownerDied, false);
  });

  it("is poisoned when the heir says nothing", async () => {
    const { lock, words } = await afterDeath();
    lock.acquire({ block: true }).release();
    throwsCode(() => lock.acquire(), "EOWNERDEAD");
    throwsCode(() => lock.tryAcquire(), "EOWNERDEAD");
    await rejectsCode(lock.acquireAsync(), "EOWNERDEAD");
    Atomics.store(words, 2, 1);
    await assert.rejects(
      runLocks({ task: "count", lock, words }).join(),
      (error: NumaError) => error.code === "EOWNERDEAD",
    );
    assert.equal(lock.markConsistent(), true);
    using _guard = lock.acquire();
  });

  it("can be marked consistent by an heir that does not block", async () => {
    const { lock } = await afterDeath();
    const guard = await lock.acquireAsync();
    assert.equal(guard.ownerDied, true);
    assert.equal(lock.markConsistent(), true);
    assert.equal(guard.ownerDied, false);
    guard.release();
    assert.equal(lock.acquire().ownerDied, false);
    lock.release();
  });
}

/** What those do that break when their holder dies. */
function testBrittle(side: LocalSide): void {
  it("tells all that wait when its owner dies, then and later", async () => {
    const lock = side.lock();
    const words = sharedWords(4);
    await assert.rejects(runLocks({ task: "die", lock, words }).join(), /died holding/);
    const isDead = (error: NumaError): boolean => error.code === "EOWNERDEAD";
    words[1] = 0;
    const waiters = [1, 2].map(() => runLocks({ task: "count", lock, words }).join());
    await start(words, 2);
    for (const waiter of waiters) await assert.rejects(waiter, isDead);
    throwsCode(() => lock.acquire({ block: true, timeoutMs: 1000 }), "EOWNERDEAD");
    throwsCode(() => lock.acquire(), "EOWNERDEAD");
    throwsCode(() => lock.tryAcquire(), "EOWNERDEAD");
    await rejectsCode(lock.acquireAsync(), "EOWNERDEAD");
  });
}

for (const side of EXCLUSIVE) {
  describe(side.name, () => {
    testLock(side);
    if (side.robust) testRobust(side);
    else testBrittle(side);
  });
}

describe("passes of a lock that stays in a domain", () => {
  it("is a count", () => {
    for (const { row: { type } } of EXCLUSIVE.filter(({ row }) => row.options?.["passes"])) {
      for (const wrong of [-1, 0, 0.5, NaN, 2 ** 30 + 1, "1", null]) {
        throwsCode(() => type.bytes({ passes: wrong as number }), "EINVAL");
      }
      const options = { threads: 4, passes: 3 };
      const lock = type.create(new SharedArrayBuffer(type.bytes(options)), options) as Lock;
      using _guard = lock.acquire();
    }
  });
});

/** A lock whose owner is found dead by the first wait that is told to end. */
class Inherited implements LockCore {
  released = 0;
  #owner: number | undefined;

  tryAcquire(): boolean {
    return false;
  }

  begin(): boolean {
    return false;
  }

  *wait(me: Waiter): Wait<boolean> {
    while (!(yield 1000));
    this.#owner ??= me.id;
    return this.#owner === me.id;
  }

  release(me: Waiter): boolean {
    if (this.#owner !== me.id) return false;
    this.#owner = undefined;
    this.released++;
    return true;
  }

  holds(me: Waiter): boolean {
    return this.#owner === me.id;
  }

  ownerDied(): boolean {
    return this.#owner !== undefined;
  }
}

class AnyLock extends Lock {
  constructor(core: LockCore) {
    const kind = { name: "locks_test", title: "a lock", code: 98, words: () => 16 };
    const region = createRegion(kind, new SharedArrayBuffer(4096), {}, "test a lock");
    super({ title: "a lock" }, region, core, () => this.release());
  }
}

describe("Lock", () => {
  it("keeps what a wait has from a dead owner when its thread is about to sleep", async () => {
    const core = new Inherited();
    const lock = new AnyLock(core);
    const wait = lock.acquireAsync();
    // Given back without a word it would be poisoned.
    throwsCode(() => lock.acquire({ block: true, timeoutMs: 100 }), "EDEADLK");
    assert.equal(core.released, 0);
    const guard = await wait;
    assert.equal(guard.ownerDied, true);
    guard.release();
    assert.equal(core.released, 1);
  });
});
