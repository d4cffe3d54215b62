import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { NumaError } from "../../lib/base/error.ts";
import { explain } from "../../lib/sched/policies/explain.ts";
import { plan } from "../../lib/sched/policies/plan.ts";
import { Policy } from "../../lib/sched/policies/policy.ts";
import { CpuSet } from "../../lib/topology/cpu_set.ts";
import type { Topology } from "../../lib/topology/topology.ts";
import { machine, machines, type Shape } from "../support/machines.ts";

// What plans have to be on every machine.

const compact = Policy.compact();
const scatter = Policy.scatter();
const perCore = Policy.perCore();
const turns = [Policy.perPackage(), Policy.perNode(), Policy.perDomain()];

/** The CPUs of a policy that gives one to each thread. */
function order(topology: Topology, policy: Policy): number[] {
  return plan(topology, policy, topology.allowedCpus.size).map(({ cpus }) => cpus.first!);
}

function groupBy<T>(values: Iterable<T>, keyOf: (value: T) => unknown): Map<unknown, T[]> {
  const groups = new Map<unknown, T[]>();
  for (const value of values) groups.set(keyOf(value), [...groups.get(keyOf(value)) ?? [], value]);
  return groups;
}

/** Functions of a CPU. */
function groupsOf(
  topology: Topology,
): Record<"node" | "domain" | "core", (cpu: number) => unknown> {
  const node = (cpu: number): number => topology.nodeOfCpu(cpu);
  return {
    node,
    domain: (cpu) => `${node(cpu)} ${topology.domainOfCpu(cpu)}`,
    core: (cpu) => topology.coreOfCpu(cpu) ?? -1 - cpu,
  };
}

function checkPlans(topology: Topology): void {
  const size = topology.allowedCpus.size;
  const count = Math.min(2 * size + 3, 600);
  for (const policy of [compact, scatter, perCore, ...turns, Policy.unbound()]) {
    const places = plan(topology, policy, count);
    assert.equal(places.length, count);
    for (const { cpus, node } of places) {
      assert.ok(cpus.size > 0 && cpus.isSubsetOf(topology.allowedCpus));
      if (node !== undefined) assert.ok(cpus.isSubsetOf(topology.cpusOfNode(node)));
    }
    const shorter = Math.floor(count / 3);
    assert.deepEqual(plan(topology, policy, shorter), places.slice(0, shorter));
  }
  for (const policy of [compact, scatter, perCore]) {
    assert.equal(CpuSet.from(order(topology, policy)).text, topology.allowedCpus.text);
  }
  checkCompact(topology);
  for (const policy of [scatter, perCore]) checkRounds(topology, policy);
  checkScatter(topology);
  for (const policy of turns) checkTurns(topology, policy);
  for (const cores of [1, 2, 3, 5]) checkExclusive(topology, cores);
}

/** Groups are not left and entered again. */
function checkRuns(cpus: readonly number[], group: (cpu: number) => unknown): void {
  const runs = cpus.map(group).filter((value, index, all) => value !== all[index - 1]);
  assert.equal(runs.length, new Set(runs).size, "a group was left and entered again");
}

function checkCompact(topology: Topology): void {
  const { node, domain, core } = groupsOf(topology);
  for (const group of [node, domain, core]) checkRuns(order(topology, compact), group);
}

/** The CPUs of each core in the order in which they come: the first ones, the second ones … */
function roundsOf(topology: Topology, cpus: readonly number[]): number[][] {
  const { core } = groupsOf(topology);
  const seen = new Map<unknown, number>();
  const rounds: number[][] = [];
  for (const cpu of cpus) {
    const round = seen.get(core(cpu)) ?? 0;
    seen.set(core(cpu), round + 1);
    (rounds[round] ??= []).push(cpu);
  }
  return rounds;
}

/** No core gets one thread more while another, on whatever node, could still get its share. */
function checkRounds(topology: Topology, policy: Policy): void {
  const cpus = order(topology, policy);
  const rounds = roundsOf(topology, cpus);
  assert.deepEqual(rounds.flat(), cpus, "a sibling came before a core without a thread");
  if (policy !== perCore) return;
  const { node, domain } = groupsOf(topology);
  for (const round of rounds) {
    for (const group of [node, domain]) checkRuns(round, group);
  }
}

/** Of groups that take turns none is ahead of another that has something left. */
function checkBalance(cpus: readonly number[], group: (cpu: number) => unknown): void {
  const room = groupBy(cpus, group);
  const used = new Map<unknown, number>();
  for (const cpu of cpus) {
    used.set(group(cpu), (used.get(group(cpu)) ?? 0) + 1);
    const most = Math.max(...used.values());
    for (const [key, { length }] of room) {
      assert.ok((used.get(key) ?? 0) >= Math.min(length, most - 1), `${key} is behind`);
    }
  }
}

function checkScatter(topology: Topology): void {
  const { node, domain } = groupsOf(topology);
  for (const round of roundsOf(topology, order(topology, scatter))) {
    if (round.length > 300) continue;
    checkBalance(round, node);
    for (const part of groupBy(round, node).values()) checkBalance(part, domain);
  }
}

