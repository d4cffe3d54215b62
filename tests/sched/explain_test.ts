import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { explain } from "../../lib/sched/policies/explain.ts";
import { Policy } from "../../lib/sched/policies/policy.ts";
import { CpuSet } from "../../lib/topology/cpu_set.ts";
import type { Topology } from "../../lib/topology/topology.ts";
import { throwsCode } from "../support/errors.ts";
import { machine, machines } from "../support/machines.ts";

function named(name: string): Topology {
  return machine(machines[name]!);
}

function sentences(name: string, policy: string, count: number): string[] {
  return explain(named(name), policy, count).threads.map(({ sentence }) => sentence);
}

describe("explain", () => {
  it("says why each of two threads is where it is", () => {
    assert.equal(
      `${explain(named("two-core VM"), "scatter", 2)}`,
      [
        '2 threads by "scatter": one CPU for each, as far apart as possible.',
        "Thread 0 is the first on its core.",
        "Thread 1 shares a core with an earlier thread.",
        "Node 0: 2 threads on CPUs 0-1.",
        "Thread 0 runs on CPU 0 (core 0): it is the next core without a thread.",
        "Thread 1 runs on CPU 1 (core 0): every core has a thread, so it shares this one with thread 0.",
      ].join("\n"),
    );
  });

  it("says so of twelve on twelve cores", () => {
    assert.equal(
      explain(named("Ryzen AI 9 HX 370"), Policy.scatter(), 12).summary,
      [
        '12 threads by "scatter": one CPU for each, as far apart as possible.',
        "Threads 0-11 are the first on their cores.",
        "Node 0: 12 threads on CPUs 0-11.",
      ].join("\n"),
    );
    assert.deepEqual(sentences("Ryzen AI 9 HX 370", "scatter", 14).slice(7, 13), [
      "Thread 7 runs on CPU 7 (core 7, L3 domain 1): L3 domain 1 is next in turn.",
      ...[8, 9, 10, 11].map((cpu) =>
        `Thread ${cpu} runs on CPU ${cpu} (core ${cpu}, L3 domain 1): no other L3 domain has a core ` +
        "without a thread."
      ),
      "Thread 12 runs on CPU 12 (core 0, L3 domain 0): every core has a thread, so it shares this " +
      "one with thread 0.",
    ]);
  });

  it("tells of 256 in groups", () => {
    assert.equal(
      `${explain(named("two-socket Xeon"), "scatter", 256)}`,
      [
        '256 threads by "scatter": one CPU for each, as far apart as possible.',
        "Threads 0-31 are the first on their cores.",
        "Threads 32-63 share a core with an earlier thread.",
        "Threads 64-255 share their CPUs with an earlier thread.",
        "Node 0: 128 threads on CPUs 0-15,32-47.",
        "Node 1: 128 threads on CPUs 16-31,48-63.",
      ].join("\n"),
    );
    const told = explain(named("EPYC NPS1"), "compact", 256);
    const { summary } = told;
    assert.match(summary, /\n128 threads are the first on their cores\.\n128 threads share a core/);
    assert.equal(`${told}`.match(/^L3 domain \d+: 16 threads on CPUs .*\.$/gm)?.length, 16);
  });

  it("follows each policy", () => {
    assert.deepEqual(sentences("two-socket Xeon", "scatter", 3), [
      "Thread 0 runs on CPU 0 (core 0, node 0): node 0 is next in turn.",
      "Thread 1 runs on CPU 16 (core 16, node 1): node 1 is next in turn.",
      "Thread 2 runs on CPU 1 (core 1, node 0): node 0 is next in turn.",
    ]);
    assert.deepEqual(sentences("two-socket Xeon", "compact", 33).filter((_, i) => i % 16 < 2), [
      "Thread 0 runs on CPU 0 (core 0, node 0): it is the first core.",
      "Thread 1 runs on CPU 32 (core 0, node 0): thread 0 is on this core, and compact fills a core " +
      "before it takes the next.",
      "Thread 16 runs on CPU 8 (core 8, node 0): it is the next core without a thread.",
      "Thread 17 runs on CPU 40 (core 8, node 0): thread 16 is on this core, and compact fills a " +
      "core before it takes the next.",
      "Thread 32 runs on CPU 16 (core 16, node 1): node 0 has no core without a thread left.",
    ]);
    assert.deepEqual(sentences("two-socket Xeon", "socket", 3).slice(1), [
      "Thread 1 may run on CPUs 16-31,48-63 (16 cores, node 1): this package is next in turn, and " +
      "has no thread yet.",
      "Thread 2 may run on CPUs 0-15,32-47 (16 cores, node 0): every package has a thread, so it " +
      "shares this one with thread 0.",
    ]);
    assert.deepEqual(sentences("EPYC NPS4", "exclusive:2", 1), [
      "Thread 0 may run on CPUs 0-1,128-129 (2 cores, L3 domain 0, node 0): no other thread of this " +
      "plan gets these cores.",
    ]);
    assert.deepEqual(sentences("two-socket Xeon with devices", "near:eth0", 1), [
      "Thread 0 may run on CPUs 16-31,48-63 (16 cores, node 1): eth0 is attached to that node.",
    ]);
    assert.deepEqual(sentences("two-socket Xeon", "15-16", 1), [
      "Thread 0 may run on CPUs 15-16 (2 cores, 2 nodes): the policy binds every thread there. Its " +
      "memory is left to the kernel: its CPUs are on several nodes.",
    ]);
    assert.deepEqual(sentences("first node without memory", "node:0", 1), [
      "Thread 0 may run on CPUs 0-15,32-47 (16 cores, node 0): the policy binds every thread there. " +
      "Its memory is left to the kernel: node 0 has none that it may use.",
    ]);
    assert.deepEqual(sentences("one CPU", "unbound", 1), [
      "Thread 0 runs on CPU 0: it is left to the kernel.",
    ]);
  });

  it("says when fewer threads can run at once", () => {
    const quota = { quotaUs: 250_000, periodUs: 100_000 };
    const topology = machine(machines["desktop"]!, { affinity: CpuSet.range(0, 15), quota });
    assert.match(explain(topology, "scatter", 8).summary, /quota lets 3 threads run at once\.$/);
    assert.doesNotMatch(explain(topology, "scatter", 3).summary, /quota/);
  });

  it("is plain data that cannot be changed", () => {
    const told = explain(named("desktop"), "scatter", 1);
    assert.throws(() => ((told as { summary: string }).summary = ""), TypeError);
    assert.throws(() => ((told.threads as unknown[])[0] = 1), TypeError);
    assert.equal(JSON.parse(JSON.stringify(told)).policy.kind, "scatter");
    assert.equal(explain(named("desktop"), "scatter", 0).threads.length, 0);
  });

  it("throws what plan throws", () => {
    throwsCode(() => explain(named("desktop"), "node:7", 1), "ENODEV", /node:7/);
    throwsCode(() => explain(named("desktop"), "teapot", 1), "EINVAL", /teapot/);
    throwsCode(() => explain(named("desktop"), "scatter", -1), "EINVAL", /threads is -1/);
    throwsCode(() => explain({} as Topology, "scatter", 1), "EINVAL", /topology is/);
  });

  it("tells of ten thousand threads", () => {
    for (const policy of ["scatter", "unbound", "node"]) {
      assert.equal(explain(named("4096 CPUs"), policy, 10_000).threads.length, 10_000);
    }
  });
});
