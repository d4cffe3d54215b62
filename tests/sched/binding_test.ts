import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import {
  CpuSet,
  joinAll,
  launch,
  type LaunchOptions,
  Policy,
  type Thread,
  topology,
} from "../../mod.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { runModule, sibling } from "../support/checkout.ts";
import { rejectsCode, throwsCode } from "../support/errors.ts";
import { cpusNow, oneCpu, two } from "../support/pins.ts";
import { noPolicies } from "../support/policies.ts";
import type { PinTask } from "../workers/pins.ts";

const module = sibling(import.meta.url, "../workers/pins");

function run<Result>(args: PinTask, options: LaunchOptions = {}): Thread<Result> {
  return launch<Result>(module, { ...options, args });
}

const last = topology().allowedCpus.last as number;
const [first, other] = two ?? [CpuSet.of(last), CpuSet.of(last)];
const both = first.union(other);

describe("thread.binding", () => {
  afterEach(async () => {
    await joinAll();
  });

  it("says what was asked and what the kernel gave", async () => {
    const thread = run({ task: "where" }, { policy: Policy.bindCpus(CpuSet.of(last)) });
    assert.equal(typeof thread.binding, "undefined", "before it has started");
    assert.equal(await thread.join(), String(last));
    const { cpus, memory } = thread.binding ?? {};
    assert.equal(cpus?.strength, "require");
    assert.equal(`${cpus?.asked}`, String(last));
    assert.equal(`${cpus?.got}`, String(last));
    assert.equal(cpus?.refused, undefined);
    assert.equal(memory?.strength, "prefer");
    assert.equal(memory?.asked, topology().nodeOfCpu(last));
    if (noPolicies === false) {
      assert.equal(memory?.got, topology().nodeOfCpu(last));
      assert.equal(memory?.refused, undefined);
    } else {
      assert.equal(memory?.got, undefined);
      assert.equal(memory?.refused?.code, "EPERM");
    }
  });

  it("says that nothing was asked where nothing was", async () => {
    const home = cpusNow();
    for (
      const options of [
        {},
        { policy: Policy.bindCpus(CpuSet.of(last)), bind: { cpus: "off", memory: "off" } },
      ] as const
    ) {
      const thread = run({ task: "where" }, options);
      assert.equal(await thread.join(), home);
      const { cpus, memory } = thread.binding ?? {};
      assert.deepEqual([cpus?.asked, `${cpus?.got}`, cpus?.refused], [undefined, home, undefined]);
      assert.deepEqual([memory?.asked, memory?.got, memory?.refused], [
        undefined,
        undefined,
        undefined,
      ]);
    }
  });

  it("tells apart how hard CPUs and memory are bound", { skip: noPolicies }, async () => {
    const policy = Policy.bindNode(topology().nodeOfCpu(last));
    for (const memory of ["require", "prefer", "off"] as const) {
      const thread = run({ task: "where" }, { policy, bind: { cpus: "off", memory } });
      await thread.join();
      const { binding } = thread;
      assert.deepEqual([binding?.cpus.strength, binding?.memory.strength], ["off", memory]);
      assert.equal(binding?.memory.got, memory === "off" ? undefined : policy.node);
    }
  });

  it("of a thread that goes to CPUs which were narrowed since the topology", {
    skip: oneCpu,
  }, async () => {
    const home = threadAffinity();
    topology();
    pinThread(first);
    try {
      for (const cpus of [other, both]) {
        const policy = Policy.bindCpus(cpus);
        await rejectsCode(run({ task: "where" }, { policy }).join(), "EACCES", /may run on CPUs/);
        const thread = run({ task: "where" }, { policy, bind: { cpus: "prefer" } });
        assert.equal(await thread.join(), `${first}`);
        const { asked, got, refused } = thread.binding?.cpus ?? {};
        assert.deepEqual([`${asked}`, `${got}`, refused?.code], [`${cpus}`, `${first}`, "EACCES"]);
        assert.match(refused?.message ?? "", /taskset, cpuset\.cpus/);
      }
      const free = run({ task: "where" });
      assert.equal(await free.join(), `${first}`);
    } finally {
      pinThread(home);
    }
  });

  it("never widens what the application made of a pinned thread", { skip: oneCpu }, async () => {
    const thread = run({ task: "narrowed", cpu: first.first as number }, {
      policy: Policy.bindCpus(both),
    });
    const it = `${first}`;
    assert.deepEqual(await thread.join(), [it, it, it, "EACCES", it, "EACCES", it]);
  });

  const taskset = { skip: oneCpu };
  it("never widens what taskset gave the process", taskset, () => {
    const ran = runModule(sibling(import.meta.url, "../modules/confined"), {
      within: ["taskset", "-c", `${first}`],
      args: [`${other}`],
    });
    assert.equal(ran.status, 0, ran.stderr);
    const it = `${first}`;
    assert.deepEqual(JSON.parse(ran.stdout), [
      ...[it, it, "EACCES", it, it, it, it],
      ...["EACCES", it, it, "EACCES", it, it],
    ]);
  });

  it("requires memory only of places that have a node", () => {
    const bind = { memory: "require" } as const;
    throwsCode(() => launch(module, { bind }), "ENODEV", /no one node with memory/);
  });

  it("is asked for with strengths only", () => {
    for (const bind of [null, 5, "require", { cpus: 1 }, { memory: "bind" }, { heap: "off" }]) {
      throwsCode(() => launch(module, { bind: bind as never }), "EINVAL");
    }
    for (const nice of [-21, 20, 0.5, NaN, -0, "5", null]) {
      throwsCode(() => launch(module, { nice: nice as never }), "EINVAL", /nice/);
    }
    for (const name of [5, null, {}, Symbol("name")]) {
      throwsCode(() => launch(module, { name: name as never }), "EINVAL", /name/);
    }
    throwsCode(() => launch(module, { place: 2 ** 53 }), "EINVAL", /place/);
    throwsCode(() => launch(module, { pin: true } as never), "EINVAL", /no option "pin"/);
  });
});

describe("thread.sampleHeap", () => {
  it("says which share of new buffers is local", { skip: noPolicies }, async () => {
    const thread = run({ task: "work" }, { policy: Policy.bindCpus(CpuSet.of(last)) });
    const [early, sample] = await Promise.all([thread.sampleHeap(), thread.sampleHeap()]);
    for (const { node, bytes, nodes, share } of [early, sample]) {
      assert.equal(node, topology().nodeOfCpu(last));
      assert.ok(bytes >= 2 ** 20 && bytes <= 2 ** 21, `${bytes} bytes`);
      assert.equal([...nodes.values()].reduce((sum, count) => sum + count), bytes);
      assert.equal(share, (nodes.get(node) ?? 0) / bytes);
      if (topology().nodes.length === 1) assert.equal(share, 1);
    }
    await thread.terminate();
    await thread.join().catch(() => {});
    await rejectsCode(thread.sampleHeap(), "ETERMINATED", /has ended/);
  });

  it("rejects when the thread ends first", async () => {
    const thread = run({ task: "leaveBusy" });
    // It is busy by then, and does not come to its event loop again.
    await new Promise((resolve) => thread.on("message", resolve));
    const sample = thread.sampleHeap();
    await Promise.all([
      rejectsCode(sample, "ETERMINATED"),
      rejectsCode(thread.join(), "ETERMINATED"),
    ]);
  });
});
