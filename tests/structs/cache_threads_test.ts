import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, Cache, type Handle } from "../../mod.ts";
import { CacheCore, FOUND } from "../../lib/structs/caches/cache_core.ts";
import { cacheLayoutOf, ENTRIES } from "../../lib/structs/caches/cache_table.ts";
import { keyHash } from "../../lib/structs/caches/key_hash.ts";
import type { Waiter } from "../../lib/wait/waiter.ts";
import { throwsCode } from "../support/errors.ts";
import { repeats } from "../support/extent.ts";
import { noPolicies } from "../support/policies.ts";
import { runCache } from "../support/launches.ts";
import { isValueOf, valueOf } from "../workers/caches.ts";

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

function cacheOf(capacity: number, parts = 1, shards = 1): Cache<string, Uint8Array> {
  const options = { capacity, shards, threads: 32 };
  const memories = Array.from(
    { length: parts },
    () => new SharedArrayBuffer(Cache.bytes(options)),
  );
  return Cache.create(memories, options);
}

/** Waits until something holds. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(1);
}

describe("a Cache that threads share", () => {
  for (
    const [capacity, parts, shards] of [[8192, 1, 1], [16_384, 2, 2], [262_144, 1, 4]] as const
  ) {
    it(`gives each only what was set, ${parts} times ${capacity} bytes`, async () => {
      const cache = cacheOf(capacity, parts, shards);
      const count = 10_000;
      const threads = [1, 2, 3].map((number) =>
        runCache({ task: "read and write", cache, count, number })
      );
      let wrong = 0;
      for (let round = 0; round < count; round++) {
        const key = round % 200;
        const value = cache.get(`key ${key}`);
        if (value !== undefined && !isValueOf(key, value)) wrong++;
        if (round % 5 === 0) cache.set(`key ${key}`, valueOf(key, round));
        if (round % 3000 === 2999) cache.clear();
      }
      assert.deepEqual(await Promise.all(threads.map((thread) => thread.join())), [0, 0, 0]);
      assert.equal(wrong, 0);
      const stats = cache.stats();
      assert.ok(stats.bytes <= stats.capacity);
      assert.equal(stats.hits + stats.misses, 4 * count);
      assert.equal(stats.resets, 0);
      let entries = 0;
      for (let key = 0; key < 200; key++) entries += Number(cache.has(`key ${key}`));
      assert.equal(entries, stats.entries);
    });
  }

  it("goes on when threads are terminated that write to it", async () => {
    const cache = cacheOf(8192);
    for (let round = 0; round < repeats(6); round++) {
      const task = { task: "write for ever", cache, count: 0 } as const;
      const threads = [1, 2].map((number) => runCache({ ...task, number }));
      await sleep(30);
      const ends = await Promise.all(threads.map((thread) => thread.terminate()));
      assert.deepEqual(ends, [true, true]);
      for (let key = 0; key < 200; key++) {
        const value = cache.get(`key ${key}`);
        assert.ok(value === undefined || isValueOf(key, value), `half a value of ${key}`);
      }
      for (let key = 0; key < 200; key++) {
        cache.set(`key ${key}`, valueOf(key, round));
        assert.deepEqual(cache.get(`key ${key}`), valueOf(key, round));
      }
      const stats = cache.stats();
      assert.ok(stats.resets <= 2 * (round + 1) && stats.entries > 10, JSON.stringify(stats));
    }
  });

  it("empties a shard whose writer died in a write", () => {
    const options = { capacity: 8192, threads: 32 };
    const words = new Int32Array(new SharedArrayBuffer(Cache.bytes(options)));
    const cache = Cache.create(words, options);
    cache.set("key", Uint8Array.of(1));
    const { first } = cacheLayoutOf(
      { capacity: 8192, shardBits: 0, entryBytes: 128 },
      { threads: 32, domains: 1 },
    );
    // As a thread that nobody knows left it: its id, and an odd version.
    words[32 + first] = 77_777;
    words[32 + first + 1] = (words[32 + first + 1] as number) | 1;
    assert.equal(cache.get("key"), undefined);
    assert.equal(cache.set("key", Uint8Array.of(2)), false);
    assert.deepEqual(cache.get("key"), Uint8Array.of(2));
    const { resets, entries } = cache.stats();
    assert.deepEqual([resets, entries], [1, 1]);
  });

  it("computes each value once", async () => {
    const cache = cacheOf(1 << 20, 2, 2);
    const count = 60;
    const computed = new Int32Array(new SharedArrayBuffer(4 * count));
    const threads = [1, 2, 3].map((number) =>
      runCache({ task: "compute", cache, count, number, computed })
    );
    const own = Array.from(
      { length: count },
      (_, key) =>
        cache.getOrCompute(`computed ${key}`, () => {
          Atomics.add(computed, key, 1);
          return valueOf(key, 0);
        }),
    );
    const values = await Promise.all(own);
    assert.ok(values.every((value, key) => isValueOf(key, value)));
    assert.deepEqual(await Promise.all(threads.map((thread) => thread.join())), [0, 0, 0]);
    assert.deepEqual([...computed], new Array(count).fill(1));
  });

  it("has another thread compute when one dies that does", async () => {
    const cache = cacheOf(1 << 16);
    const computed = new Int32Array(new SharedArrayBuffer(4));
    const thread = runCache({ task: "compute for ever", cache, count: 0, number: 1, computed });
    await until(() => Atomics.load(computed, 0) === 1);
    const value = cache.getOrCompute("held", () => Uint8Array.of(7));
    const other = cache.getOrCompute("other", () => Uint8Array.of(8));
    assert.deepEqual(await other, Uint8Array.of(8));
    await assert.rejects(
      cache.getOrCompute("held", () => Uint8Array.of(9), { timeoutMs: 20 }),
      { code: "ETIMEDOUT" },
    );
    const abort = new AbortController();
    const aborted = cache.getOrCompute("held", () => Uint8Array.of(9), { signal: abort.signal });
    abort.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    assert.equal(cache.has("held"), false);
    assert.equal(await thread.terminate(), true);
    assert.deepEqual(await value, Uint8Array.of(7));
  });

  it("has another thread compute when one destroys its arena", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const cache = Cache.create(arena, { capacity: "64 KiB" });
    let finish = (_: Uint8Array<ArrayBuffer>): void => {};
    const held = cache.getOrCompute("held", () => new Promise((done) => finish = done));
    await sleep(1);
    const computed = new Int32Array(new SharedArrayBuffer(4));
    const thread = runCache({ task: "ask", cache, count: 0, number: 1, computed });
    await until(() => Atomics.load(computed, 0) === 1);
    await sleep(20);
    const waiting = cache.getOrCompute("held", () => Uint8Array.of(9));
    arena.destroy();
    assert.equal(await thread.join(), 3);
    finish(Uint8Array.of(7));
    await assert.rejects(held, { code: "EDESTROYED" });
    await assert.rejects(waiting, { code: "EDESTROYED" });
  });

  it("counts one look of a call that computes, or waits for another one", async () => {
    const options = { value: "text", threads: 2 } as const;
    const cache = Cache.create(new SharedArrayBuffer(Cache.bytes(options)), options);
    const compute = async (): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      return "computed";
    };
    const calls = Array.from({ length: 3 }, () => cache.getOrCompute("key", compute));
    assert.deepEqual(await Promise.all(calls), ["computed", "computed", "computed"]);
    assert.equal(await cache.getOrCompute("key", compute), "computed");
    const { hits, misses, writes } = cache.stats();
    assert.deepEqual({ hits, misses, writes }, { hits: 1, misses: 3, writes: 1 });
  });

  it("tells an error to the call that computed, and has another one compute", async () => {
    const cache = cacheOf(1 << 16);
    let calls = 0;
    const results = await Promise.allSettled(
      [1, 2, 3, 4].map((number) =>
        cache.getOrCompute("key", async () => {
          calls++;
          await sleep(2);
          if (number < 3) throw new Error(`failed ${number}`);
          return Uint8Array.of(number);
        })
      ),
    );
    assert.deepEqual(
      results.map((one) => one.status === "fulfilled" ? one.value[0] : String(one.reason)),
      ["Error: failed 1", "Error: failed 2", 3, 3],
    );
    assert.equal(calls, 3);
    const signal = AbortSignal.abort(new Error("enough"));
    const late = cache.getOrCompute("late", () => assert.fail("it computes"), { signal });
    await assert.rejects(late, /enough/);
    // What is too long is returned, and not kept.
    const long = await cache.getOrCompute("long", () => new Uint8Array(50_000));
    assert.equal(long.length, 50_000);
    assert.equal(cache.has("long"), false);
  });

  it("computes more keys at a time than a shard has flights for", async () => {
    const cache = cacheOf(1 << 16);
    const values = await Promise.all(
      Array.from({ length: 100 }, (_, key) =>
        cache.getOrCompute(`key ${key}`, async () => {
          await sleep(1);
          return valueOf(key, 0);
        })),
    );
    assert.ok(values.every((value, key) => isValueOf(key, value)));
  });
});

describe("a Cache", () => {
  it("keeps a key that comes back soon after it has gone", () => {
    // 8 entries of four granules in the small queue, 72 in the main one.
    const options = { capacity: 5 * 1024, threads: 2, entryBytes: 16 };
    const cache = Cache.create(new SharedArrayBuffer(Cache.bytes(options)), options);
    const value = new Uint8Array(36);
    let next = 0;
    const more = (count: number): void => {
      for (const end = next + count; next < end; next++) cache.set(`${next}`, value);
    };
    more(81);
    assert.equal(cache.has("72"), false, "the oldest of the small queue");
    cache.set("72", value);
    more(20);
    assert.deepEqual([cache.has("72"), cache.has("73"), cache.has("81")], [true, false, false]);
  });
});

describe("a Cache's options", () => {
  it("are no less than they say", async () => {
    const options = { capacity: 10_000, ttlMs: 2 ** 32 + 1, threads: 2 };
    const cache = Cache.create(new SharedArrayBuffer(Cache.bytes(options)), options);
    const { capacity } = cache.stats();
    assert.ok(capacity >= 10_000 && capacity < 11_500, `${capacity}`);
    cache.set("key", new Uint8Array(1));
    await sleep(5);
    assert.equal(cache.has("key"), true);
  });
});

describe("a Cache in several memories", () => {
  it("has keys in all of them", () => {
    const options = { capacity: 8192, threads: 32 };
    const { first } = cacheLayoutOf(
      { capacity: 8192, shardBits: 0, entryBytes: 128 },
      { threads: 32, domains: 1 },
    );
    const parts = [1, 2, 3].map(() => new Int32Array(new SharedArrayBuffer(Cache.bytes(options))));
    const cache = Cache.create(parts, options);
    for (let key = 0; key < 120; key++) cache.set(`${key}`, new Uint8Array(0));
    const entries = parts.map((words) => words[32 + first + ENTRIES] as number);
    assert.ok(entries.every((count) => count > 15), entries.join());
    assert.equal(cache.size, 120);
    assert.deepEqual([cache.nodes, cache.homeOf("1")], [[-1, -1, -1], -1]);
    const { data } = cache.toHandle() as { readonly data: { readonly parts: Handle[] } };
    delete data.parts[1];
    throwsCode(() => Cache.fromHandle({ numakitHandle: "Cache", data }), "EINVAL");
    const unused = new SharedArrayBuffer(Cache.bytes(options));
    const [used] = parts as [Int32Array];
    throwsCode(() => Cache.create([unused, used], options), "EBUSY", /of a part/);
    throwsCode(() => Cache.create([unused, unused], options), "EBUSY", /the same memory/);
    assert.equal(Cache.create([unused], options).size, 0);
  });
});

describe("the core of a Cache", () => {
  it("has room for as many keys with the same hash as a bucket has places", () => {
    const layout = cacheLayoutOf(
      { capacity: 16_384, shardBits: 0, entryBytes: 16 },
      { threads: 1, domains: 1 },
    );
    const words = new Int32Array(layout.all);
    const core = new CacheCore(words, layout, () => 0);
    const me: Waiter = {
      ...{ id: 1, slot: 0, domain: 0 },
      spin: () => false,
      unpark: () => {},
      alive: () => true,
      now: () => 0,
    };
    const key = new Int32Array(1);
    for (let name = 0; name < 200; name++) {
      key[0] = name;
      assert.ok(core.lock(me, 7));
      words[core.place(7, key, 4, 4, 0)] = 2 * name;
      core.commit();
      core.unlock();
      let found = 0;
      for (let other = 0; other <= name; other++) {
        key[0] = other;
        if (core.seek(7, key, 4) !== FOUND) continue;
        assert.equal(words[core.valueAt], 2 * other);
        assert.ok(core.isWhole());
        found++;
      }
      assert.equal(found, Math.min(15, name + 1));
    }
  });

  it("hashes keys of all lengths", () => {
    const seen = new Set<number>();
    const words = new Int32Array(40);
    for (let bytes = 0; bytes < 160; bytes++) seen.add(keyHash(words, bytes, 1, 2));
    words[0] = 1;
    for (let bytes = 1; bytes < 160; bytes++) seen.add(keyHash(words, bytes, 1, 2));
    for (let seed = 3; seed < 100; seed++) seen.add(keyHash(words, 4, seed, 2));
    assert.equal(seen.size, 160 + 159 + 97);
    // Of shards, and of buckets.
    for (const shift of [0, 28]) {
      const counts = new Array<number>(16).fill(0);
      for (let name = 0; name < 16_000; name++) {
        words[0] = name;
        const place = (keyHash(words, 4, 5, 6) >>> shift) & 15;
        counts[place] = (counts[place] as number) + 1;
      }
      assert.ok(counts.every((count) => count > 800 && count < 1200), counts.join());
    }
  });
});
