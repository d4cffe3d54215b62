/**
 * What the machine looks like: nodes, packages, caches, cores, distances, and what this process may use of it.
 *
 * @module
 */
export { CpuSet } from "./cpu_set.ts";
export { currentCpu, currentNode } from "./current.ts";
export { syntheticTopology, topology, xmlTopology } from "./load.ts";
export { parseSnapshot } from "./parse_snapshot.ts";
export type * from "./snapshot.ts";
export { Topology, type WithCpus } from "./topology.ts";
