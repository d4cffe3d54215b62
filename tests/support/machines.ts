// Machines nobody has at hand, as the C helper would describe them (native/include/numakit.h, nk_topology_export).

import { CpuSet } from "../../lib/topology/cpu_set.ts";
import { parseDescription } from "../../lib/topology/parse_snapshot.ts";
import type { ProcessLimits } from "../../lib/topology/snapshot.ts";
import { Topology } from "../../lib/topology/topology.ts";

/** A node beside those that the packages have. */
export interface ExtraNode {
  readonly id: number;
  readonly subtype?: string;
  readonly bytes?: number;
  /** The index of the node whose CPUs it shares; without it, it has none. */
  readonly sharesWith?: number;
}

/** What a machine is made of. Everything is counted per one of what holds it. */
export interface Shape {
  readonly packages?: number;
  /** 0: one node for the whole machine, however many packages (NUMA switched off in firmware). */
  readonly nodesPerPackage?: number;
  /** 0: no L3 described. */
  readonly l3PerNode?: number;
  /** One L3 for each package, whatever its nodes (Intel with sub-NUMA clustering). */
  readonly l3OfPackage?: boolean;
  /** Cores under an L3, or in a node that has none. */
  readonly cores: number;
  /** Cores under an L3 by its index, for machines where they differ. */
  readonly coresOf?: (l3: number) => number;
  readonly smt?: number;
  /** Whether siblings are 2i and 2i + 1, or i and i + all cores. */
  readonly numbering?: "adjacent" | "split";
  /** From one CPU number to the next. */
  readonly stride?: number;
  /** The ids of the packages' nodes, if not 0, 1, 2 … */
  readonly nodeIds?: readonly number[];
  readonly bytes?: number;
  /** Indexes of nodes without memory. */
  readonly memoryless?: readonly number[];
  readonly subtype?: string;
  readonly extra?: readonly ExtraNode[];
  /** From node to node by index, row-major; a function, or nothing known. */
  readonly distance?: (from: number, to: number) => number;
  /** The kind of a core by its index. */
  readonly kind?: (core: number) => number;
  /** SMT CPUs of a core by its index, for machines where cores differ. */
  readonly smtOf?: (core: number) => number;
  readonly allowedCpus?: string;
  readonly allowedNodes?: string;
  readonly attributes?: readonly unknown[];
  readonly devices?: readonly unknown[];
  /** Nothing but nodes and CPUs is described. */
  readonly bare?: boolean;
}

const GIB = 2 ** 30;
const MIB = 2 ** 20;

interface Part {
  readonly package: number;
  readonly node: number;
  readonly l3: number;
  readonly cpus: readonly number[];
}

/** The cores with their CPUs, numbered as firmware of that kind does. */
function coresOf(shape: Shape): Part[] {
  const { packages = 1, nodesPerPackage = 1, l3PerNode = 1, smt = 1, stride = 1 } = shape;
  const nodes = Math.max(1, nodesPerPackage);
  const domains = Math.max(1, l3PerNode);
  const places: Omit<Part, "cpus">[] = [];
  for (let p = 0; p < packages; p++) {
    for (let n = 0; n < nodes; n++) {
      for (let d = 0; d < domains; d++) {
        const node = nodesPerPackage === 0 ? 0 : p * nodes + n;
        const l3 = shape.l3OfPackage ? p : (p * nodes + n) * domains + d;
        const count = shape.coresOf?.((p * nodes + n) * domains + d) ?? shape.cores;
        for (let c = 0; c < count; c++) places.push({ package: p, node, l3 });
      }
    }
  }
  const siblings = (core: number): number => shape.smtOf?.(core) ?? smt;
  const cpus: number[][] = places.map(() => []);
  let next = 0;
  const give = (core: number): number => cpus[core]!.push(stride * next++);
  if (shape.numbering === "split") {
    for (let round = 0; cpus.some((_, core) => siblings(core) > round); round++) {
      for (const core of cpus.keys()) if (siblings(core) > round) give(core);
    }
  } else {
    for (const core of cpus.keys()) {
      for (let round = 0; round < siblings(core); round++) give(core);
    }
  }
  return places.map((place, core) => ({ ...place, cpus: cpus[core]! }));
}

