import { show } from "../base/check.ts";
import type { NumaError } from "../base/error.ts";
import { CpuSet } from "./cpu_set.ts";
import type {
  AllowedResources,
  CacheInfo,
  DeviceInfo,
  DieInfo,
  NodeDistances,
  NodeInfo,
  TopologySnapshot,
} from "./snapshot.ts";

// The reader behind both ways into a snapshot, the C helper's description and JSON from elsewhere. It trusts neither.

const MAX_CPU = 65_535;
const MAX_ID = 0xffff_ffff;
const MAX_BYTES = Number.MAX_SAFE_INTEGER;
/** The name of a device: one word, so that it can stand in a list. */
export const DEVICE_NAME: RegExp = /^[^\s,]{1,255}$/;

/** Makes the error of a value that does not fit. */
export type Reject = (why: string, cause?: unknown) => NumaError;

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

  word(key: string | number): string {
    const value = this.#values[key];
    if (typeof value === "string" && DEVICE_NAME.test(value)) return value;
    throw this.fail(key, "a name without spaces and commas");
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

/**
 * Checks a value and makes a snapshot of it. Unknown keys are dropped.
 *
 * @param value Anything.
 * @param reject Makes the error, given what is wrong and where.
 * @returns The snapshot, neither sorted nor frozen.
 * @throws What `reject` made.
 */
export function readSnapshot(value: unknown, reject: Reject): TopologySnapshot {
  if (typeof value !== "object" || value === null) {
    throw reject(`it is ${show(value)}, not an object`);
  }
  const snapshot = readMachine(new Fields(value, "", reject));
  checkReferences(snapshot, reject);
  return snapshot;
}

function readMachine(fields: Fields): TopologySnapshot {
  return {
    schemaVersion: fields.choice("schemaVersion", [1]),
    source: fields.choice("source", ["live", "synthetic", "xml", "json"]),
    variable: fields.optional("variable", (key) => fields.word(key)),
    hwloc: fields.text("hwloc"),
    cpus: fields.set("cpus"),
    allowed: fields.object("allowed", readAllowed),
    nodes: fields.list("nodes", readNode),
    packages: fields.list("packages", (item) => ({
      id: item.integer("id", 0, MAX_ID),
      cpus: item.set("cpus"),
      model: item.optional("model", () => item.text("model")),
    })),
    dies: fields.list("dies", readPart),
    caches: fields.list("caches", (item) => ({
      level: item.integer("level", 1, 9),
      type: item.choice("type", ["unified", "data", "instruction"]),
      bytes: item.optional("bytes", (key) => item.integer(key, 0, MAX_BYTES)),
      line: item.optional("line", () => item.integer("line", 1, MAX_ID)),
      cpus: item.set("cpus"),
    })),
    cores: fields.list("cores", (item) => ({
      ...readPart(item),
      kind: item.optional("kind", () => item.integer("kind", 0, MAX_ID)),
    })),
    distances: fields.nullable("distances", readDistances),
    attributes: fields.list("attributes", (item) => ({
      name: item.text("name"),
      node: item.integer("node", 0, MAX_CPU),
      initiator: item.optional("initiator", () => item.set("initiator")),
      value: item.integer("value", 0, MAX_BYTES),
      unit: item.choice("unit", ["ns", "MiB/s"]),
    })),
    devices: fields.optional("devices", (key) => fields.list(key, readDevice)),
  };
}

function readDevice(fields: Fields): DeviceInfo {
  return {
    name: fields.word("name"),
    aliases: fields.array("aliases", (items, index) => items.word(index)),
    class: fields.choice("class", ["network", "nvme", "storage", "gpu", "accelerator"]),
    address: fields.word("address"),
    node: fields.optional("node", (key) => fields.integer(key, 0, MAX_CPU)),
    cpus: fields.set("cpus"),
  };
}

function readAllowed(fields: Fields): AllowedResources {
  return {
    cpus: fields.set("cpus"),
    nodes: fields.set("nodes"),
    affinity: fields.set("affinity"),
    quota: fields.nullable("quota", (quota) => ({
      quotaUs: quota.integer("quotaUs", 1, MAX_BYTES),
      periodUs: quota.integer("periodUs", 1, MAX_BYTES),
    })),
    effectiveCpus: fields.integer("effectiveCpus", 1, MAX_CPU + 1),
  };
}

function readNode(fields: Fields): NodeInfo {
  return {
    id: fields.integer("id", 0, MAX_CPU),
    cpus: fields.set("cpus"),
    totalBytes: fields.integer("totalBytes", 0, MAX_BYTES),
    freeBytes: fields.optional("freeBytes", (key) => fields.integer(key, 0, MAX_BYTES)),
    availableBytes: fields.optional(
      "availableBytes",
      (key) => fields.integer(key, 0, MAX_BYTES),
    ),
    memory: fields.choice("memory", ["dram", "hbm", "cxl", "nvm", "special", "unknown"]),
    hugepages: fields.list("hugepages", (pool) => ({
      pageBytes: pool.integer("pageBytes", 1, MAX_BYTES),
      total: pool.integer("total", 0, MAX_BYTES),
      free: pool.integer("free", 0, MAX_BYTES),
    })),
  };
}

function readPart(fields: Fields): DieInfo {
  return {
    id: fields.optional("id", (key) => fields.integer(key, 0, MAX_ID)),
    package: fields.optional("package", (key) => fields.integer(key, 0, MAX_ID)),
    cpus: fields.set("cpus"),
  };
}

function readDistances(fields: Fields): NodeDistances {
  const nodes = fields.array("nodes", (items, index) => items.integer(index, 0, MAX_CPU));
  const matrix = fields.array(
    "matrix",
    (rows, row) =>
      rows.array(row, (items, column) => items.integer(column, 0, MAX_BYTES), nodes.length),
    nodes.length,
  );
  return { nodes, matrix };
}

function checkReferences(snapshot: TopologySnapshot, reject: Reject): void {
  const { allowed, attributes, caches, cores, devices = [] } = snapshot;
  const { dies, distances, nodes, packages } = snapshot;
  if (nodes.length === 0) throw reject("nodes is empty");
  const nodeIds = checkUnique(nodes.map((node) => node.id), "nodes", reject);
  const packageIds = checkUnique(packages.map((item) => item.id), "packages", reject);
  checkUnique(distances?.nodes ?? [], "distances.nodes", reject);
  checkUnique(devices.map((device) => device.address), "devices", reject);

  const known = (path: string, id: number | undefined, ids: ReadonlySet<number>): void => {
    if (id !== undefined && !ids.has(id)) {
      throw reject(`${path} is ${id}, and there is no such one`);
    }
  };
  distances?.nodes.forEach((id, index) => known(`distances.nodes[${index}]`, id, nodeIds));
  attributes.forEach((item, index) => known(`attributes[${index}].node`, item.node, nodeIds));
  devices.forEach((device, index) => known(`devices[${index}].node`, device.node, nodeIds));
  dies.forEach((die, index) => known(`dies[${index}].package`, die.package, packageIds));
  cores.forEach((core, index) => known(`cores[${index}].package`, core.package, packageIds));

  const cpus = CpuSet.parse(snapshot.cpus);
  const within = (path: string, text: string, all: CpuSet): void => {
    const others = CpuSet.parse(text).difference(all);
    if (others.size > 0) throw reject(`${path} has ${others}, which this machine has not`);
  };
  for (const [name, items] of Object.entries({ nodes, packages, dies, caches, cores, devices })) {
    items.forEach((item, index) => within(`${name}[${index}].cpus`, item.cpus, cpus));
  }
  attributes.forEach((item, index) => {
    within(`attributes[${index}].initiator`, item.initiator ?? "", cpus);
  });
  within("allowed.cpus", allowed.cpus, cpus);
  within("allowed.nodes", allowed.nodes, CpuSet.from(nodeIds));
  const usable = CpuSet.parse(allowed.cpus).intersection(CpuSet.parse(allowed.affinity)).size;
  if (allowed.effectiveCpus > Math.max(1, usable)) {
    throw reject(`allowed.effectiveCpus is ${allowed.effectiveCpus} of ${usable} usable CPUs`);
  }

  checkDisjoint("packages", packages, () => "", reject);
  checkDisjoint("dies", dies, () => "", reject);
  checkDisjoint("cores", cores, () => "", reject);
  const side = (cache: CacheInfo): string => cache.type === "instruction" ? "code" : "data";
  checkDisjoint("caches", caches, (cache) => `L${cache.level} ${side(cache)}`, reject);
}

function checkUnique<T>(ids: readonly T[], path: string, reject: Reject): ReadonlySet<T> {
  const seen = new Set<T>();
  ids.forEach((id, index) => {
    if (seen.has(id)) {
      throw reject(
        `${path}[${index}] is ${typeof id === "number" ? `number ${id}` : id} a second time`,
      );
    }
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
