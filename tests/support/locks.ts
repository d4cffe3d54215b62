/**
 * One row a lock: what tests and benchmarks have to know of it. Fuzz, torture, terminations, what becomes of an abandoned
 * one, the tests of the public classes and of the cores, and the benchmarks go through these rows; a new lock needs no
 * other list. CONTRIBUTING.md walks through one.
 */
import {
  CnaLock,
  CohortLock,
  type Lock,
  type LockOptions,
  McsLock,
  Mutex,
  RwLock,
  RwSpinLock,
  SharedMutex,
  type SyncMemory,
  TicketLock,
} from "../../mod.ts";
import type { Handle } from "../../lib/base/handle.ts";
import type { Shape } from "../../lib/shared/shape.ts";
import { CnaCore } from "../../lib/sync/locks/cna_core.ts";
import { CohortCore } from "../../lib/sync/locks/cohort_core.ts";
import type { LockCore } from "../../lib/sync/locks/lock_core.ts";
import { McsCore } from "../../lib/sync/locks/mcs_core.ts";
import { MutexCore } from "../../lib/sync/locks/mutex_core.ts";
import { TicketCore } from "../../lib/sync/locks/ticket_core.ts";
import { RwCore } from "../../lib/sync/readers/rw_core.ts";
import { RwSpinCore } from "../../lib/sync/readers/rw_spin_core.ts";
import { withLoads } from "./counting.ts";
import { sharedWords } from "./words.ts";

/** What all locks can do, those between processes included. */
export type AnyLock = Lock | SharedMutex;

/** A lock that several may hold to read, or one to write. */
export interface Sides<Side> {
  readonly read: Side;
  readonly write: Side;
}

/** An exported class. Its methods take more than tests know of. */
export interface LockClass<Made extends object> {
  bytes(options?: object): number;
  create(memory: SyncMemory, options?: object): Made & { toHandle(): Handle };
  fromHandle(handle: Handle): Made;
}

/** An algorithm, over words of its own that are all zero. */
export interface Algorithm<Core> {
  /**
   * Makes one.
   *
   * @param shape For whom.
   * @param option The number that this algorithm takes, where it takes one. Default: its own.
   */
  make(shape: Shape, option?: number): Core;
}

/** How often each method of `Atomics` is called. */
export type Atomics = Readonly<Record<string, number>>;

/** What every row has. */
interface Row<Made extends object, Core> {
  /** The name of the exported class, which a compiler may have changed in the class itself. */
  readonly name: string;
  /** The exported class. */
  readonly type: LockClass<Made>;
  readonly core: Algorithm<Core>;
  /** Its own options, at values that are not their defaults. */
  readonly options?: Readonly<Record<string, number>>;
  /** Whether it goes to the next one when its holder dies. Otherwise it breaks. */
  readonly robust: boolean;
  /**
   * How often later ones may take it, for each that waits before a thread, and for itself: 0 when it is first come, first
   * served; Infinity when whoever finds it free takes it.
   */
  readonly overtaken: number;
  /** The atomics of acquire and release while nobody else is there; to write, where there are sides. */
  readonly atomics: Atomics;
}

/** A lock that one thread holds at a time. */
export interface ExclusiveRow extends Row<Lock, LockCore> {
  readonly shared?: never;
}

/** A lock that is held to read or to write. */
export interface SharedRow extends Row<Sides<Lock>, Sides<LockCore>> {
  readonly shared: {
    /** The atomics to read. */
    readonly atomics: Atomics;
    /** Whether a writer notices that a reader has died. Otherwise that one keeps all writers out. */
    readonly findsDeadReaders: boolean;
  };
}

export type LockRow = ExclusiveRow | SharedRow;

/** What the class of a lock's algorithm is called. */
export function coreName({ name }: LockRow): string {
  return name.replace(/Lock$|$/, "Core");
}

type CoreClass<Core> =
  & { words(shape: Shape): number }
  & (new (words: Int32Array, shape: Shape, option?: number) => Core);

function algorithm<Core>(type: CoreClass<Core>): Algorithm<Core> {
  return {
    make: (shape, option) => new type(sharedWords(type.words(shape)), shape, option),
  };
}

/** Made of several. */
const cohort: Algorithm<CohortCore> = {
  make(shape, passes) {
    const { domains } = shape;
    const seats = { threads: domains, domains };
    const locals = Array.from(
      { length: domains },
      () => new McsCore(sharedWords(McsCore.words(shape)), shape),
    );
    const global = new TicketCore(sharedWords(TicketCore.words(seats)), seats);
    return new CohortCore(sharedWords(CohortCore.words(domains)), global, locals, passes);
  },
};

