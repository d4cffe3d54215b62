/**
 * The memories of a cache: one, or one for each node.
 *
 * Each part is a region of its own. Its head says which of how many it is, and all have the same seed, so that a key has
 * the same home for all threads, and parts of different caches are not taken for one.
 *
 * @module
 */
import { isList } from "../../base/brand.ts";
import { checkOptions } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, type Shareable } from "../../base/handle.ts";
import { isArena } from "../../memory/arena/identity.ts";
import {
  attachRegion,
  createRegion,
  type Region,
  regionBytes,
  type SyncMemory,
} from "../../shared/region.ts";
import { defineKind } from "../../shared/kind.ts";
import { checkMemories, MAX_PARTS, memoriesOf } from "../memories.ts";
import { cacheOptionOf, cacheSettingsOf, checkTtl } from "./cache_settings.ts";
import type { CacheOptions } from "./cache_types.ts";
import { cacheLayoutOf, NODE, NUMBER, PARTS, SEED, TTL_HIGH, TTL_LOW } from "./cache_table.ts";

/** What is known of a cache's regions. */
const KIND = /* @__PURE__ */ defineKind<Shareable, CacheOptions>({
  name: "Cache",
  code: 69,
  title: "a cache",
  accepts: ["threads", "capacity", "key", "value", "ttlMs", "shards", "entryBytes"],
  words: (shape, option) => cacheLayoutOf(cacheSettingsOf(option).size, shape).all,
});

/** Indices of words are 32-bit integers. */
const MAX_BYTES = 2 ** 33;
const CREATE = "create a cache";
const ATTACH = "attach a cache";

function settingsOf(
  options: CacheOptions,
  action: string,
): { readonly threads: number | undefined; readonly option: number; readonly ttlMs: number } {
  checkOptions(
    options,
    `{ ${KIND.row.accepts.join(", ")} }`,
    action,
  );
  const { threads, ttlMs = Infinity } = options;
  const ttl = checkTtl(ttlMs, action);
  const option = cacheOptionOf(options, action);
  return { threads, option, ttlMs: ttl };
}

/**
 * The size of a part.
 *
 * @param options The cache's options.
 * @returns Bytes.
 * @throws {NumaError} `EINVAL`.
 */
export function partBytes(options: CacheOptions): number {
  const { threads, option } = settingsOf(options, "size a cache");
  return regionBytes(KIND.row, { threads, option }, "size a cache");
}

/**
 * Makes a cache's parts.
 *
 * @param memory What the caller gave.
 * @param options The cache's options.
 * @returns The regions, in the order of the memories.
 * @throws {NumaError} As `Cache.create`.
 */
export function createParts(
  memory: SyncMemory | readonly SyncMemory[],
  options: CacheOptions,
): Region[] {
  const { threads, option, ttlMs } = settingsOf(options, CREATE);
  const memories = memoriesOf(memory, true, CREATE);
  const bytes = regionBytes(KIND.row, { threads, option }, CREATE);
  if (bytes >= MAX_BYTES) {
    throw new NumaError("EINVAL", CREATE, {
      why: `a part takes ${bytes} bytes`,
      fix: "Give a smaller capacity, or a greater entryBytes.",
    });
  }
  // A single one is checked where it is taken.
  if (memories.length > 1) checkMemories(memories, memories.map(() => bytes), CREATE);
  const seed = crypto.getRandomValues(new Int32Array(2));
  return memories.map((one, number) => {
    const region = createRegion(KIND.row, one, { threads, option }, CREATE);
    const { words } = region;
    words.set(seed, SEED);
    words[NUMBER] = number;
    words[PARTS] = memories.length;
    words[NODE] = isArena(one) ? one.node : -1;
    words[TTL_LOW] = ttlMs | 0;
    words[TTL_HIGH] = Math.floor(ttlMs / 2 ** 32);
    return region;
  });
}

/**
 * Finds a cache's parts again.
 *
 * @param handle What the caller gave.
 * @returns The regions.
 * @throws {NumaError} As `Cache.fromHandle`.
 */
export function attachParts(handle: Handle): Region[] {
  const data = handleData(handle, KIND.row.name, ATTACH);
  const handles: unknown = data.parts ?? [handle];
  if (!isList(handles) || handles.length < 1 || handles.length > MAX_PARTS) refuse();
  // Not by map, which would pass over holes.
  const regions = Array.from(
    handles,
    (one) => attachRegion(KIND.row, handleData(one, KIND.row.name, ATTACH), ATTACH),
  );
  const [first] = regions as [Region];
  regions.forEach(({ words, option, shape }, number) => {
    const isPart = words[NUMBER] === number && words[PARTS] === regions.length &&
      words[SEED] === first.words[SEED] && words[SEED + 1] === first.words[SEED + 1] &&
      option === first.option && shape.threads === first.shape.threads;
    if (!isPart) refuse();
  });
  return regions;
}

function refuse(): never {
  throw new NumaError("EINVAL", ATTACH, {
    why: "the handle has not the parts of a cache",
    fix: "Give what toHandle() returned.",
  });
}

/**
 * A cache's handle.
 *
 * @param kind What handles of caches are called.
 * @param regions Its parts.
 * @returns The handle: the part's own, where there is one.
 * @throws {NumaError} `EINVAL`; `EDESTROYED`.
 */
export function handleOfParts(kind: string, regions: readonly Region[]): Handle {
  const parts = regions.map((region) => region.toHandle());
  return parts.length === 1 ? parts[0] as Handle : { numakitHandle: kind, data: { parts } };
}
