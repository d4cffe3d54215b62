/**
 * How records are arranged in memory: one after the other, or a column for each field.
 *
 * @module
 */
import { LINE_BYTES } from "../../wait/waiter.ts";
import { alignUp, type RecordLayout } from "./layout.ts";

/** What one arrangement of records is, to its memory. */
export interface Arrangement {
  /** Its name in handles: no other class has it. */
  readonly name: string;
  /** What one is called, with its article. */
  readonly title: string;
  /** The bytes of so many records. */
  bytes(layout: RecordLayout, length: number): number;
  /** The alignment of the memory in its buffer. */
  align(layout: RecordLayout): number;
}

/** Records one after the other. */
export const ARRAY: Arrangement = {
  name: "structArray",
  title: "an array of structs",
  bytes: ({ size }, length) => size * length,
  align: ({ align }) => align,
};

/**
 * Where each column begins, and as the last number where all end.
 *
 * @param layout The layout of a record.
 * @param length The number of records.
 * @returns Bytes.
 */
export function columnOffsets({ fields }: RecordLayout, length: number): number[] {
  const offsets = [0];
  for (const { size } of fields) {
    offsets.push(offsets[offsets.length - 1]! + alignUp(size * length, LINE_BYTES));
  }
  return offsets;
}

/** A column for each field. */
export const COLUMNS: Arrangement = {
  name: "structColumns",
  title: "columns of structs",
  bytes: (layout, length) => columnOffsets(layout, length).at(-1) as number,
  align: () => LINE_BYTES,
};
