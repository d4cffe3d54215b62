import { show } from "../runtime/check.ts";
import { NumaError } from "../runtime/error.ts";
import { CpuSet } from "./cpu_set.ts";

// What a machine looks like, as plain data: it survives JSON and structuredClone, so it is read from the system once
// and then handed to every thread. docs/topology-schema.md is its contract. Both ways in, the C helper's description
// and a snapshot from elsewhere, end in the same reader, which trusts neither.

const CPU_LAST = 65_535;
const ID_LAST = 0xffff_ffff;

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
  const packageOf = (cpus: CpuSet): number | undefined =>
    machine.packages.find((candidate) => cpus.isSubsetOf(CpuSet.parse(candidate.cpus)))?.id;
  return finish({
    ...machine,
    cores: machine.cores.map((core) => ({ ...core, package: packageOf(CpuSet.parse(core.cpus)) })),
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
  const snapshot = read(value, (why, cause) =>
    new NumaError("EINVAL", "read the topology snapshot", {
      why,
      fix: "docs/topology-schema.md describes what it has to be.",
      cause,
    }));
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
    distances: distances === undefined ? null : square(distances),
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
  const { nodes, values } = (distances ?? {}) as Loose;
  if (!Array.isArray(nodes) || !Array.isArray(values)) return { nodes, matrix: values };
  const width = Math.max(1, nodes.length);
  const rows = Array.from({ length: Math.ceil(values.length / width) }, (_, row) => {
    return values.slice(row * width, (row + 1) * width);
  });
  return { nodes, matrix: rows };
}

// ---- the reader

/** An object of the input together with the path that leads to it. */
class Fields {
  readonly #value: Loose;
  readonly #path: string;
  readonly #reject: Reject;

  constructor(value: unknown, path: string, reject: Reject) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw reject(`${path === "" ? "it" : path} is ${show(value)}, not an object`);
    }
    this.#value = value as Loose;
    this.#path = path;
    this.#reject = reject;
  }

  fail(key: string, expected: string, cause?: unknown): NumaError {
    const value = this.#value[key];
    const path = this.at(key);
    if (value === undefined) return this.#reject(`${path} is missing`);
    return this.#reject(`${path} is ${show(value)}, not ${expected}`, cause);
  }

  at(key: string): string {
    return this.#path === "" ? key : `${this.#path}.${key}`;
  }

  integer(key: string, min: number, max: number): number {
    const value = this.#value[key];
    if (Number.isSafeInteger(value) && value as number >= min && value as number <= max) {
      return value as number;
    }
    throw this.fail(key, `a whole number from ${min} to ${max}`);
  }

  text(key: string): string {
    const value = this.#value[key];
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
    const choice = choices.find((candidate) => candidate === this.#value[key]);
    if (choice !== undefined) return choice;
    throw this.fail(key, choices.map(show).join(" or "));
  }

  optional<T>(key: string, get: (key: string) => T): T | undefined {
    return this.#value[key] === undefined ? undefined : get(key);
  }

  object<T>(key: string, get: (fields: Fields) => T): T {
    return get(new Fields(this.#value[key], this.at(key), this.#reject));
  }

  nullable<T>(key: string, get: (fields: Fields) => T): T | null {
    return this.#value[key] === null ? null : this.object(key, get);
  }

  array(key: string): readonly unknown[] {
    const value = this.#value[key];
    if (Array.isArray(value)) return value;
    throw this.fail(key, "an array");
  }

  list<T>(key: string, get: (fields: Fields) => T): T[] {
    return this.array(key).map((item, index) =>
      get(new Fields(item, `${this.at(key)}[${index}]`, this.#reject))
    );
  }

  integers(key: string, min: number, max: number): number[] {
    const list = this.array(key);
    const fields = new Fields({ ...list }, this.at(key), this.#reject);
    return list.map((_, index) => fields.integer(`${index}`, min, max));
  }
}
