import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { launch, type Lock, RwLock, RwSpinLock, SeqLock, type Thread } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { counting, withLoads } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { type Atomics, type LockClass, READ, SHARED, type Sides } from "../support/locks.ts";
import { sharedWords } from "../support/words.ts";
import type { ReadersTask } from "../workers/readers.ts";

const module = sibling(import.meta.url, "../workers/readers");

function run(args: ReadersTask): Thread<number> {
  return launch<number>(module, { args });
}

describe("readers and their like, in threads", () => {
  type Whole = LockClass<Sides<Lock>>;
  const make = (type: Whole, options: object = {}) =>
    type.create(new SharedArrayBuffer(type.bytes(options)), options);

  it("take so many atomic operations uncontended, and no foreign call", () => {
    const sides = READ.map((side) => [side.lock(), side.atomics] as const);
    const record = SeqLock.create(new SharedArrayBuffer(SeqLock.bytes({ words: 4 })), { words: 4 });
    const out = new Int32Array(4);
    const bodies: (readonly [() => void, Atomics])[] = [
      ...sides.map(([lock, atomics]) => [() => lock.acquire().release(), atomics] as const),
      [() => record.read(out), withLoads({ shared: 2, following: 4 })],
      [() => record.write(out), { compareExchange: 2, load: 1, store: 5 }],
    ];
    for (const [body, atomics] of bodies) {
      body();
      assert.deepEqual(counting(body), { atomics, helper: {} }, `${body}`);
    }
  });

  it("give the writers' lock back after a read that needed it", () => {
    const record = SeqLock.create(new SharedArrayBuffer(SeqLock.bytes({ words: 4 })), { words: 4 });
    const out = new Int32Array(4);
    let written = 0;
    let isLocked = false;
    let isBusy = false;
    const { store, load, compareExchange } = Atomics;
    const real = { store, load, compareExchange };
    // Writes in the middle of each read, until one takes the lock.
    const hook = (name: keyof typeof real) => (...args: unknown[]): unknown => {
      if (!isBusy && name === "compareExchange") isLocked = true;
      if (!isBusy && !isLocked) {
        isBusy = true;
        record.write(new Int32Array(4).fill(++written));
        isBusy = false;
      }
      return (real[name] as unknown as (...args: unknown[]) => unknown)(...args);
    };
    Object.assign(
      Atomics,
      Object.fromEntries(Object.keys(real).map((n) => [n, hook(n as "load")])),
    );
    try {
      record.read(out);
    } finally {
      Object.assign(Atomics, real);
    }
    assert.ok(isLocked);
    assert.deepEqual([...out], new Array(4).fill(written));
    record.write([1, 2, 3, 4], { block: false });
  });

  it("refuse one side to who holds the other", () => {
    for (const { type } of SHARED) {
      const lock = make(type);
      {
        using _guard = lock.read.acquire();
        throwsCode(() => lock.read.acquire(), "EDEADLK");
        throwsCode(() => lock.write.acquire(), "EDEADLK");
        throwsCode(() => lock.write.tryAcquire(), "EDEADLK");
      }
      using _guard = lock.write.acquire();
      throwsCode(() => lock.read.tryAcquire(), "EDEADLK");
    }
    assert.equal(RwLock.fromHandle(make(RwLock).toHandle()) instanceof RwLock, true);
    throwsCode(() => RwSpinLock.fromHandle(make(RwLock).toHandle()), "EINVAL");
  });

  for (const { name, type, shared: { findsDeadReaders } } of SHARED) {
    it(`see whole writes under ${name}, and lose none`, async () => {
      const lock = make(type);
      const words = sharedWords(2);
      const times = 3000;
      const threads = ["read", "write", "read", "write", "read", "read"].map((task) =>
        run({ task: task as "read", lock, words, times })
      );
      for (const thread of threads) await thread.join();
      assert.deepEqual([words[0], words[1]], [2 * times, 2 * times]);
    });

    it(`are counted by ${name} when it is asked to, a side at a time`, async () => {
      const quiet = make(type);
      assert.equal(quiet.read.statistics ?? quiet.write.statistics, undefined);
      const options = { statistics: true, threads: 16 };
      const many = { statistics: true, threads: 32 };
      const lines = (type.bytes(many) - type.bytes({ threads: 32 })) / 128;
      assert.ok(lines >= 33 && lines < 34, `${lines} lines`);
      const lock = make(type, options);
      lock.write.acquire().release();
      assert.equal(lock.write.statistics?.handoffsWithin, 0);
      const words = sharedWords(2);
      const threads = [
        ...[1, 2].map(() => run({ task: "read", lock, words, times: 2000 })),
        ...[1, 2].map(() => run({ task: "write", lock, words, times: 1000 })),
      ];
      (await lock.read.acquireAsync()).release();
      for (const thread of threads) await thread.join();
      const [read, write] = [lock.read.statistics, lock.write.statistics];
      assert.equal(read?.acquisitions, 4001);
      assert.equal(read.handoffsWithin + read.handoffsAcross, 0);
      assert.equal(write?.acquisitions, 2001);
      assert.ok(write.handoffsWithin + write.handoffsAcross >= 2);
      for (const side of [read, write]) {
        assert.ok(side.contended >= side.parked && side.longestHoldMs > 0);
      }
      throwsCode(() => type.bytes({ statistics: 1 }), "EINVAL");
    });

    it(`are told by ${name} that a writer died`, async () => {
      const lock = make(type);
      await assert.rejects(
        run({ task: "die", lock, words: sharedWords(2), times: 1 }).join(),
        /died/,
      );
      throwsCode(() => lock.read.acquire({ block: true }), "EOWNERDEAD");
      await rejectsCode(lock.read.acquireAsync(), "EOWNERDEAD");
      {
        using guard = lock.write.acquire({ block: true });
        assert.equal(guard.ownerDied, true);
        assert.equal(lock.write.markConsistent(), true);
      }
      using _guard = lock.read.acquire();
    });

    if (!findsDeadReaders) continue;
    it(`do not wait for a dead reader of a ${name}`, async () => {
      const lock = make(type);
      const args = { lock, words: sharedWords(2), times: 1 };
      await assert.rejects(run({ task: "die reading", ...args }).join(), /died/);
      using guard = lock.write.acquire({ block: true });
      assert.equal(guard.ownerDied, false);
    });
  }

  it("do not sleep for what their thread holds without blocking", async () => {
    for (const { type } of SHARED) {
      const lock = make(type);
      for (const [mine, other] of [[lock.read, lock.write], [lock.write, lock.read]] as const) {
        const guard = await mine.acquireAsync();
        throwsCode(() => other.acquire({ block: true }), "EDEADLK", /acquireAsync/);
        guard.release();
        other.acquire({ block: true }).release();
      }
      const guards = [await lock.read.acquireAsync(), lock.read.acquire()];
      for (const guard of guards) guard.release();
    }
  });

  it("read and write without blocking the thread", async () => {
    const lock = make(RwLock);
    const [first, second] = await Promise.all([lock.read.acquireAsync(), lock.read.acquireAsync()]);
    await rejectsCode(lock.write.acquireAsync({ timeoutMs: 10 }), "ETIMEDOUT");
    const writing = lock.write.acquireAsync();
    await sleep(5);
    await rejectsCode(lock.read.acquireAsync({ timeoutMs: 10 }), "ETIMEDOUT");
    first.release();
    second.release();
    const guard = await writing;
    const reading = lock.read.acquireAsync();
    await sleep(5);
    guard.release();
    (await reading).release();
    using _guard = lock.write.acquire();
  });

  it("see whole records", async () => {
    for (const size of [2, 16]) {
      const memory = new SharedArrayBuffer(SeqLock.bytes({ words: size }));
      const record = SeqLock.create(memory, { words: size });
      const words = sharedWords(2);
      const tasks = ["look", "put", "look", "put"] as const;
      const threads = tasks.map((task) => run({ task, record, words, times: 5000 }));
      for (const thread of threads) await thread.join();
      const out = new Int32Array(size);
      record.read(out);
      assert.ok(out.every((word) => word === out[0]));
    }
    throwsCode(() => SeqLock.bytes({ words: 17 }), "EINVAL");
    const small = SeqLock.create(new SharedArrayBuffer(SeqLock.bytes({ words: 2 })), { words: 2 });
    throwsCode(() => small.read(new Int32Array(1)), "EINVAL");
    throwsCode(() => small.write([1]), "EINVAL");
    throwsCode(() => small.write(undefined as never), "EINVAL");
  });
});
