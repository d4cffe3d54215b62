/**
 * Where the first module of a thread is. What is looked for in bundles is in tests/packages/bundles_test.ts.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { checkoutFile, runModule, sibling } from "../support/checkout.ts";

const module = sibling(import.meta.url, "../modules/launch_once");

describe("NUMAKIT_WORKER_ENTRY", () => {
  const entry = sibling(import.meta.url, "../modules/other_entry");

  it("names the first module of threads, by its path or its URL", () => {
    for (const named of [fileURLToPath(entry), entry.href]) {
      const { stdout, stderr } = runModule(module, { env: { NUMAKIT_WORKER_ENTRY: named } });
      assert.equal(stdout, "other_entry\n", stderr);
    }
  });

  it("counts as not set when it is empty", () => {
    const { stdout, stderr } = runModule(module, { env: { NUMAKIT_WORKER_ENTRY: "" } });
    assert.equal(stdout, "undefined\n", stderr);
  });

  it("is the only place that is looked at, and named in the error", () => {
    const env = { NUMAKIT_WORKER_ENTRY: "/nonexistent/worker_entry.js" };
    assert.match(
      runModule(module, { env }).stdout,
      /^NumaError EMODULE .*NUMAKIT_WORKER_ENTRY is "\/nonexistent\/worker_entry\.js".*not there/,
    );
  });
});

describe("a module that was compiled to CommonJS", () => {
  it("is a worker's", () => {
    const args = [`file://${checkoutFile("tests/fixtures/compiled_worker.cjs")}`];
    const { stdout, stderr } = runModule(module, { args });
    assert.equal(stdout, "compiled\n", stderr);
  });
});
