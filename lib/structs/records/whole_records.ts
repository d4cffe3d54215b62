import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import type { RecordAccessor } from "./accessors.ts";
import type { RecordLayout } from "./layout.ts";

/**
 * Makes an object of a record.
 *
 * @param layout The names of its fields.
 * @param accessors Their accessors.
 * @param index The record.
 * @returns The object.
 * @throws {NumaError} As `get` of the accessors.
 */
export function readRecord(
  { names }: RecordLayout,
  accessors: readonly RecordAccessor[],
  index: number,
): Record<string, unknown> {
  const record: Record<string, unknown> = {};
  for (let at = 0; at < names.length; at++) {
    record[names[at] as string] = (accessors[at] as RecordAccessor).get(index);
  }
  return record;
}

/**
 * Writes a record, once all of its values are known to be right.
 *
 * @param layout The names of its fields.
 * @param accessors Their accessors.
 * @param index The record.
 * @param record The object.
 * @throws {NumaError} As `set` of the accessors.
 */
export function writeRecord(
  { names }: RecordLayout,
  accessors: readonly RecordAccessor[],
  index: number,
  record: Readonly<Record<string, unknown>>,
): void {
  if (typeof record !== "object" || record === null) {
    throw new NumaError("EINVAL", `write record ${index}`, {
      why: `the record is ${show(record)}`,
      fix: `Give an object with ${names.length} fields.`,
    });
  }
  // Looked at once: what is checked is what is written.
  const values = names.map((name) => record[name]);
  for (let at = 0; at < names.length; at++) (accessors[at] as RecordAccessor).check(values[at]);
  for (let at = 0; at < names.length; at++) {
    (accessors[at] as RecordAccessor).set(index, values[at]);
  }
}
