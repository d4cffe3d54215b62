/**
 * The parts of a sharded map: a hash map in each memory, and before the first one what is known of all of them.
 *
 * ```
 *   line 0    | seed (64 bits) | types | capacity |        written once, before anybody else knows of it
 *   then      for each part: | node | name (64 bits) |
 *
 *   types     as map_settings.ts makes a number of them, for a part
 *   name      the random one in the part's own first line (lib/shared/region.ts)
 * ```
 *
 * A handle has those of all parts. Each is compared with what stands here, so that parts of several maps, or in another
 * order, are not taken for a map: keys would not be found in them.
 *
 * @module
 */
import { isInt32Array, isList } from "../../base/brand.ts";
import { checkInteger, checkOptions } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, type Shareable } from "../../base/handle.ts";
import { isArena } from "../../memory/arena/identity.ts";
import { defineKind } from "../../shared/kind.ts";
import {
  attachRegion,
  createRegion,
  type Region,
  regionBytes,
  type RegionKind,
} from "../../shared/region.ts";
import { parkingLot } from "../../wait/thread_waiter.ts";
import { LINE_WORDS } from "../../wait/waiter.ts";
import { HashMap } from "../maps/hash_map.ts";
import { mapOptionOf, mapSettingsOf, mapTypeOf, type TypeCode } from "../maps/map_settings.ts";
import type { PlacedMapOptions } from "../maps/map_types.ts";
import { checkMemories, MAX_PARTS, memoriesOf } from "../memories.ts";

/** What is before the first part. */
const KIND = /* @__PURE__ */ defineKind<Shareable, PlacedMapOptions>({
  name: "ShardedMap",
  code: 72,
  title: "a sharded map",
  accepts: ["threads", "capacity", "key", "value"],
  // Its option is the number of parts.
  words: (_, parts) => wordsOf(parts),
});

const SEED = 0;
const TYPES = 2;
const CAPACITY = 3;
const PARTS = LINE_WORDS;
const PART_WORDS = 3;
const NODE = 0;
/** Two words. */
const NAME = 1;

/** As much of a part as its first line tells. */
const PART: RegionKind = { name: "HashMap", code: 64, title: "a hash map", words: () => 0 };

const MIN_CAPACITY = 8;
const MAX_CAPACITY = 2 ** 26;
/** Room for parts that get more than their share of the keys, in standard deviations of that. */
const DEVIATIONS = 6;

const CREATE = "create a sharded map";
const ATTACH = "attach a sharded map";

/** What a sharded map is made of, in one thread. */
export interface ShardedParts {
  /** What is known of all parts. */
  readonly head: Region;
  readonly maps: readonly HashMap<unknown, unknown>[];
  readonly nodes: readonly number[];
  /** Two words that choose the parts of keys. */
  readonly seed: readonly [low: number, high: number];
  readonly key: TypeCode;
  readonly value: TypeCode;
  /** 32-bit words of a key, and of a value. */
  readonly keyWords: number;
  readonly valueWords: number;
  /** How many entries it has room for. */
  readonly capacity: number;
}

/** Options that were looked at. */
export interface ShardedSettings {
  /** Of the map. */
  readonly whole: PlacedMapOptions;
  /** Of each part. */
  readonly part: PlacedMapOptions;
}

function wordsOf(parts: number): number {
  return PARTS + Math.ceil(parts * PART_WORDS / LINE_WORDS) * LINE_WORDS;
}

/**
 * Looks at the options of a sharded map, once.
 *
 * @param options What a caller gave.
 * @param parts How many parts it has.
 * @param action What was asked, as it follows "Cannot".
 * @returns The options of the map and of a part.
 * @throws {NumaError} `EINVAL`.
 */
export function shardedSettingsOf(
  options: PlacedMapOptions,
  parts: number,
  action: string,
): ShardedSettings {
  checkOptions(options, `{ ${KIND.row.accepts.join(", ")} }`, action);
  const { threads, key, value, capacity = 1024 } = options;
  checkInteger(capacity, "capacity", MIN_CAPACITY, MAX_CAPACITY, action);
  const share = capacity / parts;
  const most = Math.ceil(share + DEVIATIONS * Math.sqrt(share));
  const partCapacity = Math.min(capacity, Math.max(MIN_CAPACITY, most));
  // By their number, so that what a getter says another time does not count.
  const settings = mapSettingsOf(mapOptionOf({ capacity: partCapacity, key, value }, action));
  const own = {
    ...(threads !== undefined && { threads }),
    key: mapTypeOf(settings.key),
    value: mapTypeOf(settings.value),
  };
  return { whole: { ...own, capacity }, part: { ...own, capacity: partCapacity } };
}

/**
 * The size of the largest part: the first one.
 *
 * @param options The map's options.
 * @param parts How many parts it has.
 * @param action What was asked, as it follows "Cannot".
 * @returns Bytes.
 * @throws {NumaError} `EINVAL`.
 */
