/**
 * What objects of the language are, and not what they claim to be: `instanceof` also holds of proxies and of objects that
 * only have the prototype, and methods throw a TypeError for those.
 *
 * @module
 */

const TypedArray = /* @__PURE__ */ Object.getPrototypeOf(Int32Array) as {
  readonly prototype: object;
};
const nameOf = /* @__PURE__ */ getter(TypedArray.prototype, Symbol.toStringTag);
const trueBuffer = /* @__PURE__ */ getter(TypedArray.prototype, "buffer");
const trueOffset = /* @__PURE__ */ getter(TypedArray.prototype, "byteOffset");
const trueBytes = /* @__PURE__ */ getter(TypedArray.prototype, "byteLength");
const trueLength = /* @__PURE__ */ getter(TypedArray.prototype, "length");
const ownBytes = /* @__PURE__ */ getter(ArrayBuffer.prototype, "byteLength");
const sharedBytes = /* @__PURE__ */ getter(SharedArrayBuffer.prototype, "byteLength");

function getter(prototype: object, name: PropertyKey): () => unknown {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as () => unknown;
}

/**
 * Whether something is an Int32Array.
 *
 * @param value Anything.
 * @returns Whether it is.
 */
export function isInt32Array(value: unknown): value is Int32Array {
  return nameOf.call(value) === "Int32Array";
}

/**
 * What a typed array is.
 *
 * @param value Anything.
 * @returns The name of its class, `"Float64Array"` say; undefined where it is no typed array.
 */
export function typedArrayName(value: unknown): string | undefined {
  return nameOf.call(value) as string | undefined;
}

/**
 * The memory of a typed array as 32-bit words, whatever its own properties say of it.
 *
 * @param value A typed array whose elements have 32 or 64 bits.
 * @returns Its words.
 */
export function typedArrayWords(value: object): Int32Array {
  const bytes = trueBytes.call(value) as number;
  const buffer = trueBuffer.call(value) as ArrayBuffer;
  // A buffer that was transferred away, or shrunk, has no place for it.
  return bytes === 0
    ? new Int32Array(0)
    : new Int32Array(buffer, trueOffset.call(value) as number, bytes / 4);
}

/**
 * Whether something is a Uint8Array, or one with more methods such as a Buffer of Node.
 *
 * @param value Anything.
 * @returns Whether it is.
 */
export function isUint8Array(value: unknown): value is Uint8Array {
  return nameOf.call(value) === "Uint8Array";
}

/**
 * The length of a typed array, whatever its class or the object itself says: it is what methods and indices go by.
 *
 * @param array A typed array.
 * @returns Its number of elements.
 */
export function lengthOf(array: Int32Array | Uint8Array | Float64Array | Uint32Array): number {
  return trueLength.call(array) as number;
}

/**
 * A part of an array of bytes, whatever its class or the object itself says.
 *
 * @param bytes The array.
 * @param from Where the part begins.
 * @param length How long it is: not beyond the end.
 * @returns A view of it.
 */
export function partOf(bytes: Uint8Array, from: number, length: number): Uint8Array {
  const offset = trueOffset.call(bytes) as number;
  return new Uint8Array(trueBuffer.call(bytes) as ArrayBuffer, offset + from, length);
}

/**
 * Whether something is an ArrayBuffer.
 *
 * @param value Anything.
 * @returns Whether it is, also if it was transferred away.
 */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  // In this order: of a revoked proxy nothing may be asked.
  return hasGetter(value, ownBytes) && value instanceof ArrayBuffer;
}

/**
 * Whether something is a SharedArrayBuffer.
 *
 * @param value Anything.
 * @returns Whether it is.
 */
export function isSharedArrayBuffer(value: unknown): value is SharedArrayBuffer {
  return hasGetter(value, sharedBytes) && value instanceof SharedArrayBuffer;
}

/**
 * Whether something is an array.
 *
 * @param value Anything: also a revoked proxy, of which `Array.isArray` throws.
 * @returns Whether it is.
 */
export function isList(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false;
  }
}

/** Whether a getter takes something for an object of its class. */
function hasGetter(value: unknown, bytes: () => unknown): boolean {
  try {
    return typeof bytes.call(value) === "number";
  } catch {
    return false;
  }
}
