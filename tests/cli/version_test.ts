import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { VERSION } from "../../lib/base/version.ts";
import { checkoutFile, runModule, sibling } from "../support/checkout.ts";

describe("numakit --version", () => {
  it("is the version of deno.json", () => {
    const { version } = JSON.parse(readFileSync(checkoutFile("deno.json"), "utf8")) as {
      version: string;
    };
    assert.equal(VERSION, version);
  });

  it("is printed by the command", () => {
    const module = sibling(import.meta.url, "../../lib/cli/bin");
    const { stdout, stderr, status } = runModule(module, { args: ["--version"] });
    assert.equal(status, 0, stderr);
    assert.equal(stdout, `${VERSION}\n`);
  });
});
