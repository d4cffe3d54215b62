import { show } from "./check.ts";
import { NumaError } from "./error.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** A number of bytes: an integer, or a text such as `"1 MiB"`, `"1.5GiB"`, `"64 kB"`. */
export type ByteSize = number | string;

/**
 * Reads a number of bytes.
 *
 * @param size The number, or a text with a unit: B, KiB, MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (of 1000).
 * @param action What was asked, as it follows "Cannot".
 * @returns A whole number from 1 to 2^53 - 1.
 * @throws {NumaError} `EINVAL`.
 */
export function parseBytes(size: ByteSize, action: string): number {
  let bytes: unknown = size;
  if (typeof size === "string") {
    const match = /^(\d+(?:\.\d+)?)\s*([kKMGT]?i?B?)$/.exec(size.trim());
    const unit = UNITS[match?.[2] ?? "none"];
    bytes = match === null || unit === undefined ? NaN : Number(match[1]) * unit;
  }
  if (typeof bytes === "number" && Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new NumaError("EINVAL", action, {
    why: `the size is ${show(size)}`,
    fix: 'Give a whole number of bytes above 0, or a text such as "64 KiB" or "1.5 GiB".',
  });
}

/**
 * Writes a number of bytes for people: in the largest binary unit that leaves at least 1, with at most one decimal.
 *
 * @param bytes Bytes.
 * @returns For example `"64 MiB"`, `"1.5 GiB"`, `"100 B"`.
 */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toFixed(1))} ${units[unit]}`;
}
