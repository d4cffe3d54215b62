/** The part of WebAssembly that is used here, as the types of Node do not have it; and a small assembler. */

/** Memory that instances in several threads share. */
export interface WasmMemory {
  readonly buffer: SharedArrayBuffer;
}

/** What the kernel's module exports. */
export interface WasmExports {
  /** Addresses of the vectors, the query and the scores; how many vectors, at least one; bytes of each. */
  scores(vectors: number, count: number, query: number, bytes: number, scores: number): void;
}

interface Assembly {
  readonly Memory: new (
    pages: { readonly initial: number; readonly maximum: number; readonly shared: true },
  ) => WasmMemory;
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { readonly kernel: { readonly memory: WasmMemory } },
  ) => { readonly exports: WasmExports };
}

/** WebAssembly. */
export const { Memory, Module, Instance }: Assembly =
  (globalThis as unknown as { readonly WebAssembly: Assembly }).WebAssembly;

/** Bytes of a page of its memory, the unit of its sizes. */
export const WASM_PAGE = 65_536;
/** The most that a memory of 32-bit addresses has. */
export const MOST_PAGES = 65_536;

/** Bytes of a module. */
export type Code = readonly number[];

/** A number without a sign: seven bits a byte, the lowest ones first (LEB128). */
export function u32(value: number): Code {
  return value < 0x80 ? [value] : [value & 0x7f | 0x80, ...u32(value >>> 7)];
}

/** A number with a sign: as above, and the last byte's highest bit of seven is the sign. */
function s32(value: number): Code {
  const isLast = value >= -0x40 && value < 0x40;
  return isLast ? [value & 0x7f] : [value & 0x7f | 0x80, ...s32(value >> 7)];
}

const join = (parts: readonly Code[]): Code => parts.flat();

/** How many there are, and then all of them. */
export const list = (...items: readonly Code[]): Code => [...u32(items.length), ...join(items)];
/** How many bytes there are, and then all of them. */
export const sized = (...parts: readonly Code[]): Code => {
  const bytes = join(parts);
  return [...u32(bytes.length), ...bytes];
};
/** A name: its ASCII characters. */
export const name = (text: string): Code => sized(Array.from(text, (c) => c.charCodeAt(0)));
/** A section of a module, by its number. */
export const section = (
  id: number,
  ...content: readonly Code[]
): Code => [id, ...sized(...content)];

/** Types. */
export const TYPE = { i32: [0x7f], v128: [0x7b] } as const;
/** Instructions without operands in the code: they take theirs from the stack. */
export const OP = {
  i32Add: [0x6a],
  i32Sub: [0x6b],
  i32Less: [0x49],
  f32Add: [0x92],
  f32x4Add: [0xfd, 0xe4, 0x01],
  f32x4Mul: [0xfd, 0xe6, 0x01],
  end: [0x0b],
} as const;
export const get = (local: number): Code => [0x20, ...u32(local)];
export const set = (local: number): Code => [0x21, ...u32(local)];
/** Sets a local variable, and leaves the value on the stack. */
export const tee = (local: number): Code => [0x22, ...u32(local)];
export const i32 = (value: number): Code => [0x41, ...s32(value)];
/** Loads four floats, at an offset from the address on the stack: 2 ** 4 bytes, aligned. */
export const load4 = (offset: number): Code => [0xfd, 0x00, 4, ...u32(offset)];
/** Four zeros. */
export const zeros: Code = [0xfd, 0x0c, ...new Array<number>(16).fill(0)];
/** One of four floats. */
export const lane = (index: number): Code => [0xfd, 0x1f, index];
/** Stores a float at the address below it on the stack: 2 ** 2 bytes, aligned. */
export const storeFloat: Code = [0x38, 2, 0];
/** Does its body, and again as long as that ends with a number that is not zero. */
export const repeatWhile = (...body: readonly Code[]): Code => [
  ...[0x03, 0x40, ...join(body)],
  // Branches to the innermost loop.
  ...[0x0d, 0, ...OP.end],
];