/** Each place is a whole, and each is there once. */
function checkTurns(topology: Topology, policy: Policy): void {
  const sets = new Set(plan(topology, policy, 600).map(({ cpus }) => cpus.text));
  const all = [...sets].flatMap((text) => [...CpuSet.parse(text)]);
  assert.equal(all.length, topology.allowedCpus.size);
  assert.equal(CpuSet.from(all).text, topology.allowedCpus.text);
  const first = plan(topology, policy, sets.size);
  assert.equal(new Set(first.map(({ cpus }) => cpus.text)).size, sets.size);
}

function checkExclusive(topology: Topology, size: number): void {
  const { core, domain } = groupsOf(topology);
  const all = groupBy(topology.allowedCpus, core);
  const whole = [...all.values()].filter((cpus) =>
    cpus.length === topology.smtSiblings(cpus[0]!).size
  );
  const room = Math.floor(whole.length / size);
  const policy = Policy.exclusive(size);
  const places = plan(topology, policy, room);
  const given = places.flatMap(({ cpus }) => [...cpus]);
  assert.equal(new Set(given).size, given.length, "a CPU was given to two threads");
  let spans = 0;
  for (const { cpus } of places) {
    const cores = groupBy(cpus, core);
    assert.equal(cores.size, size);
    for (const cpu of cpus) assert.ok(topology.smtSiblings(cpu).isSubsetOf(cpus));
    if (groupBy(cpus, domain).size > 1) spans++;
    else assert.equal(spans, 0, "cores of one domain come first");
  }
  const perDomain = [...groupBy(whole, ([cpu]) => domain(cpu!)).values()];
  const inside = perDomain.reduce((sum, cores) => sum + Math.floor(cores.length / size), 0);
  assert.ok(room - spans >= inside, "cores of one domain were torn apart");
  const shorter = Math.floor(room / 2);
  assert.deepEqual(plan(topology, policy, shorter), places.slice(0, shorter));
  assert.throws(() => plan(topology, policy, room + 1), (error) => {
    assert.ok(error instanceof NumaError);
    return error.code === (room === 0 ? "ENODEV" : "EAGAIN");
  });
}

/** What explain says is what plan does. */
function checkWords(topology: Topology): void {
  const count = Math.min(2 * topology.allowedCpus.size + 1, 80);
  for (const policy of [compact, scatter, perCore, ...turns, Policy.unbound()]) {
    const { threads, summary } = explain(topology, policy, count);
    assert.deepEqual(threads.map(({ placement }) => placement), plan(topology, policy, count));
    assert.doesNotMatch(summary, /undefined|NaN|4294967296/);
    for (const { index, sentence, sharesWith } of threads) {
      assert.match(sentence, new RegExp(`^Thread ${index} (runs|may run) on CPUs? \\d.*\\.$`));
      assert.doesNotMatch(sentence, /undefined|NaN|4294967296/);
      if (sharesWith !== undefined) assert.ok(sharesWith < index);
    }
  }
}

describe("plans on known machines", () => {
  for (const [name, shape] of Object.entries(machines)) {
    it(`hold for ${name}`, () => {
      checkPlans(machine(shape));
      checkWords(machine(shape));
    });
  }
});

describe("plans on any machine", () => {
  const shapes: fc.Arbitrary<Shape> = fc.record({
    packages: fc.integer({ min: 1, max: 4 }),
    nodesPerPackage: fc.integer({ min: 0, max: 4 }),
    l3PerNode: fc.integer({ min: 0, max: 3 }),
    l3OfPackage: fc.boolean(),
    cores: fc.integer({ min: 1, max: 5 }),
    // Domains of unequal size, and cores of which some have no siblings.
    coresOf: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 })
      .map((sizes) => (l3: number) => sizes[l3 % sizes.length]!),
    smt: fc.integer({ min: 1, max: 4 }),
    smtOf: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 })
      .map((sizes) => (core: number) => sizes[core % sizes.length]!),
    numbering: fc.constantFrom("adjacent" as const, "split" as const),
    stride: fc.integer({ min: 1, max: 3 }),
    bare: fc.boolean(),
  }, { requiredKeys: ["packages", "nodesPerPackage", "l3PerNode", "cores", "smt", "stride"] });
  const allowed = fc.array(fc.nat(999), { minLength: 1, maxLength: 60 });
  const check = (topology: Topology): void => {
    checkPlans(topology);
    checkWords(topology);
  };

  it("hold with all CPUs", () => {
    fc.assert(fc.property(shapes, (shape) => check(machine(shape))), { numRuns: 40 });
  });

  it("hold with any part of them", () => {
    fc.assert(
      fc.property(shapes, allowed, (shape, picks) => {
        const all = [...machine(shape).cpus];
        const affinity = CpuSet.from(picks.map((pick) => all[pick % all.length]!));
        check(machine(shape, { affinity, quota: null }));
      }),
      { numRuns: 80 },
    );
  });
});
