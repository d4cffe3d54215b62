import { posix } from "node:path";

/** Where a link of a page leads. */
export interface Link {
  /** The file, as a path from the root; the page itself where the link names only a heading. */
  readonly path: string;
  /** What follows `#`. */
  readonly anchor: string | undefined;
}

/** A page's text without code: links in code are not links. */
function proseOf(text: string): string {
  return text.replace(/^ *```[\s\S]*?^ *```$/gm, "").replace(/`[^`\n]*`/g, "code");
}

/**
 * The links of a page of Markdown to files beside it, and to its own headings.
 *
 * @param page Its path from the root.
 * @param text What it says.
 * @returns The links; those to other sites are left out.
 */
export function linksIn(page: string, text: string): Link[] {
  const targets = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, to]) => to ?? "");
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => {
    const [file = "", anchor] = target.split("#");
    const path = file === "" ? page : posix.join(posix.dirname(page), file);
    return { path, anchor };
  });
}

/** What can be linked to in a page: its headings, as GitHub names them. */
export function anchorsIn(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\- ]/gu, "").replaceAll(" ", "-")
  );
}

/**
 * The links of a package's pages that lead nowhere.
 *
 * @param files The package's files by their path from its root.
 * @returns Each dead link as `page: path#heading`.
 */
export function deadLinks(files: ReadonlyMap<string, Uint8Array>): string[] {
  const textOf = (path: string): string => new TextDecoder().decode(files.get(path));
  return [...files.keys()].filter((path) => path.endsWith(".md")).flatMap((page) =>
    linksIn(page, textOf(page))
      .filter(({ path, anchor }) =>
        !files.has(path) || (anchor !== undefined && !anchorsIn(textOf(path)).includes(anchor))
      )
      .map(({ path, anchor }) => `${page}: ${path}${anchor === undefined ? "" : `#${anchor}`}`)
  );
}
