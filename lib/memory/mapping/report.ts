import { formatBytes } from "../../base/bytes.ts";
import { NumaError } from "../../base/error.ts";
import { native } from "../../runtime/native.ts";
import { ofOthers } from "./copies.ts";
import { Mapping } from "./mapping.ts";
import type { PageKind } from "./pages.ts";

/** The report about one arena, whatever it is used for. */
export interface ArenaReport {
  /** What its creator called it. */
  readonly label: string;
  /** Its identity in this process, never reused. */
  readonly identity: number;
  /** The node that was asked for. */
  readonly node: number;
  /** Its pages. */
  readonly pages: PageKind;
  /** The size of a page in bytes. */
  readonly pageBytes: number;
  /** Whether its pages are locked. */
  readonly locked: boolean;
  /** Bytes of reserved addresses. */
  readonly reservedBytes: number;
  /** Bytes that have pages. */
  readonly committedBytes: number;
  /** Bytes that are allocated. */
  readonly usedBytes: number;
  /** Bytes that are in hugepages now. */
  readonly hugeBytes: number;
  /** Where the pages are according to the kernel: pages by node. */
  readonly nodes: ReadonlyMap<number, number>;
  /** Threads that hold it. */
  readonly holders: number;
  /** Whether this thread is one of them. */
  readonly held: boolean;
  /** Where it was created; in debug mode (`NUMAKIT_DEBUG=1`) only. */
  readonly stack: string | undefined;
}

/** The result of {@linkcode memoryReport}. */
export interface MemoryReport {
  /** Every live arena of the process, including those in slabs, pools and arrays, the oldest first. */
  readonly arenas: readonly ArenaReport[];
  /** Bytes with pages, by the node they were asked for. */
  readonly committedBytes: ReadonlyMap<number, number>;
  /** Ranges of addresses that are kept without pages, because a buffer over them could not be detached. */
  readonly retired: { readonly count: number; readonly bytes: number };
  /**
   * Addresses of destroyed arenas that are kept without pages, because native code of the runtime may still use them:
   * their bytes, and the limit beyond which the oldest are released. They take no memory.
   */
  readonly quarantine: { readonly bytes: number; readonly maxBytes: number };
  /** The report as text, for people. */
  toString(): string;
}

function reportOf(mapping: Mapping, held: boolean): ArenaReport {
  const { label, identity, node, pages, pageBytes, locked, dataBytes, committedBytes } = mapping;
  const { stack, usedBytes, hugeBytes, holders } = mapping;
  const { nodes } = mapping.residency("report on memory");
  return {
    ...{ label, identity, node, pages, pageBytes, locked, committedBytes, usedBytes, hugeBytes },
    ...{ reservedBytes: dataBytes, nodes, held, stack: stack === "" ? undefined : stack },
    // This thread held it for the report only.
    holders: held ? holders : holders - 1,
  };
}

/** Looks at a mapping, which other threads may let go meanwhile. */
function inspect(identity: number): ArenaReport | undefined {
  const held = Mapping.holds(identity);
  const other = held ? undefined : ofOthers(identity);
  // This thread holds it by another copy of numakit, and must not let go of it here.
  if (other !== undefined) return other === null ? undefined : reportOf(other as Mapping, true);
  let mapping: Mapping;
  try {
    mapping = Mapping.attach(identity, "report on memory");
  } catch (error) {
    if (error instanceof NumaError && error.code === "ESTALE") return undefined;
    throw error;
  }
  try {
    return mapping.released ? undefined : reportOf(mapping, held);
  } finally {
    if (!held) mapping.discard();
  }
}

function line(arena: ArenaReport): string {
  const { label, node, pages, usedBytes, committedBytes, reservedBytes, nodes, holders } = arena;
  const where = [...nodes].map(([id, count]) => `${count} on node ${id}`).join(", ");
  const sizes = [usedBytes, committedBytes, reservedBytes].map(formatBytes);
  return `${label}: ${sizes[0]} used of ${sizes[1]} (${sizes[2]} reserved) in ${pages} pages ` +
    `for node ${node}; pages: ${where === "" ? "none" : where}; threads: ${holders}`;
}

/**
 * Reports all of numakit's memory in this process, of all threads.
 *
 * Cost: one system call per 1024 pages of every arena, and more for transparent hugepages; it is meant for people and
 * for monitoring, not for loops.
 *
 * @returns What there is now.
 * @throws {NumaError} `EPERM` if the system does not permit asking where pages are.
 *
 * @example
 * ```ts
 * import { Arena, memoryReport } from "@numakit/numakit";
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB", label: "prices" });
 * console.log(String(memoryReport()));
 * // prices: 0 B used of 1 MiB (1 MiB reserved) in 4k pages for node 0; pages: 256 on node 0; threads: 1
 * console.log(arena.label); // prices
 * ```
 */
export function memoryReport(): MemoryReport {
  const arenas = Mapping.identities().sort((a, b) => a - b).map(inspect)
    .filter((report) => report !== undefined);
  const committedBytes = new Map<number, number>();
  for (const { node, committedBytes: bytes } of arenas) {
    committedBytes.set(node, (committedBytes.get(node) ?? 0) + bytes);
  }
  const stats = new BigUint64Array(4);
  const kept = new BigUint64Array(4);
  native().calls.nk_mapping_stats(stats);
  native().calls.nk_mapping_quarantine(kept);
  return {
    arenas,
    committedBytes,
    retired: { count: Number(stats[2]), bytes: Number(stats[3]) },
    quarantine: { bytes: Number(kept[0]), maxBytes: Number(kept[1]) },
    toString: () => arenas.map(line).join("\n"),
  };
}
