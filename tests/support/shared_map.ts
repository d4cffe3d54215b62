/**
 * The map that several processes write to, and what is always true of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { HashMap } from "../../mod.ts";

/** Keys are below. */
export const KEYS = 60;
const BYTES = 40;

/** The options of the map. */
export const SHARED_MAP = {
  key: "u32",
  value: { bytes: BYTES },
  capacity: 100,
  threads: 8,
  processes: true,
} as const;

/**
 * A value whose bytes are all the same.
 *
 * @param byte Which.
 * @returns The value.
 */
export function valueOf(byte: number): Uint8Array {
  return new Uint8Array(BYTES).fill(byte);
}

/**
 * Reads all of a map.
 *
 * @param map The map.
 * @param isQuiet Whether nobody writes to it. Default: nobody.
 * @returns How many keys it has.
 */
export function checkWhole(map: HashMap<number, Uint8Array>, isQuiet = true): number {
  const keys = new Set<number>();
  for (const [key, value] of map) {
    assert.ok(key < KEYS && !keys.has(key), `key ${key}`);
    assert.ok(value.every((byte) => byte === value[0]), `key ${key}: ${value}`);
    if (isQuiet) assert.deepEqual(map.get(key), value);
    keys.add(key);
  }
  return keys.size;
}