export function shardedBytes(options: PlacedMapOptions, parts: number, action: string): number {
  checkInteger(parts, "parts", 1, MAX_PARTS, action);
  return bytesOf(shardedSettingsOf(options, parts, action), parts, action).first;
}

/** The sizes of the first part, which is behind what is known of all, and of each other one. */
function bytesOf(
  { part }: ShardedSettings,
  parts: number,
  action: string,
): { readonly first: number; readonly other: number } {
  const { threads } = part;
  const other = HashMap.bytes(part);
  return { first: regionBytes(KIND.row, { threads, option: parts }, action) + other, other };
}

/**
 * Makes the parts of a sharded map.
 *
 * @param memory What a caller gave.
 * @param options The map's options.
 * @returns The parts.
 * @throws {NumaError} As `ShardedMap.create`.
 */
export function createShards(memory: unknown, options: PlacedMapOptions): ShardedParts {
  const memories = memoriesOf(memory, false, CREATE);
  const parts = memories.length;
  const settings = shardedSettingsOf(options, parts, CREATE);
  const { threads } = settings.part;
  const { first: most, other } = bytesOf(settings, parts, CREATE);
  const places = checkMemories(
    memories,
    memories.map((_, part) => part === 0 ? most : other),
    CREATE,
  );
  const head = createRegion(KIND.row, places[0], { threads, option: parts }, CREATE);
  const { words } = head;
  const headWords = (most - other) / 4;
  words.set(crypto.getRandomValues(new Int32Array(2)), SEED);
  words[TYPES] = mapOptionOf(settings.part, CREATE);
  words[CAPACITY] = settings.whole.capacity as number;
  const maps = places.map((one, number) => {
    const own = number === 0 && isInt32Array(one) ? one.subarray(headWords) : one;
    const map = HashMap.create(own, settings.part);
    const at = PARTS + number * PART_WORDS;
    words[at + NODE] = isArena(one) ? one.node : -1;
    // Words that are this thread's alone have no handle.
    const data = isArena(one)
      ? handleData(map.toHandle(), PART.name, CREATE)
      : { lot: parkingLot().buffer, words: own };
    words.set(nameOf(data, CREATE), at + NAME);
    return map as HashMap<unknown, unknown>;
  });
  return partsOf(head, maps);
}

/** The name of the part that a handle refers to: no other region has it, wherever that is. */
function nameOf(data: Record<string, unknown>, action: string): number[] {
  const [, low, high] = attachRegion(PART, data, action).name.split(":");
  return [Number(low), Number(high)];
}

/**
 * Finds the parts of a sharded map again.
 *
 * @param handle What a caller gave.
 * @returns The parts.
 * @throws {NumaError} As `ShardedMap.fromHandle`.
 */
export function attachShards(handle: Handle): ShardedParts {
  const { name } = KIND.row;
  const { head: first, parts: handles } = handleData(handle, name, ATTACH);
  if (!isList(handles) || handles.length < 1 || handles.length > MAX_PARTS) refuse();
  const head = attachRegion(KIND.row, handleData(first, name, ATTACH), ATTACH);
  if (head.option !== handles.length) refuse();
  // Not by map, which would pass over holes.
  const maps = Array.from(handles as readonly Handle[], (one, number) => {
    const name = nameOf(handleData(one, PART.name, ATTACH), ATTACH);
    const at = PARTS + number * PART_WORDS + NAME;
    if (name.some((word, index) => head.words[at + index] !== word)) refuse();
    return HashMap.fromHandle<unknown, unknown>(one);
  });
  return partsOf(head, maps);
}

function refuse(): never {
  throw new NumaError("EINVAL", ATTACH, {
    why: "the handle has not the parts of a sharded map",
    fix: "Give what toHandle() returned.",
  });
}

function partsOf(head: Region, maps: readonly HashMap<unknown, unknown>[]): ShardedParts {
  const { words } = head;
  const { key, value, shape: { keyWords, valueWords } } = mapSettingsOf(words[TYPES] as number);
  return {
    ...{ head, maps, key, value, keyWords, valueWords },
    nodes: maps.map((_, number) => words[PARTS + number * PART_WORDS + NODE] as number),
    seed: [words[SEED] as number, words[SEED + 1] as number],
    // In memory that any thread can write to.
    capacity: Math.min(Math.max(words[CAPACITY] as number, MIN_CAPACITY), MAX_CAPACITY),
  };
}

/**
 * The handle of a sharded map.
 *
 * @param kind What handles of sharded maps are called.
 * @param parts Its parts.
 * @returns The handle.
 * @throws {NumaError} `EINVAL`; `EDESTROYED`.
 */
export function handleOfShards(kind: string, { head, maps }: ShardedParts): Handle {
  const parts = maps.map((map) => map.toHandle());
  return { numakitHandle: kind, data: { head: head.toHandle(), parts } };
}
