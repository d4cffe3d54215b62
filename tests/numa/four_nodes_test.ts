import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, launch, Mutex, plan, Policy, topology } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { sideFor } from "../support/locks.ts";
import { terminateHolders } from "../stress/terminations.ts";
import { bytesByNode, readNumaMaps } from "../support/numa_maps.ts";

const CPU_LESS = 4;
const basic = sibling(import.meta.url, "../workers/basic");

interface Where {
  readonly affinity: string;
  readonly cpu: number;
  readonly node: number;
}

describe("a machine with four nodes and one without CPUs", () => {
  it("is seen as such", () => {
    const machine = topology();
    assert.deepEqual(machine.nodes.map(({ id }) => id), [0, 1, 2, 3, 4]);
    assert.deepEqual(machine.nodes.map(({ cpus }) => cpus.size), [2, 2, 2, 2, 0]);
    assert.equal(machine.cpus.size, 8);
    assert.equal(machine.l3Domains.length, 4);
  });

  it("holds an arena on the node without CPUs, and refuses a thread there", () => {
    using arena = Arena.create({ node: CPU_LESS, size: "8 MiB" });
    assert.deepEqual([...arena.residency().nodes], [[CPU_LESS, 2048]]);
    const bound = readNumaMaps().filter(({ policy }) => /^bind(=static)?:4$/.test(policy));
    assert.deepEqual([...bytesByNode(bound).keys()], [CPU_LESS]);
    throwsCode(() => launch(basic, { policy: Policy.bindNode(CPU_LESS) }), "ENODEV", /no CPUs/);
  });

  it("lets a thread inherit a lock from a holder on another node that is terminated", async () => {
    const { heirs } = await terminateHolders(sideFor(Mutex).lock(), 4);
    assert.equal(heirs, 4);
  });

  for (const policy of [Policy.compact(), Policy.scatter()]) {
    it(`runs threads where the planner says: ${policy.kind}`, async () => {
      const places = plan(topology(), policy, 4);
      const threads = places.map(() => launch<Where>(basic, { policy, args: { task: "where" } }));
      for (const [index, thread] of threads.entries()) {
        const { affinity, cpu, node } = await thread.join();
        assert.equal(affinity, places[index]?.cpus.toString());
        assert.equal(places[index]?.cpus.has(cpu), true);
        assert.equal(node, places[index]?.node);
      }
      const nodes = new Set(places.map(({ node }) => node));
      assert.equal(nodes.size, policy.kind === "scatter" ? 4 : 2);
    });
  }
});
