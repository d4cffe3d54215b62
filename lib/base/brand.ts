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
const bufferOf = /* @__PURE__ */ getter(TypedArray.prototype, "buffer");
const offsetOf = /* @__PURE__ */ getter(TypedArray.prototype, "byteOffset");
const lengthOf = /* @__PURE__ */ getter(TypedArray.prototype, "byteLength");
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
  const bytes = lengthOf.call(value) as number;
  const buffer = bufferOf.call(value) as ArrayBuffer;
  // A buffer that was transferred away, or shrunk, has no place for it.
  return bytes === 0
    ? new Int32Array(0)
    : new Int32Array(buffer, offsetOf.call(value) as number, bytes / 4);
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
 * Whether something is an ArrayBuffer.
 *
 * @param value Anything.
 * @returns Whether it is, also if it was transferred away.
 */
export function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return value instanceof ArrayBuffer && hasGetter(value, ownBytes);
}

/**
 * Whether something is a SharedArrayBuffer.
 *
 * @param value Anything.
 * @returns Whether it is.
 */
export function isSharedArrayBuffer(value: unknown): value is SharedArrayBuffer {
  return value instanceof SharedArrayBuffer && hasGetter(value, sharedBytes);
}

/** Whether a getter takes an object for one of its class. */
function hasGetter(value: object, bytes: () => unknown): boolean {
  try {
    return typeof bytes.call(value) === "number";
  } catch {
    return false;
  }
}
