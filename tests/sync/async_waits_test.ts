import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import {
  Arena,
  Condition,
  EventCount,
  Latch,
  launch,
  type Lock,
  McsLock,
  Mutex,
  Once,
  Semaphore,
  SharedMutex,
  type Thread,
} from "../../mod.ts";
import { Replicated } from "../../lib/memory/spread/replicated.ts";
import { claimWaiter, currentWaiter } from "../../lib/wait/thread_waiter.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { type AnyLock, EXCLUSIVE, READ } from "../support/locks.ts";
import type { HolderTask } from "../workers/holder.ts";

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
const module = sibling(import.meta.url, "../workers/holder");

const MANY = 1000;

/** The slots that are taken: one for each thread, and for what it awaits. */
function slotsTaken(): number {
  const { lot, id, slot } = claimWaiter();
  lot.release(id);
  return slot;
}

/** Holds a lock in a thread of its own until it is told. */
async function holdElsewhere(lock: AnyLock): Promise<() => Promise<unknown>> {
  const words = new Int32Array(shared(8));
  const args: HolderTask = { locks: [lock], words };
  const thread: Thread<unknown> = launch(module, { args });
  while (Atomics.load(words, 0) === 0) await sleep(1);
  return async () => {
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    return await thread.join();
  };
}

/** So many waits for a lock, and the order in which they had it. */
function many(lock: AnyLock, count = MANY): { all: Promise<unknown>; order: number[] } {
  const order: number[] = [];
  let inside = 0;
  const one = async (index: number): Promise<void> => {
    const guard = await lock.acquireAsync();
    assert.equal(++inside, 1);
    if (index % 100 === 0) await sleep(0);
    order.push(index);
    inside--;
    guard.release();
  };
  return { all: Promise.all(Array.from({ length: count }, (_, index) => one(index))), order };
}

