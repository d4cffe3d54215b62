/**
 * What the header of a part's arena says of the array that it belongs to, so that an edited handle makes no other array of
 * it. In the header, because the elements take the whole of the arena's data: with hugepages, a few bytes more would be a
 * page more.
 *
 * ```
 *   | magic | identity of the first part | parts and which of them | type | length | block |    64-bit floats
 * ```
 *
 * @module
 */
import type { Arena } from "../arena/arena.ts";
import { identityOf } from "../arena/identity.ts";
import { NOTE_BYTES, NOTE_OFFSET } from "../mapping/layout.ts";
import { ELEMENT_TYPES, type NodeArrayElementType } from "./elements.ts";

/** "ARAY" and a version. */
const MAGIC = 0xa2a9_0001;

/** What a handle has to say as the memory does. */
export interface ArrayFacts {
  /** The type of the elements. */
  readonly type: NodeArrayElementType;
  /** The number of elements in all parts. */
  readonly length: number;
  /** The number of elements in a block. */
  readonly block: number;
}

function noteOf(arena: Arena): Float64Array<ArrayBuffer> {
  return new Float64Array(arena.view(0, 0).buffer, NOTE_OFFSET, NOTE_BYTES / 8);
}

function numbersOf(arenas: readonly Arena[], part: number, facts: ArrayFacts): readonly number[] {
  const family = identityOf(arenas[0] as Arena);
  const place = arenas.length * 65_536 + part;
  return [MAGIC, family, place, ELEMENT_TYPES.indexOf(facts.type), facts.length, facts.block];
}

/**
 * Notes what new arenas are the parts of. Once, before any other thread sees them.
 *
 * @param arenas The arenas of all parts.
 * @param facts The array.
 */
export function noteParts(arenas: readonly Arena[], facts: ArrayFacts): void {
  for (const [part, arena] of arenas.entries()) noteOf(arena).set(numbersOf(arenas, part, facts));
}

/**
 * Whether an arena is a certain part of an array.
 *
 * @param arenas The arenas of all parts, from a handle that anybody may have written.
 * @param part Which part.
 * @param facts The array, as that handle has it.
 * @returns Whether its note says the same.
 */
export function isPart(arenas: readonly Arena[], part: number, facts: ArrayFacts): boolean {
  const note = noteOf(arenas[part] as Arena);
  return numbersOf(arenas, part, facts).every((number, index) => note[index] === number);
}
