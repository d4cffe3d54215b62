import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { drawTopology } from "../../lib/cli/topo.ts";
import { VERSION } from "../../lib/cli/version.ts";
import { Topology } from "../../mod.ts";
import { checkoutFile, runModule, sibling } from "../support/checkout.ts";

const readme = readFileSync(checkoutFile("README.md"), "utf8");

describe("the README", () => {
  it("shows what numakit topo prints on a machine with two nodes", () => {
    // Recorded with scripts/numa_vm --nodes 2 --cpus 4 --memory 4G --l3 2 --threads 2 --hugepages 0:2m=64,1:2m=64
    const recorded = readFileSync(checkoutFile("tests/fixtures/two_nodes.json"), "utf8");
    const picture = stripVTControlCharacters(drawTopology(Topology.from(recorded)));
    assert.ok(readme.includes(`\`\`\`\n${picture}\`\`\`\n`), `README.md does not have\n${picture}`);
  });

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