describe(`${MANY} asynchronous waits of one thread`, () => {
  for (const { name, lock: make } of EXCLUSIVE) {
    it(`have a ${name} one after the other, in one slot`, async () => {
      const lock = make();
      const before = slotsTaken();
      const letGo = await holdElsewhere(lock);
      const { all, order } = many(lock);
      await sleep(5);
      assert.ok(slotsTaken() - before <= 2, `${slotsTaken() - before} slots`);
      await letGo();
      await all;
      assert.deepEqual(order, Array.from({ length: MANY }, (_, index) => index));
      assert.equal(lock.tryAcquire()?.release(), undefined);
    });
  }

  it("have a SharedMutex at less than a millisecond each", async () => {
    using arena = Arena.create({ node: 0, size: "64 KiB", name: `async-waits-${process.pid}` });
    const lock = SharedMutex.create(arena);
    const letGo = await holdElsewhere(lock);
    const { all, order } = many(lock, 100);
    await letGo();
    await all;
    assert.equal(order.length, 100);
    let ms = Infinity;
    // The fastest of some: on a busy machine others have the CPU meanwhile.
    for (let round = 0; round < 20 && ms >= 100; round++) {
      const first = await lock.acquireAsync();
      const start = performance.now();
      const rest = many(lock, 100);
      first.release();
      await rest.all;
      ms = performance.now() - start;
    }
    assert.ok(ms < 100, `${ms} ms for 100`);
  });

  it(`wait for ${MANY} locks at the same time`, async () => {
    const locks = Array.from({ length: MANY }, () => Mutex.create(shared(Mutex.bytes())));
    const words = new Int32Array(shared(8));
    const thread = launch(module, { args: { locks, words } satisfies HolderTask });
    while (Atomics.load(words, 0) === 0) await sleep(1);
    const all = Promise.all(locks.map(async (lock) => (await lock.acquireAsync()).release()));
    await sleep(5);
    Atomics.store(words, 1, 1);
    Atomics.notify(words, 1);
    await all;
    await thread.join();
  });

  it("read together, and let writers of other threads and of their own in", async () => {
    for (const side of READ) {
      const { lock: read, other: write } = side.make();
      const guards = await Promise.all(Array.from({ length: MANY }, () => read.acquireAsync()));
      let wrote = 0;
      const mine = write.acquireAsync().then((guard) => (wrote++, guard));
      const late = read.acquireAsync();
      await sleep(2);
      assert.equal(wrote, 0);
      for (const guard of guards) guard.release();
      for (const guard of guards) guard.release();
      (await mine).release();
      assert.equal(wrote, 1);
      const reader = await late;
      const writing = holdElsewhere(write);
      // Whoever else wants to write keeps further readers out, those of this thread, too.
      for (let probe = read.tryAcquire(); probe !== undefined; probe = read.tryAcquire()) {
        probe.release();
        await sleep(1);
      }
      await rejectsCode(read.acquireAsync({ timeoutMs: 5 }), "ETIMEDOUT");
      reader.release();
      await (await writing)();
      (await read.acquireAsync()).release();
    }
  });

  it("get permits in their order", async () => {
    const permits = Semaphore.create(shared(Semaphore.bytes()), 0, { maxPermits: 3 });
    const order: number[] = [];
    const all = Promise.all(Array.from({ length: MANY }, async (_, index) => {
      await permits.acquireAsync(1 + index % 3);
      order.push(index);
      permits.release(1 + index % 3);
    }));
    permits.release(3);
    await all;
    assert.deepEqual(order, Array.from({ length: MANY }, (_, index) => index));
  });

  it("pass a latch, and do once what is to be done once", async () => {
    const latch = Latch.create(shared(Latch.bytes()), 1);
    const passed = Promise.all(Array.from({ length: MANY }, () => latch.waitAsync()));
    await rejectsCode(latch.waitAsync({ timeoutMs: 1 }), "ETIMEDOUT");
    latch.countDown();
    await passed;
    const once = Once.create(shared(Once.bytes()));
    let runs = 0;
    const run = async (): Promise<void> => {
      await sleep(1);
      if (++runs < 3) throw new Error("not yet");
    };
    const calls = Array.from({ length: MANY }, () => once.runAsync(run));
    const outcomes = await Promise.allSettled(calls);
    assert.equal(runs, 3);
    assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 2);
  });

  it("get events, as many as there are", async () => {
    const events = EventCount.create(shared(EventCount.bytes()));
    let items = 0;
    const take = (): boolean => items > 0 && items-- > 0;
    let got = 0;
    const all = Promise.all(Array.from({ length: MANY }, async () => {
      await events.waitUntilAsync(take);
      got++;
    }));
    await rejectsCode(events.waitUntilAsync(take, { timeoutMs: 1 }), "ETIMEDOUT");
    items = 1;
    events.notify();
    while (got < 1) await sleep(1);
    await sleep(2);
    assert.equal(got, 1);
    items = MANY - 1;
    for (let index = 0; index < MANY - 1; index++) events.notify();
    await all;
    assert.equal(events.notifyAll(), false);
  });

  it("are signalled one by one, or all at once", async () => {
    const lock = Mutex.create(shared(Mutex.bytes()));
    const condition = Condition.create(shared(Condition.bytes()));
    let woken = 0;
    const one = async (): Promise<void> => {
      const guard = await lock.acquireAsync();
      const again = await condition.waitAsync(lock, guard);
      woken++;
      again.release();
    };
    const all = Promise.all(Array.from({ length: MANY }, one));
    (await lock.acquireAsync()).release();
    for (let signals = 1; signals <= 20; signals++) {
      condition.signal();
      if (signals % 5 === 0) { while (woken < signals) await sleep(1); }
    }
    await sleep(2);
    assert.equal(woken, 20);
    condition.broadcast();
    await all;
    assert.equal(condition.broadcast(), false);
  });

  it("give up one by one", async () => {
    const lock = Mutex.create(shared(Mutex.bytes()));
    const guard = await lock.acquireAsync();
    const aborter = new AbortController();
    const why = new Error("enough");
    const aborted = Array.from(
      { length: 100 },
      () => assert.rejects(lock.acquireAsync({ signal: aborter.signal }), why),
    );
    const late = Array.from(
      { length: 100 },
      () => rejectsCode(lock.acquireAsync({ timeoutMs: 5 }), "ETIMEDOUT"),
    );
    const last = lock.acquireAsync();
    aborter.abort(why);
    await Promise.all([...aborted, ...late]);
    guard.release();
    (await last).release();
    const letGo = await holdElsewhere(lock);
    await rejectsCode(lock.acquireAsync({ timeoutMs: 0 }), "ETIMEDOUT");
    await letGo();
  });

  it("read as soon as a writer of their thread that was before them gives up", async () => {
    for (const side of READ) {
      const { lock: read, other: write } = side.make();
      const reader = await read.acquireAsync();
      const writer = rejectsCode(write.acquireAsync({ timeoutMs: 5 }), "ETIMEDOUT");
      const next = read.acquireAsync({ timeoutMs: 5000 });
      await writer;
      (await next).release();
      reader.release();
    }
  });

  it("leave no listener at a signal, however they end", async () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = AbortSignal.prototype;
    Object.assign(signal, {
      addEventListener(...args: Parameters<typeof addEventListener>): void {
        listeners++;
        addEventListener.apply(signal, args);
      },
      removeEventListener(...args: Parameters<typeof removeEventListener>): void {
        listeners--;
        removeEventListener.apply(signal, args);
      },
    });
    const lock = Mutex.create(shared(Mutex.bytes()));
    const guard = await lock.acquireAsync({ signal });
    const next = lock.acquireAsync({ signal });
    const late = rejectsCode(lock.acquireAsync({ signal, timeoutMs: 1 }), "ETIMEDOUT");
    assert.equal(listeners, 2);
    await late;
    guard.release();
    (await next).release();
    assert.equal(listeners, 0);
  });

  it("leave nothing at a condition when their lock cannot be given back", async () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const lock = Mutex.create(arena);
    const guard = await lock.acquireAsync();
    arena.destroy();
    await sleep(1);
    const before = slotsTaken();
    const condition = Condition.create(shared(Condition.bytes()));
    await rejectsCode(condition.waitAsync(lock, guard), "EDESTROYED");
    assert.equal(condition.signal(), false);
    assert.equal(slotsTaken(), before);
  });

  it("leave the lock to whatever their thread does next, and do not keep it from a call that sleeps", async () => {
    for (const { name, lock: make } of EXCLUSIVE) {
      const lock = make();
      const guard = await lock.acquireAsync();
      const next = lock.acquireAsync();
      guard.release();
      lock.acquire({ block: true, timeoutMs: 1000 });
      lock.release();
      (await next).release();
      const letGo = await holdElsewhere(lock);
      const waits = [lock.acquireAsync(), lock.acquireAsync()];
      await sleep(15);
      const told = letGo();
      lock.acquire({ block: true, timeoutMs: 5000 });
      assert.equal(lock.held, true, name);
      lock.release();
      for (const wait of waits) (await wait).release();
      await told;
    }
  });

  it("are refused where a thread would wait for what it holds by another of them", async () => {
    const lock = Mutex.create(shared(Mutex.bytes()));
    const guard = await lock.acquireAsync();
    throwsCode(() => lock.acquire({ block: true, timeoutMs: 1 }), "EDEADLK");
    guard.release();
    const once = Once.create(shared(Once.bytes()));
    const run = once.runAsync(() => sleep(5));
    throwsCode(() => once.run(() => {}, { block: true }), "EDEADLK");
    await run;
  });
});

