import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, type Handle, Mutex, type MutexOptions } from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import { runLocks } from "../support/launches.ts";

// What is the Mutex's own, or is the same in all locks; locks_test.ts has the rest.

function make(options: MutexOptions = {}): Mutex {
  return Mutex.create(new SharedArrayBuffer(Mutex.bytes(options)), options);
}

describe("Mutex", () => {
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

  for (const place of ["a SharedArrayBuffer", "an arena"]) {
    it(`loses no count of eight threads, in ${place}`, async () => {
      using arena = Arena.create({ node: 0, size: "64 KiB" });
      const lock = place === "an arena" ? Mutex.create(arena) : make();
      const words = new Int32Array(new SharedArrayBuffer(16));
      const times = 20_000;
      const threads = Array.from(
        { length: 8 },
        () => runLocks({ task: "count", lock, words, times }),
      );
      while (Atomics.load(words, 1) < 8) await sleep(1);
      Atomics.store(words, 2, 1);
      Atomics.notify(words, 2);
      for (const thread of threads) await thread.join();
      assert.equal(words[0], 8 * times);
    });
  }

  it("takes patience for whole milliseconds up to a minute", () => {
    for (const patienceMs of [0, 0.5, 60_001, NaN, "10" as unknown as number]) {
      throwsCode(() => Mutex.bytes({ patienceMs }), "EINVAL");
      throwsCode(() => Mutex.create(new SharedArrayBuffer(65536), { patienceMs }), "EINVAL");
    }
    for (const patienceMs of [1, 60_000]) make({ patienceMs }).acquire().release();
  });
});
