import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { onDeno, runModule, sibling } from "../support/checkout.ts";

const module = sibling(import.meta.url, "../modules/import_only");
const missing = "/nonexistent/libnumakit.so";

describe("importing numakit", () => {
  it("has no effect: it needs no permission, no library, no Linux", () => {
    const { stdout, stderr, status } = runModule(module, {
      env: { NUMAKIT_LIBRARY: missing, PRETEND_PLATFORM: "darwin" },
      denoFlags: ["--allow-env=PRETEND_PLATFORM,USE"],
    });
    assert.equal(stderr.replaceAll(/.*ExperimentalWarning.*|.*trace-warnings.*/g, "").trim(), "");
    assert.equal(stdout, "true 4\n");
    assert.equal(status, 0);
  });

  it("says on first use that another system is not Linux", () => {
    const { stdout } = runModule(module, { env: { USE: "1", PRETEND_PLATFORM: "darwin" } });
    const lines = stdout.trim().split("\n");
    assert.equal(lines.length, 7, stdout);
    for (const line of lines.slice(0, 6)) {
      assert.match(line, /^NumaError EPLATFORM .*darwin.*Linux/);
    }
  });

  it("says on first use where the library was looked for, and how to get it", () => {
    const { stdout } = runModule(module, { env: { USE: "1", NUMAKIT_LIBRARY: missing } });
    const lines = stdout.trim().split("\n");
    assert.equal(lines.length, 7, stdout);
    for (const line of lines.slice(0, 6)) {
      assert.match(
        line,
        /^NumaError ELIBRARY .*\/nonexistent\/libnumakit\.so \(NUMAKIT_LIBRARY\).*bootstrap/,
      );
    }
  });

  it("does not take another library for its own", () => {
    const { stdout } = runModule(module, { env: { USE: "1", NUMAKIT_LIBRARY: "libm.so.6" } });
    assert.match(stdout, /^NumaError ELIBRARY .*libm\.so\.6/);
  });

  it("names the flag when Deno does not allow foreign functions", {
    skip: !onDeno && "a Deno permission",
  }, () => {
    const { stdout } = runModule(module, {
      env: { USE: "1" },
      denoFlags: ["--allow-env", "--allow-read"],
    });
    assert.match(stdout, /^NumaError EPERM .*--allow-ffi/);
  });

  it("traces every foreign call when asked to", () => {
    const { stderr } = runModule(module, { env: { USE: "1", NUMAKIT_TRACE: "1" } });
    assert.match(
      stderr,
      /^numakit: nk_topology_export\(0, <1 bytes>, <\d+ bytes>, \d+\) = \d+ in [\d.]+ us$/m,
    );
  });
});
