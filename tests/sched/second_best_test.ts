import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { launchAll, Policy, topology } from "../../mod.ts";
import { checkPolicy, choosePlace, placementsOf } from "../../lib/sched/policies/chosen.ts";
import { poolSettings } from "../../lib/tasks/pool/pool_settings.ts";
import { inheritTopology } from "../../lib/topology/load.ts";
import { sibling } from "../support/checkout.ts";
import { throwsCode } from "../support/errors.ts";
import { machine } from "../support/machines.ts";

/** Four cores in each of two packages, of which the process may use those of the first one, and one of the second. */
const small = machine({
  ...{ packages: 2, cores: 4, allowedCpus: "0-4" },
  devices: [{ address: "0000:00:03.0", class: "network", names: ["eth0"], cpus: "4-7", node: 1 }],
});
/** Nothing of the second. */
const smaller = machine({
  ...{ packages: 2, cores: 4, allowedCpus: "0-3" },
  devices: [{ address: "0000:00:03.0", class: "network", names: ["eth0"], cpus: "4-7", node: 1 }],
});
const PREFER = { cpus: "prefer", memory: "prefer" } as const;
const REQUIRE = { cpus: "require", memory: "prefer" } as const;

/** Where a thread goes, what was asked for, and why it does not get it. */
function chosen(policy: string): (string | undefined)[] {
  const { wish, free } = choosePlace(checkPolicy(policy, "test"), PREFER, undefined, "test");
  free();
  const { asked, cpus, refused } = wish;
  return [cpus?.toString(), asked?.toString(), refused?.code];
}

describe('a place that is refused, with bind "prefer"', () => {
  const real = topology();
  before(() => inheritTopology(smaller));
  after(() => inheritTopology(real));

  it("is what is left of several, and it is told what was asked for", () => {
    assert.deepEqual(chosen("package:0,1"), ["0-3", "0-7", "EACCES"]);
    assert.deepEqual(chosen("node:1"), [undefined, "4-7", "EACCES"]);
    assert.deepEqual(chosen("2-5"), ["2-3", "2-5", "EACCES"]);
    assert.deepEqual(chosen("node:0"), ["0-3", "0-3", undefined]);
    throwsCode(() => choosePlace(Policy.parse("package:0,1"), REQUIRE, undefined, "t"), "EACCES");
  });

  it("is the first cores of what is left", () => {
    assert.deepEqual(chosen("package:0,1:2"), ["0-1", undefined, "EACCES"]);
    assert.deepEqual(chosen("package:1:2"), [undefined, undefined, "EACCES"]);
  });

  it("is near nothing where the device's node may not be used", () => {
    assert.deepEqual(chosen("near:eth0"), [undefined, "4-7", "EACCES"]);
  });

  it("is taken by nobody when it cannot be", () => {
    const policy = Policy.unbound();
    const memory = { cpus: "prefer", memory: "require" } as const;
    const place = (): number => {
      const { place, free } = choosePlace(policy, PREFER, undefined, "test");
      free();
      return place;
    };
    const before = place();
    throwsCode(() => choosePlace(policy, memory, undefined, "test"), "ENODEV");
    assert.equal(place(), before);
  });

  it("is taken as long as one of those has it that share it", () => {
    const policy = Policy.parse("node:0");
    const take = (index?: number) => choosePlace(policy, PREFER, index, "test");
    const [one, other] = [take(0), take(0)];
    one.free();
    const next = take();
    assert.equal(next.place, 1);
    other.free();
    const last = take();
    assert.equal(last.place, 0);
    for (const { free } of [next, last]) free();
  });

  it("is the same for each thread of a group", () => {
    const places = placementsOf(topology(), Policy.parse("2-5"), PREFER, 3, "test");
    assert.deepEqual(places.map(({ cpus }) => `${cpus}`), ["2-3", "2-3", "2-3"]);
    assert.equal(
      placementsOf(topology(), Policy.parse("package:0,1"), PREFER, undefined, "test").length,
      1,
    );
    throwsCode(() => placementsOf(topology(), Policy.parse("2-5"), REQUIRE, 3, "test"), "EACCES");
    inheritTopology(small);
    assert.deepEqual(chosen("package:0,1"), ["0-4", "0-4", undefined]);
    inheritTopology(smaller);
  });

  it("is the same for the workers of a pool", () => {
    const options = { threads: 2, policy: "2-5" };
    const { placements } = poolSettings({ ...options, bind: PREFER }, topology());
    assert.deepEqual(placements.map(({ cpus }) => `${cpus}`), ["2-3", "2-3"]);
    throwsCode(() => poolSettings(options, topology()), "EACCES");
    const bind = "prefer" as never;
    throwsCode(() => poolSettings({ ...options, bind }, topology()), "EINVAL");
  });

  it("lets a group start", async () => {
    // The first CPU that is really there, and one that this process does not see.
    const [first] = real.allowedCpus;
    const seen = machine({ cores: 1 + (first as number) + 1, allowedCpus: `${first}` });
    inheritTopology(seen);
    try {
      const policy = Policy.bindCpus(seen.cpus);
      const module = sibling(import.meta.url, "../workers/basic");
      const group = launchAll<{ affinity: string }>(module, {
        ...{ policy, count: 2, bind: PREFER },
        args: () => ({ task: "where" }),
      });
      assert.deepEqual((await group.join()).map(({ affinity }) => affinity), [
        ...[`${first}`, `${first}`],
      ]);
      assert.equal(group.at(0)?.binding?.cpus.refused?.code, "EACCES");
      throwsCode(() => launchAll(module, { policy, count: 2 }), "EACCES");
    } finally {
      inheritTopology(smaller);
    }
  });
});
