import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Arena, TaskPool, topology } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";
import { rejectsCode } from "../support/errors.ts";
import { sharedWords } from "../support/words.ts";

type Tasks = typeof import("../workers/tasks.ts");

const tasks = sibling(import.meta.url, "../workers/tasks");
const NODES = [0, 1, 2, 3];
/** So many tasks near a node may wait before other nodes take some: the default. */
const REMOTE_STEALS = 4;
/** A node without CPUs. */
const FAR = 4;

describe("a pool on four nodes", () => {
  // One for all tests that need no other: a thread takes many seconds to start here.
  let pool: TaskPool<Tasks>;
  before(async () => pool = await TaskPool.create<Tasks>(tasks, { threads: 4, times: true }));
  after(() => pool.close());

  it("has a worker on each, and does tasks near a node there", async () => {
    assert.deepEqual(pool.statistics().nodes.map(({ node }) => node).sort(), NODES);
    const arenas = NODES.map((node) => Arena.create({ node, size: "64 KiB" }));
    // No node has more to do at once than others leave to it: those that are ahead, as their CPUs are faster, wait.
    const chains = REMOTE_STEALS;
    const tasksEach = 25;
    let home = 0;
    await Promise.all(Array.from({ length: 4 * chains }, async (_, index) => {
      const arena = arenas[index % 4] as Arena;
      for (let task = 0; task < tasksEach; task++) {
        const near = task % 2 === 0 ? arena : arena.node;
        const node = await pool.run("nodeAfter", [1], { near });
        if (node === arena.node) home++;
      }
    }));
    const count = 4 * chains * tasksEach;
    const { stolen } = pool.statistics();
    const told = `${home} of ${count} ran at home, ${stolen.remote} were taken from other nodes`;
    assert.ok(home >= 0.95 * count, told);
    for (const arena of arenas) arena.destroy();
  });

  it("shares the tasks of a node that has too many of them", async () => {
    const before = pool.statistics();
    const count = 400;
    await Promise.all(
      Array.from({ length: count }, () => pool.run("nodeAfter", [5], { near: 0 })),
    );
    const { workers, stolen } = pool.statistics(before);
    // How long each was busy, and not how much it did: emulated CPUs are not equally fast.
    const busy = workers.map(({ busyMs }) => busyMs);
    const imbalance = Math.max(...busy) / (busy.reduce((a, b) => a + b, 0) / busy.length);
    const told = `imbalance ${imbalance.toFixed(3)}, ${workers.map(({ done }) => done)} done, ` +
      `${stolen.remote} taken from other nodes`;
    assert.ok(imbalance <= 1.2, told);
    assert.ok(stolen.remote >= count / 2, told);
  });

  it("keeps them where remoteSteals says so", async () => {
    await using strict = await TaskPool.create<Tasks>(tasks, { threads: 4, remoteSteals: 16_384 });
    const runs = Array.from({ length: 40 }, () => strict.run("nodeAfter", [1], { near: 2 }));
    assert.deepEqual(new Set(await Promise.all(runs)), new Set([2]));
  });

  it("does what is near a node without CPUs on the nearest one that has some", async () => {
    const node = await pool.run("nodeAfter", [0], { near: FAR });
    const nearest = topology().nearestNodes(FAR).find((id) => NODES.includes(id));
    assert.equal(node, nearest);
  });

  it("has another worker on the node of one that ends in the middle of a task", async () => {
    const died = pool.run("crash", [1], { near: 2 });
    const others = NODES.map((near) => pool.run("nodeAfter", [1], { near }));
    await rejectsCode(died, "ETERMINATED");
    for (const node of await Promise.all(others)) assert.ok(NODES.includes(node));
    while (pool.size < 4) await sleep(10);
    assert.equal(await pool.run("nodeAfter", [1], { near: 2 }), 2);
    assert.equal(pool.pending, 0);
  });

  it("does each of many tasks once, however many threads take from all queues", async () => {
    await using greedy = await TaskPool.create<Tasks>(tasks, { threads: 4, remoteSteals: 0 });
    const words = sharedWords(500);
    await Promise.all(Array.from({ length: words.length }, async (_, index) => {
      const near = index % 5 === 4 ? {} : { near: index % 5 };
      await greedy.run("tick", [words, index], near);
      assert.equal(await greedy.run("square", [index], near), index * index);
    }));
    assert.ok(words.every((times) => times === 1));
    assert.equal(greedy.pending, 0);
  });
});
