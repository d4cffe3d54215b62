import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Arena, ArenaMark } from "../../mod.ts";
import { throwsCode } from "./errors.ts";

/** The allocator of each type of element, by its method. */
const TYPES = {
  allocInt8: Int8Array,
  allocUint8: Uint8Array,
  allocInt16: Int16Array,
  allocUint16: Uint16Array,
  allocInt32: Int32Array,
  allocUint32: Uint32Array,
  allocFloat32: Float32Array,
  allocFloat64: Float64Array,
  allocBigInt64: BigInt64Array,
  allocBigUint64: BigUint64Array,
} as const;
type TypedMethod = keyof typeof TYPES;

/** What one can do to an arena. */
export type ArenaStep =
  | { readonly act: "alloc"; readonly size: number }
  | { readonly act: "align"; readonly size: number; readonly log: number }
  | { readonly act: "array"; readonly method: TypedMethod; readonly length: number }
  | { readonly act: "grow"; readonly size: number }
  | { readonly act: "rewind"; readonly pick: number }
  | { readonly act: "rest"; readonly but: number }
  | { readonly act: "mark" | "reset" | "trim" | "unclaim" | "refused" };

const sizes = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 1, max: 70_000 }),
  fc.integer({ min: 1, max: 2 ** 21 }),
);

