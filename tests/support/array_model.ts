import assert from "node:assert/strict";
import fc from "fast-check";
import type {
  NodeArray,
  NodeArrayElement,
  NodeArrayElementType,
  NodeArrayElementViews,
  NodeArrayPart,
} from "../../mod.ts";
import { viewConstructor } from "../../lib/memory/spread/elements.ts";

type AnyArray = NodeArray<NodeArrayElementType>;
type AnyElement = NodeArrayElement<NodeArrayElementType>;

/** What one can do to an array. */
export interface ArrayStep {
  readonly act: "set" | "setPart" | "fill" | "copyFrom" | "compare";
  readonly pick: number;
  readonly count: number;
  readonly value: number;
}

/** Any of them. */
export const arrayStep: fc.Arbitrary<ArrayStep> = fc.record({
  act: fc.constantFrom("set" as const, "set", "setPart", "setPart", "fill", "copyFrom", "compare"),
  pick: fc.nat(),
  count: fc.nat({ max: 500 }),
  value: fc.oneof(fc.double(), fc.integer()),
});

/** A shape of an array. */
export interface ArrayShape {
  readonly type: NodeArrayElementType;
  readonly length: number;
  readonly layout: "blocked" | "cyclic";
  readonly block: number;
}

/** Any shape: of some pages at most, so that blocks fall on all sides of them. */
export const arrayShape: fc.Arbitrary<ArrayShape> = fc.record({
  type: fc.constantFrom<NodeArrayElementType>(
    ...["int8", "uint8", "int16", "uint16", "int32", "uint32"] as const,
    ...["float32", "float64", "bigint64", "biguint64"] as const,
  ),
  length: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 3000 })),
  layout: fc.constantFrom("blocked" as const, "cyclic"),
  block: fc.oneof(fc.constantFrom(1, 64, 512), fc.integer({ min: 1, max: 700 })),
});

/** What an array over nodes has to be: an ordinary one, and a place for each index. */
export class ArrayModel {
  readonly #array: AnyArray;
  readonly #plain: NodeArrayElementViews[NodeArrayElementType];
  readonly #isBig: boolean;

  /** Begins with a fresh array; blocks are dealt out to its parts one by one. */
  constructor(array: AnyArray, { type, length, layout, block }: ArrayShape) {
    this.#array = array;
    this.#plain = new (viewConstructor(type, "test"))(length);
    this.#isBig = type.startsWith("big");
    const { nodes } = array;
    const size = layout === "blocked" ? Math.ceil(length / nodes.length) : block;
    assert.deepEqual([array.type, array.length, array.block], [type, length, size]);
    const lengths = nodes.map(() => 0);
    for (let index = 0, part = 0; index < length; index++) {
      if (index > 0 && index % size === 0) part = (part + 1) % nodes.length;
      const offset = lengths[part] as number;
      lengths[part] = offset + 1;
      assert.deepEqual(array.partitionOf(index), { part, node: nodes[part], offset });
      assert.equal(array.globalIndexOf(part, offset), index);
    }
    assert.deepEqual(
      array.partitions().map(({ part, node, view }) => ({ part, node, length: view.length })),
      nodes.map((node, part) => ({ part, node, length: lengths[part] })),
    );
  }

  /** Does a step to both. */
  step({ act, pick, count, value }: ArrayStep): void {
    const [array, plain] = [this.#array, this.#plain];
    const element = this.#element(value) as never;
    const index = pick % plain.length;
    if (act === "set") {
      array.set(index, element);
      plain[index] = element;
    } else if (act === "setPart") {
      const { part, offset } = array.partitionOf(index);
      (array.partitions()[part] as NodeArrayPart).view[offset] = element;
      plain[index] = element;
    } else if (act === "fill") {
      array.fill(element);
      plain.fill(element);
    } else if (act === "copyFrom") {
      const length = Math.min(count, plain.length - index);
      const source = this.#isBig
        ? BigInt64Array.from({ length }, (_, at) => BigInt(at) - 3n)
        : Float64Array.from({ length }, (_, at) => at * 1.5 + value);
      array.copyFrom(source, index);
      plain.set(source as never, index);
    } else this.finish();
    assert.ok(Object.is(array.get(index), plain[index]), `element ${index} after ${act}`);
  }

  /** Compares every element, one by one and all at once. */
  finish(): void {
    const [array, plain] = [this.#array, this.#plain];
    assert.deepEqual(array.toTypedArray(), plain);
    for (let index = 0; index < plain.length; index++) {
      if (!Object.is(array.get(index), plain[index])) assert.fail(`element ${index}`);
    }
  }

  #element(value: number): AnyElement {
    if (!this.#isBig) return value;
    return Number.isFinite(value) ? BigInt(Math.trunc(value)) : 2n ** 70n + 1n;
  }
}
