import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { inspect } from "node:util";
import { NumaError } from "../../lib/base/error.ts";
import { CpuSet } from "../../lib/topology/cpu_set.ts";
import { parseDescription, parseSnapshot } from "../../lib/topology/parse_snapshot.ts";
import type { TopologySnapshot } from "../../lib/topology/snapshot.ts";
import { Topology } from "../../lib/topology/topology.ts";
import { checkout } from "../support/checkout.ts";
import { describeMachine, machine, machines } from "../support/machines.ts";

type Loose = Record<string, unknown>;

function named(name: string): Topology {
  return machine(machines[name]!);
}

function fails(code: string, pattern: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof NumaError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
}

/** A description with a part of it exchanged. */
function described(change: Loose, shape = machines["two-socket Xeon"]!): string {
  return JSON.stringify({ ...describeMachine(shape), ...change });
}

function isFrozen(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return true;
  return Object.isFrozen(value) && Object.values(value).every(isFrozen);
}

for (const [name, shape] of Object.entries(machines)) {
  describe(`topology of ${name}`, () => {
    const topology = machine(shape);

    it("survives JSON and structuredClone", () => {
      const { snapshot } = topology;
      const text = JSON.stringify(topology);
      assert.deepEqual(JSON.parse(text), snapshot);
      assert.deepEqual(parseSnapshot(JSON.parse(text)), snapshot);
      assert.deepEqual(parseSnapshot(structuredClone(snapshot)), snapshot);
      assert.ok(Topology.from(text).equals(topology));
      assert.equal(parseSnapshot(snapshot), snapshot);
      assert.ok(isFrozen(snapshot) && isFrozen(parseSnapshot(JSON.parse(text))));
    });

    it("puts every CPU in one node, one domain, at most one core", () => {
      const parts = (sets: readonly CpuSet[]): string => {
        const all = sets.reduce((a, b) => a.union(b), CpuSet.empty);
        assert.equal(sets.reduce((sum, set) => sum + set.size, 0), all.size);
        return all.text;
      };
      assert.equal(parts(topology.domains), topology.cpus.text);
      if (topology.cores.length > 0) {
        assert.equal(parts(topology.cores.map((core) => core.cpus)), topology.cpus.text);
      }
      for (const cpu of topology.cpus) {
        assert.ok(topology.cpusOfNode(topology.nodeOfCpu(cpu)).has(cpu));
        assert.ok(topology.domains[topology.domainOfCpu(cpu)]!.has(cpu));
        assert.ok(topology.smtSiblings(cpu).has(cpu));
        const core = topology.coreOfCpu(cpu);
        if (core !== undefined) assert.ok(topology.cores[core]!.cpus.has(cpu));
        const home = topology.packageOfCpu(cpu);
        const found = topology.packages.find((item) => item.id === home);
        assert.equal(found?.cpus.has(cpu), home === undefined ? undefined : true);
      }
    });

    it("orders nodes by distance, each first for itself", () => {
      const ids = topology.nodes.map((node) => node.id);
      for (const id of ids) {
        const near = topology.nearestNodes(id);
        assert.equal(near[0], id);
        assert.deepEqual([...near].sort((a, b) => a - b), ids);
        const distances = near.slice(1).map((other) => topology.distance(id, other) ?? Infinity);
        assert.deepEqual(distances, [...distances].sort((a, b) => a - b));
      }
    });

    it("allows only what there is", () => {
      assert.ok(topology.allowedCpus.isSubsetOf(topology.cpus));
      assert.ok(topology.effectiveCpus >= 1);
      assert.ok(topology.effectiveCpus <= Math.max(1, topology.allowedCpus.size));
    });

    it("has a summary", () => {
      const lines = topology.summary().split("\n");
      assert.ok(lines.length >= topology.nodes.length + 2);
      assert.ok(lines.every((line) => line.length > 0 && !/undefined|NaN/.test(line)));
    });
  });
}

