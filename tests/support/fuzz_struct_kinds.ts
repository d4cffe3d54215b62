/**
 * The rows of the classes that `lib/structs/mod.ts` exports.
 */
import assert from "node:assert/strict";
import type { Arena } from "../../mod.ts";
import * as structs from "../../lib/structs/mod.ts";
import {
  blocks,
  create,
  type Creator,
  LONG,
  none,
  statics,
  type SyncKind,
  THREADS,
  waits,
} from "./fuzz_row.ts";
import { freshArena } from "./fuzz_sync_values.ts";

const {
  BroadcastConsumer,
  BroadcastRing,
  Cache,
  Deque,
  HashMap,
  MpmcRing,
  OrderedMap,
  PriorityQueue,
  SpscRing,
} = structs;

const RING = { ...THREADS, capacity: 8, recordWords: 2 };

function ringKind(
  type: Creator,
  ...counting: readonly string[]
): SyncKind<structs.SpscRing | structs.MpmcRing> {
  return {
    type,
    make: (memory) => create(type, memory, RING),
    methods: {
      tryPush: () => [new Int32Array(2)],
      tryPushSome: () => [new Int32Array(4)],
      tryPop: () => [new Int32Array(4)],
      tryPopAll: () => [new Int32Array(2)],
      push: () => [new Int32Array(2), blocks()],
      pop: () => [new Int32Array(2), blocks()],
      pushAsync: () => [new Int32Array(2), waits()],
      popAsync: () => [new Int32Array(2), waits()],
      close: none,
      toHandle: none,
      ...Object.fromEntries(counting.map((name) => [name, () => [1]])),
    },
    statics: statics(type, RING),
    end: (object) => object.close(),
    use(object) {
      const found = new Int32Array(2);
      while (object.tryPop(found) > 0);
      if (object.closed) return;
      assert.equal(object.tryPush(Int32Array.of(5, 6)), true);
      assert.equal(object.pop(found, LONG), 1);
      assert.deepEqual([...found], [5, 6]);
    },
  };
}

const broadcast: SyncKind<structs.BroadcastRing> = {
  type: BroadcastRing,
  make: (memory) => create(BroadcastRing, memory, RING),
  methods: {
    publish: () => [new Int32Array(4)],
    subscribe: () => [{ from: "oldest" }],
    adopt: none,
    disown: none,
    close: none,
    toHandle: none,
  },
  statics: statics(BroadcastRing, RING),
  use(object) {
    if (object.closed) return;
    const consumer = object.subscribe();
    object.publish(Int32Array.of(5, 6));
    const found = new Int32Array(2);
    assert.equal(consumer.read(found, LONG), 1);
    assert.deepEqual([...found, consumer.missed], [5, 6, 0]);
  },
};

/** Rings of the consumers that are made here. */
const rings = new WeakMap<structs.BroadcastConsumer, structs.BroadcastRing>();
const consumer: SyncKind<structs.BroadcastConsumer> = {
  type: BroadcastConsumer,
  make(memory) {
    const ring = create(BroadcastRing, memory, RING) as structs.BroadcastRing;
    const made = ring.subscribe();
    rings.set(made, ring);
    return made;
  },
  methods: {
    tryRead: () => [new Int32Array(4)],
    read: () => [new Int32Array(4), blocks()],
    readAsync: () => [new Int32Array(4), waits()],
  },
  statics: {},
  end: (object) => rings.get(object)?.publish(Int32Array.of(1, 2)),
  use(object) {
    const found = new Int32Array(2);
    while (object.tryRead(found) > 0);
    rings.get(object)?.publish(Int32Array.of(5, 6));
    assert.equal(object.read(found, LONG), 1);
    assert.deepEqual([...found], [5, 6]);
  },
};

let mapsArena: Arena | undefined;
let between: structs.HashMap<number, Uint8Array> | undefined;

