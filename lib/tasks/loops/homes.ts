/**
 * Which workers compute what: groups of workers that share an L3 domain, and the parts of a loop that are near to them.
 * Pure functions.
 *
 * A part of a loop has a node, where its data is, or none. It goes to the groups on its node in proportion to their
 * workers. Without groups there it is a home of its own, which the nearest workers find first when they have nothing left.
 *
 * @module
 */
import type { ThreadPlacement } from "../../sched/policies/plan.ts";
import type { Topology } from "../../topology/topology.ts";

/** Where a worker is, as far as its CPUs agree about it. */
export interface Place {
  /** The node; undefined when its CPUs are on several. */
  readonly node: number | undefined;
  /** The L3 domain; undefined when its CPUs are in several. */
  readonly domain: number | undefined;
}

/** A part of a loop. */
export interface Part {
  /** Where its data is; undefined for anywhere. */
  readonly node: number | undefined;
  /** Its grains. */
  readonly grains: number;
}

/** Grains that a group of workers does first. */
export interface Home extends Place {
  /** The part. */
  readonly part: number;
  /** The first grain, in the part. */
  readonly from: number;
  /** How many. */
  readonly count: number;
  /** Whether there are workers whose home it is. */
  readonly hasWorkers: boolean;
}

interface Group extends Place {
  workers: number;
}

/**
 * Where workers are.
 *
 * @param machine The machine.
 * @param placements Their placements.
 * @returns A place for each that has a placement.
 */
export function placesOf(
  machine: Topology,
  placements: readonly (ThreadPlacement | undefined)[],
): (Place | undefined)[] {
  return placements.map((placement) => {
    if (placement === undefined) return undefined;
    const { cpus, node } = placement;
    // A machine may describe CPUs that are on no node, and CPUs may be gone.
    const there = [...cpus].filter((cpu) => machine.nodes.some((other) => other.cpus.has(cpu)));
    const nodes = new Set(there.map((cpu) => machine.nodeOfCpu(cpu)));
    const domains = new Set(there.map((cpu) => machine.domainOfCpu(cpu)));
    return {
      node: node ?? (nodes.size === 1 ? [...nodes][0] : undefined),
      domain: domains.size === 1 ? [...domains][0] : undefined,
    };
  });
}

/**
 * Divides parts between the groups of workers.
 *
 * @param places Where the workers are.
 * @param parts The parts.
 * @returns The homes, those without grains left out.
 */
export function homesOf(
  places: readonly (Place | undefined)[],
  parts: readonly Part[],
): Home[] {
  const groups: Group[] = [];
  for (const place of places) {
    if (place === undefined) continue;
    const { node, domain } = place;
    const known = groups.find((group) => group.node === node && group.domain === domain);
    if (known !== undefined) known.workers++;
    else groups.push({ node, domain, workers: 1 });
  }
  const rank = (value: number | undefined): number => value ?? Infinity;
  const compare = (a: number, b: number): number => a === b ? 0 : a < b ? -1 : 1;
  groups.sort((a, b) =>
    compare(rank(a.node), rank(b.node)) || compare(rank(a.domain), rank(b.domain))
  );
  const homes = parts.flatMap(({ node, grains }, part): Home[] => {
    const near = node === undefined ? groups : groups.filter((group) => group.node === node);
    if (near.length === 0) {
      return [{ part, node, domain: undefined, from: 0, count: grains, hasWorkers: false }];
    }
    const all = near.reduce((sum, { workers }) => sum + workers, 0);
    let before = 0;
    return near.map((group) => {
      const from = Math.floor(grains * before / all);
      before += group.workers;
      const count = Math.floor(grains * before / all) - from;
      return { part, node: group.node, domain: group.domain, from, count, hasWorkers: true };
    });
  });
  return homes.filter(({ count }) => count > 0);
}

/**
 * The order in which a worker goes through homes: its own, those in its L3 domain, those on its node, then others, the
 * nearest first. Workers of a group begin at different ones of those that are equally far.
 *
 * @param machine Tells how far nodes are from each other.
 * @param worker The worker's index.
 * @param place Where it is.
 * @param homes The homes.
 * @param strict Whether to leave out homes that have workers of their own on another node.
 * @returns Indices of homes.
 */
export function orderOf(
  machine: Pick<Topology, "nearestNodes" | "nodes">,
  worker: number,
  place: Place,
  homes: readonly Home[],
  strict: boolean,
): number[] {
  const { node, domain } = place;
  const isKnown = machine.nodes.some(({ id }) => id === node);
  const nodes = isKnown ? machine.nearestNodes(node as number) : [];
  const far = (home: Home): number => {
    if (home.node === node && home.domain === domain) return 0;
    if (home.domain !== undefined && home.domain === domain) return 1;
    if (home.node === node) return 2;
    const at = home.node === undefined ? -1 : nodes.indexOf(home.node);
    return 3 + (at < 0 ? nodes.length : at);
  };
  const turn = (index: number): number =>
    (index - worker % homes.length + homes.length) % homes.length;
  return homes.map((home, index) => ({ home, index }))
    .filter(({ home }) => !strict || !home.hasWorkers || home.node === node)
    .sort((a, b) => far(a.home) - far(b.home) || turn(a.index) - turn(b.index))
    .map(({ index }) => index);
}
