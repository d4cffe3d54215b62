import { show } from "../runtime/check.ts";
import { NumaError } from "../runtime/error.ts";
import { CpuSet } from "./cpu_set.ts";

// What a machine looks like, as plain data: it survives JSON and structuredClone, so it is read from the system once
// and then handed to every thread. docs/topology-schema.md is its contract. Both ways in, the C helper's description
// and a snapshot from elsewhere, end in the same reader, which trusts neither.

const CPU_LAST = 65_535;
const ID_LAST = 0xffff_ffff;
const BYTES_LAST = Number.MAX_SAFE_INTEGER;

/** What a node's memory is made of, from hwloc's subtype. `"special"` is a device's or set aside by firmware. */
export type MemoryKind = "dram" | "hbm" | "cxl" | "nvm" | "special" | "unknown";

/** What a cache holds. */
export type CacheType = "unified" | "data" | "instruction";

/**
 * Where a description comes from: this machine, an hwloc synthetic text, an hwloc XML file, or JSON that was written
 * or edited by hand.
 */
export type TopologySource = "live" | "synthetic" | "xml" | "json";

/** A node's pool of hugepages of one size. */
export interface HugepagePool {
  /** Bytes of one page. */
  readonly pageBytes: number;
  /** Pages in the pool. */
  readonly total: number;
  /** Pages nobody uses, when the snapshot was taken. */
  readonly free: number;
}

/** A NUMA node. */
export interface NodeInfo {
  /** The OS's number of the node. Numbers may have gaps. */
  readonly id: number;
  /** The CPUs local to it; `""` for a node that is memory only. Nodes with different memory may share CPUs. */
  readonly cpus: string;
  /** Bytes of memory; 0 for a node that has none. */
  readonly totalBytes: number;
  /** Bytes free when the snapshot was taken; absent where it was not asked of a live system. */
  readonly freeBytes?: number;
  /** What its memory is. */
  readonly memory: MemoryKind;
  /** Its hugepage pools; empty where it was not asked of a live system. */
  readonly hugepages: readonly HugepagePool[];
}

/** A processor package: what sits in a socket. */
export interface PackageInfo {
  /** The OS's number of the package. */
  readonly id: number;
  /** Its CPUs. */
  readonly cpus: string;
  /** The processor's name. */
  readonly model?: string;
}

/** A die of a package. */
export interface DieInfo {
  /** The OS's number of the die, which may repeat from package to package. */
  readonly id: number;
  /** The package it is part of. */
  readonly package?: number;
  /** Its CPUs. */
  readonly cpus: string;
}

/** A cache. */
export interface CacheInfo {
  /** 1 is the one nearest to the core. */
  readonly level: number;
  /** What it holds. */
  readonly type: CacheType;
  /** Its size in bytes. */
  readonly bytes: number;
  /** Bytes of a cache line. */
  readonly line?: number;
  /** The CPUs that share it. */
  readonly cpus: string;
}

/** A core. */
export interface CoreInfo {
  /** The OS's number of the core, which may repeat from package to package. */
  readonly id: number;
  /** The package it is part of. */
  readonly package?: number;
  /** Its CPUs, which are SMT siblings of each other. */
  readonly cpus: string;
  /** On machines with several kinds of core the rank of this one: greater is faster. */
  readonly kind?: number;
}

/** What firmware says of the distances between nodes (ACPI SLIT): 10 is local, 20 is twice as far. */
export interface NodeDistances {
  /** The nodes of the rows and of the columns, in this order. */
  readonly nodes: readonly number[];
  /** `matrix[i][j]` is the distance from CPUs of `nodes[i]` to memory of `nodes[j]`. */
  readonly matrix: readonly (readonly number[])[];
}

/** What firmware says of a node's memory (ACPI HMAT). */
export interface MemoryAttribute {
  /** hwloc's name: `"Latency"`, `"Bandwidth"`, `"ReadLatency"`, `"WriteBandwidth"` … */
  readonly name: string;
  /** The node with the memory. */
  readonly node: number;
  /** The CPUs it is seen from; absent when it is the same from all. */
  readonly initiator?: string;
  /** The value, in `unit`. */
  readonly value: number;
  /** Nanoseconds for a latency, MiB a second for a bandwidth. */
  readonly unit: "ns" | "MiB/s";
}

/** A cgroup's CPU quota. */
export interface CpuQuota {
  /** Microseconds of CPU time in each period. */
  readonly quotaUs: number;
  /** The period in microseconds. */
  readonly periodUs: number;
}

