import { readFileSync } from "node:fs";

/**
 * What `/proc/self/smaps` says in all.
 *
 * @param fields The lines to add up, such as `Rss`.
 * @returns Bytes.
 */
export function smapsBytes(fields: readonly string[]): number {
  let kib = 0;
  for (const line of readFileSync("/proc/self/smaps", "utf8").split("\n")) {
    const [, field, value] = /^(\w+):\s+(\d+) kB$/.exec(line) ?? [];
    if (field !== undefined && fields.includes(field)) kib += Number(value);
  }
  return kib * 1024;
}
