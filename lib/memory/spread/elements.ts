import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";

/** The typed array for each type of element. */
export interface NodeArrayElementViews {
  /** Signed 8-bit numbers. */
  readonly int8: Int8Array<ArrayBuffer>;
  /** Bytes. */
  readonly uint8: Uint8Array<ArrayBuffer>;
  /** Signed 16-bit numbers. */
  readonly int16: Int16Array<ArrayBuffer>;
  /** Unsigned 16-bit numbers. */
  readonly uint16: Uint16Array<ArrayBuffer>;
  /** Signed 32-bit numbers. */
  readonly int32: Int32Array<ArrayBuffer>;
  /** Unsigned 32-bit numbers. */
  readonly uint32: Uint32Array<ArrayBuffer>;
  /** 32-bit floats. */
  readonly float32: Float32Array<ArrayBuffer>;
  /** 64-bit floats. */
  readonly float64: Float64Array<ArrayBuffer>;
  /** Signed 64-bit numbers, as bigints. */
  readonly bigint64: BigInt64Array<ArrayBuffer>;
  /** Unsigned 64-bit numbers, as bigints. */
  readonly biguint64: BigUint64Array<ArrayBuffer>;
}

/** The types of elements. */
export type NodeArrayElementType = keyof NodeArrayElementViews;

/** What an element of a type is in JavaScript. */
export type NodeArrayElement<Type extends NodeArrayElementType> =
  NodeArrayElementViews[Type][number];

/** A constructor of typed arrays. */
export interface ViewConstructor<Type extends NodeArrayElementType> {
  /** Makes one of its own memory. */
  new (length: number): NodeArrayElementViews[Type];
  /** Makes one over a part of a buffer. */
  new (buffer: ArrayBuffer, byteOffset: number, length: number): NodeArrayElementViews[Type];
  /** Bytes an element. */
  readonly BYTES_PER_ELEMENT: number;
}

const CONSTRUCTORS: { readonly [Type in NodeArrayElementType]: ViewConstructor<Type> } = {
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  float32: Float32Array,
  float64: Float64Array,
  bigint64: BigInt64Array,
  biguint64: BigUint64Array,
};

/** The names of the types. Arrays keep a type as its index here. */
export const ELEMENT_TYPES: readonly NodeArrayElementType[] = /* @__PURE__ */ Object.keys(
  CONSTRUCTORS,
) as NodeArrayElementType[];

/**
 * The typed array of a type of element.
 *
 * @param type The type, from a caller.
 * @param action What was asked, as it follows "Cannot".
 * @returns Its constructor.
 * @throws {NumaError} `EINVAL`.
 */
export function viewConstructor<Type extends NodeArrayElementType>(
  type: Type,
  action: string,
): ViewConstructor<Type> {
  if (typeof type === "string" && Object.hasOwn(CONSTRUCTORS, type)) return CONSTRUCTORS[type];
  throw new NumaError("EINVAL", action, {
    why: `the type is ${show(type)}`,
    fix: `Give one of ${ELEMENT_TYPES.join(", ")}.`,
  });
}
