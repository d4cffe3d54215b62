import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { NumaError } from "../../mod.ts";
import { checkoutFile, sibling } from "../support/checkout.ts";

const { exports: entries } = JSON.parse(readFileSync(checkoutFile("deno.json"), "utf8")) as {
  exports: Record<string, string>;
};
/** Those that programs import names from. */
const libraries = Object.entries(entries)
  .filter(([name]) => !["./cli", "./worker_entry"].includes(name))
  .map(([name, path]) =>
    [name, sibling(import.meta.url, `../../${path.replace(/\.ts$/, "")}`)] as const
  );

describe("every entry", () => {
  for (const [name, url] of libraries) {
    it(`exports what its errors are and what its objects share: ${name}`, async () => {
      const entry = await import(url.href) as Record<string, unknown>;
      assert.equal(entry["NumaError"], NumaError);
      const source = readFileSync(url, "utf8");
      for (const type of ["Handle", "Shareable", "NumaErrorCode", "NumaErrorDetails"]) {
        // Types are not there when it runs; compiled copies have none.
        if (url.pathname.endsWith(".js") || name === ".") continue;
        assert.match(source, new RegExp(`\\b${type}\\b`), type);
      }
    });
  }
});
