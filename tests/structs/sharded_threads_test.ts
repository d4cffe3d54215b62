import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  Arena,
  HashMap,
  type HashMapOptions,
  type MapType,
  type MapTypeValue,
  ShardedMap,
} from "../../mod.ts";
import { repeats } from "../support/extent.ts";
import { runMap } from "../support/launches.ts";
import { noPolicies } from "../support/policies.ts";

function mapOf<const Key extends MapType, const Value extends MapType>(
  options: HashMapOptions<Key, Value>,
  parts: number,
): ShardedMap<MapTypeValue<Key>, MapTypeValue<Value>> {
  const bytes = ShardedMap.bytes(options, parts);
  const memories = Array.from({ length: parts }, () => new SharedArrayBuffer(bytes));
  return ShardedMap.create(memories, options);
}

describe("ShardedMap in several threads", () => {
  it("is written to and read by threads while its parts grow", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 20_000, threads: 16 }, 3);
    const each = 1500;
    const done = 4_000_000_000;
    const writers = [0, 1].map((index) =>
      runMap({ task: "fill", map, first: 1_000_000 + index * each, count: each })
    );
    const adders = [0, 1].map(() => runMap({ task: "count", map, first: 5, count: 5000 }));
    const watcher = runMap({ task: "watch", map, first: 5, count: done });
    const threads = [...writers, ...adders];
    assert.deepEqual(await Promise.all(threads.map((thread) => thread.join())), [
      ...[each, each],
      ...[5000, 5000],
    ]);
    map.set(done, 1);
    assert.ok(await watcher.join() >= 0);
    map.delete(done);
    let sum = 0;
    for (let key = 5; key < 55; key++) sum += map.get(key) ?? 0;
    assert.equal(sum, 10_000);
    for (let key = 1_000_000; key < 1_000_000 + 2 * each; key++) {
      assert.equal(map.get(key), key % 3 === 0 ? undefined : key * 3);
    }
    assert.equal(map.size, 50 + 2 * each * 2 / 3);
  });

  it("goes on when threads are terminated that write to it", async () => {
    const map = mapOf({ key: "u32", value: "u32", capacity: 100, threads: 64 }, 2);
    const bytes = mapOf({ key: "u32", value: { bytes: 8 }, capacity: 100, threads: 64 }, 3);
    for (let round = 0; round < repeats(3); round++) {
      const task = { task: "write for ever", map, bytes, first: 0, count: 100 } as const;
      const threads = [runMap(task), runMap(task)];
      await new Promise((resolve) => setTimeout(resolve, 30));
      const ends = await Promise.all(threads.map((thread) => thread.terminate()));
      assert.deepEqual(ends, [true, true]);
      for (const [, value] of bytes) {
        assert.ok(value.every((byte) => byte === value[0]), `half a value: ${value}`);
      }
      for (let key = 0; key < 100; key++) bytes.set(key, new Uint8Array(8).fill(key));
      for (let key = 0; key < 100; key++) assert.equal(bytes.get(key)?.[0], key);
      assert.equal([...bytes.keys()].length, 100);
      for (let key = 0; key < 100; key++) assert.equal(bytes.delete(key), true);
      assert.deepEqual([...bytes], []);
    }
  });

  it("leaves its bucket to others when the function of an update destroys the arena", {
    skip: noPolicies,
  }, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const map = ShardedMap.create([arena, arena], { key: "u32", value: "u32", capacity: 100 });
    const options = { key: "u32", value: "u32", capacity: 8 } as const;
    const control = HashMap.create(new SharedArrayBuffer(HashMap.bytes(options)), options);
    map.set(7, 10);
    const task = { map, arena, control, first: 7, count: 1 } as const;
    const first = runMap({ ...task, task: "destroy in an update" });
    let ended = false;
    const end = first.join().finally(() => ended = true);
    while (!control.has(1) && !ended) await new Promise((resolve) => setTimeout(resolve, 1));
    assert.equal(map.get(7), 10);
    map.add(7, 1);
    assert.equal(map.get(7), 11);
    control.set(2, 1);
    assert.equal(await end, 1);
  });
});
