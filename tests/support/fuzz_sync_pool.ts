/**
 * What the random programs of several threads share, and what has to be true of it in the end.
 */
import * as numakit from "../../mod.ts";
import type { Lock, SharedMutex } from "../../mod.ts";
import { SYNC_KINDS } from "./fuzz_sync_kinds.ts";
import { freshArena } from "./fuzz_sync_values.ts";

const { Barrier, CnaLock, CohortLock, Condition, Epoch, EventCount, Histogram } = numakit;
const { Latch, LimitedCounter, McsLock, Mutex, Once, PartitionedCounter } = numakit;
const { RwLock, RwSpinLock, Semaphore, SeqLock, TicketLock } = numakit;

/** Words that a lock guards; what `meant` says was done under the lock, `done` was told without it. */
export const GUARDED = { inside: 0, done: 1, meant: 2, inRead: 3, words: 4 } as const;
/** Words of a pool, behind those of the locks. */
export const TALLY = {
  violations: 0,
  added: 1,
  recorded: 2,
  made: 3,
  items: 4,
  taken: 5,
  ran: 6,
  calls: 7,
  begun: 8,
  words: 9,
} as const;

export const PERMITS = 6;
export const LIMIT = 1000;
export const PARTIES = 3;
/** What a record holds: numbers in a row. */
export const RECORD = 4;

/** A lock with what it guards. */
export interface Guarded {
  readonly lock: Lock | SharedMutex;
  /** Where its words are. */
  readonly at: number;
  /** Whether others may be inside, too. */
  readonly reads: boolean;
  /** Whether it is there for others when its owner is dead. */
  readonly robust: boolean;
}

function whole(): {
  readonly barrier: numakit.Barrier;
  readonly condition: numakit.Condition;
  readonly counter: numakit.PartitionedCounter;
  readonly epoch: numakit.Epoch;
  readonly events: numakit.EventCount;
  readonly histogram: numakit.Histogram;
  readonly latch: numakit.Latch;
  readonly limited: numakit.LimitedCounter;
  readonly once: numakit.Once;
  readonly permits: numakit.Semaphore;
  readonly record: numakit.SeqLock;
} {
  const shared = (bytes: number) => new SharedArrayBuffer(bytes);
  return {
    barrier: Barrier.create(shared(Barrier.bytes()), PARTIES),
    condition: Condition.create(shared(Condition.bytes())),
    counter: PartitionedCounter.create(shared(PartitionedCounter.bytes())),
    epoch: Epoch.create(shared(Epoch.bytes())),
    events: EventCount.create(shared(EventCount.bytes())),
    histogram: Histogram.create(shared(Histogram.bytes({ precision: 2 })), { precision: 2 }),
    latch: Latch.create(shared(Latch.bytes()), 50),
    limited: LimitedCounter.create(shared(LimitedCounter.bytes()), LIMIT, { batch: 10 }),
    once: Once.create(shared(Once.bytes())),
    permits: Semaphore.create(shared(Semaphore.bytes()), PERMITS),
    record: SeqLock.create(shared(SeqLock.bytes({ words: RECORD })), { words: RECORD }),
  };
}

function guardedLocks(arena: numakit.Arena): Record<string, Guarded> {
  const shared = (bytes: number) => new SharedArrayBuffer(bytes);
  const rw = RwLock.create(shared(RwLock.bytes()));
  const spin = RwSpinLock.create(shared(RwSpinLock.bytes()));
  const told = { statistics: true };
  const alone: readonly (readonly [string, Lock | SharedMutex, boolean])[] = [
    ["Mutex", Mutex.create(shared(Mutex.bytes())), true],
    ["Mutex with statistics", Mutex.create(shared(Mutex.bytes(told)), told), true],
    ["McsLock", McsLock.create(shared(McsLock.bytes())), false],
    ["TicketLock", TicketLock.create(shared(TicketLock.bytes())), false],
    ["CnaLock", CnaLock.create(shared(CnaLock.bytes())), false],
    ["CohortLock", CohortLock.create(shared(CohortLock.bytes())), false],
    ["SharedMutex", numakit.SharedMutex.create(arena), true],
    ["RwLock, to write", rw.write, true],
    ["RwSpinLock, to write", spin.write, true],
  ];
  const locks: Record<string, Guarded> = {};
  for (const [index, [name, lock, robust]] of alone.entries()) {
    locks[name] = { lock, at: index * GUARDED.words, reads: false, robust };
  }
  for (const [name, { read }] of [["RwLock", rw], ["RwSpinLock", spin]] as const) {
    const { at } = locks[`${name}, to write`] as Guarded;
    locks[`${name}, to read`] = { lock: read, at, reads: true, robust: true };
  }
  return locks;
}

/** Everything that programs share. */
export interface Pool extends ReturnType<typeof whole> {
  readonly locks: Readonly<Record<string, Guarded>>;
  /** What the locks guard, and a tally. */
  readonly words: Int32Array<SharedArrayBuffer>;
  /** Where locks live that need an arena. */
  readonly arena: numakit.Arena;
  /** One of each kind, in an arena that any thread may destroy. */
  readonly doomed: {
    readonly arena: numakit.Arena;
    readonly objects: Readonly<Record<string, object>>;
  };
}

/** Where the tally is. */
export function tallyAt(pool: Pick<Pool, "words">): number {
  return pool.words.length - TALLY.words;
}

/** Everything, as new. */
export function makePool(): Pool {
  const doomed = freshArena("2 MiB");
  const objects: Record<string, object> = {};
  for (const [name, kind] of Object.entries(SYNC_KINDS)) {
    if ("toHandle" in kind.methods) objects[name] = kind.make(() => doomed);
  }
  const arena = freshArena();
  const locks = guardedLocks(arena);
  const words = new Int32Array(
    new SharedArrayBuffer((Object.keys(locks).length * GUARDED.words + TALLY.words) * 4),
  );
  return { ...whole(), locks, words, arena, doomed: { arena: doomed, objects } };
}
