/**
 * The partitions of a delegated map: what each of its memories holds.
 *
 * ```
 *   a memory    | who serves it (tenure.ts) | a hash map | a channel of requests | channels of replies: inboxes |
 * ```
 *
 * Requests are read by the owner of the partition, and its map by nobody else. An inbox belongs to a thread that asks: one
 * of those in the memory that is nearest to it.
 *
 * A handle has those of all of them. A hash of what they refer to is in the control region: so those of other partitions,
 * or in another order, are not taken for a map.
 *
 * ```
 *   words 8, 9 of the first line    | hash (64 bits) |     written once, before anybody else knows of it
 * ```
 *
 * @module
 */
import { isInt32Array, isList } from "../../base/brand.ts";
import { checkInteger, checkOptions } from "../../base/check.ts";
import { NumaError } from "../../base/error.ts";
import { type Handle, handleData, type Shareable } from "../../base/handle.ts";
import type { Arena } from "../../memory/arena/arena.ts";
import { isArena } from "../../memory/arena/identity.ts";
import { defineKind } from "../../shared/kind.ts";
import { type Region, regionBytes, type SyncMemory } from "../../shared/region.ts";
import { LINE_BYTES, LINE_WORDS } from "../../wait/waiter.ts";
import { Channel } from "../channels/channel.ts";
import type { ChannelOptions } from "../channels/channel_settings.ts";
import { HashMap } from "../maps/hash_map.ts";
import { mapOptionOf } from "../maps/map_settings.ts";
import type { MapType, PlacedMapOptions } from "../maps/map_types.ts";
import { halfSip } from "../half_sip.ts";
import { checkMemories, memoriesOf } from "../memories.ts";
import { attachParts, createParts, seedOf } from "./parts.ts";
import { TENURE_WORDS } from "./tenure.ts";

/** Options of a `DelegatedMap`. */
export interface DelegatedMapOptions<Key extends MapType = MapType, Value extends MapType = MapType>
  extends PlacedMapOptions<Key, Value> {
  /** How many threads may ask, for each partition: 1 to 64. With four partitions and 8, 32 threads may. Default: 8. */
  readonly clients?: number;
}

/** What a partition is made of. */
export interface DelegatedPart {
  readonly region: Region;
  readonly map: HashMap<unknown, unknown>;
  readonly requests: Channel<Uint8Array>;
  readonly inboxes: readonly Channel<Uint8Array>[];
}

/** What is known of its control regions. */
const KIND = /* @__PURE__ */ defineKind<Shareable, DelegatedMapOptions>({
  name: "DelegatedMap",
  code: 71,
  title: "a delegated map",
  accepts: ["threads", "capacity", "key", "value", "clients"],
  words: () => TENURE_WORDS,
});

/** Behind what all placed maps have in that line. */
const HASH = 8;
const MAX_PARTS = 64;
const MAX_CLIENTS = 64;
/** Bytes of a lane, which has to take at least two messages of the longest keys and values. */
const LANE_BYTES = 2 ** 14;
const MAX_SENDERS = 1024;
/** A lane more than there are owners: one that stops may still send its last replies. */
const SPARE_LANES = 1;

/** What parts are made with. */
interface Settings {
  readonly threads: number | undefined;
  readonly option: number;
  readonly map: PlacedMapOptions;
  readonly requests: ChannelOptions<"bytes">;
  readonly inbox: ChannelOptions<"bytes">;
  readonly clients: number;
}

function settingsOf(options: DelegatedMapOptions, parts: number, action: string): Settings {
  checkOptions(options, `{ ${KIND.row.accepts.join(", ")} }`, action);
  const { threads, capacity, key, value, clients = 8 } = options;
  checkInteger(clients, "clients", 1, MAX_CLIENTS, action);
  checkInteger(parts, "the number of partitions", 1, MAX_PARTS, action);
  if (clients * parts > MAX_SENDERS) {
    throw new NumaError("EINVAL", action, {
      why: `${parts} partitions with ${clients} clients each are more than ${MAX_SENDERS}`,
      fix: "Give fewer clients.",
    });
  }
  const map = {
    ...{ key, value },
    ...(capacity !== undefined && { capacity }),
    ...(threads !== undefined && { threads }),
  };
  const option = mapOptionOf(map, action);
  const lane = {
    codec: "bytes",
    capacity: LANE_BYTES,
    ...(threads !== undefined && { threads }),
  } as const;
  return {
    ...{ threads, option, map, clients },
    requests: { ...lane, senders: clients * parts },
    inbox: { ...lane, senders: parts + SPARE_LANES },
  };
}

/** Bytes of each thing that a partition is made of, in their order; the last one that of each inbox. */
function sizesOf({ threads, option, map, requests, inbox }: Settings, action: string): number[] {
  const control = regionBytes(KIND.row, { threads, option }, action);
  const sizes = [control, HashMap.bytes(map), Channel.bytes(requests), Channel.bytes(inbox)];
  // In shared words they are one after the other, each where lines begin.
  return sizes.map((bytes) => Math.ceil(bytes / LINE_BYTES) * LINE_BYTES);
}

/**
 * The size of a partition.
 *
 * @param options The map's options.
 * @param parts How many partitions there are.
 * @returns Bytes.
 * @throws {NumaError} `EINVAL`.
 */
export function delegatedBytes(options: DelegatedMapOptions, parts: number): number {
  const action = `size ${KIND.row.title}`;
  const settings = settingsOf(options, parts, action);
  return sumOf(sizesOf(settings, action), settings.clients);
}

/** Bytes of all things that a partition is made of. */
function sumOf(sizes: readonly number[], clients: number): number {
  const inbox = sizes[sizes.length - 1] as number;
  return sizes.reduce((sum, size) => sum + size, (clients - 1) * inbox);
}

