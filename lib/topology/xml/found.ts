import { bit } from "./bits.ts";

/** A part of the machine, and where the file describes it. */
interface Part {
  readonly at: number;
  /** Its CPUs. */
  readonly cpus: bigint;
}

/** A package, a die or a core. */
export interface FoundPart extends Part {
  readonly id: number | undefined;
  readonly model?: string | undefined;
}

/** A cache for data. */
export interface FoundCache extends Part {
  readonly level: number;
  readonly type: "unified" | "data";
  readonly bytes: number | undefined;
  readonly line: number | undefined;
}

/** A node. */
export interface FoundNode extends Part {
  readonly id: number;
  /** hwloc's number of the object, by which attributes of memory name it. */
  readonly object: string | undefined;
  readonly bytes: number | undefined;
  /** What kind of memory it has, in hwloc's words. */
  subtype: string | undefined;
  /** What the kernel's DAX driver calls it. */
  readonly dax: string | undefined;
}

/** A matrix of distances between nodes. */
export interface FoundMatrix {
  readonly at: number;
  readonly name: string | undefined;
  /** The nodes' ids; undefined for all nodes in the order of the file. */
  readonly nodes: readonly number[] | undefined;
  readonly values: readonly number[];
}

/** A value of an attribute of memory. */
export interface FoundValue {
  readonly at: number;
  readonly name: string;
  readonly node: number;
  readonly initiator: bigint | undefined;
  readonly value: number;
}

/** What a file says of a machine. */
export interface Found {
  version: string | undefined;
  cpus: bigint;
  allowedCpus: bigint;
  allowedNodes: bigint;
  /** The memory that a machine of format 1 without nodes has. */
  bytes: number | undefined;
  readonly packages: FoundPart[];
  readonly dies: FoundPart[];
  readonly cores: FoundPart[];
  readonly caches: FoundCache[];
  readonly nodes: FoundNode[];
  /** The ids of all nodes in the order of the file, with those that are left out as they have no memory to use. */
  readonly nodeIds: number[];
  readonly matrices: FoundMatrix[];
}

/**
 * A machine of which nothing is known yet.
 *
 * @returns It.
 */
export function nothingFound(): Found {
  return {
    version: undefined,
    cpus: 0n,
    allowedCpus: -1n,
    allowedNodes: -1n,
    bytes: undefined,
    packages: [],
    dies: [],
    cores: [],
    caches: [],
    nodes: [],
    nodeIds: [],
    matrices: [],
  };
}

/**
 * The ids of the nodes.
 *
 * @param found The machine.
 * @returns A set.
 */
export function nodeSet(found: Found): bigint {
  return found.nodes.reduce((all, { id }) => all | bit(id), 0n);
}
