import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decode, encode, type Handle } from "../../lib/base/handle.ts";
import { Arena, f64, struct, type StructArray, type StructColumns, u32 } from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import { runRecords } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";
import { Sample, sampleOf } from "../workers/records.ts";

type Fields = typeof Sample.fields;
const LENGTH = 100;

/** Two threads write a half each. */
async function share(array: StructArray<Fields>, columns: StructColumns<Fields>): Promise<void> {
  const half = LENGTH / 2;
  const threads = [0, half].map((from) => runRecords({ array, columns, from, to: from + half }));
  for (const { array: back, text } of await Promise.all(threads.map((thread) => thread.join()))) {
    assert.deepEqual(text, [String(array), String(columns)]);
    assert.notEqual(back, array);
    assert.deepEqual(back.bytes, array.bytes);
  }
  for (let index = 0; index < LENGTH; index++) {
    assert.deepEqual(array.read(index), sampleOf(index));
    assert.deepEqual(columns.read(index), sampleOf(index));
  }
}

describe("structs of several threads", () => {
  it("are in shared memory", async () => {
    const array = Sample.array(new SharedArrayBuffer(Sample.bytes(LENGTH)));
    const columns = Sample.columns(new SharedArrayBuffer(Sample.columnBytes(LENGTH)), LENGTH);
    await share(array, columns);
  });

  it("are in an arena", { skip: noPolicies }, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    arena.alloc(40);
    await share(Sample.array(arena, LENGTH), Sample.columns(arena, LENGTH));
  });

  it("are a part of larger memory", async () => {
    const memory = new Uint8Array(new SharedArrayBuffer(2 ** 16));
    const array = Sample.array(memory.subarray(64), LENGTH);
    await share(array, Sample.columns(memory.subarray(2 ** 14), LENGTH));
    assert.ok(memory.subarray(0, 64).every((byte) => byte === 0));
  });
});

describe("a handle of structs", () => {
  const array = (): StructArray<Fields> => Sample.array(new SharedArrayBuffer(Sample.bytes(4)));

  it("makes another object over the same memory", () => {
    const first = array();
    const second = decode(structuredClone(encode(first))) as StructArray<Fields>;
    second.write(3, sampleOf(3));
    assert.deepEqual(first.read(3), sampleOf(3));
    assert.deepEqual(second.toHandle(), first.toHandle());
    const columns = Sample.columns(new SharedArrayBuffer(Sample.columnBytes(4)), 4);
    const again = decode(structuredClone(encode({ columns }))) as { columns: typeof columns };
    again.columns.fields.x.fill(0.5);
    assert.equal(columns.read(3).x, 0.5);
  });

  it("is not made of memory that belongs to a thread alone", () => {
    const own = Sample.array(new ArrayBuffer(Sample.bytes(4)));
    throwsCode(() => own.toHandle(), "EINVAL", /belongs to this thread alone/);
    const columns = Sample.columns(new ArrayBuffer(Sample.columnBytes(4)), 4);
    throwsCode(() => columns.toHandle(), "EINVAL", /belongs to this thread alone/);
  });

  it("is not believed", { skip: noPolicies }, () => {
    using arena = Arena.create({ node: 0, size: "64 KiB" });
    const real = [
      array(),
      Sample.array(arena, 4),
      Sample.columns(new SharedArrayBuffer(Sample.columnBytes(4)), 4),
      Sample.columns(arena, 4),
    ].map((object) => object.toHandle());
    const names: unknown[] = ["__proto__", "", 5, null, "x y"];
    const wrong: Record<string, unknown[]> = {
      fields: [
        ...[undefined, null, 5, "x", [], [null], [[]], [["x"]], [["x", "u32"]], [["x", "u32", 8]]],
        ...[[["x", "u33", 4]], [["x", "bytes", 0]], [["x", "bytes", 2 ** 21]], [["x", u32, 4]]],
        ...[[["x", "u32", 4], ["x", "u32", 4]], names.map((name) => [name, "u32", 4])],
        Array.from({ length: 2000 }, (_, index) => [`f${index}`, "u8", 1]),
      ],
      length: [undefined, null, 0, -1, 0.5, NaN, 2 ** 20, 2 ** 32, "4"],
      bytes: [null, 5, {}, new SharedArrayBuffer(8), new Uint8Array(8), new Int32Array(64)],
      arena: [undefined, null, 5, {}, { numakitHandle: "arena", data: {} }, array().toHandle()],
      offset: [undefined, null, -1, 8, 2 ** 40, NaN, "0"],
    };
    for (const { numakitHandle, data } of real) {
      for (const [key, values] of Object.entries(wrong)) {
        if (!Object.hasOwn(data as object, key)) continue;
        for (const value of values) {
          const handle = { numakitHandle, data: { ...data as object, [key]: value } };
          throwsCode(() => decode(handle), "EINVAL");
        }
      }
      throwsCode(() => decode({ numakitHandle, data: null }), "EINVAL");
    }
    const circle: { numakitHandle: string; data: Record<string, unknown> } = {
      numakitHandle: "structArray",
      data: { ...(real[1] as Handle).data as object },
    };
    circle.data["arena"] = circle;
    throwsCode(() => decode(circle), "EINVAL", /is not a handle of kind "arena"/);
  });

  it("is of no use when its arena is gone", { skip: noPolicies }, () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    const handle = struct({ x: f64 }).array(arena, 4).toHandle();
    arena.destroy();
    throwsCode(() => decode(handle), "ESTALE");
  });
});
