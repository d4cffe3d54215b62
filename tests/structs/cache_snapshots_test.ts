import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { writeSnapshot } from "../../lib/structs/snapshots/snapshot.ts";
import { Arena, Cache, type CacheOptions, type NumaErrorCode } from "../../mod.ts";
import { bytesOf } from "../support/bytes_of.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";

const OPTIONS = { capacity: "64 KiB", key: "text", value: "text" } as const;
const BYTES = { capacity: "64 KiB", key: "bytes", value: "bytes" } as const;
const HEADER = { ...OPTIONS, kind: "Cache", capacity: 65_536, shards: 1, entryBytes: 128 };

const memoryOf = (options: CacheOptions): SharedArrayBuffer =>
  new SharedArrayBuffer(Cache.bytes(options));

function pages(count: number): Cache<string, string> {
  const cache = Cache.create(memoryOf(OPTIONS), OPTIONS);
  for (let key = 0; key < count; key++) cache.set(`key ${key}`, `value ${key}`);
  return cache;
}

/** What nobody but a forger writes: with right checksums. */
const forged = (header: object, pieces: readonly Int32Array[] = []): Promise<Uint8Array> =>
  bytesOf(writeSnapshot({ ...HEADER, ...header }, pieces));

/** That a source is refused, and that the memory can still be used. */
async function refuses(
  source: unknown,
  code: NumaErrorCode,
  why: RegExp,
  options: CacheOptions = OPTIONS,
): Promise<void> {
  const memory = memoryOf(options);
  await rejectsCode(Cache.restore(memory, source as Uint8Array, options), code, why);
  assert.ok(new Int32Array(memory).every((word) => word === 0), "it has written something");
}

const byteArray = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });

