/**
 * Distances between nodes: `<distances2>` of formats 2 and 3, with the nodes' ids and whole numbers, and `<distances>`
 * of format 1, with factors of a base, for all nodes in the order of the file.
 *
 * @module
 */
import { Attributes } from "./attributes.ts";
import type { FoundMatrix } from "./found.ts";
import type { Element, Scanner } from "./scan.ts";

/** A matrix of latencies, among the bits of `kind`. */
const LATENCY = 4;
/** What hwloc multiplies latencies of format 1 with that are no whole numbers. */
const SCALE = 1000;

function numbers(text: string, attributes: Attributes): number[] {
  return text.split(/\s+/).filter((word) => word !== "").map((word) => {
    const value = Number(word);
    if (/^\d+$/.test(word) && Number.isSafeInteger(value)) return value;
    throw attributes.fail(`${JSON.stringify(word.slice(0, 40))} is not a whole number`);
  });
}

/**
 * Reads distances of formats 2 and 3.
 *
 * @param element The element.
 * @param scanner Where it is.
 * @returns They; undefined where they are not latencies between nodes.
 * @throws {NumaError} `EINVAL`.
 */
export function readDistances2(element: Element, scanner: Scanner): FoundMatrix | undefined {
  const attributes = new Attributes(element, scanner);
  const count = attributes.number("nbobjs");
  const kind = attributes.number("kind");
  if (!count || !kind) throw attributes.fail(`<${element.name}> without nbobjs or kind`);
  const ofNodes = attributes.required("type").toLowerCase() === "numanode" &&
    attributes.text("indexing") === "os";
  if (!ofNodes || kind % (2 * LATENCY) < LATENCY) {
    scanner.skip(element);
    return undefined;
  }
  const lists: Record<string, number[]> = { indexes: [], u64values: [] };
  scanner.elements(element, (child) => {
    const list = lists[child.name];
    const text = scanner.children(child, (inner) => scanner.skip(inner));
    if (list === undefined && child.name !== "info") {
      throw scanner.fail(`<${child.name}> in <${element.name}>`, child.at);
    }
    for (const value of list === undefined ? [] : numbers(text, attributes)) list!.push(value);
  });
  const { indexes: nodes, u64values: values } = lists as { indexes: number[]; u64values: number[] };
  if (nodes.length !== count || values.length !== count * count) {
    throw attributes.fail(
      `distances of ${count} nodes with ${nodes.length} ids and ${values.length} values`,
    );
  }
  return { at: element.at, name: attributes.text("name"), nodes, values };
}

/**
 * Reads distances of format 1.
 *
 * @param element The element.
 * @param scanner Where it is.
 * @returns They, without ids; undefined where they say nothing.
 * @throws {NumaError} `EINVAL`.
 */
export function readDistances1(element: Element, scanner: Scanner): FoundMatrix | undefined {
  const attributes = new Attributes(element, scanner);
  const count = attributes.number("nbobjs") ?? 0;
  const base = Math.fround(Number(attributes.text("latency_base") ?? 0));
  const values: number[] = [];
  scanner.elements(element, (child) => {
    if (child.name !== "latency") throw scanner.fail(`<${child.name}> in <distances>`, child.at);
    const text = new Attributes(child, scanner).required("value");
    const value = Math.fround(Math.fround(Number(text)) * base);
    if (!(value >= 0 && value <= 0xffff_ffff)) {
      throw scanner.fail(`the latency ${JSON.stringify(text.slice(0, 40))}`, child.at);
    }
    values.push(value);
    scanner.skip(child);
  });
  if (!count || !base || !attributes.number("relative_depth")) return undefined;
  if (values.length !== count * count) {
    throw attributes.fail(`distances of ${count} objects with ${values.length} values`);
  }
  const whole = values.every((value) => value % 1 <= 0.001 || value % 1 >= 0.999);
  return {
    at: element.at,
    name: undefined,
    nodes: undefined,
    values: values.map((value) => whole ? Math.floor(value + 0.5) : Math.floor(value * SCALE)),
  };
}
