/**
 * Which nodes have memory for this process, and which of them is near.
 *
 * @module
 */
import { topology } from "../../topology/load.ts";
import type { Topology } from "../../topology/topology.ts";

/**
 * The nodes of a machine whose memory the process may use.
 *
 * @param machine The machine. Default: this one.
 * @returns Their ids, at least one.
 */
export function memoryNodes(machine: Topology = topology()): readonly number[] {
  const nodes = machine.nodes.filter(({ id, totalBytes }) =>
    totalBytes > 0 && machine.allowedNodes.has(id)
  );
  return nodes.map(({ id }) => id);
}

/**
 * Which of several nodes is nearest to a node's CPUs.
 *
 * @param machine The machine.
 * @param node The node with the CPUs.
 * @param usable The nodes to choose from.
 * @returns One of them: `node` itself where it is among them; undefined for a node that came after the machine was
 * described.
 */
export function nearestNode(
  machine: Topology,
  node: number,
  usable: readonly number[],
): number | undefined {
  if (!machine.nodes.some(({ id }) => id === node)) return undefined;
  return machine.nearestNodes(node).find((other) => usable.includes(other));
}