/** All locks in shared memory. */
export const LOCKS: readonly LockRow[] = [
  {
    name: "Mutex",
    type: Mutex,
    core: algorithm(MutexCore),
    options: { patienceMs: 3 },
    robust: true,
    overtaken: Infinity,
    atomics: { compareExchange: 2 },
  },
  {
    name: "McsLock",
    type: McsLock,
    core: algorithm(McsCore),
    robust: false,
    overtaken: 0,
    atomics: { exchange: 1, compareExchange: 1 },
  },
  {
    name: "TicketLock",
    type: TicketLock,
    core: algorithm(TicketCore),
    robust: false,
    overtaken: 0,
    atomics: { add: 2 },
  },
  {
    name: "CnaLock",
    type: CnaLock,
    core: algorithm(CnaCore),
    options: { passes: 3 },
    robust: false,
    overtaken: 256,
    atomics: { exchange: 1, compareExchange: 1 },
  },
  {
    name: "CohortLock",
    type: CohortLock,
    core: cohort,
    options: { passes: 3 },
    robust: false,
    // By three other domains in the tests' four.
    overtaken: 3 * 65,
    atomics: { exchange: 1, compareExchange: 1, add: 2 },
  },
  {
    name: "RwLock",
    type: RwLock,
    core: algorithm(RwCore),
    robust: true,
    overtaken: Infinity,
    // The load is of how many slots there are to look at.
    atomics: { compareExchange: 2, load: 1 },
    shared: {
      atomics: withLoads({ following: 1 }, { store: 1, compareExchange: 1 }),
      findsDeadReaders: true,
    },
  },
  {
    name: "RwSpinLock",
    type: RwSpinLock,
    core: algorithm(RwSpinCore),
    robust: true,
    overtaken: Infinity,
    atomics: { compareExchange: 2 },
    shared: { atomics: { compareExchange: 1, sub: 1 }, findsDeadReaders: false },
  },
];

/** A lock, with what keeps it from others: itself, or its other side. */
export interface Pair<Type extends AnyLock = Lock> {
  readonly lock: Type;
  readonly other: Type;
}

/** Something that a thread can hold: a lock, or one of its sides. */
export interface LockSide<Type extends AnyLock = Lock> {
  /** As it is called in tests: of its class, and what it is held for. */
  readonly name: string;
  /** Its row, if it has one. */
  readonly row: LockRow | undefined;
  readonly isRead: boolean;
  readonly robust: boolean;
  /** Whether others notice that one of its holders has died. */
  readonly findsDead: boolean;
  /** Whether it lives in an arena that has a name, and nowhere else. */
  readonly needsName: boolean;
  /**
   * Makes one that is free.
   *
   * @param memory Where. Default: in shared memory of its own.
   * @param options Of its class.
   */
  make(memory?: SyncMemory, options?: LockOptions): Pair<Type>;
}

/** A side of a lock in shared memory. */
export interface LocalSide extends LockSide {
  readonly row: LockRow;
  readonly atomics: Atomics;
  /** Makes one and gives the lock alone. */
  lock(memory?: SyncMemory, options?: LockOptions): Lock;
  /** The bytes of the whole. */
  bytes(options?: LockOptions): number;
}

const WHOLE = { read: "to read", write: "to write", all: "" } as const;

function sideOf(row: LockRow, side: keyof typeof WHOLE): LocalSide {
  const { type, robust, shared } = row;
  const make = (memory?: SyncMemory, options: LockOptions = {}): Pair => {
    const made = type.create(memory ?? new SharedArrayBuffer(type.bytes(options)), options);
    if (!("read" in made)) return { lock: made, other: made };
    const { read, write } = made;
    return side === "read" ? { lock: read, other: write } : { lock: write, other: read };
  };
  const isRead = side === "read";
  return {
    name: `${row.name} ${WHOLE[side]}`.trim(),
    row,
    isRead,
    robust,
    findsDead: !isRead || shared?.findsDeadReaders === true,
    needsName: false,
    atomics: isRead && shared !== undefined ? shared.atomics : row.atomics,
    make,
    lock: (memory, options) => make(memory, options).lock,
    bytes: (options) => type.bytes(options),
  };
}

/** What one thread holds at a time. */
export const EXCLUSIVE: readonly LocalSide[] = LOCKS.map((row) =>
  sideOf(row, row.shared === undefined ? "all" : "write")
);

/** Those of two sides. */
export const SHARED: readonly SharedRow[] = LOCKS.filter((row) => row.shared !== undefined);

/** What several may hold. */
export const READ: readonly LocalSide[] = SHARED.map((row) => sideOf(row, "read"));

/** Between processes. Its class is one of its own: `tests/sync/shared_mutex_test.ts` has its tests. */
const sharedMutex: LockSide<AnyLock> = {
  name: "SharedMutex",
  row: undefined,
  isRead: false,
  robust: true,
  findsDead: true,
  needsName: true,
  make(memory) {
    const lock = SharedMutex.create(memory as never);
    return { lock, other: lock };
  },
};

/** All that a thread can hold; writers come before the readers of the same lock. */
export const SIDES: readonly LockSide<AnyLock>[] = [...EXCLUSIVE, sharedMutex, ...READ];

/**
 * Finds one.
 *
 * @param type A lock's class.
 * @returns What one thread holds of it at a time.
 */
export function sideFor(type: unknown): LocalSide {
  return EXCLUSIVE.find(({ row }) => row.type === type) as LocalSide;
}
