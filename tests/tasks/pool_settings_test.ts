import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Policy } from "../../mod.ts";
import { poolSettings, unitsOf, victimsOf } from "../../lib/tasks/pool/pool_settings.ts";
import { MAX_TASKS, REMOTE } from "../../lib/tasks/core/task_names.ts";
import { machine, machines } from "../support/machines.ts";

const UNITS = ["node", "domain", "core", "cpu"] as const;

describe("the workers of a pool", () => {
  for (const [name, shape] of Object.entries(machines)) {
    const where = machine(shape);
    const allowed = where.allowedCpus;

    it(`are bound to parts of ${name} that have all CPUs, each once`, () => {
      for (const per of UNITS) {
        const units = unitsOf(where, per);
        const cpus = units.flatMap((unit) => [...unit]);
        assert.deepEqual(cpus.sort((a, b) => a - b), [...allowed], per);
        const nodes = units.map((unit) => new Set([...unit].map((cpu) => where.nodeOfCpu(cpu))));
        if (per !== "domain") assert.ok(nodes.every(({ size }) => size === 1), per);
      }
      assert.equal(unitsOf(where, "cpu").length, allowed.size);
    });

    it(`take from the nearest first on ${name}`, () => {
      const units = unitsOf(where, "core").slice(0, 16);
      const victims = victimsOf(where, units);
      for (const [me, list] of victims.entries()) {
        const others = list.map(({ worker }) => worker);
        assert.deepEqual(
          others.toSorted((a, b) => a - b),
          [...units.keys()].filter((one) => one !== me),
        );
        const distances = list.map(({ distance }) => distance);
        assert.deepEqual(distances, distances.toSorted((a, b) => a - b));
        const nodes = [me, ...others].map((worker) => where.nodeOfCpu(units[worker]!.first!));
        const far = nodes.slice(1).map((node) => where.distance(nodes[0]!, node) ?? 0)
          .filter((_, index) => distances[index] === REMOTE);
        assert.deepEqual(far, far.toSorted((a, b) => a - b), "the nearer node first");
        for (const { worker, distance } of list) {
          const back = victims[worker]?.find((one) => one.worker === me);
          assert.equal(back?.distance, distance, "it is as far from there");
        }
      }
    });

    it(`have places on ${name}`, () => {
      const { placements, nodes, min, max } = poolSettings({ threads: { min: 1, max: 8 } }, where);
      assert.deepEqual({ min, max, count: placements.length }, { min: 1, max: 8, count: 8 });
      for (const [index, { cpus }] of placements.entries()) {
        assert.ok([...cpus].every((cpu) => where.nodeOfCpu(cpu) === nodes[index]));
      }
      const { placements: compact } = poolSettings({ threads: 2, policy: Policy.compact() }, where);
      assert.ok(compact.every(({ cpus }) => cpus.size === 1));
      const { placements: same } = poolSettings({ threads: 2, policy: "compact" }, where);
      assert.deepEqual(same, compact, "a policy may be a text");
    });
  }

  it("look long for work where no one else needs their CPUs, unless told how long", () => {
    const where = machine({ packages: 1, nodesPerPackage: 1, cores: 2 });
    const all = where.effectiveCpus;
    const spins = (threads: number, given?: number): number =>
      poolSettings({ threads, ...(given !== undefined && { spins: given }) }, where).spins;
    assert.deepEqual([spins(1), spins(all - 1), spins(all), spins(all + 1)], [
      5000,
      5000,
      100,
      100,
    ]);
    assert.deepEqual([spins(1, 7), spins(all, 7), spins(1, 0)], [7, 7, 0]);
  });

  it("have places for as many tasks as may wait, up to a limit", () => {
    const where = machine({ packages: 1, nodesPerPackage: 1, cores: 2 });
    const tasks = (maxQueued?: number): number =>
      poolSettings({ threads: 2, ...(maxQueued !== undefined && { maxQueued }) }, where).tasks;
    assert.deepEqual([0, 62, 63, 1000].map(tasks), [64, 64, 128, 1024]);
    assert.equal(tasks(1_000_000), MAX_TASKS);
    assert.equal(tasks(), MAX_TASKS);
  });
});
