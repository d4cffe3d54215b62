import { showAs } from "../base/inspect.ts";
import { checkInteger, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { CpuSet } from "./cpu_set.ts";
import { parseSnapshot } from "./parse_snapshot.ts";
import type {
  CacheInfo,
  CoreInfo,
  DeviceInfo,
  DieInfo,
  MemoryKind,
  NodeInfo,
  PackageInfo,
  TopologySnapshot,
} from "./snapshot.ts";
import { summarize } from "./summary.ts";

// Questions about a machine, answered from a snapshot alone: nothing here asks the system. What is asked in hot paths
// (the node, the domain, the core of a CPU) is one look into a table by CPU number.

const MAX_ID = 65_535;
const NONE = -1;

/** A part of the machine as the snapshot has it, with its CPUs as a {@linkcode CpuSet}. */
export type TopologyPart<T extends { readonly cpus: string }> =
  & Omit<T, "cpus">
  & {
    /** Its CPUs. */
    readonly cpus: CpuSet;
  };

/** All of this thread's. */
const topologies = /* @__PURE__ */ new WeakSet<object>();

/**
 * A machine: its nodes, packages, caches, cores, CPUs, distances and devices, and what this process may use of it. A
 * topology is immutable and describes one moment: it does not follow later changes of cpusets or quotas.
 *
 * CPUs, nodes and packages are identified by the OS's numbers. Cores and domains are identified by their index in
 * {@linkcode Topology.cores} and {@linkcode Topology.domains}, because the OS's numbers of these repeat.
 *
 * @example
 * ```ts
 * import { topology } from "@numakit/numakit";
 *
 * const machine = topology();
 * console.log(machine.summary());
 * for (const node of machine.nodes) console.log(node.id, `${node.cpus}`, node.totalBytes);
 * ```
 */
export class Topology {
  static readonly #shown = /* @__PURE__ */ showAs(
    Topology,
    (machine) => `Topology {\n  ${machine.summary().replaceAll("\n", "\n  ")}\n}`,
  );
  /** The data all of this is read from. */
  readonly snapshot: TopologySnapshot;
  /** The NUMA nodes by id, those without CPUs or without memory among them. */
  readonly nodes: readonly TopologyPart<NodeInfo>[];
  /** The packages by id; empty when the machine describes none. */
  readonly packages: readonly TopologyPart<PackageInfo>[];
  /** The dies by their first CPU; empty when the machine describes none. */
  readonly dies: readonly TopologyPart<DieInfo>[];
  /** The L3 caches by their first CPU; empty when the machine describes none. */
  readonly l3Domains: readonly TopologyPart<CacheInfo>[];
  /**
   * The machine's CPUs, grouped by which can exchange cache lines cheaply: one set for each L3 cache, and one for each
   * node for CPUs without an L3. Ordered by their first CPU.
   */
  readonly domains: readonly CpuSet[];
  /** The cores by their first CPU; empty when the machine describes none. */
  readonly cores: readonly TopologyPart<CoreInfo>[];
  /**
   * Network cards, NVMe and other disk controllers, GPUs and accelerators on the PCI bus, by their address; empty when
   * the machine describes none. {@linkcode nodeOf} and `Policy.near` find one by its name.
   */
  readonly devices: readonly TopologyPart<DeviceInfo>[];
  /** Every CPU. */
  readonly cpus: CpuSet;
  /** The CPUs this process may use: those that are both in its cpuset and in its affinity. */
  readonly allowedCpus: CpuSet;
  /** The nodes whose memory this process may use. */
  readonly allowedNodes: CpuSet;
  /**
   * The number of threads that can run at once: the allowed CPUs or the CPU quota rounded up, whichever is less; at
   * least 1.
   */
  readonly effectiveCpus: number;
  /** Whether there is more than one node that has memory or CPUs. */
  readonly isNuma: boolean;

  readonly #nodeOf: Int32Array;
  readonly #packageOf: Int32Array;
  readonly #domainOf: Int32Array;
  readonly #coreOf: Int32Array;
  readonly #nodeById: ReadonlyMap<number, TopologyPart<NodeInfo>>;
  readonly #nearest = new Map<number, readonly number[]>();

  private constructor(snapshot: TopologySnapshot) {
    void Topology.#shown;
    const { allowed } = snapshot;
    this.snapshot = snapshot;
    this.cpus = CpuSet.parse(snapshot.cpus);
    this.nodes = withCpus(snapshot.nodes);
    this.packages = withCpus(snapshot.packages);
    this.dies = withCpus(snapshot.dies);
    this.cores = withCpus(snapshot.cores);
    this.l3Domains = withCpus(snapshot.caches.filter(isL3));
    this.devices = withCpus(snapshot.devices ?? []);
    this.allowedCpus = CpuSet.parse(allowed.cpus).intersection(CpuSet.parse(allowed.affinity));
    this.allowedNodes = CpuSet.parse(allowed.nodes);
    this.effectiveCpus = allowed.effectiveCpus;
    this.isNuma = this.nodes.filter((node) => node.totalBytes > 0 || node.cpus.size > 0).length > 1;

    const length = (this.cpus.last ?? -1) + 1;
    const homes = this.nodes.toSorted((a, b) => rank(a.memory) - rank(b.memory) || a.id - b.id);
    this.#nodeById = new Map(this.nodes.map((node) => [node.id, node]));
    this.#nodeOf = table(length, homes.map((node) => [node.cpus, node.id]));
    this.#packageOf = table(length, this.packages.map((item) => [item.cpus, item.id]));
    this.#coreOf = table(length, this.cores.map((core, index) => [core.cpus, index]));
    this.domains = domainsOf(this.cpus, this.l3Domains, this.#nodeOf);
    this.#domainOf = table(length, this.domains.map((cpus, index) => [cpus, index]));
    topologies.add(this);
    Object.freeze(this);
  }

  /**
   * Creates a topology from a snapshot of this or another machine.
   *
   * @param snapshotOrJson A snapshot, for example from another thread, or its JSON text.
   * @returns The topology.
   * @throws {NumaError} `EINVAL` when it is not a snapshot; the message names the place.
   *
   * @example
   * ```ts
   * import { Topology, topology } from "@numakit/numakit";
   *
   * const text = JSON.stringify(topology()); // on one machine
   * const other = Topology.from(text); // on another
   * console.log(other.cpus.size);
   * ```
   */
  static from(snapshotOrJson: TopologySnapshot | string): Topology {
    if (typeof snapshotOrJson !== "string") return new Topology(parseSnapshot(snapshotOrJson));
    let value: unknown;
    try {
      value = JSON.parse(snapshotOrJson);
    } catch (cause) {
      throw new NumaError("EINVAL", "read the topology snapshot", {
        why: "the text is not JSON",
        fix: "Give what JSON.stringify made of a topology.",
        cause,
      });
    }
    return new Topology(parseSnapshot(value));
  }

  /**
   * The node a CPU is local to, in constant time.
   *
   * Where several nodes share the CPU (HBM beside DRAM), it is the one with DRAM, else one whose memory is not known,
   * else any; of several such the one with the least id.
   *
   * @param cpu A CPU.
   * @returns The node's id.
   * @throws {NumaError} `ENODEV` when there is no such CPU, or the machine's description puts it on no node; `EINVAL`
   * when it is not a CPU number.
   *
   * @example
   * ```ts
   * import { topology } from "@numakit/numakit";
   *
   * const machine = topology();
   * for (const cpu of machine.allowedCpus) console.log(cpu, machine.nodeOfCpu(cpu));
   * ```
   */
  nodeOfCpu(cpu: number): number {
    const node = this.#nodeOf[cpu];
    if (node !== undefined && node !== NONE) return node;
    const action = `tell the node of CPU ${show(cpu)}`;
    this.#checkCpu(cpu, action);
    throw new NumaError("ENODEV", action, {
      why: "the description of this machine puts it on no node",
    });
  }

  /**
   * The CPUs local to a node.
   *
   * @param node A node's id.
   * @returns Its CPUs, allowed or not; the empty set when it is memory only.
   * @throws {NumaError} `ENODEV` when there is no such node; `EINVAL` when it is not a node number.
   *
   * @example
   * ```ts
   * import { topology } from "@numakit/numakit";
   *
   * const machine = topology();
   * console.log(`${machine.cpusOfNode(machine.nodes[0]!.id)}`);
   * ```
   */
  cpusOfNode(node: number): CpuSet {
    return this.#node(node, `list the CPUs of node ${show(node)}`).cpus;
  }

  /**
   * All nodes, from the nearest to the farthest as CPUs of one node see them.
   *
   * The firmware's distances decide, then the id. Nodes without a distance come last, those of the same package first.
   *
   * @param node A node's id.
   * @returns The ids of all nodes, `node` itself first.
   * @throws {NumaError} `ENODEV` when there is no such node; `EINVAL` when it is not a node number.
   *
   * @example
   * ```ts
   * import { topology } from "@numakit/numakit";
   *
   * const machine = topology();
   * console.log(machine.nearestNodes(machine.nodes[0]!.id));
   * ```
   */
  nearestNodes(node: number): readonly number[] {
    const known = this.#nearest.get(node);
    if (known !== undefined) return known;
    const from = this.#node(node, `order the nodes around node ${show(node)}`);
    const home = this.#packageOfNode(from);
    const key = (other: TopologyPart<NodeInfo>): readonly number[] => {
      if (other === from) return [-1, 0, other.id];
      const distance = this.distance(node, other.id);
      if (distance !== undefined) return [distance, 0, other.id];
      const close = home !== undefined && this.#packageOfNode(other) === home;
      return [Infinity, close ? 0 : 1, other.id];
    };
    const keys = this.nodes.map(key).sort(byKey);
    const order = keys.map((parts) => parts[2]!);
    this.#nearest.set(node, Object.freeze(order));
    return order;
  }

  /**
   * How far a node's memory is from another node's CPUs: 10 is local, 20 twice as far (ACPI SLIT).
   *
   * @param from The node with the CPUs.
   * @param to The node with the memory.
   * @returns The distance, or `undefined` when firmware gives none: none is made up, not even for a node and itself.
   * @throws {NumaError} `ENODEV` when there is no such node; `EINVAL` when one is not a node number.
   *
   * @example
   * ```ts
   * import { topology } from "@numakit/numakit";
   *
   * const machine = topology();
   * const { id } = machine.nodes[0]!;
   * console.log(machine.distance(id, id) ?? "not known");
   * ```
   */
  distance(from: number, to: number): number | undefined {
    const action = `tell the distance from node ${show(from)} to node ${show(to)}`;
    this.#node(from, action);
    this.#node(to, action);
    const { distances } = this.snapshot;
    if (distances === null) return undefined;
    return distances.matrix[distances.nodes.indexOf(from)]?.[distances.nodes.indexOf(to)];
  }

  /**
   * The package a CPU is part of, in constant time.
   *
   * @param cpu A CPU.
   * @returns The package's id; `undefined` when the machine describes none.
   * @throws {NumaError} `ENODEV` when there is no such CPU; `EINVAL` when it is not a CPU number.
   */
  packageOfCpu(cpu: number): number | undefined {
    return this.#look(this.#packageOf, cpu, "package");
  }

  /**
   * The domain of a CPU, in constant time: the CPUs with which it exchanges cache lines cheaply. That is those under its
   * L3 cache or, where the machine describes no L3 for it, those of its node that have none.
   *
   * @param cpu A CPU.
   * @returns An index in {@linkcode Topology.domains}.
   * @throws {NumaError} `ENODEV` when there is no such CPU; `EINVAL` when it is not a CPU number.
   *
   * @example
   * ```ts
   * import { topology } from "@numakit/numakit";
   *
   * const machine = topology();
   * const cpu = machine.allowedCpus.first!;
   * console.log(`${machine.domains[machine.domainOfCpu(cpu)]}`);
   * ```
   */
  domainOfCpu(cpu: number): number {
    return this.#look(this.#domainOf, cpu, "domain") as number;
  }

  /**
   * The core of a CPU, in constant time.
   *
   * @param cpu A CPU.
   * @returns An index in {@linkcode Topology.cores}; `undefined` when the machine describes no core for it.
   * @throws {NumaError} `ENODEV` when there is no such CPU; `EINVAL` when it is not a CPU number.
   */
  coreOfCpu(cpu: number): number | undefined {
    return this.#look(this.#coreOf, cpu, "core");
  }

  /**
   * The CPUs that share a core with a CPU.
   *
   * @param cpu A CPU.
   * @returns The CPUs of its core, itself among them.
   * @throws {NumaError} `ENODEV` when there is no such CPU; `EINVAL` when it is not a CPU number.
   *
   * @example
   * ```ts
   * import { topology } from "@numakit/numakit";
   *
   * const machine = topology();
   * console.log(`${machine.smtSiblings(machine.cpus.first!)}`); // for example 0,64
   * ```
   */
  smtSiblings(cpu: number): CpuSet {
    const core = this.coreOfCpu(cpu);
    return core === undefined ? CpuSet.of(cpu) : this.cores[core]!.cpus;
  }

  /**
   * Whether another topology describes the same machine with the same limits, apart from how much memory was free.
   *
   * @param other Another topology.
   * @returns `false` for what is not a topology.
   */
  equals(other: Topology): boolean {
    return isTopology(other) && lasting(this.snapshot) === lasting(other.snapshot);
  }

  /**
   * The machine in a few lines of plain text, for people. The wording may change.
   *
   * @returns Lines separated by line feeds, without one at the end.
   *
   * @example
   * ```ts
   * import { topology } from "@numakit/numakit";
   *
   * console.log(topology().summary());
   * ```
   */
  summary(): string {
    return summarize(this);
  }

  /**
   * The topology as JSON.
   *
   * @returns The snapshot, which {@linkcode Topology.from} reads.
   */
  toJSON(): TopologySnapshot {
    return this.snapshot;
  }

  #look(values: Int32Array, cpu: number, name: string): number | undefined {
    const value = values[cpu];
    if (value !== undefined && value !== NONE) return value;
    this.#checkCpu(cpu, `tell the ${name} of CPU ${show(cpu)}`);
    return undefined;
  }

  #checkCpu(cpu: number, action: string): void {
    checkInteger(cpu, "the CPU", 0, MAX_ID, action);
    if (this.cpus.has(cpu)) return;
    throw new NumaError("ENODEV", action, {
      why: `this machine has CPUs ${this.cpus}`,
      fix: "Choose one of them.",
    });
  }

  #node(id: number, action: string): TopologyPart<NodeInfo> {
    const node = this.#nodeById.get(checkInteger(id, "the node", 0, MAX_ID, action));
    if (node !== undefined) return node;
    throw new NumaError("ENODEV", action, {
      why: `this machine has nodes ${CpuSet.from(this.#nodeById.keys())}`,
      fix: "Choose one of them.",
      node: id,
    });
  }

  #packageOfNode(node: TopologyPart<NodeInfo>): number | undefined {
    return node.cpus.first === undefined ? undefined : this.packageOfCpu(node.cpus.first);
  }
}

