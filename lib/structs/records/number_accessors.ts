/**
 * Accessors of numbers, a class for each type of element.
 *
 * The classes are alike to the letter, but for their typed array (`tests/house/hot_methods_test.ts` compares them):
 * engines compile a method for the arrays that it has seen, so that one method for all types would be slow for each of
 * them.
 *
 * One check of the index is enough. A view begins with the field of the first record, and ends with that of the last
 * one:
 *
 * ```
 *   memory | id - | x | id - | x | id - | x |       stride: 2 elements of x
 *   view          | x |   -  | x |   -  | x |       length: (records - 1) * stride + 1
 * ```
 *
 * So an index is a record's if and only if `index * stride` is below the view's length. That is 0 once the memory is
 * gone. What is no whole number from 0 to 2^32 - 1 changes under `>>> 0`.
 *
 * @module
 */
import { type FieldMemory, FieldRefusals, type StructAccessor } from "./accessors.ts";

const NUMBER = "Give a number.";
const BIGINT = "Give a bigint.";

/** Signed 8-bit numbers. */
export class Int8Accessor implements StructAccessor<number> {
  readonly #view: Int8Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Int8Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Int8Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** Unsigned 8-bit numbers. */
export class Uint8Accessor implements StructAccessor<number> {
  readonly #view: Uint8Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Uint8Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Uint8Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** Signed 16-bit numbers. */
export class Int16Accessor implements StructAccessor<number> {
  readonly #view: Int16Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Int16Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Int16Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** Unsigned 16-bit numbers. */
export class Uint16Accessor implements StructAccessor<number> {
  readonly #view: Uint16Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Uint16Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Uint16Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** Signed 32-bit numbers. */
export class Int32Accessor implements StructAccessor<number> {
  readonly #view: Int32Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Int32Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Int32Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** Unsigned 32-bit numbers. */
export class Uint32Accessor implements StructAccessor<number> {
  readonly #view: Uint32Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Uint32Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Uint32Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** 32-bit floats. */
export class Float32Accessor implements StructAccessor<number> {
  readonly #view: Float32Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Float32Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Float32Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** 64-bit floats. */
export class Float64Accessor implements StructAccessor<number> {
  readonly #view: Float64Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / Float64Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new Float64Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): number {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as number;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: number): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "number") this.#refuse.value(value, NUMBER);
  }
}

/** Signed 64-bit numbers, as bigints. */
export class BigInt64Accessor implements StructAccessor<bigint> {
  readonly #view: BigInt64Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / BigInt64Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new BigInt64Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): bigint {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as bigint;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: bigint): void {
    if (typeof value !== "bigint") this.#refuse.value(value, BIGINT);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "bigint") this.#refuse.value(value, BIGINT);
  }
}

/** Unsigned 64-bit numbers, as bigints. */
export class BigUint64Accessor implements StructAccessor<bigint> {
  readonly #view: BigUint64Array;
  readonly #stride: number;
  readonly #refuse: FieldRefusals;

  constructor(memory: FieldMemory) {
    const { buffer, byteOffset, stride, length } = memory;
    this.#stride = (stride / BigUint64Array.BYTES_PER_ELEMENT) | 0;
    this.#view = new BigUint64Array(buffer, byteOffset, (length - 1) * this.#stride + 1);
    this.#refuse = new FieldRefusals(memory);
  }

  get(index: number): bigint {
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) return view[at] as bigint;
    }
    return this.#refuse.read(index);
  }

  set(index: number, value: bigint): void {
    if (typeof value !== "bigint") this.#refuse.value(value, BIGINT);
    const view = this.#view;
    if (typeof index === "number" && (index >>> 0) === index) {
      const at = index * this.#stride;
      if (at < view.length) {
        view[at] = value;
        return;
      }
    }
    this.#refuse.write(index);
  }

  check(value: unknown): void {
    if (typeof value !== "bigint") this.#refuse.value(value, BIGINT);
  }
}