/** A worker that nobody launched through numakit, which holds a lock when it is terminated. */
async function killHolder(lock: Lock): Promise<void> {
  const words = new Int32Array(shared(8));
  const worker = new Worker(sibling(import.meta.url, "../modules/plain_holder"), {
    workerData: { lock: lock.toHandle(), words },
  });
  while (Atomics.load(words, 0) === 0) await sleep(1);
  await sleep(10);
  await worker.terminate();
}

describe("a wait that blocks", () => {
  it("notices by itself that the owner is dead", async () => {
    const lock = Mutex.create(shared(Mutex.bytes()));
    await killHolder(lock);
    const { lot, id } = currentWaiter();
    // A wake-up from before would have it look at once.
    lot.park(id, 0);
    const guard = lock.acquire({ block: true, timeoutMs: 60_000 });
    assert.equal(guard.ownerDied, true);
    lock.markConsistent();
    guard.release();
  });
});

describe("an asynchronous wait", () => {
  it("notices that the owner is dead as soon as one that blocks", async () => {
    const lock = Mutex.create(shared(Mutex.bytes()));
    const started = killHolder(lock);
    await sleep(1);
    while (lock.tryAcquire()?.release() !== undefined) await sleep(1);
    await started;
    const start = performance.now();
    const guard = await lock.acquireAsync({ timeoutMs: 5000 });
    assert.equal(guard.ownerDied, true);
    assert.ok(performance.now() - start < 1000, `${performance.now() - start} ms`);
    lock.markConsistent();
    guard.release();
  });

  it("notices it also after others have ended with their arena", async () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const gone = Mutex.create(arena);
    gone.acquire();
    const ends = [1, 2, 3].map(() => rejectsCode(gone.acquireAsync(), "EDESTROYED"));
    arena.destroy();
    await Promise.all(ends);
    const lock = Mutex.create(shared(Mutex.bytes()));
    await killHolder(lock);
    const guard = await lock.acquireAsync({ timeoutMs: 5000 });
    assert.equal(guard.ownerDied, true);
    lock.markConsistent();
    guard.release();
  });

  it("that has begun before notices it, too", async () => {
    const lock = McsLock.create(shared(McsLock.bytes()));
    const words = new Int32Array(shared(8));
    const worker = new Worker(sibling(import.meta.url, "../modules/plain_holder"), {
      workerData: { lock: lock.toHandle(), words },
    });
    while (Atomics.load(words, 0) === 0) await sleep(1);
    const wait = rejectsCode(lock.acquireAsync({ timeoutMs: 5000 }), "EOWNERDEAD");
    const next = rejectsCode(lock.acquireAsync({ timeoutMs: 5000 }), "EOWNERDEAD");
    await sleep(10);
    await worker.terminate();
    await Promise.all([wait, next]);
  });
});

