/**
 * Where a lock's words are, and how another thread finds them.
 *
 * ```
 *   line 0   | magic | kind | threads | domains | stamp | statistics | option | name (64 bits) |
 *   line 1…  | the words of the algorithm | statistics |
 * ```
 *
 * Line 0 is written once, by who creates the lock, before anybody else knows of it. `stamp` is that of the parking lot:
 * ids in the words mean threads of that lot only. `name` is random: a thread that gets a handle twice knows the lock by it.
 *
 * @module
 */
import type { Arena } from "../memory/arena/arena.ts";
import { ARENA_KIND, identityOf, isArena } from "../memory/arena/identity.ts";
import { isInt32Array, isSharedArrayBuffer } from "../base/brand.ts";
import { checkInteger, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { decode, type Handle, handleData } from "../base/handle.ts";
import { MAX_SLOTS } from "../wait/parking_lot.ts";
import type { Shape } from "./shape.ts";
import { currentWaiter, domainCount, joinLot, parkingLot } from "../wait/thread_waiter.ts";
import { LINE_BYTES, LINE_WORDS } from "../wait/waiter.ts";

/**
 * The memory of what threads share (a lock, a counter, a map): an arena, from which it allocates; or a `SharedArrayBuffer`, or an `Int32Array` of
 * one, of which it takes the first `bytes()` bytes. These have to be all zeros, otherwise `create` throws `EBUSY`.
 */
export type SyncMemory = Arena | SharedArrayBuffer | Int32Array;

/** Options of every object that threads share. */
export interface SyncOptions {
  /**
   * The maximum number of threads that use it at the same time: 1 to 4,096. Default: 64. Each needs room in the
   * object's memory. A thread with asynchronous waits, or that acquired something asynchronously, counts as two,
   * however many such waits it has. At a `Barrier`, each asynchronous wait counts as one more.
   */
  readonly threads?: number;
}

const MAGIC = 0x4e4b5359;
/** In the place of {@linkcode MAGIC} while the first line is being written. */
const UNFINISHED = -1;
const HEAD = {
  magic: 0,
  kind: 1,
  threads: 2,
  domains: 3,
  stamp: 4,
  statistics: 5,
  option: 6,
  nameLow: 7,
  nameHigh: 8,
} as const;
const MAX_DOMAINS = 4096;
const THREADS = 64;

/** What a kind of lock is, to its memory. */
export interface RegionKind {
  /** Its name in handles: no other kind has it. */
  readonly name: string;
  /** Its number in memory: no other kind has it, nor has ever had it. */
  readonly code: number;
  /** What one is called, with its article: "a mutex". */
  readonly title: string;
  /** The words of its algorithm. */
  words(shape: Shape, option: number): number;
  /** The number of words for statistics, if they are enabled. Default: one line. */
  statisticsWords?(shape: Shape): number;
}

/** A lock's memory as one thread sees it. */
export interface Region {
  /** What lives there, with its article. */
  readonly title: string;
  readonly shape: Shape;
  /** The algorithm's words. */
  readonly words: Int32Array;
  /** Words for statistics; undefined where they are off. */
  readonly statistics: Int32Array | undefined;
  /** A number that the kind keeps there. */
  readonly option: number;
  /** Tells it from all others. */
  readonly name: string;
  /** The identity of the arena's mapping; undefined for words that cannot go away. */
  readonly mapping: number | undefined;
  /** How another thread finds it. */
  toHandle(): Handle;
}

/** Settings of {@linkcode createRegion}. */
export interface RegionOptions {
  /** As {@linkcode SyncOptions.threads}. */
  readonly threads?: number | undefined;
  /** Whether to keep statistics. */
  readonly statistics?: boolean | undefined;
  /** A number that the kind keeps there. */
  readonly option?: number;
}

/** Words from the start of line 0: to the end of the algorithm's, and to the end of the statistics', on their own lines. */
function layout(
  kind: RegionKind,
  shape: Shape,
  option: number,
  statistics: boolean,
): { end: number; statisticsAt: number; statisticsEnd: number } {
  const end = LINE_WORDS + kind.words(shape, option);
  if (!statistics) return { end, statisticsAt: end, statisticsEnd: end };
  const statisticsAt = Math.ceil(end / LINE_WORDS) * LINE_WORDS;
  const statisticsEnd = statisticsAt + (kind.statisticsWords?.(shape) ?? LINE_WORDS);
  return { end, statisticsAt, statisticsEnd };
}

function bytesOf(kind: RegionKind, shape: Shape, option: number, statistics: boolean): number {
  return layout(kind, shape, option, statistics).statisticsEnd * 4;
}

/** Where the bytes are: in an arena, or in shared words of somebody. */
interface Place {
  readonly all: Int32Array;
  readonly arena: Arena | undefined;
  readonly offset: number;
}

function inArena(arena: Arena, offset: number, bytes: number): Int32Array {
  const view = arena.view(offset, bytes);
  return new Int32Array(view.buffer, view.byteOffset, bytes / 4);
}

function take(memory: unknown, bytes: number, action: string): Place {
  if (isArena(memory)) {
    const offset = memory.allocAligned(bytes, LINE_BYTES);
    const all = inArena(memory, offset, bytes);
    // Bytes that a reset arena gives again are not zero.
    all.fill(0);
    return { all, arena: memory, offset };
  }
  const all = isSharedArrayBuffer(memory) && memory.byteLength % 4 === 0
    ? new Int32Array(memory)
    : memory;
  if (!isInt32Array(all)) {
    throw new NumaError("EINVAL", action, {
      why: `its memory is ${show(memory)}`,
      fix: "Give an Arena, a SharedArrayBuffer or an Int32Array.",
    });
  }
  if (all.byteLength < bytes) {
    throw new NumaError("EINVAL", action, {
      why: `it takes ${bytes} bytes and its memory has ${all.byteLength}`,
      fix: "Give bytes() and create() the same options, and memory of so many bytes.",
    });
  }
  if (all.byteOffset % 8 !== 0) {
    throw new NumaError("EINVAL", action, {
      why: `its memory begins at byte ${all.byteOffset} of a buffer`,
      fix: "Begin at a multiple of eight bytes.",
    });
  }
  return { all: all.subarray(0, bytes / 4), arena: undefined, offset: 0 };
}

function regionOf(kind: RegionKind, place: Place, action: string): Region {
  const { all, arena, offset } = place;
  const shape = { threads: all[HEAD.threads] as number, domains: all[HEAD.domains] as number };
  const option = all[HEAD.option] as number;
  const hasStatistics = all[HEAD.statistics] === 1;
  const { end, statisticsAt, statisticsEnd } = layout(kind, shape, option, hasStatistics);
  const { slot, domain } = currentWaiter();
  checkSlot(slot, shape, action);
  if (domain >= shape.domains) {
    throw new NumaError("EINVAL", action, {
      why: `this thread is in L3 domain ${domain}, and it was made for ${shape.domains}`,
      fix: "Set NUMAKIT_FAKE_DOMAINS for the whole process or not at all.",
    });
  }
  return {
    title: kind.title,
    shape,
    words: all.subarray(LINE_WORDS, end),
    statistics: hasStatistics ? all.subarray(statisticsAt, statisticsEnd) : undefined,
    option,
    mapping: arena && identityOf(arena),
    name: `${kind.code}:${all[HEAD.nameLow]}:${all[HEAD.nameHigh]}`,
    toHandle(): Handle {
      return { numakitHandle: kind.name, data: { lot: parkingLot().buffer, ...whereabouts() } };
    },
  };

  function whereabouts(): object {
    if (arena !== undefined) return { arena: arena.toHandle(), offset, bytes: all.byteLength };
    if (all.buffer instanceof SharedArrayBuffer) return { words: all };
    throw new NumaError("EINVAL", `share ${kind.title}`, {
      why: "its memory belongs to this thread alone",
      fix: "Make it in an Arena or in a SharedArrayBuffer.",
    });
  }
}

/**
 * Checks that a thread may use something that was made for so many.
 *
 * @param slot The thread's slot.
 * @param shape The number of threads and domains it was made for.
 * @param action What was asked, as it follows "Cannot".
 * @throws {NumaError} `EAGAIN`.
 */
export function checkSlot(slot: number, shape: Shape, action: string): void {
  if (slot < shape.threads) return;
  throw new NumaError("EAGAIN", action, {
    why: `it was created for at most ${shape.threads} threads at a time, and more use it`,
    fix: "Create it with a larger `threads`.",
  });
}

/**
 * Checks settings, and adds what was left out.
 *
 * @param options The settings.
 * @param action What was asked, as it follows "Cannot".
 * @returns All of them.
 * @throws {NumaError} `EINVAL`.
 */
export function checkRegionOptions(
  options: RegionOptions,
  action: string,
): { readonly threads: number; readonly statistics: boolean; readonly option: number } {
  const { threads = THREADS, statistics = false, option = 0 } = options;
  checkInteger(threads, "threads", 1, MAX_SLOTS, action);
  if (typeof statistics !== "boolean") {
    throw new NumaError("EINVAL", action, {
      why: `statistics is ${show(statistics)}`,
      fix: "Give true or false.",
    });
  }
  return { threads, statistics, option };
}

/**
 * Makes a lock's memory.
 *
 * @param kind What it is for.
 * @param memory Where.
 * @param options The maximum number of threads, and other options.
 * @param action What was asked, as it follows "Cannot".
 * @returns The region, its words all zero.
 * @throws {NumaError} `EINVAL` memory of the wrong kind or too small; `EBUSY` shared words of which one that it takes is
 * not zero, or an arena that another thread allocates from; `ENOMEM` a full one; `EAGAIN` this thread is one more than
 * `threads`.
 */
export function createRegion(
  kind: RegionKind,
  memory: unknown,
  options: RegionOptions,
  action: string,
): Region {
  const { threads, statistics, option } = checkRegionOptions(options, action);
  const shape = { threads, domains: domainCount() };
  const place = take(memory, bytesOf(kind, shape, option, statistics), action);
  const { all } = place;
  // Taken before it is written: another thread may be making something there at the same moment.
  if (Atomics.compareExchange(all, HEAD.magic, 0, UNFINISHED) !== 0) refuseUsed(action);
  // An algorithm would take what is there for waiters and owners.
  if (place.arena === undefined && all.subarray(HEAD.magic + 1).some((word) => word !== 0)) {
    Atomics.store(all, HEAD.magic, 0);
    refuseUsed(action);
  }
  all[HEAD.kind] = kind.code;
  all[HEAD.threads] = shape.threads;
  all[HEAD.domains] = shape.domains;
  all[HEAD.stamp] = parkingLot().stamp;
  all[HEAD.statistics] = Number(statistics);
  all[HEAD.option] = option;
  all.set(crypto.getRandomValues(new Int32Array(2)), HEAD.nameLow);
  Atomics.store(all, HEAD.magic, MAGIC);
  return regionOf(kind, place, action);
}

function refuseUsed(action: string): never {
  throw new NumaError("EBUSY", action, {
    why: "its memory is already in use",
    fix: "Give memory that is all zero, and attach what another thread made by its handle.",
  });
}

/**
 * Finds a lock's memory again.
 *
 * @param kind What it has to be.
 * @param data What its handle says.
 * @param action What was asked, as it follows "Cannot".
 * @returns The region.
 * @throws {NumaError} `EINVAL` when it is not of that kind, or from threads that this one cannot wake; `ESTALE` when its
 * arena is gone; `EAGAIN` when this thread is one too many.
 */
export function attachRegion(
  kind: RegionKind,
  data: Record<string, unknown>,
  action: string,
): Region {
  joinLot(data.lot, action);
  const place = find(data, action);
  const { all } = place;
  const threads = all[HEAD.threads] as number;
  const domains = all[HEAD.domains] as number;
  const option = all[HEAD.option] as number;
  const fits = all[HEAD.magic] === MAGIC && all[HEAD.kind] === kind.code &&
    all[HEAD.stamp] === parkingLot().stamp && threads >= 1 && threads <= MAX_SLOTS &&
    domains >= 1 && domains <= MAX_DOMAINS;
  const bytes = fits
    ? bytesOf(kind, { threads, domains }, option, all[HEAD.statistics] === 1)
    : Infinity;
  if (bytes > all.byteLength) refuseHandle(action);
  return regionOf(kind, place, action);
}

function find(data: Record<string, unknown>, action: string): Place {
  const { words, arena: handle, offset, bytes } = data;
  if (isInt32Array(words) && words.length >= LINE_WORDS && words.byteOffset % 8 === 0) {
    return { all: words, arena: undefined, offset: 0 };
  }
  if (typeof handle !== "object" || handle === null) refuseHandle(action);
  handleData(handle, ARENA_KIND, action);
  // By its handle alone: a bundle without arenas does without their class.
  const arena = decode(handle) as Arena;
  const at = checkInteger(offset, "offset", 0, arena.capacity - LINE_BYTES, action);
  const size = checkInteger(bytes, "bytes", LINE_BYTES, arena.capacity - at, action);
  if (at % LINE_BYTES !== 0 || size % 4 !== 0) refuseHandle(action);
  return { all: inArena(arena, at, size), arena, offset: at };
}

function refuseHandle(action: string): never {
  throw new NumaError("EINVAL", action, {
    why: "the handle refers to an object of another kind",
    fix: "Give what toHandle() returned.",
  });
}

/**
 * How much memory a lock takes, in bytes.
 *
 * @param kind What it is.
 * @param options The maximum number of threads, and other options.
 * @param action What was asked, as it follows "Cannot".
 * @returns Bytes, for a SharedArrayBuffer or of an arena.
 * @throws {NumaError} `EINVAL`.
 */
export function regionBytes(kind: RegionKind, options: RegionOptions, action: string): number {
  const { threads, statistics, option } = checkRegionOptions(options, action);
  return bytesOf(kind, { threads, domains: domainCount() }, option, statistics);
}
