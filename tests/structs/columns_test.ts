import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import {
  Arena,
  bool,
  bytes,
  f64,
  i64,
  struct,
  type StructFields,
  text,
  u16,
  u8,
} from "../../mod.ts";
import { throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";

const Row = struct({
  kind: u8,
  size: u16,
  price: f64,
  total: i64,
  on: bool,
  key: bytes(3),
  tag: text(5),
});
const ROW = {
  ...{ kind: 1, size: 2, price: 0.5, total: -3n, on: true },
  ...{ key: Uint8Array.of(1, 2, 3), tag: "hé" },
};

/** `(import "a" "m" (memory 1)) (func (export "sum") (param i32 i32) (result f64) …)`: from an address on. */
const SUM = Uint8Array.of(
  ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7c],
  ...[2, 8, 1, 1, 0x61, 1, 0x6d, 2, 0, 1, 3, 2, 1, 0, 7, 7, 1, 3, 0x73, 0x75, 0x6d, 0, 0],
  ...[0x0a, 0x2d, 1, 0x2b, 1, 1, 0x7c, 2, 0x40, 3, 0x40, 0x20, 1, 0x45, 0x0d, 1],
  ...[0x20, 2, 0x20, 0, 0x2b, 3, 0, 0xa0, 0x21, 2, 0x20, 0, 0x41, 8, 0x6a, 0x21, 0],
  ...[0x20, 1, 0x41, 1, 0x6b, 0x21, 1, 0x0c, 0, 0x0b, 0x0b, 0x20, 2, 0x0b],
);

/** The part of WebAssembly that is used here: the types of Node do not have it. */
const { WebAssembly: { Instance, Memory, Module } } = globalThis as unknown as {
  WebAssembly: {
    Module: new (bytes: Uint8Array) => object;
    Memory: new (
      size: { initial: number },
    ) => { readonly buffer: ArrayBuffer; grow(by: number): number };
    Instance: new (module: object, imports: object) => {
      readonly exports: { sum(address: number, count: number): number };
    };
  };
};

