/**
 * Where a lock's words are, and how another thread finds them.
 *
 * ```
 *   line 0   | magic | kind | threads | domains | stamp | statistics | option | name (64 bits) |
 *   line 1…  | the words of the algorithm | statistics |
 * ```
 *
 * Line 0 is written once, by who creates the lock, before anybody else knows of it. `stamp` is that of the parking lot:
 * ids in the words mean threads of that lot only; {@linkcode BETWEEN} where processes share it: then ids are those of its
 * members, whose words follow on lines of their own (`members.ts`). `name` is random: a thread that gets a handle twice knows the lock by it.
 *
 * @module
 */
import type { Arena } from "../memory/arena/arena.ts";
import { ARENA_KIND, identityOf, isArena } from "../memory/arena/identity.ts";
import { isInt32Array, isSharedArrayBuffer } from "../base/brand.ts";
import { checkInteger, show } from "../base/check.ts";
import { NumaError } from "../base/error.ts";
import { decode, type Handle, handleData } from "../base/handle.ts";
import { type MembersPlace, memberWords } from "./members.ts";
import { sharedIdentity } from "./processes.ts";
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
/** In place of a parking lot's stamp: it belongs to no process. */
const BETWEEN = -1;
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
  /** Where the threads of several processes are; undefined where it is one process's. */
  readonly members: MembersPlace | undefined;
  /** Where it begins in its arena, in bytes; 0 for other words. */
  readonly offset: number;
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
  /** Whether processes share it. */
  readonly processes?: boolean | undefined;
}

/** What decides about the size of a region, and what its first line says. */
interface Size {
  readonly shape: Shape;
  readonly option: number;
  readonly statistics: boolean;
  readonly processes: boolean;
}

/** Where what begins and ends, in words from the start of line 0: each on its own lines. */
interface Layout {
  readonly end: number;
  readonly statisticsAt: number;
  readonly statisticsEnd: number;
  readonly membersAt: number;
  readonly membersEnd: number;
}

const lines = (words: number): number => Math.ceil(words / LINE_WORDS) * LINE_WORDS;

function layout(kind: RegionKind, { shape, option, statistics, processes }: Size): Layout {
  const end = LINE_WORDS + kind.words(shape, option);
  const statisticsAt = statistics ? lines(end) : end;
  const statisticsEnd = statistics
    ? statisticsAt + (kind.statisticsWords?.(shape) ?? LINE_WORDS)
    : end;
  const membersAt = processes ? lines(statisticsEnd) : statisticsEnd;
  const membersEnd = processes ? membersAt + memberWords(shape.threads) : statisticsEnd;
  return { end, statisticsAt, statisticsEnd, membersAt, membersEnd };
}

function bytesOf(kind: RegionKind, size: Size): number {
  return layout(kind, size).membersEnd * 4;
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
  const size = sizeOf(all);
  const { shape, option, statistics, processes } = size;
  const { end, statisticsAt, statisticsEnd, membersAt, membersEnd } = layout(kind, size);
  const { slot, domain } = currentWaiter();
  // Where processes share it, a member's slot counts.
  if (!processes) checkSlot(slot, shape, action);
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
    statistics: statistics ? all.subarray(statisticsAt, statisticsEnd) : undefined,
    option,
    members: processes && arena !== undefined
      ? { words: all.subarray(membersAt, membersEnd), offset: offset + membersAt * 4 }
      : undefined,
    offset,
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

/** What the first line says, unchecked. */
function sizeOf(all: Int32Array): Size {
  return {
    shape: { threads: all[HEAD.threads] as number, domains: all[HEAD.domains] as number },
    option: all[HEAD.option] as number,
    statistics: all[HEAD.statistics] === 1,
    processes: all[HEAD.stamp] === BETWEEN,
  };
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
    fix: "Create it with a larger `threads`; a thread with asynchronous waits counts as two.",
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
): Required<{ [Name in keyof RegionOptions]: NonNullable<RegionOptions[Name]> }> {
  const { threads = THREADS, statistics = false, option = 0, processes = false } = options;
  checkInteger(threads, "threads", 1, MAX_SLOTS, action);
  for (const [name, value] of Object.entries({ statistics, processes })) {
    if (typeof value === "boolean") continue;
    throw new NumaError("EINVAL", action, {
      why: `${name} is ${show(value)}`,
      fix: "Give true or false.",
    });
  }
  return { threads, statistics, option, processes };
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
  const { threads, statistics, option, processes } = checkRegionOptions(options, action);
  const shape = { threads, domains: domainCount() };
  if (processes) sharedIdentity(memory, action, "leave `processes` out");
  const place = take(memory, bytesOf(kind, { shape, option, statistics, processes }), action);
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
  all[HEAD.stamp] = processes ? BETWEEN : parkingLot().stamp;
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
  if (fits(kind, place, parkingLot().stamp)) return regionOf(kind, place, action);
  refuseHandle(action);
}

/**
 * Finds memory that processes share.
 *
 * @param kind What has to be there.
 * @param arena The arena, from a caller.
 * @param offset Where it begins there, in bytes, from a caller.
 * @param action What was asked, as it follows "Cannot".
 * @returns The region.
 * @throws {NumaError} `EINVAL` an arena without a name, or there is nothing of that kind; `EDESTROYED`.
 */
export function openRegion(
  kind: RegionKind,
  arena: unknown,
  offset: unknown,
  action: string,
): Region {
  sharedIdentity(arena, action, "pass it as an argument");
  const { capacity } = arena as Arena;
  const at = checkInteger(offset, "offset", 0, capacity - LINE_BYTES, action);
  if (at % LINE_BYTES === 0) {
    const head = inArena(arena as Arena, at, LINE_BYTES);
    const { shape } = sizeOf(head);
    const isThere = head[HEAD.magic] === MAGIC && head[HEAD.kind] === kind.code && isShape(shape);
    const bytes = isThere ? bytesOf(kind, sizeOf(head)) : Infinity;
    if (bytes <= capacity - at) {
      const place = { all: inArena(arena as Arena, at, bytes), arena: arena as Arena, offset: at };
      if (fits(kind, place, BETWEEN)) return regionOf(kind, place, action);
    }
  }
  throw new NumaError("EINVAL", action, {
    why: `there is none at ${at} that processes share`,
    fix: "Give the offset of one that was created in this arena with `processes: true`.",
  });
}

function isShape({ threads, domains }: Shape): boolean {
  return threads >= 1 && threads <= MAX_SLOTS && domains >= 1 && domains <= MAX_DOMAINS;
}

/** Whether something of a kind is there, of threads that a stamp says or of several processes. */
function fits(kind: RegionKind, { all, arena }: Place, stamp: number): boolean {
  const size = sizeOf(all);
  if (all[HEAD.magic] !== MAGIC || all[HEAD.kind] !== kind.code || !isShape(size.shape)) {
    return false;
  }
  if (size.processes ? arena === undefined : all[HEAD.stamp] !== stamp) return false;
  return bytesOf(kind, size) <= all.byteLength;
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
  const { threads, ...others } = checkRegionOptions(options, action);
  return bytesOf(kind, { ...others, shape: { threads, domains: domainCount() } });
}
