import { checkInteger, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { memoryNodes } from "../memory/arena/memory_nodes.ts";
import { CpuSet } from "../topology/cpu_set.ts";
import { isTopology, type Topology } from "../topology/topology.ts";
import { Policy } from "./policy.ts";

// Where threads go is decided here and nowhere else, by a pure function of the machine, the policy and a number. A
// machine's CPUs form a tree: nodes, L3 domains in them, cores in those, CPUs (SMT siblings) in those. Compact reads
// its leaves from left to right; scatter takes turns between the branches, at each level.

const MAX_COUNT = 65_535;
// Sorts after every id.
const NONE = 2 ** 32;

/** The place of one thread. */
export interface ThreadPlacement {
  /** The CPUs it may run on; never empty. */
  readonly cpus: CpuSet;
  /** The node whose memory it should prefer; `undefined` leaves that to the kernel. */
  readonly node: number | undefined;
}

/**
 * Decides where threads go. A pure function: the same arguments give the same placements, and where thread `i` goes
 * does not depend on how many follow it, so a plan can be extended later.
 *
 * Only CPUs that the process may use are given out. A CPU that several nodes share counts as part of the node that
 * {@linkcode Topology.nodeOfCpu} names. The memory a thread prefers is that of its CPUs' node; it is `undefined` when
 * they are on several nodes, or when that node has no memory or none that the process may use. Compact and scatter
 * take the CPUs of a core, the cores of a domain and so on by their least CPU; packages, and scatter's nodes, by id.
 *
 * Time is linear in `count`, plus once for each topology `n log n` in its allowed CPUs.
 *
 * @param topology The machine.
 * @param policy The policy.
 * @param count The number of threads: 0 to 65535.
 * @returns A placement for each thread.
 * @throws {NumaError} `ENODEV` when the policy names a node or CPUs that do not exist, or a node that has no CPUs;
 * `EACCES` when the process may not use them; `EINVAL` when `count` is out of range.
 *
 * @example
 * ```ts
 * import { plan, Policy, topology } from "@numakit/numakit";
 *
 * const machine = topology();
 * const placements = plan(machine, Policy.compact(), machine.effectiveCpus);
 * console.log(placements.map(({ cpus }) => `${cpus}`));
 * ```
 */
export function plan(topology: Topology, policy: Policy, count: number): ThreadPlacement[] {
  const known = Policy.from(policy);
  const action = `place threads by ${known}`;
  checkInteger(count, "the number of threads", 0, MAX_COUNT, action);
  if (!isTopology(topology)) {
    throw new NumaError("EINVAL", action, {
      why: `the topology is ${show(topology)}`,
      fix: "Give a Topology.",
    });
  }
  const places = placesOf(topology, known, action);
  return Array.from({ length: count }, (_, index) => places[index % places.length]!);
}

function placesOf(topology: Topology, policy: Policy, action: string): readonly ThreadPlacement[] {
  const allowed = topology.allowedCpus;
  if (allowed.size === 0) {
    throw new NumaError("EACCES", action, {
      why: "the affinity and the cpuset of this process have no CPU in common",
      fix: "Look at the topology's snapshot.allowed.",
    });
  }
  switch (policy.kind) {
    case "bindNode":
      return [placeOnNode(topology, policy.node!, action)];
    case "bindCpus":
      return [placeOnCpus(topology, policy.cpus!, action)];
    case "compact":
      return ordersOf(topology).compact;
    case "scatter":
      return ordersOf(topology).scatter;
    case "unbound":
      return [Object.freeze({ cpus: allowed, node: undefined })];
  }
}

function placeOnNode(topology: Topology, node: number, action: string): ThreadPlacement {
  const found = topology.nodes.find((candidate) => candidate.id === node);
  if (found === undefined) {
    throw new NumaError("ENODEV", action, {
      why: `this machine has nodes ${CpuSet.from(topology.nodes.map(({ id }) => id))}`,
      fix: "Choose one of them.",
      node,
    });
  }
  if (found.cpus.size === 0) {
    const near = topology.nearestNodes(node).find((id) => topology.cpusOfNode(id).size > 0);
    throw new NumaError("ENODEV", action, {
      why: `node ${node} has no CPUs; it can hold memory (Arena), not threads`,
      fix: near === undefined ? undefined : `The nearest node with CPUs is ${near}.`,
      node,
    });
  }
  const cpus = found.cpus.intersection(topology.allowedCpus);
  if (cpus.size === 0) {
    throw new NumaError("EACCES", action, {
      why: `none of its CPUs ${found.cpus} is among those this process may use, ` +
        `${topology.allowedCpus}`,
      fix: "Choose another node, or widen the cpuset (cpuset.cpus) and the affinity (taskset).",
      node,
    });
  }
  return Object.freeze({ cpus, node: memoryOf(topology, node) });
}

function placeOnCpus(topology: Topology, cpus: CpuSet, action: string): ThreadPlacement {
  const missing = cpus.difference(topology.cpus);
  if (missing.size > 0) {
    throw new NumaError("ENODEV", action, {
      why: `there are no CPUs ${missing}: this machine has ${topology.cpus}`,
      fix: "Leave them out.",
    });
  }
  const denied = cpus.difference(topology.allowedCpus);
  if (denied.size > 0) {
    throw new NumaError("EACCES", action, {
      why: `CPUs ${denied} are not among those this process may use, ${topology.allowedCpus}`,
      fix: "Leave them out, or widen the cpuset (cpuset.cpus) and the affinity (taskset).",
    });
  }
  const [node, ...others] = new Set(Array.from(cpus, homes(topology)));
  return Object.freeze({ cpus, node: others.length > 0 ? undefined : memoryOf(topology, node!) });
}

/** Tells the node a CPU counts as part of, or `NONE`. */
function homes(topology: Topology): (cpu: number) => number {
  const described = topology.nodes.reduce((set, node) => set.union(node.cpus), CpuSet.empty);
  return (cpu) => described.has(cpu) ? topology.nodeOfCpu(cpu) : NONE;
}

/** The kernel refuses to prefer a node that has no memory or that the cpuset leaves out. */
function memoryOf(topology: Topology, node: number): number | undefined {
  return memoryNodes(topology).includes(node) ? node : undefined;
}

interface Orders {
  readonly compact: readonly ThreadPlacement[];
  readonly scatter: readonly ThreadPlacement[];
}

/** The allowed CPUs of a node: domains, in them cores, in those CPUs. */
interface Branch {
  readonly node: number;
  readonly package: number;
  readonly domains: readonly (readonly (readonly number[])[])[];
}

const ordersByTopology = /* @__PURE__ */ new WeakMap<Topology, Orders>();

function ordersOf(topology: Topology): Orders {
  const known = ordersByTopology.get(topology);
  if (known !== undefined) return known;
  const homeOf = homes(topology);
  const branches = branchesOf(topology, homeOf);
  const packed = branches.toSorted((a, b) => a.package - b.package).map(({ domains }) => domains);
  const spread = branches.map(({ domains }) => takeTurns(domains.map(takeTurns)));
  const memory = new Map(branches.map(({ node }) => [node, memoryOf(topology, node)]));
  const place = (cpu: number): ThreadPlacement =>
    Object.freeze({ cpus: CpuSet.of(cpu), node: memory.get(homeOf(cpu)) });
  const orders = {
    compact: packed.flat(3).map(place),
    scatter: takeTurns(spread).map(place),
  };
  ordersByTopology.set(topology, orders);
  return orders;
}

type Tree<T> = Map<number, T>;

/** The branches by node id. Maps keep the order of insertion, so what is in them is by least CPU. */
function branchesOf(topology: Topology, homeOf: (cpu: number) => number): Branch[] {
  const tree: Tree<Tree<Tree<number[]>>> = new Map();
  for (const cpu of topology.allowedCpus) {
    const domains = grow(tree, homeOf(cpu), () => new Map());
    const cores = grow(domains, topology.domainOfCpu(cpu), () => new Map());
    // A CPU without a described core is a core of its own; indexes of cores are not negative.
    grow<number[]>(cores, topology.coreOfCpu(cpu) ?? -1 - cpu, () => []).push(cpu);
  }
  // Within a node, too, packages stay together: with NUMA switched off in firmware it spans several.
  const packageOf = (cpu: number): number => topology.packageOfCpu(cpu) ?? NONE;
  const branches = Array.from(tree, ([node, parts]): Branch => {
    const domains = Array.from(parts.values(), (domain) => {
      return [...domain.values()].sort((a, b) => packageOf(a[0]!) - packageOf(b[0]!));
    });
    domains.sort((a, b) => packageOf(a[0]![0]!) - packageOf(b[0]![0]!));
    return { node, package: packageOf(domains[0]![0]![0]!), domains };
  });
  return branches.sort((a, b) => a.node - b.node);
}

function grow<T>(tree: Tree<T>, key: number, make: () => T): T {
  const branch = tree.get(key) ?? make();
  tree.set(key, branch);
  return branch;
}

/** One element of each list, then the next of each; lists that end are passed over. */
function takeTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const taken: T[] = [];
  let left = lists;
  for (let turn = 0; left.length > 0; turn++) {
    left = left.filter((list) => turn < list.length);
    for (const list of left) taken.push(list[turn]!);
  }
  return taken;
}
