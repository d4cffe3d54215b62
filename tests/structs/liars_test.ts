import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  BroadcastRing,
  Cache,
  Deque,
  HashMap,
  MessageRing,
  MpmcRing,
  NumaError,
  OrderedMap,
  PriorityQueue,
  SpscRing,
} from "../../mod.ts";
import { isArrayBuffer, isSharedArrayBuffer } from "../../lib/base/brand.ts";
import { show } from "../../lib/base/check.ts";
import { throwsCode } from "../support/errors.ts";

const shared = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(bytes);
const MAP = { key: { bytes: 8 }, value: { bytes: 8 }, capacity: 16 } as const;
const RING = { capacity: 8, recordWords: 2 };
const CACHE = { capacity: "4 KiB", key: "bytes", value: "bytes" } as const;

type Words = Int32Array | Uint8Array;

/** Arrays of another length than they say: by their own property, and by their class. */
function liars(array: Words, says: number): Words[] {
  const own = array.slice();
  for (const name of ["length", "byteLength"]) {
    Object.defineProperty(own, name, { value: says });
  }
  const Base = array.constructor as Int32ArrayConstructor;
  class Liar extends Base {
    override get length(): number {
      return says;
    }
    override get byteLength(): number {
      return says;
    }
  }
  return [own, new Liar(array)];
}

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

describe("arrays that are not what they say", () => {
  const map = HashMap.create(shared(HashMap.bytes(MAP)), MAP);
  const ordered = OrderedMap.create(shared(OrderedMap.bytes(MAP)), MAP);
  const cache = Cache.create(shared(Cache.bytes(CACHE)), CACHE);
  const queue = PriorityQueue.create(shared(PriorityQueue.bytes({ recordWords: 2 })), {
    recordWords: 2,
  });
  const deque = Deque.create(shared(Deque.bytes(RING)), RING);
  const spsc = SpscRing.create(shared(SpscRing.bytes(RING)), RING);
  const mpmc = MpmcRing.create(shared(MpmcRing.bytes(RING)), RING);
  const broadcast = BroadcastRing.create(shared(BroadcastRing.bytes(RING)), RING);
  const messages = MessageRing.create(shared(MessageRing.bytes()));
  const key = new Uint8Array(8);
  const ofWords: Record<string, (record: Int32Array) => unknown> = {
    "queue.push": (record) => queue.push(1, record),
    "queue.pop": (record) => queue.pop(record),
    "deque.push": (record) => deque.push(record),
    "deque.pop": (record) => deque.pop(record),
    "spsc.tryPush": (record) => spsc.tryPush(record),
    "spsc.tryPop": (record) => spsc.tryPop(record),
    "mpmc.tryPush": (record) => mpmc.tryPush(record),
    "mpmc.tryPop": (record) => mpmc.tryPop(record),
    "broadcast.publish": (record) => broadcast.publish(record),
  };
  const ofBytes: Record<string, (bytes: Uint8Array) => unknown> = {
    "map.set": (bytes) => map.set(bytes, key),
    "map.set of a value": (bytes) => map.set(key, bytes),
    "map.setMany": (bytes) => map.setMany(bytes, bytes),
    "map.getMany": (bytes) => map.getMany(key, key, bytes),
    "ordered.set": (bytes) => ordered.set(bytes, key),
    "ordered.set of a value": (bytes) => ordered.set(key, bytes),
  };

  it("are refused where a record's words are wanted", () => {
    for (const [name, call] of Object.entries(ofWords)) {
      for (const liar of liars(new Int32Array(3), 2)) {
        throwsCode(() => call(liar as Int32Array), "EINVAL", /the array is one of 3/);
      }
      throwsCode(() => call(revoked(new Int32Array(2)) as Int32Array), "EINVAL");
      for (const honest of liars(new Int32Array(2), 3)) {
        assert.doesNotThrow(() => call(honest as Int32Array), name);
      }
    }
  });

  it("are refused where so many bytes are wanted", () => {
    for (const [name, call] of Object.entries(ofBytes)) {
      for (const liar of liars(new Uint8Array(9), 8)) {
        throwsCode(() => call(liar as Uint8Array), "EINVAL");
      }
      throwsCode(() => call(revoked(new Uint8Array(8)) as Uint8Array), "EINVAL");
      const right = name === "map.getMany" ? 1 : 8;
      for (const honest of liars(new Uint8Array(right), 9)) {
        assert.doesNotThrow(() => call(honest as Uint8Array), name);
      }
    }
  });

  it("are taken as long as they are where any length will do", () => {
    for (const liar of liars(Uint8Array.of(1, 2, 3), 2000) as Uint8Array[]) {
      cache.set(liar, liar);
      assert.deepEqual(cache.get(Uint8Array.of(1, 2, 3)), Uint8Array.of(1, 2, 3));
      assert.equal(cache.getInto(liar, new Uint8Array(3)), 3);
      assert.equal(messages.tryPush(liar), true);
      assert.deepEqual(messages.tryPop(), Uint8Array.of(1, 2, 3));
    }
    for (const short of liars(new Uint8Array(2), 2000) as Uint8Array[]) {
      assert.equal(cache.getInto(Uint8Array.of(1, 2, 3), short), 3);
      assert.deepEqual([...Array(2).keys()].map((at) => short[at]), [0, 0]);
    }
  });

  it("make no other error where a revoked proxy was given", () => {
    const proxy = revoked({});
    assert.equal(show(proxy), "a value of type object");
    assert.equal(isArrayBuffer(proxy) || isSharedArrayBuffer(proxy), false);
    for (
      const call of [
        () => HashMap.create(proxy as SharedArrayBuffer, MAP),
        () => Cache.create(proxy as SharedArrayBuffer, CACHE),
        () => HashMap.fromHandle(proxy as never),
        () => cache.set(proxy as Uint8Array, key),
        () => cache.getInto(key, proxy as Uint8Array),
        () => messages.tryPush(proxy as Uint8Array),
      ]
    ) assert.throws(call, NumaError);
  });
});

describe("OrderedMap", () => {
  it("of words that nobody wrote is cleared, or says whose fault that is", () => {
    const options = { key: "f64", value: "u32", capacity: 16 } as const;
    const memory = shared(OrderedMap.bytes(options));
    const map = OrderedMap.create(memory, options);
    for (let key = 0; key < 5; key++) map.set(key, key);
    const words = new Int32Array(memory);
    const found = [...words.keys()].filter((at) => words[at] === 0x3ff00000);
    assert.ok(found.length > 0);
    for (const at of found) words[at] = 0x7ff80000;
    throwsCode(() => map.clear(), "EBADMSG", /Cannot clear an ordered map: .*overwritten/);
  });

  it("checks the value of getOrInsert before anything else", () => {
    const map = OrderedMap.create(shared(OrderedMap.bytes(MAP)), MAP);
    const [one, two] = [new Uint8Array(8).fill(1), new Uint8Array(8).fill(2)];
    for (const value of [undefined, null, 7, new Uint8Array(9)]) {
      throwsCode(() => map.getOrInsert(one, value as Uint8Array), "EINVAL", /the value is/);
    }
    assert.equal(map.size, 0);
    assert.deepEqual(map.getOrInsert(one, two), two);
    throwsCode(() => map.getOrInsert(one, undefined as unknown as Uint8Array), "EINVAL");
    assert.deepEqual(map.getOrInsert(one, one), two);
  });
});