describe("an update of a Replicated that has waited", () => {
  it("may abort its own signal", async () => {
    using replicated = Replicated.create({ size: 64 });
    const snapshot = replicated.local();
    assert.equal(replicated.update((next) => void next.fill(1)), 1);
    const controller = new AbortController();
    const update = replicated.updateAsync(() => controller.abort(), { signal: controller.signal });
    await sleep(5);
    snapshot[Symbol.dispose]();
    // It was made, whatever the signal says by then.
    assert.equal(await update, 2);
    // Nothing is left that the next ones would wait for, and they can wait as ever.
    const other = replicated.local();
    assert.equal(await replicated.updateAsync((next) => void next.fill(3)), 3);
    const last = replicated.updateAsync((next) => void next.fill(4));
    await sleep(5);
    other[Symbol.dispose]();
    assert.equal(await last, 4);
  });
});

describe("options that are null", () => {
  it("are refused by asynchronous waits", async () => {
    const none = null as never;
    const memory = () => new SharedArrayBuffer(2 ** 16);
    await rejectsCode(Mutex.create(memory()).acquireAsync(none), "EINVAL");
    await rejectsCode(Semaphore.create(memory(), 1).acquireAsync(1, none), "EINVAL");
    const lock = Mutex.create(memory());
    const wait = Condition.create(memory()).waitAsync(lock, await lock.acquireAsync(), none);
    await rejectsCode(wait, "EINVAL");
  });
});
