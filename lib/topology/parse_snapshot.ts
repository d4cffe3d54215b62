import { NumaError } from "../base/error.ts";
import { CpuSet } from "./cpu_set.ts";
import { DEVICE_NAME, readSnapshot, type Reject } from "./read_snapshot.ts";
import type {
  AllowedResources,
  CoreInfo,
  DieInfo,
  MemoryKind,
  ProcessLimits,
  TopologySnapshot,
} from "./snapshot.ts";

const finished = /* @__PURE__ */ new WeakSet<object>();

/**
 * Makes a snapshot of a description from the C helper (`nk_topology_export`).
 *
 * @param json The helper's text.
 * @param process The limits of this process; `null` for a machine that is not this one, where all that the
 * description allows can be used.
 * @param action What was asked, where the caller has described the machine: then what contradicts itself in it is not
 * the helper's fault.
 * @returns The snapshot.
 * @throws {NumaError} `EABI` when the text is not such a description; `EINVAL` with an `action`.
 */
export function parseDescription(
  json: string,
  process: ProcessLimits | null,
  action?: string,
): TopologySnapshot {
  const reject: Reject = (why, cause) =>
    new NumaError("EABI", "read the machine's description", {
      why,
      fix: "The C helper and this source are not of the same version, or the machine is one that " +
        "numakit has not been tested on: please report it with the output of lstopo.",
      syscall: "nk_topology_export",
      cause,
    });
  let description: unknown;
  try {
    description = JSON.parse(json);
  } catch (cause) {
    throw reject("it is not JSON", cause);
  }
  if (action === undefined) return makeSnapshot(description, process, reject);
  return makeSnapshot(description, process, (why, cause) => {
    const fix = "numakit knows ids of CPUs and nodes up to 65535, and wants each once.";
    return new NumaError("EINVAL", action, { why, fix, cause });
  });
}

/**
 * Makes a snapshot of a description in the C helper's words.
 *
 * @param description The description.
 * @param process The limits of this process; `null` for a machine that is not this one.
 * @param reject Makes the error of one that contradicts itself.
 * @returns The snapshot.
 * @throws What `reject` made.
 */
export function makeSnapshot(
  description: unknown,
  process: ProcessLimits | null,
  // Not Reject: what the package declares would have to come with that file's declarations.
  reject: (why: string, cause?: unknown) => NumaError,
): TopologySnapshot {
  const loose = process === null ? description : withRunning(description, process);
  const machine = readSnapshot(translate(loose, process), reject);
  const packages = machine.packages.map(({ id, cpus }) => ({ id, cpus: CpuSet.parse(cpus) }));
  const withPackage = <T extends DieInfo | CoreInfo>(part: T): T => ({
    ...part,
    package: packages.find(({ cpus }) => cpus.has(firstOf(part)))?.id,
  });
  return finish({
    ...machine,
    dies: machine.dies.map(withPackage),
    cores: machine.cores.map(withPackage),
    allowed: { ...machine.allowed, effectiveCpus: effectiveCpus(machine.allowed) },
  });
}

/**
 * Checks a snapshot that comes from JSON or from another thread. Unknown keys are dropped.
 *
 * @param value What `JSON.parse` or a message gave.
 * @returns The snapshot, frozen; `value` itself when it was made here.
 * @throws {NumaError} `EINVAL` when it is not a snapshot or contradicts itself; the message names the place, as in
 * `nodes[1].cpus`.
 *
 * @example
 * ```ts
 * import { parseSnapshot, topology } from "@numakit/numakit";
 *
 * const text = JSON.stringify(topology());
 * console.log(parseSnapshot(JSON.parse(text)).nodes.length);
 * ```
 */
export function parseSnapshot(value: unknown): TopologySnapshot {
  if (typeof value === "object" && value !== null && finished.has(value)) {
    return value as TopologySnapshot;
  }
  const snapshot = readSnapshot(
    value,
    (why, cause) =>
      new NumaError("EINVAL", "read the topology snapshot", {
        why,
        fix: "docs/topology-schema.md describes what it has to be.",
        cause,
      }),
  );
  return finish(snapshot);
}

const bySet = (a: { cpus: string }, b: { cpus: string }): number => firstOf(a) - firstOf(b);

/** Kernel notation starts with the least id. */
function firstOf(item: { cpus: string }): number {
  return item.cpus === "" ? -1 : Number.parseInt(item.cpus, 10);
}

function finish(snapshot: TopologySnapshot): TopologySnapshot {
  const sorted: TopologySnapshot = {
    ...snapshot,
    nodes: snapshot.nodes.toSorted((a, b) => a.id - b.id),
    packages: snapshot.packages.toSorted((a, b) => a.id - b.id),
    dies: snapshot.dies.toSorted(bySet),
    caches: snapshot.caches.toSorted((a, b) =>
      a.level - b.level || (a.type < b.type ? -1 : a.type > b.type ? 1 : bySet(a, b))
    ),
    cores: snapshot.cores.toSorted(bySet),
    devices: snapshot.devices?.toSorted((a, b) => a.address < b.address ? -1 : 1),
  };
  seal(sorted);
  finished.add(sorted);
  return sorted;
}

/** Freezes all the way down and drops keys that are absent, so that JSON and structuredClone give the same back. */
function seal(value: object): void {
  for (const [key, inner] of Object.entries(value)) {
    if (inner === undefined) delete (value as Record<string, unknown>)[key];
    else if (typeof inner === "object" && inner !== null) seal(inner);
  }
  Object.freeze(value);
}

