import {
  bytes,
  f64,
  struct,
  type StructArray,
  type StructColumns,
  text,
  u32,
  worker,
} from "../../mod.ts";

/** What the threads of the tests share. */
export const Sample = struct({ id: u32, x: f64, key: bytes(3), label: text(8) });

/** What a thread is to do. */
export interface RecordTask {
  readonly array: StructArray<typeof Sample.fields>;
  readonly columns: StructColumns<typeof Sample.fields>;
  /** The records from here. */
  readonly from: number;
  /** To here, which is none of them. */
  readonly to: number;
}

/** The record of an index. */
export function sampleOf(index: number): ReturnType<RecordTask["array"]["read"]> {
  const key = Uint8Array.of(index, index + 1, index + 2);
  return { id: index, x: index / 4, key, label: `n${index}é` };
}

/** Writes a part of the records, half of the array's fields one by one. The result is what its own layout is. */
export default worker(({ array, columns, from, to }: RecordTask) => {
  const { id, x } = array.fields;
  for (let index = from; index < to; index++) {
    array.write(index, { ...sampleOf(index), id: 0, x: 0 });
    id.set(index, index);
    x.set(index, index / 4);
    columns.write(index, sampleOf(index));
  }
  return { array, text: [String(array), String(columns)] };
});