/** Any of them: allocations most of the time. */
export const arenaStep: fc.Arbitrary<ArenaStep> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ act: fc.constant("alloc" as const), size: sizes }) },
  {
    weight: 3,
    arbitrary: fc.record({
      ...{ act: fc.constant("align" as const), size: sizes, log: fc.integer({ min: 4, max: 12 }) },
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constant("array" as const),
      method: fc.constantFrom(...Object.keys(TYPES) as TypedMethod[]),
      length: fc.integer({ min: 1, max: 5000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant("grow" as const),
      size: fc.integer({ min: 1, max: 2 ** 20 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ act: fc.constant("rewind" as const), pick: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      act: fc.constant("rest" as const),
      but: fc.constantFrom(-1, 0, 0, 1, 15, 16),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      act: fc.constantFrom("mark" as const, "reset", "trim", "unclaim", "refused"),
    }),
  },
);

/** Bytes of two views are the same. */
export function sameBytes(seen: Uint8Array, wanted: Uint8Array, what: string): void {
  // Much faster than deepEqual, which is for reading the difference.
  if (Buffer.compare(seen, wanted) === 0) return;
  const at = seen.findIndex((byte, index) => byte !== wanted[index]);
  assert.fail(`${what}: byte ${at} is ${seen[at]}, not ${wanted[at]}`);
}

/**
 * What an arena has to be: a number that says how much is given out, one that says how much has pages, and plain memory
 * in which every byte is what was last written there, or zero.
 */
export class ArenaModel {
  readonly #arena: Arena;
  readonly #pageBytes: number;
  readonly #shadow: Uint8Array;
  readonly #marks: ArenaMark[] = [];
  /** Whether other processes have it, too: it stays as it is. */
  readonly #fixed: boolean;
  #top = 0;
  #committed: number;
  #stamp = 0;

  constructor(arena: Arena, { fixed = false }: { readonly fixed?: boolean } = {}) {
    this.#arena = arena;
    this.#pageBytes = arena.pages === "4k" ? 4096 : 2 ** 21;
    this.#shadow = new Uint8Array(arena.capacity);
    this.#fixed = fixed;
    this.#committed = arena.committed;
  }

  /** Does a step to both, and compares their figures. */
  step(step: ArenaStep): void {
    this.#do(step);
    const { used, remaining, committed, capacity } = this.#arena;
    assert.deepEqual(
      { used, remaining, committed, capacity },
      {
        used: this.#top,
        remaining: this.#shadow.length - this.#top,
        committed: this.#committed,
        capacity: this.#shadow.length,
      },
      step.act,
    );
  }

  /** Compares every byte, and asks the kernel for every page. */
  finish(): void {
    const arena = this.#arena;
    sameBytes(arena.bytes, this.#shadow.subarray(0, this.#committed), "all of it");
    const { nodes, pages, absent, pageBytes } = arena.residency();
    assert.equal(pages * pageBytes, this.#committed);
    assert.deepEqual([[...nodes], absent], [pages === 0 ? [] : [[arena.node, pages]], 0]);
  }

  #do(step: ArenaStep): void {
    const arena = this.#arena;
    switch (step.act) {
      case "alloc":
        return this.#take(step.size, 16, () => arena.alloc(step.size));
      case "align": {
        const alignment = 2 ** step.log;
        return this.#take(step.size, alignment, () => arena.allocAligned(step.size, alignment));
      }
      case "rest": {
        const size = Math.max(1, this.#shadow.length - this.#top - step.but);
        return this.#take(size, 16, () => arena.alloc(size));
      }
      case "array":
        return this.#takeArray(step.method, step.length);
      case "grow":
        return this.#grow(step.size);
      case "trim":
        return this.#trim();
      case "mark":
        this.#marks.push(arena.mark());
        return assert.equal(this.#marks.at(-1), this.#top);
      case "rewind":
        return this.#rewind(this.#marks[step.pick % Math.max(1, this.#marks.length)]);
      case "reset":
        arena.reset();
        this.#top = 0;
        return;
      case "unclaim":
        return arena.unclaim();
      case "refused":
        return this.#refuse();
    }
  }

  #take(size: number, alignment: number, take: () => number): void {
    const offset = Math.ceil(this.#top / alignment) * alignment;
    const end = offset + size;
    if (end > this.#shadow.length) return throwsCode(take, "ENOMEM", /remain/);
    assert.equal(take(), offset);
    this.#top = Math.ceil(end / 16) * 16;
    const { committed } = this.#arena;
    if (end <= this.#committed) assert.equal(committed, this.#committed, "it grew without need");
    assert.ok(committed >= this.#top && committed % this.#pageBytes === 0, `${committed} of it`);
    this.#committed = committed;
    const [bytes, shadow] = [this.#arena.view(offset, size), this.#shadow.subarray(offset, end)];
    sameBytes(bytes, shadow, "what was given out");
    this.#stamp = (this.#stamp + 1) & 255;
    bytes.fill(this.#stamp);
    shadow.fill(this.#stamp);
  }

  #takeArray(method: TypedMethod, length: number): void {
    const type = TYPES[method];
    this.#take(length * type.BYTES_PER_ELEMENT, 16, () => {
      const view = this.#arena[method](length);
      assert.ok(view instanceof type && view.length === length, method);
      const { buffer, byteOffset } = this.#arena.bytes;
      assert.equal(view.buffer, buffer);
      return view.byteOffset - byteOffset;
    });
  }

  #pagesFor(bytes: number): number {
    return Math.ceil(bytes / this.#pageBytes) * this.#pageBytes;
  }

  #grow(size: number): void {
    const grow = (): number => this.#arena.grow(size);
    const wanted = this.#pagesFor(this.#committed + size);
    if (this.#fixed) return throwsCode(grow, "ENOTSUP");
    if (wanted > this.#shadow.length) return throwsCode(grow, "ENOMEM", /are reserved/);
    assert.equal(grow(), wanted);
    this.#committed = wanted;
  }

  #trim(): void {
    const trim = (): number => this.#arena.trim();
    const kept = this.#pagesFor(this.#top);
    if (this.#fixed && kept < this.#committed) return throwsCode(trim, "ENOTSUP");
    assert.equal(trim(), this.#committed - kept);
    this.#committed = kept;
    // What comes back is new.
    this.#shadow.fill(0, kept);
  }

  #rewind(mark = 0 as ArenaMark): void {
    if (mark > this.#top) return throwsCode(() => this.#arena.rewind(mark), "EINVAL", /the mark/);
    this.#arena.rewind(mark);
    this.#top = mark;
  }

  /** What is refused changes nothing, which the comparison after the step tells. */
  #refuse(): void {
    const arena = this.#arena;
    for (const size of [0, -1, 0.5, NaN]) throwsCode(() => arena.alloc(size), "EINVAL");
    for (const alignment of [0, 8, 48, 2 * this.#pageBytes]) {
      throwsCode(() => arena.allocAligned(1, alignment), "EINVAL");
    }
    for (const size of [this.#shadow.length + 1, 2 ** 32, 2 ** 36]) {
      throwsCode(() => arena.alloc(size), "ENOMEM");
    }
    throwsCode(() => arena.allocFloat64(0), "EINVAL");
    throwsCode(() => arena.rewind(this.#top + 16 as ArenaMark), "EINVAL");
    throwsCode(() => arena.view(this.#shadow.length, 1), "EINVAL");
  }
}
