/**
 * The machine: NUMA nodes, packages, caches, cores and distances, and what this process may use of them.
 *
 * @example Nodes, and the CPUs of one node that this process may use
 * ```ts
 * import { topology } from "@numakit/numakit/topology";
 *
 * const machine = topology();
 * for (const { id, cpus, totalBytes } of machine.nodes) {
 *   console.log(`node ${id}: CPUs ${cpus}, ${totalBytes} bytes`);
 * }
 * console.log(machine.cpusOfNode(0).intersection(machine.allowedCpus).toString());
 * ```
 *
 * @example A machine that is not at hand
 * ```ts
 * import { syntheticTopology } from "@numakit/numakit/topology";
 *
 * const machine = syntheticTopology("pack:2 numa:2 l3:2 core:4 pu:2");
 * console.log(machine.nodes.length, machine.cpus.size); // 4 64
 * ```
 *
 * @module
 */
export { CpuSet } from "./cpu_set.ts";
export { currentCpu, currentNode } from "./current.ts";
export { nodeOf } from "./devices.ts";
export { syntheticTopology, topology, xmlTopology } from "./load.ts";
export type { MachineAspect } from "./look.ts";
export { parseSnapshot } from "./parse_snapshot.ts";
export type * from "./snapshot.ts";
export { Topology, type TopologyPart } from "./topology.ts";
export type { Handle, Shareable } from "../base/handle.ts";
export { NumaError, type NumaErrorCode, type NumaErrorDetails } from "../base/error.ts";
