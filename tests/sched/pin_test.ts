import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";
import { CpuSet, launch, Pin, pin, Policy, topology, unpinned } from "../../mod.ts";
import { pinThread } from "../../lib/sched/binding/pin.ts";
import { threadAffinity } from "../../lib/topology/load.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { cpusNow, interleaveSelf, oneCpu, policyNow, two } from "../support/pins.ts";
import { noPolicies } from "../support/policies.ts";
import type { PinTask } from "../workers/pins.ts";

const module = sibling(import.meta.url, "../workers/pins");
const last = topology().allowedCpus.last as number;
const [first, other] = two ?? [CpuSet.of(last), CpuSet.of(last)];
const all = topology().allowedCpus;
const NO_MEMORY = { bind: { memory: "off" } } as const;

function where(policy?: Policy): Promise<string> {
  const args: PinTask = { task: "where" };
  return launch<string>(module, policy === undefined ? { args } : { args, policy }).join();
}

/** What /proc says of a child process. */
function childCpus(): string {
  const { stdout } = spawnSync("cat", ["/proc/self/status"], { encoding: "utf8" });
  return /Cpus_allowed_list:\t(.*)/.exec(stdout)?.[1] ?? stdout;
}

describe("pin", () => {
  it("pins the thread until the end of the block, however that comes", () => {
    const home = cpusNow();
    {
      using pinned = pin(Policy.bindCpus(CpuSet.of(last)));
      assert.ok(pinned instanceof Pin);
      assert.equal(cpusNow(), String(last));
      assert.equal(`${pinned.binding.cpus.got}`, String(last));
      assert.equal(`${pinned.placement.cpus}`, String(last));
      assert.equal(`${pinned}`, `Pin(${last} on CPUs ${last})`);
      assert.equal(pinned.released, false);
    }
    assert.equal(cpusNow(), home);
    assert.throws(() => {
      using _pinned = pin(Policy.bindCpus(CpuSet.of(last)));
      throw new RangeError("out of the block");
    }, RangeError);
    assert.equal(cpusNow(), home);
  });

  it("restores the memory policy exactly, whichever it was", { skip: noPolicies }, () => {
    const undo = interleaveSelf();
    try {
      const before = policyNow();
      assert.equal(before, "mode 3 of nodes 0");
      const policy = Policy.bindNode(0);
      for (const [memory, mode] of [["prefer", 1], ["require", 2]] as const) {
        using pinned = pin(policy, { bind: { memory } });
        assert.equal(policyNow(), `mode ${mode} of nodes 0`);
        assert.deepEqual(pinned.binding.memory, {
          strength: memory,
          asked: 0,
          got: 0,
          refused: undefined,
        });
        assert.equal(unpinned(policyNow), before);
        assert.equal(policyNow(), `mode ${mode} of nodes 0`);
        pinned.release();
        assert.equal(policyNow(), before);
      }
      using _off = pin(policy, NO_MEMORY);
      assert.equal(policyNow(), before);
      using _on = pin(policy);
      using _still = pin(Policy.bindCpus(CpuSet.of(last)), NO_MEMORY);
      assert.equal(policyNow(), "mode 1 of nodes 0", "nothing is asked about it");
      using _home = pin(Policy.unbound());
      assert.equal(policyNow(), before);
    } finally {
      undo();
    }
  });

  it("nests", { skip: oneCpu }, () => {
    const home = cpusNow();
    const outer = pin(Policy.bindCpus(first));
    const inner = pin(Policy.bindCpus(other));
    assert.equal(cpusNow(), `${other}`);
    const off = pin(Policy.unbound());
    assert.equal(cpusNow(), home);
    off.release();
    assert.equal(cpusNow(), `${other}`);
    inner.release();
    inner.release();
    assert.equal(inner.released, true);
    assert.equal(cpusNow(), `${first}`);
    outer[Symbol.dispose]();
    outer[Symbol.dispose]();
    assert.equal(cpusNow(), home);
  });

  it("knows the memory policy that was there before all of them", { skip: noPolicies }, () => {
    const before = policyNow();
    const node = Policy.bindNode(topology().nodes.find(({ cpus }) => cpus.size > 0)!.id);
    using _one = pin(node, { bind: { memory: "prefer" } });
    using _other = pin(node, { bind: { memory: "require" } });
    unpinned(() => assert.deepEqual(policyNow(), before));
  });

  it("may end in any order: the newest counts", { skip: oneCpu || noPolicies }, () => {
    const [home, policy] = [cpusNow(), policyNow()];
    const node = Policy.bindNode(topology().nodeOfCpu(first.first as number));
    for (const order of [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]) {
      const states = [[home, policy]];
      const pins = [node, Policy.bindCpus(other), Policy.bindCpus(first)].map((policy, index) => {
        const made = pin(policy, index === 1 ? NO_MEMORY : {});
        states.push([cpusNow(), policyNow()]);
        return made;
      });
      const alive = new Set([0, 1, 2]);
      for (const index of order) {
        pins[index]?.release();
        alive.delete(index);
        assert.deepEqual([cpusNow(), policyNow()], states[Math.max(-1, ...alive) + 1], `${order}`);
      }
      assert.deepEqual([cpusNow(), policyNow()], [home, policy]);
    }
  });

  it("leaves the thread as it was when something required is refused", () => {
    const home = cpusNow();
    throwsCode(() => pin(Policy.bindCpus("60000")), "ENODEV");
    throwsCode(() => pin(Policy.bindNode(63)), "ENODEV");
    throwsCode(() => pin(Policy.unbound(), { bind: { memory: "require" } }), "ENODEV");
    assert.equal(cpusNow(), home);
    const policy = Policy.compact();
    const [one, next] = [pin(policy), pin(policy)];
    const cpus = [one, next].map(({ placement }) => `${placement.cpus}`);
    assert.equal(new Set(cpus).size, Math.min(2, all.size), "a place each");
    next.release();
    one.release();
    using again = pin(policy);
    assert.equal(`${again.placement.cpus}`, cpus[0]);
  });

  it("goes only where the thread may go, and takes what is left if that will do", {
    skip: oneCpu,
  }, () => {
    const home = threadAffinity();
    pinThread(first);
    try {
      throwsCode(() => pin(Policy.bindCpus(other)), "EACCES", /may run on CPUs/);
      const prefer = { bind: { cpus: "prefer" } } as const;
      for (const cpus of [other, first.union(other)]) {
        using pinned = pin(Policy.bindCpus(cpus), prefer);
        const { asked, got, refused } = pinned.binding.cpus;
        assert.deepEqual([`${asked}`, `${got}`, refused?.code], [`${cpus}`, `${first}`, "EACCES"]);
        assert.equal(cpusNow(), `${first}`);
      }
      assert.equal(cpusNow(), `${first}`);
    } finally {
      pinThread(home);
    }
  });

  it("leaves alone what others have changed meanwhile", { skip: oneCpu }, () => {
    const home = threadAffinity();
    const pinned = pin(Policy.bindCpus(first), NO_MEMORY);
    try {
      pinThread(other);
      assert.equal(unpinned(cpusNow), `${other}`);
      pinned.release();
      assert.equal(cpusNow(), `${other}`);
    } finally {
      pinThread(home);
    }
  });

  it("does not bind what is launched meanwhile, nor what is seen", { skip: oneCpu }, async () => {
    const home = cpusNow();
    const pinned = pin(Policy.bindCpus(first));
    assert.equal(topology({ refresh: true }).allowedCpus.toString(), `${all}`);
    assert.equal(await where(), home);
    assert.equal(await where(Policy.bindCpus(other)), `${other}`);
    assert.equal(cpusNow(), `${first}`);
    assert.equal(childCpus(), `${first}`);
    assert.equal(unpinned(childCpus), home);
    // A pin that is made in there, and outlives it.
    const left = unpinned(() => pin(Policy.bindCpus(other)));
    assert.equal(cpusNow(), `${other}`);
    left.release();
    assert.equal(cpusNow(), `${first}`);
    pinned.release();
    assert.equal(cpusNow(), home);
    assert.equal(unpinned(cpusNow), home);
    assert.equal(await where(), home);
  });

  it("pins workers as well, which go back to their own place", { skip: oneCpu }, async () => {
    const thread = launch<string[]>(module, {
      policy: Policy.bindCpus(other),
      args: { task: "pins", cpu: first.first } as PinTask,
    });
    const [own, there] = [`${other}`, `${first}`];
    const home = cpusNow();
    assert.deepEqual(await thread.join(), [own, there, home, there, home, there, own]);
    const free = launch<string[]>(module, {
      args: { task: "pins", cpu: first.first } as PinTask,
    });
    assert.deepEqual(await free.join(), [home, there, home, there, home, there, home]);
  });

  it("samples the heap of the thread that it pins", { skip: noPolicies }, () => {
    using pinned = pin(Policy.bindCpus(CpuSet.of(last)));
    const { node, bytes, share } = pinned.sampleHeap();
    assert.equal(node, topology().nodeOfCpu(last));
    assert.ok(bytes >= 2 ** 20);
    assert.ok(share >= 0 && share <= 1);
  });

  it("takes policies and options, and nothing else", () => {
    const home = cpusNow();
    for (const policy of [undefined, null, 5, {}, Object.create(Policy.prototype)]) {
      throwsCode(() => pin(policy as never), "EINVAL");
    }
    const policy = Policy.compact();
    for (const options of [null, 5, { cpus: "require" }, { bind: null }, { bind: { cpus: 5 } }]) {
      throwsCode(() => pin(policy, options as never), "EINVAL");
    }
    for (const place of [-1, 0.5, NaN, -0, 2 ** 53, "0", null]) {
      throwsCode(() => pin(policy, { place: place as never }), "EINVAL");
    }
    assert.equal(cpusNow(), home);
  });
});
