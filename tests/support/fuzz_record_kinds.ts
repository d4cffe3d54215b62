/**
 * The rows of records: schemas, arrays, columns, and an accessor of each type.
 */
import assert from "node:assert/strict";
import { Struct } from "../../lib/structs/records/struct.ts";
import { StructArray } from "../../lib/structs/records/struct_array.ts";
import { StructColumns } from "../../lib/structs/records/struct_columns.ts";
import * as structs from "../../lib/structs/mod.ts";
import { type Memory, none, type SyncFunction, type SyncKind } from "./fuzz_row.ts";

const { bool, bytes, f32, f64, i16, i32, i64, i8, struct, text, u16, u32, u64, u8 } = structs;

const LENGTH = 3;
const shared = (size: number): SharedArrayBuffer => new SharedArrayBuffer(size);

/** A field of each type. */
const All = struct({
  ...{ i8, u8, i16, u16, i32, u32, f32, f64, i64, u64, bool },
  ...{ bytes: bytes(4), text: text(4) },
});
type Fields = typeof All.fields;
type All = structs.StructRecord<Fields>;

function recordOf(value: number): All {
  const numbers = { i8: value, u8: value, i16: value, u16: value, i32: value, u32: value };
  return {
    ...{ ...numbers, f32: value, f64: value, i64: BigInt(value), u64: BigInt(value), bool: true },
    ...{ bytes: new Uint8Array(4).fill(value), text: `n${value}` },
  };
}

const arrayIn = (memory: Memory): structs.StructArray<Fields> =>
  All.array(memory(All.bytes(LENGTH)) as SharedArrayBuffer, LENGTH);

/** Fails unless what is written is read. */
function use(records: structs.StructArray<Fields> | structs.StructColumns<Fields>): void {
  records.write(2, recordOf(5));
  assert.deepEqual(records.read(2), recordOf(5));
  assert.equal(records.length, LENGTH);
}

const array: SyncKind<structs.StructArray<Fields>> = {
  type: StructArray,
  make: arrayIn,
  methods: {
    read: () => [1],
    write: () => [1, recordOf(7)],
    copyTo: () => [1, new Int32Array(2 * All.size / 4), 2],
    copyFrom: () => [1, new Uint8Array(2 * All.size), 2],
    toHandle: none,
    toString: none,
  },
  statics: {},
  use,
};

const columns: SyncKind<structs.StructColumns<Fields>> = {
  type: StructColumns,
  make: (memory) => All.columns(memory(All.columnBytes(LENGTH)) as SharedArrayBuffer, LENGTH),
  methods: { read: () => [1], write: () => [1, recordOf(7)], toHandle: none, toString: none },
  statics: {},
  use,
};

const schema: SyncKind<structs.Struct> = {
  type: Struct,
  make: () => struct({ id: u32, x: f64, name: bytes(4) }),
  methods: {
    bytes: () => [3],
    columnBytes: () => [3],
    array: () => [shared(256), 2],
    columns: () => [shared(1024), 2],
    describe: () => ["point"],
    toString: none,
  },
  statics: {},
  use: (object) => assert.deepEqual(object.offsets, { id: 0, x: 8, name: 16 }),
};

/** What is known of all accessors. */
type Accessor = structs.StructAccessor<unknown> & Partial<structs.StructBytesAccessor>;

function accessorKind(name: keyof Fields): SyncKind<Accessor> {
  const value = (): unknown => recordOf(7)[name];
  const more: SyncKind<Accessor>["methods"] = name === "bytes"
    ? { view: () => [1], copyTo: () => [1, new Uint8Array(8), 2] }
    : {};
  return {
    type: (arrayIn(shared).fields[name] as object).constructor,
    make: (memory) => arrayIn(memory).fields[name] as Accessor,
    methods: { get: () => [1], set: () => [1, value()], check: () => [value()], ...more },
    statics: {},
    use(object) {
      object.set(2, value());
      assert.deepEqual(object.get(2), value());
    },
  };
}

const accessors = Object.fromEntries(
  (Object.keys(All.fields) as (keyof Fields)[]).map((name) =>
    [`an accessor of ${name}`, accessorKind(name)] as const
  ),
);

/** All of them, by what they are called. */
export const RECORD_KINDS = {
  Struct: schema,
  StructArray: array,
  StructColumns: columns,
  ...accessors,
};

function functionOf(call: unknown, right: SyncFunction["right"]): SyncFunction {
  return { call: call as SyncFunction["call"], right, undo: () => {} };
}

/** The functions that `lib/structs/mod.ts` exports. */
export const RECORD_FUNCTIONS: Readonly<Record<string, SyncFunction>> = {
  bytes: functionOf(bytes, () => [16]),
  text: functionOf(text, () => [16]),
  struct: functionOf(struct, () => [{ id: { ...u32 }, name: { ...bytes(4) } }]),
};
