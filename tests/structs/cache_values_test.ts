import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cache } from "../../mod.ts";
import { cacheOf } from "../support/caches.ts";
import { throwsCode } from "../support/errors.ts";

describe("keys and values of a Cache", () => {
  it("has texts, JSON and bytes", () => {
    const texts = cacheOf({ value: "text", threads: 2 });
    const json = cacheOf({ value: "json", threads: 2 });
    const bytes = cacheOf({ key: "bytes", threads: 2 });
    for (const some of ["", "a", "é", "💥\ufeff", "\0", "ab".repeat(5000), "é".repeat(3000)]) {
      texts.set("key", some);
      assert.equal(texts.get("key"), some);
    }
    for (const some of [null, 0, -1.5, "text", [], { a: [1, { b: null }] }, true]) {
      json.set("key", some);
      assert.deepEqual(json.get("key"), some);
    }
    bytes.set(Uint8Array.of(), Uint8Array.of(1));
    bytes.set(Uint8Array.of(0), Uint8Array.of(2));
    bytes.set(Uint8Array.of(0, 0), Uint8Array.of());
    assert.deepEqual(bytes.get(Uint8Array.of()), Uint8Array.of(1));
    assert.deepEqual(bytes.get(Uint8Array.of(0)), Uint8Array.of(2));
    assert.deepEqual(bytes.get(Uint8Array.of(0, 0)), Uint8Array.of());
    assert.equal(bytes.get(Uint8Array.of(0, 0, 0)), undefined);
    const into = new Uint8Array(2).fill(9);
    texts.set("key", "abc");
    assert.equal(texts.getInto("key", into), 3);
    assert.deepEqual([...into], [9, 9]);
    texts.set("key", "é");
    assert.equal(texts.getInto("key", into), 2);
    assert.deepEqual([...into], [0xc3, 0xa9]);
    assert.equal(texts.getInto("none", into), undefined);
  });

  it("takes keys of 65,535 bytes, and values as long as there is room", () => {
    const cache = cacheOf({ capacity: "16 MiB", shards: 1, threads: 2 });
    const long = "k".repeat(65_535);
    const value = new Uint8Array(500_000).map((_, index) => index);
    assert.equal(cache.set(long, value), false);
    assert.deepEqual(cache.get(long), value);
    assert.equal(cache.has("k".repeat(65_534)), false);
    assert.equal(cache.delete(long), true);
    throwsCode(() => cache.set(`${long}k`, value), "EINVAL", /more than 65535 bytes/);
    throwsCode(() => cache.set(long, new Uint8Array(2_000_000)), "EINVAL", /bytes that fit/);
    const most = 1_887_408;
    throwsCode(() => cache.set("1234", new Uint8Array(most)), "EINVAL");
    for (let size = most - 100; size < most - 20; size += 3) {
      cache.set("1234", new Uint8Array(size));
      assert.equal(cache.get("1234")?.length, size);
    }
  });

  it("may be used by what it calls", async () => {
    const cache = cacheOf({ value: "json", threads: 2 });
    const value = {
      toJSON(): string {
        cache.set("other", "from within");
        cache.get("a longer key than the one that is set");
        return "seen";
      },
    };
    cache.set("key", value);
    assert.deepEqual([cache.get("key"), cache.get("other")], ["seen", "from within"]);
    const outer = await cache.getOrCompute("outer", async () => {
      return [await cache.getOrCompute("inner", () => 1), 2];
    });
    assert.deepEqual([outer, cache.get("inner"), cache.get("outer")], [[1, 2], 1, [1, 2]]);
    const bytes = cacheOf({ key: "bytes", threads: 2 });
    const name = Uint8Array.of(1, 2);
    const computing = bytes.getOrCompute(name, () => Uint8Array.from(name.fill(9)));
    name.fill(8);
    await computing;
    assert.deepEqual(bytes.get(Uint8Array.of(1, 2)), Uint8Array.of(9, 9));
    assert.equal(bytes.size, 1);
  });

  it("gives the same to the call that computes and to the others", async () => {
    const options = { value: "json", threads: 2 } as const;
    const memory = new SharedArrayBuffer(Cache.bytes(options));
    const json: Cache<string, { at: unknown }> = Cache.create(memory, options);
    const value = (): { at: unknown } => ({ at: new Date(0) });
    const expected = { at: "1970-01-01T00:00:00.000Z" };
    for (let call = 0; call < 2; call++) {
      assert.deepEqual(await json.getOrCompute("key", value), expected);
    }
    const long = "k".repeat(json.maxKeyBytes + 1);
    assert.deepEqual(await json.getOrCompute(long, value), expected);
    let calls = 0;
    const changing = { toJSON: () => calls++ === 0 ? 1 : undefined };
    await assert.rejects(json.getOrCompute("b", () => changing as never), { code: "EINVAL" });
  });

  it("has no value for a key that is too long", async () => {
    const cache = cacheOf({ capacity: "4 KiB", shards: 1, value: "text", threads: 2 });
    const most = cache.maxKeyBytes;
    const [longest, longer] = ["k".repeat(most), "k".repeat(most + 1)];
    assert.equal(cache.set(longest, ""), false);
    assert.deepEqual([cache.has(longest), cache.get(longest)], [true, ""]);
    const into = new Uint8Array(1);
    assert.deepEqual(
      [cache.has(longer), cache.get(longer), cache.getInto(longer, into), cache.delete(longer)],
      [false, undefined, undefined, false],
    );
    throwsCode(() => cache.set(longer, "a"), "EINVAL");
    throwsCode(() => cache.homeOf(longer), "EINVAL");
    let computed = 0;
    for (let call = 1; call <= 2; call++) {
      assert.equal(await cache.getOrCompute(longer, () => `${++computed}`), `${call}`);
    }
    await assert.rejects(cache.getOrCompute(longer, () => 7 as never), { code: "EINVAL" });
  });
});
