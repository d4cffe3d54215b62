/**
 * What is known of the speed of memory: `<memattr name="Bandwidth" flags="5">` with a value for a node, and for each set of
 * CPUs that it was measured from.
 *
 * @module
 */
import { Attributes } from "./attributes.ts";
import type { Found, FoundNode, FoundValue } from "./found.ts";
import type { Element, Scanner } from "./scan.ts";

/** An attribute's flag: its values depend on where they were measured. */
const NEEDS_INITIATOR = 4;
/** hwloc's own, in its order, and their flags. Those of the file come after them. */
const OWN: Readonly<Record<string, number>> = {
  Capacity: 1,
  Locality: 2,
  Bandwidth: 5,
  Latency: 6,
  ReadBandwidth: 5,
  WriteBandwidth: 5,
  ReadLatency: 6,
  WriteLatency: 6,
};
/** Of what tools add, these have a unit that is known. */
const TOLD = /(?:Latency|Bandwidth)$/;

/** A value whose node is known by the number of its object only: attributes may stand before or after objects. */
interface RawValue {
  readonly at: number;
  readonly object: string;
  readonly initiator: bigint | undefined;
  value: number;
}

/** The attributes of a machine's memory. */
export class MemoryAttributes {
  readonly #values = new Map<string, RawValue[]>(Object.keys(OWN).map((name) => [name, []]));

  /**
   * Reads an attribute.
   *
   * @param element The element.
   * @param scanner Where it is.
   * @throws {NumaError} `EINVAL`.
   */
  read(element: Element, scanner: Scanner): void {
    const attributes = new Attributes(element, scanner);
    const name = attributes.required("name");
    const flags = attributes.number("flags");
    if (flags === undefined) throw attributes.fail("<memattr> without flags");
    const known = flags === (OWN[name] ?? flags);
    const values = this.#values.get(name) ?? [];
    this.#values.set(name, values);
    const initiated = Math.floor(flags / NEEDS_INITIATOR) % 2 === 1;
    scanner.elements(element, (child) => {
      if (child.name === "memattr_value") {
        const value = readValue(new Attributes(child, scanner), initiated);
        if (known && value !== undefined) add(values, value);
      } else if (child.name !== "info") {
        throw scanner.fail(`<${child.name}> in <memattr>`, child.at);
      }
      scanner.skip(child);
    });
  }

  /**
   * The values of the machine's nodes.
   *
   * @param found The machine.
   * @returns They, by attribute and node.
   */
  values({ cpus, nodes }: Found): FoundValue[] {
    const all: FoundValue[] = [];
    for (const [name, values] of this.#values) {
      if (!TOLD.test(name)) continue;
      for (const { id, object } of nodes) {
        for (const { at, initiator, value } of values.filter((raw) => raw.object === object)) {
          const near = initiator === undefined ? undefined : initiator & cpus;
          if (near !== 0n) all.push({ at, name, node: id, initiator: near, value });
        }
      }
    }
    return all;
  }
}

function readValue(attributes: Attributes, initiated: boolean): RawValue | undefined {
  const object = attributes.digits("target_obj_gp_index");
  const value = attributes.number("value");
  if (object === undefined || value === undefined) {
    throw attributes.fail("<memattr_value> without target_obj_gp_index or value");
  }
  const initiator = initiated ? attributes.set("initiator_cpuset") : undefined;
  // One that is an object is a device.
  if (initiated && initiator === undefined) return undefined;
  if (attributes.required("target_obj_type").toLowerCase() !== "numanode") return undefined;
  return { at: attributes.element.at, object, initiator, value };
}

/** A value from CPUs for which there is one already takes its place, as in hwloc. */
function add(values: RawValue[], added: RawValue): void {
  const same = values.find(({ object, initiator }) =>
    object === added.object &&
    (initiator === undefined || (added.initiator! & ~initiator) === 0n)
  );
  if (same === undefined) values.push(added);
  else same.value = added.value;
}

/**
 * Names the kind of memory of nodes for which the file has no name, where the driver of the kernel tells it: as hwloc
 * does, memory for specific purposes is HBM where it is twice as fast as all other.
 *
 * @param found The machine, whose nodes are changed.
 * @param values What {@linkcode MemoryAttributes.values} gave.
 */
export function nameMemory({ nodes }: Found, values: readonly FoundValue[]): void {
  const speed = (node: FoundNode): number =>
    values.find(({ name, node: id, initiator }) =>
      name === "Bandwidth" && id === node.id && node.cpus !== 0n &&
      initiator !== undefined && (node.cpus & ~initiator) === 0n
    )?.value ?? 0;
  const kindOf = (node: FoundNode): string =>
    node.subtype === "GPUMemory" ? "GPU" : /^(NVM|SPM)$/.test(node.dax ?? "") ? node.dax! : "";
  const others = nodes.filter((node) => kindOf(node) === "").map(speed);
  const special = nodes.filter((node) => kindOf(node) === "SPM").map(speed);
  const most = Math.max(0, ...others);
  const least = Math.min(...special);
  const fast = most > 0 && special.length > 0 && least > 0 && most * 2 < least;
  for (const node of nodes) {
    const kind = kindOf(node);
    if (kind === "NVM") node.subtype ??= "NVM";
    else if (kind === "SPM") node.subtype ??= fast ? "HBM" : "SPM";
    else if (kind === "" && fast) node.subtype ??= "DRAM";
  }
}