describe("columns of structs", () => {
  it("are plain typed arrays, each on cache lines of its own", () => {
    const memory = new SharedArrayBuffer(Row.columnBytes(100));
    const rows = Row.columns(memory, 100);
    const { kind, size, price, total, on, key, tag } = rows.fields;
    assert.deepEqual(
      [kind, size, price, total, on, key, tag].map((column) => column.constructor),
      [Uint8Array, Uint16Array, Float64Array, BigInt64Array, Uint8Array, Uint8Array, Uint8Array],
    );
    const lengths = [kind, size, price, total, on, key, tag].map(({ length }) => length);
    assert.deepEqual(lengths, [100, 100, 100, 100, 100, 300, 500]);
    let end = 0;
    for (const { buffer, byteOffset, byteLength } of Object.values(rows.fields)) {
      assert.equal(buffer, memory);
      assert.ok(byteOffset % 128 === 0 && byteOffset >= end && byteOffset < end + 128);
      end = byteOffset + byteLength;
    }
    assert.ok(end <= memory.byteLength && end > memory.byteLength - 128);
    assert.equal(rows.bytes.length, memory.byteLength);
    assert.equal(rows.fields, rows.fields);
    assert.equal(Atomics.add(size, 5, 7), 0);
    assert.equal(rows.read(5).size, 7);
  });

  it("are read and written as records", () => {
    const rows = Row.columns(new SharedArrayBuffer(Row.columnBytes(3)), 3);
    rows.write(2, ROW);
    assert.deepEqual(rows.read(2), ROW);
    assert.deepEqual(rows.read(1).tag, "");
    const { kind, price, key, on, tag } = rows.fields;
    assert.deepEqual([kind[2], price[2], on[2], key[8], tag[11]], [1, 0.5, 1, 3, 0xc3]);
    on[0] = 7;
    assert.equal(rows.read(0).on, true);
    const before = rows.bytes.slice();
    throwsCode(() => rows.write(2, { ...ROW, kind: 2, tag: "123456" }), "EINVAL", /field "tag"/);
    throwsCode(() => rows.write(2, null as unknown as typeof ROW), "EINVAL", /the record is null/);
    for (const index of [3, -1, 0.5, NaN, 2 ** 32, "0", null, 0n, Symbol("0")] as number[]) {
      throwsCode(() => rows.read(index), "EINVAL", /Give a whole number from 0 to 2/);
      throwsCode(() => rows.write(index, ROW), "EINVAL", /Give a whole number from 0 to 2/);
    }
    assert.deepEqual(rows.bytes, before);
    assert.equal(inspect(rows), "StructColumns(7 columns of 3)");
  });

  it("may be called like anything else", () => {
    const names = ["length", "read", "write", "fields", "constructor"];
    const Names = struct(Object.fromEntries(names.map((name) => [name, u16])));
    const columns = Names.columns(new ArrayBuffer(Names.columnBytes(2)), 2);
    const record = Object.fromEntries(names.map((name, index) => [name, index]));
    columns.write(1, record);
    assert.deepEqual(columns.read(1), record);
    assert.equal(columns.fields["constructor"]?.[1], 4);
    assert.equal(columns.length, 2);
  });

  it("take memory that begins at a multiple of 128 bytes", () => {
    const bytes = Row.columnBytes(10);
    const buffer = new ArrayBuffer(bytes + 128);
    const rows = Row.columns(new Uint8Array(buffer, 128), 10);
    assert.equal(rows.fields.kind.byteOffset, 128);
    for (const offset of [1, 8, 64]) {
      const memory = new Uint8Array(buffer, offset);
      throwsCode(() => Row.columns(memory, 10), "EINVAL", /at a multiple of 128 bytes/);
    }
    const less = new Uint8Array(buffer, 0, bytes - 1);
    throwsCode(() => Row.columns(less, 10), "EINVAL", /10 records take \d+ bytes, and its memory/);
    for (const length of [0, -1, 0.5, NaN, "1", null, undefined, 2 ** 32] as number[]) {
      throwsCode(() => Row.columns(buffer, length), "EINVAL", /length is/);
    }
    for (const memory of [undefined, null, 5, [], {}] as unknown as ArrayBuffer[]) {
      throwsCode(() => Row.columns(memory, 1), "EINVAL");
    }
    const many = struct(
      Object.fromEntries(
        Array.from({ length: 1024 }, (_, index) => [`f${index}`, u8]),
      ) as StructFields,
    );
    assert.equal(many.columnBytes(1), 1024 * 128);
  });

  it("are what a kernel in WebAssembly takes, until its memory grows", () => {
    const memory = new Memory({ initial: 1 });
    const { exports: { sum } } = new Instance(new Module(SUM), { a: { m: memory } });
    const rows = Row.columns(memory, 1000);
    const { price } = rows.fields;
    for (let index = 0; index < 1000; index++) price[index] = index / 2;
    assert.equal(sum(price.byteOffset, price.length), 999 * 1000 / 4);
    const points = struct({ x: f64 }).array(memory, 3);
    memory.grow(1);
    assert.equal(price.length, 0);
    throwsCode(() => rows.read(0), "EDESTROYED");
    throwsCode(() => points.fields.x.get(0), "EDESTROYED");
    assert.equal(Row.columns(memory, 1000).read(999).price, 499.5);
  });

  it("are of zeros in an arena, and end with it", { skip: noPolicies }, () => {
    const arena = Arena.create({ node: 0, size: "64 KiB" });
    arena.allocUint8(2000).fill(255);
    arena.reset();
    arena.alloc(16);
    const rows = Row.columns(arena, 20);
    assert.ok(rows.bytes.every((byte) => byte === 0));
    assert.equal(rows.fields.kind.byteOffset % 128, arena.bytes.byteOffset % 128);
    assert.equal(arena.used, 128 + Row.columnBytes(20));
    rows.write(19, ROW);
    assert.deepEqual(rows.read(19), ROW);
    throwsCode(() => Row.columns(arena, 2 ** 20), "ENOMEM");
    arena.destroy();
    assert.equal(rows.fields.price.length, 0);
    for (
      const call of [
        () => rows.read(0),
        () => rows.write(0, ROW),
        () => rows.bytes,
        () => rows.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
    assert.match(String(rows), /destroyed/);
  });
});
