/**
 * The orders in which a machine's CPUs are given out.
 *
 * The allowed CPUs form a tree: nodes, L3 domains in them, cores in those, CPUs (SMT siblings) in those.
 *
 *     compact     reads the leaves from left to right
 *     rounds      in round r each core gives its r-th CPU, if it has one: no sibling comes before every core has given
 *     perCore     the rounds, each from left to right
 *     scatter     the rounds, each in turns between the nodes, and between the domains of a node
 *     exclusive   the cores in groups, in turns in the same way
 *
 * Taking turns between domains alone is not enough: with domains of 4 and of 8 cores that have SMT, the small one has to
 * double its cores while the large one has idle ones. That is why rounds come first.
 *
 * @module
 */
import { CpuSet } from "../../topology/cpu_set.ts";
import type { Topology } from "../../topology/topology.ts";

// Sorts after every id.
const NONE = 2 ** 32;

/** The allowed CPUs of a node: domains, in them cores, in those CPUs. */
interface Branch {
  readonly node: number;
  readonly package: number;
  readonly domains: readonly (readonly (readonly number[])[])[];
}

/** A machine's CPUs as policies give them out. */
export interface Orders {
  /** The node that a CPU counts as part of, or a number above every id. */
  readonly homeOf: (cpu: number) => number;
  /** By least id: all allowed CPUs of each node. */
  readonly nodes: readonly CpuSet[];
  /** The allowed CPUs of each package; those of none come last. */
  readonly packages: readonly CpuSet[];
  /** The allowed CPUs of each L3 domain. */
  readonly domains: readonly CpuSet[];
  /** Every allowed CPU, in each of three orders. */
  readonly compact: readonly number[];
  readonly scatter: readonly number[];
  readonly perCore: readonly number[];
  /** Groups of as many whole cores. */
  exclusive(cores: number): readonly CpuSet[];
}

const ordersByTopology = /* @__PURE__ */ new WeakMap<Topology, Orders>();

/**
 * The orders of a machine; made once.
 *
 * @param topology The machine.
 * @returns Its orders.
 */
export function ordersOf(topology: Topology): Orders {
  const known = ordersByTopology.get(topology);
  if (known !== undefined) return known;
  const homeOf = homes(topology);
  const branches = branchesOf(topology, homeOf);
  const packed = branches.toSorted((a, b) => a.package - b.package);
  const allowed = topology.allowedCpus;
  const turns = (round: Round): number[] => takeTurns(round.map((domains) => takeTurns(domains)));
  const orders: Orders = {
    homeOf,
    nodes: branches.map(({ domains }) => CpuSet.from(domains.flat(2))),
    packages: groupsBy(allowed, (cpu) => topology.packageOfCpu(cpu) ?? NONE),
    domains: groupsBy(allowed, (cpu) => topology.domainOfCpu(cpu)),
    compact: packed.flatMap(({ domains }) => domains.flat(2)),
    scatter: roundsOf(branches).flatMap(turns),
    perCore: roundsOf(packed).flatMap((round) => round.flat(2)),
    exclusive: (cores) => exclusiveGroups(topology, branches, packed, cores),
  };
  ordersByTopology.set(topology, orders);
  return orders;
}

/** Tells the node a CPU counts as part of, or `NONE`. */
function homes(topology: Topology): (cpu: number) => number {
  const described = topology.nodes.reduce((set, node) => set.union(node.cpus), CpuSet.empty);
  return (cpu) => described.has(cpu) ? topology.nodeOfCpu(cpu) : NONE;
}

type Tree<T> = Map<number, T>;

function grow<T>(tree: Tree<T>, key: number, make: () => T): T {
  const branch = tree.get(key) ?? make();
  tree.set(key, branch);
  return branch;
}

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

function groupsBy(cpus: CpuSet, keyOf: (cpu: number) => number): CpuSet[] {
  const groups: Tree<number[]> = new Map();
  for (const cpu of cpus) grow<number[]>(groups, keyOf(cpu), () => []).push(cpu);
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => CpuSet.from(group));
}

/** What the cores give in one round: nodes, domains in them, CPUs in those. */
type Round = readonly (readonly (readonly number[])[])[];

function roundsOf(branches: readonly Branch[]): Round[] {
  const rounds: Tree<Tree<Tree<number[]>>> = new Map();
  branches.forEach(({ domains }, branch) => {
    domains.forEach((cores, domain) => {
      for (const core of cores) {
        core.forEach((cpu, index) => {
          const nodes = grow(rounds, index, () => new Map());
          const parts = grow(nodes, branch, () => new Map());
          grow<number[]>(parts, domain, () => []).push(cpu);
        });
      }
    });
  });
  return Array.from(rounds.values(), (nodes) => {
    return Array.from(nodes.values(), (parts) => [...parts.values()]);
  });
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

type Cores = readonly (readonly number[])[];

/** As many whole groups as there are, and what is left. */
function cut(cores: Cores, size: number): { groups: Cores[]; rest: Cores } {
  const groups = Array.from({ length: Math.floor(cores.length / size) }, (_, index) => {
    return cores.slice(index * size, (index + 1) * size);
  });
  return { groups, rest: cores.slice(groups.length * size) };
}

function exclusiveGroups(
  topology: Topology,
  branches: readonly Branch[],
  packed: readonly Branch[],
  size: number,
): CpuSet[] {
  const isWhole = (core: readonly number[]): boolean =>
    topology.smtSiblings(core[0]!).size === core.length;
  const parts = new Map(branches.map((branch) => {
    const domains = branch.domains.map((cores) => cut(cores.filter(isWhole), size));
    const shared = cut(domains.flatMap(({ rest }) => rest), size);
    return [branch, { domains, shared }];
  }));
  const each = [...parts.values()];
  const last = cut(packed.flatMap((branch) => parts.get(branch)!.shared.rest), size);
  const groups = [
    ...takeTurns(each.map(({ domains }) => takeTurns(domains.map(({ groups }) => groups)))),
    ...takeTurns(each.map(({ shared }) => shared.groups)),
    ...last.groups,
  ];
  return groups.map((cores) => CpuSet.from(cores.flat()));
}