function withCpus<T extends { readonly cpus: string }>(
  items: readonly T[],
): readonly TopologyPart<T>[] {
  return Object.freeze(items.map((item) => {
    return Object.freeze({ ...item, cpus: CpuSet.parse(item.cpus) });
  }));
}

function isL3(cache: CacheInfo): boolean {
  return cache.level === 3 && cache.type !== "instruction";
}

function byKey(a: readonly number[], b: readonly number[]): number {
  const index = a.findIndex((part, i) => part !== b[i]);
  return index === -1 ? 0 : a[index]! < b[index]! ? -1 : 1;
}

function rank(memory: MemoryKind): number {
  return memory === "dram" ? 0 : memory === "unknown" ? 1 : 2;
}

/** For each CPU the value of the first set that has it. */
function table(length: number, entries: readonly (readonly [CpuSet, number])[]): Int32Array {
  const values = new Int32Array(length).fill(NONE);
  for (const [cpus, value] of entries) {
    for (const cpu of cpus) {
      if (values[cpu] === NONE) values[cpu] = value;
    }
  }
  return values;
}

function domainsOf(
  cpus: CpuSet,
  caches: readonly TopologyPart<CacheInfo>[],
  nodeOf: Int32Array,
): readonly CpuSet[] {
  const domains = caches.map((cache) => cache.cpus).filter((set) => set.size > 0);
  const covered = new Uint8Array(nodeOf.length);
  for (const domain of domains) {
    for (const cpu of domain) covered[cpu] = 1;
  }
  const rest = new Map<number, number[]>();
  for (const cpu of cpus) {
    if (covered[cpu] === 1) continue;
    const node = nodeOf[cpu]!;
    const list = rest.get(node) ?? [];
    rest.set(node, list);
    list.push(cpu);
  }
  for (const list of rest.values()) domains.push(CpuSet.from(list));
  return Object.freeze(domains.sort((a, b) => a.first! - b.first!));
}

/**
 * Whether something is a topology, and does not only have the prototype of one.
 *
 * @param value Anything.
 * @returns Whether it is.
 */
export function isTopology(value: unknown): value is Topology {
  return topologies.has(value as object);
}

function lasting(snapshot: TopologySnapshot): string {
  return JSON.stringify(snapshot, (key, value) => {
    return ["freeBytes", "availableBytes", "free"].includes(key) ? undefined : value;
  });
}
