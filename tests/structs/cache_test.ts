import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Arena, Cache } from "../../mod.ts";
import { cacheOptionOf, cacheSettingsOf } from "../../lib/structs/caches/cache_settings.ts";
import { cacheLayoutOf } from "../../lib/structs/caches/cache_table.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { cacheOf } from "../support/caches.ts";
import { throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";

/** Runs something by a clock that it sets. */
async function byClock(body: (set: (ms: number) => void) => void | Promise<void>): Promise<void> {
  const { now } = Date;
  let time = 1_700_000_000_000;
  Date.now = () => time;
  try {
    await body((ms) => time = 1_700_000_000_000 + ms);
  } finally {
    Date.now = now;
  }
}

const KEYS = ["", "\0", "a", "a\0", "\0\0\0\0", "b", "é", "\ufeff", "💥", "key", "x".repeat(90)];
const key = fc.oneof(fc.constantFrom(...KEYS), fc.integer({ min: 0, max: 60 }).map(String));
const value = fc.uint8Array({ maxLength: 200 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant("set" as const), key, value }) },
  {
    weight: 2,
    arbitrary: fc.record({
      what: fc.constant("set" as const),
      key,
      value,
      ttlMs: fc.constantFrom(1, 50, 2 ** 33, Infinity),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ what: fc.constantFrom("get", "into", "has", "delete"), key }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant("wait" as const), ms: fc.nat(60) }) },
);
type Step = {
  readonly what: string;
  readonly key?: string;
  readonly value?: Uint8Array<ArrayBuffer>;
  readonly ttlMs?: number;
  readonly ms?: number;
};

/** Has a cache do steps beside a Map. */
function follow(
  cache: Cache<string, Uint8Array>,
  steps: readonly Step[],
  wait: (ms: number) => void,
  isRoomy: boolean,
): void {
  const model = new Map<string, { readonly value: Uint8Array; readonly end: number }>();
  const into = new Uint8Array(200);
  let time = 0;
  const lookups = { found: 0, missed: 0, writes: 0 };
  for (const { what, key = "", value = into, ttlMs, ms = 0 } of steps) {
    const known = model.get(key);
    const there = known !== undefined && known.end > time ? known.value : undefined;
    /** What was found has to be what was written last; nothing may be found where it may have gone. */
    const check = (found: boolean, same: boolean): void => {
      assert.ok(!found || (there !== undefined && same), `${key} should not be there`);
      if (isRoomy) assert.equal(found, there !== undefined, `${key} should be there`);
      if (!found) model.delete(key);
    };
    if (what === "set") {
      const replaced = cache.set(key, value, ttlMs === undefined ? undefined : { ttlMs });
      check(replaced, true);
      lookups.writes++;
      model.set(key, { value: value.slice(), end: time + (ttlMs ?? Infinity) });
    } else if (what === "delete") {
      check(cache.delete(key), true);
      model.delete(key);
    } else if (what === "has") {
      check(cache.has(key), true);
    } else if (what === "get") {
      const found = cache.get(key);
      check(found !== undefined, String(found) === String(there));
      lookups[found === undefined ? "missed" : "found"]++;
    } else if (what === "into") {
      const length = cache.getInto(key, into);
      const found = length !== undefined;
      check(found, String(into.subarray(0, length)) === String(there));
      lookups[found ? "found" : "missed"]++;
    } else {
      time += ms;
      wait(time);
    }
    const stats = cache.stats();
    assert.ok(stats.bytes <= stats.capacity && stats.entries <= stats.bytes / 16);
    assert.equal(stats.entries === 0, stats.bytes === 0);
    assert.deepEqual([stats.hits, stats.misses, stats.writes, stats.resets], [
      ...[lookups.found, lookups.missed, lookups.writes],
      0,
    ]);
  }
}

/** S3-FIFO over entries of the same size, where nothing comes back that has gone. */
class Model {
  readonly #small: string[] = [];
  readonly #main: string[] = [];
  readonly #read = new Map<string, number>();
  readonly #sizes: { readonly small: number; readonly main: number };

  constructor(small: number, main: number) {
    this.#sizes = { small, main };
  }

  has(key: string): boolean {
    return this.#read.has(key);
  }

  get(key: string): void {
    this.#read.set(key, Math.min(3, (this.#read.get(key) as number) + 1));
  }