const MAP = { ...THREADS, capacity: 8, key: "u32", value: { bytes: 8 } } as const;
const map: SyncKind<structs.HashMap<number, Uint8Array>> = {
  type: HashMap,
  make: (memory) => create(HashMap, memory, MAP),
  methods: {
    use: () => [structs.struct({ x: structs.f64 })],
    get: () => [1],
    getInto: () => [1, new Uint8Array(8)],
    has: () => [1],
    getMany: () => [Uint32Array.of(1, 2), new Uint8Array(16), new Uint8Array(2)],
    set: () => [1, new Uint8Array(8)],
    setMany: () => [Uint32Array.of(1, 2), new Uint8Array(16)],
    delete: () => [1],
    update: () => [1, () => new Uint8Array(8)],
    add: () => [1, 1],
    getOrInsert: () => [1, new Uint8Array(8)],
    compareExchange: () => [1, undefined, new Uint8Array(8)],
    clear: none,
    entries: none,
    [Symbol.iterator]: none,
    keys: none,
    values: none,
    forEach: () => [() => {}],
    snapshot: none,
    toHandle: none,
  },
  statics: {
    ...statics(HashMap, MAP),
    open: () => {
      // A thread may have 31 of them.
      between ??= HashMap.create(mapsArena ??= freshArena(), { ...MAP, processes: true });
      return [mapsArena, between.offset];
    },
    restore: (object, memory) => [memory(HashMap.bytes(MAP)), object.snapshot(), { ...MAP }],
  },
  use(object) {
    object.set(3, new Uint8Array(8).fill(7));
    assert.deepEqual(object.get(3), new Uint8Array(8).fill(7));
    assert.equal(object.delete(3), true);
    assert.equal(object.has(3), false);
  },
};

const replicated: SyncKind<structs.ReplicatedMap<number, Uint8Array>> = {
  type: structs.ReplicatedMap,
  make: (memory) => create(structs.ReplicatedMap, memory, MAP),
  methods: {
    get: () => [1],
    has: () => [1],
    getMany: () => [Uint32Array.of(1, 2), new Uint8Array(16), new Uint8Array(2)],
    set: () => [1, new Uint8Array(8)],
    setMany: () => [Uint32Array.of(1, 2), new Uint8Array(16)],
    delete: () => [1],
    update: () => [1, () => new Uint8Array(8)],
    add: () => [1, 1],
    getOrInsert: () => [1, new Uint8Array(8)],
    compareExchange: () => [1, undefined, new Uint8Array(8)],
    clear: none,
    entries: none,
    [Symbol.iterator]: none,
    keys: none,
    values: none,
    forEach: () => [() => {}],
    toHandle: none,
  },
  statics: statics(structs.ReplicatedMap, MAP),
  use(object) {
    object.clear();
    object.set(3, new Uint8Array(8).fill(7));
    assert.deepEqual(object.get(3), new Uint8Array(8).fill(7));
    assert.equal(object.delete(3), true);
    assert.equal(object.has(3), false);
  },
};

const DELEGATED = { ...THREADS, capacity: 8, key: "u32", value: "f64", clients: 1 } as const;
const delegated: SyncKind<structs.DelegatedMap<number, number>> = {
  type: structs.DelegatedMap,
  make: (memory) => create(structs.DelegatedMap, memory, DELEGATED),
  methods: {
    partitionOf: () => [1],
    homeOf: () => [1],
    serve: () => [{ signal: AbortSignal.timeout(1), partition: 0 }],
    get: () => [1, waits()],
    has: () => [1, waits()],
    getMany: () => [[1, 2], waits()],
    set: () => [1, 0.5, waits()],
    setMany: () => [[[1, 0.5]], waits()],
    delete: () => [1, waits()],
    add: () => [1, 0.5, waits()],
    getOrInsert: () => [1, 0.5, waits()],
    compareExchange: () => [1, undefined, 0.5, waits()],
    close: none,
    leave: none,
    toHandle: none,
  },
  statics: {
    ...statics(structs.DelegatedMap, DELEGATED),
    bytes: () => [{ ...DELEGATED }, 1],
  },
  end: (object) => object.close(),
};