/**
 * Makes a map's partitions.
 *
 * @param memory What the caller gave: one memory, or several.
 * @param options The map's options.
 * @returns The partitions, in the order of the memories.
 * @throws {NumaError} As `DelegatedMap.create`.
 */
export function createDelegated(
  memory: SyncMemory | readonly SyncMemory[],
  options: DelegatedMapOptions,
): DelegatedPart[] {
  const action = `create ${KIND.row.title}`;
  const memories = memoriesOf(memory, true, action);
  const settings = settingsOf(options, memories.length, action);
  const sizes = sizesOf(settings, action);
  const bytes = sumOf(sizes, settings.clients);
  const places = checkMemories(memories, memories.map(() => bytes), action);
  const rooms = places.map((place) => roomsIn(place, sizes));
  const { threads, option } = settings;
  const regions = createParts(KIND.row, rooms.map((room) => room()), { threads, option });
  return regions.map((region, index) => {
    const room = rooms[index] as () => SyncMemory;
    const places: unknown[] = [];
    const make = <Thing extends Shareable>(create: (memory: SyncMemory) => Thing): Thing => {
      const one = room();
      const thing = create(one);
      // Words may be this thread's alone, which have no handle.
      places.push(isArena(one) ? thing.toHandle().data : { words: one });
      return thing;
    };
    const map = make((one) => HashMap.create(one, settings.map) as HashMap<unknown, unknown>);
    const requests = make((one) => Channel.create(one, settings.requests));
    const inboxes = Array.from(
      { length: settings.clients },
      () => make((one) => Channel.create(one, settings.inbox)),
    );
    region.words.set(hashOf(places, region), HASH);
    return { region, map, requests, inboxes };
  });
}

/** Gives room for one thing after the other: an arena itself, or a part of shared words. */
function roomsIn(memory: Arena | Int32Array, sizes: readonly number[]): () => SyncMemory {
  if (isArena(memory)) return () => memory;
  let at = 0;
  let thing = 0;
  return () => {
    const size = sizes[Math.min(thing++, sizes.length - 1)] as number;
    const from = at;
    at += size / 4;
    return memory.subarray(from, at);
  };
}

/**
 * Finds a map's partitions again.
 *
 * @param handle What the caller gave.
 * @returns The partitions.
 * @throws {NumaError} As `DelegatedMap.fromHandle`.
 */
export function attachDelegated(handle: Handle): DelegatedPart[] {
  const action = `attach ${KIND.row.title}`;
  const { control, parts } = handleData(handle, KIND.row.name, action);
  const regions = attachParts(KIND.row, control as Handle);
  if (!isList(parts) || parts.length !== regions.length) refuse(action);
  return regions.map((region, index) => {
    const { map, requests, inboxes } = (parts[index] ?? {}) as Record<string, unknown>;
    if (!isList(inboxes) || inboxes.length < 1 || inboxes.length > MAX_CLIENTS) {
      refuse(action);
    }
    const places = [
      handleData(map, "HashMap", action),
      ...Array.from([requests, ...inboxes], (one) => handleData(one, "Channel", action)),
    ];
    const [low, high] = hashOf(places, region);
    if (region.words[HASH] !== low || region.words[HASH + 1] !== high) refuse(action);
    return {
      region,
      map: HashMap.fromHandle<unknown, unknown>(map as Handle),
      requests: Channel.fromHandle<Uint8Array>(requests as Handle),
      inboxes: Array.from(inboxes, (inbox) => Channel.fromHandle<Uint8Array>(inbox as Handle)),
    };
  });
}

/** A hash of what a partition is made of, in its order, and how many things there are. */
function hashOf(places: readonly unknown[], region: Region): [low: number, high: number] {
  const all = new Int32Array(places.length * LINE_WORDS);
  for (const [index, place] of places.entries()) all.set(whereIs(place), index * LINE_WORDS);
  const { length } = all;
  const seed = seedOf(region);
  return [halfSip(all, 0, length, length, ...seed), halfSip(all, 0, length, ~length, ...seed)];
}

/** What tells a thing from others, of what its handle says. */
function whereIs(place: unknown): ArrayLike<number> {
  const { words, arena, offset } = (place ?? {}) as Record<string, unknown>;
  // Its first line, which has a name that was drawn for it. Buffers have none that threads agree on.
  if (isInt32Array(words)) return words.subarray(0, LINE_WORDS);
  const { identity } = ((arena as Handle | undefined)?.data ?? {}) as Record<string, unknown>;
  if (typeof identity !== "number" || typeof offset !== "number") return [];
  return [identity | 0, (identity / 2 ** 32) | 0, offset / LINE_BYTES];
}

function refuse(action: string): never {
  throw new NumaError("EINVAL", action, {
    why: "the handle has not the partitions of a delegated map",
    fix: "Give what toHandle() returned.",
  });
}

/**
 * A map's handle.
 *
 * @param kind What handles of such maps are called.
 * @param parts Its partitions.
 * @returns The handle.
 * @throws {NumaError} `EINVAL`; `EDESTROYED`.
 */
export function handleOfDelegated(kind: string, parts: readonly DelegatedPart[]): Handle {
  const regions = parts.map(({ region }) => region.toHandle());
  const control = { numakitHandle: kind, data: { parts: regions } };
  return {
    numakitHandle: kind,
    data: {
      control,
      parts: parts.map(({ map, requests, inboxes }) => ({
        map: map.toHandle(),
        requests: requests.toHandle(),
        inboxes: inboxes.map((inbox) => inbox.toHandle()),
      })),
    },
  };
}
