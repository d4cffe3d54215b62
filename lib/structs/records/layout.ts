/**
 * Where the fields of a struct are: as C has it.
 *
 * In declared order, each field begins at the next multiple of its alignment, which is the size of its element. The
 * struct has the greatest alignment of them, and its size is the next multiple of that, so that every record of an
 * array is aligned as the first one.
 *
 * ```
 *   { id: u32, x: f64, name: bytes(10) }        size 32, alignment 8
 *   | id  id  id  id  -   -   -   -  | x   x   x   x   x   x   x   x  | 0
 *   | n   n   n   n   n   n   n   n  | n   n   -   -   -   -   -   -  | 16
 * ```
 *
 * All 64-bit processors of Linux and WebAssembly have these alignments.
 *
 * @module
 */
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkField, MAX_SIZE, type StructField, type StructFields } from "./fields.ts";

/** Where the fields of a struct are. */
export interface RecordLayout {
  /** Their names, in the order of memory. */
  readonly names: readonly string[];
  /** The fields, by index. */
  readonly fields: readonly StructField[];
  /** The first byte of each in a record. */
  readonly offsets: readonly number[];
  /** The size of a record in bytes. */
  readonly size: number;
  /** Its alignment in bytes. */
  readonly align: number;
}

const MAX_FIELDS = 1024;
/** A name that C can take, too: its compilers have to tell so many characters apart. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,62}$/;

/**
 * The next multiple of an alignment.
 *
 * @param value A number of bytes.
 * @param align The alignment.
 * @returns The multiple that is not below `value`.
 */
export function alignUp(value: number, align: number): number {
  return Math.ceil(value / align) * align;
}

/**
 * Takes the fields that a caller gave apart.
 *
 * @param fields What should be an object of fields.
 * @param action What was asked, as it follows "Cannot".
 * @returns Names and fields, still to be checked.
 * @throws {NumaError} `EINVAL` when it is no plain object.
 */
export function entriesOf(fields: unknown, action: string): [string, unknown][] {
  // Of `{ __proto__: u32 }` the field is the prototype. Plain objects of other realms are welcome.
  const isObject = typeof fields === "object" && fields !== null;
  const prototype: unknown = isObject ? Object.getPrototypeOf(fields) : undefined;
  if (prototype !== null && (!isObject || Object.getPrototypeOf(prototype) !== null)) {
    throw new NumaError("EINVAL", action, {
      why: `the fields are ${show(fields)}`,
      fix: "Give a plain object such as { id: u32, x: f64 }, in which no field is __proto__.",
    });
  }
  const all = fields as Readonly<Record<string | symbol, unknown>>;
  return Reflect.ownKeys(all).map((name) => [checkName(name, "field", action), all[name]]);
}

/**
 * Checks a name that C has to take, too.
 *
 * @param name What a caller gave.
 * @param of What it is the name of.
 * @param action What was asked, as it follows "Cannot".
 * @returns The name.
 * @throws {NumaError} `EINVAL`.
 */
export function checkName(name: unknown, of: string, action: string): string {
  // Numbers are refused: an object's properties of that kind are not in the order of their declaration.
  if (typeof name === "string" && NAME.test(name) && name !== "__proto__") return name;
  throw new NumaError("EINVAL", action, {
    why: `a ${of} has the name ${show(name)}`,
    fix: "Give a name of C: up to 63 letters, digits and _, no digit first, and not __proto__.",
  });
}

/**
 * Lays fields out.
 *
 * @param entries Names and fields, from a caller or from another thread.
 * @param action What was asked, as it follows "Cannot".
 * @returns The layout.
 * @throws {NumaError} `EINVAL`.
 */
export function layoutOf(
  entries: readonly (readonly [unknown, unknown])[],
  action: string,
): RecordLayout {
  if (entries.length === 0 || entries.length > MAX_FIELDS) {
    throw new NumaError("EINVAL", action, {
      why: `it has ${entries.length} fields`,
      fix: `Give 1 to ${MAX_FIELDS}.`,
    });
  }
  const names = entries.map(([name]) => checkName(name, "field", action));
  if (new Set(names).size < names.length) {
    throw new NumaError("EINVAL", action, {
      why: "two fields have the same name",
      fix: "Give each its own.",
    });
  }
  const fields = entries.map(([, field], index) => checkField(field, names[index]!, action));
  const offsets: number[] = [];
  let end = 0;
  let align = 1;
  for (const field of fields) {
    const offset = alignUp(end, field.align);
    offsets.push(offset);
    end = offset + field.size;
    align = Math.max(align, field.align);
  }
  const size = alignUp(end, align);
  if (size > MAX_SIZE) {
    throw new NumaError("EINVAL", action, {
      why: `a record takes ${size} bytes`,
      fix: `Keep it within ${MAX_SIZE}.`,
    });
  }
  return { names, fields, offsets, size, align };
}

/**
 * An object with a property for each field.
 *
 * @param layout The layout.
 * @param valueOf The value for a field.
 * @returns The object, frozen.
 */
export function byName<Value>(
  { names, fields }: RecordLayout,
  valueOf: (field: StructField, index: number) => Value,
): Readonly<Record<string, Value>> {
  const values: Record<string, Value> = {};
  // Not Object.fromEntries: engines keep what is assigned in the order of a shape, and look a field up faster there.
  for (const [index, field] of fields.entries()) values[names[index]!] = valueOf(field, index);
  return Object.freeze(values);
}

/**
 * The fields of a layout as an object.
 *
 * @param layout The layout.
 * @returns The fields by name, frozen.
 */
export function fieldsOf(layout: RecordLayout): StructFields {
  return byName(layout, (field) => field);
}
