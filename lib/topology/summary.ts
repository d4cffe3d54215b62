import type { HugepagePool, MemoryKind } from "./snapshot.ts";
import { standInText } from "./stand_in.ts";
import type { Topology } from "./topology.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const KINDS: Record<MemoryKind, string> = {
  dram: "DRAM",
  hbm: "HBM",
  cxl: "CXL memory",
  nvm: "NVM",
  special: "special memory",
  unknown: "memory",
};

/**
 * Describes a machine in a few lines of plain text, for people. The wording may change.
 *
 * @param topology The machine.
 * @returns Lines separated by line feeds, without one at the end.
 */
export function summarize(topology: Topology): string {
  const { snapshot } = topology;
  const counts = [
    count(topology.nodes.length, "NUMA node"),
    count(topology.packages.length, "package"),
    count(topology.cores.length, "core"),
    count(topology.cpus.size, "CPU"),
  ];
  const standIn = standInText(topology);
  const lines = [
    ...(standIn === undefined ? [] : [standIn]),
    `${counts.join(", ")} (${snapshot.source}, hwloc ${snapshot.hwloc})`,
    ...models(topology),
    ...topology.nodes.map(nodeLine),
    domainLine(topology),
    ...distanceLines(topology),
    allowedLine(topology),
  ];
  return lines.join("\n");
}

function count(number: number, name: string): string {
  return `${number} ${name}${number === 1 ? "" : "s"}`;
}

function bytes(value: number): string {
  let scaled = value;
  let unit = 0;
  while (scaled >= 1024 && unit < UNITS.length - 1) {
    scaled /= 1024;
    unit++;
  }
  return `${Number(scaled.toFixed(1))} ${UNITS[unit]}`;
}

function models(topology: Topology): string[] {
  const names = new Set(topology.packages.map((item) => item.model));
  names.delete(undefined);
  return [...names].map((name) => `model: ${name}`);
}

function nodeLine(node: Topology["nodes"][number]): string {
  const cpus = node.cpus.size === 0 ? "no CPUs" : `CPUs ${node.cpus} (${node.cpus.size})`;
  const free = node.freeBytes === undefined ? "" : ` (${bytes(node.freeBytes)} free)`;
  const memory = node.totalBytes === 0
    ? "no memory"
    : `${bytes(node.totalBytes)} ${KINDS[node.memory]}${free}`;
  const pools = node.hugepages.filter((pool) => pool.total > 0).map(poolText);
  return `node ${node.id}: ${[cpus, memory, ...pools].join(", ")}`;
}

function poolText(pool: HugepagePool): string {
  return `${bytes(pool.pageBytes)} pages ${pool.free} of ${pool.total} free`;
}

/** Like caches are counted together: large machines have hundreds. */
function domainLine(topology: Topology): string {
  if (topology.l3Domains.length === 0) return "L3: none described, a node counts as one domain";
  const alike = new Map<string, number>();
  for (const cache of topology.l3Domains) {
    const what = `${cache.bytes === undefined ? "unknown size" : bytes(cache.bytes)} for ${
      count(cache.cpus.size, "CPU")
    }`;
    alike.set(what, (alike.get(what) ?? 0) + 1);
  }
  const groups = [...alike].map(([what, number]) =>
    number === 1 ? what : `${number} of ${what} each`
  );
  return `L3: ${groups.join(", ")}`;
}

function distanceLines(topology: Topology): string[] {
  const { distances } = topology.snapshot;
  if (distances === null) return topology.isNuma ? ["distances: not known"] : [];
  if (distances.nodes.length < 2) return [];
  const rows = [
    ["", ...distances.nodes],
    ...distances.matrix.map((row, index) => {
      return [distances.nodes[index]!, ...row];
    }),
  ].map((row) => row.map(String));
  const width = Math.max(...rows.flat().map((cell) => cell.length)) + 1;
  return ["distances:", ...rows.map((row) => row.map((cell) => cell.padStart(width)).join(""))];
}

function allowedLine(topology: Topology): string {
  const { quota } = topology.snapshot.allowed;
  const limit = quota === null
    ? ""
    : `, quota ${Number((quota.quotaUs / quota.periodUs).toFixed(2))} CPUs`;
  const cpus = topology.allowedCpus.equals(topology.cpus)
    ? "all CPUs"
    : `CPUs ${topology.allowedCpus}`;
  return `allowed: ${cpus}, nodes ${topology.allowedNodes}${limit}; ` +
    `effective CPUs: ${topology.effectiveCpus}`;
}