function groupText(cores: readonly Part[], key: "package" | "node" | "l3"): string[] {
  const groups = new Map<number, number[]>();
  for (const core of cores) {
    const ids = groups.get(core[key]) ?? [];
    groups.set(core[key], ids);
    ids.push(...core.cpus);
  }
  return [...groups.values()].map((ids) => CpuSet.from(ids).text);
}

function cachesOf(shape: Shape, cores: readonly Part[]): unknown[] {
  const own = cores.flatMap(({ cpus }) => {
    const text = CpuSet.from(cpus).text;
    return [
      { level: 1, type: "data", bytes: 32768, line: 64, cpus: text },
      { level: 1, type: "instruction", bytes: 32768, line: 64, cpus: text },
      { level: 2, type: "unified", bytes: MIB, line: 64, cpus: text },
    ];
  });
  if (shape.l3PerNode === 0) return own;
  const shared = groupText(cores, "l3").map((cpus) => {
    return { level: 3, type: "unified", bytes: 32 * MIB, line: 64, cpus };
  });
  return [...shared, ...own];
}

function nodesOf(shape: Shape, cores: readonly Part[]): { id: number; [key: string]: unknown }[] {
  const { bytes = 64 * GIB, memoryless = [] } = shape;
  const cpus = groupText(cores, "node");
  const inside = cpus.map((text, index) => ({
    id: shape.nodeIds?.[index] ?? index,
    cpus: text,
    bytes: memoryless.includes(index) ? 0 : bytes,
    freeBytes: memoryless.includes(index) ? 0 : bytes / 2,
    availableBytes: memoryless.includes(index) ? 0 : bytes / 4,
    ...(shape.subtype === undefined ? {} : { subtype: shape.subtype }),
    hugepages: memoryless.includes(index) ? [] : [{ bytes: 2 * MIB, total: 8, free: 6 }],
  }));
  const extra = (shape.extra ?? []).map(({ id, subtype, bytes: own = 16 * GIB, sharesWith }) => ({
    id,
    cpus: sharesWith === undefined ? "" : cpus[sharesWith],
    bytes: own,
    ...(subtype === undefined ? {} : { subtype }),
  }));
  return [...inside, ...extra];
}

/** The description of a machine of that shape, before it is text. */
export function describeMachine(shape: Shape): Record<string, unknown> {
  const cores = coresOf(shape);
  const nodes = nodesOf(shape, cores);
  const cpus = CpuSet.from(cores.flatMap((core) => core.cpus)).text;
  const { distance } = shape;
  const perPackage = Math.ceil(cores.length / (shape.packages ?? 1));
  return {
    hwloc: "2.9.0",
    source: "live",
    cpus,
    allowedCpus: shape.allowedCpus ?? cpus,
    allowedNodes: shape.allowedNodes ?? CpuSet.from(nodes.map((node) => node.id)).text,
    nodes,
    ...(shape.bare ? {} : {
      packages: groupText(cores, "package").map((text, id) => ({ id, cpus: text, model: "Test" })),
      dies: groupText(cores, "package").map((text, id) => ({ id: 0, package: id, cpus: text })),
      caches: cachesOf(shape, cores),
      // As on real machines a core's number says nothing outside its package.
      cores: cores.map((core, index) => ({
        id: index % perPackage,
        cpus: CpuSet.from(core.cpus).text,
        ...(shape.kind === undefined ? {} : { kind: shape.kind(index) }),
      })),
    }),
    ...(distance === undefined ? {} : {
      distances: {
        nodes: nodes.map((node) => node.id),
        values: nodes.flatMap((_, from) => nodes.map((_, to) => distance(from, to))),
      },
    }),
    ...(shape.attributes === undefined ? {} : { attributes: shape.attributes }),
    ...(shape.devices === undefined ? {} : { devices: shape.devices }),
  };
}