/** What the process may use of the machine. */
export interface AllowedResources {
  /** The CPUs of its cpuset. */
  readonly cpus: string;
  /** The nodes of its cpuset. */
  readonly nodes: string;
  /** Its CPU affinity. The CPUs it can use are those of `cpus` that are in here, too. */
  readonly affinity: string;
  /** Its CPU quota; `null` when there is no limit. */
  readonly quota: CpuQuota | null;
  /** How many CPUs that comes to: the usable ones or the quota rounded up, whichever is less, and at least 1. */
  readonly effectiveCpus: number;
}

/**
 * A machine and what the process may use of it, at one moment. Plain, frozen data; sets of CPUs and of nodes are
 * strings that {@linkcode CpuSet.parse} reads. `docs/topology-schema.md` describes it field by field.
 *
 * @example
 * ```ts
 * import { topology, type TopologySnapshot } from "@numakit/numakit";
 *
 * const snapshot: TopologySnapshot = topology().snapshot;
 * console.log(JSON.stringify(snapshot, null, 2));
 * ```
 */
export interface TopologySnapshot {
  /** The version of this shape. */
  readonly schemaVersion: 1;
  /** Where it comes from. */
  readonly source: TopologySource;
  /** The version of hwloc that described it. */
  readonly hwloc: string;
  /** Every CPU there is. */
  readonly cpus: string;
  /** What the process may use. */
  readonly allowed: AllowedResources;
  /** The NUMA nodes, by id; at least one. */
  readonly nodes: readonly NodeInfo[];
  /** The packages, by id. */
  readonly packages: readonly PackageInfo[];
  /** The dies, by their first CPU. */
  readonly dies: readonly DieInfo[];
  /** The caches of all levels, by level, type and first CPU. */
  readonly caches: readonly CacheInfo[];
  /** The cores, by their first CPU. */
  readonly cores: readonly CoreInfo[];
  /** Distances between nodes; `null` when firmware gives none. */
  readonly distances: NodeDistances | null;
  /** What is known of the nodes' memory. */
  readonly attributes: readonly MemoryAttribute[];
}

/** What {@linkcode parseDescription} adds to a machine: the limits of the process that are not the machine's. */
export interface ProcessLimits {
  /** The process's CPU affinity. */
  readonly affinity: CpuSet;
  /** Its CPU quota; `null` when there is no limit. */
  readonly quota: CpuQuota | null;
}

const finished = new WeakSet<object>();

/**
 * Makes a snapshot of a description from the C helper (`nk_topology_export`).
 *
 * @param json The helper's text.
 * @param process The limits of this process; `null` for a machine that is not this one, where all that the
 * description allows can be used.
 * @returns The snapshot.
 * @throws {NumaError} `EABI` when the text is not such a description.
 */
