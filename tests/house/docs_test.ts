import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import { anchorsIn, type Link, linksIn } from "../support/links.ts";
import { filesIn, textOf } from "../support/sources.ts";

const INDEX = "docs/README.md";

const docs = filesIn("docs", ".md");
const pages = [
  ...[
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "native/README.md",
    "native/counter/README.md",
  ],
  ...filesIn("examples", "README.md"),
  ...docs,
];

const linksOf = (page: string): Link[] => linksIn(page, textOf(page));

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
        (anchor !== undefined && !anchorsIn(textOf(path)).includes(anchor))
      );
      assert.deepEqual(broken, []);
    });
  }

  for (const page of pages) {
    it(`${page} names only files that exist`, () => {
      const named = [
        ...textOf(page).matchAll(/`((?:docs|examples|lib|native|scripts|tests|bench)\/[\w./-]+)`/g),
      ]
        .map(([, path]) => path as string);
      assert.deepEqual(named.filter((path) => !existsSync(checkoutFile(path))), []);
    });
  }
});
