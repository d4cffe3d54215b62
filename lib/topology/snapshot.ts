import type { CpuSet } from "./cpu_set.ts";

// What a machine looks like, as plain data: it survives JSON and structuredClone, so it is read from the system once
// and then handed to every thread. docs/topology-schema.md is its contract.
// parse_snapshot.ts makes it.

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
  /** Bytes of memory; 0 for a node that has none, or of which a description that is not live tells none. */
  readonly totalBytes: number;
  /** Bytes free when the snapshot was taken; absent where it was not asked of a live system. */
  readonly freeBytes?: number;
  /**
   * Bytes that an arena on it could have had when the snapshot was taken: what was free or could be taken back, less what
   * the kernel keeps and a margin, and no more than the cgroup's memory limit left for all nodes together. More than
   * `freeBytes`, and even than `totalBytes`, where the kernel hands memory out as it is used. Absent where `freeBytes` is.
   */
  readonly availableBytes?: number;
  /** What its memory is. */
  readonly memory: MemoryKind;
  /** Its hugepage pools; empty where it was not asked of a live system. */
  readonly hugepages: readonly HugepagePool[];
}

/** A processor package: what sits in a socket. */
export interface PackageInfo {
  /** The OS's number of the package; where firmware gives none, its position. */
  readonly id: number;
  /** Its CPUs. */
  readonly cpus: string;
  /** The processor's name. */
  readonly model?: string;
}

/** A die of a package. */
export interface DieInfo {
  /** The OS's number of the die, which may repeat from package to package; absent where firmware gives none. */
  readonly id?: number;
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
  /** Its size in bytes; absent where it is not known. */
  readonly bytes?: number;
  /** Bytes of a cache line. */
  readonly line?: number;
  /** The CPUs that share it. */
  readonly cpus: string;
}

/** A core. */
export interface CoreInfo {
  /** The OS's number of the core, which may repeat from package to package; absent where firmware gives none. */
  readonly id?: number;
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