/** The topology of a machine of that shape. */
export function machine(shape: Shape, process: ProcessLimits | null = null): Topology {
  return Topology.from(parseDescription(JSON.stringify(describeMachine(shape)), process));
}

/** SLIT of sockets with several nodes each. */
function sockets(nodesPerSocket: number, near = 12, far = 32): (a: number, b: number) => number {
  return (a, b) => {
    if (a === b) return 10;
    return Math.floor(a / nodesPerSocket) === Math.floor(b / nodesPerSocket) ? near : far;
  };
}

/** Nodes in a ring: as far as they are hops apart. */
function ring(nodes: number): (a: number, b: number) => number {
  return (a, b) => 10 + 5 * Math.min(Math.abs(a - b), nodes - Math.abs(a - b));
}

const XEON: Shape = { packages: 2, cores: 16, smt: 2, numbering: "split", distance: sockets(1) };
const EPYC: Shape = { packages: 2, l3PerNode: 8, cores: 8, smt: 2, numbering: "split" };
const SNC: Shape = { packages: 2, nodesPerPackage: 3, l3OfPackage: true, cores: 43, smt: 2 };

/** Machines by name. */
export const machines: Readonly<Record<string, Shape>> = {
  "one CPU": { cores: 1, bare: true },
  "one CPU, all described": { cores: 1, distance: sockets(1) },
  "two-core VM": { cores: 1, smt: 2 },
  "VM without caches or cores": { cores: 8, bare: true },
  "desktop": { cores: 8, smt: 2 },
  "desktop, split numbering": { cores: 8, smt: 2, numbering: "split" },
  "hybrid": {
    cores: 16,
    smtOf: (core) => core < 8 ? 2 : 1,
    kind: (core) => core < 8 ? 1 : 0,
  },
  "Ryzen AI 9 HX 370": {
    cores: 8,
    l3PerNode: 2,
    coresOf: (l3) => l3 === 0 ? 4 : 8,
    smt: 2,
    numbering: "split",
    kind: (core) => core < 4 ? 1 : 0,
  },
  "one CPU a node": { packages: 2, cores: 1, distance: sockets(1) },
  "two-socket Xeon": XEON,
  "two-socket Xeon, adjacent numbering": { ...XEON, numbering: "adjacent" },
  "two-socket Xeon, NUMA off": { ...XEON, nodesPerPackage: 0 },
  "two-socket Xeon, no SLIT": { packages: 2, cores: 16, smt: 2, numbering: "split" },
  "two-socket Xeon, no L3 described": { ...XEON, l3PerNode: 0 },
  "four-socket Xeon": { packages: 4, cores: 28, smt: 2, distance: sockets(1, 12, 21) },
  "eight-socket ring": { packages: 8, cores: 4, smt: 2, distance: ring(8) },
  "Xeon 6980P with SNC": { ...SNC, numbering: "split", distance: sockets(3, 12, 21) },
  "EPYC NPS1": { ...EPYC, distance: sockets(1) },
  "EPYC NPS4": { ...EPYC, nodesPerPackage: 4, l3PerNode: 2, distance: sockets(4) },
  "EPYC NPS4, one socket": { ...EPYC, packages: 1, nodesPerPackage: 4, l3PerNode: 2 },
  "EPYC NPS0": { ...EPYC, nodesPerPackage: 0 },
  "EPYC with L3 as NUMA domain": { ...EPYC, nodesPerPackage: 8, l3PerNode: 1 },
  "EPYC Zen 1, CCX of 4": { packages: 1, nodesPerPackage: 4, l3PerNode: 2, cores: 4, smt: 2 },
  "CXL expander": {
    ...XEON,
    subtype: "DRAM",
    extra: [{ id: 2, subtype: "CXL-DRAM" }],
    distance: (a, b) => a === b ? 10 : a === 2 || b === 2 ? 14 + 10 * (a + b === 3 ? 0 : 1) : 21,
  },
  "CXL expander, locality of a socket": {
    ...XEON,
    distance: (a, b) => a === b ? 10 : 20 + a + b,
    subtype: "DRAM",
    extra: [{ id: 2, subtype: "CXL-DRAM", sharesWith: 1 }],
  },
  "Xeon Max, flat HBM": {
    packages: 2,
    nodesPerPackage: 4,
    l3OfPackage: true,
    cores: 14,
    smt: 2,
    subtype: "DRAM",
    extra: Array.from({ length: 8 }, (_, i) => ({ id: 8 + i, subtype: "HBM", sharesWith: i })),
  },
  "HBM with the lower id": {
    cores: 8,
    nodeIds: [1],
    subtype: "DRAM",
    extra: [{ id: 0, subtype: "HBM", sharesWith: 0 }],
  },
  "NVM as memory": { ...XEON, extra: [{ id: 2, subtype: "NVM" }, { id: 3, subtype: "NVM" }] },
  "special-purpose memory": { cores: 8, extra: [{ id: 7, subtype: "SPM", sharesWith: 0 }] },
  "POWER with sparse node ids": {
    packages: 2,
    cores: 20,
    smt: 4,
    nodeIds: [0, 8],
    extra: [252, 253, 254, 255].map((id) => ({ id, subtype: "GPUMemory" })),
    distance: (a, b) => a === b ? 10 : a < 2 && b < 2 ? 40 : 80,
  },
  "a node without memory": { ...XEON, memoryless: [1] },
  "first node without memory": { ...XEON, memoryless: [0] },
  "sparse CPU numbers": { packages: 2, cores: 4, smt: 2, stride: 4, distance: sockets(1) },
  "Arm server": { packages: 2, cores: 96, l3PerNode: 1, distance: sockets(1, 20, 40) },
  "Arm server without L3": { cores: 64, l3PerNode: 0 },
  "cpuset of half of one node": { ...XEON, allowedCpus: "0-7,16-31", allowedNodes: "0-1" },
  "cpuset of one node": { ...XEON, allowedCpus: "0-15,32-47", allowedNodes: "0" },
  "cpuset whose memory is elsewhere": { ...XEON, allowedCpus: "0-15", allowedNodes: "1" },
  "cpuset of one CPU": { ...XEON, allowedCpus: "17" },
  "4096 CPUs": {
    packages: 16,
    nodesPerPackage: 4,
    l3PerNode: 4,
    cores: 8,
    smt: 2,
    numbering: "split",
    distance: sockets(4),
  },
  "two-socket Xeon with devices": {
    ...XEON,
    devices: [
      {
        address: "0000:17:00.0",
        class: "nvme",
        names: ["nvme0", "nvme0n1"],
        node: 0,
        cpus: "0-15,32-47",
      },
      {
        address: "0000:98:00.0",
        class: "network",
        names: ["eth0", "mlx5_0"],
        node: 1,
        cpus: "16-31,48-63",
      },
      { address: "0000:98:00.1", class: "network", names: ["eth1"], cpus: "0-63" },
      { address: "0000:b1:00.0", class: "gpu", names: [], node: 1, cpus: "16-31,48-63" },
      {
        address: "0000:c1:00.0",
        class: "nvme",
        names: ["nvme1", "nvme1n1"],
        node: 0,
        cpus: "0-15",
      },
      { address: "0000:c2:00.0", class: "nvme", names: ["nvme2", "nvme1n1"], node: 1, cpus: "" },
    ],
  },
  "VM with devices": {
    cores: 2,
    devices: [{ address: "0000:00:03.0", class: "network", names: ["eth0"], cpus: "0-1" }],
  },
  "machine with HMAT": {
    packages: 2,
    cores: 4,
    attributes: [
      { name: "Latency", node: 0, initiator: "0-3", value: 90 },
      { name: "ReadBandwidth", node: 1, initiator: "4-7", value: 12000 },
      { name: "Latency", node: 1, value: 250 },
      { name: "Vendor", node: 1, value: 7 },
    ],
  },
};