describe("snapshots of a Cache", () => {
  it("have all keys and values, of bytes, texts and JSON", async () => {
    const text = fc.constantFrom("", "\0", "a\0", "é", "💥", "\ufeff", "x".repeat(99));
    const types = [
      [BYTES, byteArray(20), byteArray(200)],
      [OPTIONS, text, text],
      [{ ...OPTIONS, value: "json" }, text, fc.jsonValue()],
      [{ ...BYTES, shards: 4, entryBytes: 20 }, byteArray(9), byteArray(9)],
    ] as const;
    for (const [options, keys, values] of types) {
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(keys as fc.Arbitrary<unknown>, values as fc.Arbitrary<unknown>), {
            maxLength: 40,
          }),
          async (entries) => {
            const cache = Cache.create(memoryOf(options), options) as Cache<unknown, unknown>;
            for (const [key, value] of entries) cache.set(key, value);
            const file = await bytesOf(cache.snapshot());
            const again: Cache<unknown, unknown> = await Cache.restore(
              memoryOf(options),
              file,
              options,
            );
            for (const [key] of entries) assert.deepEqual(again.get(key), cache.get(key));
            assert.equal(again.size, cache.size);
          },
        ),
        { numRuns: 15 },
      );
    }
  });

  it("keep the time at which an entry ends, and leave out what has ended", async () => {
    const { now } = Date;
    let time = 1_700_000_000_000;
    Date.now = () => time;
    try {
      const options = { ...OPTIONS, ttlMs: 2 ** 34 };
      const cache = Cache.create(memoryOf(options), options);
      cache.set("soon", "1", { ttlMs: 100 });
      cache.set("later", "2", { ttlMs: 2 ** 33 });
      cache.set("never", "3", { ttlMs: Infinity });
      cache.set("as it says", "4");
      cache.set("gone", "5", { ttlMs: 50 });
      time += 60;
      const file = await bytesOf(cache.snapshot());
      const first = await Cache.restore(memoryOf(OPTIONS), file, OPTIONS);
      assert.equal(first.size, 4);
      assert.equal(first.get("soon"), "1");
      time += 39;
      assert.equal(first.get("soon"), "1");
      time += 1;
      assert.equal(first.get("soon"), undefined);
      const second = await Cache.restore(memoryOf(OPTIONS), file, OPTIONS);
      assert.equal(second.size, 3);
      // The default is that of the first cache.
      second.set("new", "6");
      time += 2 ** 33;
      assert.deepEqual(["later", "as it says", "never", "new"].map((key) => second.get(key)), [
        ...[undefined, "4", "3", "6"],
      ]);
      time += 2 ** 33;
      assert.deepEqual(["as it says", "never", "new"].map((key) => second.get(key)), [
        ...[undefined, "3", undefined],
      ]);
      const third = await Cache.restore(memoryOf(OPTIONS), file, { ...OPTIONS, ttlMs: Infinity });
      third.set("new", "6");
      time += 2 ** 40;
      assert.equal(third.get("new"), "6");
    } finally {
      Date.now = now;
    }
  });

  it("of a larger cache give a smaller one what was read", async () => {
    const large = { ...OPTIONS, capacity: "256 KiB", entryBytes: 64 } as const;
    const cache = Cache.create(memoryOf(large), large);
    for (let key = 0; key < 2000; key++) cache.set(`key ${key}`, "x".repeat(40));
    assert.equal(cache.size, 2000);
    for (let round = 0; round < 2; round++) {
      for (let key = 0; key < 2000; key += 10) cache.get(`key ${key}`);
    }
    const file = await bytesOf(cache.snapshot());
    for (const shards of [1, 4]) {
      const small = { ...OPTIONS, capacity: "32 KiB", shards, entryBytes: 40 } as const;
      const again = await Cache.restore(memoryOf(small), file, small);
      let kept = 0;
      for (let key = 0; key < 2000; key += 10) kept += Number(again.has(`key ${key}`));
      assert.ok(kept >= 185, `${kept} of 200 that were read`);
      assert.ok(again.size > 200 && again.size <= 512, `${again.size} entries`);
    }
  });

  it("go into several memories, and come from several", async () => {
    const cache = pages(300);
    const memories = (): SharedArrayBuffer[] => [1, 2, 3].map(() => memoryOf(OPTIONS));
    const spread = await Cache.restore(memories(), cache.snapshot(), OPTIONS);
    assert.equal(spread.nodes.length, 3);
    const again = await Cache.restore(memoryOf(OPTIONS), spread.snapshot(), OPTIONS);
    for (let key = 0; key < 300; key++) {
      assert.equal(spread.get(`key ${key}`), `value ${key}`);
      assert.equal(again.get(`key ${key}`), `value ${key}`);
    }
  });

  it("leave out what is too long for the new cache", async () => {
    const cache = Cache.create(memoryOf(OPTIONS), OPTIONS);
    cache.set("long", "x".repeat(3000));
    cache.set("k".repeat(2000), "");
    cache.set("short", "s");
    const small = { ...OPTIONS, capacity: "4 KiB" } as const;
    const again = await Cache.restore(memoryOf(small), cache.snapshot(), small);
    assert.equal(again.size, 1);
    assert.equal(again.get("short"), "s");
  });

  it("take the options that the first cache had", async () => {
    const options = { ...OPTIONS, capacity: "1 MiB", shards: 16, entryBytes: 32 } as const;
    const cache = Cache.create(memoryOf(options), options);
    cache.set("a", "b");
    const types = { key: "text", value: "text" } as const;
    const again = await Cache.restore(memoryOf(options), cache.snapshot(), types);
    assert.equal(again.stats().capacity, cache.stats().capacity);
    assert.equal(again.get("a"), "b");
    await rejectsCode(
      Cache.restore(new SharedArrayBuffer(4096), cache.snapshot(), types),
      "EINVAL",
      /its memory has 4096/,
    );
  });

  it("are whole while others write, and hold nothing of what was there before", async () => {
    const cache = Cache.create(memoryOf(BYTES), BYTES);
    const key = (number: number): Uint8Array => Uint8Array.of(number, number);
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 250; number++) {
        cache.set(key(number), new Uint8Array(41 + round).fill(round === 0 ? 0xee : number));
      }
    }
    cache.set(Uint8Array.of(255), new Uint8Array(0));
    for (let number = 0; number < 250; number++) cache.set(key(number), new Uint8Array(1).fill(1));
    const reader = cache.snapshot().getReader();
    const pieces: Uint8Array[] = [];
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      for (let number = 0; number < 250; number += 7) cache.set(key(number), Uint8Array.of(2));
    }
    const again = await Cache.restore(memoryOf(BYTES), pieces, BYTES);
    for (let number = 0; number < 250; number++) {
      const value = again.get(key(number));
      assert.ok(value?.length === 1 && (value[0] === 1 || value[0] === 2), `${number}`);
    }
    assert.ok(pieces.every((piece) => !piece.join().includes("238,238,238")), "stale bytes");
  });

  it("are refused when any byte is another one, or missing, or one is too many", async () => {
    const small = { ...OPTIONS, capacity: "4 KiB" } as const;
    const cache = Cache.create(memoryOf(small), small);
    for (let key = 0; key < 5; key++) cache.set(`key ${key}`, `value ${key}`);
    const file = await bytesOf(cache.snapshot());
    for (let at = 0; at < file.length; at++) {
      const wrong = file.slice();
      wrong[at]! ^= 1 << (at % 8);
      await refuses(wrong, "EBADMSG", /Cannot restore a cache: it/, small);
      await refuses(file.subarray(0, at), "EBADMSG", /it ends too early/, small);
    }
    await refuses([file, Uint8Array.of(0)], "EBADMSG", /more follows after its end/, small);
  });

  it("are refused when they are of something else, whoever has written them", async () => {
    await refuses(await forged({ format: 2 }), "EABI", /it is of format 2/);
    await refuses(await forged({ kind: "HashMap" }), "EBADMSG", /of "HashMap" and not of Cache/);
    const wrong = [
      ...[{ key: "u32" }, { value: null }, { capacity: -1 }, { shards: 3 }, { ttlMs: 0 }],
      ...[{ entryBytes: undefined }, { capacity: undefined }, { shards: "4" }],
    ];
    for (const header of wrong) {
      await refuses(await forged(header), "EBADMSG", /no cache is as it says/);
    }
    await refuses(await forged({ value: "json" }), "EINVAL", /"text" and "json", and not "text"/);
    await refuses(await forged({}, [new Int32Array(3)]), "EBADMSG", /a part of an entry/);
    for (
      const entry of [
        [4, 1, 0, 0, 0x61616161],
        [0, -1, 0, 0],
        [0, 2 ** 30, 0, 0],
        [0, 0, 0, 2 ** 16],
        [0, 0, 0, -1],
      ]
    ) {
      const piece = Int32Array.from(entry);
      await refuses(await forged({}, [piece]), "EBADMSG", /a part of an entry/);
    }
    const broken = Int32Array.of(1, 0, 0, 0, 0xff);
    await refuses(await forged({}, [broken]), "EBADMSG", /a key is no text/);
    for (const source of [undefined, null, 7, "file", {}, [1], new Int32Array(4)]) {
      await refuses(source, "EINVAL", /what it is read from (is|gave)/);
    }
    for (const options of [null, 7, { ...OPTIONS, capacity: -1 }, { ...OPTIONS, key: "u32" }]) {
      await rejectsCode(
        Cache.restore(memoryOf(OPTIONS), await forged({}), options as typeof OPTIONS),
        "EINVAL",
      );
    }
  });

  it("end with the arena", { skip: noPolicies }, async () => {
    const options = { ...OPTIONS, capacity: "1 MiB" } as const;
    const arena = Arena.create({ node: 0, size: "4 MiB" });
    const cache = Cache.create(arena, options);
    for (let key = 0; key < 3000; key++) cache.set(`${key}`, "x".repeat(200));
    const reader = cache.snapshot().getReader();
    for (let piece = 0; piece < 3; piece++) assert.equal((await reader.read()).done, false);
    arena.destroy();
    await rejectsCode(
      (async () => {
        while (!(await reader.read()).done);
      })(),
      "EDESTROYED",
    );
    throwsCode(() => cache.snapshot(), "EDESTROYED");
  });
});
