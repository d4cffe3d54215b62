/**
 * Where many records are, and how another thread finds them.
 *
 * @module
 */
import { isUint8Array } from "../../base/brand.ts";
import { checkInteger } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { decode, type Handle, handleData } from "../../base/handle.ts";
import type { Arena } from "../../memory/arena/arena.ts";
import { ARENA_KIND, isArena } from "../../memory/arena/identity.ts";
import { refuseDestroyed } from "../../memory/arena/refusals.ts";
import { bytesOf, type OwnedMemory } from "../../memory/owned/owned.ts";
import { LINE_BYTES } from "../../wait/waiter.ts";
import type { Arrangement } from "./arrangements.ts";
import { layoutOf, type RecordLayout } from "./layout.ts";

/** The greatest number of records in one memory: indices are 32-bit numbers. */
export const MAX_LENGTH: number = 2 ** 32 - 1;

/** Records in their memory. */
export interface Records {
  readonly layout: RecordLayout;
  /** The number of records, at least 1. */
  readonly length: number;
  /** Their memory, no more of it. */
  readonly bytes: Uint8Array;
  /** The arena that it was allocated from. */
  readonly arena: Arena | undefined;
  /** Where in the arena. */
  readonly offset: number;
}

/**
 * The bytes of so many records.
 *
 * @param kind Their arrangement.
 * @param layout Their layout.
 * @param length How many, from a caller.
 * @returns Bytes.
 * @throws {NumaError} `EINVAL`.
 */
export function recordBytes(kind: Arrangement, layout: RecordLayout, length: unknown): number {
  const action = `size ${kind.title}`;
  return kind.bytes(layout, checkInteger(length, "length", 1, MAX_LENGTH, action));
}

/**
 * Finds room for records.
 *
 * @param kind Their arrangement.
 * @param layout Their layout.
 * @param memory An arena, from which the room is allocated, or memory that may contain records already.
 * @param length How many; undefined for as many as there is room for, unless in an arena.
 * @returns The records.
 * @throws {NumaError} `EINVAL`; and what arenas throw.
 */
export function placeRecords(
  kind: Arrangement,
  layout: RecordLayout,
  memory: unknown,
  length: unknown,
): Records {
  const action = `make ${kind.title}`;
  if (!isArena(memory)) {
    return recordsIn(kind, layout, bytesOf(memory as OwnedMemory, action), length, action);
  }
  const count = checkInteger(length, "length", 1, MAX_LENGTH, action);
  const size = kind.bytes(layout, count);
  const offset = memory.allocAligned(size, LINE_BYTES);
  const bytes = memory.view(offset, size);
  // Bytes that a reset arena gives again are not zero.
  bytes.fill(0);
  return { layout, length: count, bytes, arena: memory, offset };
}

function recordsIn(
  kind: Arrangement,
  layout: RecordLayout,
  memory: Uint8Array,
  length: unknown,
  action: string,
): Records {
  const { buffer, byteOffset, byteLength } = memory;
  const align = kind.align(layout);
  if (byteOffset % align !== 0) {
    throw new NumaError("EINVAL", action, {
      why: `its memory begins at byte ${byteOffset} of a buffer`,
      fix: `Begin at a multiple of ${align} bytes.`,
    });
  }
  const all = Math.min(Math.max(1, Math.floor(byteLength / layout.size)), MAX_LENGTH);
  const count = checkInteger(length === undefined ? all : length, "length", 1, MAX_LENGTH, action);
  const size = kind.bytes(layout, count);
  if (byteLength < size) {
    throw new NumaError("EINVAL", action, {
      why: `${count} records take ${size} bytes, and its memory has ${byteLength}`,
      fix: "Give more, or ask for fewer records.",
    });
  }
  const bytes = new Uint8Array(buffer, byteOffset, size);
  return { layout, length: count, bytes, arena: undefined, offset: 0 };
}

/**
 * What another thread finds records by.
 *
 * @param kind Their arrangement.
 * @param records The records.
 * @returns The handle.
 * @throws {NumaError} `EINVAL` when their memory belongs to this thread alone; `EDESTROYED`.
 */
export function handleOfRecords(kind: Arrangement, records: Records): Handle {
  const action = `share ${kind.title}`;
  const { layout: { names, fields }, length, bytes, arena, offset } = records;
  const entries = fields.map(({ type, size }, index) => [names[index], type, size]);
  const data = { fields: entries, length };
  if (arena !== undefined) {
    return { numakitHandle: kind.name, data: { ...data, arena: arena.toHandle(), offset } };
  }
  if (bytes.length === 0) refuseDestroyed(action);
  if (bytes.buffer instanceof SharedArrayBuffer) {
    return { numakitHandle: kind.name, data: { ...data, bytes } };
  }
  throw new NumaError("EINVAL", action, {
    why: "its memory belongs to this thread alone",
    fix: "Give the Arena itself, not a view of it, or a SharedArrayBuffer.",
  });
}

/**
 * Finds records again.
 *
 * @param kind What they have to be.
 * @param handle What {@linkcode handleOfRecords} made, or what somebody else wrote.
 * @returns The records.
 * @throws {NumaError} `EINVAL` when it is no such handle; `ESTALE` when their arena is gone.
 */
export function recordsOfHandle(kind: Arrangement, handle: Handle): Records {
  const action = `attach ${kind.title}`;
  const { fields, length, bytes, arena: given, offset } = handleData(handle, kind.name, action);
  const entries = (Array.isArray(fields) ? fields : []).map((entry: unknown) => {
    const [field, type, size]: unknown[] = Array.isArray(entry) ? entry : [];
    return [field, { type, size }] as const;
  });
  const layout = layoutOf(entries, action);
  const count = checkInteger(length, "length", 1, MAX_LENGTH, action);
  if (isUint8Array(bytes)) return recordsIn(kind, layout, bytes, count, action);
  handleData(given, ARENA_KIND, action);
  const size = kind.bytes(layout, count);
  // By its handle alone: a bundle without arenas does without their class.
  const arena = decode(given) as Arena;
  const at = checkInteger(offset, "offset", 0, arena.capacity, action);
  if (at % LINE_BYTES !== 0) {
    throw new NumaError("EINVAL", action, {
      why: `offset is ${at}`,
      fix: "Give what toHandle() returned.",
    });
  }
  return { layout, length: count, bytes: arena.view(at, size), arena, offset: at };
}