function effectiveCpus({ cpus, affinity, quota }: AllowedResources): number {
  const usable = CpuSet.parse(cpus).intersection(CpuSet.parse(affinity)).size;
  const paid = quota === null ? Infinity : Math.ceil(quota.quotaUs / quota.periodUs);
  return Math.max(1, Math.min(usable, paid));
}

// From the helper's words to the snapshot's; whatever is of the wrong type passes through for the reader to find

type Loose = Record<string, unknown>;

/**
 * Adds CPUs that the kernel lets this thread run on and the files leave out: lxcfs shows a made-up list of CPUs. They
 * belong to the node if there is one; of several, it is not known to which.
 */
function withRunning(description: unknown, { running }: ProcessLimits): unknown {
  const { source, cpus, allowedCpus, nodes } = (description ?? {}) as Loose;
  if (running === undefined || source !== "live") return description;
  if (typeof cpus !== "string" || typeof allowedCpus !== "string") return description;
  const lost = running.difference(CpuSet.parse(cpus));
  const only = Array.isArray(nodes) && nodes.length === 1;
  return {
    ...description as Loose,
    cpus: CpuSet.parse(cpus).union(running).text,
    allowedCpus: CpuSet.parse(allowedCpus).union(running).text,
    nodes: each(nodes, (node) => {
      if (!only || typeof node.cpus !== "string") return node;
      return { ...node, cpus: CpuSet.parse(node.cpus).union(lost).text };
    }),
  };
}

function translate(description: unknown, process: ProcessLimits | null): unknown {
  if (typeof description !== "object" || description === null) return description;
  const { allowedCpus, allowedNodes, distances, ...machine } = description as Loose;
  return {
    ...machine,
    schemaVersion: 1,
    variable: machine.source === "live" ? undefined : process?.variable?.(String(machine.source)),
    allowed: {
      cpus: allowedCpus,
      nodes: allowedNodes,
      affinity: process?.affinity.text ?? allowedCpus,
      quota: process?.quota ?? null,
      effectiveCpus: 1,
    },
    nodes: each(machine.nodes, (node) => ({
      ...node,
      totalBytes: node.bytes ?? 0,
      memory: memoryKind(node.subtype),
      hugepages: each(node.hugepages ?? [], (pool) => ({ ...pool, pageBytes: pool.bytes })),
    })),
    packages: numbered(machine.packages ?? []),
    dies: each(machine.dies ?? [], (die) => ({ ...die, package: undefined })),
    caches: machine.caches ?? [],
    cores: machine.cores ?? [],
    distances: distances === undefined || distances === null ? null : square(distances),
    attributes: known(each(machine.attributes ?? [], (a) => ({ ...a, unit: unitOf(a.name) }))),
    devices: each(machine.devices, (device) => ({
      ...device,
      ...named(device),
      node: has(machine.nodes, device.node) ? device.node : undefined,
      cpus: device.cpus ?? "",
    })),
  };
}

/** Names that are no words come from drivers that nobody has seen; a device without any goes by its address. */
function named({ names, address }: Loose): Loose {
  if (!Array.isArray(names)) return { name: names };
  const [name = address, ...aliases] = names.filter((text) => DEVICE_NAME.test(String(text)));
  return { name, aliases };
}

/** A node that is offline, or came after the nodes were listed, is not known. */
function has(nodes: unknown, id: unknown): boolean {
  return Array.isArray(nodes) && nodes.some((node) => node?.id === id);
}

function each(list: unknown, change: (item: Loose) => unknown): unknown {
  if (!Array.isArray(list)) return list;
  return list.map((item) => typeof item === "object" && item !== null ? change(item) : item);
}

/** Some firmware numbers all packages -1, which hwloc takes for no number. */
function numbered(packages: unknown): unknown {
  if (!Array.isArray(packages)) return packages;
  const ids = new Set(packages.map((item) => item?.id));
  if (ids.size === packages.length && !ids.has(undefined)) return packages;
  return packages.map((item, id) => typeof item === "object" ? { ...item, id } : item);
}

function memoryKind(subtype: unknown): MemoryKind {
  const name = String(subtype ?? "").toUpperCase();
  if (name.startsWith("CXL")) return "cxl";
  if (name === "DRAM") return "dram";
  if (name === "HBM" || name === "MCDRAM") return "hbm";
  if (name === "NVM") return "nvm";
  return name === "SPM" || name === "GPUMEMORY" ? "special" : "unknown";
}

function unitOf(name: unknown): string | undefined {
  if (typeof name !== "string") return "ns";
  return name.endsWith("Latency") ? "ns" : name.endsWith("Bandwidth") ? "MiB/s" : undefined;
}

/** hwloc lets tools register attributes of their own, of which nobody knows the unit. */
function known(attributes: unknown): unknown {
  if (!Array.isArray(attributes)) return attributes;
  return attributes.filter((item) => item?.unit !== undefined || typeof item?.name !== "string");
}

function square(distances: unknown): unknown {
  const { nodes, values } = distances as Loose;
  if (!Array.isArray(nodes) || !Array.isArray(values)) return { nodes, matrix: values };
  const width = Math.max(1, nodes.length);
  const rows = Array.from({ length: Math.ceil(values.length / width) }, (_, row) => {
    return values.slice(row * width, (row + 1) * width);
  });
  return { nodes, matrix: rows };
}
