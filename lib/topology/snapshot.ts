import type { CpuSet } from "./cpu_set.ts";

// What a machine looks like, as plain data: it survives JSON and structuredClone, so it is read from the system once
// and then handed to every thread. docs/topology-schema.md is its contract.
// parse_snapshot.ts makes it.

/**
 * The kind of a node's memory, from hwloc's subtype. `"special"` memory belongs to a device or is reserved by firmware.
 */
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
  /** Free pages when the snapshot was taken. */
  readonly free: number;
}

/** A NUMA node. */
export interface NodeInfo {
  /** The OS's number of the node. Numbers may have gaps. */
  readonly id: number;
  /** The CPUs local to it; `""` for a node that is memory only. Nodes with different memory may share CPUs. */
  readonly cpus: string;
  /** Its memory in bytes; 0 for a node without memory, or if a description that is not live does not say. */
  readonly totalBytes: number;
  /** Free bytes when the snapshot was taken; live snapshots only. */
  readonly freeBytes?: number;
  /**
   * Bytes that an arena on it could use when the snapshot was taken: the memory that was free or could be reclaimed,
   * less what the kernel keeps and a margin, and at most what the cgroup's memory limit left for all nodes together. It
   * is more than `freeBytes`, and may be more than `totalBytes`, where the kernel initializes memory lazily. Absent
   * where `freeBytes` is.
   */
  readonly availableBytes?: number;
  /** The kind of its memory. */
  readonly memory: MemoryKind;
  /** Its hugepage pools; empty unless the snapshot is live. */
  readonly hugepages: readonly HugepagePool[];
}

/** A processor package, which is what a socket holds. */
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
  /** The level; 1 is nearest to the core. */
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
  /** The rank of the core's kind on machines with several kinds: greater is faster. */
  readonly kind?: number;
}

/** The distances between nodes according to the firmware (ACPI SLIT): 10 is local, 20 is twice as far. */
export interface NodeDistances {
  /** The nodes of the rows and of the columns, in this order. */
  readonly nodes: readonly number[];
  /** `matrix[i][j]` is the distance from CPUs of `nodes[i]` to memory of `nodes[j]`. */
  readonly matrix: readonly (readonly number[])[];
}

/** An attribute of a node's memory according to the firmware (ACPI HMAT). */
export interface MemoryAttribute {
  /** hwloc's name: `"Latency"`, `"Bandwidth"`, `"ReadLatency"`, `"WriteBandwidth"` … */
  readonly name: string;
  /** The node with the memory. */
  readonly node: number;
  /** The CPUs it was measured from; absent if it is the same for all. */
  readonly initiator?: string;
  /** The value, in `unit`. */
  readonly value: number;
  /** `"ns"` for a latency, `"MiB/s"` for a bandwidth. */
  readonly unit: "ns" | "MiB/s";
}

/**
 * What a device is for. `"network"` includes InfiniBand, `"storage"` is every disk controller but NVMe, and
 * `"accelerator"` what computes and is no GPU.
 */
export type DeviceClass = "network" | "nvme" | "storage" | "gpu" | "accelerator";

/** A PCI device that programs want to be near to; of a device with several functions, one of them. */
export interface DeviceInfo {
  /** The name that is used most: `"eth0"`, `"nvme0"`, `"card0"`; its address when the kernel has none for it. */
  readonly name: string;
  /** Its other names, such as those of an NVMe controller's disks: `"nvme0n1"`. */
  readonly aliases: readonly string[];
  /** What it is for. */
  readonly class: DeviceClass;
  /** Where it is on the PCI bus: `"0000:00:03.0"`. */
  readonly address: string;
  /** The node it is attached to; absent where the kernel does not know it, as in most virtual machines. */
  readonly node?: number;
  /** The CPUs that the kernel calls local to it: all of them where it does not know the node. */
  readonly cpus: string;
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
  /** Its CPU affinity. Usable CPUs are in both `cpus` and `affinity`. */
  readonly affinity: string;
  /** Its CPU quota; `null` when there is no limit. */
  readonly quota: CpuQuota | null;
  /** The number of usable CPUs, or the quota rounded up, whichever is less; at least 1. */
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
  /**
   * The variable in the environment that made hwloc describe another machine than the one the process is on, such as
   * `"HWLOC_XMLFILE"`; `"HWLOC_*"` where it may not be read. Absent where none did.
   */
  readonly variable?: string;
  /**
   * The version of hwloc that described it; of an XML file, `"unknown"` where it does not say; `"none"` where hwloc cannot
   * read this machine and numakit did.
   */
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
  /** The known attributes of the nodes' memory. */
  readonly attributes: readonly MemoryAttribute[];
  /** The devices, by their address; absent unless the snapshot is live, and where they cannot be listed. */
  readonly devices?: readonly DeviceInfo[];
}

/** What {@linkcode parseDescription} adds to a machine: the limits of the process that are not the machine's. */
export interface ProcessLimits {
  /** The process's CPU affinity. */
  readonly affinity: CpuSet;
  /** Its CPU quota; `null` when there is no limit. */
  readonly quota: CpuQuota | null;
  /** Tells what put a machine of another source into this one's place. */
  readonly variable?: (source: string) => string;
  /** The CPUs that the kernel lets the calling thread run on: they are there, whatever files say. */
  readonly running?: CpuSet;
}
