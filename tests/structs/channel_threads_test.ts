import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { channelFor } from "../support/channels.ts";
import { throwsCode } from "../support/errors.ts";
import { runChannel } from "../support/launches.ts";
import { reaches, sharedWords } from "../support/words.ts";
import { packed, Tally, unpacked } from "../workers/channels.ts";

describe("a channel between threads", () => {
  for (const manner of ["clone", "f64", "record", "codec"] as const) {
    it(`keeps the order of each sender's values: ${manner}`, async () => {
      const channel = channelFor(manner, { capacity: 1024, senders: 3 });
      const left = sharedWords(10);
      const count = manner === "clone" ? 1500 : 8000;
      left[0] = 3;
      const task = { channel, manner, count, left };
      const receiver = runChannel({ ...task, task: "receive", from: 0 });
      const senders = ["send", "send", "send async"] as const;
      const threads = senders.map((task_, index) =>
        runChannel({ ...task, task: task_, from: index + 1 })
      );
      for (const thread of threads) assert.equal(await thread.join(), count);
      assert.equal(await receiver.join(), 3 * count);
    });
  }

  it("brings values to a main thread that does not block", async () => {
    const channel = channelFor("f64", { capacity: 256, senders: 2 });
    const left = sharedWords(10);
    left[0] = 2;
    const task = { task: "send", channel, manner: "f64", count: 3000, left } as const;
    const threads = [1, 2].map((from) => runChannel({ ...task, from }));
    const tally = new Tally();
    for await (const value of channel) tally.take(unpacked("f64", value));
    assert.equal(tally.count, 6000);
    await Promise.all(threads.map((thread) => thread.join()));
  });

  it("gives the lanes of threads that have ended to others", async () => {
    const channel = channelFor("record", { capacity: 256, senders: 1 });
    const left = sharedWords(20);
    const tally = new Tally();
    for (let from = 1; from <= 6; from++) {
      const task = from % 2 === 0 ? "leave" : "send for ever";
      const count = from % 2 === 0 ? 5 : 2 ** 31 - 1;
      const thread = runChannel({ task, channel, manner: "record", from, count, left });
      while (tally.of(from) < Math.min(count, 1000)) {
        tally.take(unpacked("record", await channel.receiveAsync()));
      }
      if (task === "leave") await thread.join();
      else assert.equal(await thread.terminate(), true);
      for (const value of channel.tryReceiveMany(100_000)) tally.take(unpacked("record", value));
      // Nothing that was sent is lost; the last one may have been on its way.
      const sent = Atomics.load(left, 1 + from);
      assert.ok(
        tally.of(from) - sent <= 1 && tally.of(from) >= sent,
        `${tally.of(from)} of ${sent}`,
      );
    }
    assert.equal(channel.trySend(packed("record", { from: 7, number: 1 })), true);
    const other = runChannel({ task: "leave", channel, manner: "record", from: 8, count: 1, left });
    await assert.rejects(other.join(), (error) => {
      throwsCode(
        () => {
          throw error;
        },
        "EAGAIN",
        /as many threads send as it has lanes/,
      );
      return true;
    });
    channel.leave();
    const last = runChannel({ task: "leave", channel, manner: "record", from: 8, count: 1, left });
    assert.equal(await last.join(), 1);
    assert.deepEqual(
      channel.tryReceiveMany().map((value) => unpacked("record", value).from),
      [7, 8],
    );
  });

  it("has one receiver, whom another thread follows", async () => {
    const channel = channelFor("f64", { capacity: 256, senders: 1 });
    const left = sharedWords(10);
    const task = { channel, manner: "f64", from: 1, left } as const;
    const receiver = runChannel({ ...task, task: "receive some", count: 1000 });
    for (let number = 1; number <= 10; number++) {
      await channel.sendAsync(packed("f64", { from: 1, number }));
    }
    // It has taken all of them out, and waits for more.
    while (!channel.trySendMany([0, 0])) await new Promise((resolve) => setTimeout(resolve, 1));
    await reachesTurn(() => {
      try {
        channel.tryReceive();
        channel.leave();
        return false;
      } catch (error) {
        throwsCode(
          () => {
            throw error;
          },
          "EOWNER",
          /another thread receives/,
        );
        return true;
      }
    });
    await receiver.terminate();
    channel.trySend(7);
    let value: unknown;
    while (value !== 7) value = await channel.receiveAsync({ timeoutMs: 10_000 });
    channel.leave();
    const next = runChannel({ ...task, task: "receive some", count: 2 });
    await channel.sendAsync(8);
    await channel.sendAsync(9);
    assert.equal(await next.join(), 2);
  });

  it("has to be told its codec", async () => {
    const channel = channelFor("codec", { capacity: 256 });
    const left = sharedWords(10);
    // The worker takes it for one that needs none.
    const task = { task: "leave", channel, manner: "clone", from: 1, count: 1, left } as const;
    await assert.rejects(runChannel(task).join(), /does not know its codec/);
    const ready = runChannel({ ...task, manner: "codec" });
    await reaches(left, 2, 1);
    assert.equal(await ready.join(), 1);
    assert.deepEqual(channel.tryReceive(), { from: 1, number: 1 });
  });
});

/** Resolves once that is so. */
async function reachesTurn(test: () => boolean): Promise<void> {
  while (!test()) await new Promise((resolve) => setTimeout(resolve, 1));
}
