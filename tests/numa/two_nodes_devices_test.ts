import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, launch, nodeOf, Policy, topology } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";

const basic = sibling(import.meta.url, "../workers/basic");

describe("network cards of a machine with two nodes", () => {
  const machine = topology();
  const cards = machine.devices.filter((device) => device.class === "network");
  const placed = cards.filter(({ node }) => node !== undefined);

  it("are on the nodes of their buses", () => {
    assert.deepEqual(placed.map(({ node }) => node).sort(), [0, 1]);
    for (const { node, cpus } of placed) {
      assert.equal(cpus.toString(), machine.cpusOfNode(node as number).toString());
    }
  });

  it("have threads and memory near them", async () => {
    for (const { name, node } of placed) {
      using arena = Arena.create({ node: nodeOf(name), size: "1 MiB" });
      assert.deepEqual([...arena.residency().nodes.keys()], [node]);
      const thread = launch<{ affinity: string; node: number }>(basic, {
        ...{ policy: Policy.near(name), args: { task: "where" } },
      });
      const where = await thread.join();
      assert.equal(where.node, node);
      assert.equal(where.affinity, machine.cpusOfNode(node as number).toString());
    }
  });

  it("are told apart from one whose node the kernel does not know", () => {
    const lost = cards.filter(({ node }) => node === undefined);
    assert.equal(lost.length, 1);
    const [{ name, cpus }] = lost as [(typeof lost)[number]];
    assert.equal(cpus.toString(), machine.cpus.toString());
    throwsCode(() => nodeOf(name), "ENODEV", /does not know which node/);
    throwsCode(() => launch(basic, { policy: `near:${name}` }), "ENODEV", /numa_node/);
  });
});
