/**
 * The memories of a map that has one for each node.
 *
 * Each part is a region of its own. Its first line says which of how many it is, on which node, and what is the same in all:
 * a number that was drawn for this map, so that parts of different ones are not taken for one.
 *
 * ```
 *   line 0      | number | parts | node | seed (64 bits) |
 * ```
 *
 * @module
 */
import { isList } from "../../base/brand.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData } from "../../base/handle.ts";
import { isArena } from "../../memory/arena/identity.ts";
import {
  attachRegion,
  createRegion,
  type Region,
  regionBytes,
  type RegionKind,
  type RegionOptions,
  type SyncMemory,
} from "../../shared/region.ts";
import { checkMemories, MAX_PARTS, memoriesOf } from "../memories.ts";

const NUMBER = 0;
const PARTS = 1;
const NODE = 2;
const SEED = 3;
/**
 * Makes a map's parts.
 *
 * @param kind What is known of its regions.
 * @param memory What the caller gave: one memory, or several.
 * @param options The number of threads, and what the regions keep.
 * @returns The regions, in the order of the memories.
 * @throws {NumaError} `EINVAL`; as {@linkcode createRegion}.
 */
export function createParts(
  kind: RegionKind,
  memory: SyncMemory | readonly SyncMemory[],
  options: RegionOptions,
): Region[] {
  const action = `create ${kind.title}`;
  const memories = memoriesOf(memory, true, action);
  const bytes = regionBytes(kind, options, action);
  // A single one is checked where it is taken.
  if (memories.length > 1) checkMemories(memories, memories.map(() => bytes), action);
  const seed = crypto.getRandomValues(new Int32Array(2));
  return memories.map((one, number) => {
    const region = createRegion(kind, one, options, action);
    const { words } = region;
    words[NUMBER] = number;
    words[PARTS] = memories.length;
    words[NODE] = isArena(one) ? one.node : -1;
    words.set(seed, SEED);
    return region;
  });
}

/**
 * Finds a map's parts again.
 *
 * @param kind What is known of its regions.
 * @param handle What the caller gave.
 * @returns The regions.
 * @throws {NumaError} `EINVAL`; as {@linkcode attachRegion}.
 */
export function attachParts(kind: RegionKind, handle: Handle): Region[] {
  const action = `attach ${kind.title}`;
  const refuse = (): never => {
    throw new NumaError("EINVAL", action, {
      why: `the handle has not the parts of ${kind.title}`,
      fix: "Give what toHandle() returned.",
    });
  };
  const { parts } = handleData(handle, kind.name, action);
  const handles: unknown = parts ?? [handle];
  if (!isList(handles) || handles.length < 1 || handles.length > MAX_PARTS) return refuse();
  // Not by map, which would pass over holes.
  const regions = Array.from(
    handles,
    (one) => attachRegion(kind, handleData(one, kind.name, action), action),
  );
  const [first] = regions as [Region];
  const [low, high] = seedOf(first);
  regions.forEach((region, number) => {
    const { words, option, shape } = region;
    const seed = seedOf(region);
    const isPart = words[NUMBER] === number && words[PARTS] === regions.length &&
      seed[0] === low && seed[1] === high &&
      option === first.option && shape.threads === first.shape.threads;
    if (!isPart) refuse();
  });
  return regions;
}

/**
 * A map's handle.
 *
 * @param kind What handles of such maps are called.
 * @param regions Its parts.
 * @returns The handle: the part's own, where there is one.
 * @throws {NumaError} `EINVAL`; `EDESTROYED`.
 */
export function handleOfParts(kind: string, regions: readonly Region[]): Handle {
  const parts = regions.map((region) => region.toHandle());
  return parts.length === 1 ? parts[0] as Handle : { numakitHandle: kind, data: { parts } };
}

/**
 * The number that was drawn for a map.
 *
 * @param region A part of it.
 * @returns 64 bits.
 */
export function seedOf({ words }: Region): readonly [low: number, high: number] {
  return [words[SEED] as number, words[SEED + 1] as number];
}

/**
 * The node of a part's memory.
 *
 * @param region The part.
 * @returns The node; -1 where that is not an arena.
 */
export function nodeOf({ words }: Region): number {
  return words[NODE] as number;
}
