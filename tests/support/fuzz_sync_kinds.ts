/**
 * One of everything that `lib/sync/mod.ts` and `lib/structs/mod.ts` export: how it is made, what is right for its methods, how it gets busy and
 * how it shows that it works still. A new class, and a new method, needs a row here.
 */
import assert from "node:assert/strict";
import * as structs from "../../lib/structs/mod.ts";
import * as sync from "../../lib/sync/mod.ts";
import { Arena, type Handle } from "../../mod.ts";
import {
  blocks,
  create,
  type Creator,
  LONG,
  type Memory,
  none,
  NOW,
  type Release,
  statics,
  type SyncFunction,
  type SyncKind,
  THREADS,
  TOLD,
  waits,
} from "./fuzz_row.ts";
import { RECORD_FUNCTIONS, RECORD_KINDS } from "./fuzz_record_kinds.ts";
import { STRUCT_KINDS } from "./fuzz_struct_kinds.ts";
import { freshArena, namedArena } from "./fuzz_sync_values.ts";
import { type AnyLock, LOCKS, type Sides } from "./locks.ts";

const { Barrier, Condition, Epoch, EventCount, Guard, Histogram, HistogramSnapshot } = sync;
const { Latch, LimitedCounter, Lock, Mutex, Once, PartitionedCounter } = sync;
const { Semaphore, SeqLock, SharedMutex } = sync;

const { NumaError: _everywhere, ...own } = { ...sync, ...structs };
/** What is exported, but for what each entry exports: classes and functions of objects that threads share. */
export const EXPORTED: Readonly<Record<string, unknown>> = own;

const lockMethods: SyncKind<AnyLock>["methods"] = {
  acquire: () => [blocks()],
  tryAcquire: none,
  acquireAsync: () => [waits()],
  release: none,
  markConsistent: none,
  toHandle: none,
};

async function holdLock(lock: AnyLock): Promise<Release> {
  const guard = await lock.acquireAsync();
  return () => guard.release();
}

async function useLock(lock: AnyLock): Promise<void> {
  if (lock.held) lock.release();
  // Somebody else first: this thread would get on with a wait that it was thrown out of.
  const guard = await lock.acquireAsync({ timeoutMs: 1000 });
  guard.release();
  lock.acquire(LONG).release();
  assert.equal(lock.held, false);
}

function lockKind(type: Creator, more: object = {}): SyncKind<sync.Lock> {
  const options = { ...TOLD, ...more };
  return {
    type,
    make: (memory) => create(type, memory, options),
    methods: lockMethods,
    statics: statics(type, options),
    hold: holdLock,
    use: useLock,
  };
}

/** A lock of two sides. */
type Whole = Sides<sync.Lock> & { toHandle(): Handle };

/** The whole of a side, which keeps it alive as well. */
const wholes = new WeakMap<object, Whole>();

function sideKind(type: Creator, side: "read" | "write"): SyncKind<sync.Lock> {
  return {
    type: Lock,
    make(memory) {
      const whole = create<Whole>(type, memory, TOLD);
      wholes.set(whole[side], whole);
      return whole[side];
    },
    methods: lockMethods,
    statics: {},
    hold: (lock) => holdLock((wholes.get(lock) as Whole).write),
    use: useLock,
  };
}

function wholeKind(type: Creator): SyncKind<Whole> {
  return {
    type,
    make: (memory) => create(type, memory, TOLD),
    methods: { toHandle: none },
    statics: statics(type, TOLD),
    async use({ read, write }) {
      await useLock(read);
      await useLock(write);
    },
  };
}

const mutexOf = (): sync.Mutex =>
  Mutex.create(new SharedArrayBuffer(Mutex.bytes(THREADS)), THREADS);
/** What one thing's calls are given, and have to end with. */
const flags = new WeakMap<object, { ready: boolean; lock: sync.Mutex; guard?: sync.Guard }>();

function flagOf(object: object): { ready: boolean; lock: sync.Mutex; guard?: sync.Guard } {
  const flag = flags.get(object) ?? { ready: false, lock: mutexOf() };
  flags.set(object, flag);
  return flag;
}

