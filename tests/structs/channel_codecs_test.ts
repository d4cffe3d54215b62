import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Arena, Channel, struct, text, u32 } from "../../mod.ts";
import { channelOf } from "../support/channels.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { noPolicies } from "../support/policies.ts";
import { sharedWords } from "../support/words.ts";
import { codec, type Parcel } from "../workers/channels.ts";

describe("the values of a channel", () => {
  it("come as from a queue, whatever is done to it", () => {
    const step = fc.record({
      what: fc.constantFrom("send", "send", "send many", "receive", "receive many", "leave"),
      lengths: fc.array(fc.nat({ max: 60 }), { minLength: 1, maxLength: 5 }),
      limit: fc.integer({ min: 1, max: 6 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const channel = channelOf({ codec: "bytes", capacity: 128, senders: 1 });
        const model: Uint8Array[] = [];
        let next = 0;
        for (const { what, lengths, limit } of steps) {
          const values = lengths.map((length) => new Uint8Array(length).fill(++next));
          if (what === "leave") channel.leave();
          else if (what === "receive") {
            assert.deepEqual(channel.tryReceive(), model.shift());
          } else if (what === "receive many") {
            assert.deepEqual(channel.tryReceiveMany(limit), model.splice(0, limit));
          } else {
            const isEmpty = model.length === 0;
            const sent = what === "send"
              ? Number(channel.trySend(values[0] as Uint8Array))
              : channel.trySendMany(values);
            assert.ok(sent > 0 || !isEmpty, "there was room");
            model.push(...values.slice(0, sent));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it("carries bytes, of which it makes copies", () => {
    const channel = channelOf({ codec: "bytes", capacity: 256 });
    const sent = Uint8Array.of(1, 2, 3);
    assert.equal(channel.trySend(sent), true);
    sent.fill(9);
    assert.equal(channel.trySend(new Uint8Array(0)), true);
    assert.deepEqual(channel.tryReceiveMany(), [Uint8Array.of(1, 2, 3), new Uint8Array(0)]);
    assert.equal(channel.tryReceive(), undefined);
  });

  it("carries numbers", () => {
    const numbers = channelOf({ codec: "f64" });
    const values = [0, -0, 1.5, NaN, Infinity, -Infinity, 2 ** 53, Number.MIN_VALUE];
    assert.equal(numbers.trySendMany(values), values.length);
    assert.equal(numbers.trySendMany(Float64Array.from(values)), values.length);
    assert.deepEqual(numbers.tryReceiveMany(), [...values, ...values]);
    const words = channelOf({ codec: "u32" });
    assert.equal(words.trySendMany([0, 2 ** 32 - 1]), 2);
    assert.deepEqual(words.tryReceiveMany(1), [0]);
    assert.equal(words.tryReceive(), 2 ** 32 - 1);
    const signed = channelOf({ codec: "i32" });
    for (const value of [-(2 ** 31), -1, 2 ** 31 - 1]) {
      assert.equal(signed.trySend(value), true);
      assert.equal(signed.tryReceive(), value);
    }
  });

  it("carries what structured clone copies", () => {
    const channel: Channel<unknown> = channelOf({ codec: "clone" });
    const value = {
      ...{
        text: "é\u{1f600}",
        list: [1, [2], null],
        big: 10n ** 30n,
        date: new Date(5),
        none: undefined,
      },
      ...{
        map: new Map([[1, new Set(["x"])]]),
        bytes: Uint8Array.of(1, 2),
        f: new Float64Array([1.5]),
      },
    };
    const circle: { self?: unknown } = {};
    circle.self = circle;
    for (const sent of [value, "", 5, -0, false, null, circle, new Error("mine")]) {
      assert.equal(channel.trySend(sent), true);
      assert.deepEqual(channel.tryReceive(), sent);
    }
  });

  it("carries records of a struct, and what a codec makes of bytes", () => {
    const Point = struct({ id: u32, name: text(10) });
    const points = channelOf({ codec: Point, capacity: 256 });
    assert.equal(points.trySend({ id: 1, name: "a" }), true);
    assert.equal(points.trySendMany([{ id: 2, name: "b" }, { id: 3, name: "c" }]), 2);
    assert.deepEqual(points.tryReceiveMany(), [
      { id: 1, name: "a" },
      { id: 2, name: "b" },
      { id: 3, name: "c" },
    ]);
    throwsCode(() => points.trySend({ id: "1" as never, name: "a" }), "EINVAL");
    const parcels: Channel<Parcel> = channelOf({ codec, capacity: 256 });
    assert.equal(parcels.trySend({ from: 1, number: 7 }), true);
    assert.deepEqual(parcels.tryReceive(), { from: 1, number: 7 });
  });

  it("is intact whatever a codec does", () => {
    const own = new Error("mine");
    const log: unknown[] = [];
    let act: ((channel: Channel<number>) => void) | undefined;
    const run = (): void => {
      const once = act;
      act = undefined;
      once?.(channel);
    };
    const mischievous = {
      encode(value: number, into: Uint8Array): number {
        into[0] = value;
        run();
        return value === 99 ? 1000 : value === 98 ? NaN : 1;
      },
      decode(bytes: Uint8Array): number {
        run();
        return bytes[0] as number;
      },
    };
    const channel = channelOf({ codec: mischievous, capacity: 64 });
    const fail = (): never => {
      throw own;
    };
    for (const value of [98, 99]) {
      throwsCode(() => channel.trySend(value), "EINVAL", /number of bytes/);
    }
    act = fail;
    assert.throws(() => channel.trySend(1), own);
    act = (same) => same.trySend(2);
    assert.equal(channel.trySend(3), true);
    assert.deepEqual(channel.tryReceiveMany(), [2, 3]);
    channel.trySendMany([4, 5, 6]);
    act = (same) => log.push(same.tryReceive());
    assert.equal(channel.tryReceive(), 4);
    assert.deepEqual([log, channel.tryReceive()], [[5], 6]);
    channel.trySendMany([7, 8, 9]);
    act = fail;
    assert.throws(() => channel.tryReceive(), own);
    act = () => act = fail;
    // It fails for the second one, which the next call tells.
    assert.deepEqual(channel.tryReceiveMany(), [8]);
    assert.throws(() => channel.tryReceiveMany(), own);
    assert.deepEqual(channel.tryReceiveMany(), []);
    channel.trySendMany([10, 11]);
    act = (same) => same.leave();
    assert.deepEqual(channel.tryReceiveMany(), [10]);
    assert.deepEqual(channel.tryReceiveMany(), [11]);
    act = (same) => same.leave();
    assert.equal(channel.trySend(12), true);
    act = (same) => same.close();
    throwsCode(() => channel.trySend(13), "ECLOSED");
    assert.deepEqual(channel.tryReceiveMany(), [12]);
    const stolen = channelOf({
      capacity: 64,
      codec: {
        encode: (_: number, into: Uint8Array) =>
          structuredClone(into.length, { transfer: [into.buffer as ArrayBuffer] }) * 0,
        decode: () => 1,
      },
    });
    throwsCode(() => stolen.trySend(1), "EINVAL", /transferred/);
    const records = channelOf({ codec: struct({ id: u32 }), capacity: 64 });
    const nested = {
      get id(): number {
        if (log.length < 3) {
          log.push(0);
          records.trySend({ id: 20 });
        }
        return 21;
      },
    };
    assert.equal(records.trySend(nested), true);
    assert.deepEqual(records.tryReceiveMany().map(({ id }) => id), [20, 21]);
  });

  it("ends with its arena, also in a codec", { skip: noPolicies }, async () => {
    const make = (act: (arena: Arena) => void) => {
      const arena = Arena.create({ node: 0, size: "1 MiB" });
      let isArmed = false;
      const mischievous = {
        encode(value: number, into: Uint8Array): number {
          into[0] = value;
          if (isArmed) act(arena);
          return 1;
        },
        decode([first]: Uint8Array): number {
          if (isArmed) act(arena);
          return first as number;
        },
      };
      const channel = Channel.create(arena, { codec: mischievous, capacity: 64 });
      channel.trySendMany([1, 2, 3]);
      isArmed = true;
      return channel;
    };
    const destroy = (arena: Arena): void => arena.destroy();
    throwsCode(() => make(destroy).trySend(1), "EDESTROYED");
    throwsCode(() => make(destroy).trySendMany([1]), "EDESTROYED");
    throwsCode(() => make(destroy).send(1), "EDESTROYED");
    await rejectsCode(make(destroy).sendAsync(1), "EDESTROYED");
    const channel = make(destroy);
    assert.equal(channel.tryReceive(), 1);
    throwsCode(() => channel.tryReceive(), "EDESTROYED");
    assert.deepEqual(make(destroy).tryReceiveMany(), [1]);
    assert.deepEqual(await make(destroy).receiveManyAsync(), [1]);
    for (
      const call of [
        () => channel.closed,
        () => channel.trySend(1),
        () => channel.trySendMany([1]),
        () => channel.tryReceiveMany(),
        () => channel.send(1),
        () => channel.receive(),
        () => channel.receiveMany(),
        () => channel.close(),
        () => channel.leave(),
        () => channel.toHandle(),
      ]
    ) throwsCode(call, "EDESTROYED");
    await rejectsCode(channel.sendAsync(1), "EDESTROYED");
    await rejectsCode(channel.receiveAsync(), "EDESTROYED");
    const arena = Arena.create({ node: 0, size: "1 MiB" });
    const other = Channel.create(arena, { codec: "u32", capacity: 64 });
    assert.equal(other.trySendMany([0, 1, 2, 3, 4, 5, 6, 7]), 8);
    const waits = rejectsCode(other.sendAsync(8), "EDESTROYED");
    await new Promise((resolve) => setTimeout(resolve, 5));
    arena.destroy();
    await waits;
  });

  it("tells a message that is none of its own", () => {
    const options = { codec: "u32", capacity: 64, senders: 1 } as const;
    const words = sharedWords(Channel.bytes(options) / 4);
    const channel = Channel.create(words, options);
    channel.trySendMany([1, 2, 3]);
    // The first line is the region's, and three are the channel's before the bell.
    const lengths = [...words.keys()].filter((at) => words[at] === 4 && at > 4 * LINE_WORDS);
    words[lengths.at(-3) as number] = 3;
    throwsCode(() => channel.tryReceive(), "EINVAL", /a message has 3 bytes/);
    assert.equal(channel.tryReceive(), 2);
    words[lengths.at(-1) as number] = 1000;
    assert.equal(channel.tryReceive(), undefined);
    assert.equal(channel.trySend(4), true);
    assert.equal(channel.tryReceive(), 4);
    const other = { codec: "clone", capacity: 256, senders: 1 } as const;
    const memory = sharedWords(Channel.bytes(other) / 4);
    const clones: Channel<unknown> = Channel.create(memory, other);
    clones.trySend("text");
    const bytes = new Uint8Array(memory.buffer);
    const at = bytes.findLastIndex((byte) => byte === "x".charCodeAt(0));
    bytes.fill(0xff, at - 6, at);
    throwsCode(() => clones.tryReceive(), "EINVAL", /no structured clone/);
  });
});