const DEQUE = { ...THREADS, capacity: 8 };
const deque: SyncKind<structs.Deque> = {
  type: Deque,
  make: (memory) => create(Deque, memory, DEQUE),
  methods: {
    push: () => [new Int32Array(1)],
    pop: () => [new Int32Array(1)],
    steal: () => [new Int32Array(1)],
    pushWord: () => [7],
    popWord: none,
    stealWord: none,
    adopt: none,
    disown: none,
    toHandle: none,
  },
  statics: statics(Deque, DEQUE),
  use(object) {
    while (object.popWord() !== undefined);
    assert.deepEqual([object.pushWord(5), object.pushWord(6)], [true, true]);
    assert.deepEqual([object.stealWord(), object.popWord(), object.length], [5, 6, 0]);
  },
};

const QUEUE = { ...THREADS, capacity: 8, heaps: 2 };
const queue: SyncKind<structs.PriorityQueue> = {
  type: PriorityQueue,
  make: (memory) => create(PriorityQueue, memory, QUEUE),
  methods: {
    push: () => [0.5, new Int32Array(1)],
    pop: () => [new Int32Array(1)],
    pushWord: () => [0.5, 7],
    popWord: none,
    peekPriority: none,
    toHandle: none,
  },
  statics: statics(PriorityQueue, QUEUE),
  use(object) {
    while (object.popWord() !== undefined);
    assert.deepEqual([object.pushWord(0.5, 5), object.popWord(), object.length], [true, 5, 0]);
  },
};

const ORDERED = { ...THREADS, capacity: 8, key: "f64", value: { bytes: 8 } } as const;
const ordered: SyncKind<structs.OrderedMap<number, Uint8Array>> = {
  type: OrderedMap,
  make: (memory) => create(OrderedMap, memory, ORDERED),
  methods: {
    get: () => [1],
    has: () => [1],
    first: none,
    last: none,
    floor: () => [1],
    ceiling: () => [1],
    lower: () => [1],
    higher: () => [1],
    set: () => [1, new Uint8Array(8)],
    delete: () => [1],
    popFirst: none,
    popLast: none,
    update: () => [1, () => new Uint8Array(8)],
    add: () => [1, 1],
    getOrInsert: () => [1, new Uint8Array(8)],
    compareExchange: () => [1, undefined, new Uint8Array(8)],
    clear: none,
    entries: () => [{ from: 1, to: 2, reverse: true, limit: 3 }],
    [Symbol.iterator]: none,
    keys: () => [{ from: 1, to: 2, reverse: true, limit: 3 }],
    values: () => [{ from: 1, to: 2, reverse: true, limit: 3 }],
    forEach: () => [() => {}, { from: 1, to: 2, reverse: true, limit: 3 }],
    toHandle: none,
  },
  statics: statics(OrderedMap, ORDERED),
  use(object) {
    object.clear();
    object.set(3, new Uint8Array(8).fill(7)).set(-1.5, new Uint8Array(8));
    assert.deepEqual(object.get(3), new Uint8Array(8).fill(7));
    assert.deepEqual([...object.keys()], [-1.5, 3]);
    assert.equal(object.delete(3), true);
    assert.equal(object.has(3), false);
  },
};

const CACHE = { ...THREADS, capacity: 8192, value: "text" } as const;
const cache: SyncKind<structs.Cache<string, string>> = {
  type: Cache,
  make: (memory) => create(Cache, memory, CACHE),
  methods: {
    get: () => ["a"],
    getInto: () => ["a", new Uint8Array(4)],
    has: () => ["a"],
    set: () => ["a", "value", { ttlMs: 1000 }],
    delete: () => ["a"],
    clear: none,
    getOrCompute: () => ["b", () => "value", { ttlMs: 1000, ...waits() }],
    homeOf: () => ["a"],
    stats: none,
    snapshot: none,
    toHandle: none,
  },
  statics: {
    ...statics(Cache, CACHE),
    restore: (object, memory) => [memory(Cache.bytes(CACHE)), object.snapshot(), { ...CACHE }],
  },
  use(object) {
    object.set("key", "value");
    assert.equal(object.get("key"), "value");
    assert.equal(object.delete("key"), true);
    assert.equal(object.has("key"), false);
  },
};

