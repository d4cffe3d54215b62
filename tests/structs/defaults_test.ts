import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  BroadcastRing,
  Cache,
  Channel,
  Deque,
  HashMap,
  MessageRing,
  MpmcRing,
  OrderedMap,
  PriorityQueue,
  SpscRing,
} from "../../mod.ts";
import { channelOf } from "../support/channels.ts";

describe("what options do not say", () => {
  it("is what their documentation says", () => {
    const threads = 64;
    const records = { threads, capacity: 1024, recordWords: 1 };
    for (const kind of [SpscRing, MpmcRing, BroadcastRing, Deque]) {
      assert.equal(kind.bytes(), kind.bytes(records), kind.name);
    }
    assert.equal(PriorityQueue.bytes(), PriorityQueue.bytes({ ...records, heaps: 1 }));
    assert.equal(MessageRing.bytes(), MessageRing.bytes({ threads, capacity: 65_536 }));
    assert.equal(Channel.bytes(), Channel.bytes({ threads, capacity: 65_536, senders: 16 }));
    const types = { key: "u32", value: { text: 9 } } as const;
    for (const kind of [HashMap, OrderedMap]) {
      assert.equal(kind.bytes(types), kind.bytes({ ...types, threads, capacity: 1024 }), kind.name);
    }
    const cache = { threads, entryBytes: 128 };
    for (const [capacity, shards] of [["4 KiB", 1], ["1 MiB", 2], ["1 GiB", 32]] as const) {
      assert.equal(Cache.bytes({ capacity }), Cache.bytes({ ...cache, capacity, shards }));
    }
    assert.equal(Cache.bytes(), Cache.bytes({ ...cache, capacity: "16 MiB", shards: 32 }));
  });

  it("is 1,024 for the values that a channel gives at once", async () => {
    const channel = channelOf({ codec: "f64", capacity: 65_536, senders: 1 });
    assert.equal(channel.trySendMany(new Float64Array(3 * 1025)), 3 * 1025);
    const many = [
      channel.tryReceiveMany(),
      channel.receiveMany(),
      await channel.receiveManyAsync(),
    ];
    assert.deepEqual(many.map(({ length }) => length), [1024, 1024, 1024]);
    assert.equal(channel.tryReceiveMany().length, 3);
  });
});