  set(key: string): void {
    const { small, main } = this.#sizes;
    while (this.#small.length >= small) {
      const oldest = this.#small.shift() as string;
      if (this.#read.get(oldest) === 0 && this.#main.length >= main) this.#read.delete(oldest);
      else this.#toMain(oldest);
    }
    this.#small.push(key);
    this.#read.set(key, 0);
  }

  #toMain(key: string): void {
    for (let moves = 0; this.#main.length >= this.#sizes.main;) {
      const oldest = this.#main.shift() as string;
      const read = this.#read.get(oldest) as number;
      if (read === 0 || moves++ >= 32) this.#read.delete(oldest);
      else {
        this.#read.set(oldest, read - 1);
        this.#main.push(oldest);
      }
    }
    this.#main.push(key);
    this.#read.set(key, 0);
  }
}

describe("Cache", () => {
  it("gives what was set last, or nothing, and stays within its budget", () =>
    byClock((wait) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
          wait(0);
          const cache = cacheOf({ capacity: "4 KiB", threads: 2, entryBytes: 64 });
          follow(cache, steps as Step[], wait, false);
        }),
        { numRuns: 60 },
      );
    }));

  it("is a Map with times while all fits", () =>
    byClock((wait) => {
      fc.assert(
        fc.property(fc.array(step, { maxLength: 80 }), fc.integer({ min: 1, max: 3 }), (
          steps,
          parts,
        ) => {
          wait(0);
          const cache = cacheOf({ capacity: "64 KiB", threads: 2, shards: 2 }, parts);
          follow(cache, steps as Step[], wait, true);
        }),
        { numRuns: 60 },
      );
    }));

  it("has what S3-FIFO keeps", () => {
    // 8 entries of four granules in the small queue, 72 in the main one.
    const options = { capacity: 5 * 1024, threads: 2, entryBytes: 16 } as const;
    const { size } = cacheSettingsOf(cacheOptionOf(options, "test"));
    const { first, ghostsAt, ghosts } = cacheLayoutOf(size, { threads: 2, domains: 1 });
    fc.assert(
      fc.property(fc.array(fc.nat(400), { minLength: 400, maxLength: 900 }), (choices) => {
        const words = new Int32Array(new SharedArrayBuffer(Cache.bytes(options)));
        const cache = Cache.create(words, options);
        // Two keys may have the same ghost, for which the model has none.
        const ghostsFrom = LINE_WORDS + first + ghostsAt;
        const model = new Model(8, 72);
        const value = new Uint8Array(36);
        let next = 0;
        for (const choice of choices) {
          // Of those that are there, the newer ones more often.
          const known = String(next - 1 - choice % 100);
          const isThere = model.has(known);
          assert.equal(cache.has(known), isThere, `${known} of ${next}`);
          if (isThere && choice % 3 > 0) {
            cache.get(known);
            model.get(known);
          } else {
            cache.set(String(next), value);
            model.set(String(next++));
            words.fill(0, ghostsFrom, ghostsFrom + ghosts);
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it("keeps what is read while a scan goes by", () => {
    const cache = cacheOf({ capacity: "64 KiB", threads: 2 });
    const value = new Uint8Array(100);
    for (let key = 0; key < 100; key++) cache.set(`hot ${key}`, value);
    for (let round = 0; round < 5; round++) {
      for (let key = 0; key < 100; key++) cache.get(`hot ${key}`);
      for (let key = 0; key < 2000; key++) cache.set(`scan ${round} ${key}`, value);
    }
    let left = 0;
    for (let key = 0; key < 100; key++) left += Number(cache.has(`hot ${key}`));
    assert.ok(left > 95, `${left} are left`);
    const { evictions, entries, writes } = cache.stats();
    assert.equal(entries + evictions, writes);
    cache.clear();
    const after = cache.stats();
    assert.deepEqual([after.entries, after.bytes, after.writes], [0, 0, writes]);
  });

  it("ends entries by their time", () =>
    byClock((wait) => {
      const cache = cacheOf({ ttlMs: 1000, value: "text", threads: 2 });
      cache.set("default", "a");
      cache.set("short", "b", { ttlMs: 10 });
      cache.set("again", "b", { ttlMs: 10 });
      cache.set("long", "c", { ttlMs: 2 ** 40 });
      cache.set("ever", "d", { ttlMs: Infinity });
      const there = (): string =>
        ["default", "short", "long", "ever"].filter((key) => cache.get(key) !== undefined).join();
      assert.equal(there(), "default,short,long,ever");
      wait(9);
      assert.equal(there(), "default,short,long,ever");
      assert.equal(cache.set("again", "f", { ttlMs: 1 }), true);
      wait(10);
      assert.equal(cache.set("again", "g"), false);
      assert.equal(there(), "default,long,ever");
      assert.equal(cache.has("short") || cache.delete("short"), false);
      assert.equal(cache.set("short", "e"), false);
      wait(1000);
      assert.equal(there(), "short,long,ever");
      wait(2 ** 40 - 1);
      assert.equal(there(), "long,ever");
      wait(2 ** 41);
      assert.equal(there(), "ever");
    }));

  it("ends by their time what it computes", () =>
    byClock(async (wait) => {
      const cache = cacheOf({ ttlMs: 1000, value: "text", threads: 2 });
      await cache.getOrCompute("default", () => "a");
      await cache.getOrCompute("short", () => "b", { ttlMs: 10 });
      await cache.getOrCompute("ever", () => "c", { ttlMs: Infinity });
      const there = (): string =>
        ["default", "short", "ever"].filter((key) => cache.has(key)).join();
      assert.equal(there(), "default,short,ever");
      wait(999);
      assert.equal(there(), "default,ever");
      wait(1000);
      assert.equal(there(), "ever");
    }));

  it("counts what it lets go because its time is over", () =>
    byClock((wait) => {
      const cache = cacheOf({ capacity: "8 KiB", ttlMs: 10, threads: 2 });
      for (let key = 0; key < 1000; key++) {
        wait(key);
        cache.set(`key ${key}`, new Uint8Array(100));
      }
      const { expirations, evictions, entries } = cache.stats();
      assert.ok(expirations > 900, `${expirations}`);
      assert.equal(expirations + evictions + entries, 1000);
    }));

  it("refuses what cannot be", async () => {
    const bad: Record<string, unknown>[] = [
      { capacity: 4095 },
      { capacity: "4 GiB" },
      { capacity: NaN },
      { key: "u32" },
      { value: "xml" },
      { value: null },
      { ttlMs: 0 },
      { ttlMs: 1.5 },
      { ttlMs: 2 ** 41 },
      { ttlMs: -0 },
      { shards: 3 },
      { shards: 512 },
      { shards: 256, capacity: "64 KiB" },
      { entryBytes: 15 },
      { entryBytes: 70_000 },
      { threads: 0 },
    ];
    for (const options of bad) {
      throwsCode(() => Cache.bytes(options as never), "EINVAL");
      const memory = new SharedArrayBuffer(100);
      throwsCode(() => Cache.create(memory, options as never), "EINVAL");
    }
    throwsCode(() => Cache.create([]), "EINVAL", /array of 1 to/);
    throwsCode(() => Cache.create([7] as never), "EINVAL");
    throwsCode(() => Cache.create(new SharedArrayBuffer(4096)), "EINVAL", /takes/);
    const memory = new SharedArrayBuffer(Cache.bytes());
    throwsCode(() => Cache.create([memory, memory]), "EBUSY");

    const cache = cacheOf({ value: "text", threads: 2 });
    const anything = cache as unknown as Cache<unknown, unknown>;
    for (const wrong of [undefined, null, 1, {}, new Uint8Array(1), ["a"], "\ud800", "a\udc00b"]) {
      throwsCode(() => anything.get(wrong), "EINVAL");
      throwsCode(() => anything.set("a", wrong), "EINVAL");
      throwsCode(() => anything.homeOf(wrong), "EINVAL");
      await assert.rejects(anything.getOrCompute(wrong, () => "a"), { code: "EINVAL" });
      await assert.rejects(anything.getOrCompute("a", () => wrong), { code: "EINVAL" });
    }
    for (const ttlMs of [0, NaN, 2 ** 53, "1", null, -0]) {
      throwsCode(() => cache.set("a", "b", { ttlMs } as never), "EINVAL");
    }
    let looks = 0;
    const changing = {
      get ttlMs(): number {
        return looks++ === 0 ? 1 : 0;
      },
    };
    cache.set("a", "b", changing);
    cache.delete("a");
    assert.equal(looks, 1);
    throwsCode(() => cache.getInto("a", [] as never), "EINVAL");
    await assert.rejects(cache.getOrCompute("a", 7 as never), { code: "EINVAL" });
    const json = cacheOf({ value: "json", threads: 2 });
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    for (const wrong of [undefined, () => {}, 1n, cyclic]) {
      throwsCode(() => json.set("a", wrong), "EINVAL");
    }
    assert.equal(cache.size + json.size, 0);
    throwsCode(() => Cache.fromHandle({ numakitHandle: "Cache", data: { parts: [] } }), "EINVAL");
    const [one, other] = [cacheOf({}, 2), cacheOf({}, 2)];
    const { data } = one.toHandle() as unknown as { readonly data: { readonly parts: unknown[] } };
    const { parts } = (other.toHandle() as unknown as { readonly data: typeof data }).data;
    for (
      const mixed of [[data.parts[0]], [data.parts[1], data.parts[0]], [data.parts[0], parts[1]]]
    ) {
      throwsCode(
        () => Cache.fromHandle({ numakitHandle: "Cache", data: { parts: mixed } }),
        "EINVAL",
      );
    }
    assert.equal(Cache.fromHandle(one.toHandle()), one);
  });

  it("is read whatever is in its memory", () => {
    const options = { capacity: "4 KiB", value: "json", shards: 1, threads: 2 } as const;
    fc.assert(
      fc.property(
        fc.infiniteStream(fc.integer()),
        fc.integer({ min: 1, max: 9 }),
        (some, every) => {
          const words = new Int32Array(new SharedArrayBuffer(Cache.bytes(options)));
          const cache = Cache.create(words, options);
          for (let key = 0; key < 30; key++) cache.set(`key ${key}`, "x".repeat(key));
          for (let at = 64; at < words.length; at++) {
            if (words[at] !== 0 && at % every === 0) words[at] = some.next().value as number;
          }
          for (let key = 0; key < 40; key++) {
            cache.get(`key ${key}`);
            cache.has(`key ${key}`);
            cache.set(`key ${key % 33}`, "y".repeat(key * 5));
            cache.delete(`key ${key * 3}`);
          }
          cache.stats();
          cache.clear();
          cache.set("key", 1);
          assert.equal(cache.get("key"), 1);
        },
      ),
      { numRuns: 100 },
    );
  });

  it("has a part in each arena, and ends with it", { skip: noPolicies }, async () => {
    const options = { capacity: "64 KiB", value: "text" } as const;
    const arenas = [1, 2].map(() => Arena.create({ node: 0, size: "1 MiB" })) as [Arena, Arena];
    throwsCode(() => Cache.create(arenas, { capacity: "2 MiB" }), "ENOMEM", /arena has/);
    {
      using small = Arena.create({ node: 0, size: "64 KiB" });
      const memory = [arenas[0], small];
      throwsCode(() => Cache.create(memory, { capacity: "256 KiB" }), "ENOMEM", /arena has/);
    }
    assert.equal(arenas[0].used, 0);
    const cache = Cache.create(arenas, options);
    assert.deepEqual(cache.nodes, [0, 0]);
    for (let key = 0; key < 100; key++) cache.set(`key ${key}`, "a");
    assert.ok(arenas.every(({ used }) => used >= Cache.bytes(options)));
    assert.equal(cache.homeOf("key 1"), 0);
    assert.equal(Cache.fromHandle(cache.toHandle()), cache);
    let finish = (_: string): void => {};
    const held = cache.getOrCompute("held", () => new Promise<string>((done) => finish = done));
    await new Promise((resolve) => setTimeout(resolve, 5));
    arenas[0].destroy();
    arenas[1].destroy();
    finish("late");
    await assert.rejects(held, { code: "EDESTROYED" });
    for (
      const call of [
        () => cache.get("a"),
        () => cache.has("a"),
        () => cache.getInto("a", new Uint8Array(1)),
        () => cache.set("a", "b"),
        () => cache.delete("a"),
        () => cache.clear(),
        () => cache.stats(),
        () => cache.size,
        () => cache.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
    await assert.rejects(cache.getOrCompute("a", () => "b"), { code: "EDESTROYED" });
  });
});
