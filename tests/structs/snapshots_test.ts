import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { writeSnapshot } from "../../lib/structs/snapshots/snapshot.ts";
import {
  Arena,
  HashMap,
  type HashMapOptions,
  type MapType,
  type NumaErrorCode,
} from "../../mod.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { bytesOf } from "../support/bytes_of.ts";
import { noPolicies } from "../support/policies.ts";

const NUMBERS = { key: "u32", value: "f64", capacity: 50 } as const;
const TEXTS = { key: { text: 9 }, value: { text: 20 }, capacity: 50 } as const;

const memoryOf = (options: HashMapOptions): SharedArrayBuffer =>
  new SharedArrayBuffer(HashMap.bytes(options));

function numbers(count: number, options: HashMapOptions<"u32", "f64"> = NUMBERS) {
  const map = HashMap.create(memoryOf(options), options);
  for (let key = 0; key < count; key++) map.set(key * 1000, key / 2);
  return map;
}

const sorted = (map: Iterable<[unknown, unknown]>): unknown[] =>
  [...map].map(([key, value]) => JSON.stringify([key, value])).sort();

/** What nobody but a forger writes: with right checksums. */
const forged = (header: object, pieces: readonly Int32Array[] = []): Promise<Uint8Array> =>
  bytesOf(writeSnapshot({ kind: "HashMap", ...NUMBERS, ...header }, pieces));

/** That a source is refused, and that the memory can still be used. */
async function refuses(
  source: unknown,
  code: NumaErrorCode,
  why: RegExp,
  options: HashMapOptions = NUMBERS,
): Promise<void> {
  const memory = memoryOf(options);
  await rejectsCode(HashMap.restore(memory, source as Uint8Array, options), code, why);
  assert.ok(new Int32Array(memory).every((word) => word === 0), "it has written something");
}

