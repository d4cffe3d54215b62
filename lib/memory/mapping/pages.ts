import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";

/**
 * The pages an arena is made of.
 *
 * - `"4k"`: the system's small pages, kept small.
 * - `"thp"`: transparent hugepages of 2 MiB; it fails unless all of them are huge.
 * - `"2m"`, `"1g"`: hugepages from the node's own pool (`/sys/devices/system/node/nodeN/hugepages`).
 */
export type PageKind = "4k" | "thp" | "2m" | "1g";

/** How the helper names a page kind, and its size in bytes. */
export interface PageFormat {
  /** `NK_PAGES_SMALL`, `NK_PAGES_THP` or `NK_PAGES_HUGE`, which is {@linkcode HUGE}. */
  readonly kind: 0 | 1 | 2;
  /** The size of a page in bytes. */
  readonly pageBytes: number;
}

/**
 * Bytes that one call of the helper populates, moves or looks for: it stays well below the 50 ms that a thread may be out
 * of reach inside C.
 */
export const STEP_BYTES: number = 2 ** 26;

/** The format's kind of pages from a node's own pool: `NK_PAGES_HUGE`. */
export const HUGE = 2;

const FORMATS: Readonly<Record<PageKind, PageFormat>> = {
  "4k": { kind: 0, pageBytes: 4096 },
  thp: { kind: 1, pageBytes: 2 ** 21 },
  "2m": { kind: HUGE, pageBytes: 2 ** 21 },
  "1g": { kind: HUGE, pageBytes: 2 ** 30 },
};

/**
 * The format of a page kind.
 *
 * @param kind The kind.
 * @returns Its format.
 */
export function pageFormat(kind: PageKind): PageFormat {
  return FORMATS[kind];
}

/**
 * The kind of a format, the other way round.
 *
 * @param kind `NK_PAGES_*`.
 * @param pageBytes Bytes a page.
 * @returns The kind.
 */
export function pageKind(kind: number, pageBytes: number): PageKind {
  const found = Object.entries(FORMATS).find(([, format]) =>
    format.kind === kind && format.pageBytes === pageBytes
  );
  return (found as [PageKind, PageFormat])[0];
}

/**
 * Checks the `pages` option.
 *
 * @param pages A kind, or kinds to try in order.
 * @param action What was asked, as it follows "Cannot".
 * @returns The kinds to try, at least one.
 * @throws {NumaError} `EINVAL`.
 */
export function checkPages(
  pages: PageKind | readonly PageKind[],
  action: string,
): readonly PageKind[] {
  const kinds: readonly PageKind[] = Array.isArray(pages) ? pages : [pages as PageKind];
  const wrong = kinds.find((kind) => !Object.hasOwn(FORMATS, kind));
  if (kinds.length > 0 && wrong === undefined) return kinds;
  throw new NumaError("EINVAL", action, {
    why: `pages is ${kinds.length === 0 ? "an empty list" : show(wrong)}`,
    fix: `Give one of ${Object.keys(FORMATS).join(", ")}, or a list of them to try in order.`,
  });
}

/**
 * Tries kinds of pages one after the other.
 *
 * @param kinds The kinds, the one that is wanted most first.
 * @param make Makes something with pages of a kind.
 * @returns What it made with the first kind that can be had.
 * @throws {NumaError} That of the first kind, when none can be had: it is about the pages that were wanted most. Any
 * other error than `ENOMEM` and `ENOTSUP` at once.
 */
export function firstOfKinds<Made>(
  kinds: readonly PageKind[],
  make: (pages: PageKind) => Made,
): Made {
  const failures: NumaError[] = [];
  for (const pages of kinds) {
    try {
      return make(pages);
    } catch (error) {
      const isMissing = error instanceof NumaError &&
        (error.code === "ENOMEM" || error.code === "ENOTSUP");
      if (!isMissing) throw error;
      failures.push(error);
    }
  }
  throw failures[0];
}
