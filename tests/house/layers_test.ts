import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { checkout, checkoutFile } from "../support/checkout.ts";

/** From the bottom to the top: an arrow may stay or go down. */
const RANKS = [
  ...["base", "runtime", "topology", "wait", "memory", "shared", "sync", "sched"],
  ...["structs", "tasks", "balance", "cli"],
];
/** Layers that could use one below them, and do without. */
const APART: readonly string[] = ["sched > sync"];

interface ModuleInfo {
  readonly specifier: string;
  readonly dependencies?: readonly { readonly code?: { readonly specifier?: string } }[];
}

function importGraph(entry: string): ModuleInfo[] {
  const json = execFileSync(checkoutFile(".tools/bin/deno"), [
    "info",
    "--json",
    checkoutFile(entry),
  ], {
    encoding: "utf8",
    maxBuffer: 2 ** 26,
  });
  return (JSON.parse(json) as { modules: ModuleInfo[] }).modules;
}

function layerOf(specifier: string): string | undefined {
  return specifier.startsWith(checkout.href)
    ? /^lib\/(\w+)\//.exec(specifier.slice(checkout.href.length))?.[1]
    : undefined;
}

describe("the layers", () => {
  const modules = ["mod.ts", "worker_entry.ts", "lib/cli/main.ts"].flatMap(importGraph);

  it("only import downwards", () => {
    let arrows = 0;
    for (const { specifier, dependencies = [] } of modules) {
      const from = layerOf(specifier);
      for (const { code } of dependencies) {
        const to = layerOf(code?.specifier ?? "");
        if (from === undefined || to === undefined) continue;
        arrows++;
        assert.ok(RANKS.includes(from) && RANKS.includes(to), `${from} or ${to} is no layer`);
        assert.ok(
          RANKS.indexOf(from) >= RANKS.indexOf(to),
          `${specifier} imports ${code?.specifier}: up from ${from} to ${to}`,
        );
        assert.ok(!APART.includes(`${from} > ${to}`), `${specifier} imports ${code?.specifier}`);
      }
    }
    assert.ok(arrows > 50, `saw only ${arrows} imports`);
  });

  it("have no run-time npm dependency in the core", () => {
    for (const entry of ["mod.ts", "worker_entry.ts"]) {
      for (const { specifier } of importGraph(entry)) {
        assert.match(specifier, /^(file:|node:|data:)/, `${entry} reaches ${specifier}`);
      }
    }
  });
});