const MESSAGES = { ...THREADS, capacity: 64 };
const messages: SyncKind<structs.MessageRing> = {
  type: structs.MessageRing,
  make: (memory) => create(structs.MessageRing, memory, MESSAGES),
  methods: {
    tryPush: () => [new Uint8Array(5)],
    tryPushMany: () => [[new Uint8Array(5), new Uint8Array(0)]],
    tryPop: none,
    tryPopInto: () => [new Uint8Array(28)],
    tryPopMany: () => [2],
    push: () => [new Uint8Array(5), blocks()],
    pop: () => [blocks()],
    pushAsync: () => [new Uint8Array(5), waits()],
    popAsync: () => [waits()],
    reserve: () => [7],
    commit: () => [7],
    readable: none,
    consume: none,
    close: none,
    toHandle: none,
  },
  statics: statics(structs.MessageRing, MESSAGES),
  end: (object) => object.close(),
  use(object) {
    object.tryPopMany();
    if (object.closed) return;
    assert.equal(object.tryPush(Uint8Array.of(5, 6)), true);
    assert.deepEqual(object.pop(LONG), Uint8Array.of(5, 6));
  },
};

const CHANNEL = { ...THREADS, codec: "f64", capacity: 64, senders: 2 } as const;
const channel: SyncKind<structs.Channel<number>> = {
  type: structs.Channel,
  make: (memory) => create(structs.Channel, memory, CHANNEL),
  methods: {
    use: () => [{ encode: () => 0, decode: () => 0 }],
    trySend: () => [1.5],
    trySendMany: () => [[1, 2]],
    send: () => [1.5, blocks()],
    sendAsync: () => [1.5, waits()],
    tryReceive: none,
    tryReceiveMany: () => [2],
    receive: () => [blocks()],
    receiveMany: () => [2, blocks()],
    receiveAsync: () => [waits()],
    receiveManyAsync: () => [2, waits()],
    [Symbol.asyncIterator]: none,
    readable: none,
    writable: none,
    close: none,
    leave: none,
    toHandle: none,
  },
  statics: statics(structs.Channel, CHANNEL),
  end: (object) => object.close(),
  use(object) {
    object.tryReceiveMany();
    if (object.closed) return;
    assert.equal(object.trySend(5.5), true);
    assert.equal(object.receive(LONG), 5.5);
  },
};

const shardedBytes = (): number => structs.ShardedMap.bytes(MAP, 2);
const { use: _use, getInto: _getInto, ...mapMethods } = map.methods;
const sharded: SyncKind<structs.ShardedMap<number, Uint8Array>> = {
  type: structs.ShardedMap,
  make: (memory) =>
    structs.ShardedMap.create([memory(shardedBytes()), memory(shardedBytes())], MAP),
  methods: {
    ...mapMethods,
    homeOf: () => [1],
    entriesOn: (object: structs.ShardedMap<number, Uint8Array>) => [object.nodes[0]],
  } as never,
  statics: {
    create: (_, memory) => [[memory(shardedBytes()), memory(shardedBytes())], { ...MAP }],
    bytes: () => [{ ...MAP }, 2],
    fromHandle: (object) => [object.toHandle()],
    restore: (object, memory) => [
      [memory(shardedBytes()), memory(shardedBytes())],
      object.snapshot(),
      { ...MAP },
    ],
  },
  use: map.use as never,
};

/** All of them, by what they are called. */
export const STRUCT_KINDS = {
  SpscRing: ringKind(SpscRing, "writable", "commit", "readable", "consume"),
  MpmcRing: ringKind(MpmcRing),
  BroadcastRing: broadcast,
  BroadcastConsumer: consumer,
  Cache: cache,
  DelegatedMap: delegated,
  Deque: deque,
  HashMap: map,
  OrderedMap: ordered,
  PriorityQueue: queue,
  ReplicatedMap: replicated,
  MessageRing: messages,
  Channel: channel,
  ShardedMap: sharded,
};
