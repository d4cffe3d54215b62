import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { inspect } from "node:util";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  Arena,
  bool,
  bytes,
  f64,
  i16,
  i32,
  SpscRing,
  type Struct,
  struct,
  type StructFields,
  text,
  u16,
  u32,
  u64,
  u8,
} from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";
import { modelStructs } from "../support/struct_model.ts";

const Point = struct({ id: u32, x: f64, name: bytes(16) });
const Mixed = struct({ small: u8, flag: bool, big: u64, title: text(8), half: i16 });

const ALIEN_INDICES: readonly unknown[] = [
  ...[-1, 0.5, NaN, Infinity, 2 ** 32, 2 ** 53, "0", null, undefined, 0n, Symbol("0"), {}],
];

/** Texts with half of a surrogate pair: at both ends of both ranges, and in the wrong order. */
const LONE = [
  ...["\ud800", "\udbff", "\udc00", "\udfff", "\ud83da", "a\ud83d"],
  ...["\ude00\ud83d", "\udc00\udc00", "\ud800\ud800\udc00"],
];

describe("struct", () => {
  it("lays fields out as C does", () => {
    assert.deepEqual([Point.size, Point.align], [32, 8]);
    assert.deepEqual(Point.offsets, { id: 0, x: 8, name: 16 });
    assert.deepEqual(Point.fields, { id: u32, x: f64, name: bytes(16) });
    const { size, align, offsets } = struct({ a: u8, b: u16, c: u8, d: bytes(3), e: i32, f: u8 });
    assert.deepEqual([size, align], [16, 4]);
    assert.deepEqual(offsets, { a: 0, b: 2, c: 4, d: 5, e: 8, f: 12 });
    assert.deepEqual([struct({ a: bytes(3) }).size, struct({ a: bytes(3) }).align], [3, 1]);
    assert.ok(Object.isFrozen(Point.fields) && Object.isFrozen(Point.offsets));
  });

  it("keeps the declared order, also of what was declared by others", () => {
    const names = Object.keys(struct({ z: u8, a: u8, constructor: u8, toString: u8 }).offsets);
    assert.deepEqual(names, ["z", "a", "constructor", "toString"]);
    const cloned = structuredClone(Point.fields);
    assert.deepEqual(struct(cloned).offsets, Point.offsets);
    assert.equal(struct(Object.assign(Object.create(null), { a: u16 })).size, 2);
  });

  it("tells how much memory is needed", () => {
    assert.equal(Point.bytes(10), 320);
    assert.equal(Point.columnBytes(10), 128 + 128 + 256);
    assert.equal(Point.columnBytes(32), 128 + 256 + 512);
    assert.equal(Point.bytes(2 ** 32 - 1), 32 * (2 ** 32 - 1));
    for (const length of [0, -1, 1.5, NaN, 2 ** 32, "1", null, undefined] as number[]) {
      throwsCode(() => Point.bytes(length), "EINVAL", /Give a whole number from 1 to 4294967295/);
      throwsCode(() => Point.columnBytes(length), "EINVAL");
    }
  });

  it("refuses names that are not to be told from others, or that C does not take", () => {
    const long = "a".repeat(64);
    for (const name of ["", "0", "1x", "a b", "a-b", "é", "$", "__proto__", long, "x\n"]) {
      throwsCode(() => struct({ [name]: u32 }), "EINVAL", /a field has the name/);
    }
    throwsCode(() => struct({ [Symbol("x")]: u32 } as StructFields), "EINVAL", /a symbol/);
    assert.equal(struct({ [long.slice(1)]: u32 }).size, 4);
    // The field is the prototype.
    const lost = { __proto__: u32, x: u32 } as unknown as StructFields;
    throwsCode(() => struct(lost), "EINVAL", /no field is __proto__/);
  });

  it("refuses what are no fields, too many and too large ones", () => {
    const none: unknown[] = [undefined, null, 1, "u32", [u32], [], new Map(), Point, u32];
    for (const fields of none) throwsCode(() => struct(fields as StructFields), "EINVAL");
    const wrong: unknown[] = [
      ...[undefined, null, 4, "u32", {}, bytes, { type: "u33", size: 4 }, { type: "u32", size: 8 }],
      ...[{ type: "toString" }, { type: "toString", size: 4 }, { type: "bytes" }, {
        type: "bytes",
        size: -1,
      }, Point],
    ];
    for (const x of wrong) throwsCode(() => struct({ x } as unknown as StructFields), "EINVAL");
    for (const size of [0, -1, 1.5, NaN, 2 ** 20 + 1, "1", null] as number[]) {
      throwsCode(() => bytes(size), "EINVAL", /define a field of bytes: the size is/);
      throwsCode(() => text(size), "EINVAL", /define a field of text: the size is/);
    }
    throwsCode(() => struct({}), "EINVAL", /it has 0 fields\. Give 1 to 1024/);
    const many = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, index) => [`f${index}`, u8]));
    assert.equal(struct(many(1024)).size, 1024);
    throwsCode(() => struct(many(1025)), "EINVAL", /it has 1025 fields/);
    assert.equal(struct({ a: bytes(2 ** 20) }).size, 2 ** 20);
    throwsCode(() => struct({ a: bytes(2 ** 20), b: u8 }), "EINVAL", /takes 1048577 bytes/);
  });

  it("tells what it is", () => {
    assert.equal(String(Point), "Struct(id: u32, x: f64, name: bytes(16): 32 bytes)");
    assert.equal(inspect(Point), String(Point));
    const many = Object.fromEntries([..."abcdefghij"].map((name) => [name, u8]));
    assert.match(String(struct(many)), /h: u8, 2 more: 10 bytes/);
  });

  it("is declared in C", () => {
    assert.equal(
      Mixed.describe("mixed"),
      `#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct mixed {
  uint8_t small; // at 0
  bool flag; // at 1
  uint64_t big; // at 8
  char title[8]; // at 16
  int16_t half; // at 24
};
static_assert(sizeof(struct mixed) == 32, "32 bytes, aligned to 8");
`,
    );
    const keywords = struct({ int: u8, int_: u8, class: bytes(2) }).describe("struct");
    assert.match(keywords, /struct struct_ \{\n.* int__; .*\n.* int_; .*\n.* class_\[2\]; /);
    for (const name of ["", "1", "a b", "a\n", null, 5] as string[]) {
      throwsCode(() => Point.describe(name), "EINVAL", /declare a struct in C/);
    }
  });
});

