import assert from "node:assert/strict";
import { arch } from "node:process";
import { describe, it } from "node:test";
import fc from "fast-check";
import { ChannelCore, NO_LANE } from "../../lib/structs/channels/channel_core.ts";
import { claimWaiter } from "../../lib/wait/thread_waiter.ts";
import { LINE_WORDS } from "../../lib/wait/waiter.ts";
import { Channel, struct, text } from "../../mod.ts";
import { channelOf } from "../support/channels.ts";
import { counting, withLoads } from "../support/counting.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { FakeProcess } from "../support/waiters.ts";
import { sharedWords } from "../support/words.ts";
import { codec } from "../workers/channels.ts";

const SHAPE = { threads: 4, domains: 1 };
const now = { timeoutMs: 1, block: true };

describe("ChannelCore", () => {
  const threads = (count: number) => {
    const process = new FakeProcess();
    return { process, list: Array.from({ length: count }, (_, slot) => process.thread(slot)) };
  };
  const coreOf = (senders: number): ChannelCore =>
    new ChannelCore(sharedWords(ChannelCore.words(SHAPE, senders, 16)), SHAPE, senders, 16);

  it("gives each sender a lane, and those of the dead once there is no other", () => {
    const { process, list: [one, two, three] } = threads(3);
    assert.ok(one && two && three);
    const core = coreOf(2);
    assert.deepEqual([core.claim(one), core.claim(two), core.claim(three)], [0, 1, NO_LANE]);
    assert.deepEqual([core.claim(one), core.claim(two)], [0, 1]);
    core.lane(0).push(one, Uint8Array.of(1), 1);
    process.kill(one);
    process.kill(two);
    // The one with nothing in it.
    assert.equal(core.claim(three), 1);
    core.leave(three, 0);
    assert.equal(core.claim(three), 1);
    const four = process.thread(0);
    assert.equal(core.claim(four), 0);
    core.lane(0).push(four, Uint8Array.of(2), 1);
    core.leave(four, 0);
    const five = process.thread(1);
    assert.equal(core.claim(five), 0);
    // All that was sent there is there.
    assert.equal(core.poll(), 0);
    const found = new Uint8Array(1);
    for (const wanted of [1, 2]) {
      assert.equal(core.lane(0).find(five), 1);
      core.lane(0).read(found, 1);
      core.lane(0).pass();
      assert.equal(found[0], wanted);
    }
  });

  it("has one receiver, until that has ended or has resigned", () => {
    const { process, list: [one, two] } = threads(2);
    assert.ok(one && two);
    const core = coreOf(1);
    assert.deepEqual([core.receives(one), core.receives(two), core.receives(one)], [
      true,
      false,
      true,
    ]);
    core.resign(two);
    assert.equal(core.receives(two), false);
    core.resign(one);
    assert.deepEqual([core.receives(two), core.receives(one)], [true, false]);
    process.kill(two);
    assert.equal(core.receives(one), true);
  });

  it("looks into its lanes in turn", () => {
    const { process, list: [one, two, three] } = threads(3);
    assert.ok(one && two && three);
    const core = coreOf(4);
    const senders = [one, two, three];
    assert.deepEqual([core.poll(), ...senders.map((sender) => core.claim(sender))], [
      NO_LANE,
      0,
      1,
      2,
    ]);
    for (const [lane, sender] of senders.entries()) {
      for (let turn = 0; turn < 3; turn++) core.lane(lane).push(sender, Uint8Array.of(lane), 1);
    }
    const found: number[] = [];
    for (let lane = core.poll(); lane !== NO_LANE; lane = core.poll()) {
      assert.equal(core.lane(lane).find(one), 1);
      core.lane(lane).pass();
      core.lane(lane).release(one);
      core.turn(lane);
      found.push(lane);
    }
    assert.deepEqual(found, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
    assert.equal(process.wakes, 0);
  });

  it("takes an atomic operation to send and to receive", () => {
    const { list: [me] } = threads(1);
    assert.ok(me);
    const core = coreOf(3);
    const bytes = new Uint8Array(4);
    core.claim(me);
    const send = (): void => {
      assert.equal(core.glancesClosed(), false);
      core.lane(0).push(me, bytes, 4);
    };
    const receive = (): void => {
      const lane = core.poll();
      core.lane(lane).find(me);
      core.lane(lane).pass();
      core.lane(lane).release(me);
      core.turn(lane);
    };
    assert.deepEqual(counting(send).atomics, withLoads({ following: 2 }, { store: 1 }));
    assert.deepEqual(counting(send).atomics, withLoads({ following: 2 }, { store: 1 }));
    // The number of lanes, the tail, and whether a sender sleeps.
    assert.deepEqual(counting(receive).atomics, withLoads({ following: 3 }, { store: 1 }));
    assert.deepEqual(counting(receive).atomics, withLoads({ following: 2 }, { store: 1 }));
    const fails = counting(() => assert.equal(core.poll(), NO_LANE)).atomics;
    // Without order first; behind a fence, where there is one, then.
    const fence: Record<string, number> = arch === "x64" ? { store: 1 } : {};
    assert.deepEqual(fails, withLoads({ following: 4 }, fence));
  });

  it("never hangs, throws or reaches further, whatever is scribbled over its words", () => {
    const { list: [me] } = threads(1);
    assert.ok(me);
    const room = ChannelCore.words(SHAPE, 3, 16);
    const scribble = fc.record({
      at: fc.oneof(
        fc.constantFrom(0, 1, LINE_WORDS, LINE_WORDS + 1, 2 * LINE_WORDS, 2 * LINE_WORDS + 1),
        fc.nat({ max: room - 1 }),
      ),
      value: fc.oneof(fc.integer({ min: -20, max: 40 }), fc.integer()),
    });
    fc.assert(
      fc.property(fc.array(scribble, { maxLength: 60 }), (steps) => {
        const all = sharedWords(room + 2 * LINE_WORDS).fill(99);
        const words = all.subarray(LINE_WORDS, LINE_WORDS + room).fill(0);
        const core = new ChannelCore(words, SHAPE, 3, 16);
        for (const { at, value } of steps) {
          words[at] = value;
          const mine = core.claim(me);
          assert.ok(mine >= NO_LANE && mine < 3);
          if (mine !== NO_LANE) core.lane(mine).push(me, Uint8Array.of(1, 2), 2);
          const lane = core.poll();
          assert.ok(lane >= NO_LANE && lane < 3);
          if (lane !== NO_LANE) {
            core.lane(lane).find(me);
            core.lane(lane).pass();
            core.turn(lane);
            core.lane(lane).release(me);
          }
          assert.equal(typeof core.receives(me), "boolean");
          core.closed();
        }
        core.close(me);
        const around = [...all.subarray(0, LINE_WORDS), ...all.subarray(LINE_WORDS + room)];
        assert.ok(around.every((word) => word === 99));
      }),
      { numRuns: 300 },
    );
  });
});

describe("Channel", () => {
  it("has capacity, senders and the longest message", () => {
    const channel = channelOf({ codec: "bytes", capacity: 256, senders: 3 });
    assert.deepEqual(
      [channel.capacity, channel.senders, channel.maxBytes, channel.closed],
      [256, 3, 124, false],
    );
    assert.equal(channelOf({ codec: "bytes", capacity: "64 KiB" }).capacity, 65_536);
    const other: Channel<unknown> = Channel.create(new SharedArrayBuffer(Channel.bytes()));
    assert.deepEqual([other.capacity, other.senders], [65_536, 16]);
  });

  it("refuses what cannot be", () => {
    for (const capacity of [0, 32, 96, 2 ** 27, NaN, 2 ** 53, "96 KiB", "much", null]) {
      throwsCode(
        () => Channel.bytes({ capacity: capacity as number }),
        "EINVAL",
        /capacity is|the size is/,
      );
    }
    for (const senders of [0, 1025, NaN, 1.5, "1"]) {
      throwsCode(() => Channel.bytes({ senders: senders as number }), "EINVAL", /senders is/);
    }
    throwsCode(() => Channel.bytes({ capacity: 2 ** 26, senders: 17 }), "EINVAL", /1 GiB/);
    for (const wrong of ["text", null, 5, {}, { encode() {} }, () => {}, Symbol("x")]) {
      throwsCode(() => Channel.bytes({ codec: wrong as never }), "EINVAL", /codec is/);
    }
    const numbers = channelOf({ codec: "u32" });
    for (const value of [-1, 2 ** 32, 1.5, NaN, -0, "1", null, undefined, 1n]) {
      throwsCode(() => numbers.trySend(value as number), "EINVAL");
      throwsCode(() => numbers.trySendMany([1, value as number]), "EINVAL");
    }
    for (const list of [5, null, undefined, "12", { length: 1 }]) {
      throwsCode(() => numbers.trySendMany(list as never), "EINVAL", /array of messages/);
    }
    throwsCode(() => numbers.use(codec), "EINVAL", /created with "u32"/);
    throwsCode(() => numbers.tryReceiveMany(0), "EINVAL", /limit is/);
    assert.equal(numbers.tryReceive(), undefined);
    const small = channelOf({ codec: "u32", capacity: 64 });
    // Also where there would be no room for it.
    throwsCode(() => small.trySendMany([...new Uint32Array(20), -1]), "EINVAL");
    assert.equal(small.tryReceive(), undefined);
    const floats = channelOf({ codec: "f64" });
    throwsCode(() => floats.trySend("1" as never), "EINVAL", /Give a number/);
    const bytes = channelOf({ codec: "bytes", capacity: 64 });
    throwsCode(() => bytes.trySend(new Uint8Array(29)), "EINVAL", /29 bytes/);
    throwsCode(() => bytes.trySend([1] as never), "EINVAL", /Give a Uint8Array/);
    const clones: Channel<unknown> = channelOf({ codec: "clone", capacity: 256 });
    throwsCode(() => clones.trySend(undefined), "EINVAL", /Send null/);
    throwsCode(() => clones.trySend(() => {}), "EINVAL", /cannot be cloned/);
    throwsCode(() => clones.trySend("x".repeat(200)), "EINVAL", /longest one 124/);
    throwsCode(() => clones.trySendMany([1, Symbol("x")]), "EINVAL");
    assert.deepEqual(clones.tryReceiveMany(), []);
    const Long = struct({ name: text(100) });
    throwsCode(() => channelOf({ codec: Long, capacity: 64 }), "EINVAL", /longest one 28/);
  });

  it("waits for room and for values, and no longer than it is told", async () => {
    const channel = channelOf({ codec: "u32", capacity: 64 });
    throwsCode(() => channel.receive(now), "ETIMEDOUT", /receive from a channel/);
    throwsCode(() => channel.receiveMany(1, now), "ETIMEDOUT");
    throwsCode(() => channel.receive({ block: false }), "EWOULDBLOCK");
    await rejectsCode(channel.receiveAsync({ timeoutMs: 1 }), "ETIMEDOUT");
    const received = Promise.all([channel.receiveAsync(), channel.receiveManyAsync(5)]);
    await new Promise((resolve) => setTimeout(resolve, 5));
    channel.send(1);
    channel.send(2);
    assert.deepEqual(await received, [1, [2]]);
    for (let value = 0; value < 8; value++) assert.equal(channel.trySend(value), true);
    assert.equal(channel.trySend(8), false);
    throwsCode(() => channel.send(8, now), "ETIMEDOUT", /send through a channel/);
    throwsCode(() => channel.send(8, { block: false }), "EWOULDBLOCK");
    await rejectsCode(channel.sendAsync(8, { timeoutMs: 1 }), "ETIMEDOUT");
    const sent = channel.sendAsync(8);
    assert.equal(channel.tryReceive(), 0);
    await sent;
    assert.deepEqual(channel.receiveMany(), [1, 2, 3, 4, 5, 6, 7, 8]);
    const controller = new AbortController();
    const aborted = channel.receiveAsync({ signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(aborted, /enough/);
    await assert.rejects(channel.sendAsync(1, { signal: controller.signal }), /enough/);
    assert.equal(channel.tryReceive(), undefined);
  });

  it("keeps the order of a thread's values, however they are sent", async () => {
    const channel = channelOf({ codec: "bytes", capacity: 64 });
    const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value);
    channel.send(bytes(24, 1));
    channel.send(bytes(20, 2));
    // There is room for the second, and not for the first.
    const sent = [channel.sendAsync(bytes(28, 3)), channel.sendAsync(bytes(1, 4))];
    assert.equal(channel.trySend(bytes(1, 5)), false);
    assert.equal(channel.trySendMany([bytes(1, 5)]), 0);
    throwsCode(() => channel.leave(), "EBUSY", /2 messages/);
    assert.deepEqual([channel.tryReceive()?.[0], channel.tryReceive()?.[0]], [1, 2]);
    // It sends those that wait first.
    channel.send(bytes(1, 5));
    await Promise.all(sent);
    assert.deepEqual(channel.tryReceiveMany().map(([first]) => first), [3, 4, 5]);
    channel.send(bytes(28, 6));
    channel.send(bytes(8, 7));
    const controller = new AbortController();
    const given = channel.sendAsync(bytes(20, 8), { signal: controller.signal });
    const behind = channel.sendAsync(bytes(0, 9));
    controller.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    // There was room for it, behind what was given up.
    await behind;
    assert.deepEqual(channel.tryReceiveMany().map((value) => value.length), [28, 8, 0]);
    channel.leave();
    assert.equal(channel.trySend(bytes(1, 1)), true);
  });

  it("tells those that wait behind a value that is given up", async () => {
    const options = { codec: "bytes", capacity: 64 } as const;
    const words = new Int32Array(new SharedArrayBuffer(Channel.bytes(options)));
    const channel = Channel.create(words, options);
    channel.send(new Uint8Array(28));
    channel.send(new Uint8Array(8));
    const controller = new AbortController();
    const given = channel.sendAsync(new Uint8Array(20), controller);
    const behind = channel.sendAsync(new Uint8Array(0));
    const before = words.slice();
    controller.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    // Otherwise they would look a second later.
    assert.notDeepEqual(words, before);
    await behind;
  });

  it("waits for room in the lane that it has now", async () => {
    const options = { codec: "bytes", capacity: 64, senders: 2, threads: 4 } as const;
    const words = new Int32Array(new SharedArrayBuffer(Channel.bytes(options)));
    const channel = Channel.create(words, options);
    const core = new ChannelCore(words.subarray(LINE_WORDS), SHAPE, 2, 16);
    const fill = (): Promise<void> => {
      while (channel.trySend(new Uint8Array(28)));
      return channel.sendAsync(new Uint8Array(28));
    };
    const { lot, id } = claimWaiter();
    for (const lane of [0, 1]) {
      const sent = fill();
      assert.equal(core.lane(lane).notFull.mayWait(), true, `lane ${lane}`);
      channel.tryReceiveMany();
      await sent;
      channel.tryReceiveMany();
      channel.leave();
      // Another thread takes the first one.
      words[3 * LINE_WORDS] = id;
    }
    lot.release(id);
  });

  it("is left as sender and receiver, or as neither", async () => {
    const options = { codec: "bytes", capacity: 64 } as const;
    const memory = new SharedArrayBuffer(Channel.bytes(options));
    const channel = Channel.create(memory, options);
    const receiver = LINE_WORDS;
    const words = new Int32Array(memory, LINE_WORDS * 4);
    assert.equal(channel.tryReceive(), undefined);
    const me = words[receiver];
    channel.send(new Uint8Array(28));
    const sent = channel.sendAsync(new Uint8Array(28));
    const waits = channel.sendAsync(new Uint8Array(28));
    await sent;
    throwsCode(() => channel.leave(), "EBUSY", /1 messages/);
    assert.notEqual(me, 0);
    assert.equal(words[receiver], me);
    assert.equal(channel.tryReceiveMany().length, 2);
    await waits;
    assert.equal(channel.tryReceiveMany().length, 1);
    channel.leave();
    const owner = 2 * LINE_WORDS;
    assert.deepEqual([words[receiver], words[owner]], [0, 0]);
    assert.equal(channel.trySend(new Uint8Array(1)), true);
    assert.equal(words[owner], me);
  });

  it("gives what is in it after it was closed, and tells those who wait", async () => {
    const channel = channelOf({ codec: "u32", capacity: 64 });
    assert.equal(channel.trySendMany([0, 1, 2, 3, 4, 5, 6, 7, 8]), 8);
    const waiting = channel.sendAsync(8);
    channel.close();
    channel.close();
    await rejectsCode(waiting, "ECLOSED");
    assert.equal(channel.closed, true);
    throwsCode(() => channel.trySend(1), "ECLOSED", /it was closed/);
    throwsCode(() => channel.trySendMany([1]), "ECLOSED");
    throwsCode(() => channel.send(1), "ECLOSED");
    await rejectsCode(channel.sendAsync(1), "ECLOSED");
    assert.deepEqual([channel.receive(), await channel.receiveAsync()], [0, 1]);
    assert.deepEqual([channel.receiveMany(2), await channel.receiveManyAsync(2)], [[2, 3], [4, 5]]);
    const rest: number[] = [];
    for await (const value of channel) rest.push(value);
    assert.deepEqual(rest, [6, 7]);
    assert.deepEqual([channel.receive(), channel.receiveMany()], [undefined, []]);
    assert.deepEqual([await channel.receiveAsync(), await channel.receiveManyAsync()], [
      undefined,
      [],
    ]);
    const other = channelOf({ codec: "u32" });
    const receiving = [other.receiveAsync(), other.receiveAsync()];
    other.close();
    assert.deepEqual(await Promise.all(receiving), [undefined, undefined]);
  });

  it("is a stream to read and a stream to write", async () => {
    const channel = channelOf({ codec: "u32", capacity: 64 });
    const numbers = new ReadableStream<number>({
      start(controller) {
        for (let value = 0; value < 100; value++) controller.enqueue(value);
        controller.close();
      },
    });
    const piped = numbers.pipeTo(channel.writable());
    const found: number[] = [];
    const reader = channel.readable().getReader();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      found.push(read.value);
    }
    await piped;
    assert.deepEqual(found, Array.from({ length: 100 }, (_, value) => value));
    const idle = channelOf({ codec: "u32" });
    idle.send(1);
    const kept = idle.readable();
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual([kept.locked, idle.tryReceive()], [false, 1]);
    const other = channelOf({ codec: "u32" });
    const stream = other.readable();
    const waits = stream.getReader();
    const pending = waits.read();
    // It has begun to receive by then.
    await new Promise((resolve) => setTimeout(resolve));
    await waits.cancel();
    assert.equal((await pending).done, true);
    // Nothing was taken out for it.
    const next = other.receiveAsync();
    other.send(5);
    await other.writable().abort();
    assert.equal(other.closed, true);
    assert.equal(await next, 5);
    const full = channelOf({ codec: "u32", capacity: 64 });
    while (full.trySend(1));
    const writer = full.writable().getWriter();
    const written = assert.rejects(writer.write(2), /enough/);
    writer.closed.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve));
    const aborted = writer.abort(new Error("enough"));
    await new Promise((resolve) => setTimeout(resolve));
    // There is room now, and nobody who wants it.
    full.tryReceiveMany();
    await aborted;
    await written;
    assert.deepEqual(full.tryReceiveMany(), []);
  });
});
