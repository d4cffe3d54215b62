import { NumaError } from "../../base/error.ts";
import { CpuSet } from "../../topology/cpu_set.ts";
import type { Topology } from "../../topology/topology.ts";
import type { PlaceKind } from "./policy.ts";

/** What each kind of place is called, one and several. */
const NAMES: Readonly<Record<PlaceKind, readonly [string, string]>> = {
  package: ["package", "packages"],
  node: ["node", "nodes"],
  l3: ["L3 domain", "L3 domains"],
  core: ["core", "cores"],
};

/** Every CPU of each place of a kind, by its id. */
function placesOfKind(topology: Topology, kind: PlaceKind): ReadonlyMap<number, CpuSet> {
  switch (kind) {
    case "package":
      return new Map(topology.packages.map(({ id, cpus }) => [id, cpus]));
    case "node":
      return new Map(topology.nodes.map(({ id, cpus }) => [id, cpus]));
    case "l3":
      return new Map(topology.domains.entries());
    case "core":
      return new Map(topology.cores.map(({ cpus }, index) => [index, cpus]));
  }
}

/**
 * The CPUs of several places, whatever the process may use.
 *
 * @param topology The machine.
 * @param kind What the ids are of.
 * @param ids The ids; a place that does not exist has no CPUs.
 * @returns The CPUs.
 */
export function allCpusOf(topology: Topology, kind: PlaceKind, ids: CpuSet): CpuSet {
  const places = placesOfKind(topology, kind);
  return [...ids].reduce((all, id) => all.union(places.get(id) ?? CpuSet.empty), CpuSet.empty);
}

/**
 * The CPUs of several places that the process may use.
 *
 * @param topology The machine.
 * @param kind What the ids are of.
 * @param ids The ids.
 * @param cores How many cores of each place, the first ones; undefined for all of them.
 * @param action What was asked, as it follows "Cannot".
 * @returns The CPUs; of each place at least one.
 * @throws {NumaError} `ENODEV` there is no such place, or it has no CPUs or not so many cores; `EACCES` the process may
 * use none of its CPUs.
 */
export function cpusOfPlaces(
  topology: Topology,
  kind: PlaceKind,
  ids: CpuSet,
  cores: number | undefined,
  action: string,
): CpuSet {
  const places = placesOfKind(topology, kind);
  const [one, several] = NAMES[kind];
  let all = CpuSet.empty;
  for (const id of ids) {
    const place = places.get(id);
    if (place === undefined) {
      throw new NumaError("ENODEV", action, {
        why: `there is no ${one} ${id}: this machine has ` +
          (places.size === 0 ? `no ${several} described` : `${several} ${listOf(places.keys())}`),
        fix: places.size === 0 ? "Name CPUs or nodes." : "Choose one of them.",
      });
    }
    if (place.size === 0) {
      throw new NumaError("ENODEV", action, {
        why: `${one} ${id} has no CPUs`,
        fix: "Leave it out.",
      });
    }
    const allowed = place.intersection(topology.allowedCpus);
    if (allowed.size === 0) {
      throw new NumaError("EACCES", action, {
        why: `none of the CPUs ${place} of ${one} ${id} is among those this process may use, ` +
          `${topology.allowedCpus}`,
        fix: "Leave it out, or widen the cpuset (cpuset.cpus) and the affinity (taskset).",
      });
    }
    all = all.union(
      cores === undefined ? allowed : firstCores(topology, allowed, cores, () => {
        return `${one} ${id}`;
      }, action),
    );
  }
  return all;
}

/** Package ids may be larger than those of sets. */
function listOf(ids: Iterable<number>): string {
  const all = [...ids];
  return all.some((id) => id > 65_535) ? all.join(",") : CpuSet.from(all).text;
}

function firstCores(
  topology: Topology,
  cpus: CpuSet,
  count: number,
  name: () => string,
  action: string,
): CpuSet {
  const seen = new Set<number>();
  const taken: number[] = [];
  for (const cpu of cpus) {
    const core = topology.coreOfCpu(cpu) ?? -1 - cpu;
    if (seen.has(core) || seen.size < count) taken.push(cpu);
    if (seen.size < count) seen.add(core);
  }
  if (seen.size === count) return CpuSet.from(taken);
  throw new NumaError("ENODEV", action, {
    why: `${name()} has ${seen.size} cores that this process may use`,
    fix: "Ask for fewer cores, or name several places.",
  });
}