describe("an array of structs", () => {
  it("reads and writes fields and records", () => {
    const points = Point.array(new SharedArrayBuffer(Point.bytes(10)));
    assert.equal(points.length, 10);
    const { id, x, name } = points.fields;
    id.set(9, 2 ** 32 - 1);
    x.set(9, -0.5);
    name.set(9, new Uint8Array(16).fill(7));
    assert.deepEqual([id.get(9), x.get(9)], [2 ** 32 - 1, -0.5]);
    const name9 = new Uint8Array(16).fill(7);
    assert.deepEqual(points.read(9), { id: 2 ** 32 - 1, x: -0.5, name: name9 });
    assert.deepEqual(Object.keys(points.read(9)), ["id", "x", "name"]);
    points.write(0, { id: 1, x: 2, name: name9 });
    assert.deepEqual(points.read(0), { id: 1, x: 2, name: name9 });
    assert.deepEqual(points.read(1), { id: 0, x: 0, name: new Uint8Array(16) });
    assert.equal(points.fields, points.fields);
    assert.deepEqual(inspect(points), "StructArray(10 records of 32 bytes)");
  });

  it("lets a field have any name", () => {
    const names = ["length", "read", "write", "fields", "bytes", "then", "constructor"];
    const fields = Object.fromEntries(names.map((name) => [name, u16]));
    const array = struct(fields).array(new ArrayBuffer(2 * 7 * 3));
    const record = Object.fromEntries(names.map((name, index) => [name, index]));
    array.write(2, record);
    assert.deepEqual(array.read(2), record);
    assert.equal(array.length, 3);
    assert.equal(array.fields["length"]?.get(2), 0);
    assert.equal(array.fields["constructor"]?.get(2), 6);
  });

  it("gives bytes as copies, as views, and into an array", () => {
    const memory = new SharedArrayBuffer(Point.bytes(2));
    const { name } = Point.array(memory).fields;
    const view = name.view(1);
    view.set([1, 2, 3]);
    const copy = name.get(1);
    assert.ok(copy.buffer instanceof ArrayBuffer);
    assert.deepEqual([...copy.subarray(0, 4)], [1, 2, 3, 0]);
    copy[0] = 9;
    assert.equal(view[0], 1);
    const target = Buffer.alloc(20, 255);
    name.copyTo(1, target, 4);
    assert.deepEqual([...target.subarray(0, 8)], [255, 255, 255, 255, 1, 2, 3, 0]);
    for (const at of [5, -1, 0.5, NaN, "4", null] as number[]) {
      throwsCode(() => name.copyTo(1, target, at), "EINVAL", /room for 16 bytes/);
    }
    for (const wrong of [new Uint8Array(15), new Int8Array(16), [], null] as Uint8Array[]) {
      throwsCode(() => name.copyTo(1, wrong), "EINVAL", /room for 16 bytes/);
    }
    // A source that overlaps with what is written.
    name.set(0, Uint8Array.from({ length: 16 }, (_, at) => at));
    name.set(0, new Uint8Array(memory, 16 - 4, 16));
    assert.deepEqual([...name.get(0)], [0, 0, 0, 0, ...Array.from({ length: 12 }, (_, at) => at)]);
  });

  it("never cuts a text", () => {
    const { title } = Mixed.array(new ArrayBuffer(Mixed.bytes(1))).fields;
    for (
      const value of [
        "",
        "12345678",
        "éé",
        "€€é",
        "😀😀",
        "\ufeffab",
        "🏿",
        "\u{10ffff}",
        "\ud7ff\ue000",
      ]
    ) {
      title.set(0, "********");
      title.set(0, value);
      assert.equal(title.get(0), value);
    }
    for (const value of ["123456789", "€€€", "😀😀a", "1234567é", "a".repeat(2 ** 21)]) {
      throwsCode(() => title.set(0, value), "EINVAL", /more than 8 bytes/);
    }
    throwsCode(() => title.set(0, "a\0"), "EINVAL", /a character U\+0000/);
    for (const value of LONE) {
      throwsCode(() => title.set(0, value), "EINVAL", /half of a surrogate pair/);
    }
    assert.equal(title.get(0), "\ud7ff\ue000", "nothing was written");
  });

  it("reads whatever others wrote", () => {
    const memory = new Uint8Array(Mixed.bytes(1));
    const array = Mixed.array(memory);
    memory.fill(255);
    assert.deepEqual(array.read(0), {
      ...{ small: 255, flag: true, big: 2n ** 64n - 1n, half: -1 },
      title: "\ufffd".repeat(8),
    });
    memory.set([0xc3, 0, 0x41], Mixed.offsets.title);
    assert.equal(array.fields.title.get(0), "\ufffd");
  });

  it("copies records out and in, in bytes and in words", () => {
    const from = Point.array(new SharedArrayBuffer(Point.bytes(3)));
    const to = Point.array(new ArrayBuffer(Point.bytes(3)));
    const record = { id: 5, x: 1.25, name: new Uint8Array(16).fill(3) };
    from.write(2, record);
    const words = new Int32Array(10).fill(-1);
    from.copyTo(2, words, 1);
    assert.deepEqual([words[0], words[1], words[9]], [-1, 5, -1]);
    to.copyFrom(1, words, 1);
    assert.deepEqual(to.read(1), record);
    const some = new Uint8Array(40);
    from.copyTo(2, some, 8);
    to.copyFrom(0, some, 8);
    assert.deepEqual(to.read(0), record);
    assert.deepEqual(to.read(2).id, 0);
    const wrong: unknown[] = [new Int32Array(7), new Uint8Array(31), new Float64Array(4), [], null];
    for (const array of wrong as Int32Array[]) {
      throwsCode(() => from.copyTo(0, array), "EINVAL", /Uint8Array of 32 bytes or .* 8 words/);
      throwsCode(() => from.copyFrom(0, array), "EINVAL", /Uint8Array of 32 bytes or .* 8 words/);
    }
    for (const at of [3, -1, 0.5, NaN, "0", null] as number[]) {
      throwsCode(() => from.copyTo(0, words, at), "EINVAL", /the first index/);
      throwsCode(() => from.copyFrom(0, words, at), "EINVAL", /the first index/);
    }
    const odd = struct({ a: bytes(6) }).array(new ArrayBuffer(12));
    throwsCode(() => odd.copyTo(0, words), "EINVAL", /Give a Uint8Array of 6 bytes from/);
    // More than a loop copies, and onto itself.
    const large = struct({ a: bytes(1000) }).array(new ArrayBuffer(2000));
    large.bytes.set(Uint8Array.from({ length: 2000 }, (_, at) => at * 7));
    const expected = large.bytes.slice(500, 1500);
    large.copyFrom(0, large.bytes, 500);
    assert.deepEqual(large.bytes.slice(0, 1000), expected);
    // A few words, onto each other.
    for (let at = 0; at <= 4; at++) {
      const memory = new Int32Array(8).map((_, index) => index);
      struct({ a: bytes(16) }).array(memory).copyTo(0, memory, at);
      assert.deepEqual([...memory.subarray(at, at + 4)], [0, 1, 2, 3]);
    }
  });

  it("passes through a ring, and is read there in place", () => {
    const options = { capacity: 4, recordWords: Point.size / 4 };
    const ring = SpscRing.create(new SharedArrayBuffer(SpscRing.bytes(options)), options);
    const points = Point.array(new ArrayBuffer(Point.bytes(1)));
    const words = new Int32Array(options.recordWords);
    points.write(0, { id: 3, x: 0.5, name: new Uint8Array(16) });
    points.copyTo(0, words);
    assert.ok(ring.tryPush(words) && ring.readable() === 1);
    const there = Point.array(ring.records);
    assert.equal(there.length, 4);
    assert.equal(there.fields.x.get(ring.readAt / options.recordWords), 0.5);
  });

  it("refuses indices that are none, everywhere", () => {
    const array = Mixed.array(new SharedArrayBuffer(Mixed.bytes(3)));
    const names = struct({ name: bytes(4) }).array(new SharedArrayBuffer(12)).fields.name;
    const record = { small: 1, flag: true, big: 1n, title: "", half: 1 };
    const untouched = array.bytes.slice();
    for (const index of [3, 4, 2 ** 31, 2 ** 32 - 1, ...ALIEN_INDICES] as number[]) {
      for (const [name, accessor] of Object.entries(array.fields)) {
        const value = record[name as keyof typeof record] as never;
        const asked = new RegExp(`field "${name}" of record .*Give a whole number from 0 to 2`);
        throwsCode(() => accessor.get(index), "EINVAL", asked);
        throwsCode(() => accessor.set(index, value), "EINVAL", asked);
      }
      for (
        const call of [
          () => array.read(index),
          () => array.write(index, record),
          () => array.copyTo(index, new Uint8Array(32)),
          () => array.copyFrom(index, new Uint8Array(32)),
          () => names.view(index),
          () => names.copyTo(index, new Uint8Array(4)),
        ]
      ) throwsCode(call, "EINVAL", /record .*Give a whole number from 0 to 2/);
    }
    assert.deepEqual(array.bytes, untouched);
  });

  it("refuses values of another kind, and writes no part of a record", () => {
    const array = Mixed.array(new SharedArrayBuffer(Mixed.bytes(1)));
    const record = { small: 1, flag: true, big: 1n, title: "a", half: 1 };
    array.write(0, record);
    const before = array.bytes.slice();
    const wrong: Record<string, unknown[]> = {
      small: [1n, "1", true, null, undefined, {}, { valueOf: () => 1 }],
      flag: [0, 1, "true", null, undefined],
      big: [1, "1", null, undefined],
      title: [1, null, undefined, {}, "a\0", "123456789"],
      half: [1n, "1", null, undefined],
    };
    for (const [name, values] of Object.entries(wrong)) {
      const accessor = array.fields[name as "small"];
      for (const value of values as number[]) {
        const asked = new RegExp(`^Cannot write field "${name}" of a record: `);
        throwsCode(() => accessor.set(0, value), "EINVAL", asked);
        const other = { ...record, small: 2, flag: false, big: 2n, title: "b", half: 2 };
        throwsCode(() => array.write(0, { ...other, [name]: value }), "EINVAL", asked);
      }
    }
    for (const none of [null, undefined, 1, "record"] as unknown as typeof record[]) {
      throwsCode(() => array.write(0, none), "EINVAL", /the record is/);
    }
    let looks = 0;
    const changing = {
      ...record,
      small: 2,
      get half() {
        return looks++ === 0 ? 1 : "no more" as never;
      },
    };
    array.write(0, changing);
    assert.deepEqual([looks, array.read(0)], [1, { ...record, small: 2 }]);
    array.write(0, record);
    assert.deepEqual(array.bytes, before);
    array.write(0, { ...record, more: 1 } as typeof record);
    const names = Point.array(new ArrayBuffer(32)).fields.name;
    for (const value of [new Uint8Array(15), new Uint8Array(17), new Int8Array(16), [], null]) {
      throwsCode(() => names.set(0, value as Uint8Array), "EINVAL", /a Uint8Array of 16 bytes/);
    }
  });

  it("takes memory of all kinds, and no more of it than it is told", () => {
    const buffer = new ArrayBuffer(1024);
    assert.equal(Point.array(buffer).length, 32);
    assert.equal(Point.array(buffer, 3).bytes.length, 96);
    assert.equal(Point.array(new Uint8Array(buffer, 64, 100)).length, 3);
    assert.equal(Point.array(new Float64Array(buffer, 8)).length, 31);
    assert.equal(Point.array(new DataView(buffer, 8, 32)).length, 1);
    assert.equal(Point.array(Buffer.from(buffer, 8)).length, 31);
    const late = Point.array(new Uint8Array(buffer, 64, 100));
    late.fields.x.set(2, 1.5);
    assert.equal(new DataView(buffer).getFloat64(64 + 2 * 32 + 8, true), 1.5);
    for (const offset of [1, 2, 4, 12]) {
      const memory = new Uint8Array(buffer, offset);
      throwsCode(() => Point.array(memory), "EINVAL", /begins at byte .* a multiple of 8 bytes/);
    }
    assert.equal(struct({ a: bytes(3) }).array(new Uint8Array(buffer, 1)).length, 341);
    for (const memory of [new ArrayBuffer(31), new Uint8Array(buffer, 0, 31)]) {
      throwsCode(() => Point.array(memory), "EINVAL", /1 records take 32 bytes, and .* has 31/);
    }
    throwsCode(() => Point.array(buffer, 33), "EINVAL", /33 records take 1056 bytes/);
    const alien: unknown[] = [
      undefined,
      null,
      5,
      "x",
      [],
      {},
      { buffer: 5 },
      new Proxy(buffer, {}),
    ];
    for (const memory of alien) throwsCode(() => Point.array(memory as ArrayBuffer), "EINVAL");
    for (const length of [0, -1, 0.5, NaN, "1", null, 2 ** 32] as number[]) {
      throwsCode(() => Point.array(buffer, length), "EINVAL", /length is/);
    }
  });

  it("is over when its buffer is transferred away, or becomes smaller", () => {
    const buffer = new ArrayBuffer(96);
    const points = Point.array(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    checkGone(points);
    const smaller = new ArrayBuffer(96, { maxByteLength: 128 });
    const all = Point.array(smaller);
    smaller.resize(64);
    checkGone(all);
  });
});

/** Nothing can be read or written any more. */
function checkGone(points: ReturnType<typeof Point.array>): void {
  const record = { id: 1, x: 1, name: new Uint8Array(16) };
  const { id, x, name } = points.fields;
  for (
    const call of [
      () => id.get(0),
      () => id.set(0, 1),
      () => x.get(0),
      () => x.set(0, 1),
      () => name.get(0),
      () => name.view(0),
      () => name.copyTo(0, new Uint8Array(16)),
      () => name.set(0, new Uint8Array(16)),
      () => points.read(0),
      () => points.write(0, record),
      () => points.copyTo(0, new Uint8Array(32)),
      () => points.copyFrom(0, new Int32Array(8)),
      () => points.bytes,
      () => points.toHandle(),
    ]
  ) throwsCode(call, "EDESTROYED");
  assert.match(String(points), /destroyed/);
}

describe("an array of structs in an arena", { skip: noPolicies }, () => {
  it("is allocated there, of zeros, and ends with it", () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    arena.allocUint8(100).fill(255);
    arena.allocUint8(1000).fill(255);
    arena.reset();
    arena.alloc(16);
    const points = Point.array(arena, 30);
    assert.equal(points.bytes.byteOffset % 128, arena.bytes.byteOffset % 128);
    assert.ok(points.bytes.every((byte) => byte === 0));
    assert.equal(arena.used, 128 + Point.bytes(30));
    points.fields.x.set(29, 1.5);
    assert.equal(points.read(29).x, 1.5);
    const over = Point.array(arena.allocUint8(Point.bytes(3)));
    throwsCode(() => Point.array(arena, undefined as unknown as number), "EINVAL", /length is/);
    throwsCode(() => Point.array(arena, 2 ** 20), "ENOMEM");
    throwsCode(() => over.toHandle(), "EINVAL", /Give the Arena itself/);
    arena.destroy();
    checkGone(points);
    throwsCode(() => over.read(0), "EDESTROYED");
    throwsCode(() => Point.array(arena, 1), "EDESTROYED");
  });
});

