import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import {
  Arena,
  CnaLock,
  CohortLock,
  launch,
  type Lock,
  type LockOptions,
  McsLock,
  type NumaError,
  type Thread,
  TicketLock,
} from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { counting } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import type { QueueTask } from "../workers/queue_locks.ts";

// The locks as everybody uses them, in real threads; sync_queue_locks_test.ts has their algorithms.

const module = sibling(import.meta.url, "../workers/queue_locks");

function run(args: QueueTask): Thread<number> {
  return launch<number>(module, { args });
}

/** Resolves when a word has got there. */
async function reaches(words: Int32Array, index: number, value: number): Promise<void> {
  while (Atomics.load(words, index) < value) await sleep(1);
}

/** Lets so many threads go on at the same time. */
async function start(words: Int32Array, threads: number): Promise<void> {
  await reaches(words, 1, threads);
  Atomics.store(words, 2, 1);
  Atomics.notify(words, 2);
}

const shared = (): Int32Array => new Int32Array(new SharedArrayBuffer(16));

interface Kind {
  create(memory: Arena | SharedArrayBuffer, options?: LockOptions): Lock;
  bytes(options?: LockOptions): number;
  fromHandle(handle: ReturnType<Lock["toHandle"]>): Lock;
  readonly name: string;
}

const kinds: readonly (readonly [Kind, number])[] = [
  [McsLock, 2],
  [TicketLock, 2],
  [CnaLock, 2],
  [CohortLock, 4],
];

for (const [Kind, atomics] of kinds) {
  const make = (options: LockOptions = {}): Lock =>
    Kind.create(new SharedArrayBuffer(Kind.bytes(options)), options);

  describe(Kind.name, () => {
    it("is held by one at a time, and given back once", () => {
      const lock = make();
      {
        using guard = lock.acquire();
        assert.equal(guard.ownerDied, false);
        assert.equal(lock.held, true);
        throwsCode(() => lock.acquire(), "EDEADLK");
      }
      throwsCode(() => lock.release(), "EOWNER");
      const guard = lock.tryAcquire();
      guard?.release();
      assert.equal(lock.held, false);
      assert.equal(lock.markConsistent(), false);
      assert.equal(Kind.fromHandle(lock.toHandle()), lock);
    });

    it(`takes ${atomics} atomic operations and no foreign call uncontended`, () => {
      const lock = make();
      const counted = counting(() => {
        lock.acquire();
        lock.release();
      });
      const sum = Object.values(counted.atomics).reduce((total, count) => total + count, 0);
      assert.equal(sum, atomics);
      assert.deepEqual(counted.helper, {});
    });

    it("loses no count of four threads, in an arena", async () => {
      using arena = Arena.create({ node: 0, size: "1 MiB" });
      const lock = Kind.create(arena, { statistics: true });
      const words = shared();
      const times = 150;
      const threads = Array.from({ length: 4 }, () => run({ task: "count", lock, words, times }));
      await start(words, 4);
      for (const thread of threads) await thread.join();
      assert.equal(words[0], 4 * times);
      assert.equal(lock.statistics?.acquisitions, 4 * times);
    });

    it("loses no count of threads that give up and come back", async () => {
      const lock = make();
      const words = shared();
      const times = 150;
      const threads = Array.from({ length: 4 }, () => run({ task: "short", lock, words, times }));
      await start(words, 4);
      let missed = 0;
      for (const thread of threads) missed += await thread.join();
      assert.equal((words[0] as number) + missed, 4 * times);
      using _guard = lock.acquire();
    });

    it("does not block the main thread unasked, and times out", async () => {
      const lock = make();
      const words = shared();
      const thread = run({ task: "hold", lock, words });
      await reaches(words, 1, 1);
      throwsCode(() => lock.acquire(), "EWOULDBLOCK");
      throwsCode(() => lock.acquire({ block: true, timeoutMs: 20 }), "ETIMEDOUT");
      assert.equal(lock.tryAcquire(), undefined);
      await rejectsCode(lock.acquireAsync({ timeoutMs: 20 }), "ETIMEDOUT");
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
      using _guard = lock.acquire();
    });

    it("tells all that wait when its owner dies, then and later", async () => {
      const lock = make();
      const words = shared();
      await assert.rejects(run({ task: "die", lock, words }).join(), /died holding/);
      const isDead = (error: NumaError): boolean => error.code === "EOWNERDEAD";
      words[1] = 0;
      const waiters = [1, 2].map(() => run({ task: "count", lock, words }).join());
      await start(words, 2);
      for (const waiter of waiters) await assert.rejects(waiter, isDead);
      throwsCode(() => lock.acquire({ block: true, timeoutMs: 1000 }), "EOWNERDEAD");
      throwsCode(() => lock.acquire(), "EOWNERDEAD");
      throwsCode(() => lock.tryAcquire(), "EOWNERDEAD");
      await rejectsCode(lock.acquireAsync(), "EOWNERDEAD");
    });

    it("says so when its arena is gone", async () => {
      const arena = Arena.create({ node: 0, size: "1 MiB" });
      const lock = Kind.create(arena);
      lock.acquire();
      arena.destroy();
      throwsCode(() => lock.release(), "EDESTROYED");
      throwsCode(() => lock.acquire(), "EDESTROYED");
      throwsCode(() => lock.tryAcquire(), "EDESTROYED");
      await rejectsCode(lock.acquireAsync(), "EDESTROYED");
    });

    it("refuses what cannot be", () => {
      for (const wrong of [-1, 0, 0.5, NaN, 4097, "1", null]) {
        throwsCode(() => make({ threads: wrong as number }), "EINVAL");
      }
      throwsCode(() => Kind.create(new SharedArrayBuffer(Kind.bytes() - 4)), "EINVAL");
      throwsCode(() => Kind.fromHandle(7 as never), "EINVAL");
    });
  });
}

describe("passes of CnaLock and CohortLock", () => {
  it("is a count", () => {
    for (const Kind of [CnaLock, CohortLock]) {
      for (const wrong of [-1, 0, 0.5, NaN, 2 ** 30 + 1, "1", null]) {
        throwsCode(() => Kind.bytes({ passes: wrong as number }), "EINVAL");
      }
      const options = { threads: 4, passes: 3 };
      const lock = Kind.create(new SharedArrayBuffer(Kind.bytes(options)), options);
      using _guard = lock.acquire();
    }
  });
});
