import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, Barrier, Epoch, launch, type Thread } from "../../mod.ts";
import { identityOf } from "../../lib/memory/arena/identity.ts";
import { endWaits } from "../../lib/memory/mapping/tenants.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { collected, drop, findAgain, type Known, several } from "../support/garbage.ts";
import { reaches } from "../support/words.ts";
import type { CollectedTask } from "../workers/collected.ts";

const module = sibling(import.meta.url, "../workers/collected");

describe("what was collected while this thread takes part", () => {
  it("is told of when its arena goes", async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const words = new Int32Array(new SharedArrayBuffer(8));
    const join = async (): Promise<[readonly Known[], readonly Known[], Thread<string[]>]> => {
      const barriers = await several(() => Barrier.create(arena, 2));
      const epochs = await several(() => Epoch.create(arena));
      for (const barrier of barriers) barrier.join();
      for (const epoch of epochs) epoch.enter();
      const args: CollectedTask = { barriers, epochs, words };
      return [barriers.map(drop), epochs.map(drop), launch<string[]>(module, { args })];
    };
    const [barriers, epochs, other] = await join();
    await reaches(words, 0, 1);
    await collected(barriers);
    await collected(epochs);
    arena.destroy();
    Atomics.store(words, 1, 1);
    const found = [...barriers.map(() => "EOWNERDEAD"), ...epochs.map(() => "safe")];
    assert.deepEqual(await other.join(), found);
  });

  it("is forgotten when this thread has left", async () => {
    using arena = Arena.create({ node: 0, size: "1 MiB" });
    const identity = identityOf(arena);
    const leave = (): [Known, Known] => {
      const barrier = Barrier.create(arena, 2);
      const epoch = Epoch.create(arena);
      barrier.join();
      epoch.enter();
      assert.equal(endWaits(identity), true);
      barrier.leave();
      assert.equal(endWaits(identity), true);
      epoch.exit();
      assert.equal(endWaits(identity), false);
      return [drop(barrier), drop(epoch)];
    };
    const dropped = await several(leave);
    for (const index of [0, 1] as const) await collected(dropped.map((each) => each[index]));
  });

  it("an epoch knows how often it was entered", async () => {
    const epoch = await findAgain(() => {
      const made = Epoch.create(new SharedArrayBuffer(Epoch.bytes()));
      made.enter();
      made.enter();
      return made;
    });
    const { current } = epoch;
    epoch.exit();
    while (epoch.advance());
    assert.equal(epoch.safe(current), false);
    epoch.exit();
    throwsCode(() => epoch.exit(), "EOWNER");
    while (!epoch.safe(current)) assert.equal(epoch.advance(), true);
  });

  it("a barrier can be left", async () => {
    const barrier = await findAgain(() => {
      const made = Barrier.create(new SharedArrayBuffer(Barrier.bytes()), 1);
      made.join();
      return made;
    });
    assert.equal(barrier.wait({ block: true }), true);
    barrier.leave();
  });
});
