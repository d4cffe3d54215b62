import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { plan } from "../../lib/sched/policies/plan.ts";
import { Policy } from "../../lib/sched/policies/policy.ts";
import { homesOf, orderOf, type Place, placesOf } from "../../lib/tasks/loops/homes.ts";
import type { Topology } from "../../lib/topology/topology.ts";
import { machine, machines } from "../support/machines.ts";

function named(name: string): Topology {
  return machine(machines[name]!);
}

function scatter(topology: Topology, count: number): (Place | undefined)[] {
  return placesOf(topology, plan(topology, Policy.scatter(), count));
}

const anywhere = (grains: number): [{ node: undefined; grains: number }] => [
  { node: undefined, grains },
];

describe("homes", () => {
  it("of all machines have every grain once, and every worker goes to each of them", () => {
    for (const [name, shape] of Object.entries(machines)) {
      const topology = machine(shape);
      if (topology.allowedCpus.size === 0) continue;
      for (const count of [1, 3, 20]) {
        const places = scatter(topology, count);
        const nodes = topology.nodes.map(({ id }) => id);
        const near = nodes.map((node, index) => ({ node, grains: 10 + index }));
        for (const parts of [anywhere(1000), near, [...near, { node: 999, grains: 3 }]]) {
          const homes = homesOf(places, parts);
          for (const [part, { grains }] of parts.entries()) {
            let next = 0;
            for (const home of homes.filter((home) => home.part === part)) {
              assert.equal(home.from, next, name);
              next += home.count;
            }
            assert.equal(next, grains, name);
          }
          for (const [worker, place] of places.entries()) {
            const order = orderOf(topology, worker, place!, homes, false);
            assert.deepEqual(order.toSorted((a, b) => a - b), [...homes.keys()], name);
            const own = homes.find(({ node, domain, hasWorkers }) =>
              hasWorkers && node === place!.node && domain === place!.domain
            );
            const first = homes[order[0]!]!;
            if (own !== undefined) assert.equal(first.node, place!.node, name);
          }
        }
      }
    }
  });

  it("are divided in proportion to workers", () => {
    const topology = machine({ packages: 2, cores: 4 });
    const places = placesOf(
      topology,
      [0, 1, 2, 4].map((cpu) => plan(topology, Policy.bindCpus(`${cpu}`), 1)[0]),
    );
    const homes = homesOf(places, anywhere(100));
    assert.deepEqual(homes.map(({ node, from, count }) => [node, from, count]), [
      [0, 0, 75],
      [1, 75, 25],
    ]);
  });

  it("are gone through from the nearest to the farthest", () => {
    // Two sockets, two nodes each, two L3 domains a node.
    const topology = machine({
      ...{ packages: 2, nodesPerPackage: 2, l3PerNode: 2, cores: 1 },
      distance: (a, b) => a === b ? 10 : (a >> 1) === (b >> 1) ? 12 : 32,
    });
    const places = scatter(topology, 8);
    const homes = homesOf(places, anywhere(800));
    assert.equal(homes.length, 8);
    const order = orderOf(topology, 0, places[0]!, homes, false);
    assert.deepEqual(order.map((home) => homes[home]!.node), [0, 0, 1, 1, 2, 2, 3, 3]);
    assert.equal(homes[order[0]!]!.domain, places[0]!.domain);
    const last = places.findIndex((place) => place!.node === 3);
    const back = orderOf(topology, last, places[last]!, homes, false);
    assert.deepEqual(back.map((home) => homes[home]!.node).slice(0, 4), [3, 3, 2, 2]);
  });

  it("that have workers are left to them, if a loop is strict", () => {
    const topology = machine({ packages: 2, cores: 2, distance: (a, b) => a === b ? 10 : 20 });
    const places = placesOf(topology, plan(topology, Policy.bindNode(0), 2));
    const parts = [{ node: 0, grains: 1 }, { node: 1, grains: 1 }];
    const homes = homesOf(places, parts);
    assert.deepEqual(homes.map(({ hasWorkers }) => hasWorkers), [true, false]);
    assert.deepEqual(orderOf(topology, 0, places[0]!, homes, true), [0, 1]);
    const both = homesOf(scatter(topology, 2), parts);
    assert.deepEqual(orderOf(topology, 0, places[0]!, both, true), [0]);
  });

  it("of workers that are nowhere in particular", () => {
    const topology = machine({ packages: 2, cores: 2 });
    const places = placesOf(topology, [...plan(topology, Policy.unbound(), 2), undefined]);
    assert.deepEqual(places, [
      { node: undefined, domain: undefined },
      { node: undefined, domain: undefined },
      undefined,
    ]);
    const homes = homesOf(places, [{ node: 0, grains: 4 }, { node: 1, grains: 4 }]);
    assert.deepEqual(homes.map(({ hasWorkers }) => hasWorkers), [false, false]);
    // They begin at different ones.
    assert.deepEqual(orderOf(topology, 0, places[0]!, homes, true), [0, 1]);
    assert.deepEqual(orderOf(topology, 1, places[1]!, homes, true), [1, 0]);
  });

  it("of a machine with sub-NUMA clustering: the same L3 comes before the same node", () => {
    const topology = named("one CPU");
    const homes = [
      { part: 0, from: 0, count: 1, hasWorkers: true, node: 1, domain: 5 },
      { part: 1, from: 0, count: 1, hasWorkers: true, node: 0, domain: 6 },
      { part: 2, from: 0, count: 1, hasWorkers: true, node: 2, domain: 4 },
      { part: 3, from: 0, count: 1, hasWorkers: true, node: 0, domain: 4 },
    ];
    const order = orderOf(topology, 0, { node: 0, domain: 4 }, homes, false);
    assert.deepEqual(order, [3, 2, 1, 0]);
  });
});
