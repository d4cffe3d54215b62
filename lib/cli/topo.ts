import Table from "cli-table3";
import colors from "picocolors";
import { formatBytes } from "../base/bytes.ts";
import { standInText } from "../topology/stand_in.ts";
import type { Topology } from "../topology/topology.ts";

/** A table without vertical lines: what a terminal, a log and a screen reader can all show. */
function makeTable(head: string[]): Table.Table {
  const none = { mid: "", "left-mid": "", "right-mid": "", "mid-mid": "" };
  const edges = { top: "", "top-mid": "", "top-left": "", "top-right": "" };
  const ends = { bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" };
  const sides = { left: "", right: "", middle: "  " };
  return new Table({
    head: head.map((title) => colors.dim(title)),
    chars: { ...none, ...edges, ...ends, ...sides },
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
    colAligns: head.map((_, column) => column === 0 ? "left" : "right"),
  });
}

/** A title and a table under it, indented. */
export function section(title: string, head: string[], rows: readonly string[][]): string {
  const table = makeTable(head);
  table.push(...rows);
  const body = table.toString().split("\n").map((line) => `  ${line.trimEnd()}`).join("\n");
  return `${colors.bold(title)}\n${body}\n`;
}

function nodeRows(topology: Topology): string[][] {
  return topology.nodes.map((node) => [
    String(node.id),
    node.cpus.toString() || "none",
    node.totalBytes === 0 ? "none" : formatBytes(node.totalBytes),
    node.freeBytes === undefined ? "" : formatBytes(node.freeBytes),
    node.availableBytes === undefined ? "" : formatBytes(node.availableBytes),
    node.memory,
    node.hugepages.map((pool) => `${formatBytes(pool.pageBytes)}: ${pool.free} of ${pool.total}`)
      .join(", "),
  ]);
}

function distanceSection(topology: Topology): string {
  const ids = topology.nodes.map(({ id }) => id);
  if (topology.snapshot.distances === null) return "";
  const rows = ids.map((from) => [
    `node ${from}`,
    ...ids.map((to) => String(topology.distance(from, to) ?? "?")),
  ]);
  return section("Distances (10 is local)", ["", ...ids.map((id) => `node ${id}`)], rows);
}

function domainSection(topology: Topology): string {
  const rows = topology.l3Domains.map((cache, index) => [
    String(index),
    cache.cpus.toString(),
    cache.bytes === undefined ? "" : formatBytes(cache.bytes),
  ]);
  return rows.length === 0 ? "" : section("L3 domains", ["domain", "CPUs", "size"], rows);
}

/** Machines with virtual functions have hundreds: those without a name are left out when there are many. */
const MANY_DEVICES = 32;

function deviceSection({ devices }: Topology): string {
  const shown = devices.length <= MANY_DEVICES
    ? devices
    : devices.filter(({ name, address }) => name !== address);
  const rows = shown.map(({ name, aliases, class: kind, address, node, cpus }) => [
    [name, ...aliases].join(", "),
    kind,
    address,
    node === undefined ? "unknown" : String(node),
    cpus.toString(),
  ]);
  return rows.length === 0
    ? ""
    : section("Devices", ["name", "class", "address", "node", "near CPUs"], rows);
}

function allowedSection(topology: Topology): string {
  const { allowed } = topology.snapshot;
  const quota = allowed.quota === null
    ? "none"
    : `${(allowed.quota.quotaUs / allowed.quota.periodUs).toFixed(2)} CPUs`;
  return section("This process may use", ["CPUs", "memory nodes", "CPU quota", "effective CPUs"], [
    [topology.allowedCpus.toString(), allowed.nodes, quota, String(topology.effectiveCpus)],
  ]);
}

/**
 * Draws a machine as text.
 *
 * @param topology The machine.
 * @returns Several lines, ending with a newline.
 */
export function drawTopology(topology: Topology): string {
  const packages = topology.packages.map((socket) => [
    String(socket.id),
    socket.cpus.toString(),
    String(topology.cores.filter(({ cpus }) => cpus.isSubsetOf(socket.cpus)).length),
    socket.model ?? "",
  ]);
  const standIn = standInText(topology);
  return [
    standIn === undefined ? "" : `${standIn}\n`,
    section(
      "NUMA nodes",
      ["node", "CPUs", "memory", "free", "available", "kind", "hugepages free"],
      nodeRows(topology),
    ),
    section("Packages", ["package", "CPUs", "cores", "model"], packages),
    domainSection(topology),
    distanceSection(topology),
    deviceSection(topology),
    allowedSection(topology),
  ].filter((part) => part !== "").join("\n");
}
