import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { NumaError } from "../../lib/base/error.ts";
import { plan, type ThreadPlacement } from "../../lib/sched/policies/plan.ts";
import { Policy, type PolicyDescription } from "../../lib/sched/policies/policy.ts";
import { CpuSet } from "../../lib/topology/cpu_set.ts";
import { parseDescription } from "../../lib/topology/parse_snapshot.ts";
import { Topology } from "../../lib/topology/topology.ts";
import { describeMachine, machine, machines } from "../support/machines.ts";

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

const compact = Policy.compact();
const scatter = Policy.scatter();
const policies = [
  ...[compact, scatter, Policy.perCore(), Policy.perDomain(), Policy.perNode()],
  ...[Policy.perPackage(), Policy.unbound()],
];

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

  it("doubles no core while another is idle", () => {
    // L3 domains of 4 and 8 cores.
    const ryzen = named("Ryzen AI 9 HX 370");
    const order = cpus(ryzen, scatter, 24);
    assert.deepEqual(order.slice(0, 12), [0, 4, 1, 5, 2, 6, 3, 7, 8, 9, 10, 11]);
    assert.deepEqual(order.slice(12), order.slice(0, 12).map((cpu) => cpu + 12));
    // Nodes of 2 and 6 cores.
    const xeon = machines["two-socket Xeon"]!;
    const uneven = machine({ ...xeon, allowedCpus: "0-1,16-21,32-33,48-53" });
    assert.deepEqual(cpus(uneven, scatter, 10), [0, 16, 1, 17, 18, 19, 20, 21, 32, 48]);
  });

  it("counts a CPU once where nodes share it", () => {
    const topology = named("Xeon Max, flat HBM");
    assert.deepEqual(nodes(topology, scatter, 9), [0, 1, 2, 3, 4, 5, 6, 7, 0]);
    assert.equal(new Set(cpus(topology, scatter, topology.cpus.size)).size, topology.cpus.size);
  });
});

describe("Policy.perCore", () => {
  it("takes core after core, and siblings last", () => {
    const xeon = named("two-socket Xeon, adjacent numbering");
    const order = cpus(xeon, Policy.perCore(), 66);
    assert.deepEqual(order.slice(0, 4), [0, 2, 4, 6]);
    assert.deepEqual(order.slice(30, 34), [60, 62, 1, 3]);
    assert.deepEqual(order.slice(62), [61, 63, 0, 2]);
    assert.deepEqual(cpus(named("hybrid"), Policy.perCore(), 24).slice(7, 18), [
      ...[14, 16, 17, 18, 19, 20, 21, 22, 23, 1, 3],
    ]);
  });
});

describe("policies that take turns between places", () => {
  const sets = (name: string, policy: Policy, count: number): string[] =>
    plan(named(name), policy, count).map(({ cpus, node }) => `${cpus} of ${node}`);

  it("give all CPUs of one to each thread", () => {
    const xeon = ["0-15,32-47 of 0", "16-31,48-63 of 1", "0-15,32-47 of 0"];
    assert.deepEqual(sets("two-socket Xeon", Policy.perPackage(), 3), xeon);
    assert.deepEqual(sets("two-socket Xeon", Policy.perNode(), 3), xeon);
    assert.deepEqual(sets("two-socket Xeon", Policy.perDomain(), 3), xeon);
    assert.deepEqual(sets("EPYC NPS4", Policy.perDomain(), 3), [
      ...["0-7,128-135 of 0", "8-15,136-143 of 0", "16-23,144-151 of 1"],
    ]);
    assert.deepEqual(sets("Ryzen AI 9 HX 370", Policy.perDomain(), 3), [
      ...["0-3,12-15 of 0", "4-11,16-23 of 0", "0-3,12-15 of 0"],
    ]);
  });

  it("prefer no memory where CPUs of several nodes are in one", () => {
    assert.deepEqual(sets("Xeon 6980P with SNC", Policy.perPackage(), 1), [
      "0-128,258-386 of undefined",
    ]);
    assert.deepEqual(sets("EPYC NPS4", Policy.perPackage(), 1), ["0-63,128-191 of undefined"]);
  });

  it("pass over what the process may not use", () => {
    assert.deepEqual(sets("cpuset of half of one node", Policy.perPackage(), 2), [
      ...["0-7 of 0", "16-31 of 1"],
    ]);
    assert.deepEqual(sets("cpuset of one node", Policy.perNode(), 2), [
      ...["0-15,32-47 of 0", "0-15,32-47 of 0"],
    ]);
  });

  it("take what no package is described for as one", () => {
    assert.deepEqual(sets("VM without caches or cores", Policy.perPackage(), 1), ["0-7 of 0"]);
  });
});

