import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { checkoutFile } from "../support/checkout.ts";
import { notInGate } from "../support/extent.ts";

/** What `deno doc --json` says of a module, as far as it is read here. */
interface Doc {
  readonly nodes: Readonly<Record<string, { readonly symbols: readonly Symbol[] }>>;
}

interface Symbol {
  readonly name: string;
  readonly declarations: readonly {
    readonly kind: string;
    readonly jsDoc?: { readonly tags?: readonly { readonly kind: string }[] };
  }[];
}

function documented(): Doc {
  const { exports } = JSON.parse(readFileSync(checkoutFile("deno.json"), "utf8")) as {
    exports: Record<string, string>;
  };
  const entries = Object.values(exports).filter((path) => !path.includes("/cli/"));
  const { stdout, stderr, status } = spawnSync(
    checkoutFile(".tools/bin/deno"),
    ["doc", "--json", ...entries],
    { cwd: checkoutFile("."), encoding: "utf8", maxBuffer: 2 ** 28 },
  );
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as Doc;
}

describe("the documentation", () => {
  it("has an example of each public class and function", { skip: notInGate }, () => {
    const symbols = Object.values(documented().nodes).flatMap((module) => module.symbols);
    const callable = symbols.filter(({ declarations: [first] }) =>
      first?.kind === "class" || first?.kind === "function"
    );
    assert.ok(callable.length > 80, `${callable.length} of ${symbols.length}`);
    const without = callable.filter(({ declarations }) =>
      !declarations.some(({ jsDoc }) => jsDoc?.tags?.some(({ kind }) => kind === "example"))
    );
    assert.deepEqual([...new Set(without.map(({ name }) => name))], []);
  });
});