describe("snapshots of a HashMap", () => {
  const types: readonly [MapType, fc.Arbitrary<unknown>][] = [
    ["u32", fc.nat()],
    ["i32", fc.integer()],
    ["f64", fc.oneof(fc.double(), fc.constantFrom(0, NaN, Infinity))],
    [{ bytes: 5 }, fc.uint8Array({ minLength: 5, maxLength: 5 })],
    [{ text: 12 }, fc.constantFrom("", "\0", "é", "💥", "123456789012", "\ufeff")],
  ];
  for (const [type, values] of types) {
    it(`have all keys and values: ${JSON.stringify(type)}`, async () => {
      const options = { key: type, value: type, capacity: 100 };
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(values, values), { maxLength: 90 }), async (entries) => {
          const map = HashMap.create(memoryOf(options), options);
          for (const [key, value] of entries) map.set(key as number, value as number);
          const file = await bytesOf(map.snapshot());
          const again = await HashMap.restore(memoryOf(options), file, options);
          assert.deepEqual(sorted(again), sorted(map));
          assert.equal(again.size, map.size);
        }),
        { numRuns: 15 },
      );
    });
  }

  it("come in pieces, from streams and lists, and into a map of another capacity", async () => {
    const options = { ...NUMBERS, capacity: 20_000 };
    const map = numbers(20_000, options);
    const pieces: Uint8Array[] = [];
    for await (const piece of map.snapshot()) pieces.push(piece);
    assert.ok(pieces.length > 4, `${pieces.length} pieces`);
    assert.ok(pieces.every(({ length }) => length < 80_000));
    const memory = memoryOf({ ...options, capacity: 30_000 });
    const all = Uint8Array.from(pieces.flatMap((piece) => [...piece]));
    for (
      const source of [map.snapshot(), pieces, pieces.values(), all, [
        all.slice(0, 5),
        all.slice(5),
      ]]
    ) {
      new Uint8Array(memory).fill(0);
      const again = await HashMap.restore(memory, source, { ...options, capacity: 30_000 });
      assert.equal(again.size, 20_000);
      for (let key = 0; key < 20_000; key++) assert.equal(again.get(key * 1000), key / 2);
    }
    // As many as it was taken of, if nothing is said.
    const { capacity: _, ...types } = options;
    assert.equal((await HashMap.restore(memoryOf(options), all, types)).size, 20_000);
  });

  it("come out of a file that was read as a Buffer", async () => {
    const file = await bytesOf(numbers(40).snapshot());
    for (const source of [Buffer.from(file), [Buffer.from(file)], file.subarray(0)]) {
      const again = await HashMap.restore(memoryOf(NUMBERS), source, NUMBERS);
      assert.equal(again.size, 40);
    }
  });

  it("come from a source that uses its buffer again", async () => {
    const file = await bytesOf(numbers(40).snapshot());
    const buffer = new Uint8Array(100);
    function* source(): Generator<Uint8Array> {
      for (let at = 0; at < file.length; at += buffer.length) {
        const piece = file.subarray(at, at + buffer.length);
        buffer.set(piece);
        yield buffer.subarray(0, piece.length);
      }
    }
    assert.equal((await HashMap.restore(memoryOf(NUMBERS), source(), NUMBERS)).size, 40);
  });

  it("are read with options that are looked at once", async () => {
    let looks = 0;
    const options = {
      ...{ key: "u32", value: "f64" } as const,
      get capacity(): number {
        return looks++ === 0 ? 50 : 0;
      },
    };
    const file = await bytesOf(numbers(40).snapshot());
    assert.equal((await HashMap.restore(memoryOf(NUMBERS), file, options)).size, 40);
    assert.equal(looks, 1);
  });

  it("may have more entries than the map's capacity", async () => {
    const small = { key: "u32", value: "u32", capacity: 8 } as const;
    const map = HashMap.create(memoryOf(small), small);
    for (let key = 0; key < 40; key++) map.set(key * 7919, key);
    const file = await bytesOf(map.snapshot());
    await refuses(file, "ENOMEM", /40 entries, and the map will have room for 8/, small);
    const { capacity: _, ...types } = small;
    const memory = memoryOf({ ...types, capacity: 40 });
    assert.deepEqual(sorted(await HashMap.restore(memory, file, types)), sorted(map));
  });

  it("are not read on when they do not begin as such", async () => {
    let given = 0;
    const endless = {
      *[Symbol.iterator](): Generator<Uint8Array> {
        for (;; given++) yield new Uint8Array(1000);
      },
    };
    await refuses(endless, "EBADMSG", /does not begin/);
    assert.ok(given < 2);
  });

  it("are refused when any byte is another one, or missing, or one is too many", async () => {
    const file = await bytesOf(numbers(5).snapshot());
    for (let at = 0; at < file.length; at++) {
      const wrong = file.slice();
      wrong[at]! ^= 1 << (at % 8);
      await refuses(wrong, "EBADMSG", /Cannot restore a hash map: it/);
      await refuses(file.subarray(0, at), "EBADMSG", /it (does not begin|ends too early)/);
    }
    await refuses([file, Uint8Array.of(0)], "EBADMSG", /more follows after its end/);
    await refuses([file, file], "EBADMSG", /more follows after its end/);
  });

  it("are not read on behind their end, nor where nothing comes any more", async () => {
    const file = await bytesOf(numbers(5).snapshot());
    for (const tail of [Uint8Array.of(0), new Uint8Array(70_000), new Uint8Array(0)]) {
      for (const begin of [file, file.subarray(0, 300)]) {
        let given = 0;
        let isClosed = false;
        const endless = {
          *[Symbol.iterator](): Generator<Uint8Array> {
            yield begin;
            try {
              for (;; given++) yield tail;
            } finally {
              isClosed = true;
            }
          },
        };
        await refuses(endless, "EBADMSG", /more follows|only pieces without|checksum|frame at/);
        assert.ok(given < 3000 && isClosed, `${given} pieces`);
      }
    }
    const source = [file, ...Array.from({ length: 50 }, () => new Uint8Array(0))];
    assert.equal((await HashMap.restore(memoryOf(NUMBERS), source, NUMBERS)).size, 5);
  });

  it("are refused for a frame that no structure writes, before it is read", async () => {
    const file = await bytesOf(numbers(5).snapshot());
    const wrong = file.slice(0, 12);
    wrong.fill(255, 8);
    await refuses(wrong, "EBADMSG", /its frame at byte 12 has 4294967295 bytes/);
  });

  it("are refused when pieces have changed places", async () => {
    const options = { ...NUMBERS, capacity: 20_000 };
    const pieces: Uint8Array[] = [];
    for await (const piece of numbers(20_000, options).snapshot()) pieces.push(piece);
    [pieces[2], pieces[3]] = [pieces[3]!, pieces[2]!];
    await refuses(pieces, "EBADMSG", /its checksum/, options);
  });

  it("are refused when they are of something else, whoever has written them", async () => {
    const header = { kind: "HashMap", ...NUMBERS };
    await refuses(await forged({ format: 2 }), "EABI", /it is of format 2/);
    await refuses(await forged({ kind: "Cache" }), "EBADMSG", /of "Cache" and not of HashMap/);
    for (const wrong of [{ key: "u64" }, { value: null }, { capacity: -1 }, { key: undefined }]) {
      await refuses(await forged(wrong), "EBADMSG", /no hash map is as it says/);
    }
    await refuses(await forged({}, [new Int32Array(4)]), "EBADMSG", /a part of an entry/);
    await refuses(
      await forged({ value: "i32" }),
      "EINVAL",
      /"u32" and "i32", and not "u32" and "f64"/,
    );
    const texts = { ...header, ...TEXTS };
    const broken = Int32Array.of(1, 0xff, 0, 0, 0, 0, 0, 0, 0, 0);
    const lossy = await HashMap.restore(memoryOf(TEXTS), await forged(texts, [broken]), TEXTS);
    assert.deepEqual([...lossy], [["\ufffd", ""]]);
    assert.equal(lossy.get("\ufffd"), "");
    const long = Int32Array.of(9, -1, -1, 255, 0, 0, 0, 0, 0, 0);
    await refuses(await forged(texts, [long]), "EBADMSG", /not of its types/, TEXTS);
  });

  it("make no map that finds its keys under other names", async () => {
    const notANumber = Int32Array.of(5, 0x7ff80001, 1, 0, 0, -0x80000000, 2, 0);
    const options = { key: "f64", value: "f64", capacity: 9 } as const;
    const map = await HashMap.restore(
      memoryOf(options),
      await forged(options, [notANumber]),
      options,
    );
    assert.equal(map.has(NaN) && map.has(0), true);
    assert.equal(map.size, 2);
  });

  it("are refused when they do not fit, or cannot be read", async () => {
    const file = await bytesOf(numbers(40).snapshot());
    const small = { ...NUMBERS, capacity: 39 };
    await refuses(file, "ENOMEM", /40 entries, and the map will have room for 39/, small);
    for (const source of [undefined, null, 7, "file", {}, [1], ["a"], new Int32Array(4)]) {
      await refuses(source, "EINVAL", /what it is read from (is|gave)/);
    }
    const failing = new ReadableStream({ pull: () => Promise.reject(new Error("the disk")) });
    await assert.rejects(HashMap.restore(memoryOf(NUMBERS), failing, NUMBERS), /the disk/);
    const options = { ...NUMBERS, key: "u64" } as unknown as typeof NUMBERS;
    await rejectsCode(HashMap.restore(memoryOf(NUMBERS), file, options), "EINVAL");
    await rejectsCode(HashMap.restore(memoryOf(NUMBERS), file, undefined as never), "EINVAL");
  });

  it("end with the arena", { skip: noPolicies }, async () => {
    const arena = Arena.create({ node: 0, size: "4 MiB" });
    const map = HashMap.create(arena, { ...NUMBERS, capacity: 20_000 });
    for (let key = 0; key < 20_000; key++) map.set(key, 1);
    const reader = map.snapshot().getReader();
    for (let piece = 0; piece < 3; piece++) assert.equal((await reader.read()).done, false);
    arena.destroy();
    await rejectsCode(
      (async () => {
        while (!(await reader.read()).done);
      })(),
      "EDESTROYED",
    );
    throwsCode(() => map.snapshot(), "EDESTROYED");
  });

  it("may be given up", async () => {
    const stream = numbers(50).snapshot();
    const reader = stream.getReader();
    await reader.read();
    await reader.cancel();
    assert.equal((await reader.read()).done, true);
  });
});
