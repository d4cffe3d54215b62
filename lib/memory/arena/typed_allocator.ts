import { checkInteger, show } from "../../base/check.ts";

type TypedArrayConstructor<View> = {
  new (buffer: ArrayBuffer, byteOffset: number, length: number): View;
  readonly BYTES_PER_ELEMENT: number;
  readonly name: string;
};

/** Refuses what is no length, and lets those pass that 31 bits are not enough for. */
function checkLength(length: number, name: string): void {
  checkInteger(length, "length", 1, 2 ** 33, `allocate a ${name} of ${show(length)} elements`);
}

/**
 * The base class of allocators: it makes typed arrays over the allocated bytes.
 *
 * @example
 * ```ts
 * import { Arena, type TypedAllocator } from "@numakit/numakit";
 *
 * const squares = (memory: TypedAllocator, count: number): Float64Array =>
 *   memory.allocFloat64(count).map((_, index) => index * index);
 *
 * using arena = Arena.create({ node: 0, size: "1 MiB" });
 * console.log(squares(arena, 4)); // Float64Array(4) [ 0, 1, 4, 9 ]
 * ```
 */
export abstract class TypedAllocator {
  /** Takes bytes, aligned to 16, and says where they are. */
  protected abstract place(size: number): { buffer: ArrayBuffer; byteOffset: number };

  /** Allocates `length` signed 8-bit numbers. Throws the errors of `alloc`, as all methods below do. */
  allocInt8(length: number): Int8Array<ArrayBuffer> {
    return this.#make(Int8Array, length);
  }

  /** Allocates `length` bytes. */
  allocUint8(length: number): Uint8Array<ArrayBuffer> {
    return this.#make(Uint8Array, length);
  }

  /** Allocates `length` signed 16-bit numbers. */
  allocInt16(length: number): Int16Array<ArrayBuffer> {
    return this.#make(Int16Array, length);
  }

  /** Allocates `length` unsigned 16-bit numbers. */
  allocUint16(length: number): Uint16Array<ArrayBuffer> {
    return this.#make(Uint16Array, length);
  }

  /** Allocates `length` signed 32-bit numbers. */
  allocInt32(length: number): Int32Array<ArrayBuffer> {
    return this.#make(Int32Array, length);
  }

  /** Allocates `length` unsigned 32-bit numbers. */
  allocUint32(length: number): Uint32Array<ArrayBuffer> {
    return this.#make(Uint32Array, length);
  }

  /** Allocates `length` 32-bit floats. */
  allocFloat32(length: number): Float32Array<ArrayBuffer> {
    return this.#make(Float32Array, length);
  }

  /** Allocates `length` 64-bit floats. */
  allocFloat64(length: number): Float64Array<ArrayBuffer> {
    return this.#make(Float64Array, length);
  }

  /** Allocates `length` signed 64-bit numbers. */
  allocBigInt64(length: number): BigInt64Array<ArrayBuffer> {
    return this.#make(BigInt64Array, length);
  }

  /** Allocates `length` unsigned 64-bit numbers. */
  allocBigUint64(length: number): BigUint64Array<ArrayBuffer> {
    return this.#make(BigUint64Array, length);
  }

  #make<View>(constructor: TypedArrayConstructor<View>, length: number): View {
    const isPlain = typeof length === "number" && length > 0 && (length | 0) === length;
    // The text of its error takes longer than all the rest.
    if (!isPlain) checkLength(length, constructor.name);
    const { buffer, byteOffset } = this.place(length * constructor.BYTES_PER_ELEMENT);
    return new constructor(buffer, byteOffset, length);
  }
}
