/**
 * What TypeScript infers. The type check of the tree tests it: the bodies only have to run.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Arena,
  bool,
  bytes,
  f32,
  f64,
  i16,
  i32,
  i64,
  i8,
  struct,
  type StructAccessor,
  type StructArray,
  type StructBytesAccessor,
  type StructColumns,
  type StructFields,
  type StructRecord,
  text,
  u16,
  u32,
  u64,
  u8,
} from "../../mod.ts";

/** Whether two types are the same one. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
/** Takes what has to be true. */
function proves<_Fact extends true>(): void {}
/** Is checked, and never called. */
function isChecked(body: () => void): void {
  assert.equal(typeof body, "function");
}

const Point = struct({ id: u32, x: f64, name: bytes(16) });
const All = struct({
  ...{ a: i8, b: u8, c: i16, d: u16, e: i32, f: u32, g: f32, h: f64, i: i64, j: u64, k: bool },
  ...{ l: bytes(2), m: text(2) },
});
const points = Point.array(new SharedArrayBuffer(Point.bytes(4)));
const columns = Point.columns(new SharedArrayBuffer(Point.columnBytes(4)), 4);

describe("the types of a struct", () => {
  it("say what a record is", () => {
    type Fields = typeof Point.fields;
    proves<Same<StructRecord<Fields>, { id: number; x: number; name: Uint8Array }>>();
    proves<Same<ReturnType<typeof points.read>, StructRecord<Fields>>>();
    proves<Same<ReturnType<typeof columns.read>, StructRecord<Fields>>>();
    proves<Same<Parameters<typeof points.write>[1], StructRecord<Fields>>>();
    proves<
      Same<typeof Point.offsets, { readonly id: number; readonly x: number; readonly name: number }>
    >();
    type Record = StructRecord<typeof All.fields>;
    type Numbers = Record["a" | "b" | "c" | "d" | "e" | "f" | "g" | "h"];
    proves<Same<Numbers, number>>();
    proves<Same<Record["i" | "j"], bigint>>();
    proves<Same<Record["k"], boolean>>();
    proves<Same<Record["l"], Uint8Array>>();
    proves<Same<Record["m"], string>>();
  });

  it("say what accessors and columns are", () => {
    proves<Same<typeof points.fields.x, StructAccessor<number>>>();
    proves<Same<typeof points.fields.name, StructBytesAccessor>>();
    proves<Same<typeof points, StructArray<typeof Point.fields>>>();
    const all = All.array(new ArrayBuffer(All.size));
    proves<Same<typeof all.fields.i, StructAccessor<bigint>>>();
    proves<Same<typeof all.fields.k, StructAccessor<boolean>>>();
    proves<Same<typeof all.fields.m, StructAccessor<string>>>();
    proves<Same<typeof columns.fields.x, Float64Array<SharedArrayBuffer>>>();
    proves<Same<typeof columns.fields.name, Uint8Array<SharedArrayBuffer>>>();
    const own = All.columns(new ArrayBuffer(All.columnBytes(1)), 1);
    proves<Same<typeof own, StructColumns<typeof All.fields, ArrayBuffer>>>();
    proves<Same<typeof own.fields.j, BigUint64Array<ArrayBuffer>>>();
    proves<Same<typeof own.fields.a, Int8Array<ArrayBuffer>>>();
    const view = All.columns(new Int32Array(new SharedArrayBuffer(All.columnBytes(1))), 1);
    proves<Same<typeof view.fields.g, Float32Array<SharedArrayBuffer>>>();
    const inArena = (arena: Arena) => All.columns(arena, 1);
    proves<Same<ReturnType<typeof inArena>["fields"]["d"], Uint16Array<ArrayBuffer>>>();
  });

  it("let functions take any struct", () => {
    const lengthOf = (array: StructArray, other: StructColumns): number =>
      array.length + other.length;
    assert.equal(lengthOf(points as StructArray, columns as StructColumns), 8);
    const first = <Fields extends StructFields>(array: StructArray<Fields>): StructRecord<Fields> =>
      array.read(0);
    assert.equal(first(points).id, 0);
  });

  it("know no other fields, and no other values", () => {
    const name = new Uint8Array(16);
    isChecked(() => {
      // @ts-expect-error there is no such field
      points.fields.y.get(0);
      // @ts-expect-error there is no such field
      points.read(0).y;
      // @ts-expect-error there is no such field
      points.write(0, { id: 1, x: 1, name, y: 1 });
      // @ts-expect-error a field is missing
      points.write(0, { id: 1, name });
      // @ts-expect-error another kind of value
      points.write(0, { id: 1n, x: 1, name });
      // @ts-expect-error another kind of value
      points.fields.x.set(0, "1");
      // @ts-expect-error a number has no bytes
      points.fields.x.view(0);
      // @ts-expect-error there is no such column
      columns.fields.y.fill(0);
      // @ts-expect-error another kind of value
      columns.fields.x.fill(0n);
      // @ts-expect-error there is no such field
      Point.offsets.y.toFixed();
      // @ts-expect-error not a field
      struct({ id: "u32" });
      // @ts-expect-error a function, and not a field
      struct({ name: bytes });
      // @ts-expect-error the schema is not to be changed
      Point.fields.id = u32;
      // @ts-expect-error columns need a length
      Point.columns(new ArrayBuffer(1024));
      // @ts-expect-error an arena needs a length
      Point.array({} as Arena);
      // @ts-expect-error no memory
      Point.array(1024);
    });
  });
});
