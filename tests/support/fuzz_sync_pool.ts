/**
 * What the random programs of several threads share, and what has to be true of it in the end.
 */
import * as numakit from "../../mod.ts";
import { SYNC_KINDS } from "./fuzz_sync_kinds.ts";
import { freshArena } from "./fuzz_sync_values.ts";
import { type AnyLock, READ, sideFor, SIDES } from "./locks.ts";

const { Barrier, Condition, Epoch, EventCount, Histogram, Latch, LimitedCounter } = numakit;
const { Mutex, Once, PartitionedCounter, Semaphore, SeqLock } = numakit;

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
  readonly lock: AnyLock;
  /** Where its words are. */
  readonly at: number;
  /** Whether others may be inside, too. */
  readonly reads: boolean;
  /** Whether it is there for others when its owner is dead. */
  readonly robust: boolean;
  /** Whether a dead reader may keep it closed. */
  readonly stuck: boolean;
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

/** All locks, or those of a class. Sides of a lock guard the same words; writers come first, who repair what readers get. */
function guardedLocks(arena: numakit.Arena, type: string): Record<string, Guarded> {
  const locks: Record<string, Guarded> = {};
  const readers: Record<string, Guarded> = {};
  let at = 0;
  for (const { name, row, robust, make, needsName } of SIDES.filter(({ isRead }) => !isRead)) {
    if (!name.startsWith(type)) continue;
    const { lock, other } = make(needsName ? arena : undefined);
    const reader = READ.find((side) => side.row === row);
    const stuck = reader?.findsDead === false;
    locks[name] = { lock, at, reads: false, robust, stuck };
    if (reader) readers[reader.name] = { lock: other, at, reads: true, robust: true, stuck: false };
    at += GUARDED.words;
  }
  if (type === "") {
    const lock = sideFor(Mutex).lock(undefined, { statistics: true });
    locks["Mutex with statistics"] = { lock, at, reads: false, robust: true, stuck: false };
  }
  return { ...locks, ...readers };
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

/**
 * Makes everything.
 *
 * @param type The class of the only lock. Default: all of them.
 */
export function makePool(type = ""): Pool {
  const doomed = freshArena("2 MiB");
  const objects: Record<string, object> = {};
  for (const [name, kind] of Object.entries(SYNC_KINDS)) {
    if ("toHandle" in kind.methods) objects[name] = kind.make(() => doomed);
  }
  const arena = freshArena();
  const locks = guardedLocks(arena, type);
  const words = new Int32Array(
    new SharedArrayBuffer((Object.keys(locks).length * GUARDED.words + TALLY.words) * 4),
  );
  return { ...whole(), locks, words, arena, doomed: { arena: doomed, objects } };
}
