import { readFileSync } from "node:fs";

/** One mapping as /proc/self/numa_maps tells it: the tests' own source, which the library does not use. */
export interface NumaMap {
  readonly address: number;
  readonly policy: string;
  /** Pages by node. */
  readonly pages: ReadonlyMap<number, number>;
  /** Bytes a page of the counts above. */
  readonly pageBytes: number;
  /** Whether it is anonymous memory: heap, stacks, arenas. */
  readonly anonymous: boolean;
}

function parseLine(line: string): NumaMap {
  const [address = "", policy = "", ...fields] = line.split(" ");
  const pages = new Map<number, number>();
  let pageBytes = 4096;
  for (const field of fields) {
    const onNode = /^N(\d+)=(\d+)$/.exec(field);
    if (onNode !== null) pages.set(Number(onNode[1]), Number(onNode[2]));
    const size = /^kernelpagesize_kB=(\d+)$/.exec(field);
    if (size !== null) pageBytes = Number(size[1]) * 1024;
  }
  const anonymous = fields.some((field) => field.startsWith("anon="));
  return { address: parseInt(address, 16), policy, pages, pageBytes, anonymous };
}

/** All mappings of this process. */
export function readNumaMaps(): NumaMap[] {
  const text = readFileSync("/proc/self/numa_maps", "utf8");
  return text.split("\n").filter((line) => line !== "").map(parseLine);
}

/** Bytes by node in the mappings that a filter lets through. */
export function bytesByNode(maps: readonly NumaMap[]): Map<number, number> {
  const bytes = new Map<number, number>();
  for (const { pages, pageBytes } of maps) {
    for (const [node, count] of pages) {
      bytes.set(node, (bytes.get(node) ?? 0) + count * pageBytes);
    }
  }
  return bytes;
}
