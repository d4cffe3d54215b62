import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runModule, sibling } from "../support/checkout.ts";

const module = sibling(import.meta.url, "../../lib/cli/bin");
/** Runs what it is given, `"$@"`, in a line of a shell. */
const shell = (line: string): readonly string[] => [
  "bash",
  "-c",
  `set -o pipefail; ${line}`,
  "bash",
];
/** What Node says of its own FFI is not the command's. */
const env = { NODE_NO_WARNINGS: "1" };

describe("what the command writes", () => {
  for (const args of [["topo"], ["topo", "--json"], ["--help"], ["--version"], ["demo"]]) {
    it(`ends quietly where nobody reads it: numakit ${args.join(" ")} | true`, () => {
      // The reader is gone before the command begins.
      const { status, stderr } = runModule(module, {
        args,
        env,
        within: shell('{ sleep 0.2; "$@"; } | true'),
      });
      assert.equal(stderr, "");
      assert.equal(status, 141);
    });

    it(`is said not to fit where there is no room: numakit ${args.join(" ")} > /dev/full`, () => {
      const { status, stderr } = runModule(module, {
        args,
        env,
        within: shell('"$@" > /dev/full'),
      });
      assert.match(stderr, /^numakit: Cannot write the output: .*[Nn]o space left on device.*\n$/);
      assert.equal(status, 1);
    });
  }

  it("is all there for a reader who is slow", () => {
    const args = ["topo", "--json"];
    const { status, stdout, stderr } = runModule(module, {
      args,
      env,
      within: shell('"$@" | (sleep 0.2; cat)'),
    });
    assert.equal(status, 0, stderr);
    assert.ok(JSON.parse(stdout).nodes.length > 0);
  });
});