describe("what a process may use", () => {
  const shape = machines["cpuset of half of one node"]!; // 0-7,16-31 of 64
  const affinity = CpuSet.parse("4-19");

  it("is its cpuset, its affinity and its quota together", () => {
    const cases: [string, { quotaUs: number; periodUs: number } | null, number][] = [
      ["0-63", null, 24],
      ["4-19", null, 8],
      ["4-19", { quotaUs: 250_000, periodUs: 100_000 }, 3],
      ["4-19", { quotaUs: 300_000, periodUs: 100_000 }, 3],
      ["4-19", { quotaUs: 25_000, periodUs: 100_000 }, 1],
      ["4-19", { quotaUs: 9_000_000, periodUs: 100_000 }, 8],
      ["8-15", null, 1],
    ];
    for (const [cpus, quota, effective] of cases) {
      const topology = machine(shape, { affinity: CpuSet.parse(cpus), quota });
      assert.equal(topology.effectiveCpus, effective);
      assert.deepEqual(topology.snapshot.allowed.quota, quota);
      assert.equal(topology.snapshot.allowed.affinity, cpus);
    }
  });

  it("is told apart from what there is", () => {
    const topology = machine(shape, { affinity, quota: null });
    assert.equal(topology.allowedCpus.text, "4-7,16-19");
    assert.equal(topology.cpus.text, "0-63");
    assert.equal(topology.cpusOfNode(0).text, "0-15,32-47");
    assert.equal(named("cpuset of one node").allowedNodes.text, "0");
  });

  it("is all of a machine that is described", () => {
    const topology = machine(machines["desktop"]!);
    assert.equal(topology.allowedCpus.text, "0-15");
    assert.equal(topology.snapshot.allowed.affinity, "0-15");
    assert.equal(topology.snapshot.allowed.quota, null);
  });

  it("may be nothing", () => {
    const topology = machine(shape, { affinity: CpuSet.of(9), quota: null });
    assert.equal(topology.allowedCpus.size, 0);
    assert.equal(topology.effectiveCpus, 1);
  });
});

