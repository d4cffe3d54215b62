/**
 * The memories of a structure that has a part in each.
 *
 * @module
 */
import { isInt32Array, isList, isSharedArrayBuffer } from "../base/brand.ts";
import { show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import type { Arena } from "../memory/arena/arena.ts";
import { isArena } from "../memory/arena/identity.ts";
import type { SyncMemory } from "../shared/region.ts";
import { LINE_BYTES } from "../wait/waiter.ts";

/** How many parts a structure may have. */
export const MAX_PARTS = 1024;

/**
 * Takes the list of memories that a caller gave.
 *
 * @param memory The list.
 * @param alone Whether one that is in no list may be given.
 * @param action What was asked, as it follows "Cannot".
 * @returns A list of its own: 1 to {@linkcode MAX_PARTS}.
 * @throws {NumaError} `EINVAL`.
 */
export function memoriesOf(memory: unknown, alone: boolean, action: string): SyncMemory[] {
  const memories: SyncMemory[] = isList(memory)
    ? [...memory] as SyncMemory[]
    : alone
    ? [memory as SyncMemory]
    : [];
  if (memories.length >= 1 && memories.length <= MAX_PARTS) return memories;
  throw new NumaError("EINVAL", action, {
    why: `its memory is ${show(memory)}`,
    fix: `Give ${
      alone ? "one, or " : ""
    }an array of 1 to ${MAX_PARTS}: arenas, or SharedArrayBuffers.`,
  });
}

/** Where a line begins, there or behind that. */
const lineFrom = (bytes: number): number => Math.ceil(bytes / LINE_BYTES) * LINE_BYTES;

/**
 * Checks all memories before anything is taken from one: what an arena gave does not come back, and words in which there is
 * a part are no others' any more.
 *
 * @param memories All memories: arenas may be there more than once.
 * @param sizes The bytes of each part.
 * @param action What was asked, as it follows "Cannot".
 * @returns The memories: of those that are not arenas the words of the parts.
 * @throws {NumaError} `EINVAL` one of the wrong kind or too small; `EBUSY` one that is not all zero, or is there twice, or
 * an arena that another thread allocates from; `ENOMEM` an arena without room for all of its parts; `EDESTROYED`.
 */
export function checkMemories(
  memories: readonly unknown[],
  sizes: readonly number[],
  action: string,
): (Arena | Int32Array)[] {
  const places = memories.map((one, part) =>
    isArena(one) ? one : wordsIn(one, sizes[part] as number, action)
  );
  const ends = new Map<Arena, number>();
  const seen: Int32Array[] = [];
  for (const [part, place] of places.entries()) {
    if (isInt32Array(place)) {
      checkUnused(place, seen, action);
      seen.push(place);
      continue;
    }
    if (!ends.has(place)) place.claim();
    const from = lineFrom(ends.get(place) ?? place.used);
    const end = from + (sizes[part] as number);
    if (end > place.capacity) refuseFull(place, sizes[part] as number, action);
    ends.set(place, end);
  }
  return places;
}

function wordsIn(memory: unknown, bytes: number, action: string): Int32Array {
  const words = isSharedArrayBuffer(memory) && memory.byteLength % 4 === 0
    ? new Int32Array(memory)
    : memory;
  if (!isInt32Array(words)) {
    throw new NumaError("EINVAL", action, {
      why: `the memory of a part is ${show(memory)}`,
      fix: "Give an Arena, a SharedArrayBuffer or an Int32Array.",
    });
  }
  if (words.byteLength < bytes) {
    throw new NumaError("EINVAL", action, {
      why: `a part takes ${bytes} bytes and its memory has ${words.byteLength}`,
      fix: "Give bytes() and create() the same options, and memory of so many bytes.",
    });
  }
  if (words.byteOffset % 8 !== 0) {
    throw new NumaError("EINVAL", action, {
      why: `the memory of a part begins at byte ${words.byteOffset} of a buffer`,
      fix: "Begin at a multiple of eight bytes.",
    });
  }
  return words.subarray(0, bytes / 4);
}

function checkUnused(words: Int32Array, others: readonly Int32Array[], action: string): void {
  const isTwice = others.some((other) =>
    other.buffer === words.buffer && other.byteOffset < words.byteOffset + words.byteLength &&
    words.byteOffset < other.byteOffset + other.byteLength
  );
  // Not with a function for each of what may be millions.
  let at = 0;
  while (at < words.length && words[at] === 0) at++;
  if (!isTwice && at === words.length) return;
  throw new NumaError("EBUSY", action, {
    why: isTwice
      ? "two parts were given the same memory"
      : "the memory of a part is already in use",
    fix: "Give each part memory of its own that is all zero.",
  });
}

function refuseFull(arena: Arena, bytes: number, action: string): never {
  throw new NumaError("ENOMEM", action, {
    why:
      `a part takes ${bytes} bytes, and an arena has ${arena.remaining} left for all of its parts`,
    fix: "Give larger arenas, or a smaller capacity.",
  });
}