describe("Policy.exclusive", () => {
  const sets = (topology: Topology, cores: number, count: number): string[] =>
    plan(topology, Policy.exclusive(cores), count).map(({ cpus }) => cpus.text);

  it("gives whole cores, those of one L3 domain together", () => {
    assert.deepEqual(sets(named("two-socket Xeon"), 1, 3), ["0,32", "16,48", "1,33"]);
    assert.deepEqual(sets(named("two-socket Xeon"), 4, 3), [
      "0-3,32-35",
      "16-19,48-51",
      "4-7,36-39",
    ]);
    // 4 and 8 cores: 3 + 1 and 3 + 3 + 2, and the three that are left
    assert.deepEqual(sets(named("Ryzen AI 9 HX 370"), 3, 4), [
      ...["0-2,12-14", "4-6,16-18", "7-9,19-21", "3,10-11,15,22-23"],
    ]);
  });

  it("fails when cores have run out, instead of starting again", () => {
    const xeon = named("two-socket Xeon");
    assert.equal(sets(xeon, 5, 6).length, 6);
    assert.throws(
      () => sets(xeon, 5, 7),
      fails(
        "EAGAIN",
        /cores for 6 threads, not for 7: this process may use 32 whole cores\. Start/,
      ),
    );
    assert.throws(
      () => sets(xeon, 33, 1),
      fails("ENODEV", /a thread takes 33, and this process may use 32 whole cores/),
    );
    assert.deepEqual(sets(xeon, 33, 0), []);
  });

  it("uses no core that the process has only a part of", () => {
    const half = machine({ ...machines["two-socket Xeon"]!, allowedCpus: "0-3,32-33" });
    assert.deepEqual(sets(half, 1, 2), ["0,32", "1,33"]);
    assert.throws(
      () => sets(half, 1, 3),
      fails("EAGAIN", /2 whole cores; of 2 more it may use only a part of the CPUs/),
    );
  });
});

describe("Policy.near", () => {
  const topology = named("two-socket Xeon with devices");
  const of = (device: string, machine = topology): ThreadPlacement =>
    plan(machine, Policy.near(device), 2)[1]!;

  it("binds to the node of the device, by any of its names", () => {
    for (const device of ["eth0", "mlx5_0", "0000:98:00.0", "0000:b1:00.0"]) {
      assert.deepEqual(of(device), plan(topology, Policy.bindNode(1), 1)[0]);
    }
    assert.equal(of("nvme0n1").node, 0);
  });

  it("knows the node where there is only one", () => {
    assert.deepEqual(of("eth0", named("VM with devices")), { cpus: CpuSet.range(0, 1), node: 0 });
  });

  it("says which devices there are, and where the kernel knows no node", () => {
    assert.throws(
      () => of("eth7"),
      fails("ENODEV", /near:eth7.*devices of this machine are nvme0/),
    );
    assert.throws(
      () => of("eth1"),
      fails("ENODEV", /does not know which node eth1 \(0000:98:00\.1/),
    );
    assert.throws(() => of("eth0", named("desktop")), fails("ENODEV", /lists no devices/));
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
  const all = [
    ...[Policy.bindNode(1), Policy.bindCpus("0-3,8"), Policy.exclusive(2), Policy.near("eth0")],
    ...[Policy.parse("package:1:4"), Policy.parse("l3:2,3"), ...policies],
  ];

  it("survives JSON and structuredClone", () => {
    for (const policy of all) {
      assert.deepEqual(Policy.from(JSON.parse(JSON.stringify(policy))), policy);
      assert.deepEqual(Policy.from(structuredClone(policy.toJSON())), policy);
      assert.equal(Policy.from(policy), policy);
    }
    assert.deepEqual(Policy.bindCpus("8,0-3").toJSON(), { kind: "bindCpus", cpus: "0-3,8" });
  });

  it("shows itself", () => {
    assert.deepEqual(all.map(String), [
      ...["node:1", "0-3,8", "exclusive:2", "near:eth0", "package:1:4", "l3:2-3"],
      ...["compact", "scatter", "core", "l3", "node", "package", "unbound"],
    ]);
    assert.equal(inspect(Policy.bindNode(1)), "Policy { node:1 }");
  });

  it("is not made of anything else", () => {
    const revoked = Proxy.revocable({}, {});
    revoked.revoke();
    const fake = Object.create(Policy.prototype);
    for (const value of [undefined, null, 7, {}, { kind: "far" }, [], fake, revoked.proxy]) {
      assert.throws(
        () => Policy.from(value as PolicyDescription),
        fails("EINVAL", /read a thread policy/),
      );
    }
    for (
      const value of [
        { kind: "bindNode" },
        { kind: "bindCpus", cpus: "" },
        { kind: "bindPlaces", place: "l3", ids: "" },
        { kind: "bindPlaces", place: "drawer", ids: "0" },
        { kind: "bindPlaces", place: "l3", ids: "0", cores: 0 },
        { kind: "bindPlaces", place: "core", ids: "0", cores: 1 },
      ]
    ) {
      assert.throws(
        () => Policy.from(value as PolicyDescription),
        fails("EINVAL", /bind threads/),
      );
    }
    assert.throws(() => Policy.from({ kind: "near", device: "" }), fails("EINVAL", /device is ""/));
    for (const cores of [undefined, 0, -0, 1.5, NaN, 65_536, 2 ** 53, "1"]) {
      const value = { kind: "exclusive", cores } as PolicyDescription;
      assert.throws(() => Policy.from(value), fails("EINVAL", /number of cores is/));
    }
  });

  it("is read once, whatever getters say the second time", () => {
    let looks = 0;
    const value = {
      get kind() {
        return looks++ === 0 ? "compact" : "bindNode";
      },
    };
    assert.equal(Policy.from(value as PolicyDescription).kind, "compact");
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
