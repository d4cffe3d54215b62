/**
 * What Slab and NodePool have in common above the heap: the arena under it, ids, and what they say when they refuse.
 *
 * An arena holds the heap's bookkeeping and then the objects:
 *
 * ```
 *   +----------------------------------+------------------------------------------+
 *   | bookkeeping (object_layout.ts)   | objects                                  |
 *   +----------------------------------+------------------------------------------+
 *   0                                  layout.words * 4, a multiple of 64
 * ```
 *
 * @module
 */
import { formatBytes } from "../../base/bytes.ts";
import { show } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { threadAlive, threadSelf } from "../../runtime/thread.ts";
import type { Arena } from "../arena/arena.ts";
import { identityOf } from "../arena/identity.ts";
import { windowBytes } from "../mapping/mapping.ts";
import { WORD_BYTES } from "./config_words.ts";
import { ObjectHeap } from "./object_heap.ts";
import type { ObjectLayout } from "./object_layout.ts";
import type { ObjectHeapOptions } from "./object_options.ts";

/** Bits of an id: few enough that every engine keeps it in a register as a small integer. */
export const ID_BITS = 30;
/** How many threads {@linkcode Slab} and {@linkcode NodePool} have records for by default. */
export const DEFAULT_THREADS = 64;

/** An identity is a serial number times this, and a slot. */
const SLOT_COUNT = 65536;

/** An arena with a heap in it, as one thread sees it. */
export interface ObjectMemory {
  /** The heap. */
  readonly heap: ObjectHeap;
  /** Where the objects are: all of them. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Bytes of the bookkeeping: where the objects begin.
 *
 * @param layout Its layout.
 * @returns A multiple of 64.
 */
export function bookkeepingBytes(layout: ObjectLayout): number {
  return layout.words * WORD_BYTES;
}

/**
 * Refuses what does not fit into one ArrayBuffer.
 *
 * @param bytes Bookkeeping and objects.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EINVAL`.
 */
export function checkWindow(bytes: number, action: string): void {
  if (bytes <= windowBytes()) return;
  throw new NumaError("EINVAL", action, {
    why:
      `it takes ${formatBytes(bytes)} with its bookkeeping, and an ArrayBuffer of this runtime ` +
      `shows at most ${formatBytes(windowBytes())}`,
    fix: "Use several.",
  });
}

/**
 * Opens the heap in an arena.
 *
 * @param arena The arena, at least as large as bookkeeping and objects.
 * @param objectBytes Bytes of the objects.
 * @param options The heap's, but for the calling thread.
 * @returns The heap and the objects.
 */
export function openMemory(
  arena: Arena,
  objectBytes: number,
  options: Omit<ObjectHeapOptions, "self" | "alive">,
): ObjectMemory {
  const start = bookkeepingBytes(options.layout);
  const { buffer, byteOffset } = arena.view(0, start + objectBytes);
  const words = new Int32Array(buffer, byteOffset, options.layout.words);
  const self = threadSelf().identity;
  const heap = new ObjectHeap(words, { ...options, self, alive: threadAlive });
  return { heap, bytes: new Uint8Array(buffer, byteOffset + start, objectBytes) };
}

/**
 * What the ids of one slab or pool are XORed with, so that those of another are out of range here.
 *
 * @param arena Its arena, or first arena.
 * @param bits Bits that its ids need.
 * @returns A number of {@linkcode ID_BITS} bits whose low `bits` are 0. It differs between 2^(30 - bits) arenas that
 * are made one after the other.
 */
export function saltOf(arena: Arena, bits: number): number {
  return Math.floor(identityOf(arena) / SLOT_COUNT) % 2 ** (ID_BITS - bits) * 2 ** bits;
}

/**
 * How many bits numbers below a count need.
 *
 * @param count From 1.
 * @returns From 0.
 */
export function bitsFor(count: number): number {
  return Math.ceil(Math.log2(count));
}

/**
 * Refuses an id.
 *
 * @param id What the caller gave.
 * @param action What was asked, as it follows "Cannot".
 * @param inRange Whether it could be an id of this slab or pool.
 * @throws {NumaError} `EINVAL`.
 */
export function refuseId(id: unknown, action: string, inRange: boolean): never {
  throw new NumaError("EINVAL", action, {
    why: inRange
      ? `${show(id)} is not allocated: it was freed before, or never allocated`
      : `${show(id)} is not an id that alloc() gave here`,
    fix: "Give what alloc() returned, once.",
  });
}

/**
 * Refuses a thread for which there is no record.
 *
 * @param action What was asked, as it follows "Cannot".
 * @param threads How many there are.
 * @throws {NumaError} `EAGAIN`.
 */
export function refuseThread(action: string, threads: number): never {
  throw new NumaError("EAGAIN", action, {
    why: `${threads} live threads use it, and there is no room for one more`,
    fix: "Make it with a larger `threads`, or destroy() it in a thread that is done with it.",
  });
}
