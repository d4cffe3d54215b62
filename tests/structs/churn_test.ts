import assert from "node:assert/strict";
import process from "node:process";
import { describe, it } from "node:test";
import {
  Arena,
  Cache,
  Channel,
  HashMap,
  launch,
  MessageRing,
  OrderedMap,
  PriorityQueue,
} from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { inExtent, repeats } from "../support/extent.ts";
import { noPolicies } from "../support/policies.ts";
import { messageOf } from "../workers/message_rings.ts";
import {
  churnStruct,
  KEYS,
  MESSAGE_BYTES,
  type StructChurn,
  type StructChurned,
} from "../workers/struct_churn.ts";

/** A million in the gate, a hundred million with `scripts/test --full`: all of them together. */
const PART = repeats(inExtent(1, 100) * 100_000);
/** By how much a process may become larger meanwhile: what engines keep, which collect their garbage now and then. */
const GROWTH_BYTES = 96 * 2 ** 20;

type Kind = StructChurn extends infer Task ? Task extends StructChurn ? Omit<Task, "index"> : never
  : never;

/** Does it in this thread and in others at the same time. */
async function churn(task: Kind): Promise<StructChurned[]> {
  const others = Array.from(
    { length: task.threads - 1 },
    (_, index) =>
      launch<StructChurned>(sibling(import.meta.url, "../workers/struct_churn"), {
        args: { ...task, index: index + 1 },
      }),
  );
  const own = await churnStruct({ ...task, index: 0 } as StructChurn);
  return [own, ...await Promise.all(others.map((thread) => thread.join()))];
}

/** All went as it should; how much is left, and its sum. */
function inAll(churned: readonly StructChurned[]): { readonly left: number; readonly sum: number } {
  assert.deepEqual(churned.map(({ wrong }) => wrong), churned.map(() => undefined));
  return {
    left: churned.reduce((all, { left }) => all + left, 0),
    sum: churned.reduce((all, { sum }) => all + sum, 0),
  };
}

/** Runs twice, in the same memory: the second time nothing becomes larger. */
async function flat(arena: Arena, run: (part: number) => Promise<void>): Promise<void> {
  const { used } = arena;
  await run(0.2);
  const before = process.memoryUsage.rss();
  await run(0.8);
  const growth = process.memoryUsage.rss() - before;
  assert.equal(arena.used, used);
  assert.ok(growth < GROWTH_BYTES, `${(growth / 2 ** 20).toFixed(0)} MiB more`);
}

const inArena = { skip: noPolicies };

describe("churn", () => {
  it("leaves a HashMap as three threads' models are", inArena, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const map = HashMap.create(arena, { capacity: KEYS, key: "u32", value: "u32" });
    await flat(arena, async (part) => {
      map.clear();
      const operations = Math.ceil(PART * part);
      const { left, sum } = inAll(
        await churn({ kind: "map", structure: map, threads: 3, operations }),
      );
      assert.equal(map.size, left);
      assert.equal([...map.values()].reduce((all, value) => all + value, 0), sum);
    });
  });

  it("leaves an OrderedMap as two threads' models are", inArena, async () => {
    using arena = Arena.create({ node: 0, size: "2 MiB" });
    const map = OrderedMap.create(arena, { capacity: KEYS, key: "u32", value: "u32" });
    await flat(arena, async (part) => {
      map.clear();
      const operations = Math.ceil(PART * part);
      const { left, sum } = inAll(
        await churn({ kind: "ordered map", structure: map, threads: 2, operations }),
      );
      assert.equal(map.size, left);
      assert.equal([...map.values()].reduce((all, value) => all + value, 0), sum);
    });
  });

  it("leaves a Cache with what was set last", inArena, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const cache = Cache.create(arena, { capacity: "256 KiB" });
    await flat(arena, async (part) => {
      cache.clear();
      const operations = Math.ceil(PART * part);
      inAll(await churn({ kind: "cache", structure: cache, threads: 2, operations }));
      const { bytes, capacity } = cache.stats();
      assert.ok(bytes <= capacity, `${bytes} of ${capacity}`);
    });
  });

  it("gives each entry of a PriorityQueue once, the first one first", inArena, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const queue = PriorityQueue.create(arena, { capacity: 4096 });
    await flat(arena, async (part) => {
      const operations = Math.ceil(PART * part);
      drains(
        queue,
        inAll(await churn({ kind: "priority queue", structure: queue, threads: 1, operations })),
      );
    });
  });

  it("gives each entry of a PriorityQueue of several heaps once", inArena, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const queue = PriorityQueue.create(arena, { capacity: 8192, heaps: 4 });
    await flat(arena, async (part) => {
      const operations = Math.ceil(PART * part / 2);
      drains(
        queue,
        inAll(await churn({ kind: "priority queue", structure: queue, threads: 2, operations })),
      );
    });
  });

  it("takes all messages through a MessageRing", inArena, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const ring = MessageRing.create(arena, { capacity: 16_384 });
    await flat(arena, async (part) => {
      const extent = { threads: 1, index: 0, operations: Math.ceil(PART * part / 2) };
      const sender = launch<StructChurned>(sibling(import.meta.url, "../workers/struct_churn"), {
        args: { ...extent, kind: "sends messages", structure: ring },
      });
      const taken = await churnStruct({ ...extent, kind: "takes messages", structure: ring });
      inAll([taken, await sender.join()]);
      assert.equal(ring.usedBytes, 0);
    });
  });

  it("takes all messages of two senders through a Channel", inArena, async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const channel = Channel.create(arena, { codec: "bytes", senders: 4 });
    await flat(arena, async (part) => {
      const extent = { threads: 1, operations: Math.ceil(PART * part / 4) };
      const senders = [0, 1].map((index) =>
        launch<StructChurned>(sibling(import.meta.url, "../workers/struct_churn"), {
          args: { ...extent, index, kind: "sends", structure: channel },
        })
      );
      inAll([await received(channel, 2, extent.operations)]);
      inAll(await Promise.all(senders.map((thread) => thread.join())));
      assert.equal(channel.tryReceive(), undefined);
    });
  });
});

/** Receives from several senders, of which each sends the same: their bytes are those of all messages. */
async function received(
  channel: Channel<Uint8Array>,
  senders: number,
  messages: number,
): Promise<StructChurned> {
  let sum = 0;
  for (let count = 0; count < senders * messages; count++) {
    const message = await channel.receiveAsync();
    sum += message?.reduce((all, byte) => all + byte, 0) ?? NaN;
  }
  let wanted = 0;
  for (let number = 1; number <= messages; number++) {
    wanted += messageOf(number, MESSAGE_BYTES).reduce((all, byte) => all + byte, 0);
  }
  const wrong = sum === senders * wanted ? undefined : `${sum} of ${senders * wanted}`;
  return { wrong, left: 0, sum: 0 };
}

/** What is left in a queue is what threads say. */
function drains(queue: PriorityQueue, { left, sum }: ReturnType<typeof inAll>): void {
  assert.equal(queue.length, left);
  let rest = 0;
  for (let word = queue.popWord(); word !== undefined; word = queue.popWord()) rest += word;
  assert.equal(rest, sum);
}
