/** Kernels: they score vectors against a query, which is all that takes time. */
import type { NodeArray } from "@numakit/numakit";
import { KERNEL } from "./kernel_wasm.ts";
import { DIMENSIONS } from "./vectors.ts";
import { Instance, Module, type WasmExports, type WasmMemory } from "./wasm.ts";

/** Where the vectors of a node are. */
export type Memory =
  | { readonly kind: "array"; readonly array: NodeArray<"float32">; readonly part: number }
  | { readonly kind: "shared"; readonly buffer: SharedArrayBuffer }
  | { readonly kind: "wasm"; readonly memory: WasmMemory };

/** The scores of a block stay in the cache until they are looked at. */
export const BLOCK = 256;

/** Scores the vectors of a node, for one thread. */
export interface Kernel {
  readonly vectors: Float32Array;
  /** Takes the query. */
  ask(query: Float32Array): void;
  /** Scores up to {@linkcode BLOCK} vectors from one on. The scores are there until the next call. */
  scores(from: number, count: number): Float32Array;
}

const VECTOR_BYTES = DIMENSIONS * 4;

/** How many threads may ever use a memory of WebAssembly. */
const THREADS = 256;
/** What each of them has in it: a query and scores. */
const SCRATCH_BYTES = VECTOR_BYTES + BLOCK * 4;
/** In front of them: how many threads have come, on a cache line of its own. */
const HEADER_BYTES = 64;
/** Where the vectors begin in it. */
const VECTORS_AT = HEADER_BYTES + THREADS * SCRATCH_BYTES;

/** Bytes of a memory of WebAssembly for so many vectors. */
export function wasmBytes(vectors: number): number {
  return VECTORS_AT + vectors * VECTOR_BYTES;
}

function wasmKernel(memory: WasmMemory): Kernel {
  const { buffer } = memory;
  const turn = Atomics.add(new Int32Array(buffer, 0, 1), 0, 1);
  if (turn >= THREADS) throw new Error(`more than ${THREADS} threads have used this memory`);
  const queryAt = HEADER_BYTES + turn * SCRATCH_BYTES;
  const scoresAt = queryAt + VECTOR_BYTES;
  const query = new Float32Array(buffer, queryAt, DIMENSIONS);
  const scores = new Float32Array(buffer, scoresAt, BLOCK);
  const { exports }: { readonly exports: WasmExports } = new Instance(new Module(KERNEL), {
    kernel: { memory },
  });
  return {
    vectors: new Float32Array(buffer, VECTORS_AT),
    ask: (vector) => query.set(vector),
    scores(from: number, count: number): Float32Array {
      exports.scores(VECTORS_AT + from * VECTOR_BYTES, count, queryAt, VECTOR_BYTES, scoresAt);
      return scores;
    },
  };
}

/** The same over a typed array. */
export function arrayKernel(vectors: Float32Array): Kernel {
  const query = new Float32Array(DIMENSIONS);
  const scores = new Float32Array(BLOCK);
  return {
    vectors,
    ask: (vector) => query.set(vector),
    scores(from: number, count: number): Float32Array {
      for (let index = 0; index < count; index++) {
        scores[index] = dot(vectors, (from + index) * DIMENSIONS, query);
      }
      return scores;
    },
  };
}

/** Four sums, for the same reason as in WebAssembly. */
function dot(vectors: Float32Array, from: number, query: Float32Array): number {
  let [a, b, c, d] = [0, 0, 0, 0];
  for (let at = 0; at < DIMENSIONS; at += 4) {
    a += vectors[from + at]! * query[at]!;
    b += vectors[from + at + 1]! * query[at + 1]!;
    c += vectors[from + at + 2]! * query[at + 2]!;
    d += vectors[from + at + 3]! * query[at + 3]!;
  }
  return a + b + c + d;
}

/** The kernel for some memory. */
export function makeKernel(memory: Memory): Kernel {
  if (memory.kind === "wasm") return wasmKernel(memory.memory);
  if (memory.kind === "shared") return arrayKernel(new Float32Array(memory.buffer));
  return arrayKernel(memory.array.partitions()[memory.part]!.view);
}