const condition: SyncKind<sync.Condition> = {
  type: Condition,
  make: (memory) => create(Condition, memory, THREADS),
  methods: {
    wait(object) {
      const { lock } = flagOf(object);
      if (!lock.held) lock.tryAcquire();
      return [lock, blocks()];
    },
    waitAsync(object) {
      const { lock, guard } = flagOf(object);
      return [lock, guard ?? (lock.held ? undefined : lock.tryAcquire()), waits()];
    },
    signal: none,
    broadcast: none,
    toHandle: none,
  },
  statics: statics(Condition, THREADS),
  async hold(object) {
    const flag = flagOf(object);
    flag.guard = await flag.lock.acquireAsync();
    return () => flag.guard?.release();
  },
  end: (object) => void object.broadcast(),
  use(object) {
    const { lock } = flagOf(object);
    if (!lock.held) lock.acquire(LONG);
    try {
      object.wait(lock, NOW);
    } catch (error) {
      assert.equal((error as { code?: unknown }).code, "ETIMEDOUT");
    }
    lock.release();
    assert.equal(object.signal(), false);
  },
};

const eventCount: SyncKind<sync.EventCount> = {
  type: EventCount,
  make: (memory) => create(EventCount, memory, THREADS),
  methods: {
    waitUntil: (object) => [() => flagOf(object).ready, blocks()],
    waitUntilAsync: (object) => [() => flagOf(object).ready, waits()],
    notify: none,
    notifyAll: none,
    toHandle: none,
  },
  statics: statics(EventCount, THREADS),
  end(object) {
    flagOf(object).ready = true;
    object.notifyAll();
  },
  use(object) {
    flagOf(object).ready = true;
    object.waitUntil(() => true, LONG);
    assert.equal(object.notifyAll(), false);
  },
};

const semaphore: SyncKind<sync.Semaphore> = {
  type: Semaphore,
  make: (memory) => create(Semaphore, memory, { ...THREADS, maxPermits: 5 }, 2),
  methods: {
    acquire: () => [1, blocks()],
    tryAcquire: () => [1],
    acquireAsync: () => [1, waits()],
    release: () => [1],
    toHandle: none,
  },
  statics: statics(Semaphore, { ...THREADS, maxPermits: 5 }, 2),
  hold(object) {
    object.acquire(2);
    return Promise.resolve(() => object.release(2));
  },
  async use(object) {
    while (object.available < 5) object.release();
    await object.acquireAsync(5, { timeoutMs: 1000 });
    object.release(5);
    object.acquire(5, LONG);
  },
};

const barrier: SyncKind<sync.Barrier> = {
  type: Barrier,
  make: (memory) => create(Barrier, memory, THREADS, 2),
  methods: {
    join: none,
    leave: none,
    wait: () => [blocks()],
    waitAsync: () => [waits()],
    reset: () => [blocks()],
    toHandle: none,
  },
  statics: statics(Barrier, THREADS, 2),
  end(object) {
    try {
      object.wait(NOW);
    } catch {
      // Nobody waits at a broken one.
    }
  },
  use(object) {
    object.leave();
    object.reset(LONG);
    assert.equal(object.broken, false);
  },
};

const latch: SyncKind<sync.Latch> = {
  type: Latch,
  make: (memory) => create(Latch, memory, THREADS, 2),
  methods: {
    countDown: () => [1],
    wait: () => [blocks()],
    waitAsync: () => [waits()],
    toHandle: none,
  },
  statics: statics(Latch, THREADS, 2),
  end: (object) => void object.countDown(2),
  use(object) {
    object.countDown(2);
    object.wait(LONG);
  },
};

const once: SyncKind<sync.Once> = {
  type: Once,
  make: (memory) => create(Once, memory, THREADS),
  methods: {
    run: () => [() => {}, blocks()],
    runAsync: () => [async () => {}, waits()],
    toHandle: none,
  },
  statics: statics(Once, THREADS),
  hold(object) {
    let end = (): void => {};
    const running = object.runAsync(() => new Promise((resolve) => end = resolve));
    running.catch(() => {});
    return Promise.resolve(() => end());
  },
  use(object) {
    if (!object.done) object.run(() => {}, LONG);
    assert.equal(object.done, true);
  },
};

const SEQ = { words: 3, ...THREADS };
const seqLock: SyncKind<sync.SeqLock> = {
  type: SeqLock,
  make: (memory) => create(SeqLock, memory, SEQ),
  methods: {
    read: () => [new Int32Array(3)],
    tryRead: () => [new Int32Array(3)],
    write: () => [[1, 2, 3], blocks()],
    toHandle: none,
  },
  statics: statics(SeqLock, SEQ),
  use(object) {
    const out = new Int32Array(3);
    object.write([4, 5, 6], LONG);
    object.read(out);
    assert.deepEqual([...out], [4, 5, 6]);
  },
};

const SHARDS = { ...THREADS, shards: "thread" };
const counter: SyncKind<sync.PartitionedCounter> = {
  type: PartitionedCounter,
  make: (memory) => create(PartitionedCounter, memory, SHARDS),
  methods: { add: () => [1], value: none, toHandle: none },
  statics: statics(PartitionedCounter, SHARDS),
  use(object) {
    const before = object.value();
    object.add(3);
    assert.equal(object.value(), before + 3);
  },
};

