import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import fc from "fast-check";
import { NumaError } from "../../lib/base/error.ts";
import { plan, type ThreadPlacement } from "../../lib/sched/plan.ts";
import { Policy, type PolicyDescription } from "../../lib/sched/policy.ts";
import { CpuSet } from "../../lib/topology/cpu_set.ts";
import { parseDescription } from "../../lib/topology/parse_snapshot.ts";
import { Topology } from "../../lib/topology/topology.ts";
import { describeMachine, machine, machines, type Shape } from "../support/machines.ts";

function named(name: string): Topology {
  return machine(machines[name]!);
}

/** The single CPUs of a plan. */
function cpus(topology: Topology, policy: Policy, count: number): number[] {
  return plan(topology, policy, count).map((place) => {
    assert.equal(place.cpus.size, 1);
    return place.cpus.first!;
  });
}

function nodes(topology: Topology, policy: Policy, count: number): (number | undefined)[] {
  return plan(topology, policy, count).map((place) => place.node);
}

function fails(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NumaError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
}

/** How often each value occurs. */
function tally(values: Iterable<unknown>): Map<unknown, number> {
  const counts = new Map<unknown, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

const compact = Policy.compact();
const scatter = Policy.scatter();
const policies = [compact, scatter, Policy.unbound()];

describe("Policy.bindNode", () => {
  it("gives every thread the allowed CPUs of the node", () => {
    const places = plan(named("cpuset of half of one node"), Policy.bindNode(0), 3);
    assert.deepEqual(places.map(({ cpus, node }) => [cpus.text, node]), [
      ["0-7", 0],
      ["0-7", 0],
      ["0-7", 0],
    ]);
    assert.deepEqual(plan(named("Xeon Max, flat HBM"), Policy.bindNode(9), 1), [
      { cpus: CpuSet.range(28, 55), node: 9 },
    ]);
  });

  it("says when there is no such node", () => {
    const topology = named("POWER with sparse node ids");
    for (const node of [1, 64, 65_535]) {
      assert.throws(
        () => plan(topology, Policy.bindNode(node), 1),
        fails("ENODEV", /this machine has nodes 0,8,252-255/),
      );
    }
  });

  it("says when the node has no CPUs", () => {
    assert.throws(
      () => plan(named("CXL expander"), Policy.bindNode(2), 1),
      fails("ENODEV", /node 2 has no CPUs; it can hold memory.*nearest node with CPUs is 1\.$/),
    );
  });

  it("says when none of its CPUs is allowed", () => {
    assert.throws(
      () => plan(named("cpuset of one node"), Policy.bindNode(1), 1),
      fails("EACCES", /none of its CPUs 16-31,48-63 is among those .* 0-15,32-47/),
    );
  });

  it("refuses what is no node", () => {
    for (const node of [-1, 1.5, NaN, 65_536, 1e6, "0", null, undefined]) {
      assert.throws(() => Policy.bindNode(node as number), fails("EINVAL", /the node is/));
    }
  });
});

describe("Policy.bindCpus", () => {
  it("gives every thread the CPUs as given", () => {
    const topology = named("two-socket Xeon");
    const of = (list: string): ThreadPlacement => plan(topology, Policy.bindCpus(list), 2)[1]!;
    assert.deepEqual(of("3,35"), { cpus: CpuSet.of(3, 35), node: 0 });
    assert.deepEqual(of("16-20"), { cpus: CpuSet.range(16, 20), node: 1 });
    assert.deepEqual(of("15-16"), { cpus: CpuSet.range(15, 16), node: undefined });
  });

  it("names the CPUs that do not exist or are not allowed", () => {
    const topology = named("cpuset of half of one node");
    const of = (list: string): ThreadPlacement[] => plan(topology, Policy.bindCpus(list), 1);
    assert.throws(() => of("0,62-65"), fails("ENODEV", /no CPUs 64-65: this machine has 0-63/));
    assert.throws(() => of("6-9,16"), fails("EACCES", /CPUs 8-9 are not among .* 0-7,16-31/));
  });

  it("refuses what is no set, or is empty", () => {
    for (const set of ["", CpuSet.empty, []]) {
      assert.throws(() => Policy.bindCpus(set as string), fails("EINVAL", /is empty/));
    }
    for (const set of ["0-", undefined, null, 7, {}]) {
      assert.throws(() => Policy.bindCpus(set as string), fails("EINVAL", /CPU/));
    }
  });
});

describe("Policy.compact", () => {
  it("fills siblings, cores, caches, nodes, packages", () => {
    const xeon = cpus(named("two-socket Xeon"), compact, 64);
    assert.deepEqual(xeon.slice(0, 5), [0, 32, 1, 33, 2]);
    assert.deepEqual(xeon.slice(30, 35), [15, 47, 16, 48, 17]);
    const epyc = cpus(named("EPYC NPS4"), compact, 256);
    assert.deepEqual(epyc.slice(14, 18), [7, 135, 8, 136]);
    assert.deepEqual(epyc.slice(30, 34), [15, 143, 16, 144]);
    const adjacent = named("two-socket Xeon, adjacent numbering");
    assert.deepEqual(cpus(adjacent, compact, 64), [...adjacent.cpus]);
    assert.deepEqual(cpus(named("hybrid"), compact, 24), [...Array(24).keys()]);
  });

  it("keeps packages together inside a node that spans them", () => {
    const topology = named("two-socket Xeon, NUMA off");
    const packages = cpus(topology, compact, 64).map((cpu) => topology.packageOfCpu(cpu));
    assert.deepEqual(packages, [...Array(32).fill(0), ...Array(32).fill(1)]);
  });

  it("does so where CPU numbers alternate between packages", () => {
    const packages = ["0-7:1/2", "1-7:1/2"].map((cpus, id) => ({ id, cpus }));
    for (const shared of [[], ["0,2", "1,3", "4,6", "5,7"]]) {
      const caches = shared.map((cpus) => ({ level: 3, type: "unified", cpus }));
      const description = { ...describeMachine({ cores: 8 }), packages, dies: [], caches };
      const topology = Topology.from(parseDescription(JSON.stringify(description), null));
      assert.deepEqual(cpus(topology, compact, 8), [0, 2, 4, 6, 1, 3, 5, 7]);
    }
  });

  it("takes nodes of one package before those of the next", () => {
    // Firmware may number nodes round-robin over sockets.
    const topology = machine({
      packages: 2,
      nodesPerPackage: 2,
      cores: 2,
      nodeIds: [0, 2, 1, 3],
    });
    assert.deepEqual(nodes(topology, compact, 8), [0, 0, 2, 2, 1, 1, 3, 3]);
    assert.deepEqual(nodes(topology, scatter, 4), [0, 1, 2, 3]);
  });

  it("treats CPUs without a described core as cores", () => {
    assert.deepEqual(cpus(named("VM without caches or cores"), compact, 9), [
      ...[0, 1, 2, 3, 4, 5, 6, 7, 0],
    ]);
  });
});

describe("Policy.scatter", () => {
  it("takes turns between nodes, then caches, then cores", () => {
    assert.deepEqual(cpus(named("two-socket Xeon"), scatter, 6), [0, 16, 1, 17, 2, 18]);
    const epyc = named("EPYC NPS4");
    assert.deepEqual(nodes(epyc, scatter, 9), [0, 1, 2, 3, 4, 5, 6, 7, 0]);
    assert.deepEqual(cpus(epyc, scatter, 25).filter((_, i) => i % 8 === 0), [0, 8, 1, 9]);
    assert.deepEqual(cpus(named("EPYC NPS1"), scatter, 8), [0, 64, 8, 72, 16, 80, 24, 88]);
    assert.deepEqual(cpus(named("hybrid"), scatter, 24).slice(7, 18), [
      ...[14, 16, 17, 18, 19, 20, 21, 22, 23, 1, 3],
    ]);
  });

  it("passes over nodes that have no CPU left", () => {
    const topology = machine({ ...machines["two-socket Xeon"]!, allowedCpus: "0-1,16-20" });
    assert.deepEqual(cpus(topology, scatter, 9), [0, 16, 1, 17, 18, 19, 20, 0, 16]);
    assert.deepEqual(nodes(named("cpuset of one node"), scatter, 3), [0, 0, 0]);
    assert.deepEqual(nodes(named("CXL expander"), scatter, 4), [0, 1, 0, 1]);
  });

  it("counts a CPU once where nodes share it", () => {
    const topology = named("Xeon Max, flat HBM");
    assert.deepEqual(nodes(topology, scatter, 9), [0, 1, 2, 3, 4, 5, 6, 7, 0]);
    assert.equal(new Set(cpus(topology, scatter, topology.cpus.size)).size, topology.cpus.size);
  });
});

describe("Policy.unbound", () => {
  it("leaves the affinity as it is", () => {
    const topology = named("cpuset of half of one node");
    assert.deepEqual(plan(topology, Policy.unbound(), 2), [
      { cpus: topology.allowedCpus, node: undefined },
      { cpus: topology.allowedCpus, node: undefined },
    ]);
  });
});

describe("a placement's node", () => {
  it("is one that has memory the process may use", () => {
    const bare = named("first node without memory");
    assert.deepEqual(nodes(bare, scatter, 2), [undefined, 1]);
    assert.deepEqual(nodes(bare, Policy.bindNode(0), 1), [undefined]);
    const elsewhere = named("cpuset whose memory is elsewhere");
    assert.deepEqual(nodes(elsewhere, compact, 1), [undefined]);
    assert.deepEqual(nodes(elsewhere, Policy.bindNode(0), 1), [undefined]);
    assert.deepEqual(nodes(elsewhere, Policy.bindCpus("0"), 1), [undefined]);
  });

  it("is left open for CPUs on no node, which come last", () => {
    const { distances: _, ...description } = describeMachine(machines["two-socket Xeon"]!);
    const text = JSON.stringify({
      ...description,
      nodes: [{ id: 5, cpus: "16-31,48-63", bytes: 1 }],
      allowedNodes: "5",
    });
    const topology = Topology.from(parseDescription(text, null));
    assert.deepEqual(nodes(topology, scatter, 3), [5, undefined, 5]);
    assert.deepEqual(nodes(topology, compact, 64).indexOf(5), 32);
    assert.deepEqual(nodes(topology, Policy.bindCpus("0"), 1), [undefined]);
  });
});

describe("a policy", () => {
  const all = [Policy.bindNode(1), Policy.bindCpus("0-3,8"), ...policies];

  it("survives JSON and structuredClone", () => {
    for (const policy of all) {
      assert.deepEqual(Policy.from(JSON.parse(JSON.stringify(policy))), policy);
      assert.deepEqual(Policy.from(structuredClone(policy.toJSON())), policy);
      assert.equal(Policy.from(policy), policy);
    }
    assert.deepEqual(Policy.bindCpus("8,0-3").toJSON(), { kind: "bindCpus", cpus: "0-3,8" });
  });

  it("shows itself", () => {
    const texts = ["bindNode(1)", "bindCpus(0-3,8)", "compact()", "scatter()", "unbound()"];
    assert.deepEqual(all.map(String), texts);
    assert.equal(inspect(Policy.bindNode(1)), "Policy.bindNode(1)");
  });

  it("is not made of anything else", () => {
    for (const value of [undefined, null, 7, "compact", {}, { kind: "near" }]) {
      assert.throws(
        () => Policy.from(value as PolicyDescription),
        fails("EINVAL", /read a thread policy/),
      );
    }
    for (const value of [{ kind: "bindNode" }, { kind: "bindCpus", cpus: "" }]) {
      assert.throws(() => Policy.from(value as PolicyDescription), fails("EINVAL", /bind threads/));
    }
  });

  it("cannot be changed", () => {
    assert.throws(() => ((compact as { kind: string }).kind = "scatter"), TypeError);
  });
});

describe("plan", () => {
  it("refuses counts, topologies and policies that cannot be", () => {
    const topology = named("desktop");
    for (const count of [-1, 0.5, NaN, 65_536, "2", undefined]) {
      assert.throws(() => plan(topology, compact, count as number), fails("EINVAL", /threads is/));
    }
    const fakes = [Object.create(topology), Object.create(Topology.prototype)];
    for (const value of [null, {}, topology.snapshot, ...fakes, new Proxy(topology, {})]) {
      assert.throws(() => plan(value as Topology, compact, 1), fails("EINVAL", /the topology is/));
    }
    for (const policy of [{}, Object.create(Policy.prototype)] as Policy[]) {
      assert.throws(() => plan(topology, policy, 1), fails("EINVAL", /policy/));
    }
    assert.deepEqual(plan(topology, compact, 0), []);
  });

  it("says when nothing is allowed", () => {
    const affinity = CpuSet.of(1);
    const topology = machine(machines["cpuset of one CPU"]!, { affinity, quota: null });
    for (const policy of policies) {
      assert.throws(() => plan(topology, policy, 1), fails("EACCES", /have no CPU in common/));
    }
  });

  it("places ten thousand threads on 4096 CPUs", () => {
    const topology = named("4096 CPUs");
    for (const policy of [compact, scatter]) {
      const places = cpus(topology, policy, 10_000);
      assert.equal(new Set(places.slice(0, 4096)).size, 4096);
      assert.equal(places[9_999], places[9_999 - 2 * 4096]);
    }
  });
});

/** What has to hold for every machine. */
function checkPlans(topology: Topology): void {
  const size = topology.allowedCpus.size;
  const count = Math.min(2 * size + 3, 600);
  for (const policy of policies) {
    const places = plan(topology, policy, count);
    assert.equal(places.length, count);
    for (const { cpus, node } of places) {
      assert.ok(cpus.size > 0 && cpus.isSubsetOf(topology.allowedCpus));
      if (node !== undefined) assert.ok(cpus.isSubsetOf(topology.cpusOfNode(node)));
    }
    const shorter = Math.floor(count / 3);
    assert.deepEqual(plan(topology, policy, shorter), places.slice(0, shorter));
  }
  checkCompact(topology, cpus(topology, compact, size));
  checkScatter(topology, cpus(topology, scatter, size));
}

function checkCompact(topology: Topology, order: readonly number[]): void {
  assert.equal(CpuSet.from(order).text, topology.allowedCpus.text);
  const node = (cpu: number): unknown => topology.nodeOfCpu(cpu);
  const domain = (cpu: number): unknown => `${node(cpu)} ${topology.domainOfCpu(cpu)}`;
  const core = (cpu: number): unknown => topology.coreOfCpu(cpu) ?? cpu;
  for (const group of [node, domain, core]) {
    const runs = order.map(group).filter((value, index, all) => value !== all[index - 1]);
    assert.equal(runs.length, new Set(runs).size, "a group was left and entered again");
  }
}

function checkScatter(topology: Topology, order: readonly number[]): void {
  assert.equal(CpuSet.from(order).text, topology.allowedCpus.text);
  const node = (cpu: number): number => topology.nodeOfCpu(cpu);
  const room = tally(Array.from(topology.allowedCpus, node));
  const used = tally([]);
  for (const cpu of order.slice(0, 600)) {
    used.set(node(cpu), (used.get(node(cpu)) ?? 0) + 1);
    const most = Math.max(...[...used.values()] as number[]);
    for (const [id, limit] of room) {
      const mine = used.get(id) ?? 0;
      assert.ok(mine >= Math.min(limit, most - 1), `node ${id} has ${mine} of ${most}`);
    }
  }
  // Within a domain of a node no core gets a second thread while another has none.
  const groups = new Map<string, number[]>();
  for (const cpu of order) {
    const key = `${node(cpu)} ${topology.domainOfCpu(cpu)}`;
    groups.set(key, [...groups.get(key) ?? [], topology.coreOfCpu(cpu) ?? -1 - cpu]);
  }
  for (const cores of groups.values()) {
    const distinct = new Set(cores).size;
    assert.equal(new Set(cores.slice(0, distinct)).size, distinct);
  }
}

describe("plans on known machines", () => {
  for (const [name, shape] of Object.entries(machines)) {
    it(`hold for ${name}`, () => checkPlans(machine(shape)));
  }
});

describe("plans on any machine", () => {
  const shapes: fc.Arbitrary<Shape> = fc.record({
    packages: fc.integer({ min: 1, max: 4 }),
    nodesPerPackage: fc.integer({ min: 0, max: 4 }),
    l3PerNode: fc.integer({ min: 0, max: 3 }),
    l3OfPackage: fc.boolean(),
    cores: fc.integer({ min: 1, max: 5 }),
    smt: fc.integer({ min: 1, max: 4 }),
    numbering: fc.constantFrom("adjacent" as const, "split" as const),
    stride: fc.integer({ min: 1, max: 3 }),
    bare: fc.boolean(),
  });
  const allowed = fc.array(fc.nat(999), { minLength: 1, maxLength: 60 });

  it("hold with all CPUs", () => {
    fc.assert(fc.property(shapes, (shape) => checkPlans(machine(shape))), { numRuns: 60 });
  });

  it("hold with any part of them", () => {
    fc.assert(
      fc.property(shapes, allowed, (shape, picks) => {
        const all = [...machine(shape).cpus];
        const affinity = CpuSet.from(picks.map((pick) => all[pick % all.length]!));
        checkPlans(machine(shape, { affinity, quota: null }));
      }),
      { numRuns: 120 },
    );
  });
});
