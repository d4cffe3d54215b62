import { checkInteger, show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { memoryNodes } from "../../memory/arena/memory_nodes.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import { deviceNode } from "../../topology/devices.ts";
import { isTopology, type Topology } from "../../topology/topology.ts";
import { ordersOf } from "./orders.ts";
import { cpusOfPlaces } from "./places.ts";
import { Policy } from "./policy.ts";

// Where threads go is decided here and nowhere else, by a pure function of the machine, the policy and a number. In which
// order CPUs are given out is in orders.ts.

const MAX_COUNT = 65_535;

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
 * they are on several nodes, or when that node has no memory or none that the process may use. Compact, perCore and
 * scatter take the CPUs of a core, the cores of a domain and so on by their least CPU; packages, and scatter's nodes, by
 * id. {@linkcode explain} says the same in words.
 *
 * Time is linear in `count`, plus once for each topology `n log n` in its allowed CPUs.
 *
 * @param topology The machine.
 * @param policy The policy, or the text of one.
 * @param count The number of threads: 0 to 65535.
 * @returns A placement for each thread.
 * @throws {NumaError} `ENODEV` when the policy names a node, a place, a device or CPUs that do not exist, a node that
 * has no CPUs, or more exclusive cores than there are; `EAGAIN` when there are exclusive cores for fewer threads;
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
export function plan(
  topology: Topology,
  policy: Policy | string,
  count: number,
): ThreadPlacement[] {
  const known = Policy.from(policy);
  const action = `place threads by ${show(`${known}`)}`;
  checkInteger(count, "the number of threads", 0, MAX_COUNT, action);
  if (!isTopology(topology)) {
    throw new NumaError("EINVAL", action, {
      why: `the topology is ${show(topology)}`,
      fix: "Give a Topology.",
    });
  }
  const places = placesOf(topology, known, action);
  if (known.kind === "exclusive") checkRoom(topology, known, count, places.length, action);
  return Array.from({ length: count }, (_, index) => places[index % places.length]!);
}

/**
 * How many places a policy has on a machine before it starts again.
 *
 * @param topology The machine.
 * @param policy The policy.
 * @param action What was asked, as it follows "Cannot".
 * @returns The number of places.
 * @throws {NumaError} As {@linkcode plan}.
 */
export function countPlaces(topology: Topology, policy: Policy, action: string): number {
  return placesOf(topology, policy, action).length;
}

/** The places of the first threads; those that follow get them again. */
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
    case "near":
      return [placeOnNode(topology, deviceNode(topology, policy.device!, action), action)];
    case "bindCpus":
      return [placeOnCpus(topology, policy.cpus!, action)];
    case "bindPlaces": {
      const { place, ids, cores } = policy;
      return placesOn(topology, [cpusOfPlaces(topology, place!, ids!, cores, action)]);
    }
    case "compact":
    case "scatter":
    case "perCore":
      return placesAlone(topology, policy.kind);
    case "perPackage":
      return placesOn(topology, ordersOf(topology).packages);
    case "perNode":
      return placesOn(topology, ordersOf(topology).nodes);
    case "perDomain":
      return placesOn(topology, ordersOf(topology).domains);
    case "exclusive":
      return placesOn(topology, ordersOf(topology).exclusive(policy.cores!));
    case "unbound":
      return [Object.freeze({ cpus: allowed, node: undefined })];
  }
}

/** Places that are made once for each machine, as there are many of them. */
const alone = /* @__PURE__ */ new WeakMap<Topology, Map<string, readonly ThreadPlacement[]>>();

function placesAlone(
  topology: Topology,
  order: "compact" | "scatter" | "perCore",
): readonly ThreadPlacement[] {
  const known = alone.get(topology) ?? new Map<string, readonly ThreadPlacement[]>();
  alone.set(topology, known);
  const places = known.get(order) ??
    placesOn(topology, ordersOf(topology)[order].map((cpu) => CpuSet.of(cpu)));
  known.set(order, places);
  return places;
}

/** Sets of allowed CPUs, with the memory of their nodes. */
function placesOn(topology: Topology, sets: readonly CpuSet[]): readonly ThreadPlacement[] {
  const { homeOf } = ordersOf(topology);
  const memory = new Set(memoryNodes(topology));
  return sets.map((cpus) => {
    const [node, ...others] = new Set(Array.from(cpus, homeOf));
    // The kernel refuses to prefer a node that has no memory or that the cpuset leaves out.
    const isNear = others.length === 0 && memory.has(node!);
    return Object.freeze({ cpus, node: isNear ? node : undefined });
  });
}

/** Exclusive cores are given out once. */
function checkRoom(
  topology: Topology,
  policy: Policy,
  count: number,
  room: number,
  action: string,
): void {
  if (count <= room) return;
  const cores = ordersOf(topology).exclusive(1).length;
  const all =
    new Set(Array.from(topology.allowedCpus, (cpu) => topology.smtSiblings(cpu).text)).size;
  const parts = all === cores ? "" : `; of ${all - cores} more it may use only a part of the CPUs`;
  const whole = `${cores} whole ${cores === 1 ? "core" : "cores"}`;
  throw new NumaError(room === 0 ? "ENODEV" : "EAGAIN", action, {
    why: room === 0
      ? `a thread takes ${policy.cores}, and this process may use ${whole}${parts}`
      : `there are cores for ${room} threads, not for ${count}: this process may use ` +
        `${whole}${parts}`,
    fix:
      "Start fewer threads, or give each fewer cores; Policy.perCore() lets threads share cores.",
  });
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
  const hasMemory = memoryNodes(topology).includes(node);
  return Object.freeze({ cpus, node: hasMemory ? node : undefined });
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
  return placesOn(topology, [cpus])[0]!;
}