export function parseDescription(json: string, process: ProcessLimits | null): TopologySnapshot {
  const reject: Reject = (why, cause) =>
    new NumaError("EABI", "read the machine's description", {
      why,
      fix: "The C helper and this source are not of the same version, or the machine is one that " +
        "nobody has tried: please report it with the output of lstopo.",
      syscall: "nk_topology_export",
      cause,
    });
  let description: unknown;
  try {
    description = JSON.parse(json);
  } catch (cause) {
    throw reject("it is not JSON", cause);
  }
  const machine = read(translate(description, process), reject);
  const packages = machine.packages.map(({ id, cpus }) => ({ id, cpus: CpuSet.parse(cpus) }));
  const packageOf = (core: CoreInfo): number | undefined =>
    packages.find(({ cpus }) => cpus.has(firstOf(core)))?.id;
  return finish({
    ...machine,
    cores: machine.cores.map((core) => ({ ...core, package: packageOf(core) })),
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
  const snapshot = read(
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

type Reject = (why: string, cause?: unknown) => NumaError;

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

// ---- from the helper's words to the snapshot's; whatever is of the wrong type passes through for the reader to find

type Loose = Record<string, unknown>;

function translate(description: unknown, process: ProcessLimits | null): unknown {
  if (typeof description !== "object" || description === null) return description;
  const { allowedCpus, allowedNodes, distances, ...machine } = description as Loose;
  return {
    ...machine,
    schemaVersion: 1,
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
    packages: machine.packages ?? [],
    dies: machine.dies ?? [],
    caches: machine.caches ?? [],
    cores: machine.cores ?? [],
    distances: distances === undefined || distances === null ? null : square(distances),
    attributes: known(each(machine.attributes ?? [], (a) => ({ ...a, unit: unitOf(a.name) }))),
  };
}

function each(list: unknown, change: (item: Loose) => unknown): unknown {
  if (!Array.isArray(list)) return list;
  return list.map((item) => typeof item === "object" && item !== null ? change(item) : item);
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

// ---- the reader

/** An object or an array of the input, together with the path that leads to it. */
class Fields {
  readonly #values: Record<string | number, unknown>;
  readonly #path: string;
  readonly #reject: Reject;

  constructor(values: object, path: string, reject: Reject) {
    this.#values = values as Record<string | number, unknown>;
    this.#path = path;
    this.#reject = reject;
  }

  fail(key: string | number, expected: string, cause?: unknown): NumaError {
    const value = this.#values[key];
    const state = value === undefined ? "missing" : `${show(value)}, not ${expected}`;
    return this.#reject(`${this.#at(key)} is ${state}`, cause);
  }

  integer(key: string | number, min: number, max: number): number {
    const value = this.#values[key];
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw this.fail(key, `a whole number from ${min} to ${max}`);
  }

  text(key: string): string {
    const value = this.#values[key];
    if (typeof value === "string") return value;
    throw this.fail(key, "a string");
  }

  set(key: string): string {
    const text = this.text(key);
    try {
      return CpuSet.parse(text).text;
    } catch (cause) {
      throw this.fail(key, 'a set such as "0-3,8"', cause);
    }
  }

  choice<T extends string | number>(key: string, choices: readonly T[]): T {
    const choice = choices.find((candidate) => candidate === this.#values[key]);
    if (choice !== undefined) return choice;
    throw this.fail(key, choices.map(show).join(" or "));
  }

  optional<T>(key: string, get: (key: string) => T): T | undefined {
    return this.#values[key] === undefined ? undefined : get(key);
  }

  object<T>(key: string | number, get: (fields: Fields) => T): T {
    const value = this.#values[key];
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return get(new Fields(value, this.#at(key), this.#reject));
    }
    throw this.fail(key, "an object");
  }

  nullable<T>(key: string, get: (fields: Fields) => T): T | null {
    return this.#values[key] === null ? null : this.object(key, get);
  }

  array<T>(
    key: string | number,
    get: (items: Fields, index: number) => T,
    length?: number,
  ): T[] {
    const value = this.#values[key];
    if (!Array.isArray(value) || value.length !== (length ?? value.length)) {
      throw this.fail(key, length === undefined ? "an array" : `an array of ${length}`);
    }
    const items = new Fields(value, this.#at(key), this.#reject);
    return Array.from(value, (_, index) => get(items, index));
  }

  list<T>(key: string, get: (fields: Fields) => T): T[] {
    return this.array(key, (items, index) => items.object(index, get));
  }

  #at(key: string | number): string {
    if (typeof key === "number") return `${this.#path}[${key}]`;
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }
}

function read(value: unknown, reject: Reject): TopologySnapshot {
  if (typeof value !== "object" || value === null) {
    throw reject(`it is ${show(value)}, not an object`);
  }
  const snapshot = readSnapshot(new Fields(value, "", reject));
  checkReferences(snapshot, reject);
  return snapshot;
}

function readSnapshot(fields: Fields): TopologySnapshot {
  return {
    schemaVersion: fields.choice("schemaVersion", [1]),
    source: fields.choice("source", ["live", "synthetic", "xml", "json"]),
    hwloc: fields.text("hwloc"),
    cpus: fields.set("cpus"),
    allowed: fields.object("allowed", readAllowed),
    nodes: fields.list("nodes", readNode),
    packages: fields.list("packages", (item) => ({
      id: item.integer("id", 0, ID_LAST),
      cpus: item.set("cpus"),
      model: item.optional("model", () => item.text("model")),
    })),
    dies: fields.list("dies", readPart),
    caches: fields.list("caches", (item) => ({
      level: item.integer("level", 1, 9),
      type: item.choice("type", ["unified", "data", "instruction"]),
      bytes: item.integer("bytes", 0, BYTES_LAST),
      line: item.optional("line", () => item.integer("line", 1, ID_LAST)),
      cpus: item.set("cpus"),
    })),
    cores: fields.list("cores", (item) => ({
      ...readPart(item),
      kind: item.optional("kind", () => item.integer("kind", 0, ID_LAST)),
    })),
    distances: fields.nullable("distances", readDistances),
    attributes: fields.list("attributes", (item) => ({
      name: item.text("name"),
      node: item.integer("node", 0, CPU_LAST),
      initiator: item.optional("initiator", () => item.set("initiator")),
      value: item.integer("value", 0, BYTES_LAST),
      unit: item.choice("unit", ["ns", "MiB/s"]),
    })),
  };
}

function readAllowed(fields: Fields): AllowedResources {
  return {
    cpus: fields.set("cpus"),
    nodes: fields.set("nodes"),
    affinity: fields.set("affinity"),
    quota: fields.nullable("quota", (quota) => ({
      quotaUs: quota.integer("quotaUs", 1, BYTES_LAST),
      periodUs: quota.integer("periodUs", 1, BYTES_LAST),
    })),
    effectiveCpus: fields.integer("effectiveCpus", 1, CPU_LAST + 1),
  };
}

function readNode(fields: Fields): NodeInfo {
  return {
    id: fields.integer("id", 0, CPU_LAST),
    cpus: fields.set("cpus"),
    totalBytes: fields.integer("totalBytes", 0, BYTES_LAST),
    freeBytes: fields.optional("freeBytes", (key) => fields.integer(key, 0, BYTES_LAST)),
    memory: fields.choice("memory", ["dram", "hbm", "cxl", "nvm", "special", "unknown"]),
    hugepages: fields.list("hugepages", (pool) => ({
      pageBytes: pool.integer("pageBytes", 1, BYTES_LAST),
      total: pool.integer("total", 0, BYTES_LAST),
      free: pool.integer("free", 0, BYTES_LAST),
    })),
  };
}

function readPart(fields: Fields): DieInfo {
  return {
    id: fields.integer("id", 0, ID_LAST),
    package: fields.optional("package", (key) => fields.integer(key, 0, ID_LAST)),
    cpus: fields.set("cpus"),
  };
}

function readDistances(fields: Fields): NodeDistances {
  const nodes = fields.array("nodes", (items, index) => items.integer(index, 0, CPU_LAST));
  const matrix = fields.array(
    "matrix",
    (rows, row) =>
      rows.array(row, (items, column) => items.integer(column, 0, BYTES_LAST), nodes.length),
    nodes.length,
  );
  return { nodes, matrix };
}

function checkReferences(snapshot: TopologySnapshot, reject: Reject): void {
  const { allowed, attributes, caches, cores, dies, distances, nodes, packages } = snapshot;
  if (nodes.length === 0) throw reject("nodes is empty");
  const nodeIds = checkUnique(nodes.map((node) => node.id), "nodes", reject);
  const packageIds = checkUnique(packages.map((item) => item.id), "packages", reject);
  checkUnique(distances?.nodes ?? [], "distances.nodes", reject);

  const known = (path: string, id: number | undefined, ids: ReadonlySet<number>): void => {
    if (id !== undefined && !ids.has(id)) {
      throw reject(`${path} is ${id}, and there is no such one`);
    }
  };
  distances?.nodes.forEach((id, index) => known(`distances.nodes[${index}]`, id, nodeIds));
  attributes.forEach((item, index) => known(`attributes[${index}].node`, item.node, nodeIds));
  dies.forEach((die, index) => known(`dies[${index}].package`, die.package, packageIds));
  cores.forEach((core, index) => known(`cores[${index}].package`, core.package, packageIds));

  const cpus = CpuSet.parse(snapshot.cpus);
  const within = (path: string, text: string, all: CpuSet): void => {
    const others = CpuSet.parse(text).difference(all);
    if (others.size > 0) throw reject(`${path} has ${others}, which this machine has not`);
  };
  for (const [name, items] of Object.entries({ nodes, packages, dies, caches, cores })) {
    items.forEach((item, index) => within(`${name}[${index}].cpus`, item.cpus, cpus));
  }
  attributes.forEach((item, index) => {
    within(`attributes[${index}].initiator`, item.initiator ?? "", cpus);
  });
  within("allowed.cpus", allowed.cpus, cpus);
  within("allowed.nodes", allowed.nodes, CpuSet.from(nodeIds));

  checkDisjoint("packages", packages, () => "", reject);
  checkDisjoint("dies", dies, () => "", reject);
  checkDisjoint("cores", cores, () => "", reject);
  const side = (cache: CacheInfo): string => cache.type === "instruction" ? "code" : "data";
  checkDisjoint("caches", caches, (cache) => `L${cache.level} ${side(cache)}`, reject);
}

function checkUnique(ids: readonly number[], path: string, reject: Reject): ReadonlySet<number> {
  const seen = new Set<number>();
  ids.forEach((id, index) => {
    if (seen.has(id)) throw reject(`${path}[${index}] is number ${id} a second time`);
    seen.add(id);
  });
  return seen;
}

/** Things of one group share no CPU: what is looked up by CPU later has one answer. */
function checkDisjoint<T extends { readonly cpus: string }>(
  path: string,
  items: readonly T[],
  groupOf: (item: T) => string,
  reject: Reject,
): void {
  const owners = new Map<string, Map<number, number>>();
  items.forEach((item, index) => {
    const group = groupOf(item);
    const owner = owners.get(group) ?? new Map<number, number>();
    owners.set(group, owner);
    for (const cpu of CpuSet.parse(item.cpus)) {
      const other = owner.get(cpu);
      if (other !== undefined) {
        throw reject(`${path}[${index}].cpus has CPU ${cpu}, which is part of ${path}[${other}]`);
      }
      owner.set(cpu, index);
    }
  });
}
