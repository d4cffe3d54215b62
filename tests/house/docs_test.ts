import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { posix } from "node:path";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import { filesIn, textOf } from "../support/sources.ts";

const INDEX = "docs/README.md";

const docs = filesIn("docs", ".md");
const pages = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ...docs];

/** A page's text without code: links in code are not links. */
function proseOf(page: string): string {
  return textOf(page).replace(/^ *```[\s\S]*?^ *```$/gm, "").replace(/`[^`\n]*`/g, "code");
}

/** The targets of a page's links to other files, as paths from the root, with the part after `#`. */
function linksOf(page: string): { path: string; anchor: string | undefined }[] {
  const targets = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? "");
  return targets.filter((target) => !/^[a-z]+:/.test(target)).map((target) => {
    const [file = "", anchor] = target.split("#");
    const path = file === "" ? page : posix.join(posix.dirname(page), file);
    return { path, anchor };
  });
}

/** What can be linked to in a page: its headings, as GitHub names them. */
function anchorsOf(page: string): string[] {
  return [...textOf(page).matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
    heading.toLowerCase().replace(/[^\p{L}\p{N}\- ]/gu, "").replaceAll(" ", "-")
  );
}

describe("the documents", () => {
  it("are all in the index", () => {
    assert.ok(docs.length > 10, docs.join());
    const listed = linksOf(INDEX).map(({ path }) => path);
    assert.deepEqual(docs.filter((page) => page !== INDEX && !listed.includes(page)), []);
  });

  it("are reached from the README through the index", () => {
    assert.ok(linksOf("README.md").some(({ path }) => path === INDEX));
  });

  for (const page of pages) {
    it(`${page} has only links that resolve`, () => {
      const broken = linksOf(page).filter(({ path, anchor }) =>
        !existsSync(checkoutFile(path)) ||
        (anchor !== undefined && !anchorsOf(path).includes(anchor))
      );
      assert.deepEqual(broken, []);
    });
  }

  for (const page of pages) {
    it(`${page} names only files that exist`, () => {
      const named = [
        ...textOf(page).matchAll(/`((?:docs|lib|native|scripts|tests|bench)\/[\w./-]+)`/g),
      ]
        .map(([, path]) => path as string);
      assert.deepEqual(named.filter((path) => !existsSync(checkoutFile(path))), []);
    });
  }
});
