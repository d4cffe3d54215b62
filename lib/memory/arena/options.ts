/**
 * The options of arenas, and their checks.
 *
 * @module
 */
import { type ByteSize, formatBytes, parseBytes } from "../../base/bytes.ts";
import { checkInteger, checkOptionNames, checkOptions, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { checkNode } from "../../topology/nodes.ts";
import { MAX_DATA_BYTES } from "../mapping/layout.ts";
import type { MappingRequest } from "../mapping/mapping.ts";
import { checkPages, type PageKind } from "../mapping/pages.ts";

/** Options of {@linkcode Arena.create}. */
export interface ArenaOptions {
  /** The node of the memory. */
  readonly node: number;
  /** Bytes, or a text such as `"1 MiB"`; rounded up to whole pages. All of them have pages from the start. */
  readonly size: ByteSize;
  /** Bytes it may grow to, at most 64 GiB. Only addresses are taken until it does. Default: `size`. */
  readonly reserve?: ByteSize;
  /** The pages, or kinds of pages to try in order. Default: `"4k"`. */
  readonly pages?: PageKind | readonly PageKind[];
  /** Whether its pages are locked (mlock), so that they cannot be swapped out and return elsewhere. Default: false. */
  readonly lock?: boolean;
  /** Its name in `memoryReport` and in events: 1 to 40 characters. Default: `"arena"`. */
  readonly label?: string;
  /**
   * The name by which other processes of the same user find it (`Arena.open`), on any runtime: 1 to 40 characters of
   * `A-Z a-z 0-9 . _ -`. A named arena neither grows nor shrinks, and has no transparent hugepages.
   */
  readonly name?: string;
}

/** Options of `Arena.local`; those of the first call of a thread on a node apply. */
export type LocalArenaOptions = Partial<Omit<ArenaOptions, "node" | "name">>;

const MAX_LABEL_LENGTH = 40;

/**
 * Checks a name between processes.
 *
 * @param name What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @returns The name.
 * @throws {NumaError} `EINVAL`.
 */
export function checkName(name: unknown, action: string): string {
  if (typeof name === "string" && /^[\w.-]{1,40}$/.test(name)) return name;
  throw new NumaError("EINVAL", action, {
    why: `name is ${show(name)}`,
    fix: "Give 1 to 40 letters, digits, dots, dashes and underscores.",
  });
}

function checkLabel(label: unknown, action: string): string {
  if (typeof label === "string" && label !== "" && label.length <= MAX_LABEL_LENGTH) return label;
  throw new NumaError("EINVAL", action, {
    why: `label is ${show(label)}`,
    fix: `Give a text of 1 to ${MAX_LABEL_LENGTH} characters.`,
  });
}

/**
 * Checks what `Arena.create` was given.
 *
 * @param options The caller's.
 * @returns What to ask of a mapping, and the kinds of pages to try.
 * @throws {NumaError} `EINVAL`; `ENOTSUP` for what does not go together.
 */
export function checkArenaOptions(
  options: ArenaOptions,
): Omit<MappingRequest, "pages"> & { readonly kinds: readonly PageKind[] } {
  const bad = "create an arena";
  checkOptions(options, '{ node: 0, size: "1 MiB" }', bad);
  checkOptionNames(options, ["node", "size", "reserve", "pages", "lock", "label", "name"], bad);
  const { node, size, reserve = size, pages = "4k", lock = false, name } = options;
  const { label = name ?? "arena" } = options;
  checkNode(node, bad);
  const committedBytes = parseBytes(size, bad);
  if (committedBytes > MAX_DATA_BYTES) {
    throw new NumaError("EINVAL", bad, {
      why: `${formatBytes(committedBytes)} are more than the ${
        formatBytes(MAX_DATA_BYTES)
      } of an arena`,
      fix: "Make several.",
    });
  }
  const reservedBytes = parseBytes(reserve, bad);
  checkInteger(reservedBytes, "reserve", committedBytes, MAX_DATA_BYTES, bad);
  if (typeof lock !== "boolean") {
    throw new NumaError("EINVAL", bad, { why: `lock is ${show(lock)}`, fix: "Give a boolean." });
  }
  if (name !== undefined) checkName(name, bad);
  checkLabel(label, bad);
  if (name !== undefined && reservedBytes !== committedBytes) {
    throw new NumaError("ENOTSUP", bad, {
      why: "an arena with a name cannot grow",
      fix: "Leave out `reserve`.",
    });
  }
  const kinds = checkPages(pages, bad);
  return { node, committedBytes, reservedBytes, lock, label, name, kinds };
}
