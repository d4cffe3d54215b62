import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";

const readme = readFileSync(checkoutFile("README.md"), "utf8");

describe("the README", () => {
  it("has the entry points of the package, and its names in the registries", () => {
    const { name, exports } = JSON.parse(readFileSync(checkoutFile("deno.json"), "utf8")) as {
      name: string;
      exports: Record<string, string>;
    };
    assert.ok(readme.includes(`deno add jsr:${name}\n`));
    const entries = Object.keys(exports).filter((entry) => /^\.\/[a-z]+$/.test(entry));
    for (const entry of entries.filter((entry) => entry !== "./cli")) {
      assert.ok(readme.includes(`${entry.slice(1)}\``), `README.md does not name ${entry}`);
    }
  });
});
