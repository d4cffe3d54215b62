import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Arena, TaskPool, topology } from "../../mod.ts";
import { sibling } from "../support/checkout.ts";

type Tasks = typeof import("../workers/tasks.ts");

const tasks = sibling(import.meta.url, "../workers/tasks");
const NODES = [0, 1, 2, 3];
/** A node without CPUs. */
const FAR = 4;

describe("a pool on four nodes", () => {
  it("has a worker on each, and does tasks near a node there", async () => {
    await using pool = await TaskPool.create<Tasks>(tasks, { threads: 4 });
    assert.deepEqual(pool.statistics().nodes.map(({ node }) => node).sort(), NODES);
    const arenas = NODES.map((node) => Arena.create({ node, size: "64 KiB" }));
    const count = 400;
    const ran = await Promise.all(Array.from({ length: count }, async (_, index) => {
      const arena = arenas[index % 4] as Arena;
      const node = await pool.run("nodeAfter", [1], { near: index % 8 < 4 ? arena : arena.node });
      return node === arena.node;
    }));
    const home = ran.filter(Boolean).length;
    assert.ok(home >= 0.95 * count, `${home} of ${count} ran at home`);
    for (const arena of arenas) arena.destroy();
  });

  it("shares the tasks of a node that has too many of them", async () => {
    await using pool = await TaskPool.create<Tasks>(tasks, { threads: 4 });
    const count = 400;
    await Promise.all(
      Array.from({ length: count }, () => pool.run("nodeAfter", [5], { near: 0 })),
    );
    const { workers, stolen } = pool.statistics();
    const most = Math.max(...workers.map(({ done }) => done));
    assert.ok(most <= 1.2 * count / 4, `${workers.map(({ done }) => done)} were done`);
    assert.ok(stolen.remote >= count / 2, `${stolen.remote} from other nodes`);
  });

  it("keeps them where remoteSteals says so", async () => {
    await using pool = await TaskPool.create<Tasks>(tasks, { threads: 4, remoteSteals: 16_384 });
    const runs = Array.from({ length: 40 }, () => pool.run("nodeAfter", [1], { near: 2 }));
    assert.deepEqual(new Set(await Promise.all(runs)), new Set([2]));
  });

  it("does what is near a node without CPUs on the nearest one that has some", async () => {
    await using pool = await TaskPool.create<Tasks>(tasks, { threads: 4 });
    const node = await pool.run("nodeAfter", [0], { near: FAR });
    const nearest = topology().nearestNodes(FAR).find((id) => NODES.includes(id));
    assert.equal(node, nearest);
  });
});