const LIMITED = { ...THREADS, batch: 4 };
const limited: SyncKind<sync.LimitedCounter> = {
  type: LimitedCounter,
  make: (memory) => create(LimitedCounter, memory, LIMITED, 100),
  methods: { tryAdd: () => [1], subtract: () => [1], value: none, toHandle: none },
  statics: statics(LimitedCounter, LIMITED, 100),
  use(object) {
    while (object.tryAdd(1));
    assert.equal(object.value(), 100);
    object.subtract(100);
  },
};

const COARSE = { ...THREADS, precision: 2, highest: 1000 };
const histogramOf = (memory: Memory): sync.Histogram => create(Histogram, memory, COARSE);
const histogram: SyncKind<sync.Histogram> = {
  type: Histogram,
  make: histogramOf,
  methods: { record: () => [7], snapshot: () => [{ reset: true }], toHandle: none },
  statics: statics(Histogram, COARSE),
  use(object) {
    const { count } = object.snapshot();
    object.record(9);
    assert.equal(object.snapshot().count, count + 1);
  },
};

function snapshotOf(memory: Memory): sync.HistogramSnapshot {
  const object = histogramOf(memory);
  for (let value = 0; value < 100; value++) object.record(value);
  return object.snapshot();
}

const snapshot: SyncKind<sync.HistogramSnapshot> = {
  type: HistogramSnapshot,
  make: snapshotOf,
  methods: { percentile: () => [50], merge: (object) => [object], buckets: none },
  statics: {},
  use: (object) => assert.equal(object.count, 100),
};

const epoch: SyncKind<sync.Epoch> = {
  type: Epoch,
  make: (memory) => create(Epoch, memory, THREADS),
  methods: {
    enter: none,
    exit: none,
    quiescent: none,
    safe: () => [0],
    advance: none,
    toHandle: none,
  },
  statics: statics(Epoch, THREADS),
  use(object) {
    object.enter();
    object.exit();
    const at = object.current;
    for (let tries = 0; tries < 10 && !object.safe(at); tries++) object.advance();
  },
};

const guard: SyncKind<sync.Guard> = {
  type: Guard,
  make: (memory) => create<sync.Lock>(Mutex, memory, THREADS).acquire(LONG),
  methods: { release: none, [Symbol.dispose]: none },
  statics: {},
};

const sharedMutex: SyncKind<sync.SharedMutex> = {
  type: SharedMutex,
  make(memory) {
    const room = memory(0);
    return SharedMutex.create(room instanceof Arena ? room : namedArena());
  },
  methods: lockMethods,
  statics: {
    create: () => [namedArena()],
    open: (object) => [namedArena(), object.offset],
    bytes: none,
    fromHandle: (object) => [object.toHandle()],
  },
  hold: holdLock,
  use: useLock,
};

/** Locks by their rows: whole, and each side. */
function lockKinds(): Record<string, unknown> {
  const kinds: Record<string, unknown> = {};
  for (const { name, type, options, shared } of LOCKS) {
    if (shared === undefined) kinds[name] = lockKind(type, options);
    else {
      kinds[name] = wholeKind(type);
      for (const side of ["read", "write"] as const) {
        kinds[`${name} to ${side}`] = sideKind(type, side);
      }
    }
  }
  return kinds;
}

const all = {
  ...lockKinds(),
  SharedMutex: sharedMutex,
  Guard: guard,
  Condition: condition,
  EventCount: eventCount,
  Semaphore: semaphore,
  Barrier: barrier,
  Latch: latch,
  Once: once,
  SeqLock: seqLock,
  PartitionedCounter: counter,
  LimitedCounter: limited,
  Histogram: histogram,
  HistogramSnapshot: snapshot,
  Epoch: epoch,
  ...STRUCT_KINDS,
  ...RECORD_KINDS,
};

/** All of them, by what they are called. */
export const SYNC_KINDS = all as unknown as Readonly<Record<string, SyncKind>>;

/** Memory of an arena that the caller destroys: with a name, which some need. */
export function arenaMemory(): { readonly memory: Memory; readonly arena: Arena } {
  const arena = freshArena();
  return { memory: () => arena, arena };
}

export const SYNC_FUNCTIONS: Readonly<Record<string, SyncFunction>> = {
  setWaitStrategy: {
    call: sync.setWaitStrategy as SyncFunction["call"],
    right: () => [{ spins: 3, yields: 2 }],
    undo: () => sync.setWaitStrategy(undefined),
  },
  ...RECORD_FUNCTIONS,
};