describe("Topology", () => {
  it("knows sockets, siblings and caches", () => {
    const topology = named("two-socket Xeon");
    assert.equal(topology.isNuma, true);
    assert.equal(topology.nodeOfCpu(47), 0);
    assert.equal(topology.nodeOfCpu(48), 1);
    assert.equal(topology.packageOfCpu(48), 1);
    assert.equal(topology.smtSiblings(40).text, "8,40");
    assert.equal(topology.coreOfCpu(40), 8);
    assert.equal(topology.cores[31]!.id, 15);
    assert.equal(topology.cores[31]!.package, 1);
    assert.equal(topology.l3Domains.length, 2);
    assert.equal(topology.dies.length, 2);
    assert.equal(topology.distance(0, 1), 32);
    assert.equal(named("two-socket Xeon, adjacent numbering").smtSiblings(5).text, "4-5");
  });

  it("has a domain for each L3", () => {
    const epyc = named("EPYC NPS4");
    assert.equal(epyc.domains.length, 16);
    assert.equal(epyc.domainOfCpu(9), 1);
    assert.equal(epyc.domains[1]!.text, "8-15,136-143");
    assert.equal(named("Xeon 6980P with SNC").domains.length, 2);
    assert.equal(named("EPYC NPS0").domains.length, 16);
  });

  it("has a domain for each node where there is no L3", () => {
    const topology = named("two-socket Xeon, no L3 described");
    assert.equal(topology.l3Domains.length, 0);
    assert.deepEqual(topology.domains.map(String), ["0-15,32-47", "16-31,48-63"]);
    assert.deepEqual(named("VM without caches or cores").domains.map(String), ["0-7"]);
  });

  it("has a domain for the CPUs that an L3 leaves out", () => {
    const caches = [{ level: 3, type: "unified", bytes: 1, cpus: "4-7" }];
    const topology = Topology.from(
      parseDescription(described({ caches }, machines["desktop"]!), null),
    );
    assert.deepEqual(topology.domains.map(String), ["0-3,8-15", "4-7"]);
    assert.equal(topology.domainOfCpu(5), 1);
  });

  it("prefers DRAM, then the least id, where nodes share CPUs", () => {
    assert.equal(named("HBM with the lower id").nodeOfCpu(3), 1);
    assert.equal(named("Xeon Max, flat HBM").nodeOfCpu(0), 0);
    assert.equal(named("CXL expander, locality of a socket").nodeOfCpu(16), 1);
    assert.equal(named("special-purpose memory").nodeOfCpu(0), 0);
    assert.equal(named("HBM with the lower id").cpusOfNode(0).text, "0-7");
  });

  it("keeps nodes without CPUs and nodes without memory", () => {
    const cxl = named("CXL expander");
    assert.equal(cxl.cpusOfNode(2).size, 0);
    assert.deepEqual(cxl.nodes.map((node) => node.memory), ["dram", "dram", "cxl"]);
    const bare = named("a node without memory");
    assert.equal(bare.nodes[1]!.totalBytes, 0);
    assert.equal(bare.nodeOfCpu(16), 1);
    assert.equal(bare.isNuma, true);
    assert.equal(named("special-purpose memory").isNuma, true);
    assert.equal(named("two-socket Xeon, NUMA off").isNuma, false);
    assert.deepEqual(named("POWER with sparse node ids").nodes.map((node) => node.id), [
      0,
      8,
      252,
      253,
      254,
      255,
    ]);
  });

  it("counts nodes that have something", () => {
    const nodes = [{ id: 0, cpus: "0-15", bytes: 1 }, { id: 1, cpus: "" }];
    const text = described({ nodes, allowedNodes: "0" }, machines["desktop"]!);
    assert.equal(Topology.from(parseDescription(text, null)).isNuma, false);
  });

  it("orders nodes by SLIT, by package without one", () => {
    assert.deepEqual(named("eight-socket ring").nearestNodes(6), [6, 5, 7, 0, 4, 1, 3, 2]);
    assert.deepEqual(named("CXL expander").nearestNodes(1), [1, 2, 0]);
    assert.deepEqual(named("EPYC NPS4").nearestNodes(5), [5, 4, 6, 7, 0, 1, 2, 3]);
    const { distance: _, ...shape } = machines["EPYC NPS4"]!;
    assert.deepEqual(machine(shape).nearestNodes(5), [5, 4, 6, 7, 0, 1, 2, 3]);
    assert.deepEqual(named("NVM as memory").nearestNodes(2), [2, 0, 1, 3]);
    assert.throws(() => (named("desktop").nearestNodes(0) as number[]).push(1), TypeError);
  });

  it("puts nodes that the matrix leaves out last", () => {
    const distances = { nodes: [0, 2], values: [10, 17, 17, 10] };
    const text = described({ distances }, machines["CXL expander"]!);
    const topology = Topology.from(parseDescription(text, null));
    assert.deepEqual(topology.nearestNodes(0), [0, 2, 1]);
    assert.equal(topology.distance(0, 1), undefined);
    assert.equal(topology.distance(0, 2), 17);
  });

  it("makes up no distance", () => {
    const topology = named("two-socket Xeon, no SLIT");
    assert.equal(topology.snapshot.distances, null);
    assert.equal(topology.distance(0, 0), undefined);
    assert.equal(topology.distance(0, 1), undefined);
  });

  it("says which CPUs and nodes there are", () => {
    const topology = named("sparse CPU numbers");
    for (const cpu of [1, 61, 65_535]) {
      for (const ask of ["nodeOfCpu", "domainOfCpu", "coreOfCpu", "smtSiblings"] as const) {
        assert.throws(() => topology[ask](cpu), fails("ENODEV", /this machine has CPUs 0,4,8/));
      }
    }
    for (const node of [2, 64, 65_535]) {
      assert.throws(() => topology.cpusOfNode(node), fails("ENODEV", /this machine has nodes 0-1/));
      assert.throws(() => topology.nearestNodes(node), fails("ENODEV", new RegExp(`node ${node}`)));
      assert.throws(() => topology.distance(0, node), fails("ENODEV", /from node 0 to node/));
    }
    for (const bad of [-1, 1.5, NaN, 1e9, undefined, null, "x", {}, Symbol("x")]) {
      assert.throws(() => topology.nodeOfCpu(bad as number), fails("EINVAL", /CPU/));
      assert.throws(() => topology.domainOfCpu(bad as number), fails("EINVAL", /CPU/));
      assert.throws(() => topology.cpusOfNode(bad as number), fails("EINVAL", /node/));
      assert.throws(() => topology.distance(bad as number, 0), fails("EINVAL", /node/));
    }
  });

  it("tells a CPU that is on no node", () => {
    const text = described({ nodes: [{ id: 0, cpus: "0-7", bytes: 1 }], allowedNodes: "0" });
    const topology = Topology.from(
      parseDescription(text.replace(/"distances".*/, '"x":0}'), null),
    );
    assert.throws(() => topology.nodeOfCpu(8), fails("ENODEV", /on no node/));
    assert.equal(topology.domainOfCpu(16), 1);
  });

  it("is equal apart from free memory", () => {
    const shape = machines["two-socket Xeon"]!;
    const a = machine(shape);
    const change = (text: string): Topology => Topology.from(text);
    const text = JSON.stringify(a);
    assert.ok(a.equals(change(text.replaceAll(/"free(Bytes)?":\d+/g, '"free$1":1'))));
    assert.ok(!a.equals(change(text.replace('"matrix":[[10,32]', '"matrix":[[10,33]'))));
    assert.ok(!a.equals(machine(machines["desktop"]!)));
    assert.ok(!a.equals(a.snapshot as unknown as Topology));
    assert.throws(() => ((a as { isNuma: boolean }).isNuma = false), TypeError);
  });

  it("shows its summary", () => {
    const quota = { quotaUs: 250_000, periodUs: 100_000 };
    const topology = machine(machines["CXL expander"]!, { affinity: CpuSet.range(0, 9), quota });
    assert.equal(
      topology.summary(),
      [
        "3 NUMA nodes, 2 packages, 32 cores, 64 CPUs (live, hwloc 2.9.0)",
        "model: Test",
        "node 0: CPUs 0-15,32-47 (32), 64 GiB DRAM (32 GiB free), 2 MiB pages 6 of 8 free",
        "node 1: CPUs 16-31,48-63 (32), 64 GiB DRAM (32 GiB free), 2 MiB pages 6 of 8 free",
        "node 2: no CPUs, 16 GiB CXL memory",
        "L3: 2 of 32 MiB for 32 CPUs each",
        "distances:",
        "     0  1  2",
        "  0 10 21 24",
        "  1 21 10 14",
        "  2 24 14 10",
        "allowed: CPUs 0-9, nodes 0-2, quota 2.5 CPUs; effective CPUs: 3",
      ].join("\n"),
    );
    assert.match(inspect(topology), /^Topology \{\n {2}3 NUMA nodes/);
  });
});

describe("parseDescription", () => {
  it("keeps what the helper says", () => {
    const { snapshot } = named("machine with HMAT");
    assert.deepEqual(snapshot.attributes, [
      { name: "Latency", node: 0, initiator: "0-3", value: 90, unit: "ns" },
      { name: "ReadBandwidth", node: 1, initiator: "4-7", value: 12000, unit: "MiB/s" },
      { name: "Latency", node: 1, value: 250, unit: "ns" },
    ]);
    assert.deepEqual(snapshot.nodes[0]!.hugepages, [{ pageBytes: 2097152, total: 8, free: 6 }]);
    assert.deepEqual(named("hybrid").cores.map((core) => core.kind).slice(7, 9), [1, 0]);
    assert.equal("freeBytes" in named("CXL expander").snapshot.nodes[2]!, false);
    assert.equal("availableBytes" in named("CXL expander").snapshot.nodes[2]!, false);
    assert.equal("kind" in named("desktop").snapshot.cores[0]!, false);
  });

  it("sorts what comes in hwloc's order", () => {
    const { nodes, cores, caches } = describeMachine(machines["two-socket Xeon"]!);
    const reverse = (list: unknown): unknown[] => (list as unknown[]).toReversed();
    const text = described({
      nodes: reverse(nodes),
      cores: reverse(cores),
      caches: reverse(caches),
    });
    assert.ok(Topology.from(parseDescription(text, null)).equals(named("two-socket Xeon")));
  });

  it("numbers packages by position where firmware does not", () => {
    const without = (list: unknown): unknown[] =>
      (list as Loose[]).map(({ id: _, package: __, ...rest }) => rest);
    const { packages, dies, cores, caches } = describeMachine(machines["two-socket Xeon"]!);
    const parts = { packages: without(packages), dies: without(dies), cores: without(cores) };
    const sizeless = (caches as Loose[]).map(({ bytes: _, ...rest }) => rest);
    const text = described({ ...parts, caches: sizeless });
    const topology = Topology.from(parseDescription(text, null));
    assert.deepEqual(topology.packages.map((item) => item.id), [0, 1]);
    assert.equal(topology.packageOfCpu(63), 1);
    assert.deepEqual(topology.dies.map((die) => [die.id, die.package]), [[undefined, 0], [
      undefined,
      1,
    ]]);
    assert.equal(topology.cores[16]!.package, 1);
    assert.match(topology.summary(), /L3: 2 of unknown size for 32 CPUs each/);
    assert.ok(Topology.from(JSON.stringify(topology)).equals(topology));
  });

  it("reads kinds of memory from hwloc's subtypes", () => {
    const kinds = ["DRAM", "HBM", "MCDRAM", "NVM", "SPM", "GPUMemory", "CXL-DRAM", "CXL-NVM", "?"];
    const extra = kinds.map((subtype, index) => ({ id: 1 + index, subtype }));
    const topology = machine({ cores: 2, extra });
    assert.deepEqual(topology.nodes.map((node) => node.memory), [
      "unknown",
      "dram",
      "hbm",
      "hbm",
      "nvm",
      "special",
      "special",
      "cxl",
      "cxl",
      "unknown",
    ]);
  });

  const refused: [string, Loose | string, RegExp][] = [
    ["no JSON", "{", /it is not JSON/],
    ["no object", "[]", /schemaVersion|source|missing/],
    ["null", "null", /it is null/],
    ["no nodes", { nodes: [] }, /nodes is empty/],
    ["nodes missing", { nodes: undefined }, /nodes is missing/],
    ["no CPU lists", { cpus: 3 }, /cpus is 3, not a string/],
    ["bad CPU lists", { cpus: "0-" }, /cpus is "0-", not a set/],
    ["unknown CPUs", { allowedCpus: "0-64" }, /allowed\.cpus has 64/],
    ["unknown nodes", { allowedNodes: "0-2" }, /allowed\.nodes has 2/],
    ["a strange source", { source: "guess" }, /source is "guess", not "live" or/],
    ["half a matrix", { distances: { nodes: [0, 1], values: [10, 20] } }, /distances\.matrix/],
    ["no matrix", { distances: 7 }, /distances/],
    ["bad attributes", { attributes: [{ value: 1 }] }, /attributes\[0\]\.name is missing/],
  ];
  for (const [name, change, message] of refused) {
    it(`refuses ${name}`, () => {
      const text = typeof change === "string" ? change : described(change);
      assert.throws(() => parseDescription(text, null), fails("EABI", message));
    });
  }
});

describe("parseSnapshot", () => {
  const good = JSON.stringify(named("machine with HMAT"));
  const edits: [RegExp, (snapshot: Loose & TopologySnapshot) => unknown][] = [
    [/schemaVersion is 2, not 1/, (s) => ({ ...s, schemaVersion: 2 })],
    [/schemaVersion is missing/, ({ schemaVersion: _, ...s }) => s],
    [/hwloc is null, not a string/, (s) => ({ ...s, hwloc: null })],
    [/nodes is .*, not an array/, (s) => ({ ...s, nodes: {} })],
    [/nodes\[1\] is null, not an object/, (s) => ({ ...s, nodes: [s.nodes[0], null] })],
    [/nodes\[1\]\.cpus is 5, not a string/, (s) => patch(s, "nodes", 1, { cpus: 5 })],
    [/nodes\[1\]\.cpus is "5-4", not a set/, (s) => patch(s, "nodes", 1, { cpus: "5-4" })],
    [/nodes\[1\]\.cpus has 8,/, (s) => patch(s, "nodes", 1, { cpus: "4-8" })],
    [/nodes\[1\] is number 0 a second time/, (s) => patch(s, "nodes", 1, { id: 0 })],
    [/nodes\[0\]\.id is -1, not a whole/, (s) => patch(s, "nodes", 0, { id: -1 })],
    [/nodes\[0\]\.totalBytes is 0\.5/, (s) => patch(s, "nodes", 0, { totalBytes: 0.5 })],
    [/nodes\[0\]\.freeBytes is "1"/, (s) => patch(s, "nodes", 0, { freeBytes: "1" })],
    [/nodes\[0\]\.availableBytes is -1/, (s) => patch(s, "nodes", 0, { availableBytes: -1 })],
    [/nodes\[0\]\.memory is "tape"/, (s) => patch(s, "nodes", 0, { memory: "tape" })],
    [
      /nodes\[0\]\.hugepages\[0\]\.free/,
      (s) => patch(s, "nodes", 0, { hugepages: [{ pageBytes: 1, total: 1 }] }),
    ],
    [/packages\[1\] is number 0 a second/, (s) => patch(s, "packages", 1, { id: 0 })],
    [
      /packages\[1\]\.cpus has CPU 3,.*packages\[0\]/,
      (s) => patch(s, "packages", 1, { cpus: "3-7" }),
    ],
    [/dies\[0\]\.package is 9/, (s) => patch(s, "dies", 0, { package: 9 })],
    [/cores\[2\]\.package is 9/, (s) => patch(s, "cores", 2, { package: 9 })],
    [/cores\[2\]\.cpus has CPU 0,/, (s) => patch(s, "cores", 2, { cpus: "0" })],
    [/cores\[2\]\.kind is -1/, (s) => patch(s, "cores", 2, { kind: -1 })],
    [/caches\[0\]\.level is 0/, (s) => patch(s, "caches", 0, { level: 0 })],
    [/caches\[0\]\.type is "trace"/, (s) => patch(s, "caches", 0, { type: "trace" })],
    [/caches\[1\]\.cpus has CPU 0,/, (s) => patch(s, "caches", 1, { cpus: "0" })],
    [/distances is missing/, ({ distances: _, ...s }) => s],
    [/distances\.nodes\[1\] is number 0/, (s) => ({ ...s, distances: slit([0, 0]) })],
    [/distances\.nodes\[1\] is 2/, (s) => ({ ...s, distances: slit([0, 2]) })],
    [
      /distances\.matrix is an array of 2/,
      (s) => ({ ...s, distances: { ...slit([0, 1]), nodes: [0] } }),
    ],
    [
      /distances\.matrix\[1\] is an array/,
      (s) => ({ ...s, distances: { nodes: [0, 1], matrix: [[10, 20], [20]] } }),
    ],
    [
      /distances\.matrix\[1\]\[0\] is "2/,
      (s) => ({ ...s, distances: { nodes: [0, 1], matrix: [[10, 20], ["20", 10]] } }),
    ],
    [/attributes\[0\]\.node is 7/, (s) => patch(s, "attributes", 0, { node: 7 })],
    [/attributes\[0\]\.initiator has 9/, (s) => patch(s, "attributes", 0, { initiator: "9" })],
    [/attributes\[0\]\.unit is "s"/, (s) => patch(s, "attributes", 0, { unit: "s" })],
    [/allowed is null/, (s) => ({ ...s, allowed: null })],
    [/allowed\.cpus has 8-9,/, (s) => ({ ...s, allowed: { ...s.allowed, cpus: "0-9" } })],
    [
      /allowed\.quota\.periodUs is 0/,
      (s) => ({ ...s, allowed: { ...s.allowed, quota: { quotaUs: 1, periodUs: 0 } } }),
    ],
    [
      /allowed\.effectiveCpus is 9 of 8/,
      (s) => ({ ...s, allowed: { ...s.allowed, effectiveCpus: 9 } }),
    ],
    [/allowed\.effectiveCpus is 0/, (s) => ({ ...s, allowed: { ...s.allowed, effectiveCpus: 0 } })],
  ];
  for (const [message, edit] of edits) {
    it(`refuses what ${message.source} tells`, () => {
      assert.throws(() => parseSnapshot(edit(JSON.parse(good))), fails("EINVAL", message));
    });
  }

  it("refuses what is no object", () => {
    for (const value of [undefined, null, 1, "x", [], new Map()]) {
      assert.throws(() => parseSnapshot(value), fails("EINVAL", /topology snapshot/));
    }
    assert.throws(() => Topology.from("{"), fails("EINVAL", /not JSON/));
    assert.throws(() => Topology.from("[]"), fails("EINVAL", /schemaVersion is missing/));
  });

  it("drops keys it does not know, and puts sets in order", () => {
    const value = JSON.parse(good);
    value.later = 1;
    value.nodes[0].later = 1;
    value.cpus = "4-7,0-3";
    assert.equal(JSON.stringify(parseSnapshot(value)), good);
  });
});

describe("docs/topology-schema.md", () => {
  const page = new URL("docs/topology-schema.md", checkout);
  it("has an example that is one", () => {
    const example = /```json\n([\s\S]*?)```/.exec(readFileSync(page, "utf8"))?.[1] ?? "";
    const topology = Topology.from(example);
    assert.deepEqual(topology.snapshot, JSON.parse(example));
    assert.equal(topology.isNuma, true);
  });
});

function patch(snapshot: TopologySnapshot, key: string, index: number, change: Loose): Loose {
  const copy = structuredClone(snapshot) as unknown as Record<string, Loose[]>;
  Object.assign(copy[key]![index]!, change);
  return copy;
}

function slit(nodes: number[]): Loose {
  return { nodes, matrix: [[10, 20], [20, 10]] };
}
