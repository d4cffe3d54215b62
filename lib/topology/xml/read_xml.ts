/**
 * Machines as hwloc writes them into XML files, read without hwloc: formats 1 (hwloc 1.x), 2 and 3.
 *
 * The facts are those that hwloc's own library gives of the same file; tests compare the two. Whatever in a file does not
 * fit is an error that names the line: nothing is repaired, and no other file is looked at.
 *
 * @module
 */
import { makeSnapshot } from "../parse_snapshot.ts";
import type { Reject } from "../read_snapshot.ts";
import type { TopologySnapshot } from "../snapshot.ts";
import { listOf } from "./bits.ts";
import { readDistances2 } from "./distances.ts";
import { type Found, type FoundMatrix, type FoundValue, nodeSet, nothingFound } from "./found.ts";
import { Kinds } from "./kinds.ts";
import { MemoryAttributes, nameMemory } from "./memory_attributes.ts";
import { ObjectReader } from "./objects.ts";
import { type Element, Scanner } from "./scan.ts";

/** The newest format that is known. */
const MAX_FORMAT = 3;

/**
 * Reads a machine.
 *
 * @param text What is in the file.
 * @param action What was asked, as it follows "Cannot".
 * @returns The machine; everything that the file allows can be used.
 * @throws {NumaError} `EINVAL`.
 */
export function readXml(text: string, action: string): TopologySnapshot {
  const scanner = new Scanner(text, action);
  const root = scanner.root();
  const format = formatOf(root, scanner);
  const found = nothingFound();
  const kinds = new Kinds();
  const attributes = new MemoryAttributes();
  let objects = 0;
  scanner.elements(root, (child) => {
    if (child.name === "object") {
      if (++objects > 1) throw scanner.fail("a second object around all", child.at);
      new ObjectReader(scanner, format, found).root(child);
    } else if (child.name === "distances2") {
      const matrix = readDistances2(child, scanner);
      if (matrix !== undefined) found.matrices.push(matrix);
    } else if (child.name === "memattr") {
      attributes.read(child, scanner);
    } else if (child.name === "cpukind") {
      kinds.read(child, scanner);
    } else {
      version(child, found);
      scanner.skip(child);
    }
  });
  scanner.end();
  if (objects === 0) throw scanner.fail("a <topology> without objects", root.at);
  if (found.nodes.length === 0) addNode(found, format, scanner, root);
  const values = attributes.values(found);
  nameMemory(found, values);
  return snapshotOf(found, kinds, values, scanner);
}

function formatOf(root: Element, scanner: Scanner): number {
  if (root.name !== "topology") {
    throw scanner.fail(`<${root.name}>, where hwloc writes <topology>`, root.at);
  }
  const version = root.attributes.get("version") ?? "1.0";
  const [, major] = /^(\d{1,3})\.\d{1,3}$/.exec(version) ?? [];
  if (major !== undefined && Number(major) >= 1 && Number(major) <= MAX_FORMAT) {
    return Number(major);
  }
  const fix = major === undefined
    ? undefined
    : "With an older hwloc, or lstopo's export flags, another can be written.";
  throw scanner.fail(
    `format ${JSON.stringify(version.slice(0, 40))}, and numakit reads 1 to ${MAX_FORMAT}`,
    root.at,
    fix,
  );
}

/** Format 3 has what wrote the file beside the objects. */
function version({ name, attributes }: Element, found: Found): void {
  if (name === "info" && attributes.get("name") === "hwlocVersion") {
    found.version ??= attributes.get("value");
  }
}

/** In format 1 a machine without NUMA has no node. */
function addNode(found: Found, format: number, scanner: Scanner, root: Element): void {
  if (format > 1) throw scanner.fail("a machine without NUMANode", root.at);
  const { bytes, cpus } = found;
  const unknown = { object: undefined, subtype: undefined, dax: undefined };
  found.nodes.push({ at: root.at, id: 0, cpus, bytes: bytes || undefined, ...unknown });
}

/** The matrix that firmware and kernel tell, where there are others, without nodes that the machine has not. */
function matrixOf({ matrices, nodeIds, nodes }: Found): FoundMatrix | undefined {
  const ids = nodes.map(({ id }) => id);
  const known: FoundMatrix[] = [];
  for (const { at, name, nodes: listed, values } of matrices) {
    const all = listed ?? nodeIds;
    const width = Math.sqrt(values.length);
    const kept = [...all.keys()].filter((index) => ids.includes(all[index]!));
    if (all.length !== width || kept.length < 2) continue;
    known.push({
      at,
      name,
      nodes: kept.map((index) => all[index]!),
      values: kept.flatMap((row) => kept.map((column) => values[row * width + column]!)),
    });
  }
  return known.find(({ name }) => name === "NUMALatency") ?? known[0];
}

function snapshotOf(
  found: Found,
  kinds: Kinds,
  values: readonly FoundValue[],
  scanner: Scanner,
): TopologySnapshot {
  const { caches, cores, cpus, dies, nodes, packages } = found;
  const matrix = matrixOf(found);
  const rank = kinds.rank();
  const listed = <T extends { readonly cpus: bigint }>(part: T) => ({
    ...part,
    cpus: listOf(part.cpus),
  });
  const description = {
    hwloc: found.version ?? "unknown",
    source: "xml",
    cpus: listOf(cpus),
    allowedCpus: listOf(found.allowedCpus & cpus),
    allowedNodes: listOf(found.allowedNodes & nodeSet(found)),
    nodes: nodes.map(listed),
    packages: packages.map(listed),
    dies: dies.map(listed),
    caches: caches.map(listed),
    cores: cores.map((core) => ({ ...listed(core), kind: rank(core.cpus) })),
    ...(matrix === undefined
      ? {}
      : { distances: { nodes: matrix.nodes ?? [], values: matrix.values } }),
    attributes: values.map((value) => ({
      ...value,
      initiator: value.initiator === undefined ? undefined : listOf(value.initiator),
    })),
  };
  const parts: Readonly<Record<string, readonly { readonly at: number }[]>> = {
    nodes,
    packages,
    dies,
    caches,
    cores,
    attributes: values,
  };
  const reject: Reject = (why) => {
    const [, list, index] = /^(\w+)\[(\d+)\]/.exec(why) ?? [];
    return scanner.fail(why, parts[list ?? ""]?.[Number(index)]?.at ?? matrix?.at ?? 0);
  };
  return makeSnapshot(description, null, reject);
}
