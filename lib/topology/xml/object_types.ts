/**
 * The types of objects, in all formats: hwloc 1 says "Socket" and "Cache" for what 2 and 3 call "Package" and "L2Cache".
 *
 * @module
 */

/** What numakit makes of an object. */
export interface ObjectType {
  /** What it is, `"other"` where it is nothing that numakit tells. */
  readonly is: "package" | "die" | "core" | "cpu" | "cache" | "node" | "group" | "other";
  /** Whether it has CPUs, memory, or is beside the machine's structure as devices are. */
  readonly branch: "normal" | "memory" | "special";
  /** The level of a cache, where the type says it. */
  readonly level?: number;
  /** Whether it is a cache for instructions, where the type says it. */
  readonly instruction?: boolean;
}

const TYPES: Readonly<Record<string, ObjectType>> = {
  machine: { is: "other", branch: "normal" },
  system: { is: "other", branch: "normal" },
  package: { is: "package", branch: "normal" },
  socket: { is: "package", branch: "normal" },
  die: { is: "die", branch: "normal" },
  core: { is: "core", branch: "normal" },
  pu: { is: "cpu", branch: "normal" },
  cache: { is: "cache", branch: "normal" },
  group: { is: "group", branch: "normal" },
  tile: { is: "other", branch: "normal" },
  module: { is: "other", branch: "normal" },
  cluster: { is: "other", branch: "normal" },
  numanode: { is: "node", branch: "memory" },
  memcache: { is: "other", branch: "memory" },
  misc: { is: "other", branch: "special" },
  bridge: { is: "other", branch: "special" },
  pcidev: { is: "other", branch: "special" },
  osdev: { is: "other", branch: "special" },
};
const CACHE = /^l([1-5])([diu]?)cache$/;

/**
 * Finds a type.
 *
 * @param name The attribute `type`.
 * @returns It; undefined for an unknown one.
 */
export function objectType(name: string): ObjectType | undefined {
  const word = name.toLowerCase();
  const found = CACHE.exec(word);
  if (found === null) return Object.hasOwn(TYPES, word) ? TYPES[word] : undefined;
  const instruction = found[2] === "i";
  return { is: "cache", branch: "normal", level: Number(found[1]), instruction };
}
