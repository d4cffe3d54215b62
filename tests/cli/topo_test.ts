import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { drawTopology } from "../../lib/cli/topo.ts";
import { Topology } from "../../mod.ts";
import { checkoutFile } from "../support/checkout.ts";

describe("the README", () => {
  it("shows what numakit topo prints on a machine with two nodes", () => {
    // Recorded with scripts/numa_vm --nodes 2 --cpus 4 --memory 4G --l3 2 --threads 2 --hugepages 0:2m=64,1:2m=64
    const recorded = readFileSync(checkoutFile("tests/fixtures/two_nodes.json"), "utf8");
    const picture = stripVTControlCharacters(drawTopology(Topology.from(recorded)));
    assert.ok(
      readFileSync(checkoutFile("README.md"), "utf8").includes(`\`\`\`\n${picture}\`\`\`\n`),
      `README.md does not have\n${picture}`,
    );
  });
});