describe("a random struct", () => {
  it("is laid out, read and written as C and a DataView have it", () => {
    const cases = modelStructs.chain((model) =>
      fc.record({
        model: fc.constant(model),
        isShared: fc.boolean(),
        writes: fc.array(
          fc.record({
            index: fc.integer({ min: 0, max: 3 }),
            only: fc.option(fc.integer({ min: 0, max: model.names.length - 1 })),
            record: fc.tuple(...model.model.map(({ values }) => values)),
          }),
          { maxLength: 10 },
        ),
      })
    );
    fc.assert(
      fc.property(cases, ({ model, isShared, writes }) => {
        const schema: Struct = struct(model.fields);
        assert.deepEqual([schema.size, schema.align], [model.size, model.align]);
        assert.deepEqual(Object.values(schema.offsets), model.offsets);
        const length = 4;
        const size = schema.bytes(length);
        const whole = new Uint8Array(
          isShared ? new SharedArrayBuffer(size + 16) : new ArrayBuffer(size + 16),
        ).fill(0xa5);
        const array = schema.array(whole.subarray(8, 8 + size));
        const columns = schema.columns(new ArrayBuffer(schema.columnBytes(length)), length);
        const expected = whole.slice();
        const view = new DataView(expected.buffer, 8);
        for (const { index, only, record } of writes) {
          const values = Object.fromEntries(model.names.map((name, at) => [name, record[at]]));
          if (only === null) {
            array.write(index, values as never);
            columns.write(index, values as never);
          } else {
            const name = model.names[only]!;
            (array.fields[name] as { set(at: number, value: unknown): void }).set(
              index,
              values[name],
            );
            columns.write(index, { ...columns.read(index), [name]: values[name] } as never);
          }
          for (const [at, field] of model.model.entries()) {
            if (only !== null && only !== at) continue;
            field.set(view, index * model.size + model.offsets[at]!, record[at] as never);
          }
          // Nothing else is touched: padding, other records, and what is before and behind them.
          assert.deepEqual(whole, expected);
          const read = array.read(index);
          const written = Object.fromEntries(model.names.map((name, at) => [
            name,
            model.model[at]!.get(view, index * model.size + model.offsets[at]!),
          ]));
          assert.deepEqual(read, written);
          if (only === null) assert.deepEqual(columns.read(index), written);
          const copy = schema.array(new ArrayBuffer(model.size));
          copy.copyFrom(0, whole, 8 + index * model.size);
          assert.deepEqual(copy.read(0), written);
        }
      }),
      { numRuns: 100 },
    );
  });
});
