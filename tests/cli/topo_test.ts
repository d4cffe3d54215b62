import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";
import { drawTopology } from "../../lib/cli/topo.ts";
import { Topology } from "../../mod.ts";
import { checkoutFile } from "../support/checkout.ts";
import { machine, machines } from "../support/machines.ts";

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

describe("numakit topo", () => {
  const draw = (devices: readonly unknown[]): string => {
    const shape = { ...machines["two-socket Xeon with devices"]!, devices };
    return stripVTControlCharacters(drawTopology(machine(shape)));
  };

  it("shows a device in a line, and a node that is not known as such", () => {
    const picture = draw(machines["two-socket Xeon with devices"]!.devices!);
    assert.match(picture, /^ {2}eth0, mlx5_0 +network +0000:98:00\.0 +1 +16-31,48-63$/m);
    assert.match(picture, /^ {2}eth1 +network +0000:98:00\.1 +unknown +0-63$/m);
    assert.match(picture, /^ {2}0000:b1:00\.0 +gpu +0000:b1:00\.0 +1 /m);
  });

  it("leaves out those without a name where there are many", () => {
    const devices = Array.from({ length: 40 }, (_, index) => ({
      address: `0000:${10 + index}:00.0`,
      ...{ class: "network", names: index < 3 ? [`eth${index}`] : [], cpus: "" },
    }));
    assert.equal(draw(devices).match(/ network /g)?.length, 3);
    assert.equal(draw(devices.slice(0, 32)).match(/ network /g)?.length, 32);
    assert.doesNotMatch(draw([]), /Devices/);
  });
});
